use super::*;
use lambent_testkit::block_on;
use lambent_testkit::contracts::functions::samples;

/// A store whose database may not grow beyond this many pages: a full disk that a test can have.
fn bounded(directory: &Path, pages: u32) -> SqliteStore {
    let lock = DirectoryLock::take(directory).unwrap();
    let path = directory.join(FILE);
    let db = database::open(&path, &schema::SCHEMA, Durability::Full).unwrap();
    db.query_row(&format!("PRAGMA max_page_count = {pages}"), [], |_| Ok(())).unwrap();
    SqliteStore::start(lock, &path, db).unwrap()
}

fn large(name: &str) -> Command {
    let mut record = samples::function(samples::function_key(name), 1);
    record.tags.insert("padding".into(), "x".repeat(20_000));
    samples::put(record)
}

#[test]
fn a_full_disk_refuses_writes_changes_nothing_and_is_recovered_from() {
    let directory = tempfile::tempdir().unwrap();
    let store = bounded(directory.path(), 100);
    let mut kept = Vec::new();
    let refused = (0..100).find_map(|n| {
        let name = format!("f{n:03}");
        match block_on(store.apply(vec![large(&name)])) {
            Ok(()) => {
                kept.push(name);
                None
            }
            Err(error) => Some((name, error)),
        }
    });
    let (name, error) = refused.expect("100 pages do not hold 2 MB");
    assert!(matches!(error, StoreError::Unavailable { .. }), "{error:?}");
    let listed = |store: &SqliteStore| -> Vec<String> {
        let page = store.list_functions(&samples::account(1), &samples::region(1), None, 1_000);
        page.iter().map(|f| f.key.name.to_string()).collect()
    };
    assert_eq!(store.function(&samples::function_key(&name)), None);
    assert_eq!(listed(&store), kept, "reads go on");
    // Space comes back: the store writes again without being opened anew.
    let gone = kept.remove(0);
    let delete = Command::DeleteFunction { key: samples::function_key(&gone), expected: 1 };
    block_on(store.apply(vec![delete])).unwrap();
    block_on(store.apply(vec![large(&name)])).unwrap();
    kept.push(name);
    assert_eq!(listed(&store), kept);
    drop(store);
    assert_eq!(listed(&SqliteStore::open(directory.path()).unwrap()), kept);
}

#[test]
fn mappings_are_there_after_a_restart() {
    let directory = tempfile::tempdir().unwrap();
    let store = SqliteStore::open(directory.path()).unwrap();
    let mapping = samples::mapping("1", "q");
    let other = MappingRecord { id: "2".into(), qualifier: Some("live".into()), ..mapping.clone() };
    let put = |record: &MappingRecord| Command::PutMapping { record: Arc::new(record.clone()), expected: 0 };
    block_on(store.apply(vec![put(&mapping), put(&other)])).unwrap();
    block_on(store.apply(vec![Command::DeleteMapping { id: "2".into(), expected: 1 }])).unwrap();
    drop(store);
    let store = SqliteStore::open(directory.path()).unwrap();
    assert_eq!(store.mappings(), [Arc::new(mapping)]);
}

#[test]
fn neighbours_of_a_batch_that_finds_no_room_are_kept() {
    let directory = tempfile::tempdir().unwrap();
    let store = bounded(directory.path(), 60);
    let huge = || (0..20).map(|n| large(&format!("huge{n}"))).collect::<Vec<_>>();
    let small = |n: usize| vec![samples::put(samples::function(samples::function_key(&format!("s{n}")), 1))];
    let answers: Vec<bool> = std::thread::scope(|scope| {
        let store = &store;
        let writers: Vec<_> = (0..30)
            .map(|n| {
                scope.spawn(move || {
                    let batch = if n % 10 == 5 { huge() } else { small(n) };
                    block_on(store.apply(batch)).is_ok()
                })
            })
            .collect();
        writers.into_iter().map(|writer| writer.join().unwrap()).collect()
    });
    for (n, kept) in answers.iter().enumerate() {
        assert_eq!(*kept, n % 10 != 5, "{n}");
    }
    assert!(store.function(&samples::function_key("huge0")).is_none());
}

#[test]
fn only_rows_that_differ_are_written() {
    let directory = tempfile::tempdir().unwrap();
    let db = database::open(&directory.path().join(FILE), &schema::SCHEMA, Durability::Normal).unwrap();
    let mut journal = FunctionJournal::new(Arc::default());
    let mut record = samples::function(samples::function_key("f"), 1);
    for _ in 0..50 {
        record = samples::published(record);
    }
    use crate::writer::Journal;
    journal.write(&db, &vec![samples::put(record.clone())]).unwrap();
    let before = db.total_changes();
    record.generation = 2;
    record.versions.remove(&7);
    record.tags.insert("a".into(), "b".into());
    // Equal, but another allocation: the value decides and not the pointer.
    record.latest = Arc::new((*record.latest).clone());
    journal.write(&db, &vec![samples::put(record)]).unwrap();
    assert_eq!(db.total_changes() - before, 2, "the function's row and the deleted version's");
}
