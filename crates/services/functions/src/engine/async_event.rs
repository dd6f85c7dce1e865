//! What becomes of an asynchronous call after each attempt, and the record that its destination gets. Pure.
//!
//! Source: *Asynchronous invocation* in the developer guide. A function's own error is tried again after one and
//! then two minutes, as often as the configuration says. A throttle or an error of the platform uses no retry: the
//! event waits, longer each time, until it is too old.

use std::time::Duration;

use lambent_core::ids::RequestId;
use lambent_core::time::Timestamp;
use lambent_store::deliveries::Tries;
use lambent_store::functions::EventInvokeRecord;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use serde_json::{Value, json};

/// Developer guide: MaximumEventAgeInSeconds and MaximumRetryAttempts, and what holds without a configuration.
pub const EVENT_AGE_SECS_MIN: u32 = 60;
pub const EVENT_AGE_SECS_MAX: u32 = 21_600;
pub const RETRIES_MAX: u32 = 2;

/// Developer guide: the waits between attempts that the function failed.
const RETRY_AFTER: [Duration; 2] = [Duration::from_secs(60), Duration::from_secs(120)];

/// Developer guide: the wait for want of capacity grows from one second to five minutes.
const DEFER_MIN: Duration = Duration::from_secs(1);
const DEFER_MAX: Duration = Duration::from_secs(300);

/// An asynchronous call as it waits in its delivery.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct AsyncEvent {
    pub account: String,
    pub region: String,
    pub function: String,
    pub qualifier: Option<String>,
    pub invoked_arn: String,
    pub trace_header: String,
    pub client_context: Option<String>,
    pub payload: Box<RawValue>,
    /// The ARN of who brought it, for those who follow it.
    #[serde(default)]
    pub by: String,
}

/// How an attempt came out.
#[derive(Debug, Clone, PartialEq)]
pub enum Attempt {
    Returned {
        version: String,
        payload: Vec<u8>,
    },
    Failed {
        version: String,
        payload: Vec<u8>,
    },
    /// No capacity, or the platform's own trouble: no attempt was made.
    Deferred,
    /// The function's reserved concurrency is 0.
    SwitchedOff,
    /// The event was too old before it could be tried.
    TooOld,
    /// It came through the function too often.
    GoesRound,
}

/// Why an event is given up: the record's `condition`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Condition {
    Success,
    RetriesExhausted,
    EventAgeExceeded,
    ZeroReservedConcurrency,
    /// Ours: the reference's documents don't say the word.
    RecursiveInvocation,
}

impl Condition {
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Success => "Success",
            Self::RetriesExhausted => "RetriesExhausted",
            Self::EventAgeExceeded => "EventAgeExceeded",
            Self::ZeroReservedConcurrency => "ZeroReservedConcurrency",
            Self::RecursiveInvocation => "RecursiveInvocation",
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    Postpone {
        due: Timestamp,
        tries: Tries,
    },
    /// It is over. `attempts` were made.
    Over {
        condition: Condition,
        attempts: u32,
    },
}

/// The oldest that an event may become.
pub fn age_max(config: Option<&EventInvokeRecord>) -> Duration {
    let secs = config.and_then(|config| config.max_age_secs).unwrap_or(EVENT_AGE_SECS_MAX);
    Duration::from_secs(u64::from(secs))
}

/// How often an event is tried again that the function failed.
pub fn retries_max(config: Option<&EventInvokeRecord>) -> u32 {
    config.and_then(|config| config.max_retries).unwrap_or(RETRIES_MAX)
}

