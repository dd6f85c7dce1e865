//! The `Invoke` port: asks the plan, performs its actions.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, Weak};
use std::time::Duration;

use lambent_core::function::FunctionSpec;
use lambent_core::ids::{CodeDigest, Version};
use lambent_core::ports::sandbox::{Mount, SandboxError, Shape};
use lambent_core::ports::{
    Answer, BoxFuture, CallEnd, CallHop, Clock, Entropy, Host, Invocation, Invoke, InvokeRefusal, LogSink,
    Metrics, Sandboxes, ServedBy, Sessions, Source, StreamedAnswer, TraceSink,
};
use lambent_core::runtime::Runtime;
use lambent_core::time::Timestamp;
use tokio::sync::{mpsc, oneshot};

use super::cells::Cells;
use super::cold::ColdReasons;
use super::environment::{self, Job, Maker, Owner};
use super::settings::Settings;
use super::snapshots::SnapshotStore;
use super::{Endpoint, streaming};
use crate::plan::keep_alive::{Eviction, Measured};
use crate::plan::{self, Action, Arrival, CallId, EnvironmentId, GivenUp, Obsolete, Plan, PoolKey, Purpose};
use crate::runtime_api::stream;

/// What environments are made with.
pub struct Ports {
    pub sandboxes: Arc<dyn Sandboxes>,
    pub sessions: Arc<dyn Sessions>,
    pub sink: Arc<dyn LogSink>,
    pub clock: Arc<dyn Clock>,
    pub host: Arc<dyn Host>,
    pub entropy: Arc<dyn Entropy>,
    pub endpoint: Arc<dyn Endpoint>,
    pub launcher: Arc<dyn Launcher>,
    pub snapshots: SnapshotStore,
    pub metrics: Arc<dyn Metrics>,
    pub traces: Arc<dyn TraceSink>,
    pub settings: Settings,
}

/// How long no cells are made after the host was short of memory.
const CELLS_REST: Duration = Duration::from_secs(30);

/// How long a stopping node waits for its environments: where only an internal extension can be, and where an
/// external one may use its whole shutdown phase.
const END_PATIENCE: Duration = Duration::from_millis(600);
const END_PATIENCE_EXTENSIONS: Duration = Duration::from_millis(2_500);

/// Knows what to start for a function.
pub trait Launcher: Send + Sync {
    /// The program of this function, or why there is none on this node.
    fn launch(&self, spec: &FunctionSpec) -> Result<Launch, String>;

    /// The part of [`Launch::mounts`] that is the function's own.
    fn function_mounts(&self, spec: &FunctionSpec) -> Vec<Mount>;

    /// Names of the function's external extensions: the files that its layers put into the extensions' folder.
    fn extensions(&self, spec: &FunctionSpec) -> Vec<String>;

