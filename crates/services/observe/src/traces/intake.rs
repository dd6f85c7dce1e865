//! What waits to be stored, and who may add to it. Pure.
//!
//! Bounds are for the time between two flushes. A function that is called thousands of times a second can't have
//! each call kept: of its ordinary calls the first ones are, and of what somebody will ask for (a cold start, a
//! failure, a throttle) many more.

use std::collections::HashMap;
use std::hash::{BuildHasher as _, RandomState};
use std::sync::Arc;

use lambent_core::ports::{CallEnd, CallHop, Hop, Start};

/// Ours: warm calls of one version that went well.
pub const ORDINARY_MAX: u32 = 200;

/// Ours: all calls of one version.
pub const CALLS_MAX: u32 = 1_000;

/// Ours: hops of one queue, topic, bus or rule that went well.
pub const HOPS_MAX: u32 = 200;

/// Ours: everything together.
pub const WAITING_MAX: usize = 20_000;

#[derive(Debug)]
pub enum Told {
    Hop(Box<Hop>),
    Call(Box<CallHop>),
}

#[derive(Default)]
pub struct Intake {
    waiting: Vec<Told>,
    /// By the address of the version's spec, which all its calls share: ordinary calls, and all.
    calls: HashMap<usize, (u32, u32)>,
    /// By a digest of their subject.
    hops: HashMap<u64, u32>,
    digests: RandomState,
    left_out: u64,
}

impl Intake {
    /// Whether there is room for this call; it is counted.
    pub fn admits(&mut self, call: &CallHop) -> bool {
        let (ordinary, all) = self.calls.entry(Arc::as_ptr(&call.spec) as usize).or_default();
        let is_ordinary = is_ordinary(call);
        let admitted = *all < CALLS_MAX && !(is_ordinary && *ordinary >= ORDINARY_MAX);
        if admitted {
            *all += 1;
            *ordinary += u32::from(is_ordinary);
        } else {
            self.left_out += 1;
        }
        admitted
    }

    /// Whether there is room for one more ordinary hop of this subject; it is counted.
    pub fn wants(&mut self, subject: &str) -> bool {
        let count = self.hops.entry(self.digests.hash_one(subject)).or_default();
        let is_wanted = *count < HOPS_MAX;
        if is_wanted {
            *count += 1;
        } else {
            self.left_out += 1;
        }
        is_wanted
    }

    /// Says whether it is the first that waits.
    pub fn put(&mut self, told: Told) -> bool {
        if self.waiting.len() >= WAITING_MAX {
            self.left_out += 1;
            return false;
        }
        self.waiting.push(told);
        self.waiting.len() == 1
    }

    /// Everything that waits, and how many were left out meanwhile.
    pub fn take(&mut self) -> (Vec<Told>, u64) {
        self.calls.clear();
        self.hops.clear();
        (std::mem::take(&mut self.waiting), std::mem::take(&mut self.left_out))
    }
}

fn is_ordinary(call: &CallHop) -> bool {
    let is_warm = call.ran.as_ref().is_some_and(|run| run.start == Start::Warm);
    is_warm && matches!(call.end, CallEnd::Returned)
}
