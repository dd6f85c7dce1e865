//! What is made ahead of need: sandboxes that wait for a program, and sandboxes whose language runtime has booted
//! and waits for its function. Neither knows a function; each is used once.
//!
//! [`Cells::run`] makes them off the path of any call. [`Demand`] says how many of a kind are worth having, and
//! [`next_step`] which to make or to give up within the budget of memory. A kind that can't be made rests for a
//! while and keeps no other from being made. When none waits, the caller has a runtime copied ([`Cells::copy`]) or
//! makes its own with [`Cells::make`].

#[cfg(test)]
mod tests;
mod zygotes;

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use lambent_core::Timestamp;
use lambent_core::limits::MIB;
use lambent_core::ports::sandbox::{Booted, Cell, Limits, SandboxError, Shape};
use lambent_core::ports::{Clock, Sandboxes};
use lambent_core::runtime::Runtime;
use tokio::sync::Notify;
use tokio::time::Instant;

use super::executor::Launcher;
use crate::plan::demand::Demand;
use crate::plan::stock::{Shelf as Listed, Step, next_step};

/// Cells of one kind that wait, however much memory there is: each holds descriptors, and a network namespace.
const WAITING_MAX: usize = 256;

/// How many are made at a time, so that calls keep most of the CPU.
const MAKERS: usize = 2;

/// How often the stock is looked over when nobody takes from it.
const LOOK_EVERY: Duration = Duration::from_secs(30);

/// A cell that was taken is replaced behind the call that took it: once nobody has taken one for the first of these
/// times, and at the latest after the second.
const QUIET: Duration = Duration::from_millis(10);
const QUIET_MAX: Duration = Duration::from_millis(50);

/// How long a kind rests that can't be made: at first, and at most.
const REST_MIN: Duration = Duration::from_millis(500);
const REST_MAX: Duration = Duration::from_secs(60);

/// What a cell is taken to cost before the first of its kind was measured. Less than some take: one of those is made,
/// measured and given up, but what would fit a small budget is not kept from it by a guess.
const BARE_COST: u64 = 2 * MIB;
const BOOTED_COST: u64 = 8 * MIB;

/// No cell takes less. The kernel counts late: what it says of a cell that is just made may be next to nothing.
const COST_MIN: u64 = MIB;

/// The limits of a cell that waits: what its interpreter needs to boot.
const WAITING: Limits =
    Limits { memory_mb: 512, cpu_millis: 1_000, tmp_mb: lambent_core::limits::EPHEMERAL_MB_MIN };

/// Which waiting cells can serve a function.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
struct Kind {
    /// Without one they are bare.
    booted: Option<BootedKind>,
    shape: Shape,
}

/// Those of a function's runtime; where the heap's size is settled at the start, also with its memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
struct BootedKind {
    runtime: &'static str,
    memory_mb: u32,
}

impl BootedKind {
    fn of(runtime: &'static Runtime, memory_mb: u32) -> Self {
        let is_sized = runtime.settles_heap_at_start();
        let memory_mb = if is_sized { memory_mb } else { lambent_core::limits::MEMORY_MB_DEFAULT };
        Self { runtime: runtime.id, memory_mb }
    }
}

enum Item {
    Bare(Box<dyn Cell>),
    Booted(Box<dyn Booted>),
}

impl Item {
    fn memory_bytes(&self) -> Option<u64> {
        match self {
            Self::Bare(cell) => cell.memory_bytes(),
            Self::Booted(cell) => cell.memory_bytes(),
        }
    }

    fn is_alive(&self) -> bool {
        match self {
            Self::Bare(cell) => cell.is_alive(),
            Self::Booted(cell) => cell.is_alive(),
        }
    }
}

struct Shelf {
    items: VecDeque<Item>,
    /// Being made.
    making: usize,
    demand: Demand,
    cost: u64,
    /// The cost is no guess any more.
    is_weighed: bool,
    failures: u32,
    rests_until: Option<Timestamp>,
}

pub struct Cells {
    sandboxes: Arc<dyn Sandboxes>,
    launcher: Arc<dyn Launcher>,
    clock: Arc<dyn Clock>,
    /// Bytes that all waiting cells together may take.
    budget: u64,
    /// Whether runtimes may be copied.
    zygotes: bool,
    shelves: Mutex<HashMap<Kind, Shelf>>,
    wanted: Notify,
    last_taken: Mutex<Option<Instant>>,
}

impl Cells {
    pub fn new(
        sandboxes: Arc<dyn Sandboxes>,
        launcher: Arc<dyn Launcher>,
        clock: Arc<dyn Clock>,
        budget: u64,
        zygotes: bool,
    ) -> Self {
        let (shelves, last_taken) = (Mutex::default(), Mutex::default());
        Self { sandboxes, launcher, clock, budget, zygotes, shelves, wanted: Notify::new(), last_taken }
    }

