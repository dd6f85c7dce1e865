//! CreateLogStream, DeleteLogStream, DescribeLogStreams.

use lambent_core::arn;
use lambent_core::time::Timestamp;
use lambent_store::logs::{
    Command, GroupKey, StreamCursor, StreamKey, StreamOrder, StreamQuery, StreamRecord,
};
use lambent_wire::Fault;
use serde::Serialize;

use super::groups::{named_by, read_token, take_reference, write_token};
use super::limits::{DESCRIBE_MAX, GROUP_NAME, STREAM_NAME, TOKEN};
use super::put_log_events::SEQUENCE_TOKEN;
use super::{Answer, Call, Scope, fault, json, store_fault};

pub async fn create(mut call: Call<'_>) -> Answer {
    let key = take_key(&mut call)?;
    call.logs.sink.flush(Scope::Group(key.group.clone())).await;
    let created = call.logs.clock.now();
    call.apply(Command::CreateStream { key, created }).await
}

pub async fn delete(mut call: Call<'_>) -> Answer {
    let key = take_key(&mut call)?;
    // Lines that were appended before belong to the stream that goes, not to a new one.
    call.logs.sink.flush(Scope::Group(key.group.clone())).await;
    call.apply(Command::DeleteStream { key }).await
}

fn take_key(call: &mut Call<'_>) -> Result<StreamKey, Fault> {
    let group = call.input.required_text("logGroupName", GROUP_NAME)?;
    let stream = call.input.required_text("logStreamName", STREAM_NAME)?;
    call.input.finish()?;
    Ok(StreamKey { group: call.group_key(&group), name: stream.into() })
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Streams {
    log_streams: Vec<Stream>,
    #[serde(skip_serializing_if = "Option::is_none")]
    next_token: Option<String>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Stream {
    log_stream_name: String,
    creation_time: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    first_event_timestamp: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    last_event_timestamp: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    last_ingestion_time: Option<u64>,
    upload_sequence_token: &'static str,
    arn: String,
    /// The reference counts bytes by group only, and answers 0 here.
    stored_bytes: u64,
}

pub async fn describe(mut call: Call<'_>) -> Answer {
    let reference = take_reference(&mut call)?;
    let prefix = call.input.text("logStreamNamePrefix", STREAM_NAME)?;
    let order = call.input.one_of("orderBy", &["LogStreamName", "LastEventTime"])?;
    let descending = call.input.flag("descending")?.unwrap_or(false);
    let token = call.input.text("nextToken", TOKEN)?;
    let limit = call.input.number("limit", 1, DESCRIBE_MAX)?.unwrap_or(DESCRIBE_MAX);
    call.input.finish()?;
    let order = match order.as_deref() {
        Some("LastEventTime") => StreamOrder::LastEvent,
        _ => StreamOrder::Name,
    };
    if order == StreamOrder::LastEvent && prefix.is_some() {
        return Err(fault::invalid("Cannot order by LastEventTime with a logStreamNamePrefix."));
    }
    let key = call.group_key(&named_by(&call, reference)?);
    call.flushed_group(&key).await?;
    let limit = usize::try_from(limit).unwrap_or(1);
    let query = StreamQuery {
        group: key.clone(),
        prefix: prefix.unwrap_or_default(),
        order,
        descending,
        after: token.map(|token| read_cursor(&token)).transpose()?,
        limit: limit + 1,
    };
    let streams = call.logs.store.list_streams(query).await.map_err(store_fault)?;
    let next_token = streams.get(limit).and(streams.get(limit - 1)).map(write_cursor);
    let log_streams = streams.iter().take(limit).map(|record| stream(&key, record)).collect();
    json(&Streams { log_streams, next_token })
}

fn stream(group: &GroupKey, record: &StreamRecord) -> Stream {
    let group_arn = arn::log_group(&group.region, &group.account, &group.name);
    Stream {
        log_stream_name: record.name.to_string(),
        creation_time: record.created.as_millis(),
        first_event_timestamp: record.first_event.map(Timestamp::as_millis),
        last_event_timestamp: record.last_event.map(Timestamp::as_millis),
        last_ingestion_time: record.last_ingestion.map(Timestamp::as_millis),
        upload_sequence_token: SEQUENCE_TOKEN,
        arn: format!("{group_arn}:log-stream:{}", record.name),
        stored_bytes: 0,
    }
}

/// A stream's place in both orders: its last time, or nothing, and its name.
fn write_cursor(record: &StreamRecord) -> String {
    let time = record.last_event.map(|time| time.as_millis().to_string()).unwrap_or_default();
    write_token(&format!("{time}:{}", record.name))
}

fn read_cursor(token: &str) -> Result<StreamCursor, Fault> {
    let text = read_token(token)?;
    let (time, name) = text.split_once(':').ok_or_else(fault::bad_token)?;
    let last_event = match time {
        "" => None,
        time => Some(Timestamp::from_millis(time.parse().map_err(|_| fault::bad_token())?)),
    };
    Ok(StreamCursor { name: name.to_owned(), last_event })
}
