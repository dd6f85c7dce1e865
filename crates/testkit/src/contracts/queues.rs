//! The contract of [`QueueStore`]: facts in [`FACTS`], [`agrees_with_memory`] for any sequence, and
//! [`groups_keep_their_order`] for whatever receivers of a FIFO queue may do.

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;
use lambent_core::ids::{AccountId, MessageId, QueueName, Region};
use lambent_core::time::Timestamp;
use lambent_store::StoreError;
use lambent_store::queues::*;
use proptest::prelude::*;

use crate::block_on;

/// A store under test.
pub trait Subject: Sized {
    /// An empty one.
    fn fresh() -> Self;

    fn store(&self) -> &dyn QueueStore;

    /// The same store after its end and a new start.
    fn reopened(self) -> Self;
}

type Fact = (&'static str, fn(&dyn QueueStore));

pub const FACTS: &[Fact] = &[
    ("a queue is made once and changed by who knows its state", a_queue_is_made_once),
    ("a message comes back until it is removed", a_message_comes_back_until_it_is_removed),
    ("a message that was put back unread was not received", an_unread_message_was_not_received),
    ("an old receipt removes nothing", an_old_receipt_removes_nothing),
    ("a message that was received too often goes to the other queue", a_message_is_redriven),
    ("what is too old is not handed out", what_is_too_old_is_not_handed_out),
    ("a shelf that was given up takes and gives nothing", a_given_up_shelf_is_gone),
    ("the same deduplication id is one message for five minutes", a_repeated_message_is_one),
    ("an attempt that is repeated gets the same messages", a_repeated_attempt_gets_the_same),
    ("no more are in flight than may be", no_more_are_in_flight_than_may_be),
    ("a move takes messages to where they came from", a_move_takes_messages_home),
];

pub fn keeps_the_facts<S: Subject>() {
    for (name, fact) in FACTS {
        println!("{name}");
        let subject = S::fresh();
        fact(subject.store());
        drop(subject.reopened());
    }
}

const STANDARD: Shelf = Shelf(11);
const DEAD: Shelf = Shelf(12);
const FIFO: Shelf = Shelf(13);

pub fn key(name: &str) -> QueueKey {
    QueueKey {
        account: AccountId::new("000000000000").unwrap(),
        region: Region::new("eu-west-1").unwrap(),
        name: QueueName::new(name).unwrap(),
    }
}

pub fn at(ms: u64) -> Timestamp {
    Timestamp::from_millis(1_000_000_000 + ms)
}

pub fn record(name: &str, shelf: Shelf) -> QueueRecord {
    let fifo = name.ends_with(".fifo").then_some(FifoSettings {
        content_based_dedup: false,
        dedup_scope: DedupScope::Queue,
        throughput_limit: ThroughputLimit::Queue,
    });
    QueueRecord {
        key: key(name),
        shelf,
        generation: 1,
        created: at(0),
        modified: at(0),
        purged: None,
        settings: Settings {
            delay_secs: 0,
            message_bytes_max: 1024,
            retention_secs: 60,
            wait_secs: 0,
            visibility_secs: 30,
            managed_sse: true,
            policy: None,
            redrive: None,
            redrive_allow: None,
            fifo,
        },
        tags: BTreeMap::new(),
    }
}

fn apply(store: &dyn QueueStore, command: Command) -> Outcome {
    block_on(store.apply(command)).unwrap()
}

fn make(store: &dyn QueueStore) {
    for (name, shelf) in [("standard", STANDARD), ("dead", DEAD), ("a.fifo", FIFO)] {
        apply(store, Command::Put { record: Box::new(record(name, shelf)), expected: None });
    }
}

pub fn id(n: u32) -> MessageId {
    MessageId::new(format!("{n:08x}-0000-4000-8000-000000000000")).unwrap()
}

pub fn message(n: u32, now: u64) -> NewMessage {
    NewMessage {
        id: id(n),
        sent: at(now),
        visible: at(now),
        order: None,
        body: Bytes::from(format!("body {n}")),
        details: Bytes::from_static(b"{}"),
    }
}

fn in_group(n: u32, now: u64, group: &str, dedup: &str) -> NewMessage {
    let order = Order { group: group.into(), dedup: dedup.into(), scope: DedupScope::Queue };
    NewMessage { order: Some(order), ..message(n, now) }
}

fn send(store: &dyn QueueStore, shelf: Shelf, messages: &[NewMessage]) -> Vec<Sent> {
    match apply(store, Command::Send { shelf, messages: messages.to_vec() }) {
        Outcome::Sent(sent) => sent,
        other => panic!("{other:?}"),
    }
}

/// Up to ten, for 30 s.
fn asked(shelf: Shelf, now: u64) -> Receive {
    Receive {
        shelf,
        now: at(now),
        limit: 10,
        visible_again: at(now + 30_000),
        too_old: Timestamp::default(),
        in_flight_max: 100,
        is_fifo: shelf == FIFO,
        attempt: None,
        redrive: None,
    }
}

fn receive(store: &dyn QueueStore, asked: Receive) -> Received {
    match apply(store, Command::Receive(asked)) {
        Outcome::Received(received) => received,
        other => panic!("{other:?}"),
    }
}

fn ids(received: &Received) -> Vec<&str> {
    received.messages.iter().map(|message| message.id.as_str()).collect()
}

fn remove(store: &dyn QueueStore, shelf: Shelf, now: u64, receipts: &[Receipt]) -> Vec<Removal> {
    match apply(store, Command::Remove { shelf, now: at(now), receipts: receipts.to_vec() }) {
        Outcome::Removed(removed) => removed,
        other => panic!("{other:?}"),
    }
}

fn change(store: &dyn QueueStore, shelf: Shelf, now: u64, receipt: Receipt, until: u64) -> Change {
    match apply(store, Command::ChangeVisibility { shelf, now: at(now), changes: vec![(receipt, at(until))] })
    {
        Outcome::Changed(changed) => changed[0],
        other => panic!("{other:?}"),
    }
}

fn counts(store: &dyn QueueStore, shelf: Shelf, now: u64) -> (u64, u64, u64) {
    let counts = block_on(store.counts(shelf, at(now), Timestamp::default())).unwrap();
    (counts.visible, counts.in_flight, counts.delayed)
}

fn a_queue_is_made_once(store: &dyn QueueStore) {
    make(store);
    let put = |expected| {
        let mut record = record("standard", STANDARD);
        record.generation = 2;
        record.tags.insert("a".into(), "b".into());
        block_on(store.apply(Command::Put { record: Box::new(record), expected }))
    };
    assert_eq!(put(None), Err(StoreError::Conflict));
    assert_eq!(put(Some(7)), Err(StoreError::Conflict));
    assert_eq!(put(Some(1)), Ok(Outcome::Done));
    assert_eq!(store.queue(&key("standard")).unwrap().tags["a"], "b");
    let names = |all: Vec<std::sync::Arc<QueueRecord>>| -> Vec<String> {
        all.iter().map(|record| record.key.name.to_string()).collect()
    };
    let of = key("standard");
    assert_eq!(names(store.queues(&of.account, &of.region)), ["a.fifo", "dead", "standard"]);
    let delete = |expected| block_on(store.apply(Command::Delete { key: of.clone(), expected, at: at(5) }));
    assert_eq!(delete(1), Err(StoreError::Conflict));
    assert_eq!(delete(2), Ok(Outcome::Done));
    assert_eq!((store.queue(&of), store.deleted(&of)), (None, Some(at(5))));
    // Another queue can't have the shelf of one that is there.
    let stolen = Command::Put { record: Box::new(record("thief", DEAD)), expected: None };
    assert_eq!(block_on(store.apply(stolen)), Err(StoreError::Conflict));
}

fn a_message_comes_back_until_it_is_removed(store: &dyn QueueStore) {
    make(store);
    let mut late = message(2, 0);
    late.visible = at(5_000);
    send(store, STANDARD, &[message(1, 0), late]);
    assert_eq!(counts(store, STANDARD, 1), (1, 0, 1));
    let first = receive(store, asked(STANDARD, 1));
    assert_eq!(ids(&first), [id(1).as_str()]);
    let got = &first.messages[0];
    assert_eq!(
        (&got.body[..], got.sent, got.first_received, got.receives),
        (&b"body 1"[..], at(0), at(1), 1)
    );
    let none = receive(store, asked(STANDARD, 2));
    assert_eq!((none.messages.len(), none.next), (0, Some(at(5_000))));
    assert_eq!(counts(store, STANDARD, 2), (0, 1, 1));
    let again = receive(store, asked(STANDARD, 30_001));
    assert_eq!(ids(&again), [id(2).as_str(), id(1).as_str()]);
    assert_eq!((again.messages[1].receives, again.messages[1].first_received), (2, at(1)));
    let receipts: Vec<Receipt> = again.messages.iter().map(|message| message.receipt).collect();
    assert_eq!(remove(store, STANDARD, 30_002, &receipts), [Removal::Done; 2]);
    assert_eq!(remove(store, STANDARD, 30_003, &receipts), [Removal::Absent; 2]);
    assert_eq!(receive(store, asked(STANDARD, 90_000)).messages, []);
}

fn an_unread_message_was_not_received(store: &dyn QueueStore) {
    make(store);
    let unread = |shelf, now, receipts: Vec<Receipt>, until| match apply(
        store,
        Command::Unread { shelf, now: at(now), until: at(until), receipts },
    ) {
        Outcome::Changed(changed) => changed,
        other => panic!("{other:?}"),
    };
    send(store, STANDARD, &[message(1, 0)]);
    let redrive = || Some(RedriveTo { shelf: DEAD, receives_max: 1, source: "home".into() });
    for now in [0, 100, 200] {
        let received = receive(store, Receive { redrive: redrive(), ..asked(STANDARD, now) });
        let found = &received.messages[0];
        assert_eq!((found.receives, found.first_received, received.redriven.len()), (1, at(now), 0));
        let receipt = found.receipt;
        assert_eq!(unread(STANDARD, now, vec![receipt], now + 50), [Change::Done]);
        assert_eq!(unread(STANDARD, now, vec![receipt], now), [Change::NotInFlight], "it is not in flight");
        assert!(receive(store, asked(STANDARD, now + 49)).messages.is_empty());
    }
    let orders = [in_group(2, 0, "g", "2"), in_group(3, 0, "g", "3"), in_group(4, 0, "g", "4")];
    send(store, FIFO, &orders);
    let received = receive(store, Receive { limit: 2, ..asked(FIFO, 0) });
    let receipts = received.messages.iter().map(|message| message.receipt).collect();
    assert_eq!(unread(FIFO, 1, receipts, 1), [Change::Done, Change::Done]);
    let again = receive(store, asked(FIFO, 1));
    assert_eq!(ids(&again), [id(2).as_str(), id(3).as_str(), id(4).as_str()]);
    assert_eq!(again.messages[0].receives, 1);
}

fn an_old_receipt_removes_nothing(store: &dyn QueueStore) {
    make(store);
    send(store, STANDARD, &[message(1, 0)]);
    let first = receive(store, asked(STANDARD, 0)).messages[0].receipt;
    let second = receive(store, asked(STANDARD, 30_000)).messages[0].receipt;
    assert_eq!(remove(store, STANDARD, 30_001, &[first]), [Removal::Stale]);
    assert_eq!(change(store, STANDARD, 30_001, first, 40_000), Change::NotInFlight);
    assert_eq!(change(store, STANDARD, 30_001, second, 30_000 + 43_200_001), Change::TooLong);
    assert_eq!(change(store, STANDARD, 30_001, second, 30_001), Change::Done);
    assert_eq!(change(store, STANDARD, 30_001, second, 40_000), Change::NotInFlight);
    assert_eq!(counts(store, STANDARD, 30_001), (1, 0, 0));
    // Its time is over, and nobody else has it: it can be removed still.
    assert_eq!(remove(store, STANDARD, 30_001, &[second]), [Removal::Done]);
    // Not so in a FIFO queue.
    send(store, FIFO, &[in_group(2, 0, "g", "d")]);
    let late = receive(store, asked(FIFO, 0)).messages[0].receipt;
    assert_eq!(remove(store, FIFO, 30_000, &[late]), [Removal::Expired]);
}

fn a_message_is_redriven(store: &dyn QueueStore) {
    make(store);
    send(store, STANDARD, &[message(1, 0), message(2, 1)]);
    let to_dead = |now| Receive {
        redrive: Some(RedriveTo { shelf: DEAD, receives_max: 1, source: "arn".into() }),
        visible_again: at(now),
        limit: 1,
        ..asked(STANDARD, now)
    };
    assert_eq!(ids(&receive(store, to_dead(5))), [id(1).as_str()]);
    let second = receive(store, to_dead(6));
    assert_eq!((ids(&second), second.redriven.len()), (vec![id(2).as_str()], 0));
    let third = receive(store, Receive { limit: 10, ..to_dead(7) });
    let redriven = [1, 2].map(|message| Redriven { id: id(message), receives: 1 });
    assert_eq!((ids(&third).len(), third.redriven.as_slice()), (0, redriven.as_slice()));
    let dead = receive(store, asked(DEAD, 8));
    assert_eq!(ids(&dead), [id(1).as_str(), id(2).as_str()]);
    let got = &dead.messages[0];
    assert_eq!((got.sent, got.receives, got.source.as_deref()), (at(0), 2, Some("arn")));
    assert_eq!(counts(store, STANDARD, 9), (0, 0, 0));
}

fn what_is_too_old_is_not_handed_out(store: &dyn QueueStore) {
    make(store);
    send(store, STANDARD, &[message(1, 0), message(2, 10), message(3, 20)]);
    let found = block_on(store.too_old(STANDARD, at(10), 10)).unwrap();
    assert_eq!(found.len(), 2);
    let left = block_on(store.counts(STANDARD, at(30), at(10))).unwrap();
    assert_eq!(left.visible, 1);
    let received = receive(store, Receive { too_old: at(10), ..asked(STANDARD, 30) });
    assert_eq!(ids(&received), [id(3).as_str()]);
    send(store, STANDARD, &[message(4, 30)]);
    let old = block_on(store.too_old(STANDARD, at(30), 10)).unwrap();
    let sweep = Command::Sweep { now: at(31), limit: 100, too_old: vec![(STANDARD, old)] };
    apply(store, sweep);
    assert_eq!(counts(store, STANDARD, 40_000), (0, 0, 0));
}

fn a_given_up_shelf_is_gone(store: &dyn QueueStore) {
    make(store);
    send(store, STANDARD, &[message(1, 0)]);
    send(store, FIFO, &[in_group(2, 0, "g", "d")]);
    let receipt = receive(store, asked(STANDARD, 0)).messages[0].receipt;
    let purged = QueueRecord { shelf: Shelf(99), generation: 2, ..record("standard", STANDARD) };
    apply(store, Command::Put { record: Box::new(purged), expected: Some(1) });
    apply(store, Command::Delete { key: key("a.fifo"), expected: 1, at: at(1) });
    for shelf in [STANDARD, FIFO] {
        let receipts = vec![receipt];
        for command in [
            Command::Send { shelf, messages: vec![message(5, 1)] },
            Command::Receive(asked(shelf, 1)),
            Command::Remove { shelf, now: at(1), receipts },
        ] {
            assert_eq!(apply(store, command), Outcome::Gone);
        }
    }
    while apply(store, Command::Sweep { now: at(1), limit: 1, too_old: Vec::new() }) == Outcome::Swept(true) {
    }
    assert_eq!(counts(store, STANDARD, 1), (0, 0, 0));
    send(store, Shelf(99), &[message(6, 1)]);
    assert_eq!(ids(&receive(store, asked(Shelf(99), 1))), [id(6).as_str()]);
}

fn a_repeated_message_is_one(store: &dyn QueueStore) {
    make(store);
    let first = send(store, FIFO, &[in_group(1, 0, "g", "d")]);
    let repeated = send(store, FIFO, &[in_group(2, 299_999, "other", "d"), in_group(3, 299_999, "g", "e")]);
    assert_eq!(
        (&repeated[0].id, repeated[0].number, repeated[0].is_repeated),
        (&first[0].id, first[0].number, true)
    );
    assert!(!repeated[1].is_repeated);
    assert!(!send(store, FIFO, &[in_group(4, 300_000, "g", "d")])[0].is_repeated);
    let grouped = |n, group: &str| {
        let order = Order { group: group.into(), dedup: "x".into(), scope: DedupScope::Group };
        NewMessage { order: Some(order), ..message(n, 300_000) }
    };
    let sent = send(store, FIFO, &[grouped(5, "a"), grouped(6, "b"), grouped(7, "a")]);
    assert_eq!(sent.iter().map(|sent| sent.is_repeated).collect::<Vec<_>>(), [false, false, true]);
}

fn a_repeated_attempt_gets_the_same(store: &dyn QueueStore) {
    make(store);
    send(store, FIFO, &[in_group(1, 0, "g", "1"), in_group(2, 0, "g", "2"), in_group(3, 0, "h", "3")]);
    let attempt = |now, name: &str| Receive { limit: 2, attempt: Some(name.into()), ..asked(FIFO, now) };
    let first = receive(store, attempt(0, "a"));
    assert_eq!(ids(&first), [id(1).as_str(), id(2).as_str()]);
    let again = receive(store, attempt(29_000, "a"));
    assert_eq!(again.messages, first.messages);
    // The time in flight began anew.
    assert_eq!(ids(&receive(store, attempt(31_000, "b"))), [id(3).as_str()]);
    remove(store, FIFO, 31_001, &[first.messages[0].receipt]);
    assert_eq!(receive(store, attempt(31_002, "a")).messages, []);
}

fn no_more_are_in_flight_than_may_be(store: &dyn QueueStore) {
    make(store);
    let messages: Vec<NewMessage> = (0..8).map(|n| message(n, 0)).collect();
    send(store, STANDARD, &messages);
    let few = |now| Receive { limit: 3, in_flight_max: 5, ..asked(STANDARD, now) };
    let first = receive(store, few(0));
    assert_eq!((first.messages.len(), receive(store, few(1)).messages.len()), (3, 2));
    let full = receive(store, few(2));
    assert!(full.is_full && full.messages.is_empty());
    remove(store, STANDARD, 3, &[first.messages[0].receipt]);
    assert_eq!(receive(store, few(4)).messages.len(), 1);
    assert_eq!(receive(store, few(40_000)).messages.len(), 3);
}

fn a_move_takes_messages_home(store: &dyn QueueStore) {
    make(store);
    send(store, STANDARD, &[message(1, 0)]);
    let once = Receive { visible_again: at(1), ..asked(STANDARD, 1) };
    receive(store, once.clone());
    let redrive = Some(RedriveTo { shelf: DEAD, receives_max: 1, source: "home".into() });
    receive(store, Receive { redrive, ..once });
    let task = MoveRecord {
        handle: "h".into(),
        source: key("dead"),
        destination_arn: None,
        per_second_max: Some(5),
        status: MoveStatus::Running,
        moved: 0,
        to_move: 1,
        started: at(2),
        failure: None,
    };
    apply(store, Command::PutMove(Box::new(task)));
    let step = |now, ids, to| MoveStep {
        handle: "h".into(),
        from: DEAD,
        now: at(now),
        too_old: Timestamp::default(),
        ids,
        to,
        all_to_one: false,
    };
    let stranger = vec![(Some("elsewhere".to_owned()), STANDARD)];
    let stuck = apply(store, Command::Move(step(3, vec![id(8)], stranger)));
    assert_eq!(stuck, Outcome::Moved(Moved { count: 0, is_stuck: true }));
    let home = vec![(Some("home".to_owned()), STANDARD)];
    let moved = apply(store, Command::Move(step(4, vec![id(8), id(9)], home)));
    assert_eq!(moved, Outcome::Moved(Moved { count: 1, is_stuck: false }));
    assert_eq!(block_on(store.moves()).unwrap()[0].moved, 1);
    let back = receive(store, asked(STANDARD, 5));
    let got = &back.messages[0];
    assert_eq!((&got.id, got.sent, got.receives, &got.source), (&id(8), at(4), 1, &None));
}

/// What a user of the store does next. Receipts are named by the order in which they were handed out.
#[derive(Debug, Clone)]
enum Step {
    Send { fifo: bool, group: u8, dedup: u8, delay: u64 },
    Receive { fifo: bool, limit: usize, visibility: u64, attempt: Option<u8>, redrive: bool },
    Remove(prop::sample::Index),
    Change(prop::sample::Index, u64),
    Unread(prop::sample::Index, u64),
    Wait(u64),
    Delay(u32),
    Purge { fifo: bool },
    Sweep,
    Move,
}

fn step() -> impl Strategy<Value = Step> {
    let index = any::<prop::sample::Index>;
    prop_oneof![
        6 => (any::<bool>(), 0u8..3, 0u8..12, prop_oneof![Just(0), 0u64..4]).prop_map(
            |(fifo, group, dedup, delay)| Step::Send { fifo, group, dedup, delay }
        ),
        6 => (any::<bool>(), 1usize..5, 0u64..4, prop::option::weighted(0.2, 0u8..2), any::<bool>()).prop_map(
            |(fifo, limit, visibility, attempt, redrive)| Step::Receive {
                fifo, limit, visibility, attempt, redrive,
            }
        ),
        4 => index().prop_map(Step::Remove),
        2 => (index(), 0u64..4).prop_map(|(at, secs)| Step::Change(at, secs)),
        1 => (index(), 0u64..4).prop_map(|(at, secs)| Step::Unread(at, secs)),
        4 => prop_oneof![4 => 0u64..4_000, 1 => Just(301_000)].prop_map(Step::Wait),
        1 => (0u32..3).prop_map(Step::Delay),
        1 => any::<bool>().prop_map(|fifo| Step::Purge { fifo }),
        1 => Just(Step::Sweep),
        1 => Just(Step::Move),
    ]
}

/// The state of a sequence: both stores are told the same.
struct Walk {
    now: u64,
    sent: u32,
    receipts: Vec<(bool, Receipt)>,
    standard: QueueRecord,
    fifo: QueueRecord,
}

impl Walk {
    fn new() -> Self {
        let (standard, fifo) = (record("standard", STANDARD), record("a.fifo", FIFO));
        Self { now: 0, sent: 0, receipts: Vec::new(), standard, fifo }
    }

    fn queue(&self, fifo: bool) -> &QueueRecord {
        if fifo { &self.fifo } else { &self.standard }
    }

    fn command(&mut self, step: &Step) -> Option<Command> {
        let now = at(self.now);
        let picked = |index: &prop::sample::Index| {
            (!self.receipts.is_empty()).then(|| self.receipts[index.index(self.receipts.len())])
        };
        Some(match step {
            Step::Send { fifo, group, dedup, delay } => {
                self.sent += 1;
                let order = Order {
                    group: format!("g{group}"),
                    dedup: format!("d{dedup}"),
                    scope: if group % 2 == 0 { DedupScope::Queue } else { DedupScope::Group },
                };
                let delay = if *fifo { u64::from(self.fifo.settings.delay_secs) } else { *delay };
                let message = NewMessage {
                    order: fifo.then_some(order),
                    visible: at(self.now + delay * 1_000),
                    ..message(self.sent, self.now)
                };
                Command::Send { shelf: self.queue(*fifo).shelf, messages: vec![message] }
            }
            Step::Receive { fifo, limit, visibility, attempt, redrive } => Command::Receive(Receive {
                shelf: self.queue(*fifo).shelf,
                now,
                limit: *limit,
                visible_again: at(self.now + visibility * 1_000),
                too_old: at(self.now.saturating_sub(60_000)),
                in_flight_max: 7,
                is_fifo: *fifo,
                attempt: attempt.map(|n| format!("a{n}")),
                redrive: redrive.then(|| RedriveTo { shelf: DEAD, receives_max: 2, source: "home".into() }),
            }),
            Step::Remove(index) => {
                let (fifo, receipt) = picked(index)?;
                Command::Remove { shelf: self.queue(fifo).shelf, now, receipts: vec![receipt] }
            }
            Step::Change(index, secs) => {
                let (fifo, receipt) = picked(index)?;
                let changes = vec![(receipt, at(self.now + secs * 1_000))];
                Command::ChangeVisibility { shelf: self.queue(fifo).shelf, now, changes }
            }
            Step::Unread(index, secs) => {
                let (fifo, receipt) = picked(index)?;
                self.receipts.retain(|(_, other)| *other != receipt);
                let (shelf, until) = (self.queue(fifo).shelf, at(self.now + secs * 1_000));
                Command::Unread { shelf, now, until, receipts: vec![receipt] }
            }
            Step::Wait(ms) => {
                self.now += ms;
                return None;
            }
            Step::Delay(secs) => {
                let expected = Some(self.fifo.generation);
                self.fifo.generation += 1;
                self.fifo.settings.delay_secs = *secs;
                self.fifo.modified = now;
                Command::Put { record: Box::new(self.fifo.clone()), expected }
            }
            Step::Purge { fifo } => {
                let record = if *fifo { &mut self.fifo } else { &mut self.standard };
                let expected = Some(record.generation);
                record.generation += 1;
                record.shelf = Shelf(record.shelf.0 + 100);
                Command::Put { record: Box::new(record.clone()), expected }
            }
            Step::Sweep => Command::Sweep { now, limit: 1_000, too_old: Vec::new() },
            Step::Move => {
                self.sent += 2;
                Command::Move(MoveStep {
                    handle: "h".into(),
                    from: DEAD,
                    now,
                    too_old: Timestamp::default(),
                    ids: vec![id(self.sent), id(self.sent - 1)],
                    to: vec![(Some("home".into()), self.standard.shelf)],
                    all_to_one: false,
                })
            }
        })
    }

    fn note(&mut self, step: &Step, outcome: &Outcome) {
        if let (Step::Receive { fifo, .. }, Outcome::Received(received)) = (step, outcome) {
            self.receipts.extend(received.messages.iter().map(|message| (*fifo, message.receipt)));
        }
    }
}

fn without_pace(outcome: Outcome) -> Outcome {
    match outcome {
        // How much is freed at one time is a store's own affair.
        Outcome::Swept(_) => Outcome::Swept(false),
        other => other,
    }
}

/// Runs the same steps against the store and the one in memory, and compares all that is answered.
pub fn agrees_with_memory<S: Subject>(cases: u32) {
    let config = ProptestConfig { cases, failure_persistence: None, ..ProptestConfig::default() };
    proptest!(config, |(steps in prop::collection::vec(step(), 1..60))| {
        let (subject, memory) = (S::fresh(), MemoryQueues::default());
        make(subject.store());
        make(&memory);
        let mut walk = Walk::new();
        for step in &steps {
            let Some(command) = walk.command(step) else { continue };
            let got = block_on(subject.store().apply(command.clone())).map(without_pace);
            let wanted = block_on(memory.apply(command)).map(without_pace);
            prop_assert_eq!(&got, &wanted, "{:?}", step);
            if let Ok(outcome) = &got {
                walk.note(step, outcome);
            }
        }
        let subject = subject.reopened();
        for shelf in [walk.standard.shelf, walk.fifo.shelf, DEAD] {
            let of = |store: &dyn QueueStore| counts(store, shelf, walk.now);
            prop_assert_eq!(of(subject.store()), of(&memory));
            let left = |store: &dyn QueueStore| {
                let asked = Receive {
                    is_fifo: shelf == walk.fifo.shelf,
                    ..asked(shelf, walk.now + 100_000)
                };
                receive(store, asked)
            };
            prop_assert_eq!(left(subject.store()), left(&memory));
        }
    });
}

/// Whatever receivers do: a group's messages are handed out in the order of their sending, none behind one that is in
/// flight, none after its removal; and in the end all come.
pub fn groups_keep_their_order<S: Subject>(cases: u32) {
    let config = ProptestConfig { cases, failure_persistence: None, ..ProptestConfig::default() };
    let steps = prop::collection::vec((0u8..6, 0u8..3, 1usize..5, any::<prop::sample::Index>()), 1..60);
    proptest!(config, |(steps in steps)| {
        let subject = S::fresh();
        let store = subject.store();
        make(store);
        let mut now = 0;
        // By group: what was sent and is not removed, in order. In flight: until when, by receipt.
        let mut waiting: BTreeMap<u8, Vec<MessageId>> = BTreeMap::new();
        let mut in_flight: BTreeMap<MessageId, (u64, Receipt, u8)> = BTreeMap::new();
        for (n, (kind, group, limit, index)) in steps.into_iter().enumerate() {
            match kind {
                0 | 1 => {
                    let n = u32::try_from(n).unwrap();
                    let new = in_group(n, now, &format!("g{group}"), &format!("d{n}"));
                    waiting.entry(group).or_default().push(new.id.clone());
                    send(store, FIFO, &[new]);
                }
                2 | 3 => {
                    let asked = Receive { limit, visible_again: at(now + 2_000), ..asked(FIFO, now) };
                    let busy: BTreeSet<u8> =
                        in_flight.values().filter(|(until, ..)| *until > now).map(|(.., group)| *group).collect();
                    let mut nth: BTreeMap<u8, usize> = BTreeMap::new();
                    for message in receive(store, asked).messages {
                        let of = |(_, ids): &(&u8, &Vec<MessageId>)| ids.contains(&message.id);
                        let (group, ids) = waiting.iter().find(of).expect("it was sent and not removed");
                        prop_assert!(!busy.contains(group));
                        let place = nth.entry(*group).or_default();
                        prop_assert_eq!(&ids[*place], &message.id);
                        *place += 1;
                        in_flight.insert(message.id, (now + 2_000, message.receipt, *group));
                    }
                }
                4 if !in_flight.is_empty() => {
                    let picked = in_flight.keys().nth(index.index(in_flight.len())).unwrap().clone();
                    let (until, receipt, group) = in_flight[&picked];
                    let removed = remove(store, FIFO, now, &[receipt]);
                    prop_assert_eq!(removed[0] == Removal::Done, until > now);
                    if until > now {
                        in_flight.remove(&picked);
                        waiting.get_mut(&group).unwrap().retain(|id| *id != picked);
                    }
                }
                _ => now += 700,
            }
        }
        let mut left: usize = waiting.values().map(Vec::len).sum();
        now += 100_000;
        while left > 0 {
            let messages = receive(store, asked(FIFO, now)).messages;
            prop_assert!(!messages.is_empty(), "{} never come", left);
            left -= messages.len();
            let receipts: Vec<Receipt> = messages.iter().map(|message| message.receipt).collect();
            remove(store, FIFO, now, &receipts);
        }
    });
}
