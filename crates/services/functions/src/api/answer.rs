//! FunctionConfiguration and its relatives as the reference prints them.

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use lambent_core::arn;
use lambent_core::ids::{CodeDigest, Version};
use lambent_store::functions::{
    AliasRecord, FunctionKey, FunctionRecord, LastUpdate, LayerUse, State, VersionRecord,
};
use serde::Serialize;

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct FunctionConfiguration<'a> {
    function_name: &'a str,
    function_arn: String,
    runtime: &'a str,
    role: &'a str,
    handler: &'a str,
    code_size: u64,
    description: &'a str,
    timeout: u32,
    memory_size: u32,
    last_modified: String,
    #[serde(rename = "CodeSha256")]
    code_sha256: String,
    version: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    environment: Option<Environment<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    dead_letter_config: Option<DeadLetterConfig<'a>>,
    tracing_config: Mode,
    revision_id: &'a str,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    layers: Vec<Layer<'a>>,
    #[serde(flatten)]
    states: Option<States<'a>>,
    package_type: &'static str,
    architectures: [&'a str; 1],
    ephemeral_storage: Size,
    snap_start: SnapStart,
    logging_config: LoggingConfig<'a>,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct DeadLetterConfig<'a> {
    target_arn: &'a str,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Environment<'a> {
    variables: &'a BTreeMap<String, String>,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Mode {
    mode: &'static str,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Layer<'a> {
    arn: &'a str,
    code_size: u64,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct States<'a> {
    state: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    state_reason: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    state_reason_code: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    last_update_status: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    last_update_status_reason: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    last_update_status_reason_code: Option<&'a str>,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Size {
    size: u32,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct SnapStart {
    apply_on: &'static str,
    optimization_status: &'static str,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct LoggingConfig<'a> {
    log_format: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    application_log_level: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    system_log_level: Option<&'static str>,
    log_group: &'a str,
}

/// `$LATEST` never has a snapshot; a version has one when it is Active.
fn snap_start(version: &VersionRecord) -> SnapStart {
    let is_on = version.snap_start && version.version != Version::Latest && version.state == State::Active;
    SnapStart {
        apply_on: if version.snap_start { "PublishedVersions" } else { "None" },
        optimization_status: if is_on { "On" } else { "Off" },
    }
}

/// The configuration of a version, as found under `qualifier`: the ARN shows how the caller asked.
pub fn configuration<'a>(
    record: &'a FunctionRecord,
    version: &'a VersionRecord,
    qualifier: Option<&str>,
) -> FunctionConfiguration<'a> {
    let FunctionKey { account, region, name } = &record.key;
    FunctionConfiguration {
        states: Some(states(version)),
        function_name: name.as_str(),
        function_arn: match qualifier {
            Some(qualifier) => arn::function_qualified(region, account, name, qualifier),
            None => arn::function(region, account, name),
        },
        runtime: &version.runtime,
        role: &version.role,
        handler: &version.handler,
        code_size: version.code_bytes,
        description: &version.description,
        timeout: version.timeout_secs,
        memory_size: version.memory_mb,
        last_modified: version.last_modified.lambda_format(),
        code_sha256: code_sha256(&version.code),
        version: version.version.to_string(),
        environment: (!version.environment.is_empty())
            .then_some(Environment { variables: &version.environment }),
        dead_letter_config: version.dead_letter.as_deref().map(|target_arn| DeadLetterConfig { target_arn }),
        tracing_config: Mode { mode: "PassThrough" },
        revision_id: version.revision.as_str(),
        layers: version.layers.iter().map(layer).collect(),
        package_type: "Zip",
        architectures: [&version.architecture],
        ephemeral_storage: Size { size: version.ephemeral_mb },
        snap_start: snap_start(version),
        logging_config: LoggingConfig {
            log_format: version.logging.format.as_str(),
            application_log_level: version.logging.application_level.map(|l| l.as_str()),
            system_log_level: version.logging.system_level.map(|l| l.as_str()),
            log_group: &version.logging.group,
        },
    }
}

/// As [`configuration`] for lists, which the reference prints without the states.
pub fn listed<'a>(
    record: &'a FunctionRecord,
    version: &'a VersionRecord,
    qualifier: Option<&str>,
) -> FunctionConfiguration<'a> {
    FunctionConfiguration { states: None, ..configuration(record, version, qualifier) }
}

/// As [`configuration`], for the answer to a change: a published version shows its own ARN.
pub fn changed<'a>(record: &'a FunctionRecord, version: &'a VersionRecord) -> FunctionConfiguration<'a> {
    let number = version.version.to_string();
    let is_published = version.version != lambent_core::ids::Version::Latest;
    configuration(record, version, is_published.then_some(number.as_str()))
}

fn layer(layer: &LayerUse) -> Layer<'_> {
    Layer { arn: &layer.arn, code_size: layer.zipped_bytes }
}

fn states(version: &VersionRecord) -> States<'_> {
    let (state, state_reason, state_reason_code) = match &version.state {
        State::Pending { reason, code } => ("Pending", Some(reason.as_str()), Some(code.as_str())),
        State::Active => ("Active", None, None),
        State::Failed { reason, code } => ("Failed", Some(reason.as_str()), Some(code.as_str())),
    };
    let (status, reason, code) = match &version.last_update {
        // The reference says nothing of updates before a function was Active for the first time.
        _ if state == "Pending" => (None, None, None),
        LastUpdate::InProgress { reason, code } => {
            (Some("InProgress"), Some(reason.as_str()), Some(code.as_str()))
        }
        LastUpdate::Successful => (Some("Successful"), None, None),
        LastUpdate::Failed { reason, code } => (Some("Failed"), Some(reason.as_str()), Some(code.as_str())),
    };
    States {
        state,
        state_reason,
        state_reason_code,
        last_update_status: status,
        last_update_status_reason: reason,
        last_update_status_reason_code: code,
    }
}

/// A digest as the API shows it: base64 of its bytes.
pub fn code_sha256(digest: &CodeDigest) -> String {
    let nibble = |c: u8| if c.is_ascii_digit() { c - b'0' } else { c - b'a' + 10 };
    let bytes: Vec<u8> =
        digest.as_str().as_bytes().chunks(2).map(|pair| nibble(pair[0]) << 4 | nibble(pair[1])).collect();
    STANDARD.encode(bytes)
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct AliasConfiguration<'a> {
    alias_arn: String,
    name: &'a str,
    function_version: String,
    description: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    routing_config: Option<RoutingConfig>,
    revision_id: &'a str,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct RoutingConfig {
    additional_version_weights: BTreeMap<String, f64>,
}

pub fn alias<'a>(key: &FunctionKey, alias: &'a AliasRecord) -> AliasConfiguration<'a> {
    AliasConfiguration {
        alias_arn: arn::function_qualified(&key.region, &key.account, &key.name, &alias.name),
        name: &alias.name,
        function_version: alias.version.to_string(),
        description: &alias.description,
        routing_config: alias.routing.map(|(version, share)| RoutingConfig {
            additional_version_weights: BTreeMap::from([(version.to_string(), share)]),
        }),
        revision_id: alias.revision.as_str(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_digest_is_shown_in_base64() {
        let digest = CodeDigest::new(format!("00ff{}", "10".repeat(30))).unwrap();
        let shown = STANDARD.decode(code_sha256(&digest)).unwrap();
        assert_eq!((shown.len(), shown[0], shown[1], shown[2]), (32, 0, 0xff, 0x10));
    }
}
