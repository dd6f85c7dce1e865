//! CreateTopic, DeleteTopic, ListTopics, GetTopicAttributes, SetTopicAttributes.

use std::sync::Arc;

use lambent_core::ids;
use lambent_store::StoreError;
use lambent_store::topics::{Command, FifoScope, FifoSettings, TopicKey, TopicRecord, TopicSettings};
use lambent_wire::{Fault, paginate};
use serde_json::{Map, Value, json};

use super::limits::{
    DISPLAY_NAME_CHARS_MAX, MESSAGE_BYTES_DEFAULT, MESSAGE_BYTES_MAX, MESSAGE_BYTES_MIN, PAGE,
    SUBSCRIPTIONS_MAX_LARGE, TOPICS_MAX,
};
use super::{Answer, Call, fault, names, tags};
use crate::engine::access;
use crate::engine::delivery_policy::TopicPolicy;

/// Attributes of the model that can't be set here to anything that would act.
const REFUSED: [&str; 18] = [
    "ApplicationFailureFeedbackRoleArn",
    "ApplicationSuccessFeedbackRoleArn",
    "ApplicationSuccessFeedbackSampleRate",
    "ArchivePolicy",
    "DataProtectionPolicy",
    "FirehoseFailureFeedbackRoleArn",
    "FirehoseSuccessFeedbackRoleArn",
    "FirehoseSuccessFeedbackSampleRate",
    "HTTPFailureFeedbackRoleArn",
    "HTTPSuccessFeedbackRoleArn",
    "HTTPSuccessFeedbackSampleRate",
    "KmsMasterKeyId",
    "LambdaFailureFeedbackRoleArn",
    "LambdaSuccessFeedbackRoleArn",
    "LambdaSuccessFeedbackSampleRate",
    "SQSFailureFeedbackRoleArn",
    "SQSSuccessFeedbackRoleArn",
    "SQSSuccessFeedbackSampleRate",
];

pub async fn create(call: Call<'_>) -> Answer {
    let name = call.input.required("Name")?;
    let mut attributes: Vec<_> = call.input.text_map("Attributes").into_iter().collect();
    // The others may be a FIFO topic's only.
    attributes.sort_by_key(|(name, _)| *name != "FifoTopic");
    let is_fifo = attributes.contains(&("FifoTopic", "true"));
    check_name(name, is_fifo)?;
    if call.input.has("DataProtectionPolicy") {
        return Err(fault::unsupported("DataProtectionPolicy", "a data protection policy"));
    }
    let tags = tags::read(call.input)?;
    let key = TopicKey {
        account: call.caller.account.clone(),
        region: call.caller.region.clone(),
        name: name.to_owned(),
    };
    let store = &call.topics.deps.store;
    loop {
        let found = store.topic(&key);
        let mut settings = found.as_ref().map(|found| found.settings.clone()).unwrap_or_default();
        for (name, value) in &attributes {
            set(&mut settings, name, value)
                .map_err(|reason| fault::invalid(format_args!("Attributes Reason: {reason}")))?;
        }
        if let Some(found) = found {
            if settings != found.settings {
                return Err(fault::invalid(
                    "Attributes Reason: Topic already exists with different attributes",
                ));
            }
            if call.input.has("Tags") && tags != found.tags {
                return Err(fault::invalid("Tags Reason: Topic already exists with different tags"));
            }
            return Ok(json!({ "TopicArn": key.arn() }));
        }
        if store.topics(&key.account, &key.region, None, TOPICS_MAX).len() >= TOPICS_MAX {
            let message = format!("Topic limit exceeded: an account may have {TOPICS_MAX}");
            return Err(Fault::new(403, "TopicLimitExceeded", message));
        }
        let record = TopicRecord {
            key: key.clone(),
            id: ids::uuid(&*call.topics.deps.entropy),
            generation: 1,
            settings,
            tags: tags.clone(),
            deleted_subscriptions: 0,
            numbers_end: 0,
        };
        match store.apply(vec![Command::PutTopic(Arc::new(record))]).await {
            Ok(()) => return Ok(json!({ "TopicArn": key.arn() })),
            Err(StoreError::Conflict) => {}
            Err(error) => return Err(fault::store(error)),
        }
    }
}

