//! The contract of [`EventStore`]: facts in [`FACTS`], and [`agrees_with_memory`] for any sequence.

use std::collections::BTreeMap;
use std::sync::Arc;

use lambent_core::ids::{AccountId, Region};
use lambent_core::time::Timestamp;
use lambent_store::StoreError;
use lambent_store::events::*;
use proptest::prelude::*;

use crate::block_on;

/// A store under test.
pub trait Subject: Sized {
    /// An empty one.
    fn fresh() -> Self;

    fn store(&self) -> &dyn EventStore;

    /// The same store after its end and a new start.
    fn reopened(self) -> Self;
}

type Fact = (&'static str, fn(&dyn EventStore));

pub const FACTS: &[Fact] = &[
    ("every kind of record is read back whole", every_kind_is_read_back_whole),
    ("a change of an older state changes nothing", a_change_of_an_older_state_changes_nothing),
    ("a batch is applied whole or not at all", a_batch_is_applied_whole_or_not_at_all),
    ("lists keep to their scope, prefix and limit", lists_keep_to_their_bounds),
];

/// Holds the facts of a fresh store; the first one also after a restart.
pub fn keeps_the_facts<S: Subject>() {
    for (name, fact) in FACTS {
        println!("{name}");
        let subject = S::fresh();
        fact(subject.store());
        let before: Vec<_> = Kind::ALL.into_iter().map(|kind| subject.store().all(kind)).collect();
        let subject = subject.reopened();
        let after: Vec<_> = Kind::ALL.into_iter().map(|kind| subject.store().all(kind)).collect();
        assert_eq!(after, before, "after a restart");
    }
}

fn key(kind: Kind, parent: &str, name: &str) -> Key {
    let account = AccountId::new("000000000000").expect("twelve digits");
    let region = Region::new("eu-west-1").expect("a region's form");
    Key { scope: Scope { account, region, kind, parent: parent.to_owned() }, name: name.to_owned() }
}

fn text(name: &str) -> Option<String> {
    Some(name.to_owned())
}

/// One of each kind of credentials, and of each state.
fn connection(n: u64) -> ConnectionRecord {
    let moment = Timestamp::from_millis(n);
    let parameter = |key: &str| ParameterRecord {
        key: key.to_owned(),
        value: Secret(n.to_string()),
        is_secret: n.is_multiple_of(2),
    };
    let parameters = HttpParametersRecord {
        headers: vec![parameter("h")],
        query: vec![parameter("q")],
        body: vec![parameter("b")],
    };
    let auth = match n % 4 {
        0 => Some(AuthRecord::Basic { username: "u".into(), password: Secret("p".into()) }),
        1 => Some(AuthRecord::ApiKey { name: "n".into(), value: Secret("v".into()) }),
        2 => Some(AuthRecord::OAuth(OAuthRecord {
            client_id: "i".into(),
            client_secret: Secret("s".into()),
            endpoint: "https://h".into(),
            method: "POST".into(),
            parameters: parameters.clone(),
        })),
        _ => None,
    };
    ConnectionRecord {
        id: n.to_string(),
        credentials: "c".into(),
        description: text("d"),
        state: [ConnectionState::Authorizing, ConnectionState::Authorized, ConnectionState::Deauthorized]
            [usize::try_from(n % 3).expect("it is small")],
        reason: text("r"),
        kind: auth.as_ref().map_or(AuthKind::OAuth, AuthRecord::kind),
        auth,
        parameters,
        created: moment,
        modified: moment,
        authorized: Some(moment),
    }
}

/// A record with all that it can have.
fn record(kind: Kind, n: u64) -> Record {
    let moment = Timestamp::from_millis(n);
    let tags = BTreeMap::from([("key".to_owned(), n.to_string())]);
    let retry = RetryRecord { attempts_max: Some(3), age_secs_max: Some(60) };
    match kind {
        Kind::Bus => Record::Bus(BusRecord {
            description: text("d"),
            tags,
            policy: text("{}"),
            created: moment,
            modified: moment,
        }),
        Kind::Rule => {
            let input = |input| TargetRecord {
                arn: "a".into(),
                role: text("r"),
                input,
                retry,
                dead_letter: text("q"),
                message_group: text("g"),
                http: Some(TargetHttpRecord {
                    path: vec!["p".into()],
                    headers: tags.clone(),
                    query: tags.clone(),
                }),
            };
            let paths = BTreeMap::from([("x".to_owned(), "$.x".to_owned())]);
            let transformed = InputRecord::Transformed { paths, template: "<x>".into() };
            let inputs = [
                InputRecord::Event,
                InputRecord::Constant("1".into()),
                InputRecord::Path("$".into()),
                transformed,
            ];
            let targets = inputs.into_iter().enumerate().map(|(at, made)| (at.to_string(), input(made)));
            Record::Rule(RuleRecord {
                id: n.to_string(),
                pattern: text("{}"),
                schedule: text("rate(1 minute)"),
                is_enabled: n.is_multiple_of(2),
                description: text("d"),
                role: text("r"),
                targets: targets.collect(),
                tags,
                since: moment,
            })
        }
        Kind::Connection => Record::Connection(connection(n)),
        Kind::Destination => Record::Destination(DestinationRecord {
            id: n.to_string(),
            description: text("d"),
            connection: "c".into(),
            endpoint: "https://h/*".into(),
            method: "PUT".into(),
            per_second: 7,
            created: moment,
            modified: moment,
        }),
        Kind::Archive => Record::Archive(ArchiveRecord {
            id: n.to_string(),
            bus: "b".into(),
            description: text("d"),
            pattern: text("{}"),
            retention_days: 3,
            created: moment,
        }),
        Kind::Replay => Record::Replay(ReplayRecord {
            description: text("d"),
            archive: "a".into(),
            archive_id: n.to_string(),
            destination: "b".into(),
            rules: vec!["r".into()],
            from: moment,
            until: moment,
            state: ReplayState::Running,
            reason: text("x"),
            after: Some((moment, "e".into())),
            started: moment,
            ended: Some(moment),
        }),
        Kind::Group => {
            Record::Group(GroupRecord { tags, client_token: text("t"), created: moment, modified: moment })
        }
        Kind::Schedule => Record::Schedule(ScheduleRecord {
            id: n.to_string(),
            expression: "rate(1 minute)".into(),
            zone: "UTC".into(),
            start: Some(moment),
            end: Some(moment),
            is_enabled: true,
            description: text("d"),
            window_minutes: Some(5),
            deletes_itself: true,
            target: ScheduleTargetRecord {
                arn: "a".into(),
                role: "r".into(),
                input: text("{}"),
                retry,
                dead_letter: text("q"),
                message_group: text("g"),
                event: Some(("s".into(), "t".into())),
            },
            client_token: text("t"),
            created: moment,
            modified: moment,
            since: moment,
        }),
    }
}

fn put(key: Key, generation: u64, n: u64) -> Command {
    let record = record(key.scope.kind, n);
    Command::Put(Arc::new(Entry { key, generation, record }))
}

fn every_kind_is_read_back_whole(store: &dyn EventStore) {
    for kind in Kind::ALL {
        let (key, other) = (key(kind, "p", "n"), key(kind, "p2", "n"));
        block_on(store.apply(vec![put(key.clone(), 1, 7), put(key.clone(), 2, 8)])).unwrap();
        let found = store.get(&key).unwrap();
        assert_eq!((found.generation, &found.record), (2, &record(kind, 8)));
        assert_eq!((store.get(&other), store.all(kind)), (None, vec![found]));
    }
}

fn a_change_of_an_older_state_changes_nothing(store: &dyn EventStore) {
    let key = key(Kind::Rule, "p", "n");
    block_on(store.apply(vec![put(key.clone(), 1, 1)])).unwrap();
    let before = store.get(&key);
    let delete = |generation| Command::Delete { key: key.clone(), generation };
    for command in
        [put(key.clone(), 1, 2), put(key.clone(), 3, 2), put(key.clone(), 0, 2), delete(0), delete(2)]
    {
        assert_eq!(block_on(store.apply(vec![command.clone()])), Err(StoreError::Conflict), "{command:?}");
        assert_eq!(store.get(&key), before);
    }
    block_on(store.apply(vec![delete(1)])).unwrap();
    assert_eq!(store.get(&key), None);
    assert_eq!(block_on(store.apply(vec![delete(1)])), Err(StoreError::Conflict));
}

fn a_batch_is_applied_whole_or_not_at_all(store: &dyn EventStore) {
    let (a, b) = (key(Kind::Bus, "", "a"), key(Kind::Bus, "", "b"));
    let failing = vec![put(a.clone(), 1, 1), put(b.clone(), 2, 1)];
    assert_eq!(block_on(store.apply(failing)), Err(StoreError::Conflict));
    assert_eq!(store.all(Kind::Bus), []);
    let again = Command::Delete { key: a.clone(), generation: 1 };
    block_on(store.apply(vec![put(a.clone(), 1, 1), again, put(a.clone(), 1, 2), put(b, 1, 1)])).unwrap();
    assert_eq!(store.all(Kind::Bus).len(), 2);
}

fn lists_keep_to_their_bounds(store: &dyn EventStore) {
    let names = ["a", "ab", "abc", "b", "ba"];
    let mut batch: Vec<Command> = names.iter().map(|name| put(key(Kind::Rule, "p", name), 1, 1)).collect();
    batch.push(put(key(Kind::Rule, "q", "ab"), 1, 1));
    batch.push(put(key(Kind::Schedule, "p", "ab"), 1, 1));
    block_on(store.apply(batch)).unwrap();
    let scope = key(Kind::Rule, "p", "").scope;
    let list = |prefix: &str, after: Option<&str>, limit| {
        let found = store.list(&scope, prefix, after, limit);
        found.iter().map(|entry| entry.key.name.clone()).collect::<Vec<_>>()
    };
    assert_eq!(list("", None, 9), names);
    assert_eq!(list("ab", None, 9), ["ab", "abc"]);
    assert_eq!(list("", Some("ab"), 2), ["abc", "b"]);
    assert_eq!(list("b", Some("ab"), 9), ["b", "ba"]);
    assert_eq!(list("a", Some("abc"), 9), [""; 0]);
}

fn command() -> impl Strategy<Value = Command> {
    let key_of = || (0usize..4, 0usize..3).prop_map(|(kind, n)| key(Kind::ALL[kind], "p", &n.to_string()));
    prop_oneof![
        3 => (key_of(), 1u64..4, 0u64..9).prop_map(|(key, generation, n)| put(key, generation, n)),
        1 => (key_of(), 0u64..4).prop_map(|(key, generation)| Command::Delete { key, generation }),
    ]
}

/// Runs the same batches against the store and the one in memory, and compares all that can be read.
pub fn agrees_with_memory<S: Subject>(cases: u32) {
    let batches = prop::collection::vec(prop::collection::vec(command(), 1..4), 1..30);
    let config = ProptestConfig { cases, failure_persistence: None, ..ProptestConfig::default() };
    proptest!(config, |(batches in batches)| {
        let (subject, memory) = (S::fresh(), MemoryEvents::default());
        for batch in batches {
            let (got, wanted) = (block_on(subject.store().apply(batch.clone())), block_on(memory.apply(batch)));
            prop_assert_eq!(got, wanted);
        }
        let subject = subject.reopened();
        for kind in Kind::ALL {
            prop_assert_eq!(subject.store().all(kind), memory.all(kind));
        }
    });
}
