//! `lambent trace`: what happened to a call or an event, hop by hop, or to the last calls of a function.

use http::Method;
use serde::Deserialize;
use serde_json::{Map, Value};

use super::args::Trace;
use super::client::{Call, Client};
use super::failure::Failure;
use super::hour::{Hour, folded, meaning};
use super::output::{Output, Role};
use super::table::{self, Align};
use super::timing::Timing;

pub const PATH: &str = "/_lambent/trace";

/// Wide enough for the words before each fact.
const LABEL: usize = 11;

/// What is left for a fact of a terminal's 80 columns.
const FACT_COLUMNS: usize = 80 - LABEL - 3;

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Report {
    id: String,
    function: String,
    time: String,
    hops: Vec<Hop>,
    #[serde(flatten)]
    hour: Hour,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Hop {
    kind: String,
    id: String,
    trace: Option<String>,
    subject: String,
    at: String,
    at_ms: u64,
    outcome: String,
    by: Option<String>,
    note: Option<String>,
    payload: Option<String>,
    // Of an event's hop.
    took_ms: f64,
    target: Option<String>,
    // Of a call.
    version: String,
    source: String,
    attempt: u64,
    waited_ms: f64,
    log_group: Option<String>,
    log_stream: Option<String>,
    start: Option<String>,
    cold_reason: Option<String>,
    stages_ms: Option<Map<String, Value>>,
    served_by: Option<String>,
    duration_ms: f64,
    billed_ms: u64,
    memory_mb: u64,
    memory_used_mb: u64,
    error_type: Option<String>,
    error_message: Option<String>,
}

pub async fn run(client: &Client, trace: Trace, output: &Output) -> Result<(), Failure> {
    let call =
        Call::new("lambda", Method::GET, PATH).query("of", &trace.of).query("last", trace.last.to_string());
    let document = match client.send(call).await {
        Ok(reply) => reply.json()?,
        Err(failure) if failure.is_code("ResourceNotFoundException") => {
            return Err(failure.hint(
                "calls are kept for 7 days, the newest 50,000 records of a function; above 200 a second, a function's \
                 ordinary warm calls are left out",
            ));
        }
        Err(failure) => return Err(failure),
    };
    if output.json {
        return output.document(&document);
    }
    let report: Report = serde_json::from_value(document)
        .map_err(|error| Failure::service("BadAnswer", format!("the answer is not as expected: {error}")))?;
    output.line(page(output, &report))
}

fn page(output: &Output, report: &Report) -> String {
    if report.function.is_empty() { way(output, report) } else { calls(output, report) }
}

/// The last calls of a function, a line each.
fn calls(output: &Output, report: &Report) -> String {
    let hour = &report.hour.last_hour;
    let mut lines = vec![match hour.calls {
        0 => format!("{}: no calls in the last hour", report.function),
        1 => format!("{}: 1 call in the last hour, {} cold", report.function, hour.cold),
        n => format!(
            "{}: {n} calls in the last hour, {} cold ({:.1} %)",
            report.function,
            hour.cold,
            hour.cold_share * 100.0
        ),
    }];
    if report.hour.is_often_cold {
        lines.push(output.paint(Role::Warning, &folded(&format!("! {}", report.hour.warning()))));
    }
    if report.hops.is_empty() {
        lines.push("no call of it is kept".to_owned());
        return lines.join("\n");
    }
    let today = report.time.get(..10).unwrap_or_default();
    let all_today = report.hops.iter().all(|hop| hop.at.starts_with(today));
    let heading = [
        ("TIME (UTC)", Align::Left),
        ("REQUEST ID", Align::Left),
        ("START", Align::Right),
        ("TOOK", Align::Right),
        ("OUTCOME", Align::Left),
    ];
    let rows = report.hops.iter().map(|hop| {
        let when = match output.terminal && all_today {
            true => hop.at.get(11..23).unwrap_or(&hop.at),
            false if output.terminal => hop.at.get(5..16).unwrap_or(&hop.at),
            false => &hop.at,
        };
        let start = match hop.start.as_deref() {
            // An environment that did not come up has no stages.
            Some("cold") if hop.stages_ms.is_some() => span(start_ms(hop)),
            Some(other) => other.to_owned(),
            None => "-".to_owned(),
        };
        let took = if hop.log_stream.is_some() { span(hop.duration_ms) } else { "-".to_owned() };
        vec![when.to_owned(), hop.id.clone(), start, took, outcome(hop)]
    });
    lines.push(String::new());
    lines.push(table::render(output, &heading, rows.collect()));
    lines.join("\n")
}

/// A few characters wide: the error's name is with the call itself.
fn outcome(hop: &Hop) -> String {
    match hop.attempt {
        0 | 1 => hop.outcome.clone(),
        n => format!("{} #{n}", hop.outcome),
    }
}

/// Everything of an event's way, or of one call.
fn way(output: &Output, report: &Report) -> String {
    let first = report.hops.first().map_or(0, |hop| hop.at_ms);
    let mut title = report.id.clone();
    if let Some(trace) = report.hops.iter().find_map(|hop| hop.trace.as_ref()).filter(|t| **t != report.id) {
        title = format!("{title}\ntrace {trace}");
    }
    let mut parts = vec![output.paint(Role::Strong, &title)];
    let has_others = report.hops.iter().any(|hop| hop.id != report.id);
    for hop in &report.hops {
        let mut lines = vec![head(output, hop, first)];
        let shown_id = (has_others && hop.id != report.id).then_some(&hop.id);
        let mut facts = Facts { output, lines: &mut lines };
        facts.put_some("id", shown_id);
        if hop.kind == "call" {
            facts.of_call(hop)
        } else {
            facts.of_hop(hop)
        }
        parts.push(lines.join("\n"));
    }
    parts.join("\n\n")
}

/// When, what, where, how it came out.
fn head(output: &Output, hop: &Hop, first_ms: u64) -> String {
    let when = match hop.at_ms.saturating_sub(first_ms) {
        0 => hop.at.clone(),
        later => format!("+{}", table::span(std::time::Duration::from_millis(later))),
    };
    let what = match hop.kind.as_str() {
        "accept" => "accepted",
        "wait" => "put off",
        "deliver" => "handed on",
        "give-up" => "given up",
        _ if hop.attempt > 1 => "called again",
        "call" => "called",
        other => other,
    };
    let mut place = short(&hop.subject).to_owned();
    if !hop.version.is_empty() {
        place = format!("{place} {}", hop.version);
    }
    let role = match hop.outcome.as_str() {
        "ok" => Role::Good,
        "throttled" => Role::Warning,
        _ => Role::Bad,
    };
    // Of a hop that went well nothing is to be said but that it was.
    let outcome = match (hop.kind.as_str(), hop.outcome.as_str()) {
        ("accept" | "deliver", "ok") | ("wait" | "give-up", "error" | "refused") => String::new(),
        (_, outcome) => format!("  {}", output.paint(role, outcome)),
    };
    format!("{when}  {what}  {place}{outcome}")
}

struct Facts<'a> {
    output: &'a Output,
    lines: &'a mut Vec<String>,
}

