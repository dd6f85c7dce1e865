//! The front door: from an HTTP request to a service's answer.
//!
//! Nothing of a body is read before its head's signature is verified; nothing reaches a service unverified.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http::request::Parts;
use http::{Request, Response};
use http_body_util::BodyExt as _;
use hyper::body::{Body as _, Incoming};
use lambent_core::ids::{AccountId, Region, RequestId};
use lambent_core::limits::MIB;
use lambent_core::ports::{Clock, Entropy};
use lambent_core::time::Timestamp;
use lambent_events::Events;
use lambent_functions::Functions;
use lambent_observe::logs::Logs;
use lambent_queues::Queues;
use lambent_wire::sigv4::{self, AuthError, Claim, Pending, Style};
use lambent_wire::{Caller, Fault, Protocol, Reply};
use tokio::sync::Semaphore;

use super::body::{self, Body};
use super::capacity::{CapacityReport, is_local};
use super::keys::{Door, Identity, Keys};
use super::notifications::Notifications;
use super::testing::Testing;
use super::trace::Asked;
use super::url;

/// The largest request body: a 50 MB package in base64 (a third larger), with room for the rest of its JSON.
pub const BODY_BYTES_MAX: u64 = 72 * MIB;

/// How long a client may pause inside a body, and how long a whole body may take.
const BODY_PAUSE_MAX: Duration = Duration::from_secs(30);
const BODY_TOTAL_MAX: Duration = Duration::from_secs(300);

/// All bodies over [`BODY_SMALL`] that are being read or worked on at one time, together.
pub const BODIES_MIB_MAX: usize = 512;
const BODY_SMALL: u64 = MIB;

/// How long a large body waits for its room.
const BODY_ROOM_WAIT: Duration = Duration::from_secs(30);

/// Who stands at the door.
#[derive(Debug, Clone, Copy)]
pub struct Visitor {
    pub door: Door,
    pub ip: IpAddr,
    /// `http` or `https`.
    pub scheme: &'static str,
}

/// Everything behind the door.
pub struct Front {
    pub keys: Arc<Keys>,
    pub functions: Arc<Functions>,
    pub logs: Arc<Logs>,
    pub queues: Arc<Queues>,
    pub events: Arc<Events>,
    pub notifications: Notifications,
    pub capacity: CapacityReport,
    pub clock: Arc<dyn Clock>,
    pub entropy: Arc<dyn Entropy>,
    pub bodies: Semaphore,
    pub testing: Testing,
    /// Gives descriptors back when a client can't be taken in for want of one.
    pub make_room: Box<dyn Fn() + Send + Sync>,
}

/// What every answer bears.
fn stamp(headers: &mut http::HeaderMap, request_id: &RequestId, now: Timestamp) {
    if let Ok(value) = http::HeaderValue::from_str(request_id.as_str()) {
        headers.insert("x-amzn-requestid", value);
    }
    // The HTTP library keeps the last date that it wrote until the clock is past it: behind a clock that was set back
    // it would stand still.
    if let Ok(value) = http::HeaderValue::from_str(&now.http_date()) {
        headers.insert(http::header::DATE, value);
    }
}

impl Front {
    /// Answers one request. Never fails: whatever is wrong is told in the answer.
    pub async fn handle(&self, request: Request<Incoming>, visitor: Visitor) -> Response<Body> {
        let request_id = RequestId::random(self.entropy.as_ref());
        let (parts, body) = request.into_parts();
        let protocol = protocol_of(&parts);
        let (method, uri) = (parts.method.clone(), parts.uri.clone());
        let reply = match self.serve(parts, body, visitor, &request_id).await {
            Ok(reply) => reply,
            Err(fault) => fault.into_response(protocol).into(),
        };
        let mut response = body::response(reply);
        stamp(response.headers_mut(), &request_id, self.clock.wall());
        tracing::debug!(
            %request_id, %method, path = uri.path(), status = response.status().as_u16()
        );
        response
    }

