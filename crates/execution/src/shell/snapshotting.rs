//! The `Snapshots` port: has snapshots made, of versions that are published and of versions that lost theirs.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use lambent_core::function::FunctionSpec;
use lambent_core::ports::{BoxFuture, SnapshotFailure, Snapshots};

use super::Executor;
use super::environment::{self, Maker};
use crate::plan::Purpose;

impl Executor {
    async fn take_snapshot(&self, spec: Arc<FunctionSpec>) -> Result<(), SnapshotFailure> {
        let stopping = || SnapshotFailure::Host { detail: "the node is stopping".to_owned() };
        if self.stopping.load(Ordering::SeqCst) {
            return Err(stopping());
        }
        let (ports, cells, this) = (self.ports.clone(), self.cells.clone(), self.this.clone());
        environment::make_snapshot(Maker::new(spec, ports, cells, Purpose::Warm, this)).await
    }

    /// Makes one anew beside the calls, which do without meanwhile. A version whose snapshot can't be made any more does
    /// without for as long as this node runs.
    pub(super) fn make_snapshot_again(&self, spec: &Arc<FunctionSpec>) {
        let Some(executor) = self.this.upgrade() else { return };
        let Some(turn) = self.ports.snapshots.begin_again(spec) else { return };
        let spec = Arc::clone(spec);
        tokio::spawn(async move {
            let outcome = executor.take_snapshot(Arc::clone(&spec)).await;
            if let Err(error) = &outcome {
                tracing::warn!(function = spec.arn(), version = %spec.version, %error, "no snapshot was made anew");
            }
            turn.end(matches!(outcome, Err(SnapshotFailure::Function { .. })));
        });
    }
}

impl Snapshots for Executor {
    fn missing(&self) -> Option<String> {
        self.ports.sandboxes.cannot_restore()
    }

    fn make(&self, spec: Arc<FunctionSpec>) -> BoxFuture<'_, Result<(), SnapshotFailure>> {
        Box::pin(async move {
            let started_as = self.ports.launcher.started_as(&spec);
            if self.ports.snapshots.find(&spec, started_as).await.is_some() {
                return Ok(());
            }
            self.take_snapshot(spec).await
        })
    }

    fn keep_only(&self, specs: &[Arc<FunctionSpec>]) {
        self.ports.snapshots.keep_only(specs);
        // Read once, now that no call waits for it.
        for spec in specs {
            self.ports.snapshots.check(spec, &self.ports.launcher.started_as(spec));
        }
    }
}
