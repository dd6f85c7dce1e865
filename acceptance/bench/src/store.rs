//! The floors of everything that is durable: one flush of the disk, and the node's own store of queues, called without
//! a node around it. Both in a folder beside the node's.

use std::fs::File;
use std::io::Write as _;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use lambent_core::ids::{AccountId, MessageId, QueueName, Region};
use lambent_core::time::Timestamp;
use lambent_store::queues::{
    Command, NewMessage, Outcome, QueueKey, QueueRecord, QueueStore, Receive, Settings, Shelf,
};
use lambent_store_sql::SqliteQueues;

use crate::Result;

const SHELF: Shelf = Shelf(1);
/// As long as what the node keeps with a message that has no attributes.
const DETAILS: &[u8] = br#"{"s":"000000000000:test"}"#;
const IN_FLIGHT_FOR: Duration = Duration::from_secs(600);

/// A file that is written to and flushed.
pub struct Flushes(File);

impl Flushes {
    pub fn new(folder: &Path) -> Result<Self> {
        Ok(Self(File::create(folder.join("flushes"))?))
    }

    /// Microseconds until so many bytes more are on the disk.
    pub fn one(&mut self, bytes: &[u8]) -> Result<f64> {
        let began = Instant::now();
        self.0.write_all(bytes)?;
        self.0.sync_data()?;
        Ok(began.elapsed().as_secs_f64() * 1e6)
    }
}

/// How messages go through a queue.
#[derive(Clone, Copy)]
pub struct Load {
    pub producers: usize,
    /// None: messages stay.
    pub consumers: usize,
    /// Messages of one call.
    pub batch: usize,
    pub messages: usize,
    pub bytes: usize,
}

/// The store with one queue.
#[derive(Clone)]
pub struct Store(Arc<SqliteQueues>);

impl Store {
    pub async fn open(folder: &Path) -> Result<Self> {
        let store = Self(Arc::new(SqliteQueues::open(folder)?));
        let settings = Settings {
            delay_secs: 0,
            message_bytes_max: 262_144,
            retention_secs: 345_600,
            wait_secs: 0,
            visibility_secs: 600,
            managed_sse: true,
            policy: None,
            redrive: None,
            redrive_allow: None,
            fifo: None,
        };
        let key = QueueKey {
            account: AccountId::new("000000000000")?,
            region: Region::new("us-east-1")?,
            name: QueueName::new("floor")?,
        };
        let record = QueueRecord {
            key,
            shelf: SHELF,
            generation: 1,
            created: now(),
            modified: now(),
            purged: None,
            settings,
            tags: Default::default(),
        };
        store.apply(Command::Put { record: Box::new(record), expected: None }).await?;
        Ok(store)
    }

    async fn apply(&self, command: Command) -> Result<Outcome> {
        Ok(self.0.apply(command).await?)
    }

    /// Messages a second from the first send to the last removal, or to the last send without consumers.
    pub async fn rate(&self, load: Load) -> Result<f64> {
        let body = bytes::Bytes::from(vec![b'x'; load.bytes]);
        let (sent, removed) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
        let began = Instant::now();
        let mut tasks = Vec::new();
        for _ in 0..load.producers {
            let (store, sent, body) = (self.clone(), sent.clone(), body.clone());
            tasks.push(tokio::spawn(async move {
                loop {
                    let first = sent.fetch_add(load.batch, Ordering::Relaxed);
                    if first >= load.messages {
                        return Ok(());
                    }
                    let messages = (first..first + load.batch).map(|n| message(n, &body));
                    let messages = messages.collect::<Result<_>>()?;
                    store.apply(Command::Send { shelf: SHELF, messages }).await?;
                }
            }));
        }
        for _ in 0..load.consumers {
            let (store, removed) = (self.clone(), removed.clone());
            tasks.push(tokio::spawn(async move {
                while removed.load(Ordering::Relaxed) < load.messages {
                    removed.fetch_add(store.consume(load.batch).await?, Ordering::Relaxed);
                }
                Ok::<_, Box<dyn std::error::Error + Send + Sync>>(())
            }));
        }
        for task in tasks {
            task.await??;
        }
        Ok(load.messages as f64 / began.elapsed().as_secs_f64())
    }

    /// Receives so many at the most, and removes them. How many there were.
    async fn consume(&self, limit: usize) -> Result<usize> {
        let now = now();
        let asked = Receive {
            shelf: SHELF,
            now,
            limit,
            visible_again: now.plus(IN_FLIGHT_FOR),
            too_old: Timestamp::default(),
            in_flight_max: 120_000,
            is_fifo: false,
            attempt: None,
            redrive: None,
        };
        let Outcome::Received(received) = self.apply(Command::Receive(asked)).await? else {
            return Err("the store received nothing".into());
        };
        let receipts: Vec<_> = received.messages.iter().map(|message| message.receipt).collect();
        let count = receipts.len();
        if count > 0 {
            self.apply(Command::Remove { shelf: SHELF, now, receipts }).await?;
        }
        Ok(count)
    }
}

fn message(number: usize, body: &bytes::Bytes) -> Result<NewMessage> {
    Ok(NewMessage {
        id: MessageId::new(format!("00000000-0000-4000-8000-{number:012x}"))?,
        sent: now(),
        visible: now(),
        order: None,
        body: body.clone(),
        details: bytes::Bytes::from_static(DETAILS),
    })
}

fn now() -> Timestamp {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Timestamp::from_millis(u64::try_from(since.as_millis()).unwrap_or_default())
}
