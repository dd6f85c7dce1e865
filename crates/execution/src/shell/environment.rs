//! The life of one environment: made, initialised, given calls one at a time, ended.
//!
//! An init that fails is not an error of the platform: the environment reports itself ready, and the first call
//! runs the init again inside its own time limit, as the reference does ("suppressed init"). Whatever ends a
//! call without an answer ends the environment too.

mod extensions;
mod maker;
mod process;
mod snapshot;
mod telling;

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use lambent_core::function::FunctionSpec;
use lambent_core::ids::RequestId;
use lambent_core::ports::sandbox::SandboxError;
use lambent_core::ports::{Answer, Invocation, InvokeRefusal, Outcome, ServedBy, Stages, Start};
use lambent_core::time::Timestamp;
use tokio::sync::{mpsc, oneshot};
use tokio::time::Instant;

pub use self::maker::Maker;
use self::maker::StartError;
use self::process::{Happened, INVALID_ENTRYPOINT, InitFailure, Process, failure_of, not_started};
pub use self::snapshot::make as make_snapshot;
use self::snapshot::{begin, refuse_after_restore};
pub use self::telling::preview;
use self::telling::{Followed, start_of, write_end, write_without_program};
use super::failure::{Failure, broken_off_document, too_large_document};
use super::report::{CallReport, First, RuntimeDone};
use crate::plan::keep_alive::Measured;
use crate::plan::{CallId, EnvironmentId, Purpose};
use crate::runtime_api::{Event, Reply, ShutdownReason, Signal, stream};

/// A call on its way into an environment.
pub struct Job {
    pub call: CallId,
    pub invocation: Invocation,
    pub reply: oneshot::Sender<Result<Answer, InvokeRefusal>>,
    pub served_by: ServedBy,
    /// How long it waited for its environment.
    pub waited: Duration,
    /// Where a response goes that the function streams.
    pub stream: Option<stream::Sink>,
}

/// Who is told what becomes of an environment.
pub trait Owner: Send + Sync {
    /// What it was found to cost. Told before it is ready, and now and then behind a call.
    fn measured(&self, environment: EnvironmentId, measured: Measured);
    fn ready(&self, environment: EnvironmentId);
    fn start_failed(&self, environment: EnvironmentId, error: SandboxError);
    /// The function's init failed in an environment that no call had asked for. It is gone.
    fn ahead_failed(&self, environment: EnvironmentId);
    /// A call is over, and its environment waits for the next one, or will never run another.
    fn finished(&self, call: CallId, environment: EnvironmentId, reusable: bool);
    /// Nothing of it is left.
    fn gone(&self, environment: EnvironmentId);
    /// The version's snapshot is missing, or of no use: another is to be made.
    fn remake_snapshot(&self, spec: &Arc<FunctionSpec>) {
        let _ = spec;
    }
    /// Makes room on the host by ending an idle environment. False when there is none.
    fn make_room(&self) -> bool;
}

/// What a call finds in its environment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Found {
    /// It was made for this call, or for another that waited beside it.
    Cold,
    /// It was made ahead, and this is its first call.
    Ahead,
    Warm,
}

