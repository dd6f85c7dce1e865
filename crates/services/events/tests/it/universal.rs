//! Universal targets of schedules.

use lambent_core::ports::OperationRefusal;
use lambent_store::deliveries::{DeliveryStore as _, Lane};
use serde_json::{Value, json};

use crate::world::{ACCOUNT, REGION, World, queue};

fn arn(operation: &str) -> String {
    format!("arn:aws:scheduler:::aws-sdk:{operation}")
}

fn role() -> String {
    format!("arn:aws:iam::{ACCOUNT}:role/r")
}

/// A schedule that fires in an hour.
fn schedule(operation: &str, more: Value) -> Value {
    let mut target =
        json!({ "Arn": arn(operation), "RoleArn": role(), "DeadLetterConfig": { "Arn": queue("dead") } });
    target.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    json!({
        "ScheduleExpression": "rate(1 hour)", "FlexibleTimeWindow": { "Mode": "OFF" }, "Target": target,
    })
}

async fn fire(world: &World) {
    world.pass(3_600);
    world.events.fire_due_once().await.unwrap();
}

fn refused(code: &str, may_pass: bool) -> OperationRefusal {
    OperationRefusal { code: code.into(), message: "why".into(), may_pass }
}

#[tokio::test]
async fn an_operation_is_called_with_the_input_as_the_role() {
    let world = World::new();
    let input =
        r#"{"QueueUrl":"u","MessageBody":"<aws.scheduler.attempt-number> of <aws.scheduler.schedule-arn>"}"#;
    world.rest("POST", "/schedules/s", schedule("sqs:sendMessage", json!({ "Input": input }))).await;
    fire(&world).await;
    // It is on the disk, and is called after a restart, again when that may help.
    let world = world.restarted();
    world.operations.answers.lock().unwrap().push_back(refused("ServiceUnavailable", true));
    assert_eq!(world.events.post_due().await.unwrap(), 1);
    assert_eq!(world.events.post_due().await.unwrap(), 0);
    world.pass(1);
    assert_eq!(world.events.post_due().await.unwrap(), 1);
    let called = std::mem::take(&mut *world.operations.called.lock().unwrap());
    let schedule = format!("arn:aws:scheduler:{REGION}:{ACCOUNT}:schedule/default/s");
    let expected = |attempt: u32| {
        json!({ "to": ["sqs", "sendMessage"], "by": [ACCOUNT, REGION, role()],
            "input": { "QueueUrl": "u", "MessageBody": format!("{attempt} of {schedule}") } })
    };
    assert_eq!(called, [expected(1), expected(2)]);
    assert_eq!(world.deliveries.count(Lane::SlowTarget).await.unwrap(), 0);
}

#[tokio::test]
async fn what_an_operation_refuses_for_good_is_a_dead_letter_with_its_code() {
    let world = World::new();
    let retry = json!({ "RetryPolicy": { "MaximumRetryAttempts": 1 } });
    world.rest("POST", "/schedules/s", schedule("sqs:purgeQueue", retry)).await;
    for (refusals, code, retries) in [
        (
            vec![refused("AWS.SimpleQueueService.NonExistentQueue", false)],
            "AWS.SimpleQueueService.NonExistentQueue",
            "0",
        ),
        (
            vec![refused("ThrottlingException", true), refused("ThrottlingException", true)],
            "ThrottlingException",
            "1",
        ),
    ] {
        world.operations.answers.lock().unwrap().extend(refusals);
        fire(&world).await;
        world.events.post_due().await.unwrap();
        world.pass(1);
        world.events.post_due().await.unwrap();
        let letters = world.queued().await;
        let [letter] = &letters[..] else { panic!("{letters:?}") };
        let said = &letter["attributes"];
        assert_eq!((&said["ERROR_CODE"], &said["RETRY_ATTEMPTS"]), (&json!(code), &json!(retries)));
        assert_eq!(
            (&said["TARGET_ARN"], &said["ERROR_MESSAGE"]),
            (&json!(arn("sqs:purgeQueue")), &json!("why"))
        );
    }
    // Without an input the operation gets no members.
    assert_eq!(world.operations.called.lock().unwrap()[0]["input"], json!({}));
}

#[tokio::test]
async fn what_is_no_operation_is_refused_by_name() {
    let world = World::new();
    for (operation, more, word) in [
        ("sqs:getQueueUrl", json!({}), "getQueueUrl is not supported"),
        ("sqs:receiveMessage", json!({}), "receiveMessage is not supported"),
        ("sqs:nothing", json!({}), "nothing of sqs"),
        ("dynamodb:putItem", json!({}), "dynamodb"),
        ("sqs", json!({}), "names no target"),
        ("sqs:sendMessage", json!({ "Input": "text" }), "JSON"),
        ("sqs:sendMessage", json!({ "Input": "[1]" }), "JSON object"),
        ("sqs:sendMessage", json!({ "SqsParameters": { "MessageGroupId": "g" } }), "SqsParameters"),
        (
            "sqs:sendMessage",
            json!({ "EventBridgeParameters": { "Source": "s", "DetailType": "t" } }),
            "EventBridgeParameters",
        ),
    ] {
        let (status, code, message) =
            world.rest_refused("POST", "/schedules/s", schedule(operation, more)).await;
        assert_eq!(
            (status, code.as_str(), message.contains(word)),
            (400, "ValidationException", true),
            "{message}"
        );
    }
    world.rule("r", json!({ "source": ["app"] })).await;
    let target = json!({ "Id": "t", "Arn": arn("sqs:sendMessage"), "RoleArn": role() });
    let (_, message) = world.refused("PutTargets", json!({ "Rule": "r", "Targets": [target] })).await;
    assert!(message.contains("schedules"), "{message}");
    assert!(world.rest("GET", "/schedules", Value::Null).await["Schedules"].as_array().unwrap().is_empty());
}
