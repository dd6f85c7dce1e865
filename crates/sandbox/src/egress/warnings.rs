//! One warning of a kind a minute, with the count of those kept back.

use std::time::Instant;

use super::WARNING_INTERVAL;

#[derive(Default)]
pub(super) struct Warnings {
    said_at: Option<Instant>,
    kept_back_count: u64,
}

impl Warnings {
    /// Whether to speak now; holds the number of events since the last time, this one included.
    pub(super) fn raise(&mut self, now: Instant) -> Option<u64> {
        self.kept_back_count += 1;
        let due = self.said_at.is_none_or(|at| now.saturating_duration_since(at) >= WARNING_INTERVAL);
        due.then(|| {
            self.said_at = Some(now);
            std::mem::take(&mut self.kept_back_count)
        })
    }
}
