//! The contract of [`DeliveryStore`]: facts in [`FACTS`], and [`agrees_with_memory`] for any sequence.

use bytes::Bytes;
use lambent_core::ids::RequestId;
use lambent_core::time::Timestamp;
use lambent_store::StoreError;
use lambent_store::deliveries::{Command, Delivery, DeliveryStore, Lane, MemoryDeliveries, Tries};
use proptest::prelude::*;

use crate::block_on;

const LANE: Lane = Lane::AsyncInvocation;

/// A store under test.
pub trait Subject: Sized {
    /// An empty one.
    fn fresh() -> Self;

    fn store(&self) -> &dyn DeliveryStore;

    /// The same store after its end and a new start.
    fn reopened(self) -> Self;
}

type Fact = (&'static str, fn(&dyn DeliveryStore));

pub const FACTS: &[Fact] = &[
    ("what was accepted is read back whole", what_was_accepted_is_read_back_whole),
    ("what is due comes in its order and no more than asked for", what_is_due_comes_in_order),
    ("what is postponed is due later and remembers its tries", what_is_postponed_is_due_later),
    ("a batch is applied whole or not at all", a_batch_is_applied_whole_or_not_at_all),
    ("a mark only rises, and a batch with one that does not changes nothing", a_mark_only_rises),
    ("one is settled and its successor accepted in one step", a_successor_replaces_its_predecessor),
];

pub fn keeps_the_facts<S: Subject>() {
    for (name, fact) in FACTS {
        println!("{name}");
        let subject = S::fresh();
        fact(subject.store());
        drop(subject.reopened());
    }
}

fn id(n: u32) -> RequestId {
    RequestId::new(format!("{n:08x}-0000-4000-8000-000000000000")).expect("it has a UUID's form")
}

fn at(n: u64) -> Timestamp {
    Timestamp::from_millis(1_000_000 + n)
}

fn delivery(n: u32, due: u64) -> Delivery {
    let body = Bytes::from(vec![n as u8; 3]);
    Delivery { id: id(n), lane: LANE, accepted: at(0), due: at(due), tries: Tries::default(), body }
}

fn accept(store: &dyn DeliveryStore, deliveries: &[Delivery]) {
    block_on(store.apply(deliveries.iter().cloned().map(Command::Accept).collect())).unwrap();
}

fn due(store: &dyn DeliveryStore, now: u64, limit: usize) -> Vec<Delivery> {
    block_on(store.due(LANE, at(now), limit)).unwrap()
}

fn what_was_accepted_is_read_back_whole(store: &dyn DeliveryStore) {
    let mut whole = delivery(1, 5);
    whole.tries = Tries { attempts: 2, deferrals: 7 };
    whole.body = Bytes::from_static(&[0, 255, 10]);
    accept(store, std::slice::from_ref(&whole));
    assert_eq!(due(store, 5, 10), [whole]);
    assert_eq!(block_on(store.count(LANE)), Ok(1));
}

fn what_is_due_comes_in_order(store: &dyn DeliveryStore) {
    let all = [delivery(3, 10), delivery(1, 20), delivery(2, 20), delivery(4, 30)];
    accept(store, &all);
    assert_eq!(due(store, 9, 10), []);
    assert_eq!(due(store, 20, 10), all[..3]);
    assert_eq!(due(store, 99, 2), all[..2]);
    assert_eq!(block_on(store.next_due(LANE, at(0))), Ok(Some(at(10))));
    assert_eq!(block_on(store.next_due(LANE, at(10))), Ok(Some(at(20))));
    assert_eq!(block_on(store.next_due(LANE, at(30))), Ok(None));
}

fn what_is_postponed_is_due_later(store: &dyn DeliveryStore) {
    accept(store, &[delivery(1, 1)]);
    let tries = Tries { attempts: 1, deferrals: 3 };
    block_on(store.apply(vec![Command::Postpone { id: id(1), due: at(50), tries }])).unwrap();
    assert_eq!(due(store, 49, 10), []);
    assert_eq!(due(store, 50, 10), [Delivery { tries, due: at(50), ..delivery(1, 1) }]);
}

fn a_batch_is_applied_whole_or_not_at_all(store: &dyn DeliveryStore) {
    accept(store, &[delivery(1, 1)]);
    let batches = [
        vec![Command::Accept(delivery(2, 1)), Command::Settle { id: id(9) }],
        vec![Command::Settle { id: id(1) }, Command::Accept(delivery(2, 1)), Command::Accept(delivery(2, 1))],
        vec![Command::Settle { id: id(1) }, Command::Settle { id: id(1) }],
        vec![Command::Accept(delivery(1, 1))],
        vec![Command::Postpone { id: id(9), due: at(1), tries: Tries::default() }],
    ];
    for batch in batches {
        assert_eq!(block_on(store.apply(batch.clone())), Err(StoreError::Conflict), "{batch:?}");
        assert_eq!(due(store, 99, 10), [delivery(1, 1)], "{batch:?}");
    }
}

fn a_mark_only_rises(store: &dyn DeliveryStore) {
    let mark = |source: &str, n| Command::Mark { source: source.to_owned(), at: at(n) };
    block_on(store.apply(vec![mark("a", 5), mark("b", 1), mark("a", 6)])).unwrap();
    for batch in [
        vec![Command::Accept(delivery(1, 1)), mark("a", 6)],
        vec![mark("b", 2), Command::Accept(delivery(1, 1)), mark("b", 2)],
        vec![Command::Accept(delivery(1, 1)), mark("a", 5)],
    ] {
        assert_eq!(block_on(store.apply(batch.clone())), Err(StoreError::Conflict), "{batch:?}");
        assert_eq!(due(store, 99, 10), []);
    }
    let unmark = |source: &str| Command::Unmark { source: source.to_owned() };
    block_on(store.apply(vec![unmark("a"), mark("a", 1), unmark("none")])).unwrap();
    let marks = vec![("a".to_owned(), at(1)), ("b".to_owned(), at(1))];
    assert_eq!(block_on(store.marks()), Ok(marks));
}

fn a_successor_replaces_its_predecessor(store: &dyn DeliveryStore) {
    accept(store, &[delivery(1, 1)]);
    let batch = vec![Command::Settle { id: id(1) }, Command::Accept(delivery(2, 2))];
    block_on(store.apply(batch)).unwrap();
    assert_eq!(due(store, 99, 10), [delivery(2, 2)]);
}

fn command() -> impl Strategy<Value = Command> {
    let id_of = 0u32..6;
    prop_oneof![
        (id_of.clone(), 0u64..8).prop_map(|(n, due)| Command::Accept(delivery(n, due))),
        (id_of.clone(), 0u64..8, 0u32..3, 0u32..3).prop_map(|(n, due, attempts, deferrals)| {
            Command::Postpone { id: id(n), due: at(due), tries: Tries { attempts, deferrals } }
        }),
        id_of.prop_map(|n| Command::Settle { id: id(n) }),
        ("[ab]", 0u64..8).prop_map(|(source, n)| Command::Mark { source, at: at(n) }),
        "[ab]".prop_map(|source| Command::Unmark { source }),
    ]
}

/// Runs the same batches against the store and the one in memory, and compares all that can be read.
pub fn agrees_with_memory<S: Subject>(cases: u32) {
    let batches = prop::collection::vec(prop::collection::vec(command(), 1..4), 1..24);
    let config = ProptestConfig { cases, failure_persistence: None, ..ProptestConfig::default() };
    proptest!(config, |(batches in batches)| {
        let (subject, memory) = (S::fresh(), MemoryDeliveries::default());
        for batch in batches {
            let (got, wanted) =
                (block_on(subject.store().apply(batch.clone())), block_on(memory.apply(batch)));
            prop_assert_eq!(got, wanted);
        }
        let subject = subject.reopened();
        for now in 0..9 {
            prop_assert_eq!(due(subject.store(), now, 100), due(&memory, now, 100));
            let next = |store: &dyn DeliveryStore| block_on(store.next_due(LANE, at(now)));
            prop_assert_eq!(next(subject.store()), next(&memory));
        }
        prop_assert_eq!(block_on(subject.store().count(LANE)), block_on(memory.count(LANE)));
        prop_assert_eq!(block_on(subject.store().marks()), block_on(memory.marks()));
    });
}