/// Sets an attribute, or says in the reference's words why it can't be.
fn set(settings: &mut TopicSettings, name: &str, value: &str) -> Result<(), String> {
    let given = || Some(value).filter(|value| !value.is_empty()).map(str::to_owned);
    match name {
        "DisplayName" => {
            if value.chars().count() > DISPLAY_NAME_CHARS_MAX || value.chars().any(char::is_control) {
                return Err("DisplayName: must be at most 100 characters long on one line".to_owned());
            }
            settings.display_name = given();
        }
        "Policy" => {
            if !value.is_empty() && !access::is_policy(value) {
                return Err("Policy Error: null".to_owned());
            }
            settings.policy = given();
        }
        "SignatureVersion" => {
            settings.signature_version = match value {
                "1" => Some(1),
                "2" => Some(2),
                _ => return Err("SignatureVersion: must be 1 or 2".to_owned()),
            };
        }
        "MaximumMessageSize" => {
            let bytes = value.parse::<u32>().ok();
            let bytes = bytes.filter(|bytes| (MESSAGE_BYTES_MIN..=MESSAGE_BYTES_MAX).contains(bytes));
            settings.message_bytes_max = Some(bytes.ok_or_else(|| {
                format!("MaximumMessageSize: must be between {MESSAGE_BYTES_MIN} and {MESSAGE_BYTES_MAX}")
            })?);
        }
        "DeliveryPolicy" => {
            given().as_deref().map(TopicPolicy::parse).transpose()?;
            settings.delivery_policy = given();
        }
        "TracingConfig" if value == "PassThrough" => settings.tracing = given(),
        "TracingConfig" => return Err(format!("TracingConfig: {value} is not supported by Lambent")),
        "FifoTopic" => match value {
            "true" => _ = settings.fifo.get_or_insert_default(),
            "false" => {}
            _ => return Err("FifoTopic: must be true or false".to_owned()),
        },
        "ContentBasedDeduplication" | "FifoThroughputScope" => {
            set_fifo(settings.fifo.as_mut(), name, value)?;
        }
        _ if REFUSED.contains(&name) => return Err(format!("{name} is not supported by Lambent")),
        _ => return Err(format!("Unknown attribute {}", name.chars().take(100).collect::<String>())),
    }
    Ok(())
}

fn set_fifo(fifo: Option<&mut FifoSettings>, name: &str, value: &str) -> Result<(), String> {
    let Some(fifo) = fifo else {
        return match (name, value) {
            ("ContentBasedDeduplication", "false") => Ok(()),
            ("ContentBasedDeduplication", _) => {
                Err("Content-based deduplication can only be set for FIFO topics".to_owned())
            }
            _ => Err(format!("{name}: can only be set for FIFO topics")),
        };
    };
    match (name, value) {
        ("ContentBasedDeduplication", "true") => fifo.by_content = true,
        ("ContentBasedDeduplication", "false") => fifo.by_content = false,
        ("FifoThroughputScope", "Topic") => fifo.scope = FifoScope::Topic,
        ("FifoThroughputScope", "MessageGroup") => fifo.scope = FifoScope::Group,
        ("FifoThroughputScope", _) => return Err(format!("{name}: must be Topic or MessageGroup")),
        _ => return Err(format!("{name}: must be true or false")),
    }
    Ok(())
}

fn check_name(name: &str, is_fifo: bool) -> Result<(), Fault> {
    if is_fifo && !names::is_fifo_name(name) {
        return Err(fault::invalid(
            "Topic Name Reason: Fifo Topic names must end with .fifo and must be made up of only uppercase and lowercase \
             ASCII letters, numbers, underscores, and hyphens, and must be between 1 and 256 characters long.",
        ));
    }
    if !is_fifo && !names::is_name(name) {
        return Err(fault::invalid("Topic Name"));
    }
    Ok(())
}

pub async fn delete(call: Call<'_>) -> Answer {
    let key = names::topic(call.input.required("TopicArn")?)
        .map_err(|reason| fault::invalid(format_args!("TopicArn{reason}")))?;
    loop {
        // A topic that is not there is as good as deleted.
        let Some(record) = call.topics.deps.store.topic(&key) else { return Ok(Value::Null) };
        call.check(&record, "SNS:DeleteTopic", &[])?;
        let delete = Command::DeleteTopic { key: key.clone(), generation: record.generation };
        match call.topics.deps.store.apply(vec![delete]).await {
            Ok(()) => {
                call.topics.lines.forget(&record);
                return Ok(Value::Null);
            }
            Err(StoreError::Conflict) => {}
            Err(error) => return Err(fault::store(error)),
        }
    }
}

const LIST: &str = "sns.ListTopics";

