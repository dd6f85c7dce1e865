//! What a node is told of its environments, and what it does unless it is told.

use std::time::Duration;

use crate::plan::keep_alive::Policy;

#[derive(Debug, Clone, Copy)]
pub struct Settings {
    /// How long an environment waits for its next call.
    pub keep_alive: Policy,
    /// How old an environment may become.
    pub age_max: Duration,
    /// See [`crate::plan::Settings::paces_accounts`].
    pub paces_accounts: bool,
    /// Must exceed `age_max` by more than the longest call.
    pub credentials_lifetime: Duration,
    /// Memory that cells may take that wait for a function, in bytes; 0 keeps none.
    pub parked_memory_bytes: u64,
    /// Whether runtimes that can are copied from one that has booted.
    pub zygotes: bool,
    /// Memory of the host that is left free, if giving up what nobody uses is enough for it; 0 leaves none.
    pub memory_reserve_bytes: u64,
}

/// Ours: no environment becomes older, however often it is called.
pub const AGE_MAX: Duration = Duration::from_secs(6 * 3600);

impl Default for Settings {
    fn default() -> Self {
        Self {
            keep_alive: Policy::ADAPTIVE,
            age_max: AGE_MAX,
            paces_accounts: false,
            credentials_lifetime: Duration::from_secs(12 * 3600),
            parked_memory_bytes: 512 * lambent_core::limits::MIB,
            zygotes: true,
            memory_reserve_bytes: 0,
        }
    }
}