pub fn judge(
    attempt: &Attempt,
    tries: Tries,
    config: Option<&EventInvokeRecord>,
    accepted: Timestamp,
    now: Timestamp,
) -> Verdict {
    let last_moment = accepted.plus(age_max(config));
    let over = |condition, attempts| Verdict::Over { condition, attempts };
    let put_off = |wait: Duration, tries| Verdict::Postpone { due: now.plus(wait).min(last_moment), tries };
    match attempt {
        Attempt::Returned { .. } => over(Condition::Success, tries.attempts + 1),
        Attempt::Failed { .. } => {
            let attempts = tries.attempts + 1;
            let retries = retries_max(config);
            if attempts > retries {
                return over(Condition::RetriesExhausted, attempts);
            }
            let wait = RETRY_AFTER[(attempts as usize - 1).min(RETRY_AFTER.len() - 1)];
            put_off(wait, Tries { attempts, deferrals: 0 })
        }
        Attempt::Deferred if now >= last_moment => over(Condition::EventAgeExceeded, tries.attempts),
        Attempt::Deferred => {
            let wait = DEFER_MIN.saturating_mul(1 << tries.deferrals.min(16)).min(DEFER_MAX);
            put_off(wait, Tries { deferrals: tries.deferrals.saturating_add(1), ..tries })
        }
        Attempt::SwitchedOff => over(Condition::ZeroReservedConcurrency, tries.attempts),
        Attempt::TooOld => over(Condition::EventAgeExceeded, tries.attempts),
        Attempt::GoesRound => over(Condition::RecursiveInvocation, tries.attempts),
    }
}

/// The invocation record: what a destination gets.
pub fn record(
    event: &AsyncEvent,
    request_id: &RequestId,
    attempt: &Attempt,
    condition: Condition,
    attempts: u32,
    now: Timestamp,
) -> Value {
    let mut record = json!({
        "version": "1.0",
        "timestamp": now.to_string(),
        "requestContext": {
            "requestId": request_id.as_str(),
            "functionArn": qualified(event),
            "condition": condition.as_str(),
            "approximateInvokeCount": attempts,
        },
        "requestPayload": parsed(event.payload.get().as_bytes()),
    });
    let (version, payload, failed) = match attempt {
        Attempt::Returned { version, payload } => (version, payload, false),
        Attempt::Failed { version, payload } => (version, payload, true),
        Attempt::Deferred | Attempt::SwitchedOff | Attempt::TooOld | Attempt::GoesRound => return record,
    };
    record["responseContext"] = json!({ "statusCode": 200, "executedVersion": version });
    if failed {
        record["responseContext"]["functionError"] = "Unhandled".into();
    }
    record["responsePayload"] = parsed(payload);
    record
}

/// The ARN that was called, with a qualifier in any case.
pub fn qualified(event: &AsyncEvent) -> String {
    match &event.qualifier {
        Some(_) => event.invoked_arn.clone(),
        None => format!("{}:$LATEST", event.invoked_arn),
    }
}

