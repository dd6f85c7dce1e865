//! The platform's own log lines. Pure.
//!
//! Text forms follow the developer guide's *Working with function logs*, JSON forms its *Telemetry API event
//! schema*. Ours are the five stages of an environment's first call, behind the reference's fields of REPORT and, in
//! JSON, among the `spans` that the schema leaves open.

use std::time::Duration;

use lambent_core::function::{FunctionSpec, LogFormat, LogLevel};
use lambent_core::ids::RequestId;
use lambent_core::ports::Stages;
use lambent_core::time::Timestamp;
use serde_json::{Value, json};

use super::failure::Failure;
use super::log_pump::LogPump;
use crate::runtime_api::extensions::Told;
use crate::runtime_api::telemetry::subscription::Category;

/// The lines of one environment's platform events, in its function's log format.
pub struct Lines<'a> {
    pub spec: &'a FunctionSpec,
    /// Where subscribers hear of what is told, whatever the log's format and level.
    pub events: Option<&'a LogPump>,
}

/// What is told when a runtime is done with a call.
pub struct RuntimeDone<'a> {
    pub took: Duration,
    pub failure: Option<&'a Failure>,
    pub errored: bool,
    pub produced_bytes: Option<usize>,
}

/// What REPORT says of a call.
#[derive(Debug, Clone)]
pub struct CallReport {
    pub duration: Duration,
    /// For the call that started its environment.
    pub init: Option<Duration>,
    /// The same, where the environment began with a snapshot.
    pub restore: Option<Stages>,
    pub memory_peak_bytes: u64,
    pub failure: Option<Failure>,
    /// The function answered with an error of its own.
    pub errored: bool,
    /// For an environment's first call.
    pub first: Option<First>,
}

/// Where the time of an environment's first call went, from the beginning on.
#[derive(Debug, Clone, Copy)]
pub struct First {
    pub made: Timestamp,
    pub stages: Stages,
    /// When the runtime was handed the event, and what it took from there.
    pub began: Timestamp,
    pub handler: Duration,
}

impl First {
    /// Without the word `Duration`: tools look for that in REPORT, and mean the reference's fields.
    fn text(&self) -> String {
        let Stages { sandbox, code, runtime, init } = self.stages;
        let [sandbox, code, runtime, init, handler] =
            [sandbox, code, runtime, init, self.handler].map(millis);
        format!(
            "Stages: sandbox {sandbox:.2} ms, code {code:.2} ms, runtime {runtime:.2} ms, init {init:.2} ms, \
             handler {handler:.2} ms\t"
        )
    }

    fn spans(&self) -> Value {
        let mut spans = made_spans(self.made, &self.stages);
        spans.push(span("handler", self.began, self.handler));
        Value::Array(spans)
    }
}

/// The stages of a start, one behind the other.
fn made_spans(made: Timestamp, stages: &Stages) -> Vec<Value> {
    let Stages { sandbox, code, runtime, init } = *stages;
    let mut start = made;
    let each = [("sandbox", sandbox), ("code", code), ("runtime", runtime), ("init", init)];
    let one = |(name, took): (&str, Duration)| {
        let span = span(name, start, took);
        start = start.plus(took);
        span
    };
    each.into_iter().map(one).collect()
}

fn span(name: &str, start: Timestamp, took: Duration) -> Value {
    json!({ "name": name, "start": start.to_string(), "durationMs": round(millis(took)) })
}

impl CallReport {
    /// Since August 2025 the reference bills the init phase of every function.
    pub fn billed_ms(&self) -> u64 {
        let billed = (millis(self.duration) + self.init.map(millis).unwrap_or(0.0)).ceil().max(1.0) as u64;
        billed + self.restore.map_or(0, |stages| billed_restore_ms(&stages))
    }

    pub fn used_mb(&self, memory_mb: u32) -> u64 {
        self.memory_peak_bytes.div_ceil(1024 * 1024).min(u64::from(memory_mb))
    }
}

