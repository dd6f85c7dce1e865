//! Operations of this node's services, as a schedule's universal target calls them.

use super::BoxFuture;
use crate::ids::{AccountId, Region};

/// A call of one operation by name.
#[derive(Debug, Clone, Copy)]
pub struct OperationCall<'a> {
    pub account: &'a AccountId,
    pub region: &'a Region,
    /// The role that calls.
    pub role_arn: &'a str,
    /// As SDKs for Java name it: `sqs`, `cloudwatchlogs`.
    pub service: &'a str,
    /// `sendMessage`.
    pub action: &'a str,
    /// The operation's members: a JSON object.
    pub input: &'a str,
}

/// What is not there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NoOperation {
    Service,
    Action,
}

/// Why an operation did not do what it was asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OperationRefusal {
    /// The service's name for it: `AWS.SimpleQueueService.NonExistentQueue`.
    pub code: String,
    pub message: String,
    /// Whether another attempt may succeed.
    pub may_pass: bool,
}

/// Calls operations as a client would, by the same way.
pub trait Operations: Send + Sync {
    fn find(&self, service: &str, action: &str) -> Result<(), NoOperation>;

    fn call<'a>(&'a self, call: OperationCall<'a>) -> BoxFuture<'a, Result<(), OperationRefusal>>;
}
