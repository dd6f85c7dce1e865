//! The `Capacity` port: environments ahead of their calls, and who uses how many.

use std::sync::Arc;
use std::time::Duration;

use lambent_core::function::FunctionSpec;
use lambent_core::ports::{BoxFuture, Capacity, CapacityUse, Provisioned};

use super::executor::{Executor, Inner, pool_of};

impl Capacity for Executor {
    fn provision(&self, function_arn: &str, wanted: Vec<(Arc<FunctionSpec>, u32)>) {
        let now = self.ports.clock.now();
        let wanted: Vec<_> = wanted.into_iter().map(|(spec, count)| (pool_of(&spec), spec, count)).collect();
        self.perform(
            |inner| {
                for (key, spec, _) in &wanted {
                    inner.ahead.insert(key.clone(), spec.clone());
                }
                let counts: Vec<_> = wanted.iter().map(|(key, _, count)| (key.clone(), *count)).collect();
                inner.plan.provision(function_arn, &counts, now)
            },
            None,
        );
        self.started.notify_waiters();
    }

    fn provisioned(&self, spec: &FunctionSpec) -> Provisioned {
        self.lock().plan.provisioned(&pool_of(spec))
    }

    fn provision_settled<'a>(
        &'a self,
        wanted: &'a [(Arc<FunctionSpec>, u32)],
        within: Duration,
    ) -> BoxFuture<'a, ()> {
        let keys: Vec<_> = wanted.iter().map(|(spec, count)| (pool_of(spec), *count)).collect();
        self.until(within, move |inner| {
            keys.iter().all(|(key, count)| {
                let found = inner.plan.provisioned(key);
                found.ready >= *count || found.failure.is_some()
            })
        })
    }

    fn warm(&self, spec: Arc<FunctionSpec>, count: u32, within: Duration) -> BoxFuture<'_, ()> {
        let now = self.ports.clock.now();
        let key = pool_of(&spec);
        self.perform(
            |inner| {
                let actions = inner.plan.warm(&key, count, now);
                if !actions.is_empty() {
                    inner.ahead.insert(key.clone(), spec);
                }
                actions
            },
            None,
        );
        self.until(within, move |inner| !inner.plan.is_warming(&key))
    }

    fn recent(&self, spec: &FunctionSpec) -> u32 {
        let now = self.ports.clock.now();
        self.lock().plan.recent(&pool_of(spec), now)
    }

    fn usage(&self) -> CapacityUse {
        self.lock().plan.usage()
    }
}

impl Executor {
    /// Resolves when the condition holds or the time is over.
    fn until(&self, within: Duration, holds: impl Fn(&Inner) -> bool + Send + 'static) -> BoxFuture<'_, ()> {
        let wait = async move {
            loop {
                // Before the look, so that what changes meanwhile is seen in the next round.
                let mut changed = std::pin::pin!(self.started.notified());
                changed.as_mut().enable();
                if holds(&self.lock()) {
                    return;
                }
                changed.await;
            }
        };
        Box::pin(async move {
            let _ = tokio::time::timeout(within, wait).await;
        })
    }
}
