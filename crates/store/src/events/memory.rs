//! The reference implementation, and the mirror in which others answer their reads.

use std::collections::BTreeMap;
use std::ops::Bound;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use lambent_core::ports::BoxFuture;

use super::{Command, Entry, EventStore, Key, Kind, Scope};
use crate::StoreError;

#[derive(Debug, Default)]
pub struct MemoryEvents {
    entries: Mutex<BTreeMap<Key, Arc<Entry>>>,
}

impl MemoryEvents {
    fn lock(&self) -> MutexGuard<'_, BTreeMap<Key, Arc<Entry>>> {
        // A batch is checked before the first of its changes.
        self.entries.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A copy that goes its own way.
    pub fn duplicate(&self) -> Self {
        Self { entries: Mutex::new(self.lock().clone()) }
    }

    /// Whether the batch can be applied.
    pub fn check(&self, commands: &[Command]) -> Result<(), StoreError> {
        let entries = self.lock();
        let mut changed: BTreeMap<&Key, u64> = BTreeMap::new();
        for command in commands {
            let (key, before, after) = match command {
                Command::Put(entry) => (&entry.key, entry.generation.wrapping_sub(1), entry.generation),
                Command::Delete { key, generation } => (key, *generation, 0),
            };
            let found = changed.get(key).copied();
            let found = found.unwrap_or_else(|| entries.get(key).map_or(0, |entry| entry.generation));
            let is_deletion_of_nothing = after == 0 && before == 0;
            if found != before || is_deletion_of_nothing {
                return Err(StoreError::Conflict);
            }
            changed.insert(key, after);
        }
        Ok(())
    }

    /// Applies a batch that [`Self::check`] took.
    pub fn commit(&self, commands: &[Command]) {
        let mut entries = self.lock();
        for command in commands {
            match command {
                Command::Put(entry) => {
                    assert_eq!(entry.key.scope.kind, entry.record.kind(), "a record is of its key's kind");
                    entries.insert(entry.key.clone(), entry.clone());
                }
                Command::Delete { key, .. } => {
                    entries.remove(key);
                }
            }
        }
    }
}

impl EventStore for MemoryEvents {
    fn apply(&self, commands: Vec<Command>) -> BoxFuture<'_, Result<(), StoreError>> {
        Box::pin(async move {
            self.check(&commands)?;
            self.commit(&commands);
            Ok(())
        })
    }

    fn get(&self, key: &Key) -> Option<Arc<Entry>> {
        self.lock().get(key).cloned()
    }

    fn list(&self, scope: &Scope, prefix: &str, after: Option<&str>, limit: usize) -> Vec<Arc<Entry>> {
        let from = match after {
            Some(after) if after >= prefix => Bound::Excluded(after),
            _ => Bound::Included(prefix),
        };
        let from = from.map(|name| Key { scope: scope.clone(), name: name.to_owned() });
        let entries = self.lock();
        let following = entries.range((from, Bound::Unbounded)).map(|(_, entry)| entry);
        following
            .take_while(|entry| entry.key.scope == *scope && entry.key.name.starts_with(prefix))
            .take(limit)
            .cloned()
            .collect()
    }

    fn all(&self, kind: Kind) -> Vec<Arc<Entry>> {
        self.lock().values().filter(|entry| entry.key.scope.kind == kind).cloned().collect()
    }
}
