//! Runtime, environment, layers, logging: what is judged beyond the form.

use serde_json::json;

use crate::world::*;

const INVALID: &str = "InvalidParameterValueException";

#[tokio::test]
async fn runtimes_are_known_live_and_required() {
    let world = World::new();
    for (runtime, message) in [
        (
            "nodejs99",
            "Value nodejs99 at 'runtime' failed to satisfy constraint: Member must satisfy enum value set: [",
        ),
        (
            "nodejs14.x",
            "The runtime parameter of nodejs14.x is no longer supported for creating or updating AWS Lambda \
             functions. We recommend you use nodejs24.x while creating or updating functions.",
        ),
        ("", "Runtime and Handler are mandatory parameters for functions created with deployment packages."),
    ] {
        world.create_with("f", json!({ "Runtime": runtime })).await.is_fault(400, INVALID, message);
    }
    world.create_with("f", json!({ "Runtime": null })).await.is_fault(400, INVALID, "Runtime and Handler");
    world.create_with("f", json!({ "Handler": null })).await.is_fault(400, INVALID, "Runtime and Handler");
    assert_eq!(world.writes(), 0);
}

#[tokio::test]
async fn memory_over_ten_gigabytes_is_refused_as_the_reference_words_it() {
    let world = World::new();
    let message =
        "'MemorySize' value failed to satisfy constraint: Member must have value less than or equal to 10240";
    world.create_with("f", json!({ "MemorySize": 10_241 })).await.is_fault(400, INVALID, message);
    let message = "Value '32769' at 'memorySize' failed to satisfy constraint: Member must have value less than or \
                   equal to 32768";
    world.create_with("f", json!({ "MemorySize": 32_769 })).await.is_fault(
        400,
        "ValidationException",
        message,
    );
}

#[tokio::test]
async fn reserved_large_and_misnamed_variables_are_refused() {
    let world = World::new();
    let with = |variables: serde_json::Value| json!({ "Environment": { "Variables": variables } });
    world.create_with("f", with(json!({ "AWS_REGION": "x", "_HANDLER": "y" }))).await.is_fault(
        400,
        "ValidationException",
        "Value at 'environment.variables' failed",
    );
    world
        .create_with("f", with(json!({ "AWS_REGION": "x", "LAMBDA_TASK_ROOT": "y", "FINE": "z" })))
        .await
        .is_fault(400, INVALID, "Reserved keys used in this request: AWS_REGION, LAMBDA_TASK_ROOT");
    // {"A1":"..."} is nine bytes around the value.
    world.create_with("fits", with(json!({ "A1": "x".repeat(4_096 - 9) }))).await.ok();
    world.create_with("f", with(json!({ "A1": "x".repeat(4_096 - 8) }))).await.is_fault(
        400,
        INVALID,
        "exceeded the 4KB limit. String measured: {\"A1\":\"xxx",
    );
    world.create_with("f", with(json!({ "A1": "a\u{0}b" }))).await.is_fault(400, INVALID, "A1");
}

#[tokio::test]
async fn variables_reach_the_environment_and_can_be_taken_away() {
    let world = World::with(&["f"]).await;
    world.configure("f", json!({ "Environment": { "Variables": { "KEY": "ä" } } })).await.ok();
    assert_eq!(world.configuration("f").await["Environment"], json!({ "Variables": { "KEY": "ä" } }));
    world.call("f", &[], "{}").await.ok();
    assert_eq!(world.last_call().spec.environment, [("KEY".to_owned(), "ä".to_owned())]);
    world.configure("f", json!({ "Environment": { "Variables": {} } })).await.ok();
    assert_eq!(world.configuration("f").await.get("Environment"), None);
}

