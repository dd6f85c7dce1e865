//! AddPermission and RemovePermission.

use lambent_store::topics::{TopicRecord, TopicSettings};
use serde_json::Value;

use super::{Answer, Call, fault};
use crate::engine::access;

pub async fn add(call: Call<'_>) -> Answer {
    let label = call.input.required("Label")?;
    let accounts = call.input.texts("AWSAccountId");
    let actions = call.input.texts("ActionName");
    for (name, is_empty) in [("AWSAccountId", accounts.is_empty()), ("ActionName", actions.is_empty())] {
        if is_empty {
            return Err(fault::missing(name));
        }
    }
    call.update("SNS:AddPermission", |old| {
        let policy = access::add(old, label, &accounts, &actions).map_err(fault::invalid)?;
        Ok(with_policy(old, policy))
    })
    .await?;
    Ok(Value::Null)
}

pub async fn remove(call: Call<'_>) -> Answer {
    let label = call.input.required("Label")?;
    call.update("SNS:RemovePermission", |old| Ok(with_policy(old, access::remove(old, label)))).await?;
    Ok(Value::Null)
}

fn with_policy(old: &TopicRecord, policy: String) -> TopicRecord {
    let settings = TopicSettings { policy: Some(policy), ..old.settings.clone() };
    TopicRecord { settings, ..old.clone() }
}
