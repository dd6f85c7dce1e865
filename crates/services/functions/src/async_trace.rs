//! The hops of an asynchronous call that are not runs of its function: accepted, put off, handed on, given up.

use std::time::Duration;

use lambent_core::ids::{AccountId, Region, RequestId};
use lambent_core::ports::{Hop, HopKind, HopOutcome, trace_root};
use lambent_store::deliveries::{Command, Delivery, Lane, Tries};

use crate::Deps;
use crate::destinations::QueuePush;
use crate::engine::async_event::{AsyncEvent, Condition};
use crate::error::Error;

/// An event on its way.
pub(crate) struct Way<'a> {
    pub deps: &'a Deps,
    pub id: &'a RequestId,
    pub event: &'a AsyncEvent,
}

impl Way<'_> {
    /// It is on the disk.
    pub fn accepted(&self) {
        let by = Some(self.event.by.clone()).filter(|by| !by.is_empty());
        let preview_bytes = self.deps.traces.preview_bytes();
        let payload = self.event.payload.get().as_bytes();
        let preview = (preview_bytes > 0)
            .then(|| bytes::Bytes::copy_from_slice(&payload[..payload.len().min(preview_bytes)]));
        self.tell(HopKind::Accept, HopOutcome::Ok, |hop| Hop { by, preview, ..hop });
    }

    /// It is tried again after this time: the function failed, or it could not be run for this reason.
    pub fn waits(&self, tries: Tries, retries: u32, why: Option<&Error>, wait: Duration) {
        let (outcome, note) = match why {
            None => {
                (HopOutcome::Error, format!("the function failed: retry {} of {retries}", tries.attempts))
            }
            Some(Error::Throttled(reason)) => (HopOutcome::Throttled, reason.as_str().to_owned()),
            Some(error) => (HopOutcome::Refused, error.to_string()),
        };
        self.tell(HopKind::Wait, outcome, |hop| Hop { took: wait, note: Some(note), ..hop });
    }

    /// It is over; `next` tells its destination, and its dead-letter queue, of it.
    pub fn over<'c>(&self, condition: Condition, attempts: u32, next: impl IntoIterator<Item = &'c Command>) {
        if condition != Condition::Success {
            let times = if attempts == 1 { "1 attempt".to_owned() } else { format!("{attempts} attempts") };
            let note = Some(format!("{} after {times}", condition.as_str()));
            self.tell(HopKind::GiveUp, HopOutcome::Error, |hop| Hop { note, ..hop });
        }
        for command in next {
            let Command::Accept(delivery) = command else { continue };
            self.tell(HopKind::Deliver, HopOutcome::Ok, |hop| Hop {
                id: delivery.id.to_string(),
                parent: Some(hop.id),
                target: target_of(delivery),
                note: Some(condition.as_str().to_owned()),
                ..hop
            });
        }
    }

    /// There is no function any more that it could go to.
    pub fn gone(&self, why: &str) {
        let note = Some(format!("its function is gone: {why}"));
        self.tell(HopKind::GiveUp, HopOutcome::Refused, |hop| Hop { note, ..hop });
    }

    fn tell(&self, kind: HopKind, outcome: HopOutcome, complete: impl FnOnce(Hop) -> Hop) {
        let AsyncEvent { account, region, function, trace_header, .. } = self.event;
        let (Ok(account), Ok(region)) = (AccountId::new(account), Region::new(region)) else { return };
        let subject = format!("arn:aws:lambda:{region}:{account}:function:{function}");
        self.deps.traces.hop(complete(Hop {
            account,
            region,
            subject,
            trace: trace_root(trace_header).map(str::to_owned),
            id: self.id.to_string(),
            parent: None,
            kind,
            at: self.deps.clock.now(),
            took: Duration::ZERO,
            outcome,
            by: None,
            target: None,
            note: None,
            preview: None,
        }));
    }
}

/// The function or the queue that it is for.
fn target_of(delivery: &Delivery) -> Option<String> {
    match delivery.lane {
        Lane::QueuePush => {
            serde_json::from_slice::<QueuePush>(&delivery.body).ok().map(|push| push.queue_arn)
        }
        _ => serde_json::from_slice::<AsyncEvent>(&delivery.body).ok().map(|event| event.invoked_arn),
    }
}
