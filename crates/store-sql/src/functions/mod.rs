//! Functions, layers and event source mappings in `meta.db`.
//!
//! The file is read once, when it is opened; afterwards every read is answered from memory and every write goes
//! through the writer's thread to the disk and then to memory. Rows hold keys as columns and configuration as
//! JSON; only rows that differ are written.

mod journal;
mod load;
mod schema;
#[cfg(test)]
mod tests;

use std::path::Path;
use std::sync::Arc;

use lambent_core::ids::{AccountId, CodeDigest, FunctionName, Region};
use lambent_core::ports::BoxFuture;
use lambent_store::StoreError;
use lambent_store::functions::*;
use rusqlite::Connection;

use crate::database::{self, Durability};
use crate::lock::DirectoryLock;
use crate::writer::Writer;
use crate::{OpenError, io_error};
use journal::FunctionJournal;

/// The file in the data directory.
const FILE: &str = "meta.db";

/// The node's metadata, and with it the data directory: whoever holds one of these is the directory's only
/// process. Dropping it commits what waits.
pub struct SqliteStore {
    /// What is on disk, no more.
    mirror: Arc<MemoryFunctions>,
    writer: Writer<FunctionJournal>,
    /// Last, so that the database is closed before another process may open it.
    _lock: DirectoryLock,
}

impl SqliteStore {
    /// Takes the data directory for this process and opens `meta.db` in it; makes both when they are missing.
    pub fn open(directory: &Path) -> Result<Self, OpenError> {
        let lock = DirectoryLock::take(directory)?;
        let path = directory.join(FILE);
        let db = database::open(&path, &schema::SCHEMA, Durability::Full)?;
        Self::start(lock, &path, db)
    }

    fn start(lock: DirectoryLock, path: &Path, db: Connection) -> Result<Self, OpenError> {
        let mirror = Arc::new(load::all(&db, path)?);
        let journal = FunctionJournal::new(Arc::clone(&mirror));
        let writer = Writer::start("meta", db, journal).map_err(|error| io_error(path, error))?;
        Ok(Self { mirror, writer, _lock: lock })
    }
}

impl FunctionStore for SqliteStore {
    fn apply(&self, commands: Vec<Command>) -> BoxFuture<'_, Result<(), StoreError>> {
        Box::pin(self.writer.submit(commands))
    }

    fn function(&self, key: &FunctionKey) -> Option<Arc<FunctionRecord>> {
        self.mirror.function(key)
    }

    fn function_by_url(&self, id: &str) -> Option<(Arc<FunctionRecord>, String)> {
        self.mirror.function_by_url(id)
    }

    fn next_version(&self, key: &FunctionKey) -> u64 {
        self.mirror.next_version(key)
    }

    fn list_functions(
        &self,
        account: &AccountId,
        region: &Region,
        after: Option<&FunctionName>,
        limit: usize,
    ) -> Vec<Arc<FunctionRecord>> {
        self.mirror.list_functions(account, region, after, limit)
    }

    fn unsettled_functions(&self) -> Vec<FunctionKey> {
        self.mirror.unsettled_functions()
    }

    fn functions_by_runtime(&self) -> Vec<FunctionKey> {
        self.mirror.functions_by_runtime()
    }

    fn layer(&self, key: &LayerKey) -> Option<Arc<LayerRecord>> {
        self.mirror.layer(key)
    }

    fn list_layers(
        &self,
        account: &AccountId,
        region: &Region,
        after: Option<&str>,
        limit: usize,
    ) -> Vec<Arc<LayerRecord>> {
        self.mirror.list_layers(account, region, after, limit)
    }

    fn mapping(&self, id: &str) -> Option<Arc<MappingRecord>> {
        self.mirror.mapping(id)
    }

    fn mappings(&self) -> Vec<Arc<MappingRecord>> {
        self.mirror.mappings()
    }

    fn provisioned_functions(&self) -> Vec<FunctionKey> {
        self.mirror.provisioned_functions()
    }

    fn snap_start_functions(&self) -> Vec<FunctionKey> {
        self.mirror.snap_start_functions()
    }

    fn claimed_concurrency(&self, account: &AccountId, region: &Region) -> u64 {
        self.mirror.claimed_concurrency(account, region)
    }

    fn usage(&self, account: &AccountId, region: &Region) -> Usage {
        self.mirror.usage(account, region)
    }

    fn is_referenced(&self, digest: &CodeDigest) -> bool {
        self.mirror.is_referenced(digest)
    }
}
