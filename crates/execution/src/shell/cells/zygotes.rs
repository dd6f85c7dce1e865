//! Runtimes that are copied from one that has booted: for the stock, and for a call when nothing waits.

use std::path::PathBuf;

use lambent_core::ports::sandbox::{Assignment, Booted, Limits, Program, Shape};
use lambent_core::runtime::Runtime;

use super::super::executor::Launch;
use super::super::variables::TASK_ROOT;
use super::{BootedKind, Cells};

impl Cells {
    /// A function's runtime, copied into a sandbox that nobody waits in; `None` where it has no zygote now. The sandbox
    /// has the function's own limits from the start.
    pub async fn copy(
        &self,
        runtime: &'static Runtime,
        limits: Limits,
        shape: Shape,
    ) -> Option<Box<dyn Booted>> {
        let job = self.program(runtime, BootedKind::of(runtime, limits.memory_mb).memory_mb, limits)?;
        if !self.keeps_zygote(runtime, &job) {
            return None;
        }
        let cell = match self.take(shape) {
            Some(cell) => cell,
            None => self.make(shape).await.ok()?,
        };
        let copied = cell.boot(job).await;
        copied.inspect_err(|error| tracing::debug!(%error, "a runtime could not be copied")).ok()
    }

    /// What boots ahead of a function.
    pub(super) fn program(
        &self,
        runtime: &'static Runtime,
        memory_mb: u32,
        limits: Limits,
    ) -> Option<Assignment> {
        let Launch { mounts, argv, env, .. } = self.launcher.boot(runtime, memory_mb)?;
        Some(Assignment { limits, mounts, program: Program { argv, env, cwd: PathBuf::from(TASK_ROOT) } })
    }

    /// Whether such a runtime can be copied now. The first question has its zygote made.
    pub(super) fn keeps_zygote(&self, runtime: &'static Runtime, job: &Assignment) -> bool {
        self.zygotes && self.launcher.copies(runtime) && self.sandboxes.has_zygote(job)
    }
}
