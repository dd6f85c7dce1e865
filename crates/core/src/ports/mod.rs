//! What a room may ask of the world or of another room. Each port has a real side in an adapter or a
//! neighbouring room, and a false one in the testkit. Ports that remember things are in the store crate.

mod capacity;
mod changes;
mod clock;
mod code;
mod credentials;
mod host;
mod http;
mod invoke;
mod logs;
mod metrics;
mod operations;
mod queues;
mod runtimes;
pub mod sandbox;
mod snapshots;
mod trace;

use std::future::Future;
use std::pin::Pin;

pub use capacity::{Capacity, CapacityUse, FunctionUse, Held, Provisioned, Throttling};
pub use changes::{Change, ChangeKind, Changes, NoChanges};
pub use clock::{Awake, Bell, Clock, Nap};
pub use code::{CodePackage, CodeRefusal, CodeStore, PackageKind};
pub use credentials::{SessionCredentials, Sessions};
pub use host::{Host, HostMemory};
pub use http::{Answered, HttpSink, Posting, Unanswered};
pub use invoke::{
    Answer, Invocation, Invoke, InvokeRefusal, Outcome, Piece, Pieces, Stages, StreamedAnswer, ThrottleReason,
};
pub use logs::{LogLine, LogSink, LogTarget};
pub use metrics::{CallSample, EventSample, MappingSample, Metrics, NoMetrics, ServedBy};
pub use operations::{NoOperation, OperationCall, OperationRefusal, Operations};
pub use queues::{
    EventHead, PullRefusal, Pulled, Push, PushRefusal, Pusher, QueueFacts, QueueSink, QueueSource,
};
pub use runtimes::{Availability, Runtimes};
pub use sandbox::Sandboxes;
pub use snapshots::{SnapshotFailure, Snapshots};
pub use trace::{
    CallEnd, CallHop, CallRun, ColdReason, Hop, HopKind, HopOutcome, NoTraces, Origin, Source, Start,
    TraceSink, trace_root,
};

/// A future behind a `dyn` port.
pub type BoxFuture<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// Unpredictable bytes, fit for keys.
pub trait Entropy: Send + Sync {
    fn fill(&self, buffer: &mut [u8]);
}
