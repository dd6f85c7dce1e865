//! The requests of the Extensions API.

use std::sync::Arc;

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Method, Request, Response, StatusCode};
use http_body_util::Full;
use hyper::body::Incoming;
use serde::Deserialize;
use tokio::sync::oneshot;

use super::registry::{Refusal, Report};
use super::{Extensions, Waiting};
use crate::runtime_api::server::{Body, plain, read_body};

pub const PREFIX: &str = "/2020-01-01/extension/";

const NAME: &str = "Lambda-Extension-Name";
const IDENTIFIER: &str = "Lambda-Extension-Identifier";
const EVENT_IDENTIFIER: &str = "Lambda-Extension-Event-Identifier";
const ERROR_TYPE: &str = "Lambda-Extension-Function-Error-Type";
const ACCEPT_FEATURE: &str = "Lambda-Extension-Accept-Feature";

/// What is read of a request's body: lists of events, and error documents, which are for people.
const BODY_BYTES_MAX: usize = 256 * 1024;
/// What is kept of a name or an error type that an extension gives itself.
const WORD_CHARS_MAX: usize = 128;

type Reply = Response<Full<Bytes>>;

pub async fn handle(extensions: &Arc<Extensions>, route: &str, request: Request<Incoming>) -> Reply {
    match (request.method(), route) {
        (&Method::POST, "register") => register(extensions, request).await,
        (&Method::GET, "event/next") => next(extensions, request.headers()).await,
        (&Method::POST, "init/error") => report(extensions, request, Report::Init).await,
        (&Method::POST, "exit/error") => report(extensions, request, Report::Exit).await,
        _ => plain(StatusCode::NOT_FOUND, "NotFound", "No such Extensions API operation"),
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Registration {
    #[serde(default)]
    events: Option<Vec<String>>,
    #[serde(default)]
    configuration_keys: Option<Vec<String>>,
}

async fn register(extensions: &Arc<Extensions>, request: Request<Incoming>) -> Reply {
    let header = |name: &str| request.headers().get(name).and_then(|value| value.to_str().ok());
    let name = header(NAME).unwrap_or_default().to_owned();
    if name.is_empty() || name.chars().count() > WORD_CHARS_MAX {
        return refuse(Refusal::new("Extension.InvalidExtensionName", "Empty extension name"));
    }
    let wants_account = header(ACCEPT_FEATURE)
        .is_some_and(|features| features.split(',').any(|feature| feature.trim() == "accountId"));
    let Some(body) = whole_body(request).await else {
        return refuse(Refusal::new("InvalidRequestFormat", "unexpected end of JSON input"));
    };
    let registration: Registration = match serde_json::from_slice(&body) {
        Ok(registration) => registration,
        Err(error) => return refuse(Refusal::new("InvalidRequestFormat", error.to_string())),
    };
    if registration.configuration_keys.is_some_and(|keys| !keys.is_empty()) {
        let message = "configurationKeys are deprecated; use environment variables instead";
        return refuse(Refusal::new("InvalidRequestFormat", message));
    }
    let events = registration.events.unwrap_or_default();
    let id = {
        let id = extensions.id();
        let mut inner = extensions.lock();
        match inner.registry.register(&name, &events, id) {
            Ok(agent) => agent.id.clone(),
            Err(refusal) => return refuse(refusal),
        }
    };
    extensions.any.store(true, std::sync::atomic::Ordering::Release);
    extensions.changed();
    let spec = &extensions.about.spec;
    let mut document = serde_json::json!({
        "functionName": spec.name.as_str(), "functionVersion": spec.version.to_string(), "handler": spec.handler,
    });
    if wants_account {
        document["accountId"] = spec.account.as_str().into();
    }
    let mut response = json(document.to_string().into());
    identify(&mut response, IDENTIFIER, &id);
    response
}

/// Gives the question back when its connection breaks.
struct Asked<'a> {
    extensions: &'a Extensions,
    index: usize,
    armed: bool,
}

impl Drop for Asked<'_> {
    fn drop(&mut self) {
        if self.armed {
            let mut inner = self.extensions.lock();
            if let Some(waiting @ Waiting::Asked(_)) = inner.waiting.get_mut(&self.index) {
                *waiting = Waiting::Lost;
            }
        }
    }
}

