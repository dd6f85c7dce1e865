//! CreateQueue, DeleteQueue, GetQueueUrl, GetQueueAttributes, SetQueueAttributes, PurgeQueue.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use lambent_core::ids::{AccountId, QueueName};
use lambent_store::StoreError;
use lambent_store::queues::{Command, Counts, QueueKey, QueueRecord, Settings, Shelf};
use serde_json::{Map, Value, json};

use super::fault::{self, Failure};
use super::limits::{PURGE_EVERY_SECS, RECREATE_AFTER_SECS};
use super::{Answer, Call, address, tags, too_old};
use crate::engine::settings;

const COUNTED: [&str; 3] = [
    "ApproximateNumberOfMessages",
    "ApproximateNumberOfMessagesDelayed",
    "ApproximateNumberOfMessagesNotVisible",
];

pub async fn create(call: Call<'_>) -> Answer {
    let name = call.input.required_text("QueueName")?;
    let name = QueueName::new(name).map_err(|_| {
        Failure::new(
            fault::INVALID_PARAMETER,
            "Can only include alphanumeric characters, hyphens, or underscores. 1 to 80 in length",
        )
    })?;
    let asked = call.input.text_map("Attributes")?.unwrap_or_default();
    let wanted = settings::create(&name, &asked)?;
    let tags = call.input.text_map("tags")?.unwrap_or_default();
    let tags = tags::merged(&BTreeMap::new(), &tags)?;
    let key = QueueKey { account: call.caller.account.clone(), region: call.caller.region.clone(), name };
    check_redrive(&call, &key, &wanted, &asked)?;
    loop {
        if let Some(found) = call.queues.store.queue(&key) {
            return same(&call, &found, &wanted, &asked);
        }
        let now = call.now();
        let deleted = call.queues.store.deleted(&key);
        if deleted.is_some_and(|at| now.since(at) < Duration::from_secs(RECREATE_AFTER_SECS)) {
            return Err(Failure::new(
                fault::QUEUE_DELETED_RECENTLY,
                "You must wait 60 seconds after deleting a queue before you can create another with the same name.",
            ));
        }
        let record = QueueRecord {
            key: key.clone(),
            shelf: new_shelf(&call),
            generation: 1,
            created: now,
            modified: now,
            purged: None,
            settings: wanted.clone(),
            tags: tags.clone(),
        };
        match call.queues.store.apply(Command::Put { record: Box::new(record), expected: None }).await {
            Ok(_) => return Ok(json!({ "QueueUrl": address::write(call.origin, &key) })),
            Err(StoreError::Conflict) => {}
            Err(error) => return Err(fault::store(error)),
        }
    }
}

/// A queue that is there already is as good as made, when it is what was asked for.
fn same(call: &Call<'_>, found: &QueueRecord, wanted: &Settings, asked: &BTreeMap<&str, &str>) -> Answer {
    match settings::difference(found, wanted, asked) {
        None => Ok(json!({ "QueueUrl": address::write(call.origin, &found.key) })),
        Some(name) => Err(Failure::new(
            fault::QUEUE_EXISTS,
            format!("A queue already exists with the same name and a different value for attribute {name}"),
        )),
    }
}

fn new_shelf(call: &Call<'_>) -> Shelf {
    let mut bytes = [0; 8];
    call.queues.entropy.fill(&mut bytes);
    Shelf(u64::from_be_bytes(bytes) >> 1)
}

/// A dead-letter queue must be there, of the same kind, account and region, and willing.
fn check_redrive(
    call: &Call<'_>,
    key: &QueueKey,
    wanted: &Settings,
    asked: &BTreeMap<&str, &str>,
) -> Result<(), Failure> {
    let (Some(redrive), Some(value)) = (&wanted.redrive, asked.get("RedrivePolicy")) else { return Ok(()) };
    let refuse = |reason: &str| Err(fault::invalid_parameter(value, "RedrivePolicy", reason));
    let Some(target) = address::of_arn(&redrive.target_arn) else {
        return refuse("Dead letter target is not a queue.");
    };
    if target.account != key.account || target.region != key.region {
        return refuse("Dead letter target owner should be same as the source.");
    }
    if target.name.is_fifo() != key.name.is_fifo() {
        return refuse("Dead-letter queue must be same type of queue as the source.");
    }
    let Some(target) = call.queues.store.queue(&target) else {
        return refuse("Dead letter target does not exist.");
    };
    if !settings::may_redrive(&target, &key.arn()) {
        return refuse(
            "Queue does not have permission to use its dead letter target, by that queue's redrive allow policy.",
        );
    }
    Ok(())
}

