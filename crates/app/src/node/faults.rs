//! Faults on order, for tests: calls of a target fail, are throttled, come late, or lose their answer.
//!
//! Between those who call and what is called stand [`FaultyInvoke`] and [`FaultyQueues`]. Rules are in memory only: a
//! node that starts has none. What a fault looks like is what the caller would see of a real one, so that its retries,
//! destinations and dead letters are those of production.
//!
//! Not faults: what a function does in its own code, and what the client of an API sees that calls no target.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use lambent_core::function::FunctionSpec;
use lambent_core::ids::Version;
use lambent_core::ports::{
    Answer, BoxFuture, Invocation, Invoke, InvokeRefusal, Outcome, Push, PushRefusal, Pusher, QueueSink,
    StreamedAnswer, ThrottleReason,
};
use serde_json::{Value, json};

/// Ours: rules at one time.
const RULES_MAX: usize = 1_000;

/// Ours: no call waits longer for a slow target.
pub const SLOW_MAX: Duration = Duration::from_secs(900);

const TOLD: &str = "a fault that was asked for";

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// A function answers with an error of its own; a queue can't take the message.
    Error,
    Throttle,
    Slow(Duration),
    /// The target does its work, and nobody hears of it.
    DropAnswer,
}

impl Kind {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Error => "error",
            Self::Throttle => "throttle",
            Self::Slow(_) => "slow",
            Self::DropAnswer => "drop-answer",
        }
    }
}

#[derive(Debug, Clone)]
struct Rule {
    id: u64,
    target: String,
    kind: Kind,
    /// How often it applies still; without a number for good.
    left: Option<u32>,
    applied: u64,
}

#[derive(Default)]
pub struct Faults(Mutex<Rules>);

#[derive(Default)]
struct Rules {
    last_id: u64,
    rules: Vec<Rule>,
}

/// What befalls one call.
#[derive(Debug, Default, PartialEq, Eq)]
struct Fate {
    slow: Duration,
    /// Never [`Kind::Slow`].
    kind: Option<Kind>,
}

impl Faults {
    fn lock(&self) -> MutexGuard<'_, Rules> {
        // Each change under this lock is a few calls that can't panic.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The rule as it is shown; `None` when there are too many.
    pub fn add(&self, target: String, kind: Kind, times: Option<u32>) -> Option<Value> {
        let mut rules = self.lock();
        if rules.rules.len() >= RULES_MAX {
            return None;
        }
        rules.last_id += 1;
        let rule = Rule { id: rules.last_id, target, kind, left: times, applied: 0 };
        let shown = rule.shown();
        rules.rules.push(rule);
        Some(shown)
    }

    pub fn list(&self) -> Value {
        json!({ "faults": self.lock().rules.iter().map(Rule::shown).collect::<Vec<_>>() })
    }

    /// Whether there was such a rule.
    pub fn remove(&self, id: u64) -> bool {
        let rules = &mut self.lock().rules;
        let before = rules.len();
        rules.retain(|rule| rule.id != id);
        rules.len() < before
    }

    /// What the rules say of one call of a target, which may have several names; counted. Delays add up; of the others
    /// the oldest rule applies.
    fn fate(&self, names: &[&str]) -> Fate {
        let mut fate = Fate::default();
        let rules = &mut self.lock().rules;
        for rule in rules.iter_mut().filter(|rule| names.contains(&rule.target.as_str())) {
            match rule.kind {
                Kind::Slow(by) => fate.slow += by,
                _ if fate.kind.is_some() => continue,
                kind => fate.kind = Some(kind),
            }
            rule.applied += 1;
            rule.left = rule.left.map(|left| left.saturating_sub(1));
        }
        rules.retain(|rule| rule.left != Some(0));
        fate
    }

    async fn befall(&self, names: &[&str]) -> Option<Kind> {
        let Fate { slow, kind } = self.fate(names);
        if !slow.is_zero() {
            tokio::time::sleep(slow.min(SLOW_MAX)).await;
        }
        kind
    }
}

impl Rule {
    fn shown(&self) -> Value {
        let mut shown = json!({
            "id": self.id, "target": self.target, "kind": self.kind.as_str(), "applied": self.applied,
        });
        if let Kind::Slow(by) = self.kind {
            shown["slowMs"] = u64::try_from(by.as_millis()).unwrap_or(u64::MAX).into();
        }
        if let Some(left) = self.left {
            shown["timesLeft"] = left.into();
        }
        shown
    }
}

/// Calls of functions.
pub struct FaultyInvoke {
    pub inner: Arc<dyn Invoke>,
    pub faults: Arc<Faults>,
}

