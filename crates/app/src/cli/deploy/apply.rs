//! Brings the node's function to the state that the project asks for, and no further.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use http::Method;
use serde_json::{Map, Value, json};

use super::manifest::Settings;
use super::package::Archive;
use crate::cli::client::functions::{Configuration, lambda, path};
use crate::cli::client::{Client, encode};
use crate::cli::failure::{Failure, Kind};
use crate::cli::progress::Progress;

/// The tag that carries a function's egress policy: the reference's API has no field for it.
const EGRESS_TAG: &str = "lambent:egress";

/// A function that is not ready by now never will be.
const READY_WITHIN: Duration = Duration::from_secs(120);

#[derive(Debug, Clone)]
pub struct Existing {
    pub configuration: Configuration,
    pub tags: BTreeMap<String, String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Action {
    Created,
    Updated,
    Unchanged,
}

impl Action {
    pub fn word(self) -> &'static str {
        match self {
            Self::Created => "created",
            Self::Updated => "updated",
            Self::Unchanged => "unchanged",
        }
    }
}

#[derive(Debug)]
pub struct Outcome {
    pub arn: String,
    pub action: Action,
    /// What differed, in words: `code`, `memory`, ...
    pub changed: Vec<&'static str>,
}

/// The function as the node has it.
pub async fn find(client: &Client, name: &str) -> Result<Option<Existing>, Failure> {
    let reply = match client.send(lambda(Method::GET, path(name, ""))).await {
        Ok(reply) => reply.json()?,
        Err(failure) if failure.is_code("ResourceNotFoundException") => return Ok(None),
        Err(failure) => return Err(failure),
    };
    let part = |name: &str| reply.get(name).cloned().unwrap_or(Value::Object(Map::new()));
    let wrong = |error| Failure::service("BadAnswer", format!("the answer is not a function: {error}"));
    Ok(Some(Existing {
        configuration: serde_json::from_value(part("Configuration")).map_err(wrong)?,
        tags: serde_json::from_value(part("Tags")).map_err(wrong)?,
    }))
}

pub async fn apply(
    client: &Client,
    settings: &Settings,
    archive: &Archive,
    existing: Option<Existing>,
    progress: &Progress<'_>,
) -> Result<Outcome, Failure> {
    let Some(existing) = existing else {
        let request = creation(settings, archive);
        let made = progress.wait("uploading", client.create_function(&request)).await?;
        progress.wait("starting", ready(client, &settings.name)).await?;
        return Ok(Outcome { arn: made.function_arn, action: Action::Created, changed: vec!["code"] });
    };
    let name = &settings.name;
    let arn = existing.configuration.function_arn.clone();
    let (request, mut changed) = difference(settings, &existing.configuration);
    let retag = settings.egress.as_ref().filter(|egress| existing.tags.get(EGRESS_TAG) != Some(egress));
    if let Some(egress) = retag {
        let tags = json!({ "Tags": { EGRESS_TAG: egress } });
        let resource = format!("/2017-03-31/tags/{}", encode(&arn));
        client.send(lambda(Method::POST, resource).json(&tags)).await?;
        changed.push("egress");
    }
    if !request.is_empty() {
        let request = Value::Object(request);
        let call = client.send(lambda(Method::PUT, path(name, "/configuration")).json(&request));
        progress.wait("configuring", call).await?;
        progress.wait("updating", ready(client, name)).await?;
    }
    if existing.configuration.code_sha256 != archive.sha256 {
        changed.insert(0, "code");
        let request = json!({ "ZipFile": STANDARD.encode(&archive.bytes) });
        let call = client.send(lambda(Method::PUT, path(name, "/code")).json(&request));
        progress.wait("uploading", call).await?;
        progress.wait("updating", ready(client, name)).await?;
    }
    let action = if changed.is_empty() { Action::Unchanged } else { Action::Updated };
    if action == Action::Unchanged && existing.configuration.state == "Failed" {
        // Nothing to do, and yet no success: what was wrong the last time still is.
        return Err(not_ready(name, existing.configuration.state_reason));
    }
    Ok(Outcome { arn, action, changed })
}

fn creation(settings: &Settings, archive: &Archive) -> Value {
    let mut request = wanted(settings);
    request.insert("FunctionName".into(), settings.name.clone().into());
    request.insert("Code".into(), json!({ "ZipFile": STANDARD.encode(&archive.bytes) }));
    if std::env::consts::ARCH == "aarch64" {
        request.insert("Architectures".into(), json!(["arm64"]));
    }
    if let Some(egress) = &settings.egress {
        request.insert("Tags".into(), json!({ EGRESS_TAG: egress }));
    }
    Value::Object(request)
}

/// The settings that were given, under the API's names.
fn wanted(settings: &Settings) -> Map<String, Value> {
    let fields = [
        ("Runtime", Some(json!(settings.runtime()))),
        ("Handler", Some(json!(settings.handler()))),
        ("Role", settings.role.as_ref().map(|role| json!(role))),
        ("MemorySize", settings.memory.map(|memory| json!(memory))),
        ("Timeout", settings.timeout.map(|timeout| json!(timeout))),
        ("Layers", settings.layers.as_ref().map(|layers| json!(layers))),
        ("Environment", settings.env.as_ref().map(|env| json!({ "Variables": env }))),
    ];
    fields.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?))).collect()
}

/// The wanted settings that the function does not have, and their names for people.
pub(super) fn difference(
    settings: &Settings,
    current: &Configuration,
) -> (Map<String, Value>, Vec<&'static str>) {
    let layers: Vec<&str> = current.layers.iter().map(|layer| layer.arn.as_str()).collect();
    let has = [
        ("Runtime", json!(current.runtime), "runtime"),
        ("Handler", json!(current.handler), "handler"),
        ("Role", json!(current.role), "role"),
        ("MemorySize", json!(current.memory_size), "memory"),
        ("Timeout", json!(current.timeout), "timeout"),
        ("Layers", json!(layers), "layers"),
        ("Environment", json!({ "Variables": current.environment.variables }), "environment"),
    ];
    let mut request = wanted(settings);
    let mut changed = Vec::new();
    for (name, value, word) in has {
        match request.get(name) {
            Some(wanted) if *wanted == value => _ = request.remove(name),
            Some(_) => changed.push(word),
            None => {}
        }
    }
    (request, changed)
}

/// Waits until the function can be called.
async fn ready(client: &Client, name: &str) -> Result<(), Failure> {
    let begun = Instant::now();
    let mut pause = Duration::from_millis(10);
    loop {
        let function = client.configuration(name).await?;
        match (function.state.as_str(), function.last_update_status.as_str()) {
            ("Failed", _) => return Err(not_ready(name, function.state_reason)),
            (_, "Failed") => return Err(not_ready(name, function.last_update_status_reason)),
            ("Active" | "Inactive", "Successful" | "") => return Ok(()),
            _ if begun.elapsed() > READY_WITHIN => {
                let waited = READY_WITHIN.as_secs();
                return Err(Failure::service(
                    "NotReady",
                    format!("{name} is not ready after {waited} seconds"),
                ));
            }
            _ => {}
        }
        tokio::time::sleep(pause).await;
        pause = (pause * 2).min(Duration::from_millis(500));
    }
}

fn not_ready(name: &str, reason: Option<String>) -> Failure {
    let reason = reason.unwrap_or_else(|| "no reason given".to_owned());
    Failure::new(Kind::Service, format!("{name} is deployed and can't run: {reason}"))
        .hint("see what this machine has with: lambent runtimes")
}
