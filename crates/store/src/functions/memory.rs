//! The in-memory implementation: the specification of the domain.
//!
//! A durable store keeps two of these: it decides with [`MemoryFunctions::check`] and
//! [`MemoryFunctions::commit`] on one that runs ahead with its writer, and answers its reads from another, to
//! which it commits what is on disk. So a read never waits for a disk, and never sees what could still be lost.
//!
//! Invariants:
//! - a batch is checked whole before any of it is applied;
//! - the counts in [`Place`], `references`, `unsettled` and `urls` are those of the records at any time: they change
//!   with each record and are never computed over all of them.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::ops::Bound;
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use lambent_core::ids::{AccountId, CodeDigest, FunctionName, Region};
use lambent_core::ports::BoxFuture;

use super::check;
use super::mapping::Mappings;
use super::*;
use crate::StoreError;

/// Functions and layers in memory. Durable stores answer their reads from one of these.
#[derive(Default)]
pub struct MemoryFunctions {
    tables: RwLock<Tables>,
}

/// All that there is, by account, then region.
#[derive(Default, Clone)]
pub(super) struct Tables {
    accounts: BTreeMap<AccountId, BTreeMap<Region, Place>>,
    /// How many function versions, their layers and layer versions use a package; never 0.
    references: HashMap<CodeDigest, u64>,
    unsettled: BTreeSet<FunctionKey>,
    /// Function URLs by their ids: whose they are, and under which qualifier.
    urls: HashMap<String, (FunctionKey, String)>,
    pub(super) mappings: Mappings,
}

/// One account in one region.
#[derive(Default, Clone)]
struct Place {
    functions: BTreeMap<FunctionName, Arc<FunctionRecord>>,
    layers: BTreeMap<String, Arc<LayerRecord>>,
    /// What `next_version` was when a function of the name was deleted, where it was more than 1.
    retired: BTreeMap<FunctionName, u64>,
    claimed: u64,
    code_bytes: u64,
}

impl MemoryFunctions {
    /// What a durable store found on its disk: the records, and the numbers that deleted functions left behind
    /// ([`FunctionStore::next_version`]).
    pub fn load(
        functions: impl IntoIterator<Item = Arc<FunctionRecord>>,
        layers: impl IntoIterator<Item = Arc<LayerRecord>>,
        retired: impl IntoIterator<Item = (FunctionKey, u64)>,
        mappings: impl IntoIterator<Item = Arc<MappingRecord>>,
    ) -> Self {
        let mut tables = Tables::default();
        for (key, next_version) in retired {
            tables.retire(&key, next_version);
        }
        functions.into_iter().for_each(|record| tables.put_function(record));
        layers.into_iter().for_each(|record| tables.put_layer(record));
        mappings.into_iter().for_each(|record| tables.mappings.put(record));
        Self { tables: RwLock::new(tables) }
    }

    /// A second one with the same records. They are shared, so it costs pointers.
    pub fn duplicate(&self) -> Self {
        Self { tables: RwLock::new(self.read().clone()) }
    }

    /// Whether the batch would be applied now. Costs the batch, not the store.
    pub fn check(&self, commands: &[Command]) -> Result<(), StoreError> {
        check::batch(&self.read(), commands)
    }

    /// Applies a batch that was checked, with no other commit in between.
    pub fn commit(&self, commands: &[Command]) {
        self.write().apply(commands);
    }

    // A panic while the lock is held would be a defect in this file; reads go on with what is there.
    fn read(&self) -> RwLockReadGuard<'_, Tables> {
        self.tables.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> RwLockWriteGuard<'_, Tables> {
        self.tables.write().unwrap_or_else(PoisonError::into_inner)
    }
}

