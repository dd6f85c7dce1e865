//! StartReplay, DescribeReplay, CancelReplay, ListReplays.

use std::sync::Arc;

use lambent_store::events::{Entry, Record, ReplayRecord, ReplayState};
use lambent_wire::Fault;
use serde_json::{Value, json};

use super::archives::archive_of;
use super::shapes::{DESCRIPTION, PAGE_MAX, REPLAY_NAME, REPLAY_STATES, SOURCE_ARN};
use super::{Answer, Call, entry_name, no_bus, not_found, page, seconds, without_nulls};
use crate::names::{BusName, archive_of_arn, replay_arn};
use crate::reader::{ARN, TOKEN, invalid};

pub async fn start(call: Call<'_>) -> Answer {
    let root = call.input.root();
    let name = root.required_text("ReplayName", REPLAY_NAME)?;
    let description = root.text("Description", DESCRIPTION)?;
    let source = root.required_text("EventSourceArn", SOURCE_ARN)?;
    let (from, until) = (root.time("EventStartTime")?, root.time("EventEndTime")?);
    let (from, until) = (root.required("EventStartTime", from), root.required("EventEndTime", until));
    let destination = root.member("Destination")?;
    let (bus, rules) = match &destination {
        Some(destination) => (
            destination.required_text("Arn", ARN)?,
            destination.texts("FilterArns", ARN, (0, usize::MAX))?.unwrap_or_default(),
        ),
        None => (root.required("Destination", None), Vec::new()),
    };
    call.input.finish()?;
    let archive = archive_of_arn(&source).filter(|key| key.scope == call.archive_key("").scope);
    let archive = archive.ok_or_else(|| {
        invalid("Parameter EventSourceArn is not valid. Reason: Must contain an archive ARN.")
    })?;
    let bus = BusName::of_arn(&bus).ok_or_else(|| {
        invalid("Parameter Destination.Arn is not valid. Reason: Must contain an event bus ARN.")
    })?;
    let bus = call.own_bus(Some(&bus.arn()))?;
    if call.bus_record(&bus).is_none() {
        return Err(no_bus(&bus.name));
    }
    let found = call.events.deps.store.get(&archive);
    let kept = archive_of(found.as_ref().map(|entry| &entry.record), &archive.name)?;
    if kept.bus != bus.arn() {
        return Err(invalid(
            "Parameter Destination.Arn is not valid. Reason: Cross event bus replay is not permitted.",
        ));
    }
    if from >= until {
        return Err(invalid(
            "Parameter EventEndTime is not valid. Reason: EventStartTime must be before EventEndTime.",
        ));
    }
    let now = call.events.deps.clock.now();
    let record = ReplayRecord {
        description,
        archive: archive.name.clone(),
        archive_id: kept.id.clone(),
        destination: bus.arn(),
        rules,
        from,
        until,
        state: ReplayState::Starting,
        reason: None,
        after: None,
        started: now,
        ended: None,
    };
    let key = call.replay_key(&name);
    call.events
        .change(&key, |found| match found {
            Some(_) => Err(Fault::new(
                400,
                "ResourceAlreadyExistsException",
                format!("Replay {name} already exists."),
            )),
            None => Ok((Some(Record::Replay(record.clone())), ())),
        })
        .await?;
    Ok(Some(json!({
        "ReplayArn": replay_arn(&key),
        "State": record.state.as_str(),
        "ReplayStartTime": seconds(now),
    })))
}

pub async fn cancel(call: Call<'_>) -> Answer {
    let name = call.input.root().required_text("ReplayName", REPLAY_NAME)?;
    call.input.finish()?;
    let key = call.replay_key(&name);
    call.events
        .change(&key, |found| {
            let mut record = replay_of(found, &name)?.clone();
            if !matches!(record.state, ReplayState::Starting | ReplayState::Running) {
                return Err(Fault::new(
                    400,
                    "IllegalStatusException",
                    format!("Replay {name} is not in a valid state for this operation."),
                ));
            }
            record.state = ReplayState::Cancelling;
            Ok((Some(Record::Replay(record)), ()))
        })
        .await?;
    Ok(Some(json!({ "ReplayArn": replay_arn(&key), "State": ReplayState::Cancelling.as_str() })))
}

