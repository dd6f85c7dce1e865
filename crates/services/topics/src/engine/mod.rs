//! What is decided without a store and without a clock.

pub mod access;
pub mod delivery_policy;
pub mod envelope;
pub mod filter;
pub mod message;
pub mod retry;
