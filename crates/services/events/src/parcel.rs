//! What is on its way to a target that may be unable to take it for a while, and what becomes of it when it can't.
//! Pure.

use std::collections::BTreeMap;
use std::time::Duration;

use lambent_core::arn::Arn;
use lambent_core::ids::AccountId;
use lambent_core::ports::PushRefusal;
use lambent_core::time::Timestamp;
use lambent_store::deliveries::Refusal;
use lambent_store::events::{RetryRecord, TargetHttpRecord};
use serde::{Deserialize, Serialize};

use crate::api::shapes::{EVENT_AGE_SECS_MAX, RETRY_ATTEMPTS_MAX};

/// Ours: the pauses between attempts double up to this one, so that the reference's 185 fill its 24 hours.
const PAUSE_SECS_MAX: u64 = 512;

/// SQS: an attribute's text is a part of the message's size. Ours: a message says no more than this of its error.
const ERROR_MESSAGE_CHARS_MAX: usize = 1_024;

/// A message for a target, as it waits in its delivery.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Parcel {
    pub goal: Goal,
    pub body: String,
    pub trace_header: Option<String>,
    /// The event, or the schedule's execution, that it tells of.
    #[serde(default)]
    pub event_id: String,
    pub origin: Origin,
    pub patience: Patience,
    pub dead_letter: Option<DeadLetter>,
}

/// Where it is to go.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum Goal {
    /// A queue, or a topic, which has no groups.
    Queue { arn: String, group: Option<String> },
    /// An API destination, with its target's parameters for this event.
    Http { arn: String, with: TargetHttpRecord },
    /// An operation of a service, by the ARN of a universal target.
    Operation { arn: String, service: String, action: String },
    /// A queue that gets what has failed, with why in attributes.
    DeadLetters { arn: String, attributes: BTreeMap<String, (String, String)> },
}

impl Goal {
    pub fn arn(&self) -> &str {
        match self {
            Self::Queue { arn, .. }
            | Self::Http { arn, .. }
            | Self::Operation { arn, .. }
            | Self::DeadLetters { arn, .. } => arn,
        }
    }
}

/// Whom it comes from, and by what right.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Origin {
    pub account: AccountId,
    pub target_arn: String,
    pub sender: Sender,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum Sender {
    /// `role` is the target's; without one the service itself asks the target's policy.
    Rule {
        arn: String,
        role: Option<String>,
    },
    Schedule {
        arn: String,
        role: String,
        execution_id: String,
        time: String,
    },
}

impl Origin {
    /// The rule or the schedule.
    pub fn source_arn(&self) -> &str {
        match &self.sender {
            Sender::Rule { arn, .. } | Sender::Schedule { arn, .. } => arn,
        }
    }
}

/// RetryPolicy, counted from the moment of the event.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Patience {
    /// Attempts after the first one.
    pub retries_max: u32,
    pub expires: Timestamp,
}

impl Patience {
    pub fn new(retry: RetryRecord, since: Timestamp) -> Self {
        let age_secs = retry.age_secs_max.unwrap_or(EVENT_AGE_SECS_MAX);
        Self {
            retries_max: retry.attempts_max.unwrap_or(RETRY_ATTEMPTS_MAX),
            expires: since.plus(Duration::from_secs(age_secs.into())),
        }
    }
}

/// What to do with a parcel that can't arrive.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct DeadLetter {
    pub queue_arn: String,
    /// The event as it came, when it isn't what the target was to get.
    pub event: Option<String>,
}

/// Why something does not arrive.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    pub cause: Cause,
    /// What an operation itself calls it.
    pub code: Option<String>,
    pub message: String,
    /// Attempts after the first one that were made.
    pub retries: u32,
    /// The member of RetryPolicy that has ended it.
    pub exhausted: Option<&'static str>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cause {
    NoPermission,
    NoResource,
    Invalid,
    Internal,
    /// An API destination's: who calls it has done something wrong, or it can't be reached.
    Client,
    /// It has failed itself.
    Target,
    Throttled,
    Unknown,
}

