//! Deliveries in `deliveries.db`, on disk before they are acknowledged.
//!
//! Nothing of them is kept in memory: a million that wait cost no more than ten.

mod journal;

use std::path::Path;

use bytes::Bytes;
use lambent_core::ids::RequestId;
use lambent_core::ports::BoxFuture;
use lambent_core::time::Timestamp;
use lambent_store::StoreError;
use lambent_store::deliveries::{Command, Delivery, DeliveryStore, Lane, Tries};
use rusqlite::{Connection, OptionalExtension as _, Row, params};

use crate::OpenError;
use crate::database::{self, Durability, Schema};
use crate::readers::{ReadError, Readers};
use crate::writer::Writer;
use journal::DeliveryJournal;

/// The file in the data directory.
const FILE: &str = "deliveries.db";

const SCHEMA: Schema = Schema {
    // "LDlv" in ASCII.
    application_id: 0x4c44_6c76,
    migrations: &[include_str!("deliveries/0001.sql"), include_str!("deliveries/0002.sql")],
    // A damaged body is found when it is read.
    check_pages: false,
};

pub struct SqliteDeliveries {
    writer: Writer<DeliveryJournal>,
    readers: Readers,
}

impl SqliteDeliveries {
    /// Opens the file in a data directory whose lock the caller holds, or makes it.
    pub fn open(directory: &Path) -> Result<Self, OpenError> {
        let path = directory.join(FILE);
        let db = database::open(&path, &SCHEMA, Durability::Full)?;
        let writer = Writer::start(FILE, db, DeliveryJournal)
            .map_err(|source| OpenError::Io { path: path.clone(), source })?;
        Ok(Self { writer, readers: Readers::new(&path) })
    }
}

impl DeliveryStore for SqliteDeliveries {
    fn apply(&self, commands: Vec<Command>) -> BoxFuture<'_, Result<(), StoreError>> {
        Box::pin(self.writer.submit(commands))
    }

    fn due(
        &self,
        lane: Lane,
        now: Timestamp,
        limit: usize,
    ) -> BoxFuture<'_, Result<Vec<Delivery>, StoreError>> {
        Box::pin(self.readers.run(move |db| due(db, lane, now, limit)))
    }

    fn next_due(&self, lane: Lane, now: Timestamp) -> BoxFuture<'_, Result<Option<Timestamp>, StoreError>> {
        Box::pin(self.readers.run(move |db| {
            let mut statement =
                db.prepare_cached("SELECT min(due) FROM deliveries WHERE lane = ?1 AND due > ?2")?;
            let due: Option<Option<u64>> =
                statement.query_row(params![lane.as_str(), now.as_millis()], |row| row.get(0)).optional()?;
            Ok(due.flatten().map(Timestamp::from_millis))
        }))
    }

    fn marks(&self) -> BoxFuture<'_, Result<Vec<(String, Timestamp)>, StoreError>> {
        Box::pin(self.readers.run(|db| {
            let mut statement = db.prepare_cached("SELECT source, at FROM marks ORDER BY source")?;
            let rows =
                statement.query_map([], |row| Ok((row.get(0)?, Timestamp::from_millis(row.get(1)?))))?;
            Ok(rows.collect::<rusqlite::Result<_>>()?)
        }))
    }

    fn count(&self, lane: Lane) -> BoxFuture<'_, Result<u64, StoreError>> {
        Box::pin(self.readers.run(move |db| {
            let mut statement = db.prepare_cached("SELECT count(*) FROM deliveries WHERE lane = ?1")?;
            Ok(statement.query_row([lane.as_str()], |row| row.get(0))?)
        }))
    }
}

fn due(db: &Connection, lane: Lane, now: Timestamp, limit: usize) -> Result<Vec<Delivery>, ReadError> {
    let mut statement = db.prepare_cached(
        "SELECT id, accepted, due, attempts, deferrals, body FROM deliveries
         WHERE lane = ?1 AND due <= ?2 ORDER BY due, id LIMIT ?3",
    )?;
    let rows =
        statement.query_map(params![lane.as_str(), now.as_millis(), limit as i64], |row| read(row, lane))?;
    Ok(rows.collect::<rusqlite::Result<_>>()?)
}

fn read(row: &Row<'_>, lane: Lane) -> rusqlite::Result<Delivery> {
    let time = |at| row.get(at).map(Timestamp::from_millis);
    let text: String = row.get(0)?;
    let id = RequestId::new(text).map_err(|error| {
        rusqlite::Error::FromSqlConversionFailure(0, rusqlite::types::Type::Text, error.into())
    })?;
    Ok(Delivery {
        id,
        lane,
        accepted: time(1)?,
        due: time(2)?,
        tries: Tries { attempts: row.get(3)?, deferrals: row.get(4)? },
        body: Bytes::from(row.get::<_, Vec<u8>>(5)?),
    })
}
