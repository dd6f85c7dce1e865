//! Traces: what happened on the way of calls and events, kept for a while.
//!
//! A record is an envelope: whose it is, when it was, the keys that it is found by, and a body that only its writer
//! opens. Records are appended in batches; a durable store keeps those of one owner in a batch as one compressed
//! chunk ([`chunk`]), and the in-memory store, which is the specification, keeps single records.
//!
//! Invariants:
//! - the records of one owner stay under [`Bounds::owner_records_max`], and all of them under
//!   [`Bounds::disk_bytes_max`] as far as the store can tell; the first appended go first, by whole batches;
//! - an owner's records keep the order in which they were appended.

pub mod chunk;
mod memory;

use std::sync::Arc;

use bytes::Bytes;
use lambent_core::ids::{AccountId, Region};
use lambent_core::ports::BoxFuture;
use lambent_core::time::Timestamp;

pub use memory::MemoryTraces;

use crate::StoreError;

/// Whose records: those of one ARN.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct TraceOwner {
    pub account: AccountId,
    pub region: Region,
    pub subject: Arc<str>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TraceRecord {
    pub at: Timestamp,
    /// What it is found by: ids of calls, events and traces.
    pub keys: Vec<String>,
    pub body: Bytes,
}

/// Records of one owner that came together, in their order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TraceRun {
    pub owner: TraceOwner,
    pub records: Vec<TraceRecord>,
}

#[derive(Debug, Clone, Copy)]
pub struct Bounds {
    pub owner_records_max: usize,
    /// Of all owners together, as they lie on the disk.
    pub disk_bytes_max: u64,
}

impl Default for Bounds {
    /// Ours: some hours of a busy function's calls, and days of the others'.
    fn default() -> Self {
        Self { owner_records_max: 50_000, disk_bytes_max: 256 * lambent_core::limits::MIB }
    }
}

/// Keeps trace records.
pub trait TraceStore: Send + Sync {
    /// Appends all runs, or on an error none.
    fn append_traces(&self, runs: Vec<TraceRun>) -> BoxFuture<'_, Result<(), StoreError>>;

    /// Records of any owner of the account in the region that have this key, the last `limit` appended, by time.
    fn traces_by_key(
        &self,
        account: AccountId,
        region: Region,
        key: String,
        limit: usize,
    ) -> BoxFuture<'_, Result<Vec<TraceRecord>, StoreError>>;

    /// The last `limit` records of an owner, by time.
    fn last_traces(
        &self,
        owner: TraceOwner,
        limit: usize,
    ) -> BoxFuture<'_, Result<Vec<TraceRecord>, StoreError>>;

    /// Frees what is older than this, as far as younger records of its batch don't keep it. Says how many records.
    fn sweep_traces(&self, older_than: Timestamp) -> BoxFuture<'_, Result<u64, StoreError>>;
}

/// The last `limit` of them, by time; those of one time keep their order.
pub fn last_by_time(mut records: Vec<TraceRecord>, limit: usize) -> Vec<TraceRecord> {
    records.sort_by_key(|record| record.at);
    records.split_off(records.len().saturating_sub(limit))
}
