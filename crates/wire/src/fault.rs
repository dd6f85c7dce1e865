//! An error on its way to a caller: AWS's code, status and message form.

use std::borrow::Cow;

use bytes::Bytes;
use serde_json::{Map, Value};

use crate::Response;

/// How a protocol writes its faults.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Protocol {
    /// `x-amzn-ErrorType` header, `{"Type": ..., "Message": ...}` body: Lambda.
    RestJson,
    /// `{"__type": ..., "message": ...}` body: CloudWatch Logs and others.
    Json11,
    /// The same, by another name: SQS and others.
    Json10,
    /// XML, with the code in it.
    Query,
}

/// A fault of a service or of the front door: all that a caller is told, nothing for the log.
#[derive(Debug, Clone, PartialEq)]
pub struct Fault {
    /// The HTTP status.
    pub status: u16,
    /// The reference's name for it, such as `ResourceNotFoundException`.
    pub code: Cow<'static, str>,
    /// The sentence that people read.
    pub message: String,
    /// Members beside the message, such as `Reason` of TooManyRequestsException.
    pub members: Map<String, Value>,
    /// Headers beside the usual ones, such as `Retry-After`.
    pub headers: Vec<(&'static str, String)>,
}

impl Fault {
    /// A fault without members or headers of its own.
    pub fn new(status: u16, code: impl Into<Cow<'static, str>>, message: impl Into<String>) -> Self {
        Self { status, code: code.into(), message: message.into(), members: Map::new(), headers: Vec::new() }
    }

    /// Adds a member beside the message.
    pub fn member(mut self, name: &str, value: impl Into<Value>) -> Self {
        self.members.insert(name.to_owned(), value.into());
        self
    }

    /// Adds a header. A value that isn't visible ASCII makes the answer a bare 500.
    pub fn header(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.headers.push((name, value.into()));
        self
    }

    /// The fault as a response of the protocol.
    pub fn into_response(self, protocol: Protocol) -> Response {
        if protocol == Protocol::Query {
            return crate::query::fault(self.status, &self.code, &self.message, "", None);
        }
        let mut body = self.members;
        let content_type = match protocol {
            Protocol::RestJson => {
                let blame = if self.status < 500 { "User" } else { "Service" };
                body.entry("Type").or_insert_with(|| blame.into());
                // The Lambda models of both SDK generations read the member under either spelling; the service
                // itself writes `Message` beside `Type`, and `message` where a shape declares it so.
                body.insert("Message".into(), self.message.clone().into());
                body.insert("message".into(), self.message.into());
                "application/json"
            }
            Protocol::Json11 | Protocol::Json10 | Protocol::Query => {
                body.insert("__type".into(), self.code.clone().into());
                body.insert("message".into(), self.message.into());
                if protocol == Protocol::Json10 {
                    "application/x-amz-json-1.0"
                } else {
                    "application/x-amz-json-1.1"
                }
            }
        };
        let bytes = serde_json::to_vec(&body).expect("a JSON object serialises");
        let mut response = http::Response::builder()
            .status(self.status)
            .header(http::header::CONTENT_TYPE, content_type)
            .header("x-amzn-errortype", self.code.as_ref());
        for (name, value) in self.headers {
            response = response.header(name, value);
        }
        response.body(Bytes::from(bytes)).unwrap_or_else(|_| {
            // Only a status out of range or a header value that is not visible ASCII gets here, and no fault of
            // ours carries one. It must not look like success.
            let mut response = http::Response::new(Bytes::new());
            *response.status_mut() = http::StatusCode::INTERNAL_SERVER_ERROR;
            response
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_protocol_writes_the_code_where_its_clients_look() {
        let fault = Fault::new(429, "TooManyRequestsException", "Rate exceeded").member("Reason", "R");
        for (protocol, member) in [(Protocol::RestJson, "Type"), (Protocol::Json11, "__type")] {
            let response = fault.clone().into_response(protocol);
            assert_eq!(response.status(), 429);
            assert_eq!(response.headers()["x-amzn-errortype"], "TooManyRequestsException");
            let body: Value = serde_json::from_slice(response.body()).unwrap();
            assert_eq!((&body["message"], &body["Reason"]), (&"Rate exceeded".into(), &"R".into()));
            assert!(body[member].is_string());
        }
    }

    #[test]
    fn a_fault_that_cannot_be_written_is_no_success() {
        for bad in
            [Fault::new(9, "X", ""), Fault::new(400, "X\n", ""), Fault::new(400, "X", "").header("a", "\n")]
        {
            assert_eq!(bad.into_response(Protocol::RestJson).status(), 500);
        }
    }
}
