use serde_json::json;

use crate::world::{ACCOUNT, REGION, World, function};

async fn scheduled(world: &World, name: &str, expression: &str) {
    world.done("PutRule", json!({ "Name": name, "ScheduleExpression": expression })).await;
    world.target(name, json!({ "Id": "t", "Arn": function(name) })).await;
}

#[tokio::test]
async fn a_rule_fires_when_its_time_has_come_with_the_references_event() {
    let world = World::new();
    scheduled(&world, "r", "rate(5 minutes)").await;
    assert_eq!(world.events.fire_due_once().await, Ok(0));
    world.pass(299);
    assert_eq!(world.events.fire_due_once().await, Ok(0));
    world.pass(1);
    assert_eq!(world.events.fire_due_once().await, Ok(1));
    let taken = world.taken().await;
    let arn = format!("arn:aws:events:{REGION}:{ACCOUNT}:rule/r");
    let event = &taken[0]["payload"];
    assert_eq!(
        *event,
        json!({
            "version": "0", "id": event["id"], "detail-type": "Scheduled Event", "source": "aws.events",
            "account": ACCOUNT, "time": "2026-11-20T10:12:30Z", "region": REGION, "resources": [arn], "detail": {},
        })
    );
    assert_eq!(taken[0]["by"], json!(["events.amazonaws.com", arn, ACCOUNT]));
    assert_eq!(world.events.fire_due_once().await, Ok(0));
}

#[tokio::test]
async fn no_moment_fires_twice_whatever_restarts_and_clocks_do() {
    let world = World::new();
    scheduled(&world, "r", "cron(* * * * ? *)").await;
    world.pass(60);
    assert_eq!(world.events.fire_due_once().await, Ok(1));
    let world = world.restarted();
    assert_eq!(world.events.fire_due_once().await, Ok(0));
    let before = world.now();
    world.clock.set(lambent_core::Timestamp::from_millis(before.as_millis() - 600_000));
    for _ in 0..10 {
        assert_eq!(world.events.fire_due_once().await, Ok(0));
        world.pass(60);
    }
    assert_eq!(world.now(), before);
    world.pass(60);
    assert_eq!(world.events.fire_due_once().await, Ok(1));
    assert_eq!(world.called().await.len(), 2);
}

#[tokio::test]
async fn of_missed_moments_the_last_fires_once_if_it_is_young_enough() {
    let world = World::new();
    scheduled(&world, "often", "cron(0/10 * * * ? *)").await;
    scheduled(&world, "daily", "cron(0 11 * * ? *)").await;
    scheduled(&world, "strict", "cron(0 11 * * ? *)").await;
    let strict =
        json!({ "Id": "t", "Arn": function("strict"), "RetryPolicy": { "MaximumEventAgeInSeconds": 3600 } });
    world.target("strict", strict).await;
    let world = world.restarted();
    world.pass(5 * 3_600);
    assert_eq!(world.events.fire_due_once().await, Ok(2));
    let taken = world.taken().await;
    let times: Vec<_> = taken
        .iter()
        .map(|body| (body["to"].as_str().unwrap(), body["payload"]["time"].as_str().unwrap()))
        .collect();
    assert!(
        times.contains(&("often", "2026-11-20T15:00:00Z"))
            && times.contains(&("daily", "2026-11-20T11:00:00Z")),
        "{times:?}"
    );
    assert_eq!(world.events.fire_due_once().await, Ok(0));
    world.pass(3 * 86_400);
    assert_eq!(world.events.fire_due_once().await, Ok(2));
}

#[tokio::test]
async fn what_was_disabled_changed_or_deleted_does_not_fire_by_its_old_state() {
    let world = World::new();
    for name in ["disabled", "changed", "deleted", "kept"] {
        scheduled(&world, name, "rate(5 minutes)").await;
    }
    world.done("DisableRule", json!({ "Name": "disabled" })).await;
    world.done("PutRule", json!({ "Name": "changed", "ScheduleExpression": "rate(7 minutes)" })).await;
    world.done("RemoveTargets", json!({ "Rule": "deleted", "Ids": ["t"] })).await;
    world.done("DeleteRule", json!({ "Name": "deleted" })).await;
    world.pass(301);
    world.events.fire_due_once().await.unwrap();
    assert_eq!(world.called().await, ["kept"]);
    // What was missed while it was disabled is not made up for.
    world.done("EnableRule", json!({ "Name": "disabled" })).await;
    world.pass(120);
    world.events.fire_due_once().await.unwrap();
    assert_eq!(world.called().await, ["changed"]);
    world.pass(200);
    world.events.fire_due_once().await.unwrap();
    assert_eq!(world.called().await, ["disabled", "kept"]);
}

#[tokio::test]
async fn the_firing_side_takes_changes_up_while_it_runs() {
    let world = World::new();
    let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
    let run = world.events.run_timers(async {
        let _ = stopped.await;
    });
    let story = async {
        scheduled(&world, "r", "rate(1 second)").await;
        world.pass(2);
        let told = || *world.functions.told.lock().unwrap();
        while told() == 0 {
            tokio::task::yield_now().await;
        }
        world.done("DisableRule", json!({ "Name": "r" })).await;
        let _ = stop.send(());
    };
    tokio::join!(run, story);
    assert_eq!(world.called().await, ["r"]);
}
