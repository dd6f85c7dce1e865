//! Who uses how much of which account, and who was refused what. Pure.
//!
//! Invariants:
//! - a function's calls in flight never exceed its reservation;
//! - calls without a reservation never exceed what is unreserved; those that run in provisioned environments
//!   are no part of them: what is provisioned was taken from the account when it was configured.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use lambent_core::ids::{AccountId, Region};
use lambent_core::limits::{REQUESTS_PER_SECOND_PER_CONCURRENCY, SCALING_ENVIRONMENTS, SCALING_PERIOD};
use lambent_core::ports::{Held, ThrottleReason, Throttling};
use lambent_core::time::Timestamp;

use super::keep_alive::Of;
use super::rate::{Bucket, Rate};
use super::{Arrival, CallId};

/// How fast a function's environments may grow.
const SCALING: Rate = Rate { count: SCALING_ENVIRONMENTS, period: SCALING_PERIOD };

/// Ours: how many holders of the capacity are remembered with a throttle.
const HELD_BY_MAX: usize = 5;

/// Ours: how often the holders are looked up for a function that goes on being throttled. It looks at every
/// function in use.
const HELD_BY_EVERY: Duration = Duration::from_secs(1);

/// Ours: how long a function that nobody calls is remembered here, and its last throttle with it.
const REMEMBERED: Duration = Duration::from_secs(3_600);

#[derive(Debug, Default)]
pub struct Ledger {
    paces_accounts: bool,
    calls: HashMap<CallId, Charge>,
    functions: HashMap<Arc<str>, Line>,
    places: HashMap<Place, Pot>,
}

/// An account in a region.
type Place = (AccountId, Region);

/// What one function uses.
#[derive(Debug)]
pub struct Line {
    pub place: Place,
    pub reserved: Option<u32>,
    pub in_use: u32,
    pub in_use_unreserved: u32,
    pub throttled: Option<Throttling>,
    requests: Bucket,
    environments: Bucket,
    last: Timestamp,
}

/// What functions without a reservation use of one account together.
#[derive(Debug)]
struct Pot {
    in_use: u32,
    requests: Bucket,
    last: Timestamp,
}

/// Which counters a call in flight is held against.
#[derive(Debug, Clone)]
struct Charge {
    of: Of,
    /// The call counts against what reservations leave.
    unreserved: bool,
}

impl Ledger {
    pub fn new(paces_accounts: bool) -> Self {
        Self { paces_accounts, ..Self::default() }
    }

    pub fn call_count(&self) -> usize {
        self.calls.len()
    }

    pub fn functions(&self) -> impl Iterator<Item = (&Arc<str>, &Line)> {
        self.functions.iter()
    }

    /// Takes the call in, or says why not. With `provisioned` it is to run in a provisioned environment.
    pub fn admit(
        &mut self,
        arrival: &Arrival,
        provisioned: bool,
        now: Timestamp,
    ) -> Result<(), ThrottleReason> {
        let line = self.line(arrival, now);
        let refused = match arrival.reserved {
            Some(limit) => {
                if line.in_use >= limit {
                    Some(ThrottleReason::ReservedFunctionConcurrentInvocationLimitExceeded)
                } else if !line.requests.take(requests(limit), now) {
                    Some(ThrottleReason::ReservedFunctionInvocationRateLimitExceeded)
                } else {
                    None
                }
            }
            None if provisioned => None,
            None => self.refused_by_account(arrival, now),
        };
        if let Some(reason) = refused {
            self.throttled(&arrival.pool.function_arn, reason, now);
            return Err(reason);
        }
        self.charge(arrival, arrival.reserved.is_none() && !provisioned);
        Ok(())
    }

    fn line(&mut self, arrival: &Arrival, now: Timestamp) -> &mut Line {
        let full = || Bucket::full(requests(arrival.reserved.unwrap_or(0)), now);
        let arn = &arrival.pool.function_arn;
        if !self.functions.contains_key(arn) {
            let line = Line {
                place: (arrival.account.clone(), arrival.region.clone()),
                reserved: arrival.reserved,
                in_use: 0,
                in_use_unreserved: 0,
                throttled: None,
                requests: full(),
                environments: Bucket::full(SCALING, now),
                last: now,
            };
            self.functions.insert(arn.clone(), line);
        }
        let line = self.functions.get_mut(arn).expect("it was put there when it was missing");
        line.last = now;
        if line.reserved != arrival.reserved {
            line.reserved = arrival.reserved;
            line.requests = full();
        }
        line
    }

    fn refused_by_account(&mut self, arrival: &Arrival, now: Timestamp) -> Option<ThrottleReason> {
        let rate = requests(arrival.unreserved);
        let place = (arrival.account.clone(), arrival.region.clone());
        let unused = || Pot { in_use: 0, requests: Bucket::full(rate, now), last: now };
        let pot = self.places.entry(place).or_insert_with(unused);
        pot.last = now;
        if pot.in_use >= arrival.unreserved {
            Some(ThrottleReason::ConcurrentInvocationLimitExceeded)
        } else if self.paces_accounts && !pot.requests.take(rate, now) {
            Some(ThrottleReason::FunctionInvocationRateLimitExceeded)
        } else {
            None
        }
    }