impl Cause {
    /// As each service's users find it in `ERROR_CODE`: EventBridge has words of its own, its scheduler passes on
    /// what the target's API answers.
    fn code(self, origin: &Origin) -> &'static str {
        let service = Arn::parse(&origin.target_arn).map(|arn| arn.service);
        let (is_queue, is_topic) = (service.as_deref() == Some("sqs"), service.as_deref() == Some("sns"));
        match (&origin.sender, self) {
            (Sender::Rule { .. }, Self::NoPermission) => "NO_PERMISSIONS",
            (Sender::Rule { .. }, Self::NoResource) => "NO_RESOURCE",
            (Sender::Rule { .. }, Self::Invalid) => "INVALID_PARAMETER",
            (Sender::Rule { .. }, Self::Internal) => "INTERNAL_ERROR",
            (Sender::Rule { .. }, Self::Client) => "SDK_CLIENT_ERROR",
            (Sender::Rule { .. }, Self::Target) => "ERROR_FROM_TARGET",
            (Sender::Rule { .. }, Self::Throttled) => "THROTTLING",
            (Sender::Rule { .. }, Self::Unknown) => "UNKNOWN",
            (Sender::Schedule { .. }, Self::NoPermission) if is_queue => "AccessDenied",
            (Sender::Schedule { .. }, Self::NoPermission) if is_topic => "AuthorizationError",
            (Sender::Schedule { .. }, Self::NoPermission) => "AccessDeniedException",
            (Sender::Schedule { .. }, Self::NoResource) if is_queue => {
                "AWS.SimpleQueueService.NonExistentQueue"
            }
            (Sender::Schedule { .. }, Self::NoResource) if is_topic => "NotFound",
            (Sender::Schedule { .. }, Self::NoResource) => "ResourceNotFoundException",
            (Sender::Schedule { .. }, Self::Invalid) => "InvalidParameterValueException",
            (
                Sender::Schedule { .. },
                Self::Internal | Self::Client | Self::Target | Self::Throttled | Self::Unknown,
            ) => "InternalServerException",
        }
    }
}

impl Failure {
    /// One that no further attempt can change, at the first one.
    pub fn at_once(cause: Cause, message: impl Into<String>) -> Self {
        Self { cause, code: None, message: message.into(), retries: 0, exhausted: None }
    }

    pub fn too_old() -> Self {
        Self {
            exhausted: Some("MaximumEventAgeInSeconds"),
            ..Self::at_once(Cause::Internal, "The event is older than the target's events may become.")
        }
    }
}

impl From<Refusal> for Failure {
    fn from(refusal: Refusal) -> Self {
        let cause = match refusal {
            Refusal::NotFound => Cause::NoResource,
            Refusal::NotAllowed => Cause::NoPermission,
            Refusal::TooLarge | Refusal::Malformed => Cause::Invalid,
        };
        Self::at_once(cause, refusal.to_string())
    }
}

/// What comes after an attempt that failed.
#[derive(Debug, PartialEq, Eq)]
pub enum Verdict {
    Retry(Timestamp),
    GiveUp(Failure),
}

/// Why an attempt has failed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Trouble {
    pub cause: Cause,
    /// What an operation itself calls it.
    pub code: Option<String>,
    pub message: String,
    /// How long the next attempt is to wait at least; `None` when none can change it.
    pub again: Option<Duration>,
}

impl Trouble {
    pub fn for_good(cause: Cause, message: impl Into<String>) -> Self {
        Self { cause, code: None, message: message.into(), again: None }
    }
}

impl From<&PushRefusal> for Trouble {
    fn from(refusal: &PushRefusal) -> Self {
        let (cause, again) = match refusal {
            PushRefusal::NoQueue { .. } => (Cause::NoResource, None),
            PushRefusal::Denied => (Cause::NoPermission, None),
            PushRefusal::Invalid { .. } => (Cause::Invalid, None),
            PushRefusal::Unavailable { .. } => (Cause::Internal, Some(Duration::ZERO)),
        };
        Self { cause, code: None, message: refusal.to_string(), again }
    }
}

/// Decides on an attempt that has failed. `retries` is how many came before it.
pub fn decide(patience: Patience, retries: u32, trouble: Trouble, now: Timestamp) -> Verdict {
    let Trouble { cause, code, message, again } = trouble;
    let give_up = |exhausted| Verdict::GiveUp(Failure { cause, code, message, retries, exhausted });
    let Some(at_least) = again else { return give_up(None) };
    if retries >= patience.retries_max {
        return give_up(Some("MaximumRetryAttempts"));
    }
    let pause = 1_u64.checked_shl(retries).unwrap_or(PAUSE_SECS_MAX).min(PAUSE_SECS_MAX);
    let again = now.plus(Duration::from_secs(pause).max(at_least));
    if again > patience.expires { give_up(Some("MaximumEventAgeInSeconds")) } else { Verdict::Retry(again) }
}

/// What has failed, for the queue that is to have it.
pub fn dead_letter(
    queue_arn: String,
    body: String,
    origin: Origin,
    failure: &Failure,
    now: Timestamp,
) -> Parcel {
    let attributes = attributes(&origin, failure);
    Parcel {
        goal: Goal::DeadLetters { arn: queue_arn, attributes },
        body,
        trace_header: None,
        event_id: String::new(),
        origin,
        patience: Patience::new(RetryRecord::default(), now),
        dead_letter: None,
    }
}

