//! Builds the house from its rooms, and takes it down again.

use std::future::Future;
use std::net::SocketAddr;
use std::os::unix::fs::{DirBuilderExt as _, PermissionsExt as _};
use std::path::Path;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use lambent_core::ports::{
    Capacity, Changes, Clock, CodeStore, Entropy, HttpSink, Invoke, LogSink, QueueSink, QueueSource,
    Runtimes, Sandboxes, Sessions, Snapshots, TraceSink,
};
use lambent_core::{AccountId, CodeDigest};
use lambent_events::Events;
use lambent_execution::artifact::FileCodeStore;
use lambent_execution::runtimes::Catalogue;
use lambent_execution::shell::environment::Owner as _;
use lambent_execution::shell::{Executor, HostLauncher, Ports, SnapshotStore};
use lambent_functions::{Deps, Functions};
use lambent_observe::logs::Logs;
use lambent_observe::metrics::Registry;
use lambent_observe::otlp::Exporter;
use lambent_observe::traces::Traces;
use lambent_queues::Queues;
use lambent_sandbox::{Driver, Isolation};
use lambent_store::archive::ArchiveStore;
use lambent_store::deliveries::{DeliveryStore, FunctionEvents};
use lambent_store::events::EventStore;
use lambent_store::functions::FunctionStore;
use lambent_store::logs::LogStore;
use lambent_store::queues::QueueStore;
use lambent_store::traces::TraceStore;
use lambent_store_sql::{
    SqliteArchive, SqliteDeliveries, SqliteEvents, SqliteLogs, SqliteQueues, SqliteStore,
};
use sha2::{Digest as _, Sha256};
use tokio::net::TcpListener;
use tokio::sync::{Semaphore, watch};
use tokio::task::JoinHandle;

use super::Options;
use super::announcements::{Announcements, Throttles};
use super::capacity::CapacityReport;
use super::failure::Failure;
use super::faults::{Faults, FaultyInvoke, FaultyQueues};
use super::front::{BODIES_MIB_MAX, Front};
use super::keys::Keys;
use super::listen::{self, Inside};
use super::notifications::{self, Notifications};
use super::operations::Inner;
use super::outgoing::{Outgoing, Reach};
use super::patience::Patient;
use super::scaling::Scaling;
use super::system::{SystemClock, SystemEntropy, SystemHost};
use super::testing::Testing;
use super::told::Told;
use super::virtual_clock::VirtualClock;

/// Compressed log events kept on disk; beyond it the oldest go first.
const LOG_BYTES_MAX: u64 = 4 * lambent_core::limits::GIB;

/// How often packages that no function uses any more are looked for.
const SWEEP_EVERY: Duration = Duration::from_secs(600);

/// A running node.
pub struct Node {
    pub address: SocketAddr,
    driver: Arc<Driver>,
    executor: Arc<Executor>,
    logs: Arc<Logs>,
    traces: Arc<Traces>,
    collector: Option<Arc<Exporter>>,
    queues: Arc<Queues>,
    stop: watch::Sender<bool>,
    listening: JoinHandle<()>,
    async_calls: JoinHandle<()>,
    timers: JoinHandle<()>,
    sending: JoinHandle<()>,
    workers: Vec<JoinHandle<()>>,
}

