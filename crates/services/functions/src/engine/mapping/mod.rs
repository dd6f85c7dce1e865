//! Event source mappings of queues: what may be set, what a change makes of one, and how its messages become calls.
//! Pure.
//!
//! [`filter`] says which messages are wanted, [`gather`] makes batches of them, [`scale`] says how many batches may be under way, [`record`] is a message as a
//! function sees it, [`judge`] reads what a function says of its batch.

pub mod filter;
pub mod gather;
pub mod judge;
pub mod record;
pub mod scale;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use lambent_core::ports::QueueFacts;
use lambent_core::time::Timestamp;
use lambent_store::functions::{FunctionKey, MappingRecord, MappingState, PollersRecord};

use crate::error::Error;

/// API, CreateEventSourceMapping, BatchSize: what an SQS queue has by default, and the most of a FIFO queue's.
pub const BATCH_SIZE_DEFAULT: u32 = 10;
pub const BATCH_SIZE_MAX_FIFO: u32 = 10;
pub const BATCH_SIZE_MAX: u32 = 10_000;
/// API, MaximumBatchingWindowInSeconds: larger batches need a window.
const BATCH_SIZE_MAX_WITHOUT_WINDOW: u32 = 10;
pub const WINDOW_SECS_MAX: u32 = 300;
/// API, ScalingConfig.
pub const CONCURRENCY_MIN: u32 = 2;
pub const CONCURRENCY_MAX: u32 = 1_000;
/// Developer guide, *Using Lambda with Amazon SQS*: pollers of a queue in provisioned mode.
pub const POLLERS_MIN: u32 = 2;
pub const POLLERS_MINIMUM_MAX: u32 = 200;
pub const POLLERS_MAX: u32 = 2_000;
/// Developer guide, *Event filtering*.
pub const FILTERS_MAX: usize = 5;
/// API, Filter.Pattern.
pub const PATTERN_CHARS_MAX: usize = 4_096;

/// What a request says of a mapping. An absent member is its default to Create, and unchanged to Update.
#[derive(Debug, Clone, Default)]
pub struct Asked {
    pub enabled: Option<bool>,
    pub batch_size: Option<u32>,
    pub window_secs: Option<u32>,
    pub filters: Option<Vec<String>>,
    pub reports_item_failures: Option<bool>,
    /// `Some(None)` takes the limit away.
    pub maximum_concurrency: Option<Option<u32>>,
    pub provisioned: Option<Option<PollersRecord>>,
    pub metrics: Option<Vec<String>>,
}

/// The function that a mapping calls, and how long a call may take.
#[derive(Debug, Clone)]
pub struct Called {
    pub key: FunctionKey,
    pub qualifier: Option<String>,
    pub timeout_secs: u32,
}

/// A new mapping, not checked yet.
pub fn create(
    id: String,
    called: &Called,
    source: String,
    tags: BTreeMap<String, String>,
    asked: &Asked,
    now: Timestamp,
) -> MappingRecord {
    let enabled = asked.enabled.unwrap_or(true);
    let blank = MappingRecord {
        id,
        generation: 1,
        function: called.key.clone(),
        qualifier: called.qualifier.clone(),
        source,
        batch_size: BATCH_SIZE_DEFAULT,
        window_secs: 0,
        filters: Vec::new(),
        reports_item_failures: false,
        maximum_concurrency: None,
        provisioned: None,
        metrics: Vec::new(),
        tags,
        state: MappingState::Creating { enabled },
        last_modified: now,
    };
    with(blank, asked)
}

/// The mapping with what is asked for, on its way to it. Not checked yet.
pub fn update(
    record: &MappingRecord,
    called: Option<&Called>,
    asked: &Asked,
    now: Timestamp,
) -> Result<MappingRecord, Error> {
    if matches!(record.state, MappingState::Disabling | MappingState::Deleting) {
        return Err(Error::MappingInUse { verb: "update" });
    }
    let was_enabled = record.state.is_enabled();
    let enabled = asked.enabled.unwrap_or(was_enabled);
    let state = match (was_enabled, enabled) {
        (false, true) => MappingState::Enabling,
        (true, false) => MappingState::Disabling,
        _ => MappingState::Updating { enabled },
    };
    let mut changed = next(record, state, now);
    if let Some(called) = called {
        (changed.function, changed.qualifier) = (called.key.clone(), called.qualifier.clone());
    }
    Ok(with(changed, asked))
}

/// The mapping on its way out: it is gone once its batches are over.
pub fn delete(record: &MappingRecord, now: Timestamp) -> Result<MappingRecord, Error> {
    match record.state {
        MappingState::Disabling | MappingState::Deleting => Err(Error::MappingInUse { verb: "delete" }),
        _ => Ok(next(record, MappingState::Deleting, now)),
    }
}

/// What becomes of a mapping that reads its queue, or reads it no more and has no batch under way.
#[derive(Debug, Clone, PartialEq)]
pub enum Settled {
    Rests,
    Becomes(Arc<MappingRecord>),
    Goes,
}

pub fn settle(record: &MappingRecord) -> Settled {
    let becomes = |state| Settled::Becomes(Arc::new(next(record, state, record.last_modified)));
    match record.state {
        MappingState::Enabled | MappingState::Disabled => Settled::Rests,
        MappingState::Deleting => Settled::Goes,
        state if state.is_enabled() => becomes(MappingState::Enabled),
        _ => becomes(MappingState::Disabled),
    }
}

/// Holds a mapping to the limits that hang together.
pub fn check(record: &MappingRecord, queue: QueueFacts, timeout_secs: u32) -> Result<(), Error> {
    if record.batch_size > BATCH_SIZE_MAX_WITHOUT_WINDOW && record.window_secs == 0 && !queue.is_fifo {
        return Err(Error::WindowNeeded);
    }
    if queue.is_fifo && record.batch_size > BATCH_SIZE_MAX_FIFO {
        return Err(Error::BatchTooLargeForFifo);
    }
    if queue.is_fifo && record.window_secs > 0 {
        return Err(Error::WindowOnFifo);
    }
    if queue.visibility < Duration::from_secs(timeout_secs.into()) {
        return Err(Error::VisibilityTooShort { visibility_secs: queue.visibility.as_secs(), timeout_secs });
    }
    if let Some(pollers) = record.provisioned {
        if record.maximum_concurrency.is_some() {
            return Err(Error::ConcurrencyWithPollers);
        }
        let (least, most) = scale::pollers(pollers);
        if least > most {
            return Err(Error::PollersReversed { minimum: least, maximum: most });
        }
    }
    Ok(())
}

fn next(record: &MappingRecord, state: MappingState, now: Timestamp) -> MappingRecord {
    MappingRecord { generation: record.generation + 1, state, last_modified: now, ..record.clone() }
}

fn with(record: MappingRecord, asked: &Asked) -> MappingRecord {
    MappingRecord {
        batch_size: asked.batch_size.unwrap_or(record.batch_size),
        window_secs: asked.window_secs.unwrap_or(record.window_secs),
        filters: asked.filters.clone().unwrap_or(record.filters),
        reports_item_failures: asked.reports_item_failures.unwrap_or(record.reports_item_failures),
        maximum_concurrency: asked.maximum_concurrency.unwrap_or(record.maximum_concurrency),
        provisioned: asked.provisioned.unwrap_or(record.provisioned),
        metrics: asked.metrics.clone().unwrap_or(record.metrics),
        ..record
    }
}

#[cfg(test)]
mod tests;
