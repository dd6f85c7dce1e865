//! PutEvents: the hot path. One commit for all deliveries of a request.

use lambent_core::time::Timestamp;
use lambent_wire::Fault;
use serde_json::value::RawValue;
use serde_json::{Value, json};

use super::shapes::{ANY, BUS, ENTRIES_MAX, PUT_EVENTS_BYTES_MAX, RESOURCE, TRACE_HEADER};
use super::{Answer, Call};
use crate::dispatch::{Event, Happening};
use crate::names::DEFAULT;
use crate::own::is_reserved;
use crate::reader::{Member, invalid};
use crate::way::Outgoing;

/// API reference, *Calculating event entry size*: what a Time counts.
const TIME_BYTES: usize = 14;

struct Entry {
    bus: Option<String>,
    source: Option<String>,
    detail_type: Option<String>,
    detail: Option<String>,
    resources: Vec<String>,
    time: Option<Timestamp>,
    trace_header: Option<String>,
}

/// Why an entry is not accepted: code and message.
struct Refused(&'static str, String);

pub async fn answer(call: Call<'_>) -> Answer {
    let entries = read(&call)?;
    if entries.iter().map(Entry::counted_bytes).sum::<usize>() > PUT_EVENTS_BYTES_MAX {
        return Err(invalid("Total size of the entries in the request is over the limit."));
    }
    let (mut deliveries, mut results) = (Outgoing::default(), Vec::new());
    let mut failed = 0;
    for entry in &entries {
        results.push(match put(&call, entry, &mut deliveries) {
            Ok(id) => json!({ "EventId": id }),
            Err(Refused(code, message)) => {
                failed += 1;
                json!({ "ErrorCode": code, "ErrorMessage": message })
            }
        });
    }
    call.events.accept(deliveries).await?;
    Ok(Some(json!({ "FailedEntryCount": failed, "Entries": results })))
}

fn read(call: &Call<'_>) -> Result<Vec<Entry>, Fault> {
    let root = call.input.root();
    let entries = root.members("Entries", (1, ENTRIES_MAX))?;
    if entries.is_none() {
        root.required("Entries", None::<Value>);
    }
    let entries = entries.unwrap_or_default().iter().map(read_entry).collect::<Result<_, _>>()?;
    call.input.finish()?;
    Ok(entries)
}

fn read_entry(entry: &Member<'_>) -> Result<Entry, Fault> {
    Ok(Entry {
        bus: entry.text("EventBusName", BUS)?,
        source: entry.text("Source", ANY)?,
        detail_type: entry.text("DetailType", ANY)?,
        detail: entry.text("Detail", ANY)?,
        resources: entry.texts("Resources", RESOURCE, (0, usize::MAX))?.unwrap_or_default(),
        time: entry.time("Time")?,
        trace_header: entry.text("TraceHeader", TRACE_HEADER)?,
    })
}

impl Entry {
    fn counted_bytes(&self) -> usize {
        let length = |text: &Option<String>| text.as_ref().map_or(0, String::len);
        length(&self.source)
            + length(&self.detail_type)
            + length(&self.detail)
            + self.resources.iter().map(String::len).sum::<usize>()
            + self.time.map_or(0, |_| TIME_BYTES)
    }
}

fn put(call: &Call<'_>, entry: &Entry, deliveries: &mut Outgoing) -> Result<String, Refused> {
    let required = |member: &str, text: &Option<String>| match text.as_deref() {
        Some(text) if !text.is_empty() => Ok(text.to_owned()),
        _ => Err(Refused(
            "InvalidArgument",
            format!("Parameter {member} is not valid. Reason: {member} is a required argument."),
        )),
    };
    let source = required("Source", &entry.source)?;
    let detail_type = required("DetailType", &entry.detail_type)?;
    let detail = required("Detail", &entry.detail)?;
    let malformed = || Refused("MalformedDetail", "Detail is malformed.".to_owned());
    // As with the reference, a member that appears twice is no fault here.
    if !serde_json::from_str::<Value>(&detail).is_ok_and(|detail| detail.is_object()) {
        return Err(malformed());
    }
    let detail = RawValue::from_string(detail.trim().to_owned()).map_err(|_| malformed())?;
    if is_reserved(&source) {
        return Err(Refused("NotAuthorizedForSourceException", "Not authorized for the source.".to_owned()));
    }
    let bus = call.bus(entry.bus.as_deref());
    if !call.events.may_put_events(&bus, &call.caller.account) {
        return Err(Refused(
            "AccessDeniedException",
            format!(
                "User: {} is not authorized to perform: events:PutEvents on resource: {}",
                call.caller.principal_arn,
                bus.arn()
            ),
        ));
    }
    let id = call.events.new_id();
    // As with the reference, an event for a bus that is not there is accepted, and nobody wants it.
    if bus.name == DEFAULT || call.bus_record(&bus).is_some() {
        let now = call.events.deps.clock.now();
        let happening = Happening {
            source: &source,
            detail_type: &detail_type,
            resources: &entry.resources,
            detail: &detail,
            account: call.caller.account.as_str(),
            region: bus.region.as_str(),
            time: entry.time.unwrap_or(now),
        };
        let event = Event::new(id.clone(), &happening, entry.trace_header.clone(), now);
        call.events.tell_accepted(&bus, &event, &call.caller.principal_arn, deliveries);
        call.events.deliver(&bus, &event, deliveries);
    }
    Ok(id)
}
