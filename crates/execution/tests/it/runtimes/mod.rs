//! The clients of `runtimes/` on the interpreters of this host, against a false Runtime API; and the catalogue
//! that finds and launches them.
//!
//! What isn't installed can't be tested: such cases say `ABSENT` on stderr and pass.

mod api;
mod catalogue;
mod java;
mod nodejs;
mod parked;
mod python;
mod python_streaming;
mod run;

use std::sync::LazyLock;

use lambent_core::runtime::{self, Runtime};
use lambent_execution::runtimes::{Catalogue, Launch, Places};

/// One catalogue for all tests: finding interpreters takes a while.
static CATALOGUE: LazyLock<(tempfile::TempDir, Catalogue)> = LazyLock::new(|| {
    let dir = tempfile::tempdir().unwrap();
    let catalogue = Catalogue::open_in(dir.path().to_path_buf(), Vec::new(), Places::of_host()).unwrap();
    (dir, catalogue)
});

fn known(id: &str) -> &'static Runtime {
    runtime::find(id).unwrap()
}

/// How a runtime that is installed is started to wait for its function.
fn boot(id: &str, memory_mb: u32) -> Option<Launch> {
    CATALOGUE.1.boot(known(id), memory_mb)
}

/// How to start a runtime here; `None`, loudly, when it isn't installed.
fn launch(id: &str) -> Option<Launch> {
    match CATALOGUE.1.launch(known(id), 256) {
        Ok(launch) => Some(launch),
        Err(missing) => {
            eprintln!("ABSENT: {id} was not tested on this host: {missing}");
            None
        }
    }
}
