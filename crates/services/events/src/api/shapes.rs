//! Limits and patterns of the API, from its service model (2015-10-07) and the user guide's quotas.

use crate::reader::{Shape, shape};

fn is_word(text: &str) -> bool {
    text.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'-' | b'_'))
}

pub const RULE_NAME: Shape = Shape { pattern: Some((r"[\.\-_A-Za-z0-9]+", is_word)), ..shape(1, 64) };
pub const TARGET_ID: Shape = RULE_NAME;

pub const BUS_NAME: Shape =
    Shape { pattern: Some((r"[/\.\-_A-Za-z0-9]+", |text| text.split('/').all(is_word))), ..shape(1, 256) };

/// A bus by its name or ARN.
pub const BUS: Shape = Shape {
    pattern: Some((
        r"(arn:aws[\w-]*:events:[a-z]+-[a-z]+-[\w-]+:[0-9]{12}:event-bus\/)?[/\.\-_A-Za-z0-9]+",
        |text| crate::names::BusName::of_arn(text).is_some() || text.split('/').all(is_word),
    )),
    ..shape(1, 1_600)
};

pub const ARCHIVE_NAME: Shape = Shape { pattern: Some((r"[\.\-_A-Za-z0-9]+", is_word)), ..shape(1, 48) };
pub const REPLAY_NAME: Shape = Shape { pattern: Some((r"[\.\-_A-Za-z0-9]+", is_word)), ..shape(1, 64) };
pub const ARCHIVE_STATES: &[&str] =
    &["ENABLED", "DISABLED", "CREATING", "UPDATING", "CREATE_FAILED", "UPDATE_FAILED"];
pub const REPLAY_STATES: &[&str] = &["STARTING", "RUNNING", "CANCELLING", "COMPLETED", "CANCELLED", "FAILED"];

/// A bus or an archive by its ARN.
pub const SOURCE_ARN: Shape = Shape {
    pattern: Some((r"^arn:aws([a-z]|\-)*:events:([a-z]|\d|\-)*:([0-9]{12})?:.+\/.+$", |text| {
        lambent_core::Arn::parse(text).is_some_and(|arn| {
            arn.service == "events" && arn.resource.split_once('/').is_some_and(|(_, name)| !name.is_empty())
        })
    })),
    ..shape(1, 1_600)
};

/// The model: an integer of 32 bits.
pub const RETENTION_DAYS_MAX: u32 = i32::MAX as u32;

pub const DESCRIPTION: Shape = shape(0, 512);
pub const EVENT_PATTERN: Shape = shape(0, 4_096);
pub const SCHEDULE_EXPRESSION: Shape = shape(0, 256);
pub const INPUT: Shape = shape(0, 8_192);
pub const INPUT_TEMPLATE: Shape = shape(1, 8_192);
pub const INPUT_PATH: Shape = shape(0, 256);
pub const TAG_KEY: Shape = shape(1, 128);
pub const TAG_VALUE: Shape = shape(0, 256);
pub const STATEMENT_ID: Shape =
    Shape { pattern: Some(("[a-zA-Z0-9-_]+", |text| is_word(text) && !text.contains('.'))), ..shape(1, 64) };
pub const ACTION: Shape = Shape {
    pattern: Some(("events:[a-zA-Z]+", |text| {
        text.strip_prefix("events:")
            .is_some_and(|name| !name.is_empty() && name.bytes().all(|b| b.is_ascii_alphabetic()))
    })),
    ..shape(1, 64)
};
pub const PRINCIPAL: Shape = Shape {
    pattern: Some((r"(\d{12}|\*)", |text| {
        text == "*" || (text.len() == 12 && text.bytes().all(|b| b.is_ascii_digit()))
    })),
    ..shape(1, 12)
};
/// The scheduler's model; EventBridge's says nothing, and SQS the same.
pub const MESSAGE_GROUP: Shape = shape(1, 128);
pub const TRACE_HEADER: Shape = shape(1, 500);
pub const RESOURCE: Shape = shape(0, 2_048);

/// Free text that other checks judge.
pub const ANY: Shape = shape(0, usize::MAX);

/// Items of a page, and how many there are when nobody says.
pub const PAGE_MAX: u32 = 100;

/// The model: entries of one PutEvents, targets of one PutTargets or RemoveTargets.
pub const ENTRIES_MAX: usize = 10;
pub const TARGETS_OF_A_REQUEST_MAX: usize = 100;

