//! Calls that go round in a loop.

use serde_json::{Value, json};

use crate::world::*;

const ADDRESS: &str = "/2024-08-31/functions/f/recursion-config";
const TRACE: &str = "x-amzn-trace-id";

/// The trace header of a call that came through the function so many times, as an SDK hands it on.
async fn gone_round(world: &World, times: usize) -> String {
    let mut header = "Root=1-2-3;Sampled=0".to_owned();
    for _ in 0..times {
        world.call("f", &[(TRACE, &header)], "{}").await.ok();
        header = world.last_call().trace_header.unwrap();
    }
    header
}

#[tokio::test]
async fn the_seventeenth_call_of_a_loop_is_stopped_unless_the_function_allows_it() {
    let world = World::with(&["f", "g"]).await;
    assert_eq!(world.get(ADDRESS).await.ok(), json!({ "RecursiveLoop": "Terminate" }));
    let header = gone_round(&world, 16).await;
    assert!(header.starts_with("Root=1-2-3;Sampled=0;Lineage=16:"), "{header}");
    let calls = world.invoke.calls.lock().unwrap().len();
    let stopped = world.call("f", &[(TRACE, &header)], "{}").await;
    stopped.is_fault(400, "RecursiveInvocationException", "recursive loop");
    assert_eq!(world.invoke.calls.lock().unwrap().len(), calls);
    world.call("f", &[], "{}").await.ok();
    world.call("g", &[(TRACE, &header)], "{}").await.ok();

    let allow = json!({ "RecursiveLoop": "Allow" });
    assert_eq!(world.put(ADDRESS, &allow).await.ok(), allow);
    assert_eq!(world.get(ADDRESS).await.ok(), allow);
    world.call("f", &[(TRACE, &header)], "{}").await.ok();
    world.put(ADDRESS, &json!({ "RecursiveLoop": "Terminate" })).await.ok();
    world.call("f", &[(TRACE, &header)], "{}").await.is_fault(400, "RecursiveInvocationException", "");
}

#[tokio::test]
async fn an_event_that_goes_round_ends_at_its_destination() {
    let world = World::with(&["f", "g"]).await;
    let config = json!({ "DestinationConfig": { "OnFailure": { "Destination": arn("g") } } });
    world.put("/2019-09-25/functions/f/event-invoke-config", &config).await.ok();
    let header = gone_round(&world, 16).await;
    let accepted = world.call("f", &[("x-amz-invocation-type", "Event"), (TRACE, &header)], "{}").await;
    assert_eq!(accepted.status, 202);
    world.functions.run_due_events().await.unwrap();
    world.functions.run_due_events().await.unwrap();
    let told = world.last_call();
    assert_eq!(told.invoked_arn, arn("g"));
    let record: Value = serde_json::from_slice(&told.payload).unwrap();
    assert_eq!(record["requestContext"]["condition"], "RecursiveInvocation");
    assert_eq!(record["requestContext"]["approximateInvokeCount"], 0);
}

#[tokio::test]
async fn the_setting_has_two_values() {
    let world = World::with(&["f"]).await;
    world.put(ADDRESS, &json!({})).await.is_fault(400, "ValidationException", "recursiveLoop");
    let other = json!({ "RecursiveLoop": "Perhaps" });
    world.put(ADDRESS, &other).await.is_fault(400, "ValidationException", "[Allow, Terminate]");
    let none = "/2024-08-31/functions/none/recursion-config";
    world.get(none).await.is_fault(404, "ResourceNotFoundException", "none");
}
