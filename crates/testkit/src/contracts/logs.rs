//! The contract of [`LogStore`].

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use lambent_core::ids::{AccountId, Region};
use lambent_core::time::Timestamp;
use lambent_store::logs::*;

use crate::SeededEntropy;

const START: Timestamp = Timestamp::from_millis(1_700_000_000_000);

/// Every part of the contract, on stores that `fresh` makes empty.
pub async fn keeps_the_contract<S: LogStore>(fresh: impl Fn() -> S) {
    groups_are_created_once_and_deleted_once(&fresh()).await;
    groups_are_listed_by_name(&fresh()).await;
    tags_are_changed_together_or_not_at_all(&fresh()).await;
    streams_need_their_group(&fresh()).await;
    streams_are_listed_in_both_orders(&fresh()).await;
    a_run_creates_what_is_missing_only_when_told(&fresh()).await;
    events_come_back_in_order_whatever_the_order_of_arrival(&fresh()).await;
    pages_join_without_gap_or_repetition(&fresh()).await;
    a_deleted_group_leaves_nothing_to_its_successor(&fresh()).await;
    retention_frees_what_has_expired(&fresh()).await;
    a_page_keeps_its_bound_of_bytes(&fresh()).await;
}

pub fn group(name: &str) -> GroupKey {
    GroupKey {
        account: AccountId::new("000000000000").unwrap(),
        region: Region::new("eu-west-1").unwrap(),
        name: name.into(),
    }
}

pub fn stream(group_name: &str, name: &str) -> StreamKey {
    StreamKey { group: group(group_name), name: name.into() }
}

fn at(millis: u64) -> Timestamp {
    START.plus(Duration::from_millis(millis))
}

fn run(group_name: &str, name: &str, create: bool, events: &[(u64, &str)]) -> Run {
    let event = |(time, text): &(u64, &str)| LogEvent { time: at(*time), text: (*text).to_owned() };
    Run {
        stream: stream(group_name, name),
        ingested: START,
        create,
        events: Arc::new(events.iter().map(event).collect()),
    }
}

async fn append(store: &dyn LogStore, group: &str, stream: &str, events: &[(u64, &str)]) {
    assert_eq!(store.append(vec![run(group, stream, true, events)]).await, Ok(vec![Ok(())]));
}

async fn create_group(store: &dyn LogStore, name: &str) -> Result<(), Refusal> {
    let command = Command::CreateGroup { key: group(name), created: START, tags: BTreeMap::new() };
    store.apply(command).await.unwrap()
}

fn everything(group_name: &str) -> ReadQuery {
    ReadQuery {
        group: group(group_name),
        streams: Streams::All,
        from: Position::FIRST,
        until: Position::LAST,
        direction: Direction::Forward,
        events_max: usize::MAX,
        bytes_max: usize::MAX,
    }
}

async fn texts(store: &dyn LogStore, query: ReadQuery) -> Vec<String> {
    store.read(query).await.unwrap().events.into_iter().map(|event| event.text).collect()
}

pub async fn groups_are_created_once_and_deleted_once(store: &dyn LogStore) {
    assert_eq!(create_group(store, "a").await, Ok(()));
    assert_eq!(create_group(store, "a").await, Err(Refusal::GroupExists));
    let record = store.group(&group("a")).await.unwrap().unwrap();
    assert_eq!((record.created, record.retention_days, record.stored_bytes), (START, None, 0));
    let delete = || store.apply(Command::DeleteGroup { key: group("a") });
    assert_eq!(delete().await, Ok(Ok(())));
    assert_eq!(delete().await, Ok(Err(Refusal::GroupMissing)));
    assert_eq!(store.group(&group("a")).await.unwrap(), None);
    let retain = Command::SetRetention { key: group("a"), days: Some(1) };
    assert_eq!(store.apply(retain).await, Ok(Err(Refusal::GroupMissing)));
}

