//! The service models against the service: every member of a served operation is read, or is refused by its name.

use std::collections::BTreeMap;

use lambent_events::{
    REFUSED_EVENT_MEMBERS, REFUSED_SCHEDULER_MEMBERS, SCHEDULER_OPERATIONS, SERVED_EVENT_OPERATIONS,
    UNSERVED_EVENT_OPERATIONS,
};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::world::{ACCOUNT, REGION, World, function};

/// Made by `extract.py` beside the model of the Lambda API.
#[derive(Deserialize)]
struct Model {
    operations: BTreeMap<String, BTreeMap<String, String>>,
}

fn model() -> Model {
    serde_json::from_str(include_str!("../model/events.json")).unwrap()
}

/// An input that has the members that are required.
fn input(operation: &str) -> Value {
    let rule = format!("arn:aws:events:{REGION}:{ACCOUNT}:rule/r");
    match operation {
        "CreateConnection" => json!({
            "Name": "c", "AuthorizationType": "BASIC",
            "AuthParameters": { "BasicAuthParameters": { "Username": "u", "Password": "p" } },
        }),
        "CreateEventBus" | "DeleteEventBus" | "UpdateEventBus" => json!({ "Name": "new" }),
        "DescribeEventBus" | "ListEventBuses" | "ListRules" => json!({}),
        "ListTagsForResource" => json!({ "ResourceARN": rule }),
        "TagResource" => json!({ "ResourceARN": rule, "Tags": [{ "Key": "k", "Value": "v" }] }),
        "UntagResource" => json!({ "ResourceARN": rule, "TagKeys": ["k"] }),
        "ListRuleNamesByTarget" => json!({ "TargetArn": function("f") }),
        "ListTargetsByRule" => json!({ "Rule": "r" }),
        "RemoveTargets" => json!({ "Rule": "r", "Ids": ["t"] }),
        "PutTargets" => json!({ "Rule": "r", "Targets": [{ "Id": "t", "Arn": function("f") }] }),
        "PutEvents" => json!({ "Entries": [{ "Source": "a", "DetailType": "b", "Detail": "{}" }] }),
        "CreateArchive" => json!({ "ArchiveName": "a", "EventSourceArn": default_bus() }),
        "UpdateArchive" | "DescribeArchive" | "DeleteArchive" => json!({ "ArchiveName": "a" }),
        "DescribeReplay" | "CancelReplay" => json!({ "ReplayName": "p" }),
        "ListArchives" | "ListReplays" => json!({}),
        "StartReplay" => json!({
            "ReplayName": "p", "EventSourceArn": format!("arn:aws:events:{REGION}:{ACCOUNT}:archive/a"),
            "EventStartTime": 1, "EventEndTime": 2, "Destination": { "Arn": default_bus() },
        }),
        "PutRule" => json!({ "Name": "r", "EventPattern": r#"{"a":[1]}"# }),
        "PutPermission" => json!({ "StatementId": "s", "Principal": "*", "Action": "events:PutEvents" }),
        "RemovePermission" => json!({ "RemoveAllPermissions": true }),
        "TestEventPattern" => json!({ "EventPattern": r#"{"a":[1]}"#, "Event": "{}" }),
        _ => json!({ "Name": "r" }),
    }
}

fn default_bus() -> String {
    format!("arn:aws:events:{REGION}:{ACCOUNT}:event-bus/default")
}

/// Puts a value at a path such as `Targets[].RetryPolicy.MaximumRetryAttempts`.
fn put(at: &mut Value, path: &str, value: Value) {
    match path.split_once('.') {
        None => at[path] = value,
        Some((outer, rest)) => match outer.strip_suffix("[]") {
            Some(list) => {
                if !at[list].is_array() {
                    at[list] = json!([{}]);
                }
                put(&mut at[list][0], rest, value);
            }
            None => {
                if !at[outer].is_object() {
                    at[outer] = json!({});
                }
                put(&mut at[outer], rest, value);
            }
        },
    }
}

async fn answer(operation: &str, member: &str, value: Value) -> (String, String) {
    let world = World::new();
    world.rule("r", json!({ "source": ["app"] })).await;
    let mut input = input(operation);
    put(&mut input, member, value);
    let (_, body) = world.ask(operation, input).await;
    let text = |name: &str| body[name].as_str().unwrap_or_default().to_owned();
    (text("__type"), text("message"))
}

#[test]
fn the_tables_have_the_operations_of_the_model() {
    let mut tables = [SERVED_EVENT_OPERATIONS, &UNSERVED_EVENT_OPERATIONS].concat();
    tables.sort_unstable();
    let model = model();
    let known: Vec<&str> = model.operations.keys().map(String::as_str).collect();
    assert_eq!(tables, known);
}

#[tokio::test]
async fn every_member_of_the_model_is_read_or_refused_by_name() {
    let model = model();
    let mut wrong = Vec::new();
    for operation in SERVED_EVENT_OPERATIONS {
        for member in model.operations[*operation].keys() {
            let is_inside =
                |outer: &str| member.strip_prefix(outer).is_some_and(|rest| rest.starts_with(['.', '[']));
            let refused: Vec<&str> = REFUSED_EVENT_MEMBERS
                .iter()
                .filter(|(of, _)| of == operation)
                .map(|(_, member)| *member)
                .collect();
            if refused.iter().any(|outer| is_inside(outer)) {
                continue;
            }
            let is_as_listed = if refused.contains(&member.as_str()) {
                let (code, message) = answer(operation, member, json!("x")).await;
                let path = member.replace("[]", "[0]");
                code == "ValidationException"
                    && message == format!("The parameter '{path}' is not supported.")
            } else {
                answer(operation, member, json!(true)).await.0 == "SerializationException"
                    || answer(operation, member, json!(7)).await.0 == "SerializationException"
            };
            if !is_as_listed {
                wrong.push(format!("{operation} {member}"));
            }
        }
    }
    assert!(wrong.is_empty(), "neither read nor refused by name: {}", wrong.join(", "));
}

#[tokio::test]
async fn operations_that_are_not_served_are_refused_by_name() {
    let world = World::new();
    for operation in UNSERVED_EVENT_OPERATIONS {
        let (code, message) = world.refused(operation, json!({})).await;
        assert_eq!(code, "UnsupportedOperationException");
        assert_eq!(message, format!("The operation {operation} is not supported."));
    }
    assert_eq!(world.refused("Nothing", json!({})).await.0, "UnknownOperationException");
}

fn scheduler_model() -> Model {
    serde_json::from_str(include_str!("../model/scheduler.json")).unwrap()
}

#[test]
fn the_schedulers_table_has_the_operations_of_the_model() {
    let mut served: Vec<&str> = SCHEDULER_OPERATIONS.iter().map(|operation| operation.name).collect();
    served.sort_unstable();
    assert_eq!(served, scheduler_model().operations.keys().map(String::as_str).collect::<Vec<_>>());
}

/// Members in the path and the query are asked for by the tests of their operations.
#[tokio::test]
async fn every_member_of_the_schedulers_bodies_is_read_or_refused_by_name() {
    let (world, model) = (World::new(), scheduler_model());
    let schedule = json!({
        "ScheduleExpression": "rate(1 hour)", "FlexibleTimeWindow": { "Mode": "OFF" },
        "Target": { "Arn": function("f"), "RoleArn": format!("arn:aws:iam::{ACCOUNT}:role/r") },
    });
    let tags = format!("/tags/arn:aws:scheduler:{REGION}:{ACCOUNT}:schedule-group%2Fdefault");
    let mut wrong = Vec::new();
    for (operation, members) in &model.operations {
        let (method, path, input) = match operation.as_str() {
            "CreateSchedule" => ("POST", "/schedules/s", schedule.clone()),
            "UpdateSchedule" => ("PUT", "/schedules/s", schedule.clone()),
            "CreateScheduleGroup" => ("POST", "/schedule-groups/g", json!({})),
            "TagResource" => ("POST", tags.as_str(), json!({ "Tags": [{ "Key": "k", "Value": "v" }] })),
            _ => continue,
        };
        let refused =
            REFUSED_SCHEDULER_MEMBERS.iter().filter(|(of, _)| of == operation).map(|(_, member)| *member);
        let refused: Vec<&str> = refused.collect();
        for (member, _) in members.iter().filter(|(_, place)| *place == "body") {
            let is_inside =
                |outer: &&&str| member.strip_prefix(**outer).is_some_and(|rest| rest.starts_with(['.', '[']));
            if refused.iter().any(|outer| is_inside(&outer)) {
                continue;
            }
            let mut codes = Vec::new();
            for value in [json!(true), json!(7)] {
                let mut input = input.clone();
                put(&mut input, member, value);
                let (_, body) = world.ask_rest(method, path, input).await;
                codes.push((body["code"].clone(), body["message"].clone()));
            }
            let is_as_listed = match refused.contains(&member.as_str()) {
                true => codes
                    .iter()
                    .all(|(_, message)| *message == format!("The parameter '{member}' is not supported.")),
                false => codes.iter().any(|(code, _)| code == "SerializationException"),
            };
            if !is_as_listed {
                wrong.push(format!("{operation} {member}: {codes:?}"));
            }
        }
    }
    assert!(wrong.is_empty(), "neither read nor refused by name: {}", wrong.join(", "));
}