pub async fn list(call: Call<'_>) -> Answer {
    let after = call.after(LIST)?;
    let (account, region) = (&call.caller.account, &call.caller.region);
    let mut found = call.topics.deps.store.topics(account, region, after.as_deref(), PAGE + 1);
    let more = found.len() > PAGE;
    found.truncate(PAGE);
    let next = found.last().filter(|_| more).map(|last| paginate::encode(LIST, &last.key.name));
    let topics: Vec<Value> = found.iter().map(|topic| json!({ "TopicArn": topic.key.arn() })).collect();
    Ok(json!({ "Topics": topics, "NextToken": next }))
}

impl Call<'_> {
    /// Where the page before has ended.
    pub(super) fn after(&self, scope: &str) -> Result<Option<String>, Fault> {
        let token = self.input.text("NextToken").filter(|token| !token.is_empty());
        let after = token.map(|token| paginate::decode(scope, token)).transpose();
        after.map_err(|_| fault::invalid("NextToken"))
    }
}

pub async fn attributes(call: Call<'_>) -> Answer {
    let record = call.topic("SNS:GetTopicAttributes")?;
    let all = call.topics.deps.store.subscriptions(&record.key, None, usize::MAX);
    let confirmed = all.iter().filter(|found| found.pending.is_none()).count();
    let pending = all.iter().filter(|found| found.pending.is_some_and(|pending| !pending.is_ended)).count();
    let policy = record.settings.delivery_policy.as_deref();
    let effective = policy.and_then(|text| TopicPolicy::parse(text).ok()).unwrap_or_default().effective();
    let mut shown = Map::new();
    let mut show = |name: &str, value: String| shown.insert(name.to_owned(), value.into());
    show("TopicArn", record.key.arn());
    show("Owner", record.key.account.to_string());
    show("Policy", access::shown(&record));
    show("DisplayName", record.settings.display_name.clone().unwrap_or_default());
    show("SubscriptionsConfirmed", confirmed.to_string());
    show("SubscriptionsPending", pending.to_string());
    show("SubscriptionsDeleted", record.deleted_subscriptions.to_string());
    show("EffectiveDeliveryPolicy", effective);
    if let Some(policy) = policy {
        show("DeliveryPolicy", policy.to_owned());
    }
    if let Some(fifo) = record.settings.fifo {
        let scope = match fifo.scope {
            FifoScope::Topic => "Topic",
            FifoScope::Group => "MessageGroup",
        };
        show("FifoTopic", "true".to_owned());
        show("ContentBasedDeduplication", fifo.by_content.to_string());
        show("FifoThroughputScope", scope.to_owned());
    }
    if let Some(version) = record.settings.signature_version {
        show("SignatureVersion", version.to_string());
    }
    if let Some(bytes) = record.settings.message_bytes_max {
        show("MaximumMessageSize", bytes.to_string());
    }
    if let Some(tracing) = &record.settings.tracing {
        show("TracingConfig", tracing.clone());
    }
    Ok(json!({ "Attributes": shown }))
}

pub async fn set_attribute(call: Call<'_>) -> Answer {
    let name = call.input.required("AttributeName")?;
    let value = call.input.text("AttributeValue").unwrap_or_default();
    if name == "FifoTopic" {
        return Err(fault::invalid("AttributeName"));
    }
    call.update("SNS:SetTopicAttributes", |old| {
        let mut record = old.clone();
        set(&mut record.settings, name, value).map_err(|reason| match reason.strip_prefix("Unknown") {
            Some(_) => fault::invalid("AttributeName"),
            None => fault::invalid(reason),
        })?;
        if is_large(&record) {
            let all = call.topics.deps.store.subscriptions(&old.key, None, SUBSCRIPTIONS_MAX_LARGE + 1);
            if all.len() > SUBSCRIPTIONS_MAX_LARGE {
                return Err(fault::invalid(format_args!(
                    "MaximumMessageSize: a topic above {MESSAGE_BYTES_DEFAULT} bytes must have \
                     {SUBSCRIPTIONS_MAX_LARGE} or fewer subscriptions"
                )));
            }
        }
        Ok(record)
    })
    .await?;
    Ok(Value::Null)
}

/// Whether messages may be larger than everywhere: such a topic has few subscriptions.
pub fn is_large(record: &TopicRecord) -> bool {
    record.settings.message_bytes_max.is_some_and(|bytes| bytes > MESSAGE_BYTES_DEFAULT)
}
