//! The records of EventBridge and its scheduler.

use std::collections::BTreeMap;

use lambent_core::time::Timestamp;
use serde::{Deserialize, Serialize};

use super::{ConnectionRecord, DestinationRecord, Kind, TargetHttpRecord};

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum Record {
    Bus(BusRecord),
    Rule(RuleRecord),
    Group(GroupRecord),
    Schedule(ScheduleRecord),
    Archive(ArchiveRecord),
    Replay(ReplayRecord),
    Connection(ConnectionRecord),
    Destination(DestinationRecord),
}

impl Record {
    pub const fn kind(&self) -> Kind {
        match self {
            Self::Bus(_) => Kind::Bus,
            Self::Rule(_) => Kind::Rule,
            Self::Group(_) => Kind::Group,
            Self::Schedule(_) => Kind::Schedule,
            Self::Archive(_) => Kind::Archive,
            Self::Replay(_) => Kind::Replay,
            Self::Connection(_) => Kind::Connection,
            Self::Destination(_) => Kind::Destination,
        }
    }
}

/// Tags, by key.
pub type Tags = BTreeMap<String, String>;

/// The bus `default` of each account and region is there without a record.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct BusRecord {
    pub description: Option<String>,
    pub tags: Tags,
    /// The resource policy, as JSON.
    pub policy: Option<String>,
    pub created: Timestamp,
    pub modified: Timestamp,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RuleRecord {
    /// Names this rule for ever: another one of the same name has another.
    pub id: String,
    pub pattern: Option<String>,
    pub schedule: Option<String>,
    pub is_enabled: bool,
    pub description: Option<String>,
    pub role: Option<String>,
    pub tags: Tags,
    pub targets: BTreeMap<String, TargetRecord>,
    /// Since when the schedule is as it is and enabled.
    pub since: Timestamp,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct TargetRecord {
    pub arn: String,
    pub role: Option<String>,
    pub input: InputRecord,
    pub retry: RetryRecord,
    pub dead_letter: Option<String>,
    /// MessageGroupId, for queues.
    pub message_group: Option<String>,
    /// HttpParameters, for API destinations.
    #[serde(default)]
    pub http: Option<TargetHttpRecord>,
}

/// What a target gets.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub enum InputRecord {
    #[default]
    Event,
    Constant(String),
    Path(String),
    Transformed {
        paths: BTreeMap<String, String>,
        template: String,
    },
}

/// RetryPolicy, member by member as it was given.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct RetryRecord {
    pub attempts_max: Option<u32>,
    pub age_secs_max: Option<u32>,
}

/// The group `default` of each account and region is there without a record.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct GroupRecord {
    pub tags: Tags,
    /// As a schedule's.
    pub client_token: Option<String>,
    pub created: Timestamp,
    pub modified: Timestamp,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ScheduleRecord {
    /// As a rule's.
    pub id: String,
    pub expression: String,
    pub zone: String,
    pub start: Option<Timestamp>,
    pub end: Option<Timestamp>,
    pub is_enabled: bool,
    pub description: Option<String>,
    /// FlexibleTimeWindow; `None` is OFF.
    pub window_minutes: Option<u32>,
    /// ActionAfterCompletion is DELETE.
    pub deletes_itself: bool,
    pub target: ScheduleTargetRecord,
    /// The token of the request that made it, so that the same request again is no second one.
    pub client_token: Option<String>,
    pub created: Timestamp,
    pub modified: Timestamp,
    /// Since when the expression is as it is and enabled.
    pub since: Timestamp,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ScheduleTargetRecord {
    pub arn: String,
    pub role: String,
    pub input: Option<String>,
    pub retry: RetryRecord,
    pub dead_letter: Option<String>,
    pub message_group: Option<String>,
    /// Source and DetailType, for a bus.
    pub event: Option<(String, String)>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ArchiveRecord {
    /// As a rule's; its events are kept under it.
    pub id: String,
    /// The ARN of the bus whose events it keeps.
    pub bus: String,
    pub description: Option<String>,
    /// `None` keeps every event.
    pub pattern: Option<String>,
    /// 0 is for ever.
    pub retention_days: u32,
    pub created: Timestamp,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ReplayRecord {
    pub description: Option<String>,
    /// The archive's name, and which archive of that name it is.
    pub archive: String,
    pub archive_id: String,
    /// The ARN of the bus.
    pub destination: String,
    /// The ARNs of the rules that the events are for; empty for all.
    pub rules: Vec<String>,
    pub from: Timestamp,
    pub until: Timestamp,
    pub state: ReplayState,
    pub reason: Option<String>,
    /// The time and the id of the last event that was replayed.
    pub after: Option<(Timestamp, String)>,
    pub started: Timestamp,
    pub ended: Option<Timestamp>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum ReplayState {
    Starting,
    Running,
    Cancelling,
    Completed,
    Cancelled,
    Failed,
}

impl ReplayState {
    /// As the API says it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Starting => "STARTING",
            Self::Running => "RUNNING",
            Self::Cancelling => "CANCELLING",
            Self::Completed => "COMPLETED",
            Self::Cancelled => "CANCELLED",
            Self::Failed => "FAILED",
        }
    }
}
