//! AddPermission and RemovePermission.

use lambent_store::queues::{QueueRecord, Settings};
use serde_json::Value;

use super::{Answer, Call};
use crate::engine::access;

pub async fn add(call: Call<'_>) -> Answer {
    call.input.required_text("QueueUrl")?;
    let label = call.input.required_text("Label")?;
    let accounts = call.input.texts("AWSAccountIds")?.unwrap_or_default();
    let actions = call.input.texts("Actions")?.unwrap_or_default();
    let now = call.now();
    call.update("sqs:AddPermission", |old| {
        let policy = Some(access::add(old, label, &accounts, &actions)?);
        Ok(with_policy(old, policy, now))
    })
    .await?;
    Ok(Value::Null)
}

pub async fn remove(call: Call<'_>) -> Answer {
    call.input.required_text("QueueUrl")?;
    let label = call.input.required_text("Label")?;
    let now = call.now();
    call.update("sqs:RemovePermission", |old| Ok(with_policy(old, access::remove(old, label)?, now))).await?;
    Ok(Value::Null)
}

fn with_policy(old: &QueueRecord, policy: Option<String>, modified: lambent_core::Timestamp) -> QueueRecord {
    let settings = Settings { policy, ..old.settings.clone() };
    QueueRecord { settings, modified, ..old.clone() }
}
