//! A service among false neighbours, and a caller.

use std::collections::{BTreeSet, HashMap, VecDeque};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Method};
use lambent_core::function::FunctionSpec;
use lambent_core::ids::{AccountId, CodeDigest, FunctionName, Region, RequestId};
use lambent_core::ports::{
    Answer, Availability, BoxFuture, CallHop, CallSample, Capacity, CapacityUse, Change, Changes,
    CodePackage, CodeRefusal, CodeStore, EventSample, Hop, Invocation, Invoke, InvokeRefusal, MappingSample,
    Metrics, Outcome, PackageKind, Piece, Pieces, Provisioned, PullRefusal, Pulled, Push, PushRefusal,
    Pusher, QueueFacts, QueueSink, QueueSource, Runtimes, SnapshotFailure, Snapshots, StreamedAnswer,
    ThrottleReason, TraceSink,
};
use lambent_core::runtime::Runtime;
use lambent_functions::{Deps, Functions, Settings};
use lambent_store::StoreError;
use lambent_store::deliveries::MemoryDeliveries;
use lambent_store::functions::*;
use lambent_testkit::{FalseClock, SeededEntropy};
use lambent_wire::{Caller, Request};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use tokio::sync::{Notify, Semaphore};

pub const ACCOUNT: &str = "000000000000";
pub const REGION: &str = "eu-west-1";
pub const ROLE: &str = "arn:aws:iam::000000000000:role/r";

pub fn arn(name: &str) -> String {
    format!("arn:aws:lambda:{REGION}:{ACCOUNT}:function:{name}")
}

pub fn zip(content: &str) -> String {
    STANDARD.encode(format!("PK{content}"))
}

/// The least that CreateFunction takes.
pub fn minimal(name: &str) -> Value {
    json!({
        "FunctionName": name, "Runtime": "python3.12", "Handler": "app.handler", "Role": ROLE,
        "Code": { "ZipFile": zip("code") },
    })
}

/// Keeps packages in memory. What is in them says what is wrong with them.
#[derive(Default)]
pub struct FalseCode {
    kept: Mutex<HashMap<CodeDigest, Bytes>>,
}

impl CodeStore for FalseCode {
    fn admit(&self, zip: Bytes, _: PackageKind) -> BoxFuture<'_, Result<CodePackage, CodeRefusal>> {
        let text = String::from_utf8_lossy(&zip).into_owned();
        let answer = match text.strip_prefix("PK") {
            None => Err(CodeRefusal::Corrupt { detail: "no magic".into() }),
            Some("empty") => Err(CodeRefusal::Empty),
            Some("bomb") => Err(CodeRefusal::TooLarge { max_bytes: 262_144_000 }),
            Some("slip") => {
                Err(CodeRefusal::ForbiddenEntry { entry: "../x".into(), detail: "leads out".into() })
            }
            Some("full") => Err(CodeRefusal::Storage { detail: "disk full".into() }),
            Some(rest) => {
                let hex = Sha256::digest(&zip).iter().map(|b| format!("{b:02x}")).collect::<String>();
                let digest = CodeDigest::new(hex).unwrap();
                self.kept.lock().unwrap().insert(digest.clone(), zip.clone());
                // `size=N` makes a package that unpacks to N bytes.
                let size = rest.strip_prefix("size=").and_then(|n| n.parse().ok());
                let zipped_bytes = zip.len() as u64;
                Ok(CodePackage { digest, zipped_bytes, unzipped_bytes: size.unwrap_or(zipped_bytes) })
            }
        };
        Box::pin(async move { answer })
    }

    fn zipped(&self, digest: &CodeDigest) -> BoxFuture<'_, std::io::Result<Option<Bytes>>> {
        let found = self.kept.lock().unwrap().get(digest).cloned();
        Box::pin(async move { Ok(found) })
    }
}

/// Has every runtime but those that were taken away.
#[derive(Default)]
pub struct FalseRuntimes {
    pub missing: Mutex<BTreeSet<String>>,
}

impl Runtimes for FalseRuntimes {
    fn availability(&self, runtime: &'static Runtime) -> Availability {
        match self.missing.lock().unwrap().contains(runtime.id) {
            true => Availability::Missing { reason: format!("{} is not here", runtime.id) },
            false => Availability::Present,
        }
    }
}

