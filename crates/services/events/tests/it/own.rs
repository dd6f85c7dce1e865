//! What the node tells of itself.

use lambent_core::ids::{AccountId, Region};
use lambent_core::ports::{Change, ChangeKind, Changes as _};
use serde_json::json;

use crate::world::{ACCOUNT, REGION, World, function, queue};

#[tokio::test]
async fn a_change_is_an_event_on_the_default_bus_of_its_account() {
    let world = World::new();
    world.done("PutRule", json!({ "Name": "r", "EventPattern": r#"{"source":["lambent"]}"# })).await;
    world.target("r", json!({ "Id": "t", "Arn": queue("q") })).await;
    let change = |account: &str| Change {
        account: AccountId::new(account).unwrap(),
        region: Region::new(REGION).unwrap(),
        kind: ChangeKind::FunctionUpdated,
        resource: function("f"),
        detail: r#"{"operation":"UpdateFunctionCode"}"#.into(),
    };
    world.events.tell(change(ACCOUNT)).await;
    world.events.tell(change("111111111111")).await;
    // It survives the node.
    let world = world.restarted();
    let got = world.queued().await;
    let [message] = &got[..] else { panic!("{got:?}") };
    let event = &message["body"];
    assert_eq!(
        (&event["source"], &event["detail-type"], &event["resources"], &event["detail"]),
        (
            &json!("lambent"),
            &json!("Lambda Function Updated"),
            &json!([function("f")]),
            &json!({ "operation": "UpdateFunctionCode" })
        )
    );
    assert_eq!((&event["account"], &event["time"]), (&json!(ACCOUNT), &json!("2026-11-20T10:07:30Z")));
}

#[tokio::test]
async fn nobody_else_puts_events_of_the_nodes_source() {
    let world = World::new();
    for source in ["lambent", "lambent.more"] {
        let entry = json!({ "Source": source, "DetailType": "t", "Detail": "{}" });
        let answer = world.done("PutEvents", json!({ "Entries": [entry] })).await;
        assert_eq!(answer["Entries"][0]["ErrorCode"], "NotAuthorizedForSourceException");
        let schedule = json!({
            "ScheduleExpression": "rate(1 hour)", "FlexibleTimeWindow": { "Mode": "OFF" },
            "Target": {
                "Arn": format!("arn:aws:events:{REGION}:{ACCOUNT}:event-bus/default"),
                "RoleArn": "arn:aws:iam::000000000000:role/r",
                "EventBridgeParameters": { "Source": source, "DetailType": "t" },
            },
        });
        let (status, _, message) = world.rest_refused("POST", "/schedules/s", schedule).await;
        assert_eq!((status, message.contains("lambent")), (400, true), "{message}");
    }
    assert_eq!(world.called().await, Vec::<String>::new());
}
