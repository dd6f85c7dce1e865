//! From a function to a program that runs in a sandbox, with the node's side of it.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use bytes::Bytes;
use lambent_core::function::FunctionSpec;
use lambent_core::limits;
use lambent_core::ports::sandbox::{
    Assignment, Booted, Cell, Limits, Mount, Program, Running, SandboxError, Shape,
};
use lambent_core::ports::{ColdReason, InvokeRefusal, LogTarget, SessionCredentials, Stages};
use lambent_core::time::Timestamp;
use tokio::time::Instant;

use super::super::cells::Cells;
use super::super::log_pump::LogPump;
use super::super::report::Lines;
use super::super::{Ports, snapshots, variables};
use super::Owner;
use super::extensions::{Outside, Staged};
use super::process::Process;
use crate::plan::Purpose;
use crate::runtime_api::extensions::About;
use crate::runtime_api::snapshots::Credentials;
use crate::runtime_api::{Server, Telemetry};

fn log_stream(ports: &Ports, spec: &FunctionSpec) -> Arc<str> {
    let (year, month, day, ..) = ports.clock.now().civil();
    let id = lambent_core::ids::uuid(ports.entropy.as_ref()).replace('-', "");
    Arc::from(format!("{year:04}/{month:02}/{day:02}/[{}]{id}", spec.version))
}

/// Everything that a new program in a new sandbox is made from.
pub struct Maker {
    pub(super) spec: Arc<FunctionSpec>,
    pub(super) ports: Arc<Ports>,
    pub(super) cells: Arc<Cells>,
    pub(super) log_stream: Arc<str>,
    pub(super) purpose: Purpose,
    pub(super) owner: Weak<dyn Owner>,
    /// Why a call has to wait for it.
    pub(super) why: Option<ColdReason>,
    /// Its init is to become a snapshot.
    makes_snapshot: bool,
    /// For the process that is being started: what it is given where it asks for credentials.
    issued: Mutex<Option<Credentials>>,
    /// Why calls fail whose environment was restored in vain, until one is told so.
    pub(super) restore_failure: Mutex<Option<InvokeRefusal>>,
}

pub(super) enum StartError {
    Sandbox(SandboxError),
    NoRuntime(String),
}

impl Maker {
    pub fn new(
        spec: Arc<FunctionSpec>,
        ports: Arc<Ports>,
        cells: Arc<Cells>,
        purpose: Purpose,
        owner: Weak<dyn Owner>,
    ) -> Self {
        let log_stream = log_stream(&ports, &spec);
        let (issued, restore_failure) = (Mutex::default(), Mutex::default());
        let (why, makes_snapshot) = (None, false);
        Self { spec, ports, cells, log_stream, purpose, owner, why, makes_snapshot, issued, restore_failure }
    }

    /// Its init becomes a snapshot, and it serves no call.
    pub fn for_snapshot(self) -> Self {
        Self { makes_snapshot: true, ..self }
    }

    pub fn because(self, why: Option<ColdReason>) -> Self {
        Self { why, ..self }
    }

