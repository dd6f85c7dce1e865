//! Permissions.

use serde_json::{Value, json};

use crate::world::*;

const POLICY: &str = "/2015-03-31/functions/f/policy";

fn permission(id: &str, principal: &str) -> Value {
    json!({ "StatementId": id, "Action": "lambda:InvokeFunction", "Principal": principal })
}

#[tokio::test]
async fn the_policy_is_printed_as_the_reference_prints_it() {
    let world = World::with(&["f"]).await;
    let mut body = permission("s3", "s3.amazonaws.com");
    body["SourceArn"] = json!("arn:aws:s3:::bucket");
    body["SourceAccount"] = json!("000000000000");
    let reply = world.post(POLICY, &body).await;
    assert_eq!(reply.status, 201);
    let statement = format!(
        r#"{{"Sid":"s3","Effect":"Allow","Principal":{{"Service":"s3.amazonaws.com"}},"Action":"lambda:InvokeFunction","Resource":"{}","Condition":{{"ArnLike":{{"AWS:SourceArn":"arn:aws:s3:::bucket"}},"StringEquals":{{"AWS:SourceAccount":"000000000000"}}}}}}"#,
        arn("f")
    );
    assert_eq!(reply.json()["Statement"], statement);
    let found = world.get(POLICY).await.ok();
    let document = format!(r#"{{"Version":"2012-10-17","Id":"default","Statement":[{statement}]}}"#);
    assert_eq!(found["Policy"], document);
}

#[tokio::test]
async fn every_condition_stands_in_the_statement() {
    let world = World::with(&["f"]).await;
    let mut body = permission("url", "*");
    body["Action"] = json!("lambda:InvokeFunctionUrl");
    body["FunctionUrlAuthType"] = json!("NONE");
    body["InvokedViaFunctionUrl"] = json!(true);
    body["PrincipalOrgID"] = json!("o-0123456789");
    body["EventSourceToken"] = json!("token");
    let text = world.post(POLICY, &body).await.ok()["Statement"].as_str().unwrap().to_owned();
    let statement: Value = serde_json::from_str(&text).unwrap();
    assert_eq!(statement["Principal"], "*");
    assert_eq!(
        statement["Condition"],
        json!({
            "Bool": { "lambda:InvokedViaFunctionUrl": "true" },
            "StringEquals": {
                "aws:PrincipalOrgID": "o-0123456789",
                "lambda:EventSourceToken": "token",
                "lambda:FunctionUrlAuthType": "NONE",
            },
        })
    );
}

#[tokio::test]
async fn statements_are_refused_for_what_is_wrong_with_them() {
    let world = World::with(&["f"]).await;
    world.post(POLICY, &permission("a", "111111111111")).await.ok();
    let invalid = "InvalidParameterValueException";
    let message = "The statement id (a) provided already exists. Please provide a new statement id, or remove the \
                   existing statement.";
    world.post(POLICY, &permission("a", "*")).await.is_fault(409, "ResourceConflictException", message);
    for bad in ["nonsense", "s3.example.com", "arn:aws:iam::*:root", "arn:aws:s3:::bucket"] {
        let reply = world.post(POLICY, &permission("b", bad)).await;
        reply.is_fault(400, invalid, "The provided principal was invalid.");
    }
    let latest = world.post(&format!("{POLICY}?Qualifier=%24LATEST"), &permission("b", "*")).await;
    latest.is_fault(400, invalid, "We currently do not support adding policies for $LATEST.");
    let mut url = permission("b", "*");
    url["FunctionUrlAuthType"] = json!("NONE");
    world.post(POLICY, &url).await.is_fault(400, invalid, "only supported for lambda:InvokeFunctionUrl");
    world.post(POLICY, &json!({})).await.is_fault(400, "ValidationException", "3 validation errors");
    let none = world.post(&format!("{POLICY}?Qualifier=none"), &permission("b", "*")).await;
    none.is_fault(404, "ResourceNotFoundException", &format!("Function not found: {}:none", arn("f")));
}

#[tokio::test]
async fn a_policy_has_its_own_revision_and_its_own_qualifier() {
    let world = World::with(&["f"]).await;
    world.publish("f").await;
    let qualified = format!("{POLICY}?Qualifier=1");
    world.post(&qualified, &permission("v", "*")).await.ok();
    world.get(POLICY).await.is_fault(
        404,
        "ResourceNotFoundException",
        "The resource you requested does not exist.",
    );
    let first = world.get(&qualified).await.ok();
    assert!(first["Policy"].as_str().unwrap().contains(&format!("{}:1", arn("f"))));
    let mut second = permission("w", "*");
    second["RevisionId"] = json!("stale");
    world.post(&qualified, &second).await.is_fault(412, "PreconditionFailedException", "GetPolicy");
    second["RevisionId"] = first["RevisionId"].clone();
    world.post(&qualified, &second).await.ok();
    assert_ne!(world.get(&qualified).await.ok()["RevisionId"], first["RevisionId"]);
}

#[tokio::test]
async fn permissions_are_removed() {
    let world = World::with(&["f"]).await;
    let remove = async |id: &str| world.delete(&format!("{POLICY}/{id}")).await;
    remove("a").await.is_fault(
        404,
        "ResourceNotFoundException",
        "No policy is associated with the given resource.",
    );
    world.post(POLICY, &permission("a", "*")).await.ok();
    world.post(POLICY, &permission("b", "*")).await.ok();
    remove("c").await.is_fault(
        404,
        "ResourceNotFoundException",
        "Statement c is not found in resource policy.",
    );
    let stale = world.delete(&format!("{POLICY}/a?RevisionId=stale")).await;
    stale.is_fault(412, "PreconditionFailedException", "GetPolicy");
    assert_eq!(remove("a").await.status, 204);
    assert_eq!(remove("b").await.status, 204);
    world.get(POLICY).await.is_fault(404, "ResourceNotFoundException", "does not exist.");
}

#[tokio::test]
async fn a_policy_lets_another_account_call_and_nothing_else() {
    let mut world = World::with(&["f", "g"]).await;
    world.post(POLICY, &permission("a", "111111111111")).await.ok();
    let mut conditional = permission("c", "111111111111");
    conditional["SourceArn"] = json!("arn:aws:s3:::bucket");
    world.post("/2015-03-31/functions/g/policy", &conditional).await.ok();
    world.account = lambent_core::ids::AccountId::new("111111111111").unwrap();
    world.call(&arn("f"), &[], "{}").await.ok();
    world.call(&arn("g"), &[], "{}").await.is_fault(
        403,
        "AccessDeniedException",
        "lambda:InvokeFunction on resource",
    );
    world.call(&arn("none"), &[], "{}").await.is_fault(403, "AccessDeniedException", "lambda:InvokeFunction");
    let get = world.get(&format!("/2015-03-31/functions/{}", arn("f"))).await;
    get.is_fault(403, "AccessDeniedException", "lambda:GetFunction");
}

#[tokio::test]
async fn a_policy_can_t_grow_without_end() {
    let world = World::with(&["f"]).await;
    let mut last = None;
    for i in 0..200 {
        let reply = world.post(POLICY, &permission(&format!("statement-{i}"), "s3.amazonaws.com")).await;
        if reply.status != 201 {
            last = Some(reply);
            break;
        }
    }
    last.expect("a limit is met").is_fault(
        400,
        "PolicyLengthExceededException",
        "bigger than the limit (20480)",
    );
}
