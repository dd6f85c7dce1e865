//! The HTTP of the Runtime API, on a listener inside the environment's network namespace.

#[cfg(test)]
mod tests;

use std::convert::Infallible;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use base64::Engine as _;
use bytes::{Bytes, BytesMut};
use http::{HeaderMap, Method, Request, Response, StatusCode};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper_util::rt::{TokioIo, TokioTimer};
use lambent_core::limits;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, mpsc, oneshot};
use tokio::task::JoinHandle;

use super::extensions::{self, About, Extensions};
use super::session::{Polled, Refusal, Session};
use super::snapshots::{CREDENTIALS_PATH, Snapshots};
use super::stream::{self, Relayed, Sink};
use super::telemetry::{self, Telemetry};
use super::{Event, Reply, Signal};

const PREFIX: &str = "/2018-06-01/runtime/";

/// Connections that one environment may hold open here. Clients use one, extensions
/// one or two each; the rest is for the curious.
const CONNECTIONS_MAX: usize = 48;

/// How long a client may take to send a request's head, and any one piece of its body. Between requests a
/// connection may rest as long as it likes: frozen environments do.
const HEAD_TIMEOUT: Duration = Duration::from_secs(60);

/// What is read of an oversized response, to tell its size, before the connection is cut.
const OVERSIZE_READ_MAX: u64 = 32 * limits::MIB;

/// Compiled code of one function; our client sends no more.
const COMPILED_BYTES_MAX: usize = 24 * limits::MIB as usize;

/// Error documents are for people to read: what is over this is cut off from the caller.
const ERROR_DOCUMENT_BYTES_MAX: usize = limits::SYNC_PAYLOAD_BYTES_MAX;

/// Our own clients ask with this for the next event as the answer to their response: one exchange for each call
/// instead of two. Other clients know nothing of it.
const THEN: &str = "lambent-then";

/// Tells our own clients with `streaming` that the caller takes the answer in pieces.
const RESPONSE_MODE: &str = "Lambent-Response-Mode";

/// The Runtime API of one environment. Dropping it closes the listener and every connection.
pub struct Server {
    shared: Arc<Shared>,
    task: JoinHandle<()>,
}

struct Shared {
    state: Mutex<State>,
    signals: mpsc::UnboundedSender<Signal>,
    extensions: Arc<Extensions>,
    /// Emptied by the one time that it is used.
    keep_compiled: Mutex<Option<KeepCompiled>>,
    snapshots: Snapshots,
    make_room: std::sync::OnceLock<MakeRoom>,
    telemetry: Arc<Telemetry>,
}

/// Takes compiled code that the client sent. Blocks.
pub type KeepCompiled = Box<dyn FnOnce(&[u8]) + Send>;

/// Gives descriptors back to the node, which has none left for a client that connects.
pub type MakeRoom = Box<dyn Fn() + Send + Sync>;

/// How long until a client is accepted again that could not be.
const ACCEPT_AGAIN: Duration = Duration::from_millis(10);

#[derive(Default)]
struct State {
    session: Session,
    poller: Option<oneshot::Sender<Event>>,
    /// Delivered while the client's poll was broken off: the next poll takes it.
    undelivered: Option<Event>,
    /// Where the current call's response goes when the client streams it.
    stream: Option<Sink>,
    connected: bool,
}

impl Server {
    /// Serves on `listener`; what the client does is told through the receiver.
    pub fn start(
        listener: std::net::TcpListener,
        about: About,
        telemetry: Arc<Telemetry>,
    ) -> std::io::Result<(Self, mpsc::UnboundedReceiver<Signal>)> {
        listener.set_nonblocking(true)?;
        let listener = TcpListener::from_std(listener)?;
        let (signals, receiver) = mpsc::unbounded_channel();
        let shared = Arc::new(Shared {
            state: Mutex::default(),
            extensions: Arc::new(Extensions::new(about, signals.clone())),
            telemetry,
            signals,
            keep_compiled: Mutex::default(),
            snapshots: Snapshots::default(),
            make_room: std::sync::OnceLock::new(),
        });
        let task = tokio::spawn(accept(listener, shared.clone()));
        Ok((Self { shared, task }, receiver))
    }

    /// Who takes what the client compiled. Without it, nothing is taken.
    pub fn on_compiled(&self, keep: KeepCompiled) {
        *self.shared.lock_compiled() = Some(keep);
    }

