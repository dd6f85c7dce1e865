//! SnapStart: which functions may have it, and which versions wait for their snapshot.
//!
//! Invariant: `$LATEST` has no snapshot, whatever it is configured to have; a version that has SnapStart is Active only
//! when its snapshot was made.

use std::sync::Arc;

use lambent_core::ids::Version;
use lambent_core::limits::EPHEMERAL_MB_MIN;
use lambent_store::functions::{FunctionRecord, State, VersionRecord};

use super::next;
use crate::error::Error;

/// What a version says while its snapshot is made.
pub const MAKING_REASON: &str = "The function is being created.";
pub const MAKING_CODE: &str = "Creating";

/// Refuses what SnapStart can't be combined with.
pub fn check(version: &VersionRecord) -> Result<(), Error> {
    if !version.snap_start {
        return Ok(());
    }
    let runtime = lambent_core::runtime::find(&version.runtime);
    if !runtime.is_some_and(|runtime| runtime.has_snap_start()) {
        return Err(Error::SnapStartUnsupported { what: version.runtime.clone() });
    }
    if version.ephemeral_mb > EPHEMERAL_MB_MIN {
        let what = format!("Ephemeral storage greater than {EPHEMERAL_MB_MIN} MB");
        return Err(Error::SnapStartUnsupported { what });
    }
    Ok(())
}

/// Provisioned concurrency is for versions without.
pub fn check_provisioned(record: &FunctionRecord, number: u64) -> Result<(), Error> {
    match record.versions.get(&number) {
        Some(version) if version.snap_start => {
            Err(Error::SnapStartUnsupported { what: "Provisioned Concurrency".to_owned() })
        }
        _ => Ok(()),
    }
}

/// The state in which a version is published, or is found to be usable.
pub fn first_state(is_published: bool, snap_start: bool, otherwise: State) -> State {
    match otherwise {
        State::Active if is_published && snap_start => {
            State::Pending { reason: MAKING_REASON.to_owned(), code: MAKING_CODE.to_owned() }
        }
        other => other,
    }
}

/// Whether nothing but its snapshot is missing: not the worker's business, but that of whoever makes snapshots.
pub fn awaits_snapshot(version: &VersionRecord) -> bool {
    version.snap_start
        && matches!(version.version, Version::Published(_))
        && matches!(version.state, State::Pending { .. })
}

/// The function with what became of a version that waited. `None` when it doesn't wait any more.
pub fn settle(record: &FunctionRecord, number: u64, state: State) -> Option<FunctionRecord> {
    let version = record.versions.get(&number).filter(|version| awaits_snapshot(version))?;
    let settled = VersionRecord { state, ..VersionRecord::clone(version) };
    let mut record = next(record);
    record.versions.insert(number, Arc::new(settled));
    Some(record)
}
