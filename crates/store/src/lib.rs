//! What the system remembers: records, the commands that change them, and the traits that stores implement.
//!
//! One module a domain. Writes are data ([`functions::Command`]): a batch is applied whole or not at all, with
//! its preconditions checked inside, and is durable when it answers. Reads are answered from committed state.
//! Each domain has an in-memory implementation, which is the specification that the others are tested against.
//!
//! Invariants: no I/O here; no wire format; no clock.

pub mod archive;
pub mod deliveries;
pub mod events;
pub mod functions;
pub mod logs;
pub mod queues;
pub mod topics;
pub mod traces;

/// Why a store did not do as it was told, divided by what the caller can do.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum StoreError {
    /// A precondition did not hold: nothing changed. Read again and decide again.
    #[error("the record changed meanwhile")]
    Conflict,
    /// The store can't write now (disk full, I/O error); reads still work. Nothing changed.
    #[error("the store can't write: {detail}")]
    Unavailable { detail: String },
}
