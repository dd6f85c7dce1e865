//! Amazon SNS: standard topics (API of 2010-03-31, the query protocol) with queues and functions as subscribers.
//!
//! Start with [`Topics`]. [`api`] has the operations in one table; [`engine`] decides what is pure (filters, messages,
//! envelopes, policies, retries); `fan_out` makes deliveries of a message, and `outbox` brings those to queues.
//!
//! What this is not: it runs no function and keeps no queue. Functions take their deliveries in the batch that accepts
//! the message; queues take theirs through the port [`QueueSink`].
//!
//! Invariants:
//! - a message is answered for after the deliveries to all of its subscribers are on disk, in one commit;
//! - a delivery leaves the disk when its queue has it on the disk, or when it was given up and said so;
//! - every member of a request acts or is refused by name.

mod api;
mod engine;
mod fan_out;
mod ordered;
mod outbox;
mod pace;
mod posts;
mod publish;
mod sink;
mod way;

use std::sync::Arc;
use std::time::Duration;

use lambent_core::ids::RequestId;
use lambent_core::ports::{Bell, BoxFuture, Clock, Entropy, HttpSink, QueueSink, TraceSink};
use lambent_store::deliveries::{DeliveryStore, FunctionEvents};
use lambent_store::topics::TopicStore;
use lambent_wire::{Request, Response};

pub use api::{OPERATIONS, Operation, REFUSED_MEMBERS, limits};

/// As the policies of queues and functions name this service.
pub(crate) const PRINCIPAL: &str = "sns.amazonaws.com";

/// Ours: how often endpoints are forgotten that never confirmed.
const HOUSEKEEP_EVERY: Duration = Duration::from_secs(600);

/// Signs notifications with the node's key, whose certificate it shows.
pub trait Signer: Send + Sync {
    /// In base64: RSA over SHA-1 for version 1, over SHA-256 for version 2. `None`: there is no key, and the log says why.
    fn sign(&self, version: u8, text: String) -> BoxFuture<'_, Option<String>>;
}

/// The neighbours that the service is built from.
pub struct Deps {
    pub store: Arc<dyn TopicStore>,
    pub deliveries: Arc<dyn DeliveryStore>,
    pub functions: Arc<dyn FunctionEvents>,
    pub queues: Arc<dyn QueueSink>,
    pub traces: Arc<dyn TraceSink>,
    pub http: Arc<dyn HttpSink>,
    pub signer: Arc<dyn Signer>,
    pub clock: Arc<dyn Clock>,
    pub entropy: Arc<dyn Entropy>,
    /// The path of the signer's certificate.
    pub certificate_path: String,
    /// Where the node is reached when nobody asks it by a name of its own.
    pub origin: String,
    /// Notifications are authenticated with it; nobody else may know it.
    pub signing_secret: [u8; 32],
}

/// The service.
pub struct Topics {
    deps: Deps,
    /// Deliveries were accepted.
    accepted: Bell,
    /// The same, of FIFO topics.
    ordered: Bell,
    /// The same, for HTTP endpoints.
    posts: Bell,
    paces: pace::Paces,
    resting: std::sync::Mutex<ordered::Resting>,
    lines: publish::Lines,
}

impl Topics {
    pub fn new(deps: Deps) -> Self {
        Self {
            accepted: Bell::new(deps.clock.clone()),
            ordered: Bell::new(deps.clock.clone()),
            posts: Bell::new(deps.clock.clone()),
            paces: pace::Paces::default(),
            resting: std::sync::Mutex::default(),
            lines: publish::Lines::default(),
            deps,
        }
    }

    /// Answers a request of the API. `origin` is how the client reached the node (`http://host:port`): the addresses
    /// in notifications begin with it.
    pub async fn handle(&self, request: Request, origin: &str) -> Response {
        api::handle(self, request, origin).await
    }

    /// Answers a request without a signature, whose query is that of a link: to confirm a subscription, or to end it.
    pub async fn handle_link(&self, query: &[(String, String)], request_id: &RequestId) -> Response {
        api::handle_link(self, query, request_id).await
    }

    /// Forgets endpoints that never confirm, for as long as it is polled.
    pub async fn run_housekeeping(&self) {
        let clock = &self.deps.clock;
        let mut awake = clock.awake();
        loop {
            self.housekeep().await;
            let nap = clock.sleep_until(clock.now().plus(HOUSEKEEP_EVERY));
            drop(awake);
            awake = nap.await;
        }
    }

    /// Forgets endpoints that never confirmed.
    pub async fn housekeep(&self) {
        api::forget(self).await;
    }
}
