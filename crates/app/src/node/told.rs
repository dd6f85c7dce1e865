//! Where a message of one service to another goes: to a queue, a topic or a bus, as its ARN says.
//!
//! Functions tell topics and buses of their calls, which call functions: the weak ends let all be dropped.

use std::sync::{Arc, OnceLock, Weak};

use lambent_core::arn::Arn;
use lambent_core::ports::{BoxFuture, Push, PushRefusal, Pusher, QueueSink};
use lambent_events::Events;
use lambent_queues::Queues;
use lambent_topics::Topics;

pub struct Told {
    pub queues: Arc<Queues>,
    pub topics: OnceLock<Weak<Topics>>,
    pub buses: OnceLock<Weak<Events>>,
}

impl QueueSink for Told {
    fn push<'a>(
        &'a self,
        arn: &'a str,
        pusher: Pusher<'a>,
        message: Push,
    ) -> BoxFuture<'a, Result<String, PushRefusal>> {
        Box::pin(async move {
            let sink: Option<Arc<dyn QueueSink>> =
                match Arn::parse(arn).as_ref().map(|arn| arn.service.as_str()) {
                    Some("sns") => self.topics.get().and_then(Weak::upgrade).map(|topics| topics as _),
                    Some("events") => self.buses.get().and_then(Weak::upgrade).map(|buses| buses as _),
                    _ => Some(self.queues.clone()),
                };
            match sink {
                Some(sink) => sink.push(arn, pusher, message).await,
                None => Err(PushRefusal::Unavailable { detail: "the node is stopping".into() }),
            }
        })
    }
}