fn replay_of<'a>(record: Option<&'a Record>, name: &str) -> Result<&'a ReplayRecord, Fault> {
    match record {
        Some(Record::Replay(replay)) => Ok(replay),
        _ => Err(no_replay(name)),
    }
}

fn no_replay(name: &str) -> Fault {
    not_found(format!("Replay {name} does not exist."))
}

pub async fn describe(call: Call<'_>) -> Answer {
    let name = call.input.root().required_text("ReplayName", REPLAY_NAME)?;
    call.input.finish()?;
    let key = call.replay_key(&name);
    let found = call.events.deps.store.get(&key).ok_or_else(|| no_replay(&name))?;
    let record = replay_of(Some(&found.record), &name)?;
    let mut shown = shown(&found, record);
    shown["ReplayArn"] = replay_arn(&key).into();
    shown["Description"] = record.description.clone().into();
    shown["Destination"] = json!({ "Arn": record.destination });
    if !record.rules.is_empty() {
        shown["Destination"]["FilterArns"] = record.rules.clone().into();
    }
    Ok(Some(without_nulls(shown)))
}

pub async fn list(call: Call<'_>) -> Answer {
    let root = call.input.root();
    let prefix = root.text("NamePrefix", REPLAY_NAME)?;
    let source = root.text("EventSourceArn", SOURCE_ARN)?;
    let state = root.choice("State", REPLAY_STATES)?;
    let token = root.text("NextToken", TOKEN)?;
    let limit = root.number("Limit", 1, PAGE_MAX)?;
    call.input.finish()?;
    if [prefix.is_some(), source.is_some(), state.is_some()].into_iter().filter(|is_given| *is_given).count()
        > 1
    {
        return Err(invalid(
            "At most one filter is allowed for ListReplays. Use either : State, EventSourceArn, or NamePrefix.",
        ));
    }
    let scope = call.replay_key("").scope;
    let is_wanted = |entry: &Arc<Entry>| {
        let Record::Replay(replay) = &entry.record else { return false };
        source.as_ref().is_none_or(|source| *source == archive_arn_of(entry, replay))
            && state.as_deref().is_none_or(|state| state == replay.state.as_str())
    };
    let read = |after: Option<&str>, limit: usize| {
        let store = &call.events.deps.store;
        let all = store.list(&scope, prefix.as_deref().unwrap_or_default(), after, usize::MAX);
        all.into_iter().filter(is_wanted).take(limit).collect()
    };
    let of = format!("events.replays {prefix:?} {source:?} {state:?}");
    let (found, next) = page(&of, token.as_deref(), limit, read, entry_name)?;
    let replays: Vec<Value> = found
        .iter()
        .filter_map(|entry| Some(without_nulls(shown(entry, replay_of(Some(&entry.record), "").ok()?))))
        .collect();
    Ok(Some(without_nulls(json!({ "Replays": replays, "NextToken": next }))))
}

fn archive_arn_of(entry: &Entry, replay: &ReplayRecord) -> String {
    let (account, region) = (&entry.key.scope.account, &entry.key.scope.region);
    format!("arn:aws:events:{region}:{account}:archive/{}", replay.archive)
}

fn shown(entry: &Entry, record: &ReplayRecord) -> Value {
    json!({
        "ReplayName": entry.key.name,
        "EventSourceArn": archive_arn_of(entry, record),
        "State": record.state.as_str(),
        "StateReason": record.reason,
        "EventStartTime": seconds(record.from),
        "EventEndTime": seconds(record.until),
        "EventLastReplayedTime": record.after.as_ref().map(|(time, _)| seconds(*time)),
        "ReplayStartTime": seconds(record.started),
        "ReplayEndTime": record.ended.map(seconds),
    })
}
