//! Rates: so many in so long, continuously refilled. Pure.

use std::time::Duration;

use lambent_core::time::Timestamp;

/// So many within the period, and at most so many at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rate {
    pub count: u32,
    pub period: Duration,
}

/// What is left of a rate. Counts in thousandths, so that a millisecond refills whole numbers.
#[derive(Debug, Clone, Copy)]
pub struct Bucket {
    left_milli: u64,
    at: Timestamp,
}

impl Bucket {
    pub fn full(rate: Rate, now: Timestamp) -> Self {
        Self { left_milli: u64::from(rate.count) * 1_000, at: now }
    }

    /// Takes one, if there is one. The rate may be another each time: what is left is cut to it.
    pub fn take(&mut self, rate: Rate, now: Timestamp) -> bool {
        self.refill(rate, now);
        if self.left_milli < 1_000 {
            return false;
        }
        self.left_milli -= 1_000;
        true
    }

    fn refill(&mut self, rate: Rate, now: Timestamp) {
        let full = u64::from(rate.count) * 1_000;
        let period_ms = u64::try_from(rate.period.as_millis()).unwrap_or(u64::MAX).max(1);
        // A clock that was set back refills nothing for that once, and goes on from its new time.
        let passed_ms = u64::try_from(now.since(self.at).as_millis()).unwrap_or(u64::MAX);
        let more = full.saturating_mul(passed_ms) / period_ms;
        self.left_milli = self.left_milli.saturating_add(more).min(full);
        self.at = now;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const RATE: Rate = Rate { count: 10, period: Duration::from_secs(1) };

    fn at(ms: u64) -> Timestamp {
        Timestamp::from_millis(1_000_000 + ms)
    }

    fn taken(bucket: &mut Bucket, tries: u32, now: Timestamp) -> u32 {
        (0..tries).filter(|_| bucket.take(RATE, now)).count() as u32
    }

    #[test]
    fn what_was_taken_comes_back_continuously_and_never_beyond_the_whole() {
        let mut bucket = Bucket::full(RATE, at(0));
        assert_eq!(taken(&mut bucket, 20, at(0)), 10);
        assert_eq!(taken(&mut bucket, 20, at(99)), 0);
        assert_eq!(taken(&mut bucket, 20, at(100)), 1);
        assert_eq!(taken(&mut bucket, 20, at(600)), 5);
        assert_eq!(taken(&mut bucket, 20, at(60_000)), 10);
    }

    #[test]
    fn many_small_steps_refill_as_one_large_step_does() {
        let mut bucket = Bucket::full(RATE, at(0));
        let mut sum = taken(&mut bucket, 20, at(0));
        for ms in 1..=2_000 {
            sum += taken(&mut bucket, 20, at(ms));
        }
        assert_eq!(sum, 30);
    }

    #[test]
    fn a_clock_that_steps_neither_locks_nor_floods() {
        let mut bucket = Bucket::full(RATE, at(3_600_000));
        assert_eq!(taken(&mut bucket, 20, at(3_600_000)), 10);
        assert_eq!(taken(&mut bucket, 20, at(0)), 0);
        assert_eq!(taken(&mut bucket, 20, at(1_000)), 10);
        assert_eq!(taken(&mut bucket, 20, at(900_000_000)), 10);
    }

    #[test]
    fn a_lower_rate_holds_from_its_next_moment() {
        let mut bucket = Bucket::full(RATE, at(0));
        let lower = Rate { count: 2, ..RATE };
        assert_eq!((0..5).filter(|_| bucket.take(lower, at(0))).count(), 2);
        let none = Rate { count: 0, ..RATE };
        assert!(!bucket.take(none, at(10_000)));
    }
}
