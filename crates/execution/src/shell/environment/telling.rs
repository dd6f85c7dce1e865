//! What an environment tells of itself: lines in its function's log, events for who subscribed, and what becomes of
//! each call to those who count and follow them.

use std::time::Duration;

use bytes::Bytes;
use lambent_core::ids::RequestId;
use lambent_core::ports::{
    Answer, CallEnd, CallHop, CallRun, CallSample, ColdReason, Invocation, LogLine, LogTarget, Outcome,
    ServedBy, Start,
};
use lambent_core::time::Timestamp;

use super::super::failure::Failure;
use super::super::report::{CallReport, Lines};
use super::{Found, InitFailure, Maker, Process};

/// Ours: an error document over this is not looked into for its error's name.
const DOCUMENT_BYTES_MAX: usize = 16 * 1024;

impl Process {
    pub fn lines<'a>(&'a self, maker: &'a Maker) -> Lines<'a> {
        Lines { spec: &maker.spec, events: Some(&self.pump) }
    }

    /// Told where anybody listens, behind an init that went well.
    pub fn report_init(&self, phase: &str, maker: &Maker) {
        self.report_extensions(maker);
        if self.restores {
            let line = self.lines(maker).restore_report(self.stages.total(), None, maker.ports.clock.now());
            return self.pump.platform(line);
        }
        if self.pump.wants_events() {
            let (lines, now, kind) =
                (self.lines(maker), maker.ports.clock.now(), maker.initialization_type());
            lines.init_runtime_done(kind, phase, None, now);
            lines.init_done(kind, phase, self.started.elapsed(), (self.made, &self.stages), now);
        }
    }

    pub fn report_init_failure(&self, phase: &str, failure: &InitFailure, maker: &Maker) {
        let told = failure.told();
        let now = maker.ports.clock.now();
        let took = self.started.elapsed();
        let lines = self.lines(maker);
        self.report_extensions(maker);
        if self.restores {
            return self.pump.platform(lines.restore_report(took, Some(&told), now));
        }
        lines.init_runtime_done(maker.initialization_type(), phase, Some(&told), now);
        self.pump.platform(lines.init_report(maker.initialization_type(), took, phase, &told, now));
    }
}

pub fn write_end(maker: &Maker, process: &Process, request_id: &RequestId, report: &CallReport) {
    let lines = process.lines(maker);
    let now = maker.ports.clock.now();
    if let Some(failure) = &report.failure {
        process.pump.platform(lines.failure(failure, request_id, now));
    }
    let last = [lines.end(request_id), lines.report(request_id, report, now)];
    process.pump.platform_lines(last.into_iter().flatten().collect());
}

/// All lines of a call for which no program could be started: nothing else writes to its log. Gives them back.
pub async fn write_without_program(
    maker: &Maker,
    request_id: &RequestId,
    phase: (&str, Duration),
    report: &CallReport,
) -> Bytes {
    let Maker { spec, ports, .. } = maker;
    let lines = Lines { spec, events: None };
    let now = ports.clock.now();
    let init = report
        .failure
        .as_ref()
        .and_then(|failure| lines.init_report(maker.initialization_type(), phase.1, phase.0, failure, now));
    let all =
        [init, lines.start(request_id, now), lines.end(request_id), lines.report(request_id, report, now)];
    let all: Vec<String> = all.into_iter().flatten().collect();
    let said = all.concat();
    let target = LogTarget {
        account: spec.account.clone(),
        region: spec.region.clone(),
        group: spec.logging.group.clone(),
        stream: maker.log_stream.clone(),
    };
    let lines = all.into_iter().map(|text| LogLine { time: now, text }).collect();
    ports.sink.append(&target, lines).await;
    Bytes::from(said)
}

/// A call on its way through an environment.
pub struct Followed<'a> {
    pub maker: &'a Maker,
    pub invocation: Invocation,
    pub served_by: ServedBy,
    pub at: Timestamp,
    pub waited: Duration,
    pub start: Start,
}

impl Followed<'_> {
    /// It is over: counted, and told to whoever follows calls.
    pub fn ended(self, answer: &Answer, report: &CallReport) {
        let Self { maker, invocation, served_by, at, waited, start } = self;
        let cold_reason = match start {
            Start::Cold { why, .. } => why,
            Start::Warm | Start::Ahead { .. } => None,
        };
        let failed = matches!(answer.outcome, Outcome::Failed(_));
        let sample =
            CallSample { duration: answer.handler, failed, cold: answer.cold, cold_reason, served_by };
        maker.ports.metrics.call(&maker.spec, sample);
        let response_bytes = match &answer.outcome {
            Outcome::Returned(payload) | Outcome::Failed(payload) => payload.len(),
        };
        let run = CallRun {
            log_stream: maker.log_stream.clone(),
            start,
            served_by,
            handler: answer.handler,
            duration: report.duration,
            billed_ms: report.billed_ms(),
            memory_used_mb: report.used_mb(maker.spec.memory_mb),
            response_bytes,
        };
        let preview = preview(maker.ports.traces.preview_bytes(), &invocation.payload);
        maker.ports.traces.call(CallHop {
            spec: invocation.spec,
            request_id: invocation.request_id,
            trace_header: invocation.trace_header,
            origin: invocation.origin,
            at,
            waited,
            ran: Some(run),
            end: end_of(&answer.outcome, report.failure.as_ref()),
            request_bytes: invocation.payload.len(),
            preview,
        });
    }
}

/// A copy: what waits to be stored does not hold on to whole payloads.
pub fn preview(bytes_max: usize, payload: &Bytes) -> Option<Bytes> {
    (bytes_max > 0).then(|| Bytes::copy_from_slice(&payload[..payload.len().min(bytes_max)]))
}

fn end_of(outcome: &Outcome, failure: Option<&Failure>) -> CallEnd {
    let document = match outcome {
        Outcome::Failed(document) if document.len() <= DOCUMENT_BYTES_MAX => Some(document.clone()),
        _ => None,
    };
    match (failure, outcome) {
        (Some(Failure::TimedOut { .. }), _) => CallEnd::TimedOut,
        (Some(failure), _) => CallEnd::Failed { kind: Some(failure.error_type().to_owned()), document },
        (None, Outcome::Failed(_)) => CallEnd::Failed { kind: None, document },
        (None, Outcome::Returned(_)) => CallEnd::Returned,
    }
}

/// What a call has found, by what its environment was when it came.
pub fn start_of(found: Found, again: bool, process: &Process, why: Option<ColdReason>) -> Start {
    let stages = process.stages;
    match found {
        Found::Cold => Start::Cold { stages, why },
        // It stood, and failed before this call came.
        _ if again => Start::Cold { stages, why: Some(ColdReason::Failure) },
        Found::Ahead => Start::Ahead { stages },
        Found::Warm => Start::Warm,
    }
}
