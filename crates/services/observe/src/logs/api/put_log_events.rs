//! PutLogEvents.

use std::sync::Arc;

use lambent_core::time::Timestamp;
use lambent_store::logs::{LogEvent, Run, StreamKey};
use lambent_wire::Fault;
use lambent_wire::validation::Violations;
use serde_json::{Map, Value, json as object};

use super::input::{Input, wrong_type};
use super::limits::{
    ANY_TEXT, BATCH_BYTES_MAX, BATCH_EVENTS_MAX, BATCH_SPAN_MILLIS_MAX, EVENT_AGE_MILLIS_MAX,
    EVENT_AHEAD_MILLIS_MAX, GROUP_NAME, STREAM_NAME,
};
use super::{Answer, Call, fault, json};

/// Sequence tokens mean nothing any more, but older clients want a text.
pub const SEQUENCE_TOKEN: &str = "49000000000000000000000000000000000000000000000000000000";

/// Ours: once an event is wrong, only those up to here are judged, so that the answer stays short.
const SHOWN_EVENTS_MAX: usize = 20;

pub async fn answer(mut call: Call<'_>) -> Answer {
    let (mut events, violations) = take_events(&call.input)?;
    call.input.violations = violations;
    let group = call.input.required_text("logGroupName", GROUP_NAME)?;
    let stream = call.input.required_text("logStreamName", STREAM_NAME)?;
    // Any token is accepted, as the reference does now.
    call.input.text("sequenceToken", ANY_TEXT)?;
    let entity = call.input.value("entity").is_some();
    call.input.finish()?;
    judge_batch(&events)?;
    let key = call.group_key(&group);
    let record = call.logs.store.group(&key).await.map_err(fault::store)?;
    let record = match record {
        Some(record) => record,
        // It may be that only lines of a function, not stored yet, make the group.
        None => call.flushed_group(&key).await?,
    };
    let now = call.logs.clock.now();
    let rejected = reject(&mut events, now, call.expiry(&record))?;
    let run = Run {
        stream: StreamKey { group: key.clone(), name: stream.into() },
        ingested: now,
        create: false,
        events: Arc::new(events),
    };
    store(&call, run).await?;
    let mut body = Map::from_iter([("nextSequenceToken".to_owned(), SEQUENCE_TOKEN.into())]);
    if !rejected.is_empty() {
        body.insert("rejectedLogEventsInfo".to_owned(), rejected.into());
    }
    if entity {
        // Entities are not kept. The reference's own way to say so leaves the events accepted.
        let info = object!({ "errorType": "UnsupportedLogGroupType" });
        body.insert("rejectedEntityInfo".to_owned(), info);
    }
    json(&body)
}

async fn store(call: &Call<'_>, run: Run) -> Result<(), Fault> {
    let group = run.stream.group.clone();
    let append = async |run| {
        let answers = call.logs.store.append(vec![run]).await.map_err(fault::store)?;
        Ok::<_, Fault>(answers.into_iter().next().unwrap_or(Ok(())))
    };
    if append(run.clone()).await?.is_ok() {
        return Ok(());
    }
    // As above: the stream may be waiting in the sink.
    call.flushed_group(&group).await?;
    append(run).await?.map_err(fault::refusal)
}

/// The events, with the model's own bounds noted where they break them.
fn take_events(input: &Input) -> Result<(Vec<LogEvent>, Violations), Fault> {
    let mut violations = Violations::new();
    let list = match input.value("logEvents") {
        None => {
            violations.missing("logEvents");
            return Ok((Vec::new(), violations));
        }
        Some(Value::Array(list)) => list,
        Some(other) => return Err(wrong_type("logEvents", other, "a List")),
    };
    let mut events = Vec::with_capacity(list.len());
    if !(1..=BATCH_EVENTS_MAX).contains(&list.len()) {
        let rule = if list.is_empty() { "greater than or equal to 1" } else { "less than or equal to 10000" };
        let shown = if list.is_empty() { "[]".to_owned() } else { format!("[{} events]", list.len()) };
        violations.add("logEvents", shown, format_args!("Member must have length {rule}"));
    }
    for (at, value) in list.iter().enumerate() {
        events.push(take_event(at, value, &mut violations)?);
        if at >= SHOWN_EVENTS_MAX && !violations.is_empty() {
            break;
        }
    }
    Ok((events, violations))
}

