//! The reference implementation, and the mirror in which others answer their reads.

use std::collections::{BTreeMap, HashMap};
use std::ops::Bound;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use lambent_core::ids::{AccountId, Region};
use lambent_core::ports::BoxFuture;
use lambent_core::time::Timestamp;

use super::{
    Command, PublishedRecord, SubscriptionKey, SubscriptionRecord, TopicKey, TopicRecord, TopicStore,
};
use crate::StoreError;

#[derive(Debug, Clone, Default)]
struct State {
    topics: BTreeMap<TopicKey, Arc<TopicRecord>>,
    /// A topic's stand together, in the order of their ids.
    subscriptions: BTreeMap<SubscriptionKey, Arc<SubscriptionRecord>>,
    published: HashMap<String, PublishedRecord>,
}

#[derive(Debug, Default)]
pub struct MemoryTopics {
    state: Mutex<State>,
}

impl MemoryTopics {
    fn lock(&self) -> MutexGuard<'_, State> {
        // A batch is checked before the first of its changes.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A copy that goes its own way.
    pub fn duplicate(&self) -> Self {
        Self { state: Mutex::new(self.lock().clone()) }
    }

    /// Whether the batch can be applied.
    pub fn check(&self, commands: &[Command]) -> Result<(), StoreError> {
        let state = self.lock();
        // Generations after the commands so far; 0 is a record that is not there.
        let mut topics: BTreeMap<&TopicKey, u64> = BTreeMap::new();
        let mut subscriptions: BTreeMap<&SubscriptionKey, u64> = BTreeMap::new();
        for command in commands {
            let (topic, subscription, before, after) = match command {
                Command::PutTopic(record) => {
                    (&record.key, None, record.generation.checked_sub(1), record.generation)
                }
                Command::DeleteTopic { key, generation } => (key, None, Some(*generation), 0),
                Command::PutSubscription(record) => (
                    &record.key.topic,
                    Some(&record.key),
                    record.generation.checked_sub(1),
                    record.generation,
                ),
                Command::DeleteSubscription { key, generation } => {
                    (&key.topic, Some(key), Some(*generation), 0)
                }
                Command::Remember(_) | Command::Forget { .. } => continue,
            };
            let topic_now = topics
                .get(topic)
                .copied()
                .unwrap_or_else(|| state.topics.get(topic).map_or(0, |record| record.generation));
            let now = match subscription {
                None => topic_now,
                // It went with its topic, which may be there again.
                Some(_) if topic_now == 0 => return Err(StoreError::Conflict),
                Some(key) => subscriptions
                    .get(key)
                    .copied()
                    .unwrap_or_else(|| state.subscriptions.get(key).map_or(0, |record| record.generation)),
            };
            if before != Some(now) || (before, after) == (Some(0), 0) {
                return Err(StoreError::Conflict);
            }
            match subscription {
                Some(key) => {
                    subscriptions.insert(key, after);
                }
                None => {
                    topics.insert(topic, after);
                    if after == 0 {
                        for key in below(&state.subscriptions, topic, None).map(|(key, _)| key) {
                            subscriptions.insert(key, 0);
                        }
                        for (key, generation) in &mut subscriptions {
                            if key.topic == *topic {
                                *generation = 0;
                            }
                        }
                    }
                }
            }
        }
        Ok(())
    }

    /// Applies a batch that [`Self::check`] took.
    pub fn commit(&self, commands: &[Command]) {
        let mut state = self.lock();
        for command in commands {
            match command {
                Command::PutTopic(record) => {
                    state.topics.insert(record.key.clone(), record.clone());
                }
                Command::DeleteTopic { key, .. } => {
                    state.topics.remove(key);
                    let gone: Vec<SubscriptionKey> =
                        below(&state.subscriptions, key, None).map(|(key, _)| key.clone()).collect();
                    for key in gone {
                        state.subscriptions.remove(&key);
                    }
                }
                Command::PutSubscription(record) => {
                    state.subscriptions.insert(record.key.clone(), record.clone());
                }
                Command::DeleteSubscription { key, .. } => {
                    state.subscriptions.remove(key);
                }
                Command::Remember(record) => {
                    state.published.insert(record.token.clone(), record.clone());
                }
                Command::Forget { until } => state.published.retain(|_, record| record.until > *until),
            }
        }
    }
}

/// The subscriptions of a topic behind an id.
fn below<'a>(
    all: &'a BTreeMap<SubscriptionKey, Arc<SubscriptionRecord>>,
    topic: &'a TopicKey,
    after: Option<&str>,
) -> impl Iterator<Item = (&'a SubscriptionKey, &'a Arc<SubscriptionRecord>)> {
    let key = SubscriptionKey { topic: topic.clone(), id: after.unwrap_or_default().to_owned() };
    // No subscription's id is empty.
    all.range((Bound::Excluded(key), Bound::Unbounded)).take_while(move |(key, _)| key.topic == *topic)
}

impl TopicStore for MemoryTopics {
    fn apply(&self, commands: Vec<Command>) -> BoxFuture<'_, Result<(), StoreError>> {
        Box::pin(async move {
            self.check(&commands)?;
            self.commit(&commands);
            Ok(())
        })
    }

    fn topic(&self, key: &TopicKey) -> Option<Arc<TopicRecord>> {
        self.lock().topics.get(key).cloned()
    }

    fn topics(
        &self,
        account: &AccountId,
        region: &Region,
        after: Option<&str>,
        limit: usize,
    ) -> Vec<Arc<TopicRecord>> {
        let key = TopicKey {
            account: account.clone(),
            region: region.clone(),
            name: after.unwrap_or_default().to_owned(),
        };
        let state = self.lock();
        let following = state.topics.range((Bound::Excluded(key), Bound::Unbounded));
        following
            .map(|(_, record)| record)
            .take_while(|record| record.key.account == *account && record.key.region == *region)
            .take(limit)
            .cloned()
            .collect()
    }

    fn subscription(&self, key: &SubscriptionKey) -> Option<Arc<SubscriptionRecord>> {
        self.lock().subscriptions.get(key).cloned()
    }

    fn subscriptions(
        &self,
        topic: &TopicKey,
        after: Option<&str>,
        limit: usize,
    ) -> Vec<Arc<SubscriptionRecord>> {
        let state = self.lock();
        below(&state.subscriptions, topic, after).map(|(_, record)| record).take(limit).cloned().collect()
    }

    fn published(&self, token: &str) -> Option<PublishedRecord> {
        self.lock().published.get(token).cloned()
    }

    fn unconfirmed(&self, until: Timestamp) -> Vec<Arc<SubscriptionRecord>> {
        let is_old =
            |record: &&Arc<SubscriptionRecord>| record.pending.as_ref().is_some_and(|p| p.since <= until);
        self.lock().subscriptions.values().filter(is_old).cloned().collect()
    }

    fn subscriptions_of(
        &self,
        owner: &AccountId,
        region: &Region,
        after: Option<&SubscriptionKey>,
        limit: usize,
    ) -> Vec<Arc<SubscriptionRecord>> {
        let from = after.map_or(Bound::Unbounded, Bound::Excluded);
        let state = self.lock();
        state
            .subscriptions
            .range((from, Bound::Unbounded))
            .map(|(_, record)| record)
            .filter(|record| record.owner == *owner && record.key.topic.region == *region)
            .take(limit)
            .cloned()
            .collect()
    }
}
