use lambent_store::events::EventStore;
use lambent_store_sql::SqliteEvents;
use lambent_testkit::contracts::events::{Subject, agrees_with_memory, keeps_the_facts};
use tempfile::TempDir;

struct Sqlite {
    store: SqliteEvents,
    directory: TempDir,
}

impl Subject for Sqlite {
    fn fresh() -> Self {
        let directory = tempfile::tempdir().unwrap();
        Self { store: SqliteEvents::open(directory.path()).unwrap(), directory }
    }

    fn store(&self) -> &dyn EventStore {
        &self.store
    }

    fn reopened(self) -> Self {
        drop(self.store);
        Self { store: SqliteEvents::open(self.directory.path()).unwrap(), directory: self.directory }
    }
}

#[test]
fn events_in_sqlite_keep_the_facts() {
    keeps_the_facts::<Sqlite>();
}

#[test]
fn events_in_sqlite_agree_with_those_in_memory() {
    agrees_with_memory::<Sqlite>(24);
}
