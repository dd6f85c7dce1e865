//! CreateEventBus, DeleteEventBus, DescribeEventBus, ListEventBuses, UpdateEventBus.

use lambent_store::events::{BusRecord, Entry, Record};
use lambent_wire::Fault;
use serde_json::{Value, json};

use super::shapes::{BUS, BUS_NAME, DESCRIPTION, PAGE_MAX};
use super::{Answer, Call, bus_of, entry_name, no_bus, page, seconds, tags, without_nulls};
use crate::names::{BusName, DEFAULT};
use crate::reader::{TOKEN, invalid};

pub async fn create(call: Call<'_>) -> Answer {
    let root = call.input.root();
    let name = root.required_text("Name", BUS_NAME)?;
    let description = root.text("Description", DESCRIPTION)?;
    let tags = tags::read(&root)?;
    call.input.finish()?;
    if name.contains('/') {
        return Err(invalid("Event bus name must not contain '/'."));
    }
    let bus = call.bus(Some(&name));
    let now = call.events.deps.clock.now();
    let record =
        BusRecord { description: description.clone(), tags, policy: None, created: now, modified: now };
    call.events
        .change(&bus.key(), |found| match bus_of(found, &name) {
            Some(_) => Err(Fault::new(
                400,
                "ResourceAlreadyExistsException",
                format!("Event bus {name} already exists."),
            )),
            None => Ok((Some(Record::Bus(record.clone())), ())),
        })
        .await?;
    Ok(Some(without_nulls(json!({ "EventBusArn": bus.arn(), "Description": description }))))
}

pub async fn update(call: Call<'_>) -> Answer {
    let root = call.input.root();
    let name = root.text("Name", BUS_NAME)?;
    let description = root.text("Description", DESCRIPTION)?;
    call.input.finish()?;
    let bus = call.own_bus(name.as_deref())?;
    let now = call.events.deps.clock.now();
    let changed = call
        .events
        .change(&bus.key(), |found| {
            let mut record = bus_of(found, &bus.name).ok_or_else(|| no_bus(&bus.name))?;
            if let Some(description) = &description {
                record.description = Some(description.clone());
                record.modified = now;
            }
            Ok((Some(Record::Bus(record.clone())), record))
        })
        .await?;
    Ok(Some(without_nulls(json!({ "Arn": bus.arn(), "Name": bus.name, "Description": changed.description }))))
}

pub async fn delete(call: Call<'_>) -> Answer {
    let name = call.input.root().required_text("Name", BUS_NAME)?;
    call.input.finish()?;
    let bus = call.bus(Some(&name));
    if bus.name == DEFAULT {
        return Err(invalid("Cannot delete event bus default."));
    }
    if !call.events.deps.store.list(&bus.rules(), "", None, 1).is_empty() {
        return Err(invalid(format!("Event bus {name} has rules. Delete them first.")));
    }
    call.events.change(&bus.key(), |_| Ok((None, ()))).await?;
    Ok(None)
}

pub async fn describe(call: Call<'_>) -> Answer {
    let name = call.input.root().text("Name", BUS)?;
    call.input.finish()?;
    let bus = call.own_bus(name.as_deref())?;
    let record = call.bus_record(&bus).ok_or_else(|| no_bus(&bus.name))?;
    Ok(Some(shown(&bus, &record)))
}

pub async fn list(call: Call<'_>) -> Answer {
    let root = call.input.root();
    let prefix = root.text("NamePrefix", BUS_NAME)?.unwrap_or_default();
    let token = root.text("NextToken", TOKEN)?;
    let limit = root.number("Limit", 1, PAGE_MAX)?;
    call.input.finish()?;
    let scope = call.bus(None).key().scope;
    let read = |after: Option<&str>, limit| {
        let mut found = call.events.deps.store.list(&scope, &prefix, after, limit);
        let is_wanted = DEFAULT.starts_with(&prefix) && after.is_none_or(|after| after < DEFAULT);
        // The default bus stands in its place among the others, recorded or not.
        if is_wanted && found.iter().all(|entry| entry.key.name != DEFAULT) {
            let record = Record::Bus(BusRecord::default());
            found.push(Entry { key: call.bus(None).key(), generation: 0, record }.into());
            found.sort_by(|a, b| a.key.cmp(&b.key));
            found.truncate(limit);
        }
        found
    };
    let (found, next) = page(&format!("events.buses {prefix}"), token.as_deref(), limit, read, entry_name)?;
    let buses: Vec<Value> = found
        .iter()
        .filter_map(|entry| {
            let bus = call.bus(Some(&entry.key.name));
            bus_of(Some(&entry.record), &bus.name).map(|record| shown(&bus, &record))
        })
        .collect();
    Ok(Some(without_nulls(json!({ "EventBuses": buses, "NextToken": next }))))
}

fn shown(bus: &BusName, record: &BusRecord) -> Value {
    // The default bus has been there for ever: nobody made it.
    let time = |time: lambent_core::Timestamp| (time.as_millis() > 0).then(|| seconds(time));
    without_nulls(json!({
        "Name": bus.name,
        "Arn": bus.arn(),
        "Description": record.description,
        "Policy": record.policy,
        "CreationTime": time(record.created),
        "LastModifiedTime": time(record.modified),
    }))
}