pub async fn groups_are_listed_by_name(store: &dyn LogStore) {
    for name in ["/b/2", "/a", "/b/1", "C", "/b/Xx"] {
        create_group(store, name).await.unwrap();
    }
    let mut elsewhere = group("/b/9");
    elsewhere.region = Region::new("us-east-1").unwrap();
    let command = Command::CreateGroup { key: elsewhere, created: START, tags: BTreeMap::new() };
    store.apply(command).await.unwrap().unwrap();
    let list = async |prefix: &str, contains: Option<&str>, after: Option<&str>, limit| {
        let query = GroupQuery {
            account: group("").account,
            region: group("").region,
            prefix: prefix.to_owned(),
            contains: contains.map(str::to_owned),
            after: after.map(str::to_owned),
            limit,
        };
        let groups = store.list_groups(query).await.unwrap();
        groups.iter().map(|record| record.key.name.to_string()).collect::<Vec<_>>()
    };
    assert_eq!(list("", None, None, 9).await, ["/a", "/b/1", "/b/2", "/b/Xx", "C"]);
    assert_eq!(list("/b/", None, None, 2).await, ["/b/1", "/b/2"]);
    assert_eq!(list("/b/", None, Some("/b/2"), 2).await, ["/b/Xx"]);
    assert_eq!(list("", Some("X"), None, 9).await, ["/b/Xx"]);
    assert_eq!(list("", Some("XX"), None, 9).await, [""; 0]);
    assert_eq!(list("", Some("_"), None, 9).await, [""; 0]);
}

pub async fn tags_are_changed_together_or_not_at_all(store: &dyn LogStore) {
    create_group(store, "a").await.unwrap();
    let change = async |remove: &[&str], set: &[(&str, &str)]| {
        let command = Command::ChangeTags {
            key: group("a"),
            remove: remove.iter().map(|name| (*name).to_owned()).collect(),
            set: set.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect(),
            count_max: 2,
        };
        store.apply(command).await.unwrap()
    };
    assert_eq!(change(&[], &[("x", "1"), ("y", "2")]).await, Ok(()));
    assert_eq!(change(&[], &[("x", "9"), ("z", "3")]).await, Err(Refusal::TooManyTags));
    assert_eq!(change(&["y", "none"], &[("z", "3")]).await, Ok(()));
    let tags = store.group(&group("a")).await.unwrap().unwrap().tags;
    let pairs: Vec<_> = tags.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
    assert_eq!(pairs, [("x", "1"), ("z", "3")]);
}

pub async fn streams_need_their_group(store: &dyn LogStore) {
    let create = || store.apply(Command::CreateStream { key: stream("a", "s"), created: START });
    let delete = || store.apply(Command::DeleteStream { key: stream("a", "s") });
    assert_eq!(create().await, Ok(Err(Refusal::GroupMissing)));
    assert_eq!(delete().await, Ok(Err(Refusal::GroupMissing)));
    create_group(store, "a").await.unwrap();
    assert_eq!(delete().await, Ok(Err(Refusal::StreamMissing)));
    assert_eq!(create().await, Ok(Ok(())));
    assert_eq!(create().await, Ok(Err(Refusal::StreamExists)));
    let record = store.stream(&stream("a", "s")).await.unwrap().unwrap();
    assert_eq!((record.created, record.first_event, record.last_event), (START, None, None));
    append(store, "a", "s", &[(5, "x")]).await;
    assert_eq!(delete().await, Ok(Ok(())));
    assert_eq!(store.stream(&stream("a", "s")).await.unwrap(), None);
    assert_eq!(texts(store, everything("a")).await, [""; 0]);
    assert_eq!(store.group(&group("a")).await.unwrap().unwrap().stored_bytes, 0);
}

pub async fn streams_are_listed_in_both_orders(store: &dyn LogStore) {
    append(store, "a", "x1", &[(30, "e")]).await;
    append(store, "a", "x2", &[(10, "e")]).await;
    append(store, "a", "y", &[(30, "e")]).await;
    store.apply(Command::CreateStream { key: stream("a", "e"), created: START }).await.unwrap().unwrap();
    let list = async |prefix: &str, order, descending, limit| {
        let mut names = Vec::new();
        let mut after = None;
        loop {
            let query = StreamQuery {
                group: group("a"),
                prefix: prefix.to_owned(),
                order,
                descending,
                after: after.clone(),
                limit,
            };
            let page = store.list_streams(query).await.unwrap();
            assert!(page.len() <= limit);
            let Some(last) = page.last() else { return names.join(" ") };
            after = Some(StreamCursor { name: last.name.to_string(), last_event: last.last_event });
            names.extend(page.iter().map(|record| record.name.to_string()));
        }
    };
    for limit in [1, 2, 50] {
        assert_eq!(list("", StreamOrder::Name, false, limit).await, "e x1 x2 y");
        assert_eq!(list("", StreamOrder::Name, true, limit).await, "y x2 x1 e");
        assert_eq!(list("x", StreamOrder::Name, false, limit).await, "x1 x2");
        assert_eq!(list("", StreamOrder::LastEvent, false, limit).await, "e x2 x1 y");
        assert_eq!(list("", StreamOrder::LastEvent, true, limit).await, "y x1 x2 e");
    }
}

