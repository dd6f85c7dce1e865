//! Topics as targets of rules and schedules.

use serde_json::{Value, json};

use crate::world::{ACCOUNT, World, queue, topic};

const ROLE: &str = "arn:aws:iam::000000000000:role/r";

#[tokio::test]
async fn a_topic_gets_the_event_for_its_rule_and_what_it_refuses_is_a_dead_letter() {
    let world = World::new();
    let pattern = json!({ "source": ["app"] }).to_string();
    let put = world.done("PutRule", json!({ "Name": "r", "EventPattern": pattern })).await;
    let rule = &put["RuleArn"];
    let open = json!({ "Id": "open", "Arn": topic("news"), "InputPath": "$.detail.n" });
    let dead = json!({ "Arn": queue("dead") });
    let closed = json!({ "Id": "closed", "Arn": topic("closed"), "DeadLetterConfig": dead });
    world.done("PutTargets", json!({ "Rule": "r", "Targets": [open, closed] })).await;
    let event = world.put(json!({ "n": 7 })).await["Entries"][0]["EventId"].clone();
    let mut got = world.queued().await;
    got.sort_by_key(|message| message["to"].to_string());
    let [letter, news] = &got[..] else { panic!("{got:?}") };
    assert_eq!((&news["to"], &news["body"]), (&json!("news"), &json!(7)));
    assert_eq!(news["by"], json!(["events.amazonaws.com", rule, ACCOUNT]));
    assert_eq!((&letter["to"], &letter["body"]["id"]), (&json!("dead"), &event));
    let told = &letter["attributes"];
    assert_eq!(
        (&told["TARGET_ARN"], &told["ERROR_CODE"]),
        (&json!(topic("closed")), &json!("NO_PERMISSIONS"))
    );
}

#[tokio::test]
async fn a_schedule_publishes_its_input_as_its_role() {
    let world = World::new();
    for (name, target) in [("a", topic("news")), ("b", topic("gone")), ("c", topic("closed"))] {
        let input = json!({
            "ScheduleExpression": "rate(1 hour)", "FlexibleTimeWindow": { "Mode": "OFF" },
            "Target": {
                "Arn": target, "RoleArn": ROLE, "Input": "any text", "DeadLetterConfig": { "Arn": queue("dead") },
            },
        });
        world.rest("POST", &format!("/schedules/{name}"), input).await;
    }
    world.pass(3_600);
    assert_eq!(world.events.fire_due_once().await, Ok(3));
    let got = world.queued().await;
    let news = got.iter().find(|message| message["to"] == "news").unwrap();
    assert_eq!((&news["body"], &news["by"]), (&json!("any text"), &json!([ACCOUNT, ROLE])));
    let mut codes: Vec<&Value> = got
        .iter()
        .filter(|message| message["to"] == "dead")
        .map(|m| &m["attributes"]["ERROR_CODE"])
        .collect();
    codes.sort_by_key(|code| code.to_string());
    assert_eq!(codes, ["AuthorizationError", "NotFound"]);
}

#[tokio::test]
async fn what_a_topic_can_not_be_is_refused_by_name() {
    let world = World::new();
    world.done("PutRule", json!({ "Name": "r", "EventPattern": r#"{"source":["app"]}"# })).await;
    let with = |more: Value| {
        let mut target = json!({ "Id": "t", "Arn": topic("news") });
        target.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        json!({ "Rule": "r", "Targets": [target] })
    };
    for (target, word) in [
        (with(json!({ "Arn": topic("t.fifo") })), "FIFO topics are not supported as targets"),
        (with(json!({ "Arn": topic("news:subscription") })), "names no target of this region"),
        (with(json!({ "SqsParameters": { "MessageGroupId": "g" } })), "SqsParameters not valid"),
        (
            with(json!({ "DeadLetterConfig": { "Arn": topic("news") } })),
            "A dead-letter queue is a standard SQS queue",
        ),
    ] {
        let (code, message) = world.refused("PutTargets", target).await;
        assert_eq!(code, "ValidationException");
        assert!(message.contains(word), "{message}");
    }
    let schedule = json!({
        "ScheduleExpression": "rate(1 hour)", "FlexibleTimeWindow": { "Mode": "OFF" },
        "Target": { "Arn": topic("t.fifo"), "RoleArn": ROLE },
    });
    let (_, _, message) = world.rest_refused("POST", "/schedules/s", schedule).await;
    assert!(message.contains("FIFO topics are not supported as targets"), "{message}");
}