/// Runs nothing: answers with the payload, or as it was told.
#[derive(Default)]
pub struct FalseInvoke {
    pub calls: Mutex<Vec<Invocation>>,
    pub retired: Mutex<Vec<(String, Option<Arc<FunctionSpec>>)>>,
    pub next: Mutex<Option<Result<Answer, InvokeRefusal>>>,
    /// What was asked to be kept initialised, each time: the version and how many.
    pub provisions: Mutex<Vec<Vec<(String, u32)>>>,
    /// What was asked to be made ready once.
    pub warmed: Mutex<Vec<(String, u32)>>,
    /// What of it stands, by version.
    pub stands: Mutex<HashMap<String, Provisioned>>,
    pub recent: AtomicUsize,
    /// What the next call streams: a content type, and pieces.
    pub stream: Mutex<Option<(&'static str, Vec<Piece>)>>,
    /// Where there is one, each call takes a permit of it before it ends.
    pub gate: Mutex<Option<Arc<Semaphore>>>,
    /// What calls are answered with, over and over.
    pub always: Mutex<Option<Result<Answer, InvokeRefusal>>>,
    /// What comes of the next snapshots; without anything they are made.
    pub snapshots: Mutex<VecDeque<Result<(), SnapshotFailure>>>,
    /// Versions of which a snapshot was asked for.
    pub asked: Mutex<Vec<String>>,
    /// Those that a node that starts keeps.
    pub kept: Mutex<Vec<String>>,
    pub no_snapshots: Mutex<Option<String>>,
    /// Versions that were deleted.
    pub deleted: Mutex<Vec<String>>,
}

impl Snapshots for FalseInvoke {
    fn missing(&self) -> Option<String> {
        self.no_snapshots.lock().unwrap().clone()
    }

    fn make(&self, spec: Arc<FunctionSpec>) -> BoxFuture<'_, Result<(), SnapshotFailure>> {
        assert!(spec.snap_start);
        self.asked.lock().unwrap().push(spec.version.to_string());
        let outcome = self.snapshots.lock().unwrap().pop_front().unwrap_or(Ok(()));
        Box::pin(async move { outcome })
    }

    fn keep_only(&self, specs: &[Arc<FunctionSpec>]) {
        *self.kept.lock().unwrap() = specs.iter().map(|spec| spec.version.to_string()).collect();
    }
}

struct Told(std::vec::IntoIter<Piece>);

impl Pieces for Told {
    fn poll_piece(&mut self, _: &mut Context<'_>) -> Poll<Piece> {
        Poll::Ready(self.0.next().expect("the last piece is the end"))
    }
}

impl Capacity for FalseInvoke {
    fn provision(&self, _: &str, wanted: Vec<(Arc<FunctionSpec>, u32)>) {
        let wanted = wanted.iter().map(|(spec, count)| (spec.version.to_string(), *count)).collect();
        self.provisions.lock().unwrap().push(wanted);
    }

    fn provisioned(&self, spec: &FunctionSpec) -> Provisioned {
        self.stands.lock().unwrap().get(&spec.version.to_string()).cloned().unwrap_or_default()
    }

    fn provision_settled<'a>(&'a self, _: &'a [(Arc<FunctionSpec>, u32)], _: Duration) -> BoxFuture<'a, ()> {
        Box::pin(async {})
    }

    fn warm(&self, spec: Arc<FunctionSpec>, count: u32, _: Duration) -> BoxFuture<'_, ()> {
        self.warmed.lock().unwrap().push((spec.version.to_string(), count));
        Box::pin(async {})
    }

    fn recent(&self, _: &FunctionSpec) -> u32 {
        self.recent.load(Ordering::SeqCst) as u32
    }

    fn usage(&self) -> CapacityUse {
        CapacityUse::default()
    }
}

impl Invoke for FalseInvoke {
    fn version_deleted(&self, _: &str, version: lambent_core::ids::Version) {
        self.deleted.lock().unwrap().push(version.to_string());
    }