/// Lives until `jobs` closes or the program ends.
pub async fn live(
    id: EnvironmentId,
    maker: Maker,
    owner: Arc<dyn Owner>,
    mut jobs: mpsc::UnboundedReceiver<Job>,
) {
    let maker = Arc::new(maker);
    let mut process = match first_start(&maker, owner.as_ref()).await {
        Ok(process) => process,
        Err(error) => {
            owner.start_failed(id, error);
            return;
        }
    };
    if process.is_none() && maker.purpose != Purpose::Call {
        owner.ahead_failed(id);
        return;
    }
    if let Some(process) = &process {
        let start = Some(process.stages.total());
        owner.measured(id, Measured { start, memory_bytes: Some(process.environment.memory_peak_bytes()) });
    }
    owner.ready(id);
    let mut calls = 0u32;
    // Whoever is served by an environment that was made ahead waited for no start.
    let mut found = if maker.purpose == Purpose::Call { Found::Cold } else { Found::Ahead };
    if let (Found::Ahead, Some(process)) = (found, &process) {
        maker.ports.metrics.started_ahead(&maker.spec, process.stages);
    }
    loop {
        let job = match wait(&mut process, &mut jobs).await {
            Ok(job) => job,
            Err(Ended) => {
                // A program that ends between calls. A call may have been sent here meanwhile: it gets a new
                // program, in this environment that the plan no longer counts on.
                if let Some(process) = process.take() {
                    process.end_after(&maker, None).await;
                }
                owner.gone(id);
                jobs.close();
                jobs.recv().await
            }
        };
        let Some(job) = job else { break };
        let mut end = End { owner: owner.as_ref(), environment: id, call: job.call, is_told: false };
        process = run(&maker, process.take(), job, found, &mut end).await;
        end.tell(process.is_some());
        found = Found::Warm;
        calls = calls.wrapping_add(1);
        // Its memory grows with its first calls, and seldom later.
        if calls.is_power_of_two()
            && let Some(process) = &process
        {
            let memory_bytes = Some(process.environment.memory_peak_bytes());
            owner.measured(id, Measured { start: None, memory_bytes });
        }
        if process.is_none() {
            owner.gone(id);
            break;
        }
    }
    if let Some(mut process) = process {
        process.shut_down(&maker, ShutdownReason::Spindown).await;
        process.end().await;
    }
}

/// Makes the sandbox and runs the init phase in its time. `None` is a failed init.
async fn first_start(maker: &Arc<Maker>, owner: &dyn Owner) -> Result<Option<Process>, SandboxError> {
    let limit = maker.init_timeout();
    let mut attempt = begin(maker, limit, None).await;
    while matches!(attempt, Err(StartError::Sandbox(SandboxError::Exhausted { .. }))) && owner.make_room() {
        attempt = begin(maker, limit, None).await;
    }
    let (process, outcome) = match attempt {
        Ok(begun) => begun,
        Err(StartError::Sandbox(SandboxError::Program { .. })) => return Ok(None),
        Err(StartError::Sandbox(error)) => return Err(error),
        Err(StartError::NoRuntime(_)) => return Ok(None),
    };
    match outcome {
        Ok(()) => {
            process.report_init("init", maker);
            Ok(Some(process))
        }
        Err(failure) => {
            maker.keep_restore_failure(&failure);
            process.report_init_failure("init", &failure, maker);
            process.end_after(maker, failure.failure()).await;
            Ok(None)
        }
    }
}

/// How long an environment stays awake behind a call. A call that follows at once finds it running, which saves
/// both calls the two turns of the freezer; code that runs on behind its answer gets this long and no more.
const FREEZE_AFTER: Duration = Duration::from_millis(3);

/// The program ended between calls.
struct Ended;

/// Waits for the next call, frozen but for the first moments. There is none where the environment is retired.
async fn wait(
    process: &mut Option<Process>,
    jobs: &mut mpsc::UnboundedReceiver<Job>,
) -> Result<Option<Job>, Ended> {
    let freeze_at = Instant::now() + FREEZE_AFTER;
    loop {
        let awake = process.as_ref().is_some_and(|process| !process.frozen);
        tokio::select! {
            biased;
            job = jobs.recv() => return Ok(job),
            () = ended(process) => return Err(Ended),
            () = tokio::time::sleep_until(freeze_at), if awake => {
                if !process.as_mut().is_some_and(Process::freeze) {
                    return Err(Ended);
                }
            }
        }
    }
}

async fn ended(process: &mut Option<Process>) {
    match process {
        Some(process) => {
            process.environment.exited().await;
        }
        None => std::future::pending().await,
    }
}

/// The end of a call, which its owner hears of once, and before whoever waits for an answer that is the last word of it:
/// the next call of such a caller finds the environment idle, or knows that it is lost.
struct End<'a> {
    owner: &'a dyn Owner,
    environment: EnvironmentId,
    call: CallId,
    is_told: bool,
}

