//! Has the snapshots made of versions that were published with SnapStart, and stores what became of them.
//!
//! A version waits in state Pending, on the disk, until then: what a node did not come to do, the next one does.

use std::collections::{BTreeSet, HashSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures_util::StreamExt as _;
use futures_util::stream::FuturesUnordered;
use lambent_core::arn;
use lambent_core::ids::Version;
use lambent_core::ports::{Availability, SnapshotFailure};
use lambent_core::runtime;
use lambent_store::StoreError;
use lambent_store::functions::{Command, FunctionKey, State};
use tokio::sync::Notify;

use crate::Functions;
use crate::engine::{settle, snap_start};

/// Ours: inits that run at a time for their snapshots. Each takes a whole vCPU.
const AT_A_TIME_MAX: usize = 2;

/// Ours: how long until another attempt where the host had no room, or the store could not write.
const RETRY_AFTER: Duration = Duration::from_secs(1);

/// Functions of which a version may wait.
#[derive(Default)]
pub struct Wanted {
    functions: Mutex<BTreeSet<FunctionKey>>,
    noticed: Notify,
}

impl Wanted {
    fn functions(&self) -> MutexGuard<'_, BTreeSet<FunctionKey>> {
        // Each change under this lock is a single call, so a panic can't leave it half done.
        self.functions.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Functions {
    /// Keeps the snapshots of versions that are still there, and none else; has those made that are missing. For a node
    /// that has just started.
    pub fn keep_snapshots(&self) {
        let keys = self.deps.store.snap_start_functions();
        let mut specs = Vec::new();
        for record in keys.iter().filter_map(|key| self.deps.store.function(key)) {
            let kept =
                record.versions.values().filter(|v| v.snap_start && !matches!(v.state, State::Failed { .. }));
            specs.extend(kept.filter_map(|version| self.specs.of(&record, version).ok()));
        }
        self.deps.snapshots.keep_only(&specs);
        self.snapshots.functions().extend(keys);
        self.snapshots.noticed.notify_one();
    }

    /// A version of this function may have been published.
    pub(crate) fn wants_snapshots(&self, key: &FunctionKey) {
        if !self.waiting(key).is_empty() {
            self.snapshots.functions().insert(key.clone());
            self.snapshots.noticed.notify_one();
        }
    }

    /// Has snapshots made as they are wanted, until the future is dropped.
    pub async fn run_snapshots(&self) {
        let (mut making, mut under_way) = (FuturesUnordered::new(), HashSet::new());
        loop {
            let noticed = self.snapshots.noticed.notified();
            for wanted in self.all_waiting() {
                if making.len() < AT_A_TIME_MAX && under_way.insert(wanted.clone()) {
                    making.push(async move {
                        let (key, number) = &wanted;
                        self.make_snapshot(key, *number).await;
                        wanted
                    });
                }
            }
            tokio::select! {
                () = noticed => {}
                Some(made) = making.next() => { under_way.remove(&made); }
            }
        }
    }

    fn waiting(&self, key: &FunctionKey) -> Vec<u64> {
        let Some(record) = self.deps.store.function(key) else { return Vec::new() };
        let waiting = record.versions.iter().filter(|(_, version)| snap_start::awaits_snapshot(version));
        waiting.map(|(number, _)| *number).collect()
    }

    fn all_waiting(&self) -> Vec<(FunctionKey, u64)> {
        let mut all = Vec::new();
        self.snapshots.functions().retain(|key| {
            let waiting = self.waiting(key);
            all.extend(waiting.iter().map(|number| (key.clone(), *number)));
            !waiting.is_empty()
        });
        all
    }

    /// Has one made, and stores what became of it. When neither can be done it waits a little, and is asked again.
    async fn make_snapshot(&self, key: &FunctionKey, number: u64) {
        let Some(record) = self.deps.store.function(key) else { return };
        let Some(version) = record.versions.get(&number) else { return };
        let state = match runtime::find(&version.runtime)
            .map(|runtime| self.deps.runtimes.availability(runtime))
        {
            Some(Availability::Missing { reason }) => {
                State::Failed { reason, code: settle::INVALID_RUNTIME.to_owned() }
            }
            _ => {
                let Some(spec) = self.spec(key, Version::Published(number)) else { return };
                match self.deps.snapshots.make(Arc::clone(&spec)).await {
                    Ok(()) => State::Active,
                    Err(SnapshotFailure::Function { code, reason }) => {
                        State::Failed { reason, code: code.to_owned() }
                    }
                    Err(SnapshotFailure::Host { detail }) => {
                        tracing::warn!(function = %key.name, number, detail, "no snapshot yet of a version");
                        return tokio::time::sleep(RETRY_AFTER).await;
                    }
                }
            }
        };
        if self.deps.store.function(key).is_none_or(|record| !record.versions.contains_key(&number)) {
            // It was deleted meanwhile; what was made for it goes too.
            let arn = arn::function(&key.region, &key.account, &key.name);
            return self.deps.invoke.version_deleted(&arn, Version::Published(number));
        }
        if !self.store_state(key, number, &state).await {
            tokio::time::sleep(RETRY_AFTER).await;
        }
    }

    /// False when the store would not take it.
    async fn store_state(&self, key: &FunctionKey, number: u64, state: &State) -> bool {
        loop {
            let Some(record) = self.deps.store.function(key) else { return true };
            let Some(settled) = snap_start::settle(&record, number, state.clone()) else { return true };
            let command = Command::PutFunction { record: Arc::new(settled), expected: record.generation };
            match self.deps.store.apply(vec![command]).await {
                Ok(()) => return true,
                // Somebody changed the function meanwhile: look again.
                Err(StoreError::Conflict) => {}
                Err(StoreError::Unavailable { detail }) => {
                    tracing::warn!(function = %key.name, detail, "a version's state could not be stored");
                    return false;
                }
            }
        }
    }
}
