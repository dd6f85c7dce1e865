//! From messages to what is on the disk of them: the way of every message, whoever publishes it.
//!
//! Invariants:
//! - the deliveries of all messages of one request are on the disk, in one commit, before it is answered;
//! - the messages of a FIFO topic get numbers that only rise, in the order in which their deliveries reach the disk;
//! - two messages of a FIFO topic with the same token within five minutes are one. A node that dies between the commit of
//!   the deliveries and that of the token, before it has answered, may take the second for another one: FIFO queues
//!   know it again by themselves.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use lambent_core::ids;
use lambent_core::time::Timestamp;
use lambent_store::StoreError;
use lambent_store::deliveries::Command as Deliveries;
use lambent_store::topics::{Command, FifoScope, FifoSettings, PublishedRecord, TopicKey, TopicRecord};
use sha2::{Digest as _, Sha256};

use crate::Topics;
use crate::engine::message::{Message, hex};
use crate::fan_out::Circumstances;

/// SNS developer guide, *Message deduplication for FIFO topics*: the interval.
pub const SAME_FOR: Duration = Duration::from_secs(300);

/// Ours: numbers that are given out before the next block of them goes to the disk.
const NUMBERS: u64 = 1 << 20;

/// Ours: how often what nobody asks for is forgotten.
const FORGET_EVERY: Duration = Duration::from_secs(60);

/// What a message became.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Published {
    pub id: String,
    /// A FIFO topic's.
    pub number: Option<u64>,
}

/// Who publishes to a FIFO topic waits here for whoever is before it.
#[derive(Default)]
pub struct Lines(Mutex<HashMap<String, Arc<tokio::sync::Mutex<Line>>>>);

#[derive(Default)]
struct Line {
    next: u64,
    end: u64,
    forgot: Option<Timestamp>,
}

impl Lines {
    fn of(&self, topic: &TopicRecord) -> Arc<tokio::sync::Mutex<Line>> {
        // Each change under this lock is a single call.
        let mut lines = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        lines.entry(topic.id.clone()).or_default().clone()
    }

    pub fn forget(&self, topic: &TopicRecord) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).remove(&topic.id);
    }
}

impl Topics {
    /// Takes messages: what comes back is on the disk.
    pub(crate) async fn publish(
        &self,
        topic: &TopicRecord,
        messages: &[Message],
        with: &Circumstances<'_>,
    ) -> Result<Vec<Published>, StoreError> {
        if let Some(fifo) = topic.settings.fifo {
            return self.publish_in_order(topic, fifo, messages, with).await;
        }
        let (mut deliveries, mut hops) = (Vec::new(), Vec::new());
        let mut published = Vec::with_capacity(messages.len());
        for message in messages {
            let one = Published { id: ids::uuid(&*self.deps.entropy), number: None };
            self.deliver(topic, message, &one, with, &mut deliveries, &mut hops).await;
            published.push(one);
        }
        self.accept(deliveries, hops).await?;
        Ok(published)
    }

    async fn publish_in_order(
        &self,
        topic: &TopicRecord,
        fifo: FifoSettings,
        messages: &[Message],
        with: &Circumstances<'_>,
    ) -> Result<Vec<Published>, StoreError> {
        let line = self.lines.of(topic);
        let mut line = line.lock().await;
        let now = self.deps.clock.now();
        let mut deliveries: Vec<Deliveries> = Vec::new();
        let mut hops = Vec::new();
        let mut new: Vec<PublishedRecord> = Vec::new();
        let mut published = Vec::with_capacity(messages.len());
        for message in messages {
            let token = token(topic, fifo, message);
            let known = new.iter().find(|record| record.token == token).cloned();
            let known =
                known.or_else(|| self.deps.store.published(&token).filter(|record| record.until > now));
            if let Some(record) = known {
                published.push(Published { id: record.message_id, number: Some(record.number) });
                continue;
            }
            let number = self.next_number(&mut line, &topic.key).await?;
            let one = Published { id: ids::uuid(&*self.deps.entropy), number: Some(number) };
            self.deliver(topic, message, &one, with, &mut deliveries, &mut hops).await;
            new.push(PublishedRecord {
                token,
                until: now.plus(SAME_FOR),
                message_id: one.id.clone(),
                number,
            });
            published.push(one);
        }
        if new.is_empty() {
            return Ok(published);
        }
        self.accept(deliveries, hops).await?;
        let mut commands: Vec<Command> = new.into_iter().map(Command::Remember).collect();
        if line.forgot.is_none_or(|forgot| now.since(forgot) >= FORGET_EVERY) {
            line.forgot = Some(now);
            commands.push(Command::Forget { until: now });
        }
        self.deps.store.apply(commands).await?;
        Ok(published)
    }

    async fn next_number(&self, line: &mut Line, key: &TopicKey) -> Result<u64, StoreError> {
        while line.next == line.end {
            let Some(topic) = self.deps.store.topic(key) else {
                // It was deleted meanwhile: nobody gets the message, and no number comes after this one.
                line.end += NUMBERS;
                break;
            };
            let numbers_end = topic.numbers_end + NUMBERS;
            let record = TopicRecord { numbers_end, generation: topic.generation + 1, ..(*topic).clone() };
            match self.deps.store.apply(vec![Command::PutTopic(Arc::new(record))]).await {
                Ok(()) => (line.next, line.end) = (topic.numbers_end, numbers_end),
                // Somebody has changed the topic: read it again.
                Err(StoreError::Conflict) => {}
                Err(error) => return Err(error),
            }
        }
        line.next += 1;
        Ok(line.next - 1)
    }
}

/// Two messages with the same token are the same message.
fn token(topic: &TopicRecord, fifo: FifoSettings, message: &Message) -> String {
    let mut digest = Sha256::new();
    digest.update(&topic.id);
    if fifo.scope == FifoScope::Group {
        digest.update([0]);
        digest.update(message.group.as_deref().unwrap_or_default());
    }
    digest.update([0]);
    digest.update(message.dedup.as_deref().unwrap_or_default());
    hex(&digest.finalize())
}
