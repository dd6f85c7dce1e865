//! Faults, with the reference's codes and words. The only place that knows statuses.
//!
//! Each fault has two names: that of its shape, which JSON carries, and the older one of the query protocol, which JSON
//! carries too, in `x-amzn-query-error`, since clients look for it.

use lambent_core::RequestId;
use lambent_store::StoreError;
use lambent_wire::{Fault, Protocol, Response, json, query};

use super::NAMESPACE;
use crate::engine::{access, settings};

/// A kind of fault: the shape with its namespace, the code and status of the query protocol, and the status in JSON.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Kind {
    shape: &'static str,
    code: &'static str,
    query_status: u16,
    json_status: u16,
}

const fn kind(shape: &'static str, code: &'static str, query_status: u16) -> Kind {
    Kind { shape, code, query_status, json_status: 400 }
}

macro_rules! kinds {
    ($($name:ident $shape:literal $code:literal $status:literal;)*) => {
        $(pub const $name: Kind = kind($shape, $code, $status);)*
    };
}

kinds! {
    ACCESS_DENIED "com.amazon.coral.service#AccessDeniedException" "AccessDenied" 403;
    BATCH_IDS_NOT_DISTINCT "com.amazonaws.sqs#BatchEntryIdsNotDistinct"
        "AWS.SimpleQueueService.BatchEntryIdsNotDistinct" 400;
    BATCH_TOO_LONG "com.amazonaws.sqs#BatchRequestTooLong" "AWS.SimpleQueueService.BatchRequestTooLong" 400;
    EMPTY_BATCH "com.amazonaws.sqs#EmptyBatchRequest" "AWS.SimpleQueueService.EmptyBatchRequest" 400;
    INVALID_ACTION "com.amazon.coral.service#UnknownOperationException" "InvalidAction" 400;
    INVALID_ADDRESS "com.amazonaws.sqs#InvalidAddress" "InvalidAddress" 404;
    INVALID_ATTRIBUTE_NAME "com.amazonaws.sqs#InvalidAttributeName" "InvalidAttributeName" 400;
    INVALID_ATTRIBUTE_VALUE "com.amazonaws.sqs#InvalidAttributeValue" "InvalidAttributeValue" 400;
    INVALID_BATCH_ID "com.amazonaws.sqs#InvalidBatchEntryId" "AWS.SimpleQueueService.InvalidBatchEntryId" 400;
    INVALID_CONTENTS "com.amazonaws.sqs#InvalidMessageContents" "InvalidMessageContents" 400;
    INVALID_PARAMETER "com.amazon.coral.service#InvalidParameterValueException" "InvalidParameterValue" 400;
    MISSING_PARAMETER "com.amazon.coral.service#MissingRequiredParameterException" "MissingParameter" 400;
    NOT_IN_FLIGHT "com.amazonaws.sqs#MessageNotInflight" "AWS.SimpleQueueService.MessageNotInflight" 400;
    NO_QUEUE "com.amazonaws.sqs#QueueDoesNotExist" "AWS.SimpleQueueService.NonExistentQueue" 400;
    NO_RESOURCE "com.amazonaws.sqs#ResourceNotFoundException" "ResourceNotFoundException" 404;
    OVER_LIMIT "com.amazonaws.sqs#OverLimit" "OverLimit" 403;
    PURGE_IN_PROGRESS "com.amazonaws.sqs#PurgeQueueInProgress" "AWS.SimpleQueueService.PurgeQueueInProgress" 403;
    QUEUE_DELETED_RECENTLY "com.amazonaws.sqs#QueueDeletedRecently"
        "AWS.SimpleQueueService.QueueDeletedRecently" 400;
    QUEUE_EXISTS "com.amazonaws.sqs#QueueNameExists" "QueueAlreadyExists" 400;
    RECEIPT_INVALID "com.amazonaws.sqs#ReceiptHandleIsInvalid" "ReceiptHandleIsInvalid" 404;
    SERIALIZATION "com.amazon.coral.service#SerializationException" "MalformedInput" 400;
    TOO_MANY_ENTRIES "com.amazonaws.sqs#TooManyEntriesInBatchRequest"
        "AWS.SimpleQueueService.TooManyEntriesInBatchRequest" 400;
    UNSUPPORTED "com.amazonaws.sqs#UnsupportedOperation" "AWS.SimpleQueueService.UnsupportedOperation" 400;
}

