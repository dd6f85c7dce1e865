//! `lambent invoke`: one call of a function, and what became of it.

use std::io::Read;
use std::time::{Duration, Instant};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use http::Method;
use serde_json::{Value, json};

use super::args::Invoke;
use super::client::functions::{lambda, path};
use super::client::{Client, Reply};
use super::failure::{Failure, Kind};
use super::output::{Output, Role};
use super::timing::{HEADER, Timing};

/// The longest that a function may run, with as much again for its environment to come up and its answer to
/// travel.
const ANSWER_WITHIN: Duration = Duration::from_secs(lambent_core::limits::TIMEOUT_SECS_MAX as u64 + 60);

pub async fn run(client: &Client, invoke: Invoke, output: &Output) -> Result<(), Failure> {
    let mut call = lambda(Method::POST, path(&invoke.name, "/invocations"));
    call.body = payload(&invoke.payload)?;
    call.within = ANSWER_WITHIN;
    call = call.header("content-type", "application/json");
    if let Some(qualifier) = &invoke.qualifier {
        call = call.query("Qualifier", qualifier);
    }
    if invoke.tail {
        call = call.header("x-amz-log-type", "Tail");
    }
    if let Some(context) = &invoke.client_context {
        serde_json::from_str::<Value>(context)
            .map_err(|error| Failure::usage(format!("--client-context is not JSON: {error}")))?;
        call = call.header("x-amz-client-context", STANDARD.encode(context));
    }
    let begun = Instant::now();
    let reply = match client.send(call).await {
        Ok(reply) => reply,
        Err(failure) => return Err(client.suggest(&invoke.name, failure).await),
    };
    let report = Report::of(&reply, begun.elapsed());
    if output.json {
        output.document(&report.to_json())?;
    } else {
        report.print(output)?;
    }
    if report.failed.is_some() { Err(Failure::new(Kind::Function, "")) } else { Ok(()) }
}

