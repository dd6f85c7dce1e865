//! CreateSchedule, UpdateSchedule, GetSchedule, DeleteSchedule, ListSchedules.

use std::sync::Arc;

use lambent_store::events::{Entry, Kind, Record, ScheduleRecord, ScheduleTargetRecord};
use lambent_wire::Fault;
use serde_json::{Value, json};

use super::{Answer, CLIENT_TOKEN, Call, NAME, conflict, read, schedule_arn};
use crate::api::{page, seconds, without_nulls};
use crate::names::DEFAULT;

pub async fn create(call: Call<'_>) -> Answer {
    let name = call.name();
    let (id, now) = (call.events.new_id(), call.events.deps.clock.now());
    let (group, record) = read::schedule(&call, id, now)?;
    call.group(&group)?;
    let key = call.schedule_key(&group, &name);
    call.events
        .change(&key, |found| match found {
            // The same request once more.
            Some(Record::Schedule(old))
                if old.client_token.is_some() && old.client_token == record.client_token =>
            {
                Ok((found.cloned(), ()))
            }
            Some(_) => Err(conflict(format!("Schedule {name} already exists."))),
            None => Ok((Some(Record::Schedule(record.clone())), ())),
        })
        .await?;
    Ok(json!({ "ScheduleArn": schedule_arn(&key) }))
}

pub async fn update(call: Call<'_>) -> Answer {
    let name = call.name();
    let (id, now) = (call.events.new_id(), call.events.deps.clock.now());
    let (group, asked) = read::schedule(&call, id, now)?;
    let key = call.schedule_key(&group, &name);
    call.events
        .change(&key, |found| {
            let Some(Record::Schedule(old)) = found else { return Err(no_schedule(&name)) };
            let goes_on = old.is_enabled
                && asked.is_enabled
                && (&old.expression, &old.zone, old.start) == (&asked.expression, &asked.zone, asked.start);
            let changed = ScheduleRecord {
                id: old.id.clone(),
                created: old.created,
                client_token: old.client_token.clone(),
                since: if goes_on { old.since } else { asked.since },
                ..asked.clone()
            };
            Ok((Some(Record::Schedule(changed)), ()))
        })
        .await?;
    Ok(json!({ "ScheduleArn": schedule_arn(&key) }))
}

fn no_schedule(name: &str) -> Fault {
    Fault::new(404, "ResourceNotFoundException", format!("Schedule {name} does not exist."))
}

pub async fn delete(call: Call<'_>) -> Answer {
    let name = call.name();
    let group = call.query("groupName", "groupName", NAME).unwrap_or_else(|| DEFAULT.to_owned());
    // Deleting twice fails as deleting nothing does, token or not.
    call.query("clientToken", "clientToken", CLIENT_TOKEN);
    call.input.finish()?;
    call.events
        .change(&call.schedule_key(&group, &name), |found| match found {
            Some(_) => Ok((None, json!({}))),
            None => Err(no_schedule(&name)),
        })
        .await
}

pub async fn get(call: Call<'_>) -> Answer {
    let name = call.name();
    let group = call.query("groupName", "groupName", NAME).unwrap_or_else(|| DEFAULT.to_owned());
    call.input.finish()?;
    let key = call.schedule_key(&group, &name);
    let found = call.events.deps.store.get(&key).ok_or_else(|| no_schedule(&name))?;
    let Record::Schedule(record) = &found.record else { return Err(no_schedule(&name)) };
    let window = match record.window_minutes {
        Some(minutes) => json!({ "Mode": "FLEXIBLE", "MaximumWindowInMinutes": minutes }),
        None => json!({ "Mode": "OFF" }),
    };
    Ok(without_nulls(json!({
        "Arn": schedule_arn(&key),
        "GroupName": group,
        "Name": name,
        "ScheduleExpression": record.expression,
        "ScheduleExpressionTimezone": record.zone,
        "StartDate": record.start.map(seconds),
        "EndDate": record.end.map(seconds),
        "Description": record.description,
        "State": state(record),
        "FlexibleTimeWindow": window,
        "ActionAfterCompletion": if record.deletes_itself { "DELETE" } else { "NONE" },
        "CreationDate": seconds(record.created),
        "LastModificationDate": seconds(record.modified),
        "Target": target(&record.target),
    })))
}

