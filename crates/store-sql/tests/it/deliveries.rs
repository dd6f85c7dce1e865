use lambent_store::deliveries::DeliveryStore;
use lambent_store_sql::SqliteDeliveries;
use lambent_testkit::contracts::deliveries::{Subject, agrees_with_memory, keeps_the_facts};
use tempfile::TempDir;

struct Sqlite {
    store: SqliteDeliveries,
    directory: TempDir,
}

impl Subject for Sqlite {
    fn fresh() -> Self {
        let directory = tempfile::tempdir().unwrap();
        Self { store: SqliteDeliveries::open(directory.path()).unwrap(), directory }
    }

    fn store(&self) -> &dyn DeliveryStore {
        &self.store
    }

    fn reopened(self) -> Self {
        drop(self.store);
        Self { store: SqliteDeliveries::open(self.directory.path()).unwrap(), directory: self.directory }
    }
}

/// Reads run on a runtime's threads for blocking work.
fn with_runtime(test: impl FnOnce()) {
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let _entered = runtime.enter();
    test();
}

#[test]
fn deliveries_in_sqlite_keep_the_facts() {
    with_runtime(keeps_the_facts::<Sqlite>);
}

#[test]
fn deliveries_in_sqlite_agree_with_those_in_memory() {
    with_runtime(|| agrees_with_memory::<Sqlite>(24));
}