impl Facts<'_> {
    fn put(&mut self, label: &str, fact: impl AsRef<str>) {
        let fact = if self.output.terminal { wrapped(fact.as_ref()) } else { fact.as_ref().to_owned() };
        self.lines.push(format!("  {label:<LABEL$} {fact}"));
    }

    fn put_some(&mut self, label: &str, fact: Option<impl AsRef<str>>) {
        if let Some(fact) = fact {
            self.put(label, fact);
        }
    }

    fn of_hop(&mut self, hop: &Hop) {
        self.put_some("by", hop.by.as_ref());
        self.put_some("to", hop.target.as_ref());
        self.put_some("because", hop.note.as_ref());
        if hop.kind == "wait" {
            self.put("until", format!("{} later", span(hop.took_ms)));
        }
        self.put_some("payload", hop.payload.as_ref());
    }

    fn of_call(&mut self, hop: &Hop) {
        let through = match hop.source.as_str() {
            "invoke" => "Invoke",
            "url" => "its URL",
            "event" => "an event",
            "mapping" => "an event source mapping",
            other => other,
        };
        let attempt =
            if hop.source == "event" { format!(", attempt {}", hop.attempt) } else { String::new() };
        let by = hop.by.as_deref().unwrap_or("nobody who signed");
        self.put("by", format!("{by}, through {through}{attempt}"));
        self.put_some("because", hop.note.as_ref());
        self.waited(hop);
        if let (Some(group), Some(stream)) = (&hop.log_group, &hop.log_stream) {
            self.put("log", format!("{group} {stream}"));
        }
        if let Some(stages) = &hop.stages_ms {
            let timing = Timing::from_json(stages);
            self.lines.push(timing.drawn(|bar| self.output.paint(Role::Good, bar)));
        }
        if hop.log_stream.is_some() {
            self.put(
                "took",
                format!(
                    "{}, billed {} ms, memory {} of {} MB",
                    span(hop.duration_ms),
                    hop.billed_ms,
                    hop.memory_used_mb,
                    hop.memory_mb
                ),
            );
        }
        let error = match (&hop.error_type, &hop.error_message) {
            (Some(kind), Some(message)) => Some(format!("{kind}: {message}")),
            (kind, message) => kind.clone().or_else(|| message.clone()),
        };
        self.put_some("error", error);
        self.put_some("payload", hop.payload.as_ref());
    }

    /// How long the call waited, and for what.
    fn waited(&mut self, hop: &Hop) {
        let waited = span(hop.waited_ms);
        let served = match hop.served_by.as_deref() {
            Some("provisioned") => " (provisioned)",
            Some("spillover") => " (all provisioned ones were in use)",
            _ => "",
        };
        match hop.start.as_deref() {
            Some("cold") => {
                self.put("cold", format!("it waited {waited} for an environment{served}"));
                self.put_some("because", hop.cold_reason.as_deref().map(meaning).map(unbracketed));
            }
            Some("ahead") => self.put("warm", format!("the first call of an environment made ahead{served}")),
            // A hand-over takes less than this.
            Some(_) if hop.waited_ms >= 1.0 => {
                self.put("warm", format!("it waited {waited} for an environment to be free{served}"));
            }
            Some(_) => self.put("warm", format!("an environment was free{served}")),
            None if hop.waited_ms >= 1.0 => self.put("waited", waited),
            None => {}
        }
    }
}

