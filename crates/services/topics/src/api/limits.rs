//! Limits of topics.

use lambent_store::topics::TopicRecord;

/// SNS API, CreateTopic: MaximumMessageSize, and what it is when it is not set.
pub const MESSAGE_BYTES_MIN: u32 = 1_024;
pub const MESSAGE_BYTES_MAX: u32 = 1_048_576;
pub const MESSAGE_BYTES_DEFAULT: u32 = 262_144;
/// SNS API, CreateTopic: subscriptions of a topic with larger messages.
pub const SUBSCRIPTIONS_MAX_LARGE: usize = 100;
/// Ours: each message is kept once for each subscription until it is delivered. The reference: 12,500,000.
pub const SUBSCRIPTIONS_MAX: usize = 1_000;
/// SNS quotas: subscriptions of a FIFO topic.
pub const SUBSCRIPTIONS_MAX_FIFO: usize = 100;
/// SNS quotas: topics of an account and region.
pub const TOPICS_MAX: usize = 100_000;
/// SNS developer guide, *Filter policy constraints*: filter policies of a topic.
pub const FILTERS_MAX: usize = 200;
/// SNS API, PublishBatch.
pub const BATCH_ENTRIES_MAX: usize = 10;
pub const BATCH_ID_CHARS_MAX: usize = 80;
/// SNS API, ListTopics and ListSubscriptions.
pub const PAGE: usize = 100;
/// SNS API, TagResource.
pub const TAGS_MAX: usize = 50;
pub const TAG_KEY_CHARS_MAX: usize = 128;
pub const TAG_VALUE_CHARS_MAX: usize = 256;
/// SNS API, CreateTopic: DisplayName.
pub const DISPLAY_NAME_CHARS_MAX: usize = 100;

/// The largest message of a topic.
pub fn bytes_max(topic: &TopicRecord) -> usize {
    topic.settings.message_bytes_max.unwrap_or(MESSAGE_BYTES_DEFAULT) as usize
}
