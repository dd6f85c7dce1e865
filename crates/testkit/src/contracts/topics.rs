//! The contract of [`TopicStore`]: facts in [`FACTS`], and [`agrees_with_memory`] for any sequence.

use std::collections::BTreeMap;
use std::sync::Arc;

use lambent_core::ids::{AccountId, Region};
use lambent_core::time::Timestamp;
use lambent_store::StoreError;
use lambent_store::topics::*;
use proptest::prelude::*;

use crate::block_on;

/// A store under test.
pub trait Subject: Sized {
    /// An empty one.
    fn fresh() -> Self;

    fn store(&self) -> &dyn TopicStore;

    /// The same store after its end and a new start.
    fn reopened(self) -> Self;
}

type Fact = (&'static str, fn(&dyn TopicStore));

pub const FACTS: &[Fact] = &[
    ("a record is read back whole", a_record_is_read_back_whole),
    ("a change of an older state changes nothing", a_change_of_an_older_state_changes_nothing),
    ("subscriptions go with their topic", subscriptions_go_with_their_topic),
    ("a subscription of no topic is refused", a_subscription_of_no_topic_is_refused),
    ("lists keep to their bounds", lists_keep_to_their_bounds),
    ("what was published is remembered until it is forgotten", what_was_published_is_remembered),
    ("what nobody confirmed is found by its age", what_nobody_confirmed_is_found),
];

/// Holds the facts of a fresh store, and again after a restart.
pub fn keeps_the_facts<S: Subject>() {
    for (name, fact) in FACTS {
        println!("{name}");
        let subject = S::fresh();
        fact(subject.store());
        let before = everything(subject.store());
        let subject = subject.reopened();
        assert_eq!(everything(subject.store()), before, "after a restart");
    }
}

fn account() -> AccountId {
    AccountId::new("000000000000").expect("twelve digits")
}

fn region() -> Region {
    Region::new("eu-west-1").expect("a region's form")
}

/// A key of the account that the contracts use.
pub fn topic_key(name: &str) -> TopicKey {
    TopicKey { account: account(), region: region(), name: name.to_owned() }
}

fn subscription_key(topic: &str, id: &str) -> SubscriptionKey {
    SubscriptionKey { topic: topic_key(topic), id: id.to_owned() }
}

/// A topic with all that it can have.
pub fn topic(name: &str, generation: u64) -> Arc<TopicRecord> {
    Arc::new(TopicRecord {
        key: topic_key(name),
        id: format!("id of {name}"),
        generation,
        settings: TopicSettings {
            display_name: Some("d".into()),
            policy: Some("{}".into()),
            signature_version: Some(2),
            message_bytes_max: Some(1_024),
            tracing: Some("PassThrough".into()),
            delivery_policy: Some("{}".into()),
            fifo: Some(FifoSettings { by_content: true, scope: FifoScope::Group }),
        },
        tags: BTreeMap::from([("key".into(), generation.to_string())]),
        deleted_subscriptions: 3,
        numbers_end: 1 << 40,
    })
}

/// A subscription with all that it can have.
pub fn subscription(topic: &str, id: &str, generation: u64) -> Arc<SubscriptionRecord> {
    Arc::new(SubscriptionRecord {
        key: subscription_key(topic, id),
        generation,
        owner: account(),
        principal: "arn:aws:iam::000000000000:root".into(),
        target: if generation.is_multiple_of(2) { SubscriberKind::Function } else { SubscriberKind::Queue },
        endpoint: "arn".into(),
        settings: SubscriptionSettings {
            is_raw: true,
            filter: Some(r#"{"a":["b"]}"#.into()),
            filter_scope: FilterScope::Body,
            dead_letter: Some("queue".into()),
            delivery_policy: Some("{}".into()),
        },
        pending: Some(Pending { since: Timestamp::from_millis(generation), is_ended: true }),
        token: Some("t".into()),
        was_authenticated: true,
        is_locked: true,
    })
}

type Everything = (Vec<Arc<TopicRecord>>, Vec<Arc<SubscriptionRecord>>, Vec<Option<PublishedRecord>>);

fn everything(store: &dyn TopicStore) -> Everything {
    let all = usize::MAX;
    (
        store.topics(&account(), &region(), None, all),
        store.subscriptions_of(&account(), &region(), None, all),
        (0..4).map(|n| store.published(&n.to_string())).collect(),
    )
}

fn published(token: u64, until: u64) -> PublishedRecord {
    PublishedRecord {
        token: token.to_string(),
        until: Timestamp::from_millis(until),
        message_id: format!("m{until}"),
        number: until,
    }
}

fn what_was_published_is_remembered(store: &dyn TopicStore) {
    let put = vec![Command::Remember(published(1, 5)), Command::Remember(published(2, 6))];
    apply(store, put).expect("nothing stands in the way");
    assert_eq!(store.published("1"), Some(published(1, 5)));
    let again = vec![
        Command::Remember(published(1, 7)),
        Command::Remember(published(3, 8)),
        Command::Forget { until: Timestamp::from_millis(7) },
    ];
    apply(store, again).expect("nothing stands in the way");
    let left: Vec<_> = (1..4).filter_map(|n| store.published(&n.to_string())).collect();
    assert_eq!(left, [published(3, 8)]);
    conflicts(store, vec![Command::Remember(published(1, 9)), Command::PutTopic(topic("a", 2))]);
}

fn what_nobody_confirmed_is_found(store: &dyn TopicStore) {
    let confirmed = SubscriptionRecord { pending: None, ..(*subscription("a", "2", 1)).clone() };
    let put = vec![
        Command::PutTopic(topic("a", 1)),
        Command::PutSubscription(subscription("a", "1", 1)),
        Command::PutSubscription(Arc::new(confirmed)),
    ];
    apply(store, put).expect("nothing stands in the way");
    assert_eq!(store.unconfirmed(Timestamp::from_millis(1)), [subscription("a", "1", 1)]);
    assert_eq!(store.unconfirmed(Timestamp::from_millis(0)), []);
}

fn apply(store: &dyn TopicStore, commands: Vec<Command>) -> Result<(), StoreError> {
    block_on(store.apply(commands))
}

fn conflicts(store: &dyn TopicStore, commands: Vec<Command>) {
    let before = everything(store);
    assert_eq!(apply(store, commands), Err(StoreError::Conflict));
    assert_eq!(everything(store), before);
}

fn a_record_is_read_back_whole(store: &dyn TopicStore) {
    let put = vec![Command::PutTopic(topic("a", 1)), Command::PutSubscription(subscription("a", "s", 1))];
    apply(store, put).expect("nothing stands in the way");
    assert_eq!(store.topic(&topic_key("a")), Some(topic("a", 1)));
    assert_eq!(store.subscription(&subscription_key("a", "s")), Some(subscription("a", "s", 1)));
    let again = vec![Command::PutTopic(topic("a", 2)), Command::PutSubscription(subscription("a", "s", 2))];
    apply(store, again).expect("the generations follow");
    assert_eq!(store.subscription(&subscription_key("a", "s")), Some(subscription("a", "s", 2)));
}

fn a_change_of_an_older_state_changes_nothing(store: &dyn TopicStore) {
    apply(store, vec![Command::PutTopic(topic("a", 1))]).expect("it is new");
    conflicts(store, vec![Command::PutTopic(topic("a", 1))]);
    conflicts(store, vec![Command::PutTopic(topic("a", 3))]);
    conflicts(store, vec![Command::PutTopic(topic("b", 1)), Command::PutTopic(topic("b", 1))]);
    conflicts(store, vec![Command::DeleteTopic { key: topic_key("a"), generation: 2 }]);
    conflicts(store, vec![Command::DeleteTopic { key: topic_key("b"), generation: 0 }]);
    conflicts(store, vec![Command::DeleteSubscription { key: subscription_key("a", "s"), generation: 0 }]);
}

fn subscriptions_go_with_their_topic(store: &dyn TopicStore) {
    for name in ["a", "b"] {
        let put =
            vec![Command::PutTopic(topic(name, 1)), Command::PutSubscription(subscription(name, "s", 1))];
        apply(store, put).expect("nothing stands in the way");
    }
    let again = vec![
        Command::DeleteTopic { key: topic_key("a"), generation: 1 },
        Command::PutTopic(topic("a", 1)),
        Command::PutSubscription(subscription("a", "s", 1)),
        Command::DeleteTopic { key: topic_key("a"), generation: 1 },
    ];
    apply(store, again).expect("each finds what it needs");
    assert_eq!(store.subscription(&subscription_key("a", "s")), None);
    let left = everything(store);
    assert_eq!((left.0, left.1), (vec![topic("b", 1)], vec![subscription("b", "s", 1)]));
}

fn a_subscription_of_no_topic_is_refused(store: &dyn TopicStore) {
    conflicts(store, vec![Command::PutSubscription(subscription("a", "s", 1))]);
    let gone = vec![
        Command::PutTopic(topic("a", 1)),
        Command::DeleteTopic { key: topic_key("a"), generation: 1 },
        Command::PutSubscription(subscription("a", "s", 1)),
    ];
    conflicts(store, gone);
}

fn lists_keep_to_their_bounds(store: &dyn TopicStore) {
    for name in ["a", "b", "c"] {
        apply(store, vec![Command::PutTopic(topic(name, 1))]).expect("it is new");
        for id in ["1", "2", "3"] {
            let put = vec![Command::PutSubscription(subscription(name, id, 1))];
            apply(store, put).expect("the topic is there");
        }
    }
    assert_eq!(store.topics(&account(), &region(), Some("a"), 1), [topic("b", 1)]);
    assert_eq!(
        store.subscriptions(&topic_key("b"), Some("1"), 9),
        [subscription("b", "2", 1), subscription("b", "3", 1)]
    );
    let after = subscription_key("b", "3");
    assert_eq!(store.subscriptions_of(&account(), &region(), Some(&after), 1), [subscription("c", "1", 1)]);
    let other = Region::new("eu-west-2").expect("a region's form");
    assert!(store.topics(&account(), &other, None, 9).is_empty());
    assert!(store.subscriptions_of(&account(), &other, None, 9).is_empty());
}

fn command() -> impl Strategy<Value = Command> {
    let names = prop_oneof![Just("a"), Just("b")];
    let ids = prop_oneof![Just("1"), Just("2")];
    (0..6_u8, names, ids, 0..3_u64).prop_map(|(kind, name, id, generation)| match kind {
        4 => Command::Remember(published(generation, generation + id.len() as u64)),
        5 => Command::Forget { until: Timestamp::from_millis(generation) },
        0 => Command::PutTopic(topic(name, generation)),
        1 => Command::DeleteTopic { key: topic_key(name), generation },
        2 => Command::PutSubscription(subscription(name, id, generation)),
        _ => Command::DeleteSubscription { key: subscription_key(name, id), generation },
    })
}

/// Any sequence of batches leaves the store as it leaves the one in memory, also after a restart.
pub fn agrees_with_memory<S: Subject>(cases: u32) {
    let batches = prop::collection::vec(prop::collection::vec(command(), 1..4), 1..24);
    proptest!(ProptestConfig::with_cases(cases), |(batches in batches)| {
        let subject = S::fresh();
        let memory = MemoryTopics::default();
        for batch in batches {
            prop_assert_eq!(apply(subject.store(), batch.clone()), apply(&memory, batch));
            prop_assert_eq!(everything(subject.store()), everything(&memory));
        }
        let subject = subject.reopened();
        prop_assert_eq!(everything(subject.store()), everything(&memory));
    });
}
