use lambent_store::deliveries::{DeliveryStore as _, Lane};
use serde_json::Value;

use crate::world::*;

const NAME: &str = "t.fifo";

async fn made(world: &World, attributes: &[(&str, &str)]) -> String {
    let mut fields = vec![("Name".to_owned(), NAME)];
    for (at, (key, value)) in [("FifoTopic", "true")].iter().chain(attributes).enumerate() {
        fields.push((format!("Attributes.entry.{}.key", at + 1), key));
        fields.push((format!("Attributes.entry.{}.value", at + 1), value));
    }
    let fields: Vec<(&str, &str)> = fields.iter().map(|(name, value)| (name.as_str(), *value)).collect();
    world.done("CreateTopic", &fields).await;
    topic(NAME)
}

/// Publishes; the message's id and number.
async fn publish(world: &World, text: &str, group: &str, dedup: &str) -> (String, String) {
    let arn = topic(NAME);
    let mut fields = vec![("TopicArn", arn.as_str()), ("Message", text), ("MessageGroupId", group)];
    if !dedup.is_empty() {
        fields.push(("MessageDeduplicationId", dedup));
    }
    let answer = world.done("Publish", &fields).await;
    (text_of(&answer, "MessageId"), text_of(&answer, "SequenceNumber"))
}

#[tokio::test]
async fn messages_come_in_their_order_with_their_group_and_number() {
    let world = World::new();
    made(&world, &[]).await;
    world.subscribe(NAME, &queue("q.fifo"), &[]).await;
    let mut numbers = Vec::new();
    for n in 0..20 {
        numbers.push(publish(&world, &n.to_string(), &format!("g{}", n % 2), &format!("d{n}")).await.1);
    }
    assert!(numbers.is_sorted() && numbers[0].len() == 20, "{numbers:?}");
    world.settle().await;
    let got = world.got("q.fifo");
    for group in ["g0", "g1"] {
        let texts: Vec<u32> = got
            .iter()
            .filter(|push| push.group.as_deref() == Some(group))
            .map(|push| {
                serde_json::from_str::<Value>(&push.body).unwrap()["Message"].as_str().unwrap().parse()
            })
            .map(Result::unwrap)
            .collect();
        assert_eq!(texts.len(), 10);
        assert!(texts.is_sorted(), "{texts:?}");
    }
    let first = got.iter().find(|push| push.dedup.as_deref() == Some("d0")).unwrap();
    let envelope: Value = serde_json::from_str(&first.body).unwrap();
    assert_eq!(envelope["SequenceNumber"], numbers[0]);
}

#[tokio::test]
async fn one_that_has_to_wait_holds_up_those_behind_it_and_no_other_group() {
    let world = World::new();
    made(&world, &[]).await;
    world.subscribe(NAME, &queue("full"), &[("RawMessageDelivery", "true")]).await;
    // The attempt, three more at once, and the first of those a second apart.
    *world.queues.refusals.lock().unwrap() = 5;
    for n in 0..3 {
        publish(&world, &format!("a{n}"), "a", &n.to_string()).await;
    }
    world.settle().await;
    assert!(world.got("full").is_empty());
    publish(&world, "b0", "b", "b").await;
    world.pass(1);
    *world.queues.refusals.lock().unwrap() = 0;
    world.settle().await;
    let texts: Vec<String> = world.got("full").into_iter().map(|push| push.body).collect();
    let of_a: Vec<&String> = texts.iter().filter(|text| text.starts_with('a')).collect();
    assert_eq!(of_a, ["a0", "a1", "a2"]);
    assert_eq!(texts.len(), 4);
    assert_eq!(world.deliveries.count(Lane::OrderedSubscription).await.unwrap(), 0);
}

#[tokio::test]
async fn what_comes_twice_within_five_minutes_is_one_message() {
    let world = World::new();
    made(&world, &[]).await;
    world.subscribe(NAME, &queue("standard"), &[("RawMessageDelivery", "true")]).await;
    let first = publish(&world, "m", "a", "d").await;
    assert_eq!(publish(&world, "other text", "b", "d").await, first);
    world.pass(299);
    assert_eq!(publish(&world, "m", "a", "d").await, first);
    world.pass(1);
    let second = publish(&world, "m", "a", "d").await;
    assert!(second.1 > first.1 && second.0 != first.0);
    world.settle().await;
    let got = world.got("standard");
    assert_eq!(got.len(), 2);
    // A standard queue gets the group, and nothing to tell messages apart by.
    assert!(got.iter().all(|push| push.dedup.is_none() && push.group.as_deref() == Some("a")));
}

#[tokio::test]
async fn the_scope_of_a_group_tells_groups_apart() {
    let world = World::new();
    let scope = [("FifoThroughputScope", "MessageGroup"), ("ContentBasedDeduplication", "true")];
    let arn = made(&world, &scope).await;
    for (name, value) in scope {
        let shown = world.attribute("GetTopicAttributes", "TopicArn", &arn, name).await;
        assert_eq!(shown.as_deref(), Some(value));
    }
    let first = publish(&world, "m", "a", "").await;
    assert_ne!(publish(&world, "m", "b", "").await, first);
    assert_eq!(publish(&world, "m", "a", "").await, first);
    assert_ne!(publish(&world, "n", "a", "").await, first);
}

