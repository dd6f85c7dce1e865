//! The members of requests and answers, with their names in the query protocol. From the public service model of
//! 2012-11-05 and, for the query names, the one that was published until October 2023.

use lambent_wire::query::{Member, Shape};

const fn text(name: &'static str) -> Member {
    Member { name, wire: name, shape: Shape::Text }
}

const fn integer(name: &'static str) -> Member {
    Member { name, wire: name, shape: Shape::Integer }
}

const fn flag(name: &'static str) -> Member {
    Member { name, wire: name, shape: Shape::Boolean }
}

const fn texts(name: &'static str, wire: &'static str) -> Member {
    Member { name, wire, shape: Shape::List { item: &Shape::Text, element: None } }
}

const fn structures(name: &'static str, wire: &'static str, item: &'static Shape) -> Member {
    Member { name, wire, shape: Shape::List { item, element: None } }
}

const fn map(name: &'static str, wire: &'static str, key: &'static str, item: &'static Shape) -> Member {
    Member { name, wire, shape: Shape::Map { key, value: "Value", item, entry: None } }
}

const URL: Member = text("QueueUrl");
const RECEIPT: Member = text("ReceiptHandle");

const ATTRIBUTE: Shape = Shape::Structure(&[
    text("StringValue"),
    text("BinaryValue"),
    texts("StringListValues", "StringListValue"),
    texts("BinaryListValues", "BinaryListValue"),
    text("DataType"),
]);
const ATTRIBUTES: Member = map("Attributes", "Attribute", "Name", &Shape::Text);
const MESSAGE_ATTRIBUTES: Member = map("MessageAttributes", "MessageAttribute", "Name", &ATTRIBUTE);
const MESSAGE_SYSTEM_ATTRIBUTES: Member =
    map("MessageSystemAttributes", "MessageSystemAttribute", "Name", &ATTRIBUTE);

const SEND_ENTRY: Shape = Shape::Structure(&[
    text("Id"),
    text("MessageBody"),
    integer("DelaySeconds"),
    MESSAGE_ATTRIBUTES,
    MESSAGE_SYSTEM_ATTRIBUTES,
    text("MessageDeduplicationId"),
    text("MessageGroupId"),
]);
const DELETE_ENTRY: Shape = Shape::Structure(&[text("Id"), RECEIPT]);
const CHANGE_ENTRY: Shape = Shape::Structure(&[text("Id"), RECEIPT, integer("VisibilityTimeout")]);

const FAILED: Member = structures(
    "Failed",
    "BatchResultErrorEntry",
    &Shape::Structure(&[text("Id"), flag("SenderFault"), text("Code"), text("Message")]),
);
const DONE: Shape = Shape::Structure(&[text("Id")]);

pub const NOTHING: &[Member] = &[];
pub const BY_URL: &[Member] = &[URL];

pub const ADD_PERMISSION: &[Member] =
    &[URL, text("Label"), texts("AWSAccountIds", "AWSAccountId"), texts("Actions", "ActionName")];
pub const REMOVE_PERMISSION: &[Member] = &[URL, text("Label")];

pub const CREATE: &[Member] = &[text("QueueName"), ATTRIBUTES, map("tags", "Tag", "Key", &Shape::Text)];
pub const GET_URL: &[Member] = &[text("QueueName"), text("QueueOwnerAWSAccountId")];
pub const URL_ANSWER: &[Member] = &[URL];

pub const GET_ATTRIBUTES: &[Member] = &[URL, texts("AttributeNames", "AttributeName")];
pub const ATTRIBUTES_ANSWER: &[Member] = &[ATTRIBUTES];
pub const SET_ATTRIBUTES: &[Member] = &[URL, ATTRIBUTES];

pub const LIST: &[Member] = &[text("QueueNamePrefix"), text("NextToken"), integer("MaxResults")];
pub const LIST_ANSWER: &[Member] = &[texts("QueueUrls", "QueueUrl"), text("NextToken")];
pub const LIST_SOURCES: &[Member] = &[URL, text("NextToken"), integer("MaxResults")];
pub const LIST_SOURCES_ANSWER: &[Member] = &[texts("queueUrls", "QueueUrl"), text("NextToken")];

