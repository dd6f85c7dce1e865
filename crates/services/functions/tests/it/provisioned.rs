//! Provisioned concurrency, and what is made ready before an update.

use std::sync::atomic::Ordering;

use lambent_core::ports::Provisioned;
use serde_json::{Value, json};

use crate::world::*;

const NOT_FOUND: &str = "ResourceNotFoundException";
const INVALID: &str = "InvalidParameterValueException";
const CONFLICT: &str = "ResourceConflictException";

fn address(name: &str, qualifier: &str) -> String {
    format!("/2019-09-30/functions/{name}/provisioned-concurrency?Qualifier={qualifier}")
}

async fn put(world: &World, qualifier: &str, count: i64) -> Reply {
    world.put(&address("f", qualifier), &json!({ "ProvisionedConcurrentExecutions": count })).await
}

/// A function with versions 1, 2 and 3, and the alias `live` of the first.
async fn world() -> World {
    let world = World::with(&["f"]).await;
    for content in ["one", "two", "three"] {
        world.publish_new("f", content).await;
    }
    world.functions.settle().await;
    alias(&world, "live", "1").await;
    world
}

async fn alias(world: &World, name: &str, version: &str) {
    let body = json!({ "Name": name, "FunctionVersion": version });
    world.post("/2015-03-31/functions/f/aliases", &body).await.ok();
}

async fn update_alias(world: &World, body: Value) -> Reply {
    world.put("/2015-03-31/functions/f/aliases/live", &body).await
}

fn provisions(world: &World) -> Vec<Vec<(String, u32)>> {
    std::mem::take(&mut *world.invoke.provisions.lock().unwrap())
}

fn stands(world: &World, version: &str, ready: u32, failure: Option<&str>) {
    let provisioned = Provisioned { ready, failure: failure.map(str::to_owned) };
    world.invoke.stands.lock().unwrap().insert(version.to_owned(), provisioned);
}

fn one(version: &str, count: u32) -> Vec<(String, u32)> {
    vec![(version.to_owned(), count)]
}

#[tokio::test]
async fn a_configuration_is_kept_handed_on_and_shown_as_it_stands() {
    let world = world().await;
    let reply = put(&world, "1", 4).await;
    assert_eq!(reply.status, 202);
    let shown = reply.json();
    assert_eq!(shown["RequestedProvisionedConcurrentExecutions"], 4);
    assert_eq!(shown["AllocatedProvisionedConcurrentExecutions"], 0);
    assert_eq!(shown["AvailableProvisionedConcurrentExecutions"], 0);
    assert_eq!(shown["Status"], "IN_PROGRESS");
    let modified = shown["LastModified"].as_str().unwrap();
    assert!(modified.ends_with("+0000") && !modified.contains('.'), "{modified}");
    assert_eq!(provisions(&world).pop(), Some(one("1", 4)));

    stands(&world, "1", 3, None);
    let found = world.get(&address("f", "1")).await.ok();
    assert_eq!(
        (&found["Status"], &found["AvailableProvisionedConcurrentExecutions"]),
        (&"IN_PROGRESS".into(), &3.into())
    );
    stands(&world, "1", 3, Some("FUNCTION_ERROR_INIT_FAILURE"));
    let found = world.get(&address("f", "1")).await.ok();
    assert_eq!(
        (&found["Status"], &found["StatusReason"]),
        (&"FAILED".into(), &"FUNCTION_ERROR_INIT_FAILURE".into())
    );
    stands(&world, "1", 4, None);
    let found = world.get(&address("f", "1")).await.ok();
    assert_eq!(
        (&found["Status"], &found["AllocatedProvisionedConcurrentExecutions"]),
        (&"READY".into(), &4.into())
    );
    assert_eq!(found.get("StatusReason"), None);

    assert_eq!(world.delete(&address("f", "1")).await.status, 204);
    assert_eq!(provisions(&world).pop(), Some(vec![]));
    assert_eq!(world.delete(&address("f", "1")).await.status, 204, "a second deletion finds nothing to do");
    let message = "No Provisioned Concurrency Config found for this function";
    let code = "ProvisionedConcurrencyConfigNotFoundException";
    world.get(&address("f", "1")).await.is_fault(404, code, message);
}

