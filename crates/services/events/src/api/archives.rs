//! CreateArchive, DeleteArchive, DescribeArchive, ListArchives, UpdateArchive.

use std::sync::Arc;

use lambent_store::archive::Size;
use lambent_store::events::{ArchiveRecord, Entry, Key, Record};
use lambent_wire::Fault;
use serde_json::{Value, json};

use super::put_rule::invalid_pattern;
use super::shapes::{
    ARCHIVE_NAME, ARCHIVE_STATES, DESCRIPTION, EVENT_PATTERN, PAGE_MAX, RETENTION_DAYS_MAX, SOURCE_ARN,
};
use super::{Answer, Call, entry_name, no_bus, not_found, page, seconds, without_nulls};
use crate::names::{BusName, archive_arn};
use crate::reader::{Member, TOKEN, invalid};
use lambent_pattern::Pattern;

/// What an archive wants, checked; one that is empty wants every event.
fn pattern(root: &Member<'_>) -> Result<Option<String>, Fault> {
    root.text("EventPattern", EVENT_PATTERN)
}

fn check_pattern(pattern: Option<&String>) -> Result<(), Fault> {
    match pattern.filter(|text| !text.is_empty()) {
        Some(text) => Pattern::parse(text).map(drop).map_err(|error| invalid_pattern(&error)),
        None => Ok(()),
    }
}

pub async fn create(call: Call<'_>) -> Answer {
    let root = call.input.root();
    let name = root.required_text("ArchiveName", ARCHIVE_NAME)?;
    let source = root.required_text("EventSourceArn", SOURCE_ARN)?;
    let description = root.text("Description", DESCRIPTION)?;
    let pattern = pattern(&root)?;
    let retention_days = root.number("RetentionDays", 0, RETENTION_DAYS_MAX)?.unwrap_or_default();
    call.input.finish()?;
    check_pattern(pattern.as_ref())?;
    let bus = BusName::of_arn(&source).ok_or_else(|| {
        invalid("Parameter EventSourceArn is not valid. Reason: Must contain an event bus ARN.")
    })?;
    let bus = call.own_bus(Some(&bus.arn()))?;
    if call.bus_record(&bus).is_none() {
        return Err(no_bus(&bus.name));
    }
    let key = call.archive_key(&name);
    let (id, now) = (call.events.new_id(), call.events.deps.clock.now());
    let record = ArchiveRecord {
        id,
        bus: bus.arn(),
        description,
        pattern: pattern.filter(|text| !text.is_empty()),
        retention_days,
        created: now,
    };
    call.events
        .change(&key, |found| match found {
            Some(_) => Err(Fault::new(
                400,
                "ResourceAlreadyExistsException",
                format!("Archive {name} already exists."),
            )),
            None => Ok((Some(Record::Archive(record.clone())), ())),
        })
        .await?;
    Ok(Some(made(&key, &record)))
}

pub async fn update(call: Call<'_>) -> Answer {
    let root = call.input.root();
    let name = root.required_text("ArchiveName", ARCHIVE_NAME)?;
    let description = root.text("Description", DESCRIPTION)?;
    let pattern = pattern(&root)?;
    let retention_days = root.number("RetentionDays", 0, RETENTION_DAYS_MAX)?;
    call.input.finish()?;
    check_pattern(pattern.as_ref())?;
    let key = call.archive_key(&name);
    let changed = call
        .events
        .change(&key, |found| {
            let mut record = archive_of(found, &name)?.clone();
            if let Some(description) = &description {
                record.description = Some(description.clone());
            }
            if let Some(pattern) = &pattern {
                record.pattern = Some(pattern.clone()).filter(|text| !text.is_empty());
            }
            record.retention_days = retention_days.unwrap_or(record.retention_days);
            Ok((Some(Record::Archive(record.clone())), record))
        })
        .await?;
    Ok(Some(made(&key, &changed)))
}