    /// The runtime by itself, told by its environment to wait for its function; `None` where its client can't.
    fn boot(&self, runtime: &'static Runtime, memory_mb: u32) -> Option<Launch>;

    /// Whether what [`Launcher::boot`] starts can copy itself once it has booted.
    fn copies(&self, _runtime: &'static Runtime) -> bool {
        false
    }

    /// What the memory of an initialised runtime depends on beside the function: its interpreter and client, and the
    /// host's kernel and processor.
    fn started_as(&self, _spec: &FunctionSpec) -> Vec<String> {
        Vec::new()
    }

    /// Takes what the first environment of a function compiled, for the later ones. Blocks. Nothing is lost but time
    /// where it isn't kept.
    fn keep_compiled(&self, _spec: &FunctionSpec, _code: &[u8]) {}
}

#[derive(Debug, Clone)]
pub struct Launch {
    pub mounts: Vec<Mount>,
    pub argv: Vec<String>,
    pub env: Vec<(String, String)>,
    /// What really runs, where it isn't what the function names: a line for its log.
    pub served_by: Option<String>,
}

/// Runs functions in environments that it makes, keeps and ends.
pub struct Executor {
    pub(super) ports: Arc<Ports>,
    pub(super) cells: Arc<Cells>,
    cold: ColdReasons,
    inner: Mutex<Inner>,
    last_call: AtomicU64,
    pub(super) stopping: AtomicBool,
    idle: tokio::sync::Notify,
    /// An environment stands that did not, or could not be made.
    pub(super) started: tokio::sync::Notify,
    pub(super) this: Weak<Executor>,
}

pub(super) struct Inner {
    pub(super) plan: Plan,
    /// What environments are made from that no call asked for.
    pub(super) ahead: HashMap<PoolKey, Arc<FunctionSpec>>,
    calls: HashMap<CallId, Waiting>,
    environments: HashMap<EnvironmentId, Handle>,
}

struct Waiting {
    since: tokio::time::Instant,
    invocation: Invocation,
    reply: oneshot::Sender<Result<Answer, InvokeRefusal>>,
    stream: Option<stream::Sink>,
}

struct Handle {
    spec: Arc<FunctionSpec>,
    jobs: mpsc::UnboundedSender<Job>,
    life: tokio::task::JoinHandle<()>,
}

impl Executor {
    pub fn new(ports: Ports) -> Arc<Self> {
        let plan = Plan::new(crate::plan::Settings {
            keep_alive: ports.settings.keep_alive,
            eviction: Eviction::LeastWorth,
            age_max: ports.settings.age_max,
            paces_accounts: ports.settings.paces_accounts,
        });
        let cells = Cells::new(
            ports.sandboxes.clone(),
            ports.launcher.clone(),
            ports.clock.clone(),
            ports.settings.parked_memory_bytes,
            ports.settings.zygotes,
        );
        let cells = Arc::new(cells);
        Arc::new_cyclic(|this| Self {
            ports: Arc::new(ports),
            cells,
            cold: ColdReasons::default(),
            inner: Mutex::new(Inner {
                plan,
                ahead: HashMap::new(),
                calls: HashMap::new(),
                environments: HashMap::new(),
            }),
            last_call: AtomicU64::new(0),
            stopping: AtomicBool::new(false),
            idle: tokio::sync::Notify::new(),
            started: tokio::sync::Notify::new(),
            this: this.clone(),
        })
    }

    /// Ends idle and aged environments, and keeps cells waiting, until the node stops.
    pub async fn run(&self) {
        tokio::join!(self.tick(), self.watch_memory(), self.cells.run());
    }

    /// Gives memory back when the host is short of it: first what waits for no function in particular, then what
    /// idles and is least worth its memory.
    async fn watch_memory(&self) {
        let mut every = tokio::time::interval(plan::pressure::LOOK);
        every.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            every.tick().await;
            let reserve = self.ports.settings.memory_reserve_bytes;
            let Some(memory) = self.ports.host.memory() else { continue };
            let Some(bytes) = plan::pressure::missing(memory, reserve) else { continue };
            if self.cells.release(CELLS_REST) {
                continue;
            }
            let now = self.ports.clock.now();
            self.perform(|inner| inner.plan.relieve(bytes, now), None);
        }
    }

    async fn tick(&self) {
        let mut awake = self.ports.clock.awake();
        loop {
            let now = self.ports.clock.now();
            self.perform(
                |inner| {
                    let actions = inner.plan.tick(now);
                    let Inner { plan, ahead, .. } = inner;
                    ahead.retain(|key, _| plan.has_pool(key));
                    actions
                },
                None,
            );
            let nap = self.ports.clock.sleep_until(now.plus(plan::TICK));
            drop(awake);
            awake = nap.await;
        }
    }

