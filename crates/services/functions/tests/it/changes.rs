//! What functions tell of their changes.

use serde_json::{Value, json};

use crate::world::{World, zip};

const FUNCTIONS: &str = "/2015-03-31/functions";

/// Kind, operation and qualifier of each.
fn told(world: &World) -> Vec<(&'static str, String, Value)> {
    let short = |(kind, detail): (&'static str, Value)| {
        let kind = kind.strip_prefix("Lambda Function ").unwrap();
        (kind, detail["operation"].as_str().unwrap().to_owned(), detail["qualifier"].clone())
    };
    world.changes.take().into_iter().map(short).collect()
}

fn one(kind: &'static str, operation: &str, qualifier: Value) -> Vec<(&'static str, String, Value)> {
    vec![(kind, operation.to_owned(), qualifier)]
}

#[tokio::test]
async fn each_change_is_told_of_when_it_is_made_and_only_then() {
    let world = World::with(&["f"]).await;
    assert_eq!(told(&world), one("Created", "CreateFunction", Value::Null));

    world.put(&format!("{FUNCTIONS}/f/code"), &json!({ "ZipFile": zip("b"), "DryRun": true })).await.ok();
    assert_eq!(told(&world), []);
    world.update_code("f", "b").await;
    assert_eq!(told(&world), one("Updated", "UpdateFunctionCode", Value::Null));
    world.configure("f", json!({ "Description": "d" })).await.ok();
    assert_eq!(told(&world), one("Updated", "UpdateFunctionConfiguration", Value::Null));

    world.publish("f").await;
    assert_eq!(told(&world), one("Updated", "PublishVersion", json!("1")));
    // Nothing has changed since.
    world.publish("f").await;
    assert_eq!(told(&world), []);

    let alias = json!({ "Name": "a", "FunctionVersion": "1" });
    world.post(&format!("{FUNCTIONS}/f/aliases"), &alias).await.ok();
    assert_eq!(told(&world), one("Updated", "CreateAlias", json!("a")));
    world.put(&format!("{FUNCTIONS}/f/aliases/a"), &json!({ "Description": "d" })).await.ok();
    assert_eq!(told(&world), one("Updated", "UpdateAlias", json!("a")));
    world.delete(&format!("{FUNCTIONS}/f/aliases/a")).await;
    assert_eq!(told(&world), one("Updated", "DeleteAlias", json!("a")));

    let concurrency = "/2017-10-31/functions/f/concurrency";
    world.put(concurrency, &json!({ "ReservedConcurrentExecutions": 5 })).await.ok();
    assert_eq!(told(&world), one("Updated", "PutFunctionConcurrency", Value::Null));
    world.delete(concurrency).await;
    assert_eq!(told(&world), one("Updated", "DeleteFunctionConcurrency", Value::Null));

    world.delete(&format!("{FUNCTIONS}/f?Qualifier=1")).await;
    assert_eq!(told(&world), one("Updated", "DeleteFunction", json!("1")));
    world.delete(&format!("{FUNCTIONS}/f")).await;
    assert_eq!(told(&world), one("Deleted", "DeleteFunction", Value::Null));
    assert_eq!(world.delete(&format!("{FUNCTIONS}/f")).await.status, 404);
    assert_eq!(told(&world), []);
}

#[tokio::test]
async fn a_change_says_what_the_function_is_now() {
    let world = World::with(&["f"]).await;
    world.changes.take();
    let answer = world.update_code("f", "b").await;
    let [(_, detail)] = &world.changes.take()[..] else { panic!("one change") };
    assert_eq!((&detail["functionName"], &detail["codeSha256"]), (&json!("f"), &answer["CodeSha256"]));
    assert_eq!((&detail["revisionId"], &detail["runtime"]), (&answer["RevisionId"], &answer["Runtime"]));
}