    /// A bare cell that waits, if there is one.
    pub fn take(&self, shape: Shape) -> Option<Box<dyn Cell>> {
        match self.take_item(Kind { booted: None, shape })? {
            Item::Bare(cell) => Some(cell),
            Item::Booted(_) => None,
        }
    }

    /// A booted cell that waits, if there is one.
    pub fn take_booted(
        &self,
        runtime: &'static Runtime,
        memory_mb: u32,
        shape: Shape,
    ) -> Option<Box<dyn Booted>> {
        match self.take_item(self.kind_of(runtime, memory_mb, shape)?)? {
            Item::Booted(cell) => Some(cell),
            Item::Bare(_) => None,
        }
    }

    /// A function of this kind may be called soon.
    pub fn expect(&self, runtime: &'static Runtime, memory_mb: u32, shape: Shape) {
        let kind = self.kind_of(runtime, memory_mb, shape).unwrap_or(Kind { booted: None, shape });
        let now = self.clock.now();
        shelf(&mut self.lock(), kind, now).demand.expected(now);
        self.wanted.notify_one();
        // Also where nothing may wait.
        if let Some(booted) = kind.booted
            && let Some(job) = self.program(runtime, booted.memory_mb, WAITING)
        {
            self.keeps_zygote(runtime, &job);
        }
    }

    /// A new bare cell, made now.
    pub async fn make(&self, shape: Shape) -> Result<Box<dyn Cell>, SandboxError> {
        self.sandboxes.prepare(shape).await
    }

    /// Gives all waiting cells back to the host, which has no room, and makes no more for `rest`, or for a
    /// moment. False when there were none.
    pub fn release(&self, rest: Duration) -> bool {
        let until = self.clock.now().plus(rest.max(REST_MIN));
        let mut shelves = self.lock();
        let mut given_back = Vec::new();
        for shelf in shelves.values_mut() {
            shelf.rests_until = shelf.rests_until.max(Some(until));
            given_back.extend(shelf.items.drain(..));
        }
        drop(shelves);
        !given_back.is_empty()
    }

    /// Keeps the stock at what demand asks for, as far as the budget goes.
    pub async fn run(&self) {
        const { assert!(MAKERS == 2) };
        tokio::join!(self.refill(), self.refill());
    }

    async fn refill(&self) {
        loop {
            // Before the look, so that what is taken meanwhile is seen in the next round.
            let wanted = self.wanted.notified();
            self.quiet().await;
            match self.decide() {
                Some(Step::Make(kind)) => {
                    // There may be work for another maker.
                    self.wanted.notify_one();
                    self.restock(kind).await;
                }
                Some(Step::GiveUp(kind)) => self.give_up(kind),
                None => {
                    // One maker hears of it, and wakes the other when there is enough for two.
                    let asked = async {
                        tokio::select! { () = wanted => {}, () = self.sandboxes.lost() => {} }
                    };
                    let until = self.clock.now().plus(self.patience());
                    tokio::select! { () = asked => {}, _ = self.clock.sleep_until(until) => {} }
                }
            }
        }
    }

    /// Waits out the calls that have just taken a cell.
    async fn quiet(&self) {
        let latest = Instant::now() + QUIET_MAX;
        loop {
            let taken = *self.last_taken.lock().expect("no code panics while it holds this lock");
            let Some(quiet) = taken.map(|taken| latest.min(taken + QUIET)) else { return };
            if quiet <= Instant::now() {
                return;
            }
            tokio::time::sleep_until(quiet).await;
        }
    }

    /// The kind whose runtime boots ahead; `None` where it is started for its function only.
    fn kind_of(&self, runtime: &'static Runtime, memory_mb: u32, shape: Shape) -> Option<Kind> {
        let booted = BootedKind::of(runtime, memory_mb);
        let boots = self.sandboxes.boots() && self.launcher.boot(runtime, booted.memory_mb).is_some();
        boots.then_some(Kind { booted: Some(booted), shape })
    }

    fn take_item(&self, kind: Kind) -> Option<Item> {
        let now = self.clock.now();
        let mut shelves = self.lock();
        let shelf = shelf(&mut shelves, kind, now);
        shelf.demand.asked(now);
        let mut ended = Vec::new();
        let found = loop {
            // The one that waited longest: the newest may still be booting.
            match shelf.items.pop_front() {
                Some(item) if !item.is_alive() => ended.push(item),
                other => break other,
            }
        };
        drop(shelves);
        *self.last_taken.lock().expect("no code panics while it holds this lock") = Some(Instant::now());
        self.wanted.notify_one();
        found
    }