    fn invoke(&self, call: Invocation) -> BoxFuture<'_, Result<Answer, InvokeRefusal>> {
        let echo = Answer {
            outcome: Outcome::Returned(call.payload.clone()),
            log_tail: call.tail_log.then(|| Bytes::from_static(b"the end of the log")),
            cold: None,
            handler: Duration::from_micros(1500),
        };
        self.calls.lock().unwrap().push(call);
        let always = self.always.lock().unwrap().clone();
        let answer = self.next.lock().unwrap().take().or(always).unwrap_or(Ok(echo));
        let gate = self.gate.lock().unwrap().clone();
        Box::pin(async move {
            if let Some(gate) = gate {
                gate.acquire().await.unwrap().forget();
            }
            answer
        })
    }

    fn invoke_streaming(&self, call: Invocation) -> BoxFuture<'_, Result<StreamedAnswer, InvokeRefusal>> {
        let told = self.stream.lock().unwrap().take();
        let whole = self.invoke(call);
        Box::pin(async move {
            let answer = whole.await?;
            Ok(match told {
                None => StreamedAnswer::whole(answer),
                Some((kind, pieces)) => StreamedAnswer {
                    content_type: Some(kind.to_owned()),
                    pieces: Box::new(Told(pieces.into_iter())),
                },
            })
        })
    }

    fn retire(&self, function_arn: &str, current: Option<Arc<FunctionSpec>>) {
        self.retired.lock().unwrap().push((function_arn.to_owned(), current));
    }
}

/// The in-memory store, with faults to order.
#[derive(Default)]
pub struct FaultyStore {
    pub inner: MemoryFunctions,
    pub unavailable: AtomicBool,
    pub writes: AtomicUsize,
    /// Commands of somebody else, applied just before the next write.
    pub first: Mutex<Option<Vec<Command>>>,
}

impl FunctionStore for FaultyStore {
    fn apply(&self, commands: Vec<Command>) -> BoxFuture<'_, Result<(), StoreError>> {
        self.writes.fetch_add(1, Ordering::SeqCst);
        if self.unavailable.load(Ordering::SeqCst) {
            return Box::pin(async { Err(StoreError::Unavailable { detail: "disk full".into() }) });
        }
        let first = self.first.lock().unwrap().take();
        Box::pin(async move {
            if let Some(first) = first {
                self.inner.apply(first).await.unwrap();
            }
            self.inner.apply(commands).await
        })
    }
    fn function(&self, key: &FunctionKey) -> Option<Arc<FunctionRecord>> {
        self.inner.function(key)
    }
    fn function_by_url(&self, id: &str) -> Option<(Arc<FunctionRecord>, String)> {
        self.inner.function_by_url(id)
    }
    fn next_version(&self, key: &FunctionKey) -> u64 {
        self.inner.next_version(key)
    }
    fn list_functions(
        &self,
        account: &AccountId,
        region: &Region,
        after: Option<&FunctionName>,
        limit: usize,
    ) -> Vec<Arc<FunctionRecord>> {
        self.inner.list_functions(account, region, after, limit)
    }
    fn functions_by_runtime(&self) -> Vec<FunctionKey> {
        self.inner.functions_by_runtime()
    }
    fn unsettled_functions(&self) -> Vec<FunctionKey> {
        self.inner.unsettled_functions()
    }
    fn layer(&self, key: &LayerKey) -> Option<Arc<LayerRecord>> {
        self.inner.layer(key)
    }
    fn list_layers(
        &self,
        account: &AccountId,
        region: &Region,
        after: Option<&str>,
        limit: usize,
    ) -> Vec<Arc<LayerRecord>> {
        self.inner.list_layers(account, region, after, limit)
    }
    fn mapping(&self, id: &str) -> Option<Arc<MappingRecord>> {
        self.inner.mapping(id)
    }
    fn mappings(&self) -> Vec<Arc<MappingRecord>> {
        self.inner.mappings()
    }
    fn provisioned_functions(&self) -> Vec<FunctionKey> {
        self.inner.provisioned_functions()
    }
    fn snap_start_functions(&self) -> Vec<FunctionKey> {
        self.inner.snap_start_functions()
    }
    fn claimed_concurrency(&self, account: &AccountId, region: &Region) -> u64 {
        self.inner.claimed_concurrency(account, region)
    }
    fn usage(&self, account: &AccountId, region: &Region) -> Usage {
        self.inner.usage(account, region)
    }
    fn is_referenced(&self, digest: &CodeDigest) -> bool {
        self.inner.is_referenced(digest)
    }
}