pub async fn start(options: &Options) -> Result<Node, Failure> {
    raise_descriptor_limit();
    make_private_dir(&options.data)?;
    let data = options.data.canonicalize().map_err(|e| file("can't resolve", &options.data, e))?;
    let account = AccountId::new(&options.account).map_err(|e| Failure::Option(e.to_string()))?;
    let isolation: Isolation =
        options.isolation.parse().map_err(|e| Failure::Option(format!("--isolation: {e}")))?;
    let virtual_clock = options.virtual_clock.then(|| Arc::new(VirtualClock::default()));
    let clock: Arc<dyn Clock> = match &virtual_clock {
        Some(clock) => clock.clone(),
        None => Arc::new(SystemClock),
    };
    let entropy: Arc<dyn Entropy> = Arc::new(SystemEntropy);

    // The store first: it holds the directory's lock, so from here on the directory is this node's alone.
    let store = Arc::new(SqliteStore::open(&data)?);
    let listener = bind(SocketAddr::new(options.listen, options.port)).await?;
    let address = listener.local_addr().map_err(|e| file("can't read the address of", &data, e))?;
    let tls = match &options.tls {
        Some((certificate, key)) => {
            Some(listen::tls(certificate, key).map_err(|e| Failure::Option(format!("TLS: {e}")))?)
        }
        None => None,
    };
    let driver = Arc::new(start_driver(&data, isolation).await?);
    let keys = Keys::open(&data, &account, options.allow_test_credentials, clock.clone(), entropy.as_ref())
        .map_err(|e| file("keys in", &data, e))?;
    let keys = Arc::new(keys);
    let deliveries = Arc::new(SqliteDeliveries::open(&data)?);
    let event_store = Arc::new(SqliteEvents::open(&data)?);
    let archive = Arc::new(SqliteArchive::open(&data)?);
    let log_store = Arc::new(SqliteLogs::open(&data.join("logs.db"), LOG_BYTES_MAX)?);
    let traces = Arc::new(Traces::new(
        log_store.clone() as Arc<dyn TraceStore>,
        clock.clone(),
        lambent_observe::traces::Settings {
            preview_bytes: options.trace_payload_bytes,
            ..lambent_observe::traces::Settings::default()
        },
    ));
    let collector = options.otlp.clone().map(|(endpoint, headers)| {
        let instance = lambent_core::ids::uuid(&*entropy);
        let settings = lambent_observe::otlp::Settings { endpoint, headers, instance };
        Arc::new(Exporter::new(traces.clone(), settings))
    });
    let sink_of_traces: Arc<dyn TraceSink> = match &collector {
        Some(collector) => collector.clone(),
        None => traces.clone(),
    };
    let logs = Arc::new(Logs::new(
        log_store as Arc<dyn LogStore>,
        clock.clone(),
        lambent_observe::logs::Settings::default(),
    ));
    let queues = Arc::new(Queues::new(lambent_queues::Deps {
        store: Arc::new(SqliteQueues::open(&data)?) as Arc<dyn QueueStore>,
        clock: clock.clone(),
        entropy: entropy.clone(),
        traces: sink_of_traces.clone(),
        receipt_secret: keys.derived("receipt handles of queues"),
    }));
    let code = FileCodeStore::open(&data.join("code"), lambent_execution::artifact::Limits::default())
        .map_err(|e| file("code in", &data, e))?;
    let code = Arc::new(code);
    let catalogue = Catalogue::open(data.join("runtimes"), options.runtime_aliases.clone())
        .map_err(|e| Failure::Option(format!("--runtime-alias: {e}")))?;
    // No sandbox has anything of it mounted yet.
    catalogue.sweep();
    let catalogue = Arc::new(catalogue);
    let launcher = HostLauncher::new(catalogue.clone(), code.clone(), data.join("compiled"));
    let runtimes = Arc::new(Patient::new(catalogue, launcher));

    let inside = Arc::new(Inside { front: OnceLock::new() });
    let metrics = Arc::new(Registry::new(clock.clone()));
    let announcements = Arc::new(Announcements::default());
    let executor = Executor::new(Ports {
        sandboxes: driver.clone() as Arc<dyn Sandboxes>,
        sessions: keys.clone() as Arc<dyn Sessions>,
        sink: logs.clone() as Arc<dyn LogSink>,
        clock: clock.clone(),
        host: Arc::new(SystemHost),
        entropy: entropy.clone(),
        endpoint: inside.clone(),
        launcher: runtimes.clone(),
        snapshots: SnapshotStore::new(data.join("snapshots")),
        metrics: Arc::new(Throttles::new(metrics.clone(), announcements.clone(), clock.clone())),
        traces: sink_of_traces.clone(),
        settings: lambent_execution::shell::Settings {
            parked_memory_bytes: options.parked_memory_bytes,
            zygotes: options.zygotes,
            memory_reserve_bytes: options.memory_reserve_bytes,
            keep_alive: options.keep_alive,
            paces_accounts: options.aws_request_rate,
            ..lambent_execution::shell::Settings::default()
        },
    });
    let faults = options.faults.then(Arc::<Faults>::default);
    let told = Arc::new(Told { queues: queues.clone(), topics: OnceLock::new(), buses: OnceLock::new() });
    let invoke = callee(&executor, faults.as_ref());
    let sink = receiver(told.clone(), faults.as_ref());
    let scheme = if tls.is_some() { "https" } else { "http" };
    let functions = Arc::new(Functions::new(Deps {
        store: store.clone() as Arc<dyn FunctionStore>,
        deliveries: deliveries.clone() as Arc<dyn DeliveryStore>,
        code: code.clone() as Arc<dyn CodeStore>,
        runtimes: runtimes.clone() as Arc<dyn Runtimes>,
        invoke,
        capacity: executor.clone() as Arc<dyn Capacity>,
        snapshots: executor.clone() as Arc<dyn Snapshots>,
        traces: sink_of_traces.clone(),
        queues: sink.clone(),
        queue_source: queues.clone() as Arc<dyn QueueSource>,
        metrics: metrics.clone(),
        changes: announcements.clone(),
        clock: clock.clone(),
        entropy: entropy.clone(),
        settings: lambent_functions::Settings {
            account_concurrency: options.account_concurrency,
            public_endpoint: format!("{scheme}://{address}"),
            url_place: options.url_domain.place(scheme, address.port()),
            architecture: architecture(),
        },
    }));
    let capacity = CapacityReport {
        capacity: executor.clone() as Arc<dyn Capacity>,
        registry: metrics,
        traces: traces.clone(),
        spans: collector.as_ref().map(|collector| collector.counts()),
        store: store.clone() as Arc<dyn FunctionStore>,
        clock: clock.clone(),
        account_concurrency: options.account_concurrency,
    };
    let scaling = Scaling {
        capacity: executor.clone() as Arc<dyn Capacity>,
        changes: announcements.clone(),
        clock: clock.clone(),
    };
    let operations = Arc::new(Inner::default());
    let outgoing: Arc<dyn HttpSink> = Arc::new(Outgoing::new(reach_of(options)));
    let events = Arc::new(Events::new(lambent_events::Deps {
        store: event_store as Arc<dyn EventStore>,
        archive: archive as Arc<dyn ArchiveStore>,
        deliveries: deliveries.clone() as Arc<dyn DeliveryStore>,
        functions: functions.clone() as Arc<dyn FunctionEvents>,
        queues: sink,
        http: outgoing.clone(),
        traces: sink_of_traces.clone(),
        operations: operations.clone(),
        clock: clock.clone(),
        entropy: entropy.clone(),
    }));
    let hearer: Arc<dyn Changes> = events.clone();
    let _ = told.buses.set(Arc::downgrade(&events));
    let _ = announcements.0.set(Arc::downgrade(&hearer));
    let room = executor.clone();
    let notifications = Notifications::open(
        &data,
        &keys,
        deliveries.clone() as Arc<dyn DeliveryStore>,
        functions.clone() as Arc<dyn FunctionEvents>,
        (receiver(queues.clone(), faults.as_ref()), outgoing, sink_of_traces),
        (clock.clone(), entropy.clone()),
        format!("{scheme}://{address}"),
    )?;
    let topics = notifications.topics.clone();
    let _ = told.topics.set(Arc::downgrade(&topics));
    let front = Arc::new(Front {
        keys,
        functions: functions.clone(),
        logs: logs.clone(),
        queues: queues.clone(),
        events: events.clone(),
        notifications,
        capacity,
        clock,
        entropy,
        bodies: Semaphore::new(BODIES_MIB_MAX),
        testing: Testing { clock: virtual_clock, faults },
        make_room: Box::new(move || {
            room.make_room();
        }),
    });
    // The executor serves the front door inside sandboxes, and the front door leads to the executor: the weak
    // end lets both be dropped.
    let _ = inside.front.set(Arc::downgrade(&front));
    let _ = operations.0.set(Arc::downgrade(&front));

    let mut workers = workers(&executor, &functions, &logs, &code, &store, runtimes);
    workers.push(tokio::spawn(scaling.run()));
    if let Some(collector) = collector.clone() {
        workers.push(tokio::spawn(async move { collector.run(&Outgoing::new(Reach::Anywhere)).await }));
    }
    let follower = traces.clone();
    workers.push(tokio::spawn(async move { follower.run().await }));
    let housekeeper = queues.clone();
    workers.push(tokio::spawn(async move { housekeeper.run().await }));
    let (stop, stopped) = watch::channel(false);
    let sending = tokio::spawn(notifications::run(topics, stopped.clone()));
    let async_calls = tokio::spawn(run_async_calls(functions, stopped.clone()));
    let timers = tokio::spawn(run_events(events, stopped.clone()));
    let listening = tokio::spawn(listen::serve(listener, tls, front, stopped));
    Ok(Node {
        address,
        driver,
        executor,
        logs,
        traces,
        collector,
        queues,
        stop,
        listening,
        async_calls,
        timers,
        sending,
        workers,
    })
}