    /// Whether the function may have one more environment now; takes it from what it may have.
    pub fn may_grow(&mut self, function_arn: &str, now: Timestamp) -> Result<(), ThrottleReason> {
        let Some(line) = self.functions.get_mut(function_arn) else { return Ok(()) };
        if line.environments.take(SCALING, now) {
            return Ok(());
        }
        Err(match line.reserved {
            Some(_) => ThrottleReason::ReservedFunctionInvocationRateLimitExceeded,
            None => ThrottleReason::FunctionInvocationRateLimitExceeded,
        })
    }

    /// Remembers a throttle, and who held what was missing.
    pub fn throttled(&mut self, function_arn: &str, reason: ThrottleReason, now: Timestamp) {
        let known = self.functions.get(function_arn).and_then(|line| line.throttled.as_ref());
        let is_fresh = known.is_some_and(|t| t.reason == reason && now.since(t.at) < HELD_BY_EVERY);
        if is_fresh {
            return;
        }
        let held_by = self.holders(function_arn, reason);
        if let Some(line) = self.functions.get_mut(function_arn) {
            line.throttled = Some(Throttling { at: now, reason, held_by });
        }
    }

    fn holders(&self, function_arn: &str, reason: ThrottleReason) -> Vec<Held> {
        let Some(own) = self.functions.get(function_arn) else { return Vec::new() };
        let mut held: Vec<(u32, &str)> = match reason {
            ThrottleReason::ReservedFunctionConcurrentInvocationLimitExceeded
            | ThrottleReason::ReservedFunctionInvocationRateLimitExceeded => {
                vec![(own.in_use, function_arn)]
            }
            ThrottleReason::ConcurrentInvocationLimitExceeded
            | ThrottleReason::FunctionInvocationRateLimitExceeded => self
                .functions
                .iter()
                .filter(|(_, line)| line.place == own.place)
                .map(|(arn, line)| (line.in_use_unreserved, &**arn))
                .collect(),
        };
        held.retain(|(in_use, _)| *in_use > 0);
        held.sort_unstable_by(|a, b| b.cmp(a));
        held.truncate(HELD_BY_MAX);
        held.into_iter().map(|(in_use, arn)| Held { function: name_of(arn).to_owned(), in_use }).collect()
    }

    /// A call that was taken in runs in a provisioned environment after all.
    pub fn runs_provisioned(&mut self, call: CallId) {
        let Some(charge) = self.calls.get_mut(&call) else { return };
        if std::mem::take(&mut charge.unreserved) {
            let arn = charge.of.function_arn.clone();
            self.give_back_unreserved(&arn);
        }
    }

    /// Whose call it was.
    pub fn discharge(&mut self, call: CallId) -> Option<Of> {
        let charge = self.calls.remove(&call)?;
        if charge.unreserved {
            self.give_back_unreserved(&charge.of.function_arn);
        }
        if let Some(line) = self.functions.get_mut(&charge.of.function_arn) {
            line.in_use = line.in_use.saturating_sub(1);
        }
        Some(charge.of)
    }

    /// The function was deleted. What its last calls hold is given back all the same.
    pub fn remove(&mut self, function_arn: &str) {
        if self.functions.get(function_arn).is_some_and(|line| line.in_use == 0) {
            self.functions.remove(function_arn);
        }
    }

    /// Forgets functions that nobody calls any more.
    pub fn forget(&mut self, now: Timestamp) {
        self.functions.retain(|_, line| line.in_use > 0 || now.since(line.last) < REMEMBERED);
        self.places.retain(|_, pot| pot.in_use > 0 || now.since(pot.last) < REMEMBERED);
    }

    fn charge(&mut self, arrival: &Arrival, unreserved: bool) {
        let of = arrival.pool.of();
        if let Some(line) = self.functions.get_mut(&of.function_arn) {
            line.in_use += 1;
            line.in_use_unreserved += u32::from(unreserved);
        }
        if unreserved {
            let place = (arrival.account.clone(), arrival.region.clone());
            if let Some(pot) = self.places.get_mut(&place) {
                pot.in_use += 1;
            }
        }
        let before = self.calls.insert(arrival.call, Charge { of, unreserved });
        assert!(before.is_none(), "call ids are used once");
    }

    fn give_back_unreserved(&mut self, function_arn: &str) {
        let Some(line) = self.functions.get_mut(function_arn) else { return };
        line.in_use_unreserved = line.in_use_unreserved.saturating_sub(1);
        if let Some(pot) = self.places.get_mut(&line.place) {
            pot.in_use = pot.in_use.saturating_sub(1);
        }
    }
}

fn requests(concurrency: u32) -> Rate {
    let count = concurrency.saturating_mul(REQUESTS_PER_SECOND_PER_CONCURRENCY);
    Rate { count, period: Duration::from_secs(1) }
}

/// The name in a function's ARN.
pub fn name_of(function_arn: &str) -> &str {
    function_arn.rsplit(':').next().unwrap_or(function_arn)
}