/// Remembers hops.
#[derive(Default)]
pub struct Hops(pub Mutex<Vec<Hop>>);

impl TraceSink for Hops {
    fn hop(&self, hop: Hop) {
        self.0.lock().unwrap().push(hop);
    }
    fn call(&self, _: CallHop) {}
    fn preview_bytes(&self) -> usize {
        3
    }
}

/// Queues that write down what they are told: the queue, and the message. One whose name is `gone` is not there, one
/// that is `busy` takes nothing now.
#[derive(Default)]
pub struct FalseQueues(pub Mutex<Vec<(String, Push)>>);

impl QueueSink for FalseQueues {
    fn push<'a>(
        &'a self,
        queue_arn: &'a str,
        _: Pusher<'a>,
        message: Push,
    ) -> BoxFuture<'a, Result<String, PushRefusal>> {
        Box::pin(async move {
            if queue_arn.ends_with(":gone") {
                return Err(PushRefusal::NoQueue { arn: queue_arn.to_owned() });
            }
            if queue_arn.ends_with(":busy") {
                return Err(PushRefusal::Unavailable { detail: "busy".into() });
            }
            self.0.lock().unwrap().push((queue_arn.to_owned(), message));
            Ok("id".to_owned())
        })
    }
}

/// A queue in memory, whose messages lie in flight until they are done or put back.
#[derive(Default)]
pub struct FalseQueue {
    pub ready: VecDeque<Pulled>,
    pub in_flight: Vec<Pulled>,
    pub facts: Option<QueueFacts>,
    pub done: Vec<String>,
    pub owned_anew: usize,
}

/// Queues to read, by ARN.
#[derive(Default)]
pub struct FalseSource {
    pub queues: Mutex<HashMap<String, FalseQueue>>,
    pub arrived: Notify,
}

pub fn queue_arn(name: &str) -> String {
    format!("arn:aws:sqs:{REGION}:{ACCOUNT}:{name}")
}

impl FalseSource {
    pub fn with<T>(&self, queue_arn: &str, change: impl FnOnce(&mut FalseQueue) -> T) -> T {
        change(self.queues.lock().unwrap().entry(queue_arn.to_owned()).or_default())
    }

    pub fn make(&self, name: &str) -> String {
        let facts = QueueFacts { is_fifo: name.ends_with(".fifo"), visibility: Duration::from_secs(30) };
        let arn = queue_arn(name);
        self.with(&arn, |queue| queue.facts = Some(facts));
        arn
    }

    pub fn send(&self, queue_arn: &str, id: &str, body: &str) {
        self.send_message(queue_arn, id, body, None, None);
    }

    pub fn send_message(&self, arn: &str, id: &str, body: &str, group: Option<&str>, trace: Option<&str>) {
        let trace = trace.map(|trace| ("AWSTraceHeader".to_owned(), trace.to_owned()));
        let message = Pulled {
            id: id.to_owned(),
            receipt_handle: format!("r-{id}"),
            body: body.to_owned(),
            body_md5: "md5".to_owned(),
            system: trace.into_iter().collect(),
            attributes: Default::default(),
            attributes_md5: None,
            sent: Default::default(),
            receives: 0,
            group: group.map(str::to_owned),
        };
        self.with(arn, |queue| queue.ready.push_back(message));
        self.arrived.notify_waiters();
    }

    fn gone(&self, arn: &str) -> Result<(), PullRefusal> {
        match self.facts(arn) {
            Some(_) => Ok(()),
            None => Err(PullRefusal::NoQueue { arn: arn.to_owned() }),
        }
    }

    fn take(&self, arn: &str, limit: usize) -> Vec<Pulled> {
        self.with(arn, |queue| {
            let count = limit.min(queue.ready.len());
            let mut taken: Vec<Pulled> = queue.ready.drain(..count).collect();
            taken.iter_mut().for_each(|message| message.receives += 1);
            queue.in_flight.extend(taken.clone());
            taken
        })
    }
}

impl QueueSource for FalseSource {
    fn facts(&self, queue_arn: &str) -> Option<QueueFacts> {
        self.queues.lock().unwrap().get(queue_arn)?.facts
    }

