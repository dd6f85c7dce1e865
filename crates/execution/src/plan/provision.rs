//! Environments ahead of their calls: provisioned ones, which are kept, and warm ones, which are made once.
//!
//! Invariants:
//! - a version has no more provisioned environments than are wanted, those that leave aside;
//! - they are made a few at a time, so that the first is usable as soon as one can be;
//! - what can't be made is tried again later, and never in a loop.

use std::collections::{BTreeMap, HashMap};
use std::time::Duration;

use lambent_core::ids::{AccountId, Region};
use lambent_core::ports::{CapacityUse, FunctionUse, Provisioned};
use lambent_core::time::Timestamp;

use super::ledger::name_of;
use super::pool::{Failure, Kind};
use super::{Action, EnvironmentId, Plan, PoolKey, Purpose};

/// Ours: provisioned environments of a version that are started at one time. More at one time than there are
/// processors makes each of them later.
const STARTS_MAX: usize = 8;

/// Ours: environments of a version that are made ready before it gets calls. A burst beyond it finds the parked
/// runtimes.
const WARM_MAX: u32 = 64;

/// Ours: how long a version whose provisioned environments can't be made is left alone, and how long one must
/// have lived so that its end is not taken for that.
const RETRY_AFTER: Duration = Duration::from_secs(30);
const LIVED_MIN: Duration = Duration::from_secs(1);

/// Ours: how long an environment that is being replaced stays at the most when its replacement can't be made. Its
/// credentials outlive this.
const LEAVING_MAX: Duration = Duration::from_secs(3_600);

/// StatusReason of the reference for a function whose init fails.
pub const INIT_FAILURE: &str = "FUNCTION_ERROR_INIT_FAILURE";

/// Ours: StatusReason where the host could make no sandbox, through no fault of the function.
pub(super) const NO_ENVIRONMENT: &str = "NO_EXECUTION_ENVIRONMENT";

impl Plan {
    /// So many environments of these pools of the function are to be kept, and of no other of its pools.
    pub fn provision(
        &mut self,
        function_arn: &str,
        wanted: &[(PoolKey, u32)],
        now: Timestamp,
    ) -> Vec<Action> {
        let is_other = |key: &PoolKey| !wanted.iter().any(|(wanted, _)| wanted == key);
        let others: Vec<PoolKey> = self
            .pools
            .iter()
            .filter(|(key, pool)| pool.target > 0 && &*key.function_arn == function_arn && is_other(key))
            .map(|(key, _)| key.clone())
            .collect();
        let mut actions = Vec::new();
        let ends = others.into_iter().map(|key| (key, 0));
        for (key, count) in wanted.iter().cloned().chain(ends) {
            let pool = self.pools.entry(key.clone()).or_default();
            if pool.target != count {
                pool.failure = None;
            }
            pool.target = count;
            pool.retiring &= count == 0;
            let present = pool.count_of(Kind::Provisioned);
            pool.dismiss(present.saturating_sub(count as usize), Duration::ZERO, now);
            pool.recall((count as usize).saturating_sub(present), self.settings.age_max, now);
            self.end_leaving(&key, now, &mut actions);
            actions.extend(self.fill(&key, now));
            self.drop_if_empty(&key);
        }
        actions
    }

    /// What stands of a pool's provision.
    pub fn provisioned(&self, key: &PoolKey) -> Provisioned {
        let Some(pool) = self.pools.get(key) else { return Provisioned::default() };
        // One that leaves serves until its replacement stands, and stands for it so long.
        let standing = pool.standing_of(Kind::Provisioned) + pool.standing_of(Kind::Leaving);
        let ready = u32::try_from(standing).unwrap_or(u32::MAX).min(pool.target);
        let failure = pool.failure.as_ref().filter(|_| ready < pool.target);
        Provisioned { ready, failure: failure.map(|failure| failure.reason.clone()) }
    }

