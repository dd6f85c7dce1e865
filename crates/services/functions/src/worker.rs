//! Brings functions to rest: Pending becomes Active or Failed, an update in progress ends.
//!
//! The decision is `engine::settle`. Requests that need a function at rest bring it there themselves, so the
//! worker never stands between two requests of one caller; it sees to the functions that nobody asks about, and
//! to those that a crash left behind.

use std::time::Duration;

use lambent_core::ids::Version;
use lambent_store::StoreError;
use lambent_store::functions::{Command, FunctionKey};

use crate::Functions;
use crate::engine::settle;

/// Ours: how long the worker waits before it tries a store again that can't write.
const RETRY_AFTER: Duration = Duration::from_secs(1);

impl Functions {
    /// Brings functions to rest as they come, until the future is dropped.
    pub async fn run_worker(&self) {
        loop {
            let noticed = self.unsettled.notified();
            if self.settle().await {
                noticed.await;
            } else {
                tokio::time::sleep(RETRY_AFTER).await;
            }
        }
    }

    /// Brings every function to rest that is not. False when the store would not take it.
    pub async fn settle(&self) -> bool {
        let mut all = true;
        for key in self.deps.store.unsettled_functions() {
            all &= self.settle_function(&key).await;
        }
        all
    }

    /// Tells the part that runs functions what may be called soon: one function of each runtime that is in use.
    /// For a node that has just started.
    pub fn expect_calls(&self) {
        for key in self.deps.store.functions_by_runtime() {
            self.expect(&key);
        }
    }

    fn expect(&self, key: &FunctionKey) {
        if let Some(spec) = self.spec(key, Version::Latest) {
            self.deps.invoke.expect(spec);
        }
    }

    /// Brings one function to rest. Does nothing when it is, or is not there.
    pub(crate) async fn settle_function(&self, key: &FunctionKey) -> bool {
        loop {
            let Some(record) = self.deps.store.function(key) else { return true };
            let at_rest = settle::is_settled(&record) && !has_failed_for_runtime(&record);
            if at_rest {
                return true;
            }
            let availability = |runtime| self.deps.runtimes.availability(runtime);
            let Some(settled) = settle::settle(&record, &availability) else { return true };
            let command =
                Command::PutFunction { record: std::sync::Arc::new(settled), expected: record.generation };
            match self.deps.store.apply(vec![command]).await {
                Ok(()) => {
                    self.settled.notify_waiters();
                    self.expect(key);
                    self.wants_snapshots(key);
                    return true;
                }
                // Somebody changed the function meanwhile, and so moved it on: look again.
                Err(StoreError::Conflict) => {}
                Err(StoreError::Unavailable { detail }) => {
                    tracing::warn!(function = %key.name, detail, "a function's state could not be stored");
                    return false;
                }
            }
        }
    }
}

fn has_failed_for_runtime(record: &lambent_store::functions::FunctionRecord) -> bool {
    settle::lacks_runtime(&record.latest) || record.versions.values().any(|v| settle::lacks_runtime(v))
}
