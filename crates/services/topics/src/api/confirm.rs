//! ConfirmSubscription, and the links by which an endpoint confirms its subscription, ends it, and has it back.

use std::sync::Arc;
use std::time::Duration;

use lambent_core::ids;
use lambent_core::time::Timestamp;
use lambent_store::StoreError;
use lambent_store::topics::{Command, Pending, SubscriptionRecord, TopicRecord};
use lambent_wire::Fault;
use lambent_wire::query::{Form, Member};
use serde_json::{Value, json};

use super::{Answer, Call, fault, names, shapes};
use crate::Topics;
use crate::engine::delivery_policy::Effective;
use crate::engine::envelope::{self, Question};
use crate::outbox::Parcel;
use crate::posts::{Kind, Post};
use crate::publish::Published;

/// SNS API, ConfirmSubscription: how long a token is good.
pub const CONFIRM_WITHIN: Duration = Duration::from_secs(2 * 86_400);

pub async fn answer(call: Call<'_>) -> Answer {
    let (topic, token) = (call.input.required("TopicArn")?, call.input.required("Token")?);
    let is_locked = match call.input.text("AuthenticateOnUnsubscribe") {
        None | Some("" | "false") => false,
        Some("true") => true,
        Some(_) => return Err(fault::invalid("AuthenticateOnUnsubscribe")),
    };
    confirm(call.topics, topic, token, Some(is_locked)).await
}

/// The name of the operation that a link asks for, its answer, and the form of that.
pub async fn by_link(
    topics: &Topics,
    form: &Form,
) -> Result<(&'static str, Value, &'static [Member]), Fault> {
    let required = |name: &str| form.get(name).ok_or_else(|| fault::missing(name));
    match form.get("Action") {
        Some("ConfirmSubscription") => {
            let answer = confirm(topics, required("TopicArn")?, required("Token")?, None).await?;
            Ok(("ConfirmSubscription", answer, shapes::BY_SUBSCRIPTION))
        }
        Some("Unsubscribe") => {
            leave(topics, required("SubscriptionArn")?).await?;
            Ok(("Unsubscribe", Value::Null, shapes::NOTHING))
        }
        _ => Err(Fault::new(403, "MissingAuthenticationToken", "Request is missing Authentication Token")),
    }
}

/// `lock` is there when the request was signed.
async fn confirm(topics: &Topics, topic_arn: &str, token: &str, lock: Option<bool>) -> Answer {
    let key = names::topic(topic_arn).map_err(|reason| fault::invalid(format_args!("TopicArn{reason}")))?;
    loop {
        let all = topics.deps.store.subscriptions(&key, None, usize::MAX);
        let found = all.into_iter().find(|found| found.token.as_deref() == Some(token));
        let old = found.ok_or_else(|| fault::invalid("Token"))?;
        // Links are followed twice, by whoever looks at them before.
        let Some(pending) = old.pending else {
            return Ok(json!({ "SubscriptionArn": old.key.arn() }));
        };
        if topics.deps.clock.now() >= pending.since.plus(CONFIRM_WITHIN) {
            return Err(fault::invalid("Token"));
        }
        let record = SubscriptionRecord {
            generation: old.generation + 1,
            pending: None,
            was_authenticated: lock.is_some(),
            is_locked: lock.unwrap_or_default(),
            ..(*old).clone()
        };
        match topics.deps.store.apply(vec![Command::PutSubscription(Arc::new(record))]).await {
            Ok(()) => return Ok(json!({ "SubscriptionArn": old.key.arn() })),
            Err(StoreError::Conflict) => {}
            Err(error) => return Err(fault::store(error)),
        }
    }
}

/// Ends a subscription for somebody who did not sign. The endpoint is told, and may have it back.
async fn leave(topics: &Topics, arn: &str) -> Result<(), Fault> {
    let key =
        names::subscription(arn).map_err(|reason| fault::invalid(format_args!("SubscriptionArn{reason}")))?;
    loop {
        let store = &topics.deps.store;
        let (Some(old), Some(topic)) = (store.subscription(&key), store.topic(&key.topic)) else {
            return Ok(());
        };
        if old.is_locked {
            return Err(Fault::new(
                403,
                "AuthorizationError",
                "This subscription is ended by signed requests only",
            ));
        }
        if old.pending.is_some() {
            return Ok(());
        }
        let now = topics.deps.clock.now();
        let record = Arc::new(SubscriptionRecord {
            generation: old.generation + 1,
            pending: Some(Pending { since: now, is_ended: true }),
            token: Some(token(topics)),
            ..(*old).clone()
        });
        let counted = TopicRecord {
            generation: topic.generation + 1,
            deleted_subscriptions: topic.deleted_subscriptions + 1,
            ..(*topic).clone()
        };
        let commands = vec![Command::PutTopic(Arc::new(counted)), Command::PutSubscription(record.clone())];
        match store.apply(commands).await {
            Ok(()) => {
                return ask(topics, &topic, &record, &topics.deps.origin, Kind::UnsubscribeConfirmation)
                    .await;
            }
            Err(StoreError::Conflict) => {}
            Err(error) => return Err(fault::store(error)),
        }
    }
}

/// Nobody guesses it.
pub fn token(topics: &Topics) -> String {
    let uuids = [(); 3].map(|()| ids::uuid(&*topics.deps.entropy).replace('-', ""));
    uuids.concat()
}

/// Sends an endpoint the link by which it confirms.
pub async fn ask(
    topics: &Topics,
    topic: &TopicRecord,
    record: &SubscriptionRecord,
    origin: &str,
    kind: Kind,
) -> Result<(), Fault> {
    let now: Timestamp = topics.deps.clock.now();
    let published = Published { id: ids::uuid(&*topics.deps.entropy), number: None };
    let signature_version = topic.settings.signature_version.unwrap_or(1);
    let question = Question {
        kind,
        message_id: &published.id,
        topic_arn: &topic.key.arn(),
        subscription_arn: &record.key.arn(),
        token: record.token.as_deref().unwrap_or_default(),
        time: now,
        signature_version,
        certificate_url: &topics.certificate_url(origin),
        origin,
    };
    let covered = question.covered();
    let signature = topics.deps.signer.sign(signature_version, covered.clone()).await;
    let signature =
        signature.unwrap_or_else(|| envelope::authenticator(&topics.deps.signing_secret, &covered));
    let policy =
        Effective::of(topic.settings.delivery_policy.as_deref(), record.settings.delivery_policy.as_deref());
    let parcel = Parcel::new(record, &published, question.text(&signature), Default::default());
    let parcel = parcel.posted(Post { kind, is_raw: false, policy });
    topics.accept(vec![topics.send(parcel, now)], Vec::new()).await.map_err(fault::store)
}

/// Forgets endpoints that never confirmed.
pub async fn forget(topics: &Topics) {
    let now = topics.deps.clock.now();
    let until = Timestamp::from_millis(now.as_millis().saturating_sub(CONFIRM_WITHIN.as_millis() as u64));
    for record in topics.deps.store.unconfirmed(until) {
        let delete = Command::DeleteSubscription { key: record.key.clone(), generation: record.generation };
        // One that was changed meanwhile is looked at the next time.
        if let Err(StoreError::Unavailable { detail }) = topics.deps.store.apply(vec![delete]).await {
            tracing::warn!(detail, "a subscription that was never confirmed can't be forgotten now");
            return;
        }
    }
}
