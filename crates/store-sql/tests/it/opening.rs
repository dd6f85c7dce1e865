use std::fs;
use std::io::{BufRead, BufReader};
use std::path::Path;

use lambent_store::functions::FunctionStore;
use lambent_store_sql::{OpenError, SqliteStore};
use lambent_testkit::block_on;
use lambent_testkit::contracts::functions::samples;

fn refusal(directory: &Path) -> OpenError {
    match SqliteStore::open(directory) {
        Ok(_) => panic!("the store opened"),
        Err(error) => error,
    }
}

fn store_with_functions(directory: &Path) {
    let store = SqliteStore::open(directory).unwrap();
    for n in 0..200 {
        let record = samples::function(samples::function_key(&format!("f{n}")), n);
        block_on(store.apply(vec![samples::put(record)])).unwrap();
    }
}

#[test]
fn a_second_opening_in_the_same_process_is_refused() {
    let directory = tempfile::tempdir().unwrap();
    let store = SqliteStore::open(directory.path()).unwrap();
    match refusal(directory.path()) {
        OpenError::InUse { pid, .. } => assert_eq!(pid, std::process::id().to_string()),
        other => panic!("{other:?}"),
    }
    drop(store);
    SqliteStore::open(directory.path()).unwrap();
}

#[test]
fn a_second_process_is_refused_and_told_who_the_first_is() {
    let directory = tempfile::tempdir().unwrap();
    let mut child = crate::crash::spawn_writer(directory.path());
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    lines.find(|line| line.as_ref().is_ok_and(|line| line.starts_with("acknowledged"))).unwrap().unwrap();
    // Twice: being refused must not loosen the other's lock.
    for _ in 0..2 {
        match refusal(directory.path()) {
            OpenError::InUse { pid, .. } => assert_eq!(pid, child.id().to_string()),
            other => panic!("{other:?}"),
        }
    }
    child.kill().unwrap();
    child.wait().unwrap();
    SqliteStore::open(directory.path()).unwrap();
}

#[test]
fn a_file_of_garbage_is_refused_and_left_alone() {
    let cases: [&[u8]; 3] = [b"x", b"SQLite format 3", &[0xa5; 20_000]];
    for garbage in cases {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("meta.db");
        fs::write(&path, garbage).unwrap();
        assert!(matches!(refusal(directory.path()), OpenError::Corrupted { .. }));
        assert_eq!(fs::read(&path).unwrap(), garbage);
    }
}

#[test]
fn damage_anywhere_in_the_file_is_refused_and_left_alone() {
    let directory = tempfile::tempdir().unwrap();
    store_with_functions(directory.path());
    let path = directory.path().join("meta.db");
    let whole = fs::read(&path).unwrap();
    // Pages are 4 KiB; each is overwritten in turn, the first but for its magic, and each must be noticed.
    let pages = whole.len() / 4096;
    assert!(pages > 20, "{pages}");
    for page in (0..pages).step_by(3) {
        let mut damaged = whole.clone();
        let from = if page == 0 { 16 } else { page * 4096 };
        damaged[from..(page + 1) * 4096].fill(0xa5);
        fs::write(&path, &damaged).unwrap();
        let error = refusal(directory.path());
        assert!(matches!(error, OpenError::Corrupted { .. }), "page {page}: {error:?}");
        assert!(fs::read(&path).unwrap() == damaged, "page {page}");
    }
    let truncated = &whole[..whole.len() / 2];
    fs::write(&path, truncated).unwrap();
    assert!(matches!(refusal(directory.path()), OpenError::Corrupted { .. }));
    assert_eq!(fs::read(&path).unwrap(), truncated);
}

#[test]
fn a_log_without_its_database_is_refused() {
    let directory = tempfile::tempdir().unwrap();
    let log = directory.path().join("meta.db-wal");
    fs::write(&log, b"what was committed").unwrap();
    for empty in [false, true] {
        if empty {
            fs::write(directory.path().join("meta.db"), b"").unwrap();
        }
        assert!(matches!(refusal(directory.path()), OpenError::Corrupted { .. }));
        assert_eq!(fs::read(&log).unwrap(), b"what was committed");
    }
}

#[test]
fn a_database_of_another_program_is_refused() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("meta.db");
    let other = rusqlite::Connection::open(&path).unwrap();
    other.execute_batch("CREATE TABLE t (x)").unwrap();
    drop(other);
    let before = fs::read(&path).unwrap();
    assert!(matches!(refusal(directory.path()), OpenError::Foreign { .. }));
    assert_eq!(fs::read(&path).unwrap(), before);
}

#[test]
fn a_newer_schema_is_refused() {
    let directory = tempfile::tempdir().unwrap();
    drop(SqliteStore::open(directory.path()).unwrap());
    let db = rusqlite::Connection::open(directory.path().join("meta.db")).unwrap();
    db.execute("INSERT INTO migrations VALUES (900)", []).unwrap();
    drop(db);
    assert!(matches!(refusal(directory.path()), OpenError::TooNew { found: 900, .. }));
}

#[test]
fn a_row_that_makes_no_sense_is_refused() {
    let edits = [
        "UPDATE function_versions SET config = '{}' WHERE name = 'f7'",
        "DELETE FROM function_versions WHERE name = 'f7'",
        "PRAGMA foreign_keys = OFF; UPDATE functions SET account = 'nobody' WHERE name = 'f7'",
    ];
    for edit in edits {
        let directory = tempfile::tempdir().unwrap();
        store_with_functions(directory.path());
        let db = rusqlite::Connection::open(directory.path().join("meta.db")).unwrap();
        db.execute_batch(edit).unwrap();
        drop(db);
        let error = refusal(directory.path());
        assert!(matches!(error, OpenError::Corrupted { .. }), "{edit}: {error:?}");
    }
}

#[test]
fn a_data_directory_that_can_not_be_made_is_an_error() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("file");
    fs::write(&file, b"").unwrap();
    assert!(matches!(refusal(&file.join("data")), OpenError::Io { .. }));
}

#[test]
fn the_database_is_readable_by_its_user_only() {
    use std::os::unix::fs::PermissionsExt;
    let directory = tempfile::tempdir().unwrap();
    let store = SqliteStore::open(directory.path()).unwrap();
    block_on(store.apply(vec![samples::put(samples::function(samples::function_key("f"), 1))])).unwrap();
    for file in ["meta.db", "meta.db-wal"] {
        let mode = fs::metadata(directory.path().join(file)).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600, "{file}");
    }
}
