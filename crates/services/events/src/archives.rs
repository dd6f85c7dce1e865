//! What archives keep of a bus: an event that one of them wants goes with the deliveries to the rules' targets onto
//! the disk, and from there into the archive's store.
//!
//! Invariants:
//! - an event that PutEvents has answered for is in its archives, once, whenever the node is killed;
//! - what is put on a bus again by a replay is archived no second time.

use std::collections::HashMap;
use std::time::Duration;

use lambent_core::time::Timestamp;
use lambent_store::StoreError;
use lambent_store::archive::Archived;
use lambent_store::deliveries::{Command, Delivery, Lane};
use lambent_store::events::{EventStore, Kind, Record, Scope};
use serde::{Deserialize, Serialize};

use crate::Events;
use crate::dispatch::Event;
use crate::names::BusName;
use crate::way::Outgoing;
use lambent_pattern::Pattern;

const LANE: Lane = Lane::EventArchive;

/// Ours: events that go into archives in one commit.
const READ_MAX: usize = 256;

/// Ours: events of an archive that are forgotten in one commit.
const FORGET_MAX: usize = 1_000;

const DAY: Duration = Duration::from_secs(86_400);

/// An archive, ready for events.
#[derive(Debug)]
pub struct ReadyArchive {
    id: String,
    /// The ARN of the bus.
    bus: String,
    pattern: Option<Pattern>,
}

/// The archives of an account, ready.
pub fn ready(scope: &Scope, store: &dyn EventStore) -> Vec<ReadyArchive> {
    let entries = store.list(scope, "", None, usize::MAX).into_iter();
    let read = entries.filter_map(|entry| {
        let Record::Archive(archive) = &entry.record else { return None };
        let pattern = archive.pattern.as_deref().map(Pattern::parse).transpose();
        if let Err(error) = &pattern {
            tracing::error!(archive = entry.key.name, %error, "a stored pattern can't be read");
        }
        Some(ReadyArchive { id: archive.id.clone(), bus: archive.bus.clone(), pattern: pattern.ok()? })
    });
    read.collect()
}

/// An event on its way into archives, as it waits in its delivery.
#[derive(Debug, Serialize, Deserialize)]
struct Keepsake {
    archives: Vec<String>,
    id: String,
    time: Timestamp,
    text: String,
}

impl Events {
    /// Adds the delivery of an event to the archives of the bus that want it.
    pub(crate) fn archive(&self, bus: &BusName, event: &Event, deliveries: &mut Outgoing) {
        let all = self.archives.of(&bus.archives(), &*self.deps.store, ready);
        if all.is_empty() {
            return;
        }
        let arn = bus.arn();
        let wants = |archive: &&ReadyArchive| {
            archive.bus == arn && archive.pattern.as_ref().is_none_or(|pattern| pattern.matches(&event.value))
        };
        let archives: Vec<String> = all.iter().filter(wants).map(|archive| archive.id.clone()).collect();
        if !archives.is_empty() {
            let (id, time, text) = (event.id.clone(), event.time, event.text.clone());
            deliveries.push(self.posted_on(LANE, &Keepsake { archives, id, time, text }));
        }
    }

    /// Has what waits for archives in their store. Says how many events that were.
    pub(crate) async fn keep_due(&self) -> Result<usize, StoreError> {
        let due = self.deps.deliveries.due(LANE, self.deps.clock.now(), READ_MAX).await?;
        if due.is_empty() {
            return Ok(0);
        }
        let events: Vec<Archived> = due.iter().flat_map(archived).collect();
        if !events.is_empty() {
            self.deps.archive.keep(events).await?;
        }
        let settle = due.iter().map(|delivery| Command::Settle { id: delivery.id.clone() }).collect();
        self.deps.deliveries.apply(settle).await?;
        Ok(due.len())
    }

    /// Forgets what archives keep no longer, and what is left of archives that are gone. Says whether there is more.
    pub(crate) async fn sweep_archives(&self) -> Result<bool, StoreError> {
        let mut days = HashMap::new();
        for entry in self.deps.store.all(Kind::Archive) {
            if let Record::Archive(archive) = &entry.record {
                days.insert(archive.id.clone(), archive.retention_days);
            }
        }
        let now = self.deps.clock.now();
        let mut is_more = false;
        for id in self.deps.archive.archives().await? {
            let before = match days.get(&id) {
                // For ever.
                Some(0) => continue,
                Some(days) => {
                    let age =
                        u64::try_from(DAY.as_millis()).unwrap_or(u64::MAX).saturating_mul((*days).into());
                    Timestamp::from_millis(now.as_millis().saturating_sub(age))
                }
                None => Timestamp::from_millis(u64::MAX),
            };
            is_more |= self.deps.archive.forget(id, before, FORGET_MAX).await? == FORGET_MAX;
        }
        Ok(is_more)
    }
}

/// The event for each archive that it is for.
fn archived(delivery: &Delivery) -> Vec<Archived> {
    match serde_json::from_slice::<Keepsake>(&delivery.body) {
        Ok(Keepsake { archives, id, time, text }) => archives
            .into_iter()
            .map(|archive| Archived {
                archive,
                time,
                id: id.clone(),
                kept: delivery.accepted,
                text: text.clone(),
            })
            .collect(),
        Err(error) => {
            tracing::error!(id = %delivery.id, %error, "an event for an archive can't be read; it is given up");
            Vec::new()
        }
    }
}
