//! CreateFunction and GetFunction.

use std::sync::atomic::Ordering;

use lambent_store::functions::FunctionStore as _;

use serde_json::{Value, json};

use crate::world::*;

#[tokio::test]
async fn a_new_function_is_pending_and_then_active() {
    let world = World::new();
    let reply = world.create(&minimal("f")).await;
    assert_eq!(reply.status, 201);
    let created = reply.json();
    assert_eq!(created["FunctionName"], "f");
    assert_eq!(created["FunctionArn"], arn("f"));
    assert_eq!(created["State"], "Pending");
    assert_eq!(created["StateReason"], "The function is being created.");
    assert_eq!(created["StateReasonCode"], "Creating");
    assert_eq!(created.get("LastUpdateStatus"), None);
    assert_eq!(created["Version"], "$LATEST");
    assert_eq!(created["LastModified"], "2023-11-14T22:13:20.000+0000");

    world.functions.settle().await;
    let active = world.configuration("f").await;
    assert_eq!((&active["State"], &active["LastUpdateStatus"]), (&json!("Active"), &json!("Successful")));
    assert_eq!(active.get("StateReason"), None);
    assert_eq!(active["RevisionId"], created["RevisionId"]);
}

#[tokio::test]
async fn what_is_not_set_has_the_reference_s_defaults() {
    let world = World::with(&["f"]).await;
    let found = world.configuration("f").await;
    for (member, value) in [
        ("MemorySize", json!(128)),
        ("Timeout", json!(3)),
        ("Description", json!("")),
        ("PackageType", json!("Zip")),
        ("Architectures", json!(["x86_64"])),
        ("EphemeralStorage", json!({ "Size": 512 })),
        ("TracingConfig", json!({ "Mode": "PassThrough" })),
        ("SnapStart", json!({ "ApplyOn": "None", "OptimizationStatus": "Off" })),
        ("LoggingConfig", json!({ "LogFormat": "Text", "LogGroup": "/aws/lambda/f" })),
        ("CodeSize", json!(6)),
        ("Role", json!(ROLE)),
    ] {
        assert_eq!(found[member], value, "{member}");
    }
    for absent in ["Environment", "Layers", "VpcConfig", "KMSKeyArn", "DeadLetterConfig"] {
        assert_eq!(found.get(absent), None, "{absent}");
    }
}

#[tokio::test]
async fn a_name_is_taken_once() {
    let world = World::with(&["f"]).await;
    let reply = world.create(&minimal("f")).await;
    reply.is_fault(409, "ResourceConflictException", "Function already exist: f");
}

#[tokio::test]
async fn of_two_creators_at_once_one_wins() {
    let world = World::new();
    let other = World::with(&["f"]).await;
    let record = other.store.inner.function(&other.key("f")).unwrap();
    // The other's record arrives between this one's look and its write.
    let record = lambent_store::functions::FunctionRecord { generation: 1, ..(*record).clone() };
    let first = lambent_store::functions::Command::PutFunction { record: record.into(), expected: 0 };
    *world.store.first.lock().unwrap() = Some(vec![first]);
    world.create(&minimal("f")).await.is_fault(409, "ResourceConflictException", "Function already exist: f");
}

#[tokio::test]
async fn what_is_missing_or_malformed_is_named_all_at_once() {
    let world = World::new();
    let reply = world.create(&json!({ "MemorySize": 1, "Timeout": 901, "Handler": "a b" })).await;
    reply.is_fault(400, "ValidationException", "6 validation errors detected: ");
    let message = reply.json()["Message"].as_str().unwrap().to_owned();
    for part in [
        "Value null at 'functionName' failed to satisfy constraint: Member must not be null",
        "Value null at 'role' failed to satisfy constraint: Member must not be null",
        "Value null at 'code' failed to satisfy constraint: Member must not be null",
        "Value 'a b' at 'handler' failed to satisfy constraint: Member must satisfy regular expression pattern: [^\\s]+",
        "Value '901' at 'timeout' failed to satisfy constraint: Member must have value less than or equal to 900",
        "Value '1' at 'memorySize' failed to satisfy constraint: Member must have value greater than or equal to 128",
    ] {
        assert!(message.contains(part), "{part} in {message}");
    }
}

