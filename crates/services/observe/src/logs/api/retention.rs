//! PutRetentionPolicy, DeleteRetentionPolicy.

use lambent_store::logs::Command;

use super::limits::{GROUP_NAME, RETENTION_DAYS};
use super::{Answer, Call, Scope};

pub async fn put(mut call: Call<'_>) -> Answer {
    let name = call.input.required_text("logGroupName", GROUP_NAME)?;
    let days = call.input.number("retentionInDays", i64::MIN, i64::MAX)?;
    let given = days.is_some();
    let days = call.input.required("retentionInDays", days);
    if given && !RETENTION_DAYS.contains(&days) {
        let set = RETENTION_DAYS.map(|days| days.to_string()).join(", ");
        let rule = format!("Member must satisfy enum value set: [{set}]");
        call.input.violations.add("retentionInDays", days, rule);
    }
    call.input.finish()?;
    set(&call, &name, u32::try_from(days).ok()).await
}

pub async fn delete(mut call: Call<'_>) -> Answer {
    let name = call.input.required_text("logGroupName", GROUP_NAME)?;
    call.input.finish()?;
    set(&call, &name, None).await
}

async fn set(call: &Call<'_>, name: &str, days: Option<u32>) -> Answer {
    let key = call.group_key(name);
    call.logs.sink.flush(Scope::Group(key.clone())).await;
    call.apply(Command::SetRetention { key, days }).await
}
