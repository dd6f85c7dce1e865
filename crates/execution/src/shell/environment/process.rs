//! A program in its sandbox: what it says first, its init, its freezing and its end.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use lambent_core::limits::RESTORE_TIMEOUT;
use lambent_core::ports::Stages;
use lambent_core::ports::sandbox::{Environment, Exit, ExitHow, SandboxError};
use lambent_core::time::Timestamp;
use tokio::sync::mpsc;
use tokio::time::Instant;

use super::super::failure::Failure;
use super::super::log_pump::LogPump;
use super::extensions::{Outside, Staged};
use super::maker::INIT_CPU_MILLIS;
use crate::runtime_api::{Server, Signal};

/// Why an init did not come to its first `next`.
pub(super) enum InitFailure {
    Reported(Bytes),
    Ended(Failure),
    /// A runtime that waited for its extensions could not be started.
    NotStarted(SandboxError),
    /// It did not become what its snapshot holds, and nothing of the function's has run.
    NotRestored(String),
    /// What the function has run behind a restore failed, with a document of its own or without, or took too long.
    AfterRestore(Failure),
}

impl InitFailure {
    pub(super) fn failure(&self) -> Option<&Failure> {
        match self {
            Self::Ended(failure) | Self::AfterRestore(failure) => Some(failure),
            Self::Reported(_) | Self::NotStarted(_) | Self::NotRestored(_) => None,
        }
    }

    /// As the function's log has it.
    pub(super) fn told(&self) -> Failure {
        match self {
            Self::Ended(failure) | Self::AfterRestore(failure) => failure.clone(),
            Self::NotRestored(_) => Failure::Init { kind: "Sandbox.Failure".into() },
            Self::Reported(document) => Failure::of_init(document),
            Self::NotStarted(error) => not_started(error),
        }
    }
}

/// A program that could not be started is the function's mistake; a sandbox without one is the platform's.
pub(super) fn not_started(error: &SandboxError) -> Failure {
    let kind = match error {
        SandboxError::Program { .. } => INVALID_ENTRYPOINT,
        _ => "Sandbox.Failure",
    };
    Failure::Init { kind: kind.into() }
}

pub(super) const INVALID_ENTRYPOINT: &str = "Runtime.InvalidEntrypoint";

/// A program in its sandbox, with its Runtime API and its log.
pub(super) struct Process {
    pub(super) environment: Arc<dyn Environment>,
    pub(super) server: Server,
    pub(super) signals: mpsc::UnboundedReceiver<Signal>,
    pub(super) pump: LogPump,
    pub(super) _endpoint: Option<Box<dyn Send + Sync>>,
    /// When its making began.
    pub(super) made: Timestamp,
    pub(super) started: Instant,
    pub(super) stages: Stages,
    pub(super) cpu_millis: u32,
    pub(super) frozen: bool,
    /// Extensions that are to be started before the runtime.
    pub(super) staged: Option<Staged>,
    pub(super) outside: Outside,
    /// It becomes, or has become, what a snapshot holds.
    pub(super) restores: bool,
    /// Why it could not, and ran its init instead.
    pub(super) unusable: Option<String>,
}

/// How long after a program's end its last request may still be on its way through the loop.
pub(super) const LAST_WORDS: Duration = Duration::from_millis(10);

/// What happened first.
pub(super) enum Happened {
    Signal(Signal),
    Exit(Exit),
    Deadline,
}

impl Process {
    pub(super) async fn next(&mut self, deadline: Instant) -> Happened {
        tokio::select! {
            biased;
            signal = self.signals.recv() => match signal {
                Some(signal) => Happened::Signal(signal),
                // The server holds the sender as long as this process does.
                None => Happened::Deadline,
            },
            exit = self.environment.exited() => {
                // What the program said just before it ended may still be on its way through the loop.
                match tokio::time::timeout(LAST_WORDS, self.signals.recv()).await {
                    Ok(Some(signal)) => Happened::Signal(signal),
                    _ => Happened::Exit(exit),
                }
            }
            () = tokio::time::sleep_until(deadline) => Happened::Deadline,
        }
    }