pub async fn a_run_creates_what_is_missing_only_when_told(store: &dyn LogStore) {
    let refused = vec![
        run("none", "s", false, &[(1, "a")]),
        run("some", "s", true, &[(2, "b")]),
        run("some", "t", false, &[(3, "c")]),
    ];
    let answers = store.append(refused).await.unwrap();
    assert_eq!(answers, [Err(Refusal::GroupMissing), Ok(()), Err(Refusal::StreamMissing)]);
    assert_eq!(store.group(&group("none")).await.unwrap(), None);
    assert_eq!(texts(store, everything("some")).await, ["b"]);
    let record = store.stream(&stream("some", "s")).await.unwrap().unwrap();
    assert_eq!((record.first_event, record.last_event), (Some(at(2)), Some(at(2))));
    assert_eq!((record.last_ingestion, record.stored_bytes), (Some(START), 27));
    assert_eq!(store.group(&group("some")).await.unwrap().unwrap().stored_bytes, 27);
}

pub async fn events_come_back_in_order_whatever_the_order_of_arrival(store: &dyn LogStore) {
    append(store, "a", "s", &[(50, "5"), (20, "2a"), (20, "2b")]).await;
    append(store, "a", "t", &[(10, "1"), (20, "2c"), (60, "6")]).await;
    append(store, "a", "s", &[(20, "2d"), (55, "5.5")]).await;
    let all = everything("a");
    assert_eq!(texts(store, all.clone()).await.join(" "), "1 2a 2b 2c 2d 5 5.5 6");
    let named = Streams::Named(vec!["s".into()]);
    assert_eq!(texts(store, ReadQuery { streams: named, ..all.clone() }).await.join(" "), "2a 2b 2d 5 5.5");
    let both = Streams::Named(vec!["s".into(), "t".into(), "none".into()]);
    assert_eq!(texts(store, ReadQuery { streams: both, ..all.clone() }).await.len(), 8);
    let prefixed = Streams::Prefixed("t".into());
    assert_eq!(texts(store, ReadQuery { streams: prefixed, ..all.clone() }).await.join(" "), "1 2c 6");
    let window = ReadQuery { from: Position::at(at(20)), until: Position::at(at(55)), ..all.clone() };
    assert_eq!(texts(store, window).await.join(" "), "2a 2b 2c 2d 5");
    let inverted = ReadQuery { from: Position::at(at(55)), until: Position::at(at(20)), ..all.clone() };
    assert_eq!(store.read(inverted).await.unwrap(), Page::default());
    let missing = ReadQuery { group: group("none"), ..all };
    assert_eq!(store.read(missing).await.unwrap(), Page::default());
}

pub async fn pages_join_without_gap_or_repetition(store: &dyn LogStore) {
    let random = SeededEntropy::new(7);
    for round in 0..40 {
        let name = ["s", "t", "u"][(random.next_u64() % 3) as usize];
        // Hours apart at times, so that chunks of every shape come to be.
        let base = random.next_u64() % 20_000_000;
        let lines: Vec<_> = (0..random.next_u64() % 30)
            .map(|i| (base + random.next_u64() % 500, format!("{round}-{i}")))
            .collect();
        let lines: Vec<_> = lines.iter().map(|(time, text)| (*time, text.as_str())).collect();
        append(store, "a", name, &lines).await;
    }
    let all = texts(store, everything("a")).await;
    for events_max in [1, 7, 100, usize::MAX] {
        for direction in [Direction::Forward, Direction::Backward] {
            let mut query = ReadQuery { direction, events_max, ..everything("a") };
            let mut parts: Vec<Vec<String>> = Vec::new();
            loop {
                let page = store.read(query.clone()).await.unwrap();
                assert!(page.events.is_sorted_by_key(|event| event.position));
                if let (Some(first), Some(last)) = (page.events.first(), page.events.last()) {
                    match direction {
                        Direction::Forward => query.from = last.position.next(),
                        Direction::Backward => query.until = first.position,
                    }
                }
                parts.push(page.events.into_iter().map(|event| event.text).collect());
                if !page.more {
                    break;
                }
            }
            if direction == Direction::Backward {
                parts.reverse();
            }
            assert_eq!(parts.concat(), all, "{direction:?} by {events_max}");
        }
    }
}

