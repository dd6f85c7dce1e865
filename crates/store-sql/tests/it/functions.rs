use std::time::Instant;

use lambent_store::functions::FunctionStore;
use lambent_store_sql::SqliteStore;
use lambent_testkit::block_on;
use lambent_testkit::contracts::functions::{Subject, agrees_with_memory, keeps_the_facts, samples};
use tempfile::TempDir;

struct Sqlite {
    store: SqliteStore,
    directory: TempDir,
}

impl Subject for Sqlite {
    fn fresh() -> Self {
        let directory = tempfile::tempdir().unwrap();
        Self { store: SqliteStore::open(directory.path()).unwrap(), directory }
    }

    fn store(&self) -> &dyn FunctionStore {
        &self.store
    }

    fn reopened(self) -> Self {
        drop(self.store);
        Self { store: SqliteStore::open(self.directory.path()).unwrap(), directory: self.directory }
    }
}

#[test]
fn functions_in_sqlite_keep_the_facts() {
    keeps_the_facts::<Sqlite>();
}

#[test]
fn functions_in_sqlite_agree_with_those_in_memory() {
    agrees_with_memory::<Sqlite>(24);
}

#[test]
fn what_was_applied_is_there_after_the_store_is_opened_again() {
    let subject = Sqlite::fresh();
    let mut record = samples::published(samples::function(samples::function_key("f"), 4));
    record.aliases.insert("live".into(), samples::alias("live", 1));
    record.policies.insert("live".into(), samples::policy("sid"));
    block_on(subject.store().apply(vec![samples::put(record.clone())])).unwrap();
    let subject = subject.reopened();
    assert_eq!(subject.store().function(&record.key).as_deref(), Some(&record));
}

/// The promise is under 100 ms in a release build; the bound here only catches a change of order.
#[test]
fn a_thousand_functions_are_loaded_at_once() {
    let subject = Sqlite::fresh();
    let batch: Vec<_> = (0..1_000)
        .map(|n| {
            let record = samples::function(samples::function_key(&format!("function-{n}")), n);
            samples::put(samples::published(record))
        })
        .collect();
    block_on(subject.store().apply(batch)).unwrap();
    let Sqlite { store, directory } = subject;
    drop(store);
    let start = Instant::now();
    let store = SqliteStore::open(directory.path()).unwrap();
    let took = start.elapsed();
    println!("opened with 1,000 functions and 1,000 versions in {took:?}");
    assert!(took.as_secs() < 20, "{took:?}");
    assert_eq!(store.usage(&samples::account(1), &samples::region(1)).function_count, 1_000);
}
