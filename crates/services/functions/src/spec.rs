//! What the part that runs functions gets of a version, made once for each state of it.
//!
//! This is on the path of every call: a hit costs a look-up under a read lock and a reference count.

use std::collections::HashMap;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use lambent_core::function::{Egress, FunctionSpec, LogLevel, Logging};
use lambent_core::ids::{RevisionId, Version};
use lambent_core::runtime;
use lambent_store::functions::{FunctionKey, FunctionRecord, VersionRecord};
use sha2::{Digest, Sha256};

use crate::engine::egress;
use crate::error::Error;

/// Ours: specs that are kept. More functions than this in use at once cost an allocation a call.
const SPECS_MAX: usize = 8_192;

#[derive(Default)]
pub struct Specs {
    made: RwLock<HashMap<FunctionKey, Vec<Arc<FunctionSpec>>>>,
}

impl Specs {
    /// The spec of a version of the function.
    pub fn of(&self, record: &FunctionRecord, version: &VersionRecord) -> Result<Arc<FunctionSpec>, Error> {
        let egress = egress::of(&record.tags);
        if let Some(spec) = self.find(&record.key, version, egress) {
            return Ok(spec);
        }
        let spec = Arc::new(make_with(record, version, egress)?);
        let mut made = self.made.write().unwrap_or_else(PoisonError::into_inner);
        if made.len() >= SPECS_MAX && !made.contains_key(&record.key) {
            made.clear();
        }
        let specs = made.entry(record.key.clone()).or_default();
        specs.retain(|s| s.version != version.version && is_version_of(record, s.version));
        specs.push(spec.clone());
        Ok(spec)
    }

    fn find(&self, key: &FunctionKey, version: &VersionRecord, egress: Egress) -> Option<Arc<FunctionSpec>> {
        let made = self.made.read().unwrap_or_else(PoisonError::into_inner);
        let revision = folded(&version.revision, egress);
        made.get(key)?.iter().find(|s| s.version == version.version && s.revision == revision).cloned()
    }

    /// Forgets a function that was deleted.
    pub fn forget(&self, key: &FunctionKey) {
        self.made.write().unwrap_or_else(PoisonError::into_inner).remove(key);
    }
}

fn is_version_of(record: &FunctionRecord, version: Version) -> bool {
    match version {
        Version::Latest => true,
        Version::Published(number) => record.versions.contains_key(&number),
    }
}

/// The spec of a version that is not stored yet, made for this one use.
pub fn make(record: &FunctionRecord, version: &VersionRecord) -> Result<FunctionSpec, Error> {
    make_with(record, version, egress::of(&record.tags))
}

fn make_with(
    record: &FunctionRecord,
    version: &VersionRecord,
    egress: Egress,
) -> Result<FunctionSpec, Error> {
    let runtime = runtime::find(&version.runtime)
        .ok_or_else(|| Error::ForgottenRuntime { runtime: version.runtime.clone() })?;
    let FunctionKey { account, region, name } = &record.key;
    Ok(FunctionSpec {
        account: account.clone(),
        region: region.clone(),
        name: name.clone(),
        version: version.version,
        revision: folded(&version.revision, egress),
        runtime,
        handler: version.handler.clone(),
        role_arn: version.role.clone(),
        code: version.code.clone(),
        layers: version.layers.iter().map(|l| l.digest.clone()).collect(),
        memory_mb: version.memory_mb,
        timeout: Duration::from_secs(u64::from(version.timeout_secs)),
        ephemeral_mb: version.ephemeral_mb,
        environment: version.environment.iter().map(|(k, v)| (k.clone(), v.clone())).collect(),
        egress,
        logging: Logging {
            group: Arc::from(version.logging.group.as_str()),
            format: version.logging.format,
            application_level: version.logging.application_level.unwrap_or(LogLevel::Info),
            system_level: version.logging.system_level.unwrap_or(LogLevel::Info),
        },
        snap_start: version.snap_start && version.version != Version::Latest,
    })
}

/// The revision that environments are pooled by. The egress policy is a tag, and a change of tags leaves the
/// RevisionId alone as the reference has it; so a policy that is not the default is folded into the revision.
fn folded(revision: &RevisionId, egress: Egress) -> RevisionId {
    if egress == Egress::Internet {
        return revision.clone();
    }
    let digest = Sha256::new().chain_update(revision.as_str()).chain_update(egress.as_str()).finalize();
    let hex: String = digest[..16].iter().map(|byte| format!("{byte:02x}")).collect();
    let parts = [&hex[..8], &hex[8..12], &hex[12..16], &hex[16..20], &hex[20..]];
    RevisionId::new(parts.join("-")).expect("32 hex digits in five groups have the form of a UUID")
}
