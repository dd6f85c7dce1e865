use serde_json::{Value, json};

use crate::world::{ACCOUNT, REGION, World, function};

fn bus(name: &str) -> String {
    format!("arn:aws:events:{REGION}:{ACCOUNT}:event-bus/{name}")
}

fn archive(name: &str) -> String {
    format!("arn:aws:events:{REGION}:{ACCOUNT}:archive/{name}")
}

async fn create(world: &World, name: &str, more: Value) -> Value {
    let mut input = json!({ "ArchiveName": name, "EventSourceArn": bus("default") });
    input.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    world.done("CreateArchive", input).await
}

async fn counted(world: &World, name: &str) -> u64 {
    world.events.archive_due().await.unwrap();
    world.done("DescribeArchive", json!({ "ArchiveName": name })).await["EventCount"].as_u64().unwrap()
}

/// A replay of all that happened in the first minutes of the world.
fn replay(name: &str, world: &World) -> Value {
    let now = world.now().as_secs();
    json!({
        "ReplayName": name, "EventSourceArn": archive("a"), "Destination": { "Arn": bus("default") },
        "EventStartTime": now - 600, "EventEndTime": now + 600,
    })
}

async fn put_at(world: &World, second: u64, n: u64) -> Value {
    let entry = json!({ "Source": "app", "DetailType": "t", "Detail": json!({ "n": n }).to_string(), "Time": second });
    world.done("PutEvents", json!({ "Entries": [entry] })).await["Entries"][0]["EventId"].clone()
}

