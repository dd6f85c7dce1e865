use lambent_store::deliveries::{DeliveryStore as _, Lane};
use serde_json::Value;

use crate::world::*;

#[tokio::test]
async fn a_message_comes_to_every_subscriber_in_its_envelope() {
    let world = World::new();
    let arn = world.subscribed("t", &queue("a"), &[]).await;
    world.subscribed("t", &queue("b"), &[]).await;
    let of_function = world.subscribed("t", &function("f"), &[]).await;
    let fields = [
        ("Message", "hello"),
        ("Subject", "s"),
        ("MessageAttributes.entry.1.Name", "n"),
        ("MessageAttributes.entry.1.Value.DataType", "Number"),
        ("MessageAttributes.entry.1.Value.StringValue", "5"),
    ];
    let id = world.publish("t", &fields).await;
    assert_eq!(world.messages("b"), ["hello"]);
    let push = world.got("a").remove(0);
    let envelope: Value = serde_json::from_str(&push.body).unwrap();
    assert_eq!(envelope["MessageId"], id);
    assert_eq!(envelope["TopicArn"], topic("t"));
    assert_eq!(envelope["Subject"], "s");
    assert_eq!(envelope["Timestamp"], "2026-11-20T10:07:30.000Z");
    assert_eq!(envelope["MessageAttributes"]["n"]["Value"], "5");
    assert!(envelope["UnsubscribeURL"].as_str().unwrap().ends_with(&arn));
    assert!(push.attributes.is_empty() && push.trace_header.as_deref() == Some("Root=1-a"));
    let call = world.calls().await.remove(0);
    assert_eq!(call["to"], function("f"));
    assert_eq!(call["trace"], "Root=1-a");
    assert_eq!(call["by"], serde_json::json!(["sns.amazonaws.com", topic("t"), ACCOUNT]));
    assert_eq!(call["payload"]["Records"][0]["EventSubscriptionArn"], of_function);
    assert_eq!(call["payload"]["Records"][0]["Sns"]["MessageId"], id);
    let pushers = world.queues.pushers.lock().unwrap().clone();
    assert_eq!(pushers[0], format!("sns.amazonaws.com {} {ACCOUNT}", topic("t")));
}

#[tokio::test]
async fn raw_delivery_leaves_the_envelope_away() {
    let world = World::new();
    world.subscribed("t", &queue("a"), &[("RawMessageDelivery", "true")]).await;
    let fields = [
        ("Message", "hello"),
        ("MessageGroupId", "g"),
        ("MessageAttributes.entry.1.Name", "n"),
        ("MessageAttributes.entry.1.Value.DataType", "Binary"),
        ("MessageAttributes.entry.1.Value.BinaryValue", "AAEC"),
    ];
    world.publish("t", &fields).await;
    let push = world.got("a").remove(0);
    assert_eq!((push.body.as_str(), push.group.as_deref()), ("hello", Some("g")));
    assert_eq!(push.attributes["n"], ("Binary".to_owned(), "AAEC".to_owned()));
}

#[tokio::test]
async fn filters_hold_back_what_is_not_wanted() {
    let world = World::new();
    world.subscribed("t", &queue("a"), &[("FilterPolicy", r#"{"kind":["x"]}"#)]).await;
    let body = [("FilterPolicy", r#"{"kind":["x"]}"#), ("FilterPolicyScope", "MessageBody")];
    world.subscribed("t", &queue("b"), &body).await;
    world.publish("t", &[("Message", r#"{"kind":"x"}"#)]).await;
    let attributes = [
        ("Message", "m"),
        ("MessageAttributes.entry.1.Name", "kind"),
        ("MessageAttributes.entry.1.Value.DataType", "String"),
        ("MessageAttributes.entry.1.Value.StringValue", "x"),
    ];
    world.publish("t", &attributes).await;
    assert_eq!(world.messages("a"), ["m"]);
    assert_eq!(world.messages("b"), [r#"{"kind":"x"}"#]);
}

#[tokio::test]
async fn what_a_queue_may_not_take_goes_to_the_dead_letter_queue_at_once() {
    let world = World::new();
    let redrive = format!(r#"{{"deadLetterTargetArn":"{}"}}"#, queue("dead"));
    for (name, code) in [("denied", "AccessDenied"), ("gone", "AWS.SimpleQueueService.NonExistentQueue")] {
        world.subscribed(name, &queue(name), &[("RedrivePolicy", &redrive)]).await;
        let id = world.publish(name, &[("Message", "m")]).await;
        let dead = world.got("dead").remove(0);
        let envelope: Value = serde_json::from_str(&dead.body).unwrap();
        assert_eq!(envelope["Message"], "m");
        assert_eq!(dead.attributes["ErrorCode"].1, code);
        assert_eq!(dead.attributes["RequestID"].1, id);
    }
    world.subscribed("f", &function("refused"), &[("RedrivePolicy", &redrive)]).await;
    world.publish("f", &[("Message", "m")]).await;
    assert_eq!(world.messages("dead"), ["m"]);
    // Without one it is dropped, and nothing waits.
    world.subscribed("none", &queue("denied"), &[]).await;
    world.publish("none", &[("Message", "m")]).await;
    assert_eq!(world.deliveries.count(Lane::TopicSubscription).await.unwrap(), 0);
}

#[tokio::test]
async fn a_queue_that_can_not_take_it_now_is_tried_again() {
    let world = World::new();
    world.subscribed("t", &queue("full"), &[]).await;
    // One attempt and three more at once, then two a second apart, then slower and slower.
    *world.queues.refusals.lock().unwrap() = 6;
    world.publish("t", &[("Message", "m")]).await;
    assert_eq!(*world.queues.refusals.lock().unwrap(), 2);
    for left in [1, 0] {
        world.pass(1);
        world.settle().await;
        assert_eq!(*world.queues.refusals.lock().unwrap(), left);
    }
    assert!(world.got("full").is_empty());
    world.pass(1);
    world.settle().await;
    assert_eq!(world.messages("full"), ["m"]);
}

#[tokio::test]
async fn who_has_unsubscribed_gets_nothing_more() {
    let world = World::new();
    let arn = world.subscribed("t", &queue("a"), &[]).await;
    world.done("Unsubscribe", &[("SubscriptionArn", &arn)]).await;
    world.publish("t", &[("Message", "m")]).await;
    assert!(world.got("a").is_empty());
    // Nor what could not be delivered yet.
    let arn = world.subscribed("t", &queue("full"), &[]).await;
    *world.queues.refusals.lock().unwrap() = 5;
    world.publish("t", &[("Message", "m")]).await;
    world.done("Unsubscribe", &[("SubscriptionArn", &arn)]).await;
    world.pass(60);
    world.settle().await;
    world.pass(60);
    world.settle().await;
    assert_eq!(world.deliveries.count(Lane::TopicSubscription).await.unwrap(), 0);
}