    /// Who makes room when a client can't be accepted for want of descriptors. Its function's call is waiting, and
    /// would wait as long as its init may take.
    pub fn on_crowded(&self, make_room: MakeRoom) {
        let _ = self.shared.make_room.set(make_room);
    }

    /// Hands an event to the client, which must have been seen to wait for one.
    pub fn deliver(&self, mut event: Event) {
        if self.shared.extensions.any() {
            self.shared.extensions.invoke(&event);
        }
        let mut state = self.shared.lock();
        state.stream = event.stream.take();
        state.session.deliver(event.request_id.clone());
        let undelivered = match state.poller.take() {
            Some(poller) => poller.send(event).err(),
            None => Some(event),
        };
        state.undelivered = undelivered;
    }
}

impl Server {
    pub fn snapshots(&self) -> &Snapshots {
        &self.shared.snapshots
    }

    pub fn telemetry(&self) -> &Arc<Telemetry> {
        &self.shared.telemetry
    }

    pub fn extensions(&self) -> &Arc<Extensions> {
        &self.shared.extensions
    }

    /// The program that comes next is the runtime, whoever connected before.
    pub fn expect_runtime(&self) {
        self.shared.lock().connected = false;
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.task.abort();
        self.shared.telemetry.end();
    }
}

impl Shared {
    fn lock(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().expect("no code panics while it holds this lock")
    }

    fn lock_compiled(&self) -> std::sync::MutexGuard<'_, Option<KeepCompiled>> {
        self.keep_compiled.lock().expect("no code panics while it holds this lock")
    }

    fn signal(&self, signal: Signal) {
        // A closed receiver means that the environment is being torn down: nobody is left to tell.
        let _ = self.signals.send(signal);
    }
}

/// The next client, however often the node finds itself unable to take one in: `crowded` is told why each time, and
/// may make room.
pub async fn next_client(
    listener: &TcpListener,
    crowded: impl Fn(std::io::Error),
) -> (TcpStream, std::net::SocketAddr) {
    loop {
        match listener.accept().await {
            Ok(client) => return client,
            Err(error) => {
                crowded(error);
                tokio::time::sleep(ACCEPT_AGAIN).await;
            }
        }
    }
}

async fn accept(listener: TcpListener, shared: Arc<Shared>) {
    let permits = Arc::new(Semaphore::new(CONNECTIONS_MAX));
    let mut connections = tokio::task::JoinSet::new();
    loop {
        let (stream, _) = next_client(&listener, |error| {
            tracing::debug!(%error, "accept on a Runtime API listener");
            if let Some(make_room) = shared.make_room.get() {
                make_room();
            }
        })
        .await;
        while connections.try_join_next().is_some() {}
        let Ok(permit) = permits.clone().try_acquire_owned() else { continue };
        let _ = stream.set_nodelay(true);
        {
            let mut state = shared.lock();
            if !state.connected {
                state.connected = true;
                shared.signal(Signal::Connected);
            }
        }
        let shared = shared.clone();
        connections.spawn(async move {
            let service = hyper::service::service_fn(move |request| {
                let shared = shared.clone();
                async move { Ok::<_, Infallible>(handle(&shared, request).await) }
            });
            let _ = hyper::server::conn::http1::Builder::new()
                .timer(TokioTimer::new())
                .header_read_timeout(None)
                .keep_alive(true)
                .serve_connection(TokioIo::new(stream), service)
                .await;
            drop(permit);
        });
    }
}