impl FunctionStore for MemoryFunctions {
    fn apply(&self, commands: Vec<Command>) -> BoxFuture<'_, Result<(), StoreError>> {
        Box::pin(async move {
            let mut tables = self.write();
            check::batch(&tables, &commands)?;
            tables.apply(&commands);
            Ok(())
        })
    }

    fn function(&self, key: &FunctionKey) -> Option<Arc<FunctionRecord>> {
        self.read().function(key).cloned()
    }

    fn function_by_url(&self, id: &str) -> Option<(Arc<FunctionRecord>, String)> {
        let tables = self.read();
        let (key, qualifier) = tables.urls.get(id)?;
        Some((Arc::clone(tables.function(key)?), qualifier.clone()))
    }

    fn next_version(&self, key: &FunctionKey) -> u64 {
        let tables = self.read();
        let live = tables.function(key).map(|record| record.next_version);
        let retired = tables.place(&key.account, &key.region).and_then(|p| p.retired.get(&key.name).copied());
        live.max(retired).unwrap_or(1)
    }

    fn list_functions(
        &self,
        account: &AccountId,
        region: &Region,
        after: Option<&FunctionName>,
        limit: usize,
    ) -> Vec<Arc<FunctionRecord>> {
        let tables = self.read();
        let Some(place) = tables.place(account, region) else { return Vec::new() };
        let from = after.map_or(Bound::Unbounded, Bound::Excluded);
        let page = place.functions.range::<FunctionName, _>((from, Bound::Unbounded));
        page.take(limit).map(|(_, record)| Arc::clone(record)).collect()
    }

    fn unsettled_functions(&self) -> Vec<FunctionKey> {
        self.read().unsettled.iter().cloned().collect()
    }

    fn functions_by_runtime(&self) -> Vec<FunctionKey> {
        let tables = self.read();
        let mut by_runtime = std::collections::BTreeMap::new();
        let places = tables.accounts.values().flat_map(BTreeMap::values);
        for record in places.flat_map(|place| place.functions.values()) {
            by_runtime.entry(record.latest.runtime.as_str()).or_insert(&record.key);
        }
        by_runtime.into_values().cloned().collect()
    }

    fn layer(&self, key: &LayerKey) -> Option<Arc<LayerRecord>> {
        self.read().layer(key).cloned()
    }

    fn list_layers(
        &self,
        account: &AccountId,
        region: &Region,
        after: Option<&str>,
        limit: usize,
    ) -> Vec<Arc<LayerRecord>> {
        let tables = self.read();
        let Some(place) = tables.place(account, region) else { return Vec::new() };
        let from = after.map_or(Bound::Unbounded, Bound::Excluded);
        let page = place.layers.range::<str, _>((from, Bound::Unbounded));
        page.take(limit).map(|(_, record)| Arc::clone(record)).collect()
    }

    fn mapping(&self, id: &str) -> Option<Arc<MappingRecord>> {
        self.read().mappings.get(id).cloned()
    }

    fn mappings(&self) -> Vec<Arc<MappingRecord>> {
        self.read().mappings.all().cloned().collect()
    }

    fn provisioned_functions(&self) -> Vec<FunctionKey> {
        let tables = self.read();
        let places = tables.accounts.values().flat_map(BTreeMap::values);
        let records = places.flat_map(|place| place.functions.values());
        records.filter(|record| !record.provisioned.is_empty()).map(|record| record.key.clone()).collect()
    }

    fn snap_start_functions(&self) -> Vec<FunctionKey> {
        let tables = self.read();
        let places = tables.accounts.values().flat_map(BTreeMap::values);
        let records = places.flat_map(|place| place.functions.values());
        let has_some = |record: &&Arc<FunctionRecord>| record.versions.values().any(|v| v.snap_start);
        records.filter(has_some).map(|record| record.key.clone()).collect()
    }

    fn claimed_concurrency(&self, account: &AccountId, region: &Region) -> u64 {
        self.read().claimed(account, region)
    }

    fn usage(&self, account: &AccountId, region: &Region) -> Usage {
        let tables = self.read();
        let Some(place) = tables.place(account, region) else { return Usage::default() };
        Usage { function_count: place.functions.len() as u64, code_bytes: place.code_bytes }
    }

    fn is_referenced(&self, digest: &CodeDigest) -> bool {
        self.read().references.contains_key(digest)
    }
}

impl Tables {
    pub(super) fn function(&self, key: &FunctionKey) -> Option<&Arc<FunctionRecord>> {
        self.place(&key.account, &key.region)?.functions.get(&key.name)
    }

    pub(super) fn layer(&self, key: &LayerKey) -> Option<&Arc<LayerRecord>> {
        self.place(&key.account, &key.region)?.layers.get(&key.name)
    }

    pub(super) fn claimed(&self, account: &AccountId, region: &Region) -> u64 {
        self.place(account, region).map_or(0, |place| place.claimed)
    }

