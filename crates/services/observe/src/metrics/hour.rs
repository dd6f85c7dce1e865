//! The last hour, a slot for each minute. Pure.

use lambent_core::ports::ColdReason;
use lambent_core::time::Timestamp;

const SLOT_MS: u64 = 60_000;
const SLOTS: u64 = 60;

/// What happened within an hour.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct LastHour {
    pub calls: u64,
    pub cold: u64,
    /// Why they were cold, in the order of [`ColdReason::ALL`].
    pub reasons: [u64; ColdReason::ALL.len()],
    pub throttles: u64,
}

/// Ours: the share of a function's calls that wait for a start, above which it is warned of.
const COLD_SHARE_WARNED: f64 = 0.05;

/// Ours: from so many calls on, so that the one start that no function is spared is no warning.
const COLD_CALLS_MIN: u64 = 20;

impl LastHour {
    pub fn add(&mut self, other: Self) {
        self.calls += other.calls;
        self.cold += other.cold;
        self.throttles += other.throttles;
        for (sum, more) in self.reasons.iter_mut().zip(other.reasons) {
            *sum += more;
        }
    }

    /// One call, and why it was cold if it was.
    pub fn call(is_cold: bool, why: Option<ColdReason>) -> Self {
        let mut hour = Self { calls: 1, cold: u64::from(is_cold), ..Self::default() };
        if let Some(at) = why.and_then(|why| ColdReason::ALL.iter().position(|known| *known == why)) {
            hour.reasons[at] = 1;
        }
        hour
    }

    /// Whether so many calls were cold that somebody should look into it.
    pub fn is_often_cold(&self) -> bool {
        self.calls >= COLD_CALLS_MIN && self.cold_share() > COLD_SHARE_WARNED
    }

    /// How often each reason was one, the most frequent first.
    pub fn cold_reasons(&self) -> Vec<(ColdReason, u64)> {
        let mut found: Vec<_> =
            ColdReason::ALL.into_iter().zip(self.reasons).filter(|(_, n)| *n > 0).collect();
        found.sort_by_key(|(_, count)| std::cmp::Reverse(*count));
        found
    }

    /// The part of the calls that waited for a start.
    pub fn cold_share(&self) -> f64 {
        if self.calls == 0 { 0.0 } else { self.cold as f64 / self.calls as f64 }
    }
}

/// Slots in use only, the oldest first: most functions are called now and then.
#[derive(Debug, Default)]
pub struct Hour {
    slots: std::collections::VecDeque<(u64, LastHour)>,
}

impl Hour {
    pub fn add(&mut self, what: LastHour, now: Timestamp) {
        let slot = now.as_millis() / SLOT_MS;
        match self.slots.back_mut() {
            // A clock that was set back counts into the newest slot.
            Some((last, sum)) if *last >= slot => sum.add(what),
            _ => self.slots.push_back((slot, what)),
        }
        while self.slots.front().is_some_and(|(first, _)| first + SLOTS <= slot) {
            self.slots.pop_front();
        }
    }

    pub fn sum(&self, now: Timestamp) -> LastHour {
        let slot = now.as_millis() / SLOT_MS;
        let mut sum = LastHour::default();
        for (_, part) in self.slots.iter().filter(|(at, _)| at + SLOTS > slot) {
            sum.add(*part);
        }
        sum
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_older_than_an_hour_does_not_count() {
        let at = |minutes: u64| Timestamp::from_millis(1_000_000 * SLOT_MS + minutes * SLOT_MS);
        let mut hour = Hour::default();
        hour.add(LastHour { calls: 3, cold: 1, ..LastHour::default() }, at(0));
        hour.add(LastHour { calls: 1, throttles: 2, ..LastHour::default() }, at(30));
        assert_eq!(hour.sum(at(59)), LastHour { calls: 4, cold: 1, throttles: 2, ..LastHour::default() });
        assert_eq!(hour.sum(at(60)), LastHour { calls: 1, throttles: 2, ..LastHour::default() });
        assert_eq!(hour.sum(at(90)), LastHour::default());
        assert!(LastHour::default().cold_share().abs() < f64::EPSILON);
    }
    #[test]
    fn a_few_calls_are_no_warning_and_a_share_over_a_twentieth_is() {
        let hour = |calls, cold| LastHour { calls, cold, ..LastHour::default() };
        for (calls, cold, warned) in
            [(0, 0, false), (3, 3, false), (19, 5, false), (20, 1, false), (20, 2, true), (1_000, 51, true)]
        {
            assert_eq!(hour(calls, cold).is_often_cold(), warned, "{cold} of {calls}");
        }
    }

    #[test]
    fn the_most_frequent_reason_comes_first() {
        let mut hour = LastHour::default();
        for (is_cold, why) in [
            (true, Some(ColdReason::First)),
            (true, Some(ColdReason::Burst)),
            (true, Some(ColdReason::Burst)),
            (false, None),
        ] {
            hour.add(LastHour::call(is_cold, why));
        }
        assert_eq!((hour.calls, hour.cold), (4, 3));
        assert_eq!(hour.cold_reasons(), [(ColdReason::Burst, 2), (ColdReason::First, 1)]);
    }
}
