//! What tests stand on: a clock that is told the time, entropy that repeats, and the contracts that every
//! implementation of a port or a store must keep.
//!
//! Only tests depend on this crate.

mod block_on;
mod clock;
pub mod contracts;
mod entropy;

pub use block_on::block_on;
pub use clock::FalseClock;
pub use entropy::SeededEntropy;
