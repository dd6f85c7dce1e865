//! A request to a function URL: who may pass, the call, and the response.
//!
//! What this is not: it opens no socket and verifies no signature; the node does both and says whose it was.

use std::sync::Arc;

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Method};
use lambent_core::ids::{Region, RequestId};
use lambent_core::ports::{Origin, Outcome, Source};
use lambent_store::functions::{FunctionRecord, UrlAuth, UrlInvokeMode, UrlRecord};
use lambent_wire::{Caller, Reply, Response};

use super::invoke::{self, Work};
use super::target::Target;
use super::{empty, fault, url_stream};
use crate::Functions;
use crate::engine::{cors, policy, url_answer, url_event};
use crate::error::Error;

/// A URL as it stands when a request comes to it.
pub struct FunctionUrl {
    record: Arc<FunctionRecord>,
    /// The alias that it belongs to.
    qualifier: Option<String>,
    url: UrlRecord,
}

/// A request to a URL, read whole.
#[derive(Debug)]
pub struct UrlRequest {
    pub method: Method,
    /// As it was sent, percent-encoded, without what named the URL.
    pub path: String,
    /// As it was sent, without `?`.
    pub query: String,
    pub headers: HeaderMap,
    pub body: Bytes,
    /// `http` or `https`.
    pub scheme: &'static str,
    /// Host and port by which the caller named the URL; absent when it did otherwise.
    pub host: Option<String>,
    pub source_ip: String,
    pub request_id: RequestId,
    /// Whose signature was verified. Always absent for a URL that asks for none.
    pub caller: Option<Caller>,
}

impl FunctionUrl {
    pub(crate) fn find(functions: &Functions, id: &str) -> Option<Self> {
        let (record, key) = functions.deps.store.function_by_url(id)?;
        let url = record.urls.get(&key)?.clone();
        Some(Self { record, qualifier: (!key.is_empty()).then_some(key), url })
    }

    /// Whether requests have to be signed.
    pub fn asks_for_signature(&self) -> bool {
        self.url.auth == UrlAuth::AwsIam
    }

    pub fn region(&self) -> &Region {
        &self.record.key.region
    }

    /// The answer to a browser's question before its request. It needs no permission and calls nothing.
    pub fn preflight(&self, method: &Method, headers: &HeaderMap) -> Option<Response> {
        let cors = self.url.cors.as_ref().filter(|_| cors::is_preflight(method, headers))?;
        let mut response = empty(200);
        *response.headers_mut() = cors::preflight(cors, headers);
        Some(response)
    }

    /// Puts what browsers need upon any answer to a request with these headers.
    pub fn admit_origin(&self, request: &HeaderMap, answer: &mut HeaderMap) {
        if let Some(cors) = &self.url.cors {
            cors::apply(cors, request, answer);
        }
    }

    fn target(&self) -> Target {
        Target { key: self.record.key.clone(), qualifier: self.qualifier.clone() }
    }

    /// Whether the policy lets this caller, or nobody, use the URL.
    pub fn lets_pass(&self, caller: Option<&Caller>) -> bool {
        let asker = caller.map(|c| policy::Asker { account: &c.account, arn: &c.principal_arn });
        policy::grants_url(&self.record, self.qualifier.as_deref(), self.url.auth, asker)
    }
}

/// Answers the request. Never fails: what is wrong is told in the answer.
pub async fn answer(functions: &Functions, url: &FunctionUrl, request: &UrlRequest) -> Reply {
    let mut reply = match serve(functions, url, request).await {
        Ok(reply) => reply,
        Err(error) => fault::response(&error).into(),
    };
    url.admit_origin(&request.headers, reply.headers_mut());
    reply
}

async fn serve(functions: &Functions, url: &FunctionUrl, request: &UrlRequest) -> Result<Reply, Error> {
    if !url.lets_pass(request.caller.as_ref()) {
        return Err(Error::UrlForbidden);
    }
    let trace_header = invoke::trace(functions, request.headers.get("x-amzn-trace-id"));
    let payload = event(functions, url, request, &trace_header)?;
    let work = Work {
        request_id: request.request_id.clone(),
        payload: invoke::checked_size(payload)?,
        client_context: None,
        trace_header: trace_header.clone(),
        tail_log: false,
        origin: Origin::of(
            Source::FunctionUrl,
            request.caller.as_ref().map_or("", |caller| &caller.principal_arn),
        ),
    };
    let answered = match url.url.invoke_mode {
        UrlInvokeMode::Buffered => match invoke::run(functions, &url.target(), work).await?.outcome {
            Outcome::Returned(payload) => url_answer::response(payload).map(Reply::Whole),
            Outcome::Failed(_) => Ok(failed().into()),
        },
        UrlInvokeMode::ResponseStream => {
            url_stream::reply(invoke::run_streaming(functions, &url.target(), work).await?).await
        }
    };
    let mut reply = answered.unwrap_or_else(|malformed| {
        tracing::debug!(%malformed, function = %url.record.key.name, "a URL's answer");
        failed().into()
    });
    if let Ok(value) = HeaderValue::from_str(&trace_header) {
        reply.headers_mut().insert("x-amzn-trace-id", value);
    }
    Ok(reply)
}

fn event(
    functions: &Functions,
    url: &FunctionUrl,
    request: &UrlRequest,
    trace_header: &str,
) -> Result<Bytes, Error> {
    let query_pairs = lambent_wire::route::decode_query(&request.query)
        .map_err(|fault| Error::Serialization { detail: fault.message })?;
    let own_address = functions.url_authority(&url.record.key, &url.url.id);
    Ok(url_event::event(&url_event::Arrived {
        url_id: &url.url.id,
        method: &request.method,
        path: &request.path,
        query: &request.query,
        query_pairs: &query_pairs,
        headers: &request.headers,
        body: &request.body,
        domain_name: request.host.as_deref().unwrap_or(&own_address),
        scheme: request.scheme,
        source_ip: &request.source_ip,
        trace_header,
        request_id: &request.request_id,
        now: functions.deps.clock.now(),
        signer: request.caller.as_ref().map(|caller| url_event::Signer {
            account: &caller.account,
            access_key_id: &caller.access_key_id,
            arn: &caller.principal_arn,
        }),
    }))
}

/// What a caller sees of a function that failed: nothing of why.
pub(super) fn failed() -> Response {
    let mut response = Response::new(Bytes::from_static(b"Internal Server Error"));
    *response.status_mut() = http::StatusCode::BAD_GATEWAY;
    let json = HeaderValue::from_static("application/json");
    response.headers_mut().insert(http::header::CONTENT_TYPE, json);
    response
}

/// The answer to a request for a URL that there is not.
pub fn unknown_url() -> Response {
    let mut response = lambent_wire::json_response(403, &serde_json::json!({ "Message": null }));
    let kind = HeaderValue::from_static("AccessDeniedException");
    response.headers_mut().insert("x-amzn-errortype", kind);
    response
}

/// The answer to a request without the signature that the URL asks for, and to one that no policy lets pass.
pub fn forbidden() -> Response {
    fault::response(&Error::UrlForbidden)
}
