//! Function URL configurations: at most one for the unqualified function, and one for each alias.

use lambent_core::ports::Entropy;
use lambent_core::time::Timestamp;
use lambent_store::functions::{CorsRecord, FunctionRecord, UrlAuth, UrlInvokeMode, UrlRecord};

use super::next;
use crate::error::Error;

/// Letters of an id, as the reference's ids have them: 32 of them, so that five bits choose one.
const LETTERS: [u8; 32] = *b"abcdefghijklmnopqrstuvwxyz234567";
const ID_CHARS: usize = 32;

/// A new id: 160 random bits, so that two are never the same and none can be guessed.
pub fn new_id(entropy: &dyn Entropy) -> String {
    let mut bytes = [0; ID_CHARS];
    entropy.fill(&mut bytes);
    bytes.iter().map(|byte| char::from(LETTERS[usize::from(byte % 32)])).collect()
}

#[derive(Debug, Clone)]
pub struct Create {
    pub id: String,
    pub auth: UrlAuth,
    pub invoke_mode: UrlInvokeMode,
    pub cors: Option<CorsRecord>,
}

/// CreateFunctionUrlConfig.
pub fn create(
    record: &FunctionRecord,
    qualifier: Option<&str>,
    request: &Create,
    arn: &str,
    now: Timestamp,
) -> Result<(FunctionRecord, UrlRecord), Error> {
    let key = existing(record, qualifier)?;
    if record.urls.contains_key(key) {
        return Err(Error::UrlExists { arn: arn.to_owned() });
    }
    let url = UrlRecord {
        id: request.id.clone(),
        auth: request.auth,
        invoke_mode: request.invoke_mode,
        cors: request.cors.clone().filter(says_something),
        created: now,
        last_modified: now,
    };
    let mut record = next(record);
    record.urls.insert(key.to_owned(), url.clone());
    Ok((record, url))
}

#[derive(Debug, Clone, Default)]
pub struct Update {
    pub auth: Option<UrlAuth>,
    pub invoke_mode: Option<UrlInvokeMode>,
    /// Takes the place of the whole of what stands; an empty one ends it.
    pub cors: Option<CorsRecord>,
}

/// UpdateFunctionUrlConfig.
pub fn update(
    record: &FunctionRecord,
    qualifier: Option<&str>,
    request: &Update,
    now: Timestamp,
) -> Result<(FunctionRecord, UrlRecord), Error> {
    let current = find(record, qualifier)?;
    let url = UrlRecord {
        auth: request.auth.unwrap_or(current.auth),
        invoke_mode: request.invoke_mode.unwrap_or(current.invoke_mode),
        cors: request.cors.clone().or_else(|| current.cors.clone()).filter(says_something),
        last_modified: now,
        ..current.clone()
    };
    let mut record = next(record);
    record.urls.insert(qualifier.unwrap_or_default().to_owned(), url.clone());
    Ok((record, url))
}

/// DeleteFunctionUrlConfig.
pub fn delete(record: &FunctionRecord, qualifier: Option<&str>) -> Result<FunctionRecord, Error> {
    find(record, qualifier)?;
    let mut record = next(record);
    record.urls.remove(qualifier.unwrap_or_default());
    Ok(record)
}

/// GetFunctionUrlConfig.
pub fn find<'a>(record: &'a FunctionRecord, qualifier: Option<&str>) -> Result<&'a UrlRecord, Error> {
    record.urls.get(qualifier.unwrap_or_default()).ok_or(Error::ResourceNotFound)
}

/// The key under which the record keeps the URL of a qualifier that is there.
fn existing<'a>(record: &FunctionRecord, qualifier: Option<&'a str>) -> Result<&'a str, Error> {
    match qualifier {
        Some(alias) if !record.aliases.contains_key(alias) => Err(Error::FunctionNotThere),
        _ => Ok(qualifier.unwrap_or_default()),
    }
}

fn says_something(cors: &CorsRecord) -> bool {
    *cors != CorsRecord::default()
}
