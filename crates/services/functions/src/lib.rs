//! The Lambda API: functions, versions, aliases, layers, permissions, concurrency, and synchronous calls.
//!
//! What this is not: it runs no code (port `Invoke`), unpacks no package (port `CodeStore`) and opens no
//! socket. It gets verified requests and answers them.
//!
//! Where to start: [`api`] holds the table of operations, a file for each of them or for a small group;
//! `engine` decides, purely; `worker` brings functions to rest (Active or Failed);
//! `async_calls` runs what was accepted to be run later, `mappings` what waits in queues; `spec` tells the part that
//! runs functions what they are; `provision` has environments made ahead of their calls.
//!
//! Invariants:
//! - an answer with a 2xx status for a change comes after the store said that the change is durable;
//! - a call of a function at rest writes nothing to the store;
//! - every member of a request acts or is refused by name;
//! - status codes are in `api::fault` only; nothing here names the clock, the file system or randomness but
//!   through a port.

mod announce;
pub mod api;
mod async_calls;
mod async_trace;
mod code_link;
mod destinations;
mod engine;
mod error;
mod hand_over;
mod mappings;
mod provision;
mod snapshots;
mod spec;
mod worker;

use std::sync::Arc;

use lambent_core::function::FunctionSpec;
use lambent_core::ids::{AccountId, Region, RevisionId, Version};
use lambent_core::ports::{
    Bell, Capacity, Changes, Clock, CodeStore, Entropy, Invoke, Metrics, QueueSink, QueueSource, Runtimes,
    Snapshots, TraceSink,
};
use lambent_store::StoreError;
use lambent_store::deliveries::DeliveryStore;
use lambent_store::functions::{Command, FunctionKey, FunctionRecord, FunctionStore};
use lambent_wire::route::Table;
use lambent_wire::{Protocol, Reply, Request, Response};
use tokio::sync::Notify;

pub use api::url_call::{FunctionUrl, UrlRequest, forbidden as url_forbidden, unknown_url};
pub use code_link::PATH_PREFIX as CODE_PATH_PREFIX;
pub use engine::egress::TAG as EGRESS_TAG;

use engine::Stamp;
use error::Error;

/// The neighbours that the service is built from.
#[derive(Clone)]
pub struct Deps {
    pub store: Arc<dyn FunctionStore>,
    pub deliveries: Arc<dyn DeliveryStore>,
    pub code: Arc<dyn CodeStore>,
    pub runtimes: Arc<dyn Runtimes>,
    pub invoke: Arc<dyn Invoke>,
    pub capacity: Arc<dyn Capacity>,
    pub snapshots: Arc<dyn Snapshots>,
    pub traces: Arc<dyn TraceSink>,
    pub queues: Arc<dyn QueueSink>,
    pub queue_source: Arc<dyn QueueSource>,
    pub metrics: Arc<dyn Metrics>,
    pub changes: Arc<dyn Changes>,
    pub clock: Arc<dyn Clock>,
    pub entropy: Arc<dyn Entropy>,
    pub settings: Settings,
}

#[derive(Debug, Clone)]
pub struct Settings {
    /// Concurrent executions of an account in a region.
    pub account_concurrency: u32,
    /// Where callers reach this node, such as `http://127.0.0.1:4566`: package links begin with it.
    pub public_endpoint: String,
    /// Where function URLs are reached.
    pub url_place: UrlPlace,
    /// The machine's architecture as the API names it: `x86_64` or `arm64`. Functions of another are refused.
    pub architecture: &'static str,
}

/// Where function URLs are reached: the end of their addresses, `http://ID.lambda-url.REGION.` before it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UrlPlace {
    /// `http` or `https`.
    pub scheme: String,
    /// A domain, with `:PORT` behind it unless it is the scheme's own.
    pub domain: String,
}

/// The Lambda API of this node.
pub struct Functions {
    deps: Deps,
    operations: Table<&'static api::Operation>,
    specs: spec::Specs,
    links: code_link::CodeLinks,
    /// Something waits for the worker.
    unsettled: Notify,
    /// The worker brought something to rest.
    settled: Notify,
    /// An asynchronous call was accepted.
    accepted: Bell,
    /// A queue is to be told of the end of one.
    pushes: Bell,
    put_off: async_calls::PutOff,
    mappings: mappings::Mappings,
    snapshots: snapshots::Wanted,
    /// Held while what is provisioned is handed on.
    provisioning: std::sync::Mutex<()>,
}

/// How often a change is decided anew because the worker was faster: it changes a function once or twice.
const ATTEMPTS_MAX: usize = 8;

impl Functions {
    pub fn new(deps: Deps) -> Self {
        Self {
            operations: api::table(),
            links: code_link::CodeLinks::new(&*deps.entropy),
            specs: spec::Specs::default(),
            unsettled: Notify::new(),
            settled: Notify::new(),
            accepted: Bell::new(deps.clock.clone()),
            pushes: Bell::new(deps.clock.clone()),
            put_off: async_calls::PutOff::default(),
            mappings: mappings::Mappings::default(),
            snapshots: snapshots::Wanted::default(),
            provisioning: std::sync::Mutex::new(()),
            deps,
        }
    }

