//! Operations as schedules call them: a request like a client's, by the way that the front door's take once their signature
//! is verified.
//!
//! What this is not: it decides nothing. A role of the schedule's account calls, and the service says what it may.

use std::sync::{OnceLock, Weak};

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Method};
use lambent_core::ids::RequestId;
use lambent_core::ports::{BoxFuture, NoOperation, OperationCall, OperationRefusal, Operations};
use lambent_wire::{Caller, Reply, Request, Response, percent, query};
use serde_json::{Map, Value};

use super::front::{Front, Service};

/// To the front door, which is built later.
#[derive(Default)]
pub struct Inner(pub OnceLock<Weak<Front>>);

/// Members of Invoke that are headers.
const INVOKE_HEADERS: [(&str, HeaderName); 3] = [
    ("InvocationType", HeaderName::from_static("x-amz-invocation-type")),
    ("LogType", HeaderName::from_static("x-amz-log-type")),
    ("ClientContext", HeaderName::from_static("x-amz-client-context")),
];

/// Members that stand in the query, whatever the method is; and how the scheduler's API names some.
const IN_QUERY: [&str; 1] = ["Qualifier"];
const NAMED_IN_QUERY: [(&str, &str); 3] =
    [("GroupName", "groupName"), ("ClientToken", "clientToken"), ("TagKeys", "tagKeys")];

/// Why a request can't be made of an input.
type Unfit = String;

impl Operations for Inner {
    fn find(&self, service: &str, action: &str) -> Result<(), NoOperation> {
        let service = service_named(service).ok_or(NoOperation::Service)?;
        let name = operation_named(action);
        if has(service, &name) { Ok(()) } else { Err(NoOperation::Action) }
    }

    fn call<'a>(&'a self, call: OperationCall<'a>) -> BoxFuture<'a, Result<(), OperationRefusal>> {
        Box::pin(async move {
            let refused = |code: &str, message: String, may_pass| {
                Err(OperationRefusal { code: code.to_owned(), message, may_pass })
            };
            let Some(front) = self.0.get().and_then(Weak::upgrade) else {
                return refused("ServiceUnavailable", "the node is stopping".to_owned(), true);
            };
            let Some(service) = service_named(call.service) else {
                return refused("UnknownOperationException", "There is no such service".to_owned(), false);
            };
            let request = match request(service, &call, RequestId::random(front.entropy.as_ref())) {
                Ok(request) => request,
                Err(unfit) => return refused("ValidationException", unfit, false),
            };
            let origin = front.notifications.origin.clone();
            match front.answer(service, request, &origin).await {
                Reply::Whole(response)
                    if response.status().is_client_error() || response.status().is_server_error() =>
                {
                    Err(refusal(&response))
                }
                Reply::Whole(_) | Reply::Flowing(_) => Ok(()),
            }
        })
    }
}

/// By the name that SDKs for Java have for it, as the reference's do.
fn service_named(name: &str) -> Option<Service> {
    Some(match name {
        "lambda" => Service::Lambda,
        "cloudwatchlogs" => Service::Logs,
        "sqs" => Service::Queues,
        "eventbridge" => Service::Events,
        "scheduler" => Service::Scheduler,
        "sns" => Service::Topics,
        _ => return None,
    })
}

/// `sendMessage` is SendMessage.
fn operation_named(action: &str) -> String {
    let mut chars = action.chars();
    chars.next().map(|first| first.to_ascii_uppercase()).into_iter().chain(chars).collect()
}

fn has(service: Service, name: &str) -> bool {
    match service {
        // Who would read what it makes?
        Service::Lambda if name == "InvokeWithResponseStream" => false,
        Service::Lambda => lambent_functions::api::OPERATIONS
            .iter()
            .any(|operation| operation.name == name && operation.is_served()),
        Service::Logs => lambent_observe::logs::SERVED_OPERATIONS.contains(&name),
        Service::Queues => lambent_queues::OPERATIONS.iter().any(|operation| operation.name == name),
        Service::Events => lambent_events::SERVED_EVENT_OPERATIONS.contains(&name),
        Service::Scheduler => {
            lambent_events::SCHEDULER_OPERATIONS.iter().any(|operation| operation.name == name)
        }
        Service::Topics => lambent_topics::OPERATIONS.iter().any(|operation| operation.name == name),
    }
}

fn request(service: Service, call: &OperationCall<'_>, request_id: RequestId) -> Result<Request, Unfit> {
    let input = match serde_json::from_str(call.input) {
        Ok(Value::Object(input)) => input,
        _ => return Err("the input is no JSON object".to_owned()),
    };
    let name = operation_named(call.action);
    let caller = Caller {
        account: call.account.clone(),
        region: call.region.clone(),
        access_key_id: String::new(),
        principal_arn: call.role_arn.to_owned(),
    };
    let mut request = Request {
        method: Method::POST,
        path: "/".to_owned(),
        query: Vec::new(),
        headers: HeaderMap::new(),
        body: Bytes::new(),
        request_id,
        caller,
    };
    match service {
        Service::Queues => named(&mut request, "AmazonSQS", &name, call.input),
        Service::Events => named(&mut request, "AWSEvents", &name, call.input),
        Service::Logs => named(&mut request, "Logs_20140328", &name, call.input),
        Service::Topics => form(&mut request, &name, &input)?,
        Service::Lambda => {
            let found = lambent_functions::api::OPERATIONS.iter().find(|operation| operation.name == name);
            let found = found.ok_or("there is no such operation")?;
            rest(&mut request, (found.method, found.path), input, name == "Invoke")?;
        }
        Service::Scheduler => {
            let found = lambent_events::SCHEDULER_OPERATIONS.iter().find(|operation| operation.name == name);
            let found = found.ok_or("there is no such operation")?;
            rest(&mut request, (found.method, found.path), input, false)?;
        }
    }
    Ok(request)
}

