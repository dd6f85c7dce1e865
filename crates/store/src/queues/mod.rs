//! Queues: what they are set to, and the messages that stand in them.
//!
//! A queue's messages stand on a *shelf*. Making a queue and purging it give it a new shelf, and what stands on the old
//! one is out of reach at once; the rows are freed later, some at a time ([`Command::Sweep`]). So a purge of a million
//! messages is one small commit, and a receipt of an old shelf can never name a message of a new one.
//!
//! Deciding which message comes next is this domain's work, because it must be one step with marking it as received.
//! Time is an argument; what a message's content means is its service's business.
//!
//! Invariants:
//! - a message that was sent is there until it is removed, older than the queue keeps it, or its shelf is given up;
//! - a message is on one shelf at a time, also while it is moved;
//! - of a FIFO group with a message in flight nothing is handed out, and never out of order;
//! - a number is given to one message only, across any end of the process.

mod definitions;
mod memory;
mod record;

use bytes::Bytes;
use lambent_core::ids::{AccountId, MessageId, Region};
use lambent_core::ports::BoxFuture;
use lambent_core::time::Timestamp;
use std::sync::Arc;
use std::time::Duration;

pub use definitions::Definitions;
pub use memory::MemoryQueues;
pub use record::{
    DedupScope, FifoSettings, MoveRecord, MoveStatus, QueueKey, QueueRecord, Redrive, RedriveAllow, Settings,
    Shelf, ThroughputLimit,
};

use crate::StoreError;

/// Messages of one answer (SQS API, ReceiveMessage). Of a group, only so many can be in flight at one time.
pub const RECEIVE_MAX: usize = 10;

/// How long a deduplication id is remembered (SQS developer guide, *Exactly-once processing*).
pub const DEDUP_FOR: Duration = Duration::from_secs(300);

/// How long a receive can be repeated by its attempt id (SQS API, ReceiveMessage, ReceiveRequestAttemptId).
pub const ATTEMPT_FOR: Duration = Duration::from_secs(300);

/// The longest time that a message may be in flight from one receive on (SQS API, ChangeMessageVisibility).
pub const IN_FLIGHT_FOR_MAX: Duration = Duration::from_secs(43_200);

/// How long a deleted queue's name is remembered: longer than it may not be used again.
pub const DELETION_KEPT_FOR: Duration = Duration::from_secs(120);

/// Ours: messages that one receive looks at and gets rid of, as too old or received too often.
pub const REAP_MAX: usize = 1_000;

/// A message on its way in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewMessage {
    pub id: MessageId,
    pub sent: Timestamp,
    /// When it may be received first.
    pub visible: Timestamp,
    /// For a FIFO queue only.
    pub order: Option<Order>,
    pub body: Bytes,
    /// What else is to be handed out with it, as its service wrote it.
    pub details: Bytes,
}

/// A message's place in a FIFO queue.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Order {
    pub group: String,
    pub dedup: String,
    pub scope: DedupScope,
}

/// What became of a sent message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sent {
    /// Of the message that was sent first, when this one says the same again.
    pub id: MessageId,
    pub number: u64,
    pub is_repeated: bool,
}

/// Names one receive of one message.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Receipt {
    pub number: u64,
    /// How often the message was received on its shelf, this time included.
    pub turn: u64,
}

/// A message that was handed out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Message {
    pub receipt: Receipt,
    pub id: MessageId,
    pub sent: Timestamp,
    pub first_received: Timestamp,
    /// How often it was received, in all queues that it was moved through.
    pub receives: u64,
    pub body: Bytes,
    pub details: Bytes,
    /// The ARN of the queue that it was moved from when it had been received too often.
    pub source: Option<String>,
}

/// A request for messages.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Receive {
    pub shelf: Shelf,
    pub now: Timestamp,
    /// [`RECEIVE_MAX`] at the most.
    pub limit: usize,
    pub visible_again: Timestamp,
    /// What was sent then or earlier is too old.
    pub too_old: Timestamp,
    pub in_flight_max: u64,
    pub is_fifo: bool,
    /// The same request again within [`ATTEMPT_FOR`] gets the same messages, as long as all of them are in flight.
    pub attempt: Option<String>,
    pub redrive: Option<RedriveTo>,
}

