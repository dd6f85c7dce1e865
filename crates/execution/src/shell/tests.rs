//! Calls through the executor, with a sandbox whose programs are Rust functions that speak the Runtime API.

use std::future::Future;
use std::io::Write as _;
use std::net::{Ipv4Addr, SocketAddr};
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use lambent_core::function::{Egress, FunctionSpec, LogFormat, LogLevel, Logging};
use lambent_core::ids::{AccountId, CodeDigest, FunctionName, Region, RequestId, RevisionId, Version};
use lambent_core::ports::sandbox::*;
use lambent_core::ports::*;
use lambent_core::time::Timestamp;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::sync::watch;

use super::*;

mod capacity;
mod keep_alive;
mod streaming;
mod telling;

type Program = Arc<dyn Fn(Inside) -> Pin<Box<dyn Future<Output = ExitHow> + Send>> + Send + Sync>;

/// What a program has: its Runtime API and its output.
struct Inside {
    api: TcpStream,
    output: std::io::PipeWriter,
    nth: usize,
}

impl Inside {
    async fn request(&mut self, method: &str, path: &str, body: &str) -> (u16, String, String) {
        let text = format!(
            "{method} /2018-06-01/runtime/{path} HTTP/1.1\r\nHost: x\r\nContent-Length: {}\r\n\r\n{body}",
            body.len()
        );
        self.api.write_all(text.as_bytes()).await.unwrap();
        let mut data = Vec::new();
        loop {
            let mut chunk = [0; 4096];
            let n = self.api.read(&mut chunk).await.unwrap();
            assert!(n > 0, "the Runtime API hung up");
            data.extend_from_slice(&chunk[..n]);
            let text = String::from_utf8_lossy(&data).into_owned();
            let Some((head, body)) = text.split_once("\r\n\r\n") else { continue };
            let length = head
                .lines()
                .find_map(|l| l.to_ascii_lowercase().strip_prefix("content-length: ").map(str::to_owned))
                .map_or(0, |l| l.parse().unwrap());
            if body.len() >= length {
                return (text[9..12].parse().unwrap(), head.to_owned(), body.to_owned());
            }
        }
    }

    async fn next(&mut self) -> (String, String) {
        let (_, head, body) = self.request("GET", "invocation/next", "").await;
        let id = head
            .lines()
            .find_map(|l| {
                l.to_ascii_lowercase().strip_prefix("lambda-runtime-aws-request-id: ").map(str::to_owned)
            })
            .unwrap();
        (id, body)
    }

    async fn respond(&mut self, id: &str, body: &str) -> u16 {
        self.request("POST", &format!("invocation/{id}/response"), body).await.0
    }
}

#[derive(Default)]
struct Seen {
    booted: AtomicUsize,
    assigned: Mutex<Vec<String>>,
    booted_die: AtomicBool,
    prepared: AtomicUsize,
    killed: AtomicUsize,
    frozen: AtomicBool,
    /// The host has no memory left.
    short: AtomicBool,
    passed_secs: AtomicU64,
    cpu_millis: Mutex<Vec<u32>>,
    lines: Mutex<Vec<String>>,
    followed: Mutex<Vec<CallHop>>,
}

impl TraceSink for Seen {
    fn hop(&self, _: Hop) {}
    fn call(&self, call: CallHop) {
        self.followed.lock().unwrap().push(call);
    }
    fn preview_bytes(&self) -> usize {
        4
    }
}

struct FalseSandboxes {
    program: Program,
    seen: Arc<Seen>,
    fail: Option<SandboxError>,
}

struct FalseCell {
    program: Program,
    seen: Arc<Seen>,
    listener: std::net::TcpListener,
    fail: Option<SandboxError>,
    nth: usize,
}

struct FalseBooted {
    cell: Box<FalseCell>,
}

