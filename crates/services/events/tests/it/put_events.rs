use serde_json::{Value, json};

use crate::world::{ACCOUNT, REGION, World, function};

#[tokio::test]
async fn an_event_reaches_the_targets_of_the_rules_that_want_it() {
    let world = World::new();
    world.rule("all", json!({ "source": ["app"] })).await;
    world.rule("some", json!({ "detail": { "n": [{ "numeric": [">", 5] }] } })).await;
    world.rule("none", json!({ "source": ["other"] })).await;
    let answer = world.put(json!({ "n": 7 })).await;
    assert_eq!(answer["FailedEntryCount"], 0);
    let taken = world.taken().await;
    assert_eq!(taken.len(), 2);
    let event = &taken[0]["payload"];
    assert_eq!(event["id"], answer["Entries"][0]["EventId"]);
    let id = event["id"].clone();
    assert_eq!(
        *event,
        json!({
            "version": "0", "id": id, "detail-type": "t", "source": "app", "account": ACCOUNT,
            "time": "2026-11-20T10:07:30Z", "region": REGION, "resources": [], "detail": { "n": 7 },
        })
    );
    let arn = format!("arn:aws:events:{REGION}:{ACCOUNT}:rule/all");
    assert_eq!(taken[0]["by"], json!(["events.amazonaws.com", arn, ACCOUNT]));
    world.put(json!({ "n": 1 })).await;
    assert_eq!(world.called().await, ["all"]);
    assert_eq!(*world.functions.told.lock().unwrap(), 2);
}

