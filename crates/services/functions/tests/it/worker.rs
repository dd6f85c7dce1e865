//! The worker.

use std::sync::atomic::Ordering;
use std::time::Duration;

use serde_json::json;

use crate::world::*;

#[tokio::test(start_paused = true)]
async fn the_worker_brings_functions_to_rest_as_they_come() {
    let world = World::new();
    world.create(&minimal("before")).await.ok();
    let story = async {
        tokio::time::sleep(Duration::from_millis(1)).await;
        assert_eq!(world.configuration("before").await["State"], "Active");
        world.create(&minimal("after")).await.ok();
        tokio::time::sleep(Duration::from_millis(1)).await;
        assert_eq!(world.configuration("after").await["State"], "Active");
        world.configure("after", json!({ "Timeout": 4 })).await.ok();
        tokio::time::sleep(Duration::from_millis(1)).await;
        assert_eq!(world.configuration("after").await["LastUpdateStatus"], "Successful");
    };
    tokio::select! {
        () = world.functions.run_worker() => panic!("the worker does not end"),
        () = story => {}
    }
}

#[tokio::test(start_paused = true)]
async fn the_worker_tries_again_when_the_store_can_t_write() {
    let world = World::new();
    world.create(&minimal("f")).await.ok();
    world.store.unavailable.store(true, Ordering::SeqCst);
    let story = async {
        tokio::time::sleep(Duration::from_secs(5)).await;
        assert_eq!(world.configuration("f").await["State"], "Pending");
        world.store.unavailable.store(false, Ordering::SeqCst);
        tokio::time::sleep(Duration::from_secs(2)).await;
        assert_eq!(world.configuration("f").await["State"], "Active");
    };
    tokio::select! {
        () = world.functions.run_worker() => panic!("the worker does not end"),
        () = story => {}
    }
}

#[tokio::test]
async fn an_update_to_a_missing_runtime_fails_and_the_next_one_heals() {
    let world = World::with(&["f"]).await;
    world.runtimes.missing.lock().unwrap().insert("python3.13".into());
    world.configure("f", json!({ "Runtime": "python3.13" })).await.ok();
    world.functions.settle().await;
    let failed = world.configuration("f").await;
    assert_eq!((&failed["State"], &failed["LastUpdateStatus"]), (&json!("Failed"), &json!("Failed")));
    assert_eq!(failed["LastUpdateStatusReasonCode"], "InvalidRuntime");
    world.configure("f", json!({ "Runtime": "python3.12" })).await.ok();
    world.functions.settle().await;
    assert_eq!(world.configuration("f").await["State"], "Active");
}
