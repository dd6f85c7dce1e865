use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;

use super::{BoxFuture, Origin};
use crate::function::FunctionSpec;
use crate::ids::{RequestId, Version};

/// One synchronous call of one version of a function.
#[derive(Debug, Clone)]
pub struct Invocation {
    pub spec: Arc<FunctionSpec>,
    pub request_id: RequestId,
    /// The ARN that the caller used, qualifier included when one was given: the context shows it.
    pub invoked_arn: String,
    pub payload: Bytes,
    /// The decoded JSON of the client context.
    pub client_context: Option<String>,
    /// X-Ray's trace header; the runtime sees it.
    pub trace_header: Option<String>,
    /// The function's reserved concurrency, when it has one.
    pub reserved_concurrency: Option<u32>,
    /// What the account's reservations leave to all functions without one, together.
    pub unreserved_concurrency: u32,
    /// Whether the caller wants the end of the log with the answer.
    pub tail_log: bool,
    /// Where it comes from.
    pub origin: Origin,
}

/// What became of a call that was run.
#[derive(Debug, Clone)]
pub struct Answer {
    pub outcome: Outcome,
    /// The last 4 KB of the call's log, when it was asked for.
    pub log_tail: Option<Bytes>,
    /// `Some` for the call that started its environment.
    pub cold: Option<Stages>,
    /// From the moment that the runtime was handed the event until it answered.
    pub handler: Duration,
}

#[derive(Debug, Clone)]
pub enum Outcome {
    /// The handler's return value, as the runtime sent it.
    Returned(Bytes),
    /// The function failed: an error document (`errorMessage`, `errorType`, ...).
    Failed(Bytes),
}

/// An answer that is handed on while the function makes it.
pub struct StreamedAnswer {
    /// What the function says that it streams; absent when it answered whole.
    pub content_type: Option<String>,
    pub pieces: Box<dyn Pieces>,
}

/// The pieces of an answer, in their order. Whoever does not ask for more slows the function down; whoever drops
/// them lets it run to its end unheard.
pub trait Pieces: Send {
    /// The next piece. Not asked again after [`Piece::End`].
    fn poll_piece(&mut self, cx: &mut Context<'_>) -> Poll<Piece>;
}

#[derive(Debug, Clone)]
pub enum Piece {
    Data(Bytes),
    /// What became of the call; its outcome is a failure, or holds nothing more.
    End(Answer),
}

impl StreamedAnswer {
    /// An answer that is whole already.
    pub fn whole(answer: Answer) -> Self {
        Self { content_type: None, pieces: Box::new(Whole(Some(answer))) }
    }
}

struct Whole(Option<Answer>);

impl Pieces for Whole {
    fn poll_piece(&mut self, _: &mut Context<'_>) -> Poll<Piece> {
        let Some(answer) = &mut self.0 else { return Poll::Pending };
        match answer.take_data() {
            Some(data) => Poll::Ready(Piece::Data(data)),
            None => self.0.take().map_or(Poll::Pending, |answer| Poll::Ready(Piece::End(answer))),
        }
    }
}

impl Answer {
    /// Takes what was returned, and leaves nothing in its place.
    pub fn take_data(&mut self) -> Option<Bytes> {
        match &mut self.outcome {
            Outcome::Returned(data) if !data.is_empty() => Some(std::mem::take(data)),
            _ => None,
        }
    }
}

/// Where a cold start's time went. The fifth stage, the handler, is in [`Answer`].
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Stages {
    pub sandbox: Duration,
    pub code: Duration,
    pub runtime: Duration,
    pub init: Duration,
}

impl Stages {
    /// From the wish for an environment to its readiness.
    pub fn total(&self) -> Duration {
        self.sandbox + self.code + self.runtime + self.init
    }
}

/// The reference's throttle reasons (`Reason` of TooManyRequestsException) that can come to pass here.
///
/// Two of the model's six can't: `CallerRateLimitExceeded` is about management operations, which this node does
/// not throttle, and `ConcurrentSnapshotCreateLimitExceeded` about a quota of snapshots, which it does not have.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum ThrottleReason {
    /// The function's reservation is in use, or is 0.
    ReservedFunctionConcurrentInvocationLimitExceeded,
    /// What reservations leave of the account is in use.
    ConcurrentInvocationLimitExceeded,
    /// A function with a reservation is called too often, or grows too fast.
    ReservedFunctionInvocationRateLimitExceeded,
    /// Functions without a reservation are called too often, or one grows too fast.
    FunctionInvocationRateLimitExceeded,
}

