//! What a function says of its batch, with `ReportBatchItemFailures`.
//!
//! Source: *Implementing partial batch responses* in the developer guide. Nothing (null, an empty object, an absent, null
//! or empty list) is a success of all; an answer that can't be understood, or an identifier that is null, empty, or of
//! no message in the batch, is a failure of all.

use std::collections::{HashMap, HashSet};

use serde_json::Value;

/// A message of the batch, as far as this matters.
#[derive(Debug, Clone, Copy)]
pub struct Item<'a> {
    pub id: &'a str,
    /// Of a FIFO queue's message.
    pub group: Option<&'a str>,
}

/// The answer makes no sense: the whole batch failed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Senseless(pub &'static str);

/// Which messages failed, by their places. Of a FIFO queue's group, all that come behind a failed one failed with it:
/// else they would overtake it.
pub fn failed(payload: &[u8], batch: &[Item<'_>]) -> Result<HashSet<usize>, Senseless> {
    let answer: Value = serde_json::from_slice(payload).map_err(|_| Senseless("the answer is not JSON"))?;
    let reported = match &answer {
        Value::Null => return Ok(HashSet::new()),
        Value::Object(members) => match members.get("batchItemFailures") {
            None | Some(Value::Null) => return Ok(HashSet::new()),
            Some(Value::Array(items)) => items,
            Some(_) => return Err(Senseless("batchItemFailures is not a list")),
        },
        _ => return Err(Senseless("the answer is not an object")),
    };
    let places: HashMap<&str, usize> = batch.iter().enumerate().map(|(at, item)| (item.id, at)).collect();
    let mut failed = HashSet::new();
    for item in reported {
        let id = item.get("itemIdentifier").and_then(Value::as_str).filter(|id| !id.is_empty());
        let id = id.ok_or(Senseless("an item has no itemIdentifier"))?;
        let at = places.get(id).ok_or(Senseless("an itemIdentifier is of no message in the batch"))?;
        failed.insert(*at);
    }
    let mut stopped = HashSet::new();
    for (at, item) in batch.iter().enumerate() {
        let Some(group) = item.group else { continue };
        if failed.contains(&at) {
            stopped.insert(group);
        } else if stopped.contains(group) {
            failed.insert(at);
        }
    }
    Ok(failed)
}
