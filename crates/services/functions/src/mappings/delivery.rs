//! The way of one batch: its function is called with it, and what the function is done with leaves the queue.

use std::collections::HashSet;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use bytes::Bytes;
use lambent_core::ids::RequestId;
use lambent_core::ports::{Awake, MappingSample, Origin, Outcome, PullRefusal, Pulled, Source};
use lambent_core::time::Timestamp;
use lambent_store::functions::MappingRecord;
use tokio::sync::watch;

use super::poller::Room;
use super::{RESULT_OK, RETRY_AFTER, hops};
use crate::Functions;
use crate::api::invoke::{self, Work};
use crate::api::target::Target;
use crate::engine::mapping::{judge, record};
use crate::engine::recursion;
use crate::error::Error;

/// Ours: receipts of one command to a queue, so that none keeps others from the disk for long.
const RECEIPTS_MAX: usize = 500;

/// Ours: the waits between attempts of a call that finds no room.
const WAIT_FIRST: Duration = Duration::from_millis(50);
const WAIT_MAX: Duration = Duration::from_secs(1);

/// Ours: for how long a batch waits for room before its messages go back to the queue.
const HELD_MAX: Duration = Duration::from_secs(20);

/// Ours: a batch that is older than this gets the whole of its queue's visibility timeout again before its function
/// is called with it.
const FRESH_FOR: Duration = Duration::from_millis(500);

/// A message in a batch.
pub(super) struct Held {
    pub id: String,
    pub receipt: String,
    group: Option<String>,
    pub trace: Option<String>,
    /// As the function sees it: JSON.
    pub record: String,
    pulled: Timestamp,
}

impl Held {
    pub fn new(message: Pulled, record: String, trace: Option<String>, pulled: Timestamp) -> Self {
        let Pulled { id, receipt_handle, group, .. } = message;
        Self { id, receipt: receipt_handle, group, trace, record, pulled }
    }
}

/// What became of a batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Delivered {
    /// Its function had it, well or not; or there is no need to wait.
    Done,
    /// It went back: its function could not be run.
    FoundNoRoom,
}

/// What came of a call.
enum Called {
    Returned(Bytes),
    Failed,
    /// It can't be run now.
    NotNow(Error),
    Gone,
    Stopping,
}

pub(super) fn target(record: &MappingRecord) -> Target {
    Target { key: record.function.clone(), qualifier: record.qualifier.clone() }
}

pub(super) fn count(functions: &Functions, record: &MappingRecord, sample: MappingSample) {
    if record.metrics.iter().any(|metric| metric == "EventCount") {
        functions.deps.metrics.mapping(&super::arn(record.account(), record.region(), &record.id), sample);
    }
}

struct Delivery {
    functions: Arc<Functions>,
    record: Arc<MappingRecord>,
    /// For how long the messages are this batch's once its function gets them.
    visibility: Duration,
    batch: Vec<Held>,
    bytes: usize,
    room: Arc<Room>,
    stop: watch::Receiver<bool>,
    /// While it calls; not while it waits for room.
    awake: Awake,
    /// From when on that counts.
    owned_since: Timestamp,
}

pub(super) async fn run(
    functions: Arc<Functions>,
    record: Arc<MappingRecord>,
    visibility: Duration,
    batch: Vec<Held>,
    room: Arc<Room>,
    stop: watch::Receiver<bool>,
    awake: Awake,
) -> Delivered {
    let bytes = batch.iter().map(|held| held.record.len()).sum();
    let owned_since = batch.iter().map(|held| held.pulled).min().unwrap_or(functions.deps.clock.now());
    Delivery { functions, record, visibility, batch, bytes, room, stop, awake, owned_since }.deliver().await
}

impl Drop for Delivery {
    fn drop(&mut self) {
        self.functions.mappings.release(self.bytes);
    }
}

