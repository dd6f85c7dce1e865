//! What happened on the way of a call or an event, told a hop at a time.
//!
//! Whoever moves an event on (accepts it, puts it off, runs it, delivers it, gives it up) tells one hop of it. What
//! ties hops together is the trace: the `Root` of X-Ray's header, which travels with the event. A hop names its
//! own id too, and the event that it came of, so that a way can be followed from any of its stations.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;

use super::{ServedBy, Stages, ThrottleReason};
use crate::function::FunctionSpec;
use crate::ids::{AccountId, Region, RequestId};
use crate::time::Timestamp;

/// Takes hops. Never waits and never fails: what there is no room for is counted and left out.
pub trait TraceSink: Send + Sync {
    /// Something moved an event on.
    fn hop(&self, hop: Hop);

    /// A call of a function came to its end, or was refused.
    fn call(&self, call: CallHop);

    /// Whether there is room for one more hop that went well at this ARN. Who moves many events on asks first: a hop
    /// costs more than the question. What is not wanted counts as left out.
    fn wants(&self, subject: &str) -> bool {
        let _ = subject;
        true
    }

    /// How much of a payload a hop is to show; 0 is nothing of it.
    fn preview_bytes(&self) -> usize {
        0
    }

    /// The beginning of a payload, where it is to be shown.
    fn preview(&self, payload: &[u8]) -> Option<Bytes> {
        let shown = self.preview_bytes().min(payload.len());
        (self.preview_bytes() > 0).then(|| Bytes::copy_from_slice(&payload[..shown]))
    }
}

/// A station of an event's way.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hop {
    pub account: AccountId,
    pub region: Region,
    /// The ARN of what the event was at.
    pub subject: String,
    /// X-Ray's root, where the event has one: see [`trace_root`].
    pub trace: Option<String>,
    /// What the event is known by here: a request id, a message id.
    pub id: String,
    /// The id of the event that this one came of.
    pub parent: Option<String>,
    pub kind: HopKind,
    pub at: Timestamp,
    /// How long it took, or how long it waits.
    pub took: Duration,
    pub outcome: HopOutcome,
    /// The ARN of who brought it.
    pub by: Option<String>,
    /// The ARN of what the event went to from here.
    pub target: Option<String>,
    /// Why, in a few words.
    pub note: Option<String>,
    /// The beginning of the payload, where the sink asks for it.
    pub preview: Option<Bytes>,
}

impl Hop {
    /// One that went well, took no time, and says nothing else yet.
    pub fn new(owner: (&AccountId, &Region), kind: HopKind, subject: &str, id: &str, at: Timestamp) -> Self {
        Self {
            account: owner.0.clone(),
            region: owner.1.clone(),
            subject: subject.to_owned(),
            trace: None,
            id: id.to_owned(),
            parent: None,
            kind,
            at,
            took: Duration::ZERO,
            outcome: HopOutcome::Ok,
            by: None,
            target: None,
            note: None,
            preview: None,
        }
    }

    /// Of the trace that this header names, if it names one.
    pub fn traced(self, header: Option<&str>) -> Self {
        Self { trace: header.and_then(trace_root).map(str::to_owned), ..self }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum HopKind {
    /// Taken in, and on the disk.
    Accept,
    /// Put off until later.
    Wait,
    /// Handed on to `target`.
    Deliver,
    /// Over without having arrived.
    GiveUp,
}

impl HopKind {
    pub const ALL: [Self; 4] = [Self::Accept, Self::Wait, Self::Deliver, Self::GiveUp];

    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Accept => "accept",
            Self::Wait => "wait",
            Self::Deliver => "deliver",
            Self::GiveUp => "give-up",
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum HopOutcome {
    Ok,
    /// What was called failed.
    Error,
    TimedOut,
    Throttled,
    /// The platform could not do it.
    Refused,
}

impl HopOutcome {
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Error => "error",
            Self::TimedOut => "timeout",
            Self::Throttled => "throttled",
            Self::Refused => "refused",
        }
    }
}

/// A call of a function, at its end. Cheap to make: nothing of it is a text yet that wasn't one before.
#[derive(Debug, Clone)]
pub struct CallHop {
    pub spec: Arc<FunctionSpec>,
    pub request_id: RequestId,
    pub trace_header: Option<String>,
    pub origin: Origin,
    /// When it came.
    pub at: Timestamp,
    /// From then until its environment took it.
    pub waited: Duration,
    /// `None` for a call that was refused.
    pub ran: Option<CallRun>,
    pub end: CallEnd,
    pub request_bytes: usize,
    /// The beginning of the payload, where the sink asks for it.
    pub preview: Option<Bytes>,
}

/// How a call ran.
#[derive(Debug, Clone)]
pub struct CallRun {
    /// The log stream of its environment.
    pub log_stream: Arc<str>,
    pub start: Start,
    pub served_by: ServedBy,
    /// From the moment that the runtime was handed the event until it answered.
    pub handler: Duration,
    /// What REPORT says.
    pub duration: Duration,
    pub billed_ms: u64,
    pub memory_used_mb: u64,
    pub response_bytes: usize,
}

/// What the call found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Start {
    /// An environment that had run a call before.
    Warm,
    /// It waited for its environment's start.
    Cold { stages: Stages, why: Option<ColdReason> },
    /// An environment that had been made ahead, and had not run a call yet.
    Ahead { stages: Stages },
}