    fn lets_read(&self, queue_arn: &str, account: &AccountId, role_arn: &str) -> bool {
        assert!(role_arn.starts_with("arn:aws:iam::"), "{role_arn}");
        let is_open = queue_arn.contains(&format!(":{account}:")) || queue_arn.ends_with("-open");
        self.facts(queue_arn).is_some() && is_open
    }

    fn pull<'a>(
        &'a self,
        queue_arn: &'a str,
        limit: usize,
        _: Duration,
        over: Option<BoxFuture<'a, ()>>,
    ) -> BoxFuture<'a, Result<Vec<Pulled>, PullRefusal>> {
        Box::pin(async move {
            let mut over = over;
            loop {
                let arrived = self.arrived.notified();
                self.gone(queue_arn)?;
                let taken = self.take(queue_arn, limit);
                let Some(end) = over.as_mut().filter(|_| taken.is_empty()) else { return Ok(taken) };
                tokio::select! {
                    () = arrived => {}
                    () = end => over = None,
                }
            }
        })
    }

    fn done<'a>(
        &'a self,
        queue_arn: &'a str,
        receipt_handles: &'a [String],
    ) -> BoxFuture<'a, Result<(), PullRefusal>> {
        Box::pin(async move {
            self.gone(queue_arn)?;
            self.with(queue_arn, |queue| {
                queue.in_flight.retain(|message| !receipt_handles.contains(&message.receipt_handle));
                queue.done.extend(receipt_handles.iter().map(|handle| handle[2..].to_owned()));
            });
            Ok(())
        })
    }

    fn give_back<'a>(
        &'a self,
        queue_arn: &'a str,
        _: &'a [String],
        _: Duration,
    ) -> BoxFuture<'a, Result<(), PullRefusal>> {
        Box::pin(async move {
            self.with(queue_arn, |queue| queue.owned_anew += 1);
            Ok(())
        })
    }

    fn put_back<'a>(
        &'a self,
        queue_arn: &'a str,
        receipt_handles: &'a [String],
        _: Duration,
    ) -> BoxFuture<'a, Result<(), PullRefusal>> {
        Box::pin(async move {
            self.with(queue_arn, |queue| {
                let (back, rest) = std::mem::take(&mut queue.in_flight)
                    .into_iter()
                    .partition(|message: &Pulled| receipt_handles.contains(&message.receipt_handle));
                queue.in_flight = rest;
                queue.ready.extend(back.into_iter().map(|m| Pulled { receives: m.receives - 1, ..m }));
            });
            self.arrived.notify_waiters();
            Ok(())
        })
    }
}

/// Counts what mappings tell, and keeps what events do, with the last word of the function's ARN.
#[derive(Default)]
pub struct Counts(pub Mutex<HashMap<String, MappingSample>>, pub Mutex<Vec<(String, EventSample)>>);

impl Metrics for Counts {
    fn call(&self, _: &FunctionSpec, _: CallSample) {}
    fn throttled(&self, _: &FunctionSpec, _: ThrottleReason) {}
    fn mapping(&self, mapping_arn: &str, sample: MappingSample) {
        let mut all = self.0.lock().unwrap();
        let sums = all.entry(mapping_arn.to_owned()).or_default();
        sums.polled += sample.polled;
        sums.filtered_out += sample.filtered_out;
        sums.invoked += sample.invoked;
        sums.failed += sample.failed;
        sums.deleted += sample.deleted;
    }
    fn event(&self, function_arn: &str, sample: EventSample) {
        let name = function_arn.rsplit(':').next().unwrap_or_default();
        self.1.lock().unwrap().push((name.to_owned(), sample));
    }
    fn forget_mapping(&self, mapping_arn: &str) {
        self.0.lock().unwrap().remove(mapping_arn);
    }
}

/// What functions tell of themselves.
#[derive(Default)]
pub struct ToldChanges(Mutex<Vec<Change>>);

impl Changes for ToldChanges {
    fn tell(&self, change: Change) -> BoxFuture<'_, ()> {
        self.0.lock().unwrap().push(change);
        Box::pin(std::future::ready(()))
    }
}

impl ToldChanges {
    /// Since the last time: what it is, and what it says.
    pub fn take(&self) -> Vec<(&'static str, Value)> {
        let all = std::mem::take(&mut *self.0.lock().unwrap());
        let shown = |change: Change| {
            let detail: Value = serde_json::from_str(&change.detail).unwrap();
            assert_eq!(detail["functionArn"], change.resource);
            (change.kind.as_str(), detail)
        };
        all.into_iter().map(shown).collect()
    }
}

