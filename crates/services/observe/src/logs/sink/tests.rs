use std::sync::atomic::AtomicUsize;

use lambent_core::ids::{AccountId, Region};
use lambent_core::ports::BoxFuture;
use lambent_core::time::Timestamp;
use lambent_store::StoreError;
use lambent_store::logs::*;
use lambent_testkit::FalseClock;
use tokio::sync::Semaphore;
use tokio::time::timeout;

use super::*;

/// A store whose appends wait for a permit each, or fail.
struct Gate {
    inner: MemoryLogs,
    permits: Semaphore,
    failing: AtomicBool,
    appends: AtomicUsize,
}

impl Gate {
    fn new(permits: usize) -> Arc<Self> {
        Arc::new(Self {
            inner: MemoryLogs::default(),
            permits: Semaphore::new(permits),
            failing: AtomicBool::new(false),
            appends: AtomicUsize::new(0),
        })
    }

    async fn texts(&self) -> Vec<String> {
        let query = ReadQuery {
            group: group(),
            streams: Streams::All,
            from: Position::FIRST,
            until: Position::LAST,
            direction: Direction::Forward,
            events_max: usize::MAX,
            bytes_max: usize::MAX,
        };
        self.inner.read(query).await.unwrap().events.into_iter().map(|event| event.text).collect()
    }
}

impl LogStore for Gate {
    fn append(&self, runs: Vec<Run>) -> BoxFuture<'_, Result<Vec<Result<(), Refusal>>, StoreError>> {
        Box::pin(async move {
            self.appends.fetch_add(1, Ordering::SeqCst);
            if self.failing.load(Ordering::SeqCst) {
                return Err(StoreError::Unavailable { detail: "told to".into() });
            }
            self.permits.acquire().await.unwrap().forget();
            self.inner.append(runs).await
        })
    }
    fn apply(&self, command: Command) -> BoxFuture<'_, Result<Result<(), Refusal>, StoreError>> {
        self.inner.apply(command)
    }
    fn group<'a>(&'a self, key: &'a GroupKey) -> BoxFuture<'a, Result<Option<GroupRecord>, StoreError>> {
        self.inner.group(key)
    }
    fn list_groups(&self, query: GroupQuery) -> BoxFuture<'_, Result<Vec<GroupRecord>, StoreError>> {
        self.inner.list_groups(query)
    }
    fn stream<'a>(&'a self, key: &'a StreamKey) -> BoxFuture<'a, Result<Option<StreamRecord>, StoreError>> {
        self.inner.stream(key)
    }
    fn list_streams(&self, query: StreamQuery) -> BoxFuture<'_, Result<Vec<StreamRecord>, StoreError>> {
        self.inner.list_streams(query)
    }
    fn read(&self, query: ReadQuery) -> BoxFuture<'_, Result<Page, StoreError>> {
        self.inner.read(query)
    }
    fn sweep(&self, now: Timestamp) -> BoxFuture<'_, Result<Swept, StoreError>> {
        self.inner.sweep(now)
    }
}

fn group() -> GroupKey {
    GroupKey {
        account: AccountId::new("000000000000").unwrap(),
        region: Region::new("eu-west-1").unwrap(),
        name: "/aws/lambda/f".into(),
    }
}

fn target(stream: &str) -> LogTarget {
    let GroupKey { account, region, name } = group();
    LogTarget { account, region, group: name, stream: stream.into() }
}

fn lines(texts: &[&str]) -> Vec<LogLine> {
    texts.iter().map(|text| LogLine { time: Timestamp::from_millis(5), text: (*text).to_owned() }).collect()
}

fn many(prefix: &str, count: usize) -> Vec<LogLine> {
    let line =
        |n| LogLine { time: Timestamp::from_millis(n as u64), text: format!("{prefix}{n} {:1000}", "") };
    (0..count).map(line).collect()
}

fn sink(store: &Arc<Gate>) -> Sink {
    let settings =
        Settings { flush_after: Duration::from_secs(1), stream_bytes_max: 100_000, total_bytes_max: 300_000 };
    Sink::new(store.clone(), Arc::new(FalseClock::default()), settings)
}

/// Runs the sink beside the test until the test ends.
fn start(sink: &Sink) {
    let sink = sink.clone();
    tokio::spawn(async move { sink.run().await });
}

const A_MOMENT: Duration = Duration::from_millis(1);

#[tokio::test(start_paused = true)]
async fn a_line_is_stored_within_a_second() {
    let store = Gate::new(9);
    let sink = sink(&store);
    start(&sink);
    sink.append(&target("s"), lines(&["hello"])).await;
    assert_eq!(store.texts().await, [""; 0]);
    tokio::time::sleep(Duration::from_millis(1001)).await;
    assert_eq!(store.texts().await, ["hello"]);
}

#[tokio::test(start_paused = true)]
async fn a_chunks_worth_of_lines_does_not_wait_for_the_second() {
    let store = Gate::new(9);
    let sink = sink(&store);
    start(&sink);
    sink.append(&target("s"), many("", 80)).await;
    tokio::time::sleep(A_MOMENT).await;
    assert_eq!(store.texts().await.len(), 80);
}