impl Delivery {
    async fn deliver(mut self) -> Delivered {
        let payload = Bytes::from(record::event(self.batch.iter().map(|held| held.record.as_str())));
        let called = self.call_until_there_is_room(payload).await;
        let events = self.batch.len() as u64;
        let invoked = MappingSample { invoked: events, ..MappingSample::default() };
        match called {
            Called::Returned(payload) => {
                count(&self.functions, &self.record, invoked);
                self.settle(&payload).await;
                Delivered::Done
            }
            Called::Failed => {
                count(&self.functions, &self.record, MappingSample { failed: events, ..invoked });
                self.note("PROBLEM: Function call failed");
                Delivered::Done
            }
            Called::Gone => {
                self.note("PROBLEM: The function does not exist");
                self.put_all_back(RETRY_AFTER).await;
                Delivered::FoundNoRoom
            }
            Called::NotNow(_) => {
                self.note("PROBLEM: The function could not be run");
                self.put_all_back(RETRY_AFTER).await;
                Delivered::FoundNoRoom
            }
            Called::Stopping => {
                self.put_all_back(Duration::ZERO).await;
                Delivered::Done
            }
        }
    }

    fn note(&self, result: &str) {
        self.functions.mappings.note(&self.record, result);
    }

    /// Calls the function; a call that finds no room is tried again for some time.
    async fn call_until_there_is_room(&mut self, payload: Bytes) -> Called {
        let began = self.functions.deps.clock.now();
        let mut wait = WAIT_FIRST;
        let mut waits = None;
        loop {
            // Before the call, so that a place that is freed meanwhile is not missed.
            let room = self.room.clone();
            let freed = room.freed.notified();
            self.own_anew().await;
            let called = self.call(payload.clone()).await;
            let Called::NotNow(why) = &called else {
                if matches!(called, Called::Returned(_) | Called::Failed) {
                    self.room.freed.notify_one();
                }
                return called;
            };
            let now = self.functions.deps.clock.now();
            if waits.is_none() {
                waits = Some(Waits::begin(&self.room));
                hops::waits(&self.functions.deps, &self.record, &self.batch, &why.to_string(), now);
            }
            if now.since(began) >= HELD_MAX {
                return called;
            }
            let nap = self.functions.deps.clock.sleep_until(now.plus(wait));
            self.awake = Awake::default();
            tokio::select! {
                () = freed => self.awake = self.functions.deps.clock.awake(),
                woken = nap => self.awake = woken,
                _ = self.stop.wait_for(|stop| *stop) => return Called::Stopping,
            }
            wait = (wait * 2).min(WAIT_MAX);
        }
    }

    /// The visibility timeout counts from when the function gets the messages, also of those that were gathered or
    /// waited for room.
    async fn own_anew(&mut self) {
        let now = self.functions.deps.clock.now();
        if now.since(self.owned_since) < FRESH_FOR.min(self.visibility / 4) {
            return;
        }
        self.owned_since = now;
        let receipts: Vec<String> = self.batch.iter().map(|held| held.receipt.clone()).collect();
        for some in receipts.chunks(RECEIPTS_MAX) {
            let source = &self.functions.deps.queue_source;
            let owned = source.give_back(&self.record.source, some, self.visibility).await;
            if let Err(error) = owned {
                tracing::debug!(%error, "messages are not held for longer");
            }
        }
    }

    async fn call(&self, payload: Bytes) -> Called {
        let functions = &self.functions;
        let request_id = RequestId::random(&*functions.deps.entropy);
        let traces = self.batch.iter().filter_map(|held| held.trace.as_deref());
        let trace_header =
            recursion::deepest(traces).map_or_else(|| invoke::new_trace(functions), str::to_owned);
        let target = target(&self.record);
        let work = Work {
            request_id: request_id.clone(),
            payload,
            client_context: None,
            trace_header: trace_header.clone(),
            tail_log: false,
            origin: Origin::of(Source::EventSourceMapping, &self.record.source),
        };
        let now = functions.deps.clock.now();
        let tell = || hops::handed_on(&functions.deps, &self.record, &self.batch, &request_id, now);
        match functions.run_work(&target, work).await {
            Ok((answer, _)) => {
                tell();
                match answer.outcome {
                    Outcome::Returned(payload) => Called::Returned(payload),
                    Outcome::Failed(_) => Called::Failed,
                }
            }
            Err(Error::FunctionNotFound { .. } | Error::AliasNotFound { .. }) => Called::Gone,
            Err(Error::Stopping) => Called::Stopping,
            // The function's setting was changed since the messages were looked at: they stay, and are looked at again.
            Err(Error::RecursiveInvocation) => Called::Failed,
            Err(error) => Called::NotNow(error),
        }
    }

