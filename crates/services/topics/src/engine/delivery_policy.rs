//! Delivery policies: when an HTTP endpoint is tried again, how often a second it may be called, and what it is told that
//! a message is. Pure.
//!
//! SNS developer guide, *Creating an HTTP/S delivery policy*. What stands between the shortest and the longest delay is
//! described there by a picture only: the curves are ours.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::Value;

/// Developer guide: the delays, the retries, and all of them together.
const DELAY_SECS_MAX: u32 = 3_600;
const RETRIES_MAX: u32 = 100;
const TOTAL: Duration = Duration::from_secs(3_600);

const CONTENT_TYPE: &str = "text/plain; charset=UTF-8";

/// A topic's.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct TopicPolicy {
    #[serde(default)]
    http: HttpDefaults,
}

#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct HttpDefaults {
    #[serde(default)]
    default_healthy_retry_policy: Option<Retries>,
    #[serde(default)]
    disable_subscription_overrides: bool,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    default_throttle_policy: Option<Throttle>,
    #[serde(default)]
    default_request_policy: Option<RequestPolicy>,
}

/// A subscription's.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct SubscriptionPolicy {
    #[serde(default)]
    healthy_retry_policy: Option<Retries>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    throttle_policy: Option<Throttle>,
    #[serde(default)]
    request_policy: Option<RequestPolicy>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
struct Retries {
    min_delay_target: u32,
    max_delay_target: u32,
    num_retries: u32,
    num_max_delay_retries: u32,
    num_no_delay_retries: u32,
    num_min_delay_retries: u32,
    backoff_function: Backoff,
}

