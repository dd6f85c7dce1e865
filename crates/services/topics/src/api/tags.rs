//! TagResource, UntagResource, ListTagsForResource.

use std::collections::BTreeMap;

use lambent_store::topics::TopicRecord;
use lambent_wire::Fault;
use serde_json::{Value, json};

use super::input::Input;
use super::limits::{TAG_KEY_CHARS_MAX, TAG_VALUE_CHARS_MAX, TAGS_MAX};
use super::{Answer, Call, fault, names};

/// The tags of a request.
pub fn read(input: Input<'_>) -> Result<BTreeMap<String, String>, Fault> {
    let mut tags = BTreeMap::new();
    for tag in input.objects("Tags") {
        let (key, value) = (tag.required("Key")?, tag.required("Value")?);
        let is_good = (1..=TAG_KEY_CHARS_MAX).contains(&key.chars().count())
            && value.chars().count() <= TAG_VALUE_CHARS_MAX
            && !key.to_ascii_lowercase().starts_with("aws:");
        if !is_good {
            return Err(fault::invalid(
                "Tags Reason: Tag keys must be between 1 and 128 characters in length and not begin with aws:, values \
                 no longer than 256 characters",
            ));
        }
        if tags.insert(key.to_owned(), value.to_owned()).is_some() {
            return Err(fault::invalid("Duplicated keys are not allowed."));
        }
    }
    if tags.len() > TAGS_MAX { Err(too_many()) } else { Ok(tags) }
}

fn too_many() -> Fault {
    let message = format!("Could not complete request: tag quota of {TAGS_MAX} per resource exceeded");
    Fault::new(400, "TagLimitExceeded", message)
}

fn no_resource() -> Fault {
    Fault::new(404, "ResourceNotFound", "Resource does not exist")
}

pub async fn list(call: Call<'_>) -> Answer {
    let record = topic(&call, "SNS:ListTagsForResource")?;
    let tags: Vec<Value> =
        record.tags.iter().map(|(key, value)| json!({ "Key": key, "Value": value })).collect();
    Ok(json!({ "Tags": tags }))
}

fn topic(call: &Call<'_>, action: &str) -> Result<std::sync::Arc<TopicRecord>, Fault> {
    let arn = call.input.required("ResourceArn")?;
    let is_there = names::topic(arn).ok().and_then(|key| call.topics.deps.store.topic(&key)).is_some();
    if !is_there {
        return Err(no_resource());
    }
    call.topic_of("ResourceArn", arn, action, &[])
}

pub async fn add(call: Call<'_>) -> Answer {
    if !call.input.has("Tags") {
        return Err(fault::missing("Tags"));
    }
    let new = read(call.input)?;
    change(&call, "SNS:TagResource", |tags| {
        tags.extend(new.clone());
        if tags.len() > TAGS_MAX { Err(too_many()) } else { Ok(()) }
    })
    .await
}

pub async fn remove(call: Call<'_>) -> Answer {
    if !call.input.has("TagKeys") {
        return Err(fault::missing("TagKeys"));
    }
    let keys = call.input.texts("TagKeys");
    change(&call, "SNS:UntagResource", |tags| {
        tags.retain(|key, _| !keys.contains(&key.as_str()));
        Ok(())
    })
    .await
}

async fn change(
    call: &Call<'_>,
    action: &str,
    change: impl Fn(&mut BTreeMap<String, String>) -> Result<(), Fault>,
) -> Answer {
    loop {
        let old = topic(call, action)?;
        let mut record = (*old).clone();
        change(&mut record.tags)?;
        if call.put(&old, record).await? {
            return Ok(json!({}));
        }
    }
}
