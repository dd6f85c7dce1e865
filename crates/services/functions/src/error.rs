//! What the Lambda API refuses, as facts. The texts are the reference's own; codes and statuses are given in
//! `api::fault` and nowhere else.

use lambent_core::ports::ThrottleReason;

/// One member that broke a constraint of the model.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Violation {
    /// The member's path as the reference spells it: `environment.variables`.
    pub path: String,
    pub value: ShownValue,
    pub constraint: String,
}

/// How a refused value is shown to the caller.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ShownValue {
    Text(String),
    Null,
    /// The model calls the member sensitive: its value is left out.
    Hidden,
}

/// Ours: characters of a refused value that an answer repeats. A body may have megabytes, an answer need not.
const SHOWN_CHARS_MAX: usize = 2_048;

impl std::fmt::Display for Violation {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { path, value, constraint } = self;
        match value {
            ShownValue::Text(text) => {
                let shown: String = text.chars().take(SHOWN_CHARS_MAX).collect();
                write!(f, "Value '{shown}' at '{path}'")?;
            }
            ShownValue::Null => write!(f, "Value null at '{path}'")?,
            ShownValue::Hidden => write!(f, "Value at '{path}'")?,
        }
        write!(f, " failed to satisfy constraint: {constraint}")
    }
}

fn violations_text(violations: &[Violation]) -> String {
    let count = violations.len();
    let plural = if count == 1 { "" } else { "s" };
    let each: Vec<String> = violations.iter().map(Violation::to_string).collect();
    format!("{count} validation error{plural} detected: {}", each.join("; "))
}

