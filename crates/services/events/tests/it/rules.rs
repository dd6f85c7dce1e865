use serde_json::{Value, json};

use crate::world::{ACCOUNT, REGION, World, function, queue};

#[tokio::test]
async fn a_rule_is_made_replaced_shown_and_deleted() {
    let world = World::new();
    let pattern = r#"{"source":["app"]}"#;
    let made = json!({
        "Name": "r", "EventPattern": pattern, "Description": "d", "RoleArn": "arn:aws:iam::0:role/x",
        "Tags": [{ "Key": "k", "Value": "v" }],
    });
    let arn = format!("arn:aws:events:{REGION}:{ACCOUNT}:rule/r");
    assert_eq!(world.done("PutRule", made).await, json!({ "RuleArn": arn }));
    world.target("r", json!({ "Id": "t", "Arn": function("f") })).await;
    let shown = json!({
        "Name": "r", "Arn": arn, "EventPattern": pattern, "State": "ENABLED", "Description": "d",
        "RoleArn": "arn:aws:iam::0:role/x", "EventBusName": "default", "CreatedBy": ACCOUNT,
    });
    assert_eq!(world.done("DescribeRule", json!({ "Name": "r" })).await, shown);
    // What a second PutRule does not name is gone, but targets and tags stay.
    world
        .done("PutRule", json!({ "Name": "r", "ScheduleExpression": "rate(1 hour)", "State": "DISABLED" }))
        .await;
    let shown = world.done("DescribeRule", json!({ "Name": "r" })).await;
    assert_eq!(
        (&shown["State"], &shown["EventPattern"], &shown["Description"]),
        (&json!("DISABLED"), &Value::Null, &Value::Null)
    );
    assert_eq!(
        world.done("ListTagsForResource", json!({ "ResourceARN": arn })).await["Tags"][0]["Value"],
        "v"
    );
    let (code, message) = world.refused("DeleteRule", json!({ "Name": "r" })).await;
    assert_eq!((&*code, &*message), ("ValidationException", "Rule can't be deleted since it has targets."));
    world.done("RemoveTargets", json!({ "Rule": "r", "Ids": ["t"] })).await;
    world.done("DeleteRule", json!({ "Name": "r", "Force": true })).await;
    world.done("DeleteRule", json!({ "Name": "r" })).await;
    let (code, message) = world.refused("DescribeRule", json!({ "Name": "r" })).await;
    assert_eq!(
        (&*code, &*message),
        ("ResourceNotFoundException", "Rule r does not exist on EventBus default.")
    );
}

