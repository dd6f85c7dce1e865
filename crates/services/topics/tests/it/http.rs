use std::time::Duration;

use lambent_core::ports::Unanswered;
use lambent_store::deliveries::{DeliveryStore as _, Lane};

use crate::world::*;

const URL: &str = "https://example.com/hook?a=b";

/// A topic whose endpoint has confirmed; the subscription's ARN.
async fn confirmed(world: &World, attributes: &[(&str, &str)]) -> String {
    assert_eq!(world.subscribed("t", URL, attributes).await, "pending confirmation");
    world.settle().await;
    let question = world.posted().remove(0);
    let link = question.json()["SubscribeURL"].as_str().unwrap().to_owned();
    text_of(&world.follow(&link).await.1, "SubscriptionArn")
}

async fn listed(world: &World) -> String {
    let body = world.done("ListSubscriptions", &[]).await;
    text_of(&body, "SubscriptionArn")
}

#[tokio::test]
async fn an_endpoint_gets_nothing_before_it_has_confirmed() {
    let world = World::new();
    assert_eq!(world.subscribed("t", URL, &[]).await, "pending confirmation");
    world.publish("t", &[("Message", "too early")]).await;
    let [question] = &world.posted()[..] else { panic!("one question") };
    assert_eq!(question.url, URL);
    assert_eq!(question.headers["x-amz-sns-message-type"], "SubscriptionConfirmation");
    assert!(!question.headers.contains_key("x-amz-sns-subscription-arn"));
    let text = question.json();
    assert_eq!(text["Type"], "SubscriptionConfirmation");
    assert_eq!(text["SigningCertURL"], "http://node:1/c.pem");
    let signature = text["Signature"].as_str().unwrap();
    assert!(
        signature.starts_with("signed 1: Message\nYou have chosen") && signature.contains("\nSubscribeURL\n")
    );
    assert_eq!(listed(&world).await, "PendingConfirmation");
    assert_eq!(
        world
            .attribute("GetTopicAttributes", "TopicArn", &topic("t"), "SubscriptionsPending")
            .await
            .as_deref(),
        Some("1")
    );
    let link = text["SubscribeURL"].as_str().unwrap();
    assert_eq!(world.follow(&link.replace("Token=", "Token=0")).await.0, 400);
    let (status, body) = world.follow(link).await;
    let arn = text_of(&body, "SubscriptionArn");
    assert_eq!((status, &arn), (200, &listed(&world).await));
    // Whoever looks at links before people do follows them, too.
    assert_eq!(world.follow(link).await.0, 200);
    let id = world.publish("t", &[("Message", "m"), ("Subject", "s")]).await;
    let [got] = &world.posted()[..] else { panic!("one message") };
    for (name, value) in [
        ("x-amz-sns-message-type", "Notification"),
        ("x-amz-sns-message-id", id.as_str()),
        ("x-amz-sns-topic-arn", topic("t").as_str()),
        ("x-amz-sns-subscription-arn", arn.as_str()),
        ("content-type", "text/plain; charset=UTF-8"),
    ] {
        assert_eq!(got.headers[name], value);
    }
    let text = got.json();
    assert_eq!(text["Message"], "m");
    let covered = format!(
        "Message\nm\nMessageId\n{id}\nSubject\ns\nTimestamp\n2026-11-20T10:07:30.000Z\nTopicArn\n{}\nType\nNotification\n",
        topic("t")
    );
    assert_eq!(text["Signature"], format!("signed 1: {covered}"));
}

