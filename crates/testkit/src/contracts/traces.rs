//! The contract of [`TraceStore`].

use bytes::Bytes;
use lambent_core::ids::{AccountId, Region};
use lambent_core::time::Timestamp;
use lambent_store::traces::{Bounds, TraceOwner, TraceRecord, TraceRun, TraceStore};

use crate::block_on;

/// A store under test.
pub trait Subject: Sized {
    /// An empty one.
    fn fresh(bounds: Bounds) -> Self;

    fn store(&self) -> &dyn TraceStore;

    /// The same store after its end and a new start.
    fn reopened(self) -> Self;
}

pub fn keeps_the_facts<S: Subject>() {
    let roomy = Bounds { owner_records_max: 1_000, disk_bytes_max: u64::MAX };
    what_was_appended_is_found_by_owner_and_by_key(S::fresh(roomy));
    the_last_ones_are_answered_by_time(S::fresh(roomy));
    an_account_and_a_region_see_their_own(S::fresh(roomy));
    a_sweep_frees_what_is_too_old(S::fresh(roomy));
    an_owners_first_records_make_room_for_its_last(S::fresh(Bounds { owner_records_max: 10, ..roomy }));
}

fn owner(subject: &str) -> TraceOwner {
    let account = AccountId::new("000000000000").expect("twelve digits");
    let region = Region::new("us-east-1").expect("a region's name");
    TraceOwner { account, region, subject: subject.into() }
}

fn record(at: u64, keys: &[&str]) -> TraceRecord {
    TraceRecord {
        at: Timestamp::from_millis(at),
        keys: keys.iter().map(|key| (*key).to_owned()).collect(),
        body: Bytes::from(format!("{{\"at\":{at}}}")),
    }
}

fn append(store: &dyn TraceStore, subject: &str, records: &[TraceRecord]) {
    let run = TraceRun { owner: owner(subject), records: records.to_vec() };
    block_on(store.append_traces(vec![run])).expect("the store takes it");
}

fn last(store: &dyn TraceStore, subject: &str, limit: usize) -> Vec<u64> {
    let found = block_on(store.last_traces(owner(subject), limit)).expect("the store answers");
    found.iter().map(|record| record.at.as_millis()).collect()
}

fn by_key(store: &dyn TraceStore, key: &str, limit: usize) -> Vec<TraceRecord> {
    let TraceOwner { account, region, .. } = owner("");
    block_on(store.traces_by_key(account, region, key.to_owned(), limit)).expect("the store answers")
}

fn what_was_appended_is_found_by_owner_and_by_key<S: Subject>(subject: S) {
    append(subject.store(), "f", &[record(1, &["a", "root"]), record(2, &["b"])]);
    append(subject.store(), "g", &[record(3, &["c", "root"])]);
    let subject = subject.reopened();
    assert_eq!(last(subject.store(), "f", 10), [1, 2]);
    assert_eq!(last(subject.store(), "h", 10), [0; 0]);
    assert_eq!(by_key(subject.store(), "root", 10), [record(1, &["a", "root"]), record(3, &["c", "root"])]);
    assert_eq!(by_key(subject.store(), "b", 10), [record(2, &["b"])]);
    assert_eq!(by_key(subject.store(), "nobody", 10), []);
}

fn the_last_ones_are_answered_by_time<S: Subject>(subject: S) {
    let store = subject.store();
    append(store, "f", &[record(30, &["k"]), record(10, &["k"])]);
    append(store, "f", &[record(20, &["k"]), record(40, &["k"])]);
    assert_eq!(last(store, "f", 4), [10, 20, 30, 40]);
    assert_eq!(last(store, "f", 1), [40]);
    let times: Vec<u64> = by_key(store, "k", 2).iter().map(|record| record.at.as_millis()).collect();
    assert_eq!(times.last(), Some(&40));
    assert!(last(store, "f", 0).is_empty());
}

fn an_account_and_a_region_see_their_own<S: Subject>(subject: S) {
    let store = subject.store();
    append(store, "f", &[record(1, &["k"])]);
    let elsewhere = [
        TraceOwner { region: Region::new("eu-west-1").expect("a region's name"), ..owner("f") },
        TraceOwner { account: AccountId::new("111111111111").expect("twelve digits"), ..owner("f") },
    ];
    for TraceOwner { account, region, subject } in elsewhere {
        let found = block_on(store.traces_by_key(account.clone(), region.clone(), "k".into(), 9));
        assert_eq!(found.expect("the store answers"), []);
        let found = block_on(store.last_traces(TraceOwner { account, region, subject }, 9));
        assert_eq!(found.expect("the store answers"), []);
    }
}

fn a_sweep_frees_what_is_too_old<S: Subject>(subject: S) {
    let store = subject.store();
    append(store, "f", &[record(1, &["a"]), record(2, &["b"])]);
    append(store, "f", &[record(3, &["c"])]);
    let freed = block_on(store.sweep_traces(Timestamp::from_millis(3))).expect("the store sweeps");
    assert_eq!(freed, 2);
    assert_eq!(last(store, "f", 9), [3]);
    assert_eq!(by_key(store, "a", 9), []);
    assert_eq!(block_on(store.sweep_traces(Timestamp::from_millis(9))), Ok(1));
    assert!(last(store, "f", 9).is_empty());
}

fn an_owners_first_records_make_room_for_its_last<S: Subject>(subject: S) {
    for n in 0..20 {
        append(subject.store(), "f", &[record(10 * n, &["k"]), record(10 * n + 1, &["k"])]);
    }
    append(subject.store(), "g", &[record(1, &[])]);
    let subject = subject.reopened();
    let kept = last(subject.store(), "f", 100);
    assert_eq!(kept.len(), 10, "{kept:?}");
    assert_eq!(kept.last(), Some(&191));
    assert_eq!(last(subject.store(), "g", 9), [1]);
}
