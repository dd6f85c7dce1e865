//! UpdateFunctionCode and UpdateFunctionConfiguration.

use std::sync::Arc;

use lambent_store::functions::{Command, FunctionRecord, FunctionStore as _};
use serde_json::json;

use crate::world::*;

const STALE: &str = "The Revision Id provided does not match the latest Revision Id. Call the GetFunction/GetAlias API \
                     to retrieve the latest Revision Id";

#[tokio::test]
async fn an_update_is_in_progress_and_then_successful() {
    let world = World::with(&["f"]).await;
    let before = world.configuration("f").await;
    world.clock.advance(std::time::Duration::from_secs(1));
    let reply = world.configure("f", json!({ "Timeout": 5 })).await.ok();
    assert_eq!((&reply["State"], &reply["LastUpdateStatus"]), (&json!("Active"), &json!("InProgress")));
    assert_eq!(reply["LastUpdateStatusReasonCode"], "Creating");
    assert_ne!(reply["RevisionId"], before["RevisionId"]);
    assert_ne!(reply["LastModified"], before["LastModified"]);
    world.functions.settle().await;
    let after = world.configuration("f").await;
    assert_eq!((&after["Timeout"], &after["LastUpdateStatus"]), (&json!(5), &json!("Successful")));
}

#[tokio::test]
async fn updates_one_after_another_need_no_waiting() {
    let world = World::new();
    world.create(&minimal("f")).await.ok();
    // The worker has not run: each request brings the function to rest itself.
    for timeout in 1..5 {
        world.configure("f", json!({ "Timeout": timeout })).await.ok();
    }
    world.update_code("f", "new").await;
    assert_eq!(world.configuration("f").await["Timeout"], 4);
}

#[tokio::test]
async fn environments_of_the_older_revision_are_retired() {
    let world = World::with(&["f"]).await;
    let code = world.update_code("f", "new").await;
    let (arn_retired, spec) = world.invoke.retired.lock().unwrap().last().unwrap().clone();
    assert_eq!(arn_retired, arn("f"));
    assert_eq!(spec.unwrap().revision.as_str(), code["RevisionId"].as_str().unwrap());
    world.configure("f", json!({ "MemorySize": 256 })).await.ok();
    assert_eq!(world.invoke.retired.lock().unwrap().last().unwrap().1.as_ref().unwrap().memory_mb, 256);
}

#[tokio::test]
async fn the_same_code_again_is_a_new_revision() {
    let world = World::with(&["f"]).await;
    let before = world.configuration("f").await;
    let after = world.update_code("f", "code").await;
    assert_eq!(after["CodeSha256"], before["CodeSha256"]);
    assert_ne!(after["RevisionId"], before["RevisionId"]);
}

#[tokio::test]
async fn a_stale_revision_changes_nothing() {
    let world = World::with(&["f"]).await;
    let stale = "00000000-0000-4000-8000-000000000000";
    let body = json!({ "Timeout": 9, "RevisionId": stale });
    world.configure("f", body).await.is_fault(412, "PreconditionFailedException", STALE);
    let body = json!({ "ZipFile": zip("new"), "RevisionId": stale });
    world.put("/2015-03-31/functions/f/code", &body).await.is_fault(
        412,
        "PreconditionFailedException",
        STALE,
    );
    let current = world.configuration("f").await;
    assert_eq!(current["Timeout"], 3);
    world.configure("f", json!({ "Timeout": 9, "RevisionId": current["RevisionId"] })).await.ok();
}

#[tokio::test]
async fn a_dry_run_answers_and_changes_nothing() {
    let world = World::with(&["f"]).await;
    let before = world.configuration("f").await;
    let writes = world.writes();
    let body = json!({ "ZipFile": zip("new"), "DryRun": true, "Publish": true });
    let reply = world.put("/2015-03-31/functions/f/code", &body).await.ok();
    assert_ne!(reply["CodeSha256"], before["CodeSha256"]);
    assert_eq!(world.configuration("f").await, before);
    assert_eq!(world.writes(), writes);
    assert!(world.invoke.retired.lock().unwrap().is_empty());
}

#[tokio::test]
async fn an_update_of_code_can_publish() {
    let world = World::with(&["f"]).await;
    let body = json!({ "ZipFile": zip("new"), "Publish": true });
    let reply = world.put("/2015-03-31/functions/f/code", &body).await.ok();
    assert_eq!((&reply["Version"], &reply["FunctionArn"]), (&json!("1"), &json!(format!("{}:1", arn("f")))));
    world.functions.settle().await;
    let found = world.get("/2015-03-31/functions/f/configuration?Qualifier=1").await.ok();
    assert_eq!((&found["State"], &found["CodeSha256"]), (&json!("Active"), &reply["CodeSha256"]));
}

#[tokio::test]
async fn of_two_writers_at_once_one_wins() {
    let world = World::with(&["f"]).await;
    let record = world.store.inner.function(&world.key("f")).unwrap();
    let mut other = FunctionRecord { generation: record.generation + 1, ..(*record).clone() };
    other.tags.insert("by".into(), "another".into());
    let command = Command::PutFunction { record: Arc::new(other), expected: record.generation };
    *world.store.first.lock().unwrap() = Some(vec![command]);
    let message = format!(
        "The operation cannot be performed at this time. An update is in progress for resource: {}",
        arn("f")
    );
    let reply = world.configure("f", json!({ "Timeout": 9 })).await;
    reply.is_fault(409, "ResourceConflictException", &message);
    world.configure("f", json!({ "Timeout": 9 })).await.ok();
    assert_eq!(world.get("/2015-03-31/functions/f").await.ok()["Tags"], json!({ "by": "another" }));
}

#[tokio::test]
async fn the_worker_is_no_other_writer() {
    let world = World::with(&["f"]).await;
    let record = world.store.inner.function(&world.key("f")).unwrap();
    // The same function with another generation: what is left when the worker came between.
    let settled = FunctionRecord { generation: record.generation + 1, ..(*record).clone() };
    let command = Command::PutFunction { record: Arc::new(settled), expected: record.generation };
    *world.store.first.lock().unwrap() = Some(vec![command]);
    world.configure("f", json!({ "Timeout": 9 })).await.ok();
    assert_eq!(world.configuration("f").await["Timeout"], 9);
}

#[tokio::test]
async fn an_unknown_function_is_not_found() {
    let world = World::new();
    let message = format!("Function not found: {}", arn("f"));
    world.configure("f", json!({})).await.is_fault(404, "ResourceNotFoundException", &message);
    let body = json!({ "ZipFile": zip("x") });
    let reply = world.put("/2015-03-31/functions/f/code", &body).await;
    reply.is_fault(404, "ResourceNotFoundException", &message);
}

#[tokio::test]
async fn an_update_without_code_is_refused() {
    let world = World::with(&["f"]).await;
    let reply = world.put("/2015-03-31/functions/f/code", &json!({})).await;
    reply.is_fault(400, "InvalidParameterValueException", "Please provide a source for function code.");
}
