//! Calls and hops as spans: their names, ids, parents and attributes. Pure.
//!
//! The trace is X-Ray's, whose header names its root. Where an event has none, its spans are a trace that is made of its
//! id. A span's id is made of the id of what it brought about, so that what comes later finds its parent without being
//! told: what handed an event on is the parent of the call that came of it.

use std::time::Duration;

use lambent_core::ports::{
    CallEnd, CallHop, CallRun, Hop, HopKind, HopOutcome, Source, Stages, Start, trace_root,
};
use lambent_core::time::Timestamp;
use serde_json::{Map, Value, json};

#[derive(Debug)]
pub enum Told {
    Hop(Box<Hop>),
    Call(Box<CallHop>),
}

/// OTLP: SpanKind.
const INTERNAL: u8 = 1;
const SERVER: u8 = 2;
const PRODUCER: u8 = 4;
const CONSUMER: u8 = 5;

/// OTLP: StatusCode.
const STATUS_ERROR: u8 = 2;

/// An ExportTraceServiceRequest.
pub fn request(instance: &str, batch: &[Told]) -> Value {
    let mut spans = Vec::new();
    for told in batch {
        match told {
            Told::Hop(hop) => spans.push(of_hop(hop)),
            Told::Call(call) => of_call(call, &mut spans),
        }
    }
    let version = env!("CARGO_PKG_VERSION");
    let mut resource = Attributes::default();
    resource.text("service.name", "lambent");
    resource.text("service.version", version);
    resource.text("service.instance.id", instance);
    json!({ "resourceSpans": [{
        "resource": { "attributes": resource.0 },
        "scopeSpans": [{ "scope": { "name": "lambent", "version": version }, "spans": spans }],
    }] })
}

struct Span<'a> {
    trace: String,
    id: String,
    parent: Option<String>,
    name: &'a str,
    kind: u8,
    nanos: (u128, u128),
    attributes: Attributes,
    error: Option<String>,
}

impl Span<'_> {
    fn into_value(self) -> Value {
        let mut span = Map::new();
        let mut put = |name: &str, value: Value| span.insert(name.to_owned(), value);
        put("traceId", self.trace.into());
        put("spanId", self.id.into());
        if let Some(parent) = self.parent {
            put("parentSpanId", parent.into());
        }
        put("name", self.name.into());
        put("kind", self.kind.into());
        put("startTimeUnixNano", self.nanos.0.to_string().into());
        put("endTimeUnixNano", self.nanos.1.to_string().into());
        put("attributes", self.attributes.0.into());
        if let Some(message) = self.error {
            put("status", json!({ "code": STATUS_ERROR, "message": message }));
        }
        span.into()
    }
}

fn of_call(call: &CallHop, spans: &mut Vec<Value>) {
    let header = call.trace_header.as_deref();
    let id = call.request_id.as_str();
    let trace = trace_id(header.and_then(trace_root), id);
    let span_id = hex64(&[id, "call", &call.origin.attempt.to_string()]);
    let start = nanos(call.at);
    let began = start + call.waited.as_nanos();
    let spec = &call.spec;
    let mut attributes = Attributes::default();
    attributes.text("faas.name", spec.name.as_str());
    attributes.text("faas.version", &spec.version.to_string());
    attributes.text("faas.invocation_id", id);
    attributes.text("cloud.resource_id", &spec.arn());
    attributes.text("cloud.account.id", spec.account.as_str());
    attributes.text("cloud.region", spec.region.as_str());
    attributes.text("lambent.source", call.origin.source.as_str());
    attributes.text("lambent.caller", &call.origin.caller);
    attributes.int("lambent.attempt", call.origin.attempt.into());
    attributes.float("lambent.waited_ms", ms(call.waited));
    attributes.int("faas.request.bytes", call.request_bytes as u64);
    let ran = call.ran.as_ref().map(|run| of_run(run, &mut attributes));
    let (parent, kind) = match call.origin.source {
        Source::Invoke | Source::FunctionUrl => (header.and_then(trace_parent), SERVER),
        Source::Event | Source::EventSourceMapping => (Some(station(id)), CONSUMER),
    };
    let handler = call.ran.as_ref().map_or(Duration::ZERO, |run| run.handler);
    spans.push(
        Span {
            trace: trace.clone(),
            id: span_id.clone(),
            parent,
            name: spec.name.as_str(),
            kind,
            nanos: (start, began + handler.as_nanos()),
            attributes,
            error: error_of(&call.end),
        }
        .into_value(),
    );
    let Some(stages) = ran else { return };
    let mut at = began.saturating_sub(stages.iter().map(|(_, took)| took.as_nanos()).sum());
    for (name, took) in stages.into_iter().chain([("handler", handler)]) {
        let end = at + took.as_nanos();
        spans.push(
            Span {
                trace: trace.clone(),
                id: hex64(&[&span_id, name]),
                parent: Some(span_id.clone()),
                name,
                kind: INTERNAL,
                nanos: (at, end),
                attributes: Attributes::default(),
                error: None,
            }
            .into_value(),
        );
        at = end;
    }
}

/// The stages before the handler that the call waited for, if it did.
fn of_run(run: &CallRun, attributes: &mut Attributes) -> Vec<(&'static str, Duration)> {
    attributes.text("aws.log.stream.names", &run.log_stream);
    attributes.float("lambent.duration_ms", ms(run.duration));
    attributes.int("lambent.billed_ms", run.billed_ms);
    attributes.int("lambent.memory_used_mb", run.memory_used_mb);
    attributes.int("faas.response.bytes", run.response_bytes as u64);
    let (start, stages) = match run.start {
        Start::Warm => ("warm", None),
        // Its stages were over before the call came.
        Start::Ahead { .. } => ("ahead", None),
        Start::Cold { stages, why } => {
            if let Some(why) = why {
                attributes.text("lambent.cold_reason", why.as_str());
            }
            ("cold", Some(stages).filter(|stages| *stages != Stages::default()))
        }
    };
    attributes.text("lambent.start", start);
    attributes.bool("faas.coldstart", start == "cold");
    let Some(Stages { sandbox, code, runtime, init }) = stages else { return Vec::new() };
    vec![("sandbox", sandbox), ("code", code), ("runtime", runtime), ("init", init)]
}

