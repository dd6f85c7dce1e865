//! ChangeMessageVisibility and ChangeMessageVisibilityBatch.

use std::sync::Arc;
use std::time::Duration;

use lambent_store::queues::{Change, Command, Outcome, QueueRecord};
use serde_json::{Map, Value};

use super::batch::{self, Results};
use super::fault::{self, Failure};
use super::input::Input;
use super::{Answer, Call};
use crate::Queues;
use crate::engine::settings::VISIBILITY_SECS;

pub async fn one(call: Call<'_>) -> Answer {
    let record = call.queue("sqs:ChangeMessageVisibility")?;
    let asked = read(call.input)?;
    let mut changed = change(call.queues, &record, &[asked]).await?;
    changed.pop().unwrap_or(Ok(()))?;
    Ok(Value::Null)
}

pub async fn batch(call: Call<'_>) -> Answer {
    let record = call.queue("sqs:ChangeMessageVisibilityBatch")?;
    let entries = batch::entries(call.input, "ChangeMessageVisibilityBatchRequestEntry")?;
    let mut results = Results::default();
    let (mut places, mut asked) = (Vec::new(), Vec::new());
    for entry in &entries {
        match read(entry.input) {
            Ok(change) => {
                places.push(entry.id);
                asked.push(change);
            }
            Err(failure) => results.add(entry.id, Err(failure)),
        }
    }
    let changed = change(call.queues, &record, &asked).await?;
    for (id, result) in places.into_iter().zip(changed) {
        results.add(id, result.map(|()| Map::new()));
    }
    Ok(results.into_value())
}

fn read(input: Input<'_>) -> Result<(&str, Duration), Failure> {
    let handle = input.required_text("ReceiptHandle")?;
    let secs = input.integer("VisibilityTimeout")?.ok_or_else(|| fault::missing("VisibilityTimeout"))?;
    if !VISIBILITY_SECS.contain(secs) {
        return Err(fault::invalid_parameter(
            &secs.to_string(),
            "VisibilityTimeout",
            "VisibilityTimeout must be an integer between 0 and 43200",
        ));
    }
    Ok((handle, Duration::from_secs(secs.unsigned_abs())))
}

/// Has messages become visible so long after now; says of each what became of it.
pub(crate) async fn change(
    queues: &Queues,
    record: &Arc<QueueRecord>,
    asked: &[(&str, Duration)],
) -> Result<Vec<Result<(), Failure>>, Failure> {
    let arn = record.key.arn();
    let now = queues.clock.now();
    let read: Vec<_> = asked.iter().map(|(handle, _)| queues.receipts.read(&arn, handle)).collect();
    let changes: Vec<_> = read
        .iter()
        .zip(asked)
        .filter_map(|(read, (_, after))| {
            let (shelf, receipt) = (*read)?;
            (shelf == record.shelf).then(|| (receipt, now.plus(*after)))
        })
        .collect();
    let mut outcomes = Vec::new();
    if !changes.is_empty() {
        let command = Command::ChangeVisibility { shelf: record.shelf, now, changes };
        if let Outcome::Changed(changed) = queues.apply(command).await? {
            outcomes = changed;
        }
        // Those who wait may find them, now or soon.
        queues.waiters.wake(record.shelf, outcomes.len());
    }
    let mut outcomes = outcomes.into_iter();
    let mut results = Vec::with_capacity(asked.len());
    for ((handle, after), read) in asked.iter().zip(&read) {
        results.push(match read {
            None => Err(fault::invalid_receipt(handle)),
            Some((shelf, _)) if *shelf != record.shelf => judge(handle, *after, Change::Absent),
            Some(_) => judge(handle, *after, outcomes.next().unwrap_or(Change::Absent)),
        });
    }
    Ok(results)
}

/// Puts messages back as if they had not been received this time. What is not in flight by its receipt stays as it is.
pub(crate) async fn unread(
    queues: &Queues,
    record: &Arc<QueueRecord>,
    handles: &[String],
    wait: Duration,
) -> Result<(), Failure> {
    let arn = record.key.arn();
    let now = queues.clock.now();
    let read = handles.iter().filter_map(|handle| queues.receipts.read(&arn, handle));
    let receipts: Vec<_> =
        read.filter(|(shelf, _)| *shelf == record.shelf).map(|(_, receipt)| receipt).collect();
    let count = receipts.len();
    if count > 0 {
        let command = Command::Unread { shelf: record.shelf, now, until: now.plus(wait), receipts };
        queues.apply(command).await?;
        queues.waiters.wake(record.shelf, count);
    }
    Ok(())
}

fn judge(handle: &str, after: Duration, change: Change) -> Result<(), Failure> {
    match change {
        Change::Done => Ok(()),
        Change::Absent => Err(fault::invalid_parameter(
            handle,
            "ReceiptHandle",
            "Message does not exist or is not available for visibility timeout change.",
        )),
        Change::NotInFlight => {
            Err(Failure::new(fault::NOT_IN_FLIGHT, "The specified message isn't in flight."))
        }
        Change::TooLong => Err(fault::invalid_parameter(
            &after.as_secs().to_string(),
            "VisibilityTimeout",
            "Total VisibilityTimeout for the message is beyond the limit [43200 seconds]",
        )),
    }
}
