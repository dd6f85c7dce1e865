//! Archives of events: what passed a bus and is kept, to be put on it again some day.
//!
//! What an archive is (its bus, its pattern, how long it keeps) is a record of [`crate::events`]; here are only the
//! events themselves, under the archive's id.
//!
//! Invariants:
//! - an event is in an archive once, however often it is kept;
//! - an archive's events are read in the order of their times, those of one time in the order of their ids.

mod memory;

use lambent_core::ports::BoxFuture;
use lambent_core::time::Timestamp;

pub use memory::MemoryArchive;

use crate::StoreError;

/// An event in an archive.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Archived {
    /// The archive's id: another archive of the same name has another.
    pub archive: String,
    /// When it happened, as the event says.
    pub time: Timestamp,
    /// The event's id.
    pub id: String,
    /// When it came.
    pub kept: Timestamp,
    /// The event, as JSON.
    pub text: String,
}

/// Where an event stands among the others of its archive.
pub type Place = (Timestamp, String);

/// Which events of an archive to read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Range {
    pub archive: String,
    /// The first time that is wanted.
    pub from: Timestamp,
    /// The first time that is wanted no more.
    pub until: Timestamp,
    /// Only those behind this one.
    pub after: Option<Place>,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Size {
    pub events: u64,
    /// Of the events' texts.
    pub bytes: u64,
}

/// Keeps archived events.
pub trait ArchiveStore: Send + Sync {
    /// Keeps all of them, or none. Durable when it answers `Ok`.
    fn keep(&self, events: Vec<Archived>) -> BoxFuture<'_, Result<(), StoreError>>;

    /// The first `limit` events of a range.
    fn read(&self, range: Range, limit: usize) -> BoxFuture<'_, Result<Vec<Archived>, StoreError>>;

    fn size(&self, archive: String) -> BoxFuture<'_, Result<Size, StoreError>>;

    /// Forgets up to `limit` events of an archive that came before this moment; says how many.
    fn forget(
        &self,
        archive: String,
        before: Timestamp,
        limit: usize,
    ) -> BoxFuture<'_, Result<usize, StoreError>>;

    /// The archives that hold anything.
    fn archives(&self) -> BoxFuture<'_, Result<Vec<String>, StoreError>>;
}