    fn apply(&mut self, commands: &[Command]) {
        for command in commands {
            match command {
                Command::PutFunction { record, .. } => self.put_function(Arc::clone(record)),
                Command::DeleteFunction { key, .. } => self.delete_function(key),
                Command::PutLayer { record, .. } => self.put_layer(Arc::clone(record)),
                Command::PutMapping { record, .. } => self.mappings.put(Arc::clone(record)),
                Command::DeleteMapping { id, .. } => self.mappings.delete(id),
                Command::RequireClaimedAtMost { .. } => {}
            }
        }
    }

    fn place(&self, account: &AccountId, region: &Region) -> Option<&Place> {
        self.accounts.get(account)?.get(region)
    }

    fn place_mut(&mut self, account: &AccountId, region: &Region) -> &mut Place {
        self.accounts.entry(account.clone()).or_default().entry(region.clone()).or_default()
    }

    fn retire(&mut self, key: &FunctionKey, next_version: u64) {
        if next_version > 1 {
            let kept = self.place_mut(&key.account, &key.region).retired.entry(key.name.clone()).or_default();
            *kept = next_version.max(*kept);
        }
    }

    fn put_function(&mut self, record: Arc<FunctionRecord>) {
        let key = record.key.clone();
        // Counted in before the old one is counted out, so that a package that both use is not dropped between.
        self.count_function(&record, 1);
        if is_settled(&record.latest) {
            self.unsettled.remove(&key);
        } else {
            self.unsettled.insert(key.clone());
        }
        let put = Arc::clone(&record);
        let place = self.place_mut(&key.account, &key.region);
        if let Some(old) = place.functions.insert(key.name.clone(), record) {
            self.forget_urls(&old);
            self.count_function(&old, -1);
        }
        for (qualifier, url) in &put.urls {
            self.urls.insert(url.id.clone(), (key.clone(), qualifier.clone()));
        }
    }

    fn delete_function(&mut self, key: &FunctionKey) {
        let place = self.place_mut(&key.account, &key.region);
        if let Some(old) = place.functions.remove(&key.name) {
            self.retire(key, old.next_version);
            self.forget_urls(&old);
            self.count_function(&old, -1);
        }
        self.unsettled.remove(key);
    }

    fn forget_urls(&mut self, record: &FunctionRecord) {
        for url in record.urls.values() {
            self.urls.remove(&url.id);
        }
    }

    fn put_layer(&mut self, record: Arc<LayerRecord>) {
        let key = record.key.clone();
        self.count_layer(&record, 1);
        let place = self.place_mut(&key.account, &key.region);
        if let Some(old) = place.layers.insert(key.name, record) {
            self.count_layer(&old, -1);
        }
    }

    fn count_function(&mut self, record: &FunctionRecord, sign: i64) {
        let mut code_bytes = 0u64;
        for version in std::iter::once(&record.latest).chain(record.versions.values()) {
            code_bytes = code_bytes.saturating_add(version.code_bytes);
            self.refer(&version.code, sign);
            version.layers.iter().for_each(|layer| self.refer(&layer.digest, sign));
        }
        let place = self.place_mut(&record.key.account, &record.key.region);
        place.claimed = shifted(place.claimed, record.claimed_concurrency(), sign);
        place.code_bytes = shifted(place.code_bytes, code_bytes, sign);
    }

    fn count_layer(&mut self, record: &LayerRecord, sign: i64) {
        let mut zipped_bytes = 0u64;
        for version in record.versions.values() {
            zipped_bytes = zipped_bytes.saturating_add(version.zipped_bytes);
            self.refer(&version.digest, sign);
        }
        let place = self.place_mut(&record.key.account, &record.key.region);
        place.code_bytes = shifted(place.code_bytes, zipped_bytes, sign);
    }

    fn refer(&mut self, digest: &CodeDigest, sign: i64) {
        let count = self.references.entry(digest.clone()).or_default();
        *count = shifted(*count, 1, sign);
        if *count == 0 {
            self.references.remove(digest);
        }
    }
}

fn shifted(value: u64, by: u64, sign: i64) -> u64 {
    if sign < 0 { value.saturating_sub(by) } else { value.saturating_add(by) }
}

/// Whether nothing about the version is still under way.
fn is_settled(version: &VersionRecord) -> bool {
    !matches!(version.state, State::Pending { .. })
        && !matches!(version.last_update, LastUpdate::InProgress { .. })
}