/// Billed Restore Duration: the runtime, and what the function has run behind a restore.
fn billed_restore_ms(stages: &Stages) -> u64 {
    millis(stages.runtime + stages.init).ceil().max(1.0) as u64
}

impl Lines<'_> {
    /// An environment begins with a snapshot.
    pub fn restore_start(&self, served_by: Option<&str>, now: Timestamp) -> Option<String> {
        let id = self.spec.runtime.id;
        self.line(
            now,
            "platform.restoreStart",
            LogLevel::Info,
            || match served_by {
                Some(served_by) => format!("RESTORE_START Runtime Version: {id}\tServed By: {served_by}\n"),
                None => format!("RESTORE_START Runtime Version: {id}\n"),
            },
            || {
                json!({
                    "runtimeVersion": id,
                    "functionName": self.spec.name.as_str(), "functionVersion": self.spec.version.to_string(),
                })
            },
        )
    }

    /// It stands, and all that the function has run behind that is done; or that failed.
    pub fn restore_report(
        &self,
        took: Duration,
        failure: Option<&Failure>,
        now: Timestamp,
    ) -> Option<String> {
        let (ms, status) = (millis(took), failure.map_or("success", Failure::status));
        let level = if failure.is_some() { LogLevel::Warn } else { LogLevel::Info };
        self.line(
            now,
            "platform.restoreReport",
            level,
            || match failure {
                None => format!("RESTORE_REPORT Restore Duration: {ms:.2} ms\n"),
                Some(failure) => {
                    let kind = failure.error_type();
                    format!(
                        "RESTORE_REPORT Restore Duration: {ms:.2} ms\tStatus: {status}\tError Type: {kind}\n"
                    )
                }
            },
            || {
                let mut record = json!({ "status": status, "metrics": { "durationMs": round(ms) } });
                if let Some(failure) = failure {
                    record["errorType"] = json!(failure.error_type());
                }
                record
            },
        )
    }

    /// An init that became a snapshot.
    pub fn init_report_done(
        &self,
        initialization_type: &str,
        took: Duration,
        now: Timestamp,
    ) -> Option<String> {
        let ms = millis(took);
        self.line(
            now,
            "platform.initReport",
            LogLevel::Info,
            || format!("INIT_REPORT Init Duration: {ms:.2} ms\n"),
            || {
                json!({
                    "initializationType": initialization_type, "phase": "init", "status": "success",
                    "metrics": { "durationMs": round(ms) },
                })
            },
        )
    }

    pub fn init_start(
        &self,
        initialization_type: &str,
        served_by: Option<&str>,
        now: Timestamp,
    ) -> Option<String> {
        let id = self.spec.runtime.id;
        self.line(
            now,
            "platform.initStart",
            LogLevel::Info,
            || match served_by {
                Some(served_by) => format!("INIT_START Runtime Version: {id}\tServed By: {served_by}\n"),
                None => format!("INIT_START Runtime Version: {id}\n"),
            },
            || {
                let mut record = json!({
                    "initializationType": initialization_type, "phase": "init", "runtimeVersion": id,
                    "functionName": self.spec.name.as_str(), "functionVersion": self.spec.version.to_string(),
                });
                if let Some(served_by) = served_by {
                    record["servedBy"] = json!(served_by);
                }
                record
            },
        )
    }

    pub fn init_report(
        &self,
        initialization_type: &str,
        took: Duration,
        phase: &str,
        failure: &Failure,
        now: Timestamp,
    ) -> Option<String> {
        let (ms, status, kind) = (millis(took), failure.status(), failure.error_type());
        self.line(
            now,
            "platform.initReport",
            LogLevel::Warn,
            || {
                let tail = if status == "timeout" { String::new() } else { format!("\tError Type: {kind}") };
                format!("INIT_REPORT Init Duration: {ms:.2} ms\tPhase: {phase}\tStatus: {status}{tail}\n")
            },
            || {
                json!({
                    "initializationType": initialization_type, "phase": phase, "status": status, "errorType": kind,
                    "metrics": { "durationMs": ms },
                })
            },
        )
    }

    pub fn start(&self, request_id: &RequestId, now: Timestamp) -> Option<String> {
        let version = self.spec.version;
        self.line(
            now,
            "platform.start",
            LogLevel::Info,
            || format!("START RequestId: {request_id} Version: {version}\n"),
            || json!({ "requestId": request_id.as_str(), "version": version.to_string() }),
        )
    }

    /// END stands in the text format only.
    pub fn end(&self, request_id: &RequestId) -> Option<String> {
        (self.spec.logging.format == LogFormat::Text).then(|| format!("END RequestId: {request_id}\n"))
    }

    pub fn report(&self, request_id: &RequestId, call: &CallReport, now: Timestamp) -> Option<String> {
        let (duration_ms, billed_ms) = (millis(call.duration), call.billed_ms());
        let memory_mb = self.spec.memory_mb;
        let used_mb = call.used_mb(memory_mb);
        let status = match &call.failure {
            Some(failure) => failure.status(),
            None if call.errored => "error",
            None => "success",
        };
        let level = if status == "success" { LogLevel::Info } else { LogLevel::Warn };
        self.line(now, "platform.report", level, || {
            let mut text = format!(
                "REPORT RequestId: {request_id}\tDuration: {duration_ms:.2} ms\tBilled Duration: {billed_ms} ms\t\
                 Memory Size: {memory_mb} MB\tMax Memory Used: {used_mb} MB\t"
            );
            if let Some(init) = call.init {
                text.push_str(&format!("Init Duration: {:.2} ms\t", millis(init)));
            }
            if let Some(stages) = &call.restore {
                text.push_str(&format!(
                    "Restore Duration: {:.2} ms\tBilled Restore Duration: {} ms\t",
                    millis(stages.total()),
                    billed_restore_ms(stages)
                ));
            }
            if let Some(failure) = &call.failure {
                text.push_str(&format!("Status: {status}\t"));
                if !matches!(failure, Failure::TimedOut { .. }) {
                    text.push_str(&format!("Error Type: {}\t", failure.error_type()));
                }
            }
            if let Some(first) = &call.first {
                text.push_str(&first.text());
            }
            text.push('\n');
            text
        }, || {
            let mut metrics = json!({
                "durationMs": round(duration_ms), "billedDurationMs": billed_ms,
                "memorySizeMB": memory_mb, "maxMemoryUsedMB": used_mb,
            });
            if let Some(init) = call.init {
                metrics["initDurationMs"] = json!(round(millis(init)));
            }
            if let Some(stages) = &call.restore {
                metrics["restoreDurationMs"] = json!(round(millis(stages.total())));
                metrics["billedRestoreDurationMs"] = json!(billed_restore_ms(stages));
            }
            let mut record = json!({ "requestId": request_id.as_str(), "metrics": metrics, "status": status });
            if let Some(failure) = &call.failure {
                record["errorType"] = json!(failure.error_type());
            }
            if let Some(first) = &call.first {
                record["spans"] = first.spans();
            }
            record
        })
    }

    /// A failure's own line: text functions get it as text, JSON functions find it in platform.report.
    pub fn failure(&self, failure: &Failure, request_id: &RequestId, now: Timestamp) -> Option<String> {
        if !failure.has_line() {
            return None;
        }
        match self.spec.logging.format {
            LogFormat::Text => Some(failure.log_line(request_id, now)),
            LogFormat::Json => (self.spec.logging.application_level <= LogLevel::Error).then(|| {
                let document = json!({
                    "timestamp": now.to_string(), "level": "ERROR", "requestId": request_id.as_str(),
                    "errorType": failure.error_type(), "message": failure.message(),
                });
                format!("{document}\n")
            }),
        }
    }

    /// The runtime is up, or could not come up: for subscribers only.
    pub fn init_runtime_done(
        &self,
        initialization_type: &str,
        phase: &str,
        failure: Option<&Failure>,
        now: Timestamp,
    ) {
        if let Some(events) = self.heard() {
            let status = failure.map_or("success", Failure::status);
            let mut record =
                json!({ "initializationType": initialization_type, "phase": phase, "status": status });
            if let Some(failure) = failure {
                record["errorType"] = json!(failure.error_type());
            }
            events.event(now, "platform.initRuntimeDone", record);
        }
    }

    /// An init phase that went well: for subscribers only.
    pub fn init_done(
        &self,
        initialization_type: &str,
        phase: &str,
        took: Duration,
        (made, stages): (Timestamp, &Stages),
        now: Timestamp,
    ) {
        if let Some(events) = self.heard() {
            let record = json!({
                "initializationType": initialization_type, "phase": phase, "status": "success",
                "metrics": { "durationMs": round(millis(took)) }, "spans": made_spans(made, stages),
            });
            events.event(now, "platform.initReport", record);
        }
    }

    /// The runtime has answered, or never will: for subscribers only.
    pub fn runtime_done(&self, request_id: &RequestId, done: &RuntimeDone<'_>, now: Timestamp) {
        if let Some(events) = self.heard() {
            let status = match done.failure {
                Some(failure) => failure.status(),
                None if done.errored => "error",
                None => "success",
            };
            let mut metrics = json!({ "durationMs": round(millis(done.took)) });
            if let Some(bytes) = done.produced_bytes {
                metrics["producedBytes"] = json!(bytes);
            }
            let mut record =
                json!({ "requestId": request_id.as_str(), "status": status, "metrics": metrics });
            if let Some(failure) = done.failure {
                record["errorType"] = json!(failure.error_type());
            }
            events.event(now, "platform.runtimeDone", record);
        }
    }

    /// An extension subscribed to telemetry.
    pub fn subscription(&self, name: &str, types: &[Category], now: Timestamp) -> Option<String> {
        self.line(
            now,
            "platform.telemetrySubscription",
            LogLevel::Info,
            || {
                let types: Vec<&str> = types.iter().map(|kind| kind.title()).collect();
                format!("TELEMETRY\tName: {name}\tState: Subscribed\tTypes: [{}]\n", types.join(", "))
            },
            || {
                let types: Vec<&str> = types.iter().map(|kind| kind.as_str()).collect();
                json!({ "name": name, "state": "Subscribed", "types": types })
            },
        )
    }

    /// The state of an extension, when the init phase ends.
    pub fn extension(&self, told: &Told, now: Timestamp) -> Option<String> {
        let Told { name, state, events, error_type, .. } = told;
        self.line(
            now,
            "platform.extension",
            LogLevel::Info,
            || {
                let tail =
                    error_type.as_ref().map(|kind| format!("\tError Type: {kind}")).unwrap_or_default();
                format!("EXTENSION\tName: {name}\tState: {state}\tEvents: [{}]{tail}\n", events.join(", "))
            },
            || {
                let mut record = json!({ "name": name, "state": state, "events": events });
                if let Some(kind) = error_type {
                    record["errorType"] = json!(kind);
                }
                record
            },
        )
    }

    /// Where events go, when anybody listens.
    fn heard(&self) -> Option<&LogPump> {
        self.events.filter(|events| events.wants_events())
    }

    fn line(
        &self,
        now: Timestamp,
        kind: &'static str,
        level: LogLevel,
        text: impl FnOnce() -> String,
        record: impl FnOnce() -> Value,
    ) -> Option<String> {
        let logging = &self.spec.logging;
        let is_text = logging.format == LogFormat::Text;
        let is_logged = is_text || level >= logging.system_level;
        let heard = self.heard();
        if heard.is_some() || is_logged && !is_text {
            let record = record();
            let document = (is_logged && !is_text)
                .then(|| json!({ "time": now.to_string(), "type": kind, "record": record }));
            if let Some(events) = heard {
                events.event(now, kind, record);
            }
            if let Some(document) = document {
                return Some(format!("{document}\n"));
            }
        }
        is_text.then(text)
    }
}

fn millis(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1000.0
}

fn round(value: f64) -> f64 {
    (value * 1000.0).round() / 1000.0
}
