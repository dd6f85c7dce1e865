//! The queues by name: the part of the store that is kept in memory, and the checks of its changes.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use lambent_core::ids::{AccountId, Region};
use lambent_core::time::Timestamp;

use super::{Command, DELETION_KEPT_FOR, QueueKey, QueueRecord, Shelf};

/// All queues, and which shelves are theirs.
#[derive(Debug, Clone, Default)]
pub struct Definitions {
    queues: BTreeMap<QueueKey, Arc<QueueRecord>>,
    shelves: BTreeSet<Shelf>,
    deletions: BTreeMap<QueueKey, Timestamp>,
}

impl Definitions {
    pub fn load(
        queues: impl IntoIterator<Item = QueueRecord>,
        deletions: impl IntoIterator<Item = (QueueKey, Timestamp)>,
    ) -> Self {
        let mut definitions = Self::default();
        for record in queues {
            definitions.shelves.insert(record.shelf);
            definitions.queues.insert(record.key.clone(), Arc::new(record));
        }
        definitions.deletions.extend(deletions);
        definitions
    }

    pub fn queue(&self, key: &QueueKey) -> Option<Arc<QueueRecord>> {
        self.queues.get(key).cloned()
    }

    pub fn queues(&self, account: &AccountId, region: &Region) -> Vec<Arc<QueueRecord>> {
        let ours = |key: &QueueKey| key.account == *account && key.region == *region;
        self.queues.values().filter(|record| ours(&record.key)).cloned().collect()
    }

    pub fn all(&self) -> Vec<Arc<QueueRecord>> {
        self.queues.values().cloned().collect()
    }

    pub fn deleted(&self, key: &QueueKey) -> Option<Timestamp> {
        self.deletions.get(key).copied()
    }

    pub fn has(&self, shelf: Shelf) -> bool {
        self.shelves.contains(&shelf)
    }

    /// Whether the change finds the generation that it expects, and whether its shelf is new or its own.
    pub fn allows(&self, command: &Command) -> bool {
        match command {
            Command::Put { record, expected } => {
                let found = self.queues.get(&record.key);
                let is_free = !self.has(record.shelf) || found.is_some_and(|f| f.shelf == record.shelf);
                found.map(|found| found.generation) == *expected && is_free
            }
            Command::Delete { key, expected, .. } => {
                self.queues.get(key).is_some_and(|found| found.generation == *expected)
            }
            _ => true,
        }
    }

    /// Makes a change that is allowed. Answers with the shelf that it gives up.
    pub fn commit(&mut self, command: &Command) -> Option<Shelf> {
        match command {
            Command::Put { record, .. } => {
                let old = self.queues.insert(record.key.clone(), Arc::new((**record).clone()));
                let given_up = old.map(|old| old.shelf).filter(|shelf| *shelf != record.shelf);
                if let Some(shelf) = given_up {
                    self.shelves.remove(&shelf);
                }
                self.shelves.insert(record.shelf);
                given_up
            }
            Command::Delete { key, at, .. } => {
                let old = self.queues.remove(key)?;
                self.shelves.remove(&old.shelf);
                self.deletions.insert(key.clone(), *at);
                Some(old.shelf)
            }
            Command::Sweep { now, .. } => {
                self.deletions.retain(|_, at| is_kept(*at, *now));
                None
            }
            _ => None,
        }
    }
}

fn is_kept(at: Timestamp, now: Timestamp) -> bool {
    now.since(at) < DELETION_KEPT_FOR
}