#[tokio::test]
async fn a_confirmation_may_be_signed_and_then_so_must_be_the_end() {
    let world = World::new();
    let asked = [("TopicArn", topic("t")), ("Protocol", "https".into()), ("Endpoint", URL.into())];
    world.done("CreateTopic", &[("Name", "t")]).await;
    let mut fields: Vec<(&str, &str)> = asked.iter().map(|(name, value)| (*name, value.as_str())).collect();
    fields.push(("ReturnSubscriptionArn", "true"));
    let arn = text_of(&world.done("Subscribe", &fields).await, "SubscriptionArn");
    assert!(arn.starts_with(&topic("t")), "{arn}");
    world.settle().await;
    let token = world.posted().remove(0).json()["Token"].as_str().unwrap().to_owned();
    let arn_of_topic = topic("t");
    let fields = [
        ("TopicArn", arn_of_topic.as_str()),
        ("Token", token.as_str()),
        ("AuthenticateOnUnsubscribe", "true"),
    ];
    assert_eq!(text_of(&world.done("ConfirmSubscription", &fields).await, "SubscriptionArn"), arn);
    let shown = world
        .attribute("GetSubscriptionAttributes", "SubscriptionArn", &arn, "ConfirmationWasAuthenticated")
        .await;
    assert_eq!(shown.as_deref(), Some("true"));
    let link = format!("http://node:1/?Action=Unsubscribe&SubscriptionArn={arn}");
    assert_eq!(world.follow(&link).await.0, 403);
    assert_eq!(listed(&world).await, arn);
}

#[tokio::test]
async fn who_leaves_by_a_link_is_told_and_may_come_back() {
    let world = World::new();
    let arn = confirmed(&world, &[]).await;
    world.publish("t", &[("Message", "m")]).await;
    let link = world.posted().remove(0).json()["UnsubscribeURL"].as_str().unwrap().to_owned();
    assert_eq!(world.follow(&link).await.0, 200);
    world.publish("t", &[("Message", "not wanted")]).await;
    let [farewell] = &world.posted()[..] else { panic!("one farewell") };
    assert_eq!(farewell.headers["x-amz-sns-message-type"], "UnsubscribeConfirmation");
    assert_eq!(listed(&world).await, "Deleted");
    world.refused("GetSubscriptionAttributes", &[("SubscriptionArn", &arn)]).await;
    let link = farewell.json()["SubscribeURL"].as_str().unwrap().to_owned();
    assert_eq!(text_of(&world.follow(&link).await.1, "SubscriptionArn"), arn);
    world.publish("t", &[("Message", "again")]).await;
    assert_eq!(world.posted()[0].json()["Message"], "again");
    // A queue is not left by a link.
    let queue = world.subscribed("t", &queue("a"), &[]).await;
    assert_eq!(world.follow(&format!("/?Action=Unsubscribe&SubscriptionArn={queue}")).await.0, 403);
    assert_eq!(world.follow("/?Action=DeleteTopic").await.0, 403);
}

#[tokio::test]
async fn who_never_confirms_is_forgotten() {
    let world = World::new();
    world.subscribed("t", URL, &[]).await;
    world.settle().await;
    let link = world.posted().remove(0).json()["SubscribeURL"].as_str().unwrap().to_owned();
    world.pass(2 * 86_400 - 1);
    world.topics.housekeep().await;
    assert_eq!(listed(&world).await, "PendingConfirmation");
    world.pass(1);
    assert_eq!(world.follow(&link).await.0, 400);
    world.topics.housekeep().await;
    assert_eq!(listed(&world).await, "");
}

#[tokio::test]
async fn an_endpoint_is_tried_as_its_delivery_policy_says() {
    let world = World::new();
    let redrive = format!(r#"{{"deadLetterTargetArn":"{}"}}"#, queue("dead"));
    let policy = r#"{"healthyRetryPolicy":{"minDelayTarget":5,"maxDelayTarget":5,"numRetries":2},
        "requestPolicy":{"headerContentType":"application/json"}}"#;
    confirmed(
        &world,
        &[("RedrivePolicy", &redrive), ("DeliveryPolicy", policy), ("RawMessageDelivery", "true")],
    )
    .await;
    let slow = Err(Unanswered::TooSlow(Duration::from_secs(15)));
    *world.endpoints.answers.lock().unwrap() = [Ok(503), slow, Ok(429), Ok(200)].into();
    world.publish("t", &[("Message", "plain")]).await;
    for attempts in [1, 1, 1] {
        let got = world.posted();
        assert_eq!(got.len(), attempts);
        assert_eq!((got[0].body.as_str(), &*got[0].headers["content-type"]), ("plain", "application/json"));
        assert_eq!(got[0].headers["x-amz-sns-rawdelivery"], "true");
        world.pass(4);
        world.settle().await;
        assert!(world.posted().is_empty());
        world.pass(1);
        world.settle().await;
    }
    // Two retries, and then the dead letters.
    let dead = world.got("dead").remove(0);
    assert_eq!((dead.body.as_str(), dead.attributes["ErrorCode"].1.as_str()), ("plain", "429"));
    assert_eq!(world.deliveries.count(Lane::HttpSubscription).await.unwrap(), 0);
}

