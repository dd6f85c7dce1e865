//! Published versions: made, found by qualifier, deleted.

use std::sync::Arc;

use lambent_core::arn;
use lambent_core::ids::Version;
use lambent_store::functions::{FunctionKey, FunctionRecord, LastUpdate, State, VersionRecord};

use super::configuration::behaves_as;
use super::{Stamp, next, require_revision, snap_start};
use crate::error::Error;

#[derive(Debug, Clone, Default)]
pub struct Publish {
    /// CodeSha256, in base64 as the caller sees it.
    pub code_sha256: Option<String>,
    pub description: Option<String>,
    pub revision: Option<String>,
}

/// PublishVersion. `None` for the record when nothing changed since the last version, which then answers.
pub fn publish(
    record: &FunctionRecord,
    request: &Publish,
    current_sha256: &str,
    stamp: &Stamp,
) -> Result<(Option<FunctionRecord>, Arc<VersionRecord>), Error> {
    require_revision(request.revision.as_deref(), &record.latest.revision, "GetFunction/GetAlias")?;
    if let Some(given) = &request.code_sha256
        && !given.is_empty()
        && given != current_sha256
    {
        return Err(Error::CodeShaMismatch { given: given.clone(), current: current_sha256.to_owned() });
    }
    if let State::Pending { .. } = record.latest.state {
        return Err(Error::NotInvocable { state: "Pending", reason: None });
    }
    if let Some(unchanged) = unchanged_since(record) {
        return Ok((None, unchanged));
    }
    let mut record = next(record);
    let version = publish_into(&mut record, request.description.as_deref(), stamp);
    Ok((Some(record), version))
}

/// Publishes `$LATEST` as it stands in a record that is being changed. When nothing changed since the last
/// version, that one is the answer.
pub(super) fn publish_into(
    record: &mut FunctionRecord,
    description: Option<&str>,
    stamp: &Stamp,
) -> Arc<VersionRecord> {
    if let Some(unchanged) = unchanged_since(record) {
        return unchanged;
    }
    let number = record.next_version;
    let latest = &record.latest;
    // A version is never "being updated": what was in progress on $LATEST is, for the version, its creation.
    let state = match (&latest.last_update, &latest.state) {
        (LastUpdate::InProgress { reason, code }, _) => {
            State::Pending { reason: reason.clone(), code: code.clone() }
        }
        (_, state) => snap_start::first_state(true, latest.snap_start, state.clone()),
    };
    let version = Arc::new(VersionRecord {
        version: Version::Published(number),
        revision: stamp.published_revision.clone(),
        description: description.unwrap_or(&latest.description).to_owned(),
        last_modified: stamp.now,
        state,
        last_update: LastUpdate::Successful,
        ..VersionRecord::clone(latest)
    });
    record.versions.insert(number, version.clone());
    record.next_version = number + 1;
    version
}

/// The last version, if `$LATEST` is still what it was made from.
fn unchanged_since(record: &FunctionRecord) -> Option<Arc<VersionRecord>> {
    let (_, last) = record.versions.last_key_value()?;
    let latest = &record.latest;
    // Descriptions may differ because the publisher gave another one; they then differ without $LATEST having
    // been modified after it.
    let same_description =
        latest.description == last.description || latest.last_modified <= last.last_modified;
    (behaves_as(latest, last) && same_description).then(|| last.clone())
}

/// What a qualifier stands for.
#[derive(Debug, Clone, PartialEq)]
pub struct Resolved {
    pub version: Arc<VersionRecord>,
    /// The qualifier as it was given, when it was.
    pub qualifier: Option<String>,
}

/// Finds the version of a qualifier. An alias with weights sends the share of its second version there:
/// `draw` is in `[0, 1)`, and is asked for only then.
pub fn resolve(
    record: &FunctionRecord,
    qualifier: Option<&str>,
    draw: impl FnOnce() -> f64,
) -> Result<Resolved, Error> {
    let not_found = || {
        let FunctionKey { account, region, name } = &record.key;
        let arn = match qualifier {
            Some(qualifier) => arn::function_qualified(region, account, name, qualifier),
            None => arn::function(region, account, name),
        };
        Error::FunctionNotFound { arn }
    };
    let Some(text) = qualifier else {
        return Ok(Resolved { version: record.latest.clone(), qualifier: None });
    };
    let version = match (Version::parse(text), record.aliases.get(text)) {
        (Some(version), _) => version,
        (None, Some(alias)) => match alias.routing {
            Some((second, share)) if draw() < share => Version::Published(second),
            _ => alias.version,
        },
        (None, None) => return Err(not_found()),
    };
    let version = find(record, version).ok_or_else(not_found)?;
    Ok(Resolved { version, qualifier: Some(text.to_owned()) })
}

/// A version by its number.
pub fn find(record: &FunctionRecord, version: Version) -> Option<Arc<VersionRecord>> {
    match version {
        Version::Latest => Some(record.latest.clone()),
        Version::Published(number) => record.versions.get(&number).cloned(),
    }
}

/// DeleteFunction with a qualifier. `None` when there is no such version: nothing is left to do.
pub fn delete(record: &FunctionRecord, qualifier: &str) -> Result<Option<FunctionRecord>, Error> {
    let number = match Version::parse(qualifier) {
        Some(Version::Latest) => return Err(Error::LatestNotDeletable),
        Some(Version::Published(number)) => number,
        None => return Err(Error::AliasAsVersion),
    };
    let points_here = |a: &&lambent_store::functions::AliasRecord| {
        a.version == Version::Published(number) || a.routing.is_some_and(|(second, _)| second == number)
    };
    let aliases: Vec<String> = record.aliases.values().filter(points_here).map(|a| a.name.clone()).collect();
    if !aliases.is_empty() {
        return Err(Error::VersionInUse { aliases });
    }
    if !record.versions.contains_key(&number) {
        return Ok(None);
    }
    let mut record = next(record);
    record.versions.remove(&number);
    record.policies.remove(&number.to_string());
    record.provisioned.remove(&number.to_string());
    record.event_invokes.remove(&number.to_string());
    Ok(Some(record))
}
