//! The operation table against the model's list.

use bytes::Bytes;
use http::Method;
use lambent_functions::api::OPERATIONS;

use crate::world::World;

/// Every operation of the model, with whether this node serves it.
const SERVED: &[&str] = &[
    "AddPermission",
    "CreateAlias",
    "CreateEventSourceMapping",
    "CreateFunction",
    "CreateFunctionUrlConfig",
    "DeleteAlias",
    "DeleteEventSourceMapping",
    "DeleteFunction",
    "DeleteFunctionConcurrency",
    "DeleteFunctionEventInvokeConfig",
    "DeleteFunctionUrlConfig",
    "DeleteLayerVersion",
    "DeleteProvisionedConcurrencyConfig",
    "GetAccountSettings",
    "GetAlias",
    "GetEventSourceMapping",
    "GetFunction",
    "GetFunctionCodeSigningConfig",
    "GetFunctionConcurrency",
    "GetFunctionConfiguration",
    "GetFunctionEventInvokeConfig",
    "GetFunctionRecursionConfig",
    "GetFunctionUrlConfig",
    "GetLayerVersion",
    "GetLayerVersionByArn",
    "GetPolicy",
    "GetProvisionedConcurrencyConfig",
    "Invoke",
    "InvokeWithResponseStream",
    "ListAliases",
    "ListCodeSigningConfigs",
    "ListEventSourceMappings",
    "ListFunctionEventInvokeConfigs",
    "ListFunctionUrlConfigs",
    "ListFunctions",
    "ListLayerVersions",
    "ListLayers",
    "ListProvisionedConcurrencyConfigs",
    "ListTags",
    "ListVersionsByFunction",
    "PublishLayerVersion",
    "PublishVersion",
    "PutFunctionConcurrency",
    "PutFunctionEventInvokeConfig",
    "PutFunctionRecursionConfig",
    "PutProvisionedConcurrencyConfig",
    "RemovePermission",
    "TagResource",
    "UntagResource",
    "UpdateAlias",
    "UpdateEventSourceMapping",
    "UpdateFunctionCode",
    "UpdateFunctionConfiguration",
    "UpdateFunctionEventInvokeConfig",
    "UpdateFunctionUrlConfig",
];

#[test]
fn every_operation_of_the_model_stands_in_the_table_once() {
    assert_eq!(OPERATIONS.len(), 85);
    let mut names: Vec<&str> = OPERATIONS.iter().map(|o| o.name).collect();
    assert!(names.is_sorted(), "the table keeps the reference's order");
    names.dedup();
    assert_eq!(names.len(), 85);
    let served: Vec<&str> = OPERATIONS.iter().filter(|o| o.is_served()).map(|o| o.name).collect();
    assert_eq!(served, SERVED);
}

#[tokio::test]
async fn an_operation_that_is_not_served_answers_by_its_name() {
    let world = World::with(&["f"]).await;
    for (method, address, name) in [
        (Method::POST, "/2014-11-13/functions/f/invoke-async", "InvokeAsync"),
        (Method::POST, "/2025-11-30/capacity-providers/", "CreateCapacityProvider"),
        (Method::PUT, "/2020-06-30/functions/f/code-signing-config", "PutFunctionCodeSigningConfig"),
        (Method::POST, "/2020-04-22/code-signing-configs", "CreateCodeSigningConfig"),
        (Method::GET, "/2021-07-20/functions/f/runtime-management-config", "GetRuntimeManagementConfig"),
    ] {
        let reply = world.send(method, address, &[], Bytes::new()).await;
        let message = format!("Lambent does not implement {name} yet.");
        reply.is_fault(501, "UnsupportedOperationException", &message);
    }
}

#[tokio::test]
async fn paths_and_methods_that_no_operation_has_are_refused() {
    let world = World::new();
    assert_eq!(world.get("/2015-03-31/nonsense").await.status, 404);
    assert_eq!(world.get("/").await.status, 404);
    assert_eq!(world.send(Method::PATCH, "/2015-03-31/functions", &[], Bytes::new()).await.status, 403);
    assert_eq!(world.get("/2015-03-31/functions/%FF").await.status, 400);
}

#[tokio::test]
async fn account_settings_show_limits_and_usage() {
    let world = World::with(&["f"]).await;
    let body = world.get("/2016-08-19/account-settings/").await.ok();
    assert_eq!(body["AccountLimit"]["TotalCodeSize"], 80_530_636_800_u64);
    assert_eq!(body["AccountLimit"]["CodeSizeUnzipped"], 262_144_000);
    assert_eq!(body["AccountLimit"]["CodeSizeZipped"], 52_428_800);
    assert_eq!(body["AccountLimit"]["ConcurrentExecutions"], 1_000);
    assert_eq!(body["AccountLimit"]["UnreservedConcurrentExecutions"], 1_000);
    assert_eq!(body["AccountUsage"]["FunctionCount"], 1);
    assert_eq!(body["AccountUsage"]["TotalCodeSize"], 6);
}
