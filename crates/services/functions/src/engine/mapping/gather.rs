//! Batches: messages gathered up to a number, a size and a time.
//!
//! Invariant: no batch is larger than a payload may be, unless a single message is.

use std::time::Duration;

use lambent_core::limits::SYNC_PAYLOAD_BYTES_MAX;
use lambent_core::time::Timestamp;

/// What stands around the records of an event, with room to spare: `{"Records":[]}`.
const FRAME_BYTES: usize = 64;

#[derive(Debug)]
pub struct Gather<T> {
    count_max: usize,
    window: Duration,
    open: Vec<T>,
    bytes: usize,
    /// When the first message of the open batch came.
    since: Option<Timestamp>,
}

impl<T> Gather<T> {
    pub fn new(count_max: usize, window: Duration) -> Self {
        Self { count_max: count_max.max(1), window, open: Vec::new(), bytes: FRAME_BYTES, since: None }
    }

    /// Other limits, for the open batch too.
    pub fn set(&mut self, count_max: usize, window: Duration) {
        (self.count_max, self.window) = (count_max.max(1), window);
    }

    pub fn len(&self) -> usize {
        self.open.len()
    }

    /// Takes a message whose record is so long. Answers with the batches that are full thereby, two at the most.
    pub fn add(&mut self, item: T, bytes: usize, now: Timestamp) -> Vec<Vec<T>> {
        let mut full = Vec::new();
        // A comma stands between two records.
        if !self.open.is_empty() && self.bytes + bytes + 1 > SYNC_PAYLOAD_BYTES_MAX {
            full.push(self.flush());
        }
        self.open.push(item);
        self.bytes += bytes + 1;
        self.since.get_or_insert(now);
        if self.open.len() >= self.count_max {
            full.push(self.flush());
        }
        full
    }

    /// When the open batch is to go, however few there are in it.
    pub fn due(&self) -> Option<Timestamp> {
        self.since.map(|since| since.plus(self.window))
    }

    /// The open batch, when its time is over or it has all it may have.
    pub fn take_due(&mut self, now: Timestamp) -> Option<Vec<T>> {
        let is_due = self.due().is_some_and(|due| due <= now) || self.open.len() >= self.count_max;
        is_due.then(|| self.flush())
    }

    /// All that was gathered.
    pub fn flush(&mut self) -> Vec<T> {
        (self.bytes, self.since) = (FRAME_BYTES, None);
        std::mem::take(&mut self.open)
    }
}