#[tokio::test]
async fn a_disabled_rule_wants_nothing_until_it_is_enabled() {
    let world = World::new();
    world.rule("r", json!({ "source": ["app"] })).await;
    for (operation, calls) in [("DisableRule", 0), ("EnableRule", 1), ("DisableRule", 0)] {
        world.done(operation, json!({ "Name": "r" })).await;
        world.put(json!({})).await;
        assert_eq!(world.called().await.len(), calls, "{operation}");
    }
    world.done("EnableRule", json!({ "Name": "r" })).await;
    world.done("PutRule", json!({ "Name": "r", "EventPattern": r#"{"source":["other"]}"# })).await;
    world.put(json!({})).await;
    assert_eq!(world.called().await, [""; 0]);
}

#[tokio::test]
async fn what_is_no_rule_is_refused() {
    let world = World::new();
    world.done("CreateEventBus", json!({ "Name": "b" })).await;
    for (input, code, message) in [
        (
            json!({ "Name": "r" }),
            "ValidationException",
            "Parameter(s) EventPattern or ScheduleExpression must be specified.",
        ),
        (
            json!({ "Name": "r", "ScheduleExpression": "rate(5)" }),
            "ValidationException",
            "Parameter ScheduleExpression is not valid.",
        ),
        (
            json!({ "Name": "r", "ScheduleExpression": "at(2030-01-01T00:00:00)" }),
            "ValidationException",
            "Parameter ScheduleExpression is not valid.",
        ),
        (
            json!({ "Name": "r", "EventBusName": "b", "ScheduleExpression": "rate(5 minutes)" }),
            "ValidationException",
            "ScheduleExpression is supported only on the default event bus.",
        ),
        (
            json!({ "Name": "r", "EventPattern": "{}" }),
            "InvalidEventPatternException",
            "Event pattern is not valid. Reason: Empty objects are not allowed",
        ),
        (
            json!({ "Name": "r", "EventBusName": "c", "EventPattern": r#"{"a":[1]}"# }),
            "ResourceNotFoundException",
            "Event bus c does not exist.",
        ),
        (
            json!({ "Name": "r", "EventPattern": r#"{"a":[1]}"#, "State": "ENABLED_WITH_ALL_CLOUDTRAIL_MANAGEMENT_EVENTS" }),
            "ValidationException",
            "The value 'ENABLED_WITH_ALL_CLOUDTRAIL_MANAGEMENT_EVENTS' of the parameter 'State' is not supported.",
        ),
    ] {
        assert_eq!(
            world.refused("PutRule", input.clone()).await,
            (code.to_owned(), message.to_owned()),
            "{input}"
        );
    }
    let (code, message) = world.refused("PutRule", json!({ "Name": "a b", "State": "ON" })).await;
    assert_eq!(code, "ValidationException");
    assert_eq!(
        message,
        "2 validation errors detected: Value 'a b' at 'name' failed to satisfy constraint: Member must satisfy regular \
         expression pattern: [\\.\\-_A-Za-z0-9]+; Value 'ON' at 'state' failed to satisfy constraint: Member must satisfy \
         enum value set: [ENABLED, DISABLED, ENABLED_WITH_ALL_CLOUDTRAIL_MANAGEMENT_EVENTS]"
    );
}

#[tokio::test]
async fn what_is_no_target_is_refused_and_stored_neither() {
    let world = World::new();
    world.rule("r", json!({ "source": ["app"] })).await;
    let with = |member: &str, value: Value| {
        let mut target = json!({ "Id": "x", "Arn": function("f") });
        target[member] = value;
        target
    };
    for (target, message) in [
        (with("Arn", json!("f")), "Parameter f is not valid. Reason: Provided Arn is not in correct format."),
        (
            with("Arn", json!("arn:aws:kinesis:eu-west-1:000000000000:stream/s")),
            "Parameter arn:aws:kinesis:eu-west-1:000000000000:stream/s is not valid. Reason: Targets of kinesis are not supported.",
        ),
        (
            with("Arn", json!("arn:aws:sqs:us-east-1:000000000000:q")),
            "Parameter arn:aws:sqs:us-east-1:000000000000:q is not valid. Reason: It names no target of this region.",
        ),
        (
            with("Arn", json!("arn:aws:sqs:eu-west-1:000000000000:q.fifo")),
            "Parameter(s) MessageGroupId must be specified for target: x.",
        ),
        (
            with("Arn", json!("arn:aws:lambda:us-east-1:000000000000:function:f")),
            "Parameter arn:aws:lambda:us-east-1:000000000000:function:f is not valid. Reason: It names no target of this region.",
        ),
        (
            with("RoleArn", json!("arn:aws:iam::000000000000:role/r")),
            "RoleArn is not supported for target arn:aws:lambda:eu-west-1:000000000000:function:f.",
        ),
        (with("Input", json!("{")), "JSON syntax error in input for target x"),
        (with("InputPath", json!("x")), "Invalid InputPath for target x : x."),
        (
            with("InputTransformer", json!({ "InputTemplate": "{\"a\": <b>}" })),
            "Invalid InputTemplate for target x : [b].",
        ),
        (
            with("InputTransformer", json!({ "InputTemplate": "a b" })),
            "Invalid InputTemplate for target x : it does not make valid JSON.",
        ),
        (
            with("InputTransformer", json!({ "InputTemplate": "1", "InputPathsMap": { "aws.x": "$" } })),
            "Invalid InputTransformer for target x : variable name aws.x.",
        ),
        (
            with("SqsParameters", json!({ "MessageGroupId": "g" })),
            "Parameter(s) SqsParameters not valid for target: x.",
        ),
        (
            with("DeadLetterConfig", json!({ "Arn": "arn:aws:sqs:eu-west-1:000000000000:q.fifo" })),
            "Parameter arn:aws:sqs:eu-west-1:000000000000:q.fifo is not valid. Reason: A dead-letter queue is a standard SQS queue of this region.",
        ),
        (
            with("KinesisParameters", json!({ "PartitionKeyPath": "$" })),
            "The parameter 'Targets[0].KinesisParameters' is not supported.",
        ),
        (
            with("RetryPolicy", json!({ "MaximumRetryAttempts": 186 })),
            "1 validation error detected: Value '186' at 'targets.1.member.retryPolicy.maximumRetryAttempts' failed to satisfy constraint: Member must have value less than or equal to 185",
        ),
        (
            with("RetryPolicy", json!({ "MaximumEventAgeInSeconds": 59 })),
            "1 validation error detected: Value '59' at 'targets.1.member.retryPolicy.maximumEventAgeInSeconds' failed to satisfy constraint: Member must have value greater than or equal to 60",
        ),
    ] {
        let refused = world.refused("PutTargets", json!({ "Rule": "r", "Targets": [target] })).await;
        assert_eq!(refused, ("ValidationException".to_owned(), message.to_owned()), "{target}");
    }
    let mut both = with("Input", json!("1"));
    both["InputPath"] = json!("$");
    let (_, message) = world.refused("PutTargets", json!({ "Rule": "r", "Targets": [both] })).await;
    assert_eq!(message, "Only one of Input, InputPath, or InputTransformer must be provided for target x.");
    let many: Vec<Value> = (0..5).map(|n| json!({ "Id": n.to_string(), "Arn": function("f") })).collect();
    let (code, _) = world.refused("PutTargets", json!({ "Rule": "r", "Targets": many })).await;
    assert_eq!(code, "LimitExceededException");
    let (code, _) =
        world.refused("PutTargets", json!({ "Rule": "gone", "Targets": [with("Id", json!("x"))] })).await;
    assert_eq!(code, "ResourceNotFoundException");
    assert_eq!(
        world.done("ListTargetsByRule", json!({ "Rule": "r" })).await["Targets"].as_array().unwrap().len(),
        1
    );
}

#[tokio::test]
async fn targets_are_listed_as_they_were_put() {
    let world = World::new();
    world.done("PutRule", json!({ "Name": "r", "EventPattern": r#"{"source":["app"]}"# })).await;
    let targets = [
        json!({ "Id": "a", "Arn": function("f"), "Input": "1" }),
        json!({ "Id": "b", "Arn": function("f:prod"), "InputPath": "$.detail",
            "RetryPolicy": { "MaximumRetryAttempts": 3, "MaximumEventAgeInSeconds": 60 } }),
        json!({ "Id": "c", "Arn": function("g"), "InputTransformer": { "InputPathsMap": { "x": "$.id" }, "InputTemplate": "<x>" } }),
        json!({ "Id": "d", "Arn": queue("q.fifo"), "SqsParameters": { "MessageGroupId": "g" },
            "RoleArn": format!("arn:aws:iam::{ACCOUNT}:role/r"), "DeadLetterConfig": { "Arn": queue("q") } }),
    ];
    world.done("PutTargets", json!({ "Rule": "r", "Targets": targets })).await;
    let first = world.done("ListTargetsByRule", json!({ "Rule": "r", "Limit": 2 })).await;
    assert_eq!(first["Targets"], json!(targets[..2]));
    let next = json!({ "Rule": "r", "Limit": 2, "NextToken": first["NextToken"] });
    assert_eq!(world.done("ListTargetsByRule", next).await, json!({ "Targets": targets[2..] }));
    let rules = |arn: String| json!({ "TargetArn": arn });
    assert_eq!(
        world.done("ListRuleNamesByTarget", rules(function("g"))).await,
        json!({ "RuleNames": ["r"] })
    );
    assert_eq!(world.done("ListRuleNamesByTarget", rules(function("h"))).await, json!({ "RuleNames": [] }));
}

#[tokio::test]
async fn lists_come_in_pages() {
    let world = World::new();
    for n in 0..5 {
        world.rule(&format!("r{n}"), json!({ "source": ["app"] })).await;
    }
    let names = |page: &Value| {
        let rules = page["Rules"].as_array().unwrap().iter();
        rules.map(|rule| rule["Name"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    let first = world.done("ListRules", json!({ "Limit": 3 })).await;
    assert_eq!(names(&first), ["r0", "r1", "r2"]);
    let next = world.done("ListRules", json!({ "Limit": 3, "NextToken": first["NextToken"] })).await;
    assert_eq!((names(&next), &next["NextToken"]), (vec!["r3".into(), "r4".into()], &Value::Null));
    assert_eq!(names(&world.done("ListRules", json!({ "NamePrefix": "r4" })).await), ["r4"]);
    let (code, _) =
        world.refused("ListRules", json!({ "NamePrefix": "r", "NextToken": first["NextToken"] })).await;
    assert_eq!(code, "ValidationException");
}

#[tokio::test]
async fn a_pattern_is_tried_on_an_event() {
    let world = World::new();
    let event = json!({
        "id": "1", "account": ACCOUNT, "source": "s", "time": "t", "region": "r", "resources": [], "detail-type": "d",
    });
    let ask = |pattern: &str, event: &Value| json!({ "EventPattern": pattern, "Event": event.to_string() });
    let result = |pattern: &'static str| ask(pattern, &event);
    assert_eq!(
        world.done("TestEventPattern", result(r#"{"source":["s"]}"#)).await,
        json!({ "Result": true })
    );
    assert_eq!(
        world.done("TestEventPattern", result(r#"{"source":["x"]}"#)).await,
        json!({ "Result": false })
    );
    let (code, _) = world.refused("TestEventPattern", result("x")).await;
    assert_eq!(code, "InvalidEventPatternException");
    let (code, message) = world.refused("TestEventPattern", ask(r#"{"a":[1]}"#, &json!({ "id": "1" }))).await;
    assert_eq!(
        (&*code, &*message),
        ("ValidationException", "Parameter Event is not valid. Reason: It has no account.")
    );
}
