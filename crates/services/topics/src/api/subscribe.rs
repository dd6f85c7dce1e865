//! Subscribe, and the attributes that a subscription may have.

use std::sync::Arc;

use lambent_core::arn::Arn;
use lambent_core::ids;
use lambent_store::StoreError;
use lambent_store::topics::{
    Command, FilterScope, Pending, SubscriberKind, SubscriptionKey, SubscriptionRecord, SubscriptionSettings,
    TopicKey, TopicRecord,
};
use lambent_wire::Fault;
use serde_json::{Value, json};

use super::limits::{FILTERS_MAX, SUBSCRIPTIONS_MAX, SUBSCRIPTIONS_MAX_FIFO, SUBSCRIPTIONS_MAX_LARGE};
use super::topics::is_large;
use super::{Answer, Call, confirm, fault, names};
use crate::engine::delivery_policy::SubscriptionPolicy;
use crate::engine::filter::Filter;
use crate::engine::message::FIFO_SUFFIX;
use crate::posts::Kind;

/// Ours, as browsers and servers have it.
const ENDPOINT_CHARS_MAX: usize = 2_048;

/// Of the ARNs of sessions, which functions have.
const SESSIONS: &str = ":assumed-role/";

/// Protocols of the model that are not delivered to.
const REFUSED_PROTOCOLS: [&str; 5] = ["application", "email", "email-json", "firehose", "sms"];

/// What settings are set of.
#[derive(Debug, Clone, Copy)]
pub struct Of {
    kind: SubscriberKind,
    is_fifo: bool,
}

impl Of {
    pub fn new(kind: SubscriberKind, topic: &TopicKey) -> Self {
        Self { kind, is_fifo: topic.name.ends_with(FIFO_SUFFIX) }
    }
}

pub async fn answer(call: Call<'_>) -> Answer {
    let protocol = call.input.required("Protocol")?;
    let kind = kind_of(protocol)?;
    let endpoint = call.input.text("Endpoint").filter(|text| !text.is_empty());
    let endpoint = endpoint.ok_or_else(|| fault::invalid("Endpoint"))?;
    let arn = call.input.required("TopicArn")?;
    let context = [("sns:Protocol", protocol), ("sns:Endpoint", endpoint)];
    let of =
        Of::new(kind, &names::topic(arn).map_err(|reason| fault::invalid(format_args!("TopicArn{reason}")))?);
    let mut settings = SubscriptionSettings::default();
    let mut attributes: Vec<_> = call.input.text_map("Attributes").into_iter().collect();
    // The scope says how the filter is read.
    attributes.sort_by_key(|(name, _)| *name != "FilterPolicyScope");
    for (name, value) in attributes {
        set(&mut settings, of, name, value)
            .map_err(|reason| fault::invalid(format_args!("Attributes Reason: {reason}")))?;
    }
    loop {
        let topic = call.topic_of("TopicArn", arn, "SNS:Subscribe", &context)?;
        check_endpoint(&call, of, endpoint)?;
        let all = call.topics.deps.store.subscriptions(&topic.key, None, usize::MAX);
        if let Some(found) = all.iter().find(|found| found.target == kind && found.endpoint == endpoint) {
            if settings != found.settings && call.input.has("Attributes") {
                return Err(fault::invalid(
                    "Attributes Reason: Subscription already exists with different attributes",
                ));
            }
            return again(&call, &topic, found).await;
        }
        check_limits(&topic, &all, &settings)?;
        let record = Arc::new(new_record(&call, &topic, kind, endpoint, settings.clone()));
        // With the topic, so that of two who subscribe the same endpoint one sees the other.
        let touched = TopicRecord { generation: topic.generation + 1, ..(*topic).clone() };
        let commands = vec![Command::PutTopic(Arc::new(touched)), Command::PutSubscription(record.clone())];
        match call.topics.deps.store.apply(commands).await {
            Ok(()) => return again(&call, &topic, &record).await,
            Err(StoreError::Conflict) => {}
            Err(error) => return Err(fault::store(error)),
        }
    }
}

fn kind_of(protocol: &str) -> Result<SubscriberKind, Fault> {
    Ok(match protocol {
        "sqs" => SubscriberKind::Queue,
        "lambda" => SubscriberKind::Function,
        "http" => SubscriberKind::Http,
        "https" => SubscriberKind::Https,
        _ if REFUSED_PROTOCOLS.contains(&protocol) => {
            return Err(fault::unsupported("Protocol", format_args!("the protocol {protocol}")));
        }
        _ => {
            let shown: String = protocol.chars().take(100).collect();
            return Err(fault::invalid(format_args!(
                "Amazon SNS does not support this protocol string: {shown}"
            )));
        }
    })
}

