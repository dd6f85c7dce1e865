//! Which call runs in which environment: pools, throttling, waiting, keep-alive. Pure.
//!
//! The shell tells the plan what happened, with the time; the plan answers with what to do. Nothing here
//! waits, and nothing here knows what an environment is made of.
//!
//! Invariants:
//! - every call that arrived is answered by exactly one [`Action::Run`], [`Action::Refuse`], [`Action::Fail`] or
//!   [`Action::GiveUp`];
//! - an environment runs one call at a time, and only calls of its own pool;
//! - calls in flight of a function never exceed its reservation, nor those without one what is unreserved;
//! - each call that waits has an environment on its way, and waits no longer than [`WAIT_MAX`] and a tick;
//! - a retired environment never runs another call;
//! - a provisioned environment is retired when it is not wanted any more, or when another stands in its place.
//!
//! `ledger` counts who uses what, `rate` how fast, `provision` keeps environments ahead of their calls,
//! [`keep_alive`] says how long they stay behind them.

pub mod demand;
pub mod keep_alive;
mod ledger;
mod pool;
pub mod pressure;
mod provision;
mod rate;
mod recent;
mod retain;
pub mod stock;
#[cfg(test)]
mod tests;

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use lambent_core::ids::{AccountId, Region, RevisionId, Version};
use lambent_core::ports::{ServedBy, ThrottleReason};
use lambent_core::time::Timestamp;

use keep_alive::{Eviction, KeepAlive, Measured, Of, Policy};
use ledger::Ledger;
use pool::{Kind, Pool, Waiting};
pub use provision::INIT_FAILURE;

/// Ours: how long a call waits for an environment: three times the longest init, which is 10 seconds.
pub const WAIT_MAX: Duration = Duration::from_secs(30);

/// Ours: calls that wait for the environments of one version. As many as it may start at once.
pub const WAITING_MAX: usize = lambent_core::limits::SCALING_ENVIRONMENTS as usize;

/// How often [`Plan::tick`] is to be called.
pub const TICK: Duration = Duration::from_secs(5);

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct CallId(pub u64);

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct EnvironmentId(pub u64);

/// What environments are pooled by: the function, and the revision of the version that they were made from.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct PoolKey {
    pub function_arn: Arc<str>,
    pub version: Version,
    pub revision: RevisionId,
}

impl PoolKey {
    fn of(&self) -> Of {
        Of { function_arn: self.function_arn.clone(), version: self.version }
    }
}

/// Which pools a change makes obsolete.
#[derive(Debug, Clone, Copy)]
pub enum Obsolete<'a> {
    /// The function was deleted.
    All,
    /// The version has a new revision.
    AllBut { version: Version, revision: &'a RevisionId },
    /// The version was deleted.
    Version(Version),
}

impl Obsolete<'_> {
    fn covers(&self, pool: &PoolKey) -> bool {
        match self {
            Self::All => true,
            Self::Version(version) => pool.version == *version,
            Self::AllBut { version, revision } => pool.version == *version && pool.revision != **revision,
        }
    }
}

/// What the plan must know of a call.
#[derive(Debug, Clone)]
pub struct Arrival {
    pub call: CallId,
    pub pool: PoolKey,
    pub account: AccountId,
    pub region: Region,
    pub reserved: Option<u32>,
    pub unreserved: u32,
}

/// Why an environment is started.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Purpose {
    /// For a call that waits: an init that fails is tried again inside the call.
    Call,
    /// Ahead of calls that are expected soon. An init that fails is the end of it.
    Warm,
    /// Provisioned concurrency. An init that fails is the end of it, and is told.
    Provisioned,
}

/// Why a call is not waited for any longer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum GivenUp {
    TooLong,
    TooMany,
}

/// What the shell is to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Action {
    /// Make an environment for the pool; report [`Plan::ready`] or [`Plan::start_failed`], or
    /// [`Plan::ahead_failed`] when its purpose is not a call.
    Start { environment: EnvironmentId, pool: PoolKey, purpose: Purpose },
    /// Run the call there; report [`Plan::finished`].
    Run { call: CallId, environment: EnvironmentId, served_by: ServedBy },
    /// Answer the call with a throttle.
    Refuse { call: CallId, reason: ThrottleReason },
    /// Answer the call with the failure that the last report brought.
    Fail { call: CallId },
    /// Answer the call: no environment was free in time.
    GiveUp { call: CallId, why: GivenUp },
    /// End the environment. It is forgotten here: nothing more is to be reported of it.
    Retire { environment: EnvironmentId },
}

#[derive(Debug, Clone, Copy)]
pub struct Settings {
    /// How long an environment waits for its next call.
    pub keep_alive: Policy,
    /// Which goes first when there is no room.
    pub eviction: Eviction,
    /// How old an environment may become: its credentials end a little later.
    pub age_max: Duration,
    /// Whether an account's calls without a reservation are held to ten a second for each unit of its concurrency,
    /// as the reference holds them. Those of a reservation always are.
    pub paces_accounts: bool,
}

