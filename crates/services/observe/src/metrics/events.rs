//! What happened to events on their way to functions, by function.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use lambent_core::ports::EventSample;

/// The sums since the node started.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct EventSums {
    pub received: u64,
    /// Attempts, and the sum of the ages that their events had.
    pub called: u64,
    pub age: Duration,
    /// The greatest of them.
    pub age_max: Duration,
    pub dropped: u64,
    pub undelivered: u64,
    pub no_letter: u64,
    pub went_round: u64,
}

impl EventSums {
    fn add(&mut self, sample: EventSample) {
        match sample {
            EventSample::Received => self.received += 1,
            EventSample::Called { age } => {
                self.called += 1;
                self.age += age;
                self.age_max = self.age_max.max(age);
            }
            EventSample::Dropped => self.dropped += 1,
            EventSample::Undelivered => self.undelivered += 1,
            EventSample::NoLetter => self.no_letter += 1,
            EventSample::WentRound => self.went_round += 1,
        }
    }
}

/// By the ARNs of functions, without qualifiers.
#[derive(Debug, Default)]
pub struct Events(Mutex<BTreeMap<String, EventSums>>);

impl Events {
    /// One of so many functions that it can't be counted is left out.
    pub fn add(&self, function_arn: &str, sample: EventSample) {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(sums) = all.get_mut(function_arn) {
            return sums.add(sample);
        }
        if all.len() < super::COUNTED_MAX {
            all.entry(function_arn.to_owned()).or_default().add(sample);
        }
    }

    pub fn forget(&self, function_arn: &str) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).remove(function_arn);
    }

    pub fn sums(&self) -> BTreeMap<String, EventSums> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}