    /// Takes no new calls, waits for those in flight for at most `grace`, and ends every environment.
    pub async fn stop(&self, grace: Duration) {
        self.stopping.store(true, Ordering::SeqCst);
        let drained = async {
            loop {
                let notified = self.idle.notified();
                if self.lock().plan.call_count() == 0 {
                    return;
                }
                notified.await;
            }
        };
        if tokio::time::timeout(grace, drained).await.is_err() {
            tracing::warn!("calls still in flight after the grace period are cut off");
        }
        // Their queues close with this, all at one time.
        let handles: Vec<_> = self.lock().environments.drain().map(|(_, handle)| handle).collect();
        // One for all of them, however many there are.
        let now = tokio::time::Instant::now();
        for Handle { spec, jobs, life } in handles {
            drop(jobs);
            let patience = if spec.layers.is_empty() { END_PATIENCE } else { END_PATIENCE_EXTENSIONS };
            let deadline = now + patience;
            // A life that is in the middle of a call does not see its closed queue: its sandbox goes with
            // the driver's.
            let _ = tokio::time::timeout_at(deadline, life).await;
        }
    }

    /// Whether an environment, or a call that waits for one, has this package mounted or is going to.
    pub fn uses_package(&self, digest: &CodeDigest) -> bool {
        let uses = |spec: &FunctionSpec| spec.code == *digest || spec.layers.contains(digest);
        let inner = self.lock();
        inner.environments.values().any(|handle| uses(&handle.spec))
            || inner.ahead.values().any(|spec| uses(spec))
            || inner.calls.values().any(|waiting| uses(&waiting.invocation.spec))
    }

    pub fn environment_count(&self) -> usize {
        self.lock().plan.environment_count()
    }

