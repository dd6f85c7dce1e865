//! The Telemetry API (2022-07-01) of one environment: who subscribed to what, and what is on its way to them.
//!
//! [`subscription`] understands requests and [`batch`] collects events, both pure; [`deliver`] brings batches into the
//! sandbox; [`http`] holds the request. Where nobody subscribed, events are not even made: ask [`Telemetry::wants`].
//! Everything held is bounded by what the subscribers asked for.

pub mod batch;
mod deliver;
pub mod http;
pub mod subscription;

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::{Duration, Instant};

use bytes::Bytes;
use lambent_core::ports::Clock;
use lambent_core::ports::sandbox::Environment;
use lambent_core::time::Timestamp;
use serde_json::{Value, json};
use tokio::sync::Notify;
use tokio::task::{AbortHandle, JoinSet};

use batch::Batcher;
use subscription::{Category, Subscription};

/// What is kept of the time before a subscription: the events of a start.
const BACKLOG_MAX: usize = 500;

/// How long the end of an environment waits for subscribers to take what is held for them.
const LAST_BATCH: Duration = Duration::from_millis(500);

/// One event, before it is known how each subscriber wants it.
#[derive(Debug, Clone)]
pub struct Told {
    pub category: Category,
    pub time: Timestamp,
    pub kind: &'static str,
    pub record: Value,
}

pub struct Telemetry {
    clock: Arc<dyn Clock>,
    wanted: AtomicBool,
    inner: Mutex<Inner>,
}

struct Inner {
    /// Absent when the environment ends.
    environment: Option<Arc<dyn Environment>>,
    subscribers: Vec<Subscribed>,
    tasks: JoinSet<()>,
    /// While subscriptions are expected.
    backlog: Option<Vec<Told>>,
    closed: bool,
}

struct Subscribed {
    subscriber: Arc<Subscriber>,
    task: AbortHandle,
}

pub struct Subscriber {
    name: String,
    subscription: Subscription,
    state: Mutex<State>,
    news: Notify,
    clock: Arc<dyn Clock>,
}

struct State {
    batcher: Batcher,
    in_flight: bool,
}

impl Telemetry {
    pub fn new(clock: Arc<dyn Clock>, environment: Arc<dyn Environment>) -> Self {
        let inner = Inner {
            environment: Some(environment),
            subscribers: Vec::new(),
            tasks: JoinSet::new(),
            backlog: None,
            closed: false,
        };
        Self { clock, wanted: AtomicBool::new(false), inner: Mutex::new(inner) }
    }

    /// Whether anybody will see an event.
    pub fn wants(&self) -> bool {
        self.wanted.load(Ordering::Acquire)
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().expect("no code panics while it holds this lock")
    }

    /// Keeps what is told for those who subscribe later.
    pub fn expect(&self) {
        self.lock().backlog = Some(Vec::new());
        self.wanted.store(true, Ordering::Release);
    }

    /// The init phase is over: nobody may subscribe any more.
    pub fn close(&self) {
        let mut inner = self.lock();
        inner.closed = true;
        inner.backlog = None;
        self.wanted.store(!inner.subscribers.is_empty(), Ordering::Release);
    }

    /// False when the init phase is over.
    pub fn subscribe(&self, name: &str, subscription: Subscription) -> bool {
        let mut inner = self.lock();
        let Some(environment) = inner.environment.clone().filter(|_| !inner.closed) else { return false };
        let subscriber = Arc::new(Subscriber {
            name: name.to_owned(),
            state: Mutex::new(State { batcher: Batcher::new(subscription.buffering), in_flight: false }),
            subscription,
            news: Notify::new(),
            clock: self.clock.clone(),
        });
        for told in inner.backlog.iter().flatten() {
            subscriber.tell(told);
        }
        // Who subscribes again changes the subscription.
        inner.subscribers.retain(|other| {
            let stays = other.subscriber.name != name;
            if !stays {
                other.task.abort();
            }
            stays
        });
        while inner.tasks.try_join_next().is_some() {}
        let task = inner.tasks.spawn(deliver::deliver(subscriber.clone(), environment));
        inner.subscribers.push(Subscribed { subscriber, task });
        self.wanted.store(true, Ordering::Release);
        true
    }

    pub fn tell(&self, told: Told) {
        let mut inner = self.lock();
        for Subscribed { subscriber, .. } in &inner.subscribers {
            subscriber.tell(&told);
        }
        if let Some(backlog) = inner.backlog.as_mut().filter(|backlog| backlog.len() < BACKLOG_MAX) {
            backlog.push(told);
        }
    }

    pub fn line(&self, category: Category, time: Timestamp, text: &str) {
        let record = Value::from(text.trim_end_matches('\n'));
        self.tell(Told { category, time, kind: category.as_str(), record });
    }

    /// Has everything that is held delivered, as far as that takes no longer than it may.
    pub async fn flush(&self) {
        let subscribers: Vec<_> =
            self.lock().subscribers.iter().map(|subscribed| subscribed.subscriber.clone()).collect();
        for subscriber in &subscribers {
            subscriber.lock().batcher.hurry();
            subscriber.news.notify_one();
        }
        let until = tokio::time::Instant::now() + LAST_BATCH;
        while subscribers.iter().any(|subscriber| subscriber.is_busy()) && tokio::time::Instant::now() < until
        {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    }

    /// The environment is gone.
    pub fn end(&self) {
        let mut inner = self.lock();
        inner.environment = None;
        inner.tasks.abort_all();
        inner.subscribers.clear();
        inner.backlog = None;
        self.wanted.store(false, Ordering::Release);
    }
}

impl Subscriber {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().expect("no code panics while it holds this lock")
    }

    fn wants(&self, category: Category) -> bool {
        self.subscription.types.contains(&category)
    }

    fn tell(&self, told: &Told) {
        if !self.wants(told.category) {
            return;
        }
        let object = match &told.record {
            Value::String(text) if self.subscription.objects && text.starts_with('{') => {
                serde_json::from_str::<Value>(text).ok().filter(Value::is_object)
            }
            _ => None,
        };
        let event = event(told.time, told.kind, object.as_ref().unwrap_or(&told.record));
        self.lock().batcher.push(event, Instant::now());
        self.news.notify_one();
    }

    fn take_batch(&self) -> Vec<Bytes> {
        let mut state = self.lock();
        let mut batch = state.batcher.take();
        state.in_flight = true;
        if self.wants(Category::Platform)
            && let Some(dropped) = state.batcher.take_dropped()
        {
            let reason = "Consumer seems to have fallen behind as it has not acknowledged receipt of logs.";
            let record = json!({
                "droppedRecords": dropped.records, "droppedBytes": dropped.bytes, "reason": reason,
            });
            batch.push(event(self.clock.now(), "platform.logsDropped", &record));
        }
        batch
    }

    fn delivered(&self, lost: Option<&Vec<Bytes>>) {
        let mut state = self.lock();
        state.in_flight = false;
        if let Some(lost) = lost {
            state.batcher.drop_batch(lost.len(), lost.iter().map(Bytes::len).sum());
        }
    }

    fn is_busy(&self) -> bool {
        let state = self.lock();
        state.in_flight || !state.batcher.is_empty()
    }
}

fn event(time: Timestamp, kind: &str, record: &Value) -> Bytes {
    Bytes::from(json!({ "time": time.to_string(), "type": kind, "record": record }).to_string())
}
