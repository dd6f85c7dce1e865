use lambent_store::queues::QueueStore;
use lambent_store_sql::SqliteQueues;
use lambent_testkit::contracts::queues::{
    Subject, agrees_with_memory, groups_keep_their_order, keeps_the_facts,
};
use tempfile::TempDir;

struct Sqlite {
    store: SqliteQueues,
    directory: TempDir,
}

impl Subject for Sqlite {
    fn fresh() -> Self {
        let directory = tempfile::tempdir().unwrap();
        Self { store: SqliteQueues::open(directory.path()).unwrap(), directory }
    }

    fn store(&self) -> &dyn QueueStore {
        &self.store
    }

    fn reopened(self) -> Self {
        drop(self.store);
        Self { store: SqliteQueues::open(self.directory.path()).unwrap(), directory: self.directory }
    }
}

/// Reads run on a runtime's threads for blocking work.
fn with_runtime(test: impl FnOnce()) {
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let _entered = runtime.enter();
    test();
}

#[test]
fn queues_in_sqlite_keep_the_facts() {
    with_runtime(keeps_the_facts::<Sqlite>);
}

#[test]
fn queues_in_sqlite_agree_with_those_in_memory() {
    with_runtime(|| agrees_with_memory::<Sqlite>(24));
}

#[test]
fn groups_in_sqlite_keep_their_order() {
    with_runtime(|| groups_keep_their_order::<Sqlite>(16));
}