    /// Answers a request for the Lambda API. Never fails otherwise than with an AWS fault.
    pub async fn handle(&self, request: Request) -> Reply {
        let call = match api::find(&self.operations, &request) {
            Ok(call) => call,
            Err(miss) => return miss.into_fault().into_response(Protocol::RestJson).into(),
        };
        match api::serve(self, call).await {
            Ok(reply) => reply,
            Err(error) => {
                // What the store can't do it has told of itself, once.
                if let Error::CodeStorage { .. } = error {
                    tracing::error!(%error, path = request.path, "a request could not be carried out");
                }
                api::fault::response(&error).into()
            }
        }
    }

    /// Answers a request below [`CODE_PATH_PREFIX`], which carries its permission in its query.
    pub async fn fetch_code(&self, path_and_query: &str) -> Response {
        api::fetch_code::answer(self, path_and_query).await
    }

    /// The function URL of this id.
    pub fn url(&self, id: &str) -> Option<FunctionUrl> {
        FunctionUrl::find(self, id)
    }

    /// Answers a request to a function URL.
    pub async fn call_url(&self, url: &FunctionUrl, request: &UrlRequest) -> Reply {
        api::url_call::answer(self, url, request).await
    }

    /// Host and port of a function URL.
    fn url_authority(&self, key: &FunctionKey, id: &str) -> String {
        format!("{id}.lambda-url.{}.{}", key.region, self.deps.settings.url_place.domain)
    }

    /// The address that callers use.
    fn url_address(&self, key: &FunctionKey, id: &str) -> String {
        format!("{}://{}/", self.deps.settings.url_place.scheme, self.url_authority(key, id))
    }

    /// What a version of a function is to the part that runs it, as of now; `None` when there is none such.
    pub fn spec(&self, key: &FunctionKey, version: Version) -> Option<Arc<FunctionSpec>> {
        let record = self.deps.store.function(key)?;
        let version = engine::versions::find(&record, version)?;
        self.specs.of(&record, &version).ok()
    }

    fn stamp(&self) -> Stamp {
        Stamp {
            now: self.deps.clock.now(),
            revision: RevisionId::random(&*self.deps.entropy),
            published_revision: RevisionId::random(&*self.deps.entropy),
        }
    }

    /// The function, or that it is not there.
    fn record(&self, target: &api::target::Target) -> Result<Arc<FunctionRecord>, Error> {
        let not_found = || Error::FunctionNotFound { arn: target.qualified_arn() };
        self.deps.store.function(&target.key).ok_or_else(not_found)
    }

    /// Reads the function, decides, and stores what was decided: the way of every change to one function.
    ///
    /// The decision is a record to store, or `None` for no change, and what to answer. It is made anew when the
    /// worker was faster; when another caller was, that one won and this one is told so.
    async fn change<T>(
        &self,
        target: &api::target::Target,
        decide: impl Fn(&FunctionRecord) -> Result<(Option<FunctionRecord>, T), Error>,
    ) -> Result<T, Error> {
        self.settle_function(&target.key).await;
        let mut current = self.record(target)?;
        for _ in 0..ATTEMPTS_MAX {
            let (changed, answer) = decide(&current)?;
            let Some(changed) = changed else { return Ok(answer) };
            debug_assert_eq!(changed.generation, current.generation + 1);
            let command = Command::PutFunction { record: Arc::new(changed), expected: current.generation };
            match self.deps.store.apply(vec![command]).await {
                Ok(()) => return Ok(answer),
                Err(StoreError::Conflict) => {
                    let seen = std::mem::replace(&mut current, self.record(target)?);
                    if !engine::function::same_but_for_state(&seen, &current) {
                        break;
                    }
                }
                Err(StoreError::Unavailable { detail }) => return Err(Error::StoreUnavailable { detail }),
            }
        }
        Err(Error::UpdateInProgress { arn: target.arn() })
    }

    /// A number in `[0, 1)`, for choosing between the versions of an alias.
    fn draw(&self) -> f64 {
        let mut bytes = [0; 4];
        self.deps.entropy.fill(&mut bytes);
        f64::from(u32::from_le_bytes(bytes)) / (f64::from(u32::MAX) + 1.0)
    }

    /// Has environments made anew after `$LATEST` changed.
    fn retire_older(&self, record: &FunctionRecord) {
        self.unsettled.notify_one();
        self.wants_snapshots(&record.key);
        match self.specs.of(record, &record.latest) {
            Ok(spec) => self.deps.invoke.retire(&spec.arn(), Some(spec.clone())),
            Err(error) => tracing::error!(%error, function = %record.key.name, "an unusable function"),
        }
    }

    /// What reservations and provisioned concurrency leave to all other calls of the account.
    fn unreserved_concurrency(&self, account: &AccountId, region: &Region) -> u32 {
        let claimed = self.deps.store.claimed_concurrency(account, region);
        self.deps.settings.account_concurrency.saturating_sub(u32::try_from(claimed).unwrap_or(u32::MAX))
    }
}