pub async fn a_deleted_group_leaves_nothing_to_its_successor(store: &dyn LogStore) {
    append(store, "a", "s", &[(1, "old")]).await;
    let before = store.read(everything("a")).await.unwrap().events[0].position;
    store.apply(Command::DeleteGroup { key: group("a") }).await.unwrap().unwrap();
    append(store, "a", "s", &[(1, "new")]).await;
    let events = store.read(everything("a")).await.unwrap().events;
    assert_eq!(events.iter().map(|event| event.text.as_str()).collect::<Vec<_>>(), ["new"]);
    assert_ne!(events[0].position, before);
    store.sweep(START).await.unwrap();
    assert_eq!(texts(store, everything("a")).await, ["new"]);
    assert_eq!(store.group(&group("a")).await.unwrap().unwrap().stored_bytes, 29);
}

pub async fn retention_frees_what_has_expired(store: &dyn LogStore) {
    append(store, "a", "s", &[(0, "old")]).await;
    append(store, "a", "s", &[(10, "young")]).await;
    append(store, "b", "s", &[(0, "kept for ever")]).await;
    let day = Duration::from_secs(86_400);
    let retain = Command::SetRetention { key: group("a"), days: Some(1) };
    store.apply(retain).await.unwrap().unwrap();
    assert_eq!(store.group(&group("a")).await.unwrap().unwrap().retention_days, Some(1));
    assert_eq!(store.sweep(START.plus(day)).await.unwrap(), Swept::default());
    let swept = store.sweep(at(10).plus(day)).await.unwrap();
    assert_eq!(swept, Swept { expired_bytes: 29, evicted_bytes: 0 });
    assert_eq!(texts(store, everything("a")).await, ["young"]);
    assert_eq!(texts(store, everything("b")).await, ["kept for ever"]);
    let record = store.stream(&stream("a", "s")).await.unwrap().unwrap();
    assert_eq!((record.first_event, record.last_event), (Some(at(10)), Some(at(10))));
    assert_eq!(record.stored_bytes, 31);
    assert_eq!(store.group(&group("a")).await.unwrap().unwrap().stored_bytes, 31);
    let retain = Command::SetRetention { key: group("a"), days: None };
    store.apply(retain).await.unwrap().unwrap();
    assert_eq!(store.sweep(at(0).plus(day * 1000)).await.unwrap(), Swept::default());
}

pub async fn a_page_keeps_its_bound_of_bytes(store: &dyn LogStore) {
    let text: Arc<str> = "x".repeat(1000).into();
    let lines: Vec<_> = (0..200).map(|i| (i, &*text)).collect();
    append(store, "a", "s", &lines).await;
    let page = store.read(ReadQuery { bytes_max: 10_260, ..everything("a") }).await.unwrap();
    assert_eq!((page.events.len(), page.more), (10, true));
    let page = store.read(ReadQuery { bytes_max: 1, ..everything("a") }).await.unwrap();
    assert_eq!((page.events.len(), page.more), (1, true));
    let page = store.read(everything("a")).await.unwrap();
    assert_eq!((page.events.len(), page.more), (200, false));
}

