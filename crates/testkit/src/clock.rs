//! A clock that stands still until it is told otherwise.

use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use lambent_core::Timestamp;
use lambent_core::ports::{Awake, Clock, Nap};

/// Shows the time that it was last told. It may go backwards, as real ones do. Whoever sleeps by it wakes when it is
/// told a time that is late enough.
#[derive(Debug)]
pub struct FalseClock(Arc<Mutex<State>>);

#[derive(Debug)]
struct State {
    now: Timestamp,
    /// Woken at every change; some of them find that it is too early.
    sleepers: Vec<Waker>,
}

impl FalseClock {
    pub fn at(now: Timestamp) -> Self {
        Self(Arc::new(Mutex::new(State { now, sleepers: Vec::new() })))
    }

    pub fn set(&self, now: Timestamp) {
        self.change(|_| now);
    }

    pub fn advance(&self, by: Duration) {
        self.change(|now| now.plus(by));
    }

    fn change(&self, to: impl FnOnce(Timestamp) -> Timestamp) {
        let mut state = lock(&self.0);
        state.now = to(state.now);
        let sleepers = std::mem::take(&mut state.sleepers);
        drop(state);
        for sleeper in sleepers {
            sleeper.wake();
        }
    }
}

fn lock(state: &Mutex<State>) -> MutexGuard<'_, State> {
    state.lock().unwrap_or_else(PoisonError::into_inner)
}

/// 2023-11-14T22:13:20Z: any date well after 1970 that reads as one.
impl Default for FalseClock {
    fn default() -> Self {
        Self::at(Timestamp::from_millis(1_700_000_000_000))
    }
}

impl Clock for FalseClock {
    fn now(&self) -> Timestamp {
        lock(&self.0).now
    }

    fn sleep_until(&self, at: Timestamp) -> Nap {
        Box::pin(Sleep { clock: self.0.clone(), at })
    }
}

struct Sleep {
    clock: Arc<Mutex<State>>,
    at: Timestamp,
}

impl Future for Sleep {
    type Output = Awake;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Awake> {
        let mut state = lock(&self.clock);
        if state.now >= self.at {
            return Poll::Ready(Awake::default());
        }
        if !state.sleepers.iter().any(|sleeper| sleeper.will_wake(cx.waker())) {
            state.sleepers.push(cx.waker().clone());
        }
        Poll::Pending
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_clock_shows_what_it_was_told() {
        let clock = FalseClock::default();
        let start = clock.now();
        assert_eq!(clock.now(), start);
        clock.advance(Duration::from_secs(3));
        assert_eq!(clock.now().since(start), Duration::from_secs(3));
        clock.set(Timestamp::from_millis(7));
        assert_eq!(clock.now().as_millis(), 7);
    }

    #[test]
    fn who_sleeps_wakes_at_the_time_that_was_slept_for() {
        let clock = FalseClock::default();
        let mut nap = clock.sleep_until(clock.now().plus(Duration::from_secs(2)));
        let mut cx = Context::from_waker(Waker::noop());
        clock.advance(Duration::from_secs(1));
        assert!(nap.as_mut().poll(&mut cx).is_pending());
        clock.advance(Duration::from_secs(1));
        assert!(nap.as_mut().poll(&mut cx).is_ready());
    }
}
