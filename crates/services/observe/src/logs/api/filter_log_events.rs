//! FilterLogEvents: the streams of a group, in the order of time, through a filter pattern.

use std::sync::Arc;

use lambent_core::time::Timestamp;
use lambent_store::StoreError;
use lambent_store::logs::{Direction, GroupKey, Position, ReadQuery, StoredEvent, StreamKey, Streams};
use lambent_wire::Fault;
use serde::Serialize;

use super::groups::{named_by, take_reference};
use super::limits::{
    EVENTS_MAX, FILTER_PATTERN, FILTER_SCAN_BYTES_MAX, FILTER_STREAMS_MAX, PAGE_BYTES_MAX, STREAM_NAME, TOKEN,
};
use super::{Answer, Call, fault, json, store_fault};
use crate::logs::filter::Filter;
use crate::logs::token;

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Page {
    events: Vec<Event>,
    /// Empty since 2020; the reference kept the member.
    searched_log_streams: [(); 0],
    #[serde(skip_serializing_if = "Option::is_none")]
    next_token: Option<String>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Event {
    log_stream_name: Arc<str>,
    timestamp: u64,
    message: String,
    ingestion_time: u64,
    event_id: String,
}

pub async fn answer(mut call: Call<'_>) -> Answer {
    let reference = take_reference(&mut call)?;
    let names = call.input.texts("logStreamNames", STREAM_NAME, (1, FILTER_STREAMS_MAX))?;
    let prefix = call.input.text("logStreamNamePrefix", STREAM_NAME)?;
    let start = call.input.time("startTime")?.unwrap_or(0);
    let end = call.input.time("endTime")?;
    let pattern = call.input.text("filterPattern", FILTER_PATTERN)?.unwrap_or_default();
    let token = call.input.text("nextToken", TOKEN)?;
    let limit = call.input.number("limit", 1, EVENTS_MAX)?.unwrap_or(EVENTS_MAX);
    // The reference reads this and interleaves whatever it says.
    call.input.flag("interleaved")?;
    let unmask = call.input.flag("unmask")?;
    call.input.finish()?;
    if unmask == Some(true) {
        return Err(fault::unsupported_value("unmask", "true"));
    }
    if names.is_some() && prefix.is_some() {
        return Err(fault::invalid(
            "LogStream names and LogStream name prefix are mutually exclusive parameters.",
        ));
    }
    let filter = Filter::parse(&pattern).map_err(|error| fault::invalid(error.to_string()))?;
    let cut = match token {
        Some(token) => token::read(&token).ok_or_else(fault::bad_token)?,
        None => Position::FIRST,
    };
    let key = call.group_key(&named_by(&call, reference)?);
    let group = call.flushed_group(&key).await?;
    let streams = match (names, prefix) {
        (Some(names), _) => Streams::Named(existing(&call, &key, names).await?),
        (None, Some(prefix)) => Streams::Prefixed(prefix),
        (None, None) => Streams::All,
    };
    let from = Position::at(Timestamp::from_millis(start).max(call.expiry(&group)));
    let query = ReadQuery {
        group: key,
        streams,
        from: from.max(cut),
        // Events at the end time belong to the answer, other than with GetLogEvents.
        until: end.map_or(Position::LAST, |end| Position::at(Timestamp::from_millis(end.saturating_add(1)))),
        direction: Direction::Forward,
        events_max: EVENTS_MAX as usize,
        bytes_max: PAGE_BYTES_MAX,
    };
    let (events, next) = scan(&call, query, Arc::new(filter), usize::try_from(limit).unwrap_or(1)).await?;
    json(&Page { events, searched_log_streams: [], next_token: next.map(token::write) })
}

async fn existing(call: &Call<'_>, group: &GroupKey, names: Vec<String>) -> Result<Vec<Arc<str>>, Fault> {
    let mut found = Vec::with_capacity(names.len());
    for name in names {
        let key = StreamKey { group: group.clone(), name: name.into() };
        if call.logs.store.stream(&key).await.map_err(store_fault)?.is_none() {
            return Err(fault::no_stream());
        }
        found.push(key.name);
    }
    Ok(found)
}

/// Reads on until the page is full, the range is at its end, or enough was looked through for one answer.
/// Answers where to go on, when there may be more.
async fn scan(
    call: &Call<'_>,
    mut query: ReadQuery,
    filter: Arc<Filter>,
    events_max: usize,
) -> Result<(Vec<Event>, Option<Position>), Fault> {
    let mut found = Vec::new();
    let (mut found_bytes, mut scanned_bytes) = (0, 0);
    loop {
        let page = call.logs.store.read(query.clone()).await.map_err(store_fault)?;
        for (event, matches) in judge(page.events, filter.clone()).await? {
            let bytes = event.counted_bytes();
            scanned_bytes += bytes;
            if matches {
                let full = found.len() == events_max || found_bytes + bytes > PAGE_BYTES_MAX;
                if full && !found.is_empty() {
                    return Ok((found, Some(event.position)));
                }
                found_bytes += bytes;
                query.from = event.position.next();
                found.push(to_event(event));
            } else {
                query.from = event.position.next();
            }
        }
        if !page.more {
            return Ok((found, None));
        }
        if scanned_bytes >= FILTER_SCAN_BYTES_MAX {
            return Ok((found, Some(query.from)));
        }
    }
}

/// Whether each event matches. A page is a megabyte, and a pattern may cost much for each of its characters:
/// that is work for a thread that serves nobody else.
async fn judge(events: Vec<StoredEvent>, filter: Arc<Filter>) -> Result<Vec<(StoredEvent, bool)>, Fault> {
    let judge = move |event: StoredEvent| {
        let matches = filter.matches(&event.text);
        (event, matches)
    };
    let work = tokio::task::spawn_blocking(move || events.into_iter().map(judge).collect());
    work.await.map_err(|error| store_fault(StoreError::Unavailable { detail: error.to_string() }))
}

fn to_event(event: StoredEvent) -> Event {
    Event {
        log_stream_name: event.stream.clone(),
        timestamp: event.time().as_millis(),
        ingestion_time: event.ingested.as_millis(),
        event_id: format!("{:0>56}", token::write(event.position)),
        message: event.text,
    }
}