#[tokio::test]
async fn an_archive_is_made_changed_shown_listed_and_deleted() {
    let world = World::new();
    let pattern = json!({ "source": ["app"] }).to_string();
    let more = json!({ "Description": "d", "EventPattern": pattern, "RetentionDays": 3 });
    let made = create(&world, "a", more).await;
    let now = world.now().as_millis() as f64 / 1000.0;
    assert_eq!(made, json!({ "ArchiveArn": archive("a"), "State": "ENABLED", "CreationTime": now }));
    let listed = json!({
        "ArchiveName": "a", "EventSourceArn": bus("default"), "State": "ENABLED", "RetentionDays": 3,
        "SizeBytes": 0, "EventCount": 0, "CreationTime": now,
    });
    let mut shown = listed.clone();
    shown["ArchiveArn"] = json!(archive("a"));
    (shown["Description"], shown["EventPattern"]) = (json!("d"), json!(pattern));
    assert_eq!(world.done("DescribeArchive", json!({ "ArchiveName": "a" })).await, shown);
    create(&world, "b", json!({})).await;
    let names = async |filter: Value| {
        let found = world.done("ListArchives", filter).await;
        let archives = found["Archives"].as_array().unwrap().clone();
        archives.iter().map(|archive| archive["ArchiveName"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(world.done("ListArchives", json!({ "Limit": 1 })).await["Archives"], json!([listed]));
    assert_eq!(names(json!({ "NamePrefix": "b" })).await, ["b"]);
    assert_eq!(names(json!({ "EventSourceArn": bus("default") })).await, ["a", "b"]);
    assert_eq!(names(json!({ "EventSourceArn": bus("other") })).await, [""; 0]);
    assert_eq!(names(json!({ "State": "DISABLED" })).await, [""; 0]);
    let update = json!({ "ArchiveName": "a", "EventPattern": "", "RetentionDays": 0, "Description": "e" });
    world.done("UpdateArchive", update).await;
    let shown = world.done("DescribeArchive", json!({ "ArchiveName": "a" })).await;
    assert_eq!(
        (&shown["EventPattern"], &shown["RetentionDays"], &shown["Description"]),
        (&Value::Null, &json!(0), &json!("e"))
    );
    world.done("DeleteArchive", json!({ "ArchiveName": "a" })).await;
    assert_eq!(names(json!({})).await, ["b"]);
    for operation in ["DescribeArchive", "UpdateArchive", "DeleteArchive"] {
        let refused = world.refused(operation, json!({ "ArchiveName": "a" })).await;
        assert_eq!(refused, ("ResourceNotFoundException".into(), "Archive a does not exist.".into()));
    }
}

#[tokio::test]
async fn what_is_no_archive_is_refused() {
    let world = World::new();
    create(&world, "a", json!({})).await;
    for (input, code, message) in [
        (
            json!({ "ArchiveName": "a", "EventSourceArn": bus("default") }),
            "ResourceAlreadyExistsException",
            "Archive a already exists.",
        ),
        (
            json!({ "ArchiveName": "b", "EventSourceArn": bus("none") }),
            "ResourceNotFoundException",
            "Event bus none does not exist.",
        ),
        (
            json!({ "ArchiveName": "b", "EventSourceArn": archive("a") }),
            "ValidationException",
            "Parameter EventSourceArn is not valid. Reason: Must contain an event bus ARN.",
        ),
        (
            json!({ "ArchiveName": "b", "EventSourceArn": bus("default"), "EventPattern": "{}" }),
            "InvalidEventPatternException",
            "Event pattern is not valid. Reason: Empty objects are not allowed",
        ),
        (
            json!({ "ArchiveName": "b", "EventSourceArn": bus("default"), "KmsKeyIdentifier": "k" }),
            "ValidationException",
            "The parameter 'KmsKeyIdentifier' is not supported.",
        ),
        (
            json!({ "ArchiveName": "b", "EventSourceArn": bus("default"), "RetentionDays": -1 }),
            "ValidationException",
            "1 validation error detected: Value '-1' at 'retentionDays' failed to satisfy constraint: Member must have value greater than or equal to 0",
        ),
    ] {
        assert_eq!(world.refused("CreateArchive", input).await, (code.to_owned(), message.to_owned()));
    }
}

#[tokio::test]
async fn an_archive_keeps_what_its_bus_got_and_its_pattern_wants() {
    let world = World::new();
    world.done("CreateEventBus", json!({ "Name": "other" })).await;
    create(&world, "all", json!({})).await;
    create(&world, "some", json!({ "EventPattern": json!({ "detail": { "n": [1] } }).to_string() })).await;
    world.done("CreateArchive", json!({ "ArchiveName": "other", "EventSourceArn": bus("other") })).await;
    world.put(json!({ "n": 1 })).await;
    world.put(json!({ "n": 2 })).await;
    let world = world.restarted();
    assert_eq!((counted(&world, "all").await, counted(&world, "some").await), (2, 1));
    assert_eq!(counted(&world, "other").await, 0);
    // By what it is now.
    let update =
        json!({ "ArchiveName": "some", "EventPattern": json!({ "detail": { "n": [2] } }).to_string() });
    world.done("UpdateArchive", update).await;
    world.put(json!({ "n": 2 })).await;
    assert_eq!((counted(&world, "all").await, counted(&world, "some").await), (3, 2));
    let shown = world.done("DescribeArchive", json!({ "ArchiveName": "some" })).await;
    assert!(shown["SizeBytes"].as_u64().unwrap() > 2 * 150);
}

#[tokio::test]
async fn an_archive_forgets_what_is_older_than_its_days() {
    let world = World::new();
    create(&world, "days", json!({ "RetentionDays": 2 })).await;
    create(&world, "ever", json!({})).await;
    // What the event says of its time does not count.
    put_at(&world, 1_000_000, 1).await;
    world.pass(86_400);
    world.put(json!({})).await;
    assert_eq!(counted(&world, "days").await, 2);
    world.pass(86_401);
    assert_eq!((counted(&world, "days").await, counted(&world, "ever").await), (1, 2));
    world.pass(86_400);
    assert_eq!((counted(&world, "days").await, counted(&world, "ever").await), (0, 2));
    // Another archive of the name begins empty.
    world.done("DeleteArchive", json!({ "ArchiveName": "ever" })).await;
    create(&world, "ever", json!({})).await;
    assert_eq!(counted(&world, "ever").await, 0);
}

#[tokio::test]
async fn a_replay_puts_events_on_their_bus_again_in_the_order_of_their_times() {
    let world = World::new();
    create(&world, "a", json!({})).await;
    let now = world.now().as_secs();
    let mut ids = Vec::new();
    // More than a slice, the last ones first; and two that are out of the range.
    for n in 0..150 {
        ids.insert(0, put_at(&world, now - n, n).await);
    }
    put_at(&world, now - 601, 998).await;
    put_at(&world, now + 601, 999).await;
    world.rule("r", json!({ "source": ["app"] })).await;
    let started = world.done("StartReplay", replay("p", &world)).await;
    let arn = format!("arn:aws:events:{REGION}:{ACCOUNT}:replay/p");
    let moment = world.now().as_millis() as f64 / 1000.0;
    assert_eq!(started, json!({ "ReplayArn": arn, "State": "STARTING", "ReplayStartTime": moment }));
    world.pass(1);
    world.events.archive_due().await.unwrap();
    let shown = world.done("DescribeReplay", json!({ "ReplayName": "p" })).await;
    assert_eq!(
        shown,
        json!({
            "ReplayName": "p", "ReplayArn": arn, "State": "COMPLETED", "EventSourceArn": archive("a"),
            "Destination": { "Arn": bus("default") }, "EventStartTime": (now - 600) as f64,
            "EventEndTime": (now + 600) as f64, "EventLastReplayedTime": now as f64, "ReplayStartTime": moment, "ReplayEndTime": moment + 1.0,
        })
    );
    let taken = world.taken().await;
    assert_eq!(taken.len(), 150);
    let mut events: Vec<&Value> = taken.iter().map(|call| &call["payload"]).collect();
    events.sort_by_key(|event| event["time"].as_str().unwrap().to_owned());
    for (event, id) in events.iter().zip(&ids) {
        assert_eq!((&event["id"], &event["replay-name"]), (id, &json!("p")));
    }
    // None of them was archived again.
    assert_eq!(counted(&world, "a").await, 152);
    let refused = world.refused("StartReplay", replay("p", &world)).await;
    assert_eq!(refused, ("ResourceAlreadyExistsException".into(), "Replay p already exists.".into()));
}

#[tokio::test]
async fn a_replay_may_be_for_some_rules_only() {
    let world = World::new();
    create(&world, "a", json!({})).await;
    for name in ["one", "two", "never"] {
        world.rule(name, json!({ "source": [if name == "never" { "else" } else { "app" }] })).await;
    }
    world.put(json!({})).await;
    assert_eq!(world.called().await, ["one", "two"]);
    let rule = |name: &str| format!("arn:aws:events:{REGION}:{ACCOUNT}:rule/{name}");
    let mut input = replay("p", &world);
    input["Destination"]["FilterArns"] = json!([rule("two"), rule("never")]);
    world.done("StartReplay", input.clone()).await;
    world.events.archive_due().await.unwrap();
    assert_eq!(world.called().await, ["two"]);
    let shown = world.done("DescribeReplay", json!({ "ReplayName": "p" })).await;
    assert_eq!(shown["Destination"], input["Destination"]);
}

#[tokio::test]
async fn a_replay_is_cancelled_and_goes_on_after_a_restart() {
    let world = World::new();
    create(&world, "a", json!({})).await;
    world.put(json!({})).await;
    world.rule("r", json!({ "source": ["app"] })).await;
    world.done("StartReplay", replay("cancelled", &world)).await;
    let answer = world.done("CancelReplay", json!({ "ReplayName": "cancelled" })).await;
    assert_eq!(answer["State"], "CANCELLING");
    world.done("StartReplay", replay("kept", &world)).await;
    let world = world.restarted();
    world.events.archive_due().await.unwrap();
    assert_eq!(world.called().await, ["r"]);
    let listed = async |filter: Value| {
        let found = world.done("ListReplays", filter).await;
        let replays = found["Replays"].as_array().unwrap().clone();
        let name = |replay: &Value| format!("{} {}", replay["ReplayName"], replay["State"]).replace('"', "");
        replays.iter().map(name).collect::<Vec<_>>()
    };
    assert_eq!(listed(json!({})).await, ["cancelled CANCELLED", "kept COMPLETED"]);
    assert_eq!(listed(json!({ "State": "CANCELLED" })).await, ["cancelled CANCELLED"]);
    assert_eq!(listed(json!({ "NamePrefix": "k" })).await, ["kept COMPLETED"]);
    assert_eq!(listed(json!({ "EventSourceArn": archive("a") })).await.len(), 2);
    assert_eq!(listed(json!({ "EventSourceArn": archive("b") })).await, [""; 0]);
    let (code, message) = world.refused("CancelReplay", json!({ "ReplayName": "kept" })).await;
    assert_eq!(
        (&*code, &*message),
        ("IllegalStatusException", "Replay kept is not in a valid state for this operation.")
    );
    world.pass(90 * 86_400 + 1);
    world.events.archive_due().await.unwrap();
    assert_eq!(listed(json!({})).await, [""; 0]);
}

#[tokio::test]
async fn a_replay_of_an_archive_that_goes_fails() {
    let world = World::new();
    create(&world, "a", json!({})).await;
    world.put(json!({})).await;
    world.done("StartReplay", replay("p", &world)).await;
    world.done("DeleteArchive", json!({ "ArchiveName": "a" })).await;
    create(&world, "a", json!({})).await;
    world.events.archive_due().await.unwrap();
    let shown = world.done("DescribeReplay", json!({ "ReplayName": "p" })).await;
    assert_eq!(
        (&shown["State"], &shown["StateReason"]),
        (&json!("FAILED"), &json!("Archive a does not exist."))
    );
}

#[tokio::test]
async fn what_is_no_replay_is_refused() {
    let world = World::new();
    create(&world, "a", json!({})).await;
    world.done("CreateEventBus", json!({ "Name": "other" })).await;
    let with = |path: &str, value: Value| {
        let mut input = replay("p", &world);
        input[path] = value;
        input
    };
    for (input, code, message) in [
        (
            with("EventSourceArn", json!(bus("default"))),
            "ValidationException",
            "Parameter EventSourceArn is not valid. Reason: Must contain an archive ARN.",
        ),
        (
            with("EventSourceArn", json!(archive("b"))),
            "ResourceNotFoundException",
            "Archive b does not exist.",
        ),
        (
            with("Destination", json!({ "Arn": function("f") })),
            "ValidationException",
            "Parameter Destination.Arn is not valid. Reason: Must contain an event bus ARN.",
        ),
        (
            with("Destination", json!({ "Arn": bus("none") })),
            "ResourceNotFoundException",
            "Event bus none does not exist.",
        ),
        (
            with("Destination", json!({ "Arn": bus("other") })),
            "ValidationException",
            "Parameter Destination.Arn is not valid. Reason: Cross event bus replay is not permitted.",
        ),
        (
            with("EventEndTime", json!(1)),
            "ValidationException",
            "Parameter EventEndTime is not valid. Reason: EventStartTime must be before EventEndTime.",
        ),
    ] {
        assert_eq!(world.refused("StartReplay", input).await, (code.to_owned(), message.to_owned()));
    }
    for operation in ["DescribeReplay", "CancelReplay"] {
        let refused = world.refused(operation, json!({ "ReplayName": "p" })).await;
        assert_eq!(refused, ("ResourceNotFoundException".into(), "Replay p does not exist.".into()));
    }
    for operation in ["ListReplays", "ListArchives"] {
        let both = json!({ "NamePrefix": "a", "EventSourceArn": archive("a") });
        let (_, message) = world.refused(operation, both).await;
        assert!(message.starts_with(&format!("At most one filter is allowed for {operation}.")), "{message}");
    }
}