impl ThrottleReason {
    pub const ALL: [Self; 4] = [
        Self::ReservedFunctionConcurrentInvocationLimitExceeded,
        Self::ConcurrentInvocationLimitExceeded,
        Self::ReservedFunctionInvocationRateLimitExceeded,
        Self::FunctionInvocationRateLimitExceeded,
    ];

    pub fn as_str(self) -> &'static str {
        match self {
            Self::ReservedFunctionConcurrentInvocationLimitExceeded => {
                "ReservedFunctionConcurrentInvocationLimitExceeded"
            }
            Self::ConcurrentInvocationLimitExceeded => "ConcurrentInvocationLimitExceeded",
            Self::ReservedFunctionInvocationRateLimitExceeded => {
                "ReservedFunctionInvocationRateLimitExceeded"
            }
            Self::FunctionInvocationRateLimitExceeded => "FunctionInvocationRateLimitExceeded",
        }
    }
}

/// Why a call was not run.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvokeRefusal {
    #[error("throttled: {0:?}")]
    Throttled(ThrottleReason),
    /// No environment could be made, through no fault of the function.
    #[error("no execution environment: {detail}")]
    NoEnvironment { detail: String },
    /// The call waited for an environment as long as any call may, or too many did already.
    #[error("no execution environment in time: {detail}")]
    WaitedTooLong { detail: String },
    /// What the function has run after its snapshot was restored failed.
    #[error("the function failed after its snapshot was restored")]
    AfterRestore,
    /// The same took too long.
    #[error("the function took too long after its snapshot was restored")]
    AfterRestoreTimedOut,
    /// The node is going down and takes no new calls.
    #[error("the node is stopping")]
    Stopping,
}

/// Runs functions.
pub trait Invoke: Send + Sync {
    /// Runs the call and answers with what the function made of it. A function's own failure (an exception, a
    /// crash, a time-out) is an [`Outcome::Failed`], not a refusal. Dropping the future does not stop the
    /// function: the reference runs a call to its end when its caller goes away.
    fn invoke(&self, call: Invocation) -> BoxFuture<'_, Result<Answer, InvokeRefusal>>;

    /// As [`Invoke::invoke`], with the answer handed on as the function makes it: answers once there is something
    /// of it. Where a side can't do so, the answer comes whole.
    fn invoke_streaming(&self, call: Invocation) -> BoxFuture<'_, Result<StreamedAnswer, InvokeRefusal>> {
        let whole = self.invoke(call);
        Box::pin(async move { whole.await.map(StreamedAnswer::whole) })
    }

    /// A version became callable. Its first call may come at once: whatever can be made ready for its runtime
    /// without knowing it is made ready now, off the path of any call.
    fn expect(&self, spec: Arc<FunctionSpec>) {
        let _ = spec;
    }

    /// Retires every environment made from an older revision of this function's version, as soon as its call
    /// in flight has ended; with `current` absent, of the whole function.
    fn retire(&self, function_arn: &str, current: Option<Arc<FunctionSpec>>);

    /// A published version is no more: its environments are retired. Required of whoever keeps environments.
    fn version_deleted(&self, function_arn: &str, version: Version) {
        let _ = (function_arn, version);
    }

    /// The function is no more: its environments are retired, and whatever is remembered of it is forgotten.
    fn deleted(&self, function_arn: &str) {
        self.retire(function_arn, None);
    }
}
