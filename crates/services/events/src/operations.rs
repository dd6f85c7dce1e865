//! Universal targets of schedules: operations of this node's services, called with the schedule's input.
//!
//! User guide, *Using universal targets*: which operations there are is up to the services; those that only read are none.

use std::time::Duration;

use lambent_core::arn::Arn;
use lambent_core::ids::{AccountId, Region};
use lambent_core::ports::{NoOperation, OperationCall, OperationRefusal};
use lambent_wire::Fault;

use crate::Events;
use crate::outbox::body_of;
use crate::parcel::{Cause, Parcel, Sender, Trouble};
use crate::reader::invalid;

/// User guide: what begins so only reads.
const READING: [&str; 17] = [
    "get",
    "describe",
    "list",
    "poll",
    "receive",
    "search",
    "scan",
    "query",
    "select",
    "read",
    "lookup",
    "discover",
    "validate",
    "batchGet",
    "batchDescribe",
    "batchRead",
    "retrieve",
];

impl Events {
    /// Whether a schedule may call it.
    pub(crate) fn check_operation(&self, service: &str, action: &str) -> Result<(), Fault> {
        if READING.iter().any(|prefix| begins_with(action, prefix)) {
            return Err(invalid(format!(
                "{action} is not supported: operations that only read are no targets."
            )));
        }
        self.deps.operations.find(service, action).map_err(|missing| match missing {
            NoOperation::Service => invalid(format!("The service {service} is not supported.")),
            NoOperation::Action => invalid(format!("The operation {action} of {service} is not supported.")),
        })
    }

    /// Calls the operation of a schedule's target once.
    pub(crate) async fn operate(
        &self,
        parcel: &Parcel,
        service: &str,
        action: &str,
        retries: u32,
    ) -> Result<(), Trouble> {
        let bad = |what: &str| Trouble::for_good(Cause::Invalid, what);
        let Sender::Schedule { arn, role, .. } = &parcel.origin.sender else {
            return Err(bad("it is not of a schedule"));
        };
        let region = Arn::parse(arn).and_then(|arn| Region::new(&arn.region).ok());
        let region = region.ok_or_else(|| bad("its schedule can't be read"))?;
        let account = Arn::parse(role).and_then(|role| AccountId::new(&role.account).ok());
        let account = account.ok_or_else(|| bad("its role can't be read"))?;
        let input = body_of(parcel, retries);
        let call = OperationCall {
            account: &account,
            region: &region,
            role_arn: role,
            service,
            action,
            input: &input,
        };
        self.deps.operations.call(call).await.map_err(|refusal| {
            let OperationRefusal { code, message, may_pass } = refusal;
            Trouble {
                cause: Cause::Unknown,
                code: Some(code),
                message,
                again: may_pass.then_some(Duration::ZERO),
            }
        })
    }
}

/// Whether the name's first words are these: `getQueueUrl` begins with `get`, `getaway` does not.
fn begins_with(action: &str, prefix: &str) -> bool {
    action.strip_prefix(prefix).is_some_and(|rest| !rest.starts_with(|c: char| c.is_ascii_lowercase()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_whole() {
        for (action, expected) in
            [("getQueueUrl", true), ("get", true), ("getaway", false), ("sendGet", false)]
        {
            assert_eq!(begins_with(action, "get"), expected, "{action}");
        }
    }
}