#[tokio::test(start_paused = true)]
async fn who_floods_waits_and_nobody_else_does() {
    let store = Gate::new(0);
    let sink = sink(&store);
    start(&sink);
    let flood = tokio::spawn({
        let sink = sink.clone();
        async move { sink.append(&target("flood"), many("", 1000)).await }
    });
    tokio::time::sleep(Duration::from_secs(60)).await;
    assert!(!flood.is_finished(), "the store takes nothing, so the flood must wait");
    assert!(sink.0.lock().total_bytes <= 100_000);
    timeout(A_MOMENT, sink.append(&target("quiet"), lines(&["one", "two"]))).await.unwrap();
    store.permits.add_permits(1000);
    flood.await.unwrap();
    assert!(sink.flush(Scope::All).await);
    assert_eq!(store.texts().await.len(), 1002);
}

#[tokio::test(start_paused = true)]
async fn many_floods_together_keep_the_bound_and_let_a_quiet_stream_in() {
    let store = Gate::new(0);
    let sink = sink(&store);
    start(&sink);
    let floods: Vec<_> = (0..10)
        .map(|number| {
            let sink = sink.clone();
            tokio::spawn(async move { sink.append(&target(&format!("f{number}")), many("", 200)).await })
        })
        .collect();
    tokio::time::sleep(Duration::from_secs(60)).await;
    assert!(sink.0.lock().total_bytes <= 300_000 + 10 * SHARE_BYTES);
    timeout(A_MOMENT, sink.append(&target("quiet"), many("", 10))).await.unwrap();
    store.permits.add_permits(1000);
    for flood in floods {
        flood.await.unwrap();
    }
    assert!(sink.flush(Scope::All).await);
    assert_eq!(store.texts().await.len(), 2010);
    let buffers = sink.0.lock();
    assert_eq!((buffers.total_bytes, buffers.streams.len()), (0, 0), "nothing stays behind");
}

#[tokio::test(start_paused = true)]
async fn calls_for_one_stream_keep_their_order_even_when_they_wait() {
    let store = Gate::new(0);
    let sink = sink(&store);
    start(&sink);
    let mut calls = Vec::new();
    for number in 0..4 {
        let sink = sink.clone();
        // All of one time: what remains is the order of arrival.
        let mut lines = many(&format!("{number}-"), 120);
        lines.iter_mut().for_each(|line| line.time = Timestamp::from_millis(1));
        calls.push(tokio::spawn(async move { sink.append(&target("s"), lines).await }));
        tokio::task::yield_now().await;
    }
    store.permits.add_permits(1000);
    for call in calls {
        call.await.unwrap();
    }
    assert!(sink.flush(Scope::All).await);
    let texts = store.texts().await;
    let found: Vec<_> = texts.iter().map(|text| text.split(' ').next().unwrap().to_owned()).collect();
    let expected: Vec<_> =
        (0..4).flat_map(|number| (0..120).map(move |line| format!("{number}-{line}"))).collect();
    assert_eq!(found, expected);
}

#[tokio::test(start_paused = true)]
async fn a_store_that_fails_and_recovers_gets_every_line_once_and_in_order() {
    let store = Gate::new(100);
    let sink = sink(&store);
    store.failing.store(true, Ordering::SeqCst);
    sink.append(&target("s"), lines(&["a", "b"])).await;
    assert!(!sink.flush(Scope::All).await);
    sink.append(&target("s"), lines(&["c"])).await;
    assert!(!sink.flush(Scope::All).await);
    store.failing.store(false, Ordering::SeqCst);
    start(&sink);
    tokio::time::sleep(Duration::from_secs(3)).await;
    assert_eq!(store.texts().await, ["a", "b", "c"]);
}

#[tokio::test(start_paused = true)]
async fn a_failing_store_is_not_asked_without_pause() {
    let store = Gate::new(0);
    store.failing.store(true, Ordering::SeqCst);
    let sink = sink(&store);
    start(&sink);
    let flooding = sink.clone();
    tokio::spawn(async move { flooding.append(&target("s"), many("", 1000)).await });
    tokio::time::sleep(Duration::from_secs(10)).await;
    assert!(store.appends.load(Ordering::SeqCst) <= 20);
}

#[tokio::test(start_paused = true)]
async fn a_flush_whose_caller_gave_up_neither_loses_nor_doubles() {
    let store = Gate::new(0);
    let sink = sink(&store);
    sink.append(&target("s"), lines(&["a"])).await;
    assert!(timeout(A_MOMENT, sink.flush(Scope::All)).await.is_err());
    sink.append(&target("s"), lines(&["b"])).await;
    store.permits.add_permits(10);
    assert!(sink.flush(Scope::All).await);
    assert_eq!(store.texts().await, ["a", "b"]);
}

#[tokio::test(start_paused = true)]
async fn a_flush_of_one_group_leaves_the_others() {
    let store = Gate::new(9);
    let sink = sink(&store);
    sink.append(&LogTarget { group: "other".into(), ..target("s") }, lines(&["x"])).await;
    sink.append(&target("s"), lines(&["a"])).await;
    assert!(sink.flush(Scope::Group(group())).await);
    assert_eq!(store.texts().await, ["a"]);
    assert_eq!(sink.0.lock().streams.len(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_line_longer_than_an_event_becomes_several() {
    let store = Gate::new(9);
    let sink = sink(&store);
    let text = format!("x{}", "é".repeat(300_000));
    sink.append(&target("s"), lines(&[])).await;
    // Larger than the stream's bound, so each piece waits for the one before it.
    start(&sink);
    sink.append(&target("s"), lines(&[&text])).await;
    assert!(sink.flush(Scope::All).await);
    let texts = store.texts().await;
    assert_eq!(texts.concat(), text);
    assert_eq!(texts.len(), 3);
    assert!(texts.iter().all(|piece| piece.len() + EVENT_OVERHEAD_BYTES <= LOG_EVENT_BYTES_MAX));
}
