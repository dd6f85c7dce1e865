//! Queues as targets, and as the place for what does not reach its target.

use lambent_core::ports::PushRefusal;
use serde_json::{Value, json};

use crate::world::{ACCOUNT, REGION, World, function, queue};

const ROLE: &str = "arn:aws:iam::000000000000:role/r";

async fn rule(world: &World, name: &str, target: Value) -> String {
    let pattern = json!({ "source": ["app"] }).to_string();
    let put = world.done("PutRule", json!({ "Name": name, "EventPattern": pattern })).await;
    world.target(name, target).await;
    put["RuleArn"].as_str().unwrap().to_owned()
}

fn letter<'a>(got: &'a [Value], name: &str) -> &'a Value {
    let is_it = |message: &&Value| message["attributes"]["RULE_ARN"].as_str().unwrap().ends_with(name);
    got.iter().find(is_it).unwrap_or_else(|| panic!("no {name} in {got:?}"))
}

#[tokio::test]
async fn a_queue_gets_the_event_for_the_rule_or_for_the_targets_role() {
    let world = World::new();
    let plain = rule(&world, "a", json!({ "Id": "t", "Arn": queue("plain") })).await;
    let transformer = json!({ "InputPathsMap": { "n": "$.detail.n" }, "InputTemplate": "[<n>]" });
    let ordered = json!({
        "Id": "t", "Arn": queue("ordered.fifo"), "SqsParameters": { "MessageGroupId": "g" }, "RoleArn": ROLE,
        "InputTransformer": transformer,
    });
    rule(&world, "b", ordered).await;
    let entry =
        json!({ "Source": "app", "DetailType": "t", "Detail": r#"{"n":7}"#, "TraceHeader": "Root=1" });
    let answer = world.done("PutEvents", json!({ "Entries": [entry] })).await;
    let mut got = world.queued().await;
    got.sort_by_key(|message| message["to"].to_string());
    let [ordered, event] = &got[..] else { panic!("{got:?}") };
    assert_eq!(event["body"]["id"], answer["Entries"][0]["EventId"]);
    assert_eq!(event["body"]["detail"], json!({ "n": 7 }));
    assert_eq!(event["by"], json!(["events.amazonaws.com", plain, ACCOUNT]));
    assert_eq!((&event["group"], &event["trace"]), (&Value::Null, &json!("Root=1")));
    assert_eq!(
        (&ordered["body"], &ordered["group"], &ordered["by"]),
        (&json!([7]), &json!("g"), &json!([ACCOUNT, ROLE]))
    );
    assert!(world.queued().await.is_empty());
}

#[tokio::test]
async fn a_group_gets_its_events_in_the_order_in_which_they_were_put() {
    let world = World::new();
    let target = json!({
        "Id": "t", "Arn": queue("q.fifo"), "SqsParameters": { "MessageGroupId": "g" }, "InputPath": "$.detail.n",
    });
    rule(&world, "r", target).await;
    for first in [0, 10, 20] {
        let entry =
            |n: i32| json!({ "Source": "app", "DetailType": "t", "Detail": json!({ "n": n }).to_string() });
        let entries: Vec<Value> = (first..first + 10).map(entry).collect();
        world.done("PutEvents", json!({ "Entries": entries })).await;
    }
    let got: Vec<i64> = world.queued().await.iter().map(|m| m["body"].as_i64().unwrap()).collect();
    assert_eq!(got, (0..30).collect::<Vec<_>>());
}

#[tokio::test]
async fn what_no_attempt_can_change_is_a_dead_letter_at_once() {
    let world = World::new();
    let target = |arn: String| json!({ "Id": "t", "Arn": arn, "Input": "1", "DeadLetterConfig": { "Arn": queue("dead") } });
    let bus = format!("arn:aws:events:{REGION}:111111111111:event-bus/b");
    rule(&world, "gone", target(queue("gone"))).await;
    let closed = rule(&world, "closed", target(queue("closed"))).await;
    rule(&world, "function", target(function("refused"))).await;
    let to_bus = json!({ "Id": "t", "Arn": bus, "DeadLetterConfig": { "Arn": queue("dead") } });
    rule(&world, "bus", to_bus).await;
    let answer = world.put(json!({ "n": 1 })).await;
    let got = world.queued().await;
    assert_eq!(got.len(), 4);
    for (name, code) in [
        ("gone", "NO_RESOURCE"),
        ("closed", "NO_PERMISSIONS"),
        ("function", "NO_PERMISSIONS"),
        ("bus", "NO_PERMISSIONS"),
    ] {
        let letter = letter(&got, name);
        assert_eq!((&letter["to"], &letter["attributes"]["ERROR_CODE"]), (&json!("dead"), &json!(code)));
        assert_eq!(letter["attributes"]["RETRY_ATTEMPTS"], "0");
        // The event as it came, whatever the target was to get.
        assert_eq!(letter["body"]["id"], answer["Entries"][0]["EventId"]);
    }
    let letter = letter(&got, "closed");
    assert_eq!(letter["by"], json!(["events.amazonaws.com", closed, ACCOUNT]));
    let attributes = &letter["attributes"];
    assert_eq!(
        (&attributes["TARGET_ARN"], &attributes["RULE_ARN"]),
        (&json!(queue("closed")), &json!(closed))
    );
    assert_eq!(attributes["ERROR_MESSAGE"], PushRefusal::Denied.to_string());
    assert_eq!(attributes["EXHAUSTED_RETRY_CONDITION"], Value::Null);
}

#[tokio::test]
async fn a_retry_policy_ends_attempts_by_their_number_or_the_events_age() {
    let world = World::new();
    let target = |retry: Value| json!({ "Id": "t", "Arn": queue("busy"), "RetryPolicy": retry, "DeadLetterConfig": { "Arn": queue("dead") } });
    rule(&world, "few", target(json!({ "MaximumRetryAttempts": 2 }))).await;
    rule(&world, "young", target(json!({ "MaximumEventAgeInSeconds": 60 }))).await;
    rule(&world, "patient", target(json!({ "MaximumRetryAttempts": 185 }))).await;
    world.put(json!({})).await;
    let mut ends = Vec::new();
    for second in 0..100 {
        for letter in world.queued().await {
            let attributes = &letter["attributes"];
            let rule = attributes["RULE_ARN"].as_str().unwrap().rsplit('/').next().unwrap().to_owned();
            ends.push((
                rule,
                second,
                attributes["EXHAUSTED_RETRY_CONDITION"].clone(),
                attributes["RETRY_ATTEMPTS"].clone(),
            ));
        }
        world.pass(1);
    }
    assert_eq!(
        ends,
        [
            ("few".to_owned(), 3, json!("MaximumRetryAttempts"), json!("2")),
            // After 1, 2, 4, 8 and 16 seconds; the next attempt would come after a minute.
            ("young".to_owned(), 31, json!("MaximumEventAgeInSeconds"), json!("5")),
        ]
    );
}

#[tokio::test]
async fn what_waits_for_a_queue_survives_a_restart() {
    let world = World::new();
    rule(&world, "r", json!({ "Id": "t", "Arn": queue("q") })).await;
    world.put(json!({})).await;
    assert_eq!(world.restarted().queued().await.len(), 1);
}

#[tokio::test]
async fn the_outbox_brings_what_is_put_while_it_runs() {
    let world = World::new();
    rule(
        &world,
        "r",
        json!({ "Id": "t", "Arn": queue("gone"), "DeadLetterConfig": { "Arn": queue("dead") } }),
    )
    .await;
    let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
    let run = world.events.run_outbox(async {
        let _ = stopped.await;
    });
    let story = async {
        tokio::task::yield_now().await;
        world.put(json!({})).await;
        while !world.queues.has_any() {
            tokio::task::yield_now().await;
        }
        let _ = stop.send(());
    };
    tokio::join!(run, story);
    assert_eq!(world.queued().await[0]["to"], "dead");
}

async fn schedule(world: &World, name: &str, target: Value) {
    let mut full = json!({ "RoleArn": ROLE });
    full.as_object_mut().unwrap().extend(target.as_object().unwrap().clone());
    let input = json!({
        "ScheduleExpression": "rate(1 hour)", "FlexibleTimeWindow": { "Mode": "OFF" }, "Target": full,
    });
    world.rest("POST", &format!("/schedules/{name}"), input.clone()).await;
    let shown = world.rest("GET", &format!("/schedules/{name}"), Value::Null).await;
    for member in ["DeadLetterConfig", "SqsParameters"] {
        assert_eq!(shown["Target"][member], input["Target"][member]);
    }
}

#[tokio::test]
async fn a_schedule_sends_its_input_to_a_queue_as_its_role() {
    let world = World::new();
    let input = "<aws.scheduler.scheduled-time> <aws.scheduler.attempt-number>, any text";
    schedule(&world, "a", json!({ "Arn": queue("a"), "Input": input })).await;
    let group = json!({ "MessageGroupId": "g" });
    schedule(&world, "b", json!({ "Arn": queue("b.fifo"), "SqsParameters": group })).await;
    world.pass(3_600);
    assert_eq!(world.events.fire_due_once().await, Ok(2));
    let mut got = world.queued().await;
    got.sort_by_key(|message| message["to"].to_string());
    let [a, b] = &got[..] else { panic!("{got:?}") };
    assert_eq!((&a["body"], &a["by"]), (&json!("2026-11-20T11:07:30Z 1, any text"), &json!([ACCOUNT, ROLE])));
    assert_eq!((&b["group"], &b["body"]["source"]), (&json!("g"), &json!("aws.scheduler")));
}

#[tokio::test]
async fn a_schedules_dead_letter_says_what_became_of_it() {
    let world = World::new();
    let dead = json!({ "Arn": queue("dead") });
    schedule(
        &world,
        "f",
        json!({ "Arn": function("refused"), "Input": r#"{"a":1}"#, "DeadLetterConfig": dead }),
    )
    .await;
    let retry = json!({ "MaximumRetryAttempts": 1 });
    schedule(
        &world,
        "q",
        json!({ "Arn": queue("busy"), "Input": "<aws.scheduler.attempt-number>", "DeadLetterConfig": dead, "RetryPolicy": retry }),
    )
    .await;
    world.pass(3_600);
    world.events.fire_due_once().await.unwrap();
    let first = world.queued().await;
    world.pass(1);
    let second = world.queued().await;
    let ([f], [q]) = (&first[..], &second[..]) else { panic!("{first:?} {second:?}") };
    assert_eq!((&f["body"], &f["by"]), (&json!({ "a": 1 }), &json!([ACCOUNT, ROLE])));
    let arn = format!("arn:aws:scheduler:{REGION}:{ACCOUNT}:schedule/default/f");
    assert_eq!(
        f["attributes"],
        json!({
            "SCHEDULE_ARN": arn, "TARGET_ARN": function("refused"), "EXECUTION_ID": f["attributes"]["EXECUTION_ID"],
            "SCHEDULED_TIME": "2026-11-20T11:07:30Z", "ERROR_CODE": "AccessDeniedException", "RETRY_ATTEMPTS": "0",
            "ERROR_MESSAGE": "the function's policy does not allow it", "IS_PAYLOAD_TRUNCATED": "false",
        })
    );
    assert_eq!(
        (&q["body"], &q["attributes"]["EXHAUSTED_RETRY_CONDITION"]),
        (&json!(2), &json!("MaximumRetryAttempts"))
    );
}
