//! The external extensions of one environment: started before its runtime, heard while it lives, and told when it
//! ends.
//!
//! They share everything with the runtime but their process. One that fails takes its environment with it, as the
//! reference has it; none reaches further than that.

use std::sync::Arc;
use std::time::Duration;

use lambent_core::ports::sandbox::{Beside, Program, ProgramSignal, SandboxError, Which};
use tokio::task::JoinSet;
use tokio::time::Instant;

use super::super::extension_log;
use super::super::failure::Failure;
use super::{Happened, InitFailure, Maker, Process};
use crate::runtime_api::{Extensions, ShutdownReason};

/// Where each file is an extension's program.
pub const FOLDER: &str = "/opt/extensions";

/// Developer guide, *Shutdown phase*: all of it, with an internal extension and with an external one.
const SHUTDOWN_INTERNAL: Duration = Duration::from_millis(500);
const SHUTDOWN_EXTERNAL: Duration = Duration::from_millis(2_000);
/// The same page: the part of it that the runtime may use where extensions are to follow.
const SHUTDOWN_RUNTIME: Duration = Duration::from_millis(300);

/// How long an extension that reported its failure has to end by itself, which tells more than its words.
const LAST_ACT: Duration = Duration::from_secs(1);

/// How long the last output of ended extensions may take into the log.
const LAST_OUTPUT: Duration = Duration::from_millis(500);

/// A runtime that waits for its extensions.
pub struct Staged {
    pub names: Vec<String>,
    pub runtime: Program,
    /// What extensions see of it.
    pub env: Vec<(String, String)>,
}

#[derive(Default)]
pub struct Outside {
    running: Vec<(String, u64)>,
    ends: JoinSet<()>,
    outputs: JoinSet<()>,
}

impl Outside {
    pub fn is_empty(&self) -> bool {
        self.running.is_empty()
    }

    async fn all_ended(&mut self) {
        while self.ends.join_next().await.is_some() {}
    }

    /// Waits until everything that ended extensions wrote is in the log.
    pub async fn finish_output(&mut self) {
        let finished = async { while self.outputs.join_next().await.is_some() {} };
        let _ = tokio::time::timeout(LAST_OUTPUT, finished).await;
    }
}

impl Process {
    /// Starts the extensions, and the runtime once all have registered.
    pub async fn start_outside(
        &mut self,
        staged: Staged,
        deadline: Instant,
        limit: Duration,
    ) -> Result<(), InitFailure> {
        let extensions = Arc::clone(self.server.extensions());
        for name in &staged.names {
            if extensions.launch(name) {
                self.start_one(&extensions, name, &staged.env).await;
            }
            if let Some(fault) = extensions.status().fault {
                return Err(InitFailure::Ended(Failure::Extension(fault)));
            }
        }
        while !extensions.status().registered {
            match self.next(deadline).await {
                Happened::Exit(exit) => return Err(InitFailure::Ended(super::failure_of(exit))),
                Happened::Deadline => return Err(InitFailure::Ended(Failure::TimedOut { after: limit })),
                Happened::Signal(_) => {}
            }
            if let Some(fault) = extensions.status().fault {
                return Err(InitFailure::Ended(Failure::Extension(fault)));
            }
        }
        self.server.expect_runtime();
        self.environment.begin(staged.runtime).await.map_err(InitFailure::NotStarted)
    }

    async fn start_one(&mut self, extensions: &Arc<Extensions>, name: &str, env: &[(String, String)]) {
        let program = Program { argv: vec![format!("{FOLDER}/{name}")], env: env.to_vec(), cwd: "/".into() };
        match self.environment.run_beside(program).await {
            Ok(Beside { number, output, exited }) => {
                self.outside.running.push((name.to_owned(), number));
                let (extensions, name) = (Arc::clone(extensions), name.to_owned());
                self.outside.ends.spawn(async move { extensions.exited(&name, exited.await) });
                self.outside.outputs.spawn(extension_log::carry(output, self.pump.clone()));
            }
            Err(error) => {
                let (detail, is_permission) = reason(&error);
                extensions.launch_failed(name, &detail, is_permission);
            }
        }
    }

