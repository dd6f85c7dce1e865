//! Aliases: a name for a version, or for two of them with a share for the second.

use lambent_core::arn;
use lambent_core::ids::{RevisionId, Version};
use lambent_store::functions::{AliasRecord, FunctionKey, FunctionRecord};

use super::{next, provisioned, require_revision, versions};
use crate::error::{Error, ShownValue, Violation};

/// AdditionalVersionWeights as it was sent.
pub type Weights = Vec<(String, f64)>;

const WEIGHTS_PATH: &str = "routingConfig.additionalVersionWeights";

#[derive(Debug, Clone)]
pub struct Create {
    pub name: String,
    pub version: String,
    pub description: String,
    pub weights: Weights,
}

pub fn create(
    record: &FunctionRecord,
    request: &Create,
    revision: RevisionId,
) -> Result<(FunctionRecord, AliasRecord), Error> {
    if record.aliases.contains_key(&request.name) {
        return Err(Error::AliasExists { arn: qualified(record, &request.name) });
    }
    let version = existing_version(record, &request.version)?;
    let routing = routing(record, version, &request.weights)?;
    let alias = AliasRecord {
        name: request.name.clone(),
        version,
        description: request.description.clone(),
        routing,
        revision,
    };
    let mut record = next(record);
    record.aliases.insert(alias.name.clone(), alias.clone());
    Ok((record, alias))
}

#[derive(Debug, Clone)]
pub struct Update {
    pub name: String,
    pub version: Option<String>,
    pub description: Option<String>,
    /// `Some` and empty ends the routing.
    pub weights: Option<Weights>,
    pub revision: Option<String>,
}

pub fn update(
    record: &FunctionRecord,
    request: &Update,
    revision: RevisionId,
) -> Result<(FunctionRecord, AliasRecord), Error> {
    let current = find(record, &request.name)?;
    require_revision(request.revision.as_deref(), &current.revision, "GetFunction/GetAlias")?;
    let version = match &request.version {
        Some(version) => existing_version(record, version)?,
        None => current.version,
    };
    let routing = match (&request.weights, current.routing) {
        (Some(weights), _) => routing(record, version, weights)?,
        // The routing that stays must still fit the version that the alias now has.
        (None, Some((second, share))) => routing(record, version, &vec![(second.to_string(), share)])?,
        (None, None) => None,
    };
    let alias = AliasRecord {
        name: current.name.clone(),
        version,
        description: request.description.clone().unwrap_or_else(|| current.description.clone()),
        routing,
        revision,
    };
    provisioned::check_moved(record, &alias)?;
    let mut record = next(record);
    record.aliases.insert(alias.name.clone(), alias.clone());
    Ok((record, alias))
}

/// DeleteAlias. `None` when there is no such alias: nothing is left to do.
pub fn delete(record: &FunctionRecord, name: &str) -> Option<FunctionRecord> {
    record.aliases.get(name)?;
    let mut record = next(record);
    record.aliases.remove(name);
    record.policies.remove(name);
    record.provisioned.remove(name);
    record.urls.remove(name);
    record.event_invokes.remove(name);
    Some(record)
}

pub fn find<'a>(record: &'a FunctionRecord, name: &str) -> Result<&'a AliasRecord, Error> {
    record.aliases.get(name).ok_or_else(|| Error::AliasNotFound { arn: qualified(record, name) })
}

fn qualified(record: &FunctionRecord, qualifier: &str) -> String {
    let FunctionKey { account, region, name } = &record.key;
    arn::function_qualified(region, account, name, qualifier)
}

fn existing_version(record: &FunctionRecord, text: &str) -> Result<Version, Error> {
    Version::parse(text)
        .filter(|version| versions::find(record, *version).is_some())
        .ok_or_else(|| Error::FunctionNotFound { arn: qualified(record, text) })
}

/// Judges the weights: at most one, of another published version, between 0 and 1.
fn routing(
    record: &FunctionRecord,
    version: Version,
    weights: &Weights,
) -> Result<Option<(u64, f64)>, Error> {
    let [(key, share)] = weights.as_slice() else {
        return if weights.is_empty() { Ok(None) } else { Err(Error::TooManyWeights) };
    };
    let violation = |constraint: &str| {
        Error::Validation(vec![Violation {
            path: WEIGHTS_PATH.to_owned(),
            value: ShownValue::Text(format!("{{{key}={share}}}")),
            constraint: constraint.to_owned(),
        }])
    };
    if !(0.0..=1.0).contains(share) {
        return Err(violation(
            "Map value must satisfy constraint: [Member must have value less than or equal to 1.0, Member must \
             have value greater than or equal to 0.0, Member must not be null]",
        ));
    }
    if version == Version::Latest {
        return Err(Error::WeightsWithLatest);
    }
    if *key == version.to_string() {
        return Err(Error::WeightOnOwnVersion { version: key.clone() });
    }
    match Version::parse(key) {
        Some(Version::Published(number)) if record.versions.contains_key(&number) => {
            Ok(Some((number, *share)))
        }
        Some(Version::Published(_)) => Err(Error::FunctionNotFound { arn: qualified(record, key) }),
        _ => Err(violation(
            "Map keys must satisfy constraint: [Member must have length less than or equal to 1024, Member must \
             have length greater than or equal to 1, Member must satisfy regular expression pattern: [0-9]+, \
             Member must not be null]",
        )),
    }
}
