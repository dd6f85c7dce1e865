//! Amazon EventBridge and EventBridge Scheduler: buses, rules, targets, schedules.
//!
//! What this is not: it runs no function and keeps no queue (other services take its deliveries), and it opens no
//! socket. It gets verified requests and answers them.
//!
//! Where to start: `lambent_pattern`, [`input`] and [`schedule`] decide, purely; `api` is EventBridge's API and
//! `scheduler` its scheduler's; `dispatch` finds an event's targets and makes their deliveries; `timers` fires
//! what is due; `outbox` brings what can't be handed over in the same commit, and what has failed, to its queue; `http`
//! brings events to API destinations;
//! `archives` keeps events, and `replays` puts them on their bus again.
//!
//! Invariants:
//! - an event is answered for after the deliveries to all of its targets are on disk, in one commit;
//! - a schedule's fire and its delivery are one commit: it happens once, whenever the node is killed;
//! - every member of a request acts or is refused by name.

mod api;
mod archives;
mod cloud;
mod dispatch;
mod fires;
mod http;
mod indexes;
pub mod input;
mod names;
mod operations;
mod outbox;
mod own;
mod parcel;
mod reader;
mod replays;
pub mod schedule;
mod scheduler;
mod sink;
mod target;
mod timers;
mod way;

use std::sync::Arc;
use std::sync::atomic::AtomicU64;

use lambent_core::ids;
use lambent_core::ports::{Bell, Clock, Entropy, HttpSink, Operations, QueueSink, TraceSink};
use lambent_store::StoreError;
use lambent_store::archive::ArchiveStore;
use lambent_store::deliveries::{DeliveryStore, FunctionEvents};
use lambent_store::events::{Command, Entry, EventStore, Key, Kind, Record};
use lambent_wire::route::Table;
use lambent_wire::{Fault, Request, Response};

pub use scheduler::{OPERATIONS as SCHEDULER_OPERATIONS, REFUSED_MEMBERS as REFUSED_SCHEDULER_MEMBERS};

pub use api::{
    REFUSED_MEMBERS as REFUSED_EVENT_MEMBERS, SERVED as SERVED_EVENT_OPERATIONS,
    UNSERVED as UNSERVED_EVENT_OPERATIONS,
};

use archives::ReadyArchive;
use http::{Paces, Tokens};
use indexes::Indexes;
use lambent_pattern::Index;
use target::ReadyRule;
use timers::Timers;

/// The neighbours that the service is built from.
#[derive(Clone)]
pub struct Deps {
    pub store: Arc<dyn EventStore>,
    pub archive: Arc<dyn ArchiveStore>,
    pub deliveries: Arc<dyn DeliveryStore>,
    pub functions: Arc<dyn FunctionEvents>,
    pub queues: Arc<dyn QueueSink>,
    pub http: Arc<dyn HttpSink>,
    pub traces: Arc<dyn TraceSink>,
    pub operations: Arc<dyn Operations>,
    pub clock: Arc<dyn Clock>,
    pub entropy: Arc<dyn Entropy>,
}

/// Both APIs of this node.
pub struct Events {
    deps: Deps,
    rules: Indexes<Index<ReadyRule>>,
    archives: Indexes<Vec<ReadyArchive>>,
    timers: Timers,
    /// Something was put into the outbox.
    posted: Bell,
    posts: AtomicU64,
    /// The same, for API destinations.
    http_posted: Bell,
    /// A connection waits for its token.
    authorizing: Bell,
    tokens: Tokens,
    paces: Paces,
    /// There is something to archive, or to replay.
    archiving: Bell,
    /// By which the scheduler's requests are routed.
    scheduler: Table<&'static scheduler::Operation>,
}

/// How often a change is decided anew because another one was faster.
const ATTEMPTS_MAX: usize = 8;

impl Events {
    pub fn new(deps: Deps) -> Self {
        Self {
            rules: Indexes::default(),
            archives: Indexes::default(),
            timers: Timers::new(deps.clock.clone()),
            posted: Bell::new(deps.clock.clone()),
            posts: AtomicU64::new(0),
            http_posted: Bell::new(deps.clock.clone()),
            authorizing: Bell::new(deps.clock.clone()),
            tokens: Tokens::default(),
            paces: Paces::default(),
            archiving: Bell::new(deps.clock.clone()),
            scheduler: scheduler::table(),
            deps,
        }
    }

    /// Answers a request of EventBridge's API, known by its `X-Amz-Target: AWSEvents.OPERATION`.
    pub async fn handle(&self, request: Request) -> Response {
        api::handle(self, request).await
    }

    /// Answers a request that brings CloudEvents for a bus, named by its name or ARN.
    pub async fn handle_cloud_events(&self, bus: &str, request: Request) -> Response {
        api::handle_cloud_events(self, bus, request).await
    }

    /// Answers a request of the scheduler's API.
    pub async fn handle_scheduler(&self, request: Request) -> Response {
        scheduler::handle(self, request).await
    }

    /// Deliveries were accepted: whoever makes them may begin.
    fn accepted(&self) {
        self.deps.functions.accepted();
        self.posted.ring();
        self.http_posted.ring();
        self.archiving.ring();
    }

    fn new_id(&self) -> String {
        ids::uuid(&*self.deps.entropy)
    }

    /// Reads a record, decides, and stores what was decided, until no other change came between.
    ///
    /// The decision is the record to store, or `None` for none from now on.
    async fn change<T>(
        &self,
        key: &Key,
        decide: impl Fn(Option<&Record>) -> Result<(Option<Record>, T), Fault>,
    ) -> Result<T, Fault> {
        for _ in 0..ATTEMPTS_MAX {
            let found = self.deps.store.get(key);
            let generation = found.as_ref().map_or(0, |entry| entry.generation);
            let (decided, answer) = decide(found.as_ref().map(|entry| &entry.record))?;
            let command = match decided {
                Some(record) if found.as_ref().is_some_and(|entry| entry.record == record) => {
                    return Ok(answer);
                }
                Some(record) => {
                    Command::Put(Arc::new(Entry { key: key.clone(), generation: generation + 1, record }))
                }
                None if generation == 0 => return Ok(answer),
                None => Command::Delete { key: key.clone(), generation },
            };
            match self.deps.store.apply(vec![command]).await {
                Ok(()) => {
                    self.changed(key);
                    return Ok(answer);
                }
                Err(StoreError::Conflict) => {}
                Err(StoreError::Unavailable { detail }) => return Err(unavailable(&detail)),
            }
        }
        Err(Fault::new(
            400,
            "ConcurrentModificationException",
            "There is concurrent modification on a rule, target, archive, or replay.",
        ))
    }

    /// What is derived from the record is made anew.
    fn changed(&self, key: &Key) {
        match key.scope.kind {
            Kind::Rule => {
                self.rules.forget(&key.scope);
                self.timers.touch(key);
            }
            Kind::Schedule => self.timers.touch(key),
            Kind::Archive => self.archives.forget(&key.scope),
            Kind::Replay => self.archiving.ring(),
            Kind::Connection => self.authorizing.ring(),
            Kind::Bus | Kind::Group | Kind::Destination => {}
        }
    }
}

/// The disk is full or fails. The store has told the operator, once; the caller can only try again.
fn unavailable(detail: &str) -> Fault {
    tracing::debug!(detail, "the store failed a request");
    Fault::new(500, "InternalException", "The service can't store this now. Please try again.")
}