    async fn serve(
        &self,
        parts: Parts,
        body: Incoming,
        visitor: Visitor,
        request_id: &RequestId,
    ) -> Result<Reply, Fault> {
        if let Some(asked) = url::asked(&parts) {
            return self.serve_url(asked, parts, body, visitor, request_id).await;
        }
        let door = visitor.door;
        if let Some(path) = parts.uri.path().strip_prefix("/_lambent/")
            && door == Door::Front
        {
            if path == "top" && parts.method == http::Method::GET {
                return self.top(&parts, body, door).await.map(Reply::Whole);
            }
            if let Some(bus) = path.strip_prefix("events/")
                && parts.method == http::Method::POST
            {
                let bus = bus.to_owned();
                return self.cloud_events(&bus, parts, body, door, request_id).await;
            }
            if path == "trace" && parts.method == http::Method::GET {
                return self.trace(&parts, body, door).await.map(Reply::Whole);
            }
            if Testing::has(path) {
                return self.test(path, &parts, body, visitor).await.map(Reply::Whole);
            }
            return Ok(self.own(path, visitor.ip, &parts).await.into());
        }
        if let Some(response) = self.link(&parts, request_id).await {
            return Ok(response.into());
        }
        let (claim, identity, payload) = self.verified(&parts, body, door).await?;
        let service = service_of(lambent_wire::dispatch::service(Some(&claim), &parts).as_deref())?;
        let origin = origin(&parts, visitor.scheme);
        let request =
            lambent_wire::route::decode(parts, payload, request_id.clone(), caller(claim, identity))?;
        Ok(self.answer(service, request, &origin).await)
    }

    /// What a service answers to a request that is known to be its caller's. `origin` is where the caller found the node.
    pub(super) async fn answer(
        &self,
        service: Service,
        request: lambent_wire::Request,
        origin: &str,
    ) -> Reply {
        match service {
            Service::Lambda => self.functions.handle(request).await,
            Service::Logs => self.logs.handle(request).await.into(),
            Service::Queues => self.queues.handle(request, origin).await.into(),
            Service::Events => self.events.handle(request).await.into(),
            Service::Scheduler => self.events.handle_scheduler(request).await.into(),
            Service::Topics => self.notifications.topics.handle(request, origin).await.into(),
        }
    }

    /// Whose signature the head bears, with what is left to verify once the body is there.
    pub(super) fn verify(
        &self,
        claim: &Claim,
        parts: &Parts,
        door: Door,
    ) -> Result<(Identity, Pending), AuthError> {
        let now = self.clock.wall();
        let session = claim.session_token.as_deref();
        let identity = self.keys.identify(&claim.access_key_id, session, door, now)?;
        let pending = claim.verify_head(parts, &identity.secret, now)?;
        Ok((identity, pending))
    }

    /// Reads a request to its end; nothing of its body is read before its head's signature is verified.
    async fn verified(
        &self,
        parts: &Parts,
        body: Incoming,
        door: Door,
    ) -> Result<(Claim, Identity, Bytes), Fault> {
        let style = style_of(parts);
        let claim = sigv4::parse(parts)
            .and_then(|claim| claim.ok_or(sigv4::AuthError::Missing))
            .map_err(|e| e.into_fault(style))?;
        let (identity, pending) = self.verify(&claim, parts, door).map_err(|e| e.into_fault(style))?;
        let _room = self.room(&body).await?;
        let body = read(body, BODY_BYTES_MAX).await?;
        let payload = pending.finish(body).map_err(|e| e.into_fault(style))?.payload;
        Ok((claim, identity, payload))
    }

    /// CloudEvents for a bus.
    async fn cloud_events(
        &self,
        bus: &str,
        parts: Parts,
        body: Incoming,
        door: Door,
        request_id: &RequestId,
    ) -> Result<Reply, Fault> {
        let bus = lambent_wire::percent::decode_segment(bus)
            .map_err(|error| Fault::new(400, "ValidationException", error.to_string()))?;
        let (claim, identity, payload) = self.verified(&parts, body, door).await?;
        let request =
            lambent_wire::route::decode(parts, payload, request_id.clone(), caller(claim, identity))?;
        Ok(self.events.handle_cloud_events(&bus, request).await.into())
    }

    /// Who uses the capacity of the caller's account.
    async fn top(&self, parts: &Parts, body: Incoming, door: Door) -> Result<Response<Bytes>, Fault> {
        let (account, region) = self.root(parts, body, door, "see who uses the capacity").await?;
        Ok(lambent_wire::json_response(200, &self.capacity.top(&account, &region)))
    }

    /// What happened to a call, an event or a function's calls.
    async fn trace(&self, parts: &Parts, body: Incoming, door: Door) -> Result<Response<Bytes>, Fault> {
        let (account, region) = self.root(parts, body, door, "see what happened to calls").await?;
        let asked = Asked::read(parts)?;
        Ok(lambent_wire::json_response(200, &self.capacity.trace(&account, &region, &asked).await?))
    }

