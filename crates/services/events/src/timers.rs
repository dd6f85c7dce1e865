//! Fires what is due: rules with a schedule, and schedules.
//!
//! What is to come stands in a heap in memory, made from the records when the node starts. How far each of them has
//! fired is a mark in the store of deliveries, set in the commit that accepts the fire's deliveries.
//!
//! Invariants:
//! - a moment fires once at the most, whenever the node is killed, and whatever the clock does: marks only rise;
//! - of the moments that were missed, because the node was down or the clock was set forward, the last one fires
//!   once, late, unless it is older than the target's events may become;
//! - what was deleted, disabled or changed does not fire by its old state.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap, HashSet};
use std::future::Future;
use std::pin::pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use lambent_core::ports::{Bell, Clock, Hop};
use lambent_core::time::Timestamp;
use lambent_store::StoreError;
use lambent_store::deliveries::Command;
use lambent_store::events::{Entry, Key, Kind, Record};

use crate::Events;
use crate::schedule::{Dialect, Expression, Timing, Zone, flexible_delay_ms};
use crate::way::Outgoing;

/// Ours: fires of one commit.
const FIRES_MAX: usize = 256;

/// Ours: the longest sleep. The clock wakes sleepers soon after it was set forward; set back, nothing is due earlier.
const SLEEP_MAX: Duration = Duration::from_secs(30);

/// Ours: how long to leave a store alone that has failed.
const RETRY_AFTER: Duration = Duration::from_secs(1);

/// API references: how old an event may become when nobody says.
const AGE_SECS_DEFAULT: u32 = 86_400;

const MINUTE_MS: u64 = 60_000;

/// Where changes of records wait for the firing side.
pub struct Timers {
    touched: Mutex<Vec<Key>>,
    wake: Bell,
}

impl Timers {
    pub fn new(clock: Arc<dyn Clock>) -> Self {
        Self { touched: Mutex::default(), wake: Bell::new(clock) }
    }

    /// The record under this key was made, changed or deleted.
    pub fn touch(&self, key: &Key) {
        self.touched.lock().unwrap_or_else(PoisonError::into_inner).push(key.clone());
        self.wake.ring();
    }

