//! A function's tags.

use std::collections::BTreeMap;

use lambent_store::functions::FunctionRecord;

use super::{egress, next};
use crate::error::Error;

/// Developer guide, *Using tags on Lambda functions*.
const TAGS_MAX: usize = 50;
const KEY_CHARS_MAX: usize = 128;
const VALUE_CHARS_MAX: usize = 256;

/// Refuses a set of tags that no function may have.
pub fn check(tags: &BTreeMap<String, String>) -> Result<(), Error> {
    if tags.len() > TAGS_MAX {
        return Err(Error::TooManyTags);
    }
    for (key, value) in tags {
        let detail = if key.is_empty() || key.chars().count() > KEY_CHARS_MAX {
            format!("The tag key '{key}' must have between 1 and {KEY_CHARS_MAX} characters.")
        } else if value.chars().count() > VALUE_CHARS_MAX {
            format!("The value of the tag '{key}' must have at most {VALUE_CHARS_MAX} characters.")
        } else if key.to_ascii_lowercase().starts_with("aws:") {
            format!("The tag key '{key}' begins with aws:, which is reserved.")
        } else {
            continue;
        };
        return Err(Error::InvalidTag { detail });
    }
    Ok(())
}

/// TagResource.
pub fn add(record: &FunctionRecord, tags: &BTreeMap<String, String>) -> Result<FunctionRecord, Error> {
    let mut record = next(record);
    record.tags.extend(tags.iter().map(|(k, v)| (k.clone(), v.clone())));
    check(&record.tags)?;
    egress::check(&record.tags)?;
    Ok(record)
}

/// UntagResource. Keys that are not there are no error.
pub fn remove(record: &FunctionRecord, keys: &[String]) -> FunctionRecord {
    let mut record = next(record);
    record.tags.retain(|key, _| !keys.contains(key));
    record
}
