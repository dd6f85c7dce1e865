//! Runs code: decides which environment serves a call ([`plan`]), speaks the Runtime API with it
//! ([`runtime_api`]), keeps packages unpacked on disk ([`artifact`]), knows the runtimes of the host
//! ([`runtimes`]), and performs all of it ([`shell`]).
//!
//! Invariants: [`plan`] is never async and takes time as an argument; nothing here names a service, the wire
//! formats of AWS's front door, or a concrete sandbox.

pub mod artifact;
pub mod plan;
pub mod runtime_api;
pub mod runtimes;
pub mod shell;
