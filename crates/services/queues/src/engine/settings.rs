//! Attributes of queues: texts by name, as callers set and read them.

use std::collections::BTreeMap;

use lambent_core::ids::QueueName;
use lambent_core::policy::Policy;
use lambent_store::queues::{
    Counts, DedupScope, FifoSettings, QueueRecord, Redrive, RedriveAllow, Settings, ThroughputLimit,
};
use serde_json::{Value, json};

use super::address;

/// SQS API, SetQueueAttributes: bounds and defaults.
pub const DELAY_SECS: Bounds = Bounds { min: 0, max: 900, default: 0 };
pub const MESSAGE_BYTES: Bounds = Bounds { min: 1_024, max: 1_048_576, default: 1_048_576 };
pub const RETENTION_SECS: Bounds = Bounds { min: 60, max: 1_209_600, default: 345_600 };
pub const WAIT_SECS: Bounds = Bounds { min: 0, max: 20, default: 0 };
pub const VISIBILITY_SECS: Bounds = Bounds { min: 0, max: 43_200, default: 30 };

/// SQS developer guide, *Configuring a dead-letter queue*.
const RECEIVES_MAX: Bounds = Bounds { min: 1, max: 1_000, default: 10 };
/// SQS API, SetQueueAttributes, RedriveAllowPolicy.
const ALLOWED_SOURCES_MAX: usize = 10;
/// The default of KmsDataKeyReusePeriodSeconds, which says nothing where there is no key.
const KEY_REUSE_DEFAULT: &str = "300";

#[derive(Debug, Clone, Copy)]
pub struct Bounds {
    pub min: u32,
    pub max: u32,
    pub default: u32,
}

impl Bounds {
    pub fn contain(self, number: i64) -> bool {
        (i64::from(self.min)..=i64::from(self.max)).contains(&number)
    }
}

/// Every attribute that GetQueueAttributes may answer.
pub const NAMES: [&str; 21] = [
    "Policy",
    "VisibilityTimeout",
    "MaximumMessageSize",
    "MessageRetentionPeriod",
    "ApproximateNumberOfMessages",
    "ApproximateNumberOfMessagesNotVisible",
    "CreatedTimestamp",
    "LastModifiedTimestamp",
    "QueueArn",
    "ApproximateNumberOfMessagesDelayed",
    "DelaySeconds",
    "ReceiveMessageWaitTimeSeconds",
    "RedrivePolicy",
    "FifoQueue",
    "ContentBasedDeduplication",
    "KmsMasterKeyId",
    "KmsDataKeyReusePeriodSeconds",
    "DeduplicationScope",
    "FifoThroughputLimit",
    "RedriveAllowPolicy",
    "SqsManagedSseEnabled",
];

/// Why attributes were not taken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Refusal {
    UnknownName(String),
    InvalidValue(String),
    /// With a reason, as the reference words it.
    Invalid {
        name: &'static str,
        value: String,
        reason: String,
    },
    /// Known to the reference, and not to be had here.
    Unsupported {
        name: &'static str,
        detail: &'static str,
    },
    /// The name and the kind of the queue don't go together.
    FifoName,
}

impl Default for Bounds {
    fn default() -> Self {
        Self { min: 0, max: u32::MAX, default: 0 }
    }
}

pub fn defaults(is_fifo: bool) -> Settings {
    Settings {
        delay_secs: DELAY_SECS.default,
        message_bytes_max: MESSAGE_BYTES.default,
        retention_secs: RETENTION_SECS.default,
        wait_secs: WAIT_SECS.default,
        visibility_secs: VISIBILITY_SECS.default,
        managed_sse: false,
        policy: None,
        redrive: None,
        redrive_allow: None,
        fifo: is_fifo.then_some(FifoSettings {
            content_based_dedup: false,
            dedup_scope: DedupScope::Queue,
            throughput_limit: ThroughputLimit::Queue,
        }),
    }
}

/// The settings of a new queue.
pub fn create(name: &QueueName, asked: &BTreeMap<&str, &str>) -> Result<Settings, Refusal> {
    let is_fifo = match asked.get("FifoQueue").copied() {
        Some("true") => true,
        Some("false") => return Err(Refusal::UnknownName("FifoQueue".into())),
        Some(_) => return Err(Refusal::InvalidValue("FifoQueue".into())),
        None => false,
    };
    if name.is_fifo() != is_fifo {
        return Err(Refusal::FifoName);
    }
    apply(defaults(is_fifo), asked)
}

