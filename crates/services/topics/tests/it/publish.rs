use crate::world::*;

#[tokio::test]
async fn each_protocol_gets_its_own_text() {
    let world = World::new();
    world.subscribed("t", &queue("a"), &[]).await;
    world.subscribed("t", &function("f"), &[]).await;
    let message = r#"{"default":"d","sqs":"q"}"#;
    world.publish("t", &[("Message", message), ("MessageStructure", "json")]).await;
    assert_eq!(world.messages("a"), ["q"]);
    assert_eq!(world.calls().await[0]["payload"]["Records"][0]["Sns"]["Message"], "d");
}

#[tokio::test]
async fn what_is_no_message_is_refused_in_the_references_words() {
    let world = World::new();
    world.done("CreateTopic", &[("Name", "t")]).await;
    let arn = topic("t");
    let long = "x".repeat(262_145);
    for (fields, message) in [
        (vec![("Message", "")], "Invalid parameter: Empty message"),
        (vec![("Message", long.as_str())], "Invalid parameter: Message too long"),
        (vec![("Message", "m"), ("Subject", "a\nb")], "Invalid parameter: Subject"),
        (vec![("Message", "m"), ("MessageStructure", "xml")], "Invalid parameter: MessageStructure"),
        (
            vec![("Message", "m"), ("MessageStructure", "json")],
            "Invalid parameter: Message Structure - JSON message body failed to parse",
        ),
        (
            vec![("Message", "{}"), ("MessageStructure", "json")],
            "Invalid parameter: Message Structure - No default entry in JSON message body",
        ),
    ] {
        let fields = [vec![("TopicArn", arn.as_str())], fields].concat();
        let (status, code, told) = world.refused("Publish", &fields).await;
        assert_eq!((status, code.as_str(), told.as_str()), (400, "InvalidParameter", message));
    }
    for (name, value) in [
        ("MessageDeduplicationId", "d"),
        ("PhoneNumber", "+1"),
        ("MessageGroupId", "a b"),
        ("TargetArn", arn.as_str()),
    ] {
        let fields = [("TopicArn", arn.as_str()), ("Message", "m"), (name, value)];
        let (_, _, told) = world.refused("Publish", &fields).await;
        assert!(told.contains(name), "{told}");
    }
    let attribute = [
        ("TopicArn", arn.as_str()),
        ("Message", "m"),
        ("MessageAttributes.entry.1.Name", "n"),
        ("MessageAttributes.entry.1.Value.DataType", "Number"),
        ("MessageAttributes.entry.1.Value.StringValue", "five"),
    ];
    assert_eq!(world.refused("Publish", &attribute).await.1, "ParameterValueInvalid");
    let nowhere = topic("nowhere");
    let absent = world.refused("Publish", &[("TopicArn", &nowhere), ("Message", "m")]).await;
    assert_eq!(absent, (404, "NotFound".into(), "Topic does not exist".into()));
}

#[tokio::test]
async fn a_topic_has_its_own_largest_message() {
    let world = World::new();
    world.done("CreateTopic", &[("Name", "t")]).await;
    let arn = topic("t");
    let set = |bytes| {
        [("TopicArn", arn.as_str()), ("AttributeName", "MaximumMessageSize"), ("AttributeValue", bytes)]
    };
    world.done("SetTopicAttributes", &set("1024")).await;
    let (text, longer) = ("x".repeat(1_024), "x".repeat(1_025));
    world.done("Publish", &[("TopicArn", &arn), ("Message", &text)]).await;
    world.refused("Publish", &[("TopicArn", &arn), ("Message", &longer)]).await;
    for bytes in ["1023", "1048577", "many"] {
        world.refused("SetTopicAttributes", &set(bytes)).await;
    }
}

/// The fields of a batch's entries.
fn entries(entries: &[(&str, &str)]) -> Vec<(String, String)> {
    let mut fields = vec![("TopicArn".to_owned(), topic("t"))];
    for (at, (id, message)) in entries.iter().enumerate() {
        let name = |member: &str| format!("PublishBatchRequestEntries.member.{}.{member}", at + 1);
        fields.push((name("Id"), (*id).to_owned()));
        fields.push((name("Message"), (*message).to_owned()));
    }
    fields
}

