//! Invoke: the hot path. It reads the store's memory, writes nothing, and does not touch the payload but to
//! see that it is JSON.

use std::sync::Arc;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use http::{HeaderName, HeaderValue};
use lambent_core::ids::RequestId;
use lambent_core::limits::{ASYNC_PAYLOAD_BYTES_MAX, SYNC_PAYLOAD_BYTES_MAX};
use lambent_core::ports::{
    Answer, EventSample, Invocation, InvokeRefusal, Origin, Outcome, Source, StreamedAnswer,
};
use lambent_store::functions::{FunctionRecord, State, VersionRecord};
use lambent_wire::{Request, Response};
use serde::de::IgnoredAny;

use super::check::Check;
use super::target::Target;
use super::{Call, empty, rules, target};
use crate::Functions;
use crate::async_calls;
use crate::engine::versions::{self, Resolved};
use crate::engine::{policy, recursion, settle, snap_start};
use crate::error::Error;

/// Ours: how long a call waits for a function that is still Pending.
const PENDING_WAIT_MAX: Duration = Duration::from_secs(10);

/// Our own header: where the time went, for the command line. Times are in milliseconds.
const TIMING: HeaderName = HeaderName::from_static("x-lambent-timing");
pub const EXECUTED_VERSION: HeaderName = HeaderName::from_static("x-amz-executed-version");
const FUNCTION_ERROR: HeaderName = HeaderName::from_static("x-amz-function-error");
const LOG_RESULT: HeaderName = HeaderName::from_static("x-amz-log-result");

/// Headers of members that are not served, and the members.
pub const REFUSED_HEADERS: [(&str, &str); 2] =
    [REFUSED_TENANT, ("x-amz-durable-execution-name", "DurableExecutionName")];
pub const REFUSED_TENANT: (&str, &str) = ("x-amz-tenant-id", "TenantId");

/// What an empty payload stands for.
const EMPTY_EVENT: Bytes = Bytes::from_static(b"{}");

pub struct Input {
    pub is_dry_run: bool,
    pub is_event: bool,
    tail_log: bool,
    client_context: Option<String>,
    payload: Bytes,
}

pub async fn serve(functions: &Functions, call: Call<'_>) -> Result<Response, Error> {
    let target = target::read_from_anyone(&call)?;
    let input = read(call.request, &["Event", "RequestResponse", "DryRun"], &REFUSED_HEADERS)?;
    authorise(functions, &call, &target)?;
    if input.is_event {
        return accept(functions, &call, &target, input).await;
    }
    let (record, found) = find_invocable(functions, &target).await?;
    if input.is_dry_run {
        return Ok(empty(204));
    }
    let work = work(functions, call.request, input);
    let executed = found.version.version;
    let invocation = invocation(functions, &target, &record, &found, work)?;
    match functions.deps.invoke.invoke(invocation).await {
        Ok(answer) => Ok(respond(answer, &executed.to_string())),
        Err(refusal) => Err(refused(refusal)),
    }
}

/// What a call brings, whichever way it came.
pub struct Work {
    pub request_id: RequestId,
    pub payload: Bytes,
    pub client_context: Option<String>,
    pub trace_header: String,
    pub tail_log: bool,
    pub origin: Origin,
}

/// The work that a request of the API asks for.
pub fn work(functions: &Functions, request: &Request, input: Input) -> Work {
    Work {
        request_id: request.request_id.clone(),
        payload: input.payload,
        client_context: input.client_context,
        trace_header: trace(functions, request.headers.get("x-amzn-trace-id")),
        tail_log: input.tail_log,
        origin: Origin::of(Source::Invoke, &request.caller.principal_arn),
    }
}

/// As [`run`], with the answer handed on as the function makes it.
pub async fn run_streaming(
    functions: &Functions,
    target: &Target,
    work: Work,
) -> Result<StreamedAnswer, Error> {
    let (record, found) = find_invocable(functions, target).await?;
    let invocation = invocation(functions, target, &record, &found, work)?;
    functions.deps.invoke.invoke_streaming(invocation).await.map_err(refused)
}

/// Runs a call of a caller that was let pass.
pub async fn run(functions: &Functions, target: &Target, work: Work) -> Result<Answer, Error> {
    let (record, found) = find_invocable(functions, target).await?;
    let invocation = invocation(functions, target, &record, &found, work)?;
    functions.deps.invoke.invoke(invocation).await.map_err(refused)
}