/// The settings with changes.
pub fn change(old: &Settings, asked: &BTreeMap<&str, &str>) -> Result<Settings, Refusal> {
    match asked.get("FifoQueue") {
        // It may be said again, but not changed.
        Some(&"true") if old.fifo.is_some() => {}
        Some(_) => return Err(Refusal::InvalidValue("FifoQueue".into())),
        None => {}
    }
    apply(old.clone(), asked)
}

fn apply(mut settings: Settings, asked: &BTreeMap<&str, &str>) -> Result<Settings, Refusal> {
    for (name, value) in asked {
        set(&mut settings, name, value)?;
    }
    if let Some(fifo) = &settings.fifo
        && fifo.throughput_limit == ThroughputLimit::Group
        && fifo.dedup_scope != DedupScope::Group
    {
        return Err(Refusal::Invalid {
            name: "FifoThroughputLimit",
            value: "perMessageGroupId".into(),
            reason:
                "The value perMessageGroupId is only allowed when the DeduplicationScope is messageGroup."
                    .into(),
        });
    }
    Ok(settings)
}

fn set(settings: &mut Settings, name: &str, value: &str) -> Result<(), Refusal> {
    let number = |bounds: Bounds| {
        let parsed = value.trim().parse::<i64>().ok().filter(|number| bounds.contain(*number));
        parsed
            .and_then(|number| u32::try_from(number).ok())
            .ok_or_else(|| Refusal::InvalidValue(name.to_owned()))
    };
    let truth = || match value {
        "true" => Ok(true),
        "false" => Ok(false),
        _ => Err(Refusal::InvalidValue(name.to_owned())),
    };
    match name {
        "DelaySeconds" => settings.delay_secs = number(DELAY_SECS)?,
        "MaximumMessageSize" => settings.message_bytes_max = number(MESSAGE_BYTES)?,
        "MessageRetentionPeriod" => settings.retention_secs = number(RETENTION_SECS)?,
        "ReceiveMessageWaitTimeSeconds" => settings.wait_secs = number(WAIT_SECS)?,
        "VisibilityTimeout" => settings.visibility_secs = number(VISIBILITY_SECS)?,
        "Policy" => settings.policy = policy(value)?,
        "RedrivePolicy" => settings.redrive = redrive(value)?,
        "RedriveAllowPolicy" => settings.redrive_allow = redrive_allow(value)?,
        "SqsManagedSseEnabled" => {
            if truth()? {
                return Err(Refusal::Unsupported {
                    name: "SqsManagedSseEnabled",
                    detail: "messages are not encrypted by this node: put its data directory on an encrypted disk",
                });
            }
        }
        "KmsMasterKeyId" => {
            if !value.is_empty() {
                return Err(Refusal::Unsupported { name: "KmsMasterKeyId", detail: "this node has no KMS" });
            }
        }
        "KmsDataKeyReusePeriodSeconds" => {
            if value != KEY_REUSE_DEFAULT {
                return Err(Refusal::Unsupported {
                    name: "KmsDataKeyReusePeriodSeconds",
                    detail: "this node has no KMS",
                });
            }
        }
        // Judged by whoever knows whether the queue is new.
        "FifoQueue" => {}
        "ContentBasedDeduplication" | "DeduplicationScope" | "FifoThroughputLimit" => {
            let fifo = settings.fifo.as_mut().ok_or_else(|| Refusal::UnknownName(name.to_owned()))?;
            let invalid = || Refusal::InvalidValue(name.to_owned());
            match (name, value) {
                ("ContentBasedDeduplication", _) => fifo.content_based_dedup = truth()?,
                ("DeduplicationScope", "queue") => fifo.dedup_scope = DedupScope::Queue,
                ("DeduplicationScope", "messageGroup") => fifo.dedup_scope = DedupScope::Group,
                ("FifoThroughputLimit", "perQueue") => fifo.throughput_limit = ThroughputLimit::Queue,
                ("FifoThroughputLimit", "perMessageGroupId") => {
                    fifo.throughput_limit = ThroughputLimit::Group
                }
                _ => return Err(invalid()),
            }
        }
        _ => return Err(Refusal::UnknownName(name.to_owned())),
    }
    Ok(())
}