fn borrowed(fields: &[(String, String)]) -> Vec<(&str, &str)> {
    fields.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect()
}

#[tokio::test]
async fn an_entry_of_a_batch_fails_alone() {
    let world = World::new();
    world.subscribed("t", &queue("a"), &[]).await;
    let fields = entries(&[("one", "1"), ("two", ""), ("three", "3")]);
    let body = world.done("PublishBatch", &borrowed(&fields)).await;
    world.settle().await;
    let mut messages = world.messages("a");
    messages.sort();
    assert_eq!(messages, ["1", "3"]);
    let (successful, failed) = body.split_once("<Failed>").unwrap();
    assert!(successful.contains("<Id>one</Id>") && successful.contains("<Id>three</Id>"), "{body}");
    assert!(failed.contains("<Id>two</Id><Code>InvalidParameter</Code>"), "{body}");
    assert!(failed.contains("<SenderFault>true</SenderFault>"), "{body}");
}

#[tokio::test]
async fn batches_have_their_rules() {
    let world = World::new();
    world.subscribed("t", &queue("a"), &[]).await;
    let half = "x".repeat(131_073);
    let eleven: Vec<String> = (0..11).map(|n| n.to_string()).collect();
    let eleven: Vec<(&str, &str)> = eleven.iter().map(|id| (id.as_str(), "m")).collect();
    for (batch, code) in [
        (vec![], "EmptyBatchRequest"),
        (eleven, "TooManyEntriesInBatchRequest"),
        (vec![("a", "m"), ("a", "m")], "BatchEntryIdsNotDistinct"),
        (vec![("a b", "m")], "InvalidBatchEntryId"),
        (vec![("a", half.as_str()), ("b", half.as_str())], "BatchRequestTooLong"),
    ] {
        let fields = entries(&batch);
        let (status, told, _) = world.refused("PublishBatch", &borrowed(&fields)).await;
        assert_eq!((status, told.as_str()), (400, code));
    }
    world.settle().await;
    assert!(world.got("a").is_empty());
}

#[tokio::test]
async fn strangers_need_the_topics_policy() {
    let world = World::new();
    world.done("CreateTopic", &[("Name", "t")]).await;
    let (arn, stranger) = (topic("t"), "111122223333");
    let publish = [("TopicArn", arn.as_str()), ("Message", "m")];
    let (status, body) = world.ask_as(stranger, "Publish", &publish).await;
    assert_eq!((status, text_of(&body, "Code").as_str()), (403, "AuthorizationError"));
    let permission = [
        ("TopicArn", arn.as_str()),
        ("Label", "l"),
        ("AWSAccountId.member.1", stranger),
        ("ActionName.member.1", "Publish"),
    ];
    world.done("AddPermission", &permission).await;
    assert_eq!(world.ask_as(stranger, "Publish", &publish).await.0, 200);
    assert_eq!(world.ask_as(stranger, "GetTopicAttributes", &publish[..1]).await.0, 403);
    world.done("RemovePermission", &permission[..2]).await;
    assert_eq!(world.ask_as(stranger, "Publish", &publish).await.0, 403);
    // Conditions on what is subscribed.
    let policy = format!(
        r#"{{"Statement":{{"Effect":"Allow","Principal":"*","Action":"sns:Subscribe","Resource":"{arn}",
        "Condition":{{"StringEquals":{{"sns:Protocol":"lambda"}}}}}}}}"#
    );
    let set = [("TopicArn", arn.as_str()), ("AttributeName", "Policy"), ("AttributeValue", policy.as_str())];
    world.done("SetTopicAttributes", &set).await;
    for (protocol, service, status) in [("sqs", "sqs", 403), ("lambda", "lambda", 200)] {
        let resource = if service == "sqs" { "q" } else { "function:f" };
        let endpoint = format!("arn:aws:{service}:{REGION}:{stranger}:{resource}");
        let fields = [("TopicArn", arn.as_str()), ("Protocol", protocol), ("Endpoint", &endpoint)];
        assert_eq!(world.ask_as(stranger, "Subscribe", &fields).await.0, status, "{protocol}");
    }
}
