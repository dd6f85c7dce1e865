//! Requests and responses as services see them.

use std::task::{Context, Poll};

use bytes::Bytes;
use http::{HeaderMap, Method};
use lambent_core::ids::{AccountId, Region, RequestId};

/// A verified request: decoded query, whole body, chunk framing removed.
#[derive(Debug, Clone)]
pub struct Request {
    /// As it was sent.
    pub method: Method,
    /// The path as it was sent, still percent-encoded.
    pub path: String,
    /// Decoded names and values in their order.
    pub query: Vec<(String, String)>,
    /// All of them, those of the signature included.
    pub headers: HeaderMap,
    /// What the signature covers; for a chunked body, what is left without the framing.
    pub body: Bytes,
    /// Ours, new for every request.
    pub request_id: RequestId,
    /// Whose signature was verified.
    pub caller: Caller,
}

/// Whose signature the request bears.
#[derive(Debug, Clone)]
pub struct Caller {
    /// The account that the access key belongs to.
    pub account: AccountId,
    /// From the credential scope.
    pub region: Region,
    /// The key that signed.
    pub access_key_id: String,
    /// `arn:aws:iam::ACCOUNT:root`, or the session's `arn:aws:sts::ACCOUNT:assumed-role/ROLE/SESSION`.
    pub principal_arn: String,
}

/// What a service answers: whole, in memory.
pub type Response = http::Response<Bytes>;

/// A body that is sent as it is made.
pub trait Flow: Send {
    /// The next bytes; `None` at its end. Not asked again after either that or an error.
    fn poll_bytes(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Bytes, CutOff>>>;
}

/// A body that ends before its end: its connection has to show that.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the body was cut off by the side that makes it")]
pub struct CutOff;

/// An answer of either kind.
pub enum Reply {
    Whole(Response),
    Flowing(http::Response<Box<dyn Flow>>),
}

impl Reply {
    pub fn headers_mut(&mut self) -> &mut HeaderMap {
        match self {
            Self::Whole(response) => response.headers_mut(),
            Self::Flowing(response) => response.headers_mut(),
        }
    }
}

impl From<Response> for Reply {
    fn from(response: Response) -> Self {
        Self::Whole(response)
    }
}

impl Request {
    /// The first query value of this name.
    pub fn query_value(&self, name: &str) -> Option<&str> {
        self.query.iter().find(|(n, _)| n == name).map(|(_, v)| v.as_str())
    }

    /// A header's value when it is there and is text.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).and_then(|v| v.to_str().ok())
    }
}

/// A response with a JSON body.
pub fn json_response(status: u16, body: &impl serde::Serialize) -> Response {
    let bytes = serde_json::to_vec(body).expect("answers are plain data with text keys");
    http::Response::builder()
        .status(status)
        .header(http::header::CONTENT_TYPE, "application/json")
        .body(Bytes::from(bytes))
        .expect("a fixed header and a known status make a response")
}
