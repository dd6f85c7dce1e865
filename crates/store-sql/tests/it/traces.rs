use std::path::Path;

use bytes::Bytes;
use lambent_core::ids::{AccountId, Region};
use lambent_core::time::Timestamp;
use lambent_store::traces::{Bounds, TraceOwner, TraceRecord, TraceRun, TraceStore};
use lambent_store_sql::SqliteLogs;
use lambent_testkit::contracts::traces::{Subject, keeps_the_facts};
use tempfile::TempDir;

struct Sqlite {
    store: SqliteLogs,
    directory: TempDir,
    bounds: Bounds,
}

fn open(directory: &Path, bounds: Bounds) -> SqliteLogs {
    SqliteLogs::open_bounded(&directory.join("logs.db"), u64::MAX, bounds).unwrap()
}

impl Subject for Sqlite {
    fn fresh(bounds: Bounds) -> Self {
        let directory = tempfile::tempdir().unwrap();
        Self { store: open(directory.path(), bounds), directory, bounds }
    }

    fn store(&self) -> &dyn TraceStore {
        &self.store
    }

    fn reopened(self) -> Self {
        let Self { store, directory, bounds } = self;
        drop(store);
        Self { store: open(directory.path(), bounds), directory, bounds }
    }
}

#[test]
fn traces_in_sqlite_keep_the_facts() {
    // Reads run on a runtime's threads for blocking work.
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let _entered = runtime.enter();
    keeps_the_facts::<Sqlite>();
}

#[tokio::test]
async fn all_traces_together_stay_under_their_bound() {
    let bounds = Bounds { disk_bytes_max: 20_000, ..Bounds::default() };
    let subject = Sqlite::fresh(bounds);
    let owner = |n: u64| TraceOwner {
        account: AccountId::new("000000000000").unwrap(),
        region: Region::new("us-east-1").unwrap(),
        subject: format!("f{n}").into(),
    };
    for n in 0..200 {
        let body = Bytes::from(format!("{n:0500}"));
        let record = TraceRecord { at: Timestamp::from_millis(n), keys: vec![format!("k{n}")], body };
        subject.store.append_traces(vec![TraceRun { owner: owner(n), records: vec![record] }]).await.unwrap();
    }
    assert!(subject.store.last_traces(owner(0), 9).await.unwrap().is_empty());
    assert_eq!(subject.store.last_traces(owner(199), 9).await.unwrap().len(), 1);
    let mut kept = 0;
    for n in 0..200 {
        kept += subject.store.last_traces(owner(n), 9).await.unwrap().len();
    }
    assert!((20..200).contains(&kept), "{kept}");
}
