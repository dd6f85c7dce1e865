//! One mapping at work: takes messages out of its queue, makes batches of them, and has these delivered side by side.
//!
//! Messages are taken only for batches that may start at once, so none waits here for another batch's end. One pull
//! waits at the queue for messages to come; while there are many, further ones take along what is there.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use lambent_core::ports::{Awake, MappingSample, PullRefusal, Pulled, QueueFacts};
use lambent_core::time::Timestamp;
use lambent_store::functions::MappingRecord;
use tokio::sync::{Notify, watch};
use tokio::task::JoinSet;

use super::delivery::{self, Delivered, Held};
use super::{RETRY_AFTER, hops};
use crate::Functions;
use crate::engine::mapping::filter::Filters;
use crate::engine::mapping::gather::Gather;
use crate::engine::mapping::scale::Scale;
use crate::engine::mapping::{BATCH_SIZE_MAX_FIFO, record};
use crate::engine::{recursion, versions};

/// SQS API: messages of one ReceiveMessage.
const PULL_MAX: usize = 10;

/// Ours: pulls of one mapping at one time.
const PULLS_MAX: usize = 8;

/// Ours: bytes of messages that the node's mappings hold at one time. Beyond it, a mapping goes on with one batch.
const HELD_BYTES_MAX: usize = 256 * 1024 * 1024;

/// Ours: the longest sleep. The wall clock may be set while a moment of it is waited for.
const SLEEP_MAX: Duration = Duration::from_secs(30);

/// Ours: what a pull that came back empty before its time is followed by.
const BREATH: Duration = Duration::from_millis(50);

/// What the deliveries of a mapping share.
#[derive(Default)]
pub(super) struct Room {
    /// Deliveries that wait because their function could not be run.
    pub waiting: AtomicU32,
    /// A call of the function ended: there may be room for one that waits.
    pub freed: Notify,
    /// A delivery began or ended its wait.
    pub changed: Notify,
}

/// A pull that is over: how many were asked for, and what came.
struct Pull {
    asked: usize,
    had_to_wait: bool,
    found: Result<Vec<Pulled>, PullRefusal>,
    /// Time does not go on between a message's leaving the queue and its call: its visibility timeout counts already.
    awake: Awake,
}

struct Poller {
    functions: Arc<Functions>,
    record: Arc<MappingRecord>,
    queue: QueueFacts,
    filters: Filters,
    gather: Gather<Held>,
    scale: Scale,
    room: Arc<Room>,
    /// True when the mapping is to end.
    stop: watch::Sender<bool>,
    /// True when nothing is to be taken out of the queue: pulls that wait for messages come back.
    recall: watch::Sender<bool>,
    pulls: JoinSet<Pull>,
    /// Messages that the pulls on their way may bring.
    asked: usize,
    /// How many pulls are worth while.
    appetite: usize,
    is_long_pulling: bool,
    /// The last pull brought all that it asked for.
    more_waits: bool,
    deliveries: JoinSet<Delivered>,
    /// Batches beyond what may be under way: a payload had no room for all of them.
    ready: VecDeque<Vec<Held>>,
    /// Nothing is taken out of the queue before that.
    pause_until: Option<Timestamp>,
    /// Of the last pull, until its messages are on their way.
    awake: Option<Awake>,
}

