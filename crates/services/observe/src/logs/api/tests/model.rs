//! The service model against the service: every member of a served operation is read, or is refused by its
//! name. What is listed as compatible is made from the same lists.

use std::collections::BTreeMap;

use serde::Deserialize;

use super::*;
use crate::logs::{REFUSED_MEMBERS, SERVED_OPERATIONS, UNSERVED_OPERATIONS};

/// Made by `extract.py` beside the model of the Lambda API.
#[derive(Deserialize)]
struct Model {
    operations: BTreeMap<String, BTreeMap<String, String>>,
}

fn model() -> Model {
    serde_json::from_str(include_str!("../../../../tests/model/members.json")).unwrap()
}

const ARN: &str = "arn:aws:logs:eu-west-1:000000000000:log-group:g";

/// An input that has the members that are required, for a group `g` with a stream `s`.
fn input(operation: &str, now: u64) -> Value {
    match operation {
        "CreateLogGroup" => json!({ "logGroupName": "new" }),
        "CreateLogStream" => json!({ "logGroupName": "g", "logStreamName": "new" }),
        "DescribeLogGroups" => json!({}),
        "DeleteLogStream" | "GetLogEvents" => json!({ "logGroupName": "g", "logStreamName": "s" }),
        "ListTagsForResource" => json!({ "resourceArn": ARN }),
        "PutLogEvents" => json!({ "logGroupName": "g", "logStreamName": "s",
            "logEvents": [{ "timestamp": now, "message": "m" }] }),
        "PutRetentionPolicy" => json!({ "logGroupName": "g", "retentionInDays": 7 }),
        "TagLogGroup" => json!({ "logGroupName": "g", "tags": { "a": "b" } }),
        "TagResource" => json!({ "resourceArn": ARN, "tags": { "a": "b" } }),
        "UntagLogGroup" => json!({ "logGroupName": "g", "tags": ["a"] }),
        "UntagResource" => json!({ "resourceArn": ARN, "tagKeys": ["a"] }),
        _ => json!({ "logGroupName": "g" }),
    }
}

/// The code and message of the answer when the member has this value.
async fn answer(operation: &str, member: &str, value: Value) -> (String, String) {
    let bench = Bench::new();
    bench.make("g", "s").await;
    let mut input = input(operation, bench.now());
    match member.split_once("[].") {
        None => input[member] = value,
        Some((list, inner)) => input[list][0][inner] = value,
    }
    let (_, body) = bench.call(operation, input).await;
    let text = |name: &str| body[name].as_str().unwrap_or_default().to_owned();
    (text("__type"), text("message"))
}

async fn is_read(operation: &str, member: &str) -> bool {
    for value in [json!(true), json!(7)] {
        if answer(operation, member, value).await.0 == "SerializationException" {
            return true;
        }
    }
    false
}

#[test]
fn the_tables_have_the_operations_of_the_model() {
    let mut tables = [SERVED_OPERATIONS, &UNSERVED_OPERATIONS].concat();
    tables.sort_unstable();
    let model = model();
    let known: Vec<&str> = model.operations.keys().map(String::as_str).collect();
    assert_eq!(tables, known);
}

#[tokio::test]
async fn every_member_of_the_model_is_read_or_refused_by_name() {
    let model = model();
    let mut wrong = Vec::new();
    for operation in SERVED_OPERATIONS {
        for member in model.operations[*operation].keys() {
            let is_as_listed = if REFUSED_MEMBERS.contains(&(*operation, member)) {
                let (code, message) = answer(operation, member, json!("x")).await;
                code == "InvalidParameterException"
                    && message == format!("The parameter '{member}' is not supported.")
            } else if *operation == "PutLogEvents" && member.starts_with("entity") {
                // Read whole, whatever it is, and answered with rejectedEntityInfo: another test shows it.
                continue;
            } else {
                is_read(operation, member).await
            };
            if !is_as_listed {
                wrong.push(format!("{operation} {member}"));
            }
        }
    }
    assert!(wrong.is_empty(), "neither read nor refused by name: {}", wrong.join(", "));
}