    /// The account whose root key signed the request, wherever it comes from, and its region. What names functions
    /// is for no other key: sessions of functions are not to see each other.
    pub(super) async fn root(
        &self,
        parts: &Parts,
        body: Incoming,
        door: Door,
        to: &str,
    ) -> Result<(AccountId, Region), Fault> {
        let (claim, identity, _) = self.verified(parts, body, door).await?;
        if identity.principal_arn.ends_with(":root") {
            return Ok((identity.account, claim.region));
        }
        let message = format!("User: {} is not authorized to {to}", identity.principal_arn);
        Err(Fault::new(403, "AccessDeniedException", message))
    }

    /// What stands under `/_lambent/` and has no signature: so nothing that needs one.
    async fn own(&self, path: &str, from: IpAddr, parts: &Parts) -> Response<Bytes> {
        if path == "health" {
            let health = serde_json::json!({ "status": "ready", "version": env!("CARGO_PKG_VERSION") });
            return lambent_wire::json_response(200, &health);
        }
        if path.starts_with("code/") && parts.method == http::Method::GET {
            let target = parts.uri.path_and_query().map(|p| p.as_str()).unwrap_or_default();
            return self.functions.fetch_code(target).await;
        }
        if path == "metrics" && parts.method == http::Method::GET {
            // Prometheus signs nothing: what it may read is for this machine.
            if !is_local(from, parts) {
                return Fault::new(
                    403,
                    "AccessDeniedException",
                    "Metrics are for this machine's loopback only",
                )
                .into_response(Protocol::RestJson);
            }
            let mut response = Response::new(Bytes::from(self.capacity.metrics()));
            let kind = http::HeaderValue::from_static("text/plain; version=0.0.4; charset=utf-8");
            response.headers_mut().insert(http::header::CONTENT_TYPE, kind);
            return response;
        }
        Fault::new(404, "ResourceNotFoundException", "There is nothing under this path")
            .into_response(Protocol::RestJson)
    }

    /// Room for a large body, so that many of them can't fill the node's memory.
    pub(super) async fn room(
        &self,
        body: &Incoming,
    ) -> Result<Option<tokio::sync::SemaphorePermit<'_>>, Fault> {
        let bytes = body.size_hint().upper().unwrap_or(BODY_BYTES_MAX);
        if bytes > BODY_BYTES_MAX {
            return Err(too_large(BODY_BYTES_MAX));
        }
        if bytes <= BODY_SMALL {
            return Ok(None);
        }
        let mib = u32::try_from(bytes.div_ceil(MIB)).expect("a bounded body is few MiB");
        match tokio::time::timeout(BODY_ROOM_WAIT, self.bodies.acquire_many(mib)).await {
            Ok(Ok(permit)) => Ok(Some(permit)),
            _ => Err(Fault::new(503, "ServiceUnavailableException", "Too many large requests at one time")
                .header("Retry-After", "1")),
        }
    }
}

fn caller(claim: Claim, identity: Identity) -> Caller {
    Caller {
        account: identity.account,
        region: claim.region,
        access_key_id: claim.access_key_id,
        principal_arn: identity.principal_arn,
    }
}

/// The services of this node.
#[derive(Clone, Copy)]
pub(super) enum Service {
    Lambda,
    Logs,
    Queues,
    Events,
    Scheduler,
    Topics,
}

fn service_of(name: Option<&str>) -> Result<Service, Fault> {
    match name {
        Some("lambda") => Ok(Service::Lambda),
        Some("logs") => Ok(Service::Logs),
        Some("sqs") => Ok(Service::Queues),
        Some("events") => Ok(Service::Events),
        Some("scheduler") => Ok(Service::Scheduler),
        Some("sns") => Ok(Service::Topics),
        Some(other) => Err(Fault::new(
            501,
            "UnsupportedOperationException",
            format!(
                "Lambent does not serve {other} yet: it serves lambda, logs, sqs, sns, events and scheduler"
            ),
        )),
        None => Err(Fault::new(404, "UnknownOperationException", "No service serves this request")),
    }
}