    /// Starts environments for calls that are expected soon, beside those that are free or on their way.
    pub fn warm(&mut self, key: &PoolKey, count: u32, now: Timestamp) -> Vec<Action> {
        let wanted = count.min(WARM_MAX) as usize;
        let present = self.pools.get(key).map_or(0, |pool| pool.free_or_starting());
        let mut actions = Vec::new();
        for _ in present..wanted {
            if self.ledger.may_grow(&key.function_arn, now).is_err() {
                break;
            }
            actions.extend(self.start_one(key.clone(), Purpose::Warm, now));
        }
        actions
    }

    /// Whether environments of the pool that were started ahead of calls are still on their way.
    pub fn is_warming(&self, key: &PoolKey) -> bool {
        self.pools.get(key).is_some_and(|pool| pool.starting_of(Kind::Warm) > 0)
    }

    pub fn has_pool(&self, key: &PoolKey) -> bool {
        self.pools.contains_key(key)
    }

    /// How many environments of the pool were busy at one time lately.
    pub fn recent(&self, key: &PoolKey, now: Timestamp) -> u32 {
        self.pools.get(key).map_or(0, |pool| pool.recent(now))
    }

    /// An environment that was started ahead of calls could not be made or initialised. A call that waited for
    /// it gets one of its own.
    pub fn ahead_failed(&mut self, environment: EnvironmentId, reason: &str, now: Timestamp) -> Vec<Action> {
        let Some(key) = self.environments.remove(&environment) else { return Vec::new() };
        let pool = self.pools.get_mut(&key).expect("a live environment's pool is kept");
        if pool.kind(environment) == Some(Kind::Provisioned) {
            pool.failure = Some(Failure { reason: reason.to_owned(), retry_at: now.plus(RETRY_AFTER) });
        }
        pool.again = None;
        pool.remove(environment);
        let is_short = pool.waiting.len() > pool.starting_count();
        let actions = if is_short { self.start_one(key.clone(), Purpose::Call, now) } else { Vec::new() };
        self.drop_if_empty(&key);
        actions
    }

    /// Who uses what now.
    pub fn usage(&self) -> CapacityUse {
        let mut functions: Vec<FunctionUse> = Vec::new();
        for (arn, line) in self.ledger.functions() {
            let (account, region) = line.place.clone();
            functions.push(FunctionUse {
                arn: arn.to_string(),
                account,
                region,
                name: name_of(arn).to_owned(),
                in_use: line.in_use,
                in_use_unreserved: line.in_use_unreserved,
                reserved: line.reserved,
                provisioned: Vec::new(),
                environments: BTreeMap::new(),
                throttled: line.throttled.clone(),
            });
        }
        let mut places: HashMap<String, usize> =
            functions.iter().enumerate().map(|(at, f)| (f.arn.clone(), at)).collect();
        for (key, pool) in self.pools.iter().filter(|(_, pool)| pool.target > 0 || pool.member_count() > 0) {
            let at = match places.get(&*key.function_arn) {
                Some(at) => *at,
                None => {
                    let Some(function) = uncalled(&key.function_arn) else { continue };
                    places.insert(function.arn.clone(), functions.len());
                    functions.push(function);
                    functions.len() - 1
                }
            };
            let function = &mut functions[at];
            if pool.target > 0 {
                let busy = pool.busy_of(Kind::Provisioned) + pool.busy_of(Kind::Leaving);
                function.provisioned.push((
                    key.version,
                    pool.target,
                    self.provisioned(key).ready,
                    busy as u32,
                ));
            }
            if pool.member_count() > 0 {
                // A version that was changed has environments of more than one revision for a while.
                *function.environments.entry(key.version).or_default() += pool.member_count() as u32;
            }
        }
        functions.sort_by(|a, b| (&a.account, &a.region, &a.name).cmp(&(&b.account, &b.region, &b.name)));
        CapacityUse { functions }
    }

