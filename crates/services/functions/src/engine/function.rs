//! A function's life: created, its code and its configuration changed, deleted.

use std::collections::BTreeMap;
use std::sync::Arc;

use lambent_core::arn;
use lambent_core::function::LogFormat;
use lambent_core::ids::{CodeDigest, Version};
use lambent_core::limits::{EPHEMERAL_MB_MIN, MEMORY_MB_DEFAULT, TIMEOUT_SECS_DEFAULT};
use lambent_store::functions::{
    FunctionKey, FunctionRecord, LastUpdate, LoggingRecord, RecursiveLoop, State, VersionRecord,
};

use super::configuration::{Configuration, check_size};
use super::{Stamp, egress, next, require_revision, tags, versions};
use crate::error::Error;

/// What a new or an updated function and its last update say while the worker has not seen to them.
const CREATING_REASON: &str = "The function is being created.";
const CREATING_CODE: &str = "Creating";

/// A package that was taken in.
#[derive(Debug, Clone, PartialEq)]
pub struct Package {
    pub digest: CodeDigest,
    pub zipped_bytes: u64,
    pub unzipped_bytes: u64,
}

#[derive(Debug, Clone)]
pub struct Create {
    pub key: FunctionKey,
    pub configuration: Configuration,
    pub package: Package,
    pub architecture: String,
    pub tags: BTreeMap<String, String>,
    pub publish: bool,
    /// The number of its first published version: a name's numbers are not used twice.
    pub first_version: u64,
}

/// Everything of a creation that can be judged before its package is taken in.
pub fn check_creation(configuration: &Configuration, tags: &BTreeMap<String, String>) -> Result<(), Error> {
    let given = |text: &Option<String>| text.as_ref().is_some_and(|t| !t.is_empty());
    if !given(&configuration.runtime) || !given(&configuration.handler) {
        return Err(Error::RuntimeAndHandlerRequired);
    }
    configuration.check()?;
    tags::check(tags)?;
    egress::check(tags)
}

/// A new function, and the version that answers for it: the published one when there is one.
pub fn create(create: &Create, stamp: &Stamp) -> Result<(FunctionRecord, Arc<VersionRecord>), Error> {
    check_creation(&create.configuration, &create.tags)?;
    let mut latest = VersionRecord {
        version: Version::Latest,
        revision: stamp.revision.clone(),
        description: String::new(),
        runtime: String::new(),
        handler: String::new(),
        role: String::new(),
        code: create.package.digest.clone(),
        code_bytes: create.package.zipped_bytes,
        unzipped_bytes: create.package.unzipped_bytes,
        architecture: create.architecture.clone(),
        layers: Vec::new(),
        memory_mb: MEMORY_MB_DEFAULT,
        timeout_secs: TIMEOUT_SECS_DEFAULT,
        ephemeral_mb: EPHEMERAL_MB_MIN,
        environment: BTreeMap::new(),
        dead_letter: None,
        snap_start: false,
        logging: LoggingRecord {
            group: format!("/aws/lambda/{}", create.key.name),
            format: LogFormat::Text,
            application_level: None,
            system_level: None,
        },
        last_modified: stamp.now,
        state: State::Pending { reason: CREATING_REASON.to_owned(), code: CREATING_CODE.to_owned() },
        last_update: LastUpdate::Successful,
    };
    create.configuration.apply(&mut latest)?;
    let mut record = FunctionRecord {
        key: create.key.clone(),
        generation: 1,
        latest: Arc::new(latest),
        versions: BTreeMap::new(),
        next_version: create.first_version,
        aliases: BTreeMap::new(),
        policies: BTreeMap::new(),
        urls: BTreeMap::new(),
        tags: create.tags.clone(),
        reserved_concurrency: None,
        provisioned: BTreeMap::new(),
        event_invokes: BTreeMap::new(),
        recursive_loop: RecursiveLoop::default(),
    };
    let answer = match create.publish {
        true => versions::publish_into(&mut record, None, stamp),
        false => record.latest.clone(),
    };
    Ok((record, answer))
}

/// Refuses an update whose RevisionId is not the one that stands; for judging it before a package is taken in.
pub fn check_revision(record: &FunctionRecord, revision: Option<&str>) -> Result<(), Error> {
    require_revision(revision, &record.latest.revision, "GetFunction/GetAlias")
}

/// UpdateFunctionConfiguration.
pub fn update_configuration(
    record: &FunctionRecord,
    configuration: &Configuration,
    revision: Option<&str>,
    stamp: &Stamp,
) -> Result<FunctionRecord, Error> {
    check_revision(record, revision)?;
    let mut latest = being_updated(record, stamp)?;
    configuration.apply(&mut latest)?;
    Ok(FunctionRecord { latest: Arc::new(latest), ..next(record) })
}

#[derive(Debug, Clone)]
pub struct UpdateCode {
    pub package: Package,
    pub architecture: Option<String>,
    pub publish: bool,
    pub revision: Option<String>,
}

/// UpdateFunctionCode. The same code again is a change like any other: a new revision, a new date.
pub fn update_code(
    record: &FunctionRecord,
    update: &UpdateCode,
    stamp: &Stamp,
) -> Result<(FunctionRecord, Arc<VersionRecord>), Error> {
    check_revision(record, update.revision.as_deref())?;
    let mut latest = being_updated(record, stamp)?;
    latest.code = update.package.digest.clone();
    latest.code_bytes = update.package.zipped_bytes;
    latest.unzipped_bytes = update.package.unzipped_bytes;
    if let Some(architecture) = &update.architecture {
        latest.architecture = architecture.clone();
    }
    check_size(&latest)?;
    let mut record = FunctionRecord { latest: Arc::new(latest), ..next(record) };
    let answer = match update.publish {
        true => versions::publish_into(&mut record, None, stamp),
        false => record.latest.clone(),
    };
    Ok((record, answer))
}

/// `$LATEST` as it begins an update.
fn being_updated(record: &FunctionRecord, stamp: &Stamp) -> Result<VersionRecord, Error> {
    let FunctionKey { account, region, name } = &record.key;
    if let LastUpdate::InProgress { .. } = record.latest.last_update {
        return Err(Error::UpdateInProgress { arn: arn::function(region, account, name) });
    }
    if let State::Pending { .. } = record.latest.state {
        return Err(Error::NotInvocable { state: "Pending", reason: None });
    }
    let mut latest = VersionRecord::clone(&record.latest);
    latest.revision = stamp.revision.clone();
    latest.last_modified = stamp.now;
    latest.last_update =
        LastUpdate::InProgress { reason: CREATING_REASON.to_owned(), code: CREATING_CODE.to_owned() };
    Ok(latest)
}

/// Whether two states of a record differ only in what the worker changes, so that a decision made on the one
/// holds on the other.
pub fn same_but_for_state(a: &FunctionRecord, b: &FunctionRecord) -> bool {
    let stateless = |v: &Arc<VersionRecord>| {
        Arc::new(VersionRecord {
            state: State::Active,
            last_update: LastUpdate::Successful,
            ..VersionRecord::clone(v)
        })
    };
    let bare = |r: &FunctionRecord| FunctionRecord {
        generation: 0,
        latest: stateless(&r.latest),
        versions: r.versions.iter().map(|(n, v)| (*n, stateless(v))).collect(),
        ..r.clone()
    };
    bare(a) == bare(b)
}
