//! OTLP: what happened to calls and events, sent to a collector as spans while it happens (OTLP/HTTP 1.x, JSON).
//!
//! What this is not: where `lambent trace` looks; that is [`crate::traces`], which gets everything as well. [`span`]
//! says what the spans are.
//!
//! Invariants:
//! - whoever tells something never waits: what the queue has no room for is left out and counted;
//! - a collector that is slow, full or gone costs the node a bounded queue and one connection at a time;
//! - no payload is sent.

mod span;
#[cfg(test)]
mod tests;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use lambent_core::ports::{CallHop, Hop, HttpSink, Posting, TraceSink};
use tokio::sync::{Mutex, mpsc};

use span::Told;

/// Ours: what waits to be sent.
const QUEUE_MAX: usize = 8_192;

/// OpenTelemetry's batch processor: calls and hops of one request. A call has up to six spans.
const BATCH_MAX: usize = 512;

/// Ours: how long something waits for company.
const LINGER: Duration = Duration::from_secs(1);

/// OpenTelemetry's exporter: for one request.
const ANSWER_WITHIN: Duration = Duration::from_secs(10);

/// Ours: the pauses after a request that may succeed yet. Then its spans are left out.
const PAUSES: [Duration; 3] = [Duration::from_secs(1), Duration::from_secs(2), Duration::from_secs(4)];

/// OTLP specification: where an endpoint takes traces, unless it says so itself.
const PATH: &str = "/v1/traces";

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    /// `http://host:4318`, or with the whole path.
    pub endpoint: String,
    /// Names in lower case, and values: a key, for one.
    pub headers: Vec<(String, String)>,
    /// What tells this node from others.
    pub instance: String,
}

/// Passes everything on to `inner`, and on its way to the collector.
pub struct Exporter {
    inner: Arc<dyn TraceSink>,
    url: String,
    settings: Settings,
    queue: mpsc::Sender<Told>,
    waiting: Mutex<Waiting>,
    counts: Arc<Counts>,
    /// Whether the last request failed: a collector that is gone is logged once.
    failing: AtomicBool,
}

/// What is to be sent: in the queue, and taken out of it for the next request, which outlives who waits for company.
struct Waiting {
    queue: mpsc::Receiver<Told>,
    batch: Vec<Told>,
}

/// Calls and hops.
#[derive(Debug, Default)]
pub struct Counts {
    sent: AtomicU64,
    left_out: AtomicU64,
}

impl Counts {
    pub fn sent(&self) -> u64 {
        self.sent.load(Ordering::Relaxed)
    }

    pub fn left_out(&self) -> u64 {
        self.left_out.load(Ordering::Relaxed)
    }
}

impl Exporter {
    pub fn new(inner: Arc<dyn TraceSink>, settings: Settings) -> Self {
        let (queue, receiver) = mpsc::channel(QUEUE_MAX);
        let waiting = Mutex::new(Waiting { queue: receiver, batch: Vec::new() });
        let url = url(&settings.endpoint);
        let counts = Arc::default();
        Self { inner, url, settings, queue, waiting, counts, failing: AtomicBool::new(false) }
    }

    pub fn counts(&self) -> Arc<Counts> {
        self.counts.clone()
    }

    /// Sends for as long as it is polled.
    pub async fn run(&self, http: &dyn HttpSink) {
        let mut waiting = self.waiting.lock().await;
        let Waiting { queue, batch } = &mut *waiting;
        while !batch.is_empty() || queue.recv_many(batch, BATCH_MAX).await > 0 {
            let company = async { while batch.len() < BATCH_MAX && queue.recv_many(batch, 1).await > 0 {} };
            let _ = tokio::time::timeout(LINGER, company).await;
            self.send(http, std::mem::take(batch), &PAUSES).await;
        }
    }

    /// Sends what waits, once, where nobody else does.
    pub async fn flush(&self, http: &dyn HttpSink) {
        let mut waiting = self.waiting.lock().await;
        let Waiting { queue, batch } = &mut *waiting;
        while let Ok(told) = queue.try_recv() {
            batch.push(told);
            if batch.len() >= BATCH_MAX {
                self.send(http, std::mem::take(batch), &[]).await;
            }
        }
        if !batch.is_empty() {
            self.send(http, std::mem::take(batch), &[]).await;
        }
    }

    async fn send(&self, http: &dyn HttpSink, batch: Vec<Told>, pauses: &[Duration]) {
        let count = batch.len() as u64;
        let instance = self.settings.instance.clone();
        // Off the thread that serves requests.
        let Ok(body) =
            tokio::task::spawn_blocking(move || span::request(&instance, &batch).to_string()).await
        else {
            self.counts.left_out.fetch_add(count, Ordering::Relaxed);
            return;
        };
        let given = self.settings.headers.iter().cloned();
        let headers: Vec<(String, String)> =
            [("content-type".to_owned(), "application/json".to_owned())].into_iter().chain(given).collect();
        let posting = Posting {
            method: "POST",
            url: &self.url,
            headers: &headers,
            body: &body,
            within: ANSWER_WITHIN,
            answer_bytes_max: 0,
        };
        let mut pauses = pauses.iter();
        let trouble = loop {
            let trouble = match http.post(posting).await.map(|answered| answered.status) {
                Ok(200..=299) => {
                    self.counts.sent.fetch_add(count, Ordering::Relaxed);
                    self.failing.store(false, Ordering::Relaxed);
                    return;
                }
                // OTLP specification, *Retryable response codes*.
                Ok(status @ (429 | 502..=504)) => format!("it answered {status}"),
                Ok(status) => break format!("it answered {status}"),
                Err(error) => error.to_string(),
            };
            match pauses.next() {
                Some(pause) => tokio::time::sleep(*pause).await,
                None => break trouble,
            }
        };
        self.counts.left_out.fetch_add(count, Ordering::Relaxed);
        if !self.failing.swap(true, Ordering::Relaxed) {
            tracing::warn!(url = self.url, why = trouble, "a collector can't take spans; they are left out");
        }
    }

    /// The place for one more, if there is one.
    fn room(&self) -> Option<mpsc::Permit<'_, Told>> {
        let room = self.queue.try_reserve().ok();
        if room.is_none() {
            self.counts.left_out.fetch_add(1, Ordering::Relaxed);
        }
        room
    }
}

impl TraceSink for Exporter {
    fn hop(&self, hop: Hop) {
        if let Some(room) = self.room() {
            room.send(Told::Hop(Box::new(Hop { preview: None, ..hop.clone() })));
        }
        self.inner.hop(hop);
    }

    fn call(&self, call: CallHop) {
        if let Some(room) = self.room() {
            room.send(Told::Call(Box::new(CallHop { preview: None, ..call.clone() })));
        }
        self.inner.call(call);
    }

    fn wants(&self, subject: &str) -> bool {
        self.inner.wants(subject)
    }

    fn preview_bytes(&self) -> usize {
        self.inner.preview_bytes()
    }
}

/// The endpoint itself where it has a path, else the path that the specification gives it.
fn url(endpoint: &str) -> String {
    let (scheme, rest) = endpoint.split_once("://").unwrap_or(("http", endpoint));
    match rest.split_once('/') {
        Some((_, path)) if !path.is_empty() => endpoint.to_owned(),
        _ => format!("{scheme}://{}{PATH}", rest.trim_end_matches('/')),
    }
}