impl FaultyInvoke {
    /// `Ok`: the call is made; its answer is lost if it says so. Else what comes instead.
    async fn befall(&self, call: &Invocation) -> Result<bool, Result<Answer, InvokeRefusal>> {
        let arn = call.spec.arn();
        let version = format!("{arn}:{}", call.spec.version);
        match self.faults.befall(&[&arn, &version, &call.invoked_arn]).await {
            None | Some(Kind::Slow(_)) => Ok(false),
            Some(Kind::DropAnswer) => Ok(true),
            Some(Kind::Throttle) => {
                Err(Err(InvokeRefusal::Throttled(ThrottleReason::ConcurrentInvocationLimitExceeded)))
            }
            Some(Kind::Error) => {
                let document = json!({ "errorMessage": TOLD, "errorType": "Lambent.InjectedFault" });
                let outcome = Outcome::Failed(Bytes::from(document.to_string()));
                Err(Ok(Answer { outcome, log_tail: None, cold: None, handler: Duration::ZERO }))
            }
        }
    }
}

fn lost<T>(_: T) -> InvokeRefusal {
    InvokeRefusal::NoEnvironment { detail: format!("the answer was dropped: {TOLD}") }
}

impl Invoke for FaultyInvoke {
    fn invoke(&self, call: Invocation) -> BoxFuture<'_, Result<Answer, InvokeRefusal>> {
        Box::pin(async move {
            let is_lost = match self.befall(&call).await {
                Ok(is_lost) => is_lost,
                Err(instead) => return instead,
            };
            let answer = self.inner.invoke(call).await?;
            if is_lost { Err(lost(answer)) } else { Ok(answer) }
        })
    }

    fn invoke_streaming(&self, call: Invocation) -> BoxFuture<'_, Result<StreamedAnswer, InvokeRefusal>> {
        Box::pin(async move {
            let is_lost = match self.befall(&call).await {
                Ok(is_lost) => is_lost,
                Err(instead) => return instead.map(StreamedAnswer::whole),
            };
            let answer = self.inner.invoke_streaming(call).await?;
            if is_lost { Err(lost(answer)) } else { Ok(answer) }
        })
    }

    fn expect(&self, spec: Arc<FunctionSpec>) {
        self.inner.expect(spec);
    }

    fn retire(&self, function_arn: &str, current: Option<Arc<FunctionSpec>>) {
        self.inner.retire(function_arn, current);
    }

    fn version_deleted(&self, function_arn: &str, version: Version) {
        self.inner.version_deleted(function_arn, version);
    }

    fn deleted(&self, function_arn: &str) {
        self.inner.deleted(function_arn);
    }
}

/// Messages that the node itself sends to queues.
pub struct FaultyQueues {
    pub inner: Arc<dyn QueueSink>,
    pub faults: Arc<Faults>,
}

impl QueueSink for FaultyQueues {
    fn push<'a>(
        &'a self,
        queue_arn: &'a str,
        pusher: Pusher<'a>,
        message: Push,
    ) -> BoxFuture<'a, Result<String, PushRefusal>> {
        Box::pin(async move {
            let unavailable = |what: &str| PushRefusal::Unavailable { detail: format!("{what}: {TOLD}") };
            match self.faults.befall(&[queue_arn]).await {
                None | Some(Kind::Slow(_)) => self.inner.push(queue_arn, pusher, message).await,
                Some(Kind::Error) => Err(unavailable("it fails")),
                Some(Kind::Throttle) => Err(unavailable("it is throttled")),
                Some(Kind::DropAnswer) => {
                    self.inner.push(queue_arn, pusher, message).await?;
                    Err(unavailable("its answer was dropped"))
                }
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rule_applies_as_often_as_it_says_and_to_its_target() {
        let faults = Faults::default();
        faults.add("a".into(), Kind::Error, Some(2)).unwrap();
        assert_eq!(faults.fate(&["b"]), Fate::default());
        for _ in 0..2 {
            assert_eq!(faults.fate(&["x", "a"]).kind, Some(Kind::Error));
        }
        assert_eq!(faults.fate(&["a"]), Fate::default());
        assert_eq!(faults.list(), json!({ "faults": [] }));
    }

    #[test]
    fn delays_add_up_and_of_the_rest_the_oldest_rule_applies() {
        let faults = Faults::default();
        for (kind, times) in [
            (Kind::Slow(Duration::from_secs(2)), None),
            (Kind::Throttle, Some(1)),
            (Kind::DropAnswer, None),
            (Kind::Slow(Duration::from_secs(1)), Some(1)),
        ] {
            faults.add("a".into(), kind, times).unwrap();
        }
        let fate = |slow, kind| Fate { slow: Duration::from_secs(slow), kind: Some(kind) };
        assert_eq!(faults.fate(&["a"]), fate(3, Kind::Throttle));
        assert_eq!(faults.fate(&["a"]), fate(2, Kind::DropAnswer));
        let shown = faults.list();
        assert_eq!(
            shown["faults"][0],
            json!({ "id": 1, "target": "a", "kind": "slow", "applied": 2, "slowMs": 2000 })
        );
        assert_eq!(shown["faults"][1]["kind"], "drop-answer");
        assert!(faults.remove(3) && !faults.remove(3));
        assert_eq!(faults.fate(&["a"]).kind, None);
    }

    #[test]
    fn there_is_an_end_to_rules() {
        let faults = Faults::default();
        for _ in 0..RULES_MAX {
            assert!(faults.add("a".into(), Kind::Error, None).is_some());
        }
        assert!(faults.add("a".into(), Kind::Error, None).is_none());
    }
}