#[derive(Debug)]
pub struct Plan {
    settings: Settings,
    pools: HashMap<PoolKey, Pool>,
    environments: HashMap<EnvironmentId, PoolKey>,
    ledger: Ledger,
    keep_alive: KeepAlive,
    /// The host was short of memory a moment ago: nothing is made ahead.
    short_until: Timestamp,
    last_environment: u64,
}

impl Plan {
    pub fn new(settings: Settings) -> Self {
        Self {
            settings,
            pools: HashMap::new(),
            environments: HashMap::new(),
            ledger: Ledger::new(settings.paces_accounts),
            keep_alive: KeepAlive::new(settings.keep_alive, settings.eviction),
            short_until: Timestamp::from_millis(0),
            last_environment: 0,
        }
    }

    /// A call came in. It runs in an idle environment, or waits while one is made for it, or is throttled.
    pub fn arrived(&mut self, arrival: Arrival, now: Timestamp) -> Vec<Action> {
        let call = arrival.call;
        let idle = self.pools.get(&arrival.pool).and_then(Pool::peek_idle);
        let provisioned = idle.is_some_and(|(_, kind)| kind.is_provisioned());
        if let Err(reason) = self.ledger.admit(&arrival, provisioned, now) {
            return vec![Action::Refuse { call, reason }];
        }
        let pool = self.pools.entry(arrival.pool.clone()).or_default();
        if let Some((environment, kind)) = idle {
            pool.again = None;
            pool.set_busy(environment, now);
            self.keep_alive.rose(&arrival.pool.of(), now);
            return vec![Action::Run { call, environment, served_by: served_by(pool, kind) }];
        }
        if pool.waiting.len() >= WAITING_MAX {
            self.ledger.discharge(call);
            return vec![Action::GiveUp { call, why: GivenUp::TooMany }];
        }
        // An environment whose own call was already taken by a freed one may still be on its way.
        let is_short = pool.starting_count() <= pool.waiting.len();
        if is_short && let Err(reason) = self.ledger.may_grow(&arrival.pool.function_arn, now) {
            self.ledger.discharge(call);
            self.ledger.throttled(&arrival.pool.function_arn, reason, now);
            self.drop_if_empty(&arrival.pool);
            return vec![Action::Refuse { call, reason }];
        }
        pool.again = None;
        pool.waiting.push_back(Waiting { call, since: now });
        self.keep_alive.rose(&arrival.pool.of(), now);
        if is_short { self.start_one(arrival.pool, Purpose::Call, now) } else { Vec::new() }
    }

    /// An environment is up. It takes the longest-waiting call, or idles.
    pub fn ready(&mut self, environment: EnvironmentId, now: Timestamp) -> Vec<Action> {
        let mut actions = self.serve_or_idle(environment, None, now);
        self.provision_ready(environment, now, &mut actions);
        actions
    }

    /// An environment could not be made. The longest-waiting call fails with it, unless the environments
    /// still on their way are enough for all that wait, or this one was not made for a call: then one is.
    pub fn start_failed(&mut self, environment: EnvironmentId, now: Timestamp) -> Vec<Action> {
        let Some(key) = self.environments.get(&environment).cloned() else { return Vec::new() };
        let pool = self.pools.get_mut(&key).expect("a live environment's pool is kept");
        if pool.kind(environment) != Some(Kind::OnDemand) {
            return self.ahead_failed(environment, provision::NO_ENVIRONMENT, now);
        }
        self.environments.remove(&environment);
        pool.remove(environment);
        let short = pool.waiting.len() > pool.starting_count();
        let failed = if short { pool.waiting.pop_front() } else { None };
        self.drop_if_empty(&key);
        failed
            .map(|Waiting { call, .. }| {
                self.discharge(call, now);
                Action::Fail { call }
            })
            .into_iter()
            .collect()
    }

    /// What an environment was found to cost. To be told before it is [`Plan::ready`], and when it has changed.
    pub fn measured(&mut self, environment: EnvironmentId, measured: Measured) {
        if let Some(key) = self.environments.get(&environment) {
            self.keep_alive.measured(&key.of(), measured);
        }
    }

    /// A call was answered, and its environment asked for the next event (`reusable`) or is gone.
    pub fn finished(
        &mut self,
        call: CallId,
        environment: EnvironmentId,
        reusable: bool,
        now: Timestamp,
    ) -> Vec<Action> {
        let level = self.discharge(call, now);
        if reusable { self.serve_or_idle(environment, level, now) } else { self.gone(environment, now) }
    }

    /// An environment ended by itself while it was idle or after its call. Another takes its place when calls
    /// wait for one, or when it was provisioned.
    pub fn gone(&mut self, environment: EnvironmentId, now: Timestamp) -> Vec<Action> {
        let Some(key) = self.environments.remove(&environment) else { return Vec::new() };
        let Some(pool) = self.pools.get_mut(&key) else { return Vec::new() };
        let lived = pool.age(environment, now);
        let was_provisioned = pool.kind(environment) == Some(Kind::Provisioned);
        pool.remove(environment);
        let mut actions = Vec::new();
        if pool.waiting.len() > pool.starting_count() {
            actions = self.start_one(key.clone(), Purpose::Call, now);
        }
        if was_provisioned {
            self.provision_gone(&key, lived, now);
            actions.extend(self.fill(&key, now));
        }
        self.drop_if_empty(&key);
        actions
    }

