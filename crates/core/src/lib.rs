//! The words that every part of Lambent shares, and the ports through which parts meet.
//!
//! What this is not: there is no I/O here, no async runtime, no wire format, no database. A type belongs here
//! only when at least two rooms speak it. Start with [`function`] (what a function is to the rest of the house)
//! and [`ports`] (what a room may ask of another).
//!
//! Invariants:
//! - nothing in this crate reads the clock, the environment, the file system or randomness;
//! - every limit is a named constant with its source, in [`limits`].

pub mod arn;
pub mod function;
pub mod ids;
pub mod limits;
pub mod policy;
pub mod ports;
pub mod runtime;
pub mod time;

pub use arn::Arn;
pub use ids::{
    AccountId, CodeDigest, FunctionName, MessageId, QueueName, Region, RequestId, RevisionId, Version,
};
pub use time::Timestamp;
