//! Whether the host is short of memory, and of how much. Pure.

use std::time::Duration;

use lambent_core::ports::HostMemory;

/// Ours: how often the shell is to look.
pub const LOOK: Duration = Duration::from_secs(1);

/// Ours: programs that could not go on for so much of the last ten seconds, in percent, are a sign of their own: what is
/// available on paper may be of no use, where pages have to be read again that were only just given up.
const STALLED_PERCENT: f32 = 10.0;

/// Ours: the share of the reserve that is given back at a time for that sign, which says not how much is missing.
const STALLED_SHARE: u64 = 4;

/// How many bytes the host is short of, if so many are to be left free.
pub fn missing(memory: HostMemory, reserve_bytes: u64) -> Option<u64> {
    if memory.available_bytes < reserve_bytes {
        return Some(reserve_bytes - memory.available_bytes);
    }
    let is_stalled = reserve_bytes > 0 && memory.stalled_percent >= STALLED_PERCENT;
    is_stalled.then_some(reserve_bytes.div_ceil(STALLED_SHARE))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_host_is_short_of_what_is_missing_of_the_reserve() {
        let host = |available_bytes, stalled_percent| HostMemory { available_bytes, stalled_percent };
        assert_eq!(missing(host(100, 0.0), 100), None);
        assert_eq!(missing(host(99, 0.0), 100), Some(1));
        assert_eq!(missing(host(0, 99.0), 100), Some(100));
        assert_eq!(missing(host(500, 9.9), 100), None);
        assert_eq!(missing(host(500, 10.0), 100), Some(25));
        assert_eq!(missing(host(0, 99.0), 0), None, "whoever reserves nothing is told of nothing");
    }
}
