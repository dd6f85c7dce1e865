use crate::world::*;

#[tokio::test]
async fn a_topic_is_made_once() {
    let world = World::new();
    let named = [
        ("Name", "t"),
        ("Attributes.entry.1.key", "DisplayName"),
        ("Attributes.entry.1.value", "news"),
        ("Tags.member.1.Key", "k"),
        ("Tags.member.1.Value", "v"),
    ];
    assert_eq!(text_of(&world.done("CreateTopic", &named).await, "TopicArn"), topic("t"));
    world.done("CreateTopic", &named).await;
    world.done("CreateTopic", &[("Name", "t")]).await;
    let mut other = named;
    other[2].1 = "other";
    let (_, code, told) = world.refused("CreateTopic", &other).await;
    assert_eq!(code, "InvalidParameter");
    assert!(told.ends_with("Topic already exists with different attributes"), "{told}");
    let mut other = named;
    other[4].1 = "w";
    assert!(world.refused("CreateTopic", &other).await.2.ends_with("different tags"));
    for name in ["", "a b", "t.fifo", &"x".repeat(257)] {
        world.refused("CreateTopic", &[("Name", name)]).await;
    }
}

#[tokio::test]
async fn what_does_not_act_is_refused_by_name() {
    let world = World::new();
    let arn = world.subscribed("t", &queue("a"), &[]).await;
    for name in [
        "KmsMasterKeyId",
        "DataProtectionPolicy",
        "ArchivePolicy",
        "SQSSuccessFeedbackRoleArn",
        "TracingConfig",
    ] {
        let fields =
            [("TopicArn", topic("t")), ("AttributeName", name.into()), ("AttributeValue", "Active".into())];
        let fields = fields.each_ref().map(|(name, value): &(&str, String)| (*name, value.as_str()));
        let (_, _, told) = world.refused("SetTopicAttributes", &fields).await;
        assert!(told.contains(name), "{told}");
    }
    for (name, value) in [("DeliveryPolicy", "{}"), ("ReplayPolicy", "{}"), ("SubscriptionRoleArn", "r")] {
        let fields = [("SubscriptionArn", arn.as_str()), ("AttributeName", name), ("AttributeValue", value)];
        assert!(world.refused("SetSubscriptionAttributes", &fields).await.2.contains(name));
    }
    let arn = topic("t");
    for protocol in ["email", "email-json", "sms", "application", "firehose"] {
        let fields = [("TopicArn", arn.as_str()), ("Protocol", protocol), ("Endpoint", "x")];
        assert!(world.refused("Subscribe", &fields).await.2.contains(protocol));
    }
    assert_eq!(world.refused("ListPlatformApplications", &[]).await.0, 501);
    assert_eq!(world.refused("Nothing", &[]).await.1, "InvalidAction");
}

#[tokio::test]
async fn subscriptions_show_what_they_were_given() {
    let world = World::new();
    let redrive = format!(r#"{{"deadLetterTargetArn":"{}"}}"#, queue("dead"));
    let filter = r#"{"a":["b"]}"#;
    let given =
        [("RawMessageDelivery", "true"), ("FilterPolicy", filter), ("RedrivePolicy", redrive.as_str())];
    let arn = world.subscribed("t", &queue("a"), &given).await;
    for (name, value) in given {
        let shown = world.attribute("GetSubscriptionAttributes", "SubscriptionArn", &arn, name).await;
        assert_eq!(shown.as_deref(), Some(value));
    }
    assert_eq!(world.subscribed("t", &queue("a"), &[]).await, arn);
    let set =
        |name, value| [("SubscriptionArn", arn.as_str()), ("AttributeName", name), ("AttributeValue", value)];
    for (name, value) in [
        ("RawMessageDelivery", "yes"),
        ("FilterPolicy", "{"),
        ("FilterPolicyScope", "Body"),
        ("RedrivePolicy", r#"{"deadLetterTargetArn":"x"}"#),
        ("Endpoint", "x"),
    ] {
        assert_eq!(world.refused("SetSubscriptionAttributes", &set(name, value)).await.1, "InvalidParameter");
    }
    world.done("SetSubscriptionAttributes", &set("RedrivePolicy", "")).await;
    let shown = world.attribute("GetSubscriptionAttributes", "SubscriptionArn", &arn, "RedrivePolicy").await;
    assert_eq!(shown, None);
}

#[tokio::test]
async fn lists_have_pages_and_topics_count_their_subscriptions() {
    let world = World::new();
    for n in 0..101 {
        world.done("CreateTopic", &[("Name", &format!("t{n:03}"))]).await;
        world.subscribed("all", &queue(&format!("q{n}")), &[]).await;
    }
    let arn = topic("all");
    for (operation, fields, element, all) in [
        ("ListTopics", vec![], "<TopicArn>", 102),
        ("ListSubscriptions", vec![], "<Endpoint>", 101),
        ("ListSubscriptionsByTopic", vec![("TopicArn", arn.as_str())], "<Endpoint>", 101),
    ] {
        let first = world.done(operation, &fields).await;
        assert_eq!(first.matches(element).count(), 100, "{operation}");
        let token = text_of(&first, "NextToken");
        let fields = [fields, vec![("NextToken", token.as_str())]].concat();
        let rest = world.done(operation, &fields).await;
        assert_eq!(rest.matches(element).count(), all - 100, "{operation}");
        assert!(!rest.contains("NextToken"));
    }
    let get = async |name| world.attribute("GetTopicAttributes", "TopicArn", &arn, name).await.unwrap();
    assert_eq!(get("SubscriptionsConfirmed").await, "101");
    world.done("DeleteTopic", &[("TopicArn", &arn)]).await;
    world.done("DeleteTopic", &[("TopicArn", &arn)]).await;
    assert!(!world.done("ListSubscriptions", &[]).await.contains("<Endpoint>"));
}

#[tokio::test]
async fn tags_come_and_go() {
    let world = World::new();
    world.done("CreateTopic", &[("Name", "t")]).await;
    let arn = topic("t");
    let tag = [("ResourceArn", arn.as_str()), ("Tags.member.1.Key", "k"), ("Tags.member.1.Value", "v")];
    assert!(world.done("TagResource", &tag).await.contains("<TagResourceResult>"));
    let listed = world.done("ListTagsForResource", &tag[..1]).await;
    assert!(listed.contains("<member><Key>k</Key><Value>v</Value></member>"), "{listed}");
    world.done("UntagResource", &[("ResourceArn", &arn), ("TagKeys.member.1", "k")]).await;
    assert!(!world.done("ListTagsForResource", &tag[..1]).await.contains("<Key>"));
    let nowhere = topic("nowhere");
    assert_eq!(
        world.refused("ListTagsForResource", &[("ResourceArn", &nowhere)]).await.1,
        "ResourceNotFound"
    );
}
