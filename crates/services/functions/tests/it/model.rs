//! The service model against the service: every input member of every served operation is read, or is refused
//! by its name. What is listed as compatible is made from the same lists.
//!
//! Whether a member is read is seen from outside: a value that no member could take is answered otherwise than
//! its absence. That a member which is read also acts is what the other tests show.

use std::collections::BTreeMap;

use bytes::Bytes;
use http::Method;
use lambent_functions::api::{OPERATIONS, Operation};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::world::*;

/// Made by `tests/model/extract.py`.
#[derive(Deserialize)]
struct Model {
    operations: BTreeMap<String, BTreeMap<String, String>>,
}

fn model() -> Model {
    serde_json::from_str(include_str!("../model/members.json")).unwrap()
}

/// A call that succeeds, or fails for no reason of its form.
#[derive(Clone)]
struct Probe {
    operation: &'static Operation,
    query: Vec<(String, String)>,
    header: Option<(String, String)>,
    body: Value,
}

const LAYER: &str = "arn:aws:lambda:eu-west-1:000000000000:layer:l:1";

fn probe(operation: &'static Operation) -> Probe {
    let body = match operation.name {
        "AddPermission" => {
            json!({ "StatementId": "t", "Action": "lambda:InvokeFunction", "Principal": "123456789012" })
        }
        "CreateAlias" => json!({ "Name": "other", "FunctionVersion": "1" }),
        "CreateEventSourceMapping" => {
            json!({ "FunctionName": "f", "EventSourceArn": queue_arn("other") })
        }
        "CreateFunction" => minimal("g"),
        "PublishLayerVersion" => json!({ "Content": { "ZipFile": zip("layer") } }),
        "PutFunctionConcurrency" => json!({ "ReservedConcurrentExecutions": 1 }),
        "PutFunctionRecursionConfig" => json!({ "RecursiveLoop": "Allow" }),
        "PutProvisionedConcurrencyConfig" => json!({ "ProvisionedConcurrentExecutions": 1 }),
        "TagResource" => json!({ "Tags": { "a": "b" } }),
        "UpdateFunctionCode" => json!({ "ZipFile": zip("new") }),
        _ => json!({}),
    };
    let query = match operation.name {
        "GetLayerVersionByArn" => vec![("Arn".to_owned(), LAYER.to_owned())],
        "PutProvisionedConcurrencyConfig" => vec![("Qualifier".to_owned(), "1".to_owned())],
        "UntagResource" => vec![("tagKeys".to_owned(), "a".to_owned())],
        _ => Vec::new(),
    };
    Probe { operation, query, header: None, body }
}

impl Probe {
    /// Sends to a world of its own.
    async fn send(&self) -> Reply {
        let world = World::with(&["f"]).await;
        world.publish("f").await;
        let alias = json!({ "Name": "prod", "FunctionVersion": "1" });
        world.post("/2015-03-31/functions/f/aliases", &alias).await.ok();
        let statement =
            json!({ "StatementId": "s", "Action": "lambda:InvokeFunction", "Principal": "123456789012" });
        world.post("/2015-03-31/functions/f/policy", &statement).await.ok();
        let layer = json!({ "Content": { "ZipFile": zip("layer") } });
        world.post("/2018-10-31/layers/l/versions", &layer).await.ok();

        world.source.make("other");
        let mapping = json!({ "FunctionName": "f", "EventSourceArn": world.source.make("q") });
        let mapping = world.post("/2015-03-31/event-source-mappings", &mapping).await.ok();

        let resource = arn("f").replace(':', "%3A");
        let mut address = self.operation.path.to_owned();
        for (label, value) in [
            ("{FunctionName}", "f"),
            ("{Name}", "prod"),
            ("{LayerName}", "l"),
            ("{VersionNumber}", "1"),
            ("{StatementId}", "s"),
            ("{Resource}", &resource),
            ("{UUID}", mapping["UUID"].as_str().unwrap()),
        ] {
            address = address.replace(label, value);
        }
        for (name, value) in &self.query {
            let mark = if address.contains('?') { '&' } else { '?' };
            address.push_str(&format!("{mark}{name}={}", value.replace(' ', "%20").replace(':', "%3A")));
        }
        let method: Method = self.operation.method.parse().unwrap();
        let headers: Vec<_> =
            self.header.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        let body = match &self.body {
            Value::String(raw) => raw.clone(),
            body => body.to_string(),
        };
        world.send(method, &address, &headers, Bytes::from(body)).await
    }

