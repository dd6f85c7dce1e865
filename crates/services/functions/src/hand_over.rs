//! Calls that other services ask for: asynchronous, and each into the batch of whoever asks.

use lambent_core::arn::Arn;
use lambent_core::ids::RequestId;
use lambent_core::limits::ASYNC_PAYLOAD_BYTES_MAX;
use lambent_core::ports::EventSample;
use lambent_store::deliveries::{Authority, Delivery, FunctionEvent, FunctionEvents, Refusal};
use lambent_store::functions::FunctionKey;

use crate::Functions;
use crate::api::invoke;
use crate::api::target::Target;
use crate::async_calls;
use crate::engine::event_invoke;
use crate::engine::policy::{self, Agent};

impl FunctionEvents for Functions {
    fn delivery(&self, event: FunctionEvent) -> Result<Delivery, Refusal> {
        let target = target_of(&event.function_arn).ok_or(Refusal::NotFound)?;
        if event.payload.len() > ASYNC_PAYLOAD_BYTES_MAX {
            return Err(Refusal::TooLarge);
        }
        // Whether the function is there is no business of a stranger's.
        let record = self.deps.store.function(&target.key);
        let is_allowed = match &event.authority {
            Authority::Role { account } => account == target.key.account.as_str(),
            Authority::Service { principal, source_arn, source_account } => match &record {
                Some(record) => {
                    let agent = Agent { service: principal, source_arn, source_account };
                    policy::grants_service(record, target.qualifier.as_deref(), agent)
                }
                None => source_account == target.key.account.as_str(),
            },
        };
        if !is_allowed {
            return Err(Refusal::NotAllowed);
        }
        let record = record.ok_or(Refusal::NotFound)?;
        async_calls::check_target(&record, &target).map_err(|_| Refusal::NotFound)?;
        let trace = event.trace_header.unwrap_or_else(|| invoke::new_trace(self));
        let event = async_calls::event_of(&target, &event.payload.into(), trace, None)
            .map_err(|_| Refusal::Malformed)?;
        let id = RequestId::random(&*self.deps.entropy);
        let delivery = async_calls::delivery(id, &event, self.deps.clock.now());
        self.deps.metrics.event(&target.arn(), EventSample::Received);
        delivery.map_err(|_| Refusal::Malformed)
    }

    fn accepted(&self) {
        self.accepted.ring();
    }
}

fn target_of(arn: &str) -> Option<Target> {
    let arn = Arn::parse(arn).filter(|arn| arn.service == "lambda")?;
    let (name, qualifier) = event_invoke::function_of(&arn)?;
    let key = FunctionKey {
        account: lambent_core::AccountId::new(&arn.account).ok()?,
        region: lambent_core::Region::new(&arn.region).ok()?,
        name: lambent_core::FunctionName::new(name).ok()?,
    };
    Some(Target { key, qualifier: qualifier.map(str::to_owned) })
}
