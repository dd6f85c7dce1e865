//! Queues and their messages in `queues.db`, on disk before anything is acknowledged.
//!
//! Queues are few and are kept in memory as well; messages are not: a million that wait cost no more memory than ten.
//! Decisions are made on the writer's thread, in the transaction that they change: [`journal`] is the table of
//! commands, [`receive`] finds what comes next, [`rows`] has the statements that both share.

mod journal;
mod receive;
mod rows;
mod sweep;

use std::path::Path;
use std::sync::{Arc, PoisonError, RwLock};

use lambent_core::ids::{AccountId, QueueName, Region};
use lambent_core::ports::BoxFuture;
use lambent_core::time::Timestamp;
use lambent_store::StoreError;
use lambent_store::queues::{
    Command, Counts, Definitions, MoveRecord, Outcome, QueueKey, QueueRecord, QueueStore, Shelf,
};
use rusqlite::{Connection, Row, params};

use crate::OpenError;
use crate::database::{self, Durability, Schema};
use crate::readers::{ReadError, Readers};
use crate::writer::Writer;
use journal::QueueJournal;

/// The file in the data directory.
const FILE: &str = "queues.db";

const SCHEMA: Schema = Schema {
    // "LQue" in ASCII.
    application_id: 0x4c51_7565,
    migrations: &[include_str!("0001.sql")],
    // A damaged message is found when it is read.
    check_pages: false,
};

/// Memory for pages of the writer's connection and of each reader's, in KiB: what the middle of the indexes takes.
const CACHE_KIB: i64 = 8 * 1024;

pub struct SqliteQueues {
    writer: Writer<QueueJournal>,
    readers: Readers,
    /// What is on disk, no more.
    definitions: Arc<RwLock<Definitions>>,
}

impl SqliteQueues {
    /// Opens the file in a data directory whose lock the caller holds, or makes it.
    pub fn open(directory: &Path) -> Result<Self, OpenError> {
        let path = directory.join(FILE);
        let db = database::open(&path, &SCHEMA, Durability::Full)?;
        let fail = |error| database::judge(&path, error);
        db.pragma_update(None, "cache_size", -CACHE_KIB).map_err(fail)?;
        db.set_prepared_statement_cache_capacity(128);
        let loaded = load(&db).map_err(fail)?;
        let definitions = Arc::new(RwLock::new(loaded));
        let writer = Writer::start(FILE, db, QueueJournal::new(definitions.clone()))
            .map_err(|source| OpenError::Io { path: path.clone(), source })?;
        Ok(Self { writer, readers: Readers::new(&path), definitions })
    }

    fn defined<T>(&self, read: impl FnOnce(&Definitions) -> T) -> T {
        // A change of the definitions is made of steps that can't panic.
        read(&self.definitions.read().unwrap_or_else(PoisonError::into_inner))
    }
}

fn load(db: &Connection) -> rusqlite::Result<Definitions> {
    let mut statement = db.prepare("SELECT record FROM queues")?;
    let queues =
        statement.query_map([], |row| json(row, 0))?.collect::<rusqlite::Result<Vec<QueueRecord>>>()?;
    let mut statement = db.prepare("SELECT account, region, name, at FROM deletions")?;
    let deletion = |row: &Row<'_>| {
        let key = QueueKey {
            account: id(AccountId::new(row.get::<_, String>(0)?))?,
            region: id(Region::new(row.get::<_, String>(1)?))?,
            name: id(QueueName::new(row.get::<_, String>(2)?))?,
        };
        Ok((key, Timestamp::from_millis(row.get(3)?)))
    };
    let deletions = statement.query_map([], deletion)?.collect::<rusqlite::Result<Vec<_>>>()?;
    Ok(Definitions::load(queues, deletions))
}

fn json<T: serde::de::DeserializeOwned>(row: &Row<'_>, at: usize) -> rusqlite::Result<T> {
    let text = row.get_ref(at)?.as_str().map_err(unreadable)?;
    serde_json::from_str(text).map_err(unreadable)
}

fn id<T>(made: Result<T, lambent_core::ids::InvalidId>) -> rusqlite::Result<T> {
    made.map_err(unreadable)
}

fn unreadable(error: impl std::error::Error + Send + Sync + 'static) -> rusqlite::Error {
    rusqlite::Error::FromSqlConversionFailure(0, rusqlite::types::Type::Text, Box::new(error))
}

impl QueueStore for SqliteQueues {
    fn apply(&self, command: Command) -> BoxFuture<'_, Result<Outcome, StoreError>> {
        Box::pin(self.writer.submit(command))
    }

    fn queue(&self, key: &QueueKey) -> Option<Arc<QueueRecord>> {
        self.defined(|definitions| definitions.queue(key))
    }

    fn queues(&self, account: &AccountId, region: &Region) -> Vec<Arc<QueueRecord>> {
        self.defined(|definitions| definitions.queues(account, region))
    }

    fn all_queues(&self) -> Vec<Arc<QueueRecord>> {
        self.defined(Definitions::all)
    }

    fn deleted(&self, key: &QueueKey) -> Option<Timestamp> {
        self.defined(|definitions| definitions.deleted(key))
    }

    fn counts(
        &self,
        shelf: Shelf,
        now: Timestamp,
        too_old: Timestamp,
    ) -> BoxFuture<'_, Result<Counts, StoreError>> {
        Box::pin(self.readers.run(move |db| counts(db, shelf, now, too_old)))
    }

    fn too_old(
        &self,
        shelf: Shelf,
        too_old: Timestamp,
        limit: usize,
    ) -> BoxFuture<'_, Result<Vec<u64>, StoreError>> {
        Box::pin(self.readers.run(move |db| {
            let mut statement = db.prepare_cached(
                "SELECT number FROM messages INDEXED BY messages_by_visible
                 WHERE shelf = ?1 AND sent <= ?2 LIMIT ?3",
            )?;
            let found =
                statement.query_map(params![shelf.0, too_old.as_millis(), limit as i64], |row| row.get(0))?;
            Ok(found.collect::<rusqlite::Result<_>>()?)
        }))
    }

    fn moves(&self) -> BoxFuture<'_, Result<Vec<MoveRecord>, StoreError>> {
        Box::pin(self.readers.run(|db| {
            let mut statement =
                db.prepare_cached("SELECT record FROM moves ORDER BY started DESC, handle DESC")?;
            let found = statement.query_map([], |row| json(row, 0))?;
            Ok(found.collect::<rusqlite::Result<_>>()?)
        }))
    }
}

fn counts(db: &Connection, shelf: Shelf, now: Timestamp, too_old: Timestamp) -> Result<Counts, ReadError> {
    let (now, too_old) = (now.as_millis(), too_old.as_millis());
    let mut statement = db.prepare_cached(
        "SELECT count(*) FROM messages INDEXED BY messages_by_visible
         WHERE shelf = ?1 AND visible <= ?2 AND sent > ?3",
    )?;
    let visible = statement.query_row(params![shelf.0, now, too_old], |row| row.get(0))?;
    let mut statement = db.prepare_cached(
        "SELECT count(*) FILTER (WHERE turn > 0), count(*) FILTER (WHERE turn = 0)
         FROM messages INDEXED BY messages_by_visible WHERE shelf = ?1 AND visible > ?2 AND sent > ?3",
    )?;
    let (in_flight, delayed) =
        statement.query_row(params![shelf.0, now, too_old], |row| Ok((row.get(0)?, row.get(1)?)))?;
    Ok(Counts { visible, in_flight, delayed })
}