async fn handle(shared: &Arc<Shared>, request: Request<Incoming>) -> Response<Full<Bytes>> {
    let path = request.uri().path().to_owned();
    let Some(route) = path.strip_prefix(PREFIX) else {
        return match path.strip_prefix(extensions::http::PREFIX) {
            Some(route) => extensions::http::handle(&shared.extensions, route, request).await,
            None => match path.trim_end_matches('/') {
                telemetry::http::PATH => {
                    telemetry::http::handle(&shared.telemetry, &shared.extensions, request).await
                }
                CREDENTIALS_PATH if request.method() == Method::GET => shared.snapshots.credentials(&request),
                telemetry::http::LOGS_PATH => telemetry::http::no_logs(),
                _ => not_found(),
            },
        };
    };
    match (request.method(), route) {
        (&Method::GET, "invocation/next") => next(shared).await,
        (&Method::POST, "init/error") => init_error(shared, request).await,
        (&Method::POST, "lambent/code") => compiled(shared, request).await,
        (&Method::POST, "lambent/snapshot") => told(shared, shared.snapshots.image(request).await),
        (&Method::POST, "lambent/snapshot/refused") => {
            told(shared, Snapshots::reason(request, |reason| Signal::SnapshotRefused { reason }).await)
        }
        (&Method::POST, "lambent/snapshot/unusable") => {
            told(shared, Snapshots::reason(request, |reason| Signal::SnapshotUnusable { reason }).await)
        }
        (&Method::POST, "restore/error") => restore_error(shared, request).await,
        (&Method::POST, route) => match route.strip_prefix("invocation/").and_then(|r| r.split_once('/')) {
            Some((id, "response")) => {
                let is_last = request.headers().get(THEN).is_none_or(|then| then != "next");
                match answer(shared, id, request, false).await {
                    Answered::Refused(response) => response,
                    Answered::Accepted if is_last => accepted(),
                    Answered::Accepted => next(shared).await,
                }
            }
            Some((id, "error")) => match answer(shared, id, request, true).await {
                Answered::Refused(response) => response,
                Answered::Accepted => accepted(),
            },
            _ => not_found(),
        },
        _ => not_found(),
    }
}

/// Gives the poll back when its connection breaks.
struct PollGuard<'a> {
    shared: &'a Shared,
    armed: bool,
}

impl Drop for PollGuard<'_> {
    fn drop(&mut self) {
        if self.armed {
            let mut state = self.shared.lock();
            state.session.poll_lost();
            state.poller = None;
        }
    }
}

async fn next(shared: &Arc<Shared>) -> Response<Full<Bytes>> {
    let receiver = {
        let mut state = shared.lock();
        if let Some(event) = state.undelivered.take() {
            return event_response(event, state.stream.is_some());
        }
        match state.session.poll() {
            Err(refusal) => return refuse(refusal),
            Ok(Polled::FirstTime) => shared.signal(Signal::InitDone),
            Ok(Polled::AfterAnswer) => shared.signal(Signal::Idle),
            Ok(Polled::Again) => {}
        }
        let (sender, receiver) = oneshot::channel();
        state.poller = Some(sender);
        receiver
    };
    let mut guard = PollGuard { shared, armed: true };
    match receiver.await {
        Ok(event) => {
            guard.armed = false;
            event_response(event, shared.lock().stream.is_some())
        }
        // The environment is being torn down.
        Err(_) => plain(StatusCode::GONE, "Gone", "The environment is shutting down"),
    }
}

fn event_response(event: Event, in_pieces: bool) -> Response<Full<Bytes>> {
    let mut response = Response::builder()
        .header("Content-Type", "application/json")
        .header("Lambda-Runtime-Aws-Request-Id", event.request_id.as_str())
        .header("Lambda-Runtime-Deadline-Ms", event.deadline_ms)
        .header("Lambda-Runtime-Invoked-Function-Arn", &event.invoked_arn);
    let optional = [
        ("Lambda-Runtime-Trace-Id", event.trace_header),
        ("Lambda-Runtime-Client-Context", event.client_context),
    ];
    for (name, value) in optional {
        // JSON may hold characters that a header can't: such a context is passed in its escaped form upstream,
        // and what still isn't a header value is left out rather than failing the call.
        if let Some(value) = value.and_then(|v| http::HeaderValue::from_bytes(v.as_bytes()).ok()) {
            response = response.header(name, value);
        }
    }
    if in_pieces {
        response = response.header(RESPONSE_MODE, "streaming");
    }
    response.body(Full::new(event.payload)).unwrap_or_else(|_| {
        plain(StatusCode::INTERNAL_SERVER_ERROR, "InternalError", "The event can't be put into a response")
    })
}

enum Answered {
    Accepted,
    Refused(Response<Full<Bytes>>),
}

