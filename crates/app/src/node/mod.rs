//! The node: the server behind `lambent up`.
//!
//! [`run`] is the whole life: [`start`] builds the house from its rooms, [`listen`] takes requests in,
//! [`front`] verifies and hands them to services. What stands in the data directory:
//!
//! ```text
//! credentials  node.key   the root key and the node's secret, mode 0600
//! meta.db                 functions, versions, aliases, layers
//! deliveries.db           what was accepted and is on its way, and how far schedules have fired
//! notifications.key       what notifications of topics are signed with
//! queues.db               queues and their messages
//! topics.db               topics and their subscriptions
//! events.db               event buses, rules, archives and replays, schedules
//! archive.db              what archives keep of events
//! logs.db                 log events, traces of calls
//! code/                   packages, zipped and unpacked
//! runtimes/               bundles, SDKs and the runtime clients
//! compiled/  snapshots/   what V8 made of packages; what inits came to (SnapStart): made anew when it is lost
//! run/                    scratch of live sandboxes; emptied at every start
//! lock                    held by the node that is running
//! ```

mod announcements;
mod body;
mod capacity;
mod failure;
mod faults;
mod front;
mod keys;
mod links;
mod listen;
mod notifications;
mod operations;
mod outgoing;
mod patience;
mod scaling;
mod signing;
mod start;
mod system;
mod testing;
mod told;
mod trace;
mod url;
mod url_domain;
mod virtual_clock;

use std::io::Write as _;
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

pub use system::memory_bytes;

use failure::Failure;
use lambent_execution::plan::keep_alive::Policy as KeepAlive;
use tokio::signal::unix::{SignalKind, signal};
use tracing_subscriber::EnvFilter;
pub use url_domain::UrlDomain;

/// How long calls in flight may go on after the node was told to stop.
const DRAIN_MAX: Duration = Duration::from_secs(30);

/// What `lambent up` was asked for, checked by the command line: addresses, names and numbers are of the
/// right form, and test credentials are off for a listener that others can reach.
#[derive(Debug, Clone)]
pub struct Options {
    pub data: PathBuf,
    pub listen: IpAddr,
    pub port: u16,
    /// Twelve digits.
    pub account: String,
    pub isolation: String,
    /// The runtime that functions name, and the one that runs them.
    pub runtime_aliases: Vec<(String, String)>,
    /// Where function URLs are reached.
    pub url_domain: UrlDomain,
    /// Certificate chain and private key, both PEM files.
    pub tls: Option<(PathBuf, PathBuf)>,
    pub allow_test_credentials: bool,
    pub account_concurrency: u32,
    /// Hold the account to AWS's calls a second.
    pub aws_request_rate: bool,
    /// For sandboxes that wait for a function.
    pub parked_memory_bytes: u64,
    /// Copy runtimes that can copy themselves.
    pub zygotes: bool,
    /// How much of a payload is kept with the trace of its call.
    pub trace_payload_bytes: usize,
    /// A collector that gets spans, and the headers for it.
    pub otlp: Option<(String, Vec<(String, String)>)>,
    pub keep_alive: KeepAlive,
    /// Memory of the machine that idle environments leave free.
    pub memory_reserve_bytes: u64,
    /// Whether time can be advanced, for tests.
    pub virtual_clock: bool,
    /// Whether targets can be had fail, for tests.
    pub faults: bool,
    pub json: bool,
    pub log_filter: Option<String>,
}

/// Runs the node until it is told to stop.
pub fn run(options: Options) -> ExitCode {
    init_tracing(options.log_filter.as_deref());
    // One for those who serve, one for blocking work; databases have their own bounds.
    lambent_sandbox::share_heaps(u16::try_from(threads()).unwrap_or(u16::MAX).saturating_add(1));
    let runtime =
        match tokio::runtime::Builder::new_multi_thread().worker_threads(threads()).enable_all().build() {
            Ok(runtime) => runtime,
            Err(error) => {
                eprintln!("error: the node can't start its threads: {error}");
                return ExitCode::FAILURE;
            }
        };
    let result = runtime.block_on(live(&options));
    // Blocking work that is still under way (an upload being unpacked) was never acknowledged.
    runtime.shutdown_timeout(Duration::from_secs(1));
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            eprintln!("error: {failure}");
            ExitCode::FAILURE
        }
    }
}

/// Half of the machine serves requests, the other half runs what they ask for. On small machines one thread is also
/// the quicker way: a call passes through several tasks, and none of them has to wake another thread.
fn threads() -> usize {
    std::thread::available_parallelism().map_or(1, |cores| cores.get() / 2).max(1)
}

fn init_tracing(filter: Option<&str>) {
    let filter = EnvFilter::try_new(filter.unwrap_or("warn")).unwrap_or_else(|_| EnvFilter::new("warn"));
    let colour =
        std::io::IsTerminal::is_terminal(&std::io::stderr()) && std::env::var_os("NO_COLOR").is_none();
    // A second node in one process (tests) finds a subscriber already there.
    let _ = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_ansi(colour)
        .with_target(false)
        .try_init();
}

async fn live(options: &Options) -> Result<(), Failure> {
    // Before anything else, so that a signal during the start is not the default one, which would leave
    // sandboxes to be cleaned by the next start.
    let mut terminate = signal(SignalKind::terminate()).map_err(signal_failure)?;
    let mut interrupt = signal(SignalKind::interrupt()).map_err(signal_failure)?;
    let node = start::start(options).await?;
    announce(options, node.address);
    tokio::select! {
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
    }
    if !options.json {
        eprintln!(
            "stopping: waiting for calls in flight (at most {} s; again to cut them off)",
            DRAIN_MAX.as_secs()
        );
    }
    let impatient = async {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
    };
    node.stop(DRAIN_MAX, impatient).await;
    Ok(())
}

fn signal_failure(source: std::io::Error) -> Failure {
    Failure::File { what: "can't handle signals", path: PathBuf::from("/proc/self"), source }
}

fn announce(options: &Options, address: SocketAddr) {
    let scheme = if options.tls.is_some() { "https" } else { "http" };
    let endpoint = format!("{scheme}://{address}");
    let mut out = std::io::stdout().lock();
    let _ = if options.json {
        let line = serde_json::json!({
            "event": "ready", "endpoint": endpoint, "pid": std::process::id(),
            "data": options.data.display().to_string(), "isolation": options.isolation,
        });
        writeln!(out, "{line}")
    } else {
        writeln!(
            out,
            "lambent {} is ready on {endpoint}\n\
             data in {}, isolation {}{}\n\
             for AWS tools: eval \"$(lambent env)\"",
            env!("CARGO_PKG_VERSION"),
            options.data.display(),
            options.isolation,
            if options.allow_test_credentials { ", credentials test/test accepted" } else { "" },
        )
    };
    let _ = out.flush();
}
