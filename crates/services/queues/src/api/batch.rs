//! What all batches have in common: their entries' ids, and entries that fail alone.

use serde_json::{Map, Value, json};

use super::fault::{self, Failure};
use super::input::Input;
use super::limits::{BATCH_ENTRIES_MAX, BATCH_ID_CHARS_MAX};

/// An entry of a batch.
pub struct Entry<'a> {
    pub id: &'a str,
    pub input: Input<'a>,
}

/// The entries, when their number and ids are as they must be; `what` is the reference's name for one.
pub fn entries<'a>(input: Input<'a>, what: &str) -> Result<Vec<Entry<'a>>, Failure> {
    let entries = input.objects("Entries")?.unwrap_or_default();
    if entries.is_empty() {
        let message = format!("There should be at least one {what} in the request.");
        return Err(Failure::new(fault::EMPTY_BATCH, message));
    }
    if entries.len() > BATCH_ENTRIES_MAX {
        let message = format!(
            "Maximum number of entries per request are {BATCH_ENTRIES_MAX}. You have sent {}.",
            entries.len()
        );
        return Err(Failure::new(fault::TOO_MANY_ENTRIES, message));
    }
    let mut read: Vec<Entry<'a>> = Vec::with_capacity(entries.len());
    for input in entries {
        let id = input.required_text("Id")?;
        let is_id = id.len() <= BATCH_ID_CHARS_MAX
            && id.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_'));
        if !is_id {
            return Err(Failure::new(
                fault::INVALID_BATCH_ID,
                "A batch entry id can only contain alphanumeric characters, hyphens and underscores. It can be at \
                 most 80 letters long.",
            ));
        }
        if read.iter().any(|entry| entry.id == id) {
            return Err(Failure::new(fault::BATCH_IDS_NOT_DISTINCT, format!("Id {id} repeated.")));
        }
        read.push(Entry { id, input });
    }
    Ok(read)
}

/// What became of the entries.
#[derive(Default)]
pub struct Results {
    successful: Vec<Value>,
    failed: Vec<Value>,
}

impl Results {
    pub fn add(&mut self, id: &str, result: Result<Map<String, Value>, Failure>) {
        match result {
            Ok(mut members) => {
                members.insert("Id".into(), id.into());
                self.successful.push(members.into());
            }
            Err(failure) => self.failed.push(json!({
                "Id": id,
                "SenderFault": failure.is_senders(),
                "Code": failure.code(),
                "Message": failure.message,
            })),
        }
    }

    pub fn into_value(self) -> Value {
        let mut answer = Map::new();
        answer.insert("Successful".into(), self.successful.into());
        if !self.failed.is_empty() {
            answer.insert("Failed".into(), self.failed.into());
        }
        answer.into()
    }
}
