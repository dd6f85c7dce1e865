//! Buses, as other services send to them.

use lambent_core::ids::AccountId;
use lambent_core::ports::{EventHead, Push, PushRefusal, Pusher, QueueSink as _};
use serde_json::json;

use crate::world::{ACCOUNT, REGION, World, queue};

fn bus(name: &str) -> String {
    format!("arn:aws:events:{REGION}:{ACCOUNT}:event-bus/{name}")
}

fn push(detail: &str) -> Push {
    let head = EventHead {
        source: "lambda".into(),
        detail_type: "Lambda Function Invocation Result - Success".into(),
        resources: vec!["a".into(), "b".into()],
    };
    Push { body: detail.into(), event: Some(head), trace_header: Some("Root=1".into()), ..Push::default() }
}

async fn send(world: &World, account: &str, bus: &str, message: Push) -> Result<String, PushRefusal> {
    let account = AccountId::new(account).unwrap();
    let role = format!("arn:aws:iam::{account}:role/r");
    world.events.push(bus, Pusher::Role { account: &account, arn: &role }, message).await
}

#[tokio::test]
async fn what_a_service_sends_is_an_event_that_survives_the_node() {
    let world = World::new();
    world.done("CreateEventBus", json!({ "Name": "b" })).await;
    let rule = json!({ "Name": "r", "EventBusName": "b", "EventPattern": r#"{"source":["lambda"]}"# });
    world.done("PutRule", rule).await;
    let target = json!({ "Rule": "r", "EventBusName": "b", "Targets": [{ "Id": "t", "Arn": queue("q") }] });
    world.done("PutTargets", target).await;
    let id = send(&world, ACCOUNT, &bus("b"), push(r#"{"a":1}"#)).await.unwrap();
    let world = world.restarted();
    let got = world.queued().await;
    let [message] = &got[..] else { panic!("{got:?}") };
    assert_eq!(
        message["body"],
        json!({
            "version": "0", "id": id, "source": "lambda", "account": ACCOUNT, "region": REGION,
            "detail-type": "Lambda Function Invocation Result - Success", "time": message["body"]["time"],
            "resources": ["a", "b"], "detail": { "a": 1 },
        })
    );
    assert_eq!(message["trace"], "Root=1");
}

#[tokio::test]
async fn what_a_bus_does_not_take_is_told() {
    let world = World::new();
    let gone = send(&world, ACCOUNT, &bus("gone"), push("{}")).await;
    assert_eq!(gone, Err(PushRefusal::NoQueue { arn: bus("gone") }));
    assert_eq!(send(&world, "111111111111", &bus("default"), push("{}")).await, Err(PushRefusal::Denied));
    let no_event = Push { event: None, ..push("{}") };
    let too_large = push(&format!("{{\"a\":\"{}\"}}", "x".repeat(1_048_576)));
    for bad in [push("7"), push("no JSON"), no_event, too_large] {
        let refused = send(&world, ACCOUNT, &bus("default"), bad).await;
        assert!(matches!(refused, Err(PushRefusal::Invalid { .. })), "{refused:?}");
    }
    let policy = json!({ "Action": "events:PutEvents", "Principal": "111111111111", "StatementId": "s" });
    world.done("PutPermission", policy).await;
    send(&world, "111111111111", &bus("default"), push("{}")).await.unwrap();
}
