//! What is remembered of a queue itself.

use std::collections::BTreeMap;

use lambent_core::arn;
use lambent_core::ids::{AccountId, QueueName, Region};
use lambent_core::time::Timestamp;
use serde::{Deserialize, Serialize};

#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct QueueKey {
    pub account: AccountId,
    pub region: Region,
    pub name: QueueName,
}

impl QueueKey {
    pub fn arn(&self) -> String {
        arn::queue(&self.region, &self.account, &self.name)
    }
}

/// Where messages stand. Drawn at random by whoever makes the queue; below 2^63.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Shelf(pub u64);

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct QueueRecord {
    pub key: QueueKey,
    pub shelf: Shelf,
    /// Rises by one with each change.
    pub generation: u64,
    pub created: Timestamp,
    pub modified: Timestamp,
    pub purged: Option<Timestamp>,
    pub settings: Settings,
    pub tags: BTreeMap<String, String>,
}

/// The attributes that can be set.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Settings {
    pub delay_secs: u32,
    pub message_bytes_max: u32,
    pub retention_secs: u32,
    pub wait_secs: u32,
    pub visibility_secs: u32,
    pub managed_sse: bool,
    /// The document as it was given.
    pub policy: Option<String>,
    pub redrive: Option<Redrive>,
    pub redrive_allow: Option<RedriveAllow>,
    pub fifo: Option<FifoSettings>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Redrive {
    pub target_arn: String,
    pub receives_max: u32,
}

/// Which queues may have this one for their dead letters.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum RedriveAllow {
    All,
    None,
    Queues(Vec<String>),
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FifoSettings {
    pub content_based_dedup: bool,
    pub dedup_scope: DedupScope,
    pub throughput_limit: ThroughputLimit,
}

/// Among which messages a deduplication id is one message's only.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum DedupScope {
    Queue,
    Group,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum ThroughputLimit {
    Queue,
    Group,
}

/// A task that moves messages out of a dead-letter queue.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct MoveRecord {
    pub handle: String,
    pub source: QueueKey,
    /// `None`: each message to the queue that it came from.
    pub destination_arn: Option<String>,
    pub per_second_max: Option<u32>,
    pub status: MoveStatus,
    pub moved: u64,
    pub to_move: u64,
    pub started: Timestamp,
    pub failure: Option<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum MoveStatus {
    Running,
    Cancelling,
    Cancelled,
    Completed,
    Failed,
}
