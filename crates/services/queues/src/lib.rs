//! Amazon SQS: standard and FIFO queues (API of 2012-11-05, AWS JSON 1.0 and the query protocol).
//!
//! Start with [`Queues`]. [`api`] has the operations, one table for both protocols; [`engine`] decides what is pure
//! (attributes, limits, digests, receipts, policies); which message comes next is decided in the store, in the same
//! step that marks it as received. [`waiters`] is long polling; [`worker`] frees what is too old and moves messages.
//!
//! What this is not: it keeps nothing itself, and it opens no socket.
//!
//! Invariants:
//! - a message is on disk before its id is answered, and so is its removal;
//! - no receipt handle is accepted that this node (or one with its secret) did not make for that queue;
//! - a waiting receive is woken by what it waits for, and by nothing that comes round by itself.

mod api;
mod engine;
mod ports;
mod waiters;
mod way;
mod worker;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use lambent_core::ports::{Clock, Entropy, TraceSink};
use lambent_store::queues::QueueStore;
use lambent_wire::{Request, Response};

pub use api::{OPERATIONS, REFUSED_ATTRIBUTES, limits};
use engine::receipt::ReceiptKey;
use waiters::Waiters;

/// What the service is made of.
pub struct Deps {
    pub store: Arc<dyn QueueStore>,
    pub clock: Arc<dyn Clock>,
    pub entropy: Arc<dyn Entropy>,
    pub traces: Arc<dyn TraceSink>,
    /// Receipt handles are authenticated with it; nobody else may know it.
    pub receipt_secret: [u8; 32],
}

/// The service.
pub struct Queues {
    store: Arc<dyn QueueStore>,
    clock: Arc<dyn Clock>,
    entropy: Arc<dyn Entropy>,
    traces: Arc<dyn TraceSink>,
    receipts: ReceiptKey,
    waiters: Waiters,
    /// A task of a move was started, or is to end.
    moves: tokio::sync::Notify,
    stopping: AtomicBool,
}

impl Queues {
    pub fn new(deps: Deps) -> Self {
        let Deps { store, clock, entropy, traces, receipt_secret } = deps;
        Self {
            store,
            clock,
            entropy,
            traces,
            receipts: ReceiptKey::new(receipt_secret),
            waiters: Waiters::default(),
            moves: tokio::sync::Notify::new(),
            stopping: AtomicBool::new(false),
        }
    }

    /// Answers a request of the API. `origin` is how the client reached the node (`http://host:port`): the addresses
    /// of queues that are answered begin with it.
    pub async fn handle(&self, request: Request, origin: &str) -> Response {
        api::handle(self, request, origin).await
    }

    /// Frees what is too old and moves messages, for as long as it is polled.
    pub async fn run(&self) {
        tokio::join!(self.sweep_for_ever(), self.run_moves());
    }

    /// Ends all waiting: receives that wait are answered at once from now on.
    pub fn stop(&self) {
        self.stopping.store(true, Ordering::SeqCst);
        self.waiters.wake_all();
    }

    pub(crate) fn is_stopping(&self) -> bool {
        self.stopping.load(Ordering::SeqCst)
    }
}
