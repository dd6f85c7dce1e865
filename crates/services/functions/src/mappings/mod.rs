//! Event source mappings at work: each that is enabled reads its queue and calls its function, in a task of its own.
//!
//! Start with [`Functions::run_mappings`], which has as many of them run as are enabled; [`poller`] is one of them,
//! [`delivery`] is the way of one batch. What is decided is decided in `engine::mapping`.
//!
//! Invariants:
//! - a message leaves its queue only when its function said that it is done, or a filter does not want it;
//! - a message whose function could not be run, for want of capacity or of the function, counts as never received;
//! - a mapping is Disabled, or gone, only when none of its batches is under way.

mod delivery;
mod hops;
mod poller;

use std::collections::{HashMap, HashSet};
use std::future::Future;
use std::pin::pin;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use lambent_core::ids::{AccountId, Region};
use lambent_store::StoreError;
use lambent_store::functions::{Command, MappingRecord, MappingState};
use tokio::sync::{Notify, watch};
use tokio::task::{Id, JoinError, JoinSet};

use crate::Functions;
use crate::engine::mapping::{self, Settled};

/// Ours: how long to leave a store or a queue alone that has failed.
const RETRY_AFTER: Duration = Duration::from_secs(1);

/// LastProcessingResult of a batch that went well.
pub(crate) const RESULT_OK: &str = "OK";

pub(crate) fn arn(account: &AccountId, region: &Region, id: &str) -> String {
    format!("arn:aws:lambda:{region}:{account}:event-source-mapping:{id}")
}

/// What is known of mappings at work, beside their records.
#[derive(Default)]
pub(crate) struct Mappings {
    /// A mapping was made or changed.
    pub changed: Notify,
    /// What became of the last batch, by the mapping's id. Lost with the process.
    results: Mutex<HashMap<String, Arc<str>>>,
    /// Bytes of messages that are gathered or under way, of all mappings.
    held_bytes: AtomicUsize,
}

impl Mappings {
    fn results(&self) -> MutexGuard<'_, HashMap<String, Arc<str>>> {
        // Each change under this lock is a single call.
        self.results.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// LastProcessingResult.
    pub fn result(&self, id: &str) -> Option<Arc<str>> {
        self.results().get(id).cloned()
    }

    fn note(&self, record: &MappingRecord, result: &str) {
        let mut results = self.results();
        if results.get(&record.id).is_some_and(|known| **known == *result) {
            return;
        }
        results.insert(record.id.clone(), Arc::from(result));
        drop(results);
        if result != RESULT_OK {
            tracing::info!(mapping = record.id, function = %record.function.name, result, "an event source mapping");
        }
    }

    fn hold(&self, bytes: usize) {
        self.held_bytes.fetch_add(bytes, Ordering::Relaxed);
    }

    fn release(&self, bytes: usize) {
        self.held_bytes.fetch_sub(bytes, Ordering::Relaxed);
    }
}

/// The pollers that run, by the ids of their mappings.
#[derive(Default)]
struct Running {
    settings: HashMap<String, watch::Sender<Arc<MappingRecord>>>,
    by_task: HashMap<Id, String>,
    tasks: JoinSet<()>,
}

impl Running {
    fn start(&mut self, functions: &Arc<Functions>, record: &Arc<MappingRecord>) {
        let (settings, follow) = watch::channel(record.clone());
        let task = self.tasks.spawn(poller::run(functions.clone(), follow));
        self.by_task.insert(task.id(), record.id.clone());
        self.settings.insert(record.id.clone(), settings);
    }

    fn ended(&mut self, ended: Result<(Id, ()), JoinError>) {
        let id = match ended {
            Ok((id, ())) => id,
            Err(error) => {
                tracing::error!(%error, "a poller came down; it is started again");
                error.id()
            }
        };
        if let Some(mapping) = self.by_task.remove(&id) {
            self.settings.remove(&mapping);
        }
    }
}

impl Functions {
    /// Reads the queues of all mappings that are enabled until `stop`; then ends the batches that are under way.
    pub async fn run_mappings(self: Arc<Self>, stop: impl Future<Output = ()>) {
        let mut stop = pin!(stop);
        let mut running = Running::default();
        loop {
            // Before the look, so that what is changed meanwhile is seen in the next round.
            let changed = self.mappings.changed.notified();
            let mut failed = false;
            for record in self.deps.store.mappings() {
                failed |= !self.attend(&mut running, &record).await;
            }
            self.forget_mappings();
            tokio::select! {
                () = &mut stop => break,
                Some(ended) = running.tasks.join_next_with_id() => running.ended(ended),
                () = changed => {}
                () = tokio::time::sleep(RETRY_AFTER), if failed => {}
            }
        }
        running.settings.clear();
        while running.tasks.join_next().await.is_some() {}
    }

    /// Has a mapping's poller run as its record says. Says whether what came of it could be stored.
    async fn attend(self: &Arc<Self>, running: &mut Running, record: &Arc<MappingRecord>) -> bool {
        match running.settings.get(&record.id) {
            // Its batches end first; the end of its task brings it back here.
            Some(settings) if !record.state.is_enabled() => {
                settings.send_replace(record.clone());
                return true;
            }
            Some(settings) => {
                settings.send_if_modified(|known| {
                    let differs = known.generation != record.generation;
                    *known = record.clone();
                    differs
                });
            }
            None if record.state.is_enabled() => running.start(self, record),
            None => {}
        }
        let command = match mapping::settle(record) {
            Settled::Rests => return true,
            Settled::Becomes(settled) => Command::PutMapping { record: settled, expected: record.generation },
            Settled::Goes => Command::DeleteMapping { id: record.id.clone(), expected: record.generation },
        };
        match self.deps.store.apply(vec![command]).await {
            Ok(()) => {
                if record.state == MappingState::Deleting {
                    let arn = arn(record.account(), record.region(), &record.id);
                    self.deps.metrics.forget_mapping(&arn);
                }
                true
            }
            // Somebody changed it meanwhile, who calls for another round.
            Err(StoreError::Conflict) => true,
            Err(StoreError::Unavailable { detail }) => {
                tracing::warn!(mapping = record.id, detail, "a mapping's state could not be stored");
                false
            }
        }
    }

    /// What was known of mappings that are gone.
    fn forget_mappings(&self) {
        let mut results = self.mappings.results();
        if !results.is_empty() {
            let there: HashSet<String> =
                self.deps.store.mappings().iter().map(|record| record.id.clone()).collect();
            results.retain(|id, _| there.contains(id));
        }
    }
}
