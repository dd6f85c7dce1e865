//! Reads of what no function of this node can have.

use serde_json::json;

use crate::world::*;

const NOT_FOUND: &str = "ResourceNotFoundException";
const INVALID: &str = "InvalidParameterValueException";

#[tokio::test]
async fn a_function_has_no_code_signing_configuration() {
    let world = World::with(&["f"]).await;
    let address = |name: &str| format!("/2020-06-30/functions/{name}/code-signing-config");
    assert_eq!(world.get(&address("f")).await.ok(), json!({ "FunctionName": "f" }));
    assert_eq!(world.get(&address(&arn("f"))).await.ok(), json!({ "FunctionName": "f" }));
    let message = format!("Function not found: {}", arn("none"));
    world.get(&address("none")).await.is_fault(404, NOT_FOUND, &message);
}

#[tokio::test]
async fn lists_of_what_can_not_be_are_empty() {
    let world = World::with(&["f"]).await;
    for (address, member) in [
        ("/2015-03-31/event-source-mappings", "EventSourceMappings"),
        ("/2015-03-31/event-source-mappings/?FunctionName=none&MaxItems=10", "EventSourceMappings"),
        ("/2020-04-22/code-signing-configs", "CodeSigningConfigs"),
    ] {
        assert_eq!(world.get(address).await.ok(), json!({ member: [] }));
    }
    let bad = "/2015-03-31/event-source-mappings?EventSourceArn=x&FunctionName=a%20b&MaxItems=0";
    world.get(bad).await.is_fault(400, "ValidationException", "3 validation errors");
    world.get("/2020-04-22/code-signing-configs?Marker=x").await.is_fault(400, INVALID, "Marker");
}
