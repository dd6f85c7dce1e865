//! TagResource, UntagResource, ListTagsForResource: of schedule groups.

use lambent_core::arn::Arn;
use lambent_store::events::{Record, Tags};
use lambent_wire::Fault;
use serde_json::{Value, json};

use super::{Answer, Call, group_of, no_group};
use crate::api::shown_tags;
use crate::reader::{Member, Shape, invalid, shape};

const KEY: Shape = shape(1, 128);
const VALUE: Shape = shape(1, 256);

/// The model: tags of one request.
const TAGS_OF_A_REQUEST_MAX: usize = 200;
/// API reference: tags of a group.
const TAGS_MAX: usize = 50;

/// The member `Tags`, a list of keys and values.
pub fn read(member: &Member<'_>) -> Result<Tags, Fault> {
    let mut tags = Tags::new();
    for tag in member.members("Tags", (0, TAGS_OF_A_REQUEST_MAX))?.unwrap_or_default() {
        let (key, value) = (tag.required_text("Key", KEY)?, tag.required_text("Value", VALUE)?);
        if key.get(..4).is_some_and(|start| start.eq_ignore_ascii_case("aws:")) {
            return Err(invalid("aws: prefixed tag key names are not allowed for external use."));
        }
        tags.insert(key, value);
    }
    if tags.len() > TAGS_MAX {
        return Err(invalid(format!("A resource can have no more than {TAGS_MAX} tags.")));
    }
    Ok(tags)
}

pub async fn list(call: Call<'_>) -> Answer {
    call.input.finish()?;
    let tags = call.change_tags(|_| Ok(())).await?;
    Ok(json!({ "Tags": shown_tags(&tags) }))
}

pub async fn add(call: Call<'_>) -> Answer {
    let root = call.input.root();
    if !root.has("Tags") {
        root.required("Tags", None::<Value>);
    }
    let tags = read(&root)?;
    call.input.finish()?;
    call.change_tags(|found| {
        found.extend(tags.clone());
        match found.len() {
            count if count > TAGS_MAX => {
                Err(invalid(format!("A resource can have no more than {TAGS_MAX} tags.")))
            }
            _ => Ok(()),
        }
    })
    .await?;
    Ok(json!({}))
}

pub async fn remove(call: Call<'_>) -> Answer {
    let query = &call.request.query;
    let keys: Vec<&str> =
        query.iter().filter(|(name, _)| name == "TagKeys").map(|(_, key)| key.as_str()).collect();
    if keys.is_empty() {
        call.input.check().missing("tagKeys");
    }
    call.input.finish()?;
    call.change_tags(|found| {
        found.retain(|key, _| !keys.contains(&key.as_str()));
        Ok(())
    })
    .await?;
    Ok(json!({}))
}

impl Call<'_> {
    /// Changes the tags of the group whose ARN the path holds, and says what they are then.
    async fn change_tags(&self, change: impl Fn(&mut Tags) -> Result<(), Fault>) -> Result<Tags, Fault> {
        let text = self.labels.first().map(|(_, arn)| arn.as_str()).unwrap_or_default();
        let arn = Arn::parse(text).filter(|arn| arn.service == "scheduler");
        let name = arn.as_ref().and_then(|arn| arn.resource.strip_prefix("schedule-group/"));
        let (Some(arn), Some(name)) = (&arn, name) else {
            return Err(invalid(format!("{text} is not the ARN of a schedule group.")));
        };
        let caller = &self.request.caller;
        if arn.account != caller.account.as_str() || arn.region != caller.region.as_str() {
            return Err(no_group(name));
        }
        self.events
            .change(&self.group_key(name), |found| {
                let mut group = group_of(found, name).ok_or_else(|| no_group(name))?;
                let before = group.tags.clone();
                change(&mut group.tags)?;
                let tags = group.tags.clone();
                // To read is not to write: the default group may stay without a record.
                let decided = if before == tags { found.cloned() } else { Some(Record::Group(group)) };
                Ok((decided, tags))
            })
            .await
    }
}
