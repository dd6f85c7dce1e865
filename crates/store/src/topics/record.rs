//! The records of topics.

use std::collections::BTreeMap;

use lambent_core::ids::{AccountId, Region};
use lambent_core::time::Timestamp;
use serde::{Deserialize, Serialize};

#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct TopicKey {
    pub account: AccountId,
    pub region: Region,
    pub name: String,
}

impl TopicKey {
    /// `arn:aws:sns:REGION:ACCOUNT:NAME`.
    pub fn arn(&self) -> String {
        let Self { account, region, name } = self;
        format!("arn:aws:sns:{region}:{account}:{name}")
    }
}

#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct SubscriptionKey {
    pub topic: TopicKey,
    /// A UUID.
    pub id: String,
}

impl SubscriptionKey {
    /// The topic's ARN with the id behind it.
    pub fn arn(&self) -> String {
        format!("{}:{}", self.topic.arn(), self.id)
    }
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct TopicRecord {
    pub key: TopicKey,
    /// No other topic has it, nor one of the same name before or after it.
    pub id: String,
    /// 1 when it is made; every change adds 1.
    pub generation: u64,
    pub settings: TopicSettings,
    pub tags: BTreeMap<String, String>,
    /// Subscriptions that were and are not any more.
    pub deleted_subscriptions: u64,
    /// A FIFO topic's messages have numbers below this one, so far. They are given out in blocks.
    pub numbers_end: u64,
}

/// The attributes of a topic. What was not set is absent.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct TopicSettings {
    pub display_name: Option<String>,
    /// The resource policy, as JSON; without one the topic is for its owner.
    pub policy: Option<String>,
    pub signature_version: Option<u8>,
    pub message_bytes_max: Option<u32>,
    /// TracingConfig, as it was set.
    pub tracing: Option<String>,
    /// How HTTP endpoints are tried, as JSON.
    pub delivery_policy: Option<String>,
    /// A FIFO topic's.
    pub fifo: Option<FifoSettings>,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct FifoSettings {
    /// ContentBasedDeduplication.
    pub by_content: bool,
    pub scope: FifoScope,
}

/// FifoThroughputScope: within what two messages may be the same.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum FifoScope {
    #[default]
    Topic,
    Group,
}

/// What a FIFO topic has taken: another message with the same token is the same message.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PublishedRecord {
    pub token: String,
    pub until: Timestamp,
    pub message_id: String,
    pub number: u64,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SubscriptionRecord {
    pub key: SubscriptionKey,
    /// As a topic's.
    pub generation: u64,
    pub owner: AccountId,
    /// Who subscribed, as an ARN.
    pub principal: String,
    pub target: SubscriberKind,
    /// The ARN of the queue or function, or the URL.
    pub endpoint: String,
    pub settings: SubscriptionSettings,
    /// An endpoint that has not confirmed yet gets nothing.
    pub pending: Option<Pending>,
    /// What a confirmation must know; none where nobody has to confirm.
    pub token: Option<String>,
    /// Who confirmed it had signed for that, or nobody had to.
    pub was_authenticated: bool,
    /// Nobody may end it without a signature.
    pub is_locked: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pending {
    pub since: Timestamp,
    /// It was confirmed once, and then ended by somebody who did not sign: a confirmation brings it back.
    pub is_ended: bool,
}

/// What a subscriber is: the protocol.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum SubscriberKind {
    Queue,
    Function,
    Http,
    Https,
}

impl SubscriberKind {
    pub const fn is_http(self) -> bool {
        matches!(self, Self::Http | Self::Https)
    }

    /// As the API has it.
    pub const fn protocol(self) -> &'static str {
        match self {
            Self::Queue => "sqs",
            Self::Function => "lambda",
            Self::Http => "http",
            Self::Https => "https",
        }
    }
}

#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct SubscriptionSettings {
    pub is_raw: bool,
    /// As JSON.
    pub filter: Option<String>,
    pub filter_scope: FilterScope,
    /// The queue of the redrive policy.
    pub dead_letter: Option<String>,
    /// As JSON; an HTTP endpoint's.
    pub delivery_policy: Option<String>,
}

/// FilterPolicyScope.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum FilterScope {
    #[default]
    Attributes,
    Body,
}