impl Booted for FalseBooted {
    fn runtime_api_addr(&self) -> SocketAddr {
        self.cell.runtime_api_addr()
    }
    fn services_addr(&self) -> Option<SocketAddr> {
        None
    }
    fn is_alive(&self) -> bool {
        !self.cell.seen.booted_die.load(Ordering::SeqCst)
    }
    fn assign(
        self: Box<Self>,
        limits: Limits,
        mounts: Vec<Mount>,
        handover: Vec<u8>,
    ) -> BoxFuture<'static, Result<Running, SandboxError>> {
        self.cell.seen.assigned.lock().unwrap().push(String::from_utf8(handover).unwrap());
        let program = lambent_core::ports::sandbox::Program { argv: vec![], env: vec![], cwd: "/".into() };
        self.cell.start(Assignment { limits, mounts, program })
    }
}

struct FalseEnvironment {
    seen: Arc<Seen>,
    exit: watch::Receiver<Option<ExitHow>>,
    stop: Mutex<Option<tokio::task::AbortHandle>>,
    killed: watch::Sender<bool>,
}

impl Sandboxes for FalseSandboxes {
    fn prepare(&self, _shape: Shape) -> BoxFuture<'_, Result<Box<dyn Cell>, SandboxError>> {
        let listener = std::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let cell: Box<dyn Cell> = Box::new(FalseCell {
            program: self.program.clone(),
            seen: self.seen.clone(),
            listener,
            fail: self.fail.clone(),
            nth: self.seen.prepared.fetch_add(1, Ordering::SeqCst),
        });
        Box::pin(async move { Ok(cell) })
    }
}

impl Cell for FalseCell {
    fn runtime_api_addr(&self) -> SocketAddr {
        self.listener.local_addr().unwrap()
    }

    fn services_addr(&self) -> Option<SocketAddr> {
        None
    }

    fn boot(self: Box<Self>, _: Assignment) -> BoxFuture<'static, Result<Box<dyn Booted>, SandboxError>> {
        self.seen.booted.fetch_add(1, Ordering::SeqCst);
        let booted: Box<dyn Booted> = Box::new(FalseBooted { cell: self });
        Box::pin(async move { Ok(booted) })
    }

    fn start(self: Box<Self>, job: Assignment) -> BoxFuture<'static, Result<Running, SandboxError>> {
        Box::pin(async move {
            if let Some(error) = self.fail {
                return Err(error);
            }
            self.seen.cpu_millis.lock().unwrap().push(job.limits.cpu_millis);
            let (output_read, output) = std::io::pipe().unwrap();
            let (frames_read, frames) = std::io::pipe().unwrap();
            std::mem::forget(frames);
            let (exited, exit) = watch::channel(None);
            let address = self.listener.local_addr().unwrap();
            let (program, nth) = (self.program.clone(), self.nth);
            let task = tokio::spawn(async move {
                let api = TcpStream::connect(address).await.unwrap();
                let how = program(Inside { api, output, nth }).await;
                let _ = exited.send(Some(how));
            });
            let environment = Arc::new(FalseEnvironment {
                seen: self.seen,
                exit,
                stop: Mutex::new(Some(task.abort_handle())),
                killed: watch::channel(false).0,
            });
            Ok(Running {
                runtime_api: self.listener,
                services: None,
                output: output_read.into(),
                frames: frames_read.into(),
                environment,
            })
        })
    }
}

impl Environment for FalseEnvironment {
    fn label(&self) -> String {
        "false".to_owned()
    }
    fn freeze(&self) -> std::io::Result<()> {
        self.seen.frozen.store(true, Ordering::SeqCst);
        Ok(())
    }
    fn thaw(&self) -> std::io::Result<()> {
        self.seen.frozen.store(false, Ordering::SeqCst);
        Ok(())
    }
    fn set_cpu_millis(&self, cpu_millis: u32) -> std::io::Result<()> {
        self.seen.cpu_millis.lock().unwrap().push(cpu_millis);
        Ok(())
    }
    fn memory_peak_bytes(&self) -> u64 {
        30 * 1024 * 1024
    }
    fn exited(&self) -> BoxFuture<'static, Exit> {
        let mut exit = self.exit.clone();
        let mut killed = self.killed.subscribe();
        Box::pin(async move {
            let how = tokio::select! {
                how = async { exit.wait_for(Option::is_some).await.map(|how| *how) } => match how {
                    Ok(how) => how.unwrap(),
                    Err(_) => ExitHow::Signal(9),
                },
                _ = killed.wait_for(|k| *k) => ExitHow::Signal(9),
            };
            Exit { how, out_of_memory: how == ExitHow::Signal(99) }
        })
    }
    fn kill(&self) -> BoxFuture<'static, ()> {
        if let Some(task) = self.stop.lock().unwrap().take() {
            task.abort();
            self.seen.killed.fetch_add(1, Ordering::SeqCst);
        }
        self.killed.send_replace(true);
        Box::pin(async {})
    }
}