#[derive(Debug, Clone)]
pub enum CallEnd {
    Returned,
    /// The function failed: `kind` where it ended without an answer, its own document otherwise.
    Failed {
        kind: Option<String>,
        document: Option<Bytes>,
    },
    TimedOut,
    Throttled(ThrottleReason),
    Refused {
        detail: String,
    },
}

/// Why no environment waited for a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum ColdReason {
    /// The function was not called before since the node started.
    First,
    /// The function was changed.
    Update,
    /// Its environments had been retired.
    Idle,
    /// The last of its environments had failed.
    Failure,
    /// All of its environments were in use.
    Burst,
}

impl ColdReason {
    pub const ALL: [Self; 5] = [Self::First, Self::Update, Self::Idle, Self::Failure, Self::Burst];

    pub const fn as_str(self) -> &'static str {
        match self {
            Self::First => "first",
            Self::Update => "update",
            Self::Idle => "idle",
            Self::Failure => "failure",
            Self::Burst => "burst",
        }
    }
}

/// Where a call comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Origin {
    pub source: Source,
    /// The ARN of who called; empty where nobody signed.
    pub caller: Arc<str>,
    /// Which attempt it is, from 1 on.
    pub attempt: u32,
}

impl Origin {
    pub fn of(source: Source, caller: &str) -> Self {
        Self { source, caller: Arc::from(caller), attempt: 1 }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Source {
    /// Somebody who waits for the answer.
    Invoke,
    /// A request to the function's URL.
    FunctionUrl,
    /// An event that was accepted before.
    Event,
    /// Records that an event source mapping read.
    EventSourceMapping,
}

impl Source {
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Invoke => "invoke",
            Self::FunctionUrl => "url",
            Self::Event => "event",
            Self::EventSourceMapping => "mapping",
        }
    }
}

/// X-Ray: `1-`, eight digits, `-`, twenty-four digits. What is longer than this is not taken for one.
const TRACE_ROOT_CHARS_MAX: usize = 64;

/// The root of a trace header such as `Root=1-67891233-abcdef012345678912345678;Parent=...;Sampled=1`.
pub fn trace_root(header: &str) -> Option<&str> {
    let root = header.split(';').find_map(|part| part.trim().strip_prefix("Root="))?.trim();
    (!root.is_empty() && root.len() <= TRACE_ROOT_CHARS_MAX).then_some(root)
}

/// Keeps nothing.
pub struct NoTraces;

impl TraceSink for NoTraces {
    fn hop(&self, _: Hop) {}
    fn call(&self, _: CallHop) {}
    fn wants(&self, _: &str) -> bool {
        false
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_root_is_found_wherever_it_stands() {
        for header in
            ["Root=1-a-b;Parent=c;Sampled=0", "Self=1-x;Root=1-a-b", " Root=1-a-b ;Lineage=z", "Root=1-a-b"]
        {
            assert_eq!(trace_root(header), Some("1-a-b"), "{header}");
        }
        let long = format!("Root={}", "x".repeat(65));
        for header in ["", "Root=", "Parent=1", "root=1-a-b", "rubbish", long.as_str()] {
            assert_eq!(trace_root(header), None, "{header}");
        }
    }
}
