//! The nouns.

use std::collections::BTreeMap;
use std::sync::Arc;

use lambent_core::ids::{AccountId, Region};
use lambent_core::time::Timestamp;

/// CloudWatch Logs API, PutLogEvents: each event counts 26 bytes beside its UTF-8 text.
pub const EVENT_OVERHEAD_BYTES: usize = 26;

#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct GroupKey {
    pub account: AccountId,
    pub region: Region,
    pub name: Arc<str>,
}

#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct StreamKey {
    pub group: GroupKey,
    pub name: Arc<str>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GroupRecord {
    pub key: GroupKey,
    pub created: Timestamp,
    pub retention_days: Option<u32>,
    pub tags: BTreeMap<String, String>,
    /// In [`LogEvent::counted_bytes`].
    pub stored_bytes: u64,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StreamRecord {
    pub name: Arc<str>,
    pub created: Timestamp,
    /// The earliest time of an event that is still there.
    pub first_event: Option<Timestamp>,
    /// The latest time of an event that was ever appended.
    pub last_event: Option<Timestamp>,
    pub last_ingestion: Option<Timestamp>,
    /// In [`LogEvent::counted_bytes`].
    pub stored_bytes: u64,
}

/// An event as it is appended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogEvent {
    pub time: Timestamp,
    pub text: String,
}

impl LogEvent {
    /// What the event weighs against every limit of the reference.
    pub fn counted_bytes(&self) -> usize {
        self.text.len() + EVENT_OVERHEAD_BYTES
    }
}

/// Events of one stream that came together.
#[derive(Debug, Clone)]
pub struct Run {
    pub stream: StreamKey,
    pub ingested: Timestamp,
    /// Created when it is missing, with its group; else a missing one refuses the run.
    pub create: bool,
    /// Shared, so that a caller can hold on to them until they are stored.
    pub events: Arc<Vec<LogEvent>>,
}

/// An event's place among all events of its group: by time, then by arrival.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Position {
    pub time: Timestamp,
    /// Rises with arrival among events of one time; says nothing among events of different times.
    pub seq: u64,
}

impl Position {
    pub const FIRST: Self = Self { time: Timestamp::from_millis(0), seq: 0 };
    pub const LAST: Self = Self { time: Timestamp::from_millis(u64::MAX), seq: u64::MAX };

    /// The place before every event of this time.
    pub const fn at(time: Timestamp) -> Self {
        Self { time, seq: 0 }
    }

    /// The place right behind this one.
    pub fn next(self) -> Self {
        match self.seq.checked_add(1) {
            Some(seq) => Self { seq, ..self },
            None => Self::at(Timestamp::from_millis(self.time.as_millis().saturating_add(1))),
        }
    }
}

/// An event as it is read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredEvent {
    pub position: Position,
    pub stream: Arc<str>,
    pub ingested: Timestamp,
    pub text: String,
}

impl StoredEvent {
    pub fn time(&self) -> Timestamp {
        self.position.time
    }

    pub fn counted_bytes(&self) -> usize {
        self.text.len() + EVENT_OVERHEAD_BYTES
    }
}

/// The moment before which a group's events have expired; the beginning of time without retention.
pub fn expiry(retention_days: Option<u32>, now: Timestamp) -> Timestamp {
    const DAY_MILLIS: u64 = 86_400_000;
    let kept = retention_days.map_or(u64::MAX, |days| u64::from(days) * DAY_MILLIS);
    Timestamp::from_millis(now.as_millis().saturating_sub(kept))
}
