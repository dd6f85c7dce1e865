//! Buffers lines until they are worth storing.
//!
//! Each stream has its own buffer and its own bound, so that a function that floods its log waits and no other
//! does. The bound of all buffers together is kept by the streams that have much waiting: a stream with little
//! waiting gets in regardless, which bounds the excess by [`SHARE_BYTES`] a stream.
//!
//! Invariants:
//! - lines of one stream are stored in the order of the calls, and none twice;
//! - one flush at a time; lines stay counted until the store has them;
//! - a failing store loses nothing: the lines are tried again, and whoever appends waits meanwhile.

#[cfg(test)]
mod tests;

use std::collections::HashMap;
use std::pin::pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use lambent_core::limits::LOG_EVENT_BYTES_MAX;
use lambent_core::ports::{Clock, LogLine, LogTarget};
use lambent_store::logs::chunk::CHUNK_BYTES_MAX;
use lambent_store::logs::{EVENT_OVERHEAD_BYTES, GroupKey, LogEvent, LogStore, Run, StreamKey};
use tokio::sync::{Mutex as AsyncMutex, Notify};

use super::Settings;

/// What a stream may have waiting even when all buffers together are full.
const SHARE_BYTES: usize = 16 * 1024;

/// How long to leave a store alone that has failed.
const RETRY_AFTER: Duration = Duration::from_secs(1);

/// A line's text at the most: the reference counts 26 bytes beside it.
const TEXT_BYTES_MAX: usize = LOG_EVENT_BYTES_MAX - EVENT_OVERHEAD_BYTES;

#[derive(Clone)]
pub struct Sink(Arc<Inner>);

/// Which lines to flush.
#[derive(Debug, Clone)]
pub enum Scope {
    All,
    Group(GroupKey),
}

struct Inner {
    store: Arc<dyn LogStore>,
    clock: Arc<dyn Clock>,
    settings: Settings,
    buffers: Mutex<Buffers>,
    /// Held by the one who flushes.
    flushing: AsyncMutex<()>,
    /// Some stream has a chunk's worth of lines, or someone waits for room.
    wanted: Notify,
    /// Lines were stored.
    room: Notify,
    /// Whether the last flush failed: a full disk is logged once and not with every flush.
    failing: AtomicBool,
}

#[derive(Default)]
struct Buffers {
    streams: HashMap<StreamKey, Buffer>,
    total_bytes: usize,
}

#[derive(Default)]
struct Buffer {
    /// Held by the call whose lines come next.
    turn: Arc<AsyncMutex<()>>,
    waiting: Vec<LogEvent>,
    /// Handed to the store, perhaps more than once, and not yet there.
    leaving: Vec<Arc<Vec<LogEvent>>>,
    /// Of both.
    bytes: usize,
}

impl Sink {
    pub fn new(store: Arc<dyn LogStore>, clock: Arc<dyn Clock>, settings: Settings) -> Self {
        Self(Arc::new(Inner {
            store,
            clock,
            settings,
            buffers: Mutex::default(),
            flushing: AsyncMutex::default(),
            wanted: Notify::new(),
            room: Notify::new(),
            failing: AtomicBool::new(false),
        }))
    }

    /// Takes the lines in their order; waits while there is no room for the next.
    pub async fn append(&self, target: &LogTarget, lines: Vec<LogLine>) {
        let key = stream_key(target);
        let turn = self.0.lock().streams.entry(key.clone()).or_default().turn.clone();
        let _turn = turn.lock().await;
        for line in lines {
            for event in split(line) {
                self.0.put(&key, event).await;
            }
        }
    }

    /// Flushes every so often, and sooner when there is much.
    pub async fn run(&self) {
        loop {
            let wanted = self.0.wanted.notified();
            // Either will do; neither says anything that the flush needs to know.
            let _ = tokio::time::timeout(self.0.settings.flush_after, wanted).await;
            if !self.flush(Scope::All).await {
                tokio::time::sleep(RETRY_AFTER).await;
            }
        }
    }

    /// Stores what the buffers in the scope hold, and waits for it. Says whether the store took it.
    pub async fn flush(&self, scope: Scope) -> bool {
        if !self.0.holds(&scope) {
            return true;
        }
        // A task of its own: a caller that gives up half-way must not leave lines between buffer and store.
        let inner = self.0.clone();
        tokio::spawn(async move { inner.flush(&scope).await }).await.unwrap_or(false)
    }
}