fn new_record(
    call: &Call<'_>,
    topic: &TopicRecord,
    target: SubscriberKind,
    endpoint: &str,
    settings: SubscriptionSettings,
) -> SubscriptionRecord {
    let has_to_confirm = target.is_http();
    SubscriptionRecord {
        key: SubscriptionKey { topic: topic.key.clone(), id: ids::uuid(&*call.topics.deps.entropy) },
        generation: 1,
        owner: call.caller.account.clone(),
        principal: call.caller.principal_arn.clone(),
        target,
        endpoint: endpoint.to_owned(),
        settings,
        pending: has_to_confirm.then(|| Pending { since: call.topics.deps.clock.now(), is_ended: false }),
        token: has_to_confirm.then(|| confirm::token(call.topics)),
        was_authenticated: !has_to_confirm,
        is_locked: !has_to_confirm,
    }
}

/// The answer for a subscription that is there; an endpoint that has not confirmed it is asked.
async fn again(call: &Call<'_>, topic: &TopicRecord, record: &SubscriptionRecord) -> Answer {
    let mut shown = record.key.arn();
    if record.pending.is_some() {
        let kind = Kind::SubscriptionConfirmation;
        confirm::ask(call.topics, topic, record, call.origin, kind).await?;
        // Whoever did not ask for the ARN gets it when the endpoint has confirmed.
        if call.input.0.get("ReturnSubscriptionArn") != Some(&Value::Bool(true)) {
            shown = "pending confirmation".to_owned();
        }
    }
    Ok(json!({ "SubscriptionArn": shown }))
}

/// An address that messages can be posted to, by somebody who may choose one.
fn check_address(call: &Call<'_>, kind: SubscriberKind, endpoint: &str) -> Result<(), Fault> {
    let address = endpoint.parse::<http::Uri>().ok().filter(|_| endpoint.len() <= ENDPOINT_CHARS_MAX);
    let host = address.as_ref().and_then(|address| address.host()).unwrap_or_default();
    let scheme = address.as_ref().and_then(|address| address.scheme_str()).unwrap_or_default();
    if scheme != kind.protocol() {
        return Err(fault::invalid("Endpoint must match the specified protocol"));
    }
    if host.is_empty() || endpoint.contains('#') {
        return Err(fault::invalid("Endpoint"));
    }
    // What runs in a sandbox reaches what its own settings give it; the node reaches more.
    if call.caller.principal_arn.contains(SESSIONS) {
        let message = "HTTP endpoints can't be subscribed with the credentials of a function's role";
        return Err(Fault::new(403, "AuthorizationError", message));
    }
    Ok(())
}

/// The endpoint is an ARN of the right service; whether the resource is there is seen with the first message.
fn check_endpoint(call: &Call<'_>, of: Of, endpoint: &str) -> Result<(), Fault> {
    let kind = of.kind;
    if of.is_fifo && kind != SubscriberKind::Queue {
        return Err(fault::invalid(format_args!(
            "Protocol Reason: {} endpoints can not be subscribed to FIFO topics",
            kind.protocol()
        )));
    }
    if kind.is_http() {
        return check_address(call, kind, endpoint);
    }
    let arn = Arn::parse(endpoint);
    let (service, refusal) = match kind {
        SubscriberKind::Queue => ("sqs", "SQS endpoint ARN"),
        _ => ("lambda", "Lambda endpoint ARN"),
    };
    let arn = arn.filter(|arn| arn.service == service).ok_or_else(|| fault::invalid(refusal))?;
    if kind == SubscriberKind::Function && !arn.resource.starts_with("function:") {
        return Err(fault::invalid(refusal));
    }
    if kind == SubscriberKind::Queue && arn.resource.ends_with(FIFO_SUFFIX) && !of.is_fifo {
        return Err(fault::invalid(
            "Invalid parameter: Endpoint Reason: FIFO SQS Queues can not be subscribed to standard SNS topics",
        ));
    }
    if arn.account != call.caller.account.as_str() {
        // The reference asks such a queue's owner to confirm.
        return Err(fault::unsupported("Endpoint", "a subscription of another account's resource"));
    }
    Ok(())
}

