//! The Runtime API (2018-06-01), as the program in a sandbox sees it.
//!
//! One [`Server`] belongs to one environment: whatever its client does (answers twice, polls twice, sends
//! garbage or 20 MB, nothing at all) ends at that environment. [`session`] holds the rules, pure; [`server`]
//! holds the HTTP.

pub mod extensions;
mod server;
pub mod session;
pub mod snapshots;
pub mod stream;
pub mod telemetry;

use bytes::Bytes;
use lambent_core::ids::RequestId;

pub use extensions::{Extensions, ShutdownReason};
pub use server::{Server, next_client};
pub use telemetry::Telemetry;

/// What a client gets from `next`.
#[derive(Debug, Clone)]
pub struct Event {
    pub request_id: RequestId,
    pub deadline_ms: u64,
    pub invoked_arn: String,
    pub trace_header: Option<String>,
    pub client_context: Option<String>,
    pub payload: Bytes,
    /// Where a response that the client streams goes as it comes; without it, it is taken whole.
    pub stream: Option<stream::Sink>,
}

/// What a client did, as the environment's owner learns it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Signal {
    /// The client opened its first connection: its language runtime is up.
    Connected,
    /// The client asks for its first event.
    InitDone,
    InitFailed {
        document: Bytes,
    },
    Answered(Reply),
    /// The client asks for the next event after an answer.
    Idle,
    /// The client sent the image of its init, and it was kept.
    SnapshotTaken,
    /// There can be no image of the init.
    SnapshotRefused {
        reason: String,
    },
    /// The image that the client was to become is of no use; it runs the init instead.
    SnapshotUnusable {
        reason: String,
    },
    /// What the function has run behind a restore failed.
    RestoreFailed {
        document: Bytes,
    },
    /// An extension said something, or ended: what they stand for is to be looked at.
    Extensions,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reply {
    Response(Bytes),
    Error(Bytes),
    /// All of a response was handed on as it came.
    Streamed,
    /// A response that was being handed on ended before its end: mostly, because the program did.
    BrokenOff,
    /// The response was larger than an answer may be.
    TooLarge {
        bytes: u64,
        max_bytes: u64,
    },
}
