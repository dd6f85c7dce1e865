//! Commands as rows. Runs on the writer's thread.

use std::collections::BTreeMap;
use std::slice;
use std::sync::Arc;

use lambent_store::functions::*;
use rusqlite::{Connection, ToSql, params};
use serde::Serialize;

use crate::writer::{Journal, Refusal};

pub(super) struct FunctionJournal {
    /// What is on disk, as readers see it.
    mirror: Arc<MemoryFunctions>,
    /// The mirror, and the open transaction on top of it.
    ahead: MemoryFunctions,
}

impl FunctionJournal {
    pub(super) fn new(mirror: Arc<MemoryFunctions>) -> Self {
        let ahead = mirror.duplicate();
        Self { mirror, ahead }
    }
}

impl Journal for FunctionJournal {
    type Batch = Vec<Command>;
    type Answer = ();

    fn write(&mut self, db: &Connection, batch: &Vec<Command>) -> Result<(), Refusal> {
        self.ahead.check(batch).map_err(|_| Refusal::Conflict)?;
        for command in batch {
            match command {
                Command::PutFunction { record, .. } => {
                    put_function(db, self.ahead.function(&record.key).as_deref(), record)?;
                }
                Command::DeleteFunction { key, .. } => {
                    if let Some(old) = self.ahead.function(key) {
                        delete_function(db, &old)?;
                    }
                }
                Command::PutLayer { record, .. } => {
                    put_layer(db, self.ahead.layer(&record.key).as_deref(), record)?;
                }
                Command::PutMapping { record, .. } => {
                    let put = "INSERT OR REPLACE INTO event_source_mappings VALUES (?1, ?2)";
                    db.prepare_cached(put)?.execute(params![record.id, json(record.as_ref())?])?;
                }
                Command::DeleteMapping { id, .. } => {
                    db.prepare_cached("DELETE FROM event_source_mappings WHERE id = ?1")?.execute([id])?;
                }
                Command::RequireClaimedAtMost { .. } => {}
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

/// Account, region and name: the first three parameters of every statement here.
type Owner<'a> = [&'a str; 3];

fn put_function(db: &Connection, old: Option<&FunctionRecord>, new: &FunctionRecord) -> rusqlite::Result<()> {
    let owner = function_owner(&new.key);
    execute(
        db,
        "INSERT INTO functions VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)
         ON CONFLICT DO UPDATE SET generation = ?4, next_version = ?5, reserved_concurrency = ?6, tags = ?7,
             allows_recursion = ?8",
        owner,
        params![
            new.generation,
            new.next_version,
            new.reserved_concurrency,
            json(&new.tags)?,
            new.recursive_loop == RecursiveLoop::Allow
        ],
    )?;
    if old.is_none_or(|old| !same(&old.latest, &new.latest)) {
        put_version(db, owner, LATEST, &new.latest)?;
    }
    let nothing = BTreeMap::new();
    for (number, version) in changed(old.map_or(&nothing, |o| &o.versions), &new.versions, same) {
        match version {
            Some(version) => put_version(db, owner, *number, version)?,
            None => execute(
                db,
                "DELETE FROM function_versions
                 WHERE account = ?1 AND region = ?2 AND name = ?3 AND version = ?4",
                owner,
                params![number],
            )?,
        }
    }
    let nothing = BTreeMap::new();
    for (alias, record) in changed(old.map_or(&nothing, |o| &o.aliases), &new.aliases, PartialEq::eq) {
        match record {
            Some(record) => put_alias(db, owner, alias, record)?,
            None => execute(
                db,
                "DELETE FROM function_aliases
                 WHERE account = ?1 AND region = ?2 AND name = ?3 AND alias = ?4",
                owner,
                params![alias],
            )?,
        }
    }
    put_documents(db, owner, "function_policies", old.map(|o| &o.policies), &new.policies)?;
    put_documents(db, owner, "function_urls", old.map(|o| &o.urls), &new.urls)?;
    put_documents(db, owner, "function_event_invokes", old.map(|o| &o.event_invokes), &new.event_invokes)?;
    put_provisioned(db, owner, old, new)
}

/// JSON documents by qualifier, in a table of their own.
fn put_documents<T: PartialEq + Serialize>(
    db: &Connection,
    owner: Owner,
    table: &str,
    old: Option<&BTreeMap<String, T>>,
    new: &BTreeMap<String, T>,
) -> rusqlite::Result<()> {
    let nothing = BTreeMap::new();
    for (qualifier, document) in changed(old.unwrap_or(&nothing), new, PartialEq::eq) {
        match document {
            Some(document) => execute(
                db,
                &format!("INSERT OR REPLACE INTO {table} VALUES (?1, ?2, ?3, ?4, ?5)"),
                owner,
                params![qualifier, json(document)?],
            )?,
            None => execute(
                db,
                &format!(
                    "DELETE FROM {table} WHERE account = ?1 AND region = ?2 AND name = ?3 AND qualifier = ?4"
                ),
                owner,
                params![qualifier],
            )?,
        }
    }
    Ok(())
}

fn put_provisioned(
    db: &Connection,
    owner: Owner,
    old: Option<&FunctionRecord>,
    new: &FunctionRecord,
) -> rusqlite::Result<()> {
    let nothing = BTreeMap::new();
    let before = old.map_or(&nothing, |o| &o.provisioned);
    for (qualifier, provisioned) in changed(before, &new.provisioned, PartialEq::eq) {
        match provisioned {
            Some(provisioned) => execute(
                db,
                "INSERT OR REPLACE INTO function_provisioned VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
                owner,
                params![qualifier, provisioned.requested, provisioned.last_modified.as_millis()],
            )?,
            None => execute(
                db,
                "DELETE FROM function_provisioned
                 WHERE account = ?1 AND region = ?2 AND name = ?3 AND qualifier = ?4",
                owner,
                params![qualifier],
            )?,
        }
    }
    Ok(())
}

/// The number under which `$LATEST` stands among the versions.
pub(super) const LATEST: u64 = 0;

fn put_version(db: &Connection, owner: Owner, number: u64, record: &VersionRecord) -> rusqlite::Result<()> {
    execute(
        db,
        "INSERT OR REPLACE INTO function_versions VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
        owner,
        params![number, record.code.as_str(), json(record)?],
    )
}

fn put_alias(db: &Connection, owner: Owner, alias: &str, record: &AliasRecord) -> rusqlite::Result<()> {
    let (routing_version, routing_weight) = record.routing.unzip();
    execute(
        db,
        "INSERT OR REPLACE INTO function_aliases VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)",
        owner,
        params![
            alias,
            record.version.to_string(),
            record.description,
            routing_version,
            routing_weight,
            record.revision.as_str()
        ],
    )
}

/// The rows of versions, aliases, policies and URLs go with the function's.
fn delete_function(db: &Connection, old: &FunctionRecord) -> rusqlite::Result<()> {
    let owner = function_owner(&old.key);
    execute(db, "DELETE FROM functions WHERE account = ?1 AND region = ?2 AND name = ?3", owner, params![])?;
    if old.next_version > 1 {
        execute(
            db,
            "INSERT INTO retired_functions VALUES (?1, ?2, ?3, ?4)
             ON CONFLICT DO UPDATE SET next_version = max(next_version, ?4)",
            owner,
            params![old.next_version],
        )?;
    }
    Ok(())
}

fn put_layer(db: &Connection, old: Option<&LayerRecord>, new: &LayerRecord) -> rusqlite::Result<()> {
    let owner = [new.key.account.as_str(), new.key.region.as_str(), &new.key.name];
    execute(
        db,
        "INSERT INTO layers VALUES (?1, ?2, ?3, ?4, ?5)
         ON CONFLICT DO UPDATE SET generation = ?4, next_version = ?5",
        owner,
        params![new.generation, new.next_version],
    )?;
    let nothing = BTreeMap::new();
    for (number, version) in changed(old.map_or(&nothing, |o| &o.versions), &new.versions, same) {
        match version {
            Some(version) => execute(
                db,
                "INSERT OR REPLACE INTO layer_versions VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
                owner,
                params![number, version.digest.as_str(), json(version)?],
            )?,
            None => execute(
                db,
                "DELETE FROM layer_versions
                 WHERE account = ?1 AND region = ?2 AND name = ?3 AND version = ?4",
                owner,
                params![number],
            )?,
        }
    }
    Ok(())
}

fn function_owner(key: &FunctionKey) -> Owner<'_> {
    [key.account.as_str(), key.region.as_str(), key.name.as_str()]
}

/// Records are shared between generations, so a pointer mostly tells that nothing changed.
fn same<T: PartialEq>(old: &Arc<T>, new: &Arc<T>) -> bool {
    Arc::ptr_eq(old, new) || old == new
}

/// The keys whose values differ, with the new value, or `None` where the key is gone.
fn changed<'a, K: Ord, V>(
    old: &'a BTreeMap<K, V>,
    new: &'a BTreeMap<K, V>,
    same: impl Fn(&V, &V) -> bool,
) -> Vec<(&'a K, Option<&'a V>)> {
    let gone = old.keys().filter(|key| !new.contains_key(key)).map(|key| (key, None));
    let put = new.iter().filter(|(key, value)| old.get(key).is_none_or(|before| !same(before, value)));
    gone.chain(put.map(|(key, value)| (key, Some(value)))).collect()
}

fn execute(db: &Connection, sql: &str, owner: Owner, rest: &[&dyn ToSql]) -> rusqlite::Result<()> {
    let mut statement = db.prepare_cached(sql)?;
    let own = owner.iter().map(|text| text as &dyn ToSql);
    statement.execute(rusqlite::params_from_iter(own.chain(rest.iter().copied())))?;
    Ok(())
}

fn json<T: Serialize>(value: &T) -> rusqlite::Result<String> {
    serde_json::to_string(value).map_err(|error| rusqlite::Error::ToSqlConversionFailure(error.into()))
}