    /// Why this environment can't take another call, if an extension is why.
    pub fn fault(&self) -> Option<Failure> {
        let extensions = self.server.extensions();
        if !extensions.any() {
            return None;
        }
        let status = extensions.status();
        status.fault.or(status.reported).map(Failure::Extension)
    }

    /// The shutdown phase: nothing without extensions, and bounded with them.
    pub async fn shut_down(&mut self, maker: &Maker, reason: ShutdownReason) {
        let extensions = Arc::clone(self.server.extensions());
        if !extensions.any() {
            return;
        }
        extensions.shut_down();
        self.thaw();
        let (whole, runtime) = if self.outside.is_empty() {
            (SHUTDOWN_INTERNAL, SHUTDOWN_INTERNAL)
        } else {
            (SHUTDOWN_EXTERNAL, SHUTDOWN_RUNTIME)
        };
        let end = Instant::now() + whole;
        let _ = self.environment.signal(Which::First, ProgramSignal::Terminate);
        if tokio::time::timeout(runtime, self.environment.exited()).await.is_err() {
            let _ = self.environment.signal(Which::First, ProgramSignal::Kill);
        }
        if self.outside.is_empty() {
            return;
        }
        // What is to be told of the last call is to be had before the end.
        self.pump.flush().await;
        self.server.telemetry().flush().await;
        let told = extensions.told_of_shutdown();
        let left = end.saturating_duration_since(Instant::now());
        extensions.shutdown(reason, maker.ports.clock.wall().plus(left).as_millis());
        for (_, number) in self.outside.running.iter().filter(|(name, _)| !told.contains(name)) {
            let _ = self.environment.signal(Which::Beside(*number), ProgramSignal::Kill);
        }
        let _ = tokio::time::timeout_at(end, self.outside.all_ended()).await;
    }

    /// Ends it behind a failure. With extensions nobody waits for their last words.
    pub async fn end_after(mut self, maker: &Arc<Maker>, failure: Option<&Failure>) {
        if !self.server.extensions().any() {
            return self.end().await;
        }
        let reason = match failure {
            Some(Failure::TimedOut { .. }) => ShutdownReason::Timeout,
            _ => ShutdownReason::Failure,
        };
        let maker = Arc::clone(maker);
        tokio::spawn(async move {
            self.shut_down(&maker, reason).await;
            self.end().await;
        });
    }

    /// Whether every extension waits for an event.
    pub fn extensions_are_ready(&self) -> bool {
        let extensions = self.server.extensions();
        !extensions.any() || extensions.status().ready
    }

    /// Looks at what extensions stand for while they start.
    pub fn heed_extensions(&self, deadline: &mut Instant) -> Result<(), InitFailure> {
        let status = self.server.extensions().status();
        if let Some(fault) = status.fault {
            return Err(InitFailure::Ended(Failure::Extension(fault)));
        }
        if status.reported.is_some() {
            *deadline = (*deadline).min(Instant::now() + LAST_ACT);
        }
        Ok(())
    }

    /// The log's line for each extension.
    pub fn report_extensions(&self, maker: &Maker) {
        let extensions = self.server.extensions();
        if !extensions.any() {
            return;
        }
        let lines = self.lines(maker);
        let now = maker.ports.clock.now();
        let subscribed = extensions.take_subscribed();
        let subscribed = subscribed.iter().filter_map(|(name, types)| lines.subscription(name, types, now));
        let told = extensions.told();
        let told = told.iter().filter_map(|one| lines.extension(one, now));
        self.pump.platform_lines(subscribed.chain(told).collect());
    }
}

/// The kernel's word for why a program was not started, as the reference writes it.
fn reason(error: &SandboxError) -> (String, bool) {
    match error {
        SandboxError::Program { errno, detail, .. } => {
            let detail = detail.split(" (os error").next().unwrap_or(detail).to_lowercase();
            (detail, *errno == rustix::io::Errno::ACCESS.raw_os_error())
        }
        other => (other.to_string(), false),
    }
}
