//! TagResource, UntagResource, ListTagsForResource: of buses and rules.

use lambent_store::events::{Key, Record, Tags};
use lambent_wire::Fault;
use serde_json::{Value, json};

use super::shapes::{TAG_KEY, TAG_VALUE, TAGS_MAX};
use super::{Answer, Call, bus_of, no_bus, not_found, rule_of};
use crate::names::{BusName, rule_of_arn};
use crate::reader::{ARN, Member, invalid};

/// The member `Tags`, a list of keys and values.
pub fn read(member: &Member<'_>) -> Result<Tags, Fault> {
    let mut tags = Tags::new();
    for tag in member.members("Tags", (0, TAGS_MAX))?.unwrap_or_default() {
        let (key, value) = (tag.required_text("Key", TAG_KEY)?, tag.required_text("Value", TAG_VALUE)?);
        if key.get(..4).is_some_and(|start| start.eq_ignore_ascii_case("aws:")) {
            return Err(invalid("aws: prefixed tag key names are not allowed for external use."));
        }
        tags.insert(key, value);
    }
    Ok(tags)
}

pub fn shown(tags: &Tags) -> Vec<Value> {
    tags.iter().map(|(key, value)| json!({ "Key": key, "Value": value })).collect()
}

pub async fn list(call: Call<'_>) -> Answer {
    let arn = call.input.root().required_text("ResourceARN", ARN)?;
    call.input.finish()?;
    let found = call.change_tags(&arn, |_| Ok(())).await?;
    Ok(Some(json!({ "Tags": shown(&found) })))
}

pub async fn add(call: Call<'_>) -> Answer {
    let root = call.input.root();
    let arn = root.required_text("ResourceARN", ARN)?;
    if !root.has("Tags") {
        root.required("Tags", None::<Value>);
    }
    let tags = read(&root)?;
    call.input.finish()?;
    call.change_tags(&arn, |found| {
        found.extend(tags.clone());
        match found.len() {
            count if count > TAGS_MAX => {
                Err(invalid(format!("A resource can have no more than {TAGS_MAX} tags.")))
            }
            _ => Ok(()),
        }
    })
    .await?;
    Ok(None)
}

pub async fn remove(call: Call<'_>) -> Answer {
    let root = call.input.root();
    let arn = root.required_text("ResourceARN", ARN)?;
    let keys = root.texts("TagKeys", TAG_KEY, (0, TAGS_MAX))?;
    let keys = root.required("TagKeys", keys);
    call.input.finish()?;
    call.change_tags(&arn, |found| {
        found.retain(|key, _| !keys.contains(key));
        Ok(())
    })
    .await?;
    Ok(None)
}

enum Tagged {
    Bus(BusName),
    Rule(Key),
}

impl Call<'_> {
    /// Changes the tags of what an ARN names, and says what they are then.
    async fn change_tags(
        &self,
        arn: &str,
        change: impl Fn(&mut Tags) -> Result<(), Fault>,
    ) -> Result<Tags, Fault> {
        let tagged = match (BusName::of_arn(arn), rule_of_arn(arn)) {
            (Some(bus), _) => Tagged::Bus(bus),
            (_, Some(rule)) => Tagged::Rule(rule),
            _ => {
                return Err(invalid(format!(
                    "Parameter {arn} is not valid. Reason: Provided Arn is not in correct format."
                )));
            }
        };
        let key = match &tagged {
            Tagged::Bus(bus) => bus.key(),
            Tagged::Rule(key) => key.clone(),
        };
        if key.scope.account != self.caller.account || key.scope.region != self.caller.region {
            return Err(not_found(format!("{arn} does not exist.")));
        }
        self.events
            .change(&key, |found| match &tagged {
                Tagged::Bus(bus) => {
                    let mut record = bus_of(found, &bus.name).ok_or_else(|| no_bus(&bus.name))?;
                    let before = record.tags.clone();
                    change(&mut record.tags)?;
                    let tags = record.tags.clone();
                    // To read is not to write: the default bus may stay without a record.
                    let decided = if before == tags { found.cloned() } else { Some(Record::Bus(record)) };
                    Ok((decided, tags))
                }
                Tagged::Rule(key) => {
                    let bus = self.bus(Some(&key.scope.parent));
                    let mut record = rule_of(found, &bus, &key.name)?.clone();
                    change(&mut record.tags)?;
                    let tags = record.tags.clone();
                    Ok((Some(Record::Rule(record)), tags))
                }
            })
            .await
    }
}
