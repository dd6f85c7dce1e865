//! Environments behind their calls: kept, given up, and made again ahead of the next call.

use std::time::Duration;

use lambent_core::time::Timestamp;

use super::keep_alive::Again;
use super::pool::{Idle, Kind};
use super::{Action, EnvironmentId, Plan, PoolKey, Purpose, TICK};

/// Ours: how long one that was made for calls that somebody announced waits for them at the least.
const ANNOUNCED_MIN: Duration = Duration::from_secs(60);

/// Ours: for how long nothing is made ahead after the host was short of memory.
const SHORT_FOR: Duration = Duration::from_secs(60);

impl Plan {
    /// The environment has nothing to do: it is kept, or goes at once. `level` is how many calls its version had in
    /// flight when it was last needed; `None` where it has run none.
    pub(super) fn idle(
        &mut self,
        environment: EnvironmentId,
        key: &PoolKey,
        level: Option<u32>,
        now: Timestamp,
    ) -> Vec<Action> {
        let of = key.of();
        let stay = self.keep_alive.idle(&of, level.unwrap_or_else(|| self.keep_alive.next_level(&of)), now);
        let pool = self.pools.get_mut(key).expect("a live environment's pool is kept");
        let kind = pool.kind(environment).unwrap_or(Kind::OnDemand);
        let until = match (level, kind) {
            // It was made ahead: of calls that its version's history foretells, or that somebody announced.
            (None, Kind::Warm) => match pool.again.take() {
                Some(again) => again.until,
                None => stay.until.max(now.plus(ANNOUNCED_MIN)),
            },
            _ => stay.until,
        };
        if until > now || kind.is_provisioned() {
            pool.set_idle(environment, Idle { since: now, until, worth: stay.worth });
            return Vec::new();
        }
        if level.is_some() && !pool.retiring {
            pool.again = stay.again;
        }
        pool.remove(environment);
        self.environments.remove(&environment);
        self.drop_if_empty(key);
        vec![Action::Retire { environment }]
    }

    /// Gives up the environment that is least worth its memory, of any function: the host has no room for a new one.
    pub fn evict_one(&mut self) -> Option<Action> {
        let (_, environment, key, worth) = self.given_up_first().min_by_key(|(rank, id, ..)| (*rank, *id))?;
        let key = key.clone();
        Some(self.evict(&key, environment, worth))
    }

    /// The host is short of so many bytes: gives up environments that take as much, as far as there are any that
    /// idle, and makes none ahead of its call for a while.
    pub fn relieve(&mut self, bytes: u64, now: Timestamp) -> Vec<Action> {
        self.short_until = now.plus(SHORT_FOR);
        let mut ranked: Vec<_> =
            self.given_up_first().map(|(rank, id, key, worth)| (rank, id, key.clone(), worth)).collect();
        ranked.sort_unstable_by_key(|(rank, id, ..)| (*rank, *id));
        let mut freed = 0u64;
        let mut actions = Vec::new();
        for (_, environment, key, worth) in ranked {
            if freed >= bytes {
                break;
            }
            freed = freed.saturating_add(self.keep_alive.memory_bytes(&key.of()));
            actions.push(self.evict(&key, environment, worth));
        }
        actions
    }

    /// All that idle, with their ranks: the least goes first.
    fn given_up_first(&self) -> impl Iterator<Item = ((u64, Timestamp), EnvironmentId, &PoolKey, u64)> {
        self.pools.iter().flat_map(move |(key, pool)| {
            pool.idle().map(move |(id, Idle { since, worth, .. })| {
                (self.keep_alive.rank(worth, since), id, key, worth)
            })
        })
    }

    fn evict(&mut self, key: &PoolKey, environment: EnvironmentId, worth: u64) -> Action {
        self.keep_alive.evicted(worth);
        self.environments.remove(&environment);
        self.pools.get_mut(key).expect("the pool of one that idles is kept").remove(environment);
        self.drop_if_empty(key);
        Action::Retire { environment }
    }

    /// Starts the environments whose calls are expected soon.
    pub(super) fn ahead_tick(&mut self, now: Timestamp, actions: &mut Vec<Action>) {
        let is_due = |again: &Again| now.plus(TICK) >= again.at;
        let mut due = Vec::new();
        for (key, pool) in &mut self.pools {
            let Some(again) = pool.again.filter(is_due) else { continue };
            if now >= again.until || now < self.short_until {
                pool.again = None;
            } else if pool.free_or_starting() == 0 {
                due.push(key.clone());
            }
        }
        for key in due {
            if self.ledger.may_grow(&key.function_arn, now).is_ok() {
                actions.extend(self.start_one(key, Purpose::Warm, now));
            }
        }
    }
}