/// Why a request was refused.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum Error {
    // The request's form.
    #[error("{}", violations_text(.0))]
    Validation(Vec<Violation>),
    #[error("{detail}")]
    Serialization { detail: String },
    #[error("Could not parse request body into json: {detail}")]
    UnreadableJson { detail: String },
    #[error("Client context must be a valid Base64-encoded JSON object.")]
    UnreadableClientContext,
    #[error("Request must be smaller than {max_bytes} bytes for the {operation} operation")]
    RequestTooLarge { max_bytes: u64, operation: &'static str },
    #[error(
        "{bytes} byte payload is too large for the {invocation_type} invocation type (limit {max_bytes} bytes)"
    )]
    PayloadTooLarge { bytes: usize, invocation_type: &'static str, max_bytes: usize },
    #[error("Lambent does not implement {operation} yet.")]
    UnsupportedOperation { operation: &'static str },
    #[error("The parameter {parameter} is not supported by Lambent: leave it out, or give its default.")]
    UnsupportedParameter { parameter: String },
    #[error("The value {value} of the parameter {parameter} is not supported by Lambent: {remedy}")]
    UnsupportedValue { parameter: &'static str, value: String, remedy: String },

    // Whose resource, and which.
    #[error(
        "User: {caller} is not authorized to perform: lambda:{action} on resource: {arn} because no \
         resource-based policy allows the lambda:{action} action"
    )]
    AccessDenied { caller: String, action: String, arn: String },
    #[error(
        "Forbidden. For troubleshooting Function URL authorization issues, see: \
         https://docs.aws.amazon.com/lambda/latest/dg/urls-auth.html"
    )]
    UrlForbidden,
    #[error("Functions from '{asked}' are not reachable in this region ('{here}')")]
    OtherRegion { asked: String, here: String },
    #[error("The derived qualifier from the function name does not match the specified qualifier.")]
    QualifierMismatch,
    #[error(
        "This operation is permitted on Lambda functions only. Aliases and versions do not support this \
         operation. Please specify either a function name or an unqualified function ARN."
    )]
    QualifierNotAllowed,
    #[error("Function not found: {arn}")]
    FunctionNotFound { arn: String },
    #[error("Cannot find alias arn: {arn}")]
    AliasNotFound { arn: String },
    #[error("The resource you requested does not exist.")]
    ResourceNotFound,
    #[error("The function doesn't exist.")]
    NoSuchFunction,
    #[error("Function does not exist")]
    FunctionNotThere,
    #[error("The function {arn} doesn't have an EventInvokeConfig")]
    NoEventInvokeConfig { arn: String },
    #[error("You must specify at least one of error handling or destination setting.")]
    NothingConfigured,
    #[error("The destination ARN {arn} is invalid.")]
    InvalidDestination { arn: String },
    #[error(
        "The {member} destination of the service {service} is not supported by Lambent yet: use a Lambda function, an SQS queue, an SNS topic or an event bus."
    )]
    UnsupportedDestination { member: &'static str, service: String },
    #[error("The dead-letter target ARN {arn} is invalid: use the ARN of a standard queue or topic.")]
    InvalidDeadLetter { arn: String },
    #[error(
        "The DeadLetterConfig target of the service {service} is not supported by Lambent yet: use an SQS queue or an SNS topic."
    )]
    UnsupportedDeadLetter { service: String },
    // Event source mappings.
    #[error("Function does not exist")]
    MappedFunctionMissing,
    #[error("Unrecognized event source.")]
    UnrecognizedSource,
    #[error("The event source of the service {service} is not supported by Lambent yet: use an SQS queue.")]
    UnsupportedSource { service: String },
    #[error(
        "Error occurred while ReceiveMessage. SQS Error Code: AWS.SimpleQueueService.NonExistentQueue. SQS Error \
         Message: The specified queue does not exist."
    )]
    SourceMissing,
    #[error("The provided execution role does not have permissions to call ReceiveMessage on SQS")]
    SourceDenied,
    #[error("Unsupported {parameter} parameter for given event source mapping type.")]
    UnsupportedForSource { parameter: String },
    #[error(
        "An event source mapping with SQS arn (\" {source_arn} \") and function (\" {function} \") already exists. Please \
         update or delete the existing mapping with UUID {id}"
    )]
    MappingExists { source_arn: String, function: String, id: String },
    #[error("Cannot {verb} the event source mapping because it is in use.")]
    MappingInUse { verb: &'static str },
    #[error(
        "Maximum batch window in seconds must be greater than 0 if maximum batch size is greater than 10"
    )]
    WindowNeeded,
    #[error("Batching window is not supported for FIFO queues")]
    WindowOnFifo,
    #[error("Batch size must be less than or equal to 10 for FIFO queues")]
    BatchTooLargeForFifo,
    #[error(
        "Queue visibility timeout: {visibility_secs} seconds is less than Function timeout: {timeout_secs} seconds"
    )]
    VisibilityTooShort { visibility_secs: u64, timeout_secs: u32 },
    #[error("Invalid filter pattern definition.")]
    InvalidFilter,
    #[error("FilterCriteria can have {max} filters at the most.")]
    TooManyFilters { max: usize },
    #[error(
        "Provisioned mode for SQS ESM does not support maximum concurrency feature. Use MaximumPollers as the control \
         mechanism and remove maximum concurrency."
    )]
    ConcurrencyWithPollers,
    #[error("MinimumPollers ({minimum}) must be less than or equal to MaximumPollers ({maximum}).")]
    PollersReversed { minimum: u32, maximum: u32 },

    #[error("No Provisioned Concurrency Config found for this function")]
    NoProvisionedConcurrency,
    #[error("The function resource provided must be an alias or a published version.")]
    ProvisionedOnLatest,

    #[error("Provisioned Concurrency Configs cannot be applied to unpublished function versions.")]
    ProvisionedUnpublished,
    #[error("Invalid alias configuration for Provisioned Concurrency")]
    ProvisionedAlias,
    #[error(
        "Requested Provisioned Concurrency should not be greater than the reservedConcurrentExecution for function"
    )]
    ProvisionedOverReserved,
    #[error(
        "Specified ConcurrentExecutions for function is greater than account's unreserved concurrency [{unreserved}]."
    )]
    ProvisionedOverAccount { unreserved: u32 },
    #[error(
        "Specified ConcurrentExecutions for function decreases account's UnreservedConcurrentExecution below its \
         minimum value of [{min}]."
    )]
    ProvisionedTooLow { min: u32 },

    // Conflicts.
    #[error(
        "Alias can't be used for Provisioned Concurrency configuration on an already Provisioned version"
    )]
    AliasOnProvisionedVersion,
    #[error("Version is pointed by a Provisioned Concurrency alias")]
    VersionOfProvisionedAlias,
    #[error("Function already exist: {name}")]
    FunctionExists { name: String },
    // Two spaces, as the reference writes it.
    #[error(
        "Failed to create function url config for [functionArn = {arn}]. Error message:  FunctionUrlConfig \
         exists for this Lambda function"
    )]
    UrlExists { arn: String },
    #[error("Alias already exists: {arn}")]
    AliasExists { arn: String },
    #[error("The operation cannot be performed at this time. An update is in progress for resource: {arn}")]
    UpdateInProgress { arn: String },
    #[error(
        "The operation cannot be performed at this time. The function is currently in the following state: \
         {state}{}", .reason.as_ref().map(|r| format!(". {r}")).unwrap_or_default()
    )]
    NotInvocable { state: &'static str, reason: Option<String> },
    #[error("Unable to delete version because the following aliases reference it: [{}]", .aliases.join(", "))]
    VersionInUse { aliases: Vec<String> },
    #[error(
        "The Revision Id provided does not match the latest Revision Id. Call the {api} API to retrieve the \
         latest Revision Id"
    )]
    RevisionMismatch { api: &'static str },

    // Code.
    #[error("Please provide a source for function code.")]
    NoCode,
    #[error("Could not unzip uploaded file. Please check your file, then try to upload again.")]
    CorruptZip,
    #[error("Could not unzip uploaded file. Please check your file, then try to upload again. ({detail})")]
    ForbiddenZip { detail: String },
    #[error("Uploaded file must be a non-empty zip")]
    EmptyZip,
    #[error("Unzipped size must be smaller than {max_bytes} bytes")]
    UnzippedTooLarge { max_bytes: u64 },
    #[error(
        "Function code combined with layers exceeds the maximum allowed size of {max_bytes} bytes. The actual \
         size is {bytes} bytes."
    )]
    UnzippedWithLayersTooLarge { bytes: u64, max_bytes: u64 },
    #[error("Code storage limit exceeded.")]
    CodeStorageExceeded,
    #[error(
        "CodeSHA256 ({given}) is different from current CodeSHA256 in $LATEST ({current}). Please try again \
         with the CodeSHA256 in $LATEST."
    )]
    CodeShaMismatch { given: String, current: String },

    // Configuration.
    #[error("Runtime and Handler are mandatory parameters for functions created with deployment packages.")]
    RuntimeAndHandlerRequired,
    #[error(
        "Value {runtime} at 'runtime' failed to satisfy constraint: Member must satisfy enum value set: \
         [{known}] or be a valid ARN"
    )]
    UnknownRuntime { runtime: String, known: String },
    #[error(
        "The runtime parameter of {runtime} is no longer supported for creating or updating AWS Lambda \
         functions. We recommend you use {recommended} while creating or updating functions."
    )]
    BlockedRuntime { runtime: &'static str, recommended: &'static str },
    #[error(
        "'MemorySize' value failed to satisfy constraint: Member must have value less than or equal to {max_mb}"
    )]
    MemoryTooLarge { max_mb: u32 },
    #[error(
        "Lambda was unable to configure your environment variables because the environment variables you have \
         provided contains reserved keys that are currently not supported for modification. Reserved keys used \
         in this request: {}", .keys.join(", ")
    )]
    ReservedVariables { keys: Vec<String> },
    #[error(
        "Lambda was unable to configure your environment variables because the environment variables you have \
         provided exceeded the 4KB limit. String measured: {measured}"
    )]
    EnvironmentTooLarge { measured: String },
    #[error(
        "Lambda was unable to configure your environment variables because the value of {key} holds a NUL character."
    )]
    VariableHoldsNul { key: String },
    #[error("Cannot reference more than {max} layers.")]
    TooManyLayers { max: usize },
    #[error("Layer version {arn} does not exist.")]
    LayerVersionMissing { arn: String },
    #[error(
        "Layers are not in the same region as the function. Layers are expected to be in region {region}."
    )]
    LayerInOtherRegion { region: String },
    #[error(
        "Two different versions of the same layer are not allowed to be referenced in the same function. \
         {first} and {second} are versions of the same layer."
    )]
    LayerTwice { first: String, second: String },
    #[error("{what} is not supported for SnapStart enabled functions.")]
    SnapStartUnsupported { what: String },
    #[error("SnapStart can't be had on this node: {reason}")]
    SnapStartMissing { reason: String },
    #[error("ApplicationLogLevel and SystemLogLevel can be set only with LogFormat JSON.")]
    LogLevelWithText,
    #[error("Layer Version Cannot be less than 1.")]
    LayerVersionBelowOne,
    #[error("MasterRegion needs FunctionVersion ALL.")]
    MasterRegionNeedsAll,
    #[error("Invalid value for Marker: it is not a NextMarker of this operation.")]
    BadMarker,

    // Versions and aliases.
    #[error("$LATEST version cannot be deleted without deleting the function.")]
    LatestNotDeletable,
    #[error("Deletion of aliases is not currently supported.")]
    AliasAsVersion,
    #[error("Number of items in AdditionalVersionWeights cannot be greater than 1")]
    TooManyWeights,
    #[error(
        "Invalid function version {version}. Function version {version} is already included in routing \
         configuration."
    )]
    WeightOnOwnVersion { version: String },
    #[error("$LATEST is not supported for an alias pointing to more than 1 version")]
    WeightsWithLatest,

    // Policies, tags, concurrency.
    #[error(
        "The statement id ({id}) provided already exists. Please provide a new statement id, or remove the \
         existing statement."
    )]
    StatementExists { id: String },
    #[error("We currently do not support adding policies for $LATEST.")]
    PolicyOnLatest,
    #[error("No policy is associated with the given resource.")]
    NoPolicy,
    #[error("Statement {id} is not found in resource policy.")]
    StatementNotFound { id: String },
    #[error("The provided principal was invalid. Please check the principal and try again.")]
    InvalidPrincipal,
    #[error("FunctionUrlAuthType is only supported for lambda:InvokeFunctionUrl action")]
    AuthTypeWithoutUrlAction,
    #[error("The final policy size ({bytes}) is bigger than the limit ({max_bytes}).")]
    PolicyTooLong { bytes: usize, max_bytes: usize },
    #[error("Tags on function aliases and versions are not supported. Please specify a function ARN.")]
    TagsOnVersion,
    #[error("Number of tags exceeds resource tag limit.")]
    TooManyTags,
    #[error("{detail}")]
    InvalidTag { detail: String },
    #[error(
        "Specified ReservedConcurrentExecutions for function decreases account's UnreservedConcurrentExecution \
         below its minimum value of [{min}]."
    )]
    UnreservedTooLow { min: u32 },
    // The two spaces are the reference's.
    #[error(
        " ReservedConcurrentExecutions  {reserved} should not be lower than function's total provisioned \
         concurrency [{provisioned}]."
    )]
    ReservedBelowProvisioned { reserved: u32, provisioned: u64 },

    // Calls.
    #[error(
        "Lambda is initializing your function. It will be ready to invoke once your function state becomes ACTIVE."
    )]
    SnapStartNotReady,
    #[error(
        "The after-restore runtime hook encountered an error. For more information, check the Amazon CloudWatch logs."
    )]
    AfterRestore,
    #[error("Lambda couldn't restore the snapshot within the timeout limit.")]
    AfterRestoreTimedOut,
    #[error("Rate Exceeded.")]
    Throttled(ThrottleReason),
    #[error("Lambent could not make an execution environment: {detail}")]
    NoEnvironment { detail: String },
    #[error("The call waited for an execution environment in vain: {detail}")]
    WaitedTooLong { detail: String },
    #[error(
        "Lambda has detected your function being invoked in a recursive loop with other AWS resources and stopped \
         your function's invocation."
    )]
    RecursiveInvocation,
    #[error("The node is stopping and takes no new calls.")]
    Stopping,

    // The node's own trouble.
    #[error("The change could not be stored: {detail}")]
    StoreUnavailable { detail: String },
    #[error("The package could not be kept: {detail}")]
    CodeStorage { detail: String },
    #[error("The runtime {runtime} of the stored function is not known to this version of Lambent.")]
    ForgottenRuntime { runtime: String },
}

impl Error {
    /// A single broken constraint.
    pub fn violation(path: &str, value: &str, constraint: impl Into<String>) -> Self {
        Self::Validation(vec![Violation {
            path: path.to_owned(),
            value: ShownValue::Text(value.to_owned()),
            constraint: constraint.into(),
        }])
    }
}
