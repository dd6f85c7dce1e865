//! Queues as neighbours use them: [`QueueSink`] and [`QueueSource`].

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use lambent_core::ids::AccountId;
use lambent_core::policy::Asker;
use lambent_core::ports::{
    BoxFuture, PullRefusal, Pulled, Push, PushRefusal, Pusher, QueueFacts, QueueSink, QueueSource,
};
use lambent_store::queues::{Message, QueueRecord, Shelf};

use crate::Queues;
use crate::api::{self, Failure, Sending, Taking};
use crate::engine::message::Attribute;
use crate::engine::{access, address, digest};

/// Lambda developer guide, *Using Lambda with Amazon SQS*: what a mapping's role needs.
const READING: [&str; 3] = ["sqs:ReceiveMessage", "sqs:DeleteMessage", "sqs:GetQueueAttributes"];

impl Queues {
    fn by_arn(&self, arn: &str) -> Option<Arc<QueueRecord>> {
        self.store.queue(&address::of_arn(arn)?)
    }

    fn pulled(&self, record: &QueueRecord, shelf: Shelf, message: Message) -> Pulled {
        let details = api::details(&message);
        let system = api::system_attributes(record, &message, &details);
        let attributes_md5 =
            digest::of_attributes(details.attributes.iter().map(|(name, value)| (name.as_str(), value)));
        let attributes = details.attributes.into_iter();
        Pulled {
            id: message.id.to_string(),
            receipt_handle: self.receipts.write(&record.key.arn(), shelf, message.receipt),
            body: String::from_utf8_lossy(&message.body).into_owned(),
            body_md5: digest::of_text(&message.body),
            system: system.into_iter().map(|(name, value)| (name.to_owned(), value)).collect(),
            attributes: attributes.map(|(name, value)| (name, (value.data_type, value.value))).collect(),
            attributes_md5,
            sent: message.sent,
            receives: message.receives,
            group: details.group,
        }
    }

    fn pull_refusal(&self, arn: &str, failure: Failure) -> PullRefusal {
        match self.by_arn(arn) {
            Some(_) => PullRefusal::Unavailable { detail: failure.message },
            None => PullRefusal::NoQueue { arn: arn.to_owned() },
        }
    }
}

impl QueueSink for Queues {
    fn push<'a>(
        &'a self,
        queue_arn: &'a str,
        pusher: Pusher<'a>,
        message: Push,
    ) -> BoxFuture<'a, Result<String, PushRefusal>> {
        Box::pin(async move {
            let record =
                self.by_arn(queue_arn).ok_or_else(|| PushRefusal::NoQueue { arn: queue_arn.to_owned() })?;
            let (asker, context, sender) = match pusher {
                Pusher::Service { name, source_arn, source_account } => (
                    Asker::Service(name),
                    vec![("aws:SourceArn", source_arn), ("aws:SourceAccount", source_account.as_str())],
                    name.to_owned(),
                ),
                Pusher::Role { account, arn } => {
                    (Asker::Identity { account, arn }, Vec::new(), api::sender_id(arn, account.as_str()))
                }
            };
            if !access::may(&record, asker, "sqs:SendMessage", &context) {
                return Err(PushRefusal::Denied);
            }
            let Push { body, group, dedup, attributes, trace_header, event: _ } = message;
            let attributes: BTreeMap<String, Attribute> = attributes
                .into_iter()
                .map(|(name, (data_type, value))| (name, Attribute { data_type, value }))
                .collect();
            let sending = Sending {
                body,
                delay_secs: None,
                attributes,
                trace: trace_header,
                carried: None,
                dedup,
                group,
                sender,
            };
            let (new, _) = api::judge(self, &record, sending, self.clock.now())
                .map_err(|failure| PushRefusal::Invalid { detail: failure.message })?;
            match api::send(self, &record, vec![new]).await {
                Ok(sent) => match sent.first() {
                    Some(sent) => Ok(sent.id.to_string()),
                    None => Err(PushRefusal::Unavailable { detail: "nothing was sent".into() }),
                },
                Err(failure) if self.by_arn(queue_arn).is_some() => {
                    Err(PushRefusal::Unavailable { detail: failure.message })
                }
                Err(_) => Err(PushRefusal::NoQueue { arn: queue_arn.to_owned() }),
            }
        })
    }
}

impl QueueSource for Queues {
    fn facts(&self, queue_arn: &str) -> Option<QueueFacts> {
        let record = self.by_arn(queue_arn)?;
        Some(QueueFacts {
            is_fifo: record.settings.fifo.is_some(),
            visibility: Duration::from_secs(record.settings.visibility_secs.into()),
        })
    }

    fn lets_read(&self, queue_arn: &str, account: &AccountId, role_arn: &str) -> bool {
        let asker = Asker::Identity { account, arn: role_arn };
        let may = |record: &QueueRecord| READING.iter().all(|action| access::may(record, asker, action, &[]));
        self.by_arn(queue_arn).is_some_and(|record| may(&record))
    }

    fn pull<'a>(
        &'a self,
        queue_arn: &'a str,
        limit: usize,
        visibility: Duration,
        over: Option<BoxFuture<'a, ()>>,
    ) -> BoxFuture<'a, Result<Vec<Pulled>, PullRefusal>> {
        Box::pin(async move {
            let record =
                self.by_arn(queue_arn).ok_or_else(|| PullRefusal::NoQueue { arn: queue_arn.to_owned() })?;
            let taking = Taking { limit, visibility, attempt: None };
            let taken = api::take(self, &record, &taking, over).await;
            let (shelf, messages) = taken.map_err(|failure| self.pull_refusal(queue_arn, failure))?;
            Ok(messages.into_iter().map(|message| self.pulled(&record, shelf, message)).collect())
        })
    }

    fn done<'a>(
        &'a self,
        queue_arn: &'a str,
        receipt_handles: &'a [String],
    ) -> BoxFuture<'a, Result<(), PullRefusal>> {
        Box::pin(async move {
            let record =
                self.by_arn(queue_arn).ok_or_else(|| PullRefusal::NoQueue { arn: queue_arn.to_owned() })?;
            let handles: Vec<&str> = receipt_handles.iter().map(String::as_str).collect();
            let removed = api::remove(self, &record, &handles).await;
            removed.map(drop).map_err(|failure| self.pull_refusal(queue_arn, failure))
        })
    }

    fn give_back<'a>(
        &'a self,
        queue_arn: &'a str,
        receipt_handles: &'a [String],
        visibility: Duration,
    ) -> BoxFuture<'a, Result<(), PullRefusal>> {
        Box::pin(async move {
            let record =
                self.by_arn(queue_arn).ok_or_else(|| PullRefusal::NoQueue { arn: queue_arn.to_owned() })?;
            let asked: Vec<(&str, Duration)> =
                receipt_handles.iter().map(|handle| (handle.as_str(), visibility)).collect();
            let changed = api::change(self, &record, &asked).await;
            changed.map(drop).map_err(|failure| self.pull_refusal(queue_arn, failure))
        })
    }

    fn put_back<'a>(
        &'a self,
        queue_arn: &'a str,
        receipt_handles: &'a [String],
        wait: Duration,
    ) -> BoxFuture<'a, Result<(), PullRefusal>> {
        Box::pin(async move {
            let record =
                self.by_arn(queue_arn).ok_or_else(|| PullRefusal::NoQueue { arn: queue_arn.to_owned() })?;
            let unread = api::unread(self, &record, receipt_handles, wait).await;
            unread.map_err(|failure| self.pull_refusal(queue_arn, failure))
        })
    }
}