    /// What to do next; a cell that is to be made counts from here on.
    fn decide(&self) -> Option<Step<Kind>> {
        let now = self.clock.now();
        let mut shelves = self.lock();
        let mut ended = Vec::new();
        for shelf in shelves.values_mut() {
            let (alive, gone) = std::mem::take(&mut shelf.items).into_iter().partition(Item::is_alive);
            shelf.items = alive;
            ended.extend::<VecDeque<_>>(gone);
        }
        shelves.retain(|_, shelf| {
            shelf.demand.target(now, WAITING_MAX) > 0 || shelf.making > 0 || !shelf.items.is_empty()
        });
        let listed: Vec<_> = shelves.iter().map(|(kind, shelf)| shelf.listed(*kind, now)).collect();
        let step = next_step(&listed, self.budget);
        if let Some(Step::Make(kind)) = step
            && let Some(shelf) = shelves.get_mut(&kind)
        {
            shelf.making += 1;
        }
        drop(shelves);
        step
    }

    fn give_up(&self, kind: Kind) {
        let given_up = self.lock().get_mut(&kind).and_then(|shelf| shelf.items.pop_back());
        // Not under the lock: removing a sandbox tells others.
        drop(given_up);
    }

    /// Until when nothing can be done unless somebody asks.
    fn patience(&self) -> Duration {
        let now = self.clock.now();
        let shelves = self.lock();
        let rests = shelves.values().filter_map(|shelf| shelf.rests_until).filter(|until| *until > now);
        rests.map(|until| until.since(now)).min().map_or(LOOK_EVERY, |rest| rest.min(LOOK_EVERY))
    }

    async fn restock(&self, kind: Kind) {
        let made = match kind.booted {
            Some(booted) => self.boot(booted, kind.shape).await.map(Item::Booted),
            None => self.make(kind.shape).await.map(|cell| {
                cell.prefork();
                Item::Bare(cell)
            }),
        };
        let cost = made.as_ref().ok().and_then(Item::memory_bytes);
        let now = self.clock.now();
        let mut shelves = self.lock();
        // It stays while something of it is being made.
        let Some(shelf) = shelves.get_mut(&kind) else { return };
        shelf.making = shelf.making.saturating_sub(1);
        match made {
            Ok(item) => {
                if let Some(cost) = cost {
                    shelf.weigh(cost);
                }
                (shelf.failures, shelf.rests_until) = (0, None);
                shelf.items.push_back(item);
            }
            Err(error) => {
                // Calls make their own cells, and report what is wrong with them.
                tracing::debug!(?kind, %error, "no cell for the stock");
                let rest = REST_MIN.saturating_mul(1 << shelf.failures.min(16)).min(REST_MAX);
                shelf.failures += 1;
                shelf.rests_until = Some(now.plus(rest));
            }
        }
    }

    async fn boot(&self, kind: BootedKind, shape: Shape) -> Result<Box<dyn Booted>, SandboxError> {
        let gone = || SandboxError::Internal { detail: format!("{} can't be booted any more", kind.runtime) };
        let runtime = lambent_core::runtime::find(kind.runtime).ok_or_else(gone)?;
        let job = self.program(runtime, kind.memory_mb, WAITING).ok_or_else(gone)?;
        self.keeps_zygote(runtime, &job);
        self.make(shape).await?.boot(job).await
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Kind, Shelf>> {
        self.shelves.lock().expect("no code panics while it holds this lock")
    }
}

impl Shelf {
    /// Learns from one cell what the next will cost. One measurement may be far off, and is no more than a part of it.
    fn weigh(&mut self, measured: u64) {
        let measured = measured.max(COST_MIN);
        self.cost = if self.is_weighed { (3 * self.cost + measured) / 4 } else { measured };
        self.is_weighed = true;
    }

    fn listed(&self, kind: Kind, now: Timestamp) -> Listed<Kind> {
        Listed {
            kind,
            have: self.items.len() + self.making,
            waiting: self.items.len(),
            target: self.demand.target(now, WAITING_MAX),
            cost: self.cost,
            resting: self.rests_until.is_some_and(|until| until > now),
        }
    }
}

fn shelf(shelves: &mut HashMap<Kind, Shelf>, kind: Kind, now: Timestamp) -> &mut Shelf {
    let cost = if kind.booted.is_some() { BOOTED_COST } else { BARE_COST };
    shelves.entry(kind).or_insert_with(|| Shelf {
        items: VecDeque::new(),
        making: 0,
        demand: Demand::new(now),
        cost,
        is_weighed: false,
        failures: 0,
        rests_until: None,
    })
}