fn state(record: &ScheduleRecord) -> &'static str {
    if record.is_enabled { "ENABLED" } else { "DISABLED" }
}

fn target(target: &ScheduleTargetRecord) -> Value {
    // The reference fills in what holds when nobody says.
    let retry = json!({
        "MaximumEventAgeInSeconds": target.retry.age_secs_max.unwrap_or(crate::api::shapes::EVENT_AGE_SECS_MAX),
        "MaximumRetryAttempts": target.retry.attempts_max.unwrap_or(crate::api::shapes::RETRY_ATTEMPTS_MAX),
    });
    let event = target.event.as_ref();
    without_nulls(json!({
        "Arn": target.arn,
        "RoleArn": target.role,
        "Input": target.input,
        "RetryPolicy": retry,
        "DeadLetterConfig": target.dead_letter.as_ref().map(|arn| json!({ "Arn": arn })),
        "SqsParameters": target.message_group.as_ref().map(|group| json!({ "MessageGroupId": group })),
        "EventBridgeParameters": event.map(|(source, kind)| json!({ "Source": source, "DetailType": kind })),
    }))
}

pub async fn list(call: Call<'_>) -> Answer {
    let group = call.query("ScheduleGroup", "groupName", NAME);
    let prefix = call.query("NamePrefix", "namePrefix", NAME).unwrap_or_default();
    let wanted = call.request.query_value("State");
    if let Some(state) = wanted {
        call.input.check().check_enum("state", state, &["ENABLED", "DISABLED"]);
    }
    let (token, limit) = call.page_query()?;
    call.input.finish()?;
    if let Some(group) = &group {
        call.group(group)?;
    }
    let scope = call.scope(Kind::Schedule, "");
    // A place in the list is a group and a name.
    let place = |entry: &Arc<Entry>| format!("{}/{}", entry.key.scope.parent, entry.key.name);
    let is_wanted = |entry: &Arc<Entry>| {
        let found = &entry.key.scope;
        (&found.account, &found.region) == (&scope.account, &scope.region)
            && group.as_ref().is_none_or(|group| *group == found.parent)
            && entry.key.name.starts_with(&prefix)
            && matches!(&entry.record, Record::Schedule(record) if wanted.is_none_or(|state_| state(record) == state_))
    };
    let read = |after: Option<&str>, limit: usize| {
        let all = call.events.deps.store.all(Kind::Schedule).into_iter().filter(is_wanted);
        let mut all: Vec<(String, Arc<Entry>)> = all.map(|entry| (place(&entry), entry)).collect();
        all.sort_by(|(a, _), (b, _)| a.cmp(b));
        all.retain(|(place, _)| after.is_none_or(|after| place.as_str() > after));
        all.truncate(limit);
        all
    };
    let of = format!(
        "scheduler.schedules {} {prefix} {}",
        group.as_deref().unwrap_or("/"),
        wanted.unwrap_or_default()
    );
    let (found, next) = page(&of, token.as_deref(), limit, read, |(place, _)| place)?;
    let schedules: Vec<Value> = found.iter().filter_map(|(_, entry)| summary(entry)).collect();
    Ok(without_nulls(json!({ "Schedules": schedules, "NextToken": next })))
}

fn summary(entry: &Entry) -> Option<Value> {
    let Record::Schedule(record) = &entry.record else { return None };
    Some(json!({
        "Arn": schedule_arn(&entry.key),
        "Name": entry.key.name,
        "GroupName": entry.key.scope.parent,
        "State": state(record),
        "CreationDate": seconds(record.created),
        "LastModificationDate": seconds(record.modified),
        "Target": { "Arn": record.target.arn },
    }))
}
