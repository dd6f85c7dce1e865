//! CloudEvents over HTTP into a bus: an extension. The path names the bus; the request is signed as any other.

use http::StatusCode;
use lambent_wire::{Fault, Protocol, Request, Response};
use serde_json::json;
use serde_json::value::RawValue;

use super::shapes::PUT_EVENTS_BYTES_MAX;
use super::{bus_named, bus_of, no_bus};
use crate::Events;
use crate::cloud::{self, CloudEvent};
use crate::dispatch::{Event, Happening};
use crate::own::is_reserved;
use crate::reader::invalid;
use crate::way::Outgoing;

pub async fn handle(events: &Events, bus: &str, request: Request) -> Response {
    match answer(events, bus, &request).await {
        Ok(ids) => lambent_wire::json_response(StatusCode::OK.as_u16(), &json!({ "EventIds": ids })),
        Err(fault) => fault.into_response(Protocol::RestJson),
    }
}

/// Takes all events of the request, or none. Says how they are called on the bus.
async fn answer(events: &Events, bus: &str, request: &Request) -> Result<Vec<String>, Fault> {
    let caller = &request.caller;
    let bus = bus_named(caller, bus);
    let found = events.deps.store.get(&bus.key());
    let is_there = bus_of(found.as_ref().map(|entry| &entry.record), &bus.name).is_some();
    // Whether a bus is there is no business of a stranger's.
    if !events.may_put_events(&bus, &caller.account) {
        let (who, arn) = (&caller.principal_arn, bus.arn());
        return Err(Fault::new(
            403,
            "AccessDeniedException",
            format!("User: {who} is not authorized to perform: events:PutEvents on resource: {arn}"),
        ));
    }
    if !is_there {
        return Err(Fault { status: 404, ..no_bus(&bus.name) });
    }
    if request.body.len() > PUT_EVENTS_BYTES_MAX {
        let message = "Total size of the entries in the request is over the limit.";
        return Err(Fault { status: 413, ..invalid(message) });
    }
    let read = cloud::read(&request.headers, &request.body);
    let read = read.map_err(|error| invalid(format!("No CloudEvents: {error}.")))?;
    let now = events.deps.clock.now();
    let trace_header = request.headers.get("x-amzn-trace-id").and_then(|value| value.to_str().ok());
    let (mut deliveries, mut ids) = (Outgoing::default(), Vec::new());
    for CloudEvent { source, kind, subject, time, whole } in read {
        if is_reserved(&source) {
            return Err(Fault::new(
                403,
                "NotAuthorizedForSourceException",
                format!("Not authorized for the source {source}."),
            ));
        }
        let detail = RawValue::from_string(whole.to_string()).expect("a value is written as JSON");
        let happening = Happening {
            source: &source,
            detail_type: &kind,
            resources: subject.as_slice(),
            detail: &detail,
            account: caller.account.as_str(),
            region: bus.region.as_str(),
            time: time.unwrap_or(now),
        };
        let event = Event::new(events.new_id(), &happening, trace_header.map(str::to_owned), now);
        ids.push(event.id.clone());
        events.tell_accepted(&bus, &event, &caller.principal_arn, &mut deliveries);
        events.deliver(&bus, &event, &mut deliveries);
    }
    events.accept(deliveries).await?;
    Ok(ids)
}