/// Stands still but for what a test adds.
struct Wall(Arc<Seen>);
impl Clock for Wall {
    fn now(&self) -> Timestamp {
        Timestamp::from_millis(1_700_000_000_000)
            .plus(Duration::from_secs(self.0.passed_secs.load(Ordering::SeqCst)))
    }
    fn sleep_until(&self, at: Timestamp) -> Nap {
        let sleep = tokio::time::sleep(at.since(self.now()));
        Box::pin(async move {
            sleep.await;
            Awake::default()
        })
    }
}
struct FalseHost(Arc<Seen>);
impl Host for FalseHost {
    fn memory(&self) -> Option<HostMemory> {
        let available_bytes = if self.0.short.load(Ordering::SeqCst) { 0 } else { u64::MAX };
        Some(HostMemory { available_bytes, stalled_percent: 0.0 })
    }
}
struct Counter(AtomicUsize);
impl Entropy for Counter {
    fn fill(&self, buffer: &mut [u8]) {
        let n = self.0.fetch_add(1, Ordering::SeqCst) as u64;
        for (i, byte) in buffer.iter_mut().enumerate() {
            *byte = n.to_le_bytes()[i % 8];
        }
    }
}
struct NoSessions;
impl Sessions for NoSessions {
    fn issue(&self, _: &AccountId, _: &str, _: &str, _: Duration) -> SessionCredentials {
        SessionCredentials {
            access_key_id: "k".into(),
            secret_access_key: "s".into(),
            session_token: "t".into(),
            expires: Timestamp::default(),
        }
    }
}
struct Sink(Arc<Seen>);
impl LogSink for Sink {
    fn append<'a>(&'a self, _: &'a LogTarget, lines: Vec<LogLine>) -> BoxFuture<'a, ()> {
        self.0.lines.lock().unwrap().extend(lines.into_iter().map(|l| l.text));
        Box::pin(async {})
    }
}
struct NoEndpoint;
impl Endpoint for NoEndpoint {
    fn serve(&self, _: std::net::TcpListener) -> Box<dyn Send + Sync> {
        Box::new(())
    }
}
struct OneLaunch {
    boots: bool,
}
impl Launcher for OneLaunch {
    fn extensions(&self, _: &FunctionSpec) -> Vec<String> {
        vec![]
    }
    fn launch(&self, _: &FunctionSpec) -> Result<Launch, String> {
        Ok(Launch { mounts: vec![], argv: vec!["/bin/p".into()], env: vec![], served_by: None })
    }
    fn function_mounts(&self, _: &FunctionSpec) -> Vec<Mount> {
        vec![]
    }
    fn boot(&self, _: &'static lambent_core::runtime::Runtime, _: u32) -> Option<Launch> {
        let launch = Launch { mounts: vec![], argv: vec!["/bin/p".into()], env: vec![], served_by: None };
        self.boots.then_some(launch)
    }
}

/// Longer than anything here takes on a loaded machine.
const PATIENCE: Duration = Duration::from_secs(60);

struct House {
    executor: Arc<Executor>,
    seen: Arc<Seen>,
    ids: Counter,
}

impl House {
    fn new<F, Fut>(program: F) -> Self
    where
        F: Fn(Inside) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = ExitHow> + Send + 'static,
    {
        Self::with(program, None, false)
    }

    /// A house whose runtimes boot ahead, with one cell of the function's kind waiting.
    async fn parked<F, Fut>(program: F) -> (Self, tokio::task::JoinHandle<()>)
    where
        F: Fn(Inside) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = ExitHow> + Send + 'static,
    {
        let house = Self::with(program, None, true);
        let executor = house.executor.clone();
        let work = tokio::spawn(async move { executor.run().await });
        house.executor.expect(Arc::new(spec()));
        house.until(|seen| seen.booted.load(Ordering::SeqCst) == 1).await;
        // It is on its shelf once its maker looks for the next thing to do.
        tokio::task::yield_now().await;
        (house, work)
    }

