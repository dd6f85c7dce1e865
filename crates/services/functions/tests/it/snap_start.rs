//! SnapStart: who may have it, and what becomes of versions that wait for their snapshot.

use lambent_core::ports::{InvokeRefusal, SnapshotFailure};
use serde_json::{Value, json};

use crate::world::*;

const INVALID: &str = "InvalidParameterValueException";
const VERSIONS: &str = "/2015-03-31/functions/f/versions";

fn on() -> Value {
    json!({ "SnapStart": { "ApplyOn": "PublishedVersions" } })
}

async fn with_snap_start() -> World {
    let world = World::new();
    world.create_with("f", on()).await.ok();
    world.functions.settle().await;
    world
}

async fn of(world: &World, version: &str) -> Value {
    world.get(&format!("/2015-03-31/functions/f/configuration?Qualifier={version}")).await.ok()
}

async fn call(world: &World, query: &str) -> Reply {
    world.post(&format!("/2015-03-31/functions/f/invocations{query}"), &json!({})).await
}

/// Runs what makes snapshots until nothing waits for it any more.
async fn make_all(world: &World) {
    let settled = async {
        while world.invoke.asked.lock().unwrap().is_empty() || of(world, "1").await["State"] == "Pending" {
            tokio::task::yield_now().await;
        }
    };
    tokio::select! { () = world.functions.run_snapshots() => {}, () = settled => {} }
}

#[tokio::test]
async fn a_version_waits_for_its_snapshot_and_the_unpublished_function_does_not() {
    let world = with_snap_start().await;
    let latest = world.configuration("f").await;
    assert_eq!(latest["State"], "Active");
    assert_eq!(latest["SnapStart"], json!({ "ApplyOn": "PublishedVersions", "OptimizationStatus": "Off" }));
    let published = world.post(VERSIONS, &json!({})).await.ok();
    assert_eq!((&published["State"], &published["StateReasonCode"]), (&json!("Pending"), &json!("Creating")));
    call(&world, "?Qualifier=1").await.is_fault(409, "SnapStartNotReadyException", "initializing");
    make_all(&world).await;
    let version = of(&world, "1").await;
    assert_eq!(version["State"], "Active");
    assert_eq!(version["SnapStart"], json!({ "ApplyOn": "PublishedVersions", "OptimizationStatus": "On" }));
    assert_eq!(*world.invoke.asked.lock().unwrap(), ["1"]);
    assert_eq!(world.configuration("f").await["SnapStart"]["OptimizationStatus"], "Off");
    call(&world, "?Qualifier=1").await.ok();
}

#[tokio::test]
async fn one_that_can_not_be_made_fails_the_version_and_says_why() {
    let world = with_snap_start().await;
    let failure = SnapshotFailure::Function { code: "FunctionError", reason: "2 threads: a, b".to_owned() };
    world.invoke.snapshots.lock().unwrap().push_back(Err(failure));
    world.post(VERSIONS, &json!({})).await.ok();
    make_all(&world).await;
    let version = of(&world, "1").await;
    assert_eq!(version["State"], "Failed");
    assert_eq!(version["StateReason"], "2 threads: a, b");
    assert_eq!(version["StateReasonCode"], "FunctionError");
    assert_eq!(version["SnapStart"]["OptimizationStatus"], "Off");
    call(&world, "?Qualifier=1").await.is_fault(409, "ResourceConflictException", "2 threads: a, b");
}

#[tokio::test(start_paused = true)]
async fn a_host_without_room_is_asked_again() {
    let world = with_snap_start().await;
    let crowded = SnapshotFailure::Host { detail: "no memory".to_owned() };
    world.invoke.snapshots.lock().unwrap().push_back(Err(crowded));
    world.post(VERSIONS, &json!({})).await.ok();
    let settled = async {
        while of(&world, "1").await["State"] == "Pending" {
            tokio::time::sleep(std::time::Duration::from_millis(50)).await;
        }
    };
    tokio::select! { () = world.functions.run_snapshots() => {}, () = settled => {} }
    assert_eq!(of(&world, "1").await["State"], "Active");
    assert_eq!(*world.invoke.asked.lock().unwrap(), ["1", "1"]);
}

