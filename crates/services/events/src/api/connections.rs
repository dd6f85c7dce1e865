//! CreateConnection, DeauthorizeConnection, DeleteConnection, DescribeConnection, ListConnections, UpdateConnection.
//!
//! What is secret in a connection goes in and never comes out: it is in `events.db`, which is its owner's alone to read, and
//! in the requests to endpoints.

use std::sync::Arc;

use lambent_store::events::{AuthKind, ConnectionRecord, ConnectionState, Entry, Key, Kind, Record};
use lambent_wire::Fault;
use serde_json::{Value, json};

use super::connection_auth::{Asked, KINDS, shown_auth};
use super::shapes::{CONNECTIONS_MAX, DESCRIPTION, HTTP_NAME, PAGE_MAX};
use super::{Answer, Call, entry_name, limit_exceeded, not_found, page, seconds, without_nulls};
use crate::names::{connection_arn, connection_secret_arn};
use crate::reader::TOKEN;

/// The states of the model.
const STATES: [&str; 9] = [
    "CREATING",
    "UPDATING",
    "DELETING",
    "AUTHORIZED",
    "DEAUTHORIZED",
    "AUTHORIZING",
    "DEAUTHORIZING",
    "ACTIVE",
    "FAILED_CONNECTIVITY",
];

pub async fn create(call: Call<'_>) -> Answer {
    let root = call.input.root();
    let name = root.required_text("Name", HTTP_NAME)?;
    let description = root.text("Description", DESCRIPTION)?;
    let kind = root.choice("AuthorizationType", KINDS)?;
    root.required("AuthorizationType", kind);
    let asked = Asked::read(&root)?;
    if !asked.has_parameters {
        root.required("AuthParameters", None::<String>);
    }
    call.input.finish()?;
    let auth = asked.auth(None)?;
    let now = call.events.deps.clock.now();
    let kind = auth.kind();
    let record = ConnectionRecord {
        id: call.events.new_id(),
        credentials: call.events.new_id(),
        description,
        state: state_of(kind),
        reason: None,
        kind,
        auth: Some(auth),
        parameters: asked.parameters.unwrap_or_default(),
        created: now,
        modified: now,
        authorized: (kind != AuthKind::OAuth).then_some(now),
    };
    let key = call.own_key(Kind::Connection, &name);
    if call.count(Kind::Connection) >= CONNECTIONS_MAX {
        return Err(limit_exceeded());
    }
    call.events
        .change(&key, |found| match found {
            Some(_) => Err(Fault::new(
                400,
                "ResourceAlreadyExistsException",
                format!("Connection {name} already exists."),
            )),
            None => Ok((Some(Record::Connection(record.clone())), ())),
        })
        .await?;
    Ok(Some(summary(&key, &record)))
}

/// A token is asked for in the background; the other kinds have nothing to be asked.
const fn state_of(kind: AuthKind) -> ConnectionState {
    match kind {
        AuthKind::OAuth => ConnectionState::Authorizing,
        AuthKind::Basic | AuthKind::ApiKey => ConnectionState::Authorized,
    }
}

pub async fn update(call: Call<'_>) -> Answer {
    let root = call.input.root();
    let name = root.required_text("Name", HTTP_NAME)?;
    let description = root.text("Description", DESCRIPTION)?;
    let asked = Asked::read(&root)?;
    call.input.finish()?;
    let (now, credentials) = (call.events.deps.clock.now(), call.events.new_id());
    let key = call.own_key(Kind::Connection, &name);
    let (old, record) = call
        .events
        .change(&key, |found| {
            let old = connection_of(found, &name)?;
            let auth = asked.auth(Some(old))?;
            let kind = auth.kind();
            let record = ConnectionRecord {
                credentials: credentials.clone(),
                description: description.clone().or_else(|| old.description.clone()),
                // Also what has not changed is authorized anew: that is how a connection comes back.
                state: state_of(kind),
                reason: None,
                kind,
                auth: Some(auth),
                parameters: asked.parameters.clone().unwrap_or_else(|| old.parameters.clone()),
                modified: now,
                authorized: if kind == AuthKind::OAuth { old.authorized } else { Some(now) },
                ..old.clone()
            };
            Ok((Some(Record::Connection(record.clone())), (old.credentials.clone(), record)))
        })
        .await?;
    call.events.tokens.forget(&old);
    Ok(Some(summary(&key, &record)))
}

