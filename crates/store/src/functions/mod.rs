//! Functions, their versions and aliases, layers, and event source mappings.
//!
//! A function is one aggregate: `$LATEST`, the published versions, aliases, policies, tags and concurrency
//! change together under one `generation`, so two writers can't both win. Start with [`FunctionRecord`].

mod check;
mod mapping;
mod memory;
mod record;

use std::sync::Arc;

use lambent_core::ids::{AccountId, CodeDigest, FunctionName, Region};
use lambent_core::ports::BoxFuture;

pub use mapping::{MappingRecord, MappingState, PollersRecord};
pub use memory::MemoryFunctions;
pub use record::*;

use crate::StoreError;

/// A change. Preconditions are part of it: `expected` is the generation that the record must have now, with 0
/// for "must not exist". The record's own `generation` field must be `expected + 1`, and a version that the record
/// did not have before must have a number that it never had: both are refused as a conflict too.
#[derive(Debug, Clone)]
pub enum Command {
    PutFunction {
        record: Arc<FunctionRecord>,
        expected: u64,
    },
    DeleteFunction {
        key: FunctionKey,
        expected: u64,
    },
    PutLayer {
        record: Arc<LayerRecord>,
        expected: u64,
    },
    /// Refused as a conflict too when another mapping has the same queue and function.
    PutMapping {
        record: Arc<MappingRecord>,
        expected: u64,
    },
    DeleteMapping {
        id: String,
        expected: u64,
    },
    /// Fails the batch with [`StoreError::Conflict`] when, after the batch's other commands, what the account's
    /// functions in the region claim for themselves ([`FunctionRecord::claimed_concurrency`]) adds up to more
    /// than `max`.
    RequireClaimedAtMost {
        account: AccountId,
        region: Region,
        max: u64,
    },
}

/// Keeps functions and layers.
pub trait FunctionStore: Send + Sync {
    /// Applies all commands in their order, or none of them. Durable when it answers `Ok`.
    fn apply(&self, commands: Vec<Command>) -> BoxFuture<'_, Result<(), StoreError>>;

    fn function(&self, key: &FunctionKey) -> Option<Arc<FunctionRecord>>;

    /// The function that has a URL of this id, and the qualifier under which its record keeps the URL.
    fn function_by_url(&self, id: &str) -> Option<(Arc<FunctionRecord>, String)>;

    /// The number that the function's next published version gets. For a function that does not exist it is the
    /// one that a new function of the name starts with: the reference does not use a number again, even for a
    /// function that was deleted and created anew.
    fn next_version(&self, key: &FunctionKey) -> u64;

    /// Functions of the account in the region in the order of their names, from the first name after `after`,
    /// `limit` at the most.
    fn list_functions(
        &self,
        account: &AccountId,
        region: &Region,
        after: Option<&FunctionName>,
        limit: usize,
    ) -> Vec<Arc<FunctionRecord>>;

    /// Every function of every account whose `$LATEST` is not at rest (state Pending, update in progress).
    fn unsettled_functions(&self) -> Vec<FunctionKey>;

    /// One function of each runtime that is in use: what a node that starts can expect to be called. Looks at
    /// every function.
    fn functions_by_runtime(&self) -> Vec<FunctionKey>;

    fn layer(&self, key: &LayerKey) -> Option<Arc<LayerRecord>>;

    fn list_layers(
        &self,
        account: &AccountId,
        region: &Region,
        after: Option<&str>,
        limit: usize,
    ) -> Vec<Arc<LayerRecord>>;

    /// The event source mapping of this id, whoever's it is.
    fn mapping(&self, id: &str) -> Option<Arc<MappingRecord>>;

    /// Every event source mapping of every account, in the order of their ids.
    fn mappings(&self) -> Vec<Arc<MappingRecord>>;

    /// Every function of every account that has provisioned concurrency: what a node that starts has to make.
    /// Looks at every function.
    fn provisioned_functions(&self) -> Vec<FunctionKey>;

    /// Every function of every account with a published version that has SnapStart: whose snapshots a node that starts
    /// keeps or makes. Looks at every function.
    fn snap_start_functions(&self) -> Vec<FunctionKey>;

    /// The sum of what the account's functions in the region claim for themselves.
    fn claimed_concurrency(&self, account: &AccountId, region: &Region) -> u64;

    /// Functions counted and code bytes added up, as GetAccountSettings shows them.
    fn usage(&self, account: &AccountId, region: &Region) -> Usage;

    /// Whether any function version or layer version of any account uses this package.
    fn is_referenced(&self, digest: &CodeDigest) -> bool;
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Usage {
    pub function_count: u64,
    /// Zipped bytes of all functions' versions and all layer versions.
    pub code_bytes: u64,
}
