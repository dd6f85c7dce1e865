//! The hops of messages that clients send and receive. What neighbours send and take is told by them.

use lambent_core::ports::{Hop, HopKind, HopOutcome, trace_root};
use lambent_core::time::Timestamp;
use lambent_store::queues::{Message, QueueRecord, Redriven, Sent};
use lambent_wire::Caller;

use crate::Queues;
use crate::api::{self, Sending};

impl Queues {
    /// The hop of a message that is to be sent, if there is room for one; its name comes with the answer.
    pub(crate) fn sending(&self, caller: &Caller, record: &QueueRecord, sending: &Sending) -> Option<Hop> {
        let arn = record.key.arn();
        let owner = (&record.key.account, &record.key.region);
        let hop = || Hop::new(owner, HopKind::Accept, &arn, "", self.clock.now());
        self.traces.wants(&arn).then(|| Hop {
            by: Some(caller.principal_arn.clone()),
            preview: self.traces.preview(sending.body.as_bytes()),
            ..hop().traced(sending.trace.as_deref().or(sending.carried.as_deref()))
        })
    }

    /// Messages are on the disk.
    pub(crate) fn tell_sent<'a>(&self, hops: impl IntoIterator<Item = (Option<Hop>, &'a Sent)>) {
        for (hop, sent) in hops {
            if let Some(hop) = hop {
                self.traces.hop(Hop { id: sent.id.to_string(), ..hop });
            }
        }
    }

    /// A client got these messages.
    pub(crate) fn tell_received(&self, caller: &Caller, record: &QueueRecord, messages: &[Message]) {
        let arn = record.key.arn();
        for message in messages {
            if !self.traces.wants(&arn) {
                continue;
            }
            let owner = (&record.key.account, &record.key.region);
            let hop = Hop::new(owner, HopKind::Deliver, &arn, &message.id.to_string(), self.clock.now());
            let details = api::details(message);
            self.traces.hop(Hop {
                trace: details.trace.as_deref().and_then(trace_root).map(str::to_owned),
                target: Some(caller.principal_arn.clone()),
                note: Some(format!(
                    "receive {}, {} after it was sent",
                    message.receives,
                    since(message, hop.at)
                )),
                ..hop
            });
        }
    }

    /// These went to the dead-letter queue instead.
    pub(crate) fn tell_redriven(&self, record: &QueueRecord, messages: &[Redriven]) {
        let Some(redrive) = &record.settings.redrive else { return };
        let (arn, owner) = (record.key.arn(), (&record.key.account, &record.key.region));
        for Redriven { id, receives } in messages {
            let hop = Hop::new(owner, HopKind::GiveUp, &arn, id.as_str(), self.clock.now());
            self.traces.hop(Hop {
                outcome: HopOutcome::Error,
                target: Some(redrive.target_arn.clone()),
                note: Some(format!(
                    "received {receives} times; its queue's maxReceiveCount is {}",
                    redrive.receives_max
                )),
                ..hop
            });
        }
    }
}

fn since(message: &Message, now: Timestamp) -> String {
    format!("{:.3} s", now.since(message.sent).as_secs_f64())
}
