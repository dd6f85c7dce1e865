//! What happened to calls, counted: the `Metrics` port, and its numbers as text for Prometheus.
//!
//! What this is not: CloudWatch. Nothing is kept beyond the process; the names are the reference's.
//!
//! Invariants: a call costs one short lock; the number of functions that are counted has a bound.

mod events;
mod hour;
mod prometheus;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use lambent_core::function::FunctionSpec;
use lambent_core::ids::{AccountId, FunctionName, Region, Version};
use lambent_core::ports::{
    CallSample, Clock, ColdReason, EventSample, MappingSample, Metrics, ServedBy, Stages, ThrottleReason,
};
use lambent_core::time::Timestamp;

pub use events::EventSums;
use hour::Hour;
pub use hour::LastHour;
pub use prometheus::{Place, text};

/// Ours: versions of functions that are counted. Beyond it, the one that was not called for longest is forgotten.
const COUNTED_MAX: usize = 20_000;

/// One version of one function.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Counted {
    pub account: AccountId,
    pub region: Region,
    pub name: FunctionName,
    pub version: Version,
}

/// The sums since the node started.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Sums {
    pub invocations: u64,
    pub errors: u64,
    pub duration: Duration,
    pub cold_starts: u64,
    /// In the order of [`ColdReason::ALL`].
    pub cold_reasons: [u64; ColdReason::ALL.len()],
    /// In the order of [`STAGES`].
    pub cold_stages: [Duration; STAGES.len()],
    /// How many cold starts took at most this long, in the order of [`START_SECONDS`], up to their handler.
    pub cold_within: [u64; START_SECONDS.len()],
    /// Environments that no call waited for.
    pub ahead: u64,
    /// In the order of [`STAGES`], of which they have no handler.
    pub ahead_stages: [Duration; STAGES.len()],
    pub provisioned: u64,
    pub spillover: u64,
    /// In the order of [`ThrottleReason::ALL`].
    pub throttles: [u64; ThrottleReason::ALL.len()],
}

/// Where a cold start's time goes.
pub const STAGES: [&str; 5] = ["sandbox", "code", "runtime", "init", "handler"];

/// Ours: the bounds of the histogram of cold starts.
pub const START_SECONDS: [f64; 12] =
    [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0];

impl Sums {
    fn cold(&mut self, stages: Stages, handler: Duration, why: Option<ColdReason>) {
        self.cold_starts += 1;
        let before = [stages.sandbox, stages.code, stages.runtime, stages.init];
        for (sum, took) in self.cold_stages.iter_mut().zip(before.into_iter().chain([handler])) {
            *sum += took;
        }
        let start: Duration = before.into_iter().sum();
        for (count, within) in self.cold_within.iter_mut().zip(START_SECONDS) {
            *count += u64::from(start.as_secs_f64() <= within);
        }
        if let Some(at) = why.and_then(|why| ColdReason::ALL.iter().position(|known| *known == why)) {
            self.cold_reasons[at] += 1;
        }
    }
}

#[derive(Debug, Default)]
struct Line {
    sums: Sums,
    hour: Hour,
    last: Timestamp,
}

/// Counts calls by function and version.
pub struct Registry {
    clock: Arc<dyn Clock>,
    lines: Mutex<HashMap<Counted, Line>>,
    /// Event source mappings that are to be counted, by their ARNs.
    mappings: Mutex<BTreeMap<String, MappingSample>>,
    events: events::Events,
}

impl Registry {
    pub fn new(clock: Arc<dyn Clock>) -> Self {
        Self { clock, lines: Mutex::default(), mappings: Mutex::default(), events: events::Events::default() }
    }

    /// The sums of all that is counted, in order.
    pub fn sums(&self) -> Vec<(Counted, Sums)> {
        let mut sums: Vec<_> =
            self.lock().iter().map(|(counted, line)| (counted.clone(), line.sums.clone())).collect();
        sums.sort_by(|a, b| a.0.cmp(&b.0));
        sums
    }