/// Works until the record says otherwise or `settings` has no sender any more, and all that was begun is over.
pub(super) async fn run(functions: Arc<Functions>, mut settings: watch::Receiver<Arc<MappingRecord>>) {
    let record = settings.borrow_and_update().clone();
    let mut poller = Poller::new(functions, record);
    let mut is_ending = false;
    while !is_ending {
        let wake = poller.step();
        let now = poller.now();
        let sleep = wake.map_or(SLEEP_MAX, |wake| wake.since(now).min(SLEEP_MAX));
        // To the millisecond behind it, by when the moment has come for sure.
        let nap = poller.functions.deps.clock.sleep_until(now.plus(sleep + Duration::from_millis(1)));
        let room = poller.room.clone();
        tokio::select! {
            // What is pulled after a change was stored is treated as the change says.
            biased;
            changed = settings.changed() => {
                let record = settings.borrow_and_update().clone();
                is_ending = changed.is_err() || !record.state.is_enabled();
                poller.set(record);
            }
            Some(pull) = poller.pulls.join_next() => {
                if let Ok(pull) = pull {
                    poller.pulled(pull).await;
                }
            }
            Some(delivered) = poller.deliveries.join_next() => poller.delivered(delivered.ok()),
            () = room.changed.notified() => {}
            _ = nap => {}
        }
    }
    poller.end().await;
}

impl Poller {
    fn new(functions: Arc<Functions>, record: Arc<MappingRecord>) -> Self {
        let queue = QueueFacts { is_fifo: record.source.ends_with(".fifo"), visibility: Duration::ZERO };
        let window = Duration::from_secs(record.window_secs.into());
        Self {
            gather: Gather::new(record.batch_size as usize, window),
            scale: Scale::new(&record, queue.is_fifo),
            functions,
            filters: filters(&record),
            record,
            queue,
            room: Arc::default(),
            stop: watch::Sender::new(false),
            recall: watch::Sender::new(false),
            pulls: JoinSet::new(),
            asked: 0,
            appetite: 1,
            is_long_pulling: false,
            more_waits: false,
            deliveries: JoinSet::new(),
            ready: VecDeque::new(),
            pause_until: None,
            awake: None,
        }
    }

    fn now(&self) -> Timestamp {
        self.functions.deps.clock.now()
    }

    fn set(&mut self, record: Arc<MappingRecord>) {
        self.gather.set(record.batch_size as usize, Duration::from_secs(record.window_secs.into()));
        self.scale.set(&record, self.queue.is_fifo);
        self.pause_until = None;
        self.filters = filters(&record);
        self.record = record;
    }

    /// Does what is to be done now; says when there is more to do, if nothing happens before.
    fn step(&mut self) -> Option<Timestamp> {
        let now = self.now();
        if let Some(batch) = self.gather.take_due(now) {
            self.ready.push_back(batch);
        }
        self.deliver_ready();
        self.awake = None;
        let window = self.gather.due();
        let next = match self.pause_until.filter(|until| *until > now) {
            Some(until) => Some(until),
            None => self.pull_more(now),
        };
        window.into_iter().chain(next).min()
    }

    fn deliver_ready(&mut self) {
        let most = self.record.maximum_concurrency.unwrap_or(u32::MAX) as usize;
        while self.deliveries.len() < most
            && let Some(batch) = self.ready.pop_front()
        {
            let stop = self.stop.subscribe();
            let (functions, record, room) = (self.functions.clone(), self.record.clone(), self.room.clone());
            let visibility = self.visibility();
            let awake = functions.deps.clock.awake();
            self.deliveries.spawn(delivery::run(functions, record, visibility, batch, room, stop, awake));
        }
    }

    fn pull_more(&mut self, now: Timestamp) -> Option<Timestamp> {
        // What can't be run is not taken out of the queue.
        let waiting = self.room.waiting.load(Ordering::SeqCst);
        if waiting > 0 {
            let running = u32::try_from(self.deliveries.len()).unwrap_or(u32::MAX);
            self.scale.found_no_room(running.saturating_sub(waiting), now);
            self.recall.send_replace(true);
            return None;
        }
        if let Some(problem) = self.problem() {
            self.functions.mappings.note(&self.record, problem);
            self.pause_until = Some(now.plus(RETRY_AFTER));
            return self.pause_until;
        }
        let is_busy = !self.deliveries.is_empty() || self.gather.len() > 0;
        if is_busy && self.functions.mappings.held_bytes.load(Ordering::Relaxed) > HELD_BYTES_MAX {
            return Some(now.plus(BREATH));
        }
        loop {
            let limit = self.wanted();
            if limit == 0 {
                return if self.more_waits { self.scale.is_short(now) } else { None };
            }
            if !self.more_waits {
                self.scale.is_ample(now);
            }
            if self.pulls.len() >= self.appetite {
                return None;
            }
            self.pull(limit);
        }
    }

