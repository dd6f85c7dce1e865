use std::collections::BTreeMap;
use std::sync::atomic::{AtomicUsize, Ordering};

use lambent_core::time::Timestamp;
use lambent_store::logs::*;
use lambent_testkit::contracts::logs::{agrees_with_memory, group, keeps_the_contract, stream};

use super::*;

fn everything(name: &str) -> ReadQuery {
    ReadQuery {
        group: group(name),
        streams: Streams::All,
        from: Position::FIRST,
        until: Position::LAST,
        direction: Direction::Forward,
        events_max: usize::MAX,
        bytes_max: usize::MAX,
    }
}

fn noise(number: u64, time: u64, bytes: usize) -> Run {
    // Hex of a mixing function: it compresses to half at best, so sizes on disk can be told.
    let mut state = number.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let mut text = String::new();
    while text.len() < bytes {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        text.push_str(&format!("{:08x}", state >> 32));
    }
    let time = Timestamp::from_millis(time);
    let events = vec![LogEvent { time, text: format!("{number} {text}") }];
    Run { stream: stream("a", "s"), ingested: time, create: true, events: events.into() }
}

#[tokio::test]
async fn the_store_keeps_the_contract() {
    let directory = tempfile::tempdir().unwrap();
    let number = AtomicUsize::new(0);
    keeps_the_contract(|| {
        let name = format!("{}.db", number.fetch_add(1, Ordering::Relaxed));
        SqliteLogs::open(&directory.path().join(name), u64::MAX).unwrap()
    })
    .await;
}

#[tokio::test]
async fn everything_is_there_after_opening_again() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("logs.db");
    let store = SqliteLogs::open(&path, u64::MAX).unwrap();
    let tags = BTreeMap::from([("k".to_owned(), "v".to_owned())]);
    let create = Command::CreateGroup { key: group("a"), created: Timestamp::from_millis(5), tags };
    store.apply(create).await.unwrap().unwrap();
    assert_eq!(store.append(vec![noise(1, 77, 100)]).await, Ok(vec![Ok(())]));
    let (page, record) =
        (store.read(everything("a")).await.unwrap(), store.group(&group("a")).await.unwrap());
    drop(store);
    let store = SqliteLogs::open(&path, u64::MAX).unwrap();
    assert_eq!(store.read(everything("a")).await.unwrap(), page);
    assert_eq!(store.group(&group("a")).await.unwrap(), record);
    assert_eq!(page.events.len(), 1);
}

#[tokio::test]
async fn the_oldest_chunks_go_when_the_bound_is_reached() {
    let directory = tempfile::tempdir().unwrap();
    let store = SqliteLogs::open(&directory.path().join("logs.db"), 100_000).unwrap();
    for number in 0..40 {
        store.append(vec![noise(number, 1_000 - number, 10_000)]).await.unwrap();
    }
    let events = store.read(everything("a")).await.unwrap().events;
    let mut kept: Vec<u64> =
        events.iter().map(|e| e.text.split(' ').next().unwrap().parse().unwrap()).collect();
    kept.sort_unstable();
    let first = kept[0];
    assert!((5..40).contains(&first), "{kept:?}");
    assert_eq!(kept, (first..40).collect::<Vec<_>>(), "the youngest are kept, without a gap");
    let stored = store.group(&group("a")).await.unwrap().unwrap().stored_bytes;
    assert_eq!(stored, events.iter().map(|e| e.counted_bytes() as u64).sum::<u64>());
}

#[tokio::test]
async fn deleting_frees_every_chunk_in_slices() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("logs.db");
    let store = SqliteLogs::open(&path, u64::MAX).unwrap();
    for number in 0..700 {
        store.append(vec![noise(number, number, 10)]).await.unwrap();
    }
    store.apply(Command::DeleteStream { key: stream("a", "s") }).await.unwrap().unwrap();
    store.append(vec![noise(1, 1, 10)]).await.unwrap();
    store.apply(Command::DeleteGroup { key: group("a") }).await.unwrap().unwrap();
    let swept = store.sweep(Timestamp::from_millis(0)).await.unwrap();
    assert!(swept.expired_bytes > 700 * 36, "{swept:?}");
    let db = database::open_reader(&path).unwrap();
    for count in ["SELECT count(*) FROM log_chunks", "SELECT disk_bytes FROM log_totals"] {
        assert_eq!(db.query_row(count, [], |row| row.get::<_, i64>(0)).unwrap(), 0, "{count}");
    }
    let dropped = "SELECT count(*) FROM log_dropped_streams";
    assert_eq!(db.query_row(dropped, [], |row| row.get::<_, i64>(0)).unwrap(), 0);
}