impl Default for Retries {
    /// Three, twenty seconds apart.
    fn default() -> Self {
        Self {
            min_delay_target: 20,
            max_delay_target: 20,
            num_retries: 3,
            num_max_delay_retries: 0,
            num_no_delay_retries: 0,
            num_min_delay_retries: 0,
            backoff_function: Backoff::Linear,
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Backoff {
    Linear,
    Arithmetic,
    Geometric,
    Exponential,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Throttle {
    max_receives_per_second: u32,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct RequestPolicy {
    header_content_type: String,
}

/// What applies to one subscription.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Effective {
    retries: Retries,
    throttle: Option<Throttle>,
    content_type: String,
}

impl TopicPolicy {
    pub fn parse(text: &str) -> Result<Self, String> {
        let policy: Self = read(text)?;
        let http = &policy.http;
        check(
            &http.default_healthy_retry_policy,
            &http.default_throttle_policy,
            &http.default_request_policy,
        )?;
        Ok(policy)
    }

    /// As GetTopicAttributes shows what applies.
    pub fn effective(&self) -> String {
        let mut whole = self.clone();
        let http = &mut whole.http;
        http.default_healthy_retry_policy.get_or_insert_default();
        http.default_request_policy.get_or_insert_with(plain);
        serde_json::to_string(&whole).expect("a policy is plain data")
    }
}

impl SubscriptionPolicy {
    pub fn parse(text: &str) -> Result<Self, String> {
        let policy: Self = read(text)?;
        check(&policy.healthy_retry_policy, &policy.throttle_policy, &policy.request_policy)?;
        Ok(policy)
    }
}

fn plain() -> RequestPolicy {
    RequestPolicy { header_content_type: CONTENT_TYPE.to_owned() }
}

fn read<T: serde::de::DeserializeOwned>(text: &str) -> Result<T, String> {
    let refusal = |error: serde_json::Error| format!("DeliveryPolicy: {error}");
    let value: Value = serde_json::from_str(text).map_err(refusal)?;
    if !has_objects_only(&value) {
        return Err("DeliveryPolicy: it is an object of objects".to_owned());
    }
    serde_json::from_value(value).map_err(refusal)
}

/// A list would be read as an object without names.
fn has_objects_only(value: &Value) -> bool {
    match value {
        Value::Object(members) => {
            members.values().all(|value| !value.is_array() && (!value.is_object() || has_objects_only(value)))
        }
        _ => false,
    }
}

fn check(
    retries: &Option<Retries>,
    throttle: &Option<Throttle>,
    request: &Option<RequestPolicy>,
) -> Result<(), String> {
    let no = |what: &str| Err(format!("DeliveryPolicy: {what}"));
    if throttle.as_ref().is_some_and(|throttle| throttle.max_receives_per_second == 0) {
        return no("maxReceivesPerSecond must be greater than or equal to 1");
    }
    if let Some(RequestPolicy { header_content_type: kind }) = request {
        let is_kind = kind.contains('/') && kind.bytes().all(|b| (0x20..0x7f).contains(&b));
        if !is_kind || kind.len() > 256 {
            return no("headerContentType is not a content type");
        }
    }
    let Some(r) = retries else { return Ok(()) };
    if r.num_retries > RETRIES_MAX {
        return no("numRetries must be less than or equal to 100");
    }
    if !(1..=DELAY_SECS_MAX).contains(&r.min_delay_target) {
        return no("minDelayTarget must be between 1 and 3600");
    }
    if r.max_delay_target < r.min_delay_target || r.max_delay_target > DELAY_SECS_MAX {
        return no("maxDelayTarget must be between minDelayTarget and 3600");
    }
    let phases = [r.num_no_delay_retries, r.num_min_delay_retries, r.num_max_delay_retries];
    if phases.iter().map(|n| u64::from(*n)).sum::<u64>() > u64::from(r.num_retries) {
        return no("numRetries must be at least the sum of the retries of all phases");
    }
    let total: Duration = (0..r.num_retries).map(|retry| r.pause(retry)).sum();
    if total > TOTAL {
        return no("the retries must be over within 3600 seconds");
    }
    Ok(())
}

impl Retries {
    /// What is waited before a retry, counted from 0: none, the shortest, more and more, the longest.
    fn pause(&self, retry: u32) -> Duration {
        let (shortest, longest) = (f64::from(self.min_delay_target), f64::from(self.max_delay_target));
        let Some(retry) = retry.checked_sub(self.num_no_delay_retries) else { return Duration::ZERO };
        let Some(retry) = retry.checked_sub(self.num_min_delay_retries) else {
            return Duration::from_secs(self.min_delay_target.into());
        };
        let others = self.num_no_delay_retries + self.num_min_delay_retries + self.num_max_delay_retries;
        let between = self.num_retries.saturating_sub(others);
        if retry >= between {
            return Duration::from_secs(self.max_delay_target.into());
        }
        let way = match between {
            1 => 0.0,
            _ => f64::from(retry) / f64::from(between - 1),
        };
        let secs = match self.backoff_function {
            Backoff::Linear => shortest + (longest - shortest) * way,
            Backoff::Arithmetic => shortest + (longest - shortest) * way * way,
            Backoff::Geometric => shortest + (longest - shortest) * way.powi(3),
            Backoff::Exponential => shortest * (longest / shortest).powf(way),
        };
        Duration::from_secs_f64(secs.clamp(shortest, longest))
    }
}

impl Effective {
    /// Out of what the topic and the subscription have. What was set was understood then.
    pub fn of(topic: Option<&str>, subscription: Option<&str>) -> Self {
        let topic = topic.and_then(|text| TopicPolicy::parse(text).ok()).unwrap_or_default().http;
        let own = subscription.and_then(|text| SubscriptionPolicy::parse(text).ok());
        let own = own.filter(|_| !topic.disable_subscription_overrides).unwrap_or_default();
        Self {
            retries: own.healthy_retry_policy.or(topic.default_healthy_retry_policy).unwrap_or_default(),
            throttle: own.throttle_policy.or(topic.default_throttle_policy),
            content_type: own
                .request_policy
                .or(topic.default_request_policy)
                .unwrap_or_else(plain)
                .header_content_type,
        }
    }

    /// As GetSubscriptionAttributes shows it.
    pub fn shown(&self) -> String {
        let policy = SubscriptionPolicy {
            healthy_retry_policy: Some(self.retries.clone()),
            throttle_policy: self.throttle.clone(),
            request_policy: Some(RequestPolicy { header_content_type: self.content_type.clone() }),
        };
        serde_json::to_string(&policy).expect("a policy is plain data")
    }

    pub fn content_type(&self) -> &str {
        &self.content_type
    }

    pub fn a_second(&self) -> Option<u32> {
        self.throttle.as_ref().map(|throttle| throttle.max_receives_per_second)
    }

    /// How long to wait after this many attempts have failed; `None` when it is given up.
    pub fn pause(&self, failed: u32) -> Option<Duration> {
        let retry = failed.checked_sub(1)?;
        (retry < self.retries.num_retries).then(|| self.retries.pause(retry))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pauses(policy: &str) -> Vec<u64> {
        let effective = Effective::of(None, Some(policy));
        (1..).map_while(|failed| effective.pause(failed)).map(|pause| pause.as_secs()).collect()
    }

    #[test]
    fn retries_go_through_their_phases() {
        assert_eq!(pauses("{}"), [20, 20, 20]);
        let policy = |function: &str| {
            format!(
                r#"{{"healthyRetryPolicy":{{"minDelayTarget":1,"maxDelayTarget":60,"numRetries":9,
                "numNoDelayRetries":1,"numMinDelayRetries":2,"numMaxDelayRetries":2,"backoffFunction":"{function}"}}}}"#
            )
        };
        assert_eq!(pauses(&policy("linear")), [0, 1, 1, 1, 20, 40, 60, 60, 60]);
        for function in ["arithmetic", "geometric", "exponential"] {
            let pauses = pauses(&policy(function));
            assert!(pauses.is_sorted() && pauses.len() == 9 && pauses[4] < 20, "{function} {pauses:?}");
        }
    }

    #[test]
    fn the_subscription_overrides_the_topic_unless_the_topic_forbids_it() {
        let topic = |forbids: bool| {
            format!(
                r#"{{"http":{{"defaultHealthyRetryPolicy":{{"numRetries":1}},"disableSubscriptionOverrides":{forbids},
                "defaultThrottlePolicy":{{"maxReceivesPerSecond":3}}}}}}"#
            )
        };
        let own = r#"{"healthyRetryPolicy":{"numRetries":2},"requestPolicy":{"headerContentType":"application/json"}}"#;
        let one = Effective::of(Some(&topic(false)), Some(own));
        assert!(one.pause(2).is_some() && one.pause(3).is_none());
        assert_eq!((one.content_type(), one.a_second()), ("application/json", Some(3)));
        let other = Effective::of(Some(&topic(true)), Some(own));
        assert!(other.pause(1).is_some() && other.pause(2).is_none());
        assert_eq!(other.content_type(), CONTENT_TYPE);
    }

    #[test]
    fn policies_outside_their_rules_are_refused() {
        for bad in [
            "",
            "[]",
            r#"{"healthyRetryPolicy":[5,5]}"#,
            r#"{"http":{}}"#,
            r#"{"healthyRetryPolicy":{"numRetries":101}}"#,
            r#"{"healthyRetryPolicy":{"minDelayTarget":0}}"#,
            r#"{"healthyRetryPolicy":{"minDelayTarget":5,"maxDelayTarget":4}}"#,
            r#"{"healthyRetryPolicy":{"numRetries":2,"numNoDelayRetries":3}}"#,
            r#"{"healthyRetryPolicy":{"numRetries":100,"minDelayTarget":60,"maxDelayTarget":60}}"#,
            r#"{"healthyRetryPolicy":{"backoffFunction":"sudden"}}"#,
            r#"{"throttlePolicy":{"maxReceivesPerSecond":0}}"#,
            r#"{"requestPolicy":{"headerContentType":"a\nb/c"}}"#,
            r#"{"sicklyRetryPolicy":{}}"#,
        ] {
            assert!(SubscriptionPolicy::parse(bad).is_err(), "{bad}");
        }
        assert!(
            TopicPolicy::parse(r#"{"http":{"defaultThrottlePolicy":{"maxReceivesPerSecond":1}}}"#).is_ok()
        );
        assert!(TopicPolicy::parse(r#"{"http":{"sicklyRetryPolicy":{}}}"#).is_err());
    }

    #[test]
    fn a_topic_shows_what_applies() {
        let shown: serde_json::Value = serde_json::from_str(&TopicPolicy::default().effective()).unwrap();
        let http = &shown["http"];
        assert_eq!(http["defaultHealthyRetryPolicy"]["minDelayTarget"], 20);
        assert_eq!(http["defaultRequestPolicy"]["headerContentType"], CONTENT_TYPE);
        assert_eq!(http["disableSubscriptionOverrides"], false);
    }
}