#[tokio::test]
async fn a_node_that_starts_keeps_what_is_made_and_makes_what_is_not() {
    let world = with_snap_start().await;
    world.post(VERSIONS, &json!({})).await.ok();
    make_all(&world).await;
    world.configure("f", json!({ "Description": "changed", "Timeout": 9 })).await.ok();
    world.functions.settle().await;
    world.post(VERSIONS, &json!({})).await.ok();
    world.functions.keep_snapshots();
    assert_eq!(*world.invoke.kept.lock().unwrap(), ["1", "2"]);
    let settled = async {
        while of(&world, "2").await["State"] == "Pending" {
            tokio::task::yield_now().await;
        }
    };
    tokio::select! { () = world.functions.run_snapshots() => {}, () = settled => {} }
    assert_eq!(*world.invoke.asked.lock().unwrap(), ["1", "2"]);
}

#[tokio::test]
async fn runtimes_without_it_and_large_storage_are_refused_by_name() {
    for (more, what) in [
        (json!({ "Runtime": "python3.11" }), "python3.11 is not supported for SnapStart enabled functions."),
        (json!({ "Runtime": "nodejs22.x" }), "nodejs22.x is not supported for SnapStart enabled functions."),
        (
            json!({ "EphemeralStorage": { "Size": 513 } }),
            "Ephemeral storage greater than 512 MB is not supported",
        ),
    ] {
        let world = World::new();
        let mut asked = on();
        asked.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        world.create_with("f", asked).await.is_fault(400, INVALID, what);
        assert_eq!(world.writes(), 0);
        let world = with_snap_start().await;
        world.configure("f", more).await.is_fault(400, INVALID, what);
    }
    let world = World::new();
    let unknown = json!({ "SnapStart": { "ApplyOn": "Always" } });
    world.create_with("f", unknown).await.is_fault(400, "ValidationException", "snapStart.applyOn");
}

#[tokio::test]
async fn a_node_that_makes_no_snapshots_refuses_it_and_says_why() {
    let world = World::new();
    *world.invoke.no_snapshots.lock().unwrap() = Some("an old kernel".to_owned());
    world.create_with("f", on()).await.is_fault(400, INVALID, "an old kernel");
    world.create_with("f", json!({ "SnapStart": { "ApplyOn": "None" } })).await.ok();
    world.configure("f", on()).await.is_fault(400, INVALID, "an old kernel");
}

#[tokio::test]
async fn provisioned_concurrency_is_for_versions_without() {
    let world = with_snap_start().await;
    world.post(VERSIONS, &json!({})).await.ok();
    make_all(&world).await;
    let address = "/2019-09-30/functions/f/provisioned-concurrency?Qualifier=1";
    let asked = json!({ "ProvisionedConcurrentExecutions": 1 });
    let what = "Provisioned Concurrency is not supported for SnapStart enabled functions.";
    world.put(address, &asked).await.is_fault(400, INVALID, what);
    world
        .post("/2015-03-31/functions/f/aliases", &json!({ "Name": "live", "FunctionVersion": "1" }))
        .await
        .ok();
    world.put(&address.replace("=1", "=live"), &asked).await.is_fault(400, INVALID, what);
}

#[tokio::test]
async fn turning_it_off_is_a_change_and_later_versions_wait_for_nothing() {
    let world = with_snap_start().await;
    world.post(VERSIONS, &json!({})).await.ok();
    world.configure("f", json!({ "SnapStart": { "ApplyOn": "None" } })).await.ok();
    world.functions.settle().await;
    let published = world.post(VERSIONS, &json!({})).await.ok();
    assert_eq!((&published["Version"], &published["State"]), (&json!("2"), &json!("Active")));
    assert_eq!(published["SnapStart"], json!({ "ApplyOn": "None", "OptimizationStatus": "Off" }));
}

#[tokio::test]
async fn failures_after_a_restore_are_the_references() {
    let world = with_snap_start().await;
    for (refusal, status, code) in [
        (InvokeRefusal::AfterRestore, 400, "SnapStartException"),
        (InvokeRefusal::AfterRestoreTimedOut, 408, "SnapStartTimeoutException"),
    ] {
        *world.invoke.next.lock().unwrap() = Some(Err(refusal));
        call(&world, "").await.is_fault(status, code, "");
    }
}
