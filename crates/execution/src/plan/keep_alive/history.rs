//! What is known of one version of a function: its gaps, what it costs, how often it is called. Pure.

use std::time::Duration;

use lambent_core::time::Timestamp;

use super::gaps::Gaps;
use super::rule::{Sample, Window};
use super::{Measured, Rule};

/// Levels of concurrency that are told apart: 1, 2 and 3, 4 to 7, and so on; the last holds all above.
const GROUPS: usize = 6;

/// Levels whose last moment is remembered.
const LEVELS_MAX: usize = 1 << GROUPS;

/// No history takes more.
pub const BYTES_MAX: usize =
    size_of::<History>() + GROUPS * size_of::<Group>() + LEVELS_MAX * size_of::<Timestamp>();
const _: () = assert!(BYTES_MAX < 4 << 10);

/// Taken for what an environment needs before one was measured.
pub const BYTES_UNKNOWN: u64 = 64 << 20;
const START_UNKNOWN: Duration = Duration::from_millis(100);

/// How fast the number of calls is forgotten that an environment's worth follows.
const HALF_LIFE: Duration = Duration::from_secs(3_600);

#[derive(Debug)]
pub struct History {
    in_flight: u32,
    /// When the version last had so many calls in flight, the first place for one.
    left: Vec<Timestamp>,
    groups: [Option<Box<Group>>; GROUPS],
    start: Option<Duration>,
    memory_bytes: Option<u64>,
    /// Calls, those of [`HALF_LIFE`] ago half, as of `last`.
    calls: f32,
    last: Timestamp,
}

/// What is known of some levels.
#[derive(Debug, Default)]
struct Group {
    gaps: Gaps,
    window: Option<Window>,
    /// How many more gaps are to be seen before it is decided again.
    fresh_for: u32,
}

/// In which group a level is; the first level is 1.
fn group_of(level: u32) -> usize {
    (level.max(1).ilog2() as usize).min(GROUPS - 1)
}

impl History {
    pub fn new(now: Timestamp) -> Self {
        Self {
            in_flight: 0,
            left: Vec::new(),
            groups: Default::default(),
            start: None,
            memory_bytes: None,
            calls: 0.0,
            last: now,
        }
    }

    pub fn in_flight(&self) -> u32 {
        self.in_flight
    }

    pub fn last(&self) -> Timestamp {
        self.last
    }

    /// One more call in flight. The level that it makes, and how long ago that was left; `None` for the first time.
    pub fn rose(&mut self, now: Timestamp) -> Option<(u32, Duration)> {
        self.calls = self.calls_at(now) + 1.0;
        self.last = now;
        self.in_flight = self.in_flight.saturating_add(1);
        let left = self.left.get(place_of(self.in_flight))?;
        Some((self.in_flight, now.since(*left)))
    }

    /// One call less. The level that it leaves.
    pub fn fell(&mut self, now: Timestamp) -> u32 {
        let level = self.in_flight.max(1);
        let place = place_of(level);
        if self.left.len() <= place {
            self.left.resize(place + 1, now);
        }
        self.left[place] = now;
        self.in_flight = self.in_flight.saturating_sub(1);
        level
    }

    /// A gap was seen.
    pub fn learn(&mut self, level: u32, gap: Duration, rule: Rule) {
        let (start_secs, memory_bytes) = (self.start_time().as_secs_f64(), self.memory_bytes());
        let group = self.groups[group_of(level)].get_or_insert_default();
        group.gaps.note(gap);
        if group.fresh_for > 0 {
            group.fresh_for -= 1;
            return;
        }
        // One gap among many changes little.
        group.fresh_for = (group.gaps.counted() / 8.0) as u32;
        group.window = rule(&Sample { gaps: &group.gaps, start_secs, memory_bytes });
    }

    pub fn window(&self, level: u32) -> Option<Window> {
        self.groups[group_of(level)].as_ref()?.window
    }

    pub fn measured(&mut self, measured: Measured) {
        // Each later one counts a quarter: a start that had to share its CPU says little of the next.
        if let Some(start) = measured.start {
            self.start = Some(self.start.map_or(start, |known| (known * 3 + start) / 4));
        }
        if let Some(bytes) = measured.memory_bytes.filter(|bytes| *bytes > 0) {
            self.memory_bytes =
                Some(self.memory_bytes.map_or(bytes, |known| known - known / 4 + bytes / 4).max(1));
        }
    }

    pub fn memory_bytes(&self) -> u64 {
        self.memory_bytes.unwrap_or(BYTES_UNKNOWN)
    }

    /// Greedy-dual's: calls times cost by size. One of many that idle is worth its share of the calls.
    pub fn worth(&self, level: u32) -> u64 {
        let micros = self.start_time().as_micros() as f64;
        let calls = f64::from(self.calls) / f64::from(level.max(1));
        let mib = self.memory_bytes() as f64 / (1u64 << 20) as f64;
        // What is too great for an integer becomes the greatest.
        (calls * micros / mib) as u64
    }

    fn start_time(&self) -> Duration {
        self.start.unwrap_or(START_UNKNOWN)
    }

    fn calls_at(&self, now: Timestamp) -> f32 {
        let passed = now.since(self.last).as_secs_f32() / HALF_LIFE.as_secs_f32();
        self.calls * (-passed).exp2()
    }
}

fn place_of(level: u32) -> usize {
    (level.max(1) as usize).min(LEVELS_MAX) - 1
}
