//! Reserved concurrency.

use serde_json::json;

use crate::world::*;

async fn put(world: &World, name: &str, reserved: i64) -> Reply {
    let body = json!({ "ReservedConcurrentExecutions": reserved });
    world.put(&format!("/2017-10-31/functions/{name}/concurrency"), &body).await
}

#[tokio::test]
async fn a_reservation_is_kept_and_reaches_the_call() {
    let world = World::with(&["f", "g"]).await;
    assert_eq!(world.get("/2019-09-30/functions/f/concurrency").await.ok(), json!({}));
    assert_eq!(put(&world, "f", 7).await.ok(), json!({ "ReservedConcurrentExecutions": 7 }));
    let found = world.get("/2019-09-30/functions/f/concurrency").await.ok();
    assert_eq!(found, json!({ "ReservedConcurrentExecutions": 7 }));
    world.call("f", &[], "").await.ok();
    assert_eq!(
        (world.last_call().reserved_concurrency, world.last_call().unreserved_concurrency),
        (Some(7), 993)
    );
    world.call("g", &[], "").await.ok();
    assert_eq!(
        (world.last_call().reserved_concurrency, world.last_call().unreserved_concurrency),
        (None, 993)
    );
    assert_eq!(world.delete("/2017-10-31/functions/f/concurrency").await.status, 204);
    assert_eq!(world.get("/2019-09-30/functions/f/concurrency").await.ok(), json!({}));
    world.call("f", &[], "").await.ok();
    assert_eq!(
        (world.last_call().reserved_concurrency, world.last_call().unreserved_concurrency),
        (None, 1_000)
    );
}

#[tokio::test]
async fn a_hundred_always_stay_for_the_others() {
    let world = World::with(&["f", "g"]).await;
    put(&world, "f", 800).await.ok();
    let message = "Specified ReservedConcurrentExecutions for function decreases account's \
                   UnreservedConcurrentExecution below its minimum value of [100].";
    put(&world, "g", 101).await.is_fault(400, "InvalidParameterValueException", message);
    put(&world, "g", 100).await.ok();
    put(&world, "f", 801).await.is_fault(400, "InvalidParameterValueException", message);
    put(&world, "f", 0).await.ok();
    let settings = world.get("/2016-08-19/account-settings").await.ok();
    assert_eq!(settings["AccountLimit"]["UnreservedConcurrentExecutions"], 900);
}

#[tokio::test]
async fn a_reservation_is_a_number_of_a_function_that_is_there() {
    let world = World::with(&["f"]).await;
    put(&world, "f", -1).await.is_fault(400, "ValidationException", "reservedConcurrentExecutions");
    put(&world, "none", 1).await.is_fault(404, "ResourceNotFoundException", "Function not found");
    let reply = world.put("/2017-10-31/functions/f/concurrency", &json!({})).await;
    reply.is_fault(400, "ValidationException", "Value null at 'reservedConcurrentExecutions'");
}