fn error_of(end: &CallEnd) -> Option<String> {
    match end {
        CallEnd::Returned => None,
        CallEnd::Failed { kind, document } => {
            let document: Value =
                document.as_ref().and_then(|text| serde_json::from_slice(text).ok()).unwrap_or_default();
            let kind = kind.as_deref().or_else(|| document["errorType"].as_str());
            Some(kind.unwrap_or("the function failed").to_owned())
        }
        CallEnd::TimedOut => Some("Sandbox.Timedout".to_owned()),
        CallEnd::Throttled(reason) => Some(reason.as_str().to_owned()),
        CallEnd::Refused { detail } => Some(detail.clone()),
    }
}

fn of_hop(hop: &Hop) -> Value {
    let (at, took) = (nanos(hop.at), hop.took.as_nanos());
    let place = hop.subject.rsplit(':').next().unwrap_or_default();
    let verb = hop.kind.as_str();
    let (id, parent, kind, times) = match hop.kind {
        // What took time had come before it was taken in.
        HopKind::Accept => {
            (station(&hop.id), hop.parent.as_deref().map(station), SERVER, (at.saturating_sub(took), at))
        }
        HopKind::Deliver => match &hop.parent {
            Some(parent) => (station(&hop.id), Some(station(parent)), PRODUCER, (at, at + took)),
            None => (apart(hop), Some(station(&hop.id)), PRODUCER, (at, at + took)),
        },
        HopKind::Wait | HopKind::GiveUp => (apart(hop), Some(station(&hop.id)), INTERNAL, (at, at + took)),
    };
    let mut attributes = Attributes::default();
    attributes.text("cloud.resource_id", &hop.subject);
    attributes.text("cloud.account.id", hop.account.as_str());
    attributes.text("cloud.region", hop.region.as_str());
    attributes.text("messaging.message.id", &hop.id);
    for (name, value) in [
        ("lambent.parent_id", &hop.parent),
        ("lambent.caller", &hop.by),
        ("lambent.target", &hop.target),
        ("lambent.note", &hop.note),
    ] {
        if let Some(value) = value {
            attributes.text(name, value);
        }
    }
    let is_error = hop.outcome != HopOutcome::Ok;
    Span {
        trace: trace_id(hop.trace.as_deref(), hop.parent.as_deref().unwrap_or(&hop.id)),
        id,
        parent,
        name: &format!("{verb} {place}"),
        kind,
        nanos: times,
        attributes,
        error: is_error.then(|| hop.note.clone().unwrap_or_else(|| hop.outcome.as_str().to_owned())),
    }
    .into_value()
}

/// The span that brought about what has this id.
fn station(id: &str) -> String {
    hex64(&[id])
}

/// A span that brought nothing about.
fn apart(hop: &Hop) -> String {
    let at = hop.at.as_millis().to_string();
    let target = hop.target.as_deref().unwrap_or_default();
    hex64(&[&hop.id, hop.kind.as_str(), &at, target, hop.note.as_deref().unwrap_or_default()])
}

/// X-Ray's root without what divides it: eight and twenty-four digits. Else one that is made of an id.
fn trace_id(root: Option<&str>, id: &str) -> String {
    let digits: Option<String> = root.and_then(|root| {
        let digits: String = root.strip_prefix("1-")?.split('-').collect();
        (digits.len() == 32 && digits.bytes().all(|b| b.is_ascii_hexdigit()))
            .then(|| digits.to_ascii_lowercase())
    });
    digits.unwrap_or_else(|| format!("{}{}", hex64(&[id]), hex64(&[id, "trace"])))
}

/// The span that the header says is above, if it says one.
fn trace_parent(header: &str) -> Option<String> {
    let parent = header.split(';').find_map(|part| part.trim().strip_prefix("Parent="))?.trim();
    let is_id = parent.len() == 16 && parent.bytes().all(|b| b.is_ascii_hexdigit());
    is_id.then(|| parent.to_ascii_lowercase())
}

/// FNV-1a: sixteen digits that are never all zero.
fn hex64(parts: &[&str]) -> String {
    let mut hash: u64 = 0xcbf2_9ce4_8422_2325;
    for byte in parts.iter().flat_map(|part| part.bytes().chain([0xff])) {
        hash = (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
    }
    format!("{:016x}", hash.max(1))
}

fn nanos(at: Timestamp) -> u128 {
    u128::from(at.as_millis()) * 1_000_000
}

fn ms(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1_000.0
}

/// OTLP's KeyValue list. Whole numbers are written as texts, as the JSON mapping of 64 bits has it.
#[derive(Default)]
struct Attributes(Vec<Value>);

impl Attributes {
    fn text(&mut self, key: &str, value: &str) {
        self.0.push(json!({ "key": key, "value": { "stringValue": value } }));
    }

    fn int(&mut self, key: &str, value: u64) {
        self.0.push(json!({ "key": key, "value": { "intValue": value.to_string() } }));
    }

    fn float(&mut self, key: &str, value: f64) {
        self.0.push(json!({ "key": key, "value": { "doubleValue": value } }));
    }

    fn bool(&mut self, key: &str, value: bool) {
        self.0.push(json!({ "key": key, "value": { "boolValue": value } }));
    }
}