/// Functions, as those find them who call them for others.
fn callee(executor: &Arc<Executor>, faults: Option<&Arc<Faults>>) -> Arc<dyn Invoke> {
    match faults {
        None => executor.clone(),
        Some(faults) => Arc::new(FaultyInvoke { inner: executor.clone(), faults: faults.clone() }),
    }
}

/// Where events are posted to. Whoever reaches a node for development reaches its host's loopback themselves.
fn reach_of(options: &Options) -> Reach {
    if options.allow_test_credentials { Reach::AlsoThisHost } else { Reach::OtherHosts }
}

/// Queues and topics, as those find them who tell them something.
fn receiver(inner: Arc<dyn QueueSink>, faults: Option<&Arc<Faults>>) -> Arc<dyn QueueSink> {
    match faults {
        None => inner,
        Some(faults) => Arc::new(FaultyQueues { inner, faults: faults.clone() }),
    }
}

impl Node {
    /// Takes no more calls, lets those in flight end (within `drain_max`, or until `impatient`), removes every
    /// sandbox, and puts the last log lines on disk.
    pub async fn stop(self, drain_max: Duration, impatient: impl Future<Output = ()>) {
        let _ = self.stop.send(true);
        self.queues.stop();
        lambent_execution::runtimes::end();
        tokio::select! {
            () = self.executor.stop(drain_max) => {}
            () = impatient => {}
        }
        // What the last attempts came to goes to the disk; an attempt that was cut off is made again some day.
        let _ = tokio::time::timeout(Duration::from_secs(1), self.timers).await;
        let _ = tokio::time::timeout(Duration::from_secs(1), self.async_calls).await;
        let _ = tokio::time::timeout(Duration::from_secs(1), self.sending).await;
        self.driver.stop().await;
        // The answers of the last calls are on their way out.
        let _ = tokio::time::timeout(Duration::from_secs(1), self.listening).await;
        self.logs.flush().await;
        self.traces.flush().await;
        for worker in &self.workers {
            worker.abort();
        }
        // One may stand aside of the runtime, with a question to the catalogue: back again, it must find it whole.
        let gone = async {
            for worker in self.workers {
                let _ = worker.await;
            }
        };
        let _ = tokio::time::timeout(Duration::from_secs(1), gone).await;
        if let Some(collector) = self.collector {
            // The last spans; a collector that is gone holds nobody up.
            let _ = tokio::time::timeout(
                Duration::from_secs(1),
                collector.flush(&Outgoing::new(Reach::Anywhere)),
            )
            .await;
        }
    }
}