fn check_limits(
    topic: &TopicRecord,
    all: &[Arc<SubscriptionRecord>],
    settings: &SubscriptionSettings,
) -> Result<(), Fault> {
    let limit = match topic.settings.fifo {
        Some(_) => SUBSCRIPTIONS_MAX_FIFO,
        None if is_large(topic) => SUBSCRIPTIONS_MAX_LARGE,
        None => SUBSCRIPTIONS_MAX,
    };
    if all.len() >= limit {
        let message = format!("Subscription limit exceeded: this topic may have {limit}");
        return Err(Fault::new(403, "SubscriptionLimitExceeded", message));
    }
    if settings.filter.is_some() { check_filters(all) } else { Ok(()) }
}

/// Whether one more subscription may have a filter.
pub fn check_filters(all: &[Arc<SubscriptionRecord>]) -> Result<(), Fault> {
    if all.iter().filter(|found| found.settings.filter.is_some()).count() >= FILTERS_MAX {
        let message = format!("Filter policy limit exceeded: a topic may have {FILTERS_MAX}");
        return Err(Fault::new(403, "FilterPolicyLimitExceeded", message));
    }
    Ok(())
}

/// Sets an attribute, or says in the reference's words why it can't be.
pub fn set(settings: &mut SubscriptionSettings, of: Of, name: &str, value: &str) -> Result<(), String> {
    let filter = |text: &str, scope| {
        Filter::parse(text, scope).map(drop).map_err(|invalid| format!("FilterPolicy: {invalid}"))
    };
    match name {
        "RawMessageDelivery" => {
            let is_raw = match value.to_ascii_lowercase().as_str() {
                "true" => true,
                "false" => false,
                _ => return Err("RawMessageDelivery: Invalid value. Must be true or false.".to_owned()),
            };
            if is_raw && of.kind == SubscriberKind::Function {
                return Err("Delivery protocol [lambda] does not support raw message delivery.".to_owned());
            }
            settings.is_raw = is_raw;
        }
        "FilterPolicy" => {
            let text = Some(value).filter(|value| !value.is_empty());
            if let Some(text) = text {
                filter(text, settings.filter_scope)?;
            }
            settings.filter = text.map(str::to_owned);
        }
        "FilterPolicyScope" => {
            let scope = match value {
                "MessageAttributes" => FilterScope::Attributes,
                "MessageBody" => FilterScope::Body,
                _ => {
                    return Err(format!(
                        "FilterPolicyScope: Invalid value [{}]. Please use either MessageBody or MessageAttributes",
                        value.chars().take(100).collect::<String>()
                    ));
                }
            };
            if let Some(text) = &settings.filter {
                filter(text, scope)?;
            }
            settings.filter_scope = scope;
        }
        "RedrivePolicy" => settings.dead_letter = redrive(value, of.is_fifo)?,
        "DeliveryPolicy" if of.kind.is_http() => {
            let text = Some(value).filter(|value| !value.is_empty());
            text.map(SubscriptionPolicy::parse).transpose()?;
            settings.delivery_policy = text.map(str::to_owned);
        }
        "DeliveryPolicy" => {
            return Err(
                "Delivery policies can only be set for HTTP and HTTPS endpoints: DeliveryPolicy".to_owned()
            );
        }
        "ReplayPolicy" | "SubscriptionRoleArn" => {
            return Err(format!("{name} is not supported by Lambent"));
        }
        _ => return Err("AttributeName".to_owned()),
    }
    Ok(())
}

/// The queue of a redrive policy; nothing takes the policy away.
fn redrive(text: &str, is_fifo: bool) -> Result<Option<String>, String> {
    if text.is_empty() || text == "{}" {
        return Ok(None);
    }
    let Ok(Value::Object(members)) = lambent_wire::json::parse_value(text.as_bytes()) else {
        return Err("RedrivePolicy: failed to parse JSON.".to_owned());
    };
    if let Some(unknown) = members.keys().find(|name| *name != "deadLetterTargetArn") {
        let shown: String = unknown.chars().take(100).collect();
        return Err(format!("RedrivePolicy: unknown property {shown}"));
    }
    let target = members.get("deadLetterTargetArn").and_then(Value::as_str).unwrap_or_default();
    match Arn::parse(target).filter(|arn| arn.service == "sqs") {
        Some(arn) if arn.resource.ends_with(FIFO_SUFFIX) != is_fifo => Err(match is_fifo {
            true => "RedrivePolicy: must use a FIFO queue as DLQ for a FIFO topic".to_owned(),
            false => "RedrivePolicy: must use a standard queue as DLQ for a standard topic".to_owned(),
        }),
        Some(_) => Ok(Some(target.to_owned())),
        None => Err("RedrivePolicy: deadLetterTargetArn is an invalid arn".to_owned()),
    }
}