#[tokio::test]
async fn a_topic_that_is_made_again_knows_nothing_of_the_first() {
    let world = World::new();
    let arn = made(&world, &[]).await;
    let first = publish(&world, "m", "a", "d").await;
    world.done("DeleteTopic", &[("TopicArn", &arn)]).await;
    made(&world, &[]).await;
    assert_ne!(publish(&world, "m", "a", "d").await.0, first.0);
}

#[tokio::test]
async fn entries_of_a_batch_are_told_apart_too() {
    let world = World::new();
    let arn = made(&world, &[]).await;
    world.subscribe(NAME, &queue("q.fifo"), &[("RawMessageDelivery", "true")]).await;
    let mut fields = vec![("TopicArn".to_owned(), arn)];
    for (at, (id, dedup)) in [("1", "x"), ("2", "y"), ("3", "x"), ("4", "")].iter().enumerate() {
        let name = |member: &str| format!("PublishBatchRequestEntries.member.{}.{member}", at + 1);
        fields.push((name("Id"), (*id).to_owned()));
        fields.push((name("Message"), format!("m{id}")));
        fields.push((name("MessageGroupId"), "g".to_owned()));
        if !dedup.is_empty() {
            fields.push((name("MessageDeduplicationId"), (*dedup).to_owned()));
        }
    }
    let fields: Vec<(&str, &str)> =
        fields.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
    let body = world.done("PublishBatch", &fields).await;
    let (successful, failed) = body.split_once("<Failed>").unwrap();
    assert_eq!(successful.matches("<SequenceNumber>").count(), 3);
    assert!(failed.contains("<Id>4</Id>"), "{failed}");
    world.settle().await;
    let texts: Vec<String> = world.got("q.fifo").into_iter().map(|push| push.body).collect();
    assert_eq!(texts, ["m1", "m2"]);
}

#[tokio::test]
async fn what_a_fifo_topic_can_not_have_is_refused() {
    let world = World::new();
    let arn = made(&world, &[]).await;
    world.done("CreateTopic", &[("Name", "t")]).await;
    let standard = topic("t");
    for (fields, told) in [
        (vec![("Message", "m")], "The MessageGroupId parameter is required for FIFO topics"),
        (vec![("Message", "m"), ("MessageGroupId", "g")], "ContentBasedDeduplication enabled"),
        (vec![("Message", "m"), ("MessageGroupId", "a b")], "MessageGroupId"),
    ] {
        let fields = [vec![("TopicArn", arn.as_str())], fields].concat();
        assert!(world.refused("Publish", &fields).await.2.contains(told));
    }
    let function = function("f");
    for (topic, protocol, endpoint) in
        [(&arn, "lambda", function.as_str()), (&standard, "sqs", "arn:aws:sqs:eu-west-1:000000000000:q.fifo")]
    {
        let fields = [("TopicArn", topic.as_str()), ("Protocol", protocol), ("Endpoint", endpoint)];
        assert!(world.refused("Subscribe", &fields).await.2.contains("subscribed to"));
    }
    for (attribute, value) in
        [("FifoThroughputScope", "Queue"), ("ContentBasedDeduplication", "yes"), ("FifoTopic", "false")]
    {
        let fields = [("TopicArn", arn.as_str()), ("AttributeName", attribute), ("AttributeValue", value)];
        world.refused("SetTopicAttributes", &fields).await;
    }
    let fields =
        [("TopicArn", &*standard), ("AttributeName", "FifoThroughputScope"), ("AttributeValue", "Topic")];
    world.refused("SetTopicAttributes", &fields).await;
    let dead = format!(r#"{{"deadLetterTargetArn":"{}"}}"#, queue("dead"));
    let q = queue("q.fifo");
    let fields = [
        ("TopicArn", arn.as_str()),
        ("Protocol", "sqs"),
        ("Endpoint", q.as_str()),
        ("Attributes.entry.1.key", "RedrivePolicy"),
        ("Attributes.entry.1.value", dead.as_str()),
    ];
    assert!(world.refused("Subscribe", &fields).await.2.contains("FIFO queue as DLQ"));
    for name in ["t2.fifo", "t2"] {
        let flag = if name == "t2" { "true" } else { "false" };
        let fields =
            [("Name", name), ("Attributes.entry.1.key", "FifoTopic"), ("Attributes.entry.1.value", flag)];
        world.refused("CreateTopic", &fields).await;
    }
}

#[tokio::test]
async fn those_that_can_not_be_delivered_go_to_the_dead_letter_queue_in_order() {
    let world = World::new();
    made(&world, &[]).await;
    let dead = format!(r#"{{"deadLetterTargetArn":"{}"}}"#, queue("dead.fifo"));
    world
        .subscribe(NAME, &queue("denied"), &[("RawMessageDelivery", "true"), ("RedrivePolicy", &dead)])
        .await;
    for n in 0..5 {
        publish(&world, &n.to_string(), "g", &n.to_string()).await;
    }
    world.settle().await;
    let got = world.got("dead.fifo");
    let texts: Vec<&str> = got.iter().map(|push| push.body.as_str()).collect();
    assert_eq!(texts, ["0", "1", "2", "3", "4"]);
    assert!(got.iter().all(|push| push.group.as_deref() == Some("g") && push.dedup.is_some()));
}