async fn run_async_calls(functions: Arc<Functions>, mut stopped: watch::Receiver<bool>) {
    let (mut also_stopped, mut mappings_stopped) = (stopped.clone(), stopped.clone());
    let mappings_stop = async move {
        let _ = mappings_stopped.wait_for(|stopped| *stopped).await;
    };
    let mappings = tokio::spawn(functions.clone().run_mappings(mappings_stop));
    let stop = async {
        let _ = stopped.wait_for(|stopped| *stopped).await;
    };
    let also_stop = async {
        let _ = also_stopped.wait_for(|stopped| *stopped).await;
    };
    let pushes = functions.run_queue_pushes(also_stop);
    let _ = tokio::join!(functions.run_async_calls(stop), pushes, mappings);
}

async fn run_events(events: Arc<Events>, stopped: watch::Receiver<bool>) {
    let stop = || {
        let mut stopped = stopped.clone();
        async move {
            let _ = stopped.wait_for(|stopped| *stopped).await;
        }
    };
    tokio::join!(
        events.run_timers(stop()),
        events.run_outbox(stop()),
        events.run_archives(stop()),
        events.run_posts(stop()),
        events.run_connections(stop())
    );
}

fn workers(
    executor: &Arc<Executor>,
    functions: &Arc<Functions>,
    logs: &Arc<Logs>,
    code: &Arc<FileCodeStore>,
    store: &Arc<SqliteStore>,
    runtimes: Arc<Patient>,
) -> Vec<JoinHandle<()>> {
    let (executor, functions, logs) = (executor.clone(), functions.clone(), logs.clone());
    let known = functions.clone();
    let (code, store, users) = (code.clone(), store.clone(), executor.clone());
    vec![
        tokio::spawn(async move { executor.run().await }),
        // Learning what the host has may take seconds on its first day: off the serving threads, and no function of a
        // runtime that is known already waits for it.
        tokio::task::spawn_blocking(move || {
            runtimes.learn();
            known.expect_calls();
            known.provision_all();
            known.keep_snapshots();
        }),
        tokio::spawn(async move {
            tokio::join!(functions.run_worker(), functions.run_snapshots());
        }),
        tokio::spawn(async move { logs.run().await }),
        tokio::spawn(async move {
            let mut every = tokio::time::interval(SWEEP_EVERY);
            loop {
                every.tick().await;
                let (store, users) = (store.clone(), users.clone());
                let keep =
                    move |digest: &CodeDigest| store.is_referenced(digest) || users.uses_package(digest);
                if let Err(error) = code.sweep(keep).await {
                    tracing::warn!(%error, "packages that nobody uses were not removed");
                }
            }
        }),
    ]
}