pub async fn deauthorize(call: Call<'_>) -> Answer {
    let name = call.input.root().required_text("Name", HTTP_NAME)?;
    call.input.finish()?;
    let (now, credentials) = (call.events.deps.clock.now(), call.events.new_id());
    let key = call.own_key(Kind::Connection, &name);
    let (old, record) = call
        .events
        .change(&key, |found| {
            let old = connection_of(found, &name)?;
            let record = ConnectionRecord {
                credentials: credentials.clone(),
                state: ConnectionState::Deauthorized,
                reason: None,
                auth: None,
                modified: now,
                ..old.clone()
            };
            Ok((Some(Record::Connection(record.clone())), (old.credentials.clone(), record)))
        })
        .await?;
    call.events.tokens.forget(&old);
    Ok(Some(summary(&key, &record)))
}

pub async fn delete(call: Call<'_>) -> Answer {
    let name = call.input.root().required_text("Name", HTTP_NAME)?;
    call.input.finish()?;
    let key = call.own_key(Kind::Connection, &name);
    let record = call
        .events
        .change(&key, |found| connection_of(found, &name).map(|record| (None, record.clone())))
        .await?;
    call.events.tokens.forget(&record.credentials);
    let mut answer = summary(&key, &record);
    answer["ConnectionState"] = "DELETING".into();
    Ok(Some(answer))
}

pub async fn describe(call: Call<'_>) -> Answer {
    let name = call.input.root().required_text("Name", HTTP_NAME)?;
    call.input.finish()?;
    let key = call.own_key(Kind::Connection, &name);
    let found = call.events.deps.store.get(&key);
    let record = connection_of(found.as_ref().map(|entry| &entry.record), &name)?;
    let mut answer = shown(&key, record);
    answer["Description"] = record.description.clone().into();
    answer["AuthParameters"] = shown_auth(record);
    if record.auth.is_some() {
        answer["SecretArn"] = connection_secret_arn(&key, &record.id).into();
    }
    Ok(Some(without_nulls(answer)))
}

pub async fn list(call: Call<'_>) -> Answer {
    let root = call.input.root();
    let prefix = root.text("NamePrefix", HTTP_NAME)?;
    let state = root.choice("ConnectionState", &STATES)?;
    let token = root.text("NextToken", TOKEN)?;
    let limit = root.number("Limit", 1, PAGE_MAX)?;
    call.input.finish()?;
    let scope = call.own_key(Kind::Connection, "").scope;
    let is_wanted = |entry: &Arc<Entry>| {
        matches!(&entry.record, Record::Connection(record)
            if state.as_deref().is_none_or(|state| state == record.state.as_str()))
    };
    let read = |after: Option<&str>, limit: usize| {
        let all =
            call.events.deps.store.list(&scope, prefix.as_deref().unwrap_or_default(), after, usize::MAX);
        all.into_iter().filter(is_wanted).take(limit).collect()
    };
    let of = format!("events.connections {prefix:?} {state:?}");
    let (found, next) = page(&of, token.as_deref(), limit, read, entry_name)?;
    let connections: Vec<Value> = found
        .iter()
        .filter_map(|entry| match &entry.record {
            Record::Connection(record) => Some(without_nulls(shown(&entry.key, record))),
            _ => None,
        })
        .collect();
    Ok(Some(without_nulls(json!({ "Connections": connections, "NextToken": next }))))
}

pub fn connection_of<'a>(record: Option<&'a Record>, name: &str) -> Result<&'a ConnectionRecord, Fault> {
    match record {
        Some(Record::Connection(connection)) => Ok(connection),
        _ => Err(not_found(format!(
            "Failed to describe the connection(s). Connection '{name}' does not exist."
        ))),
    }
}

fn summary(key: &Key, record: &ConnectionRecord) -> Value {
    without_nulls(json!({
        "ConnectionArn": connection_arn(key, &record.id),
        "ConnectionState": record.state.as_str(),
        "CreationTime": seconds(record.created),
        "LastModifiedTime": seconds(record.modified),
        "LastAuthorizedTime": record.authorized.map(seconds),
    }))
}

fn shown(key: &Key, record: &ConnectionRecord) -> Value {
    let mut shown = summary(key, record);
    shown["Name"] = key.name.clone().into();
    shown["StateReason"] = record.reason.clone().into();
    shown["AuthorizationType"] = record.kind.as_str().into();
    shown
}

impl Call<'_> {
    /// How many there are of a kind of the caller's.
    pub(super) fn count(&self, kind: Kind) -> usize {
        self.events.deps.store.list(&self.own_key(kind, "").scope, "", None, usize::MAX).len()
    }
}