    fn take_touched(&self) -> Vec<Key> {
        std::mem::take(&mut *self.touched.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// The firing side's memory.
#[derive(Default)]
struct Heap {
    /// When, and which arming of what.
    due: BinaryHeap<Reverse<(Timestamp, u64)>>,
    /// By the number of their arming.
    armed: HashMap<u64, Armed>,
    /// The arming of each key that has one, and the source that it stands for.
    of: HashMap<Key, (u64, String)>,
    /// How far each source has fired.
    marks: HashMap<String, Timestamp>,
    armings: u64,
}

struct Armed {
    key: Key,
    generation: u64,
    moment: Timestamp,
}

/// What decides a record's fires.
pub struct Plan {
    /// The record's name for ever.
    pub source: String,
    pub timing: Timing,
    pub window_ms: u64,
    pub age_ms: u64,
}

impl Plan {
    /// The plan of a record that fires; `None` for one that does not, or is disabled.
    pub fn of(record: &Record) -> Option<Self> {
        let age_ms = |secs: Option<u32>| u64::from(secs.unwrap_or(AGE_SECS_DEFAULT)) * 1_000;
        match record {
            Record::Rule(rule) if rule.is_enabled => {
                let expression = Expression::parse(rule.schedule.as_deref()?, Dialect::Rule).ok()?;
                let (dialect, zone) = (Dialect::Rule, Zone::utc());
                let timing = Timing { expression, dialect, zone, since: rule.since, start: None, end: None };
                let ages = rule.targets.values().map(|target| age_ms(target.retry.age_secs_max));
                let age_ms = ages.max().unwrap_or_default();
                Some(Self { source: rule.id.clone(), timing, window_ms: 0, age_ms })
            }
            Record::Schedule(schedule) if schedule.is_enabled => {
                let timing = Timing {
                    expression: Expression::parse(&schedule.expression, Dialect::Scheduler).ok()?,
                    dialect: Dialect::Scheduler,
                    zone: Zone::named(&schedule.zone)?,
                    since: schedule.since,
                    start: schedule.start,
                    end: schedule.end,
                };
                let window_ms = u64::from(schedule.window_minutes.unwrap_or_default()) * MINUTE_MS;
                let age_ms = age_ms(schedule.target.retry.age_secs_max);
                Some(Self { source: schedule.id.clone(), timing, window_ms, age_ms })
            }
            _ => None,
        }
    }

    fn delay(&self, moment: Timestamp) -> Duration {
        Duration::from_millis(flexible_delay_ms(&self.source, moment, self.window_ms))
    }

    /// The moment that is to fire next, given the one that has fired last: a missed one, or one to come.
    fn next(&self, mark: Option<Timestamp>, now: Timestamp) -> Option<Timestamp> {
        let after = mark.unwrap_or_default();
        let missed = self.timing.last_due(after, now, self.age_ms);
        missed.or_else(|| self.timing.next(after.max(now)))
    }

    /// The moment to fire for at `now` when this one is due: a later one that is due as well replaces it.
    fn latest(&self, moment: Timestamp, now: Timestamp) -> Timestamp {
        let settled = Timestamp::from_millis(now.as_millis().saturating_sub(self.window_ms));
        self.timing.last_due(moment, settled, self.age_ms).unwrap_or(moment)
    }
}

impl Heap {
    fn arm(&mut self, key: &Key, entry: Option<&Entry>, now: Timestamp) {
        if let Some((number, _)) = self.of.remove(key) {
            self.armed.remove(&number);
        }
        let Some((entry, plan)) = entry.and_then(|entry| Some((entry, Plan::of(&entry.record)?))) else {
            return;
        };
        let Some(moment) = plan.next(self.marks.get(&plan.source).copied(), now) else { return };
        self.armings += 1;
        let number = self.armings;
        self.due.push(Reverse((moment.plus(plan.delay(moment)), number)));
        self.armed.insert(number, Armed { key: key.clone(), generation: entry.generation, moment });
        self.of.insert(key.clone(), (number, plan.source));
    }

    /// What is due, as many as one commit takes.
    fn take_due(&mut self, now: Timestamp) -> Vec<Armed> {
        let mut taken = Vec::new();
        while taken.len() < FIRES_MAX
            && let Some(Reverse((at, number))) = self.due.peek().copied()
            && at <= now
        {
            self.due.pop();
            // One that was armed anew since is found under its new number.
            if let Some(armed) = self.armed.remove(&number) {
                self.of.remove(&armed.key);
                taken.push(armed);
            }
        }
        taken
    }

    fn until_next(&self, now: Timestamp) -> Duration {
        self.due.peek().map_or(SLEEP_MAX, |Reverse((at, _))| at.since(now).min(SLEEP_MAX))
    }
}

/// A fire, ready to be committed.
struct Fire {
    key: Key,
    source: String,
    moment: Timestamp,
    commands: Vec<Command>,
    hops: Vec<Hop>,
}

impl Events {
    /// Fires what is due, until `stop`.
    pub async fn run_timers(&self, stop: impl Future<Output = ()>) {
        let mut stop = pin!(stop);
        let mut awake = self.deps.clock.awake();
        let mut heap = loop {
            match self.load().await {
                Ok(heap) => break heap,
                Err(error) => {
                    tracing::warn!(%error, "how far schedules have fired can't be read; tried again")
                }
            }
            tokio::select! {
                () = &mut stop => return,
                () = tokio::time::sleep(RETRY_AFTER) => {}
            }
        };
        loop {
            // Before the look, so that what is touched meanwhile is seen in the next round.
            let touched = self.timers.wake.heard();
            let sleep = self.fire_due(&mut heap).await;
            let nap = self.deps.clock.sleep_until(self.deps.clock.now().plus(sleep));
            drop(awake);
            tokio::select! {
                () = &mut stop => return,
                woken = touched => awake = woken,
                woken = nap => awake = woken,
            }
        }
    }

    /// Fires everything that is due now, as a node does that starts now. Says how many fires that were.
    pub async fn fire_due_once(&self) -> Result<usize, StoreError> {
        let mut heap = self.load().await?;
        let before = heap.marks.clone();
        self.fire_due(&mut heap).await;
        Ok(heap.marks.iter().filter(|(source, mark)| before.get(*source) != Some(mark)).count())
    }

    async fn load(&self) -> Result<Heap, StoreError> {
        let mut heap =
            Heap { marks: self.deps.deliveries.marks().await?.into_iter().collect(), ..Heap::default() };
        let now = self.deps.clock.now();
        let mut sources = HashSet::new();
        for kind in [Kind::Rule, Kind::Schedule] {
            for entry in self.deps.store.all(kind) {
                sources.insert(source_of(&entry.record).to_owned());
                heap.arm(&entry.key, Some(&entry), now);
                self.finish(&mut heap, &entry.key).await;
            }
        }
        // What was deleted just before the process ended left its mark behind.
        let orphans: Vec<String> =
            heap.marks.keys().filter(|source| !sources.contains(*source)).cloned().collect();
        for source in orphans {
            self.unmark(&mut heap, source).await;
        }
        Ok(heap)
    }

    /// Takes changes up and fires what is due. Says how long nothing will be due.
    async fn fire_due(&self, heap: &mut Heap) -> Duration {
        loop {
            for key in self.timers.take_touched() {
                let known = heap.of.get(&key).map(|(_, source)| source.clone());
                let entry = self.deps.store.get(&key);
                heap.arm(&key, entry.as_deref(), self.deps.clock.now());
                let is_gone = |source: &String| entry.as_ref().is_none_or(|e| source_of(&e.record) != source);
                if let Some(source) = known.filter(is_gone) {
                    self.unmark(heap, source).await;
                }
                self.finish(heap, &key).await;
            }
            let taken = heap.take_due(self.deps.clock.now());
            if taken.is_empty() {
                return heap.until_next(self.deps.clock.now());
            }
            let fires: Vec<Fire> = taken.into_iter().filter_map(|armed| self.fire(heap, armed)).collect();
            if let Err(fires) = self.commit(heap, fires).await {
                for fire in fires {
                    self.arm(heap, &fire.key);
                }
                return RETRY_AFTER;
            }
        }
    }

    fn arm(&self, heap: &mut Heap, key: &Key) {
        let entry = self.deps.store.get(key);
        heap.arm(key, entry.as_deref(), self.deps.clock.now());
    }

    /// The fire of a record that is due, or else it is armed anew.
    fn fire(&self, heap: &mut Heap, armed: Armed) -> Option<Fire> {
        let now = self.deps.clock.now();
        let entry = self.deps.store.get(&armed.key);
        let is_current = |entry: &std::sync::Arc<Entry>| entry.generation == armed.generation;
        let Some(entry) = entry.filter(is_current) else {
            self.arm(heap, &armed.key);
            return None;
        };
        let plan = Plan::of(&entry.record)?;
        let moment = plan.latest(armed.moment, now);
        let mut fired = Outgoing::default();
        fired.push(Command::Mark { source: plan.source.clone(), at: moment });
        self.deliver_fire(&entry, moment, &mut fired);
        let Outgoing { commands, hops } = fired;
        Some(Fire { key: armed.key, source: plan.source, moment, commands, hops })
    }

    /// Commits the fires: all together, or each by itself when one of them has happened already. Gives back those
    /// that the store could not take.
    async fn commit(&self, heap: &mut Heap, fires: Vec<Fire>) -> Result<(), Vec<Fire>> {
        let together = fires.iter().flat_map(|fire| fire.commands.clone()).collect();
        match self.deps.deliveries.apply(together).await {
            Ok(()) => {
                for mut fire in fires {
                    self.tell(std::mem::take(&mut fire.hops));
                    self.fired(heap, fire).await;
                }
                self.accepted();
                return Ok(());
            }
            Err(StoreError::Conflict) => {}
            Err(StoreError::Unavailable { detail }) => {
                tracing::warn!(detail, "fires can't be stored; tried again");
                return Err(fires);
            }
        }
        let mut failed = Vec::new();
        for mut fire in fires {
            match self.deps.deliveries.apply(fire.commands.clone()).await {
                Err(StoreError::Unavailable { .. }) => failed.push(fire),
                Ok(()) => {
                    self.tell(std::mem::take(&mut fire.hops));
                    self.fired(heap, fire).await;
                }
                // It has fired for this moment or a later one: so it is remembered.
                Err(StoreError::Conflict) => self.fired(heap, fire).await,
            }
        }
        self.accepted();
        if failed.is_empty() { Ok(()) } else { Err(failed) }
    }

    async fn fired(&self, heap: &mut Heap, fire: Fire) {
        let mark = heap.marks.entry(fire.source).or_default();
        *mark = fire.moment.max(*mark);
        self.arm(heap, &fire.key);
        self.finish(heap, &fire.key).await;
    }

    /// Deletes a schedule that has fired for the last time and is to go then.
    async fn finish(&self, heap: &mut Heap, key: &Key) {
        if heap.of.contains_key(key) {
            return;
        }
        let Some(entry) = self.deps.store.get(key) else { return };
        let Record::Schedule(schedule) = &entry.record else { return };
        let is_over =
            Plan::of(&entry.record).is_some_and(|plan| plan.timing.next(self.deps.clock.now()).is_none());
        if !schedule.deletes_itself || !is_over {
            return;
        }
        let delete =
            lambent_store::events::Command::Delete { key: key.clone(), generation: entry.generation };
        // Whoever changed it meanwhile has touched it, and it is looked at again; so it is after a new start.
        if self.deps.store.apply(vec![delete]).await.is_ok() {
            self.unmark(heap, schedule.id.clone()).await;
        }
    }

    async fn unmark(&self, heap: &mut Heap, source: String) {
        // What stays behind is taken away by the next start.
        if heap.marks.remove(&source).is_some() {
            let _ = self.deps.deliveries.apply(vec![Command::Unmark { source }]).await;
        }
    }
}

fn source_of(record: &Record) -> &str {
    match record {
        Record::Rule(rule) => &rule.id,
        Record::Schedule(schedule) => &schedule.id,
        Record::Bus(_)
        | Record::Group(_)
        | Record::Archive(_)
        | Record::Replay(_)
        | Record::Connection(_)
        | Record::Destination(_) => "",
    }
}
