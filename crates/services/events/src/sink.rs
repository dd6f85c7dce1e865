//! Buses as neighbours reach them: what another service sends to one is an event there.

use lambent_core::ids::AccountId;
use lambent_core::ports::{BoxFuture, EventHead, Push, PushRefusal, Pusher, QueueSink};
use serde_json::value::RawValue;

use crate::Events;
use crate::api::shapes::PUT_EVENTS_BYTES_MAX;
use crate::dispatch::{Event, Happening};
use crate::names::{BusName, DEFAULT};
use crate::target::object;
use crate::way::Outgoing;

impl QueueSink for Events {
    /// As PutEvents does it, for who asks; but a bus that is not there is told of.
    fn push<'a>(
        &'a self,
        bus_arn: &'a str,
        pusher: Pusher<'a>,
        message: Push,
    ) -> BoxFuture<'a, Result<String, PushRefusal>> {
        Box::pin(async move {
            let bus = BusName::of_arn(bus_arn).filter(|bus| self.has(bus));
            let bus = bus.ok_or_else(|| PushRefusal::NoQueue { arn: bus_arn.to_owned() })?;
            let (Pusher::Service { source_account: account, .. } | Pusher::Role { account, .. }) = pusher;
            if !self.may_put_events(&bus, account) {
                return Err(PushRefusal::Denied);
            }
            let event = self.event_of(&bus, account, message)?;
            let mut deliveries = Outgoing::default();
            // That the event is there is told by who sends it, under the name that is answered.
            self.deliver(&bus, &event, &mut deliveries);
            let accepted = self.accept(deliveries).await;
            accepted.map_err(|fault| PushRefusal::Unavailable { detail: fault.message })?;
            Ok(event.id)
        })
    }
}

impl Events {
    fn has(&self, bus: &BusName) -> bool {
        bus.name == DEFAULT || self.deps.store.get(&bus.key()).is_some()
    }

    fn event_of(&self, bus: &BusName, account: &AccountId, message: Push) -> Result<Event, PushRefusal> {
        let invalid = |detail: &str| PushRefusal::Invalid { detail: detail.to_owned() };
        let head = message.event.ok_or_else(|| invalid("a bus takes events, and this says no source"))?;
        let EventHead { source, detail_type, resources } = head;
        let counted = source.len()
            + detail_type.len()
            + resources.iter().map(String::len).sum::<usize>()
            + message.body.len();
        if counted > PUT_EVENTS_BYTES_MAX {
            return Err(invalid("the event is too large for the bus"));
        }
        if object(&message.body).is_none() {
            return Err(invalid("the event's detail is no JSON object"));
        }
        let detail = RawValue::from_string(message.body).map_err(|error| invalid(&error.to_string()))?;
        let now = self.deps.clock.now();
        let happening = Happening {
            source: &source,
            detail_type: &detail_type,
            resources: &resources,
            detail: &detail,
            account: account.as_str(),
            region: bus.region.as_str(),
            time: now,
        };
        Ok(Event::new(self.new_id(), &happening, message.trace_header, now))
    }
}
