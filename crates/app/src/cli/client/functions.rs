//! The calls of the Lambda API that several commands need.

use http::Method;
use serde::Deserialize;
use serde_json::Value;

use super::{Call, Client, encode};
use crate::cli::failure::Failure;
use crate::cli::nearest;

const FUNCTIONS: &str = "/2015-03-31/functions";

/// What these commands read of a function's configuration.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct Configuration {
    pub function_name: String,
    pub function_arn: String,
    pub runtime: String,
    pub role: String,
    pub handler: String,
    pub code_size: u64,
    pub code_sha256: String,
    pub timeout: u32,
    pub memory_size: u32,
    pub last_modified: String,
    pub environment: Variables,
    pub layers: Vec<LayerUse>,
    pub state: String,
    pub state_reason: Option<String>,
    pub last_update_status: String,
    pub last_update_status_reason: Option<String>,
    pub logging_config: LoggingConfig,
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct Variables {
    pub variables: std::collections::BTreeMap<String, String>,
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct LayerUse {
    pub arn: String,
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct LoggingConfig {
    pub log_group: String,
}

/// `/2015-03-31/functions/NAME/REST`.
pub fn path(name: &str, rest: &str) -> String {
    format!("{FUNCTIONS}/{}{rest}", encode(name))
}

pub fn lambda(method: Method, path: impl Into<String>) -> Call {
    Call::new("lambda", method, path)
}

impl Client {
    pub async fn create_function(&self, request: &Value) -> Result<Configuration, Failure> {
        read(&self.send(lambda(Method::POST, FUNCTIONS).json(request)).await?)
    }

    pub async fn configuration(&self, name: &str) -> Result<Configuration, Failure> {
        read(&self.send(lambda(Method::GET, path(name, "/configuration"))).await?)
    }

    /// All functions of the account in the region, every page of them.
    pub async fn functions(&self) -> Result<Vec<Configuration>, Failure> {
        let mut found = Vec::new();
        let mut marker: Option<String> = None;
        loop {
            let mut call = lambda(Method::GET, FUNCTIONS);
            if let Some(marker) = &marker {
                call = call.query("Marker", marker);
            }
            let page = self.send(call).await?.json()?;
            if let Some(functions) = page.get("Functions").and_then(Value::as_array) {
                for function in functions {
                    found.push(parse(function.clone())?);
                }
            }
            let next = page.get("NextMarker").and_then(Value::as_str).filter(|next| !next.is_empty());
            match next {
                // The same marker again would go round for ever.
                Some(next) if marker.as_deref() != Some(next) => marker = Some(next.to_owned()),
                _ => return Ok(found),
            }
        }
    }

    /// Adds the nearest known name to the failure of a call that named an unknown function.
    pub async fn suggest(&self, name: &str, failure: Failure) -> Failure {
        if !failure.is_code("ResourceNotFoundException") {
            return failure;
        }
        let Ok(functions) = self.functions().await else { return failure };
        let names = functions.iter().map(|function| function.function_name.as_str());
        match nearest::nearest(name, names) {
            Some(near) => failure.hint(format!("there is a function {near}")),
            None if functions.is_empty() => {
                failure.hint("the node has no functions; deploy one with: lambent deploy DIR")
            }
            None => failure.hint("list the functions with: lambent ls"),
        }
    }
}

fn read(reply: &super::Reply) -> Result<Configuration, Failure> {
    parse(reply.json()?)
}

fn parse(value: Value) -> Result<Configuration, Failure> {
    serde_json::from_value(value)
        .map_err(|error| Failure::service("BadAnswer", format!("the answer is not a function: {error}")))
}