pub struct World {
    pub changes: Arc<ToldChanges>,
    pub queues: Arc<FalseQueues>,
    pub functions: Arc<Functions>,
    pub source: Arc<FalseSource>,
    pub counted: Arc<Counts>,
    pub hops: Arc<Hops>,
    pub deliveries: Arc<MemoryDeliveries>,
    requests: AtomicUsize,
    pub store: Arc<FaultyStore>,
    pub runtimes: Arc<FalseRuntimes>,
    pub invoke: Arc<FalseInvoke>,
    pub clock: Arc<FalseClock>,
    pub account: AccountId,
}

/// The header of an answer whose body was cut off.
pub const CUT_OFF: &str = "x-test-cut-off";

/// An answer of either kind, read to its end.
pub async fn gathered(reply: lambent_wire::Reply) -> Reply {
    let (mut parts, bytes) = match reply {
        lambent_wire::Reply::Whole(response) => response.into_parts(),
        lambent_wire::Reply::Flowing(response) => {
            let (mut parts, mut flow) = response.into_parts();
            let mut bytes = Vec::new();
            while let Some(more) = std::future::poll_fn(|cx| flow.poll_bytes(cx)).await {
                match more {
                    Ok(more) => bytes.extend_from_slice(&more),
                    Err(_) => {
                        parts.headers.insert(CUT_OFF, HeaderValue::from_static("yes"));
                        break;
                    }
                }
            }
            (parts, Bytes::from(bytes))
        }
    };
    Reply { status: parts.status.as_u16(), headers: std::mem::take(&mut parts.headers), bytes }
}

/// An answer, read.
#[derive(Debug)]
pub struct Reply {
    pub status: u16,
    pub headers: HeaderMap,
    pub bytes: Bytes,
}

impl Reply {
    pub fn json(&self) -> Value {
        if self.bytes.is_empty() { Value::Null } else { serde_json::from_slice(&self.bytes).unwrap() }
    }

    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(|v| v.to_str().unwrap())
    }

    /// The body of an answer that must be a success.
    #[track_caller]
    pub fn ok(&self) -> Value {
        assert!((200..300).contains(&self.status), "{} {:?}", self.status, self.bytes);
        self.json()
    }

    /// Holds a fault's status, code and message.
    #[track_caller]
    pub fn is_fault(&self, status: u16, code: &str, message: &str) {
        let found = (self.status, self.header("x-amzn-errortype").unwrap_or_default().to_owned());
        assert_eq!(found, (status, code.to_owned()), "{:?}", self.bytes);
        let text = self.json()["Message"].as_str().unwrap_or_default().to_owned();
        assert!(text.contains(message), "{text:?} should say {message:?}");
    }
}

impl World {
    pub fn new() -> Self {
        let store = Arc::new(FaultyStore::default());
        let runtimes = Arc::new(FalseRuntimes::default());
        let invoke = Arc::new(FalseInvoke::default());
        let clock = Arc::new(FalseClock::default());
        let deliveries = Arc::new(MemoryDeliveries::default());
        let hops = Arc::new(Hops::default());
        let changes = Arc::new(ToldChanges::default());
        let queues = Arc::new(FalseQueues::default());
        let (source, counted) = (Arc::new(FalseSource::default()), Arc::new(Counts::default()));
        let functions = Functions::new(Deps {
            queues: queues.clone(),
            queue_source: source.clone(),
            metrics: counted.clone(),
            changes: changes.clone(),
            store: store.clone(),
            deliveries: deliveries.clone(),
            code: Arc::new(FalseCode::default()),
            runtimes: runtimes.clone(),
            invoke: invoke.clone(),
            capacity: invoke.clone(),
            snapshots: invoke.clone(),
            traces: hops.clone(),
            clock: clock.clone(),
            entropy: Arc::new(SeededEntropy::default()),
            settings: Settings {
                account_concurrency: 1_000,
                public_endpoint: "http://127.0.0.1:4566".to_owned(),
                url_place: lambent_functions::UrlPlace {
                    scheme: "http".to_owned(),
                    domain: "localhost:4566".to_owned(),
                },
                architecture: "x86_64",
            },
        });
        Self {
            changes,
            queues,
            source,
            counted,
            requests: AtomicUsize::new(9),
            functions: Arc::new(functions),
            store,
            deliveries,
            hops,
            runtimes,
            invoke,
            clock,
            account: AccountId::new(ACCOUNT).unwrap(),
        }
    }

