//! DeleteMessage and DeleteMessageBatch.

use std::sync::Arc;

use lambent_store::queues::{Command, Outcome, QueueRecord, Receipt, Removal};
use serde_json::{Map, Value};

use super::batch::{self, Results};
use super::fault::{self, Failure};
use super::{Answer, Call};
use crate::Queues;

pub async fn one(call: Call<'_>) -> Answer {
    let record = call.queue("sqs:DeleteMessage")?;
    let handle = call.input.required_text("ReceiptHandle")?;
    let mut removed = remove(call.queues, &record, &[handle]).await?;
    removed.pop().unwrap_or(Ok(()))?;
    Ok(Value::Null)
}

pub async fn batch(call: Call<'_>) -> Answer {
    let record = call.queue("sqs:DeleteMessageBatch")?;
    let entries = batch::entries(call.input, "DeleteMessageBatchRequestEntry")?;
    let mut handles = Vec::with_capacity(entries.len());
    for entry in &entries {
        handles.push(entry.input.required_text("ReceiptHandle")?);
    }
    let removed = remove(call.queues, &record, &handles).await?;
    let mut results = Results::default();
    for (entry, result) in entries.iter().zip(removed) {
        results.add(entry.id, result.map(|()| Map::new()));
    }
    Ok(results.into_value())
}

/// Takes messages out of the queue for good; says of each what became of it.
pub(crate) async fn remove(
    queues: &Queues,
    record: &Arc<QueueRecord>,
    handles: &[&str],
) -> Result<Vec<Result<(), Failure>>, Failure> {
    let arn = record.key.arn();
    let read: Vec<_> = handles.iter().map(|handle| queues.receipts.read(&arn, handle)).collect();
    // What stood on an older shelf is gone already.
    let receipts: Vec<Receipt> = read
        .iter()
        .flatten()
        .filter(|(shelf, _)| *shelf == record.shelf)
        .map(|(_, receipt)| *receipt)
        .collect();
    let mut removals = Vec::new();
    if !receipts.is_empty() {
        let now = queues.clock.now();
        match queues.apply(Command::Remove { shelf: record.shelf, now, receipts }).await {
            Ok(Outcome::Removed(removed)) => removals = removed,
            Ok(_) => {}
            // Purged in between: nothing is left to be removed.
            Err(_) if queues.store.queue(&record.key).is_some_and(|found| found.shelf != record.shelf) => {}
            Err(failure) => return Err(failure),
        }
        if record.settings.fifo.is_some() {
            // The group's next message may be received now.
            queues.waiters.wake(record.shelf, removals.len());
        }
    }
    let mut removals = removals.into_iter();
    let result = |(handle, read): (&&str, &Option<(lambent_store::queues::Shelf, Receipt)>)| match read {
        None => Err(fault::invalid_receipt(handle)),
        Some((shelf, _)) if *shelf != record.shelf => Ok(()),
        Some(_) => judge(record, handle, removals.next().unwrap_or(Removal::Absent)),
    };
    Ok(handles.iter().zip(&read).map(result).collect())
}

/// The reference answers a removal that came too late as if it had been done; not so with FIFO queues, whose order would
/// be broken unseen.
fn judge(record: &QueueRecord, handle: &str, removal: Removal) -> Result<(), Failure> {
    match removal {
        Removal::Expired | Removal::Stale if record.settings.fifo.is_some() => {
            Err(fault::invalid_parameter(handle, "ReceiptHandle", "The receipt handle has expired."))
        }
        _ => Ok(()),
    }
}