    /// Starts what is missing of a pool's provision.
    pub(super) fn fill(&mut self, key: &PoolKey, now: Timestamp) -> Vec<Action> {
        let Some(pool) = self.pools.get(key) else { return Vec::new() };
        if pool.retiring || pool.failure.as_ref().is_some_and(|failure| now < failure.retry_at) {
            return Vec::new();
        }
        let missing = (pool.target as usize).saturating_sub(pool.count_of(Kind::Provisioned));
        // After a failure one shows whether it fails still.
        let at_once = if pool.failure.is_some() { 1 } else { STARTS_MAX };
        let room = at_once.saturating_sub(pool.starting_of(Kind::Provisioned));
        (0..missing.min(room)).flat_map(|_| self.start_one(key.clone(), Purpose::Provisioned, now)).collect()
    }

    /// A provisioned environment is up: what it replaces may go, and the next can be started.
    pub(super) fn provision_ready(
        &mut self,
        environment: EnvironmentId,
        now: Timestamp,
        actions: &mut Vec<Action>,
    ) {
        let Some(key) = self.environments.get(&environment).cloned() else { return };
        let Some(pool) = self.pools.get_mut(&key) else { return };
        if pool.kind(environment) != Some(Kind::Provisioned) {
            return;
        }
        pool.failure = None;
        self.end_leaving(&key, now, actions);
        actions.extend(self.fill(&key, now));
    }

    /// A provisioned environment ended. One that ends as soon as it stands is as good as one that never did.
    pub(super) fn provision_gone(&mut self, key: &PoolKey, lived: Duration, now: Timestamp) {
        if lived < LIVED_MIN
            && let Some(pool) = self.pools.get_mut(key)
        {
            let reason = INIT_FAILURE.to_owned();
            pool.failure = Some(Failure { reason, retry_at: now.plus(RETRY_AFTER) });
        }
    }

    /// Replaces what has grown old, a few at a time, and tries again what failed.
    pub(super) fn provision_tick(&mut self, now: Timestamp, actions: &mut Vec<Action>) {
        let age_max = self.settings.age_max;
        let keys: Vec<PoolKey> =
            self.pools.iter().filter(|(_, pool)| pool.target > 0).map(|(key, _)| key.clone()).collect();
        for key in keys {
            let pool = self.pools.get_mut(&key).expect("the key was just read from this map");
            if pool.failure.is_none() {
                let room = STARTS_MAX.saturating_sub(pool.count_of(Kind::Leaving));
                pool.dismiss(room, age_max, now);
            }
            for environment in pool.drain_idle_of(Kind::Leaving, age_max + LEAVING_MAX, now) {
                self.environments.remove(&environment);
                actions.push(Action::Retire { environment });
            }
            actions.extend(self.fill(&key, now));
        }
    }

    /// Ends those that leave and idle, when all that is wanted stands.
    fn end_leaving(&mut self, key: &PoolKey, now: Timestamp, actions: &mut Vec<Action>) {
        let Some(pool) = self.pools.get_mut(key) else { return };
        if !pool.is_filled() {
            return;
        }
        for environment in pool.drain_idle_of(Kind::Leaving, Duration::ZERO, now) {
            self.environments.remove(&environment);
            actions.push(Action::Retire { environment });
        }
    }
}

/// A function that nobody has called yet.
fn uncalled(function_arn: &str) -> Option<FunctionUse> {
    let (region, account) = place_of(function_arn)?;
    Some(FunctionUse {
        arn: function_arn.to_owned(),
        account,
        region,
        name: name_of(function_arn).to_owned(),
        in_use: 0,
        in_use_unreserved: 0,
        reserved: None,
        provisioned: Vec::new(),
        environments: BTreeMap::new(),
        throttled: None,
    })
}

/// Region and account of a function's ARN.
fn place_of(function_arn: &str) -> Option<(Region, AccountId)> {
    let mut parts = function_arn.split(':').skip(3);
    let region = Region::new(parts.next()?).ok()?;
    Some((region, AccountId::new(parts.next()?).ok()?))
}
