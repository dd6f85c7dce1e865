use std::sync::Arc;

use super::BoxFuture;
use crate::ids::{AccountId, Region};
use crate::time::Timestamp;

/// A log stream, by its full name.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct LogTarget {
    pub account: AccountId,
    pub region: Region,
    pub group: Arc<str>,
    pub stream: Arc<str>,
}

/// One log event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogLine {
    pub time: Timestamp,
    pub text: String,
}

/// Takes the log lines of functions and of the platform.
pub trait LogSink: Send + Sync {
    /// Takes lines in the order of the calls. Group and stream come into being with their first line. Waits
    /// while the sink is full, so that the one who floods it is the one who waits; never fails towards the
    /// caller.
    fn append<'a>(&'a self, target: &'a LogTarget, lines: Vec<LogLine>) -> BoxFuture<'a, ()>;
}