impl End<'_> {
    fn tell(&mut self, reusable: bool) {
        if !std::mem::replace(&mut self.is_told, true) {
            self.owner.finished(self.call, self.environment, reusable);
        }
    }
}

/// How a call came out, before its log lines are written.
struct Ran {
    outcome: Outcome,
    failure: Option<Failure>,
    handler: Duration,
    began: Instant,
}

/// Runs one call. Gives the process back when it can run another.
async fn run(
    maker: &Arc<Maker>,
    process: Option<Process>,
    job: Job,
    found: Found,
    end: &mut End<'_>,
) -> Option<Process> {
    let Job { invocation, reply, served_by, stream, waited, .. } = job;
    let timeout = maker.spec.timeout;
    let came = Instant::now();
    let deadline = came + timeout;
    let now = maker.ports.clock.now();
    let at = Timestamp::from_millis(now.as_millis().saturating_sub(waited.as_millis() as u64));
    let process = match process {
        // It failed while no call ran: this call has it started again, as the reference does.
        Some(process) if process.fault().is_some() => {
            process.end_after(maker, None).await;
            None
        }
        other => other,
    };
    let had_process = process.is_some();
    if !had_process && let Some(refusal) = maker.take_restore_failure() {
        end.tell(false);
        refuse_after_restore(maker, invocation, reply, refusal, (at, waited));
        return None;
    }
    let mut process = match process {
        Some(process) => process,
        None => match again(maker, timeout, &invocation.request_id, invocation.tail_log).await {
            Ok(process) => process,
            Err(_) if let Some(refusal) = maker.take_restore_failure() => {
                end.tell(false);
                refuse_after_restore(maker, invocation, reply, refusal, (at, waited));
                return None;
            }
            Err(Failed { document, log_tail, report }) => {
                let cold = Some(Stages::default());
                let outcome = Outcome::Failed(document);
                let answer = Answer { outcome, log_tail, cold, handler: Duration::ZERO };
                let start = Start::Cold { stages: Stages::default(), why: maker.why };
                let followed = Followed { maker, invocation, served_by, at, waited, start };
                followed.ended(&answer, &report);
                end.tell(false);
                let _ = reply.send(Ok(answer));
                return None;
            }
        },
    };
    let request_id = &invocation.request_id;
    let start = start_of(found, !had_process, &process, maker.why);
    let cold = (found == Found::Cold || !had_process).then_some(process.stages);
    let ran = call(maker, &mut process, &invocation, stream, deadline).await;
    let mut answer = Answer { outcome: ran.outcome, log_tail: None, cold, handler: ran.handler };
    let failed = matches!(answer.outcome, Outcome::Failed(_));
    if process.pump.wants_events() {
        let produced_bytes = match &answer.outcome {
            Outcome::Returned(payload) => Some(payload.len()),
            _ => None,
        };
        let done = RuntimeDone {
            took: answer.handler,
            failure: ran.failure.as_ref(),
            errored: failed,
            produced_bytes,
        };
        process.lines(maker).runtime_done(request_id, &done, maker.ports.clock.now());
    }
    let reply = if invocation.tail_log {
        Some(reply)
    } else {
        if ran.failure.is_some() {
            end.tell(false);
        }
        let _ = reply.send(Ok(answer.clone()));
        // The answer leaves first; what is left to do here is nobody's wait.
        tokio::task::yield_now().await;
        None
    };
    let after = match ran.failure {
        Some(failure) => Err(Some(failure)),
        None => until_idle(&mut process, deadline, timeout).await,
    };
    let idle = after.is_ok();
    let failure = after.err().flatten();
    // The time of extensions counts, and that of an init inside the call.
    let before = if had_process { Duration::ZERO } else { ran.began - came };
    let has_extensions = process.server.extensions().any();
    let first = (found != Found::Warm || !had_process).then(|| First {
        made: process.made,
        stages: process.stages,
        began: now.plus(ran.began - came),
        handler: ran.handler,
    });
    let report = CallReport {
        duration: before + if has_extensions { ran.began.elapsed() } else { ran.handler },
        init: cold.filter(|_| had_process && !process.restores).map(|s| s.runtime + s.init),
        restore: cold.filter(|_| had_process && process.restores),
        memory_peak_bytes: process.environment.memory_peak_bytes(),
        failure: failure.clone(),
        errored: failed,
        first,
    };
    write_end(maker, &process, request_id, &report);
    Followed { maker, invocation, served_by, at, waited, start }.ended(&answer, &report);
    if let Some(reply) = reply {
        answer.log_tail = process.pump.flush().await;
        // Not before: a node that stops lets calls end that are in flight.
        end.tell(idle);
        let _ = reply.send(Ok(answer));
    }
    end.tell(idle);
    if !idle {
        process.end_after(maker, failure.as_ref()).await;
        return None;
    }
    Some(process)
}

