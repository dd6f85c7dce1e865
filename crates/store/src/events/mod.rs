//! EventBridge and its scheduler: event buses, rules with their targets, archives and their replays, schedules and their
//! groups, API destinations and their connections.
//!
//! Every kind of record is kept the same way: under a key, with a generation that counts its changes. What was
//! accepted to be delivered is not here but in [`crate::deliveries`], and so is how far a schedule has fired.
//!
//! Invariants:
//! - a batch is applied whole or not at all;
//! - a change names the generation that it was decided on: a decision on an older state changes nothing.

mod http;
mod memory;
mod record;

use std::sync::Arc;

use lambent_core::ids::{AccountId, Region};
use lambent_core::ports::BoxFuture;

pub use http::*;
pub use memory::MemoryEvents;
pub use record::*;

use crate::StoreError;

/// What a record is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Kind {
    Bus,
    Rule,
    Group,
    Schedule,
    Archive,
    Replay,
    Connection,
    Destination,
}

impl Kind {
    pub const ALL: [Self; 8] = [
        Self::Bus,
        Self::Rule,
        Self::Group,
        Self::Schedule,
        Self::Archive,
        Self::Replay,
        Self::Connection,
        Self::Destination,
    ];

    /// The name in a database. Never changed.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Bus => "bus",
            Self::Rule => "rule",
            Self::Group => "group",
            Self::Schedule => "schedule",
            Self::Archive => "archive",
            Self::Replay => "replay",
            Self::Connection => "connection",
            Self::Destination => "api-destination",
        }
    }
}

/// Where records of one kind stand: the rules of a bus, the schedules of a group.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Scope {
    pub account: AccountId,
    pub region: Region,
    pub kind: Kind,
    /// The bus of a rule, the group of a schedule; empty for what has no owner.
    pub parent: String,
}

#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Key {
    pub scope: Scope,
    pub name: String,
}

#[derive(Debug, Clone, PartialEq)]
pub struct Entry {
    pub key: Key,
    /// 1 when it is made; every change adds 1.
    pub generation: u64,
    pub record: Record,
}

/// A change. One whose precondition does not hold fails its batch with [`StoreError::Conflict`].
#[derive(Debug, Clone)]
pub enum Command {
    /// The entry replaces the one whose generation is one less; 1 makes a new one. Its record is of its key's kind.
    Put(Arc<Entry>),
    Delete {
        key: Key,
        generation: u64,
    },
}

/// Keeps the records. Reads are answered from memory.
pub trait EventStore: Send + Sync {
    /// Applies all commands in their order, or none of them. Durable when it answers `Ok`.
    fn apply(&self, commands: Vec<Command>) -> BoxFuture<'_, Result<(), StoreError>>;

    fn get(&self, key: &Key) -> Option<Arc<Entry>>;

    /// In the order of their names, those that begin with `prefix` and come after `after`, `limit` at the most.
    fn list(&self, scope: &Scope, prefix: &str, after: Option<&str>, limit: usize) -> Vec<Arc<Entry>>;

    /// All of a kind, of every account and region.
    fn all(&self, kind: Kind) -> Vec<Arc<Entry>>;
}
