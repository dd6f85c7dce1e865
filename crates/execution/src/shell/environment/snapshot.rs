//! SnapStart: an init that becomes a snapshot, and environments that begin with one.

use std::sync::{Arc, PoisonError};
use std::time::Duration;

use lambent_core::limits::MIB;
use lambent_core::ports::sandbox::SandboxError;
use lambent_core::ports::{Answer, CallEnd, CallHop, Invocation, InvokeRefusal, SnapshotFailure};
use lambent_core::time::Timestamp;
use tokio::sync::oneshot;
use tokio::time::Instant;

use super::maker::{Maker, StartError};
use super::process::{Happened, InitFailure, Process, failure_of};
use super::telling::preview;
use crate::runtime_api::Signal;
use crate::shell::failure::Failure;

/// What a snapshot may have beside the function's memory: its description, and the files' parts that were changed.
const BEYOND_MEMORY_BYTES: u64 = 64 * MIB;

/// StateReasonCodes of the model.
const INIT_TIMEOUT: &str = "FunctionError.InitTimeout";
const INIT_ERROR: &str = "FunctionError.RuntimeInitError";
const NO_MEMORY: &str = "FunctionError.InitResourceExhausted";
const INVALID_ENTRY_POINT: &str = "FunctionError.InvalidEntryPoint";
const FUNCTION_ERROR: &str = "FunctionError";

/// Runs the init of a version and keeps what it comes to.
pub async fn make(maker: Maker) -> Result<(), SnapshotFailure> {
    let maker = Arc::new(maker.for_snapshot());
    let function = |code, reason: String| SnapshotFailure::Function { code, reason };
    let extensions = maker.extensions();
    if !extensions.is_empty() {
        let reason = format!(
            "SnapStart: the snapshot holds the runtime alone, and the function has extensions: {}",
            extensions.join(", ")
        );
        return Err(function(FUNCTION_ERROR, reason));
    }
    let mut process = match maker.start().await {
        Ok(process) => process,
        Err(StartError::NoRuntime(reason)) => return Err(function(INVALID_ENTRY_POINT, reason)),
        Err(StartError::Sandbox(SandboxError::Program { program, detail, .. })) => {
            return Err(function(INVALID_ENTRY_POINT, format!("fork/exec {program}: {detail}")));
        }
        Err(StartError::Sandbox(error)) => return Err(SnapshotFailure::Host { detail: error.to_string() }),
    };
    let started_as = maker.ports.launcher.started_as(&maker.spec);
    let bytes_max = u64::from(maker.spec.memory_mb) * MIB + BEYOND_MEMORY_BYTES;
    let (snapshots, spec) = (maker.ports.snapshots.clone(), Arc::clone(&maker.spec));
    process
        .server
        .snapshots()
        .on_image(Box::new(move |parts| snapshots.keep(&spec, started_as, bytes_max, parts)));
    let limit = maker.init_timeout();
    let outcome = taken(&mut process, limit).await;
    let took = process.started.elapsed();
    let lines = process.lines(&maker);
    let (now, kind) = (maker.ports.clock.now(), maker.initialization_type());
    match outcome {
        Ok(()) => {
            process.pump.platform(lines.init_report_done(kind, took, now));
            process.end().await;
            Ok(())
        }
        Err(unmade) => {
            if let Some(failure) = unmade.failure() {
                process.pump.platform(lines.init_report(kind, took, "init", &failure, now));
            }
            process.end().await;
            Err(unmade.told())
        }
    }
}

/// Why there is no snapshot of an init.
enum Unmade {
    /// Something stands in its way, in words for people.
    Refused(String),
    Failed(InitFailure),
}

impl Unmade {
    fn failure(&self) -> Option<Failure> {
        match self {
            Self::Refused(_) => None,
            Self::Failed(failure) => Some(failure.told()),
        }
    }

    fn told(self) -> SnapshotFailure {
        let (code, reason) = match self {
            Self::Refused(reason) => {
                (FUNCTION_ERROR, format!("SnapStart: the function's init can't become a snapshot: {reason}"))
            }
            Self::Failed(InitFailure::Reported(document)) => (INIT_ERROR, init_error(&document)),
            Self::Failed(failure) => {
                let failure = failure.told();
                let code = match failure {
                    Failure::TimedOut { .. } => INIT_TIMEOUT,
                    Failure::OutOfMemory => NO_MEMORY,
                    _ => INIT_ERROR,
                };
                (code, format!("{}: {}", failure.error_type(), failure.message()))
            }
        };
        SnapshotFailure::Function { code, reason: reason.chars().take(REASON_CHARS_MAX).collect() }
    }
}

