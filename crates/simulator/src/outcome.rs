//! What a policy came to on one trace.

/// All counts are of the whole trace, from an empty machine on.
#[derive(Debug, Clone, Default)]
pub struct Outcome {
    pub calls: u64,
    /// Calls that waited for a start.
    pub cold: u64,
    /// By function that was called: the share of its calls that waited.
    pub cold_shares: Vec<f64>,
    /// What those calls waited together.
    pub wait_secs: f64,
    /// GB × seconds that environments were held with nothing to do.
    pub idle_gb_secs: f64,
    /// Environments that were made, and those of them made ahead of their call.
    pub starts: u64,
    pub ahead: u64,
    /// Given up for want of memory.
    pub evicted: u64,
    /// Calls that no room could be made for.
    pub failed: u64,
}

impl Outcome {
    pub fn cold_percent(&self) -> f64 {
        100.0 * self.cold as f64 / (self.calls as f64).max(1.0)
    }

    /// The share of cold calls that three quarters of the functions stay below, in percent: the published figure,
    /// because a few busy functions have nearly all calls.
    pub fn third_quartile_percent(&self) -> f64 {
        let mut shares = self.cold_shares.clone();
        shares.sort_by(f64::total_cmp);
        shares.get(shares.len() * 3 / 4).map_or(0.0, |share| 100.0 * share)
    }
}