/// Services that speak JSON 1.0 and 1.1.
fn named(request: &mut Request, prefix: &str, name: &str, input: &str) {
    if let Ok(target) = HeaderValue::from_str(&format!("{prefix}.{name}")) {
        request.headers.insert("x-amz-target", target);
    }
    request.body = Bytes::copy_from_slice(input.as_bytes());
}

/// The query protocol, by the service's own tables of members.
fn form(request: &mut Request, name: &str, input: &Map<String, Value>) -> Result<(), Unfit> {
    let operation = lambent_topics::OPERATIONS.iter().find(|operation| operation.name == name);
    let operation = operation.ok_or("there is no such operation")?;
    let fields = query::encode(input, operation.takes)?;
    let named = [("Action".to_owned(), name.to_owned())].into_iter().chain(fields);
    let pairs = named.map(|(name, value)| format!("{}={}", percent::encode(&name), percent::encode(&value)));
    request.body = pairs.collect::<Vec<_>>().join("&").into();
    let kind = HeaderValue::from_static("application/x-www-form-urlencoded");
    request.headers.insert(http::header::CONTENT_TYPE, kind);
    Ok(())
}

/// REST with JSON: members that the path names stand there, and of the others those of a DELETE in the query.
fn rest(
    request: &mut Request,
    (method, template): (&str, &str),
    mut input: Map<String, Value>,
    is_invoke: bool,
) -> Result<(), Unfit> {
    request.method = method.parse().map_err(|_| "its method is none")?;
    let (template, fixed) = template.split_once('?').unwrap_or((template, ""));
    request.query.extend(fixed.split_once('=').map(|(name, value)| (name.to_owned(), value.to_owned())));
    let mut path = String::new();
    for part in template.split('/').skip(1) {
        path.push('/');
        match part.strip_prefix('{').and_then(|part| part.strip_suffix('}')) {
            None => path.push_str(part),
            Some(label) => match input.remove(label) {
                Some(Value::String(text)) if !text.is_empty() => path.push_str(&percent::encode(&text)),
                _ => return Err(format!("the member {label} is missing")),
            },
        }
    }
    request.path = path;
    let names: Vec<String> = input.keys().cloned().collect();
    for name in names.iter().filter(|name| method == "DELETE" || IN_QUERY.contains(&name.as_str())) {
        let value = input.remove(name).unwrap_or_default();
        let named = NAMED_IN_QUERY
            .iter()
            .find(|(member, _)| member == name)
            .map_or(name.as_str(), |(_, named)| named);
        let values = if let Value::Array(values) = value { values } else { vec![value] };
        request.query.extend(values.iter().map(|value| (named.to_owned(), text_of(value))));
    }
    if !is_invoke {
        request.body =
            if method == "DELETE" { Bytes::new() } else { Value::Object(input).to_string().into() };
        return Ok(());
    }
    for (member, header) in INVOKE_HEADERS {
        let Some(value) = input.remove(member) else { continue };
        let value = HeaderValue::from_str(&text_of(&value)).map_err(|_| format!("{member} can't be sent"))?;
        request.headers.insert(header, value);
    }
    request.body = input.remove("Payload").map(|payload| text_of(&payload)).unwrap_or_default().into();
    match input.keys().next() {
        Some(name) => Err(format!("there is no member {name}")),
        None => Ok(()),
    }
}

fn text_of(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        value => value.to_string(),
    }
}

/// What a service's answer says of why it did nothing, in whichever protocol.
fn refusal(response: &Response) -> OperationRefusal {
    let status = response.status();
    let body = String::from_utf8_lossy(response.body());
    let json: Value = serde_json::from_str(&body).unwrap_or_default();
    let between = |open: &str, close: &str| {
        let (_, rest) = body.split_once(open)?;
        rest.split_once(close).map(|(text, _)| text.to_owned())
    };
    let header =
        |name: &str| response.headers().get(name).and_then(|value| value.to_str().ok()).map(str::to_owned);
    // The query protocol's older name of an error is what its users know.
    let older = header("x-amzn-query-error").and_then(|text| text.split(';').next().map(str::to_owned));
    let code = older
        .or_else(|| json["__type"].as_str().map(str::to_owned))
        .or_else(|| header("x-amzn-errortype"))
        .or_else(|| between("<Code>", "</Code>"))
        .unwrap_or_else(|| status.as_str().to_owned());
    let code = code.rsplit('#').next().unwrap_or_default().split(':').next().unwrap_or_default().to_owned();
    let message = ["message", "Message"].iter().find_map(|name| json[name].as_str().map(str::to_owned));
    let message = message.or_else(|| between("<Message>", "</Message>")).unwrap_or_default();
    let may_pass = status.is_server_error() || status.as_u16() == 429 || code.contains("Throttl");
    OperationRefusal { code, message, may_pass }
}

#[cfg(test)]
mod tests;