#[tokio::test]
async fn only_published_versions_and_aliases_of_them_can_have_it() {
    let world = world().await;
    let unpublished = "Provisioned Concurrency Configs cannot be applied to unpublished function versions.";
    put(&world, "$LATEST", 1).await.is_fault(400, INVALID, unpublished);
    alias(&world, "dev", "$LATEST").await;
    put(&world, "dev", 1).await.is_fault(400, INVALID, unpublished);
    let bare = "/2019-09-30/functions/f/provisioned-concurrency";
    let message = "The function resource provided must be an alias or a published version.";
    world.get(bare).await.is_fault(400, INVALID, message);
    world.get(&address("f", "$LATEST")).await.is_fault(400, INVALID, message);
    world.delete(&address("f", "$LATEST")).await.is_fault(400, INVALID, message);
    for reply in [put(&world, "9", 1).await, world.get(&address("f", "9")).await] {
        reply.is_fault(404, NOT_FOUND, "Function not found: ");
    }
    for reply in [put(&world, "gone", 1).await, world.delete(&address("f", "gone")).await] {
        reply.is_fault(404, NOT_FOUND, "Cannot find alias arn: ");
    }
    world.get(&address("none", "1")).await.is_fault(404, NOT_FOUND, "Function not found: ");
    let below = put(&world, "1", 0).await;
    below.is_fault(400, "ValidationException", "provisionedConcurrentExecutions");
    world.put(&address("f", "1"), &json!({})).await.is_fault(400, "ValidationException", "must not be null");
    assert_eq!(provisions(&world), Vec::<Vec<_>>::new());
}

#[tokio::test]
async fn a_version_is_provisioned_by_itself_or_through_aliases() {
    let world = world().await;
    put(&world, "live", 2).await.ok();
    put(&world, "1", 1).await.is_fault(
        409,
        CONFLICT,
        "Version is pointed by a Provisioned Concurrency alias",
    );
    put(&world, "2", 1).await.ok();
    let message =
        "Alias can't be used for Provisioned Concurrency configuration on an already Provisioned version";
    update_alias(&world, json!({ "FunctionVersion": "2" })).await.is_fault(409, CONFLICT, message);
    alias(&world, "second", "2").await;
    put(&world, "second", 1).await.is_fault(409, CONFLICT, message);
    let message = "Invalid alias configuration for Provisioned Concurrency";
    update_alias(&world, json!({ "FunctionVersion": "$LATEST" })).await.is_fault(400, INVALID, message);
    let weighted = json!({
        "Name": "split", "FunctionVersion": "1",
        "RoutingConfig": { "AdditionalVersionWeights": { "3": 0.5 } },
    });
    world.post("/2015-03-31/functions/f/aliases", &weighted).await.ok();
    put(&world, "split", 1).await.is_fault(400, INVALID, message);
}

#[tokio::test]
async fn it_counts_against_the_account_and_fits_into_a_reservation() {
    let world = world().await;
    let too_low = "decreases account's UnreservedConcurrentExecution below its minimum value of [100].";
    put(&world, "1", 901).await.is_fault(400, INVALID, too_low);
    let over = "Specified ConcurrentExecutions for function is greater than account's unreserved concurrency [1000].";
    put(&world, "1", 1_001).await.is_fault(400, INVALID, over);
    put(&world, "1", 900).await.ok();
    let settings = world.get("/2016-08-19/account-settings").await.ok();
    assert_eq!(settings["AccountLimit"]["UnreservedConcurrentExecutions"], 100);
    put(&world, "1", 10).await.ok();
    world.call("f", &[], "").await.ok();
    assert_eq!(world.last_call().unreserved_concurrency, 990);

    let reserve = async |count: u32| {
        let body = json!({ "ReservedConcurrentExecutions": count });
        world.put("/2017-10-31/functions/f/concurrency", &body).await
    };
    let below = "should not be lower than function's total provisioned concurrency [10].";
    reserve(9).await.is_fault(400, INVALID, below);
    reserve(0).await.is_fault(400, INVALID, below);
    reserve(20).await.ok();
    put(&world, "2", 10).await.ok();
    let message = "Requested Provisioned Concurrency should not be greater than the reservedConcurrentExecution for function";
    put(&world, "2", 11).await.is_fault(400, INVALID, message);
    let settings = world.get("/2016-08-19/account-settings").await.ok();
    assert_eq!(
        settings["AccountLimit"]["UnreservedConcurrentExecutions"], 980,
        "it is a part of the reservation"
    );
}