#[tokio::test]
async fn a_damaged_chunk_is_an_error_and_not_an_empty_page() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("logs.db");
    let store = SqliteLogs::open(&path, u64::MAX).unwrap();
    store.append(vec![noise(1, 1, 10)]).await.unwrap();
    rusqlite::Connection::open(&path).unwrap().execute("UPDATE log_chunks SET body = x'00'", []).unwrap();
    let error = store.read(everything("a")).await.unwrap_err();
    assert!(error.to_string().contains("log chunk 1 is damaged"), "{error}");
}

#[tokio::test]
async fn what_connections_keep_in_memory_is_bounded_below_what_the_library_would_keep() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("logs.db");
    let _store = SqliteLogs::open(&path, u64::MAX).unwrap();
    let schema = Schema { application_id: 1, migrations: &["CREATE TABLE t (x)"], check_pages: true };
    let writer = database::open(&directory.path().join("other.db"), &schema, Durability::Full).unwrap();
    for (db, kib) in [(writer, 1_024), (database::open_reader(&path).unwrap(), 512)] {
        // Told in KiB, as a negative number. The library's own is -2000.
        assert_eq!(db.query_row("PRAGMA cache_size", [], |row| row.get::<_, i64>(0)).unwrap(), -kib);
    }
}

#[tokio::test]
async fn no_read_sorts_or_scans() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("logs.db");
    let _store = SqliteLogs::open(&path, u64::MAX).unwrap();
    let db = database::open_reader(&path).unwrap();
    let choices = [
        Streams::All,
        Streams::Named(vec!["s".into()]),
        Streams::Named(vec!["s".into(), "t".into()]),
        Streams::Prefixed("s".into()),
    ];
    for streams in choices {
        for direction in [Direction::Forward, Direction::Backward] {
            let query = ReadQuery { streams: streams.clone(), direction, ..everything("a") };
            let (sql, with) = read::chunks_sql(1, &query);
            assert_walks_an_index(&db, &sql, with);
        }
    }
    for order in [StreamOrder::Name, StreamOrder::LastEvent] {
        for after in [None, Some(StreamCursor { name: "s".into(), last_event: None })] {
            let query = StreamQuery {
                group: group("a"),
                prefix: String::new(),
                order,
                descending: true,
                after,
                limit: 50,
            };
            let (sql, with) = read::streams_sql(1, &query);
            assert_walks_an_index(&db, &sql, with);
        }
    }
}

fn assert_walks_an_index(db: &rusqlite::Connection, sql: &str, with: Vec<rusqlite::types::Value>) {
    let mut statement = db.prepare(&format!("EXPLAIN QUERY PLAN {sql}")).unwrap();
    let plan: Vec<String> = statement
        .query_map(rusqlite::params_from_iter(with), |row| row.get(3))
        .unwrap()
        .collect::<Result<_, _>>()
        .unwrap();
    let sorts = plan.iter().any(|step| step.contains("TEMP B-TREE") || step.starts_with("SCAN"));
    assert!(!sorts, "{sql}: {plan:?}");
}

#[tokio::test]
async fn a_bound_that_was_lowered_is_reached_by_sweeping() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("logs.db");
    let store = SqliteLogs::open(&path, u64::MAX).unwrap();
    for number in 0..600 {
        store.append(vec![noise(number, number, 10)]).await.unwrap();
    }
    drop(store);
    let store = SqliteLogs::open(&path, 10_000).unwrap();
    let swept = store.sweep(Timestamp::from_millis(0)).await.unwrap();
    assert!(swept.evicted_bytes > 0 && swept.expired_bytes == 0, "{swept:?}");
    let left = store.read(everything("a")).await.unwrap().events;
    assert!((1..40).contains(&left.len()), "{}", left.len());
    assert!(left.last().unwrap().text.starts_with("599 "));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn it_agrees_with_the_store_in_memory_on_any_sequence() {
    for seed in 0..12 {
        let directory = tempfile::tempdir().unwrap();
        let store = SqliteLogs::open(&directory.path().join("logs.db"), u64::MAX).unwrap();
        agrees_with_memory(&store, seed).await;
    }
}
