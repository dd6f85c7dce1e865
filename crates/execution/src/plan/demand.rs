//! How many parked cells of one kind are worth keeping. Pure.
//!
//! The stock follows the greatest burst of the last minutes: cold starts come together (a deployment, a burst, the
//! first request of the morning), and a cell that is taken is replaced in tens of milliseconds.

use std::collections::VecDeque;
use std::time::Duration;

use lambent_core::time::Timestamp;

/// A burst is what was taken within this time: about what it takes to replace a few cells.
const BURST_MS: u64 = 250;

/// How long a burst is remembered.
const REMEMBERED: Duration = Duration::from_secs(300);

/// How long a kind that nobody asks for keeps its one cell.
const KEPT: Duration = Duration::from_secs(3_600);

/// Slots of [`BURST_MS`] that are remembered; older ones go first.
const SLOTS_MAX: usize = 64;

/// What was asked for of one kind of cell.
#[derive(Debug)]
pub struct Demand {
    last: Timestamp,
    /// Slot number, and how many cells were asked for in it.
    slots: VecDeque<(u64, usize)>,
}

impl Demand {
    pub fn new(now: Timestamp) -> Self {
        Self { last: now, slots: VecDeque::new() }
    }

    /// Somebody wants a cell.
    pub fn asked(&mut self, now: Timestamp) {
        self.expected(now);
        let slot = now.as_millis() / BURST_MS;
        match self.slots.back_mut() {
            Some((last, count)) if *last == slot => *count += 1,
            _ => self.slots.push_back((slot, 1)),
        }
        if self.slots.len() > SLOTS_MAX {
            self.slots.pop_front();
        }
    }

    /// Somebody may soon want one.
    pub fn expected(&mut self, now: Timestamp) {
        self.last = self.last.max(now);
    }

    /// How many cells are to wait, at most `max`.
    pub fn target(&self, now: Timestamp, max: usize) -> usize {
        if now.since(self.last) >= KEPT {
            return 0;
        }
        let oldest = now.as_millis().saturating_sub(REMEMBERED.as_millis() as u64) / BURST_MS;
        let burst = self.slots.iter().filter(|(slot, _)| *slot >= oldest).map(|(_, n)| *n).max().unwrap_or(0);
        // One more than the burst, so that the call behind it does not find the stock empty.
        (burst + 1).min(max)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(ms: u64) -> Timestamp {
        Timestamp::from_millis(1_000_000_000 + ms)
    }

    #[test]
    fn the_stock_follows_the_greatest_burst_and_forgets_it() {
        let mut demand = Demand::new(at(0));
        assert_eq!(demand.target(at(0), 8), 1);
        for _ in 0..3 {
            demand.asked(at(10_000));
        }
        assert_eq!(demand.target(at(10_000), 8), 4);
        assert_eq!(demand.target(at(10_000), 2), 2);
        demand.asked(at(200_000));
        assert_eq!(demand.target(at(200_000), 8), 4);
        assert_eq!(demand.target(at(320_000), 8), 2);
    }

    #[test]
    fn a_kind_that_nobody_wants_is_given_up() {
        let mut demand = Demand::new(at(0));
        assert_eq!(demand.target(at(3_599_999), 8), 1);
        assert_eq!(demand.target(at(3_600_000), 8), 0);
        demand.expected(at(3_700_000));
        assert_eq!(demand.target(at(3_700_000), 8), 1);
    }
}