    /// The sums of the mappings that are counted, by their ARNs.
    pub fn mappings(&self) -> BTreeMap<String, MappingSample> {
        self.mappings.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// What happened to events, by the ARNs of their functions.
    pub fn events(&self) -> BTreeMap<String, EventSums> {
        self.events.sums()
    }

    /// What happened within the last hour to the functions of an account in a region, all versions together.
    pub fn last_hour(&self, account: &AccountId, region: &Region) -> HashMap<FunctionName, LastHour> {
        let now = self.clock.now();
        let mut found: HashMap<FunctionName, LastHour> = HashMap::new();
        for (counted, line) in self.lock().iter() {
            if counted.account == *account && counted.region == *region {
                let hour = line.hour.sum(now);
                if hour != LastHour::default() {
                    found.entry(counted.name.clone()).or_default().add(hour);
                }
            }
        }
        found
    }

    fn with(&self, spec: &FunctionSpec, change: impl FnOnce(&mut Line, Timestamp)) {
        let now = self.clock.now();
        let counted = Counted {
            account: spec.account.clone(),
            region: spec.region.clone(),
            name: spec.name.clone(),
            version: spec.version,
        };
        let mut lines = self.lock();
        if lines.len() >= COUNTED_MAX && !lines.contains_key(&counted) {
            let oldest = lines.iter().min_by_key(|(_, line)| line.last).map(|(counted, _)| counted.clone());
            if let Some(oldest) = oldest {
                lines.remove(&oldest);
            }
        }
        let line = lines.entry(counted).or_default();
        line.last = now;
        change(line, now);
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Counted, Line>> {
        self.lines.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Metrics for Registry {
    fn call(&self, spec: &FunctionSpec, sample: CallSample) {
        self.with(spec, |line, now| {
            let sums = &mut line.sums;
            sums.invocations += 1;
            sums.errors += u64::from(sample.failed);
            sums.duration += sample.duration;
            sums.provisioned += u64::from(sample.served_by == ServedBy::Provisioned);
            sums.spillover += u64::from(sample.served_by == ServedBy::Spillover);
            if let Some(stages) = sample.cold {
                sums.cold(stages, sample.duration, sample.cold_reason);
            }
            line.hour.add(LastHour::call(sample.cold.is_some(), sample.cold_reason), now);
        });
    }

    fn mapping(&self, mapping_arn: &str, sample: MappingSample) {
        let mut mappings = self.mappings.lock().unwrap_or_else(PoisonError::into_inner);
        if mappings.len() >= COUNTED_MAX && !mappings.contains_key(mapping_arn) {
            return;
        }
        let sums = mappings.entry(mapping_arn.to_owned()).or_default();
        sums.polled += sample.polled;
        sums.filtered_out += sample.filtered_out;
        sums.invoked += sample.invoked;
        sums.failed += sample.failed;
        sums.deleted += sample.deleted;
    }

    fn forget_mapping(&self, mapping_arn: &str) {
        self.mappings.lock().unwrap_or_else(PoisonError::into_inner).remove(mapping_arn);
    }

    fn event(&self, function_arn: &str, sample: EventSample) {
        self.events.add(function_arn, sample);
    }

    fn started_ahead(&self, spec: &FunctionSpec, stages: Stages) {
        self.with(spec, |line, _| {
            line.sums.ahead += 1;
            let all = [stages.sandbox, stages.code, stages.runtime, stages.init];
            for (sum, took) in line.sums.ahead_stages.iter_mut().zip(all) {
                *sum += took;
            }
        });
    }

    fn throttled(&self, spec: &FunctionSpec, reason: ThrottleReason) {
        self.with(spec, |line, now| {
            if let Some(at) = ThrottleReason::ALL.iter().position(|known| *known == reason) {
                line.sums.throttles[at] += 1;
            }
            line.hour.add(LastHour { throttles: 1, ..LastHour::default() }, now);
        });
    }

    fn forget(&self, function_arn: &str) {
        self.events.forget(function_arn);
        let Some((region, account, name)) = parts_of(function_arn) else { return };
        self.lock().retain(|counted, _| {
            counted.name.as_str() != name
                || counted.account.as_str() != account
                || counted.region.as_str() != region
        });
    }
}

/// Region, account and name of `arn:aws:lambda:REGION:ACCOUNT:function:NAME`.
fn parts_of(function_arn: &str) -> Option<(&str, &str, &str)> {
    let mut parts = function_arn.splitn(7, ':').skip(3);
    let (region, account) = (parts.next()?, parts.next()?);
    Some((region, account, parts.nth(1)?))
}