    pub(super) fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().expect("no code panics while it holds this lock")
    }

    /// Asks the plan and does what it says. Everything is done under the lock, so that what an environment
    /// reports next can't overtake it; nothing done there waits.
    pub(super) fn perform(
        &self,
        decide: impl FnOnce(&mut Inner) -> Vec<Action>,
        failure: Option<&SandboxError>,
    ) {
        let mut inner = self.lock();
        let actions = decide(&mut inner);
        for action in actions {
            match action {
                Action::Start { environment, pool, purpose } => {
                    self.start(&mut inner, environment, &pool, purpose);
                }
                Action::Run { call, environment, served_by } => run(&mut inner, call, environment, served_by),
                Action::Refuse { call, reason } => {
                    self.refuse(&mut inner, call, InvokeRefusal::Throttled(reason));
                }
                Action::Fail { call } => {
                    let detail = failure.map(ToString::to_string).unwrap_or_default();
                    self.refuse(&mut inner, call, InvokeRefusal::NoEnvironment { detail });
                }
                Action::GiveUp { call, why } => {
                    self.refuse(&mut inner, call, InvokeRefusal::WaitedTooLong { detail: given_up(why) });
                }
                Action::Retire { environment } => {
                    // The environment sees its queue close, and ends.
                    if let Some(Handle { spec, .. }) = inner.environments.remove(&environment) {
                        // Another may be made ahead of the next call.
                        let key = pool_of(&spec);
                        if inner.plan.has_pool(&key) {
                            inner.ahead.entry(key).or_insert(spec);
                        }
                    }
                }
            }
        }
        if inner.plan.call_count() == 0 {
            self.idle.notify_waiters();
        }
    }

    /// Puts a call before the plan; its answer comes through the receiver.
    fn enter(
        &self,
        call: Invocation,
        stream: Option<stream::Sink>,
    ) -> Result<streaming::Told, InvokeRefusal> {
        if self.stopping.load(Ordering::SeqCst) {
            return Err(InvokeRefusal::Stopping);
        }
        let id = CallId(self.last_call.fetch_add(1, Ordering::Relaxed) + 1);
        let (reply, receiver) = oneshot::channel();
        let arrival = Arrival {
            call: id,
            pool: pool_of(&call.spec),
            account: call.spec.account.clone(),
            region: call.spec.region.clone(),
            reserved: call.reserved_concurrency,
            unreserved: call.unreserved_concurrency,
        };
        self.lock()
            .calls
            .insert(id, Waiting { since: tokio::time::Instant::now(), invocation: call, reply, stream });
        let now = self.ports.clock.now();
        self.perform(|inner| inner.plan.arrived(arrival, now), None);
        Ok(receiver)
    }

    fn start(&self, inner: &mut Inner, environment: EnvironmentId, pool: &PoolKey, purpose: Purpose) {
        if purpose != Purpose::Call && self.stopping.load(Ordering::SeqCst) {
            return;
        }
        // A start is asked for on behalf of a call, which carries the spec, or of what was announced.
        let waiting = || {
            let specs = inner.calls.values().map(|waiting| &waiting.invocation.spec);
            specs.into_iter().find(|spec| spec.revision == pool.revision).cloned()
        };
        let spec = inner.ahead.get(pool).cloned().or_else(waiting);
        let spec = spec.expect("a start has a waiting call or was announced");
        let owner = self.this.upgrade().expect("the executor is alive while it performs");
        let (jobs, receiver) = mpsc::unbounded_channel();
        let others = || inner.plan.environments_of(pool).saturating_sub(1);
        let why = (purpose == Purpose::Call).then(|| self.cold.why(pool, others()));
        let (ports, cells, this) = (self.ports.clone(), self.cells.clone(), self.this.clone());
        let maker = Maker::new(spec.clone(), ports, cells, purpose, this).because(why);
        let life = tokio::spawn(environment::live(environment, maker, owner, receiver));
        inner.environments.insert(environment, Handle { spec, jobs, life });
    }

    /// A call that doesn't run: counted, told, answered.
    fn refuse(&self, inner: &mut Inner, call: CallId, refusal: InvokeRefusal) {
        let Some(Waiting { since, invocation, reply, .. }) = inner.calls.remove(&call) else { return };
        let end = match &refusal {
            InvokeRefusal::Throttled(reason) => {
                self.ports.metrics.throttled(&invocation.spec, *reason);
                CallEnd::Throttled(*reason)
            }
            other => CallEnd::Refused { detail: other.to_string() },
        };
        // A caller that went away is no reason to do anything else.
        let _ = reply.send(Err(refusal));
        // An event that can't run waits, and whoever makes it wait tells of that.
        if invocation.origin.source != Source::Event {
            let waited = since.elapsed();
            let now = self.ports.clock.now().as_millis();
            self.ports.traces.call(CallHop {
                at: Timestamp::from_millis(now.saturating_sub(waited.as_millis() as u64)),
                waited,
                ran: None,
                end,
                request_bytes: invocation.payload.len(),
                preview: environment::preview(self.ports.traces.preview_bytes(), &invocation.payload),
                spec: invocation.spec,
                request_id: invocation.request_id,
                trace_header: invocation.trace_header,
                origin: invocation.origin,
            });
        }
    }
}

/// What environments of this version are pooled by.
pub(super) fn pool_of(spec: &FunctionSpec) -> PoolKey {
    PoolKey { function_arn: Arc::from(spec.arn()), version: spec.version, revision: spec.revision.clone() }
}

fn given_up(why: GivenUp) -> String {
    match why {
        GivenUp::TooLong => format!("none was ready within {} seconds", plan::WAIT_MAX.as_secs()),
        GivenUp::TooMany => format!("{} calls wait for one already", plan::WAITING_MAX),
    }
}

fn run(inner: &mut Inner, call: CallId, environment: EnvironmentId, served_by: ServedBy) {
    let Some(Waiting { since, invocation, reply, stream }) = inner.calls.remove(&call) else { return };
    let job = Job { call, invocation, reply, served_by, waited: since.elapsed(), stream };
    let handle = inner.environments.get(&environment).expect("the plan runs calls in live environments");
    if let Err(mpsc::error::SendError(job)) = handle.jobs.send(job) {
        let refusal = InvokeRefusal::NoEnvironment { detail: "the environment ended".to_owned() };
        let _ = job.reply.send(Err(refusal));
    }
}