/// The node's own fault: the caller can only try again.
pub const UNAVAILABLE: Kind = Kind {
    shape: "com.amazon.coral.availability#ServiceUnavailableException",
    code: "ServiceUnavailable",
    query_status: 503,
    json_status: 503,
};

/// What a caller is told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    pub kind: Kind,
    pub message: String,
}

impl Failure {
    pub fn new(kind: Kind, message: impl Into<String>) -> Self {
        Self { kind, message: message.into() }
    }

    /// As an entry of a batch tells it.
    pub fn code(&self) -> &'static str {
        self.kind.code
    }

    pub fn is_senders(&self) -> bool {
        self.kind.json_status < 500
    }

    pub fn into_response(self, is_query: bool, request_id: &RequestId) -> Response {
        let Kind { shape, code, query_status, json_status } = self.kind;
        if is_query {
            return query::fault(query_status, code, &self.message, NAMESPACE, Some(request_id));
        }
        let blame = if self.is_senders() { "Sender" } else { "Receiver" };
        Fault::new(json_status, shape, self.message)
            .header("x-amzn-query-error", format!("{code};{blame}"))
            .into_response(Protocol::Json10)
    }
}

pub fn no_queue() -> Failure {
    Failure::new(NO_QUEUE, "The specified queue does not exist.")
}

pub fn missing(name: &str) -> Failure {
    Failure::new(MISSING_PARAMETER, format!("The request must contain the parameter {name}."))
}

pub fn invalid_parameter(value: &str, name: &str, reason: &str) -> Failure {
    let value = crate::engine::message::shown(value);
    Failure::new(
        INVALID_PARAMETER,
        format!("Value {value} for parameter {name} is invalid. Reason: {reason}"),
    )
}

pub fn invalid_receipt(handle: &str) -> Failure {
    let shown = crate::engine::message::shown(handle);
    Failure::new(
        RECEIPT_INVALID,
        format!("The input receipt handle \"{shown}\" is not a valid receipt handle."),
    )
}

pub fn store(error: StoreError) -> Failure {
    // The store has told the operator what happened, once; the caller can only try again.
    tracing::debug!(%error, "the queue store failed a request");
    Failure::new(UNAVAILABLE, "The service is unavailable. Please retry.")
}

impl From<json::Error> for Failure {
    fn from(error: json::Error) -> Self {
        Self::new(SERIALIZATION, error.to_string())
    }
}

/// A form that can't be read.
impl From<Fault> for Failure {
    fn from(fault: Fault) -> Self {
        Self::new(SERIALIZATION, fault.message)
    }
}

impl From<settings::Refusal> for Failure {
    fn from(refusal: settings::Refusal) -> Self {
        use settings::Refusal;
        match refusal {
            Refusal::UnknownName(name) => {
                Self::new(INVALID_ATTRIBUTE_NAME, format!("Unknown Attribute {name}."))
            }
            Refusal::InvalidValue(name) => {
                Self::new(INVALID_ATTRIBUTE_VALUE, format!("Invalid value for the parameter {name}."))
            }
            Refusal::Invalid { name, value, reason } => invalid_parameter(&value, name, &reason),
            Refusal::Unsupported { name, detail } => Self::new(
                INVALID_ATTRIBUTE_VALUE,
                format!("Invalid value for the parameter {name}. Reason: {detail}."),
            ),
            Refusal::FifoName => Self::new(
                INVALID_PARAMETER,
                "The name of a FIFO queue can only include alphanumeric characters, hyphens, or underscores, must \
                 end with .fifo suffix and be 1 to 80 in length.",
            ),
        }
    }
}

impl From<access::Refusal> for Failure {
    fn from(refusal: access::Refusal) -> Self {
        use access::Refusal;
        match refusal {
            Refusal::Invalid { value, name, reason } => invalid_parameter(&value, name, reason),
            Refusal::Missing(name) => missing(name),
            Refusal::OverLimit(message) => Self::new(OVER_LIMIT, message),
        }
    }
}
