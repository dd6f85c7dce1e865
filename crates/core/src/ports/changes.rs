//! What the node's own parts tell of themselves, for whoever follows them: the events of source `lambent`.

use super::BoxFuture;
use crate::ids::{AccountId, Region};

/// Something of an account has changed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    pub account: AccountId,
    pub region: Region,
    pub kind: ChangeKind,
    /// The ARN of what has changed.
    pub resource: String,
    /// A JSON object.
    pub detail: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ChangeKind {
    FunctionCreated,
    FunctionUpdated,
    FunctionDeleted,
    FunctionThrottled,
    FunctionThrottlingEnded,
    FunctionScaled,
}

impl ChangeKind {
    /// The `detail-type` of its event. Never changed.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::FunctionCreated => "Lambda Function Created",
            Self::FunctionUpdated => "Lambda Function Updated",
            Self::FunctionDeleted => "Lambda Function Deleted",
            Self::FunctionThrottled => "Lambda Function Throttled",
            Self::FunctionThrottlingEnded => "Lambda Function Throttling Ended",
            Self::FunctionScaled => "Lambda Function Scaled",
        }
    }
}

/// Takes changes that have happened. Never fails: what can't be told is lost, and the node's log says so.
pub trait Changes: Send + Sync {
    /// Resolves when whoever is to be told of it will be, across any end of the process.
    fn tell(&self, change: Change) -> BoxFuture<'_, ()>;
}

/// Tells nobody.
pub struct NoChanges;

impl Changes for NoChanges {
    fn tell(&self, _: Change) -> BoxFuture<'_, ()> {
        Box::pin(std::future::ready(()))
    }
}