    /// A function changed or was deleted. Its obsolete environments end now when they idle, and when their call
    /// has ended when they don't; calls that wait for one still get it.
    pub fn retire(&mut self, function_arn: &str, obsolete: Obsolete<'_>) -> Vec<Action> {
        let keys: Vec<PoolKey> = self
            .pools
            .keys()
            .filter(|k| &*k.function_arn == function_arn && obsolete.covers(k))
            .cloned()
            .collect();
        if matches!(obsolete, Obsolete::All) {
            self.keep_alive.remove(function_arn);
            self.ledger.remove(function_arn);
        }
        let mut actions = Vec::new();
        for key in keys {
            let pool = self.pools.get_mut(&key).expect("the key was just read from this map");
            pool.retiring = true;
            pool.target = 0;
            pool.again = None;
            for environment in pool.drain_idle() {
                self.environments.remove(&environment);
                actions.push(Action::Retire { environment });
            }
            self.drop_if_empty(&key);
        }
        actions
    }

    /// Ends what has idled too long or grown too old, and what waits too long; replaces what was provisioned and
    /// is old; makes what is expected to be called. To be called every [`TICK`].
    pub fn tick(&mut self, now: Timestamp) -> Vec<Action> {
        let age_max = self.settings.age_max;
        let (mut actions, mut given_up) = (Vec::new(), Vec::new());
        for pool in self.pools.values_mut() {
            for environment in pool.expire(now, age_max) {
                self.environments.remove(&environment);
                actions.push(Action::Retire { environment });
            }
            while pool.waiting.front().is_some_and(|waiting| now.since(waiting.since) >= WAIT_MAX)
                && let Some(Waiting { call, .. }) = pool.waiting.pop_front()
            {
                given_up.push(call);
            }
        }
        for call in given_up {
            self.discharge(call, now);
            actions.push(Action::GiveUp { call, why: GivenUp::TooLong });
        }
        self.provision_tick(now, &mut actions);
        self.ahead_tick(now, &mut actions);
        self.pools.retain(|_, pool| !pool.is_empty());
        self.ledger.forget(now);
        self.keep_alive.forget(now);
        actions
    }

    pub fn environment_count(&self) -> usize {
        self.environments.len()
    }

    /// Environments of the pool, those on their way among them.
    pub fn environments_of(&self, pool: &PoolKey) -> usize {
        self.pools.get(pool).map_or(0, Pool::member_count)
    }

    pub fn call_count(&self) -> usize {
        self.ledger.call_count()
    }

    fn start_one(&mut self, key: PoolKey, purpose: Purpose, now: Timestamp) -> Vec<Action> {
        self.last_environment += 1;
        let environment = EnvironmentId(self.last_environment);
        self.environments.insert(environment, key.clone());
        self.pools.entry(key.clone()).or_default().add_starting(environment, purpose.into(), now);
        vec![Action::Start { environment, pool: key, purpose }]
    }

    /// The call is over: nothing is held for it any more. Says how many its version had in flight.
    fn discharge(&mut self, call: CallId, now: Timestamp) -> Option<u32> {
        let of = self.ledger.discharge(call)?;
        Some(self.keep_alive.fell(&of, now))
    }

    /// `level` is how many calls the version had in flight when the environment was last needed.
    fn serve_or_idle(
        &mut self,
        environment: EnvironmentId,
        level: Option<u32>,
        now: Timestamp,
    ) -> Vec<Action> {
        let Some(key) = self.environments.get(&environment).cloned() else { return Vec::new() };
        let pool = self.pools.get_mut(&key).expect("a live environment's pool is kept");
        let kind = pool.kind(environment).unwrap_or(Kind::OnDemand);
        if let Some(Waiting { call, .. }) = pool.waiting.pop_front() {
            pool.set_busy(environment, now);
            if kind.is_provisioned() {
                self.ledger.runs_provisioned(call);
            }
            return vec![Action::Run { call, environment, served_by: served_by(pool, kind) }];
        }
        let is_unwanted = match kind {
            Kind::OnDemand | Kind::Warm => pool.age(environment, now) >= self.settings.age_max,
            Kind::Provisioned => false,
            Kind::Leaving => pool.is_filled(),
        };
        if pool.retiring || is_unwanted {
            pool.remove(environment);
            self.environments.remove(&environment);
            self.drop_if_empty(&key);
            return vec![Action::Retire { environment }];
        }
        self.idle(environment, &key, level, now)
    }

    fn drop_if_empty(&mut self, key: &PoolKey) {
        if self.pools.get(key).is_some_and(Pool::is_empty) {
            self.pools.remove(key);
        }
    }
}

fn served_by(pool: &Pool, kind: Kind) -> ServedBy {
    match kind {
        Kind::Provisioned | Kind::Leaving => ServedBy::Provisioned,
        Kind::OnDemand | Kind::Warm if pool.target > 0 => ServedBy::Spillover,
        Kind::OnDemand | Kind::Warm => ServedBy::OnDemand,
    }
}