    pub(super) fn initialization_type(&self) -> &'static str {
        match self.purpose {
            _ if self.spec.snap_start => "snap-start",
            Purpose::Provisioned => "provisioned-concurrency",
            Purpose::Call | Purpose::Warm => "on-demand",
        }
    }

    pub(super) fn init_timeout(&self) -> Duration {
        match self.purpose {
            _ if self.makes_snapshot => limits::INIT_TIMEOUT_SNAPSHOT.max(self.spec.timeout),
            Purpose::Provisioned => limits::INIT_TIMEOUT_PROVISIONED.max(self.spec.timeout),
            Purpose::Call | Purpose::Warm => limits::INIT_TIMEOUT,
        }
    }

    /// The function in a sandbox: in one whose runtime waits for it, else as a copy of its runtime, else in one that
    /// waits for a program, else in a new one. A waiting one that is not fit to use any more is passed over.
    pub(super) async fn start(&self) -> Result<Process, StartError> {
        let shape = Shape { egress: self.spec.egress };
        let began = Instant::now();
        let extensions = self.extensions();
        let snapshot = self.snapshot().await;
        if extensions.is_empty()
            && variables::can_be_told_late(&self.spec.environment)
            && let Some(booted) = self.booted(shape).await
        {
            match self.start_booted(booted, began, snapshot.clone()).await {
                Err(StartError::Sandbox(SandboxError::Internal { detail })) => {
                    tracing::warn!(detail, "a waiting runtime could not be used; a new one is started");
                }
                other => return other,
            }
        }
        if let Some(cell) = self.cells.take(shape) {
            match self.start_in(cell, began, extensions.clone(), snapshot.clone()).await {
                Err(StartError::Sandbox(SandboxError::Internal { detail })) => {
                    tracing::warn!(detail, "a waiting sandbox could not be used; a new one is made");
                }
                other => return other,
            }
        }
        let cell = self.cells.make(shape).await.map_err(StartError::Sandbox)?;
        self.start_in(cell, began, extensions, snapshot).await
    }

    /// What the program begins with, where its version has a snapshot that is of use. Who finds none has one made, for
    /// those that come later.
    async fn snapshot(&self) -> Option<Mount> {
        if !self.spec.snap_start || self.makes_snapshot {
            return None;
        }
        let started_as = self.ports.launcher.started_as(&self.spec);
        let found = self.ports.snapshots.find(&self.spec, started_as).await;
        if found.is_none() {
            self.remake_snapshot();
        }
        found
    }

    /// The snapshot turned out to be of no use.
    pub(super) fn snapshot_is_spoilt(&self, reason: &str) {
        let function = self.spec.arn();
        tracing::warn!(function, version = %self.spec.version, reason, "a snapshot is of no use; it is made anew");
        self.ports.snapshots.spoilt(&self.spec);
        self.remake_snapshot();
    }

    fn remake_snapshot(&self) {
        if let Some(owner) = self.owner.upgrade() {
            owner.remake_snapshot(&self.spec);
        }
    }

    /// Tells the client what becomes of its init.
    fn snapshot_variable(&self, snapshot: Option<&Mount>) -> Option<(String, String)> {
        let value = match snapshot {
            Some(mount) => mount.target.join(snapshots::IMAGE).to_string_lossy().into_owned(),
            None if self.makes_snapshot => "make".to_owned(),
            None => return None,
        };
        Some(("_LAMBENT_SNAPSHOT".to_owned(), value))
    }

    /// A runtime that waits, or that is copied to wait. What waits has the smallest `/tmp`.
    async fn booted(&self, shape: Shape) -> Option<Box<dyn Booted>> {
        let waiting = (self.spec.ephemeral_mb == limits::EPHEMERAL_MB_MIN)
            .then(|| self.cells.take_booted(self.spec.runtime, self.spec.memory_mb, shape));
        match waiting.flatten() {
            Some(booted) => Some(booted),
            None => self.cells.copy(self.spec.runtime, self.limits(), shape).await,
        }
    }

    /// External extensions come with layers, and with nothing else.
    pub(super) fn extensions(&self) -> Vec<String> {
        if self.spec.layers.is_empty() { Vec::new() } else { self.ports.launcher.extensions(&self.spec) }
    }

    /// Tells a runtime that has booted which function it serves.
    pub(super) async fn start_booted(
        &self,
        booted: Box<dyn Booted>,
        began: Instant,
        snapshot: Option<Mount>,
    ) -> Result<Process, StartError> {
        let sandbox = began.elapsed();
        let launch = self.ports.launcher.launch(&self.spec).map_err(StartError::NoRuntime)?;
        let mut env = self.variables(booted.runtime_api_addr(), booted.services_addr(), launch.env);
        env.extend(self.snapshot_variable(snapshot.as_ref()));
        let env: serde_json::Map<String, serde_json::Value> =
            env.into_iter().map(|(name, value)| (name, value.into())).collect();
        let handover = serde_json::json!({ "env": env, "cwd": variables::TASK_ROOT });
        let mut mounts = self.ports.launcher.function_mounts(&self.spec);
        let restores = snapshot.is_some();
        mounts.extend(snapshot);
        let running = booted
            .assign(self.limits(), mounts, handover.to_string().into_bytes())
            .await
            .map_err(StartError::Sandbox)?;
        self.take_over(running, launch.served_by, began, sandbox, Begins { staged: None, restores })
    }

    pub(super) async fn start_in(
        &self,
        cell: Box<dyn Cell>,
        began: Instant,
        extensions: Vec<String>,
        snapshot: Option<Mount>,
    ) -> Result<Process, StartError> {
        let sandbox = began.elapsed();
        let mut launch = self.ports.launcher.launch(&self.spec).map_err(StartError::NoRuntime)?;
        let mut env = self.variables(cell.runtime_api_addr(), cell.services_addr(), launch.env);
        env.extend(self.snapshot_variable(snapshot.as_ref()));
        let restores = snapshot.is_some();
        launch.mounts.extend(snapshot);
        let mut program = Program { argv: launch.argv, env, cwd: variables::TASK_ROOT.into() };
        let staged = (!extensions.is_empty()).then(|| {
            let env = variables::of_extension(&program.env, &self.spec.environment);
            let runtime = std::mem::replace(&mut program, Program::none());
            Staged { names: extensions, runtime, env }
        });
        let job = Assignment { limits: self.limits(), mounts: launch.mounts, program };
        let running = cell.start(job).await.map_err(StartError::Sandbox)?;
        self.take_over(running, launch.served_by, began, sandbox, Begins { staged, restores })
    }

    pub(super) fn variables(
        &self,
        runtime_api: std::net::SocketAddr,
        services: Option<std::net::SocketAddr>,
        runtime: Vec<(String, String)>,
    ) -> Vec<(String, String)> {
        let Self { spec, ports, .. } = self;
        let credentials = ports.sessions.issue(
            &spec.account,
            &spec.role_arn,
            spec.name.as_str(),
            ports.settings.credentials_lifetime,
        );
        let token = spec.snap_start.then(|| lambent_core::ids::uuid(ports.entropy.as_ref()));
        let source = match &token {
            Some(token) => variables::Source::Endpoint { token },
            None => variables::Source::Variables(&credentials),
        };
        if let Some(token) = &token {
            let document = self.credentials_document(&credentials);
            *self.issued() = Some(Credentials { token: token.clone(), document });
        }
        variables::variables(variables::Context {
            spec,
            log_stream: &self.log_stream,
            runtime_api,
            services,
            credentials: source,
            initialization_type: self.initialization_type(),
            runtime,
        })
    }

    /// As the reference's endpoint answers. What an init reads before its snapshot is made is soon to be asked anew.
    fn credentials_document(&self, credentials: &SessionCredentials) -> Bytes {
        let soon = self.ports.clock.wall().plus(CREDENTIALS_OF_SNAPSHOTS);
        let expires = if self.makes_snapshot { soon } else { credentials.expires };
        let document = serde_json::json!({
            "AccessKeyId": credentials.access_key_id, "SecretAccessKey": credentials.secret_access_key,
            "Token": credentials.session_token, "Expiration": expires.to_string(),
        });
        Bytes::from(document.to_string())
    }

    fn issued(&self) -> MutexGuard<'_, Option<Credentials>> {
        self.issued.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn limits(&self) -> Limits {
        Limits {
            memory_mb: self.spec.memory_mb,
            // The reference lends small functions a whole vCPU for their init.
            cpu_millis: cpu_millis(self.spec.memory_mb).max(INIT_CPU_MILLIS),
            tmp_mb: self.spec.ephemeral_mb,
        }
    }

    /// The node's side of a program that runs: its Runtime API, its log, its AWS endpoint.
    pub(super) fn take_over(
        &self,
        running: Running,
        served_by: Option<String>,
        began: Instant,
        sandbox: Duration,
        begins: Begins,
    ) -> Result<Process, StartError> {
        let Self { spec, ports, .. } = self;
        let Begins { staged, restores } = begins;
        let started = Instant::now();
        let now = ports.clock.now();
        let made = Timestamp::from_millis(now.as_millis().saturating_sub(began.elapsed().as_millis() as u64));
        let internal =
            |error: std::io::Error| StartError::Sandbox(SandboxError::Internal { detail: error.to_string() });
        let telemetry = Arc::new(Telemetry::new(ports.clock.clone(), running.environment.clone()));
        if staged.is_some() {
            telemetry.expect();
        }
        let about = About { spec: spec.clone(), entropy: ports.entropy.clone() };
        let (server, signals) =
            Server::start(running.runtime_api, about, telemetry.clone()).map_err(internal)?;
        let (launcher, of_function) = (ports.launcher.clone(), spec.clone());
        server.on_compiled(Box::new(move |code| launcher.keep_compiled(&of_function, code)));
        if let Some(credentials) = self.issued().take() {
            server.snapshots().give_credentials(credentials);
        }
        let owner = self.owner.clone();
        server.on_crowded(Box::new(move || {
            let _ = owner.upgrade().is_some_and(|owner| owner.make_room());
        }));
        let target = LogTarget {
            account: spec.account.clone(),
            region: spec.region.clone(),
            group: spec.logging.group.clone(),
            stream: self.log_stream.clone(),
        };
        let pump = LogPump::start(
            running.output,
            running.frames,
            target,
            ports.sink.clone(),
            ports.clock.clone(),
            telemetry,
        )
        .map_err(internal)?;
        let lines = Lines { spec, events: Some(&pump) };
        pump.platform(match restores {
            true => lines.restore_start(served_by.as_deref(), now),
            false => lines.init_start(self.initialization_type(), served_by.as_deref(), now),
        });
        let endpoint = running.services.map(|listener| ports.endpoint.serve(listener));
        let stages = Stages { sandbox, code: started - began - sandbox, ..Stages::default() };
        Ok(Process {
            environment: running.environment,
            server,
            signals,
            pump,
            _endpoint: endpoint,
            made,
            started,
            stages,
            cpu_millis: cpu_millis(spec.memory_mb),
            frozen: false,
            staged,
            restores,
            unusable: None,
            outside: Outside::default(),
        })
    }
}

/// How a program begins.
pub(super) struct Begins {
    pub staged: Option<Staged>,
    /// It becomes what a snapshot holds.
    pub restores: bool,
}

/// How long credentials seem to last that an init has read whose memory becomes a snapshot. SDKs ask again some minutes
/// before the end: whoever is restored does so with the first call.
const CREDENTIALS_OF_SNAPSHOTS: Duration = Duration::from_secs(60);

/// One whole vCPU.
pub(super) const INIT_CPU_MILLIS: u32 = 1_000;

/// The share of a CPU that the memory size earns.
pub(super) fn cpu_millis(memory_mb: u32) -> u32 {
    (u64::from(memory_mb) * 1_000 / u64::from(limits::MEMORY_MB_PER_VCPU)).max(1) as u32
}
