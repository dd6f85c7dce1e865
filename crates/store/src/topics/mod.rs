//! Topics and their subscriptions.
//!
//! What this is not: messages are not here. A published message is in [`crate::deliveries`] until it has reached its
//! subscribers, and nowhere afterwards. Of one that a FIFO topic took, its token stays here for as long as another with
//! the same token is the same message.
//!
//! Invariants:
//! - a batch is applied whole or not at all;
//! - a change names the generation that it was decided on: a decision on an older state changes nothing;
//! - a subscription is one of a topic that is there, and goes with it.

mod memory;
mod record;

use std::sync::Arc;

use lambent_core::ids::{AccountId, Region};
use lambent_core::ports::BoxFuture;
use lambent_core::time::Timestamp;

pub use memory::MemoryTopics;
pub use record::*;

use crate::StoreError;

/// A change. One whose precondition does not hold fails its batch with [`StoreError::Conflict`].
#[derive(Debug, Clone)]
pub enum Command {
    /// The record replaces the one whose generation is one less; 1 makes a new one.
    PutTopic(Arc<TopicRecord>),
    /// Its subscriptions go with it.
    DeleteTopic {
        key: TopicKey,
        generation: u64,
    },
    /// As with topics; the topic is there.
    PutSubscription(Arc<SubscriptionRecord>),
    DeleteSubscription {
        key: SubscriptionKey,
        generation: u64,
    },
    /// Replaces one with the same token.
    Remember(PublishedRecord),
    /// Forgets what nobody asks for any more: everything until this moment.
    Forget {
        until: Timestamp,
    },
}

/// Keeps topics and subscriptions. Reads are answered from memory.
pub trait TopicStore: Send + Sync {
    /// Applies all commands in their order, or none of them. Durable when it answers `Ok`.
    fn apply(&self, commands: Vec<Command>) -> BoxFuture<'_, Result<(), StoreError>>;

    fn topic(&self, key: &TopicKey) -> Option<Arc<TopicRecord>>;

    /// In the order of their names, those after `after`, `limit` at the most.
    fn topics(
        &self,
        account: &AccountId,
        region: &Region,
        after: Option<&str>,
        limit: usize,
    ) -> Vec<Arc<TopicRecord>>;

    fn subscription(&self, key: &SubscriptionKey) -> Option<Arc<SubscriptionRecord>>;

    /// The subscriptions of a topic in the order of their ids, those after `after`, `limit` at the most.
    fn subscriptions(
        &self,
        topic: &TopicKey,
        after: Option<&str>,
        limit: usize,
    ) -> Vec<Arc<SubscriptionRecord>>;

    /// What was published under this token, if it was not forgotten.
    fn published(&self, token: &str) -> Option<PublishedRecord>;

    /// Subscriptions that were not confirmed, made until this moment.
    fn unconfirmed(&self, until: Timestamp) -> Vec<Arc<SubscriptionRecord>>;

    /// Subscriptions that an account made, to topics of one region, in the order of their keys.
    fn subscriptions_of(
        &self,
        owner: &AccountId,
        region: &Region,
        after: Option<&SubscriptionKey>,
        limit: usize,
    ) -> Vec<Arc<SubscriptionRecord>>;
}