    /// Why no message is to be taken at all.
    fn problem(&mut self) -> Option<&'static str> {
        let functions = &self.functions;
        match functions.deps.queue_source.facts(&self.record.source) {
            Some(facts) => self.queue = facts,
            None => return Some("PROBLEM: The queue does not exist"),
        }
        let Some(function) = functions.deps.store.function(&self.record.function) else {
            return Some("PROBLEM: The function does not exist");
        };
        let Ok(found) = versions::resolve(&function, self.record.qualifier.as_deref(), || 1.0) else {
            return Some("PROBLEM: The function's version or alias does not exist");
        };
        let role = &found.version.role;
        if !functions.deps.queue_source.lets_read(&self.record.source, self.record.account(), role) {
            return Some("PROBLEM: The function's role is not allowed to take messages of the queue");
        }
        (function.reserved_concurrency == Some(0))
            .then_some("PROBLEM: The function's reserved concurrency is 0")
    }

    /// How many messages the next pull may bring; 0 while all batches that may be under way are.
    fn wanted(&self) -> usize {
        let slots = (self.scale.now() as usize).saturating_sub(self.deliveries.len() + self.ready.len());
        if self.queue.is_fifo {
            // A pull is a batch: while it is under way, nothing more of its groups is handed out.
            let size = self.record.batch_size.min(BATCH_SIZE_MAX_FIFO) as usize;
            return if self.pulls.len() < slots { size } else { 0 };
        }
        let room = slots.saturating_mul(self.record.batch_size as usize);
        room.saturating_sub(self.gather.len() + self.asked).min(PULL_MAX)
    }

    fn pull(&mut self, limit: usize) {
        let had_to_wait = !self.is_long_pulling;
        self.is_long_pulling = true;
        self.asked += limit;
        let (functions, source) = (self.functions.clone(), self.record.source.clone());
        // Its batch may be open for the whole window.
        let visibility = self.visibility() + Duration::from_secs(self.record.window_secs.into());
        self.recall.send_replace(false);
        let mut recalled = self.recall.subscribe();
        self.pulls.spawn(async move {
            let over = had_to_wait.then(|| -> lambent_core::ports::BoxFuture<'_, ()> {
                Box::pin(async move {
                    let _ = recalled.wait_for(|recalled| *recalled).await;
                })
            });
            let found = functions.deps.queue_source.pull(&source, limit, visibility, over).await;
            Pull { asked: limit, had_to_wait, found, awake: functions.deps.clock.awake() }
        });
    }

    /// For how long a function has its messages for itself. A queue that was set to less than a call takes would hand
    /// them out while they are processed.
    fn visibility(&self) -> Duration {
        let timeout = || {
            let function = self.functions.deps.store.function(&self.record.function)?;
            let found = versions::resolve(&function, self.record.qualifier.as_deref(), || 1.0).ok()?;
            Some(Duration::from_secs(found.version.timeout_secs.into()))
        };
        self.queue.visibility.max(timeout().unwrap_or_default())
    }

    async fn pulled(&mut self, pull: Pull) {
        self.awake = Some(pull.awake);
        self.asked -= pull.asked;
        self.is_long_pulling &= !pull.had_to_wait;
        let now = self.now();
        match pull.found {
            Ok(messages) => {
                self.more_waits = messages.len() == pull.asked;
                self.appetite = if self.more_waits { (self.appetite * 2).min(PULLS_MAX) } else { 1 };
                if messages.is_empty() && pull.had_to_wait {
                    self.pause_until = Some(now.plus(BREATH));
                }
                if !messages.is_empty() {
                    self.take(messages, now).await;
                }
            }
            Err(PullRefusal::NoQueue { .. }) => self.pause_until = None,
            Err(PullRefusal::Unavailable { detail }) => {
                tracing::warn!(queue = self.record.source, detail, "a queue can't be read; tried again");
                self.functions.mappings.note(&self.record, "PROBLEM: The queue can't be read");
                self.pause_until = Some(now.plus(RETRY_AFTER));
            }
        }
    }

    /// Puts messages into batches, but for those that no filter wants or that go round in a loop.
    async fn take(&mut self, messages: Vec<Pulled>, now: Timestamp) {
        let polled = messages.len() as u64;
        let record = self.record.clone();
        let function_arn = delivery::target(&record).arn();
        let loops =
            self.functions.deps.store.function(&record.function).map(|function| function.recursive_loop);
        let (mut unwanted, mut batch) = (Vec::new(), Vec::new());
        for message in messages {
            let shown = record::record(&message, &record.source, record.region().as_str());
            if !self.filters.want(&shown) {
                unwanted.push(message.receipt_handle);
                continue;
            }
            let trace = message.system.get("AWSTraceHeader").cloned();
            let is_over = trace
                .as_deref()
                .zip(loops)
                .is_some_and(|(trace, loops)| recursion::advance(trace, &function_arn, loops).is_over);
            if is_over {
                // Left in the queue: it counts as received, and its queue's redrive policy takes it away.
                hops::stopped(&self.functions.deps, &record, &message, now);
                continue;
            }
            batch.push(Held::new(message, shown.to_string(), trace, now));
        }
        let filtered_out = unwanted.len() as u64;
        delivery::count(
            &self.functions,
            &record,
            MappingSample { polled, filtered_out, ..MappingSample::default() },
        );
        if !unwanted.is_empty() {
            delivery::drop_unwanted(&self.functions, &record, unwanted).await;
        }
        self.functions.mappings.hold(batch.iter().map(|held| held.record.len()).sum());
        if self.queue.is_fifo {
            self.ready.extend((!batch.is_empty()).then_some(batch));
            return;
        }
        for held in batch {
            let bytes = held.record.len();
            self.ready.extend(self.gather.add(held, bytes, now));
        }
    }

    fn delivered(&mut self, delivered: Option<Delivered>) {
        let now = self.now();
        match delivered {
            Some(Delivered::Done) => {}
            Some(Delivered::FoundNoRoom) => {
                let running = self.deliveries.len() as u32;
                self.scale.found_no_room(running, now);
                self.pause_until = Some(now.plus(RETRY_AFTER));
            }
            None => tracing::error!(mapping = self.record.id, "the delivery of a batch came down"),
        }
    }

    /// Ends what was begun: messages that no function saw go back as they were.
    async fn end(mut self) {
        self.stop.send_replace(true);
        self.recall.send_replace(true);
        while let Some(pull) = self.pulls.join_next().await {
            if let Ok(Pull { found: Ok(messages), .. }) = pull {
                let receipts = messages.into_iter().map(|message| message.receipt_handle).collect();
                delivery::put_back(&self.functions, &self.record, receipts, Duration::ZERO).await;
            }
        }
        let gathered = self.gather.flush();
        for batch in self.ready.drain(..).chain([gathered]) {
            self.functions.mappings.release(batch.iter().map(|held| held.record.len()).sum());
            let receipts = batch.into_iter().map(|held| held.receipt).collect();
            delivery::put_back(&self.functions, &self.record, receipts, Duration::ZERO).await;
        }
        while self.deliveries.join_next().await.is_some() {}
    }
}

/// They were read when they were set.
fn filters(record: &MappingRecord) -> Filters {
    Filters::parse(&record.filters).unwrap_or_else(|error| {
        tracing::error!(mapping = record.id, %error, "a stored filter can't be read; none is applied");
        Filters::default()
    })
}
