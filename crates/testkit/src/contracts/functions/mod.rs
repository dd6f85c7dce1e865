//! The contract of [`FunctionStore`]: facts in [`FACTS`], and [`agrees_with_memory`] for any sequence.

pub mod samples;
mod sequences;

use std::sync::Arc;

use lambent_store::StoreError;
use lambent_store::functions::*;

use crate::block_on;
use samples::*;
pub use sequences::agrees_with_memory;

/// A store under test.
pub trait Subject: Sized {
    /// An empty one.
    fn fresh() -> Self;

    fn store(&self) -> &dyn FunctionStore;

    /// The same store after its end and a new start: one that is durable reads its disk again.
    fn reopened(self) -> Self;
}

type Fact = (&'static str, fn(&dyn FunctionStore));

/// What holds for any store, each to be shown on an empty one.
pub const FACTS: &[Fact] = &[
    ("what was put is read back whole", what_was_put_is_read_back_whole),
    ("a conflict changes nothing", a_conflict_changes_nothing),
    ("a batch is applied whole or not at all", a_batch_is_applied_whole_or_not_at_all),
    ("a batch's commands see those before them", a_batchs_commands_see_those_before_them),
    ("of two writers one wins", of_two_writers_one_wins),
    ("generations rise by one", generations_rise_by_one),
    ("reservations are judged after the whole batch", reservations_are_judged_after_the_whole_batch),
    ("reservations are counted by account and region", reservations_are_counted_by_account_and_region),
    ("provisioned concurrency is a claim like a reservation", provisioned_concurrency_is_a_claim),
    ("a version number is never used again", a_version_number_is_never_used_again),
    ("a layer's numbers outlive its versions", a_layers_numbers_outlive_its_versions),
    ("listings are ordered and paged", listings_are_ordered_and_paged),
    ("functions that are not at rest are known", functions_that_are_not_at_rest_are_known),
    ("usage and references follow each change", usage_and_references_follow_each_change),
    ("a function is found by its URLs", a_function_is_found_by_its_urls),
    ("a queue and a function have one mapping", a_queue_and_a_function_have_one_mapping),
];

/// Shows each fact on a store of its own, before and after it is opened again.
pub fn keeps_the_facts<S: Subject>() {
    for (name, fact) in FACTS {
        println!("{name}");
        let subject = S::fresh();
        fact(subject.store());
        drop(subject.reopened());
    }
}

fn apply(store: &dyn FunctionStore, commands: Vec<Command>) -> Result<(), StoreError> {
    block_on(store.apply(commands))
}

fn full_function(name: &str) -> FunctionRecord {
    let mut record = published(published(function(function_key(name), 5)));
    record.aliases.insert("live".into(), alias("live", 1));
    record.policies.insert(String::new(), policy("one"));
    record.policies.insert("live".into(), policy("two"));
    record.urls.insert(String::new(), url("one"));
    record.urls.insert("live".into(), url("two"));
    record.tags.insert("team".into(), "a=b&c".into());
    record.reserved_concurrency = Some(7);
    let mut latest = (*record.latest).clone();
    latest.layers.push(LayerUse {
        arn: "arn:aws:lambda:eu-west-1:000000000001:layer:l:1".into(),
        digest: digest(77),
        zipped_bytes: 1,
        unzipped_bytes: 2,
    });
    latest.state = State::Failed { reason: "no such runtime".into(), code: "InvalidRuntime".into() };
    latest.last_update = LastUpdate::InProgress { reason: "r".into(), code: "Creating".into() };
    record.latest = Arc::new(latest);
    record
}

fn what_was_put_is_read_back_whole(store: &dyn FunctionStore) {
    let record = full_function("f");
    let mut stored_layer = layer(layer_key("l"));
    stored_layer.versions.insert(1, Arc::new(layer_version(1, 8)));
    stored_layer.next_version = 2;
    apply(store, vec![put(record.clone()), put_layer(stored_layer.clone())]).unwrap();
    assert_eq!(store.function(&record.key).as_deref(), Some(&record));
    assert_eq!(store.layer(&stored_layer.key).as_deref(), Some(&stored_layer));
    assert_eq!(store.function(&function_key("g")), None);
    assert_eq!(store.layer(&layer_key("g")), None);
}

fn a_conflict_changes_nothing(store: &dyn FunctionStore) {
    let record = function(function_key("f"), 1);
    apply(store, vec![put(record.clone())]).unwrap();
    let mut later = record.clone();
    later.generation = 3;
    let refused = [
        put(record.clone()),
        put(later),
        Command::DeleteFunction { key: record.key.clone(), expected: 2 },
        Command::DeleteFunction { key: function_key("g"), expected: 0 },
        Command::DeleteFunction { key: function_key("g"), expected: 1 },
        Command::RequireClaimedAtMost { account: account(1), region: region(1), max: 0 },
    ];
    for command in refused {
        let mut other = function(function_key("other"), 2);
        other.reserved_concurrency = Some(1);
        let batch = vec![put(other), command.clone()];
        assert_eq!(apply(store, batch), Err(StoreError::Conflict), "{command:?}");
        assert_eq!(store.function(&record.key).as_deref(), Some(&record));
        assert_eq!(store.function(&function_key("other")), None);
        assert_eq!(store.usage(&account(1), &region(1)), Usage { function_count: 1, code_bytes: 1 });
        assert!(!store.is_referenced(&digest(2)));
        assert_eq!(store.claimed_concurrency(&account(1), &region(1)), 0);
    }
}

fn a_batch_is_applied_whole_or_not_at_all(store: &dyn FunctionStore) {
    let mut stale = function(function_key("c"), 3);
    stale.generation = 2;
    let batch = vec![
        put(function(function_key("a"), 1)),
        put_layer(layer(layer_key("l"))),
        put(stale),
        put(function(function_key("b"), 2)),
    ];
    assert_eq!(apply(store, batch), Err(StoreError::Conflict));
    assert!(store.list_functions(&account(1), &region(1), None, 10).is_empty());
    assert!(store.list_layers(&account(1), &region(1), None, 10).is_empty());
    let batch = vec![put(function(function_key("a"), 1)), put(function(function_key("b"), 2))];
    assert_eq!(apply(store, batch), Ok(()));
    assert_eq!(store.list_functions(&account(1), &region(1), None, 10).len(), 2);
    assert_eq!(apply(store, Vec::new()), Ok(()));
}

fn a_batchs_commands_see_those_before_them(store: &dyn FunctionStore) {
    let first = function(function_key("f"), 1);
    let mut second = first.clone();
    second.generation = 2;
    second.latest = Arc::new(version(lambent_core::Version::Latest, 2));
    apply(store, vec![put(first.clone()), put(second.clone())]).unwrap();
    assert_eq!(store.function(&first.key).as_deref(), Some(&second));
    let delete = Command::DeleteFunction { key: first.key.clone(), expected: 2 };
    apply(store, vec![delete, put(first.clone())]).unwrap();
    assert_eq!(store.function(&first.key).as_deref(), Some(&first));
    let delete = Command::DeleteFunction { key: first.key.clone(), expected: 1 };
    assert_eq!(apply(store, vec![delete.clone(), delete]), Err(StoreError::Conflict));
    assert!(store.function(&first.key).is_some());
}

fn of_two_writers_one_wins(store: &dyn FunctionStore) {
    const WRITERS: u64 = 8;
    let key = function_key("f");
    apply(store, vec![put(function(key.clone(), 1))]).unwrap();
    let wins: usize = std::thread::scope(|scope| {
        let write = |code| {
            let mut record = function(function_key("f"), code);
            record.generation = 2;
            usize::from(apply(store, vec![put(record)]).is_ok())
        };
        let writers: Vec<_> = (2..2 + WRITERS).map(|code| scope.spawn(move || write(code))).collect();
        writers.into_iter().map(|writer| writer.join().unwrap()).sum()
    });
    assert_eq!(wins, 1);
    assert_eq!(store.function(&key).unwrap().generation, 2);
}

fn generations_rise_by_one(store: &dyn FunctionStore) {
    let put_at = |generation: u64, expected: u64| {
        let mut record = function(function_key("f"), 1);
        record.generation = generation;
        apply(store, vec![Command::PutFunction { record: Arc::new(record), expected }])
    };
    assert_eq!(put_at(2, 0), Err(StoreError::Conflict));
    assert_eq!(put_at(0, u64::MAX), Err(StoreError::Conflict));
    assert_eq!(put_at(1, 0), Ok(()));
    assert_eq!(put_at(1, 1), Err(StoreError::Conflict));
    assert_eq!(put_at(3, 1), Err(StoreError::Conflict));
    assert_eq!(put_at(2, 1), Ok(()));
    let put_layer_at = |generation: u64, expected: u64| {
        let record = LayerRecord { generation, ..layer(layer_key("l")) };
        apply(store, vec![Command::PutLayer { record: Arc::new(record), expected }])
    };
    assert_eq!(put_layer_at(2, 0), Err(StoreError::Conflict));
    assert_eq!(put_layer_at(1, 0), Ok(()));
    assert_eq!(put_layer_at(2, 0), Err(StoreError::Conflict));
    assert_eq!(put_layer_at(2, 1), Ok(()));
}

fn reserving(name: &str, generation: u64, reserved: Option<u32>) -> Command {
    let mut record = function(function_key(name), 1);
    record.generation = generation;
    record.reserved_concurrency = reserved;
    put(record)
}

fn require(max: u64) -> Command {
    Command::RequireClaimedAtMost { account: account(1), region: region(1), max }
}

fn reservations_are_judged_after_the_whole_batch(store: &dyn FunctionStore) {
    assert_eq!(apply(store, vec![require(0)]), Ok(()));
    apply(store, vec![require(900), reserving("a", 1, Some(600))]).unwrap();
    assert_eq!(apply(store, vec![require(900), reserving("b", 1, Some(301))]), Err(StoreError::Conflict));
    assert_eq!(apply(store, vec![require(900), reserving("b", 1, Some(300))]), Ok(()));
    assert_eq!(store.claimed_concurrency(&account(1), &region(1)), 900);
    // What one function gives back in the batch, another may take in the same batch, in either order.
    let swap = vec![reserving("b", 2, Some(700)), reserving("a", 2, None), require(900)];
    assert_eq!(apply(store, swap), Ok(()));
    let delete = Command::DeleteFunction { key: function_key("b"), expected: 2 };
    let swap = vec![require(900), reserving("a", 3, Some(900)), delete];
    assert_eq!(apply(store, swap), Ok(()));
    assert_eq!(store.claimed_concurrency(&account(1), &region(1)), 900);
    let all = u64::from(u32::MAX);
    apply(store, vec![reserving("x", 1, Some(u32::MAX)), reserving("y", 1, Some(u32::MAX))]).unwrap();
    assert_eq!(store.claimed_concurrency(&account(1), &region(1)), 2 * all + 900);
}

fn reservations_are_counted_by_account_and_region(store: &dyn FunctionStore) {
    for (a, r) in [(1, 2), (2, 1)] {
        let key = FunctionKey { account: account(a), region: region(r), ..function_key("f") };
        let mut record = function(key, 1);
        record.reserved_concurrency = Some(50);
        apply(store, vec![put(record), require(0)]).unwrap();
    }
    assert_eq!(store.claimed_concurrency(&account(1), &region(1)), 0);
    assert_eq!(store.claimed_concurrency(&account(1), &region(2)), 50);
    assert_eq!(store.claimed_concurrency(&account(2), &region(1)), 50);
}

fn provisioned_concurrency_is_a_claim(store: &dyn FunctionStore) {
    let with = |generation: u64, reserved: Option<u32>, provisioned: &[(&str, u32)]| {
        let mut record = published(function(function_key("f"), 1));
        (record.generation, record.reserved_concurrency) = (generation, reserved);
        for (qualifier, requested) in provisioned {
            record.provisioned.insert((*qualifier).to_owned(), samples::provisioned(*requested));
        }
        put(record)
    };
    let claimed = || store.claimed_concurrency(&account(1), &region(1));
    let known = || store.provisioned_functions().len();
    assert_eq!((known(), claimed()), (0, 0));
    assert_eq!(apply(store, vec![with(1, None, &[("1", 7)]), require(6)]), Err(StoreError::Conflict));
    apply(store, vec![with(1, None, &[("1", 7), ("live", 3)]), require(10)]).unwrap();
    assert_eq!((known(), claimed()), (1, 10));
    // A part of the function's own reservation, when it has one.
    apply(store, vec![with(2, Some(20), &[("1", 7)]), require(20)]).unwrap();
    assert_eq!((known(), claimed()), (1, 20));
    apply(store, vec![with(3, None, &[("live", 4)])]).unwrap();
    assert_eq!((known(), claimed()), (1, 4));
    let stored = store.function(&function_key("f")).unwrap();
    assert_eq!(stored.provisioned.get("live"), Some(&samples::provisioned(4)));
    apply(store, vec![Command::DeleteFunction { key: function_key("f"), expected: 3 }]).unwrap();
    assert_eq!((known(), claimed()), (0, 0));
}

fn a_version_number_is_never_used_again(store: &dyn FunctionStore) {
    let key = function_key("f");
    assert_eq!(store.next_version(&key), 1);
    let mut record = published(published(function(key.clone(), 1)));
    apply(store, vec![put(record.clone())]).unwrap();
    assert_eq!(store.next_version(&key), 3);
    // The second version is deleted: its number stays used.
    record.versions.remove(&2);
    record.generation = 2;
    apply(store, vec![put(record.clone())]).unwrap();
    assert_eq!(store.next_version(&key), 3);
    let mut lowered = record.clone();
    lowered.generation = 3;
    lowered.next_version = 2;
    assert_eq!(apply(store, vec![put(lowered)]), Err(StoreError::Conflict));
    let mut again = record.clone();
    again.generation = 3;
    again.versions.insert(2, Arc::clone(&again.versions[&1]));
    assert_eq!(apply(store, vec![put(again)]), Err(StoreError::Conflict));
    let mut zero = record.clone();
    zero.generation = 3;
    zero.versions.insert(0, Arc::clone(&zero.versions[&1]));
    assert_eq!(apply(store, vec![put(zero)]), Err(StoreError::Conflict));
    let mut above = record.clone();
    above.generation = 3;
    above.versions.insert(3, Arc::clone(&above.versions[&1]));
    assert_eq!(apply(store, vec![put(above)]), Err(StoreError::Conflict));
    // Nor does the number start again with a new function of the name.
    apply(store, vec![Command::DeleteFunction { key: key.clone(), expected: 2 }]).unwrap();
    assert_eq!(store.next_version(&key), 3);
    let mut anew = function(key.clone(), 1);
    anew.next_version = 3;
    apply(store, vec![put(anew)]).unwrap();
    apply(store, vec![Command::DeleteFunction { key: key.clone(), expected: 1 }]).unwrap();
    assert_eq!(store.next_version(&key), 3);
    assert_eq!(store.next_version(&FunctionKey { account: account(2), ..key }), 1);
}

fn a_layers_numbers_outlive_its_versions(store: &dyn FunctionStore) {
    let mut record = layer(layer_key("l"));
    record.versions.insert(1, Arc::new(layer_version(1, 4)));
    record.next_version = 2;
    apply(store, vec![put_layer(record.clone())]).unwrap();
    assert!(store.is_referenced(&digest(4)));
    let emptied = LayerRecord { generation: 2, versions: Default::default(), ..record.clone() };
    apply(store, vec![put_layer(emptied.clone())]).unwrap();
    assert_eq!(store.layer(&record.key).as_deref(), Some(&emptied));
    assert!(!store.is_referenced(&digest(4)));
    let again = LayerRecord { generation: 3, ..record.clone() };
    assert_eq!(apply(store, vec![put_layer(again)]), Err(StoreError::Conflict));
    let lowered = LayerRecord { generation: 3, next_version: 1, ..emptied };
    assert_eq!(apply(store, vec![put_layer(lowered)]), Err(StoreError::Conflict));
}

fn listings_are_ordered_and_paged(store: &dyn FunctionStore) {
    let names = ["b", "A", "a-1", "_x", "a", "Z9", "a_1"];
    for name in names {
        let elsewhere = FunctionKey { region: region(2), ..function_key("elsewhere") };
        let batch = vec![put(function(function_key(name), 1)), put_layer(layer(layer_key(name)))];
        apply(store, batch).unwrap();
        let _ = apply(store, vec![put(function(elsewhere, 1))]);
    }
    let mut sorted: Vec<String> = names.map(String::from).to_vec();
    sorted.sort();
    for size in 1..=names.len() + 1 {
        let (mut functions, mut layers) = (Vec::<String>::new(), Vec::<String>::new());
        while functions.len() < names.len() {
            let after = functions.last().map(|name| function_key(name).name);
            let page = store.list_functions(&account(1), &region(1), after.as_ref(), size);
            assert_eq!(page.len(), size.min(names.len() - functions.len()));
            functions.extend(page.iter().map(|f| f.key.name.to_string()));
            let page = store.list_layers(&account(1), &region(1), layers.last().map(|s| s.as_str()), size);
            layers.extend(page.iter().map(|l| l.key.name.clone()));
        }
        assert_eq!(functions, sorted);
        assert_eq!(layers, sorted);
    }
    let after = |text: &str| {
        let from = function_key(text).name;
        let page = store.list_functions(&account(1), &region(1), Some(&from), 1);
        page.first().map(|f| f.key.name.to_string())
    };
    assert_eq!(after("a-0").as_deref(), Some("a-1"), "a name that is not there is a place in the order");
    assert_eq!(after("zzz"), None);
    assert!(store.list_functions(&account(1), &region(1), None, 0).is_empty());
    assert!(store.list_functions(&account(3), &region(1), None, 9).is_empty());
}

fn functions_that_are_not_at_rest_are_known(store: &dyn FunctionStore) {
    let key = function_key("f");
    let because = || ("r".to_owned(), "c".to_owned());
    let settle = |generation: u64, state: State, last_update: LastUpdate| {
        let mut record = function(function_key("f"), 1);
        record.generation = generation;
        let mut latest = (*record.latest).clone();
        (latest.state, latest.last_update) = (state, last_update);
        record.latest = Arc::new(latest);
        apply(store, vec![put(record)]).unwrap();
        store.unsettled_functions()
    };
    let (reason, code) = because();
    let pending = State::Pending { reason, code };
    let (reason, code) = because();
    let in_progress = LastUpdate::InProgress { reason, code };
    let (reason, code) = because();
    let failed = State::Failed { reason, code };
    let unsettled = [key];
    assert_eq!(settle(1, pending.clone(), LastUpdate::Successful), unsettled);
    assert!(settle(2, State::Active, LastUpdate::Successful).is_empty());
    assert_eq!(settle(3, State::Active, in_progress), unsettled);
    assert!(settle(4, failed, LastUpdate::Successful).is_empty());
    assert_eq!(settle(5, pending, LastUpdate::Successful), unsettled);
    let [key] = unsettled;
    apply(store, vec![Command::DeleteFunction { key, expected: 5 }]).unwrap();
    assert!(store.unsettled_functions().is_empty());
}

fn usage_and_references_follow_each_change(store: &dyn FunctionStore) {
    let usage = || store.usage(&account(1), &region(1));
    let first = published(function(function_key("f"), 10));
    let mut stored_layer = layer(layer_key("l"));
    stored_layer.versions.insert(1, Arc::new(layer_version(1, 100)));
    stored_layer.next_version = 2;
    apply(store, vec![put(first.clone()), put_layer(stored_layer)]).unwrap();
    assert_eq!(usage(), Usage { function_count: 1, code_bytes: 120 });
    // $LATEST moves on, the published version holds the package.
    let mut second = first.clone();
    second.generation = 2;
    second.latest = Arc::new(version(lambent_core::Version::Latest, 3));
    apply(store, vec![put(second.clone())]).unwrap();
    assert_eq!(usage(), Usage { function_count: 1, code_bytes: 113 });
    assert!(store.is_referenced(&digest(10)) && store.is_referenced(&digest(3)));
    // A function holds its layers' packages by itself.
    let mut third = second.clone();
    third.generation = 3;
    third.versions.clear();
    let mut latest = (*third.latest).clone();
    latest.layers.push(LayerUse {
        arn: "a".into(),
        digest: digest(55),
        zipped_bytes: 1_000,
        unzipped_bytes: 1,
    });
    third.latest = Arc::new(latest);
    apply(store, vec![put(third)]).unwrap();
    assert!(!store.is_referenced(&digest(10)));
    assert!(store.is_referenced(&digest(55)));
    assert_eq!(usage(), Usage { function_count: 1, code_bytes: 103 });
    apply(store, vec![Command::DeleteFunction { key: function_key("f"), expected: 3 }]).unwrap();
    assert!(!store.is_referenced(&digest(55)) && !store.is_referenced(&digest(3)));
    assert_eq!(usage(), Usage { function_count: 0, code_bytes: 100 });
}

fn a_function_is_found_by_its_urls(store: &dyn FunctionStore) {
    let found =
        |id: &str| store.function_by_url(id).map(|(record, qualifier)| (record.generation, qualifier));
    let mut record = function(function_key("f"), 1);
    record.urls.insert(String::new(), url("a"));
    record.urls.insert("live".into(), url("b"));
    apply(store, vec![put(record.clone())]).unwrap();
    assert_eq!(found("a"), Some((1, String::new())));
    assert_eq!(found("b"), Some((1, "live".into())));
    assert_eq!(found("c"), None);
    record.generation = 2;
    record.urls.remove("");
    record.urls.insert("live".into(), url("c"));
    apply(store, vec![put(record.clone())]).unwrap();
    assert_eq!((found("a"), found("b")), (None, None));
    assert_eq!(found("c"), Some((2, "live".into())));
    let delete = Command::DeleteFunction { key: record.key.clone(), expected: 2 };
    apply(store, vec![delete]).unwrap();
    assert_eq!(found("c"), None);
}

fn a_queue_and_a_function_have_one_mapping(store: &dyn FunctionStore) {
    let put = |record: &MappingRecord| Command::PutMapping {
        expected: record.generation - 1,
        record: Arc::new(record.clone()),
    };
    let (one, two) = (mapping("1", "q"), mapping("2", "r"));
    apply(store, vec![put(&one), put(&two)]).unwrap();
    assert_eq!(store.mapping("1").as_deref(), Some(&one));
    assert_eq!(apply(store, vec![put(&mapping("3", "q"))]), Err(StoreError::Conflict));
    assert_eq!(apply(store, vec![put(&one)]), Err(StoreError::Conflict), "it was made before");
    let moved = MappingRecord { generation: 2, source: one.source.clone(), ..two.clone() };
    assert_eq!(apply(store, vec![put(&moved)]), Err(StoreError::Conflict));
    let other = MappingRecord { qualifier: Some("live".into()), ..mapping("3", "q") };
    apply(store, vec![put(&other)]).unwrap();
    let delete = |id: &str, expected| Command::DeleteMapping { id: id.into(), expected };
    assert_eq!(apply(store, vec![delete("1", 2)]), Err(StoreError::Conflict));
    assert_eq!(apply(store, vec![delete("none", 0)]), Err(StoreError::Conflict));
    // The place that one leaves is free for the next, in the same step.
    apply(store, vec![delete("1", 1), put(&moved)]).unwrap();
    let ids: Vec<String> = store.mappings().iter().map(|mapping| mapping.id.clone()).collect();
    assert_eq!(ids, ["2", "3"]);
    assert_eq!(store.mapping("1"), None);
    apply(store, vec![put(&mapping("4", "r"))]).unwrap();
}
