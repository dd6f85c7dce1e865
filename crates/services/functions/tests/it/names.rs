//! The forms in which a function is named.

use serde_json::json;

use crate::world::*;

#[tokio::test]
async fn every_form_of_a_name_finds_the_function() {
    let world = World::with(&["f"]).await;
    world.publish("f").await;
    let encoded = arn("f").replace(':', "%3A");
    for form in ["f", "function:f", "000000000000:function:f", &arn("f"), &encoded] {
        let found = world.get(&format!("/2015-03-31/functions/{form}/configuration")).await.ok();
        assert_eq!(found["FunctionArn"], arn("f"), "{form}");
    }
    for form in ["f:1", "000000000000:function:f:1", &format!("{}:1", arn("f")), &format!("{encoded}%3A1")] {
        let found = world.get(&format!("/2015-03-31/functions/{form}/configuration")).await.ok();
        assert_eq!(found["FunctionArn"], format!("{}:1", arn("f")), "{form}");
        assert_eq!(found["Version"], "1");
    }
    let latest = world.get("/2015-03-31/functions/f/configuration?Qualifier=%24LATEST").await.ok();
    assert_eq!(latest["FunctionArn"], format!("{}:$LATEST", arn("f")));
}

#[tokio::test]
async fn names_of_other_places_and_forms_are_refused() {
    let world = World::with(&["f"]).await;
    let get = async |form: &str| world.get(&format!("/2015-03-31/functions/{form}/configuration")).await;
    get("arn:aws:lambda:us-east-1:000000000000:function:f").await.is_fault(
        404,
        "ResourceNotFoundException",
        "Functions from 'us-east-1' are not reachable in this region ('eu-west-1')",
    );
    let foreign = "arn:aws:lambda:eu-west-1:111111111111:function:f";
    get(foreign).await.is_fault(
        403,
        "AccessDeniedException",
        &format!(
            "User: arn:aws:iam::000000000000:root is not authorized to perform: lambda:GetFunctionConfiguration on \
             resource: {foreign} because no resource-based policy allows the lambda:GetFunctionConfiguration action"
        ),
    );
    let reply = world.get("/2015-03-31/functions/f:1/configuration?Qualifier=2").await;
    let message = "The derived qualifier from the function name does not match the specified qualifier.";
    reply.is_fault(400, "InvalidParameterValueException", message);
    for bad in ["a%20b", "f:a:b", "f%00", "%C3%A4"] {
        get(bad).await.is_fault(400, "ValidationException", "at 'functionName' failed to satisfy constraint");
    }
    let long = "x".repeat(300);
    get(&long).await.is_fault(
        400,
        "ValidationException",
        "Member must have length less than or equal to 256",
    );
    get(&"x".repeat(65)).await.is_fault(404, "ResourceNotFoundException", "Function not found");
    let reply = world.get("/2015-03-31/functions/f/configuration?Qualifier=a%20b").await;
    reply.is_fault(400, "ValidationException", "at 'qualifier'");
}

#[tokio::test]
async fn a_new_name_has_at_most_64_characters_and_no_qualifier() {
    let world = World::new();
    let reply = world.create(&minimal(&"x".repeat(65))).await;
    reply.is_fault(400, "ValidationException", "Member must have length less than or equal to 64");
    let reply = world.create(&minimal("f:1")).await;
    reply.is_fault(400, "InvalidParameterValueException", "permitted on Lambda functions only");
    world.create(&minimal("a.b")).await.is_fault(400, "ValidationException", "functionName");
    world.create(&minimal("a b")).await.is_fault(400, "ValidationException", "functionName");
    world.create(&minimal("")).await.is_fault(400, "ValidationException", "functionName");
    assert_eq!(world.create(&minimal(&arn("byarn"))).await.ok()["FunctionName"], "byarn");
}

#[tokio::test]
async fn operations_on_functions_take_no_qualifier() {
    let world = World::with(&["f"]).await;
    world.publish("f").await;
    let message = "This operation is permitted on Lambda functions only.";
    let reply = world.configure("f:1", json!({ "Timeout": 5 })).await;
    reply.is_fault(400, "InvalidParameterValueException", message);
    let body = json!({ "ReservedConcurrentExecutions": 1 });
    let reply = world.put("/2017-10-31/functions/f:1/concurrency", &body).await;
    reply.is_fault(400, "InvalidParameterValueException", message);
    world.configure("f:$LATEST", json!({ "Timeout": 5 })).await.ok();
}

#[tokio::test]
async fn accounts_do_not_see_each_other() {
    let mut world = World::with(&["f"]).await;
    world.account = lambent_core::ids::AccountId::new("111111111111").unwrap();
    world.get("/2015-03-31/functions/f").await.is_fault(404, "ResourceNotFoundException", ":111111111111:");
    assert_eq!(world.get("/2015-03-31/functions").await.ok()["Functions"], json!([]));
    let address = format!("/2015-03-31/functions/{}", arn("f"));
    world.delete(&address).await.is_fault(403, "AccessDeniedException", "lambda:DeleteFunction");
}
