//! Traces: what happened on the way of calls and events, kept for a while: the `TraceSink` port, and its questions.
//!
//! What this is not: X-Ray. Nothing is sampled by rule and nothing is sent anywhere; a hop is what the platform
//! itself saw. [`intake`] decides what is kept, [`record`] how it is written, [`way`] what belongs to one answer.
//!
//! Invariants:
//! - whoever tells a hop never waits, and pays a short lock for it; everything else is done by [`Traces::run`];
//! - what waits to be stored has a bound, and so has what each function adds to it: what is over is left out and
//!   counted. Calls that were cold, failed or refused, and the hops of events, have more room than the others;
//! - a reader sees every hop that was told before its question and not left out;
//! - a trace is a help and no promise: a store that fails loses hops, and nothing waits for it.

mod intake;
mod record;
#[cfg(test)]
mod tests;
mod way;

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use lambent_core::ids::{AccountId, Region};
use lambent_core::ports::{CallHop, Clock, Hop, TraceSink};
use lambent_core::time::Timestamp;
use lambent_store::StoreError;
use lambent_store::traces::{TraceOwner, TraceRecord, TraceStore};
use serde_json::{Map, Value};
use tokio::sync::{Mutex as AsyncMutex, Notify};

use intake::{Intake, Told};
use way::Way;

/// Ours: how long hops are kept.
pub const KEPT: Duration = Duration::from_secs(7 * 24 * 3600);

/// Ours: hops of one answer.
pub const ANSWERED_MAX: usize = 1_000;

/// How often what is too old is looked for.
const SWEEP_EVERY: Duration = Duration::from_secs(600);

#[derive(Debug, Clone, Copy)]
pub struct Settings {
    /// Hops wait this long at the most before they are stored; bounds of the intake are for this time.
    pub flush_after: Duration,
    /// How much of a payload is kept with its hop; 0 is nothing.
    pub preview_bytes: usize,
}

impl Default for Settings {
    fn default() -> Self {
        Self { flush_after: Duration::from_secs(1), preview_bytes: 0 }
    }
}

/// Takes hops, keeps them, finds them again.
pub struct Traces {
    store: Arc<dyn TraceStore>,
    clock: Arc<dyn Clock>,
    settings: Settings,
    intake: Mutex<Intake>,
    /// Something waits to be stored.
    wanted: Notify,
    /// Held by the one who flushes.
    flushing: AsyncMutex<()>,
    left_out: AtomicU64,
    /// Whether the last flush failed: a full disk is logged once.
    failing: AtomicBool,
}

impl Traces {
    pub fn new(store: Arc<dyn TraceStore>, clock: Arc<dyn Clock>, settings: Settings) -> Self {
        Self {
            store,
            clock,
            settings,
            intake: Mutex::default(),
            wanted: Notify::new(),
            flushing: AsyncMutex::default(),
            left_out: AtomicU64::new(0),
            failing: AtomicBool::new(false),
        }
    }

    /// Stores and sweeps for as long as it is polled.
    pub async fn run(&self) {
        tokio::join!(self.store_what_comes(), self.sweep());
    }

    /// Hops that were left out since the start.
    pub fn left_out(&self) -> u64 {
        self.left_out.load(Ordering::Relaxed)
    }

    /// Stores everything that was told so far.
    pub async fn flush(&self) {
        let _flushing = self.flushing.lock().await;
        let (told, left_out) = self.lock().take();
        self.left_out.fetch_add(left_out, Ordering::Relaxed);
        if told.is_empty() {
            return;
        }
        let count = told.len() as u64;
        // Off the thread that serves requests.
        let stored = match tokio::task::spawn_blocking(move || record::runs(told)).await {
            Ok(runs) => self.store.append_traces(runs).await,
            Err(error) => Err(StoreError::Unavailable { detail: error.to_string() }),
        };
        match stored {
            Ok(()) => self.failing.store(false, Ordering::Relaxed),
            Err(error) => {
                self.left_out.fetch_add(count, Ordering::Relaxed);
                if !self.failing.swap(true, Ordering::Relaxed) {
                    tracing::warn!(%error, "traces can't be stored; they are left out");
                }
            }
        }
    }

