//! How many batches of a mapping may be under way at one time.
//!
//! Source: *Scaling behavior for Amazon SQS event source mappings* in the developer guide. A standard queue is read
//! with five at first; while messages wait, 300 more come every minute, up to 1,250. A FIFO queue's own groups
//! say how many can be under way. `MaximumConcurrency` is the most there may be. Provisioned pollers are ten each,
//! and 1,000 more come every minute.

use std::time::Duration;

use lambent_core::time::Timestamp;
use lambent_store::functions::{MappingRecord, PollersRecord};

use super::{POLLERS_MIN, POLLERS_MINIMUM_MAX};

const START: u32 = 5;
const PER_MINUTE: u32 = 300;
pub const MOST: u32 = 1_250;
/// Of each provisioned poller.
const BATCHES_A_POLLER: u32 = 10;
const PER_MINUTE_PROVISIONED: u32 = 1_000;

/// The least and the most provisioned pollers, with the reference's defaults.
pub fn pollers(record: PollersRecord) -> (u32, u32) {
    let least = record.minimum.unwrap_or(POLLERS_MIN);
    (least, record.maximum.unwrap_or(POLLERS_MINIMUM_MAX.max(least)))
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Bounds {
    least: u32,
    most: u32,
    per_minute: u32,
}

impl Bounds {
    fn of(record: &MappingRecord, is_fifo: bool) -> Self {
        if let Some(provisioned) = record.provisioned {
            let (least, most) = pollers(provisioned);
            return Self {
                least: least * BATCHES_A_POLLER,
                most: most * BATCHES_A_POLLER,
                per_minute: PER_MINUTE_PROVISIONED,
            };
        }
        let most = record.maximum_concurrency.unwrap_or(MOST);
        let least = if is_fifo { most } else { START.min(most) };
        Self { least, most, per_minute: PER_MINUTE }
    }
}

/// How many batches may be under way now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Scale {
    bounds: Bounds,
    now: u32,
    /// Since when messages wait for want of pollers, or since when none do; what was counted for it is taken off.
    waiting_since: Option<Timestamp>,
    idle_since: Option<Timestamp>,
}

impl Scale {
    pub fn new(record: &MappingRecord, is_fifo: bool) -> Self {
        let bounds = Bounds::of(record, is_fifo);
        Self { bounds, now: bounds.least, waiting_since: None, idle_since: None }
    }

    /// For a mapping that was changed: it goes on from where it is.
    pub fn set(&mut self, record: &MappingRecord, is_fifo: bool) {
        let bounds = Bounds::of(record, is_fifo);
        if bounds != self.bounds {
            self.bounds = bounds;
            self.now = self.now.clamp(bounds.least, bounds.most);
        }
    }

    pub fn now(&self) -> u32 {
        self.now
    }

    /// All that may be are under way, and messages wait. Answers when there will be one more, if ever.
    pub fn is_short(&mut self, now: Timestamp) -> Option<Timestamp> {
        self.idle_since = None;
        let since = *self.waiting_since.get_or_insert(now);
        let more = self.earned(since, now);
        self.now = self.now.saturating_add(more).min(self.bounds.most);
        let since = since.plus(self.time_of(more));
        self.waiting_since = Some(since);
        (self.now < self.bounds.most).then(|| since.plus(self.time_of(1)))
    }

    /// Fewer than may be are under way, or no message waits: it gets less as it got more.
    pub fn is_ample(&mut self, now: Timestamp) {
        self.waiting_since = None;
        let since = *self.idle_since.get_or_insert(now);
        let fewer = self.earned(since, now);
        self.now = self.now.saturating_sub(fewer).max(self.bounds.least.min(self.now));
        self.idle_since = Some(since.plus(self.time_of(fewer)));
    }

    /// A batch could not be run for want of capacity, while so many ran: there is no room for more.
    pub fn found_no_room(&mut self, running: u32, now: Timestamp) {
        self.now = running.clamp(1, self.now.max(1));
        self.waiting_since = Some(now);
        self.idle_since = None;
    }

    fn earned(&self, since: Timestamp, now: Timestamp) -> u32 {
        let earned = now.since(since).as_millis() * u128::from(self.bounds.per_minute) / 60_000;
        u32::try_from(earned).unwrap_or(u32::MAX)
    }

    /// In whole milliseconds, rounded up, so that what is due then has been earned then.
    fn time_of(&self, count: u32) -> Duration {
        Duration::from_millis((u64::from(count) * 60_000).div_ceil(u64::from(self.bounds.per_minute)))
    }
}
