//! From a message to the deliveries to its topic's subscribers.

use std::collections::BTreeMap;
use std::sync::Arc;

use lambent_core::ports::{Hop, Push};
use lambent_core::time::Timestamp;
use lambent_store::StoreError;
use lambent_store::deliveries::{Authority, Command, FunctionEvent, Refusal};
use lambent_store::topics::{SubscriberKind, SubscriptionRecord, TopicRecord};

use crate::engine::delivery_policy::Effective;
use crate::engine::envelope::{self, Notification};
use crate::engine::filter::Filter;
use crate::engine::message::Message;
use crate::outbox::{Parcel, Trouble};
use crate::posts::{Kind, Post};
use crate::publish::Published;
use crate::{PRINCIPAL, Topics};

/// What a message came with.
#[derive(Debug, Clone, Copy)]
pub struct Circumstances<'a> {
    /// How the sender reached the node.
    pub origin: &'a str,
    /// X-Ray's trace header.
    pub trace: Option<&'a str>,
    pub now: Timestamp,
}

/// The texts that somebody may check the origin of, and their signatures.
pub(crate) type Signatures = BTreeMap<String, String>;

impl Topics {
    /// Adds the deliveries of a message to all subscriptions that want it.
    pub(crate) async fn deliver(
        &self,
        topic: &TopicRecord,
        message: &Message,
        published: &Published,
        with: &Circumstances<'_>,
        deliveries: &mut Vec<Command>,
        hops: &mut Vec<Hop>,
    ) {
        let mut subscriptions = self.deps.store.subscriptions(&topic.key, None, usize::MAX);
        subscriptions.retain(|subscription| {
            let text = message.texts.of(subscription.target.protocol());
            subscription.pending.is_none() && wants(subscription, message, text)
        });
        let topic_arn = topic.key.arn();
        let covered = |text: &str| {
            let subject = message.subject.as_deref();
            envelope::notification_covered(&topic_arn, &published.id, subject, text, with.now)
        };
        let signature_version = topic.settings.signature_version.unwrap_or(1);
        let signatures = self.signatures(&subscriptions, message, signature_version, covered).await;
        let certificate_url = self.certificate_url(with.origin);
        for subscription in subscriptions {
            let text = message.texts.of(subscription.target.protocol());
            let own = || envelope::authenticator(&self.deps.signing_secret, &covered(text));
            let subscription_arn = subscription.key.arn();
            let notification = Notification {
                message_id: &published.id,
                number: published.number,
                topic_arn: &topic_arn,
                subscription_arn: &subscription_arn,
                subject: message.subject.as_deref(),
                text,
                time: with.now,
                signature_version,
                attributes: &message.attributes,
                signature: &signatures.get(text).cloned().unwrap_or_else(own),
                certificate_url: &certificate_url,
                origin: with.origin,
            };
            let command = match subscription.target {
                SubscriberKind::Queue => {
                    let parcel = for_queue(&subscription, message, published, &notification, with);
                    Some(self.send(parcel, with.now))
                }
                SubscriberKind::Function => {
                    self.for_function(&subscription, topic, published, &notification, with, hops)
                }
                SubscriberKind::Http | SubscriberKind::Https => {
                    Some(self.send(for_endpoint(&subscription, topic, published, &notification), with.now))
                }
            };
            deliveries.extend(command);
        }
    }

    pub(crate) fn certificate_url(&self, origin: &str) -> String {
        format!("{origin}{}", self.deps.certificate_path)
    }

    /// The signatures that the node's key makes. It is slow at those of version 1, which are made where they are checked:
    /// for HTTP endpoints.
    async fn signatures(
        &self,
        subscriptions: &[Arc<SubscriptionRecord>],
        message: &Message,
        version: u8,
        covered: impl Fn(&str) -> String,
    ) -> Signatures {
        let mut signatures = Signatures::new();
        for subscription in subscriptions {
            let is_post = subscription.target.is_http();
            let text = message.texts.of(subscription.target.protocol());
            let is_shown = !subscription.settings.is_raw && (is_post || version == 2);
            if is_shown
                && !signatures.contains_key(text)
                && let Some(signature) = self.deps.signer.sign(version, covered(text)).await
            {
                signatures.insert(text.to_owned(), signature);
            }
        }
        signatures
    }