/// What a call comes to whose init fails once more.
struct Failed {
    document: Bytes,
    log_tail: Option<Bytes>,
    report: CallReport,
}

/// The init of an environment whose first one failed, inside a call.
async fn again(
    maker: &Arc<Maker>,
    limit: Duration,
    request_id: &RequestId,
    tail_log: bool,
) -> Result<Process, Failed> {
    let began = Instant::now();
    let (process, outcome) = match begin(maker, limit, Some(tail_log)).await {
        Ok(begun) => begun,
        Err(error) => return Err(not_even_started(maker, &error, began, request_id, tail_log).await),
    };
    let failure = match outcome {
        Ok(()) => {
            process.report_init("invoke", maker);
            return Ok(process);
        }
        Err(failure) => failure,
    };
    maker.keep_restore_failure(&failure);
    process.report_init_failure("invoke", &failure, maker);
    let now = maker.ports.clock.now();
    process.pump.platform(process.lines(maker).start(request_id, now));
    let report = CallReport {
        duration: began.elapsed(),
        init: None,
        restore: None,
        memory_peak_bytes: process.environment.memory_peak_bytes(),
        failure: Some(failure.told()),
        errored: true,
        first: None,
    };
    let (document, failure) = match failure {
        InitFailure::Reported(document) => (document, None),
        InitFailure::Ended(failure) | InitFailure::AfterRestore(failure) => {
            (failure.document(request_id), Some(failure))
        }
        InitFailure::NotRestored(detail) => {
            (start_document(&StartError::Sandbox(SandboxError::Internal { detail }), request_id), None)
        }
        InitFailure::NotStarted(error) => (start_document(&StartError::Sandbox(error), request_id), None),
    };
    write_end(maker, &process, request_id, &report);
    let log_tail = process.pump.flush().await;
    process.end_after(maker, failure.as_ref()).await;
    Err(Failed { document, log_tail, report })
}

/// A call whose program can't be started: there is no process that would tell of it.
async fn not_even_started(
    maker: &Maker,
    error: &StartError,
    began: Instant,
    request_id: &RequestId,
    tail_log: bool,
) -> Failed {
    let failure = match error {
        StartError::Sandbox(error) => not_started(error),
        StartError::NoRuntime(_) => Failure::Init { kind: INVALID_ENTRYPOINT.into() },
    };
    let report = CallReport {
        duration: began.elapsed(),
        init: None,
        restore: None,
        memory_peak_bytes: 0,
        failure: Some(failure),
        errored: true,
        first: None,
    };
    let said = write_without_program(maker, request_id, ("invoke", report.duration), &report).await;
    Failed { document: start_document(error, request_id), log_tail: tail_log.then_some(said), report }
}

/// A program that can't be started is the function's failure; its document names the program.
fn start_document(error: &StartError, request_id: &RequestId) -> Bytes {
    let (kind, text) = match error {
        StartError::Sandbox(SandboxError::Program { program, detail, .. }) => {
            (INVALID_ENTRYPOINT, format!("fork/exec {program}: {detail}"))
        }
        StartError::NoRuntime(reason) => (INVALID_ENTRYPOINT, reason.clone()),
        StartError::Sandbox(error) => ("Sandbox.Failure", error.to_string()),
    };
    let document = serde_json::json!({
        "errorType": kind, "errorMessage": format!("RequestId: {request_id} Error: {text}"),
    });
    Bytes::from(document.to_string())
}

