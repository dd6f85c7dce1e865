use serde_json::{Value, json};

use crate::world::{ACCOUNT, REGION, World};

fn arn(name: &str) -> String {
    format!("arn:aws:events:{REGION}:{ACCOUNT}:event-bus/{name}")
}

#[tokio::test]
async fn buses_are_made_changed_listed_and_deleted() {
    let world = World::new();
    let made = world.done("CreateEventBus", json!({ "Name": "b", "Description": "d" })).await;
    assert_eq!(made, json!({ "EventBusArn": arn("b"), "Description": "d" }));
    let shown = world.done("DescribeEventBus", json!({ "Name": arn("b") })).await;
    let now = world.now().as_millis() as f64 / 1000.0;
    let mut wanted = json!({ "Name": "b", "Arn": arn("b"), "Description": "d", "CreationTime": now, "LastModifiedTime": now });
    assert_eq!(shown, wanted);
    world.pass(60);
    world.done("UpdateEventBus", json!({ "Name": "b", "Description": "e" })).await;
    wanted["Description"] = json!("e");
    wanted["LastModifiedTime"] = json!(now + 60.0);
    assert_eq!(world.done("DescribeEventBus", json!({ "Name": "b" })).await, wanted);
    assert_eq!(
        world.done("DescribeEventBus", json!({})).await,
        json!({ "Name": "default", "Arn": arn("default") })
    );
    world.done("CreateEventBus", json!({ "Name": "z" })).await;
    let names = |page: &Value| {
        let buses = page["EventBuses"].as_array().unwrap().iter();
        buses.map(|bus| bus["Name"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    let first = world.done("ListEventBuses", json!({ "Limit": 2 })).await;
    assert_eq!(names(&first), ["b", "default"]);
    let rest = world.done("ListEventBuses", json!({ "Limit": 2, "NextToken": first["NextToken"] })).await;
    assert_eq!((names(&rest), &rest["NextToken"]), (vec!["z".to_owned()], &Value::Null));
    assert_eq!(names(&world.done("ListEventBuses", json!({ "NamePrefix": "d" })).await), ["default"]);
    for name in ["b", "default"] {
        let (code, message) = world.refused("CreateEventBus", json!({ "Name": name })).await;
        assert_eq!(
            (&*code, message),
            ("ResourceAlreadyExistsException", format!("Event bus {name} already exists."))
        );
    }
    world.done("PutRule", json!({ "Name": "r", "EventBusName": "b", "EventPattern": r#"{"a":[1]}"# })).await;
    world.refused("DeleteEventBus", json!({ "Name": "b" })).await;
    world.done("DeleteRule", json!({ "Name": "r", "EventBusName": "b" })).await;
    world.done("DeleteEventBus", json!({ "Name": "b" })).await;
    let (code, message) = world.refused("DescribeEventBus", json!({ "Name": "b" })).await;
    assert_eq!((&*code, &*message), ("ResourceNotFoundException", "Event bus b does not exist."));
    let (_, message) = world.refused("DeleteEventBus", json!({ "Name": "default" })).await;
    assert_eq!(message, "Cannot delete event bus default.");
}

#[tokio::test]
async fn a_policy_is_put_together_and_taken_apart() {
    let world = World::new();
    let (code, _) = world.refused("RemovePermission", json!({ "StatementId": "s" })).await;
    assert_eq!(code, "ResourceNotFoundException");
    for (id, principal) in [("a", "*"), ("b", "111111111111")] {
        let statement = json!({ "StatementId": id, "Principal": principal, "Action": "events:PutEvents" });
        world.done("PutPermission", statement).await;
    }
    let policy = async || {
        let shown = world.done("DescribeEventBus", json!({})).await;
        shown["Policy"].as_str().map(|policy| serde_json::from_str::<Value>(policy).unwrap())
    };
    assert_eq!(policy().await.unwrap()["Statement"].as_array().unwrap().len(), 2);
    let (code, _) = world.refused("RemovePermission", json!({ "StatementId": "c" })).await;
    assert_eq!(code, "ResourceNotFoundException");
    world.done("RemovePermission", json!({ "StatementId": "a" })).await;
    assert_eq!(policy().await.unwrap()["Statement"][0]["Sid"], "b");
    world.done("RemovePermission", json!({ "RemoveAllPermissions": true })).await;
    assert_eq!(policy().await, None);
    let whole = json!({ "Version": "2012-10-17", "Statement": [{ "Effect": "Allow", "Principal": "*", "Action": "events:*" }] });
    world.done("PutPermission", json!({ "Policy": whole.to_string() })).await;
    assert_eq!(policy().await, Some(whole));
    for bad in [
        json!({ "Policy": "{}" }),
        json!({ "StatementId": "a", "Principal": "*" }),
        json!({ "Policy": "{}", "StatementId": "a" }),
        json!({ "StatementId": "a", "Principal": "*", "Action": "events:PutEvents",
            "Condition": { "Type": "StringLike", "Key": "k", "Value": "v" } }),
    ] {
        assert_eq!(world.refused("PutPermission", bad.clone()).await.0, "ValidationException", "{bad}");
    }
    let long = "x".repeat(11_000);
    let long =
        json!({ "Statement": [{ "Effect": "Allow", "Principal": "*", "Action": "events:*", "Sid": long }] });
    let (code, _) = world.refused("PutPermission", json!({ "Policy": long.to_string() })).await;
    assert_eq!(code, "PolicyLengthExceededException");
}

#[tokio::test]
async fn buses_and_rules_have_tags() {
    let world = World::new();
    let tag = |key: &str| json!({ "Key": key, "Value": "v" });
    world.done("CreateEventBus", json!({ "Name": "b", "Tags": [tag("a")] })).await;
    for arn in [arn("b"), arn("default")] {
        world.done("TagResource", json!({ "ResourceARN": arn, "Tags": [tag("b"), tag("c")] })).await;
        world.done("UntagResource", json!({ "ResourceARN": arn, "TagKeys": ["a", "c"] })).await;
        let tags = world.done("ListTagsForResource", json!({ "ResourceARN": arn })).await;
        assert_eq!(tags, json!({ "Tags": [tag("b")] }));
    }
    let (code, _) = world.refused("ListTagsForResource", json!({ "ResourceARN": arn("gone") })).await;
    assert_eq!(code, "ResourceNotFoundException");
    let reserved = json!({ "ResourceARN": arn("b"), "Tags": [tag("aws:x")] });
    assert_eq!(world.refused("TagResource", reserved).await.0, "ValidationException");
    let many: Vec<Value> = (0..50).map(|n| tag(&n.to_string())).collect();
    let (code, message) =
        world.refused("TagResource", json!({ "ResourceARN": arn("b"), "Tags": many })).await;
    assert_eq!((&*code, &*message), ("ValidationException", "A resource can have no more than 50 tags."));
}
