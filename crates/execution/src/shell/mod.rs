//! Performs what the plan decides: makes environments, runs calls in them, writes their logs, ends them.
//!
//! Start with [`executor`] (the `Invoke` port), then [`environment`] (the life of one environment).

mod capacity;
mod cells;
mod cold;
mod compiled;
pub mod environment;
mod executor;
mod extension_log;
mod failure;
mod launcher;
mod log_pump;
mod report;
mod settings;
mod snapshots;
mod snapshotting;
mod streaming;
#[cfg(test)]
mod tests;
mod variables;

pub use executor::{Executor, Launch, Launcher, Ports};
pub use launcher::HostLauncher;
pub use settings::{AGE_MAX, Settings};
pub use snapshots::SnapshotStore;

/// Serves the node's AWS endpoint to the code inside an environment.
pub trait Endpoint: Send + Sync {
    /// Serves the listener until the guard is dropped.
    fn serve(&self, listener: std::net::TcpListener) -> Box<dyn Send + Sync>;
}