impl Inner {
    fn lock(&self) -> MutexGuard<'_, Buffers> {
        // Nothing in here panics between two related changes.
        self.buffers.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn put(&self, key: &StreamKey, event: LogEvent) {
        let mut event = Some(event);
        if self.put_if_room(key, &mut event) {
            return;
        }
        loop {
            let mut room = pin!(self.room.notified());
            // From here on no word of room is missed.
            room.as_mut().enable();
            if self.put_if_room(key, &mut event) {
                return;
            }
            self.wanted.notify_one();
            room.await;
        }
    }

    /// Takes the event out of its place when there is room for it.
    fn put_if_room(&self, key: &StreamKey, event: &mut Option<LogEvent>) -> bool {
        let bytes = event.as_ref().map_or(0, LogEvent::counted_bytes);
        let mut buffers = self.lock();
        let total_bytes = buffers.total_bytes + bytes;
        let buffer = buffers.streams.entry(key.clone()).or_default();
        let held = buffer.bytes;
        let fits = held == 0
            || held + bytes <= SHARE_BYTES
            || (held + bytes <= self.settings.stream_bytes_max
                && total_bytes <= self.settings.total_bytes_max);
        if fits {
            buffer.waiting.extend(event.take());
            buffer.bytes += bytes;
            if held < CHUNK_BYTES_MAX && buffer.bytes >= CHUNK_BYTES_MAX {
                self.wanted.notify_one();
            }
            buffers.total_bytes = total_bytes;
        }
        fits
    }

    fn holds(&self, scope: &Scope) -> bool {
        self.lock().streams.iter().any(|(key, buffer)| scope.has(key) && buffer.bytes > 0)
    }

    async fn flush(&self, scope: &Scope) -> bool {
        let _flushing = self.flushing.lock().await;
        let runs = self.take(scope);
        if runs.is_empty() {
            return true;
        }
        let keys: Vec<StreamKey> = runs.iter().map(|run| run.stream.clone()).collect();
        match self.store.append(runs).await {
            Ok(_) => {
                self.settle(&keys);
                self.room.notify_waiters();
                if self.failing.swap(false, Ordering::Relaxed) {
                    tracing::info!("log lines are stored again");
                }
                true
            }
            Err(error) => {
                if !self.failing.swap(true, Ordering::Relaxed) {
                    tracing::warn!(%error, "log lines can't be stored; they wait, and so do functions that log");
                }
                false
            }
        }
    }

    /// What the store is to take: what it failed to take before, then what has come since.
    fn take(&self, scope: &Scope) -> Vec<Run> {
        let ingested = self.clock.now();
        let mut buffers = self.lock();
        let mut runs = Vec::new();
        for (key, buffer) in buffers.streams.iter_mut().filter(|(key, _)| scope.has(key)) {
            if !buffer.waiting.is_empty() {
                buffer.leaving.push(Arc::new(std::mem::take(&mut buffer.waiting)));
            }
            runs.extend(buffer.leaving.iter().map(|events| Run {
                stream: key.clone(),
                ingested,
                create: true,
                events: events.clone(),
            }));
        }
        runs
    }

    /// Forgets what the store has taken, and the buffers that nobody uses.
    fn settle(&self, keys: &[StreamKey]) {
        let mut buffers = self.lock();
        for key in keys {
            let Some(buffer) = buffers.streams.get_mut(key) else { continue };
            let stored = buffer
                .leaving
                .drain(..)
                .flat_map(|events| events.iter().map(LogEvent::counted_bytes).collect::<Vec<_>>());
            let stored: usize = stored.sum();
            buffer.bytes -= stored;
            // Whoever appends holds the turn from before it looks at the buffer.
            let unused = buffer.bytes == 0 && Arc::strong_count(&buffer.turn) == 1;
            if unused {
                buffers.streams.remove(key);
            }
            buffers.total_bytes -= stored;
        }
    }
}

impl Scope {
    fn has(&self, key: &StreamKey) -> bool {
        match self {
            Self::All => true,
            Self::Group(group) => key.group == *group,
        }
    }
}

fn stream_key(target: &LogTarget) -> StreamKey {
    let LogTarget { account, region, group, stream } = target;
    let group = GroupKey { account: account.clone(), region: region.clone(), name: group.clone() };
    StreamKey { group, name: stream.clone() }
}

/// The line as events: more than one when it is longer than an event may be, as the reference splits it.
fn split(line: LogLine) -> impl Iterator<Item = LogEvent> {
    let LogLine { time, mut text } = line;
    let mut whole = false;
    std::iter::from_fn(move || {
        if whole {
            return None;
        }
        if text.len() <= TEXT_BYTES_MAX {
            whole = true;
            return Some(LogEvent { time, text: std::mem::take(&mut text) });
        }
        let cut = text.floor_char_boundary(TEXT_BYTES_MAX);
        let rest = text.split_off(cut);
        Some(LogEvent { time, text: std::mem::replace(&mut text, rest) })
    })
}
