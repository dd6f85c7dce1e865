//! Reads the whole file into memory. Every row must make sense: a row that does not is a damaged file.

use std::collections::{BTreeMap, HashMap};
use std::hash::Hash;
use std::path::Path;
use std::sync::Arc;

use lambent_core::ids::{AccountId, FunctionName, InvalidId, Region, RevisionId, Version};
use lambent_core::time::Timestamp;
use lambent_store::functions::*;
use rusqlite::types::FromSql;
use rusqlite::{Connection, Row};
use serde::de::DeserializeOwned;

use super::journal::LATEST;
use crate::OpenError;
use crate::database::{corrupted, judge};

pub(super) fn all(db: &Connection, path: &Path) -> Result<MemoryFunctions, OpenError> {
    read(db).map_err(|failure| match failure {
        Failure::Sql(error) => judge(path, error),
        Failure::Row(detail) => corrupted(path, &detail),
    })
}

enum Failure {
    Sql(rusqlite::Error),
    /// What does not make sense, and where.
    Row(String),
}

impl From<rusqlite::Error> for Failure {
    fn from(error: rusqlite::Error) -> Self {
        Self::Sql(error)
    }
}

fn read(db: &Connection) -> Result<MemoryFunctions, Failure> {
    let functions = functions(db)?;
    let layers = layers(db)?;
    let mut retired = Vec::new();
    each(db, "SELECT account, region, name, next_version FROM retired_functions", |row| {
        retired.push((function_key(row)?, column(row, 3)?));
        Ok(())
    })?;
    let mut mappings = Vec::new();
    each(db, "SELECT id, config, id FROM event_source_mappings", |row| {
        mappings.push(Arc::new(json::<MappingRecord>(row, 1)?));
        Ok(())
    })?;
    let (functions, layers) = (functions.into_iter().map(Arc::new), layers.into_iter().map(Arc::new));
    Ok(MemoryFunctions::load(functions, layers, retired, mappings))
}

fn functions(db: &Connection) -> Result<Vec<FunctionRecord>, Failure> {
    let mut versions = grouped(
        db,
        "SELECT account, region, name, version, config FROM function_versions",
        function_key,
        |row| Ok((column::<u64>(row, 3)?, Arc::new(json::<VersionRecord>(row, 4)?))),
    )?;
    let mut aliases = grouped(
        db,
        "SELECT account, region, name, alias, version, description, routing_version, routing_weight, revision
         FROM function_aliases",
        function_key,
        alias,
    )?;
    let mut policies = grouped(
        db,
        "SELECT account, region, name, qualifier, policy FROM function_policies",
        function_key,
        |row| Ok((column::<String>(row, 3)?, json::<PolicyRecord>(row, 4)?)),
    )?;
    let mut event_invokes = grouped(
        db,
        "SELECT account, region, name, qualifier, config FROM function_event_invokes",
        function_key,
        |row| Ok((column::<String>(row, 3)?, json::<EventInvokeRecord>(row, 4)?)),
    )?;
    let mut provisioned = grouped(
        db,
        "SELECT account, region, name, qualifier, requested, last_modified FROM function_provisioned",
        function_key,
        |row| {
            let last_modified = Timestamp::from_millis(column(row, 5)?);
            Ok((column::<String>(row, 3)?, ProvisionedRecord { requested: column(row, 4)?, last_modified }))
        },
    )?;
    let mut urls = grouped(
        db,
        "SELECT account, region, name, qualifier, url FROM function_urls",
        function_key,
        |row| Ok((column::<String>(row, 3)?, json::<UrlRecord>(row, 4)?)),
    )?;
    let mut records = Vec::new();
    each(
        db,
        "SELECT account, region, name, generation, next_version, reserved_concurrency, tags, allows_recursion
         FROM functions",
        |row| {
            let key = function_key(row)?;
            let mut versions: BTreeMap<_, _> =
                versions.remove(&key).unwrap_or_default().into_iter().collect();
            let latest = versions
                .remove(&LATEST)
                .ok_or_else(|| Failure::Row(format!("function {} has no $LATEST", key.name)))?;
            records.push(FunctionRecord {
                generation: column(row, 3)?,
                next_version: column(row, 4)?,
                reserved_concurrency: column(row, 5)?,
                tags: json(row, 6)?,
                recursive_loop: match column(row, 7)? {
                    true => RecursiveLoop::Allow,
                    false => RecursiveLoop::Terminate,
                },
                latest,
                versions,
                aliases: aliases.remove(&key).unwrap_or_default().into_iter().collect(),
                policies: policies.remove(&key).unwrap_or_default().into_iter().collect(),
                urls: urls.remove(&key).unwrap_or_default().into_iter().collect(),
                event_invokes: event_invokes.remove(&key).unwrap_or_default().into_iter().collect(),
                provisioned: provisioned.remove(&key).unwrap_or_default().into_iter().collect(),
                key,
            });
            Ok(())
        },
    )?;
    Ok(records)
}

