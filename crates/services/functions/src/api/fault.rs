//! Refusals as AWS faults: the only place with codes and statuses.

use lambent_wire::{Fault, Protocol, Response};

use crate::error::Error;

/// The refusal as the response that the caller gets.
pub fn response(error: &Error) -> Response {
    fault(error).into_response(Protocol::RestJson)
}

/// How long a throttled caller is asked to wait, in seconds.
const RETRY_AFTER_SECS: &str = "1";

fn fault(error: &Error) -> Fault {
    let (status, code) = code_of(error);
    let fault = Fault::new(status, code, error.to_string());
    match error {
        Error::Throttled(reason) => fault
            .member("Reason", reason.as_str())
            .member("retryAfterSeconds", RETRY_AFTER_SECS)
            .header("Retry-After", RETRY_AFTER_SECS),
        _ => fault,
    }
}

fn code_of(error: &Error) -> (u16, &'static str) {
    use Error::*;
    match error {
        Validation(_) => (400, "ValidationException"),
        Serialization { .. } => (400, "SerializationException"),
        UnreadableJson { .. } | UnreadableClientContext => (400, "InvalidRequestContentException"),
        RequestTooLarge { .. } => (413, "RequestEntityTooLargeException"),
        PayloadTooLarge { .. } => (413, "RequestTooLargeException"),
        AccessDenied { .. } | UrlForbidden => (403, "AccessDeniedException"),
        UnsupportedOperation { .. } => (501, "UnsupportedOperationException"),
        OtherRegion { .. }
        | FunctionNotFound { .. }
        | AliasNotFound { .. }
        | ResourceNotFound
        | NoSuchFunction
        | FunctionNotThere
        | NoEventInvokeConfig { .. }
        | NoPolicy
        | StatementNotFound { .. } => (404, "ResourceNotFoundException"),
        NoProvisionedConcurrency => (404, "ProvisionedConcurrencyConfigNotFoundException"),
        FunctionExists { .. }
        | AliasExists { .. }
        | UrlExists { .. }
        | UpdateInProgress { .. }
        | NotInvocable { .. }
        | VersionInUse { .. }
        | AliasOnProvisionedVersion
        | VersionOfProvisionedAlias
        | MappingExists { .. }
        | StatementExists { .. } => (409, "ResourceConflictException"),
        SnapStartNotReady => (409, "SnapStartNotReadyException"),
        AfterRestore => (400, "SnapStartException"),
        AfterRestoreTimedOut => (408, "SnapStartTimeoutException"),
        MappingInUse { .. } => (400, "ResourceInUseException"),
        RevisionMismatch { .. } => (412, "PreconditionFailedException"),
        CodeStorageExceeded => (400, "CodeStorageExceededException"),
        PolicyTooLong { .. } => (400, "PolicyLengthExceededException"),
        Throttled(_) => (429, "TooManyRequestsException"),
        RecursiveInvocation => (400, "RecursiveInvocationException"),
        Stopping => (503, "ServiceUnavailableException"),
        NoEnvironment { .. }
        | WaitedTooLong { .. }
        | StoreUnavailable { .. }
        | CodeStorage { .. }
        | ForgottenRuntime { .. } => (500, "ServiceException"),
        UnsupportedParameter { .. }
        | UnsupportedValue { .. }
        | QualifierMismatch
        | QualifierNotAllowed
        | NothingConfigured
        | InvalidDestination { .. }
        | InvalidDeadLetter { .. }
        | UnsupportedDeadLetter { .. }
        | UnsupportedDestination { .. }
        | MappedFunctionMissing
        | UnrecognizedSource
        | UnsupportedSource { .. }
        | SourceMissing
        | SourceDenied
        | UnsupportedForSource { .. }
        | WindowNeeded
        | WindowOnFifo
        | BatchTooLargeForFifo
        | VisibilityTooShort { .. }
        | InvalidFilter
        | TooManyFilters { .. }
        | ConcurrencyWithPollers
        | PollersReversed { .. }
        | ProvisionedOnLatest
        | ProvisionedUnpublished
        | ProvisionedAlias
        | ProvisionedOverReserved
        | ProvisionedOverAccount { .. }
        | ProvisionedTooLow { .. }
        | ReservedBelowProvisioned { .. }
        | NoCode
        | CorruptZip
        | ForbiddenZip { .. }
        | EmptyZip
        | UnzippedTooLarge { .. }
        | UnzippedWithLayersTooLarge { .. }
        | CodeShaMismatch { .. }
        | RuntimeAndHandlerRequired
        | UnknownRuntime { .. }
        | BlockedRuntime { .. }
        | MemoryTooLarge { .. }
        | ReservedVariables { .. }
        | EnvironmentTooLarge { .. }
        | VariableHoldsNul { .. }
        | TooManyLayers { .. }
        | LayerVersionMissing { .. }
        | LayerInOtherRegion { .. }
        | LayerTwice { .. }
        | LogLevelWithText
        | SnapStartUnsupported { .. }
        | SnapStartMissing { .. }
        | LayerVersionBelowOne
        | MasterRegionNeedsAll
        | BadMarker
        | LatestNotDeletable
        | AliasAsVersion
        | TooManyWeights
        | WeightOnOwnVersion { .. }
        | WeightsWithLatest
        | PolicyOnLatest
        | InvalidPrincipal
        | AuthTypeWithoutUrlAction
        | TagsOnVersion
        | TooManyTags
        | InvalidTag { .. }
        | UnreservedTooLow { .. } => (400, "InvalidParameterValueException"),
    }
}
