//! How long an idle environment is kept, whether one is made ahead of the next call, and which goes first when the
//! host is short of memory. Pure.
//!
//! What is learned of a function's version is learned from its calls alone, never from what happened to be kept: the
//! gap between the moment at which it last had so many calls in flight, and the moment at which it has so many again.
//! [`gaps`] counts them, [`rule`] weighs a wait for a start against the memory that avoids it, [`history`] holds both
//! for one version, and [`FALLBACK`] is for those of which too little is known.
//!
//! Invariants:
//! - a version's history is of bounded size ([`history::BYTES_MAX`]), and there are at most [`HISTORIES_MAX`];
//! - nothing here keeps an environment that has grown too old, or that was provisioned: those have rules of their own.

pub mod gaps;
mod history;
pub mod rule;
#[cfg(test)]
mod tests;

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use lambent_core::ids::Version;
use lambent_core::time::Timestamp;

use history::History;
use rule::{Sample, Window};

/// Kept so long where nothing is known yet: the fixed time that the published policies are compared with.
pub const FALLBACK: Duration = Duration::from_secs(600);

/// Ours: versions of which a history is kept. Those that were not called for longest are forgotten first.
pub const HISTORIES_MAX: usize = 16_384;

/// Ours: how long a version that nobody calls is remembered. A few times the longest gap that is told apart.
const REMEMBERED: Duration = Duration::from_secs(7 * 86_400);

/// How long environments are kept.
#[derive(Debug, Clone, Copy)]
pub enum Policy {
    /// Each for the same time; nothing is made ahead.
    Fixed(Duration),
    /// Learned from the calls of each version.
    Learned(Rule),
}

impl Policy {
    pub const ADAPTIVE: Self = Self::Learned(rule::cheapest);
}

/// Decides from what is known of a version; `None` where that is too little.
pub type Rule = fn(&Sample<'_>) -> Option<Window>;

/// Which environment is given up first when there is no room.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Eviction {
    /// Greedy-dual: the one that is least worth its memory, by how often its version is called, what its start costs,
    /// and how big it is; with time, any that is not used.
    LeastWorth,
    /// The one that has idled longest.
    LongestIdle,
}

/// A version of a function: what histories are kept by. A new revision has its predecessor's callers.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Of {
    pub function_arn: Arc<str>,
    pub version: Version,
}

/// What an environment was found to cost.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Measured {
    /// How long a call would have waited for it.
    pub start: Option<Duration>,
    pub memory_bytes: Option<u64>,
}

/// What becomes of an environment that has nothing to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stay {
    pub until: Timestamp,
    /// One is to be made ahead of the next call, when this one has gone.
    pub again: Option<Again>,
    /// The greater, the later it is given up for want of memory.
    pub worth: u64,
}

/// An environment that is to stand from `at` on, and not to be kept beyond `until`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Again {
    pub at: Timestamp,
    pub until: Timestamp,
}

#[derive(Debug)]
pub struct KeepAlive {
    policy: Policy,
    eviction: Eviction,
    histories: HashMap<Of, History>,
    /// Greedy-dual's: what the last one given up was worth.
    clock: u64,
}

impl KeepAlive {
    pub fn new(policy: Policy, eviction: Eviction) -> Self {
        Self { policy, eviction, histories: HashMap::new(), clock: 0 }
    }

    /// The version has one more call in flight.
    pub fn rose(&mut self, of: &Of, now: Timestamp) {
        if !self.histories.contains_key(of) {
            self.histories.insert(of.clone(), History::new(now));
        }
        let history = self.histories.get_mut(of).expect("it was put there when it was missing");
        if let Some((level, gap)) = history.rose(now)
            && let Policy::Learned(rule) = self.policy
        {
            history.learn(level, gap, rule);
        }
    }

    /// The version has one call less in flight. Says how many it had.
    pub fn fell(&mut self, of: &Of, now: Timestamp) -> u32 {
        self.histories.get_mut(of).map_or(1, |history| history.fell(now))
    }

    /// How many calls the version would have in flight with one more.
    pub fn next_level(&self, of: &Of) -> u32 {
        self.histories.get(of).map_or(1, |history| history.in_flight().saturating_add(1))
    }

    /// An environment has nothing to do that was, or would be, needed for so many calls at one time.
    pub fn idle(&self, of: &Of, level: u32, now: Timestamp) -> Stay {
        let history = self.histories.get(of);
        let window = match self.policy {
            Policy::Fixed(keep) => Window { ahead: None, keep },
            Policy::Learned(_) => {
                history.and_then(|history| history.window(level)).unwrap_or(Window::FALLBACK)
            }
        };
        let until = now.plus(window.keep);
        let worth = self.clock.saturating_add(history.map_or(0, |history| history.worth(level)));
        match window.ahead {
            Some(ahead) if level == 1 => {
                Stay { until: now, again: Some(Again { at: now.plus(ahead), until }), worth }
            }
            // What is made ahead is made for the first call only.
            Some(_) => Stay { until: now, again: None, worth },
            None => Stay { until, again: None, worth },
        }
    }

    pub fn measured(&mut self, of: &Of, measured: Measured) {
        if let Some(history) = self.histories.get_mut(of) {
            history.measured(measured);
        }
    }

    /// What an environment of the version takes, as far as is known.
    pub fn memory_bytes(&self, of: &Of) -> u64 {
        self.histories.get(of).map_or(history::BYTES_UNKNOWN, History::memory_bytes)
    }

    /// In which order environments are given up: the least first.
    pub fn rank(&self, worth: u64, since: Timestamp) -> (u64, Timestamp) {
        match self.eviction {
            Eviction::LeastWorth => (worth, since),
            Eviction::LongestIdle => (0, since),
        }
    }

    /// One of such a worth was given up: what is used from here on is worth more than what was not.
    pub fn evicted(&mut self, worth: u64) {
        self.clock = self.clock.max(worth);
    }

    /// The function is gone, and its name may come to mean another.
    pub fn remove(&mut self, function_arn: &str) {
        self.histories.retain(|of, _| &*of.function_arn != function_arn);
    }

    /// Forgets versions that nobody calls any more.
    pub fn forget(&mut self, now: Timestamp) {
        self.histories.retain(|_, history| history.in_flight() > 0 || now.since(history.last()) < REMEMBERED);
        let Some(excess) = self.histories.len().checked_sub(HISTORIES_MAX).filter(|excess| *excess > 0)
        else {
            return;
        };
        let mut lasts: Vec<Timestamp> = self.histories.values().map(History::last).collect();
        let (_, newest, _) = lasts.select_nth_unstable(excess - 1);
        let newest = *newest;
        self.histories.retain(|_, history| history.in_flight() > 0 || history.last() > newest);
    }
}
