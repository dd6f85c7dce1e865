//! Every member of the model's create and update requests: each acts, or is refused by its name.
//!
//! The lists are the model's own, written out: a member that is added to the model is added here, and then has
//! to be dealt with.

use serde_json::{Value, json};

use crate::world::*;

enum Does {
    /// The configuration afterwards shows this value at this pointer.
    Shows(Value, &'static str, Value),
    /// Refused by this name; the second value is the default, which is taken.
    Refuses(Value, &'static str, Option<Value>),
    /// Acts in a way that another test shows.
    Elsewhere,
}
use Does::*;

fn shared() -> Vec<(&'static str, Does)> {
    let fs = json!([{ "Arn": "arn:aws:elasticfilesystem:eu-west-1:000000000000:access-point/fsap-0", "LocalMountPath": "/mnt/a" }]);
    let provider =
        json!({ "LambdaManagedInstancesCapacityProviderConfig": { "CapacityProviderArn": "arn" } });
    vec![
        ("Runtime", Shows(json!("nodejs22.x"), "/Runtime", json!("nodejs22.x"))),
        (
            "Role",
            Shows(
                json!("arn:aws:iam::000000000000:role/other"),
                "/Role",
                json!("arn:aws:iam::000000000000:role/other"),
            ),
        ),
        ("Handler", Shows(json!("other.handler"), "/Handler", json!("other.handler"))),
        ("Description", Shows(json!("words"), "/Description", json!("words"))),
        ("Timeout", Shows(json!(11), "/Timeout", json!(11))),
        ("MemorySize", Shows(json!(1_769), "/MemorySize", json!(1_769))),
        (
            "Environment",
            Shows(json!({ "Variables": { "AB": "c" } }), "/Environment/Variables/AB", json!("c")),
        ),
        ("EphemeralStorage", Shows(json!({ "Size": 1_024 }), "/EphemeralStorage/Size", json!(1_024))),
        ("LoggingConfig", Shows(json!({ "LogGroup": "mine" }), "/LoggingConfig/LogGroup", json!("mine"))),
        ("Layers", Elsewhere),
        (
            "VpcConfig",
            Refuses(
                json!({ "SubnetIds": ["s"] }),
                "VpcConfig",
                Some(json!({ "SubnetIds": [], "SecurityGroupIds": [] })),
            ),
        ),
        (
            "DeadLetterConfig",
            Shows(
                json!({ "TargetArn": "arn:aws:sqs:eu-west-1:000000000000:q" }),
                "/DeadLetterConfig/TargetArn",
                json!("arn:aws:sqs:eu-west-1:000000000000:q"),
            ),
        ),
        ("KMSKeyArn", Refuses(json!("arn:aws:kms:r:1:key/k"), "KMSKeyArn", Some(json!("")))),
        (
            "TracingConfig",
            Refuses(json!({ "Mode": "Active" }), "TracingConfig", Some(json!({ "Mode": "PassThrough" }))),
        ),
        ("FileSystemConfigs", Refuses(fs, "FileSystemConfigs", Some(json!([])))),
        ("ImageConfig", Refuses(json!({ "Command": ["x"] }), "ImageConfig", Some(json!({})))),
        (
            "SnapStart",
            Shows(
                json!({ "ApplyOn": "PublishedVersions" }),
                "/SnapStart",
                json!({ "ApplyOn": "PublishedVersions", "OptimizationStatus": "Off" }),
            ),
        ),
        ("CapacityProviderConfig", Refuses(provider, "CapacityProviderConfig", None)),
        ("DurableConfig", Refuses(json!({ "ExecutionTimeout": 60 }), "DurableConfig", None)),
    ]
}

fn create_only() -> Vec<(&'static str, Does)> {
    vec![
        ("FunctionName", Elsewhere),
        ("Code", Elsewhere),
        ("Publish", Elsewhere),
        ("Tags", Elsewhere),
        ("PackageType", Refuses(json!("Image"), "PackageType", Some(json!("Zip")))),
        (
            "CodeSigningConfigArn",
            Refuses(
                json!("arn:aws:lambda:r:1:code-signing-config:csc-1"),
                "CodeSigningConfigArn",
                Some(json!("")),
            ),
        ),
        ("Architectures", Refuses(json!(["arm64"]), "Architectures", Some(json!(["x86_64"])))),
        ("PublishTo", Refuses(json!("LATEST_PUBLISHED"), "PublishTo", None)),
        ("TenancyConfig", Refuses(json!({ "TenantIsolationMode": "PER_TENANT" }), "TenancyConfig", None)),
    ]
}

fn code() -> Vec<(&'static str, Does)> {
    vec![
        ("ZipFile", Elsewhere),
        ("S3Bucket", Refuses(json!("bucket"), "S3Bucket", None)),
        ("S3Key", Refuses(json!("key"), "S3Key", None)),
        ("S3ObjectVersion", Refuses(json!("v"), "S3ObjectVersion", None)),
        ("ImageUri", Refuses(json!("1.dkr.ecr.r.amazonaws.com/i"), "ImageUri", None)),
        ("SourceKMSKeyArn", Refuses(json!("arn:aws:kms:r:1:key/k"), "SourceKMSKeyArn", Some(json!("")))),
    ]
}

#[track_caller]
fn shows(found: &Value, pointer: &str, wanted: &Value) {
    assert_eq!(found.pointer(pointer), Some(wanted), "{pointer}");
}

const INVALID: &str = "InvalidParameterValueException";

#[tokio::test]
async fn every_member_of_create_function_acts_or_is_refused() {
    let members: Vec<_> = shared().into_iter().chain(create_only()).collect();
    assert_eq!(members.len(), 28, "the model's CreateFunction has 28 members");
    for (member, does) in members {
        let world = World::new();
        match does {
            Shows(value, pointer, wanted) => {
                world.create_with("f", json!({ member: value })).await.ok();
                shows(&world.configuration("f").await, pointer, &wanted);
            }
            Refuses(value, name, default) => {
                world.create_with("f", json!({ member: value })).await.is_fault(400, INVALID, name);
                assert_eq!(world.writes(), 0);
                for default in [Some(Value::Null), default].into_iter().flatten() {
                    let world = World::new();
                    world.create_with("f", json!({ member: default })).await.ok();
                }
            }
            Elsewhere => {}
        }
    }
}

#[tokio::test]
async fn every_member_of_update_function_configuration_acts_or_is_refused() {
    for (member, does) in shared() {
        let world = World::with(&["f"]).await;
        match does {
            Shows(value, pointer, wanted) => {
                world.configure("f", json!({ member: value })).await.ok();
                shows(&world.configuration("f").await, pointer, &wanted);
            }
            Refuses(value, name, default) => {
                let before = world.configuration("f").await;
                world.configure("f", json!({ member: value })).await.is_fault(400, INVALID, name);
                assert_eq!(world.configuration("f").await, before);
                if let Some(default) = default {
                    world.configure("f", json!({ member: default })).await.ok();
                }
            }
            Elsewhere => {}
        }
    }
}

#[tokio::test]
async fn every_source_of_code_acts_or_is_refused() {
    for (member, does) in code() {
        let Refuses(value, name, default) = does else { continue };
        let world = World::with(&["g"]).await;
        let mut body = minimal("f");
        body["Code"][member] = value.clone();
        world.create(&body).await.is_fault(400, INVALID, &format!("Code.{name}"));
        let mut update = json!({ "ZipFile": zip("new") });
        update[member] = value;
        let address = "/2015-03-31/functions/g/code";
        world.put(address, &update).await.is_fault(400, INVALID, name);
        if let Some(default) = default {
            update[member] = default;
            world.put(address, &update).await.ok();
        }
    }
}

#[tokio::test]
async fn the_other_members_of_update_function_code_act_or_are_refused() {
    let world = World::with(&["f"]).await;
    let address = "/2015-03-31/functions/f/code";
    for (member, value) in [("PublishTo", json!("LATEST_PUBLISHED")), ("Architectures", json!(["arm64"]))] {
        let mut body = json!({ "ZipFile": zip("new") });
        body[member] = value;
        world.put(address, &body).await.is_fault(400, INVALID, member);
    }
    world.put(address, &json!({ "ZipFile": zip("new"), "Architectures": ["x86_64"] })).await.ok();
    let unknown = json!({ "ZipFile": zip("new"), "Architectures": ["vax"] });
    world.put(address, &unknown).await.is_fault(400, "ValidationException", "[x86_64, arm64]");
    let publish_to = json!({ "PublishTo": "LATEST_PUBLISHED" });
    world.post("/2015-03-31/functions/f/versions", &publish_to).await.is_fault(400, INVALID, "PublishTo");
}

#[tokio::test]
async fn a_member_that_the_model_does_not_have_is_ignored() {
    let world = World::new();
    world.create_with("f", json!({ "Nonsense": { "deep": [1] } })).await.ok();
}