pub fn invocation(
    functions: &Functions,
    target: &Target,
    record: &Arc<FunctionRecord>,
    found: &Resolved,
    work: Work,
) -> Result<Invocation, Error> {
    let traced = recursion::advance(&work.trace_header, &target.arn(), record.recursive_loop);
    if traced.is_over {
        functions.deps.metrics.event(&target.arn(), EventSample::WentRound);
        return Err(Error::RecursiveInvocation);
    }
    Ok(Invocation {
        spec: functions.specs.of(record, &found.version)?,
        request_id: work.request_id,
        invoked_arn: target.qualified_arn(),
        payload: work.payload,
        client_context: work.client_context,
        trace_header: Some(traced.header),
        reserved_concurrency: record.reserved_concurrency,
        unreserved_concurrency: functions.unreserved_concurrency(&target.key.account, &target.key.region),
        tail_log: work.tail_log,
        origin: work.origin,
    })
}

pub fn refused(refusal: InvokeRefusal) -> Error {
    match refusal {
        InvokeRefusal::Throttled(reason) => Error::Throttled(reason),
        InvokeRefusal::NoEnvironment { detail } => Error::NoEnvironment { detail },
        InvokeRefusal::WaitedTooLong { detail } => Error::WaitedTooLong { detail },
        InvokeRefusal::AfterRestore => Error::AfterRestore,
        InvokeRefusal::AfterRestoreTimedOut => Error::AfterRestoreTimedOut,
        InvokeRefusal::Stopping => Error::Stopping,
    }
}

/// The trace that a call belongs to: the one that it names, or a new one.
pub fn trace(functions: &Functions, header: Option<&HeaderValue>) -> String {
    match header.and_then(|value| value.to_str().ok()) {
        Some(header) => header.to_owned(),
        None => new_trace(functions),
    }
}

/// Holds a payload to the limit of a synchronous call.
pub fn checked_size(payload: Bytes) -> Result<Bytes, Error> {
    hold_to(payload, "RequestResponse", SYNC_PAYLOAD_BYTES_MAX)
}

fn hold_to(payload: Bytes, invocation_type: &'static str, max_bytes: usize) -> Result<Bytes, Error> {
    match payload.len() {
        bytes if bytes > max_bytes => Err(Error::PayloadTooLarge { bytes, invocation_type, max_bytes }),
        _ => Ok(payload),
    }
}

/// Accepts an asynchronous call: the answer comes when it is on the disk, before it is tried.
async fn accept(
    functions: &Functions,
    call: &Call<'_>,
    target: &Target,
    input: Input,
) -> Result<Response, Error> {
    let record = functions.record(target)?;
    async_calls::check_target(&record, target)?;
    let trace = trace(functions, call.request.headers.get("x-amzn-trace-id"));
    let mut event = async_calls::event_of(target, &input.payload, trace, input.client_context)?;
    event.by = call.request.caller.principal_arn.clone();
    functions.accept_event(call.request.request_id.clone(), &event).await?;
    Ok(empty(202))
}

/// Reads a call. `types` are the invocation types that the operation's model has, `refused` the headers that it has
/// and that are not served.
pub fn read(request: &Request, types: &[&str], refused: &[(&str, &str)]) -> Result<Input, Error> {
    let mut check = Check::default();
    let invocation_type = request.header("x-amz-invocation-type").unwrap_or("RequestResponse");
    check.choice("invocationType", invocation_type, types);
    let log_type = request.header("x-amz-log-type").unwrap_or("None");
    check.choice("logType", log_type, &["None", "Tail"]);
    let client_context = request.header("x-amz-client-context").filter(|context| !context.is_empty());
    if let Some(context) = client_context {
        check.text("clientContext", context, &rules::CLIENT_CONTEXT);
    }
    check.finish()?;
    for (header, parameter) in refused {
        if request.headers.contains_key(*header) {
            return Err(Error::UnsupportedParameter { parameter: (*parameter).to_owned() });
        }
    }
    let is_event = invocation_type == "Event";
    let client_context = client_context.map(decode_client_context).transpose()?;
    Ok(Input {
        is_dry_run: invocation_type == "DryRun",
        is_event,
        tail_log: log_type == "Tail",
        client_context,
        payload: checked_payload(&request.body, is_event)?,
    })
}

fn decode_client_context(text: &str) -> Result<String, Error> {
    let bytes = STANDARD.decode(text).map_err(|_| Error::UnreadableClientContext)?;
    let json = String::from_utf8(bytes).map_err(|_| Error::UnreadableClientContext)?;
    match serde_json::from_str::<serde_json::Map<String, serde_json::Value>>(&json) {
        Ok(_) => Ok(json),
        Err(_) => Err(Error::UnreadableClientContext),
    }
}