#[tokio::test]
async fn bodies_that_are_not_json_or_of_the_wrong_kind_are_refused() {
    let world = World::new();
    for (body, message) in [
        ("{", ""),
        ("[]", "START_ARRAY can not be converted to a structure"),
        (r#"{"FunctionName":1}"#, "NUMBER_VALUE can not be converted to a String"),
        (r#"{"FunctionName":"f","Timeout":"3"}"#, "STRING_VALUE can not be converted to an Integer"),
        (r#"{"FunctionName":"f","FunctionName":"g"}"#, ""),
    ] {
        let reply = world.send(http::Method::POST, "/2015-03-31/functions", &[], body.into()).await;
        reply.is_fault(400, "SerializationException", message);
    }
    let reply = world.create_with("f", json!({ "Code": { "ZipFile": "***" } })).await;
    reply.is_fault(400, "SerializationException", "The member code.zipFile is not base64");
    let deep = format!("{}{}", r#"{"a":"#.repeat(5_000), "}".repeat(5_000));
    let reply = world.send(http::Method::POST, "/2015-03-31/functions", &[], deep.into()).await;
    assert_eq!(reply.status, 400);
}

#[tokio::test]
async fn code_that_can_t_be_taken_in_leaves_no_function_behind() {
    let world = World::new();
    for (code, status, fault, message) in [
        (
            json!({ "ZipFile": "AAAA" }),
            400,
            "InvalidParameterValueException",
            "Could not unzip uploaded file.",
        ),
        (json!({ "ZipFile": zip("empty") }), 400, "InvalidParameterValueException", "non-empty zip"),
        (
            json!({ "ZipFile": zip("bomb") }),
            400,
            "InvalidParameterValueException",
            "Unzipped size must be smaller than 262144000 bytes",
        ),
        (json!({ "ZipFile": zip("slip") }), 400, "InvalidParameterValueException", "Could not unzip"),
        (
            json!({ "ZipFile": zip("size=262144001") }),
            400,
            "InvalidParameterValueException",
            "Unzipped size must be smaller than 262144000 bytes",
        ),
        (
            json!({ "ZipFile": "" }),
            400,
            "InvalidParameterValueException",
            "Please provide a source for function code.",
        ),
        (json!({}), 400, "InvalidParameterValueException", "Please provide a source for function code."),
        (json!({ "ZipFile": zip("full") }), 500, "ServiceException", "could not be kept"),
    ] {
        let reply = world.create_with("f", json!({ "Code": code })).await;
        reply.is_fault(status, fault, message);
    }
    assert_eq!(world.writes(), 0);
    assert_eq!(world.get("/2015-03-31/functions/f").await.status, 404);
}

#[tokio::test]
async fn a_package_over_fifty_megabytes_is_too_large() {
    let world = World::new();
    let big = "A".repeat(70_000_000);
    let reply = world.create_with("f", json!({ "Code": { "ZipFile": big } })).await;
    let message = "Request must be smaller than 69905068 bytes for the CreateFunction operation";
    reply.is_fault(413, "RequestEntityTooLargeException", message);
}

#[tokio::test]
async fn a_store_that_can_t_write_is_the_node_s_fault() {
    let world = World::new();
    world.store.unavailable.store(true, Ordering::SeqCst);
    world.create(&minimal("f")).await.is_fault(500, "ServiceException", "disk full");
}

#[tokio::test]
async fn a_function_can_be_published_as_it_is_created() {
    let world = World::new();
    let created = world.create_with("f", json!({ "Publish": true })).await.ok();
    assert_eq!((&created["Version"], &created["State"]), (&json!("1"), &json!("Pending")));
    assert_eq!(created["FunctionArn"], format!("{}:1", arn("f")));
    let version = world.get("/2015-03-31/functions/f/configuration?Qualifier=1").await.ok();
    assert_eq!((&version["State"], &version["LastUpdateStatus"]), (&json!("Active"), &json!("Successful")));
}

#[tokio::test]
async fn get_function_gives_code_tags_and_concurrency() {
    let world = World::new();
    world.create_with("f", json!({ "Tags": { "team": "a" } })).await.ok();
    let bare = world.get("/2015-03-31/functions/f").await.ok();
    assert_eq!(bare["Tags"], json!({ "team": "a" }));
    assert_eq!(bare.get("Concurrency"), None);
    assert_eq!(bare["Code"]["RepositoryType"], "S3");
    world
        .put("/2017-10-31/functions/f/concurrency", &json!({ "ReservedConcurrentExecutions": 5 }))
        .await
        .ok();
    let found = world.get("/2015-03-31/functions/f").await.ok();
    assert_eq!(found["Concurrency"], json!({ "ReservedConcurrentExecutions": 5 }));
}

#[tokio::test]
async fn the_link_to_the_code_gives_the_code_for_ten_minutes() {
    let world = World::with(&["f"]).await;
    let found: Value = world.get("/2015-03-31/functions/f").await.ok();
    let link = found["Code"]["Location"].as_str().unwrap().to_owned();
    let path = link.strip_prefix("http://127.0.0.1:4566").unwrap();
    assert!(path.starts_with(lambent_functions::CODE_PATH_PREFIX));
    let answer = world.functions.fetch_code(path).await;
    assert_eq!((answer.status().as_u16(), &answer.body()[..]), (200, &b"PKcode"[..]));
    let forged = path.replace("expires=1", "expires=2");
    assert_eq!(world.functions.fetch_code(&forged).await.status(), 403);
    assert_eq!(world.functions.fetch_code("/_lambent/code/").await.status(), 404);
    world.clock.advance(std::time::Duration::from_secs(601));
    assert_eq!(world.functions.fetch_code(path).await.status(), 403);
}

#[tokio::test]
async fn a_deleted_function_is_gone_and_its_environments_with_it() {
    let world = World::with(&["f"]).await;
    world.publish("f").await;
    assert_eq!(world.delete("/2015-03-31/functions/f").await.status, 204);
    assert_eq!(world.invoke.retired.lock().unwrap().last().unwrap().0, arn("f"));
    let message = format!("Function not found: {}", arn("f"));
    world.get("/2015-03-31/functions/f").await.is_fault(404, "ResourceNotFoundException", &message);
    world.delete("/2015-03-31/functions/f").await.is_fault(404, "ResourceNotFoundException", &message);
    // The number 1 was used: a new function of the name goes on behind it.
    world.create_with("f", json!({})).await.ok();
    assert_eq!(world.publish("f").await["Version"], "2");
}