/// The fact in lines that fit a terminal, broken where there is a blank if there is one.
fn wrapped(fact: &str) -> String {
    let mut lines: Vec<String> = Vec::new();
    let mut rest: Vec<char> = fact.chars().collect();
    while rest.len() > FACT_COLUMNS {
        let blank = rest[..=FACT_COLUMNS].iter().rposition(|c| *c == ' ').filter(|at| *at > 0);
        let cut = blank.unwrap_or(FACT_COLUMNS);
        lines.push(rest.drain(..cut).collect());
        if blank.is_some() {
            rest.remove(0);
        }
    }
    lines.push(rest.into_iter().collect());
    lines.join(&format!("\n{:indent$}", "", indent = LABEL + 3))
}

/// Without the advice in brackets.
fn unbracketed(words: &str) -> &str {
    words.split(" (").next().unwrap_or(words)
}

/// The stages before the handler.
fn start_ms(hop: &Hop) -> f64 {
    let stages = hop.stages_ms.iter().flatten();
    stages.filter(|(stage, _)| *stage != "handler").filter_map(|(_, ms)| ms.as_f64()).sum()
}

/// The name in an ARN.
fn short(arn: &str) -> &str {
    arn.rsplit(':').next().unwrap_or(arn)
}

/// `0.29 ms` where a table's `0 ms` would say too little.
fn span(ms: f64) -> String {
    match ms {
        ms if ms < 10.0 => format!("{ms:.2} ms"),
        ms if ms < 1_000.0 => format!("{ms:.1} ms"),
        ms => table::span(std::time::Duration::from_secs_f64((ms / 1_000.0).clamp(0.0, 1e9))),
    }
}

#[cfg(test)]
mod tests {
    use lambent_core::Timestamp;
    use serde_json::json;

    use super::super::client::fake::{FakeNode, block_on};
    use super::super::golden;
    use super::*;

    const ID: &str = "fb437b70-bd07-4697-af78-163001acf926";
    const ARN: &str = "arn:aws:lambda:us-east-1:000000000000:function:orders";
    const ROOT: &str = "arn:aws:iam::000000000000:root";

    fn read(document: Value) -> Report {
        serde_json::from_value(document).unwrap()
    }

