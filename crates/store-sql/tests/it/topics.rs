use lambent_store::topics::TopicStore;
use lambent_store_sql::SqliteTopics;
use lambent_testkit::contracts::topics::{Subject, agrees_with_memory, keeps_the_facts};
use tempfile::TempDir;

struct Sqlite {
    store: SqliteTopics,
    directory: TempDir,
}

impl Subject for Sqlite {
    fn fresh() -> Self {
        let directory = tempfile::tempdir().unwrap();
        Self { store: SqliteTopics::open(directory.path()).unwrap(), directory }
    }

    fn store(&self) -> &dyn TopicStore {
        &self.store
    }

    fn reopened(self) -> Self {
        drop(self.store);
        Self { store: SqliteTopics::open(self.directory.path()).unwrap(), directory: self.directory }
    }
}

#[test]
fn topics_in_sqlite_keep_the_facts() {
    keeps_the_facts::<Sqlite>();
}

#[test]
fn topics_in_sqlite_agree_with_those_in_memory() {
    agrees_with_memory::<Sqlite>(16);
}
