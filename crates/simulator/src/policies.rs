//! The policies that are compared.

use std::time::Duration;

use lambent_execution::plan::keep_alive::gaps::{BINS, Gaps, edge};
use lambent_execution::plan::keep_alive::rule::{Sample, Window};
use lambent_execution::plan::keep_alive::{Eviction, FALLBACK, Policy};

#[derive(Debug, Clone, Copy)]
pub struct Contender {
    pub name: &'static str,
    pub policy: Policy,
    pub eviction: Eviction,
}

/// What others are compared with.
pub const FIXED: Contender =
    Contender { name: "fixed 10 min", policy: Policy::Fixed(FALLBACK), eviction: Eviction::LongestIdle };

/// What a node does.
pub const ADAPTIVE: Contender =
    Contender { name: "adaptive", policy: Policy::ADAPTIVE, eviction: Eviction::LeastWorth };

/// The floor: each environment ends with its call.
pub const NOTHING: Contender = Contender {
    name: "nothing kept",
    policy: Policy::Fixed(Duration::ZERO),
    eviction: Eviction::LongestIdle,
};

pub const ALL: [Contender; 5] = [
    NOTHING,
    FIXED,
    Contender { name: "fixed 10 min, GD", eviction: Eviction::LeastWorth, ..FIXED },
    Contender { name: "hybrid histogram", policy: Policy::Learned(hybrid), ..FIXED },
    ADAPTIVE,
];

/// ATC'20's parameters: the head and the tail of the histogram, the margin to both, the longest gap, the coefficient of
/// variation of the counts below which they say nothing, and what is done then.
const HEAD: f64 = 0.05;
const TAIL: f64 = 0.99;
const MARGIN: f64 = 0.10;
const RANGE_SECS: f64 = 4.0 * 3_600.0;
const VARIATION_MIN: f64 = 2.0;
const STANDARD: Window = Window { ahead: None, keep: Duration::from_secs(4 * 3_600) };

/// The published rule, but for the ARIMA forecast of gaps beyond four hours, for which it has its standard time; on
/// our bins, the first of which ends where its own does: it tells nothing apart below a minute.
pub fn hybrid(sample: &Sample<'_>) -> Option<Window> {
    let minutes = by_minute(sample.gaps);
    let inside: f64 = minutes.iter().sum();
    let all = sample.gaps.counted();
    if all < 2.0 {
        return Some(STANDARD);
    }
    let mean = inside / minutes.len() as f64;
    let variance = minutes.iter().map(|n| (n - mean).powi(2)).sum::<f64>() / minutes.len() as f64;
    if inside < all / 2.0 || mean == 0.0 || variance.sqrt() / mean < VARIATION_MIN {
        return Some(STANDARD);
    }
    let reach = |share: f64| {
        let mut sum = 0.0;
        minutes.iter().position(|n| {
            sum += n;
            sum >= share * inside
        })
    };
    // The head is rounded down to its minute, the tail up.
    let head = reach(HEAD).unwrap_or(0) as f64 * 60.0 * (1.0 - MARGIN);
    let tail = (reach(TAIL).unwrap_or(minutes.len() - 1) + 1) as f64 * 60.0 * (1.0 + MARGIN);
    let ahead = (head >= 60.0).then(|| Duration::from_secs_f64(head));
    Some(Window { ahead, keep: Duration::from_secs_f64(tail) })
}

/// Bins of a minute over four hours.
fn by_minute(gaps: &Gaps) -> Vec<f64> {
    let mut minutes = vec![0.0; (RANGE_SECS / 60.0) as usize];
    for bin in 0..BINS {
        let (begin, end) = (edge(bin) / 60.0, edge(bin + 1) / 60.0);
        let middle = ((begin + end) / 2.0) as usize;
        if let Some(minute) = minutes.get_mut(middle) {
            *minute += gaps.in_bin(bin);
        }
    }
    minutes
}
