//! Log groups, streams and events in `logs.db`.
//!
//! Events are kept as compressed chunks, one row each, and found through indexes on both ends of a chunk's
//! time range. [`journal`] writes, [`read`] reads.
//!
//! Durability: a commit is with the operating system when it is acknowledged, not on the disk
//! ([`Durability::Normal`]). `kill -9` takes nothing that was acknowledged; a power cut or a crash of the
//! kernel may take the last seconds of logs, and never corrupts the file. That is the price of taking the logs
//! of many functions without a flush of the disk for each.
//!
//! Bounds: the bodies of all chunks together stay under `bytes_max`, checked within each append; the oldest
//! chunks go first, whatever their group. The file itself keeps its greatest size and reuses the space.
//!
//! Invariants:
//! - numbers of groups, streams and chunks are never used twice, so a position never names another event;
//! - a chunk whose stream's row is gone is invisible at once and freed by later sweeps, in slices, so that
//!   deleting a large group does not hold up the writer.

mod journal;
mod read;
#[cfg(test)]
mod tests;
mod traces;

use std::path::Path;

use lambent_core::ports::BoxFuture;
use lambent_core::time::Timestamp;
use lambent_store::StoreError;
use lambent_store::logs::{
    Command, GroupKey, GroupQuery, GroupRecord, LogStore, Page, ReadQuery, Refusal, Run, StreamKey,
    StreamQuery, StreamRecord, Swept, chunk,
};
use lambent_store::traces::Bounds;

use crate::OpenError;
use crate::database::{self, Durability, Schema};
use crate::readers::Readers;
use crate::writer::Writer;
use journal::{Answer, Batch, LogJournal, PackedRun};

/// "LLog" in ASCII.
const APPLICATION_ID: i32 = 0x4c4c_6f67;

const SCHEMA: Schema = Schema {
    application_id: APPLICATION_ID,
    migrations: &[include_str!("logs/0001.sql"), include_str!("logs/0002.sql")],
    // The file may hold gigabytes; a damaged chunk is found when it is read.
    check_pages: false,
};

/// The log store of one data directory.
pub struct SqliteLogs {
    writer: Writer<LogJournal>,
    readers: Readers,
}

impl SqliteLogs {
    /// Opens the file, or makes it. It keeps `bytes_max` bytes of compressed events at the most.
    pub fn open(path: &Path, bytes_max: u64) -> Result<Self, OpenError> {
        Self::open_bounded(path, bytes_max, Bounds::default())
    }

    /// As [`SqliteLogs::open`], with other bounds for traces.
    pub fn open_bounded(path: &Path, bytes_max: u64, traces: Bounds) -> Result<Self, OpenError> {
        let db = database::open(path, &SCHEMA, Durability::Normal)?;
        let writer = Writer::start("logs.db", db, LogJournal { bytes_max, traces })
            .map_err(|source| OpenError::Io { path: path.to_owned(), source })?;
        Ok(Self { writer, readers: Readers::new(path) })
    }
}

/// Packing is work for a processor and not for the thread that serves requests.
async fn pack(runs: Vec<Run>) -> Result<Vec<PackedRun>, StoreError> {
    let packed = tokio::task::spawn_blocking(move || {
        runs.into_iter()
            .map(|run| {
                let chunks = chunk::pack(&run.events)?;
                Ok(PackedRun { stream: run.stream, ingested: run.ingested, create: run.create, chunks })
            })
            .collect::<std::io::Result<Vec<_>>>()
    });
    match packed.await {
        Ok(Ok(runs)) => Ok(runs),
        Ok(Err(error)) => Err(StoreError::Unavailable { detail: format!("pack log events: {error}") }),
        Err(error) => Err(StoreError::Unavailable { detail: format!("pack log events: {error}") }),
    }
}

impl LogStore for SqliteLogs {
    fn apply(&self, command: Command) -> BoxFuture<'_, Result<Result<(), Refusal>, StoreError>> {
        Box::pin(async move {
            match self.writer.submit(Batch::Change(command)).await? {
                Answer::Changed(outcome) => Ok(outcome),
                other => unreachable!("a change is answered as a change, not with {other:?}"),
            }
        })
    }

    fn append(&self, runs: Vec<Run>) -> BoxFuture<'_, Result<Vec<Result<(), Refusal>>, StoreError>> {
        Box::pin(async move {
            match self.writer.submit(Batch::Append(pack(runs).await?)).await? {
                Answer::Appended(outcomes) => Ok(outcomes),
                other => unreachable!("an append is answered as an append, not with {other:?}"),
            }
        })
    }

    fn group<'a>(&'a self, key: &'a GroupKey) -> BoxFuture<'a, Result<Option<GroupRecord>, StoreError>> {
        let key = key.clone();
        Box::pin(self.readers.run(move |db| read::group(db, &key)))
    }

    fn list_groups(&self, query: GroupQuery) -> BoxFuture<'_, Result<Vec<GroupRecord>, StoreError>> {
        Box::pin(self.readers.run(move |db| read::list_groups(db, &query)))
    }

    fn stream<'a>(&'a self, key: &'a StreamKey) -> BoxFuture<'a, Result<Option<StreamRecord>, StoreError>> {
        let key = key.clone();
        Box::pin(self.readers.run(move |db| read::stream(db, &key)))
    }

    fn list_streams(&self, query: StreamQuery) -> BoxFuture<'_, Result<Vec<StreamRecord>, StoreError>> {
        Box::pin(self.readers.run(move |db| read::list_streams(db, &query)))
    }

    fn read(&self, query: ReadQuery) -> BoxFuture<'_, Result<Page, StoreError>> {
        Box::pin(self.readers.run(move |db| read::page(db, &query)))
    }

    fn sweep(&self, now: Timestamp) -> BoxFuture<'_, Result<Swept, StoreError>> {
        Box::pin(async move {
            let mut total = Swept::default();
            // Slice by slice, so that appends come in between.
            loop {
                match self.writer.submit(Batch::Sweep(now)).await? {
                    Answer::Swept(slice) if slice == Swept::default() => return Ok(total),
                    Answer::Swept(slice) => {
                        total.expired_bytes += slice.expired_bytes;
                        total.evicted_bytes += slice.evicted_bytes;
                    }
                    other => unreachable!("a sweep is answered as a sweep, not with {other:?}"),
                }
            }
        })
    }
}
