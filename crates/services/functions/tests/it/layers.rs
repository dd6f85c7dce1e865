//! Layers.

use serde_json::{Value, json};

use crate::world::*;

const LAYER: &str = "/2018-10-31/layers/l/versions";

fn content(text: &str) -> Value {
    json!({ "Content": { "ZipFile": zip(text) } })
}

fn names(body: &Value) -> Vec<String> {
    body["Layers"].as_array().unwrap().iter().map(|l| l["LayerName"].as_str().unwrap().to_owned()).collect()
}

fn versions(body: &Value) -> Vec<u64> {
    body["LayerVersions"].as_array().unwrap().iter().map(|v| v["Version"].as_u64().unwrap()).collect()
}

#[tokio::test]
async fn a_layer_version_is_published_and_found() {
    let world = World::new();
    let mut body = content("one");
    body["Description"] = json!("d");
    body["LicenseInfo"] = json!("MIT");
    body["CompatibleRuntimes"] = json!(["python3.12"]);
    body["CompatibleArchitectures"] = json!(["x86_64"]);
    let reply = world.post(LAYER, &body).await;
    assert_eq!(reply.status, 201);
    let made = reply.json();
    let layer_arn = format!("arn:aws:lambda:{REGION}:{ACCOUNT}:layer:l");
    assert_eq!(made["LayerArn"], layer_arn);
    assert_eq!(made["LayerVersionArn"], format!("{layer_arn}:1"));
    assert_eq!(made["CreatedDate"], "2023-11-14T22:13:20.000+0000");
    for (member, value) in [
        ("Version", json!(1)),
        ("Description", json!("d")),
        ("LicenseInfo", json!("MIT")),
        ("CompatibleRuntimes", json!(["python3.12"])),
        ("CompatibleArchitectures", json!(["x86_64"])),
    ] {
        assert_eq!(made[member], value, "{member}");
    }
    assert_eq!(made["Content"]["CodeSize"], 5);
    let link = made["Content"]["Location"].as_str().unwrap().to_owned();
    let fetched = world.functions.fetch_code(link.strip_prefix("http://127.0.0.1:4566").unwrap()).await;
    assert_eq!(&fetched.body()[..], b"PKone");

    assert_eq!(world.get(&format!("{LAYER}/1")).await.ok(), made);
    let by_arn =
        format!("/2018-10-31/layers?find=LayerVersion&Arn={layer_arn}:1").replace("arn:aws", "arn%3Aaws");
    assert_eq!(world.get(&by_arn).await.ok(), made);
    let arn_label = layer_arn.replace(':', "%3A");
    assert_eq!(world.get(&format!("/2018-10-31/layers/{arn_label}/versions/1")).await.ok(), made);
}

#[tokio::test]
async fn layer_numbers_are_not_used_twice() {
    let world = World::new();
    world.post(LAYER, &content("one")).await.ok();
    world.post(LAYER, &content("two")).await.ok();
    assert_eq!(world.delete(&format!("{LAYER}/2")).await.status, 204);
    assert_eq!(world.delete(&format!("{LAYER}/2")).await.status, 204);
    let missing = world.get(&format!("{LAYER}/2")).await;
    missing.is_fault(404, "ResourceNotFoundException", "The resource you requested does not exist.");
    assert_eq!(world.post(LAYER, &content("three")).await.ok()["Version"], 3);
    assert_eq!(versions(&world.get(LAYER).await.ok()), [3, 1]);
}

#[tokio::test]
async fn layers_are_listed_filtered_and_in_pages() {
    let world = World::new();
    for (name, runtime) in [("a", "python3.12"), ("b", "nodejs22.x"), ("c", "python3.12")] {
        let mut body = content(name);
        body["CompatibleRuntimes"] = json!([runtime]);
        world.post(&format!("/2018-10-31/layers/{name}/versions"), &body).await.ok();
    }
    world.post("/2018-10-31/layers/a/versions", &content("bare")).await.ok();
    let all = world.get("/2018-10-31/layers").await.ok();
    assert_eq!(names(&all), ["a", "b", "c"]);
    assert_eq!(all["Layers"][0]["LatestMatchingVersion"]["Version"], 2);
    let python = world.get("/2018-10-31/layers?CompatibleRuntime=python3.12").await.ok();
    assert_eq!(names(&python), ["a", "c"]);
    assert_eq!(python["Layers"][0]["LatestMatchingVersion"]["Version"], 1);
    let page = world.get("/2018-10-31/layers?MaxItems=2").await.ok();
    let next = page["NextMarker"].as_str().unwrap();
    assert_eq!(names(&world.get(&format!("/2018-10-31/layers?Marker={next}")).await.ok()), ["c"]);
    assert_eq!(versions(&world.get("/2018-10-31/layers/none/versions").await.ok()), Vec::<u64>::new());
    let first = world.get("/2018-10-31/layers/a/versions?MaxItems=1").await.ok();
    assert_eq!(versions(&first), [2]);
    let next = first["NextMarker"].as_str().unwrap();
    let rest = world.get(&format!("/2018-10-31/layers/a/versions?Marker={next}")).await.ok();
    assert_eq!((versions(&rest), rest.get("NextMarker")), (vec![1], None));
}

#[tokio::test]
async fn layers_of_the_wrong_form_are_refused() {
    let world = World::new();
    world.post(LAYER, &json!({})).await.is_fault(400, "ValidationException", "Value null at 'content'");
    let mut body = content("x");
    body["CompatibleRuntimes"] = json!(["perl5"]);
    world.post(LAYER, &body).await.is_fault(
        400,
        "ValidationException",
        "Value '[perl5]' at 'compatibleRuntimes'",
    );
    let invalid = "InvalidParameterValueException";
    let s3 = json!({ "Content": { "S3Bucket": "b", "S3Key": "k" } });
    world.post(LAYER, &s3).await.is_fault(400, invalid, "Content.S3Bucket");
    world.post(LAYER, &json!({ "Content": {} })).await.is_fault(400, invalid, "source for function code");
    let corrupt = json!({ "Content": { "ZipFile": "AAAA" } });
    world.post(LAYER, &corrupt).await.is_fault(400, invalid, "Could not unzip");
    world.get(&format!("{LAYER}/0")).await.is_fault(400, invalid, "Layer Version Cannot be less than 1.");
    assert_eq!(world.get(&format!("{LAYER}/x")).await.status, 400);
    world.get("/2018-10-31/layers?MaxItems=51").await.is_fault(400, "ValidationException", "maxItems");
    let foreign = "/2018-10-31/layers/arn:aws:lambda:eu-west-1:111111111111:layer:l/versions/1";
    world.get(foreign).await.is_fault(403, "AccessDeniedException", "lambda:GetLayerVersion");
    let by_arn = world.get("/2018-10-31/layers?find=LayerVersion").await;
    by_arn.is_fault(400, "ValidationException", "Value null at 'arn'");
}
