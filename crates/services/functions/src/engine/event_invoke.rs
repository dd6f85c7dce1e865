//! Configurations of asynchronous calls: one for each qualifier of a function. Pure.

use lambent_core::arn::{self, Arn};
use lambent_core::time::Timestamp;
use lambent_store::functions::{EventInvokeRecord, FunctionKey, FunctionRecord};

use super::{configuration, next, versions};
use crate::error::Error;

pub const LATEST: &str = "$LATEST";

/// What a request says of a configuration. An absent member is its default to Put, and unchanged to Update.
#[derive(Debug, Clone, Default)]
pub struct Asked {
    pub max_retries: Option<u32>,
    pub max_age_secs: Option<u32>,
    /// `Some("")` takes a destination away.
    pub on_success: Option<String>,
    pub on_failure: Option<String>,
}

/// The configuration that a qualifier's calls go by.
pub fn applying<'a>(record: &'a FunctionRecord, qualifier: Option<&str>) -> Option<&'a EventInvokeRecord> {
    record.event_invokes.get(qualifier.unwrap_or(LATEST))
}

pub fn put(
    record: &FunctionRecord,
    qualifier: Option<&str>,
    asked: &Asked,
    now: Timestamp,
) -> Result<FunctionRecord, Error> {
    versions::resolve(record, qualifier, || 1.0)?;
    set(record, qualifier, EventInvokeRecord::default(), asked, now)
}

pub fn update(
    record: &FunctionRecord,
    qualifier: Option<&str>,
    asked: &Asked,
    now: Timestamp,
) -> Result<FunctionRecord, Error> {
    let current = get(record, qualifier)?.clone();
    set(record, qualifier, current, asked, now)
}

pub fn get<'a>(record: &'a FunctionRecord, qualifier: Option<&str>) -> Result<&'a EventInvokeRecord, Error> {
    applying(record, qualifier)
        .ok_or_else(|| Error::NoEventInvokeConfig { arn: qualified(&record.key, qualifier) })
}

pub fn delete(record: &FunctionRecord, qualifier: Option<&str>) -> Result<FunctionRecord, Error> {
    get(record, qualifier)?;
    let mut changed = next(record);
    changed.event_invokes.remove(qualifier.unwrap_or(LATEST));
    Ok(changed)
}

pub fn qualified(key: &FunctionKey, qualifier: Option<&str>) -> String {
    arn::function_qualified(&key.region, &key.account, &key.name, qualifier.unwrap_or(LATEST))
}

fn set(
    record: &FunctionRecord,
    qualifier: Option<&str>,
    current: EventInvokeRecord,
    asked: &Asked,
    now: Timestamp,
) -> Result<FunctionRecord, Error> {
    let destination = |member, asked: &Option<String>, current| match asked.as_deref() {
        None => Ok(current),
        Some("") => Ok(None),
        Some(arn) => check_destination(&record.key, member, arn).map(|()| Some(arn.to_owned())),
    };
    let config = EventInvokeRecord {
        max_retries: asked.max_retries.or(current.max_retries),
        max_age_secs: asked.max_age_secs.or(current.max_age_secs),
        on_success: destination("OnSuccess", &asked.on_success, current.on_success)?,
        on_failure: destination("OnFailure", &asked.on_failure, current.on_failure)?,
        last_modified: now,
    };
    let mut changed = next(record);
    changed.event_invokes.insert(qualifier.unwrap_or(LATEST).to_owned(), config);
    Ok(changed)
}

/// A destination must be one that can be reached: a standard queue or topic or a bus of the same region, or a function of the
/// same account and region, and not the one that it hears of, which would call itself for ever.
fn check_destination(key: &FunctionKey, member: &'static str, text: &str) -> Result<(), Error> {
    let invalid = || Error::InvalidDestination { arn: text.to_owned() };
    let arn = Arn::parse(text).ok_or_else(invalid)?;
    if configuration::TOLD.contains(&arn.service.as_str()) {
        let is_ours = arn.region == key.region.as_str();
        return if is_ours && configuration::can_be_told(&arn) { Ok(()) } else { Err(invalid()) };
    }
    if arn.service != "lambda" {
        return Err(Error::UnsupportedDestination { member, service: arn.service });
    }
    let is_ours = arn.region == key.region.as_str() && arn.account == key.account.as_str();
    let (name, _) = function_of(&arn).ok_or_else(invalid)?;
    if !is_ours || name == key.name.as_str() {
        return Err(invalid());
    }
    Ok(())
}

/// Name and qualifier of a function's ARN.
pub fn function_of(arn: &Arn) -> Option<(&str, Option<&str>)> {
    let rest = arn.resource.strip_prefix("function:")?;
    match rest.split_once(':') {
        Some((name, qualifier)) if !qualifier.is_empty() => Some((name, Some(qualifier))),
        Some(_) => None,
        None => Some((rest, None)),
    }
}
