//! Collects events until a batch of them is due. Pure: time is an argument.
//!
//! It holds at most twice what a batch may: what comes on top, because its subscriber doesn't take it, is dropped and
//! counted.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use bytes::Bytes;

use super::subscription::Buffering;

#[derive(Debug)]
pub struct Batcher {
    settings: Buffering,
    events: VecDeque<(Instant, Bytes)>,
    bytes: usize,
    dropped: Dropped,
    /// All that is held is wanted out.
    hurry: bool,
}

/// What had to be left out.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Dropped {
    pub records: u64,
    pub bytes: u64,
}

impl Batcher {
    pub fn new(settings: Buffering) -> Self {
        Self { settings, events: VecDeque::new(), bytes: 0, dropped: Dropped::default(), hurry: false }
    }

    pub fn push(&mut self, event: Bytes, now: Instant) {
        let fits = self.events.len() < self.settings.max_items * 2
            && self.bytes + event.len() <= self.settings.max_bytes * 2;
        if fits {
            self.bytes += event.len();
            self.events.push_back((now, event));
        } else {
            self.drop_batch(1, event.len());
        }
    }

    /// Counts what a subscriber did not take.
    pub fn drop_batch(&mut self, records: usize, bytes: usize) {
        self.dropped.records += records as u64;
        self.dropped.bytes += bytes as u64;
    }

    pub fn take_dropped(&mut self) -> Option<Dropped> {
        (self.dropped.records > 0).then(|| std::mem::take(&mut self.dropped))
    }

    pub fn is_empty(&self) -> bool {
        self.events.is_empty()
    }

    /// What is held is due now, however little it is.
    pub fn hurry(&mut self) {
        self.hurry = !self.events.is_empty();
    }

    /// How long until a batch is due; `None` while nothing is held.
    pub fn due_in(&self, now: Instant) -> Option<Duration> {
        let (oldest, _) = self.events.front()?;
        let full = self.events.len() >= self.settings.max_items || self.bytes >= self.settings.max_bytes;
        if full || self.hurry {
            return Some(Duration::ZERO);
        }
        Some((*oldest + self.settings.timeout).saturating_duration_since(now))
    }

    /// The next batch: as many events as one may hold, at least one.
    pub fn take(&mut self) -> Vec<Bytes> {
        let mut batch = Vec::new();
        let mut bytes = 0;
        while let Some((_, event)) = self.events.front() {
            let over = bytes + event.len() > self.settings.max_bytes;
            if batch.len() >= self.settings.max_items || over && !batch.is_empty() {
                break;
            }
            bytes += event.len();
            let event = self.events.pop_front().map(|(_, event)| event);
            batch.extend(event);
        }
        self.bytes -= bytes;
        if self.events.is_empty() {
            self.hurry = false;
        }
        batch
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SETTINGS: Buffering =
        Buffering { max_items: 3, max_bytes: 10, timeout: Duration::from_millis(100) };

    fn event(text: &str) -> Bytes {
        Bytes::copy_from_slice(text.as_bytes())
    }

    #[test]
    fn a_batch_is_due_by_time_number_or_size() {
        let now = Instant::now();
        let mut batcher = Batcher::new(SETTINGS);
        assert_eq!(batcher.due_in(now), None);
        batcher.push(event("a"), now);
        assert_eq!(batcher.due_in(now), Some(SETTINGS.timeout));
        assert_eq!(batcher.due_in(now + SETTINGS.timeout), Some(Duration::ZERO));
        batcher.push(event("b"), now + Duration::from_millis(50));
        assert_eq!(batcher.due_in(now), Some(SETTINGS.timeout), "the oldest counts");
        batcher.push(event("c"), now);
        assert_eq!(batcher.due_in(now), Some(Duration::ZERO));
        assert_eq!(batcher.take(), ["a", "b", "c"]);
        batcher.push(event("0123456789"), now);
        assert_eq!(batcher.due_in(now), Some(Duration::ZERO));
    }

    #[test]
    fn no_batch_is_larger_than_asked_for_but_by_its_only_event() {
        let now = Instant::now();
        let mut batcher = Batcher::new(SETTINGS);
        for text in ["12345", "1234", "12", "12345"] {
            batcher.push(event(text), now);
        }
        assert_eq!(batcher.take(), ["12345", "1234"]);
        assert_eq!(batcher.take(), ["12", "12345"]);
        batcher.push(event("more than 10 bytes"), now);
        assert_eq!(batcher.take(), ["more than 10 bytes"]);
        assert!(batcher.take().is_empty() && batcher.is_empty());
    }

    #[test]
    fn what_nobody_takes_is_dropped_and_counted() {
        let now = Instant::now();
        let mut batcher = Batcher::new(SETTINGS);
        for _ in 0..8 {
            batcher.push(event("x"), now);
        }
        assert_eq!(batcher.take_dropped(), Some(Dropped { records: 2, bytes: 2 }));
        assert_eq!(batcher.take_dropped(), None);
        batcher.take();
        batcher.push(event("y"), now);
        assert_eq!(batcher.take_dropped(), None);
    }

    #[test]
    fn in_a_hurry_everything_is_due() {
        let now = Instant::now();
        let mut batcher = Batcher::new(SETTINGS);
        batcher.hurry();
        batcher.push(event("a"), now);
        assert_eq!(batcher.due_in(now), Some(SETTINGS.timeout), "there was nothing to hurry with");
        batcher.hurry();
        assert_eq!(batcher.due_in(now), Some(Duration::ZERO));
        batcher.take();
        batcher.push(event("b"), now);
        assert_eq!(batcher.due_in(now), Some(SETTINGS.timeout));
    }
}
