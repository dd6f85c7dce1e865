//! Hops as records. Pure.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use lambent_core::ports::{CallEnd, CallHop, CallRun, Hop, HopOutcome, ServedBy, Stages, Start, trace_root};
use lambent_store::traces::{TraceOwner, TraceRecord, TraceRun};
use serde_json::{Map, Value, json};

use super::intake::Told;

/// Ours: characters of an error's message, and of any other words.
const WORDS_CHARS_MAX: usize = 300;

/// As runs, one for each owner, in the order in which they were told.
pub fn runs(told: Vec<Told>) -> Vec<TraceRun> {
    let mut places: HashMap<TraceOwner, usize> = HashMap::new();
    let mut runs: Vec<TraceRun> = Vec::new();
    for told in told {
        let (owner, record) = match told {
            Told::Hop(hop) => of_hop(*hop),
            Told::Call(call) => of_call(&call),
        };
        let place = *places.entry(owner.clone()).or_insert_with(|| {
            runs.push(TraceRun { owner, records: Vec::new() });
            runs.len() - 1
        });
        if let Some(run) = runs.get_mut(place) {
            run.records.push(record);
        }
    }
    runs
}

fn of_hop(hop: Hop) -> (TraceOwner, TraceRecord) {
    let owner = TraceOwner { account: hop.account, region: hop.region, subject: Arc::from(&*hop.subject) };
    let keys = [Some(hop.id.clone()), hop.trace.clone(), hop.parent.clone()];
    let mut body = Body::default();
    body.put("kind", hop.kind.as_str());
    body.put("id", hop.id);
    body.put_some("trace", hop.trace);
    body.put_some("parent", hop.parent);
    body.put("subject", hop.subject);
    body.put("outcome", hop.outcome.as_str());
    body.put("tookMs", ms(hop.took));
    body.put_some("by", hop.by);
    body.put_some("target", hop.target);
    body.put_some("note", hop.note.as_deref().map(cut));
    body.put_some("payload", hop.preview.as_ref().map(text));
    (owner, record(hop.at, keys, body))
}

fn of_call(call: &CallHop) -> (TraceOwner, TraceRecord) {
    let spec = &call.spec;
    let subject = spec.arn();
    let owner = TraceOwner {
        account: spec.account.clone(),
        region: spec.region.clone(),
        subject: Arc::from(&*subject),
    };
    let trace = call.trace_header.as_deref().and_then(trace_root).map(str::to_owned);
    let id = call.request_id.to_string();
    let mut body = Body::default();
    body.put("kind", "call");
    body.put("id", id.clone());
    body.put_some("trace", trace.clone());
    body.put("subject", subject);
    body.put("function", spec.name.as_str());
    body.put("version", spec.version.to_string());
    body.put("source", call.origin.source.as_str());
    body.put_some("by", Some(&*call.origin.caller).filter(|by| !by.is_empty()));
    body.put("attempt", call.origin.attempt);
    body.put("waitedMs", ms(call.waited));
    body.put("memoryMb", spec.memory_mb);
    body.put("requestBytes", call.request_bytes);
    body.put_some("payload", call.preview.as_ref().map(text));
    if let Some(run) = &call.ran {
        body.put("logGroup", &*spec.logging.group);
        body.ran(run);
    }
    body.end(&call.end);
    (owner, record(call.at, [Some(id), trace, None], body))
}

fn record(at: lambent_core::Timestamp, keys: [Option<String>; 3], body: Body) -> TraceRecord {
    let keys = keys.into_iter().flatten().collect();
    TraceRecord { at, keys, body: Bytes::from(Value::Object(body.0).to_string()) }
}

#[derive(Default)]
struct Body(Map<String, Value>);

impl Body {
    fn put(&mut self, name: &str, value: impl Into<Value>) {
        self.0.insert(name.to_owned(), value.into());
    }

    fn put_some(&mut self, name: &str, value: Option<impl Into<Value>>) {
        if let Some(value) = value {
            self.put(name, value);
        }
    }

    fn ran(&mut self, run: &CallRun) {
        self.put("logStream", &*run.log_stream);
        let (start, stages, why) = match run.start {
            Start::Warm => ("warm", None, None),
            Start::Ahead { stages } => ("ahead", Some(stages), None),
            Start::Cold { stages, why } => ("cold", Some(stages), why),
        };
        self.put("start", start);
        self.put_some("coldReason", why.map(|why| why.as_str()));
        // An environment that did not come up has no stages to show.
        if let Some(Stages { sandbox, code, runtime, init }) = stages.filter(|s| *s != Stages::default()) {
            let stages = json!({
                "sandbox": ms(sandbox), "code": ms(code), "runtime": ms(runtime), "init": ms(init),
                "handler": ms(run.handler),
            });
            self.put("stagesMs", stages);
        }
        match run.served_by {
            ServedBy::OnDemand => {}
            ServedBy::Provisioned => self.put("servedBy", "provisioned"),
            ServedBy::Spillover => self.put("servedBy", "spillover"),
        }
        self.put("durationMs", ms(run.duration));
        self.put("billedMs", run.billed_ms);
        self.put("memoryUsedMb", run.memory_used_mb);
        self.put("responseBytes", run.response_bytes);
    }

    fn end(&mut self, end: &CallEnd) {
        let outcome = match end {
            CallEnd::Returned => HopOutcome::Ok,
            CallEnd::TimedOut => HopOutcome::TimedOut,
            CallEnd::Throttled(reason) => {
                self.put("note", reason.as_str());
                HopOutcome::Throttled
            }
            CallEnd::Refused { detail } => {
                self.put("note", cut(detail));
                HopOutcome::Refused
            }
            CallEnd::Failed { kind, document } => {
                let document: Value =
                    document.as_ref().and_then(|d| serde_json::from_slice(d).ok()).unwrap_or_default();
                let member = |name: &str| document.get(name).and_then(Value::as_str).map(cut);
                self.put_some("errorType", kind.as_deref().map(cut).or_else(|| member("errorType")));
                self.put_some("errorMessage", member("errorMessage"));
                HopOutcome::Error
            }
        };
        self.put("outcome", outcome.as_str());
    }
}

fn ms(duration: Duration) -> f64 {
    (duration.as_secs_f64() * 100_000.0).round() / 100.0
}

fn cut(words: &str) -> String {
    match words.char_indices().nth(WORDS_CHARS_MAX) {
        Some((end, _)) => format!("{}…", &words[..end]),
        None => words.to_owned(),
    }
}

fn text(bytes: &Bytes) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}
