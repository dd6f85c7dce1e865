//! Limits and patterns of the API, from its service model (2014-03-28) and the user guide's *Quotas*.

/// A constraint on a text.
#[derive(Debug, Clone, Copy)]
pub struct Shape {
    pub chars_min: usize,
    pub chars_max: usize,
    pub alphabet: Option<Alphabet>,
}

/// Which characters a text may have.
#[derive(Debug, Clone, Copy)]
pub struct Alphabet {
    /// The model's regular expression, as an error quotes it.
    pub pattern: &'static str,
    pub has: fn(char) -> bool,
}

pub const GROUP_NAME: Shape = Shape {
    chars_min: 1,
    chars_max: 512,
    alphabet: Some(Alphabet {
        pattern: r"[\.\-_/#A-Za-z0-9]+",
        has: |c| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_' | '/' | '#'),
    }),
};

/// DescribeLogGroups takes an empty pattern for none.
pub const GROUP_NAME_PATTERN: Shape = Shape { chars_min: 0, ..GROUP_NAME };

pub const STREAM_NAME: Shape = Shape {
    chars_min: 1,
    chars_max: 512,
    alphabet: Some(Alphabet { pattern: "[^:*]*", has: |c| !matches!(c, ':' | '*') }),
};

pub const GROUP_IDENTIFIER: Shape = Shape {
    chars_min: 1,
    chars_max: 2048,
    alphabet: Some(Alphabet {
        pattern: r"[\w#+=/:,.@-]*",
        has: |c| {
            c.is_ascii_alphanumeric()
                || matches!(c, '_' | '#' | '+' | '=' | '/' | ':' | ',' | '.' | '@' | '-')
        },
    }),
};

/// An ARN of a resource. The model's pattern lacks `*` and `#`, which its own ARNs have.
pub const RESOURCE_ARN: Shape = Shape { chars_min: 1, chars_max: 1011, alphabet: None };

pub const TOKEN: Shape = Shape { chars_min: 1, chars_max: 8192, alphabet: None };

pub const FILTER_PATTERN: Shape = Shape { chars_min: 0, chars_max: 1024, alphabet: None };

/// Free text that other checks judge.
pub const ANY_TEXT: Shape = Shape { chars_min: 0, chars_max: usize::MAX, alphabet: None };

pub const TAG_KEY: Shape = Shape {
    chars_min: 1,
    chars_max: 128,
    alphabet: Some(Alphabet { pattern: r"^([\p{L}\p{Z}\p{N}_.:/=+\-@]+)$", has: is_tag_char }),
};

pub const TAG_VALUE: Shape = Shape {
    chars_min: 0,
    chars_max: 256,
    alphabet: Some(Alphabet { pattern: r"^([\p{L}\p{Z}\p{N}_.:/=+\-@]*)$", has: is_tag_char }),
};

fn is_tag_char(c: char) -> bool {
    c.is_alphanumeric() || c == ' ' || matches!(c, '_' | '.' | ':' | '/' | '=' | '+' | '-' | '@')
}

/// Tags of a group.
pub const TAGS_MAX: usize = 50;

/// Groups or streams of a page.
pub const DESCRIBE_MAX: i64 = 50;

/// Events of a page, and their counted bytes.
pub const EVENTS_MAX: i64 = 10_000;
pub const PAGE_BYTES_MAX: usize = 1024 * 1024;

/// Streams that FilterLogEvents takes by name.
pub const FILTER_STREAMS_MAX: usize = 100;

/// PutLogEvents: events of a batch, their counted bytes, which also bound a single event, and their span.
pub const BATCH_EVENTS_MAX: usize = 10_000;
pub const BATCH_BYTES_MAX: usize = 1_048_576;
pub const BATCH_SPAN_MILLIS_MAX: u64 = 24 * HOUR_MILLIS;

/// PutLogEvents: events beyond these ages are rejected, the others of the batch are kept.
pub const EVENT_AHEAD_MILLIS_MAX: u64 = 2 * HOUR_MILLIS;
pub const EVENT_AGE_MILLIS_MAX: u64 = 14 * 24 * HOUR_MILLIS;

const HOUR_MILLIS: u64 = 3_600_000;

/// PutRetentionPolicy.
pub const RETENTION_DAYS: [i64; 22] =
    [1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, 400, 545, 731, 1096, 1827, 2192, 2557, 2922, 3288, 3653];

/// Ours: what one FilterLogEvents looks through before it answers with what it has and a token.
pub const FILTER_SCAN_BYTES_MAX: usize = 32 * 1024 * 1024;
