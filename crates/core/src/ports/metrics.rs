use std::time::Duration;

use super::{ColdReason, Stages, ThrottleReason};
use crate::function::FunctionSpec;

/// Takes what happened to calls, so that it can be counted. Never waits, never fails.
pub trait Metrics: Send + Sync {
    /// A call was answered by its function, well or not.
    fn call(&self, spec: &FunctionSpec, sample: CallSample);

    /// A call was refused.
    fn throttled(&self, spec: &FunctionSpec, reason: ThrottleReason);

    /// A function was deleted, named by its ARN without a qualifier: what was counted of it need not be kept.
    fn forget(&self, _function_arn: &str) {}

    /// Something happened to messages on their way through the event source mapping of this ARN.
    fn mapping(&self, mapping_arn: &str, sample: MappingSample) {
        let _ = (mapping_arn, sample);
    }

    /// A mapping was deleted: what was counted of it need not be kept.
    fn forget_mapping(&self, mapping_arn: &str) {
        let _ = mapping_arn;
    }

    /// Something happened to an event on its way to a function, or behind it. The function is named by its ARN without a
    /// qualifier.
    fn event(&self, function_arn: &str, sample: EventSample) {
        let _ = (function_arn, sample);
    }

    /// An environment is up that no call waited for.
    fn started_ahead(&self, spec: &FunctionSpec, stages: Stages) {
        let _ = (spec, stages);
    }
}

#[derive(Debug, Clone, Copy)]
pub struct CallSample {
    /// The handler's time.
    pub duration: Duration,
    /// The function failed.
    pub failed: bool,
    /// For a call that had to wait for its environment's start.
    pub cold: Option<Stages>,
    /// Why that call had to wait, where it is known.
    pub cold_reason: Option<ColdReason>,
    pub served_by: ServedBy,
}

/// Messages of a mapping, by what happened to them: the reference's `EventCount` metrics.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct MappingSample {
    /// Taken out of the queue: PolledEventCount.
    pub polled: u64,
    /// Not wanted by any filter: FilteredOutEventCount.
    pub filtered_out: u64,
    /// Given to the function: InvokedEventCount.
    pub invoked: u64,
    /// Given to the function, which failed: FailedInvokeEventCount.
    pub failed: u64,
    /// Removed from the queue as done: DeletedEventCount.
    pub deleted: u64,
}

/// What happened to an event: the reference's metrics of asynchronous calls.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EventSample {
    /// It is on the disk: AsyncEventsReceived.
    Received,
    /// The function was called with it, this long after: AsyncEventAge.
    Called { age: Duration },
    /// It was given up, or handed to where failures go: AsyncEventsDropped.
    Dropped,
    /// Its destination will not have it: DestinationDeliveryFailures.
    Undelivered,
    /// The dead-letter queue or topic will not have it: DeadLetterErrors.
    NoLetter,
    /// A call, asynchronous or not, that went round in a loop: RecursiveInvocationsDropped.
    WentRound,
}

/// Which environment a call ran in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ServedBy {
    /// The version has no provisioned concurrency.
    OnDemand,
    Provisioned,
    /// The version has, and all of it was in use.
    Spillover,
}

/// Counts nothing.
pub struct NoMetrics;

impl Metrics for NoMetrics {
    fn call(&self, _: &FunctionSpec, _: CallSample) {}
    fn throttled(&self, _: &FunctionSpec, _: ThrottleReason) {}
}