/// Where messages go that were received too often.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RedriveTo {
    pub shelf: Shelf,
    pub receives_max: u64,
    /// The queue that they come from.
    pub source: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Received {
    pub messages: Vec<Message>,
    /// Messages that went to the dead-letter queue.
    pub redriven: Vec<Redriven>,
    /// As many are in flight as may be.
    pub is_full: bool,
    /// Without messages: when the next may become visible, if none comes or is given back before.
    pub next: Option<Timestamp>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Redriven {
    pub id: MessageId,
    /// See [`Message::receives`].
    pub receives: u64,
}

/// What became of the removal of one message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Removal {
    Done,
    /// It is not there any more.
    Absent,
    /// It was received again since. Nothing was removed.
    Stale,
    /// Of a FIFO queue: its time in flight is over. Nothing was removed.
    Expired,
}

/// What became of a change of one message's visibility.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Change {
    Done,
    Absent,
    NotInFlight,
    /// It would be in flight for longer than [`IN_FLIGHT_FOR_MAX`].
    TooLong,
}

/// A step of a task that moves messages from one queue to others.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MoveStep {
    pub handle: String,
    pub from: Shelf,
    pub now: Timestamp,
    pub too_old: Timestamp,
    /// The moved messages are new ones: their ids, as many as may be moved in this step.
    pub ids: Vec<MessageId>,
    /// Shelves by the ARN of the source that a message names; `None` where it names none, or for all of them.
    pub to: Vec<(Option<String>, Shelf)>,
    /// All messages go to the first of `to`.
    pub all_to_one: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Moved {
    pub count: u64,
    /// There was a message that names none of the destinations.
    pub is_stuck: bool,
}

/// A change. What it answers is in [`Outcome`].
#[derive(Debug, Clone)]
pub enum Command {
    /// Makes or changes a queue: `expected` is the generation that the record replaces, `None` for a new queue.
    /// Another generation fails with [`StoreError::Conflict`]. A new shelf in the record gives the old one up.
    Put {
        record: Box<QueueRecord>,
        expected: Option<u64>,
    },
    Delete {
        key: QueueKey,
        expected: u64,
        at: Timestamp,
    },
    Send {
        shelf: Shelf,
        messages: Vec<NewMessage>,
    },
    Receive(Receive),
    Remove {
        shelf: Shelf,
        now: Timestamp,
        receipts: Vec<Receipt>,
    },
    /// Each becomes visible at its time.
    ChangeVisibility {
        shelf: Shelf,
        now: Timestamp,
        changes: Vec<(Receipt, Timestamp)>,
    },
    /// As if these messages had not been received this time: each counts one time less, and is visible at `until`.
    /// Whoever asks for this may never use the receipts again, and nobody else may know them.
    Unread {
        shelf: Shelf,
        now: Timestamp,
        until: Timestamp,
        receipts: Vec<Receipt>,
    },
    /// Keeps the task of a move, whatever was kept before.
    PutMove(Box<MoveRecord>),
    Move(MoveStep),
    /// Frees up to `limit` rows of what nobody can reach any more, and what [`QueueStore::too_old`] found.
    Sweep {
        now: Timestamp,
        limit: usize,
        too_old: Vec<(Shelf, Vec<u64>)>,
    },
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    Done,
    /// The shelf is not there: its queue was deleted or purged. Nothing was done.
    Gone,
    Sent(Vec<Sent>),
    Received(Received),
    Removed(Vec<Removal>),
    Changed(Vec<Change>),
    Moved(Moved),
    /// Whether there is more to free.
    Swept(bool),
}

/// The messages of a queue.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Counts {
    pub visible: u64,
    pub in_flight: u64,
    pub delayed: u64,
}

/// Keeps queues and their messages.
pub trait QueueStore: Send + Sync {
    /// Does as it is told; durable when it answers `Ok`.
    fn apply(&self, command: Command) -> BoxFuture<'_, Result<Outcome, StoreError>>;

    fn queue(&self, key: &QueueKey) -> Option<Arc<QueueRecord>>;

    /// In the order of their names.
    fn queues(&self, account: &AccountId, region: &Region) -> Vec<Arc<QueueRecord>>;

    /// All queues of the node.
    fn all_queues(&self) -> Vec<Arc<QueueRecord>>;

    /// When the queue of this name was deleted last, within [`DELETION_KEPT_FOR`].
    fn deleted(&self, key: &QueueKey) -> Option<Timestamp>;

    fn counts(
        &self,
        shelf: Shelf,
        now: Timestamp,
        too_old: Timestamp,
    ) -> BoxFuture<'_, Result<Counts, StoreError>>;

    /// Messages that were sent then or earlier, `limit` at the most.
    fn too_old(
        &self,
        shelf: Shelf,
        too_old: Timestamp,
        limit: usize,
    ) -> BoxFuture<'_, Result<Vec<u64>, StoreError>>;

    /// The tasks of moves, the youngest first.
    fn moves(&self) -> BoxFuture<'_, Result<Vec<MoveRecord>, StoreError>>;
}
