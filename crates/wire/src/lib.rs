//! The AWS protocols, once: signatures, chunked bodies, JSON and REST shapes, faults, pagination.
//!
//! A request passes through [`sigv4`] (who signed it, and is the body what was signed), [`dispatch`] (for which
//! service) and [`route`] (which operation); services read bodies with [`json`] and [`validation`].
//!
//! What this is not: it opens no socket and knows no operation. A service gets a [`Request`] whose signature
//! was verified and whose body is whole and plain, and answers with a [`Response`].

pub mod checksum;
pub mod chunked;
pub mod dispatch;
pub mod event_stream;
mod fault;
pub mod json;
mod message;
pub mod paginate;
pub mod percent;
pub mod query;
pub mod route;
pub mod sigv4;
pub mod validation;

pub use fault::{Fault, Protocol};
pub use message::{Caller, CutOff, Flow, Reply, Request, Response, json_response};