    /// As this one, with the member put into the body.
    fn with_body(&self, member: &str, value: Value) -> Self {
        let mut changed = self.clone();
        let mut place = &mut changed.body;
        for part in member.split('.') {
            place = match part.strip_suffix("[]") {
                Some(list) => {
                    place[list] = json!([{}]);
                    &mut place[list][0]
                }
                None => &mut place[part],
            };
        }
        *place = value;
        changed
    }
}

/// A value that is ill-formed wherever a text has a form.
const ILL_FORMED: &str = "a b";

async fn is_read(probe: &Probe, member: &str, place: &str) -> bool {
    let (kind, name) = place.split_once(':').unwrap_or((place, ""));
    let mut without = probe.clone();
    let mut with = probe.clone();
    match kind {
        "uri" => return probe.operation.path.contains(&format!("{{{member}}}")),
        "body" => {
            for value in [json!(true), json!(7)] {
                let reply = probe.with_body(member, value).send().await;
                if reply.header("x-amzn-errortype") == Some("SerializationException") {
                    return true;
                }
            }
            return false;
        }
        "query" => {
            without.query.retain(|(found, _)| found != name);
            with.query.clone_from(&without.query);
            with.query.push((name.to_owned(), ILL_FORMED.to_owned()));
        }
        "header" => with.header = Some((name.to_ascii_lowercase(), ILL_FORMED.to_owned())),
        "payload" => with.body = json!("no JSON"),
        other => panic!("{other} is no place in a request"),
    }
    let (without, with) = (without.send().await, with.send().await);
    (without.status, without.bytes) != (with.status, with.bytes)
}

async fn is_refused(probe: &Probe, member: &str, place: &str) -> bool {
    let probe = match place.split_once(':') {
        Some(("header", name)) => {
            Probe { header: Some((name.to_ascii_lowercase(), "x".to_owned())), ..probe.clone() }
        }
        _ => probe.with_body(member, json!(true)),
    };
    let reply = probe.send().await;
    reply.header("x-amzn-errortype") == Some("InvalidParameterValueException")
        && reply.json()["Message"]
            .as_str()
            // The second is the reference's own sentence.
            .is_some_and(|m| {
                m.starts_with(&format!("The parameter {member} "))
                    || m.starts_with(&format!("Unsupported {member} parameter "))
            })
}

/// The members to judge: what is inside of a refused one is refused with it.
fn judged<'a>(
    members: &'a BTreeMap<String, String>,
    refused: &[String],
) -> impl Iterator<Item = (&'a str, &'a str)> {
    let outer: Vec<String> = refused.iter().flat_map(|r| [format!("{r}."), format!("{r}[].")]).collect();
    members
        .iter()
        .filter(move |(member, _)| !outer.iter().any(|outer| member.starts_with(outer)))
        .map(|(member, place)| (member.as_str(), place.as_str()))
}

#[test]
fn the_table_has_the_operations_of_the_model() {
    let model = model();
    let known: Vec<&str> = model.operations.keys().map(String::as_str).collect();
    let table: Vec<&str> = OPERATIONS.iter().map(|operation| operation.name).collect();
    assert_eq!(table, known);
}

#[tokio::test]
async fn every_member_of_the_model_is_read_or_refused_by_name() {
    let model = model();
    let mut wrong = Vec::new();
    for operation in OPERATIONS.iter().filter(|operation| operation.is_served()) {
        let (refused, probe) = (operation.refused_members(), probe(operation));
        for (member, place) in judged(&model.operations[operation.name], &refused) {
            let is_as_listed = match refused.iter().any(|r| r == member) {
                true => is_refused(&probe, member, place).await,
                false => is_read(&probe, member, place).await,
            };
            if !is_as_listed {
                wrong.push(format!("{} {member}", operation.name));
            }
        }
    }
    assert!(wrong.is_empty(), "neither read nor refused by name: {}", wrong.join(", "));
}

#[tokio::test]
async fn a_member_that_nobody_reads_is_noticed() {
    let operation = OPERATIONS.iter().find(|operation| operation.name == "AddPermission").unwrap();
    let probe = probe(operation);
    for place in ["uri", "body", "query:Nonsense", "header:X-Amz-Nonsense"] {
        assert!(!is_read(&probe, "Nonsense", place).await, "{place}");
        assert!(!is_refused(&probe, "Nonsense", place).await, "{place}");
    }
}
