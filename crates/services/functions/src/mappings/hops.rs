//! The hops of messages on their way through a mapping: handed on, put off, let be.

use std::time::Duration;

use lambent_core::ids::RequestId;
use lambent_core::ports::{Hop, HopKind, HopOutcome, Pulled, trace_root};
use lambent_core::time::Timestamp;
use lambent_store::functions::MappingRecord;

use super::delivery::{self, Held};
use crate::Deps;

/// Messages go to a call of their function.
pub(super) fn handed_on(deps: &Deps, record: &MappingRecord, batch: &[Held], id: &RequestId, now: Timestamp) {
    for held in batch {
        let trace = held.trace.as_deref().unwrap_or_default();
        tell(deps, record, trace, now, |hop| Hop {
            id: id.to_string(),
            parent: Some(held.id.clone()),
            target: Some(delivery::target(record).qualified_arn()),
            ..hop
        });
    }
}

/// The function can't be run now, for this reason.
pub(super) fn waits(deps: &Deps, record: &MappingRecord, batch: &[Held], why: &str, now: Timestamp) {
    for held in batch {
        let trace = held.trace.as_deref().unwrap_or_default();
        tell(deps, record, trace, now, |hop| Hop {
            id: held.id.clone(),
            kind: HopKind::Wait,
            outcome: HopOutcome::Throttled,
            note: Some(why.to_owned()),
            ..hop
        });
    }
}

/// A message that came by the function too often is not handed on.
pub(super) fn stopped(deps: &Deps, record: &MappingRecord, message: &Pulled, now: Timestamp) {
    let trace = message.system.get("AWSTraceHeader").map(String::as_str).unwrap_or_default();
    tell(deps, record, trace, now, |hop| Hop {
        id: message.id.clone(),
        kind: HopKind::GiveUp,
        outcome: HopOutcome::Refused,
        note: Some("it goes round in a loop: its function was called for it too often".to_owned()),
        ..hop
    });
}

fn tell(deps: &Deps, record: &MappingRecord, trace: &str, now: Timestamp, complete: impl FnOnce(Hop) -> Hop) {
    let (account, region) = (record.account().clone(), record.region().clone());
    deps.traces.hop(complete(Hop {
        by: Some(super::arn(&account, &region, &record.id)),
        account,
        region,
        subject: record.source.clone(),
        trace: trace_root(trace).map(str::to_owned),
        id: String::new(),
        parent: None,
        kind: HopKind::Deliver,
        at: now,
        took: Duration::ZERO,
        outcome: HopOutcome::Ok,
        target: None,
        note: None,
        preview: None,
    }));
}