#[tokio::test]
async fn lists_show_every_configuration_in_pages() {
    let world = world().await;
    let list = "/2019-09-30/functions/f/provisioned-concurrency?List=ALL";
    assert_eq!(world.get(list).await.ok(), json!({ "ProvisionedConcurrencyConfigs": [] }));
    put(&world, "live", 2).await.ok();
    put(&world, "3", 1).await.ok();
    stands(&world, "3", 1, None);
    let first = world.get(&format!("{list}&MaxItems=1")).await.ok();
    let shown = &first["ProvisionedConcurrencyConfigs"];
    assert_eq!(shown.as_array().unwrap().len(), 1);
    assert_eq!(
        (&shown[0]["FunctionArn"], &shown[0]["Status"]),
        (&format!("{}:3", arn("f")).into(), &"READY".into())
    );
    let marker = first["NextMarker"].as_str().unwrap();
    let second = world.get(&format!("{list}&Marker={marker}")).await.ok();
    let shown = &second["ProvisionedConcurrencyConfigs"];
    assert_eq!(shown[0]["FunctionArn"], format!("{}:live", arn("f")));
    assert_eq!(second.get("NextMarker"), None);
    let missing = world.get("/2019-09-30/functions/none/provisioned-concurrency?List=ALL").await;
    missing.is_fault(404, NOT_FOUND, "Function not found: ");
    world.get(&format!("{list}&MaxItems=51")).await.is_fault(400, "ValidationException", "maxItems");
}

#[tokio::test]
async fn an_alias_that_moves_takes_its_provision_along_and_the_old_one_stays_until_then() {
    let world = world().await;
    put(&world, "live", 10).await.ok();
    provisions(&world);
    update_alias(&world, json!({ "FunctionVersion": "2" })).await.ok();
    let both = vec![("2".to_owned(), 10), ("1".to_owned(), 10)];
    assert_eq!(provisions(&world), vec![both, one("2", 10)]);

    let weights = json!({ "RoutingConfig": { "AdditionalVersionWeights": { "3": 0.25 } } });
    update_alias(&world, weights).await.ok();
    let split = vec![("2".to_owned(), 7), ("3".to_owned(), 3)];
    assert_eq!(provisions(&world).pop(), Some(split));
    // Both versions' environments are the alias's.
    stands(&world, "2", 7, None);
    stands(&world, "3", 2, None);
    let found = world.get(&address("f", "live")).await.ok();
    assert_eq!(found["AllocatedProvisionedConcurrentExecutions"], 9);

    world.delete("/2015-03-31/functions/f/aliases/live").await;
    assert_eq!(provisions(&world).pop(), Some(vec![]));
}

#[tokio::test]
async fn what_is_provisioned_goes_with_its_version_and_comes_back_with_the_node() {
    let world = world().await;
    put(&world, "2", 3).await.ok();
    provisions(&world);
    world.functions.provision_all();
    assert_eq!(provisions(&world), vec![one("2", 3)]);
    world.delete("/2015-03-31/functions/f?Qualifier=2").await;
    assert_eq!(provisions(&world), vec![vec![]]);
    put(&world, "3", 1).await.ok();
    world.delete("/2015-03-31/functions/f").await;
    assert_eq!(provisions(&world).pop(), Some(vec![]));
    world.functions.provision_all();
    assert_eq!(provisions(&world), Vec::<Vec<_>>::new());
}

#[tokio::test]
async fn versions_that_are_about_to_get_calls_are_made_ready_as_the_old_one_was_busy() {
    let world = world().await;
    let warmed = || std::mem::take(&mut *world.invoke.warmed.lock().unwrap());
    update_alias(&world, json!({ "FunctionVersion": "2" })).await.ok();
    assert_eq!(warmed(), vec![], "nobody called it");
    world.invoke.recent.store(8, Ordering::SeqCst);
    update_alias(&world, json!({ "Description": "new words" })).await.ok();
    assert_eq!(warmed(), vec![]);
    update_alias(&world, json!({ "FunctionVersion": "3" })).await.ok();
    assert_eq!(warmed(), one("3", 8));
    let canary = json!({ "RoutingConfig": { "AdditionalVersionWeights": { "1": 0.1 } } });
    update_alias(&world, canary).await.ok();
    assert_eq!(warmed(), one("1", 1), "its share of the calls");

    world.update_code("f", "four").await;
    assert_eq!(warmed(), one("$LATEST", 8));
    world.configure("f", json!({ "MemorySize": 256 })).await.ok();
    assert_eq!(warmed(), one("$LATEST", 8));
    world.configure("f", json!({ "MemorySize": 1 })).await.is_fault(400, "ValidationException", "memorySize");
    assert_eq!(warmed(), vec![]);
    let dry = json!({ "ZipFile": zip("five"), "DryRun": true });
    world.put("/2015-03-31/functions/f/code", &dry).await.ok();
    assert_eq!(warmed(), vec![]);
}