/// A document is kept as it was given, when it can be understood.
fn policy(value: &str) -> Result<Option<String>, Refusal> {
    if value.is_empty() {
        return Ok(None);
    }
    let invalid = || Refusal::InvalidValue("Policy".into());
    serde_json::from_str::<Policy>(value).map_err(|_| invalid())?;
    Ok(Some(value.to_owned()))
}

fn redrive(value: &str) -> Result<Option<Redrive>, Refusal> {
    if value.is_empty() {
        return Ok(None);
    }
    let invalid =
        |reason: String| Refusal::Invalid { name: "RedrivePolicy", value: value.to_owned(), reason };
    let document: Value =
        serde_json::from_str(value).map_err(|_| invalid("Redrive policy is not a valid JSON map.".into()))?;
    let object =
        document.as_object().ok_or_else(|| invalid("Redrive policy is not a valid JSON map.".into()))?;
    if let Some(other) =
        object.keys().find(|key| !matches!(key.as_str(), "deadLetterTargetArn" | "maxReceiveCount"))
    {
        return Err(invalid(format!(
            "Only following attributes are supported: [deadLetterTargetArn, maxReceiveCount]. Found: {other}."
        )));
    }
    let missing = |name| invalid(format!("Redrive policy does not contain mandatory attribute: {name}."));
    let target = object.get("deadLetterTargetArn").and_then(Value::as_str);
    let target = target.ok_or_else(|| missing("deadLetterTargetArn"))?;
    let count = object.get("maxReceiveCount").ok_or_else(|| missing("maxReceiveCount"))?;
    let number = count.as_i64().or_else(|| count.as_str()?.trim().parse().ok());
    let Some(number) = number.filter(|number| RECEIVES_MAX.contain(*number)) else {
        return Err(invalid(format!(
            "Invalid value for maxReceiveCount: {}, valid values are from 1 to 1000 both inclusive.",
            count.as_str().map_or_else(|| count.to_string(), str::to_owned)
        )));
    };
    if address::of_arn(target).is_none() {
        return Err(invalid(format!("Invalid value for deadLetterTargetArn: {target}.")));
    }
    let receives_max = u32::try_from(number).unwrap_or(RECEIVES_MAX.max);
    Ok(Some(Redrive { target_arn: target.to_owned(), receives_max }))
}

fn redrive_allow(value: &str) -> Result<Option<RedriveAllow>, Refusal> {
    if value.is_empty() {
        return Ok(None);
    }
    let invalid = |reason: &str| Refusal::Invalid {
        name: "RedriveAllowPolicy",
        value: value.to_owned(),
        reason: reason.into(),
    };
    let document: Value =
        serde_json::from_str(value).map_err(|_| invalid("Redrive allow policy is not a valid JSON map."))?;
    let sources = document.get("sourceQueueArns").and_then(Value::as_array);
    let given = document.get("sourceQueueArns").is_some_and(|value| !value.is_null());
    match document.get("redrivePermission").and_then(Value::as_str) {
        Some("allowAll") if !given => Ok(Some(RedriveAllow::All)),
        Some("denyAll") if !given => Ok(Some(RedriveAllow::None)),
        Some("allowAll" | "denyAll") => {
            Err(invalid("sourceQueueArns is only allowed when redrivePermission is byQueue."))
        }
        Some("byQueue") => {
            let sources: Option<Vec<String>> = sources
                .filter(|sources| (1..=ALLOWED_SOURCES_MAX).contains(&sources.len()))
                .and_then(|sources| sources.iter().map(|arn| arn.as_str().map(str::to_owned)).collect());
            let sources = sources.filter(|sources| sources.iter().all(|arn| address::of_arn(arn).is_some()));
            let sources =
                sources.ok_or_else(|| invalid("sourceQueueArns must be 1 to 10 ARNs of queues."))?;
            Ok(Some(RedriveAllow::Queues(sources)))
        }
        _ => Err(invalid("redrivePermission must be allowAll, denyAll or byQueue.")),
    }
}

