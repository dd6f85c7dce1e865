//! The reference implementation.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex, MutexGuard, PoisonError};

use lambent_core::ports::BoxFuture;
use lambent_core::time::Timestamp;

use super::{ArchiveStore, Archived, Place, Range, Size};
use crate::StoreError;

#[derive(Debug, Default)]
pub struct MemoryArchive {
    events: Mutex<BTreeMap<(String, Place), Archived>>,
}

impl MemoryArchive {
    fn lock(&self) -> MutexGuard<'_, BTreeMap<(String, Place), Archived>> {
        // Each change under this lock is whole by itself.
        self.events.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl ArchiveStore for MemoryArchive {
    fn keep(&self, events: Vec<Archived>) -> BoxFuture<'_, Result<(), StoreError>> {
        Box::pin(async move {
            let mut all = self.lock();
            for event in events {
                let key = (event.archive.clone(), (event.time, event.id.clone()));
                all.entry(key).or_insert(event);
            }
            Ok(())
        })
    }

    fn read(&self, range: Range, limit: usize) -> BoxFuture<'_, Result<Vec<Archived>, StoreError>> {
        Box::pin(async move {
            let all = self.lock();
            let is_wanted = |event: &&Archived| {
                event.archive == range.archive
                    && (range.from..range.until).contains(&event.time)
                    && range.after.as_ref().is_none_or(|after| (event.time, &event.id) > (after.0, &after.1))
            };
            Ok(all.values().filter(is_wanted).take(limit).cloned().collect())
        })
    }

    fn size(&self, archive: String) -> BoxFuture<'_, Result<Size, StoreError>> {
        Box::pin(async move {
            let all = self.lock();
            let of_it = all.values().filter(|event| event.archive == archive);
            Ok(of_it.fold(Size::default(), |size, event| Size {
                events: size.events + 1,
                bytes: size.bytes + event.text.len() as u64,
            }))
        })
    }

    fn forget(
        &self,
        archive: String,
        before: Timestamp,
        limit: usize,
    ) -> BoxFuture<'_, Result<usize, StoreError>> {
        Box::pin(async move {
            let mut all = self.lock();
            let is_old = |event: &&Archived| event.archive == archive && event.kept < before;
            let mut old: Vec<Archived> = all.values().filter(is_old).cloned().collect();
            old.sort_by_key(|event| event.kept);
            old.truncate(limit);
            for event in &old {
                all.remove(&(event.archive.clone(), (event.time, event.id.clone())));
            }
            Ok(old.len())
        })
    }

    fn archives(&self) -> BoxFuture<'_, Result<Vec<String>, StoreError>> {
        Box::pin(async move {
            let names: BTreeSet<String> = self.lock().keys().map(|(archive, _)| archive.clone()).collect();
            Ok(names.into_iter().collect())
        })
    }
}
