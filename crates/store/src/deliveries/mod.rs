//! Deliveries: what was accepted and has not reached its goal yet. One outbox for every source.
//!
//! A delivery is an envelope: when it is due, how often it was tried, and a body that only its deliverer opens. What
//! a failed attempt means is the deliverer's decision; this domain remembers it.
//!
//! Invariants:
//! - what was accepted is here until it is settled, across any crash;
//! - a batch that settles one delivery and accepts others does both or neither: nothing is lost between two stations
//!   of a way, and nothing is doubled there;
//! - a mark only rises: what is accepted together with one is accepted once, however often it is tried.

mod hand_over;
mod memory;

use bytes::Bytes;
use lambent_core::ids::RequestId;
use lambent_core::ports::BoxFuture;
use lambent_core::time::Timestamp;

pub use hand_over::{Authority, FunctionEvent, FunctionEvents, Refusal};
pub use memory::MemoryDeliveries;

use crate::StoreError;

/// Whose work a delivery is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Lane {
    /// An asynchronous call of a function.
    AsyncInvocation,
    /// What a queue is to be told of the end of one.
    QueuePush,
    /// An event on its way to a rule's or a schedule's target.
    EventTarget,
    /// The same for a target that may take its time: an API destination, or an operation of a service.
    SlowTarget,
    /// An event on its way into an archive.
    EventArchive,
    /// A message on its way from a topic to a subscriber.
    TopicSubscription,
    /// The same for an HTTP endpoint.
    HttpSubscription,
    /// The same from a FIFO topic: in the order of their ids, whatever happens.
    OrderedSubscription,
}

impl Lane {
    /// The name in a database. Never changed.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::AsyncInvocation => "async-invocation",
            Self::QueuePush => "queue-push",
            Self::EventTarget => "event-target",
            Self::SlowTarget => "slow-target",
            Self::EventArchive => "event-archive",
            Self::TopicSubscription => "topic-subscription",
            Self::HttpSubscription => "http-subscription",
            Self::OrderedSubscription => "ordered-subscription",
        }
    }
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Delivery {
    /// Unique among all deliveries.
    pub id: RequestId,
    pub lane: Lane,
    pub accepted: Timestamp,
    pub due: Timestamp,
    pub tries: Tries,
    pub body: Bytes,
}

/// How often a delivery was tried.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Tries {
    /// Attempts that count against the retries.
    pub attempts: u32,
    /// Times it was put off without an attempt, in a row: for want of capacity.
    pub deferrals: u32,
}

/// A change. A command for a delivery that is not there, or is there already, fails its batch with
/// [`StoreError::Conflict`].
#[derive(Debug, Clone)]
pub enum Command {
    Accept(Delivery),
    Postpone {
        id: RequestId,
        due: Timestamp,
        tries: Tries,
    },
    Settle {
        id: RequestId,
    },
    /// Remembers how far a source has come: to a moment after the one that it had come to, or else it conflicts.
    Mark {
        source: String,
        at: Timestamp,
    },
    /// Forgets a source. One that has no mark is no conflict.
    Unmark {
        source: String,
    },
}

/// Keeps deliveries.
pub trait DeliveryStore: Send + Sync {
    /// Applies all commands in their order, or none of them. Durable when it answers `Ok`.
    fn apply(&self, commands: Vec<Command>) -> BoxFuture<'_, Result<(), StoreError>>;

    /// What is due, in the order of becoming due, `limit` at the most.
    fn due(
        &self,
        lane: Lane,
        now: Timestamp,
        limit: usize,
    ) -> BoxFuture<'_, Result<Vec<Delivery>, StoreError>>;

    /// When the first delivery becomes due that is not due at `now`.
    fn next_due(&self, lane: Lane, now: Timestamp) -> BoxFuture<'_, Result<Option<Timestamp>, StoreError>>;

    /// How far each source has come.
    fn marks(&self) -> BoxFuture<'_, Result<Vec<(String, Timestamp)>, StoreError>>;

    /// How many wait, due or not.
    fn count(&self, lane: Lane) -> BoxFuture<'_, Result<u64, StoreError>>;
}