fn made(key: &Key, record: &ArchiveRecord) -> Value {
    json!({ "ArchiveArn": archive_arn(key), "State": "ENABLED", "CreationTime": seconds(record.created) })
}

pub fn archive_of<'a>(record: Option<&'a Record>, name: &str) -> Result<&'a ArchiveRecord, Fault> {
    match record {
        Some(Record::Archive(archive)) => Ok(archive),
        _ => Err(not_found(format!("Archive {name} does not exist."))),
    }
}

pub async fn delete(call: Call<'_>) -> Answer {
    let name = call.input.root().required_text("ArchiveName", ARCHIVE_NAME)?;
    call.input.finish()?;
    call.events
        .change(&call.archive_key(&name), |found| archive_of(found, &name).map(|_| (None, ())))
        .await?;
    Ok(Some(json!({})))
}

pub async fn describe(call: Call<'_>) -> Answer {
    let name = call.input.root().required_text("ArchiveName", ARCHIVE_NAME)?;
    call.input.finish()?;
    let key = call.archive_key(&name);
    let found = call.events.deps.store.get(&key);
    let record = archive_of(found.as_ref().map(|entry| &entry.record), &name)?;
    let mut shown = shown(&key, record, call.size(record).await?);
    shown["ArchiveArn"] = archive_arn(&key).into();
    shown["Description"] = record.description.clone().into();
    shown["EventPattern"] = record.pattern.clone().into();
    Ok(Some(without_nulls(shown)))
}

pub async fn list(call: Call<'_>) -> Answer {
    let root = call.input.root();
    let prefix = root.text("NamePrefix", ARCHIVE_NAME)?;
    let source = root.text("EventSourceArn", SOURCE_ARN)?;
    let state = root.choice("State", ARCHIVE_STATES)?;
    let token = root.text("NextToken", TOKEN)?;
    let limit = root.number("Limit", 1, PAGE_MAX)?;
    call.input.finish()?;
    if [prefix.is_some(), source.is_some(), state.is_some()].into_iter().filter(|is_given| *is_given).count()
        > 1
    {
        return Err(invalid(
            "At most one filter is allowed for ListArchives. Use either : State, EventSourceArn, or NamePrefix.",
        ));
    }
    let scope = call.archive_key("").scope;
    let is_wanted = |entry: &Arc<Entry>| {
        matches!(&entry.record, Record::Archive(archive) if source.as_ref().is_none_or(|bus| *bus == archive.bus))
            && state.as_deref().is_none_or(|state| state == "ENABLED")
    };
    let read = |after: Option<&str>, limit: usize| {
        let store = &call.events.deps.store;
        let all = store.list(&scope, prefix.as_deref().unwrap_or_default(), after, usize::MAX);
        all.into_iter().filter(is_wanted).take(limit).collect()
    };
    let of = format!("events.archives {prefix:?} {source:?} {state:?}");
    let (found, next) = page(&of, token.as_deref(), limit, read, entry_name)?;
    let mut archives = Vec::new();
    for entry in &found {
        if let Record::Archive(record) = &entry.record {
            archives.push(shown(&entry.key, record, call.size(record).await?));
        }
    }
    Ok(Some(without_nulls(json!({ "Archives": archives, "NextToken": next }))))
}

fn shown(key: &Key, record: &ArchiveRecord, size: Size) -> Value {
    json!({
        "ArchiveName": key.name,
        "EventSourceArn": record.bus,
        "State": "ENABLED",
        "RetentionDays": record.retention_days,
        "SizeBytes": size.bytes,
        "EventCount": size.events,
        "CreationTime": seconds(record.created),
    })
}

impl Call<'_> {
    async fn size(&self, record: &ArchiveRecord) -> Result<Size, Fault> {
        let size = self.events.deps.archive.size(record.id.clone()).await;
        size.map_err(|error| crate::unavailable(&error.to_string()))
    }
}
