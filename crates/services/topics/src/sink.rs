//! Topics as neighbours reach them: a message that another service sends is published.

use std::collections::BTreeMap;

use lambent_core::arn::Arn;
use lambent_core::policy::Asker;
use lambent_core::ports::{BoxFuture, Push, PushRefusal, Pusher, QueueSink};

use crate::Topics;
use crate::api::{limits, names};
use crate::engine::access;
use crate::engine::message::{self, Message, Texts};
use crate::fan_out::Circumstances;

impl QueueSink for Topics {
    /// As Publish does it, for who asks: with a group for a FIFO topic, and the token that it has or its text makes.
    fn push<'a>(
        &'a self,
        topic_arn: &'a str,
        pusher: Pusher<'a>,
        message: Push,
    ) -> BoxFuture<'a, Result<String, PushRefusal>> {
        Box::pin(async move {
            let key = Arn::parse(topic_arn).and_then(|_| names::topic(topic_arn).ok());
            let topic = key.and_then(|key| self.deps.store.topic(&key));
            let topic = topic.ok_or_else(|| PushRefusal::NoQueue { arn: topic_arn.to_owned() })?;
            let (asker, context) = match pusher {
                Pusher::Service { name, source_arn, source_account } => (
                    Asker::Service(name),
                    vec![
                        ("aws:SourceArn", source_arn),
                        ("aws:SourceAccount", source_account.as_str()),
                        ("aws:SourceOwner", source_account.as_str()),
                    ],
                ),
                Pusher::Role { account, arn } => (
                    Asker::Identity { account, arn },
                    vec![("aws:SourceAccount", account.as_str()), ("aws:SourceOwner", account.as_str())],
                ),
            };
            if !access::may(&topic, asker, "SNS:Publish", &context) {
                return Err(PushRefusal::Denied);
            }
            let with = Circumstances {
                origin: &self.deps.origin,
                trace: message.trace_header.as_deref(),
                now: self.deps.clock.now(),
            };
            let invalid = |detail: String| PushRefusal::Invalid { detail };
            let mut attributes = BTreeMap::new();
            for (name, (data_type, value)) in message.attributes {
                let (text, binary) = match data_type.starts_with("Binary") {
                    true => (None, Some(value.as_str())),
                    false => (Some(value.as_str()), None),
                };
                let attribute = message::attribute(&name, &data_type, text, binary).map_err(invalid)?;
                attributes.insert(name, attribute);
            }
            if message::size(&message.body, &attributes) > limits::bytes_max(&topic) {
                return Err(invalid("the message is too long for the topic".to_owned()));
            }
            let order = message::order(topic.settings.fifo, &message.body, message.group, message.dedup);
            let (group, dedup) = order.map_err(invalid)?;
            let message =
                Message { subject: None, texts: Texts::One(message.body), attributes, group, dedup };
            let published = self.publish(&topic, &[message], &with).await;
            let published = published.map_err(|e| PushRefusal::Unavailable { detail: e.to_string() })?;
            Ok(published.into_iter().next().map(|one| one.id).unwrap_or_default())
        })
    }
}
