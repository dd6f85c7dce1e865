//! Log groups, log streams and their events.
//!
//! Events are appended in runs: events of one stream that came together. A durable store keeps a run as
//! compressed chunks ([`chunk`]) and answers reads by merging the chunks of a time range ([`merge`]); the
//! in-memory store keeps single events and is the specification. Start with [`LogStore`].
//!
//! What this is not: it judges no name, no age and no size of an event, which is the service's work; and it
//! buffers nothing: what `append` answered is there for the next read.
//!
//! Invariants:
//! - a [`Position`] names one event of a group for ever and is never used twice;
//! - events of one stream with the same time keep the order in which they were appended;
//! - all events of all groups together stay under the store's own bound: the oldest appended go first.

pub mod chunk;
mod memory;
pub mod merge;
mod record;

use std::collections::BTreeMap;
use std::sync::Arc;

use lambent_core::ids::{AccountId, Region};
use lambent_core::ports::BoxFuture;
use lambent_core::time::Timestamp;

pub use memory::MemoryLogs;
pub use record::*;

use crate::StoreError;

/// A change of groups and streams. Each holds its precondition; when that fails nothing has changed.
#[derive(Debug, Clone)]
pub enum Command {
    /// Refused when the group is there.
    CreateGroup { key: GroupKey, created: Timestamp, tags: BTreeMap<String, String> },
    /// Takes the group's streams and events with it.
    DeleteGroup { key: GroupKey },
    /// `None` keeps events without an end.
    SetRetention { key: GroupKey, days: Option<u32> },
    /// Removes, then sets. Refused when more than `count_max` tags would remain.
    ChangeTags { key: GroupKey, remove: Vec<String>, set: BTreeMap<String, String>, count_max: usize },
    /// Refused when the stream is there, and when its group is not.
    CreateStream { key: StreamKey, created: Timestamp },
    /// Takes the stream's events with it.
    DeleteStream { key: StreamKey },
}

/// Which precondition did not hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    #[error("the log group exists")]
    GroupExists,
    #[error("the log group does not exist")]
    GroupMissing,
    #[error("the log stream exists")]
    StreamExists,
    #[error("the log stream does not exist")]
    StreamMissing,
    #[error("the log group would have too many tags")]
    TooManyTags,
}

/// Keeps log groups, their streams and events.
pub trait LogStore: Send + Sync {
    /// Makes one change. Durable when it answers `Ok(Ok(()))`.
    fn apply(&self, command: Command) -> BoxFuture<'_, Result<Result<(), Refusal>, StoreError>>;

    /// Appends all runs, or on [`StoreError`] none. A run is refused alone, when its stream is missing and it
    /// does not ask to create it. Answers in the order of the runs.
    fn append(&self, runs: Vec<Run>) -> BoxFuture<'_, Result<Vec<Result<(), Refusal>>, StoreError>>;

    fn group<'a>(&'a self, key: &'a GroupKey) -> BoxFuture<'a, Result<Option<GroupRecord>, StoreError>>;

    /// Groups in the order of their names.
    fn list_groups(&self, query: GroupQuery) -> BoxFuture<'_, Result<Vec<GroupRecord>, StoreError>>;

    fn stream<'a>(&'a self, key: &'a StreamKey) -> BoxFuture<'a, Result<Option<StreamRecord>, StoreError>>;

    /// Streams in the order that the query asks for. Nothing when the group is missing.
    fn list_streams(&self, query: StreamQuery) -> BoxFuture<'_, Result<Vec<StreamRecord>, StoreError>>;

    /// Events of a range, see [`ReadQuery`]. Nothing when the group is missing.
    fn read(&self, query: ReadQuery) -> BoxFuture<'_, Result<Page, StoreError>>;

    /// Frees what is past its group's retention at `now`, what belonged to deleted groups and streams, and
    /// what is over the store's bound. May keep an expired event for as long as a younger one of the same
    /// chunk is kept: readers hide those.
    fn sweep(&self, now: Timestamp) -> BoxFuture<'_, Result<Swept, StoreError>>;
}

/// Which groups to list.
#[derive(Debug, Clone)]
pub struct GroupQuery {
    pub account: AccountId,
    pub region: Region,
    pub prefix: String,
    /// Part of the name.
    pub contains: Option<String>,
    /// Begin behind this name.
    pub after: Option<String>,
    pub limit: usize,
}

/// Which streams of a group to list.
#[derive(Debug, Clone)]
pub struct StreamQuery {
    pub group: GroupKey,
    pub prefix: String,
    pub order: StreamOrder,
    pub descending: bool,
    /// Begin behind the stream that stands here.
    pub after: Option<StreamCursor>,
    pub limit: usize,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StreamOrder {
    Name,
    /// By the time of the last event, then by name. A stream without events comes before all others.
    LastEvent,
}

/// A stream's place in both orders.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StreamCursor {
    pub name: String,
    pub last_event: Option<Timestamp>,
}

/// Which streams to read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Streams {
    All,
    Named(Vec<Arc<str>>),
    Prefixed(String),
}

/// Which events to read: those at `from` and behind it, before `until`.
#[derive(Debug, Clone)]
pub struct ReadQuery {
    pub group: GroupKey,
    pub streams: Streams,
    pub from: Position,
    pub until: Position,
    pub direction: Direction,
    pub events_max: usize,
    /// In [`LogEvent::counted_bytes`]. The first event is answered even when it alone is larger.
    pub bytes_max: usize,
}

/// From which end of the range to take events when there are more than fit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Direction {
    /// The first ones.
    Forward,
    /// The last ones.
    Backward,
}

/// Events in the order of their positions, whatever the direction.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Page {
    pub events: Vec<StoredEvent>,
    /// Whether the range holds more in the direction of reading.
    pub more: bool,
}

/// What a sweep freed, in [`LogEvent::counted_bytes`].
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Swept {
    /// Past retention, or of deleted groups and streams.
    pub expired_bytes: u64,
    /// Over the store's bound.
    pub evicted_bytes: u64,
}