async fn call(
    maker: &Maker,
    process: &mut Process,
    invocation: &Invocation,
    stream: Option<stream::Sink>,
    deadline: Instant,
) -> Ran {
    let Maker { spec, ports, .. } = maker;
    let request_id = &invocation.request_id;
    let now = ports.clock.now();
    process.pump.begin_call(invocation.tail_log, process.lines(maker).start(request_id, now));
    process.thaw();
    let began = Instant::now();
    process.server.deliver(Event {
        request_id: request_id.clone(),
        deadline_ms: ports.clock.wall().plus(deadline.saturating_duration_since(began)).as_millis(),
        invoked_arn: invocation.invoked_arn.clone(),
        trace_header: invocation.trace_header.clone(),
        client_context: invocation.client_context.clone(),
        payload: invocation.payload.clone(),
        stream,
    });
    let (outcome, failure) = loop {
        match process.next(deadline).await {
            Happened::Signal(Signal::Answered(Reply::BrokenOff)) => {
                break broken_off(process, request_id, deadline).await;
            }
            Happened::Signal(Signal::Answered(reply)) => break (outcome_of(reply, request_id), None),
            Happened::Signal(Signal::Extensions) => {
                if let Some(failure) = process.fault() {
                    break (Outcome::Failed(failure.document(request_id)), Some(failure));
                }
            }
            Happened::Signal(_) => {}
            Happened::Exit(exit) => {
                let failure = failure_of(exit);
                break (Outcome::Failed(failure.document(request_id)), Some(failure));
            }
            Happened::Deadline => {
                let failure = Failure::TimedOut { after: spec.timeout };
                break (Outcome::Failed(failure.document(request_id)), Some(failure));
            }
        }
    };
    Ran { outcome, failure, handler: began.elapsed(), began }
}

/// How long after its response broke off a program's end may come to be known: the two are mostly one.
const END_AFTER_BREAK: Duration = Duration::from_secs(1);

/// A streamed response that broke off: the program's end tells why, when there is one.
async fn broken_off(
    process: &mut Process,
    request_id: &RequestId,
    deadline: Instant,
) -> (Outcome, Option<Failure>) {
    let until = deadline.min(Instant::now() + END_AFTER_BREAK);
    loop {
        match process.next(until).await {
            Happened::Exit(exit) => {
                let failure = failure_of(exit);
                return (Outcome::Failed(failure.document(request_id)), Some(failure));
            }
            Happened::Signal(_) => {}
            Happened::Deadline => return (outcome_of(Reply::BrokenOff, request_id), None),
        }
    }
}

fn outcome_of(reply: Reply, request_id: &RequestId) -> Outcome {
    match reply {
        Reply::Response(payload) => Outcome::Returned(payload),
        Reply::Error(document) => Outcome::Failed(document),
        Reply::Streamed => Outcome::Returned(Bytes::new()),
        Reply::BrokenOff => Outcome::Failed(broken_off_document(request_id)),
        Reply::TooLarge { bytes, max_bytes } => Outcome::Failed(too_large_document(bytes, max_bytes)),
    }
}

/// After its answer a client asks for the next event, and so does each extension that was given one, or their
/// environment is not used again. An error is why, where that is to be told.
async fn until_idle(
    process: &mut Process,
    deadline: Instant,
    timeout: Duration,
) -> Result<(), Option<Failure>> {
    let mut is_up = false;
    while !(is_up && process.extensions_are_ready()) {
        match process.next(deadline).await {
            Happened::Signal(Signal::Idle) => is_up = true,
            Happened::Signal(Signal::Extensions) => match process.fault() {
                Some(failure) => return Err(Some(failure)),
                None => continue,
            },
            Happened::Signal(_) => {}
            Happened::Exit(_) => return Err(None),
            Happened::Deadline if is_up => return Err(Some(Failure::TimedOut { after: timeout })),
            Happened::Deadline => return Err(None),
        }
    }
    Ok(())
}
