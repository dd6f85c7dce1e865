//! Layers as the reference prints them, and how a request names one.

use lambent_core::arn::{self, Arn};
use lambent_core::ids::AccountId;
use lambent_store::functions::{LayerKey, LayerVersionRecord};
use serde_json::{Value, json};

use super::check::Check;
use super::{Call, answer, rules};
use crate::Functions;
use crate::error::Error;

/// A layer by the label `LayerName`, a bare name or an ARN. Layers of other accounts are refused.
pub fn read_key(call: &Call<'_>, check: &mut Check) -> Result<LayerKey, Error> {
    let text = call.label("LayerName");
    check.text("layerName", text, &rules::LAYER_NAME);
    key(call, text)
}

/// The label `VersionNumber`.
pub fn read_number(call: &Call<'_>) -> Result<u64, Error> {
    let text = call.label("VersionNumber");
    let number: i64 = text
        .parse()
        .map_err(|_| Error::Serialization { detail: format!("'{text}' can not be converted to a Long") })?;
    u64::try_from(number).ok().filter(|n| *n > 0).ok_or(Error::LayerVersionBelowOne)
}

/// The key of a layer's name, its ARN, or the ARN of one of its versions.
pub fn key(call: &Call<'_>, text: &str) -> Result<LayerKey, Error> {
    let caller = &call.request.caller;
    let own = |name: &str| LayerKey {
        account: caller.account.clone(),
        region: caller.region.clone(),
        name: name.to_owned(),
    };
    let Some(arn) = Arn::parse(text) else { return Ok(own(text)) };
    if AccountId::new(&arn.account).is_ok_and(|account| account != caller.account) {
        return Err(call.denied(text.to_owned()));
    }
    if arn.region != caller.region.as_str() {
        return Err(Error::ResourceNotFound);
    }
    let name = arn.resource.strip_prefix("layer:").unwrap_or_default();
    Ok(own(name.split(':').next().unwrap_or_default()))
}

/// A layer version in a list.
pub fn listed(key: &LayerKey, version: &LayerVersionRecord) -> Value {
    let mut body = json!({
        "LayerVersionArn": arn::layer_version(&key.region, &key.account, &key.name, version.version),
        "Version": version.version,
        "Description": version.description,
        "CreatedDate": version.created.lambda_format(),
    });
    if !version.compatible_runtimes.is_empty() {
        body["CompatibleRuntimes"] = json!(version.compatible_runtimes);
    }
    if !version.compatible_architectures.is_empty() {
        body["CompatibleArchitectures"] = json!(version.compatible_architectures);
    }
    if let Some(license) = &version.license {
        body["LicenseInfo"] = json!(license);
    }
    body
}

/// A layer version with its content.
pub fn whole(functions: &Functions, key: &LayerKey, version: &LayerVersionRecord) -> Value {
    let endpoint = &functions.deps.settings.public_endpoint;
    let mut body = listed(key, version);
    body["LayerArn"] = arn::layer(&key.region, &key.account, &key.name).into();
    body["Content"] = json!({
        "Location": functions.links.make(endpoint, &version.digest, functions.deps.clock.now()),
        "CodeSha256": answer::code_sha256(&version.digest),
        "CodeSize": version.zipped_bytes,
    });
    body
}