/// Reads a body of `bytes_max` at the most.
pub(super) async fn read(mut body: Incoming, bytes_max: u64) -> Result<Bytes, Fault> {
    let deadline = tokio::time::Instant::now() + BODY_TOTAL_MAX;
    let expected = body.size_hint().exact().unwrap_or(0).min(bytes_max);
    let mut first: Option<Bytes> = None;
    let mut rest = BytesMut::new();
    let mut total = 0u64;
    loop {
        let pause = tokio::time::Instant::now() + BODY_PAUSE_MAX;
        let frame = match tokio::time::timeout_at(pause.min(deadline), body.frame()).await {
            Err(_) => return Err(Fault::new(408, "RequestTimeoutException", "The body came too slowly")),
            Ok(None) => break,
            Ok(Some(Err(_))) => {
                return Err(Fault::new(400, "RequestAbortedException", "The body ended before its length"));
            }
            Ok(Some(Ok(frame))) => frame,
        };
        let Ok(data) = frame.into_data() else { continue };
        total += data.len() as u64;
        if total > bytes_max {
            return Err(too_large(bytes_max));
        }
        match first.take() {
            // Most bodies are one frame: it is passed on as it came.
            None if rest.is_empty() => first = Some(data),
            None => rest.extend_from_slice(&data),
            Some(earlier) => {
                rest.reserve(usize::try_from(expected).expect("bounded above"));
                rest.extend_from_slice(&earlier);
                rest.extend_from_slice(&data);
            }
        }
    }
    Ok(first.unwrap_or_else(|| rest.freeze()))
}

pub(super) fn too_large(bytes_max: u64) -> Fault {
    Fault::new(
        413,
        "RequestTooLargeException",
        format!("Request must be smaller than {bytes_max} bytes for any operation"),
    )
}

/// How the client reached the node, as it says itself.
fn origin(parts: &Parts, scheme: &str) -> String {
    let header = parts.headers.get(http::header::HOST).and_then(|value| value.to_str().ok());
    let host = header.or_else(|| parts.uri.authority().map(|authority| authority.as_str()));
    format!("{scheme}://{}", host.unwrap_or("localhost"))
}

/// Services that speak JSON 1.0 and 1.1 name their operation in a header, those of the query protocol in a form.
fn protocol_of(parts: &Parts) -> Protocol {
    if parts.headers.contains_key("x-amz-target") {
        let kind = parts.headers.get(http::header::CONTENT_TYPE).map(http::HeaderValue::as_bytes);
        let is_older = kind.is_some_and(|kind| kind.starts_with(b"application/x-amz-json-1.0"));
        return if is_older { Protocol::Json10 } else { Protocol::Json11 };
    }
    if lambent_wire::query::is_query(parts) { Protocol::Query } else { Protocol::RestJson }
}

fn style_of(parts: &Parts) -> Style {
    match protocol_of(parts) {
        Protocol::Json10 | Protocol::Json11 => Style::JsonRpc,
        Protocol::Query => Style::Query,
        Protocol::RestJson => Style::RestJson,
    }
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;
    use std::sync::atomic::{AtomicU64, Ordering};

    use http_body_util::Full;
    use hyper_util::rt::TokioIo;
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

    use super::*;

    /// 2023-11-14T22:13:20Z; each request finds it an hour earlier.
    static CLOCK: AtomicU64 = AtomicU64::new(1_700_000_000_000);

    async fn answer(_: Request<Incoming>) -> Result<Response<Full<Bytes>>, Infallible> {
        let now = Timestamp::from_millis(CLOCK.fetch_sub(3_600_000, Ordering::SeqCst));
        let mut response = Response::new(Full::new(Bytes::new()));
        let id = RequestId::new("00000000-0000-4000-8000-000000000001").unwrap();
        stamp(response.headers_mut(), &id, now);
        Ok(response)
    }

    #[tokio::test]
    async fn the_date_of_an_answer_is_the_clocks_also_after_it_was_set_back() {
        let (mut client, server) = tokio::io::duplex(4_096);
        tokio::spawn(
            hyper::server::conn::http1::Builder::new()
                .serve_connection(TokioIo::new(server), hyper::service::service_fn(answer)),
        );
        for date in ["Tue, 14 Nov 2023 22:13:20 GMT", "Tue, 14 Nov 2023 21:13:20 GMT"] {
            client.write_all(b"GET / HTTP/1.1\r\nHost: here\r\n\r\n").await.unwrap();
            let mut text = String::new();
            while !text.ends_with("\r\n\r\n") {
                text.push(char::from(client.read_u8().await.unwrap()));
            }
            let dates: Vec<_> = text.lines().filter_map(|line| line.strip_prefix("date: ")).collect();
            assert_eq!(dates, [date], "{text}");
        }
    }
}
