use std::sync::Arc;

use super::BoxFuture;
use crate::function::FunctionSpec;

/// Keeps what the init of versions came to, for their environments to begin with (SnapStart).
///
/// The snapshot of a version goes when the version does, which [`super::Invoke`] is told.
pub trait Snapshots: Send + Sync {
    /// Why this node makes none of any function; `None` where it does.
    fn missing(&self) -> Option<String>;

    /// Runs the init of a version and keeps what it came to. A version that has its snapshot already gets no other.
    fn make(&self, spec: Arc<FunctionSpec>) -> BoxFuture<'_, Result<(), SnapshotFailure>>;

    /// There are no other versions than these. For a node that has just started: what a version left behind that was
    /// deleted while the node did not run goes.
    fn keep_only(&self, specs: &[Arc<FunctionSpec>]);
}

/// Why there is no snapshot.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SnapshotFailure {
    /// It is the function's: another attempt comes to the same. `code` is a StateReasonCode, `reason` for people.
    #[error("{reason}")]
    Function { code: &'static str, reason: String },
    /// The host had no room, or the node is stopping: to be tried again.
    #[error("{detail}")]
    Host { detail: String },
}
