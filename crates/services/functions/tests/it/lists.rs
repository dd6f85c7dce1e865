//! ListFunctions.

use serde_json::{Value, json};

use crate::world::*;

fn names(body: &Value) -> Vec<String> {
    let functions = body["Functions"].as_array().unwrap();
    functions
        .iter()
        .map(|f| format!("{}:{}", f["FunctionName"].as_str().unwrap(), f["Version"].as_str().unwrap()))
        .collect()
}

async fn all(world: &World, query: &str) -> Vec<String> {
    let (mut seen, mut marker) = (Vec::new(), String::new());
    loop {
        let page = world.get(&format!("/2015-03-31/functions/?{query}&Marker={marker}")).await.ok();
        seen.extend(names(&page));
        match page["NextMarker"].as_str() {
            Some(next) => marker = next.to_owned(),
            None => return seen,
        }
    }
}

#[tokio::test]
async fn functions_are_listed_by_name_fifty_at_the_most() {
    let wanted: Vec<String> = (0..60).map(|i| format!("f{i:02}")).collect();
    let world = World::with(&wanted.iter().map(String::as_str).collect::<Vec<_>>()).await;
    let first = world.get("/2015-03-31/functions?MaxItems=10000").await.ok();
    assert_eq!(first["Functions"].as_array().unwrap().len(), 50);
    assert_eq!(first["Functions"][0].get("State"), None, "lists are printed without states");
    let latest: Vec<String> = wanted.iter().map(|name| format!("{name}:$LATEST")).collect();
    for size in [1, 7, 50] {
        assert_eq!(all(&world, &format!("MaxItems={size}")).await, latest);
    }
    assert_eq!(world.get("/2015-03-31/functions/").await.ok()["Functions"].as_array().unwrap().len(), 50);
}

#[tokio::test]
async fn versions_are_listed_with_their_functions_on_request() {
    let world = World::with(&["a", "b", "c"]).await;
    world.publish("a").await;
    world.publish_new("a", "new").await;
    world.publish("c").await;
    let wanted = ["a:$LATEST", "a:1", "a:2", "b:$LATEST", "c:$LATEST", "c:1"];
    for size in 1..8 {
        assert_eq!(
            all(&world, &format!("FunctionVersion=ALL&MaxItems={size}")).await,
            wanted,
            "pages of {size}"
        );
    }
    let page = world.get("/2015-03-31/functions?FunctionVersion=ALL").await.ok();
    assert_eq!(page["Functions"][0]["FunctionArn"], format!("{}:$LATEST", arn("a")));
}

#[tokio::test]
async fn master_regions_ask_for_replicated_functions() {
    let world = World::with(&["a"]).await;
    let list = async |query: &str| world.get(&format!("/2015-03-31/functions?{query}")).await;
    assert_eq!(names(&list("FunctionVersion=ALL&MasterRegion=ALL").await.ok()), ["a:$LATEST"]);
    assert_eq!(list("FunctionVersion=ALL&MasterRegion=us-east-1").await.ok(), json!({ "Functions": [] }));
    list("MasterRegion=ALL").await.is_fault(400, "InvalidParameterValueException", "MasterRegion");
    list("FunctionVersion=ALL&MasterRegion=x").await.is_fault(400, "ValidationException", "masterRegion");
}

#[tokio::test]
async fn wrong_pages_are_refused() {
    let world = World::with(&["a"]).await;
    let list = async |query: &str| world.get(&format!("/2015-03-31/functions?{query}")).await;
    list("MaxItems=0").await.is_fault(400, "ValidationException", "Value '0' at 'maxItems'");
    list("MaxItems=10001").await.is_fault(400, "ValidationException", "less than or equal to 10000");
    list("MaxItems=x").await.is_fault(400, "SerializationException", "");
    list("Marker=x").await.is_fault(400, "InvalidParameterValueException", "Marker");
    list("FunctionVersion=1").await.is_fault(
        400,
        "ValidationException",
        "Member must satisfy enum value set: [ALL]",
    );
}