    /// A world with these functions, at rest.
    pub async fn with(names: &[&str]) -> Self {
        let world = Self::new();
        for name in names {
            world.post("/2015-03-31/functions", &minimal(name)).await.ok();
        }
        world.functions.settle().await;
        world
    }

    pub async fn send(&self, method: Method, address: &str, headers: &[(&str, &str)], body: Bytes) -> Reply {
        let (path, query) = address.split_once('?').unwrap_or((address, ""));
        let mut map = HeaderMap::new();
        for (name, value) in headers {
            map.insert(HeaderName::try_from(*name).unwrap(), HeaderValue::from_str(value).unwrap());
        }
        let request = Request {
            method,
            path: path.to_owned(),
            query: lambent_wire::route::decode_query(query).unwrap(),
            headers: map,
            body,
            request_id: RequestId::random(&SeededEntropy::new(
                self.requests.fetch_add(1, Ordering::SeqCst) as u64
            )),
            caller: Caller {
                account: self.account.clone(),
                region: Region::new(REGION).unwrap(),
                access_key_id: "test".to_owned(),
                principal_arn: format!("arn:aws:iam::{}:root", self.account),
            },
        };
        gathered(self.functions.handle(request).await).await
    }

    pub async fn get(&self, address: &str) -> Reply {
        self.send(Method::GET, address, &[], Bytes::new()).await
    }

    pub async fn delete(&self, address: &str) -> Reply {
        self.send(Method::DELETE, address, &[], Bytes::new()).await
    }

    pub async fn post(&self, address: &str, body: &Value) -> Reply {
        self.send(Method::POST, address, &[], body.to_string().into()).await
    }

    pub async fn put(&self, address: &str, body: &Value) -> Reply {
        self.send(Method::PUT, address, &[], body.to_string().into()).await
    }

    pub async fn create(&self, body: &Value) -> Reply {
        self.post("/2015-03-31/functions", body).await
    }

    /// Creates a function with members laid over the least that is needed, and brings it to rest.
    pub async fn create_with(&self, name: &str, members: Value) -> Reply {
        let mut body = minimal(name);
        for (member, value) in members.as_object().unwrap() {
            body[member] = value.clone();
        }
        let reply = self.create(&body).await;
        self.functions.settle().await;
        reply
    }

    pub async fn configure(&self, name: &str, body: Value) -> Reply {
        self.put(&format!("/2015-03-31/functions/{name}/configuration"), &body).await
    }

    pub async fn configuration(&self, name: &str) -> Value {
        self.get(&format!("/2015-03-31/functions/{name}/configuration")).await.ok()
    }

    pub async fn update_code(&self, name: &str, content: &str) -> Value {
        let address = format!("/2015-03-31/functions/{name}/code");
        self.put(&address, &json!({ "ZipFile": zip(content) })).await.ok()
    }

    pub async fn publish(&self, name: &str) -> Value {
        self.post(&format!("/2015-03-31/functions/{name}/versions"), &json!({})).await.ok()
    }

    /// Changes the code and publishes, so that there is a new version for certain.
    pub async fn publish_new(&self, name: &str, content: &str) -> Value {
        self.update_code(name, content).await;
        self.publish(name).await
    }

    pub async fn call(&self, name: &str, headers: &[(&str, &str)], payload: &str) -> Reply {
        let address = format!("/2015-03-31/functions/{name}/invocations");
        self.send(Method::POST, &address, headers, payload.to_owned().into()).await
    }

    pub fn key(&self, name: &str) -> FunctionKey {
        FunctionKey {
            account: AccountId::new(ACCOUNT).unwrap(),
            region: Region::new(REGION).unwrap(),
            name: FunctionName::new(name).unwrap(),
        }
    }

    pub fn last_call(&self) -> Invocation {
        self.invoke.calls.lock().unwrap().last().expect("a call was made").clone()
    }

    pub fn writes(&self) -> usize {
        self.store.writes.load(Ordering::SeqCst)
    }
}
