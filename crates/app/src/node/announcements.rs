//! How the node's parts tell of themselves: on their accounts' default buses.
//!
//! Functions tell of their changes, and events call functions: the weak end lets both be dropped.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError, Weak};
use std::time::Duration;

use lambent_core::function::FunctionSpec;
use lambent_core::ports::{
    BoxFuture, CallSample, Change, ChangeKind, Changes, Clock, MappingSample, Metrics, Stages, ThrottleReason,
};
use lambent_core::time::Timestamp;
use serde_json::{Value, json};

/// Ours: a function is throttled until none of its calls has been for so long.
const CALM: Duration = Duration::from_secs(60);

/// To those who are built later.
#[derive(Default)]
pub struct Announcements(pub OnceLock<Weak<dyn Changes>>);

impl Changes for Announcements {
    fn tell(&self, change: Change) -> BoxFuture<'_, ()> {
        Box::pin(async move {
            if let Some(listener) = self.0.get().and_then(Weak::upgrade) {
                listener.tell(change).await;
            }
        })
    }
}

/// Counts calls as `inner` does, and tells when a function begins to be throttled, and when that has ended: two events,
/// however many calls there were.
pub struct Throttles {
    inner: Arc<dyn Metrics>,
    told: Arc<Told>,
}

struct Told {
    changes: Arc<dyn Changes>,
    clock: Arc<dyn Clock>,
    /// The functions that are throttled now, by their ARNs. A function that is deleted goes.
    throttled: Mutex<HashMap<String, Spell>>,
}

/// A time in which a function's calls are throttled.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Spell {
    began: Timestamp,
    last: Timestamp,
    calls: u64,
}

impl Told {
    fn lock(&self) -> MutexGuard<'_, HashMap<String, Spell>> {
        // Each change under this lock is a single one.
        self.throttled.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Notes a throttled call; whether it is the first one.
    fn begins(&self, function_arn: &str) -> bool {
        let now = self.clock.now();
        let mut throttled = self.lock();
        let spell = throttled.get_mut(function_arn);
        let is_first = spell.is_none();
        match spell {
            Some(spell) => (spell.last, spell.calls) = (now, spell.calls + 1),
            None => {
                throttled.insert(function_arn.to_owned(), Spell { began: now, last: now, calls: 1 });
            }
        }
        is_first
    }

    /// The spell if it is over, or when to ask again; `None` when there is none.
    fn over(&self, function_arn: &str) -> Option<Result<Spell, Timestamp>> {
        let now = self.clock.now();
        let mut throttled = self.lock();
        let spell = *throttled.get(function_arn)?;
        // A clock that was set back ends it, rather than never.
        if spell.last <= now && now < spell.last.plus(CALM) {
            return Some(Err(spell.last.plus(CALM)));
        }
        throttled.remove(function_arn);
        Some(Ok(spell))
    }

    /// Tells of the beginning, waits for the end, and tells of that.
    async fn follow(&self, begin: Change, end: Change) {
        let mut awake = self.clock.awake();
        self.changes.tell(begin).await;
        loop {
            match self.over(&end.resource) {
                None => return,
                Some(Err(until)) => {
                    let nap = self.clock.sleep_until(until);
                    drop(awake);
                    awake = nap.await;
                }
                Some(Ok(spell)) => {
                    let mut detail: Value = serde_json::from_str(&end.detail).unwrap_or_default();
                    detail["began"] = spell.began.to_string().into();
                    detail["lastThrottled"] = spell.last.to_string().into();
                    detail["throttledCalls"] = spell.calls.into();
                    self.changes.tell(Change { detail: detail.to_string(), ..end }).await;
                    return drop(awake);
                }
            }
        }
    }
}

impl Throttles {
    pub fn new(inner: Arc<dyn Metrics>, changes: Arc<dyn Changes>, clock: Arc<dyn Clock>) -> Self {
        Self { inner, told: Arc::new(Told { changes, clock, throttled: Mutex::default() }) }
    }
}

impl Metrics for Throttles {
    fn throttled(&self, spec: &FunctionSpec, reason: ThrottleReason) {
        self.inner.throttled(spec, reason);
        let function_arn = spec.arn();
        if !self.told.begins(&function_arn) {
            return;
        }
        let detail = json!({
            "functionName": spec.name.as_str(), "functionArn": function_arn, "version": spec.version.to_string(),
            "reason": reason.as_str(),
        });
        let change = |kind| Change {
            account: spec.account.clone(),
            region: spec.region.clone(),
            kind,
            resource: function_arn.clone(),
            detail: detail.to_string(),
        };
        let (begin, end) =
            (change(ChangeKind::FunctionThrottled), change(ChangeKind::FunctionThrottlingEnded));
        let told = self.told.clone();
        if let Ok(runtime) = tokio::runtime::Handle::try_current() {
            runtime.spawn(async move { told.follow(begin, end).await });
        }
    }

    fn forget(&self, function_arn: &str) {
        self.told.lock().remove(function_arn);
        self.inner.forget(function_arn);
    }

    fn call(&self, spec: &FunctionSpec, sample: CallSample) {
        self.inner.call(spec, sample);
    }

    fn mapping(&self, mapping_arn: &str, sample: MappingSample) {
        self.inner.mapping(mapping_arn, sample);
    }

    fn forget_mapping(&self, mapping_arn: &str) {
        self.inner.forget_mapping(mapping_arn);
    }

    fn started_ahead(&self, spec: &FunctionSpec, stages: Stages) {
        self.inner.started_ahead(spec, stages);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicU64, Ordering};

    use lambent_core::ports::{Nap, NoChanges, NoMetrics};

    /// Milliseconds.
    struct Hand(AtomicU64);

    impl Clock for Hand {
        fn now(&self) -> Timestamp {
            Timestamp::from_millis(self.0.load(Ordering::SeqCst))
        }

        fn sleep_until(&self, _: Timestamp) -> Nap {
            Box::pin(std::future::pending())
        }
    }

    #[test]
    fn a_function_is_throttled_until_none_of_its_calls_is_for_a_minute() {
        let clock = Arc::new(Hand(AtomicU64::new(1_000_000)));
        let told = Throttles::new(Arc::new(NoMetrics), Arc::new(NoChanges), clock.clone()).told;
        assert_eq!([told.begins("f"), told.begins("f"), told.begins("g")], [true, false, true]);
        let at = Timestamp::from_millis;
        clock.0.fetch_add(59_999, Ordering::SeqCst);
        assert_eq!(told.over("f"), Some(Err(at(1_060_000))));
        assert!(!told.begins("f"));
        clock.0.fetch_add(60_000, Ordering::SeqCst);
        let spell = Spell { began: at(1_000_000), last: at(1_059_999), calls: 3 };
        assert_eq!((told.over("f"), told.over("f")), (Some(Ok(spell)), None));
        assert!(told.begins("f"));
        told.lock().remove("f");
        assert!(told.begins("f"));
        // A clock that was set back ends a spell.
        clock.0.fetch_sub(1_000, Ordering::SeqCst);
        assert!(matches!(told.over("f"), Some(Ok(_))));
    }
}