fn checked_payload(body: &Bytes, is_event: bool) -> Result<Bytes, Error> {
    let body = match is_event {
        true => hold_to(body.clone(), "Event", ASYNC_PAYLOAD_BYTES_MAX)?,
        false => checked_size(body.clone())?,
    };
    if body.is_empty() {
        return Ok(EMPTY_EVENT);
    }
    let unreadable = |detail: String| Error::UnreadableJson { detail };
    let text = std::str::from_utf8(&body).map_err(|error| unreadable(error.to_string()))?;
    match serde_json::from_str::<IgnoredAny>(text) {
        Ok(_) => Ok(body),
        Err(error) => Err(unreadable(error.to_string())),
    }
}

/// An account may call its own functions, and those whose policy says so.
pub fn authorise(functions: &Functions, call: &Call<'_>, target: &Target) -> Result<(), Error> {
    let caller = &call.request.caller;
    if target.key.account == caller.account {
        return Ok(());
    }
    let granted = functions.deps.store.function(&target.key).is_some_and(|record| {
        let asker = policy::Asker { account: &caller.account, arn: &caller.principal_arn };
        policy::grants_invoke(&record, target.qualifier.as_deref(), asker)
    });
    // Whether the function is there is no business of a stranger's.
    if granted { Ok(()) } else { Err(call.denied(target.qualified_arn())) }
}

/// The version that the call goes to, once it is Active.
pub async fn find_invocable(
    functions: &Functions,
    target: &Target,
) -> Result<(Arc<FunctionRecord>, Resolved), Error> {
    let (record, found) = find(functions, target)?;
    if is_ready(&found.version) {
        return Ok((record, found));
    }
    // Not at rest, or failed for want of a runtime that the node may have been given since.
    let settle = async {
        loop {
            let settled = functions.settled.notified();
            functions.settle_function(&target.key).await;
            let (record, found) = find(functions, target)?;
            if settle::version_is_settled(&found.version) {
                return Ok((record, found));
            }
            settled.await;
        }
    };
    let (record, found) = match tokio::time::timeout(PENDING_WAIT_MAX, settle).await {
        Ok(found) => found?,
        Err(_) => find(functions, target)?,
    };
    match &found.version.state {
        State::Active => Ok((record, found)),
        State::Pending { .. } if snap_start::awaits_snapshot(&found.version) => Err(Error::SnapStartNotReady),
        State::Pending { .. } => Err(Error::NotInvocable { state: "Pending", reason: None }),
        State::Failed { reason, .. } => {
            Err(Error::NotInvocable { state: "Failed", reason: Some(reason.clone()) })
        }
    }
}

fn find(functions: &Functions, target: &Target) -> Result<(Arc<FunctionRecord>, Resolved), Error> {
    let record = functions.record(target)?;
    let found = versions::resolve(&record, target.qualifier.as_deref(), || functions.draw())?;
    Ok((record, found))
}

fn is_ready(version: &VersionRecord) -> bool {
    version.state == State::Active && settle::version_is_settled(version)
}

/// X-Ray's header for a call that belongs to no trace yet: every call shows one, sampled or not.
pub fn new_trace(functions: &Functions) -> String {
    let mut bytes = [0; 24];
    functions.deps.entropy.fill(&mut bytes);
    let [root, middle, parent] = [0, 8, 16].map(|at| {
        u64::from_be_bytes(bytes[at..at + 8].try_into().expect("a slice of eight bytes has eight"))
    });
    let secs = functions.deps.clock.now().as_secs();
    format!("Root=1-{secs:08x}-{root:016x}{:08x};Parent={parent:016x};Sampled=0", middle as u32)
}

fn respond(answer: Answer, executed: &str) -> Response {
    let timing = timing(&answer);
    let (payload, has_failed) = match answer.outcome {
        Outcome::Returned(payload) => (payload, false),
        Outcome::Failed(payload) => (payload, true),
    };
    let mut response = Response::new(payload);
    let headers = response.headers_mut();
    headers.insert(http::header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    let mut put = |name: HeaderName, value: &str| {
        // All of them are ASCII that this crate made; one that were not would be left out.
        if let Ok(value) = HeaderValue::from_str(value) {
            headers.insert(name, value);
        }
    };
    put(EXECUTED_VERSION, executed);
    put(TIMING, &timing);
    if has_failed {
        put(FUNCTION_ERROR, "Unhandled");
    }
    if let Some(tail) = answer.log_tail {
        put(LOG_RESULT, &STANDARD.encode(tail));
    }
    response
}

fn timing(answer: &Answer) -> String {
    let ms = |duration: Duration| format!("{:.2}", duration.as_secs_f64() * 1000.0);
    let handler = ms(answer.handler);
    match &answer.cold {
        None => format!("cold=0;handler={handler}"),
        Some(stages) => format!(
            "cold=1;sandbox={};code={};runtime={};init={};handler={handler}",
            ms(stages.sandbox),
            ms(stages.code),
            ms(stages.runtime),
            ms(stages.init),
        ),
    }
}