pub async fn delete(call: Call<'_>) -> Answer {
    loop {
        let record = call.queue("sqs:DeleteQueue")?;
        let delete = Command::Delete { key: record.key.clone(), expected: record.generation, at: call.now() };
        match call.queues.store.apply(delete).await {
            Ok(_) => {
                call.queues.waiters.wake_shelf(record.shelf);
                return Ok(Value::Null);
            }
            Err(StoreError::Conflict) => {}
            Err(error) => return Err(fault::store(error)),
        }
    }
}

pub async fn get_url(call: Call<'_>) -> Answer {
    let name = call.input.required_text("QueueName")?;
    let owner = call.input.text("QueueOwnerAWSAccountId")?;
    let account = match owner {
        Some(text) => AccountId::new(text).map_err(|_| {
            fault::invalid_parameter(text, "QueueOwnerAWSAccountId", "An account has twelve digits.")
        })?,
        None => call.caller.account.clone(),
    };
    let name = QueueName::new(name).map_err(|_| fault::no_queue())?;
    let key = QueueKey { account, region: call.caller.region.clone(), name };
    let record = call.queues.store.queue(&key).ok_or_else(fault::no_queue)?;
    call.check(&record, "sqs:GetQueueUrl")?;
    Ok(json!({ "QueueUrl": address::write(call.origin, &record.key) }))
}

pub async fn get_attributes(call: Call<'_>) -> Answer {
    let record = call.queue("sqs:GetQueueAttributes")?;
    let asked = call.input.texts("AttributeNames")?.unwrap_or_default();
    if let Some(unknown) = asked.iter().find(|name| **name != "All" && !settings::NAMES.contains(name)) {
        return Err(settings::Refusal::UnknownName((*unknown).to_owned()).into());
    }
    let wants = |name: &str| asked.contains(&"All") || asked.contains(&name);
    let counts = if COUNTED.iter().any(|name| wants(name)) {
        let now = call.now();
        let found = call.queues.store.counts(record.shelf, now, too_old(&record, now)).await;
        found.map_err(fault::store)?
    } else {
        Counts::default()
    };
    let shown = settings::NAMES.iter().filter(|name| wants(name)).filter_map(|name| {
        settings::show(&record, name, &counts).map(|value| ((*name).to_owned(), Value::from(value)))
    });
    let attributes: Map<String, Value> = shown.collect();
    // Without any the member is absent.
    Ok(if attributes.is_empty() { json!({}) } else { json!({ "Attributes": attributes }) })
}

pub async fn set_attributes(call: Call<'_>) -> Answer {
    call.input.required_text("QueueUrl")?;
    let asked = call.input.text_map("Attributes")?.ok_or_else(|| fault::missing("Attributes"))?;
    let now = call.now();
    let old = call
        .update("sqs:SetQueueAttributes", |old| {
            let wanted = settings::change(&old.settings, &asked)?;
            check_redrive(&call, &old.key, &wanted, &asked)?;
            Ok(QueueRecord { settings: wanted, modified: now, ..old.clone() })
        })
        .await?;
    // Who waits looks again: a delay may have become shorter.
    call.queues.waiters.wake(old.shelf, 1);
    Ok(Value::Null)
}

pub async fn purge(call: Call<'_>) -> Answer {
    let now = call.now();
    let shelf = new_shelf(&call);
    let old: Arc<QueueRecord> = call
        .update("sqs:PurgeQueue", |old| {
            if old.purged.is_some_and(|at| now.since(at) < Duration::from_secs(PURGE_EVERY_SECS)) {
                return Err(Failure::new(
                    fault::PURGE_IN_PROGRESS,
                    format!("Only one PurgeQueue operation on {} is allowed every 60 seconds.", old.key.name),
                ));
            }
            Ok(QueueRecord { shelf, purged: Some(now), ..old.clone() })
        })
        .await?;
    // They wait for a shelf that nothing comes to any more.
    call.queues.waiters.wake_shelf(old.shelf);
    Ok(Value::Null)
}