/// The attribute as it is answered; `None` where the queue has none.
pub fn show(record: &QueueRecord, name: &str, counts: &Counts) -> Option<String> {
    let settings = &record.settings;
    let fifo = settings.fifo.as_ref();
    let text = |text: &str| Some(text.to_owned());
    match name {
        "Policy" => settings.policy.clone(),
        "VisibilityTimeout" => Some(settings.visibility_secs.to_string()),
        "MaximumMessageSize" => Some(settings.message_bytes_max.to_string()),
        "MessageRetentionPeriod" => Some(settings.retention_secs.to_string()),
        "DelaySeconds" => Some(settings.delay_secs.to_string()),
        "ReceiveMessageWaitTimeSeconds" => Some(settings.wait_secs.to_string()),
        "ApproximateNumberOfMessages" => Some(counts.visible.to_string()),
        "ApproximateNumberOfMessagesNotVisible" => Some(counts.in_flight.to_string()),
        "ApproximateNumberOfMessagesDelayed" => Some(counts.delayed.to_string()),
        "CreatedTimestamp" => Some(record.created.as_secs().to_string()),
        "LastModifiedTimestamp" => Some(record.modified.as_secs().to_string()),
        "QueueArn" => Some(record.key.arn()),
        "SqsManagedSseEnabled" => Some(settings.managed_sse.to_string()),
        "RedrivePolicy" => settings.redrive.as_ref().map(|redrive| {
            json!({ "deadLetterTargetArn": redrive.target_arn, "maxReceiveCount": redrive.receives_max })
                .to_string()
        }),
        "RedriveAllowPolicy" => settings.redrive_allow.as_ref().map(|allow| {
            match allow {
                RedriveAllow::All => json!({ "redrivePermission": "allowAll" }),
                RedriveAllow::None => json!({ "redrivePermission": "denyAll" }),
                RedriveAllow::Queues(arns) => {
                    json!({ "redrivePermission": "byQueue", "sourceQueueArns": arns })
                }
            }
            .to_string()
        }),
        "FifoQueue" => fifo.map(|_| "true".to_owned()),
        "ContentBasedDeduplication" => fifo.map(|fifo| fifo.content_based_dedup.to_string()),
        "DeduplicationScope" => match fifo?.dedup_scope {
            DedupScope::Queue => text("queue"),
            DedupScope::Group => text("messageGroup"),
        },
        "FifoThroughputLimit" => match fifo?.throughput_limit {
            ThroughputLimit::Queue => text("perQueue"),
            ThroughputLimit::Group => text("perMessageGroupId"),
        },
        _ => None,
    }
}

/// The attribute that was asked for and that a queue that is there has otherwise.
pub fn difference<'a>(
    record: &QueueRecord,
    wanted: &Settings,
    asked: &BTreeMap<&'a str, &str>,
) -> Option<&'a str> {
    let new = QueueRecord { settings: wanted.clone(), ..record.clone() };
    let counts = Counts::default();
    asked.keys().find(|name| show(record, name, &counts) != show(&new, name, &counts)).copied()
}