impl Owner for Executor {
    fn measured(&self, environment: EnvironmentId, measured: Measured) {
        self.lock().plan.measured(environment, measured);
    }

    fn ready(&self, environment: EnvironmentId) {
        let now = self.ports.clock.now();
        self.perform(|inner| inner.plan.ready(environment, now), None);
        self.started.notify_waiters();
    }

    fn start_failed(&self, environment: EnvironmentId, error: SandboxError) {
        tracing::error!(%error, "no sandbox for a call: `lambent doctor` shows what this host lacks");
        let now = self.ports.clock.now();
        self.perform(
            |inner| {
                inner.environments.remove(&environment);
                inner.plan.start_failed(environment, now)
            },
            Some(&error),
        );
        self.started.notify_waiters();
    }

    fn ahead_failed(&self, environment: EnvironmentId) {
        let now = self.ports.clock.now();
        self.perform(
            |inner| {
                inner.environments.remove(&environment);
                inner.plan.ahead_failed(environment, plan::INIT_FAILURE, now)
            },
            None,
        );
        self.started.notify_waiters();
    }

    fn finished(&self, call: CallId, environment: EnvironmentId, reusable: bool) {
        let now = self.ports.clock.now();
        self.perform(
            |inner| {
                // What is left of it is in its handle until it is gone: a node that stops waits for that.
                if !reusable && let Some(handle) = inner.environments.get(&environment) {
                    self.cold.failed(&pool_of(&handle.spec));
                }
                inner.plan.finished(call, environment, reusable, now)
            },
            None,
        );
    }

    fn gone(&self, environment: EnvironmentId) {
        let now = self.ports.clock.now();
        self.perform(
            |inner| {
                inner.environments.remove(&environment);
                inner.plan.gone(environment, now)
            },
            None,
        );
    }

    fn remake_snapshot(&self, spec: &Arc<FunctionSpec>) {
        self.make_snapshot_again(spec);
    }

    fn make_room(&self) -> bool {
        if self.cells.release(Duration::ZERO) {
            return true;
        }
        let mut inner = self.lock();
        match inner.plan.evict_one() {
            Some(Action::Retire { environment }) => {
                inner.environments.remove(&environment);
                true
            }
            _ => false,
        }
    }
}

impl Invoke for Executor {
    fn invoke(&self, call: Invocation) -> BoxFuture<'_, Result<Answer, InvokeRefusal>> {
        Box::pin(async move {
            self.enter(call, None)?.await.unwrap_or_else(|_| {
                Err(InvokeRefusal::NoEnvironment { detail: "the environment was removed".to_owned() })
            })
        })
    }

    fn invoke_streaming(&self, call: Invocation) -> BoxFuture<'_, Result<StreamedAnswer, InvokeRefusal>> {
        Box::pin(async move {
            let (sink, parts) = stream::channel();
            streaming::begin(parts, self.enter(call, Some(sink))?).await
        })
    }

    fn expect(&self, spec: Arc<FunctionSpec>) {
        self.cells.expect(spec.runtime, spec.memory_mb, Shape { egress: spec.egress });
    }

    fn retire(&self, function_arn: &str, current: Option<Arc<FunctionSpec>>) {
        let obsolete = match &current {
            None => Obsolete::All,
            Some(spec) => Obsolete::AllBut { version: spec.version, revision: &spec.revision },
        };
        self.perform(|inner| inner.plan.retire(function_arn, obsolete), None);
    }

    fn version_deleted(&self, function_arn: &str, version: Version) {
        self.ports.snapshots.forget(function_arn, Some(version));
        self.perform(|inner| inner.plan.retire(function_arn, Obsolete::Version(version)), None);
    }

    fn deleted(&self, function_arn: &str) {
        self.retire(function_arn, None);
        self.ports.snapshots.forget(function_arn, None);
        self.cold.forget(function_arn);
        self.ports.metrics.forget(function_arn);
    }
}
