//! Judges keep-alive policies: generated traces ([`trace`]) are driven through the very plan that a node runs
//! ([`drive`]), and what it did is counted ([`outcome`]) and set beside other policies ([`policies`], [`table`]).
//!
//! It is not a model of the platform: starts and calls take the time that the trace says, on a machine with as many
//! processors as they need. Nothing here reads a clock or the kernel's randomness: a seed says it all.

pub mod distributions;
pub mod drive;
pub mod outcome;
pub mod policies;
pub mod random;
pub mod table;
pub mod trace;