/// The words themselves, a file's content, or standard input's.
fn payload(text: &str) -> Result<Bytes, Failure> {
    let bytes = if text == "-" {
        let mut bytes = Vec::new();
        std::io::stdin()
            .read_to_end(&mut bytes)
            .map_err(|error| Failure::local(format!("can't read standard input: {error}")))?;
        bytes
    } else if let Some(path) = text.strip_prefix('@') {
        std::fs::read(path).map_err(|error| Failure::file("read", path.as_ref(), &error))?
    } else {
        text.as_bytes().to_vec()
    };
    // The service would refuse it too, but it doesn't know where in the shell the quotes went missing.
    if let Err(error) = serde_json::from_slice::<&serde_json::value::RawValue>(&bytes) {
        return Err(Failure::usage(format!("the payload is not JSON: {error}"))
            .hint(r#"quote it for the shell: --payload '{"name":"value"}', or use --payload @FILE"#));
    }
    Ok(Bytes::from(bytes))
}

struct Report {
    payload: Bytes,
    failed: Option<String>,
    request_id: Option<String>,
    version: Option<String>,
    timing: Option<Timing>,
    log_tail: Option<String>,
    round_trip: Duration,
    status: u16,
}

impl Report {
    fn of(reply: &Reply, round_trip: Duration) -> Self {
        let text = |name: &str| reply.header(name).map(str::to_owned);
        let log_tail = reply.header("x-amz-log-result").and_then(|encoded| STANDARD.decode(encoded).ok());
        Self {
            payload: reply.body.clone(),
            failed: text("x-amz-function-error"),
            request_id: text("x-amzn-requestid"),
            version: text("x-amz-executed-version"),
            timing: reply.header(HEADER).and_then(Timing::parse),
            log_tail: log_tail.map(|bytes| String::from_utf8_lossy(&bytes).into_owned()),
            round_trip,
            status: reply.status,
        }
    }

    fn to_json(&self) -> Value {
        let payload = serde_json::from_slice(&self.payload)
            .unwrap_or_else(|_| Value::from(String::from_utf8_lossy(&self.payload)));
        json!({
            "statusCode": self.status,
            "functionError": self.failed,
            "payload": payload,
            "requestId": self.request_id,
            "executedVersion": self.version,
            "roundTripMs": milliseconds(self.round_trip),
            "timing": self.timing.as_ref().map(Timing::to_json),
            "logTail": self.log_tail,
        })
    }

    fn print(&self, output: &Output) -> Result<(), Failure> {
        if let Some(log) = &self.log_tail {
            for line in log.lines() {
                output.note(output.paint_note(Role::Faint, line));
            }
        }
        self.print_payload(output)?;
        if !output.terminal && !output.error_terminal && !self.payload.ends_with(b"\n") {
            // Both may go to one file, where the payload's line is still open.
            output.note("");
        }
        if let Some(kind) = &self.failed {
            output.note(error_text(output, kind, &self.payload));
        }
        let summary = match &self.timing {
            // An environment that did not come up has no stages to show.
            Some(timing) if timing.cold && timing.total_ms() == 0.0 => "cold start".to_owned(),
            Some(timing) if timing.cold => {
                output.note(timing.render(output));
                format!("cold start, {:.2} ms", timing.total_ms())
            }
            Some(timing) => format!("warm, {:.2} ms", timing.total_ms()),
            None => "done".to_owned(),
        };
        output.note(format!("{summary}; round trip {:.2} ms", milliseconds(self.round_trip)));
        Ok(())
    }

    fn print_payload(&self, output: &Output) -> Result<(), Failure> {
        if !output.terminal {
            // Exactly what the function answered: a program reads it.
            return output.data(&self.payload);
        }
        match serde_json::from_slice::<Value>(&self.payload) {
            Ok(value) => output.line(format!("{value:#}")),
            Err(_) => output.line(String::from_utf8_lossy(&self.payload)),
        }
    }
}

/// The error document as a person reads it: type, message, and the stack trace a frame a line.
fn error_text(output: &Output, kind: &str, payload: &[u8]) -> String {
    let document: Value = serde_json::from_slice(payload).unwrap_or(Value::Null);
    let text = |name: &str| document.get(name).and_then(Value::as_str).unwrap_or("");
    let (name, message) = (text("errorType"), text("errorMessage"));
    let what = match (name.is_empty(), message.is_empty()) {
        (false, false) => format!("{name}: {message}"),
        _ => format!("{name}{message}"),
    };
    let mut lines = vec![format!("{} {what}", output.paint_note(Role::Bad, &format!("{kind} error:")))];
    let frames = ["stackTrace", "trace"].iter().find_map(|key| document.get(*key)?.as_array());
    for frame in frames.into_iter().flatten() {
        let frame = frame.as_str().map_or_else(|| frame.to_string(), str::to_owned);
        lines.extend(frame.trim_end().lines().map(|line| format!("  {}", line.trim_end())));
    }
    lines.join("\n")
}

fn milliseconds(duration: Duration) -> f64 {
    (duration.as_secs_f64() * 100_000.0).round() / 100.0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stack_trace_is_a_frame_a_line() {
        let document = br#"{"errorType":"KeyError","errorMessage":"'x'",
            "stackTrace":["  File \"/var/task/a.py\", line 2, in handler\n    event['x']\n"]}"#;
        super::super::golden::compare(
            "function-error.txt",
            &error_text(&Output::plain(), "Unhandled", document),
        );
        let node =
            br#"{"errorType":"Error","errorMessage":"no","trace":["Error: no","    at a (a.mjs:1:1)"]}"#;
        assert!(error_text(&Output::plain(), "Unhandled", node).ends_with("  at a (a.mjs:1:1)"));
        assert_eq!(error_text(&Output::plain(), "Unhandled", b"?"), "Unhandled error: ");
    }

    #[test]
    fn a_payload_that_is_not_json_is_refused_before_it_is_sent() {
        assert_eq!(payload("{a:1}").unwrap_err().kind, Kind::Usage);
        assert_eq!(payload("").unwrap_err().kind, Kind::Usage);
        assert_eq!(payload("@/does/not/exist").unwrap_err().kind, Kind::Local);
        assert_eq!(&payload(r#" {"a":1}"#).unwrap()[..], br#" {"a":1}"#);
    }
}
