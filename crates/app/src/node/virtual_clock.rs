//! A clock that tests set forward: it goes as the machine's does, and by as much ahead of it as it was advanced.
//!
//! Advancing is not a jump. Time goes from one moment that somebody sleeps until to the next, and stands there until
//! all who woke are back asleep ([`Awake`]): six hours of retries are tried one after the other, each when it is due.
//!
//! Invariants: it never goes back; time is not advanced while anybody who was woken, or holds an [`Awake`], works.

use std::collections::BTreeMap;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use lambent_core::ports::{Awake, Clock, Nap};
use lambent_core::time::Timestamp;
use tokio::sync::Notify;
use tokio::time::{Instant, Sleep};

use super::system::SystemClock;

/// How soon a sleeper looks again at a machine's clock that may have been set.
const LOOK_EVERY: Duration = Duration::from_secs(1);

#[derive(Default)]
pub struct VirtualClock {
    shared: Arc<Shared>,
    /// Held by who advances it.
    turn: tokio::sync::Mutex<()>,
}

#[derive(Default)]
struct Shared {
    state: Mutex<State>,
    /// Nobody works any more.
    rested: Notify,
}

#[derive(Default)]
struct State {
    ahead: Duration,
    /// Who sleeps, by the moment and a number.
    naps: BTreeMap<(Timestamp, u64), Option<Waker>>,
    last_nap: u64,
    awake: usize,
}

impl State {
    fn now(&self) -> Timestamp {
        SystemClock.now().plus(self.ahead)
    }

    /// Whether everybody sleeps, and until later.
    fn rests(&self) -> bool {
        self.awake == 0 && self.first_nap().is_none_or(|at| at > self.now())
    }

    fn first_nap(&self) -> Option<Timestamp> {
        self.naps.keys().next().map(|(at, _)| *at)
    }

    /// Goes on to `at`; answers with who is to be woken.
    fn go_to(&mut self, at: Timestamp) -> Vec<Waker> {
        self.ahead += at.since(self.now());
        let now = self.now();
        self.naps.range_mut(..=(now, u64::MAX)).filter_map(|(_, waker)| waker.take()).collect()
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn change<T>(&self, change: impl FnOnce(&mut State) -> T) -> T {
        let mut state = self.lock();
        let changed = change(&mut state);
        if state.rests() {
            self.rested.notify_one();
        }
        changed
    }

    fn awake(self: &Arc<Self>) -> Awake {
        Awake::with(AtWork(self.clone()))
    }
}

/// Counted while it is there.
struct AtWork(Arc<Shared>);

impl Drop for AtWork {
    fn drop(&mut self) {
        self.0.change(|state| state.awake -= 1);
    }
}

impl VirtualClock {
    /// How far it is ahead of the machine's clock.
    pub fn ahead(&self) -> Duration {
        self.shared.lock().ahead
    }

    /// Advances by `by`, or as far as it comes within `patience`: answers with what is left.
    pub async fn advance(&self, by: Duration, patience: Duration) -> Duration {
        let until = Instant::now() + patience;
        let _turn = self.turn.lock().await;
        let target = self.now().plus(by);
        loop {
            let rested = async {
                // One who notices that nobody works leaves word, if need be for the next look.
                while !self.shared.lock().rests() {
                    self.shared.rested.notified().await;
                }
            };
            if tokio::time::timeout_at(until, rested).await.is_err() {
                return target.since(self.now());
            }
            let woken = {
                let mut state = self.shared.lock();
                if state.now() >= target {
                    return Duration::ZERO;
                }
                if !state.rests() {
                    continue;
                }
                let next = state.first_nap().map_or(target, |at| at.min(target));
                state.go_to(next)
            };
            for waker in woken {
                waker.wake();
            }
            // Where one thread does everything, it is the others' turn.
            tokio::task::yield_now().await;
        }
    }
}

impl Clock for VirtualClock {
    fn now(&self) -> Timestamp {
        self.shared.lock().now()
    }

    fn wall(&self) -> Timestamp {
        SystemClock.wall()
    }

    fn sleep_until(&self, at: Timestamp) -> Nap {
        let mut state = self.shared.lock();
        state.last_nap += 1;
        let key = (at, state.last_nap);
        state.naps.insert(key, None);
        drop(state);
        let timer = Box::pin(tokio::time::sleep(Duration::ZERO));
        Box::pin(Sleeper { shared: self.shared.clone(), key, timer })
    }

    fn awake(&self) -> Awake {
        self.shared.lock().awake += 1;
        self.shared.awake()
    }
}

/// Has its entry among the naps for as long as it sleeps.
struct Sleeper {
    shared: Arc<Shared>,
    key: (Timestamp, u64),
    /// Time goes on by itself, too.
    timer: Pin<Box<Sleep>>,
}

impl Future for Sleeper {
    type Output = Awake;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Awake> {
        loop {
            let left = {
                let mut state = self.shared.lock();
                let left = self.key.0.since(state.now());
                if left.is_zero() {
                    state.naps.remove(&self.key);
                    state.awake += 1;
                    drop(state);
                    return Poll::Ready(self.shared.awake());
                }
                state.naps.insert(self.key, Some(cx.waker().clone()));
                left.min(LOOK_EVERY)
            };
            self.timer.as_mut().reset(Instant::now() + left);
            if self.timer.as_mut().poll(cx).is_pending() {
                return Poll::Pending;
            }
        }
    }
}

impl Drop for Sleeper {
    fn drop(&mut self) {
        self.shared.change(|state| state.naps.remove(&self.key));
    }
}

#[cfg(test)]
mod tests;
