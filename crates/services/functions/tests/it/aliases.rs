//! Aliases and their weights.

use serde_json::{Value, json};

use crate::world::*;

const ALIASES: &str = "/2015-03-31/functions/f/aliases";

async fn with_versions() -> World {
    let world = World::with(&["f"]).await;
    world.publish_new("f", "one").await;
    world.publish_new("f", "two").await;
    world
}

fn weights(version: &str, share: f64) -> Value {
    json!({ "AdditionalVersionWeights": { version: share } })
}

#[tokio::test]
async fn an_alias_is_made_changed_and_deleted() {
    let world = with_versions().await;
    let reply =
        world.post(ALIASES, &json!({ "Name": "live", "FunctionVersion": "1", "Description": "d" })).await;
    assert_eq!(reply.status, 201);
    let made = reply.json();
    assert_eq!(made["AliasArn"], format!("{}:live", arn("f")));
    assert_eq!((&made["FunctionVersion"], &made["Description"]), (&json!("1"), &json!("d")));
    assert_eq!(made.get("RoutingConfig"), None);
    let live = format!("{ALIASES}/live");
    assert_eq!(world.get(&live).await.ok(), made);

    let changed = world.put(&live, &json!({ "FunctionVersion": "2" })).await.ok();
    assert_eq!((&changed["FunctionVersion"], &changed["Description"]), (&json!("2"), &json!("d")));
    assert_ne!(changed["RevisionId"], made["RevisionId"]);
    let stale = world.put(&live, &json!({ "Description": "", "RevisionId": made["RevisionId"] })).await;
    stale.is_fault(412, "PreconditionFailedException", "Call the GetFunction/GetAlias API");
    let found = world.get("/2015-03-31/functions/f/configuration?Qualifier=live").await.ok();
    assert_eq!((&found["Version"], &found["FunctionArn"]), (&json!("2"), &made["AliasArn"]));

    assert_eq!(world.delete(&live).await.status, 204);
    assert_eq!(world.delete(&live).await.status, 204);
    let message = format!("Cannot find alias arn: {}:live", arn("f"));
    world.get(&live).await.is_fault(404, "ResourceNotFoundException", &message);
    world.put(&live, &json!({})).await.is_fault(404, "ResourceNotFoundException", &message);
}

#[tokio::test]
async fn names_and_versions_of_aliases_are_judged() {
    let world = with_versions().await;
    let make = async |name: &str, version: &str| {
        world.post(ALIASES, &json!({ "Name": name, "FunctionVersion": version })).await
    };
    make("1", "1").await.is_fault(400, "ValidationException", "(?!^[0-9]+$)([a-zA-Z0-9-_]+)");
    make("a", "x").await.is_fault(400, "ValidationException", "at 'functionVersion'");
    make("a", "9").await.is_fault(
        404,
        "ResourceNotFoundException",
        &format!("Function not found: {}:9", arn("f")),
    );
    make("a", "$LATEST").await.ok();
    make("a", "1").await.is_fault(
        409,
        "ResourceConflictException",
        &format!("Alias already exists: {}:a", arn("f")),
    );
    world.post(ALIASES, &json!({})).await.is_fault(
        400,
        "ValidationException",
        "2 validation errors detected",
    );
}

#[tokio::test]
async fn weights_are_judged() {
    let world = with_versions().await;
    let make = async |version: &str, routing: Value| {
        let body = json!({ "Name": "a", "FunctionVersion": version, "RoutingConfig": routing });
        world.post(ALIASES, &body).await
    };
    let path = "at 'routingConfig.additionalVersionWeights'";
    make("1", weights("2", 1.5)).await.is_fault(400, "ValidationException", path);
    make("1", weights("2", -0.1)).await.is_fault(400, "ValidationException", path);
    make("1", weights("$LATEST", 0.1)).await.is_fault(400, "ValidationException", path);
    let invalid = "InvalidParameterValueException";
    make("1", weights("1", 0.1)).await.is_fault(400, invalid, "Invalid function version 1.");
    make("$LATEST", weights("1", 0.1)).await.is_fault(400, invalid, "$LATEST is not supported for an alias");
    make("1", weights("7", 0.1)).await.is_fault(404, "ResourceNotFoundException", ":7");
    let two = json!({ "AdditionalVersionWeights": { "1": 0.1, "2": 0.2 } });
    make("1", two).await.is_fault(400, invalid, "cannot be greater than 1");
    let made = make("1", weights("2", 0.25)).await.ok();
    assert_eq!(made["RoutingConfig"], weights("2", 0.25));
    let address = format!("{ALIASES}/a");
    let kept = world.put(&address, &json!({ "Description": "x" })).await.ok();
    assert_eq!(kept["RoutingConfig"], weights("2", 0.25));
    let cleared = world.put(&address, &json!({ "RoutingConfig": {} })).await.ok();
    assert_eq!(cleared.get("RoutingConfig"), None);
}

#[tokio::test]
async fn calls_by_alias_are_shared_out_by_weight() {
    let world = with_versions().await;
    let body = json!({ "Name": "live", "FunctionVersion": "1", "RoutingConfig": weights("2", 0.25) });
    world.post(ALIASES, &body).await.ok();
    let mut second = 0;
    for _ in 0..2_000 {
        let reply = world.call("f:live", &[], "{}").await;
        match reply.header("x-amz-executed-version").unwrap() {
            "1" => {}
            "2" => second += 1,
            other => panic!("version {other}"),
        }
    }
    assert!((400..600).contains(&second), "{second} of 2000");
    assert_eq!(world.last_call().invoked_arn, format!("{}:live", arn("f")));
}

#[tokio::test]
async fn aliases_are_listed_by_version_and_in_pages() {
    let world = with_versions().await;
    for (name, version) in [("a", "1"), ("b", "2"), ("c", "1")] {
        world.post(ALIASES, &json!({ "Name": name, "FunctionVersion": version })).await.ok();
    }
    let names = |body: &Value| -> Vec<String> {
        body["Aliases"].as_array().unwrap().iter().map(|a| a["Name"].as_str().unwrap().to_owned()).collect()
    };
    let of_one = world.get(&format!("{ALIASES}?FunctionVersion=1")).await.ok();
    assert_eq!(names(&of_one), ["a", "c"]);
    let page = world.get(&format!("{ALIASES}?MaxItems=2")).await.ok();
    assert_eq!(names(&page), ["a", "b"]);
    let rest = world.get(&format!("{ALIASES}?Marker={}", page["NextMarker"].as_str().unwrap())).await.ok();
    assert_eq!((names(&rest), rest.get("NextMarker")), (vec!["c".to_owned()], None));
}
