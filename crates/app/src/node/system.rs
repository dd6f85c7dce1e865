//! The real clock, the kernel's randomness, and how much memory the machine has and has left.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use lambent_core::ports::{Awake, Clock, Entropy, Host, HostMemory, Nap};
use lambent_core::time::Timestamp;
use tokio::time::Instant;

/// How soon a sleeper notices that the clock was set forward.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// Ours: how far the machine's clock is set back before it is worth a word.
const TOLD_FROM: Duration = Duration::from_secs(1);

/// The machine's time. It never goes back: a queue's messages would be out of sight, and retries off, for as long as
/// the clock was set back. See [`Steady`].
pub struct SystemClock;

/// Of the process, as its machine's clock is.
static STEADY: Mutex<Steady> = Mutex::new(Steady { shown: Duration::ZERO, at: None, is_behind: false });

impl Clock for SystemClock {
    fn now(&self) -> Timestamp {
        let shown = {
            // Nothing under this lock panics.
            let mut steady = STEADY.lock().unwrap_or_else(PoisonError::into_inner);
            steady.show(since_epoch(), Instant::now().into_std())
        };
        to_timestamp(shown)
    }

    fn wall(&self) -> Timestamp {
        to_timestamp(since_epoch())
    }

    fn sleep_until(&self, at: Timestamp) -> Nap {
        let end = Instant::now() + at.since(self.now());
        Box::pin(async move {
            loop {
                let left = end.saturating_duration_since(Instant::now());
                if left.is_zero() || Self.now() >= at {
                    return Awake::default();
                }
                tokio::time::sleep(left.min(LOOK_EVERY)).await;
            }
        })
    }
}

/// A clock before 1970 is a machine without a clock: its time is the epoch.
fn since_epoch() -> Duration {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default()
}

fn to_timestamp(since_epoch: Duration) -> Timestamp {
    Timestamp::from_millis(u64::try_from(since_epoch.as_millis()).unwrap_or(u64::MAX))
}

/// Follows a clock that may be set: forward at once; where it was set back, at half its speed until it has come up.
struct Steady {
    shown: Duration,
    /// When that was.
    at: Option<std::time::Instant>,
    /// Whether the clock is behind by more than is worth a word.
    is_behind: bool,
}

impl Steady {
    fn show(&mut self, clock: Duration, at: std::time::Instant) -> Duration {
        // Threads may come here in another order than that in which they looked at the clock.
        let passed = self.at.map_or(Duration::ZERO, |last| at.saturating_duration_since(last));
        self.at = self.at.max(Some(at));
        let behind = self.shown.saturating_sub(clock);
        self.shown = if behind.is_zero() { clock } else { clock.max(self.shown + passed / 2) };
        if behind > TOLD_FROM && !self.is_behind {
            let behind = behind.as_secs();
            tracing::warn!(
                behind,
                "the machine's clock was set back: the node's goes at half its speed until they meet"
            );
        }
        self.is_behind = behind > TOLD_FROM;
        self.shown
    }
}

pub struct SystemEntropy;

impl Entropy for SystemEntropy {
    fn fill(&self, buffer: &mut [u8]) {
        // A kernel that can't give randomness can't be served from: there is no honest way to go on.
        getrandom::fill(buffer).expect("the kernel gives random bytes");
    }
}

pub struct SystemHost;

impl Host for SystemHost {
    fn memory(&self) -> Option<HostMemory> {
        let text = std::fs::read_to_string("/proc/meminfo").ok()?;
        // Absent where the kernel doesn't account for it.
        let pressure = std::fs::read_to_string("/proc/pressure/memory").unwrap_or_default();
        Some(HostMemory {
            available_bytes: bytes_of(&text, "MemAvailable:")?,
            stalled_percent: stalled(&pressure).unwrap_or(0.0),
        })
    }
}

/// The machine's memory; `None` where the kernel doesn't tell.
pub fn memory_bytes() -> Option<u64> {
    bytes_of(&std::fs::read_to_string("/proc/meminfo").ok()?, "MemTotal:")
}

fn bytes_of(meminfo: &str, name: &str) -> Option<u64> {
    let line = meminfo.lines().find_map(|line| line.strip_prefix(name))?;
    line.trim().strip_suffix(" kB")?.trim().parse::<u64>().ok()?.checked_mul(1024)
}

/// For what share of the last ten seconds every program waited for memory, in percent.
fn stalled(pressure: &str) -> Option<f32> {
    let full = pressure.lines().find_map(|line| line.strip_prefix("full "))?;
    full.split(' ').find_map(|field| field.strip_prefix("avg10="))?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn time_follows_a_clock_that_is_set_forward_and_never_goes_back() {
        let (secs, began) = (Duration::from_secs, std::time::Instant::now());
        let mut steady = Steady { shown: Duration::ZERO, at: None, is_behind: false };
        let mut show = |clock: u64, real: u64| steady.show(secs(clock), began + secs(real)).as_secs();
        assert_eq!((show(1_000, 0), show(1_010, 10)), (1_000, 1_010));
        // Set forward by an hour, and back by a minute.
        assert_eq!((show(4_620, 20), show(4_570, 30)), (4_620, 4_625));
        assert_eq!((show(4_580, 40), show(4_600, 60)), (4_630, 4_640));
        // They meet, and go together from then on.
        assert_eq!((show(4_680, 140), show(4_690, 150), show(4_691, 151)), (4_680, 4_690, 4_691));
        // Two threads that looked at one time.
        assert_eq!((show(4_700, 160), show(4_699, 159)), (4_700, 4_700));
        // A machine without a clock, until it is set.
        assert_eq!((show(0, 161), show(5_000, 162)), (4_700, 5_000));
    }

    #[test]
    fn the_kernels_files_are_understood() {
        let meminfo =
            "MemTotal:       24580544 kB\nMemFree:         1048576 kB\nMemAvailable:       2048 kB\n";
        assert_eq!(bytes_of(meminfo, "MemAvailable:"), Some(2 << 20));
        assert_eq!(bytes_of("MemAvailable: many\n", "MemAvailable:"), None);
        let pressure = "some avg10=1.00 avg60=0.50 avg300=0.10 total=77\nfull avg10=12.34 avg60=0.40 avg300=0.05 total=66\n";
        assert_eq!(stalled(pressure), Some(12.34));
        assert_eq!(stalled(""), None);
    }
}