/// The store answers every step of a random sequence as the store in memory does. Positions are the store's
/// own, so events are compared without them.
pub async fn agrees_with_memory(store: &dyn LogStore, seed: u64) {
    let random = SeededEntropy::new(seed);
    let memory = MemoryLogs::default();
    for step in 0..150 {
        let command = random_command(&random, step);
        let (ours, theirs) = match command {
            Step::Apply(command) => {
                (answer(store.apply(command.clone()).await), answer(memory.apply(command).await))
            }
            Step::Append(runs) => {
                (answer(store.append(runs.clone()).await), answer(memory.append(runs).await))
            }
            Step::Read(query) => (seen(store.read(query.clone()).await), seen(memory.read(query).await)),
        };
        assert_eq!(ours, theirs, "seed {seed}, step {step}");
        for name in ["a", "b"] {
            let record = (store.group(&group(name)).await, memory.group(&group(name)).await);
            assert_eq!(record.0, record.1, "seed {seed}, step {step}");
            let query = StreamQuery {
                group: group(name),
                prefix: String::new(),
                order: StreamOrder::LastEvent,
                descending: random.next_u64().is_multiple_of(2),
                after: None,
                limit: 10,
            };
            let streams = (store.list_streams(query.clone()).await, memory.list_streams(query).await);
            assert_eq!(streams.0, streams.1, "seed {seed}, step {step}");
        }
    }
}

enum Step {
    Apply(Command),
    Append(Vec<Run>),
    Read(ReadQuery),
}

fn answer(answer: impl std::fmt::Debug) -> String {
    format!("{answer:?}")
}

fn seen(page: Result<Page, lambent_store::StoreError>) -> String {
    let page = page.unwrap();
    let event = |event: StoredEvent| (event.time(), event.stream, event.ingested, event.text);
    format!("{:?} {}", page.events.into_iter().map(event).collect::<Vec<_>>(), page.more)
}

fn random_command(random: &SeededEntropy, step: u64) -> Step {
    let pick = |count: u64| random.next_u64() % count;
    let groups = ["a", "b"];
    let streams = ["s", "t", "su"];
    let key = group(groups[pick(2) as usize]);
    let stream_key = StreamKey { group: key.clone(), name: streams[pick(3) as usize].into() };
    let created = at(step);
    match pick(20) {
        0 => Step::Apply(Command::CreateGroup { key, created, tags: BTreeMap::new() }),
        1 if pick(4) == 0 => Step::Apply(Command::DeleteGroup { key }),
        2 => Step::Apply(Command::CreateStream { key: stream_key, created }),
        3 if pick(3) == 0 => Step::Apply(Command::DeleteStream { key: stream_key }),
        4 => Step::Apply(Command::SetRetention { key, days: Some(pick(9) as u32 + 1) }),
        5..=12 => {
            let run = |number: u64| {
                let base = pick(10_000_000);
                let event = |at_event: u64| LogEvent {
                    time: at(base + pick(50)),
                    text: format!("{step}.{number}.{at_event}").repeat(1 + pick(2000) as usize),
                };
                Run {
                    stream: StreamKey { group: key.clone(), name: streams[pick(3) as usize].into() },
                    ingested: created,
                    create: pick(2) == 0,
                    events: Arc::new((0..pick(12)).map(event).collect()),
                }
            };
            Step::Append((0..=pick(3)).map(run).collect())
        }
        _ => {
            let from = pick(10_000_000);
            Step::Read(ReadQuery {
                group: key,
                streams: match pick(4) {
                    0 => Streams::All,
                    1 => Streams::Named(vec![stream_key.name]),
                    2 => Streams::Named(vec!["s".into(), stream_key.name]),
                    _ => Streams::Prefixed("s".into()),
                },
                from: Position::at(at(from)),
                until: Position::at(at(from + pick(10_000_000))),
                direction: if pick(2) == 0 { Direction::Forward } else { Direction::Backward },
                events_max: 1 + pick(30) as usize,
                bytes_max: 1 + pick(300_000) as usize,
            })
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::block_on;

    #[test]
    fn the_store_in_memory_keeps_the_contract() {
        block_on(keeps_the_contract(MemoryLogs::default));
    }

    #[test]
    fn the_store_in_memory_drops_the_oldest_when_it_is_full() {
        block_on(async {
            let store = MemoryLogs::new(60);
            append(&store, "a", "s", &[(9, "first")]).await;
            append(&store, "a", "s", &[(5, "second")]).await;
            assert_eq!(texts(&store, everything("a")).await, ["second"]);
            assert_eq!(store.group(&group("a")).await.unwrap().unwrap().stored_bytes, 32);
        });
    }
}
