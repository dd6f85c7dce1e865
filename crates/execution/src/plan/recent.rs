//! The greatest number of environments that were busy at one time lately. Pure.

use std::time::Duration;

use lambent_core::time::Timestamp;

/// The last two slots are remembered: half of this at the least, the whole at the most.
const REMEMBERED: Duration = Duration::from_secs(300);

#[derive(Debug, Clone, Copy, Default)]
pub struct Peak {
    slot: u64,
    this: u32,
    before: u32,
}

impl Peak {
    pub fn note(&mut self, count: u32, now: Timestamp) {
        self.turn(now);
        self.this = self.this.max(count);
    }

    pub fn of(mut self, now: Timestamp) -> u32 {
        self.turn(now);
        self.this.max(self.before)
    }

    fn turn(&mut self, now: Timestamp) {
        let slot = now.as_millis() / (REMEMBERED.as_millis() as u64 / 2);
        if slot == self.slot {
            return;
        }
        self.before = if slot == self.slot + 1 { self.this } else { 0 };
        self.this = 0;
        self.slot = slot;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_peak_is_remembered_for_minutes_and_then_forgotten() {
        let at = |secs: u64| Timestamp::from_millis(1_500_000_000 + secs * 1_000);
        let mut peak = Peak::default();
        assert_eq!(peak.of(at(0)), 0);
        peak.note(7, at(10));
        peak.note(3, at(20));
        assert_eq!(peak.of(at(20)), 7);
        assert_eq!(peak.of(at(160)), 7);
        assert_eq!(peak.of(at(301)), 0);
        peak.note(2, at(310));
        assert_eq!(peak.of(at(310)), 2);
        // A clock that was set back forgets: nothing is made ready too often because of it.
        assert_eq!(peak.of(at(0)), 0);
    }
}
