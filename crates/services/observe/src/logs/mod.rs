//! CloudWatch Logs: the API (2014-03-28, JSON 1.1) and the sink of the functions' own lines.
//!
//! Start with [`Logs`]. [`sink`] buffers lines and is where a function that floods is made to wait; [`api`]
//! has the operations; [`filter`] is the filter pattern language.
//!
//! What this is not: it keeps nothing itself, that is the log store's work, and it opens no socket.
//!
//! Invariants:
//! - a reader sees every line that was appended before its request: reads flush what they may see;
//! - PutLogEvents answers after its events are in the store, as durable as the store makes them (SQLite: they
//!   survive the end of the process; a power cut may take the last seconds, see `store-sql`);
//! - a line that the sink took is dropped only when the process ends without [`Logs::flush`];
//! - an event past its group's retention is never answered, whether or not it was swept.

mod api;
mod filter;
mod sink;
mod token;

use std::sync::Arc;
use std::time::Duration;

use lambent_core::ports::{BoxFuture, Clock, LogLine, LogSink, LogTarget};
use lambent_store::logs::LogStore;
use lambent_wire::{Request, Response};

pub use api::{REFUSED_MEMBERS, SERVED as SERVED_OPERATIONS, UNSERVED as UNSERVED_OPERATIONS};

use sink::{Scope, Sink};

/// How often the store is swept of what has expired.
const SWEEP_EVERY: Duration = Duration::from_secs(600);

/// Bounds of the sink.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Lines wait this long at the most before they are stored.
    pub flush_after: Duration,
    /// What one stream may have waiting; who appends more waits.
    pub stream_bytes_max: usize,
    /// What all streams may have waiting. A stream that has little waiting gets in even so.
    pub total_bytes_max: usize,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            flush_after: Duration::from_secs(1),
            stream_bytes_max: 512 * 1024,
            total_bytes_max: 16 * 1024 * 1024,
        }
    }
}

/// The service. Cheap to clone: all clones are one.
#[derive(Clone)]
pub struct Logs {
    store: Arc<dyn LogStore>,
    clock: Arc<dyn Clock>,
    sink: Sink,
}

impl Logs {
    pub fn new(store: Arc<dyn LogStore>, clock: Arc<dyn Clock>, settings: Settings) -> Self {
        let sink = Sink::new(store.clone(), clock.clone(), settings);
        Self { store, clock, sink }
    }

    /// Answers a request of the Logs API, known by its `X-Amz-Target: Logs_20140328.OPERATION`.
    pub async fn handle(&self, request: Request) -> Response {
        api::handle(self, request).await
    }

    /// Flushes and sweeps for as long as it is polled; it never ends by itself. While it does not run, lines
    /// are stored only by [`Logs::flush`] and by reads, and whoever fills the sink waits.
    pub async fn run(&self) {
        tokio::join!(self.sink.run(), self.sweep());
    }

    /// Stores every line that was taken so far; for the end of the process. Says whether all are stored.
    pub async fn flush(&self) -> bool {
        self.sink.flush(Scope::All).await
    }

    async fn sweep(&self) {
        loop {
            match self.store.sweep(self.clock.now()).await {
                Ok(swept) if swept.evicted_bytes > 0 => {
                    tracing::warn!(
                        bytes = swept.evicted_bytes,
                        "old logs were dropped to keep within the bound"
                    );
                }
                Ok(_) => {}
                Err(error) => tracing::warn!(%error, "expired logs could not be freed"),
            }
            self.clock.sleep_until(self.clock.now().plus(SWEEP_EVERY)).await;
        }
    }
}

impl LogSink for Logs {
    fn append<'a>(&'a self, target: &'a LogTarget, lines: Vec<LogLine>) -> BoxFuture<'a, ()> {
        Box::pin(self.sink.append(target, lines))
    }
}
