//! CreateApiDestination, DeleteApiDestination, DescribeApiDestination, ListApiDestinations, UpdateApiDestination.

use std::sync::Arc;

use lambent_store::events::{ConnectionState, DestinationRecord, Entry, Key, Kind, Record};
use lambent_wire::Fault;
use serde_json::{Value, json};

use super::shapes::{
    API_DESTINATIONS_MAX, CONNECTION_ARN, DESCRIPTION, ENDPOINT, HTTP_METHODS, HTTP_NAME, PAGE_MAX, RATE_MAX,
};
use super::{Answer, Call, entry_name, limit_exceeded, not_found, page, seconds, without_nulls};
use crate::http::{RATE_DEFAULT, is_endpoint};
use crate::names::{api_destination_arn, connection_of_arn};
use crate::reader::{Member, TOKEN, invalid};

struct Asked {
    description: Option<String>,
    connection: Option<String>,
    endpoint: Option<String>,
    method: Option<String>,
    per_second: Option<u32>,
}

fn read(root: &Member<'_>) -> Result<Asked, Fault> {
    Ok(Asked {
        description: root.text("Description", DESCRIPTION)?,
        connection: root.text("ConnectionArn", CONNECTION_ARN)?,
        endpoint: root.text("InvocationEndpoint", ENDPOINT)?,
        method: root.choice("HttpMethod", HTTP_METHODS)?,
        per_second: root.number("InvocationRateLimitPerSecond", 1, RATE_MAX)?,
    })
}

impl Call<'_> {
    fn check(&self, asked: &Asked) -> Result<(), Fault> {
        if asked.endpoint.as_deref().is_some_and(|endpoint| !is_endpoint(endpoint)) {
            return Err(invalid(
                "Parameter InvocationEndpoint is not valid. Reason: It is not an HTTPS endpoint.",
            ));
        }
        match &asked.connection {
            Some(arn) if self.connection_state(arn).is_none() => {
                Err(not_found(format!("Connection '{arn}' does not exist.")))
            }
            _ => Ok(()),
        }
    }

    /// Of a connection of the caller's.
    fn connection_state(&self, arn: &str) -> Option<ConnectionState> {
        let (key, id) = connection_of_arn(arn)?;
        if key.scope != self.own_key(Kind::Connection, "").scope {
            return None;
        }
        match &self.events.deps.store.get(&key)?.record {
            Record::Connection(record) if record.id == id => Some(record.state),
            _ => None,
        }
    }

    fn summary(&self, key: &Key, record: &DestinationRecord) -> Value {
        let is_active = self.connection_state(&record.connection) == Some(ConnectionState::Authorized);
        json!({
            "ApiDestinationArn": api_destination_arn(key, &record.id),
            "ApiDestinationState": if is_active { "ACTIVE" } else { "INACTIVE" },
            "CreationTime": seconds(record.created),
            "LastModifiedTime": seconds(record.modified),
        })
    }

    fn shown(&self, key: &Key, record: &DestinationRecord) -> Value {
        let mut shown = self.summary(key, record);
        shown["Name"] = key.name.clone().into();
        shown["ConnectionArn"] = record.connection.clone().into();
        shown["InvocationEndpoint"] = record.endpoint.clone().into();
        shown["HttpMethod"] = record.method.clone().into();
        shown["InvocationRateLimitPerSecond"] = record.per_second.into();
        shown
    }
}

pub async fn create(call: Call<'_>) -> Answer {
    let root = call.input.root();
    let name = root.required_text("Name", HTTP_NAME)?;
    let asked = read(&root)?;
    for (member, given) in [
        ("ConnectionArn", &asked.connection),
        ("InvocationEndpoint", &asked.endpoint),
        ("HttpMethod", &asked.method),
    ] {
        root.required(member, given.clone());
    }
    call.input.finish()?;
    call.check(&asked)?;
    let now = call.events.deps.clock.now();
    let record = DestinationRecord {
        id: call.events.new_id(),
        description: asked.description,
        connection: asked.connection.unwrap_or_default(),
        endpoint: asked.endpoint.unwrap_or_default(),
        method: asked.method.unwrap_or_default(),
        per_second: asked.per_second.unwrap_or(RATE_DEFAULT),
        created: now,
        modified: now,
    };
    let key = call.own_key(Kind::Destination, &name);
    if call.count(Kind::Destination) >= API_DESTINATIONS_MAX {
        return Err(limit_exceeded());
    }
    call.events
        .change(&key, |found| match found {
            Some(_) => Err(Fault::new(
                400,
                "ResourceAlreadyExistsException",
                format!("An api-destination '{name}' already exists."),
            )),
            None => Ok((Some(Record::Destination(record.clone())), ())),
        })
        .await?;
    Ok(Some(call.summary(&key, &record)))
}

