//! Request bodies in JSON: strict parsing, and reading that knows what nobody read.
//!
//! [`Body::parse`] takes the bytes; [`Body::object`] gives the members to read; [`Body::unread`] lists, by name,
//! those that no reader asked for. A service refuses what is listed there, and so a parameter either acts or is
//! refused.
//!
//! What this is not: it validates no value. Types are checked here, lengths and patterns by the services, with
//! [`crate::validation`].
//!
//! Invariants:
//! - no member appears twice, at any depth;
//! - nothing nests deeper than [`DEPTH_MAX`];
//! - `null` is the same as absent, as the reference has it.

mod object;
mod strict;

#[cfg(test)]
mod tests;

use std::collections::BTreeSet;
use std::sync::{Mutex, PoisonError};

use serde_json::{Map, Value};

use crate::Fault;

pub use object::Object;

/// How deep arrays and objects may nest. Ours: the deepest request of any service here nests under ten; the
/// rest is free-form documents, and DynamoDB's own limit for those is 32 levels.
pub const DEPTH_MAX: usize = 64;

/// Why a body or a member was not what it should be. The texts are those that callers read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// The bytes aren't the one JSON object that was wanted: what the parser says.
    #[error("{0}")]
    Malformed(String),
    /// A member has another type than the operation's.
    #[error("{found} can not be converted to {wanted}")]
    Type { path: String, found: &'static str, wanted: &'static str },
    /// An object or a list stands where a plain value belongs, or the other way about.
    #[error("{found} found where not expected.")]
    Shape { path: String, found: &'static str },
    /// Text that should be base64 isn't.
    #[error("Invalid base64 in {path}")]
    Base64 { path: String },
}

impl Error {
    /// SerializationException, as most operations answer.
    pub fn into_serialization_fault(self) -> Fault {
        Fault::new(400, "SerializationException", self.to_string())
    }

    /// InvalidRequestContentException, as Lambda's Invoke answers.
    pub fn into_request_content_fault(self) -> Fault {
        Fault::new(
            400,
            "InvalidRequestContentException",
            format!("Could not parse request body into json: Could not parse payload into json: {self}"),
        )
    }
}

/// SerializationException; an Invoke chooses [`Error::into_request_content_fault`] itself.
impl From<Error> for Fault {
    fn from(error: Error) -> Self {
        error.into_serialization_fault()
    }
}

/// A body that is one JSON object, and a record of which members were read.
#[derive(Debug)]
pub struct Body {
    root: Map<String, Value>,
    read: Mutex<BTreeSet<String>>,
}

impl Body {
    /// Parses the bytes. Nothing at all is an empty object. Refuses text behind the object, members that
    /// appear twice, and too much depth.
    pub fn parse(bytes: &[u8]) -> Result<Self, Error> {
        if bytes.trim_ascii().is_empty() {
            return Ok(Self { root: Map::new(), read: Mutex::default() });
        }
        match parse_value(bytes)? {
            Value::Object(root) => Ok(Self { root, read: Mutex::default() }),
            Value::Array(_) => Err(Error::Shape { path: String::new(), found: "Start of list" }),
            _ => Err(Error::Malformed("Unexpected token: a JSON object is expected".to_owned())),
        }
    }

    /// The members, to read.
    pub fn object(&self) -> Object<'_> {
        Object::new(&self.root, String::new(), &self.read)
    }

    /// The members that were sent with a value and that no reader asked for, as paths such as
    /// `VpcConfig.SubnetIds` or `Configs[0].Arn`. Below a member that wasn't read nothing is listed.
    pub fn unread(&self) -> Vec<String> {
        object::unread(&self.root, "", &self.read.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// Parses any JSON value with the strictness of [`Body::parse`].
pub fn parse_value(bytes: &[u8]) -> Result<Value, Error> {
    strict::parse(bytes).map_err(|error| Error::Malformed(error.to_string()))
}
