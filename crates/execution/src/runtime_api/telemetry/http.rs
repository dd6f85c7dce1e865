//! The requests of the Telemetry API, and of the older Logs API, which is refused by name.

use std::sync::Arc;

use bytes::Bytes;
use http::{HeaderValue, Method, Request, Response, StatusCode};
use http_body_util::Full;
use hyper::body::Incoming;

use super::Telemetry;
use super::subscription::Subscription;
use crate::runtime_api::extensions::Extensions;
use crate::runtime_api::extensions::http::{Caller, caller, refuse, whole_body};
use crate::runtime_api::extensions::registry::Refusal;
use crate::runtime_api::server::plain;

pub const PATH: &str = "/2022-07-01/telemetry";
pub const LOGS_PATH: &str = "/2020-08-15/logs";

type Reply = Response<Full<Bytes>>;

pub async fn handle(
    telemetry: &Telemetry,
    extensions: &Arc<Extensions>,
    request: Request<Incoming>,
) -> Reply {
    if request.method() != Method::PUT {
        return plain(StatusCode::METHOD_NOT_ALLOWED, "MethodNotAllowed", "Subscribe with PUT");
    }
    let name = match caller(extensions, request.headers()) {
        Ok(Caller::Known(index)) => extensions.name(index),
        Ok(Caller::Unknown(id)) => {
            let message = format!("Unknown extension {id}");
            return refuse(Refusal::new("Extension.UnknownExtensionIdentifier", message));
        }
        Err(refusal) => return refuse(refusal),
    };
    let body = whole_body(request).await.unwrap_or_default();
    let subscription = match Subscription::parse(&body) {
        Ok(subscription) => subscription,
        Err(message) => return plain(StatusCode::BAD_REQUEST, "ValidationError", &message),
    };
    let types = subscription.types.clone();
    if !telemetry.subscribe(&name, subscription) {
        let message = "Telemetry API subscription is closed already";
        return refuse(Refusal::new("Telemetry.SubscriptionClosed", message));
    }
    extensions.subscribed(name, types);
    let mut response = Response::new(Full::new(Bytes::from_static(b"\"OK\"")));
    let kind = HeaderValue::from_static("application/json");
    response.headers_mut().insert(http::header::CONTENT_TYPE, kind);
    response
}

/// As the reference answers where it has no Logs API: the Telemetry API supersedes it.
pub fn no_logs() -> Reply {
    plain(StatusCode::ACCEPTED, "Logs.NotSupported", "Logs API is not supported")
}
