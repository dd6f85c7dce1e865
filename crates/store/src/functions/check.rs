//! Whether a batch may be applied: every precondition, against the records as the batch's earlier commands
//! would leave them. Changes nothing and costs the batch, not the store.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use lambent_core::ids::{AccountId, Region};

use super::memory::Tables;
use super::{Command, FunctionKey, FunctionRecord, LayerKey, LayerRecord, MappingRecord};
use crate::StoreError;

pub(super) fn batch(tables: &Tables, commands: &[Command]) -> Result<(), StoreError> {
    let mut ahead =
        Ahead { tables, functions: HashMap::new(), layers: HashMap::new(), mappings: HashMap::new() };
    for command in commands {
        let holds = match command {
            Command::PutFunction { record, expected } => ahead.put_function(record, *expected),
            Command::DeleteFunction { key, expected } => ahead.delete_function(key, *expected),
            Command::PutLayer { record, expected } => ahead.put_layer(record, *expected),
            Command::PutMapping { record, expected } => ahead.put_mapping(record, *expected),
            Command::DeleteMapping { id, expected } => ahead.delete_mapping(id, *expected),
            // Judged below: it is about the state after the whole batch, wherever it stands in it.
            Command::RequireClaimedAtMost { .. } => true,
        };
        if !holds {
            return Err(StoreError::Conflict);
        }
    }
    let over = commands.iter().any(|command| match command {
        Command::RequireClaimedAtMost { account, region, max } => ahead.claimed(account, region) > *max,
        _ => false,
    });
    if over { Err(StoreError::Conflict) } else { Ok(()) }
}

/// The records of the tables, under those that the batch has changed so far.
struct Ahead<'a> {
    tables: &'a Tables,
    functions: HashMap<&'a FunctionKey, Option<&'a Arc<FunctionRecord>>>,
    layers: HashMap<&'a LayerKey, &'a Arc<LayerRecord>>,
    mappings: HashMap<&'a str, Option<&'a Arc<MappingRecord>>>,
}

impl<'a> Ahead<'a> {
    fn function(&self, key: &FunctionKey) -> Option<&'a Arc<FunctionRecord>> {
        self.functions.get(key).copied().unwrap_or_else(|| self.tables.function(key))
    }

    fn put_function(&mut self, record: &'a Arc<FunctionRecord>, expected: u64) -> bool {
        let current = self.function(&record.key);
        let holds = follows(current.map(|c| c.generation), record.generation, expected)
            && numbers_rise(
                &record.versions,
                record.next_version,
                current.map(|c| (&c.versions, c.next_version)),
            );
        self.functions.insert(&record.key, Some(record));
        holds
    }

    fn delete_function(&mut self, key: &'a FunctionKey, expected: u64) -> bool {
        let holds = self.function(key).is_some_and(|current| current.generation == expected);
        self.functions.insert(key, None);
        holds
    }

    fn put_layer(&mut self, record: &'a Arc<LayerRecord>, expected: u64) -> bool {
        let current = self.layers.get(&record.key).copied().or_else(|| self.tables.layer(&record.key));
        let holds = follows(current.map(|c| c.generation), record.generation, expected)
            && numbers_rise(
                &record.versions,
                record.next_version,
                current.map(|c| (&c.versions, c.next_version)),
            );
        self.layers.insert(&record.key, record);
        holds
    }

    fn mapping(&self, id: &str) -> Option<&'a Arc<MappingRecord>> {
        self.mappings.get(id).copied().unwrap_or_else(|| self.tables.mappings.get(id))
    }

    fn put_mapping(&mut self, record: &'a Arc<MappingRecord>, expected: u64) -> bool {
        let holds = follows(self.mapping(&record.id).map(|c| c.generation), record.generation, expected)
            && !self.is_taken(record);
        self.mappings.insert(&record.id, Some(record));
        holds
    }

    fn delete_mapping(&mut self, id: &'a str, expected: u64) -> bool {
        let holds = self.mapping(id).is_some_and(|current| current.generation == expected);
        self.mappings.insert(id, None);
        holds
    }

    /// Whether another mapping has the record's queue and function.
    fn is_taken(&self, record: &MappingRecord) -> bool {
        let is_same = |other: &MappingRecord| {
            other.id != record.id
                && other.source == record.source
                && other.function == record.function
                && other.qualifier == record.qualifier
        };
        let before = self.tables.mappings.of_pair(record).and_then(|id| self.mapping(id));
        before.into_iter().chain(self.mappings.values().copied().flatten()).any(|other| is_same(other))
    }

    fn claimed(&self, account: &AccountId, region: &Region) -> u64 {
        let of = FunctionRecord::claimed_concurrency;
        let mut sum = self.tables.claimed(account, region);
        for (key, record) in &self.functions {
            if key.account == *account && key.region == *region {
                sum = sum.saturating_sub(self.tables.function(key).map_or(0, |old| of(old)));
                sum = sum.saturating_add(record.map_or(0, |new| of(new)));
            }
        }
        sum
    }
}

/// Whether the current generation is the expected one and the new one comes next.
fn follows(current: Option<u64>, new: u64, expected: u64) -> bool {
    current.unwrap_or(0) == expected && expected.checked_add(1) == Some(new)
}

/// Whether each version is at least 1 and below the next number, and none that is new has a number that was given before.
fn numbers_rise<T>(
    versions: &BTreeMap<u64, T>,
    next: u64,
    current: Option<(&BTreeMap<u64, T>, u64)>,
) -> bool {
    let from_one = next >= 1 && versions.first_key_value().is_none_or(|(first, _)| *first >= 1);
    let below_next = versions.last_key_value().is_none_or(|(last, _)| *last < next);
    let not_again = current.is_none_or(|(old, old_next)| {
        next >= old_next && versions.keys().all(|number| *number >= old_next || old.contains_key(number))
    });
    from_one && below_next && not_again
}
