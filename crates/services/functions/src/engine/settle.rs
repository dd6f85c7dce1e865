//! What the worker decides: a function at rest is Active, or Failed for want of its runtime.

use std::sync::Arc;

use lambent_core::ids::Version;
use lambent_core::ports::Availability;
use lambent_core::runtime::{self, Runtime};
use lambent_store::functions::{FunctionRecord, LastUpdate, State, VersionRecord};

use super::{next, snap_start};

/// StateReasonCode of a function whose runtime this node lacks. The nearest of the model's enumeration.
pub const INVALID_RUNTIME: &str = "InvalidRuntime";

/// Whether anything of the function waits for the worker.
pub fn is_settled(record: &FunctionRecord) -> bool {
    versions(record).all(|v| version_is_settled(v))
}

/// One that waits for its snapshot alone is settled: the worker has nothing to do for it.
pub fn version_is_settled(version: &VersionRecord) -> bool {
    (!matches!(version.state, State::Pending { .. }) || snap_start::awaits_snapshot(version))
        && !matches!(version.last_update, LastUpdate::InProgress { .. })
}

/// Whether the version failed for want of a runtime, which the node may have been given since.
pub fn lacks_runtime(version: &VersionRecord) -> bool {
    matches!(&version.state, State::Failed { code, .. } if code == INVALID_RUNTIME)
}

/// The function at rest; `None` when it already is. Versions that failed for want of a runtime are judged
/// again.
pub fn settle(
    record: &FunctionRecord,
    availability: &dyn Fn(&'static Runtime) -> Availability,
) -> Option<FunctionRecord> {
    let judge = |version: &Arc<VersionRecord>| -> Arc<VersionRecord> {
        if version_is_settled(version) && !lacks_runtime(version) {
            return version.clone();
        }
        let (state, last_update) = outcome(version, availability);
        Arc::new(VersionRecord { state, last_update, ..VersionRecord::clone(version) })
    };
    let mut settled = next(record);
    settled.latest = judge(&record.latest);
    for version in settled.versions.values_mut() {
        *version = judge(version);
    }
    let changed = settled.latest != record.latest || settled.versions != record.versions;
    changed.then_some(settled)
}

fn outcome(
    version: &VersionRecord,
    availability: &dyn Fn(&'static Runtime) -> Availability,
) -> (State, LastUpdate) {
    let missing = match runtime::find(&version.runtime) {
        Some(runtime) => match availability(runtime) {
            Availability::Present => {
                let is_published = version.version != Version::Latest;
                let state = snap_start::first_state(is_published, version.snap_start, State::Active);
                return (state, LastUpdate::Successful);
            }
            Availability::Missing { reason } => reason,
        },
        None => format!("The runtime {} is not known to this version of Lambent.", version.runtime),
    };
    let code = INVALID_RUNTIME.to_owned();
    (
        State::Failed { reason: missing.clone(), code: code.clone() },
        LastUpdate::Failed { reason: missing, code },
    )
}

fn versions(record: &FunctionRecord) -> impl Iterator<Item = &Arc<VersionRecord>> {
    std::iter::once(&record.latest).chain(record.versions.values())
}