fn alias(row: &Row) -> Result<(String, AliasRecord), Failure> {
    let name: String = column(row, 3)?;
    let version = Version::try_from(column::<String>(row, 4)?).map_err(senseless)?;
    let routing = column::<Option<u64>>(row, 6)?.zip(column::<Option<f64>>(row, 7)?);
    let revision = RevisionId::new(column::<String>(row, 8)?).map_err(senseless)?;
    Ok((name.clone(), AliasRecord { name, version, description: column(row, 5)?, routing, revision }))
}

fn layers(db: &Connection) -> Result<Vec<LayerRecord>, Failure> {
    let mut versions =
        grouped(db, "SELECT account, region, name, version, config FROM layer_versions", layer_key, |row| {
            Ok((column::<u64>(row, 3)?, Arc::new(json::<LayerVersionRecord>(row, 4)?)))
        })?;
    let mut records = Vec::new();
    each(db, "SELECT account, region, name, generation, next_version FROM layers", |row| {
        let key = layer_key(row)?;
        records.push(LayerRecord {
            generation: column(row, 3)?,
            next_version: column(row, 4)?,
            versions: versions.remove(&key).unwrap_or_default().into_iter().collect(),
            key,
        });
        Ok(())
    })?;
    Ok(records)
}

fn each(
    db: &Connection,
    sql: &str,
    mut take: impl FnMut(&Row) -> Result<(), Failure>,
) -> Result<(), Failure> {
    let mut statement = db.prepare(sql)?;
    let mut rows = statement.query([])?;
    while let Some(row) = rows.next()? {
        take(row)?;
    }
    Ok(())
}

fn grouped<K: Eq + Hash, V>(
    db: &Connection,
    sql: &str,
    key: fn(&Row) -> Result<K, Failure>,
    value: impl Fn(&Row) -> Result<V, Failure>,
) -> Result<HashMap<K, Vec<V>>, Failure> {
    let mut groups: HashMap<K, Vec<V>> = HashMap::new();
    each(db, sql, |row| {
        groups.entry(key(row)?).or_default().push(value(row)?);
        Ok(())
    })?;
    Ok(groups)
}

fn column<T: FromSql>(row: &Row, at: usize) -> Result<T, Failure> {
    Ok(row.get(at)?)
}

fn text<'a>(row: &'a Row, at: usize) -> Result<&'a str, Failure> {
    let value = row.get_ref(at)?;
    value.as_str().map_err(|error| Failure::Row(format!("column {at}: {error}")))
}

fn json<T: DeserializeOwned>(row: &Row, at: usize) -> Result<T, Failure> {
    serde_json::from_str(text(row, at)?).map_err(|error| {
        let name = text(row, 2).unwrap_or("?");
        Failure::Row(format!("the configuration of {name} can't be read: {error}"))
    })
}

fn place(row: &Row) -> Result<(AccountId, Region), Failure> {
    let account = AccountId::new(text(row, 0)?).map_err(senseless)?;
    Ok((account, Region::new(text(row, 1)?).map_err(senseless)?))
}

fn senseless(error: InvalidId) -> Failure {
    Failure::Row(error.to_string())
}

fn function_key(row: &Row) -> Result<FunctionKey, Failure> {
    let (account, region) = place(row)?;
    let name = FunctionName::new(text(row, 2)?).map_err(senseless)?;
    Ok(FunctionKey { account, region, name })
}

fn layer_key(row: &Row) -> Result<LayerKey, Failure> {
    let (account, region) = place(row)?;
    Ok(LayerKey { account, region, name: text(row, 2)?.to_owned() })
}