#[tokio::test]
async fn log_levels_go_with_json_only() {
    let world = World::with(&["f"]).await;
    let reply = world.configure("f", json!({ "LoggingConfig": { "ApplicationLogLevel": "DEBUG" } })).await;
    reply.is_fault(400, INVALID, "LogFormat JSON");
    let set =
        world.configure("f", json!({ "LoggingConfig": { "LogFormat": "JSON", "SystemLogLevel": "WARN" } }));
    let json_config = json!({
        "LogFormat": "JSON", "ApplicationLogLevel": "INFO", "SystemLogLevel": "WARN", "LogGroup": "/aws/lambda/f"
    });
    assert_eq!(set.await.ok()["LoggingConfig"], json_config);
    // A change of one member leaves the others.
    world.configure("f", json!({ "LoggingConfig": { "LogGroup": "mine" } })).await.ok();
    let found = world.configuration("f").await;
    assert_eq!(
        (&found["LoggingConfig"]["SystemLogLevel"], &found["LoggingConfig"]["LogGroup"]),
        (&json!("WARN"), &json!("mine"))
    );
    world.configure("f", json!({ "LoggingConfig": { "LogFormat": "Text" } })).await.ok();
    let text_config = json!({ "LogFormat": "Text", "LogGroup": "mine" });
    assert_eq!(world.configuration("f").await["LoggingConfig"], text_config);
}

async fn with_layers(layers: &[(&str, &str)]) -> World {
    let world = World::with(&["f"]).await;
    for (name, content) in layers {
        let body = json!({ "Content": { "ZipFile": zip(content) } });
        world.post(&format!("/2018-10-31/layers/{name}/versions"), &body).await.ok();
    }
    world
}

fn layer(name: &str, version: u64) -> String {
    format!("arn:aws:lambda:{REGION}:{ACCOUNT}:layer:{name}:{version}")
}

#[tokio::test]
async fn layers_are_kept_in_their_order_and_outlive_their_deletion() {
    let world = with_layers(&[("a", "one"), ("b", "two")]).await;
    let arns = json!([layer("b", 1), layer("a", 1)]);
    let set = world.configure("f", json!({ "Layers": arns })).await.ok();
    assert_eq!(
        set["Layers"],
        json!([
            { "Arn": layer("b", 1), "CodeSize": 5 }, { "Arn": layer("a", 1), "CodeSize": 5 }
        ])
    );
    assert_eq!(world.delete("/2018-10-31/layers/b/versions/1").await.status, 204);
    world.call("f", &[], "").await.ok();
    assert_eq!(world.last_call().spec.layers.len(), 2);
    world.configure("f", json!({ "Layers": [] })).await.ok();
    assert_eq!(world.configuration("f").await.get("Layers"), None);
}

#[tokio::test]
async fn layers_that_can_t_be_used_are_refused() {
    let world = with_layers(&[("a", "one"), ("a", "two"), ("big", "size=262144000")]).await;
    let six: Vec<String> = (0..6).map(|i| layer(&format!("l{i}"), 1)).collect();
    let elsewhere = format!("arn:aws:lambda:us-east-1:{ACCOUNT}:layer:a:1");
    for (layers, message) in [
        (json!(six), "Cannot reference more than 5 layers.".to_owned()),
        (json!([layer("a", 9)]), format!("Layer version {} does not exist.", layer("a", 9))),
        (json!([layer("none", 1)]), "does not exist.".to_owned()),
        (json!([elsewhere]), format!("Layers are expected to be in region {REGION}.")),
        (
            json!([layer("a", 1), layer("a", 2)]),
            format!("{} and {} are versions of the same layer.", layer("a", 1), layer("a", 2)),
        ),
        (
            json!([layer("big", 1)]),
            "Function code combined with layers exceeds the maximum allowed size of 262144000 bytes. The actual size \
             is 262144006 bytes."
                .to_owned(),
        ),
    ] {
        world.configure("f", json!({ "Layers": layers })).await.is_fault(400, INVALID, &message);
    }
    let foreign = format!("arn:aws:lambda:{REGION}:111111111111:layer:a:1");
    let reply = world.configure("f", json!({ "Layers": [foreign] })).await;
    reply.is_fault(
        403,
        "AccessDeniedException",
        "is not authorized to perform: lambda:GetLayerVersion on resource",
    );
    world.configure("f", json!({ "Layers": ["a"] })).await.is_fault(
        400,
        "ValidationException",
        "at 'layers'",
    );
}
