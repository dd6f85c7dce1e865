//! How long to keep an environment that idles: as long as the memory costs less than the waits that it avoids. Pure.

use std::time::Duration;

use super::FALLBACK;
use super::gaps::{BINS, Gaps, edge};

/// What is known of a version, when it is decided how long its environments are kept.
#[derive(Debug, Clone, Copy)]
pub struct Sample<'a> {
    /// How long it took until it had so many calls in flight again.
    pub gaps: &'a Gaps,
    /// What a call waits for a start.
    pub start_secs: f64,
    /// What an environment takes while it idles.
    pub memory_bytes: u64,
}

/// How long an environment is kept behind its last call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Window {
    /// It goes at once, and another is made so long after the call.
    pub ahead: Option<Duration>,
    /// Until so long after the call, whichever of the two it is.
    pub keep: Duration,
}

impl Window {
    pub const FALLBACK: Self = Self { ahead: None, keep: FALLBACK };
}

/// Ours: gaps that must have been seen before they are believed.
const COUNTED_MIN: f64 = 2.0;

/// Ours: so many gaps are thought to have been seen besides, of any length that is told apart, each doubling as likely as
/// the next. It keeps what was called a few times in a second from being given up in the next one.
const UNSEEN: f64 = 1.0;

/// Ours: what a GiB of memory costs that is held for a second, in seconds of waiting. With it the policy holds less than
/// the fixed ten minutes do, on the simulator's traces, and has fewer cold starts.
const PRICE: f64 = 0.002;

/// Ours: a start is taken to cost its caller at least this, whatever was measured: it also costs CPU, and cold starts
/// are counted by their number too.
const START_SECS_MIN: f64 = 0.25;

/// Ours: what a start costs that nobody waits for, as a share of one that somebody does: its CPU.
const AHEAD_SHARE: f64 = 0.2;

/// Ours: gaps that must have been seen before one is made ahead.
const AHEAD_COUNTED_MIN: f64 = 4.0;

/// Ours: nothing is ended and made again within a shorter time.
const AHEAD_SECS_MIN: f64 = 60.0;

/// The window that costs least, over the gaps that were seen, of waits and memory together.
pub fn cheapest(sample: &Sample<'_>) -> Option<Window> {
    if sample.gaps.counted() < COUNTED_MIN {
        return None;
    }
    let miss = sample.start_secs.max(START_SECS_MIN);
    let price = PRICE * sample.memory_bytes as f64 / (1u64 << 30) as f64;
    let expected = Expected::of(sample.gaps);
    let all = expected.after(0);
    let mut best = (miss * all, Window { ahead: None, keep: Duration::ZERO });
    let begins = if sample.gaps.counted() < AHEAD_COUNTED_MIN { 1 } else { BINS };
    for first in 0..begins {
        let is_ahead = first > 0;
        // A bin in which no gap was seen is none to begin with.
        if is_ahead && (sample.gaps.in_bin(first) == 0.0 || edge(first) < AHEAD_SECS_MIN) {
            continue;
        }
        let for_ahead = if is_ahead { AHEAD_SHARE * miss * expected.after(first) } else { 0.0 };
        let missed_before = all - expected.after(first);
        for last in first..BINS {
            // What is made ahead is made for calls that were seen.
            if is_ahead && sample.gaps.in_bin(last) == 0.0 {
                continue;
            }
            let (begin, end) = (edge(first), edge(last + 1));
            let held = expected.secs(first, last) - begin * expected.count(first, last)
                + (end - begin) * expected.after(last + 1);
            let cost = miss * (missed_before + expected.after(last + 1)) + price * held + for_ahead;
            if cost < best.0 {
                let ahead = is_ahead.then(|| Duration::from_secs_f64(begin));
                best = (cost, Window { ahead, keep: Duration::from_secs_f64(end) });
            }
        }
    }
    Some(best.1)
}

/// Gaps that are to be expected: those that were seen, and [`UNSEEN`] ones.
struct Expected {
    /// Of all bins before this one: how many, and how long together.
    count_before: [f64; BINS + 1],
    secs_before: [f64; BINS + 1],
    all: f64,
}

impl Expected {
    fn of(gaps: &Gaps) -> Self {
        let (mut count_before, mut secs_before) = ([0.0; BINS + 1], [0.0; BINS + 1]);
        for bin in 0..BINS {
            let count = gaps.in_bin(bin) + UNSEEN / BINS as f64;
            count_before[bin + 1] = count_before[bin] + count;
            secs_before[bin + 1] = secs_before[bin] + count * (edge(bin) + edge(bin + 1)) / 2.0;
        }
        Self { count_before, secs_before, all: count_before[BINS] + gaps.beyond() }
    }

    /// Those in this bin and in later ones, and beyond.
    fn after(&self, bin: usize) -> f64 {
        self.all - self.count_before[bin]
    }

    fn count(&self, first: usize, last: usize) -> f64 {
        self.count_before[last + 1] - self.count_before[first]
    }

    fn secs(&self, first: usize, last: usize) -> f64 {
        self.secs_before[last + 1] - self.secs_before[first]
    }
}