#[tokio::test]
async fn an_endpoint_that_does_not_want_it_is_not_asked_again() {
    let world = World::new();
    let redrive = format!(r#"{{"deadLetterTargetArn":"{}"}}"#, queue("dead"));
    confirmed(&world, &[("RedrivePolicy", &redrive)]).await;
    for status in [400, 404, 301] {
        *world.endpoints.answers.lock().unwrap() = [Ok(status)].into();
        world.publish("t", &[("Message", "m")]).await;
        assert_eq!(world.got("dead").remove(0).attributes["ErrorCode"].1, status.to_string());
    }
    assert_eq!(world.posted().len(), 3);
}

#[tokio::test]
async fn a_throttle_policy_spreads_messages_over_seconds() {
    let world = World::new();
    confirmed(&world, &[("DeliveryPolicy", r#"{"throttlePolicy":{"maxReceivesPerSecond":2}}"#)]).await;
    // The question was one of its second.
    world.pass(1);
    for n in 0..5 {
        world.publish("t", &[("Message", &n.to_string())]).await;
    }
    for count in [2, 2, 1, 0] {
        assert_eq!(world.posted().len(), count);
        world.pass(1);
        world.settle().await;
    }
}

#[tokio::test]
async fn the_topics_policy_is_for_all_its_endpoints() {
    let world = World::new();
    confirmed(&world, &[("DeliveryPolicy", r#"{"healthyRetryPolicy":{"numRetries":9}}"#)]).await;
    let policy =
        r#"{"http":{"defaultHealthyRetryPolicy":{"numRetries":0},"disableSubscriptionOverrides":true}}"#;
    let arn = topic("t");
    let set = [("TopicArn", arn.as_str()), ("AttributeName", "DeliveryPolicy"), ("AttributeValue", policy)];
    world.done("SetTopicAttributes", &set).await;
    let shown =
        world.attribute("GetTopicAttributes", "TopicArn", &arn, "EffectiveDeliveryPolicy").await.unwrap();
    assert!(shown.contains("\"numRetries\":0"), "{shown}");
    *world.endpoints.answers.lock().unwrap() = [Ok(500)].into();
    world.publish("t", &[("Message", "m")]).await;
    world.pass(3_600);
    world.settle().await;
    assert_eq!(world.posted().len(), 1);
}

#[tokio::test]
async fn addresses_that_are_none_are_refused_and_so_is_a_function_that_names_one() {
    let world = World::new();
    world.done("CreateTopic", &[("Name", "t")]).await;
    let arn = topic("t");
    for (protocol, endpoint) in [
        ("https", "http://example.com/"),
        ("http", "example.com"),
        ("http", "http:///x"),
        ("http", "http://exa mple.com/"),
        ("https", "ftp://example.com/"),
    ] {
        let fields = [("TopicArn", arn.as_str()), ("Protocol", protocol), ("Endpoint", endpoint)];
        assert_eq!(world.refused("Subscribe", &fields).await.1, "InvalidParameter", "{endpoint}");
    }
    let fields = [("TopicArn", arn.as_str()), ("Protocol", "https"), ("Endpoint", URL)];
    let session = format!("arn:aws:sts::{ACCOUNT}:assumed-role/r/f");
    let (status, body) = world.ask_by(&session, ACCOUNT, "Subscribe", &fields).await;
    assert_eq!((status, text_of(&body, "Code").as_str()), (403, "AuthorizationError"));
}