/// A payload as JSON; one that is none, as a text.
fn parsed(payload: &[u8]) -> Value {
    serde_json::from_slice(payload)
        .unwrap_or_else(|_| Value::String(String::from_utf8_lossy(payload).into_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(secs: u64) -> Timestamp {
        Timestamp::from_millis(1_700_000_000_000 + secs * 1000)
    }

    fn tries(attempts: u32, deferrals: u32) -> Tries {
        Tries { attempts, deferrals }
    }

    fn failed() -> Attempt {
        Attempt::Failed { version: "$LATEST".to_owned(), payload: b"{}".to_vec() }
    }

    fn config(max_age_secs: Option<u32>, max_retries: Option<u32>) -> EventInvokeRecord {
        EventInvokeRecord { max_age_secs, max_retries, ..EventInvokeRecord::default() }
    }

    fn over(condition: Condition, attempts: u32) -> Verdict {
        Verdict::Over { condition, attempts }
    }

    #[test]
    fn a_functions_error_is_tried_again_after_one_and_two_minutes() {
        let judge = |tries, now| judge(&failed(), tries, None, at(0), now);
        let later = |due, attempts| Verdict::Postpone { due, tries: tries(attempts, 0) };
        assert_eq!(judge(tries(0, 4), at(10)), later(at(70), 1));
        assert_eq!(judge(tries(1, 0), at(70)), later(at(190), 2));
        assert_eq!(judge(tries(2, 0), at(190)), over(Condition::RetriesExhausted, 3));
    }

    #[test]
    fn the_configured_number_of_retries_counts() {
        for retries in 0..=2 {
            let config = config(None, Some(retries));
            for attempts in 0..=2 {
                let verdict = judge(&failed(), tries(attempts, 0), Some(&config), at(0), at(1));
                let is_over = verdict == over(Condition::RetriesExhausted, attempts + 1);
                assert_eq!(is_over, attempts >= retries, "{retries} {attempts}");
            }
        }
    }

    #[test]
    fn a_throttle_uses_no_retry_and_waits_longer_each_time() {
        let waits: Vec<u64> = (0..12)
            .map(|deferrals| match judge(&Attempt::Deferred, tries(1, deferrals), None, at(0), at(100)) {
                Verdict::Postpone { due, tries } => {
                    assert_eq!((tries.attempts, tries.deferrals), (1, deferrals + 1));
                    due.since(at(100)).as_secs()
                }
                other => panic!("{other:?}"),
            })
            .collect();
        assert_eq!(waits, [1, 2, 4, 8, 16, 32, 64, 128, 256, 300, 300, 300]);
    }

    #[test]
    fn nothing_waits_beyond_its_age() {
        let config = config(Some(60), None);
        let judge = |attempt: &Attempt, now| judge(attempt, tries(0, 9), Some(&config), at(0), now);
        let at_the_end =
            |attempts, deferrals| Verdict::Postpone { due: at(60), tries: tries(attempts, deferrals) };
        assert_eq!(judge(&Attempt::Deferred, at(10)), at_the_end(0, 10));
        assert_eq!(judge(&failed(), at(30)), at_the_end(1, 0));
        assert_eq!(judge(&Attempt::Deferred, at(60)), over(Condition::EventAgeExceeded, 0));
        assert_eq!(judge(&Attempt::TooOld, at(60)), over(Condition::EventAgeExceeded, 0));
    }

    #[test]
    fn a_function_that_is_switched_off_fails_its_events_at_once() {
        let verdict = judge(&Attempt::SwitchedOff, tries(1, 0), None, at(0), at(1));
        assert_eq!(verdict, over(Condition::ZeroReservedConcurrency, 1));
    }

    #[test]
    fn the_record_has_the_references_shape() {
        let event = AsyncEvent {
            account: "000000000000".to_owned(),
            region: "us-east-1".to_owned(),
            function: "f".to_owned(),
            qualifier: None,
            invoked_arn: "arn:aws:lambda:us-east-1:000000000000:function:f".to_owned(),
            trace_header: String::new(),
            client_context: None,
            payload: RawValue::from_string("{\"a\":1}".to_owned()).unwrap(),
            by: String::new(),
        };
        let id = RequestId::new("00000000-0000-4000-8000-000000000001").unwrap();
        let attempt =
            Attempt::Failed { version: "3".to_owned(), payload: b"{\"errorMessage\":\"x\"}".to_vec() };
        let record = record(&event, &id, &attempt, Condition::RetriesExhausted, 3, at(0));
        let expected = json!({
            "version": "1.0",
            "timestamp": at(0).to_string(),
            "requestContext": {
                "requestId": id.as_str(),
                "functionArn": "arn:aws:lambda:us-east-1:000000000000:function:f:$LATEST",
                "condition": "RetriesExhausted",
                "approximateInvokeCount": 3,
            },
            "requestPayload": { "a": 1 },
            "responseContext": { "statusCode": 200, "executedVersion": "3", "functionError": "Unhandled" },
            "responsePayload": { "errorMessage": "x" },
        });
        assert_eq!(record, expected);
    }
}
