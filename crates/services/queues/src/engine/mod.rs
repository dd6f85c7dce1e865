//! What is decided without looking at anything: no clock, no store, no waiting.

pub mod access;
pub mod address;
pub mod digest;
pub mod message;
pub mod receipt;
pub mod settings;
