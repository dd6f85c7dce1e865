use lambent_store::archive::ArchiveStore;
use lambent_store_sql::SqliteArchive;
use lambent_testkit::contracts::archive::{Subject, keeps_the_facts};
use tempfile::TempDir;

struct Sqlite {
    store: SqliteArchive,
    directory: TempDir,
}

impl Subject for Sqlite {
    fn fresh() -> Self {
        let directory = tempfile::tempdir().unwrap();
        Self { store: SqliteArchive::open(directory.path()).unwrap(), directory }
    }

    fn store(&self) -> &dyn ArchiveStore {
        &self.store
    }

    fn reopened(self) -> Self {
        drop(self.store);
        Self { store: SqliteArchive::open(self.directory.path()).unwrap(), directory: self.directory }
    }
}

/// Reads run on a runtime's threads for blocking work.
fn with_runtime(test: impl FnOnce()) {
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let _entered = runtime.enter();
    test();
}

#[test]
fn an_archive_in_sqlite_keeps_the_facts() {
    with_runtime(keeps_the_facts::<Sqlite>);
}