    async fn until(&self, condition: impl Fn(&Seen) -> bool) {
        let look = async {
            while !condition(&self.seen) {
                tokio::task::yield_now().await;
            }
        };
        tokio::time::timeout(PATIENCE, look).await.expect("it never came");
    }

    fn with<F, Fut>(program: F, fail: Option<SandboxError>, boots: bool) -> Self
    where
        F: Fn(Inside) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = ExitHow> + Send + 'static,
    {
        Self::counted(program, fail, boots, Arc::new(NoMetrics))
    }

    fn counted<F, Fut>(program: F, fail: Option<SandboxError>, boots: bool, metrics: Arc<dyn Metrics>) -> Self
    where
        F: Fn(Inside) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = ExitHow> + Send + 'static,
    {
        let seen = Arc::new(Seen::default());
        let program: Program = Arc::new(move |inside| Box::pin(program(inside)));
        let executor = Executor::new(Ports {
            sandboxes: Arc::new(FalseSandboxes { program, seen: seen.clone(), fail }),
            sessions: Arc::new(NoSessions),
            sink: Arc::new(Sink(seen.clone())),
            clock: Arc::new(Wall(seen.clone())),
            host: Arc::new(FalseHost(seen.clone())),
            entropy: Arc::new(Counter(AtomicUsize::new(0))),
            endpoint: Arc::new(NoEndpoint),
            launcher: Arc::new(OneLaunch { boots }),
            snapshots: SnapshotStore::new(std::env::temp_dir().join("lambent-no-snapshots")),
            metrics,
            traces: seen.clone(),
            settings: Settings { memory_reserve_bytes: 1 << 30, ..Settings::default() },
        });
        Self { executor, seen, ids: Counter(AtomicUsize::new(1000)) }
    }

    fn call(&self, payload: &str) -> Invocation {
        Invocation {
            spec: Arc::new(spec()),
            request_id: RequestId::random(&self.ids),
            invoked_arn: "arn".into(),
            payload: Bytes::from(payload.to_owned()),
            client_context: None,
            trace_header: None,
            reserved_concurrency: None,
            unreserved_concurrency: 1000,
            tail_log: false,
            origin: Origin::of(Source::Invoke, "arn:aws:iam::000000000000:root"),
        }
    }

    async fn invoke(&self, payload: &str) -> Result<Answer, InvokeRefusal> {
        self.executor.invoke(self.call(payload)).await
    }

    /// A call that is given little time.
    fn hasty_call(&self) -> Invocation {
        let spec = FunctionSpec { timeout: Duration::from_millis(300), ..spec() };
        Invocation { spec: Arc::new(spec), ..self.call("{}") }
    }

    async fn failure(&self) -> serde_json::Value {
        self.failure_of(self.call("{}")).await
    }

    async fn failure_of(&self, call: Invocation) -> serde_json::Value {
        match self.executor.invoke(call).await.unwrap().outcome {
            Outcome::Failed(document) => serde_json::from_slice(&document).unwrap(),
            Outcome::Returned(payload) => panic!("returned {payload:?}"),
        }
    }

    /// The log once a line with this text is in it.
    async fn log_with(&self, text: &str) -> String {
        let look = async {
            loop {
                let log = self.seen.lines.lock().unwrap().concat();
                if log.contains(text) {
                    return log;
                }
                tokio::task::yield_now().await;
            }
        };
        tokio::time::timeout(PATIENCE, look).await.expect("the line never came")
    }
}

pub fn spec() -> FunctionSpec {
    FunctionSpec {
        account: AccountId::new("000000000000").unwrap(),
        region: Region::new("us-east-1").unwrap(),
        name: FunctionName::new("f").unwrap(),
        version: Version::Latest,
        revision: RevisionId::new("00000000-0000-4000-8000-000000000001").unwrap(),
        runtime: lambent_core::runtime::find("provided.al2023").unwrap(),
        handler: "h".into(),
        role_arn: "arn:aws:iam::000000000000:role/r".into(),
        code: CodeDigest::new("0".repeat(64)).unwrap(),
        layers: vec![],
        memory_mb: 128,
        timeout: PATIENCE,
        ephemeral_mb: 512,
        environment: vec![],
        egress: Egress::None,
        logging: Logging {
            group: Arc::from("/aws/lambda/f"),
            format: LogFormat::Text,
            application_level: LogLevel::Trace,
            system_level: LogLevel::Info,
        },
        snap_start: false,
    }
}