    fn for_function(
        &self,
        subscription: &SubscriptionRecord,
        topic: &TopicRecord,
        published: &Published,
        notification: &Notification<'_>,
        with: &Circumstances<'_>,
        hops: &mut Vec<Hop>,
    ) -> Option<Command> {
        let call = FunctionEvent {
            function_arn: subscription.endpoint.clone(),
            payload: notification.for_function(),
            trace_header: with.trace.map(str::to_owned),
            authority: Authority::Service {
                principal: PRINCIPAL,
                source_arn: notification.topic_arn.to_owned(),
                source_account: topic.key.account.to_string(),
            },
        };
        match self.deps.functions.delivery(call) {
            Ok(delivery) => {
                let ends = (notification.subscription_arn, subscription.endpoint.as_str());
                hops.extend(self.called(topic, ends, (delivery.id.as_str(), &published.id), with));
                Some(Command::Accept(delivery))
            }
            Err(refusal) => {
                let code = match refusal {
                    Refusal::NotFound => "ResourceNotFoundException",
                    Refusal::NotAllowed => "AccessDeniedException",
                    Refusal::TooLarge => "RequestTooLargeException",
                    Refusal::Malformed => "InvalidRequestContentException",
                };
                let trouble = Trouble { code: code.to_owned(), message: refusal.to_string() };
                let parcel = Parcel::new(subscription, published, notification.for_queue(), Push::default());
                self.dead(&parcel, &trouble, with.now)
            }
        }
    }

    /// The command that has a parcel delivered.
    pub(crate) fn send(&self, parcel: Parcel, now: Timestamp) -> Command {
        Command::Accept(parcel.into_delivery(&*self.deps.entropy, now))
    }

    /// Has the deliveries on the disk, and their services at work.
    pub(crate) async fn accept(&self, deliveries: Vec<Command>, hops: Vec<Hop>) -> Result<(), StoreError> {
        if deliveries.is_empty() {
            return Ok(());
        }
        self.deps.deliveries.apply(deliveries.clone()).await?;
        hops.into_iter().for_each(|hop| self.deps.traces.hop(hop));
        self.ring(&deliveries);
        Ok(())
    }
}

fn wants(subscription: &SubscriptionRecord, message: &Message, text: &str) -> bool {
    let Some(filter) = &subscription.settings.filter else { return true };
    match Filter::parse(filter, subscription.settings.filter_scope) {
        Ok(filter) => filter.wants(text, &message.attributes),
        Err(error) => {
            // It was understood when it was set.
            tracing::error!(subscription = subscription.key.arn(), %error, "a stored filter can't be read");
            false
        }
    }
}

fn for_queue(
    subscription: &SubscriptionRecord,
    message: &Message,
    published: &Published,
    notification: &Notification<'_>,
    with: &Circumstances<'_>,
) -> Parcel {
    let mut push = Push {
        // Queues keep it as an attribute, by which they share themselves out fairly.
        group: message.group.clone(),
        dedup: message.dedup.clone(),
        trace_header: with.trace.map(str::to_owned),
        ..Push::default()
    };
    let body = if subscription.settings.is_raw {
        let attributes = message.attributes.iter();
        push.attributes =
            attributes.map(|(name, a)| (name.clone(), (a.data_type.clone(), a.value.clone()))).collect();
        notification.text.to_owned()
    } else {
        notification.for_queue()
    };
    Parcel::new(subscription, published, body, push)
}

fn for_endpoint(
    subscription: &SubscriptionRecord,
    topic: &TopicRecord,
    published: &Published,
    notification: &Notification<'_>,
) -> Parcel {
    let is_raw = subscription.settings.is_raw;
    let body = if is_raw { notification.text.to_owned() } else { notification.for_queue() };
    let policy = Effective::of(
        topic.settings.delivery_policy.as_deref(),
        subscription.settings.delivery_policy.as_deref(),
    );
    let post = Post { kind: Kind::Notification, is_raw, policy };
    Parcel::new(subscription, published, body, Push::default()).posted(post)
}