    /// Removes what the function is done with. What failed stays as it is: the queue shows it again in its time.
    async fn settle(&self, payload: &[u8]) {
        let failed = match self.record.reports_item_failures {
            false => Ok(HashSet::new()),
            true => {
                let items: Vec<_> = self.batch.iter().map(Held::item).collect();
                judge::failed(payload, &items)
            }
        };
        let failed = failed.unwrap_or_else(|senseless| {
            tracing::info!(mapping = self.record.id, why = senseless.0, "a batch's answer makes no sense");
            (0..self.batch.len()).collect()
        });
        self.note(if failed.is_empty() { RESULT_OK } else { "PROBLEM: Function call failed" });
        let done: Vec<String> = self
            .batch
            .iter()
            .enumerate()
            .filter(|(at, _)| !failed.contains(at))
            .map(|(_, held)| held.receipt.clone())
            .collect();
        count(
            &self.functions,
            &self.record,
            MappingSample { failed: failed.len() as u64, ..MappingSample::default() },
        );
        remove(&self.functions, &self.record, done).await;
    }

    async fn put_all_back(&mut self, wait: Duration) {
        let receipts = self.batch.drain(..).map(|held| held.receipt).collect();
        put_back(&self.functions, &self.record, receipts, wait).await;
    }
}

impl Held {
    fn item(&self) -> judge::Item<'_> {
        judge::Item { id: &self.id, group: self.group.as_deref() }
    }
}

/// A delivery that waits; its end is dropping it.
struct Waits(Arc<Room>);

impl Waits {
    fn begin(room: &Arc<Room>) -> Self {
        room.waiting.fetch_add(1, Ordering::SeqCst);
        room.changed.notify_one();
        Self(room.clone())
    }
}

impl Drop for Waits {
    fn drop(&mut self) {
        self.0.waiting.fetch_sub(1, Ordering::SeqCst);
        self.0.changed.notify_one();
    }
}

/// Takes messages out of the queue that no filter wants.
pub(super) async fn drop_unwanted(functions: &Functions, record: &MappingRecord, receipts: Vec<String>) {
    take_out(functions, record, receipts).await;
}

/// Takes messages out of the queue that the function is done with.
async fn remove(functions: &Functions, record: &MappingRecord, receipts: Vec<String>) {
    let deleted = take_out(functions, record, receipts).await;
    count(functions, record, MappingSample { deleted, ..MappingSample::default() });
}

/// Tries as long as the messages may be this mapping's. Says how many went.
async fn take_out(functions: &Functions, record: &MappingRecord, receipts: Vec<String>) -> u64 {
    let mut gone = 0;
    let began = functions.deps.clock.now();
    let visibility =
        functions.deps.queue_source.facts(&record.source).map_or(Duration::ZERO, |q| q.visibility);
    for some in receipts.chunks(RECEIPTS_MAX) {
        loop {
            match functions.deps.queue_source.done(&record.source, some).await {
                Ok(()) => {
                    gone += some.len() as u64;
                    break;
                }
                Err(PullRefusal::NoQueue { .. }) => {
                    functions.mappings.note(record, "PROBLEM: The queue does not exist");
                    return gone;
                }
                Err(PullRefusal::Unavailable { detail }) => {
                    if functions.deps.clock.now().since(began) >= visibility {
                        tracing::warn!(detail, "messages that a function is done with can't be removed");
                        return gone;
                    }
                    tokio::time::sleep(RETRY_AFTER).await;
                }
            }
        }
    }
    gone
}

/// Puts messages back that no function saw. What can't be put back comes back by itself, as received once more.
pub(super) async fn put_back(
    functions: &Functions,
    record: &MappingRecord,
    receipts: Vec<String>,
    wait: Duration,
) {
    for some in receipts.chunks(RECEIPTS_MAX) {
        if let Err(error) = functions.deps.queue_source.put_back(&record.source, some, wait).await {
            tracing::debug!(%error, "messages are not put back");
        }
    }
}