    /// Waits for the first `next`.
    pub(super) async fn initialise(&mut self, limit: Duration) -> Result<(), InitFailure> {
        let mut deadline = Instant::now() + if self.restores { RESTORE_TIMEOUT } else { limit };
        let mut connected = None;
        if let Some(staged) = self.staged.take() {
            self.start_outside(staged, deadline, limit).await?;
        }
        let mut is_up = false;
        while !(is_up && self.extensions_are_ready()) {
            match self.next(deadline).await {
                Happened::Signal(Signal::Connected) => connected = Some(Instant::now()),
                Happened::Signal(Signal::InitDone) => is_up = true,
                Happened::Signal(Signal::Extensions) => self.heed_extensions(&mut deadline)?,
                Happened::Signal(Signal::InitFailed { document }) => {
                    return Err(InitFailure::Reported(document));
                }
                Happened::Signal(Signal::SnapshotUnusable { reason }) if self.restores => {
                    self.restores = false;
                    self.unusable = Some(reason);
                    deadline = Instant::now() + limit;
                }
                Happened::Signal(Signal::RestoreFailed { document }) => {
                    return Err(InitFailure::AfterRestore(Failure::of_init(&document)));
                }
                Happened::Signal(_) => {}
                Happened::Exit(exit) if self.restores => {
                    return Err(match connected {
                        Some(_) => InitFailure::AfterRestore(failure_of(exit)),
                        None => InitFailure::NotRestored(failure_of(exit).message()),
                    });
                }
                Happened::Deadline if self.restores => {
                    return Err(match connected {
                        Some(_) => InitFailure::AfterRestore(Failure::TimedOut { after: RESTORE_TIMEOUT }),
                        None => InitFailure::NotRestored("it took too long".to_owned()),
                    });
                }
                Happened::Exit(exit) => return Err(InitFailure::Ended(failure_of(exit))),
                Happened::Deadline => {
                    let late = || Failure::TimedOut { after: limit };
                    return Err(InitFailure::Ended(self.fault().unwrap_or_else(late)));
                }
            }
        }
        self.server.extensions().close();
        self.server.telemetry().close();
        let up = connected.unwrap_or_else(Instant::now);
        self.stages.runtime = up - self.started;
        self.stages.init = up.elapsed();
        if self.cpu_millis < INIT_CPU_MILLIS
            && let Err(error) = self.environment.set_cpu_millis(self.cpu_millis)
        {
            tracing::warn!(environment = self.environment.label(), %error, "CPU share not set");
        }
        Ok(())
    }

    /// False when it can't be frozen: then it is of no more use.
    pub(super) fn freeze(&mut self) -> bool {
        match self.environment.freeze() {
            Ok(()) => self.frozen = true,
            Err(error) => {
                tracing::warn!(environment = self.environment.label(), %error, "not frozen; ended instead");
            }
        }
        self.frozen
    }

    pub(super) fn thaw(&mut self) {
        if std::mem::take(&mut self.frozen)
            && let Err(error) = self.environment.thaw()
        {
            tracing::error!(environment = self.environment.label(), %error, "not thawed: the call will time out");
        }
    }

    pub(super) async fn end(mut self) {
        self.environment.kill().await;
        if !self.outside.is_empty() {
            self.outside.finish_output().await;
        }
        // The last lines are in the pipes still.
        self.pump.flush().await;
    }
}

pub(super) fn failure_of(exit: Exit) -> Failure {
    if exit.out_of_memory {
        return Failure::OutOfMemory;
    }
    match exit.how {
        ExitHow::Code(code) => Failure::Exited { code },
        ExitHow::Signal(signal) => Failure::Signalled { signal },
    }
}