async fn next(extensions: &Arc<Extensions>, headers: &HeaderMap) -> Reply {
    let index = match caller(extensions, headers) {
        Ok(Caller::Known(index)) => index,
        Ok(Caller::Unknown(id)) => {
            let message = format!("Unknown extension {id}");
            return refuse(Refusal::new("Extension.UnknownExtensionIdentifier", message));
        }
        Err(refusal) => return refuse(refusal),
    };
    let receiver = {
        let mut inner = extensions.lock();
        let lost = matches!(inner.waiting.get(&index), Some(Waiting::Lost));
        if let Some(Waiting::Undelivered(_)) = inner.waiting.get(&index)
            && let Some(Waiting::Undelivered(event)) = inner.waiting.remove(&index)
        {
            return event_response(extensions, event);
        }
        if let Err(refusal) = inner.registry.next(index, lost) {
            return refuse(refusal);
        }
        let (sender, receiver) = oneshot::channel();
        inner.waiting.insert(index, Waiting::Asked(sender));
        receiver
    };
    extensions.changed();
    let mut asked = Asked { extensions, index, armed: true };
    match receiver.await {
        Ok(event) => {
            asked.armed = false;
            event_response(extensions, event)
        }
        // The environment is being torn down.
        Err(_) => plain(StatusCode::GONE, "Gone", "The environment is shutting down"),
    }
}

fn event_response(extensions: &Extensions, event: Bytes) -> Reply {
    let mut response = json(event);
    identify(&mut response, EVENT_IDENTIFIER, &extensions.id());
    response
}

async fn report(extensions: &Arc<Extensions>, request: Request<Incoming>, report: Report) -> Reply {
    let index = match caller(extensions, request.headers()) {
        Ok(Caller::Known(index)) => index,
        Ok(Caller::Unknown(_)) => {
            let message = format!("Unknown {IDENTIFIER}");
            return refuse(Refusal::new("Extension.UnknownExtensionIdentifier", message));
        }
        Err(refusal) => return refuse(refusal),
    };
    let error_type = request.headers().get(ERROR_TYPE).and_then(|value| value.to_str().ok());
    let error_type: String = error_type.unwrap_or_default().chars().take(WORD_CHARS_MAX).collect();
    if error_type.is_empty() {
        return refuse(Refusal::new("Extension.MissingHeader", format!("{ERROR_TYPE} not found")));
    }
    // Its words are for the extension's own log; what counts is the type.
    let _ = whole_body(request).await;
    if let Err(refusal) = extensions.lock().registry.report(index, report, &error_type) {
        return refuse(refusal);
    }
    extensions.changed();
    let mut response = json(Bytes::from_static(b"{\"status\":\"OK\"}\n"));
    *response.status_mut() = StatusCode::ACCEPTED;
    response
}

pub enum Caller {
    Known(usize),
    Unknown(String),
}

/// Who asks. Identifiers are uuids, whatever their case.
pub fn caller(extensions: &Extensions, headers: &HeaderMap) -> Result<Caller, Refusal> {
    let id = headers.get(IDENTIFIER).map(|value| value.to_str().unwrap_or("-"));
    let Some(id) = id.filter(|id| !id.is_empty()) else {
        let message = format!("Missing {IDENTIFIER} header");
        return Err(Refusal::new("Extension.MissingExtensionIdentifier", message));
    };
    if !is_uuid(id) {
        return Err(Refusal::new("Extension.InvalidExtensionIdentifier", format!("Invalid {IDENTIFIER}")));
    }
    let id = id.to_ascii_lowercase();
    let found = extensions.lock().registry.find(&id);
    Ok(found.map_or(Caller::Unknown(id), Caller::Known))
}

fn is_uuid(text: &str) -> bool {
    text.len() == 36
        && text.bytes().enumerate().all(|(index, byte)| match index {
            8 | 13 | 18 | 23 => byte == b'-',
            _ => byte.is_ascii_hexdigit(),
        })
}

pub async fn whole_body(request: Request<Incoming>) -> Option<Bytes> {
    match read_body(request.into_body(), BODY_BYTES_MAX).await {
        Some(Body::Whole { data, .. }) => Some(data),
        Some(Body::TooLarge { .. }) | None => None,
    }
}

pub fn refuse(refusal: Refusal) -> Reply {
    plain(StatusCode::FORBIDDEN, refusal.kind, &refusal.message)
}

fn json(body: Bytes) -> Reply {
    let mut response = Response::new(Full::new(body));
    let kind = HeaderValue::from_static("application/json");
    response.headers_mut().insert(http::header::CONTENT_TYPE, kind);
    response
}

fn identify(response: &mut Reply, header: &'static str, id: &str) {
    if let Ok(value) = HeaderValue::from_str(id) {
        response.headers_mut().insert(header, value);
    }
}
