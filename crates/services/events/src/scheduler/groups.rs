//! CreateScheduleGroup, DeleteScheduleGroup, GetScheduleGroup, ListScheduleGroups.

use lambent_core::time::Timestamp;
use lambent_store::StoreError;
use lambent_store::events::{Command, Entry, GroupRecord, Key, Kind, Record};
use serde_json::{Value, json};

use super::{Answer, CLIENT_TOKEN, Call, NAME, conflict, group_arn, group_of, no_group, tags};
use crate::api::{entry_name, page, seconds, without_nulls};
use crate::names::DEFAULT;
use crate::reader::invalid;

pub async fn create(call: Call<'_>) -> Answer {
    let name = call.name();
    let root = call.input.root();
    let tags = tags::read(&root)?;
    let token = root.text("ClientToken", CLIENT_TOKEN)?;
    call.input.finish()?;
    let now = call.events.deps.clock.now();
    let record = GroupRecord { tags, client_token: token, created: now, modified: now };
    let key = call.group_key(&name);
    call.events
        .change(&key, |found| match group_of(found, &name) {
            // The same request once more.
            Some(old) if old.client_token.is_some() && old.client_token == record.client_token => {
                Ok((found.cloned(), ()))
            }
            Some(_) => Err(conflict(format!("Schedule group {name} already exists."))),
            None => Ok((Some(Record::Group(record.clone())), ())),
        })
        .await?;
    Ok(json!({ "ScheduleGroupArn": group_arn(&key) }))
}

/// Deletes the group with all of its schedules, in one commit.
pub async fn delete(call: Call<'_>) -> Answer {
    let name = call.name();
    call.query("clientToken", "clientToken", CLIENT_TOKEN);
    call.input.finish()?;
    if name == DEFAULT {
        return Err(invalid("The default schedule group can't be deleted."));
    }
    let store = &call.events.deps.store;
    for _ in 0..crate::ATTEMPTS_MAX {
        let group = store.get(&call.group_key(&name)).ok_or_else(|| no_group(&name))?;
        let schedules = store.list(&call.scope(Kind::Schedule, &name), "", None, usize::MAX);
        let delete = |entry: &std::sync::Arc<Entry>| Command::Delete {
            key: entry.key.clone(),
            generation: entry.generation,
        };
        match store.apply(schedules.iter().chain([&group]).map(delete).collect()).await {
            Ok(()) => {
                schedules.iter().for_each(|entry| call.events.changed(&entry.key));
                return Ok(json!({}));
            }
            Err(StoreError::Conflict) => {}
            Err(StoreError::Unavailable { detail }) => return Err(crate::unavailable(&detail)),
        }
    }
    Err(conflict(format!("Schedule group {name} is being changed.")))
}

pub async fn get(call: Call<'_>) -> Answer {
    let name = call.name();
    call.input.finish()?;
    let group = call.group(&name)?;
    Ok(shown(&call.group_key(&name), &group))
}

pub async fn list(call: Call<'_>) -> Answer {
    let prefix = call.query("NamePrefix", "namePrefix", NAME).unwrap_or_default();
    let (token, limit) = call.page_query()?;
    call.input.finish()?;
    let read = |after: Option<&str>, limit| {
        let mut found = call.events.deps.store.list(&call.scope(Kind::Group, ""), &prefix, after, limit);
        let is_wanted = DEFAULT.starts_with(&prefix) && after.is_none_or(|after| after < DEFAULT);
        // The default group stands in its place among the others, recorded or not.
        if is_wanted && found.iter().all(|entry| entry.key.name != DEFAULT) {
            let record = Record::Group(GroupRecord::default());
            found.push(Entry { key: call.group_key(DEFAULT), generation: 0, record }.into());
            found.sort_by(|a, b| a.key.cmp(&b.key));
            found.truncate(limit);
        }
        found
    };
    let scope = format!("scheduler.groups {prefix}");
    let (found, next) = page(&scope, token.as_deref(), limit, read, entry_name)?;
    let groups: Vec<Value> = found
        .iter()
        .filter_map(|entry| {
            group_of(Some(&entry.record), &entry.key.name).map(|group| shown(&entry.key, &group))
        })
        .collect();
    Ok(without_nulls(json!({ "ScheduleGroups": groups, "NextToken": next })))
}

fn shown(key: &Key, group: &GroupRecord) -> Value {
    // The default group has been there for ever: nobody made it.
    let time = |time: Timestamp| (time.as_millis() > 0).then(|| seconds(time));
    without_nulls(json!({
        "Arn": group_arn(key),
        "Name": key.name,
        "State": "ACTIVE",
        "CreationDate": time(group.created),
        "LastModificationDate": time(group.modified),
    }))
}