/// Whether a queue may have another one for its dead letters.
pub fn may_redrive(target: &QueueRecord, source_arn: &str) -> bool {
    match &target.settings.redrive_allow {
        None | Some(RedriveAllow::All) => true,
        Some(RedriveAllow::None) => false,
        Some(RedriveAllow::Queues(arns)) => arns.iter().any(|arn| arn == source_arn),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(text: &str) -> QueueName {
        QueueName::new(text).unwrap()
    }

    fn made(asked: &[(&str, &str)]) -> Result<Settings, Refusal> {
        let is_fifo = asked.iter().any(|(name, _)| *name == "FifoQueue");
        create(&name(if is_fifo { "q.fifo" } else { "q" }), &asked.iter().copied().collect())
    }

    #[test]
    fn numbers_have_their_bounds() {
        for (name, min, max) in [
            ("DelaySeconds", 0, 900),
            ("MaximumMessageSize", 1_024, 1_048_576),
            ("MessageRetentionPeriod", 60, 1_209_600),
            ("ReceiveMessageWaitTimeSeconds", 0, 20),
            ("VisibilityTimeout", 0, 43_200),
        ] {
            for (number, is_good) in [(min, true), (max, true), (min - 1, false), (max + 1, false)] {
                let value = number.to_string();
                assert_eq!(made(&[(name, &value)]).is_ok(), is_good, "{name} {value}");
            }
            assert_eq!(made(&[(name, "ten")]), Err(Refusal::InvalidValue(name.into())));
        }
    }

    #[test]
    fn a_fifo_queue_is_one_by_name_and_attribute() {
        assert!(made(&[("FifoQueue", "true")]).unwrap().fifo.is_some());
        assert_eq!(create(&name("q.fifo"), &BTreeMap::new()), Err(Refusal::FifoName));
        assert_eq!(create(&name("q"), &[("FifoQueue", "true")].into()), Err(Refusal::FifoName));
        assert_eq!(
            create(&name("q"), &[("ContentBasedDeduplication", "true")].into()),
            Err(Refusal::UnknownName("ContentBasedDeduplication".into()))
        );
        assert!(made(&[("FifoQueue", "true"), ("FifoThroughputLimit", "perMessageGroupId")]).is_err());
        let fast = [
            ("FifoQueue", "true"),
            ("DeduplicationScope", "messageGroup"),
            ("FifoThroughputLimit", "perMessageGroupId"),
        ];
        assert!(made(&fast).is_ok());
    }

    #[test]
    fn what_can_not_be_had_is_refused_by_name() {
        for (name, value) in [
            ("KmsMasterKeyId", "alias/aws/sqs"),
            ("KmsDataKeyReusePeriodSeconds", "60"),
            ("SqsManagedSseEnabled", "true"),
        ] {
            assert!(matches!(made(&[(name, value)]), Err(Refusal::Unsupported { name: n, .. }) if n == name));
        }
        assert!(made(&[("KmsMasterKeyId", ""), ("SqsManagedSseEnabled", "false")]).is_ok());
        assert_eq!(made(&[("Colour", "red")]), Err(Refusal::UnknownName("Colour".into())));
    }

    #[test]
    fn redrive_policies_are_judged() {
        let arn = "arn:aws:sqs:eu-west-1:000000000000:dead";
        let policy =
            |count: &str| format!("{{\"deadLetterTargetArn\":\"{arn}\",\"maxReceiveCount\":{count}}}");
        for (count, is_good) in
            [("1", true), ("\"5\"", true), ("1000", true), ("0", false), ("1001", false), ("\"x\"", false)]
        {
            assert_eq!(made(&[("RedrivePolicy", &policy(count))]).is_ok(), is_good, "{count}");
        }
        for bad in ["{}", "x", "{\"deadLetterTargetArn\":\"dead\",\"maxReceiveCount\":1}", "[]"] {
            assert!(made(&[("RedrivePolicy", bad)]).is_err(), "{bad}");
        }
        for (value, is_good) in [
            ("{\"redrivePermission\":\"denyAll\"}", true),
            (&format!("{{\"redrivePermission\":\"byQueue\",\"sourceQueueArns\":[\"{arn}\"]}}"), true),
            ("{\"redrivePermission\":\"byQueue\"}", false),
            ("{\"redrivePermission\":\"allowAll\",\"sourceQueueArns\":[]}", false),
            ("{}", false),
        ] {
            assert_eq!(made(&[("RedriveAllowPolicy", value)]).is_ok(), is_good, "{value}");
        }
    }

    #[test]
    fn every_attribute_that_is_set_is_shown_again() {
        let arn = "arn:aws:sqs:eu-west-1:000000000000:dead.fifo";
        let redrive = format!("{{\"deadLetterTargetArn\":\"{arn}\",\"maxReceiveCount\":3}}");
        let asked: BTreeMap<&str, &str> = [
            ("FifoQueue", "true"),
            ("ContentBasedDeduplication", "true"),
            ("DeduplicationScope", "messageGroup"),
            ("DelaySeconds", "1"),
            ("RedrivePolicy", &redrive),
        ]
        .into();
        let settings = create(&name("q.fifo"), &asked).unwrap();
        let record = lambent_testkit::contracts::queues::record("q.fifo", lambent_store::queues::Shelf(1));
        let record = QueueRecord { settings, ..record };
        for (name, value) in &asked {
            assert_eq!(show(&record, name, &Counts::default()).as_deref(), Some(*value), "{name}");
        }
        assert_eq!(difference(&record, &record.settings, &asked), None);
        let other = change(&record.settings, &[("DelaySeconds", "2")].into()).unwrap();
        assert_eq!(difference(&record, &other, &[("DelaySeconds", "2")].into()), Some("DelaySeconds"));
    }
}
