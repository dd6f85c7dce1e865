//! Requests to addresses that somebody else serves.

use std::time::Duration;

use bytes::Bytes;

use super::BoxFuture;

/// A request.
#[derive(Debug, Clone, Copy)]
pub struct Posting<'a> {
    /// In upper case.
    pub method: &'a str,
    /// `http://` or `https://`.
    pub url: &'a str,
    /// Names that HTTP knows, in any case.
    pub headers: &'a [(String, String)],
    pub body: &'a str,
    /// For all of it: to connect, to send, and to be answered.
    pub within: Duration,
    /// How much of the answer's body is read, at the most; 0 for none. A longer one is no answer.
    pub answer_bytes_max: usize,
}

/// What came back.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Answered {
    pub status: u16,
    /// The header `Retry-After`, as it stands.
    pub retry_after: Option<String>,
    /// Empty when nobody reads it.
    pub body: Bytes,
}

/// Why there was no answer. Another attempt may get one.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Unanswered {
    #[error("no answer within {} seconds", .0.as_secs())]
    TooSlow(Duration),
    #[error("{0}")]
    Unreachable(String),
}

/// Sends requests, and follows no redirection.
pub trait HttpSink: Send + Sync {
    fn post<'a>(&'a self, posting: Posting<'a>) -> BoxFuture<'a, Result<Answered, Unanswered>>;
}