pub const SEND: &[Member] = &[
    URL,
    text("MessageBody"),
    integer("DelaySeconds"),
    MESSAGE_ATTRIBUTES,
    MESSAGE_SYSTEM_ATTRIBUTES,
    text("MessageDeduplicationId"),
    text("MessageGroupId"),
];
const SENT: &[Member] = &[
    text("MD5OfMessageBody"),
    text("MD5OfMessageAttributes"),
    text("MD5OfMessageSystemAttributes"),
    text("MessageId"),
    text("SequenceNumber"),
];
pub const SEND_ANSWER: &[Member] = SENT;
pub const SEND_BATCH: &[Member] = &[URL, structures("Entries", "SendMessageBatchRequestEntry", &SEND_ENTRY)];
pub const SEND_BATCH_ANSWER: &[Member] = &[
    structures(
        "Successful",
        "SendMessageBatchResultEntry",
        &Shape::Structure(&[
            text("Id"),
            text("MessageId"),
            text("MD5OfMessageBody"),
            text("MD5OfMessageAttributes"),
            text("MD5OfMessageSystemAttributes"),
            text("SequenceNumber"),
        ]),
    ),
    FAILED,
];

pub const RECEIVE: &[Member] = &[
    URL,
    texts("AttributeNames", "AttributeName"),
    texts("MessageSystemAttributeNames", "MessageSystemAttributeName"),
    texts("MessageAttributeNames", "MessageAttributeName"),
    integer("MaxNumberOfMessages"),
    integer("VisibilityTimeout"),
    integer("WaitTimeSeconds"),
    text("ReceiveRequestAttemptId"),
];
pub const RECEIVE_ANSWER: &[Member] = &[structures(
    "Messages",
    "Message",
    &Shape::Structure(&[
        text("MessageId"),
        RECEIPT,
        text("MD5OfBody"),
        text("Body"),
        ATTRIBUTES,
        text("MD5OfMessageAttributes"),
        MESSAGE_ATTRIBUTES,
    ]),
)];

pub const DELETE: &[Member] = &[URL, RECEIPT];
pub const DELETE_BATCH: &[Member] =
    &[URL, structures("Entries", "DeleteMessageBatchRequestEntry", &DELETE_ENTRY)];
pub const DELETE_BATCH_ANSWER: &[Member] =
    &[structures("Successful", "DeleteMessageBatchResultEntry", &DONE), FAILED];

pub const CHANGE: &[Member] = &[URL, RECEIPT, integer("VisibilityTimeout")];
pub const CHANGE_BATCH: &[Member] =
    &[URL, structures("Entries", "ChangeMessageVisibilityBatchRequestEntry", &CHANGE_ENTRY)];
pub const CHANGE_BATCH_ANSWER: &[Member] =
    &[structures("Successful", "ChangeMessageVisibilityBatchResultEntry", &DONE), FAILED];

pub const TAG: &[Member] = &[URL, map("Tags", "Tag", "Key", &Shape::Text)];
pub const UNTAG: &[Member] = &[URL, texts("TagKeys", "TagKey")];
pub const TAGS_ANSWER: &[Member] = &[map("Tags", "Tag", "Key", &Shape::Text)];

pub const START_MOVE: &[Member] =
    &[text("SourceArn"), text("DestinationArn"), integer("MaxNumberOfMessagesPerSecond")];
pub const START_MOVE_ANSWER: &[Member] = &[text("TaskHandle")];
pub const CANCEL_MOVE: &[Member] = &[text("TaskHandle")];
pub const CANCEL_MOVE_ANSWER: &[Member] = &[integer("ApproximateNumberOfMessagesMoved")];
pub const LIST_MOVES: &[Member] = &[text("SourceArn"), integer("MaxResults")];
pub const LIST_MOVES_ANSWER: &[Member] = &[structures(
    "Results",
    "ListMessageMoveTasksResultEntry",
    &Shape::Structure(&[
        text("TaskHandle"),
        text("Status"),
        text("SourceArn"),
        text("DestinationArn"),
        integer("MaxNumberOfMessagesPerSecond"),
        integer("ApproximateNumberOfMessagesMoved"),
        integer("ApproximateNumberOfMessagesToMove"),
        text("FailureReason"),
        integer("StartedTimestamp"),
    ]),
)];