    fn hop(kind: &str, seconds: u64, more: Value) -> Value {
        let at = Timestamp::from_millis(1_795_000_000_123 + seconds * 1_000);
        let mut hop = json!({
            "kind": kind, "id": ID, "trace": "1-67891233-abcdef012345678912345678", "subject": ARN,
            "at": at.to_string(), "atMs": at.as_millis(), "outcome": "ok",
        });
        for (name, value) in more.as_object().unwrap() {
            hop[name] = value.clone();
        }
        hop
    }

    fn call(seconds: u64, more: Value) -> Value {
        let mut call = hop(
            "call",
            seconds,
            json!({
                "function": "orders", "version": "$LATEST", "source": "invoke", "by": ROOT, "attempt": 1,
                "waitedMs": 0.02, "memoryMb": 128, "logGroup": "/aws/lambda/orders",
                "logStream": "2026/11/21/[$LATEST]0123456789abcdef0123456789abcdef", "start": "warm",
                "durationMs": 0.29, "billedMs": 1, "memoryUsedMb": 34,
            }),
        );
        for (name, value) in more.as_object().unwrap() {
            call[name] = value.clone();
        }
        call
    }

    fn cold() -> Value {
        json!({
            "start": "cold", "waitedMs": 34.2, "coldReason": "burst",
            "stagesMs": { "sandbox": 0.05, "code": 0.33, "runtime": 0.48, "init": 33.32, "handler": 0.27 },
        })
    }

    fn fits(name: &str, report: &Report) {
        let text = page(&Output::for_person(), report);
        golden::compare(name, &text);
        assert!(text.lines().all(|line| line.chars().count() <= 80), "{text}");
    }

    #[test]
    fn a_call_is_told_in_full() {
        fits("trace-call.txt", &read(json!({ "id": ID, "hops": [call(0, cold())] })));
    }

    #[test]
    fn an_events_way_is_told_hop_by_hop() {
        let failed = |attempt: u64| {
            json!({ "source": "event", "attempt": attempt, "outcome": "error", "payload": "x".repeat(200),
                "errorType": "ValueError", "errorMessage": "never again, ".repeat(9) })
        };
        let note =
            |note: &str, ms: u64, outcome: &str| json!({ "note": note, "tookMs": ms, "outcome": outcome });
        let next = "6f0c1111-2222-4333-8444-555566667777";
        let hops = [
            hop("accept", 0, json!({ "by": ROOT, "payload": "{\"n\":1}" })),
            hop("wait", 0, note("ReservedFunctionConcurrentInvocationLimitExceeded", 1_000, "throttled")),
            call(1, failed(1)),
            hop("wait", 1, note("the function failed: retry 1 of 1", 60_000, "error")),
            call(61, failed(2)),
            hop("give-up", 61, note("RetriesExhausted after 2 attempts", 0, "error")),
            hop(
                "deliver",
                61,
                json!({ "id": next, "parent": ID, "note": "RetriesExhausted",
                "target": ARN.replace("orders", "failures") }),
            ),
        ];
        fits("trace-event.txt", &read(json!({ "id": ID, "hops": hops })));
    }

    #[test]
    fn a_functions_calls_are_a_table() {
        let hour = json!({ "calls": 1_000, "cold": 71, "coldShare": 0.071,
            "coldReasons": { "burst": 64, "first": 7 } });
        let refused = json!({ "outcome": "throttled", "start": null, "logStream": null });
        let no_init = json!({ "outcome": "error", "start": "cold" });
        let document = json!({
            "function": "orders", "time": "2026-11-18T08:30:00.000Z", "isOftenCold": true, "lastHour": hour,
            "hops": [call(0, cold()), call(1, json!({})), call(2, refused), call(2, no_init),
                call(3, json!({ "outcome": "error", "attempt": 2, "durationMs": 12_345.6 }))],
        });
        fits("trace-function.txt", &read(document.clone()));
        golden::compare("trace-function-piped.txt", &page(&Output::plain(), &read(document)));
    }

    #[test]
    fn it_is_asked_for_with_a_signature() {
        let node = FakeNode::start(|_| (200, "", json!({ "function": "f", "hops": [] })));
        let trace = Trace { of: "f g".to_owned(), last: 3 };
        block_on(run(&node.client, trace, &Output::plain())).unwrap();
        let seen = node.seen();
        assert_eq!((seen[0].what.as_str(), seen[0].signed), ("GET /_lambent/trace?of=f%20g&last=3", true));
    }
}
