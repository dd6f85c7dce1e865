//! Questions to the catalogue of runtimes, which on a host's first day takes seconds to answer: it has interpreters to
//! find and a Java client to compile. Until it knows, whoever asks steps off the threads that serve.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use lambent_core::function::FunctionSpec;
use lambent_core::ports::sandbox::Mount;
use lambent_core::ports::{Availability, Runtimes};
use lambent_core::runtime::Runtime;
use lambent_execution::runtimes::Catalogue;
use lambent_execution::shell::{HostLauncher, Launch, Launcher};

pub struct Patient {
    catalogue: Arc<Catalogue>,
    launcher: HostLauncher,
    knows: AtomicBool,
}

impl Patient {
    pub fn new(catalogue: Arc<Catalogue>, launcher: HostLauncher) -> Self {
        Self { catalogue, launcher, knows: AtomicBool::new(false) }
    }

    /// Waits until the catalogue knows this host. Blocks.
    pub fn learn(&self) {
        self.catalogue.list();
        self.knows.store(true, Ordering::Release);
    }

    fn ask<T>(&self, question: impl FnOnce() -> T) -> T {
        if self.knows.load(Ordering::Acquire) { question() } else { tokio::task::block_in_place(question) }
    }
}

impl Runtimes for Patient {
    fn availability(&self, runtime: &'static Runtime) -> Availability {
        self.ask(|| self.catalogue.availability(runtime))
    }
}

impl Launcher for Patient {
    fn extensions(&self, spec: &FunctionSpec) -> Vec<String> {
        self.launcher.extensions(spec)
    }

    fn launch(&self, spec: &FunctionSpec) -> Result<Launch, String> {
        self.ask(|| self.launcher.launch(spec))
    }

    fn function_mounts(&self, spec: &FunctionSpec) -> Vec<Mount> {
        self.launcher.function_mounts(spec)
    }

    fn boot(&self, runtime: &'static Runtime, memory_mb: u32) -> Option<Launch> {
        self.ask(|| self.launcher.boot(runtime, memory_mb))
    }

    fn copies(&self, runtime: &'static Runtime) -> bool {
        self.launcher.copies(runtime)
    }

    fn started_as(&self, spec: &FunctionSpec) -> Vec<String> {
        self.ask(|| self.launcher.started_as(spec))
    }

    fn keep_compiled(&self, spec: &FunctionSpec, code: &[u8]) {
        self.launcher.keep_compiled(spec, code);
    }
}
