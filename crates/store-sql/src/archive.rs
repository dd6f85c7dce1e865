//! Archived events in `archive.db`.
//!
//! Nothing of them is kept in memory. How many an archive has, and how large they are, is counted with each change.

use std::path::Path;

use lambent_core::ports::BoxFuture;
use lambent_core::time::Timestamp;
use lambent_store::StoreError;
use lambent_store::archive::{ArchiveStore, Archived, Range, Size};
use rusqlite::{Connection, OptionalExtension as _, params};

use crate::database::{self, Durability, Schema};
use crate::readers::Readers;
use crate::writer::{Journal, Refusal, Writer};
use crate::{OpenError, io_error};

/// The file in the data directory.
const FILE: &str = "archive.db";

const SCHEMA: Schema = Schema {
    // "LArc" in ASCII.
    application_id: 0x4c41_7263,
    migrations: &[include_str!("archive/0001.sql")],
    // The file may hold gigabytes; a damaged event is found when it is read.
    check_pages: false,
};

/// The range of time in a database: its integers are signed.
fn millis(time: Timestamp) -> u64 {
    time.as_millis().min(i64::MAX as u64)
}

pub struct SqliteArchive {
    writer: Writer<ArchiveJournal>,
    readers: Readers,
}

impl SqliteArchive {
    /// Opens the file in a data directory whose lock the caller holds, or makes it.
    pub fn open(directory: &Path) -> Result<Self, OpenError> {
        let path = directory.join(FILE);
        let db = database::open(&path, &SCHEMA, Durability::Full)?;
        let writer = Writer::start(FILE, db, ArchiveJournal).map_err(|error| io_error(&path, error))?;
        Ok(Self { writer, readers: Readers::new(&path) })
    }
}

impl ArchiveStore for SqliteArchive {
    fn keep(&self, events: Vec<Archived>) -> BoxFuture<'_, Result<(), StoreError>> {
        Box::pin(async move { self.writer.submit(Change::Keep(events)).await.map(drop) })
    }

    fn read(&self, range: Range, limit: usize) -> BoxFuture<'_, Result<Vec<Archived>, StoreError>> {
        Box::pin(self.readers.run(move |db| {
            let Range { archive, from, until, after } = range;
            let (time, id) = after.unwrap_or_default();
            let mut statement = db.prepare_cached(
                "SELECT time, id, kept, text FROM events
                 WHERE archive = ?1 AND time >= ?2 AND time < ?3 AND (time, id) > (?4, ?5)
                 ORDER BY time, id LIMIT ?6",
            )?;
            let bounds = params![archive, millis(from), millis(until), millis(time), id, limit as i64];
            let rows = statement.query_map(bounds, |row| {
                Ok(Archived {
                    archive: archive.clone(),
                    time: Timestamp::from_millis(row.get(0)?),
                    id: row.get(1)?,
                    kept: Timestamp::from_millis(row.get(2)?),
                    text: row.get(3)?,
                })
            })?;
            Ok(rows.collect::<rusqlite::Result<_>>()?)
        }))
    }

    fn size(&self, archive: String) -> BoxFuture<'_, Result<Size, StoreError>> {
        Box::pin(self.readers.run(move |db| {
            let mut statement = db.prepare_cached("SELECT events, bytes FROM archives WHERE archive = ?1")?;
            let size = statement
                .query_row([archive], |row| Ok(Size { events: row.get(0)?, bytes: row.get(1)? }))
                .optional()?;
            Ok(size.unwrap_or_default())
        }))
    }

    fn forget(
        &self,
        archive: String,
        before: Timestamp,
        limit: usize,
    ) -> BoxFuture<'_, Result<usize, StoreError>> {
        Box::pin(self.writer.submit(Change::Forget { archive, before, limit }))
    }

    fn archives(&self) -> BoxFuture<'_, Result<Vec<String>, StoreError>> {
        Box::pin(self.readers.run(|db| {
            let mut statement =
                db.prepare_cached("SELECT archive FROM archives WHERE events > 0 ORDER BY archive")?;
            let rows = statement.query_map([], |row| row.get(0))?;
            Ok(rows.collect::<rusqlite::Result<_>>()?)
        }))
    }
}

enum Change {
    Keep(Vec<Archived>),
    Forget { archive: String, before: Timestamp, limit: usize },
}

struct ArchiveJournal;

impl Journal for ArchiveJournal {
    type Batch = Change;
    type Answer = usize;

    fn write(&mut self, db: &Connection, change: &Change) -> Result<usize, Refusal> {
        match change {
            Change::Keep(events) => {
                for event in events {
                    keep(db, event)?;
                }
                Ok(events.len())
            }
            Change::Forget { archive, before, limit } => Ok(forget(db, archive, *before, *limit)?),
        }
    }

    fn committed(&mut self, _batches: Vec<Change>) {}

    fn undone(&mut self) {}
}

fn keep(db: &Connection, event: &Archived) -> rusqlite::Result<()> {
    let Archived { archive, time, id, kept, text } = event;
    let mut insert = db.prepare_cached("INSERT OR IGNORE INTO events VALUES (?1, ?2, ?3, ?4, ?5)")?;
    if insert.execute(params![archive, millis(*time), id, millis(*kept), text])? == 0 {
        return Ok(());
    }
    let mut count = db.prepare_cached(
        "INSERT INTO archives VALUES (?1, 1, ?2)
         ON CONFLICT (archive) DO UPDATE SET events = events + 1, bytes = bytes + ?2",
    )?;
    count.execute(params![archive, text.len() as i64])?;
    Ok(())
}

fn forget(db: &Connection, archive: &str, before: Timestamp, limit: usize) -> rusqlite::Result<usize> {
    let mut find = db.prepare_cached(
        "SELECT rowid, length(CAST(text AS BLOB)) FROM events WHERE archive = ?1 AND kept < ?2
         ORDER BY kept LIMIT ?3",
    )?;
    let found = find.query_map(params![archive, millis(before), limit as i64], |row| {
        Ok((row.get::<_, i64>(0)?, row.get::<_, i64>(1)?))
    })?;
    let found: Vec<(i64, i64)> = found.collect::<rusqlite::Result<_>>()?;
    let mut delete = db.prepare_cached("DELETE FROM events WHERE rowid = ?1")?;
    for (row, _) in &found {
        delete.execute([row])?;
    }
    let bytes: i64 = found.iter().map(|(_, bytes)| bytes).sum();
    let mut count =
        db.prepare_cached("UPDATE archives SET events = events - ?2, bytes = bytes - ?3 WHERE archive = ?1")?;
    count.execute(params![archive, found.len() as i64, bytes])?;
    db.prepare_cached("DELETE FROM archives WHERE archive = ?1 AND events = 0")?.execute([archive])?;
    Ok(found.len())
}
