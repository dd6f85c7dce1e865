//! What the node remembers, kept in SQLite.
//!
//! Each domain has its own file, with its own tables, its own writer thread and its own durability: `meta.db`
//! (functions and layers, [`SqliteStore`]), `deliveries.db` (what was accepted and is on its way,
//! [`SqliteDeliveries`]), `queues.db` (queues and their messages, [`SqliteQueues`]), `topics.db` (topics and
//! subscriptions, [`SqliteTopics`]), `events.db` (event buses and schedules, [`SqliteEvents`]), `archive.db` (what
//! archives keep of events, [`SqliteArchive`]) and `logs.db` (log events, [`SqliteLogs`]). Start with [`writer`], which is how
//! everything gets onto the disk, then [`database`], which is how a file is opened.
//!
//! Invariants:
//! - one process a data directory, held by a lock;
//! - one connection of a file writes and checkpoints;
//! - a file that is damaged, foreign or newer than this program is refused and never overwritten.

mod archive;
pub mod database;
mod deliveries;
mod events;
mod functions;
mod lock;
mod logs;
mod queues;
mod readers;
mod topics;
pub mod writer;

use std::path::{Path, PathBuf};

pub use archive::SqliteArchive;
pub use deliveries::SqliteDeliveries;
pub use events::SqliteEvents;
pub use functions::SqliteStore;
pub use lock::DirectoryLock;
pub use logs::SqliteLogs;
pub use queues::SqliteQueues;
pub use topics::SqliteTopics;

/// Why a store did not open. Nothing on disk was changed.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    #[error("the data directory {} is in use by process {pid}", directory.display())]
    InUse { directory: PathBuf, pid: String },
    #[error("{} is damaged ({detail}); it was left as it is", path.display())]
    Corrupted { path: PathBuf, detail: String },
    #[error("{} is a database, but not Lambent's", path.display())]
    Foreign { path: PathBuf },
    #[error("{} was written by a newer Lambent (schema {found}, this one knows {known})", path.display())]
    TooNew { path: PathBuf, found: i64, known: i64 },
    #[error("this program carries SQLite {found}, which can lose commits; {needed} or later is needed")]
    SqliteTooOld { found: i32, needed: i32 },
    #[error("open {}", path.display())]
    Io {
        path: PathBuf,
        #[source]
        source: std::io::Error,
    },
    #[error("open {}", path.display())]
    Database {
        path: PathBuf,
        #[source]
        source: rusqlite::Error,
    },
}

pub(crate) fn io_error(path: &Path, source: std::io::Error) -> OpenError {
    OpenError::Io { path: path.to_owned(), source }
}