fn take_event(at: usize, value: &Value, violations: &mut Violations) -> Result<LogEvent, Fault> {
    let path = |member: &str| format!("logEvents.{}.member.{member}", at + 1);
    let members = value.as_object().ok_or_else(|| wrong_type("logEvents", value, "a Structure"))?;
    let member = |name: &str| members.get(name).filter(|value| !value.is_null());
    if let Some((name, _)) = members
        .iter()
        .find(|(name, value)| !matches!(name.as_str(), "timestamp" | "message") && !value.is_null())
    {
        return Err(fault::unsupported_member(&path(name)));
    }
    let time = match member("timestamp") {
        None => {
            violations.missing(&path("timestamp"));
            0
        }
        Some(value) => value.as_i64().ok_or_else(|| wrong_type(&path("timestamp"), value, "a Long"))?,
    };
    if time < 0 {
        violations.check_range(&path("timestamp"), time, 0, i64::MAX);
    }
    let text = match member("message") {
        None => {
            violations.missing(&path("message"));
            ""
        }
        Some(value) => {
            let text = value.as_str().ok_or_else(|| wrong_type(&path("message"), value, "a String"))?;
            if text.is_empty() {
                violations.check_length(&path("message"), text, 1, usize::MAX);
            }
            text
        }
    };
    Ok(LogEvent { time: Timestamp::from_millis(time.unsigned_abs()), text: text.to_owned() })
}

fn judge_batch(events: &[LogEvent]) -> Result<(), Fault> {
    let bytes: usize = events.iter().map(LogEvent::counted_bytes).sum();
    if bytes > BATCH_BYTES_MAX {
        return Err(fault::invalid(format!(
            "Upload too large: {bytes} bytes exceeds limit of {BATCH_BYTES_MAX}"
        )));
    }
    if !events.is_sorted_by_key(|event| event.time) {
        return Err(fault::invalid(
            "Log events in a single PutLogEvents request must be in chronological order.",
        ));
    }
    Ok(())
}

/// Takes out the events that are too old or too new, and says which those were.
fn reject(
    events: &mut Vec<LogEvent>,
    now: Timestamp,
    expiry: Timestamp,
) -> Result<Map<String, Value>, Fault> {
    let oldest = Timestamp::from_millis(now.as_millis().saturating_sub(EVENT_AGE_MILLIS_MAX));
    let newest = Timestamp::from_millis(now.as_millis().saturating_add(EVENT_AHEAD_MILLIS_MAX));
    // The events are in the order of time, so each kind is one end of the list.
    let expired = events.partition_point(|event| event.time < expiry);
    let old = events.partition_point(|event| event.time < oldest);
    let new = events.partition_point(|event| event.time <= newest);
    let mut rejected = Map::new();
    if expired > 0 {
        rejected.insert("expiredLogEventEndIndex".to_owned(), expired.into());
    }
    if old > 0 {
        rejected.insert("tooOldLogEventEndIndex".to_owned(), old.into());
    }
    if new < events.len() {
        rejected.insert("tooNewLogEventStartIndex".to_owned(), new.into());
    }
    events.truncate(new);
    events.drain(..expired.max(old).min(new));
    // The span is judged among the events that remain.
    if let (Some(first), Some(last)) = (events.first(), events.last())
        && last.time.as_millis() - first.time.as_millis() > BATCH_SPAN_MILLIS_MAX
    {
        return Err(fault::invalid(
            "The batch of log events in a single PutLogEvents request cannot span more than 24 hours.",
        ));
    }
    Ok(rejected)
}