async fn bind(address: SocketAddr) -> Result<TcpListener, Failure> {
    TcpListener::bind(address).await.map_err(|source| Failure::Listen {
        address,
        hint: match source.kind() {
            std::io::ErrorKind::AddrInUse => "; another node may be running: choose another --port",
            std::io::ErrorKind::PermissionDenied => {
                "; ports below 1024 need privileges: choose another --port"
            }
            _ => "",
        },
        source,
    })
}

async fn start_driver(data: &Path, isolation: Isolation) -> Result<Driver, Failure> {
    let run_dir = data.join("run");
    make_private_dir(&run_dir)?;
    // The same directory gives the same name, so that a node finds what its killed predecessor left.
    let digest = Sha256::digest(data.as_os_str().as_encoded_bytes());
    let instance: String = digest.iter().take(6).map(|byte| format!("{byte:02x}")).collect();
    let config = lambent_sandbox::Config {
        instance,
        isolation,
        run_dir,
        spawner: vec!["/proc/self/exe".into(), "__sandbox-spawner".into()],
    };
    if isolation != Isolation::Full {
        eprintln!("warning: --isolation {isolation}: {}", unprotected(isolation));
    }
    Ok(Driver::start(config).await?)
}

/// For the node's user only: it holds keys, code and logs.
fn make_private_dir(path: &Path) -> Result<(), Failure> {
    let made = std::fs::DirBuilder::new().recursive(true).mode(0o700).create(path);
    made.map_err(|e| file("can't make the folder", path, e))?;
    let mode = std::fs::metadata(path).map_err(|e| file("can't read", path, e))?.permissions().mode();
    if mode & 0o077 != 0 {
        tracing::warn!(path = %path.display(), "the folder can be read by other users of this machine: chmod 700 it");
    }
    Ok(())
}

/// Each environment takes about eight descriptors of the node, and each connection one.
fn raise_descriptor_limit() {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    let Rlimit { current, maximum } = getrlimit(Resource::Nofile);
    if current != maximum {
        let _ = setrlimit(Resource::Nofile, Rlimit { current: maximum, maximum });
    }
}

/// What a weaker level leaves open: said on every start, since nothing else will remind anybody.
fn unprotected(isolation: Isolation) -> &'static str {
    match isolation {
        Isolation::Full => "",
        Isolation::Namespaces => {
            "no limits of memory and CPU: one function can starve the host and every other function"
        }
        Isolation::Process => {
            "functions are plain processes of this user: they read and write what you can, reach your network \
             and this machine's loopback, and see each other. Only for code that you trust as your own"
        }
    }
}

fn architecture() -> &'static str {
    if cfg!(target_arch = "aarch64") { "arm64" } else { "x86_64" }
}

fn file(what: &'static str, path: &Path, source: std::io::Error) -> Failure {
    Failure::File { what, path: path.to_owned(), source }
}
