//! PublishVersion, ListVersionsByFunction and DeleteFunction with a qualifier.

use serde_json::json;

use crate::world::*;

const VERSIONS: &str = "/2015-03-31/functions/f/versions";

#[tokio::test]
async fn a_version_keeps_what_it_was_published_with() {
    let world = World::with(&["f"]).await;
    let body = json!({ "Description": "first" });
    let reply = world.post(VERSIONS, &body).await;
    assert_eq!(reply.status, 201);
    let first = reply.json();
    assert_eq!((&first["Version"], &first["Description"]), (&json!("1"), &json!("first")));
    assert_eq!(first["FunctionArn"], format!("{}:1", arn("f")));
    world.configure("f", json!({ "Timeout": 77, "Description": "changed" })).await.ok();
    let found = world.get("/2015-03-31/functions/f/configuration?Qualifier=1").await.ok();
    assert_eq!((&found["Timeout"], &found["Description"]), (&json!(3), &json!("first")));
    assert_eq!(found["RevisionId"], first["RevisionId"]);
}

#[tokio::test]
async fn nothing_new_makes_no_new_version() {
    let world = World::with(&["f"]).await;
    assert_eq!(world.publish("f").await["Version"], "1");
    assert_eq!(world.publish("f").await["Version"], "1");
    assert_eq!(world.post(VERSIONS, &json!({ "Description": "other" })).await.ok()["Version"], "1");
    // The same code uploaded again is not new either.
    world.clock.advance(std::time::Duration::from_secs(1));
    world.update_code("f", "code").await;
    assert_eq!(world.publish("f").await["Version"], "1");
    assert_eq!(world.publish_new("f", "new").await["Version"], "2");
    world.configure("f", json!({ "MemorySize": 256 })).await.ok();
    assert_eq!(world.publish("f").await["Version"], "3");
    world.clock.advance(std::time::Duration::from_secs(1));
    world.configure("f", json!({ "Description": "new words" })).await.ok();
    assert_eq!(world.publish("f").await["Version"], "4");
}

#[tokio::test]
async fn a_publisher_can_insist_on_code_and_revision() {
    let world = World::with(&["f"]).await;
    let current = world.configuration("f").await;
    let reply = world.post(VERSIONS, &json!({ "CodeSha256": "other" })).await;
    let message = format!(
        "CodeSHA256 (other) is different from current CodeSHA256 in $LATEST ({}). Please try again with the CodeSHA256 \
         in $LATEST.",
        current["CodeSha256"].as_str().unwrap()
    );
    reply.is_fault(400, "InvalidParameterValueException", &message);
    let reply = world.post(VERSIONS, &json!({ "RevisionId": "other" })).await;
    reply.is_fault(412, "PreconditionFailedException", "The Revision Id provided does not match");
    let body = json!({ "CodeSha256": current["CodeSha256"], "RevisionId": current["RevisionId"] });
    assert_eq!(world.post(VERSIONS, &body).await.ok()["Version"], "1");
}

#[tokio::test]
async fn versions_are_deleted_one_by_one_unless_an_alias_needs_them() {
    let world = World::with(&["f"]).await;
    for content in ["one", "two", "three"] {
        world.publish_new("f", content).await;
    }
    let aliases = "/2015-03-31/functions/f/aliases";
    let body = json!({
        "Name": "live", "FunctionVersion": "1", "RoutingConfig": { "AdditionalVersionWeights": { "2": 0.5 } }
    });
    world.post(aliases, &body).await.ok();
    let delete = async |q: &str| world.delete(&format!("/2015-03-31/functions/f?Qualifier={q}")).await;
    for referenced in ["1", "2"] {
        delete(referenced).await.is_fault(409, "ResourceConflictException", "aliases reference it: [live]");
    }
    assert_eq!(delete("3").await.status, 204);
    assert_eq!(delete("3").await.status, 204);
    delete("%24LATEST").await.is_fault(
        400,
        "InvalidParameterValueException",
        "$LATEST version cannot be deleted without deleting the function.",
    );
    delete("live").await.is_fault(400, "InvalidParameterValueException", "Deletion of aliases");
    // The number 3 is not used again.
    assert_eq!(world.publish_new("f", "four").await["Version"], "4");
    let listed = world.get(VERSIONS).await.ok();
    let numbers: Vec<_> =
        listed["Versions"].as_array().unwrap().iter().map(|v| v["Version"].clone()).collect();
    assert_eq!(numbers, ["$LATEST", "1", "2", "4"]);
}

#[tokio::test]
async fn versions_are_listed_in_pages() {
    let world = World::with(&["f"]).await;
    for i in 0..5 {
        world.publish_new("f", &format!("code {i}")).await;
    }
    let mut seen = Vec::new();
    let mut marker = String::new();
    loop {
        let page = world.get(&format!("{VERSIONS}?MaxItems=2&Marker={marker}")).await.ok();
        let versions = page["Versions"].as_array().unwrap();
        assert!(versions.len() <= 2);
        seen.extend(versions.iter().map(|v| v["FunctionArn"].as_str().unwrap().to_owned()));
        match page["NextMarker"].as_str() {
            Some(next) => marker = next.to_owned(),
            None => break,
        }
    }
    let wanted: Vec<_> =
        ["$LATEST", "1", "2", "3", "4", "5"].iter().map(|v| format!("{}:{v}", arn("f"))).collect();
    assert_eq!(seen, wanted);
}
