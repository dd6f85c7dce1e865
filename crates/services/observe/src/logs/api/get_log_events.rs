//! GetLogEvents: one stream, page by page, in both directions.

use lambent_core::time::Timestamp;
use lambent_store::logs::{Direction, Position, ReadQuery, StoredEvent, StreamKey, Streams};
use serde::Serialize;

use super::groups::{named_by, take_reference};
use super::limits::{EVENTS_MAX, PAGE_BYTES_MAX, STREAM_NAME, TOKEN};
use super::{Answer, Call, fault, json, store_fault};
use crate::logs::token;

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Page<'a> {
    events: Vec<Event<'a>>,
    next_forward_token: String,
    next_backward_token: String,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Event<'a> {
    timestamp: u64,
    message: &'a str,
    ingestion_time: u64,
}

pub async fn answer(mut call: Call<'_>) -> Answer {
    let reference = take_reference(&mut call)?;
    let stream = call.input.required_text("logStreamName", STREAM_NAME)?;
    let start = call.input.time("startTime")?.unwrap_or(0);
    let end = call.input.time("endTime")?;
    let token = call.input.text("nextToken", TOKEN)?;
    let limit = call.input.number("limit", 1, EVENTS_MAX)?.unwrap_or(EVENTS_MAX);
    let from_head = call.input.flag("startFromHead")?.unwrap_or(false);
    let unmask = call.input.flag("unmask")?;
    call.input.finish()?;
    if unmask == Some(true) {
        return Err(fault::unsupported_value("unmask", "true"));
    }
    let given = match &token {
        Some(token) => Some(token::read_directed(token).ok_or_else(fault::bad_token)?),
        None => None,
    };
    let key = call.group_key(&named_by(&call, reference)?);
    let group = call.flushed_group(&key).await?;
    let stream_key = StreamKey { group: key.clone(), name: stream.as_str().into() };
    if call.logs.store.stream(&stream_key).await.map_err(store_fault)?.is_none() {
        return Err(fault::no_stream());
    }

    let from = Position::at(Timestamp::from_millis(start).max(call.expiry(&group)));
    let until = end.map_or(Position::LAST, |end| Position::at(Timestamp::from_millis(end)));
    let (direction, cut) =
        given.unwrap_or(if from_head { (Direction::Forward, from) } else { (Direction::Backward, until) });
    let (low, high) = match direction {
        Direction::Forward => (from.max(cut), until),
        Direction::Backward => (from, until.min(cut)),
    };
    let query = ReadQuery {
        group: key,
        streams: Streams::Named(vec![stream_key.name.clone()]),
        from: low,
        until: high,
        direction,
        events_max: usize::try_from(limit).unwrap_or(1),
        bytes_max: PAGE_BYTES_MAX,
    };
    let events = call.logs.store.read(query).await.map_err(store_fault)?.events;
    let (backward, forward) = cuts(&events, given.map(|(_, cut)| cut), from);
    json(&Page {
        events: events.iter().map(event).collect(),
        next_forward_token: token::write_directed(Direction::Forward, forward),
        next_backward_token: token::write_directed(Direction::Backward, backward),
    })
}

/// Where to read on, before and behind the page. An empty page moves nothing: the caller's own token comes
/// back, which is how clients know the end; without one, whatever comes later lies behind.
fn cuts(events: &[StoredEvent], given: Option<Position>, from: Position) -> (Position, Position) {
    match (events.first(), events.last()) {
        (Some(first), Some(last)) => (first.position, last.position.next()),
        _ => (given.unwrap_or(from), given.unwrap_or(from)),
    }
}

fn event(event: &StoredEvent) -> Event<'_> {
    Event {
        timestamp: event.time().as_millis(),
        message: &event.text,
        ingestion_time: event.ingested.as_millis(),
    }
}
