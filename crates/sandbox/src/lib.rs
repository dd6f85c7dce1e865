//! Sandboxes on Linux: the real side of the port [`lambent_core::ports::sandbox`], and the only unsafe code of the
//! platform.
//!
//! Three kinds of processes take part:
//!
//! - the **node**, with many threads, holds a [`Driver`]. It never duplicates itself;
//! - the **spawner** ([`spawner_main`]), with one thread, makes and removes sandboxes on the node's request, and removes
//!   all of them when the node is gone;
//! - each sandbox's **init**, a copy of the spawner in the sandbox's namespaces, builds the sandbox's file tree, starts
//!   the program and reports its end.
//!
//! Start reading at `driver`, then `spawner`, then `init`; `protocol` is what they say to each other. `cgroup` is limits
//! and freezing, `seccomp` the system call filter, `kernel` the calls that need `unsafe`.
//!
//! Not here: which code runs in a sandbox and for how long, what the Runtime API answers, how many cells are kept
//! ready.

mod addresses;
mod cgroup;
mod config;
mod driver;
pub mod egress;
mod init;
mod kernel;
mod process;
mod protocol;
mod report;
mod restoring;
mod seccomp;
mod socket;
mod spawner;
mod users;
mod volumes;

pub use config::{Config, Isolation, StartError, UnknownIsolation};
pub use driver::Driver;
pub use kernel::share_heaps;
pub use report::{Check, HostReport, State, examine_host};
pub use spawner::spawner_main;
