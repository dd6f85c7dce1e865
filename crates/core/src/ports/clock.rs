//! Time, as the rooms see it: what it is, and how to wait for a moment of it.
//!
//! A node's time may be virtual: a test has it advance by hours, which go from one moment that somebody waits for to
//! the next. Hence two rules for whoever works by the clock: waiting is [`Clock::sleep_until`] and not a timer of one's
//! own, and work that is under way holds an [`Awake`], so that it ends at the moment at which it began. How long a
//! program runs, a connection rests or a disk is left alone is no matter of this clock.

use std::fmt;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};

use crate::time::Timestamp;

/// The node's clock.
pub trait Clock: Send + Sync {
    fn now(&self) -> Timestamp;

    /// What clocks outside of the node show: clients sign their requests by it, functions count what is left of their
    /// time by it. Differs from [`Clock::now`] where the node's time is virtual, or the machine's was set back: a
    /// node's own never goes back.
    fn wall(&self) -> Timestamp {
        self.now()
    }

    /// Resolves once the clock shows `at`. The sleep begins with this call, polled or not. Of a clock that is set
    /// meanwhile: set forward, it ends soon after; set back, no later than it would have.
    fn sleep_until(&self, at: Timestamp) -> Nap;

    /// For work that no nap led to.
    fn awake(&self) -> Awake {
        Awake::default()
    }
}

/// See [`Clock::sleep_until`].
pub type Nap = Pin<Box<dyn Future<Output = Awake> + Send>>;

/// Held by who works: virtual time does not advance while there is one. The wall clock doesn't wait for anybody.
///
/// Who goes back to sleep begins the next nap, and then lets go of this.
#[derive(Default)]
pub struct Awake(#[expect(dead_code, reason = "is there to be dropped")] Option<Box<dyn Send + Sync>>);

impl Awake {
    /// Drops `guard` when it is dropped.
    pub fn with(guard: impl Send + Sync + 'static) -> Self {
        Self(Some(Box::new(guard)))
    }
}

impl fmt::Debug for Awake {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Awake")
    }
}

/// Calls one worker to its work. Who rings it keeps virtual time where it is until the worker has heard it.
pub struct Bell {
    clock: Arc<dyn Clock>,
    state: Mutex<Rung>,
}

#[derive(Default)]
struct Rung {
    /// It was rung, and nobody has heard it yet.
    awake: Option<Awake>,
    worker: Option<Waker>,
}

impl Bell {
    pub fn new(clock: Arc<dyn Clock>) -> Self {
        Self { clock, state: Mutex::default() }
    }

    /// There is work.
    pub fn ring(&self) {
        let mut state = self.lock();
        if state.awake.is_none() {
            state.awake = Some(self.clock.awake());
        }
        let worker = state.worker.take();
        drop(state);
        if let Some(worker) = worker {
            worker.wake();
        }
    }

    /// Resolves when it is rung, or at once if nobody has heard it since.
    pub fn heard(&self) -> Heard<'_> {
        Heard(self)
    }

    fn lock(&self) -> MutexGuard<'_, Rung> {
        // Each change under this lock is a few calls that can't panic.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// See [`Bell::heard`].
pub struct Heard<'a>(&'a Bell);

impl Future for Heard<'_> {
    type Output = Awake;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Awake> {
        let mut state = self.0.lock();
        match state.awake.take() {
            Some(awake) => Poll::Ready(awake),
            None => {
                state.worker = Some(cx.waker().clone());
                Poll::Pending
            }
        }
    }
}
