//! Queues, as neighbours use them: to push messages into one, and to take messages out of one. Topics and event buses take
//! messages the same way.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::BoxFuture;
use crate::ids::AccountId;
use crate::time::Timestamp;

/// A message that a neighbour sends.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Push {
    pub body: String,
    /// For a FIFO queue; a standard queue keeps it as an attribute.
    pub group: Option<String>,
    /// For a FIFO queue that does not make it of the body.
    pub dedup: Option<String>,
    /// By name: data type, and the value as text or as base64 for `Binary`.
    pub attributes: BTreeMap<String, (String, String)>,
    /// X-Ray's trace header.
    pub trace_header: Option<String>,
    /// For a bus, and for nothing else: what makes the body, a JSON object, the detail of an event.
    pub event: Option<EventHead>,
}

/// What an event says beside its detail.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct EventHead {
    pub source: String,
    pub detail_type: String,
    pub resources: Vec<String>,
}

/// On whose account a message is pushed; the queue's policy is asked.
#[derive(Debug, Clone, Copy)]
pub enum Pusher<'a> {
    /// A service such as `sns.amazonaws.com`, for one of its resources. Always needs the policy's permission.
    Service { name: &'a str, source_arn: &'a str, source_account: &'a AccountId },
    /// A role, as a function's destinations are reached with. Needs the policy's permission in another account only.
    Role { account: &'a AccountId, arn: &'a str },
}

/// Why a message was not taken.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PushRefusal {
    #[error("there is no queue, topic or bus {arn}")]
    NoQueue { arn: String },
    #[error("the policy of the queue, topic or bus does not allow it")]
    Denied,
    /// It will never take this message: it is too large, or says what the queue can't have.
    #[error("{detail}")]
    Invalid { detail: String },
    /// Another attempt may succeed.
    #[error("it can't be taken now: {detail}")]
    Unavailable { detail: String },
}

/// Takes messages into queues, publishes them to topics, or puts them on buses.
pub trait QueueSink: Send + Sync {
    /// Sends one message to the queue, the topic or the bus of this ARN. The message, or what its rules make of an event,
    /// is on disk when its id is answered.
    fn push<'a>(
        &'a self,
        queue_arn: &'a str,
        pusher: Pusher<'a>,
        message: Push,
    ) -> BoxFuture<'a, Result<String, PushRefusal>>;
}

/// What a reader needs to know of a queue before it reads.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct QueueFacts {
    pub is_fifo: bool,
    pub visibility: Duration,
}

/// A message that was taken out of a queue for a time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pulled {
    pub id: String,
    pub receipt_handle: String,
    pub body: String,
    pub body_md5: String,
    /// Name and value as ReceiveMessage answers them: `SentTimestamp`, `ApproximateReceiveCount` and the others.
    pub system: BTreeMap<String, String>,
    /// By name: data type, and the value as text or as base64 for `Binary`.
    pub attributes: BTreeMap<String, (String, String)>,
    pub attributes_md5: Option<String>,
    pub sent: Timestamp,
    pub receives: u64,
    pub group: Option<String>,
}

/// Why nothing could be taken out of a queue.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PullRefusal {
    #[error("there is no queue {arn}")]
    NoQueue { arn: String },
    #[error("the queue can't be read now: {detail}")]
    Unavailable { detail: String },
}

/// Gives messages out of queues, as ReceiveMessage, DeleteMessage and ChangeMessageVisibility do.
pub trait QueueSource: Send + Sync {
    /// `None`: there is no such queue.
    fn facts(&self, queue_arn: &str) -> Option<QueueFacts>;

    /// Whether the queue lets this role, of this account, take its messages for good. A queue that is not there lets
    /// nobody.
    fn lets_read(&self, queue_arn: &str, account: &AccountId, role_arn: &str) -> bool;

    /// Up to ten messages, which are nobody else's for `visibility`. Waits until there is one or `over` resolves, where
    /// it is given. May come back without any before that. Whoever drops the answer may lose messages for `visibility`:
    /// let `over` resolve instead.
    fn pull<'a>(
        &'a self,
        queue_arn: &'a str,
        limit: usize,
        visibility: Duration,
        over: Option<BoxFuture<'a, ()>>,
    ) -> BoxFuture<'a, Result<Vec<Pulled>, PullRefusal>>;

    /// Takes messages out of the queue for good. One whose receipt is old stays.
    fn done<'a>(
        &'a self,
        queue_arn: &'a str,
        receipt_handles: &'a [String],
    ) -> BoxFuture<'a, Result<(), PullRefusal>>;

    /// Has messages become visible after `visibility`, counted from now.
    fn give_back<'a>(
        &'a self,
        queue_arn: &'a str,
        receipt_handles: &'a [String],
        visibility: Duration,
    ) -> BoxFuture<'a, Result<(), PullRefusal>>;

    /// Puts messages back that nobody saw: they count as if they had not been taken out, and are visible after `wait`.
    /// Their receipts are worth nothing afterwards, and must not be known to anybody else.
    fn put_back<'a>(
        &'a self,
        queue_arn: &'a str,
        receipt_handles: &'a [String],
        wait: Duration,
    ) -> BoxFuture<'a, Result<(), PullRefusal>>;
}
