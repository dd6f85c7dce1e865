//! Subscriptions that are there: lists, attributes, the end of one.

use std::sync::Arc;

use lambent_store::StoreError;
use lambent_store::topics::{Command, FilterScope, SubscriptionKey, SubscriptionRecord, TopicRecord};
use lambent_wire::{Fault, paginate};
use serde_json::{Map, Value, json};

use super::limits::PAGE;
use super::subscribe::{self, Of, check_filters};
use super::{Answer, Call, fault, names};
use crate::engine::delivery_policy::Effective;

impl Call<'_> {
    fn subscription_key(&self) -> Result<SubscriptionKey, Fault> {
        names::subscription(self.input.required("SubscriptionArn")?)
            .map_err(|reason| fault::invalid(format_args!("SubscriptionArn{reason}")))
    }

    /// The subscription of the request: its owner and the topic's may do everything with it.
    fn subscription(&self, action: &str) -> Result<Option<Arc<SubscriptionRecord>>, Fault> {
        let key = self.subscription_key()?;
        let found = self.topics.deps.store.subscription(&key);
        let found = found.filter(|_| key.topic.region == self.caller.region);
        if let Some(record) = &found
            && ![&record.owner, &record.key.topic.account].contains(&&self.caller.account)
        {
            return Err(fault::denied(&self.caller.principal_arn, action, &record.key.arn()));
        }
        Ok(found)
    }
}

pub async fn attributes(call: Call<'_>) -> Answer {
    let found = call.subscription("SNS:GetSubscriptionAttributes")?;
    let is_there = |record: &Arc<SubscriptionRecord>| !record.pending.is_some_and(|pending| pending.is_ended);
    let record = found.filter(is_there).ok_or_else(fault::no_subscription)?;
    let settings = &record.settings;
    let mut shown = Map::new();
    let mut show = |name: &str, value: &str| shown.insert(name.to_owned(), value.into());
    show("SubscriptionArn", &record.key.arn());
    show("TopicArn", &record.key.topic.arn());
    show("Owner", record.owner.as_str());
    show("Protocol", record.target.protocol());
    show("Endpoint", &record.endpoint);
    show("SubscriptionPrincipal", &record.principal);
    show("ConfirmationWasAuthenticated", if record.was_authenticated { "true" } else { "false" });
    show("PendingConfirmation", if record.pending.is_some() { "true" } else { "false" });
    if record.target.is_http() {
        let topic = call.topics.deps.store.topic(&record.key.topic);
        let of_topic = topic.as_ref().and_then(|topic| topic.settings.delivery_policy.as_deref());
        let effective = Effective::of(of_topic, settings.delivery_policy.as_deref());
        show("EffectiveDeliveryPolicy", &effective.shown());
    }
    if let Some(policy) = &settings.delivery_policy {
        show("DeliveryPolicy", policy);
    }
    show("RawMessageDelivery", if settings.is_raw { "true" } else { "false" });
    if let Some(filter) = &settings.filter {
        show("FilterPolicy", filter);
        let scope = match settings.filter_scope {
            FilterScope::Attributes => "MessageAttributes",
            FilterScope::Body => "MessageBody",
        };
        show("FilterPolicyScope", scope);
    }
    if let Some(queue) = &settings.dead_letter {
        show("RedrivePolicy", &json!({ "deadLetterTargetArn": queue }).to_string());
    }
    Ok(json!({ "Attributes": shown }))
}

pub async fn set_attribute(call: Call<'_>) -> Answer {
    let name = call.input.required("AttributeName")?;
    let value = call.input.text("AttributeValue").unwrap_or_default();
    loop {
        let old = call.subscription("SNS:SetSubscriptionAttributes")?;
        let old = old.ok_or_else(fault::no_subscription)?;
        let mut record = (*old).clone();
        subscribe::set(&mut record.settings, Of::new(old.target, &old.key.topic), name, value)
            .map_err(fault::invalid)?;
        if record == *old {
            return Ok(Value::Null);
        }
        if old.settings.filter.is_none() && record.settings.filter.is_some() {
            check_filters(&call.topics.deps.store.subscriptions(&old.key.topic, None, usize::MAX))?;
        }
        record.generation += 1;
        match call.topics.deps.store.apply(vec![Command::PutSubscription(Arc::new(record))]).await {
            Ok(()) => return Ok(Value::Null),
            Err(StoreError::Conflict) => {}
            Err(error) => return Err(fault::store(error)),
        }
    }
}

pub async fn unsubscribe(call: Call<'_>) -> Answer {
    loop {
        // One that is not there is as good as ended.
        let Some(record) = call.subscription("SNS:Unsubscribe")? else { return Ok(Value::Null) };
        let mut commands =
            vec![Command::DeleteSubscription { key: record.key.clone(), generation: record.generation }];
        if let Some(topic) = call.topics.deps.store.topic(&record.key.topic) {
            commands.push(Command::PutTopic(Arc::new(TopicRecord {
                generation: topic.generation + 1,
                deleted_subscriptions: topic.deleted_subscriptions + 1,
                ..(*topic).clone()
            })));
        }
        match call.topics.deps.store.apply(commands).await {
            Ok(()) => return Ok(Value::Null),
            Err(StoreError::Conflict) => {}
            Err(error) => return Err(fault::store(error)),
        }
    }
}

const LIST: &str = "sns.ListSubscriptions";

pub async fn list(call: Call<'_>) -> Answer {
    let after = match call.after(LIST)? {
        Some(arn) => Some(names::subscription(&arn).map_err(|_| fault::invalid("NextToken"))?),
        None => None,
    };
    let (owner, region) = (&call.caller.account, &call.caller.region);
    let found = call.topics.deps.store.subscriptions_of(owner, region, after.as_ref(), PAGE + 1);
    Ok(page(LIST, found, |record| record.key.arn()))
}

pub async fn list_by_topic(call: Call<'_>) -> Answer {
    let topic = call.topic("SNS:ListSubscriptionsByTopic")?;
    let scope = format!("sns.ListSubscriptionsByTopic {}", topic.key.arn());
    let after = call.after(&scope)?;
    let found = call.topics.deps.store.subscriptions(&topic.key, after.as_deref(), PAGE + 1);
    Ok(page(&scope, found, |record| record.key.id.clone()))
}

fn page(
    scope: &str,
    mut found: Vec<Arc<SubscriptionRecord>>,
    place: impl Fn(&SubscriptionRecord) -> String,
) -> Value {
    let more = found.len() > PAGE;
    found.truncate(PAGE);
    let next = found.last().filter(|_| more).map(|last| paginate::encode(scope, &place(last)));
    let shown: Vec<Value> = found
        .iter()
        .map(|record| {
            json!({
                "SubscriptionArn": listed_arn(record),
                "Owner": record.owner.as_str(),
                "Protocol": record.target.protocol(),
                "Endpoint": record.endpoint,
                "TopicArn": record.key.topic.arn(),
            })
        })
        .collect();
    json!({ "Subscriptions": shown, "NextToken": next })
}

/// What stands in the place of the ARN of one that nobody has confirmed, or not again.
fn listed_arn(record: &SubscriptionRecord) -> String {
    match record.pending {
        None => record.key.arn(),
        Some(pending) if pending.is_ended => "Deleted".to_owned(),
        Some(_) => "PendingConfirmation".to_owned(),
    }
}
