//! The reference implementation.

use std::collections::{HashMap, VecDeque};
use std::sync::{Mutex, MutexGuard, PoisonError};

use lambent_core::ids::{AccountId, Region};
use lambent_core::ports::BoxFuture;
use lambent_core::time::Timestamp;

use super::{Bounds, TraceOwner, TraceRecord, TraceRun, TraceStore, last_by_time};
use crate::StoreError;

/// Runs as they came: they go as they came too.
type Runs = VecDeque<Vec<TraceRecord>>;

pub struct MemoryTraces {
    bounds: Bounds,
    owners: Mutex<HashMap<TraceOwner, Runs>>,
}

impl MemoryTraces {
    /// What is bounded in bytes is a disk's: of that, nothing is kept here.
    pub fn new(bounds: Bounds) -> Self {
        Self { bounds, owners: Mutex::default() }
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<TraceOwner, Runs>> {
        self.owners.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn count(runs: &Runs) -> usize {
    runs.iter().map(Vec::len).sum()
}

impl TraceStore for MemoryTraces {
    fn append_traces(&self, runs: Vec<TraceRun>) -> BoxFuture<'_, Result<(), StoreError>> {
        Box::pin(async move {
            let mut owners = self.lock();
            for TraceRun { owner, records } in runs.into_iter().filter(|run| !run.records.is_empty()) {
                let kept = owners.entry(owner).or_default();
                kept.push_back(records);
                while kept.len() > 1 && count(kept) > self.bounds.owner_records_max {
                    kept.pop_front();
                }
            }
            Ok(())
        })
    }

    fn traces_by_key(
        &self,
        account: AccountId,
        region: Region,
        key: String,
        limit: usize,
    ) -> BoxFuture<'_, Result<Vec<TraceRecord>, StoreError>> {
        Box::pin(async move {
            let owners = self.lock();
            let here = owners.iter().filter(|(owner, _)| owner.account == account && owner.region == region);
            let records = here.flat_map(|(_, runs)| runs.iter().flatten());
            let found = records.filter(|record| record.keys.contains(&key)).cloned().collect();
            Ok(last_by_time(found, limit))
        })
    }

    fn last_traces(
        &self,
        owner: TraceOwner,
        limit: usize,
    ) -> BoxFuture<'_, Result<Vec<TraceRecord>, StoreError>> {
        Box::pin(async move {
            let owners = self.lock();
            let records = owners.get(&owner).into_iter().flatten().flatten().cloned().collect();
            Ok(last_by_time(records, limit))
        })
    }

    fn sweep_traces(&self, older_than: Timestamp) -> BoxFuture<'_, Result<u64, StoreError>> {
        Box::pin(async move {
            let mut freed = 0;
            let mut owners = self.lock();
            for runs in owners.values_mut() {
                let before = count(runs);
                runs.retain(|run| run.iter().any(|record| record.at >= older_than));
                freed += before - count(runs);
            }
            owners.retain(|_, runs| !runs.is_empty());
            Ok(freed as u64)
        })
    }
}
