//! Connections that only read: a few for each file, each used by one reader at a time.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use lambent_store::StoreError;
use rusqlite::Connection;
use tokio::sync::Semaphore;

use crate::database;

/// Readers at a time. Each is a thread and a page cache; more would only queue for the processors.
const READERS_MAX: usize = 4;

pub struct Readers {
    path: PathBuf,
    free: Semaphore,
    idle: Arc<Mutex<Vec<Connection>>>,
    /// Whether the last query failed: a disk that fails is logged once and not once a query.
    failing: AtomicBool,
}

impl Readers {
    pub fn new(path: &Path) -> Self {
        Self {
            path: path.to_owned(),
            free: Semaphore::new(READERS_MAX),
            idle: Arc::default(),
            failing: AtomicBool::new(false),
        }
    }

    /// Runs the query on a thread for blocking work. The connection is kept for the next one.
    pub async fn run<T: Send + 'static>(
        &self,
        query: impl FnOnce(&Connection) -> Result<T, ReadError> + Send + 'static,
    ) -> Result<T, StoreError> {
        let _turn = self.free.acquire().await.map_err(unavailable)?;
        let (path, idle) = (self.path.clone(), self.idle.clone());
        let work = move || {
            let waiting = idle.lock().unwrap_or_else(PoisonError::into_inner).pop();
            let db = match waiting {
                Some(db) => db,
                None => database::open_reader(&path).map_err(unavailable)?,
            };
            let answer = query(&db).map_err(|error| error.0);
            idle.lock().unwrap_or_else(PoisonError::into_inner).push(db);
            answer
        };
        let answer = tokio::task::spawn_blocking(work).await.map_err(unavailable).flatten();
        self.told(&answer);
        answer
    }

    /// Tells the operator of the first query that the database fails.
    fn told<T>(&self, answer: &Result<T, StoreError>) {
        match answer {
            Err(error @ StoreError::Unavailable { .. }) => {
                if !self.failing.swap(true, Ordering::Relaxed) {
                    tracing::error!(database = %self.path.display(), %error, "the database can't be read");
                }
            }
            _ => self.failing.store(false, Ordering::Relaxed),
        }
    }
}

pub fn unavailable(error: impl std::fmt::Display) -> StoreError {
    StoreError::Unavailable { detail: error.to_string() }
}

/// Lets `?` take both kinds of failure in a query.
pub struct ReadError(pub StoreError);

impl From<rusqlite::Error> for ReadError {
    fn from(error: rusqlite::Error) -> Self {
        Self(unavailable(error))
    }
}

impl From<StoreError> for ReadError {
    fn from(error: StoreError) -> Self {
        Self(error)
    }
}