/// Ours: of a StateReason.
const REASON_CHARS_MAX: usize = 2_000;

fn init_error(document: &[u8]) -> String {
    let document: serde_json::Value = serde_json::from_slice(document).unwrap_or_default();
    let text =
        |name: &str| document.get(name).and_then(serde_json::Value::as_str).unwrap_or_default().to_owned();
    format!("{}: {}", text("errorType"), text("errorMessage"))
}

async fn taken(process: &mut Process, limit: Duration) -> Result<(), Unmade> {
    let deadline = Instant::now() + limit;
    loop {
        match process.next(deadline).await {
            Happened::Signal(Signal::SnapshotTaken) => return Ok(()),
            Happened::Signal(Signal::SnapshotRefused { reason }) => return Err(Unmade::Refused(reason)),
            Happened::Signal(Signal::InitFailed { document }) => {
                return Err(Unmade::Failed(InitFailure::Reported(document)));
            }
            Happened::Signal(Signal::InitDone) => {
                return Err(Unmade::Refused("its runtime makes none".to_owned()));
            }
            Happened::Signal(_) => {}
            Happened::Exit(exit) => return Err(Unmade::Failed(InitFailure::Ended(failure_of(exit)))),
            Happened::Deadline => {
                return Err(Unmade::Failed(InitFailure::Ended(Failure::TimedOut { after: limit })));
            }
        }
    }
}

/// How often a start that came to nothing is followed by another. Without its snapshot it is a start as any other.
const ATTEMPTS_MAX: u32 = 2;

/// Starts a program and has it initialised; a snapshot that turns out to be of no use is done without. `tail` is of the
/// call that waits, whose log begins here.
pub async fn begin(
    maker: &Arc<Maker>,
    limit: Duration,
    tail: Option<bool>,
) -> Result<(Process, Result<(), InitFailure>), StartError> {
    let mut attempts = 0;
    loop {
        let mut process = match maker.start().await {
            // Another environment may have found the snapshot to be of no use just when this one was to have it mounted.
            Err(StartError::Sandbox(SandboxError::Internal { detail }))
                if maker.spec.snap_start && attempts < ATTEMPTS_MAX =>
            {
                tracing::debug!(detail, "an environment with SnapStart is started again");
                attempts += 1;
                continue;
            }
            other => other?,
        };
        if let Some(tail) = tail {
            process.pump.begin_call(tail, None);
        }
        let outcome = process.initialise(limit).await;
        if let Some(reason) = process.unusable.take() {
            maker.snapshot_is_spoilt(&reason);
        }
        match outcome {
            Err(InitFailure::NotRestored(reason)) if attempts < ATTEMPTS_MAX => {
                attempts += 1;
                maker.snapshot_is_spoilt(&reason);
                process.end_after(maker, None).await;
            }
            outcome => return Ok((process, outcome)),
        }
    }
}

impl Maker {
    /// For the call that waits for the environment.
    pub(super) fn keep_restore_failure(&self, failure: &InitFailure) {
        let InitFailure::AfterRestore(failure) = failure else { return };
        let refusal = match failure {
            Failure::TimedOut { .. } => InvokeRefusal::AfterRestoreTimedOut,
            _ => InvokeRefusal::AfterRestore,
        };
        *self.restore_failure.lock().unwrap_or_else(PoisonError::into_inner) = Some(refusal);
    }

    pub(super) fn take_restore_failure(&self) -> Option<InvokeRefusal> {
        self.restore_failure.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}

/// A call whose environment was restored, and failed behind that: it does not run, as in the reference.
pub fn refuse_after_restore(
    maker: &Maker,
    invocation: Invocation,
    reply: oneshot::Sender<Result<Answer, InvokeRefusal>>,
    refusal: InvokeRefusal,
    (at, waited): (Timestamp, Duration),
) {
    let traces = &maker.ports.traces;
    traces.call(CallHop {
        at,
        waited,
        ran: None,
        end: CallEnd::Refused { detail: refusal.to_string() },
        request_bytes: invocation.payload.len(),
        preview: preview(traces.preview_bytes(), &invocation.payload),
        spec: invocation.spec,
        request_id: invocation.request_id,
        trace_header: invocation.trace_header,
        origin: invocation.origin,
    });
    // A caller that went away is no reason to do anything else.
    let _ = reply.send(Err(refusal));
}
