//! Tags of groups, by the older operations that name the group and by the newer ones that take its ARN.

use std::collections::BTreeMap;

use lambent_store::logs::Command;
use lambent_wire::Fault;
use serde_json::json as object;

use super::groups::name_of;
use super::limits::{GROUP_NAME, RESOURCE_ARN, TAG_KEY, TAG_VALUE, TAGS_MAX};
use super::{Answer, Call, fault, json};

pub async fn tag_group(mut call: Call<'_>) -> Answer {
    let name = call.input.required_text("logGroupName", GROUP_NAME)?;
    let set = take_tags(&mut call)?;
    call.input.finish()?;
    change(&call, &name, Vec::new(), set).await.map_err(|refused| match refused.code.as_ref() {
        // The older operation does not know the newer one's error.
        "TooManyTagsException" => fault::invalid(refused.message),
        _ => refused,
    })
}

pub async fn untag_group(mut call: Call<'_>) -> Answer {
    let name = call.input.required_text("logGroupName", GROUP_NAME)?;
    let remove = call.input.texts("tags", TAG_KEY, (1, usize::MAX))?;
    let remove = call.input.required("tags", remove);
    call.input.finish()?;
    change(&call, &name, remove, BTreeMap::new()).await
}

pub async fn list_of_group(mut call: Call<'_>) -> Answer {
    let name = call.input.required_text("logGroupName", GROUP_NAME)?;
    call.input.finish()?;
    list(&call, &name).await
}

pub async fn tag_resource(mut call: Call<'_>) -> Answer {
    let arn = call.input.required_text("resourceArn", RESOURCE_ARN)?;
    let set = take_tags(&mut call)?;
    call.input.finish()?;
    let name = resource(&call, &arn)?;
    change(&call, &name, Vec::new(), set).await
}

pub async fn untag_resource(mut call: Call<'_>) -> Answer {
    let arn = call.input.required_text("resourceArn", RESOURCE_ARN)?;
    let remove = call.input.texts("tagKeys", TAG_KEY, (0, TAGS_MAX))?;
    let remove = call.input.required("tagKeys", remove);
    call.input.finish()?;
    let name = resource(&call, &arn)?;
    change(&call, &name, remove, BTreeMap::new()).await
}

pub async fn list_for_resource(mut call: Call<'_>) -> Answer {
    let arn = call.input.required_text("resourceArn", RESOURCE_ARN)?;
    call.input.finish()?;
    let name = resource(&call, &arn)?;
    list(&call, &name).await
}

/// Names that begin with `aws:` are the reference's own.
pub fn refuse_reserved<'a>(mut names: impl Iterator<Item = &'a String>) -> Result<(), Fault> {
    match names.find(|name| name.to_ascii_lowercase().starts_with("aws:")) {
        None => Ok(()),
        Some(name) => Err(fault::invalid(format!(
            "The tag key '{name}' is not valid: keys that begin with 'aws:' are reserved."
        ))),
    }
}

fn take_tags(call: &mut Call<'_>) -> Result<BTreeMap<String, String>, Fault> {
    let tags = call.input.text_map("tags", (TAG_KEY, TAG_VALUE), TAGS_MAX)?;
    let tags = call.input.required("tags", tags);
    refuse_reserved(tags.keys())?;
    Ok(tags)
}

fn resource(call: &Call<'_>, arn: &str) -> Result<String, Fault> {
    if !arn.starts_with("arn:") {
        return Err(fault::invalid(format!("The resource ARN '{arn}' is not valid.")));
    }
    name_of(call, arn)
}

async fn change(call: &Call<'_>, name: &str, remove: Vec<String>, set: BTreeMap<String, String>) -> Answer {
    let key = call.group_key(name);
    call.flushed_group(&key).await?;
    call.apply(Command::ChangeTags { key, remove, set, count_max: TAGS_MAX }).await
}

async fn list(call: &Call<'_>, name: &str) -> Answer {
    let group = call.flushed_group(&call.group_key(name)).await?;
    json(&object!({ "tags": group.tags }))
}