/// User guides of both services, on dead-letter queues.
fn attributes(origin: &Origin, failure: &Failure) -> BTreeMap<String, (String, String)> {
    let mut attributes = BTreeMap::new();
    let mut put = |name: &str, kind: &str, value: &str| {
        attributes.insert(name.to_owned(), (kind.to_owned(), value.to_owned()));
    };
    put("TARGET_ARN", "String", &origin.target_arn);
    let code = failure.code.as_deref().unwrap_or_else(|| failure.cause.code(origin));
    put("ERROR_CODE", "String", code);
    let is_sayable = |c: &char| !c.is_control() || matches!(c, '\n' | '\t' | '\r');
    let message: String = failure.message.chars().filter(is_sayable).take(ERROR_MESSAGE_CHARS_MAX).collect();
    if !message.is_empty() {
        put("ERROR_MESSAGE", "String", &message);
    }
    put("RETRY_ATTEMPTS", "Number", &failure.retries.to_string());
    if let Some(exhausted) = failure.exhausted {
        put("EXHAUSTED_RETRY_CONDITION", "String", exhausted);
    }
    match &origin.sender {
        Sender::Rule { arn, .. } => put("RULE_ARN", "String", arn),
        Sender::Schedule { arn, execution_id, time, .. } => {
            put("SCHEDULE_ARN", "String", arn);
            put("EXECUTION_ID", "String", execution_id);
            put("SCHEDULED_TIME", "String", time);
            put("IS_PAYLOAD_TRUNCATED", "String", "false");
        }
    }
    attributes
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(secs: u64) -> Timestamp {
        Timestamp::from_millis(secs * 1_000)
    }

    fn busy() -> PushRefusal {
        PushRefusal::Unavailable { detail: "busy".into() }
    }

    #[test]
    fn attempts_come_in_growing_pauses_until_the_policy_ends_them() {
        let patience =
            Patience::new(RetryRecord { attempts_max: Some(3), age_secs_max: Some(3_600) }, at(100));
        let verdicts: Vec<Verdict> =
            (0..4).map(|retries| decide(patience, retries, (&busy()).into(), at(100))).collect();
        assert_eq!(verdicts[..3], [101, 102, 104].map(|secs| Verdict::Retry(at(secs))));
        let Verdict::GiveUp(failure) = &verdicts[3] else { panic!("{verdicts:?}") };
        assert_eq!((failure.exhausted, failure.retries), (Some("MaximumRetryAttempts"), 3));
        let Verdict::GiveUp(failure) = decide(patience, 0, (&busy()).into(), at(3_700)) else {
            panic!("too old")
        };
        assert_eq!(failure.exhausted, Some("MaximumEventAgeInSeconds"));
        let forever = Patience::new(RetryRecord::default(), at(0));
        assert_eq!(decide(forever, 184, (&busy()).into(), at(0)), Verdict::Retry(at(PAUSE_SECS_MAX)));
    }

    #[test]
    fn a_target_may_ask_for_a_longer_pause_and_for_no_shorter_one() {
        let patience = Patience::new(RetryRecord { attempts_max: None, age_secs_max: Some(60) }, at(0));
        let asks = |secs| Trouble {
            cause: Cause::Target,
            code: None,
            message: String::new(),
            again: Some(Duration::from_secs(secs)),
        };
        assert_eq!(decide(patience, 2, asks(9), at(0)), Verdict::Retry(at(9)));
        assert_eq!(decide(patience, 2, asks(1), at(0)), Verdict::Retry(at(4)));
        let Verdict::GiveUp(failure) = decide(patience, 2, asks(61), at(0)) else { panic!("too late") };
        assert_eq!(failure.exhausted, Some("MaximumEventAgeInSeconds"));
    }

    #[test]
    fn what_no_attempt_can_change_is_given_up_at_once() {
        let patience = Patience::new(RetryRecord::default(), at(0));
        for (refusal, cause) in [
            (PushRefusal::Denied, Cause::NoPermission),
            (PushRefusal::NoQueue { arn: "a".into() }, Cause::NoResource),
            (PushRefusal::Invalid { detail: "d".into() }, Cause::Invalid),
        ] {
            let Verdict::GiveUp(failure) = decide(patience, 0, (&refusal).into(), at(0)) else {
                panic!("{refusal}")
            };
            assert_eq!((failure.cause, failure.exhausted), (cause, None));
        }
    }
}