#[tokio::test]
async fn each_member_of_an_entry_acts() {
    let world = World::new();
    world.rule("all", json!({ "source": ["app"] })).await;
    world.done("CreateEventBus", json!({ "Name": "b" })).await;
    world
        .done("PutRule", json!({ "Name": "r", "EventBusName": "b", "EventPattern": r#"{"source":["app"]}"# }))
        .await;
    let target = json!({ "Id": "t", "Arn": function("on-b") });
    world.done("PutTargets", json!({ "Rule": "r", "EventBusName": "b", "Targets": [target] })).await;
    let entry = json!({
        "Source": "app", "DetailType": "type", "Detail": r#"{"b": 1.50, "a": 2}"#, "EventBusName": "b",
        "Resources": ["arn:x"], "Time": 1_600_000_000.7, "TraceHeader": "Root=1-2-3",
    });
    world.done("PutEvents", json!({ "Entries": [entry] })).await;
    let taken = world.taken().await;
    let [taken] = &taken[..] else { panic!("{taken:?}") };
    assert_eq!((taken["to"].as_str(), &taken["trace"]), (Some("on-b"), &json!("Root=1-2-3")));
    let event = &taken["payload"];
    assert_eq!(event["resources"], json!(["arn:x"]));
    assert_eq!((&event["time"], &event["detail-type"]), (&json!("2020-09-13T12:26:40Z"), &json!("type")));
    // The default bus by its ARN, and one that is not there: accepted, and wanted by nobody.
    let arn = format!("arn:aws:events:{REGION}:{ACCOUNT}:event-bus/default");
    let entry =
        |bus: &str| json!({ "Source": "app", "DetailType": "t", "Detail": "{}", "EventBusName": bus });
    let answer = world.done("PutEvents", json!({ "Entries": [entry(&arn), entry("gone")] })).await;
    assert_eq!((&answer["FailedEntryCount"], world.called().await), (&json!(0), vec!["all".to_owned()]));
}

#[tokio::test]
async fn bad_entries_fail_by_themselves() {
    let world = World::new();
    world.rule("all", json!({ "source": ["app"] })).await;
    let good = json!({ "Source": "app", "DetailType": "t", "Detail": "{}" });
    let with = |member: &str, value: Value| {
        let mut entry = good.clone();
        entry[member] = value;
        entry
    };
    for (entry, code, message) in [
        (
            with("Source", json!("")),
            "InvalidArgument",
            "Parameter Source is not valid. Reason: Source is a required argument.",
        ),
        (
            with("DetailType", Value::Null),
            "InvalidArgument",
            "Parameter DetailType is not valid. Reason: DetailType is a required argument.",
        ),
        (
            with("Detail", Value::Null),
            "InvalidArgument",
            "Parameter Detail is not valid. Reason: Detail is a required argument.",
        ),
        (with("Detail", json!("{")), "MalformedDetail", "Detail is malformed."),
        (with("Detail", json!("[]")), "MalformedDetail", "Detail is malformed."),
        (
            with("Source", json!("aws.ec2")),
            "NotAuthorizedForSourceException",
            "Not authorized for the source.",
        ),
    ] {
        let answer = world.done("PutEvents", json!({ "Entries": [entry, good] })).await;
        assert_eq!(answer["FailedEntryCount"], 1, "{entry}");
        assert_eq!(answer["Entries"][0], json!({ "ErrorCode": code, "ErrorMessage": message }));
        assert!(answer["Entries"][1]["EventId"].is_string());
        assert_eq!(world.called().await, ["all"]);
    }
}

#[tokio::test]
async fn requests_keep_to_their_limits() {
    let world = World::new();
    let entry = json!({ "Source": "app", "DetailType": "t", "Detail": "{}" });
    let (code, message) = world.refused("PutEvents", json!({ "Entries": vec![entry.clone(); 11] })).await;
    assert_eq!(code, "ValidationException");
    assert!(
        message.contains(
            "at 'entries' failed to satisfy constraint: Member must have length less than or equal to 10"
        ),
        "{message}"
    );
    world.refused("PutEvents", json!({ "Entries": [] })).await;
    world.refused("PutEvents", json!({})).await;
    let detail = |bytes: usize| format!("{{\"x\":\"{}\"}}", "x".repeat(bytes - 8));
    let big = |bytes| json!({ "Entries": [{ "Source": "app", "DetailType": "t", "Detail": detail(bytes), "Time": 1 }] });
    world.done("PutEvents", big((1 << 20) - 3 - 1 - 14)).await;
    let (code, message) = world.refused("PutEvents", big((1 << 20) - 3 - 1 - 13)).await;
    assert_eq!(
        (&*code, &*message),
        ("ValidationException", "Total size of the entries in the request is over the limit.")
    );
    let (_, message) = world.refused("PutEvents", json!({ "Entries": [entry], "EndpointId": "a.b" })).await;
    assert_eq!(message, "The parameter 'EndpointId' is not supported.");
}

#[tokio::test]
async fn targets_get_what_their_input_makes_of_an_event() {
    let world = World::new();
    world.rule("whole", json!({ "source": ["app"] })).await;
    let rule = "whole";
    world.target(rule, json!({ "Id": "a", "Arn": function("a-constant"), "Input": r#"{"k": [1]}"# })).await;
    world.target(rule, json!({ "Id": "b", "Arn": function("b-path"), "InputPath": "$.detail.n" })).await;
    let transformer = json!({
        "InputPathsMap": { "n": "$.detail.n" }, "InputTemplate": r#"{"n": <n>, "rule": "<aws.events.rule-name>"}"#,
    });
    world
        .target(rule, json!({ "Id": "c", "Arn": function("c-made"), "InputTransformer": transformer }))
        .await;
    world.put(json!({ "n": 7 })).await;
    let taken = world.taken().await;
    let payloads: Vec<(&str, &Value)> =
        taken.iter().map(|body| (body["to"].as_str().unwrap(), &body["payload"])).collect();
    assert!(payloads.contains(&("a-constant", &json!({ "k": [1] }))));
    assert!(payloads.contains(&("b-path", &json!(7))));
    assert!(payloads.contains(&("c-made", &json!({ "n": 7, "rule": "whole" }))));
    assert_eq!(payloads.len(), 4);
}

#[tokio::test]
async fn a_bus_is_a_target_for_one_hop_and_others_need_its_permission() {
    let world = World::new();
    let bus = |account: &str, name: &str| format!("arn:aws:events:{REGION}:{account}:event-bus/{name}");
    for name in ["one", "two"] {
        world.done("CreateEventBus", json!({ "Name": name })).await;
    }
    let wire = async |rule: &str, on: &str, arn: String| {
        let pattern = r#"{"source":["app"]}"#;
        world.done("PutRule", json!({ "Name": rule, "EventBusName": on, "EventPattern": pattern })).await;
        let target = json!({ "Id": "t", "Arn": arn });
        world.done("PutTargets", json!({ "Rule": rule, "EventBusName": on, "Targets": [target] })).await;
    };
    wire("out", "default", bus(ACCOUNT, "one")).await;
    wire("on", "one", bus(ACCOUNT, "two")).await;
    wire("f1", "one", function("from-one")).await;
    wire("f2", "two", function("from-two")).await;
    world.put(json!({})).await;
    assert_eq!(world.called().await, ["from-one"]);
    // Another account's events come in when the bus says so.
    let other = "111111111111";
    let entry =
        json!({ "Source": "app", "DetailType": "t", "Detail": "{}", "EventBusName": bus(ACCOUNT, "two") });
    let (_, answer) = world.ask_as(other, "PutEvents", json!({ "Entries": [entry] })).await;
    assert_eq!(answer["Entries"][0]["ErrorCode"], "AccessDeniedException");
    let grant = json!({ "EventBusName": "two", "Action": "events:PutEvents", "Principal": other, "StatementId": "s" });
    world.done("PutPermission", grant).await;
    let (_, answer) = world.ask_as(other, "PutEvents", json!({ "Entries": [entry] })).await;
    assert_eq!(answer["FailedEntryCount"], 0);
    let taken = world.taken().await;
    assert_eq!((&taken[0]["to"], &taken[0]["payload"]["account"]), (&json!("from-two"), &json!(other)));
}

#[tokio::test]
async fn a_target_that_refuses_takes_nothing_from_the_others() {
    let world = World::new();
    world.rule("refused", json!({ "source": ["app"] })).await;
    world.target("refused", json!({ "Id": "u", "Arn": function("taken") })).await;
    world.put(json!({})).await;
    assert_eq!(world.called().await, ["taken"]);
}