/// Quotas: targets of a rule.
pub const TARGETS_OF_A_RULE_MAX: usize = 5;

/// Quotas: variables of an input transformer.
pub const TRANSFORMER_PATHS_MAX: usize = 100;

/// API reference: tags of a resource.
pub const TAGS_MAX: usize = 50;

/// Quotas: a resource policy.
pub const POLICY_BYTES_MAX: usize = 10_240;

/// Quotas: all entries of one PutEvents together, 1 MB.
pub const PUT_EVENTS_BYTES_MAX: usize = 1_048_576;

/// RetryPolicy: the model's bounds.
pub const RETRY_ATTEMPTS_MAX: u32 = 185;
pub const EVENT_AGE_SECS_MIN: u32 = 60;
pub const EVENT_AGE_SECS_MAX: u32 = 86_400;

/// Names of API destinations and connections.
pub const HTTP_NAME: Shape = Shape { pattern: Some((r"[\.\-_A-Za-z0-9]+", is_word)), ..shape(1, 64) };

pub const CONNECTION_ARN: Shape = Shape {
    pattern: Some((
        r"^arn:aws([a-z]|\-)*:events:([a-z]|\d|\-)*:([0-9]{12})?:connection\/[\.\-_A-Za-z0-9]+\/[\-A-Za-z0-9]+$",
        |text| crate::names::connection_of_arn(text).is_some(),
    )),
    ..shape(1, 1_600)
};

pub const ENDPOINT: Shape = Shape {
    pattern: Some((r"^((%[0-9A-Fa-f]{2}|[-()_.!~*';/?:@\x26=+$,A-Za-z0-9])+)([).!';/?:,])?$", |text| {
        text.bytes().all(|b| b.is_ascii_alphanumeric() || b"-()_.!~*';/?:@&=+$,%".contains(&b))
    })),
    ..shape(1, 2_048)
};

pub const HTTP_METHODS: &[&str] = &["POST", "GET", "HEAD", "OPTIONS", "PUT", "PATCH", "DELETE"];

/// The model: an integer of 32 bits.
pub const RATE_MAX: u32 = i32::MAX as u32;

/// User guide, *Quotas*: of an account in a region.
pub const CONNECTIONS_MAX: usize = 3_000;
pub const API_DESTINATIONS_MAX: usize = 3_000;

/// The model: of each place in a request.
pub const HTTP_PARAMETERS_MAX: usize = 100;

/// User names, passwords and keys.
pub const AUTH_TEXT: Shape = Shape {
    pattern: Some((r"^[ \t]*[^\x00-\x1F:\x7F]+([ \t]+[^\x00-\x1F:\x7F]+)*[ \t]*$", |text| {
        !text.trim().is_empty() && text.chars().all(|c| c == '\t' || !(c.is_ascii_control() || c == ':'))
    })),
    ..shape(1, 512)
};

pub const HEADER_NAME: Shape = Shape {
    pattern: Some((r"^[!#$%&'*+-.^_`|~0-9a-zA-Z]+$", |text| {
        http::HeaderName::from_bytes(text.as_bytes()).is_ok()
    })),
    ..shape(1, 512)
};

pub const HEADER_VALUE: Shape = Shape {
    pattern: Some((r"^[ \t]*[\x20-\x7E]+([ \t]+[\x20-\x7E]+)*[ \t]*$", |text| {
        text.bytes().all(|b| b == b'\t' || (b' '..=b'~').contains(&b))
    })),
    ..shape(0, 512)
};

pub const QUERY_KEY: Shape = Shape {
    pattern: Some((r"[^\x00-\x1F\x7F]+", |text| !text.chars().any(|c| c.is_ascii_control()))),
    ..shape(1, 512)
};

pub const QUERY_VALUE: Shape = Shape {
    pattern: Some((r"[^\x00-\x09\x0B\x0C\x0E-\x1F\x7F]+", |text| {
        text.chars().all(|c| matches!(c, '\n' | '\r') || !c.is_ascii_control())
    })),
    ..shape(0, 512)
};

/// Ours: the model says no length of these.
pub const BODY_KEY: Shape = shape(1, 512);
pub const BODY_VALUE: Shape = shape(0, 65_536);

pub const PATH_VALUE: Shape =
    Shape { pattern: Some((r"^(?!\s*$).+", |text| !text.trim().is_empty())), ..shape(1, 2_048) };
