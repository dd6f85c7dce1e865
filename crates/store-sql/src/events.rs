//! EventBridge's records in `events.db`: read once when the file is opened, afterwards every read is answered from
//! memory and every write goes to the disk first.

use std::path::Path;
use std::slice;
use std::sync::Arc;

use lambent_core::ids::{AccountId, Region};
use lambent_core::ports::BoxFuture;
use lambent_store::StoreError;
use lambent_store::events::{Command, Entry, EventStore, Key, Kind, MemoryEvents, Record, Scope};
use rusqlite::{Connection, params};

use crate::database::{self, Durability, Schema, corrupted, judge};
use crate::writer::{Journal, Refusal, Writer};
use crate::{OpenError, io_error};

/// The file in the data directory.
const FILE: &str = "events.db";

const SCHEMA: Schema = Schema {
    // "LEvt" in ASCII.
    application_id: 0x4c45_7674,
    migrations: &[include_str!("events/0001.sql")],
    check_pages: true,
};

pub struct SqliteEvents {
    /// What is on disk, no more.
    mirror: Arc<MemoryEvents>,
    writer: Writer<EventJournal>,
}

impl SqliteEvents {
    /// Opens the file in a data directory whose lock the caller holds, or makes it.
    pub fn open(directory: &Path) -> Result<Self, OpenError> {
        let path = directory.join(FILE);
        let db = database::open(&path, &SCHEMA, Durability::Full)?;
        let mirror = Arc::new(load(&db, &path)?);
        let journal = EventJournal { ahead: mirror.duplicate(), mirror: mirror.clone() };
        let writer = Writer::start(FILE, db, journal).map_err(|error| io_error(&path, error))?;
        Ok(Self { mirror, writer })
    }
}

impl EventStore for SqliteEvents {
    fn apply(&self, commands: Vec<Command>) -> BoxFuture<'_, Result<(), StoreError>> {
        Box::pin(self.writer.submit(commands))
    }

    fn get(&self, key: &Key) -> Option<Arc<Entry>> {
        self.mirror.get(key)
    }

    fn list(&self, scope: &Scope, prefix: &str, after: Option<&str>, limit: usize) -> Vec<Arc<Entry>> {
        self.mirror.list(scope, prefix, after, limit)
    }

    fn all(&self, kind: Kind) -> Vec<Arc<Entry>> {
        self.mirror.all(kind)
    }
}

struct EventJournal {
    /// What is on disk, as readers see it.
    mirror: Arc<MemoryEvents>,
    /// The mirror, and the open transaction on top of it.
    ahead: MemoryEvents,
}

impl Journal for EventJournal {
    type Batch = Vec<Command>;
    type Answer = ();

    fn write(&mut self, db: &Connection, batch: &Vec<Command>) -> Result<(), Refusal> {
        self.ahead.check(batch).map_err(|_| Refusal::Conflict)?;
        for command in batch {
            match command {
                Command::Put(entry) => put(db, entry)?,
                Command::Delete { key, .. } => delete(db, key)?,
            }
            self.ahead.commit(slice::from_ref(command));
        }
        Ok(())
    }

    fn committed(&mut self, batches: Vec<Vec<Command>>) {
        for batch in batches {
            self.mirror.commit(&batch);
        }
    }

    fn undone(&mut self) {
        self.ahead = self.mirror.duplicate();
    }
}

fn put(db: &Connection, entry: &Entry) -> rusqlite::Result<()> {
    let Key { scope: Scope { account, region, kind, parent }, name } = &entry.key;
    let record = serde_json::to_string(&entry.record)
        .map_err(|error| rusqlite::Error::ToSqlConversionFailure(error.into()))?;
    let mut statement =
        db.prepare_cached("INSERT OR REPLACE INTO records VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)")?;
    statement.execute(params![
        account.as_str(),
        region.as_str(),
        kind.as_str(),
        parent,
        name,
        entry.generation,
        record
    ])?;
    Ok(())
}

fn delete(db: &Connection, key: &Key) -> rusqlite::Result<()> {
    let Key { scope: Scope { account, region, kind, parent }, name } = key;
    let mut statement = db.prepare_cached(
        "DELETE FROM records WHERE account = ?1 AND region = ?2 AND kind = ?3 AND parent = ?4 AND name = ?5",
    )?;
    statement.execute(params![account.as_str(), region.as_str(), kind.as_str(), parent, name])?;
    Ok(())
}

fn load(db: &Connection, path: &Path) -> Result<MemoryEvents, OpenError> {
    let fail = |error| judge(path, error);
    let found = MemoryEvents::default();
    let mut statement = db
        .prepare("SELECT account, region, kind, parent, name, generation, record FROM records")
        .map_err(fail)?;
    let mut rows = statement.query([]).map_err(fail)?;
    while let Some(row) = rows.next().map_err(fail)? {
        let text = |at: usize| row.get::<_, String>(at).map_err(fail);
        let bad = |what: &str| corrupted(path, &format!("a record's {what} can't be read"));
        let kind = text(2)?;
        let kind = Kind::ALL.into_iter().find(|known| known.as_str() == kind).ok_or_else(|| bad("kind"))?;
        let scope = Scope {
            account: AccountId::new(text(0)?).map_err(|_| bad("account"))?,
            region: Region::new(text(1)?).map_err(|_| bad("region"))?,
            kind,
            parent: text(3)?,
        };
        let record: Record = serde_json::from_str(&text(6)?).map_err(|_| bad("text"))?;
        if record.kind() != kind {
            return Err(bad("kind"));
        }
        let key = Key { scope, name: text(4)? };
        let entry = Entry { key, generation: row.get(5).map_err(fail)?, record };
        found.commit(&[Command::Put(Arc::new(entry))]);
    }
    Ok(found)
}
