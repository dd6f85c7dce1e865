//! How long it took until a call came again: a histogram of gaps with bins that widen with the gap. Pure.
//!
//! The published policy has bins of one minute over four hours. Here a start costs milliseconds, so that seconds
//! matter at the short end, and days can be told apart at the long end, in a fraction of the memory.

use std::sync::LazyLock;
use std::time::Duration;

/// Bins for each doubling of the gap: each is 9 % wider than the one before.
const BINS_PER_OCTAVE: usize = 8;

/// The first bin holds all below a second, the last ends behind 26 hours, so that what happens daily is in range.
pub const BINS: usize = 17 * BINS_PER_OCTAVE;

/// Ours: when so many are counted, all counts are halved: what is new outweighs what is old. Gaps that are rare and long
/// are what decides, and there must be room for them.
const COUNTED_MAX: u32 = 2_048;

/// What one gap counts, so that it is forgotten by and by, not at the first halving.
const UNIT: u16 = 16;
const _: () = assert!(COUNTED_MAX * UNIT as u32 <= u16::MAX as u32);

/// Where bins begin, in seconds; one more than there are bins, for the end of the last.
static EDGES: LazyLock<[f64; BINS + 1]> = LazyLock::new(|| {
    std::array::from_fn(|i| match i {
        0 => 0.0,
        _ => 2f64.powf((i - 1) as f64 / BINS_PER_OCTAVE as f64),
    })
});

#[derive(Debug, Clone)]
pub struct Gaps {
    /// In sixteenths, see [`UNIT`].
    units: [u16; BINS],
    /// Longer than the last bin.
    beyond: u16,
    /// The sum of all.
    sum: u32,
}

impl Default for Gaps {
    fn default() -> Self {
        Self { units: [0; BINS], beyond: 0, sum: 0 }
    }
}

impl Gaps {
    pub fn note(&mut self, gap: Duration) {
        if self.sum >= COUNTED_MAX * u32::from(UNIT) {
            self.halve();
        }
        *self.units.get_mut(bin_of(gap)).unwrap_or(&mut self.beyond) += UNIT;
        self.sum += u32::from(UNIT);
    }

    /// How many there are, without those that are forgotten.
    pub fn counted(&self) -> f64 {
        f64::from(self.sum) / f64::from(UNIT)
    }

    pub fn in_bin(&self, bin: usize) -> f64 {
        f64::from(self.units[bin]) / f64::from(UNIT)
    }

    /// Gaps longer than the last bin.
    pub fn beyond(&self) -> f64 {
        f64::from(self.beyond) / f64::from(UNIT)
    }

    fn halve(&mut self) {
        self.sum = 0;
        for units in self.units.iter_mut().chain([&mut self.beyond]) {
            *units /= 2;
            self.sum += u32::from(*units);
        }
    }
}

/// Where the bin begins, in seconds; that of [`BINS`] is where the last one ends.
pub fn edge(bin: usize) -> f64 {
    EDGES[bin.min(BINS)]
}

/// [`BINS`] and more for what is longer than all of them.
fn bin_of(gap: Duration) -> usize {
    let secs = gap.as_secs_f64();
    if secs < 1.0 { 0 } else { (secs.log2() * BINS_PER_OCTAVE as f64) as usize + 1 }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_gap_lies_in_its_bin() {
        for secs in [0.0, 0.4, 1.0, 1.5, 60.0, 599.0, 3_600.0, 14_400.0, 86_400.0] {
            let bin = bin_of(Duration::from_secs_f64(secs));
            assert!(edge(bin) <= secs + 1e-9 && secs < edge(bin + 1), "{secs} in {bin}");
        }
        assert!(bin_of(Duration::from_secs(4 * 86_400)) >= BINS);
        assert!(edge(BINS) > 86_400.0 * 0.75, "what happens daily is in range");
    }

    #[test]
    fn what_is_new_outweighs_what_is_old_and_the_sum_is_right() {
        let mut gaps = Gaps::default();
        let mut note =
            |secs: u64, times: usize| (0..times).for_each(|_| gaps.note(Duration::from_secs(secs)));
        note(60, 10_000);
        note(600, 20_000);
        note(1_000_000, 3);
        let sum: f64 = (0..BINS).map(|bin| gaps.in_bin(bin)).sum();
        assert_eq!(gaps.counted(), sum + gaps.beyond());
        assert!(gaps.counted() <= f64::from(COUNTED_MAX));
        assert!(gaps.in_bin(bin_of(Duration::from_secs(60))) < 1.0);
        assert_eq!(gaps.beyond(), 3.0);
    }

    #[test]
    fn what_is_rare_is_remembered_beside_what_is_frequent() {
        let mut gaps = Gaps::default();
        gaps.note(Duration::from_secs(3_000));
        (0..3_000).for_each(|_| gaps.note(Duration::from_secs(1)));
        assert!(gaps.in_bin(bin_of(Duration::from_secs(3_000))) > 0.0);
    }
}
