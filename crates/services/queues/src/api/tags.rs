//! TagQueue, UntagQueue, ListQueueTags.

use std::collections::BTreeMap;

use lambent_store::queues::QueueRecord;
use serde_json::{Value, json};

use super::fault::{self, Failure};
use super::limits::{TAG_KEY_CHARS_MAX, TAG_VALUE_CHARS_MAX, TAGS_MAX};
use super::{Answer, Call};

pub async fn tag(call: Call<'_>) -> Answer {
    call.input.required_text("QueueUrl")?;
    let tags = call.input.text_map("Tags")?.ok_or_else(|| fault::missing("Tags"))?;
    let tagged = |old: &QueueRecord| Ok(QueueRecord { tags: merged(&old.tags, &tags)?, ..old.clone() });
    call.update("sqs:TagQueue", tagged).await?;
    Ok(Value::Null)
}

pub async fn untag(call: Call<'_>) -> Answer {
    call.input.required_text("QueueUrl")?;
    let keys = call.input.texts("TagKeys")?.ok_or_else(|| fault::missing("TagKeys"))?;
    let untagged = |old: &QueueRecord| {
        let mut record = old.clone();
        record.tags.retain(|key, _| !keys.contains(&key.as_str()));
        Ok(record)
    };
    call.update("sqs:UntagQueue", untagged).await?;
    Ok(Value::Null)
}

pub async fn list(call: Call<'_>) -> Answer {
    let record = call.queue("sqs:ListQueueTags")?;
    Ok(if record.tags.is_empty() { json!({}) } else { json!({ "Tags": record.tags }) })
}

/// The tags with others, whose values win.
pub fn merged(
    old: &BTreeMap<String, String>,
    new: &BTreeMap<&str, &str>,
) -> Result<BTreeMap<String, String>, Failure> {
    let mut tags = old.clone();
    for (key, value) in new {
        let is_good = (1..=TAG_KEY_CHARS_MAX).contains(&key.chars().count())
            && value.chars().count() <= TAG_VALUE_CHARS_MAX
            && !key.to_ascii_lowercase().starts_with("aws:");
        if !is_good {
            return Err(fault::invalid_parameter(
                key,
                "Tags",
                "Tag keys must be between 1 and 128 characters in length and not begin with aws:, values no longer \
                 than 256 characters.",
            ));
        }
        tags.insert((*key).to_owned(), (*value).to_owned());
    }
    if tags.len() > TAGS_MAX {
        return Err(Failure::new(
            fault::INVALID_PARAMETER,
            format!("Too many tags added for queue: the maximum is {TAGS_MAX}."),
        ));
    }
    Ok(tags)
}
