//! The service model against the service: every operation is there, and every member of it is read.

use std::collections::BTreeMap;

use lambent_wire::query::{Member, Shape};
use serde::Deserialize;

use super::*;
use crate::OPERATIONS;

/// Made by `extract.py` beside the model of the Lambda API.
#[derive(Deserialize)]
struct Model {
    operations: BTreeMap<String, BTreeMap<String, String>>,
}

fn model() -> Model {
    serde_json::from_str(include_str!("../../../tests/model/members.json")).unwrap()
}

#[test]
fn the_table_has_the_operations_of_the_model() {
    let table: Vec<&str> = OPERATIONS.iter().map(|operation| operation.name).collect();
    let model = model();
    let known: Vec<&str> = model.operations.keys().map(String::as_str).collect();
    assert_eq!(table, known);
}

/// Members as the model names them.
fn paths(members: &[Member], prefix: &str) -> Vec<String> {
    members
        .iter()
        .flat_map(|member| {
            let path = format!("{prefix}{}", member.name);
            let inner = match member.shape {
                Shape::List { item: Shape::Structure(members), .. } => paths(members, &format!("{path}[].")),
                _ => Vec::new(),
            };
            [vec![path], inner].concat()
        })
        .collect()
}

#[test]
fn the_query_protocol_has_the_members_of_the_model() {
    let model = model();
    for operation in OPERATIONS {
        let mut table = paths(operation.takes, "");
        table.sort();
        let known: Vec<String> = model.operations[operation.name].keys().cloned().collect();
        assert_eq!(table, known, "{}", operation.name);
    }
}

/// An input that has what is read before the member in question.
async fn input(bench: &Bench, operation: &str) -> Value {
    let dead = bench.make("dead.fifo", json!({ "FifoQueue": "true" })).await;
    let arn = "arn:aws:sqs:eu-west-1:000000000000:dead.fifo";
    let redrive = json!({ "deadLetterTargetArn": arn, "maxReceiveCount": 1 }).to_string();
    bench.make("q.fifo", json!({ "FifoQueue": "true", "RedrivePolicy": redrive })).await;
    let entry = json!({ "Id": "a", "MessageBody": "m", "ReceiptHandle": "r", "VisibilityTimeout": 1 });
    let mut input = json!({ "QueueUrl": dead, "Label": "l", "AWSAccountIds": ["000000000000"],
        "Actions": ["*"], "QueueName": "new", "ReceiptHandle": "r", "MessageBody": "m", "SourceArn": arn,
        "TaskHandle": "h" });
    if operation.ends_with("Batch") {
        input["Entries"] = json!([entry]);
    }
    input
}

#[tokio::test]
async fn every_member_of_the_model_is_read() {
    let model = model();
    let mut wrong = Vec::new();
    for (operation, members) in &model.operations {
        for member in members.keys() {
            let bench = Bench::new();
            let mut input = input(&bench, operation).await;
            // Nothing of the model is a list of truths.
            let bad = json!([true]);
            match member.split_once("[].") {
                None => input[member] = bad,
                Some((list, inner)) => input[list][0][inner] = bad,
            }
            let (_, body) = bench.call(operation, input).await;
            let told = body["__type"].as_str().or(body["Failed"][0]["Code"].as_str()).unwrap_or_default();
            if !told.ends_with("SerializationException") && told != "MalformedInput" {
                wrong.push(format!("{operation} {member}: {body}"));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