async fn answer(shared: &Arc<Shared>, id: &str, request: Request<Incoming>, is_error: bool) -> Answered {
    if let Err(refusal) = shared.lock().session.may_answer(id) {
        return Answered::Refused(refuse(refusal));
    }
    if !is_error && is_streaming(request.headers()) {
        let stream = shared.lock().stream.take();
        if let Some(stream) = stream {
            return relay(shared, id, request, stream).await;
        }
    }
    let max = if is_error { ERROR_DOCUMENT_BYTES_MAX } else { limits::SYNC_PAYLOAD_BYTES_MAX };
    let Some(body) = read_body(request.into_body(), max).await else {
        return Answered::Refused(plain(StatusCode::BAD_REQUEST, "InvalidRequest", "The body ended early"));
    };
    let (reply, answered) = match body {
        Body::TooLarge { bytes } => {
            (Reply::TooLarge { bytes, max_bytes: max as u64 }, Answered::Refused(too_large(max as u64)))
        }
        Body::Whole { data, trailers } => {
            let reply = match stream_error(&trailers) {
                Some(document) => Reply::Error(document),
                None if is_error => Reply::Error(data),
                None => Reply::Response(data),
            };
            (reply, Answered::Accepted)
        }
    };
    // Of two answers that raced each other through their bodies, the first to get here counts.
    if let Err(refusal) = shared.lock().session.answer(id) {
        return Answered::Refused(refuse(refusal));
    }
    shared.signal(Signal::Answered(reply));
    answered
}

/// Whether the client sends its response as it makes it.
fn is_streaming(headers: &HeaderMap) -> bool {
    headers.get("lambda-runtime-function-response-mode").is_some_and(|mode| mode == "streaming")
}

/// Tells of a broken-off response also when the connection's end takes this side with it.
struct RelayGuard<'a> {
    shared: &'a Shared,
    armed: bool,
}

impl Drop for RelayGuard<'_> {
    fn drop(&mut self) {
        if self.armed {
            self.shared.signal(Signal::Answered(Reply::BrokenOff));
        }
    }
}

/// Hands a response on as it comes. It counts as the answer from its first byte.
async fn relay(shared: &Arc<Shared>, id: &str, request: Request<Incoming>, sink: Sink) -> Answered {
    if let Err(refusal) = shared.lock().session.answer(id) {
        return Answered::Refused(refuse(refusal));
    }
    let mut guard = RelayGuard { shared, armed: true };
    let content_type = request.headers().get(http::header::CONTENT_TYPE);
    let content_type = content_type.and_then(|value| value.to_str().ok());
    let content_type = content_type.unwrap_or("application/octet-stream").to_owned();
    let relayed = stream::relay(request.into_body(), content_type, sink).await;
    guard.armed = false;
    let max_bytes = limits::STREAM_PAYLOAD_BYTES_MAX;
    let (reply, answered) = match relayed {
        Relayed::Whole { trailers } => {
            let error = stream_error(&trailers);
            (error.map_or(Reply::Streamed, Reply::Error), Answered::Accepted)
        }
        Relayed::TooLarge { bytes } => {
            (Reply::TooLarge { bytes, max_bytes }, Answered::Refused(too_large(max_bytes)))
        }
        Relayed::BrokenOff => {
            let refused = plain(StatusCode::BAD_REQUEST, "InvalidRequest", "The body ended early");
            (Reply::BrokenOff, Answered::Refused(refused))
        }
    };
    shared.signal(Signal::Answered(reply));
    answered
}

async fn init_error(shared: &Arc<Shared>, request: Request<Incoming>) -> Response<Full<Bytes>> {
    let Some(body) = read_body(request.into_body(), ERROR_DOCUMENT_BYTES_MAX).await else {
        return plain(StatusCode::BAD_REQUEST, "InvalidRequest", "The body ended early");
    };
    let document = match body {
        Body::Whole { data, .. } => data,
        Body::TooLarge { .. } => Bytes::from_static(
            b"{\"errorType\":\"Runtime.InitError\",\"errorMessage\":\"The error document is too large\"}",
        ),
    };
    if let Err(refusal) = shared.lock().session.fail_init() {
        return refuse(refusal);
    }
    shared.signal(Signal::InitFailed { document });
    accepted()
}

/// The client is restored, and will not ask for an event.
async fn restore_error(shared: &Arc<Shared>, request: Request<Incoming>) -> Response<Full<Bytes>> {
    let Some(body) = read_body(request.into_body(), ERROR_DOCUMENT_BYTES_MAX).await else {
        return plain(StatusCode::BAD_REQUEST, "InvalidRequest", "The body ended early");
    };
    let document = match body {
        Body::Whole { data, .. } => data,
        Body::TooLarge { .. } => Bytes::from_static(b"{}"),
    };
    if let Err(refusal) = shared.lock().session.fail_init() {
        return refuse(refusal);
    }
    shared.signal(Signal::RestoreFailed { document });
    accepted()
}

/// Hands on what a request meant, and answers it.
fn told(
    shared: &Shared,
    (response, signal): (Response<Full<Bytes>>, Option<Signal>),
) -> Response<Full<Bytes>> {
    if let Some(signal) = signal {
        shared.signal(signal);
    }
    response
}

