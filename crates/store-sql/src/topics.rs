//! Topics and subscriptions in `topics.db`: read once when the file is opened, afterwards every read is answered from
//! memory and every write goes to the disk first.

use std::path::Path;
use std::slice;
use std::sync::Arc;

use lambent_core::ids::{AccountId, Region};
use lambent_core::ports::BoxFuture;
use lambent_core::time::Timestamp;
use lambent_store::StoreError;
use lambent_store::topics::{
    Command, MemoryTopics, PublishedRecord, SubscriptionKey, SubscriptionRecord, TopicKey, TopicRecord,
    TopicStore,
};
use rusqlite::{Connection, params};
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::database::{self, Durability, Schema, corrupted, judge};
use crate::writer::{Journal, Refusal, Writer};
use crate::{OpenError, io_error};

/// The file in the data directory.
const FILE: &str = "topics.db";

const SCHEMA: Schema = Schema {
    // "LTop" in ASCII.
    application_id: 0x4c54_6f70,
    migrations: &[include_str!("topics/0001.sql")],
    check_pages: true,
};

pub struct SqliteTopics {
    /// What is on disk, no more.
    mirror: Arc<MemoryTopics>,
    writer: Writer<TopicJournal>,
}

impl SqliteTopics {
    /// Opens the file in a data directory whose lock the caller holds, or makes it.
    pub fn open(directory: &Path) -> Result<Self, OpenError> {
        let path = directory.join(FILE);
        let db = database::open(&path, &SCHEMA, Durability::Full)?;
        let mirror = Arc::new(load(&db, &path)?);
        let journal = TopicJournal { ahead: mirror.duplicate(), mirror: mirror.clone() };
        let writer = Writer::start(FILE, db, journal).map_err(|error| io_error(&path, error))?;
        Ok(Self { mirror, writer })
    }
}

impl TopicStore for SqliteTopics {
    fn apply(&self, commands: Vec<Command>) -> BoxFuture<'_, Result<(), StoreError>> {
        Box::pin(self.writer.submit(commands))
    }

    fn topic(&self, key: &TopicKey) -> Option<Arc<TopicRecord>> {
        self.mirror.topic(key)
    }

    fn topics(
        &self,
        account: &AccountId,
        region: &Region,
        after: Option<&str>,
        limit: usize,
    ) -> Vec<Arc<TopicRecord>> {
        self.mirror.topics(account, region, after, limit)
    }

    fn subscription(&self, key: &SubscriptionKey) -> Option<Arc<SubscriptionRecord>> {
        self.mirror.subscription(key)
    }

    fn subscriptions(
        &self,
        topic: &TopicKey,
        after: Option<&str>,
        limit: usize,
    ) -> Vec<Arc<SubscriptionRecord>> {
        self.mirror.subscriptions(topic, after, limit)
    }

    fn published(&self, token: &str) -> Option<PublishedRecord> {
        self.mirror.published(token)
    }

    fn unconfirmed(&self, until: Timestamp) -> Vec<Arc<SubscriptionRecord>> {
        self.mirror.unconfirmed(until)
    }

    fn subscriptions_of(
        &self,
        owner: &AccountId,
        region: &Region,
        after: Option<&SubscriptionKey>,
        limit: usize,
    ) -> Vec<Arc<SubscriptionRecord>> {
        self.mirror.subscriptions_of(owner, region, after, limit)
    }
}

struct TopicJournal {
    /// What is on disk, as readers see it.
    mirror: Arc<MemoryTopics>,
    /// The mirror, and the open transaction on top of it.
    ahead: MemoryTopics,
}

impl Journal for TopicJournal {
    type Batch = Vec<Command>;
    type Answer = ();

    fn write(&mut self, db: &Connection, batch: &Vec<Command>) -> Result<(), Refusal> {
        self.ahead.check(batch).map_err(|_| Refusal::Conflict)?;
        for command in batch {
            write(db, command)?;
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

fn write(db: &Connection, command: &Command) -> rusqlite::Result<()> {
    match command {
        Command::PutTopic(record) => {
            let TopicKey { account, region, name } = &record.key;
            db.prepare_cached("INSERT OR REPLACE INTO topics VALUES (?1, ?2, ?3, ?4)")?.execute(params![
                account.as_str(),
                region.as_str(),
                name,
                json(&**record)?
            ])?;
        }
        Command::DeleteTopic { key: TopicKey { account, region, name }, .. } => {
            let place = params![account.as_str(), region.as_str(), name];
            db.prepare_cached("DELETE FROM topics WHERE account = ?1 AND region = ?2 AND name = ?3")?
                .execute(place)?;
            db.prepare_cached("DELETE FROM subscriptions WHERE account = ?1 AND region = ?2 AND topic = ?3")?
                .execute(place)?;
        }
        Command::PutSubscription(record) => {
            let SubscriptionKey { topic: TopicKey { account, region, name }, id } = &record.key;
            db.prepare_cached("INSERT OR REPLACE INTO subscriptions VALUES (?1, ?2, ?3, ?4, ?5)")?
                .execute(params![account.as_str(), region.as_str(), name, id, json(&**record)?])?;
        }
        Command::DeleteSubscription { key, .. } => {
            let SubscriptionKey { topic: TopicKey { account, region, name }, id } = key;
            db.prepare_cached(
                "DELETE FROM subscriptions WHERE account = ?1 AND region = ?2 AND topic = ?3 AND id = ?4",
            )?
            .execute(params![account.as_str(), region.as_str(), name, id])?;
        }
        Command::Remember(PublishedRecord { token, until, message_id, number }) => {
            db.prepare_cached("INSERT OR REPLACE INTO published VALUES (?1, ?2, ?3, ?4)")?
                .execute(params![token, until.as_millis(), message_id, number])?;
        }
        Command::Forget { until } => {
            db.prepare_cached("DELETE FROM published WHERE until <= ?1")?.execute([until.as_millis()])?;
        }
    }
    Ok(())
}

fn json(record: &impl Serialize) -> rusqlite::Result<String> {
    serde_json::to_string(record).map_err(|error| rusqlite::Error::ToSqlConversionFailure(error.into()))
}

fn load(db: &Connection, path: &Path) -> Result<MemoryTopics, OpenError> {
    let found = MemoryTopics::default();
    for record in records(db, path, "SELECT record FROM topics")? {
        found.commit(&[Command::PutTopic(Arc::new(record))]);
    }
    for record in records(db, path, "SELECT record FROM subscriptions")? {
        found.commit(&[Command::PutSubscription(Arc::new(record))]);
    }
    let fail = |error| judge(path, error);
    let mut statement = db.prepare("SELECT token, until, message_id, number FROM published").map_err(fail)?;
    let rows = statement.query_map([], |row| {
        Ok(PublishedRecord {
            token: row.get(0)?,
            until: Timestamp::from_millis(row.get(1)?),
            message_id: row.get(2)?,
            number: row.get(3)?,
        })
    });
    for record in rows.map_err(fail)? {
        found.commit(&[Command::Remember(record.map_err(fail)?)]);
    }
    Ok(found)
}

fn records<T: DeserializeOwned>(db: &Connection, path: &Path, query: &str) -> Result<Vec<T>, OpenError> {
    let fail = |error| judge(path, error);
    let mut statement = db.prepare(query).map_err(fail)?;
    let rows = statement.query_map([], |row| row.get::<_, String>(0)).map_err(fail)?;
    rows.map(|text| {
        let text = text.map_err(fail)?;
        serde_json::from_str(&text).map_err(|_| corrupted(path, "a record can't be read"))
    })
    .collect()
}