async fn echo(mut inside: Inside) -> ExitHow {
    loop {
        let (id, body) = inside.next().await;
        inside.respond(&id, &body).await;
    }
}

fn returned(answer: Result<Answer, InvokeRefusal>) -> String {
    match answer.unwrap().outcome {
        Outcome::Returned(payload) => String::from_utf8(payload.to_vec()).unwrap(),
        Outcome::Failed(document) => panic!("failed: {document:?}"),
    }
}

#[tokio::test]
async fn the_first_call_is_cold_and_the_second_is_not() {
    let house = House::new(echo);
    let first = house.invoke("{\"n\":1}").await;
    assert!(first.as_ref().unwrap().cold.is_some());
    assert_eq!(returned(first), "{\"n\":1}");
    house.log_with("REPORT").await;
    let second = house.invoke("{\"n\":2}").await;
    assert!(second.as_ref().unwrap().cold.is_none());
    assert_eq!(returned(second), "{\"n\":2}");
    assert_eq!(house.seen.prepared.load(Ordering::SeqCst), 1);
    // A small function has a whole CPU for its init, then its share: 128 of 1,769 MB.
    assert_eq!(*house.seen.cpu_millis.lock().unwrap(), [1000, 72]);
}

#[tokio::test]
async fn a_call_that_ends_leaves_its_environment_frozen_and_its_lines_in_order() {
    let house = House::new(|mut inside: Inside| async move {
        loop {
            let (id, _) = inside.next().await;
            inside.output.write_all(b"hello\nwo").unwrap();
            inside.respond(&id, "1").await;
        }
    });
    returned(house.invoke("{}").await);
    let log = house.log_with("REPORT").await;
    let order: Vec<_> =
        ["INIT_START", "START RequestId", "hello\n", "wo", "END RequestId", "REPORT RequestId"]
            .iter()
            .map(|text| log.find(text).unwrap_or_else(|| panic!("{text} in {log}")))
            .collect();
    assert!(order.is_sorted(), "{log}");
    assert!(log.contains("Memory Size: 128 MB\tMax Memory Used: 30 MB\tInit Duration: "), "{log}");
    let frozen = async {
        while !house.seen.frozen.load(Ordering::SeqCst) {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(PATIENCE, frozen).await.unwrap();
}

#[tokio::test]
async fn the_tail_holds_the_calls_own_lines() {
    let house = House::new(echo);
    let mut call = house.call("{}");
    call.tail_log = true;
    let tail = house.executor.invoke(call).await.unwrap().log_tail.unwrap();
    let text = String::from_utf8(tail.to_vec()).unwrap();
    assert!(text.starts_with("START RequestId: ") && text.contains("\nREPORT RequestId: "), "{text}");
}

#[tokio::test]
async fn a_call_over_its_time_is_cut_off_and_its_environment_with_it() {
    let house = House::new(|mut inside: Inside| async move {
        inside.next().await;
        std::future::pending().await
    });
    let document = house.failure_of(house.hasty_call()).await;
    assert_eq!(document["errorType"], "Sandbox.Timedout");
    let message = document["errorMessage"].as_str().unwrap();
    assert!(message.ends_with("Error: Task timed out after 0.30 seconds"), "{message}");
    house.log_with("Status: timeout").await;
    let second = house.failure_of(house.hasty_call()).await;
    assert_eq!(second["errorType"], "Sandbox.Timedout");
    assert_eq!(house.seen.prepared.load(Ordering::SeqCst), 2);
}

#[tokio::test]
async fn whoever_has_an_answer_that_is_the_last_word_of_its_call_finds_the_plan_told() {
    let house = House::new(|mut inside: Inside| async move {
        loop {
            let (id, body) = inside.next().await;
            if body == "\"end\"" {
                return ExitHow::Code(3);
            }
            inside.respond(&id, &body).await;
        }
    });
    for (payload, tail_log) in [("1", true), ("\"end\"", true), ("2", true), ("\"end\"", false)] {
        house.executor.invoke(Invocation { tail_log, ..house.call(payload) }).await.unwrap();
        assert_eq!(house.executor.lock().plan.call_count(), 0, "behind {payload}");
    }
}

#[tokio::test]
async fn ends_of_the_program_have_the_references_words() {
    for (how, kind, words) in [
        (ExitHow::Code(3), "Runtime.ExitError", "Error: Runtime exited with error: exit status 3"),
        (ExitHow::Code(0), "Runtime.ExitError", "Error: Runtime exited without providing a reason"),
        (ExitHow::Signal(11), "Runtime.ExitError", "signal: segmentation fault"),
        (ExitHow::Signal(99), "Runtime.OutOfMemory", "signal: killed"),
    ] {
        let house = House::new(move |mut inside: Inside| async move {
            inside.next().await;
            how
        });
        let document = house.failure().await;
        assert_eq!(document["errorType"], kind);
        assert!(document["errorMessage"].as_str().unwrap().ends_with(words), "{document}");
    }
}

#[tokio::test]
async fn a_failed_init_runs_again_inside_the_call() {
    // The first program fails its init; the second, started for the call, does not.
    let house = House::new(|mut inside: Inside| async move {
        if inside.nth == 0 {
            inside.request("POST", "init/error", "{\"errorType\":\"Boom\"}").await;
            return ExitHow::Code(1);
        }
        echo(inside).await
    });
    assert_eq!(returned(house.invoke("7").await), "7");
    let log = house.log_with("REPORT").await;
    assert!(log.contains("Phase: init\tStatus: error"), "{log}");
}

#[tokio::test]
async fn an_init_that_fails_twice_gives_the_callers_its_document() {
    let house = House::new(|mut inside: Inside| async move {
        inside.request("POST", "init/error", "{\"errorType\":\"Boom\",\"errorMessage\":\"no\"}").await;
        ExitHow::Code(1)
    });
    assert_eq!(house.failure().await["errorType"], "Boom");
    assert_eq!(house.failure().await["errorType"], "Boom");
    assert_eq!(house.executor.environment_count(), 0);
}

#[tokio::test]
async fn a_response_over_six_megabytes_is_the_functions_failure_only() {
    let house = House::new(|mut inside: Inside| async move {
        loop {
            let (id, body) = inside.next().await;
            let size: usize = body.parse().unwrap();
            let _ = inside.respond(&id, &"x".repeat(size)).await;
        }
    });
    let max = lambent_core::limits::SYNC_PAYLOAD_BYTES_MAX;
    match house.invoke(&(max + 1).to_string()).await.unwrap().outcome {
        Outcome::Failed(document) => {
            let document: serde_json::Value = serde_json::from_slice(&document).unwrap();
            assert_eq!(document["errorType"], "Function.ResponseSizeTooLarge");
        }
        Outcome::Returned(_) => panic!("over the limit"),
    }
    assert_eq!(returned(house.invoke(&max.to_string()).await).len(), max);
}

#[tokio::test]
async fn a_program_that_cannot_start_is_the_functions_failure() {
    let fail = SandboxError::Program {
        program: "/var/task/bootstrap".into(),
        detail: "permission denied".into(),
        errno: 13,
    };
    let house = House::with(echo, Some(fail), false);
    let document = house.failure().await;
    assert_eq!(document["errorType"], "Runtime.InvalidEntrypoint");
    assert!(document["errorMessage"].as_str().unwrap().ends_with("permission denied"));
}

#[tokio::test]
async fn a_host_without_room_refuses_the_call() {
    let house = House::with(echo, Some(SandboxError::Exhausted { detail: "no pids".into() }), false);
    assert!(matches!(house.invoke("{}").await, Err(InvokeRefusal::NoEnvironment { .. })));
    assert_eq!(house.executor.environment_count(), 0);
}

#[tokio::test]
async fn a_program_that_ends_while_idle_is_replaced_for_the_next_call() {
    let house = House::new(|mut inside: Inside| async move {
        let (id, _) = inside.next().await;
        let nth = inside.nth;
        inside.respond(&id, &nth.to_string()).await;
        // Asks for the next event, as it should, then ends although none came.
        let ask = b"GET /2018-06-01/runtime/invocation/next HTTP/1.1\r\nHost: x\r\n\r\n";
        inside.api.write_all(ask).await.unwrap();
        let _ = tokio::time::timeout(Duration::from_millis(20), inside.api.read(&mut [0; 1])).await;
        ExitHow::Code(0)
    });
    assert_eq!(returned(house.invoke("{}").await), "0");
    let gone = async {
        while house.executor.environment_count() > 0 {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(PATIENCE, gone).await.unwrap();
    assert_eq!(returned(house.invoke("{}").await), "1");
}

#[tokio::test]
async fn misbehaviour_ends_at_the_api() {
    let house = House::new(|mut inside: Inside| async move {
        let (id, _) = inside.next().await;
        let other = "00000000-0000-4000-8000-00000000ffff";
        let foreign = inside.respond(other, "x").await;
        let early_next = inside.request("GET", "invocation/next", "").await.0;
        let unknown = inside.request("POST", "nonsense", "x").await.0;
        let late_init_error = inside.request("POST", "init/error", "{}").await.0;
        let first =
            inside.respond(&id, &format!("[{foreign},{early_next},{unknown},{late_init_error}]")).await;
        let second = inside.respond(&id, "twice").await;
        writeln!(inside.output, "first {first} second {second}").unwrap();
        inside.next().await;
        ExitHow::Code(0)
    });
    assert_eq!(returned(house.invoke("{}").await), "[400,403,404,403]");
    house.log_with("first 202 second 403").await;
}

#[tokio::test]
async fn an_update_retires_what_idles_and_stopping_ends_everything() {
    let house = House::new(echo);
    returned(house.invoke("1").await);
    house.log_with("REPORT").await;
    let newer =
        FunctionSpec { revision: RevisionId::new("00000000-0000-4000-8000-000000000002").unwrap(), ..spec() };
    house.executor.retire(&spec().arn(), Some(Arc::new(newer)));
    let gone = async {
        while house.seen.killed.load(Ordering::SeqCst) == 0 {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(PATIENCE, gone).await.unwrap();
    house.executor.stop(Duration::from_secs(1)).await;
    assert_eq!(house.invoke("1").await.unwrap_err(), InvokeRefusal::Stopping);
}

#[tokio::test]
async fn a_runtime_that_booted_ahead_is_told_its_function_and_is_replaced() {
    let (house, _work) = House::parked(echo).await;
    let first = house.invoke("1").await;
    assert!(first.as_ref().unwrap().cold.is_some());
    assert_eq!(returned(first), "1");
    let told = house.seen.assigned.lock().unwrap().clone();
    assert_eq!(told.len(), 1);
    let told: serde_json::Value = serde_json::from_str(&told[0]).unwrap();
    assert_eq!((&told["env"]["_HANDLER"], &told["cwd"]), (&"h".into(), &"/var/task".into()));
    house.until(|seen| seen.booted.load(Ordering::SeqCst) >= 2).await;
}

#[tokio::test]
async fn a_function_that_its_runtime_must_know_at_its_start_gets_a_fresh_one() {
    let (house, _work) = House::parked(echo).await;
    let zone = ("TZ".to_owned(), "UTC".to_owned());
    for (n, spec) in
        [FunctionSpec { environment: vec![zone], ..spec() }, FunctionSpec { ephemeral_mb: 1_024, ..spec() }]
            .into_iter()
            .enumerate()
    {
        let revision = RevisionId::new(format!("00000000-0000-4000-8000-0000000000a{n}")).unwrap();
        let mut call = house.call("1");
        call.spec = Arc::new(FunctionSpec { revision, ..spec });
        assert_eq!(returned(house.executor.invoke(call).await), "1");
    }
    assert!(house.seen.assigned.lock().unwrap().is_empty());
}

#[tokio::test]
async fn a_waiting_runtime_that_died_is_passed_over() {
    let (house, _work) = House::parked(echo).await;
    house.seen.booted_die.store(true, Ordering::SeqCst);
    assert_eq!(returned(house.invoke("1").await), "1");
    assert!(house.seen.assigned.lock().unwrap().is_empty());
}
