//! Tags, and the one that decides where a function may connect to.

use lambent_core::function::Egress;
use serde_json::json;

use crate::world::*;

fn address(name: &str) -> String {
    format!("/2017-03-31/tags/{}", arn(name).replace(':', "%3A"))
}

#[tokio::test]
async fn tags_are_added_removed_and_listed() {
    let world = World::with(&["f"]).await;
    assert_eq!(world.post(&address("f"), &json!({ "Tags": { "a": "1", "b": "2" } })).await.status, 204);
    assert_eq!(world.post(&address("f"), &json!({ "Tags": { "b": "3", "c": "" } })).await.status, 204);
    assert_eq!(world.get(&address("f")).await.ok(), json!({ "Tags": { "a": "1", "b": "3", "c": "" } }));
    let removed = world.delete(&format!("{}?tagKeys=a&tagKeys=c&tagKeys=none", address("f"))).await;
    assert_eq!(removed.status, 204);
    assert_eq!(world.get(&address("f")).await.ok(), json!({ "Tags": { "b": "3" } }));
}

#[tokio::test]
async fn tags_that_no_function_may_have_are_refused() {
    let world = World::with(&["f"]).await;
    world.publish("f").await;
    let invalid = "InvalidParameterValueException";
    let many: serde_json::Map<_, _> = (0..51).map(|i| (format!("k{i}"), json!("v"))).collect();
    for (tags, message) in [
        (json!(many), "Number of tags exceeds resource tag limit."),
        (json!({ "aws:x": "1" }), "reserved"),
        (json!({ "k".repeat(129): "1" }), "between 1 and 128"),
        (json!({ "k": "v".repeat(257) }), "at most 256"),
    ] {
        world.post(&address("f"), &json!({ "Tags": tags })).await.is_fault(400, invalid, message);
        world.create_with("g", json!({ "Tags": tags })).await.is_fault(400, invalid, message);
    }
    world.post(&address("f"), &json!({})).await.is_fault(400, "ValidationException", "Value null at 'tags'");
    world.delete(&address("f")).await.is_fault(400, "ValidationException", "Value null at 'tagKeys'");
    let qualified = format!("{}%3A1", address("f"));
    world.get(&qualified).await.is_fault(
        400,
        invalid,
        "Tags on function aliases and versions are not supported.",
    );
    world.get(&address("none")).await.is_fault(404, "ResourceNotFoundException", "Function not found");
    world.get("/2017-03-31/tags/f").await.is_fault(400, "ValidationException", "Value 'f' at 'resource'");
}

#[tokio::test]
async fn the_egress_tag_decides_where_a_function_connects_to() {
    let world = World::new();
    let tag = |value: &str| json!({ "Tags": { lambent_functions::EGRESS_TAG: value } });
    world.create_with("f", tag("none")).await.ok();
    world.call("f", &[], "").await.ok();
    let closed = world.last_call().spec;
    assert_eq!(closed.egress, Egress::None);

    world.post(&address("f"), &tag("services")).await;
    world.call("f", &[], "").await.ok();
    let services = world.last_call().spec;
    assert_eq!(services.egress, Egress::Services);
    assert_ne!(services.revision, closed.revision, "environments of the old policy are not used again");
    assert_eq!(world.invoke.retired.lock().unwrap().last().unwrap().0, arn("f"));

    world.delete(&format!("{}?tagKeys={}", address("f"), lambent_functions::EGRESS_TAG)).await;
    world.call("f", &[], "").await.ok();
    assert_eq!(world.last_call().spec.egress, Egress::Internet);

    let message = "The tag lambent:egress takes one of none, services and internet, and not 'all'.";
    let invalid = "InvalidParameterValueException";
    world.post(&address("f"), &tag("all")).await.is_fault(400, invalid, message);
    world.create_with("g", tag("all")).await.is_fault(400, invalid, message);
}