pub async fn update(call: Call<'_>) -> Answer {
    let root = call.input.root();
    let name = root.required_text("Name", HTTP_NAME)?;
    let asked = read(&root)?;
    call.input.finish()?;
    call.check(&asked)?;
    let (key, now) = (call.own_key(Kind::Destination, &name), call.events.deps.clock.now());
    let record = call
        .events
        .change(&key, |found| {
            let old = destination_of(found, &name)?.clone();
            let or = |asked: &Option<String>, old: String| asked.clone().unwrap_or(old);
            let record = DestinationRecord {
                description: asked.description.clone().or(old.description),
                connection: or(&asked.connection, old.connection),
                endpoint: or(&asked.endpoint, old.endpoint),
                method: or(&asked.method, old.method),
                per_second: asked.per_second.unwrap_or(old.per_second),
                modified: now,
                ..old
            };
            Ok((Some(Record::Destination(record.clone())), record))
        })
        .await?;
    Ok(Some(call.summary(&key, &record)))
}

pub async fn delete(call: Call<'_>) -> Answer {
    let name = call.input.root().required_text("Name", HTTP_NAME)?;
    call.input.finish()?;
    let key = call.own_key(Kind::Destination, &name);
    call.events.change(&key, |found| destination_of(found, &name).map(|_| (None, ()))).await?;
    Ok(Some(json!({})))
}

pub async fn describe(call: Call<'_>) -> Answer {
    let name = call.input.root().required_text("Name", HTTP_NAME)?;
    call.input.finish()?;
    let key = call.own_key(Kind::Destination, &name);
    let found = call.events.deps.store.get(&key);
    let record = destination_of(found.as_ref().map(|entry| &entry.record), &name)?;
    let mut answer = call.shown(&key, record);
    answer["Description"] = record.description.clone().into();
    Ok(Some(without_nulls(answer)))
}

pub async fn list(call: Call<'_>) -> Answer {
    let root = call.input.root();
    let prefix = root.text("NamePrefix", HTTP_NAME)?;
    let connection = root.text("ConnectionArn", CONNECTION_ARN)?;
    let token = root.text("NextToken", TOKEN)?;
    let limit = root.number("Limit", 1, PAGE_MAX)?;
    call.input.finish()?;
    let scope = call.own_key(Kind::Destination, "").scope;
    let is_wanted = |entry: &Arc<Entry>| {
        matches!(&entry.record, Record::Destination(record)
            if connection.as_ref().is_none_or(|connection| *connection == record.connection))
    };
    let read = |after: Option<&str>, limit: usize| {
        let all =
            call.events.deps.store.list(&scope, prefix.as_deref().unwrap_or_default(), after, usize::MAX);
        all.into_iter().filter(is_wanted).take(limit).collect()
    };
    let of = format!("events.api-destinations {prefix:?} {connection:?}");
    let (found, next) = page(&of, token.as_deref(), limit, read, entry_name)?;
    let shown: Vec<Value> = found
        .iter()
        .filter_map(|entry| match &entry.record {
            Record::Destination(record) => Some(call.shown(&entry.key, record)),
            _ => None,
        })
        .collect();
    Ok(Some(without_nulls(json!({ "ApiDestinations": shown, "NextToken": next }))))
}

fn destination_of<'a>(record: Option<&'a Record>, name: &str) -> Result<&'a DestinationRecord, Fault> {
    match record {
        Some(Record::Destination(destination)) => Ok(destination),
        _ => Err(not_found(format!(
            "Failed to describe the api-destination(s). An api-destination '{name}' does not exist."
        ))),
    }
}
