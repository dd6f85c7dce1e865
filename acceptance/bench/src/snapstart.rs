//! A Python function that imports the AWS SDK, started from a snapshot of its init.

use http::Method;
use serde_json::{Value, json};

use crate::client::{Client, Prepared};
use crate::functions::{Function, creation_with, wait_active, zip};
use crate::node::Node;
use crate::stages::Spent;
use crate::table::{Goal, Row, Table, median};
use crate::{Bench, Result};

const WHAT: &str = "first call, Python + boto3, SnapStart";

/// The reference has SnapStart from Python 3.12 on; the interpreter of the other rows serves it.
const ALIAS: &[&str] = &["--runtime-alias", "python3.12=python3.11"];

/// A version each, and the SDK is imported for each: fewer rounds than elsewhere.
const ROUNDS_MAX: usize = 30;

const SOURCE: &str = "import boto3\ntable = boto3.client('dynamodb', region_name='us-east-1')\n\
                      def handler(event, context):\n    return table.meta.region_name\n";

pub async fn measure(bench: &Bench, table: &mut Table) -> Result<()> {
    let Some(boto3) = &bench.boto3 else {
        table.skip(WHAT, "no --boto3 FOLDER was given");
        return Ok(());
    };
    let node = Node::fresh(&bench.binary, ALIAS)?;
    let mut client = Client::connect(node.address).await?;
    let mut files = vec![("index.py".to_owned(), SOURCE.as_bytes().to_vec())];
    collect(boto3, boto3, &mut files)?;
    let named: Vec<(&str, &[u8])> =
        files.iter().map(|(name, text)| (name.as_str(), text.as_slice())).collect();
    let package = zip(&named)?;
    let function = Function { runtime: "python3.12", ..Function::python("sdk", &package) };
    let setting = json!({ "SnapStart": { "ApplyOn": "PublishedVersions" } });
    if let Err(error) = client.ask(&creation_with(node.address, &function, &setting)?).await {
        let text = error.to_string();
        if !text.starts_with("4") {
            return Err(error);
        }
        table.skip(WHAT, &format!("SnapStart is refused: {text}"));
        return node.stop();
    }
    wait_active(&mut client, node.address, "sdk").await?;
    let (mut calls, mut spent) = (Vec::new(), Spent::default());
    for round in 0..bench.rounds.min(ROUNDS_MAX) + 1 {
        let version = publish(&node, &mut client, round).await?;
        node.quiet().await?;
        let path = format!("/2015-03-31/functions/sdk/invocations?Qualifier={version}");
        let request = Prepared::new(node.address, Method::POST, &path, b"{}".to_vec())?;
        let reply = client.ask(&request).await?.cold()?;
        if round > 0 {
            calls.push(reply.millis());
            spent.add(reply.millis(), &reply.stages);
        }
    }
    table.add(Row::new(WHAT, "ms", median(&mut calls), Goal::AtMost(10.0)).spent(spent));
    node.stop()
}

/// A version that differs from the last one, with its snapshot made.
async fn publish(node: &Node, client: &mut Client, round: usize) -> Result<String> {
    let body = json!({ "Environment": { "Variables": { "ROUND": round.to_string() } } });
    let path = "/2015-03-31/functions/sdk/configuration";
    client.ask(&Prepared::new(node.address, Method::PUT, path, body.to_string().into_bytes())?).await?;
    wait_active(client, node.address, "sdk").await?;
    let path = "/2015-03-31/functions/sdk/versions";
    let answer = client.ask(&Prepared::new(node.address, Method::POST, path, b"{}".to_vec())?).await?;
    let found: Value = serde_json::from_slice(&answer.body)?;
    let version = found["Version"].as_str().ok_or("no version")?.to_owned();
    wait_active(client, node.address, &format!("sdk?Qualifier={version}")).await?;
    Ok(version)
}

/// Everything below the folder, but for bytecode of whoever installed it.
fn collect(
    top: &std::path::Path,
    folder: &std::path::Path,
    files: &mut Vec<(String, Vec<u8>)>,
) -> Result<()> {
    for entry in std::fs::read_dir(folder)? {
        let path = entry?.path();
        if path.is_dir() {
            if path.file_name().is_none_or(|name| name != "__pycache__" && name != "bin") {
                collect(top, &path, files)?;
            }
        } else {
            files.push((path.strip_prefix(top)?.display().to_string(), std::fs::read(&path)?));
        }
    }
    Ok(())
}
