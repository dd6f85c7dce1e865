//! `X-Amz-Target`: how the JSON 1.0 and 1.1 protocols name an operation.

use http::HeaderMap;

use crate::Fault;

/// The longest target that is read. Ours: the longest known has about 80 characters.
pub const TARGET_BYTES_MAX: usize = 256;

/// `Logs_20140328.CreateLogGroup`, taken apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Target<'a> {
    /// The service's name and version, `Logs_20140328`.
    pub prefix: &'a str,
    /// The operation, `CreateLogGroup`.
    pub operation: &'a str,
}

impl<'a> Target<'a> {
    /// Reads the header's value; `None` when it has not the form.
    pub fn parse(text: &'a str) -> Option<Self> {
        let (prefix, operation) = text.rsplit_once('.')?;
        let is_name = |text: &str| {
            !text.is_empty()
                && text.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-' | b'.'))
        };
        (text.len() <= TARGET_BYTES_MAX && is_name(prefix) && is_name(operation))
            .then_some(Self { prefix, operation })
    }

    /// Reads a request's header, or answers as the JSON services do when they can't tell the operation.
    pub fn of(headers: &'a HeaderMap) -> Result<Self, Fault> {
        headers
            .get("x-amz-target")
            .and_then(|value| value.to_str().ok())
            .and_then(Self::parse)
            .ok_or_else(Self::unknown)
    }

    /// The fault for an operation that the service doesn't have.
    pub fn unknown() -> Fault {
        Fault::new(400, "UnknownOperationException", "The requested operation is not supported.")
    }
}
