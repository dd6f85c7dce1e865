//! When a delivery to a queue is tried again.
//!
//! SNS developer guide, *Message delivery retries*, for endpoints that AWS manages: at once, before the back-off,
//! during it, after it; 100,015 attempts over 23 days.

use std::time::Duration;

const IMMEDIATE: u32 = 3;
const PRE_BACKOFF: u32 = 2;
/// From one second to twenty, each step by the same factor.
const BACKOFF_MILLIS: [u64; 10] = [1_000, 1_395, 1_946, 2_714, 3_786, 5_282, 7_368, 10_278, 14_338, 20_000];
const POST_BACKOFF: u32 = 100_000;
const POST_BACKOFF_EVERY: Duration = Duration::from_secs(20);

/// How long to wait after this many attempts have failed; `None` when it is given up.
pub fn pause(failed: u32) -> Option<Duration> {
    let retry = failed.checked_sub(1)?;
    let Some(retry) = retry.checked_sub(IMMEDIATE) else { return Some(Duration::ZERO) };
    let Some(retry) = retry.checked_sub(PRE_BACKOFF) else { return Some(Duration::from_secs(1)) };
    if let Some(millis) = BACKOFF_MILLIS.get(retry as usize) {
        return Some(Duration::from_millis(*millis));
    }
    (retry - 10 < POST_BACKOFF).then_some(POST_BACKOFF_EVERY)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn retries_end_after_23_days() {
        let pauses: Vec<Duration> = (1..).map_while(pause).collect();
        assert_eq!(pauses.len(), 100_015);
        let days = pauses.iter().sum::<Duration>().as_secs() / 86_400;
        assert_eq!(days, 23);
        assert!(pauses[2].is_zero() && pauses[3] == Duration::from_secs(1));
        assert!(pauses.is_sorted());
    }
}
