//! The decisions of the Lambda API: `(record, request, stamp) -> (new record, outcome)`, or why not.
//!
//! What this is not: nothing here waits, stores, reads the clock or draws random numbers; what an engine needs
//! of the world is in its arguments. Start with [`function`], then [`versions`].
//!
//! Invariants:
//! - a changed record has the next generation, and only that one;
//! - a published version never changes, but for its state;
//! - `revision` changes whenever anything does that an execution environment is made from, except for the
//!   egress policy, which is a tag: `spec` folds it in.

pub mod alias;
pub mod async_event;
pub mod concurrency;
pub mod configuration;
pub mod cors;
pub mod egress;
pub mod environment;
pub mod event_invoke;
pub mod function;
pub mod layer;
pub mod mapping;
pub mod policy;
pub mod provisioned;
pub mod recursion;
pub mod settle;
pub mod snap_start;
pub mod tags;
pub mod url;
pub mod url_answer;
pub mod url_event;
pub mod versions;

#[cfg(test)]
mod tests;

use lambent_core::ids::RevisionId;
use lambent_core::time::Timestamp;
use lambent_store::functions::FunctionRecord;

use crate::error::Error;

/// What a change gets from the world.
#[derive(Debug, Clone)]
pub struct Stamp {
    pub now: Timestamp,
    /// The new revision of what is changed.
    pub revision: RevisionId,
    /// The revision of the version that the change publishes, if it does.
    pub published_revision: RevisionId,
}

/// The record as the next generation, for a change to be made in.
fn next(record: &FunctionRecord) -> FunctionRecord {
    FunctionRecord { generation: record.generation + 1, ..record.clone() }
}

/// Holds a RevisionId that the caller gave against the one that stands.
fn require_revision(given: Option<&str>, current: &RevisionId, api: &'static str) -> Result<(), Error> {
    match given {
        Some(given) if given != current.as_str() => Err(Error::RevisionMismatch { api }),
        _ => Ok(()),
    }
}
