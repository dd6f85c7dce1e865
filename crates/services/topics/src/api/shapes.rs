//! The members of requests and answers, as forms and XML have them.

use lambent_wire::query::{Member, Shape};

const fn text(name: &'static str) -> Member {
    Member { name, wire: name, shape: Shape::Text }
}

const fn flag(name: &'static str) -> Member {
    Member { name, wire: name, shape: Shape::Boolean }
}

const fn list(name: &'static str, item: &'static Shape) -> Member {
    Member { name, wire: name, shape: Shape::List { item, element: Some("member") } }
}

const fn map(name: &'static str, key: &'static str, value: &'static str, item: &'static Shape) -> Member {
    Member { name, wire: name, shape: Shape::Map { key, value, item, entry: Some("entry") } }
}

const TOPIC_ARN: Member = text("TopicArn");
const SUBSCRIPTION_ARN: Member = text("SubscriptionArn");
const NEXT_TOKEN: Member = text("NextToken");
const ATTRIBUTES: Member = map("Attributes", "key", "value", &Shape::Text);
const TAGS: Member = list("Tags", &Shape::Structure(&[text("Key"), text("Value")]));
const MESSAGE_ATTRIBUTES: Member = map(
    "MessageAttributes",
    "Name",
    "Value",
    &Shape::Structure(&[text("DataType"), text("StringValue"), text("BinaryValue")]),
);
const SUBSCRIPTIONS: Member = list(
    "Subscriptions",
    &Shape::Structure(&[SUBSCRIPTION_ARN, text("Owner"), text("Protocol"), text("Endpoint"), TOPIC_ARN]),
);

pub const NOTHING: &[Member] = &[];
/// A result without members, which clients look for nevertheless: this one is never there.
pub const EMPTY_RESULT: &[Member] = &[text("Nothing")];

pub const BY_TOPIC: &[Member] = &[TOPIC_ARN];
pub const BY_SUBSCRIPTION: &[Member] = &[SUBSCRIPTION_ARN];
pub const ATTRIBUTES_ANSWER: &[Member] = &[ATTRIBUTES];

pub const ADD_PERMISSION: &[Member] =
    &[TOPIC_ARN, text("Label"), list("AWSAccountId", &Shape::Text), list("ActionName", &Shape::Text)];
pub const REMOVE_PERMISSION: &[Member] = &[TOPIC_ARN, text("Label")];

pub const CREATE_TOPIC: &[Member] = &[text("Name"), ATTRIBUTES, TAGS, text("DataProtectionPolicy")];
pub const SET_TOPIC_ATTRIBUTES: &[Member] = &[TOPIC_ARN, text("AttributeName"), text("AttributeValue")];
pub const LIST_TOPICS: &[Member] = &[NEXT_TOKEN];
pub const LIST_TOPICS_ANSWER: &[Member] = &[list("Topics", &Shape::Structure(&[TOPIC_ARN])), NEXT_TOKEN];

pub const CONFIRM: &[Member] = &[TOPIC_ARN, text("Token"), text("AuthenticateOnUnsubscribe")];
pub const SUBSCRIBE: &[Member] =
    &[TOPIC_ARN, text("Protocol"), text("Endpoint"), ATTRIBUTES, flag("ReturnSubscriptionArn")];
pub const SET_SUBSCRIPTION_ATTRIBUTES: &[Member] =
    &[SUBSCRIPTION_ARN, text("AttributeName"), text("AttributeValue")];
pub const LIST_SUBSCRIPTIONS: &[Member] = &[NEXT_TOKEN];
pub const LIST_BY_TOPIC: &[Member] = &[TOPIC_ARN, NEXT_TOKEN];
pub const SUBSCRIPTIONS_ANSWER: &[Member] = &[SUBSCRIPTIONS, NEXT_TOKEN];

pub const PUBLISH: &[Member] = &[
    TOPIC_ARN,
    text("TargetArn"),
    text("PhoneNumber"),
    text("Message"),
    text("Subject"),
    text("MessageStructure"),
    MESSAGE_ATTRIBUTES,
    text("MessageDeduplicationId"),
    text("MessageGroupId"),
];
pub const PUBLISH_ANSWER: &[Member] = &[text("MessageId"), text("SequenceNumber")];

const BATCH_ENTRY: Shape = Shape::Structure(&[
    text("Id"),
    text("Message"),
    text("Subject"),
    text("MessageStructure"),
    MESSAGE_ATTRIBUTES,
    text("MessageDeduplicationId"),
    text("MessageGroupId"),
]);
pub const PUBLISH_BATCH: &[Member] = &[TOPIC_ARN, list("PublishBatchRequestEntries", &BATCH_ENTRY)];
pub const PUBLISH_BATCH_ANSWER: &[Member] = &[
    list("Successful", &Shape::Structure(&[text("Id"), text("MessageId"), text("SequenceNumber")])),
    list("Failed", &Shape::Structure(&[text("Id"), text("Code"), text("Message"), flag("SenderFault")])),
];

pub const TAG: &[Member] = &[text("ResourceArn"), TAGS];
pub const UNTAG: &[Member] = &[text("ResourceArn"), list("TagKeys", &Shape::Text)];
pub const LIST_TAGS: &[Member] = &[text("ResourceArn")];
pub const TAGS_ANSWER: &[Member] = &[TAGS];