    /// Everything that is known of a call, an event or a trace by its id, in the order of time: what led to it, what
    /// came of that, and the hops of the same trace. Empty when nothing is.
    pub async fn find(
        &self,
        account: &AccountId,
        region: &Region,
        id: &str,
    ) -> Result<Vec<Value>, StoreError> {
        self.flush().await;
        let mut way = Way::from(id);
        while let Some(key) = way.next() {
            let (account, region) = (account.clone(), region.clone());
            let found = self.store.traces_by_key(account, region, key.clone(), ANSWERED_MAX).await?;
            way.add(&key, documents(found));
        }
        let mut hops = way.into_hops();
        order(&mut hops);
        Ok(hops)
    }

    /// The last calls of a function, in the order of time.
    pub async fn calls_of(
        &self,
        account: &AccountId,
        region: &Region,
        function_arn: &str,
        last: usize,
    ) -> Result<Vec<Value>, StoreError> {
        self.flush().await;
        let subject = Arc::from(function_arn);
        let owner = TraceOwner { account: account.clone(), region: region.clone(), subject };
        // Each call of an asynchronous event has an acceptance and may have a wait beside it.
        let mut calls = documents(self.store.last_traces(owner, 3 * last).await?);
        calls.retain(|hop| hop.get("kind").is_some_and(|kind| kind == "call"));
        Ok(calls.split_off(calls.len().saturating_sub(last)))
    }

    async fn store_what_comes(&self) {
        loop {
            self.wanted.notified().await;
            tokio::time::sleep(self.settings.flush_after).await;
            self.flush().await;
        }
    }

    async fn sweep(&self) {
        loop {
            let now = self.clock.now();
            let kept = u64::try_from(KEPT.as_millis()).unwrap_or(u64::MAX);
            let older_than = Timestamp::from_millis(now.as_millis().saturating_sub(kept));
            if let Err(error) = self.store.sweep_traces(older_than).await {
                tracing::warn!(%error, "old traces could not be freed");
            }
            self.clock.sleep_until(self.clock.now().plus(SWEEP_EVERY)).await;
        }
    }

    fn tell(&self, told: Told) {
        if self.lock().put(told) {
            self.wanted.notify_one();
        }
    }

    fn lock(&self) -> MutexGuard<'_, Intake> {
        self.intake.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl TraceSink for Traces {
    fn hop(&self, hop: Hop) {
        self.tell(Told::Hop(Box::new(hop)));
    }

    fn call(&self, call: CallHop) {
        // Before anything is put anywhere: most calls of a busy function are left out.
        let admitted = self.lock().admits(&call);
        if admitted {
            self.tell(Told::Call(Box::new(call)));
        }
    }

    fn wants(&self, subject: &str) -> bool {
        self.lock().wants(subject)
    }

    fn preview_bytes(&self) -> usize {
        self.settings.preview_bytes
    }
}

/// By time; within a millisecond as one hop leads to the next.
fn order(hops: &mut [Value]) {
    fn text<'a>(hop: &'a Value, name: &str) -> &'a str {
        hop.get(name).and_then(Value::as_str).unwrap_or_default()
    }
    let parents: HashMap<String, String> = hops
        .iter()
        .filter(|hop| !text(hop, "parent").is_empty())
        .map(|hop| (text(hop, "id").to_owned(), text(hop, "parent").to_owned()))
        .collect();
    // How many events came before this one; a circle of them has an end too.
    let depth = |id: &str| {
        let mut at = id;
        let ancestors = std::iter::from_fn(|| {
            at = parents.get(at)?;
            Some(())
        });
        ancestors.take(ANSWERED_MAX).count()
    };
    hops.sort_by_cached_key(|hop| {
        let (rank, id) = match text(hop, "kind") {
            "accept" => (0, text(hop, "id")),
            "call" => (1, text(hop, "id")),
            "wait" => (2, text(hop, "id")),
            "give-up" => (3, text(hop, "id")),
            // It is told under the id of what it hands on, and belongs to what came before.
            _ => (4, Some(text(hop, "parent")).filter(|id| !id.is_empty()).unwrap_or(text(hop, "id"))),
        };
        (hop.get("atMs").and_then(Value::as_u64), depth(id), rank)
    });
}

/// Bodies as documents, with their time as a text. One that can't be read is left out.
fn documents(records: Vec<TraceRecord>) -> Vec<Value> {
    let read = |record: TraceRecord| {
        let mut members: Map<String, Value> = serde_json::from_slice(&record.body).ok()?;
        members.insert("atMs".to_owned(), record.at.as_millis().into());
        members.insert("at".to_owned(), record.at.to_string().into());
        Some(Value::Object(members))
    };
    records.into_iter().filter_map(read).collect()
}