/// Code that our own client compiled: taken once of an environment.
async fn compiled(shared: &Arc<Shared>, request: Request<Incoming>) -> Response<Full<Bytes>> {
    let Some(keep) = shared.lock_compiled().take() else { return not_found() };
    let Some(Body::Whole { data, .. }) = read_body(request.into_body(), COMPILED_BYTES_MAX).await else {
        return plain(StatusCode::BAD_REQUEST, "InvalidRequest", "The body ended early, or is too large");
    };
    tokio::task::spawn_blocking(move || keep(&data));
    accepted()
}

pub enum Body {
    Whole { data: Bytes, trailers: HeaderMap },
    TooLarge { bytes: u64 },
}

/// Reads a body of at most `max` bytes; counts a larger one to its end, or to what is worth counting. `None`
/// when it breaks off.
pub async fn read_body(mut body: Incoming, max: usize) -> Option<Body> {
    let mut data = BytesMut::new();
    let mut first: Option<Bytes> = None;
    let mut trailers = HeaderMap::new();
    let mut bytes = 0u64;
    loop {
        let frame = match tokio::time::timeout(HEAD_TIMEOUT, body.frame()).await {
            Ok(Some(Ok(frame))) => frame,
            Ok(None) => break,
            Ok(Some(Err(_))) | Err(_) => return None,
        };
        match frame.into_data() {
            Ok(chunk) => {
                bytes += chunk.len() as u64;
                if bytes > OVERSIZE_READ_MAX {
                    return Some(Body::TooLarge { bytes });
                }
                if bytes > max as u64 {
                    data = BytesMut::new();
                    first = None;
                } else if first.is_none() && data.is_empty() {
                    first = Some(chunk);
                } else {
                    if let Some(first) = first.take() {
                        data.extend_from_slice(&first);
                    }
                    data.extend_from_slice(&chunk);
                }
            }
            Err(frame) => {
                if let Ok(map) = frame.into_trailers() {
                    trailers = map;
                }
            }
        }
    }
    if bytes > max as u64 {
        return Some(Body::TooLarge { bytes });
    }
    Some(Body::Whole { data: first.unwrap_or_else(|| data.freeze()), trailers })
}

/// A streamed response that failed after its start says so in its trailers.
fn stream_error(trailers: &HeaderMap) -> Option<Bytes> {
    let kind = trailers.get("lambda-runtime-function-error-type")?;
    let body = trailers
        .get("lambda-runtime-function-error-body")
        .and_then(|v| base64::engine::general_purpose::STANDARD.decode(v.as_bytes()).ok());
    Some(body.map(Bytes::from).unwrap_or_else(|| {
        let document = serde_json::json!({ "errorType": kind.to_str().unwrap_or("Runtime.StreamError"), "errorMessage": "" });
        Bytes::from(document.to_string())
    }))
}

pub fn accepted() -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(Bytes::from_static(b"{\"status\":\"OK\"}\n")));
    *response.status_mut() = StatusCode::ACCEPTED;
    json_type(&mut response);
    response
}

fn too_large(max_bytes: u64) -> Response<Full<Bytes>> {
    let message = format!("Exceeded maximum allowed payload size ({max_bytes} bytes).");
    plain(StatusCode::PAYLOAD_TOO_LARGE, "RequestEntityTooLarge", &message)
}

fn refuse(refusal: Refusal) -> Response<Full<Bytes>> {
    match refusal {
        Refusal::InvalidStateTransition => {
            plain(StatusCode::FORBIDDEN, "InvalidStateTransition", "State transition is not allowed")
        }
        Refusal::InvalidRequestId => plain(StatusCode::BAD_REQUEST, "InvalidRequestID", "Invalid request ID"),
    }
}

pub fn not_found() -> Response<Full<Bytes>> {
    plain(StatusCode::NOT_FOUND, "NotFound", "No such Runtime API operation")
}

pub fn plain(status: StatusCode, kind: &str, message: &str) -> Response<Full<Bytes>> {
    let document = serde_json::json!({ "errorMessage": message, "errorType": kind });
    let mut response = Response::new(Full::new(Bytes::from(document.to_string())));
    *response.status_mut() = status;
    json_type(&mut response);
    response
}

fn json_type(response: &mut Response<Full<Bytes>>) {
    response
        .headers_mut()
        .insert(http::header::CONTENT_TYPE, http::HeaderValue::from_static("application/json"));
}
