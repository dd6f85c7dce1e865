//! Operations of the service model that are not served, and members of served ones: each is refused by its name.

/// The operations that are not served.
#[rustfmt::skip]
pub const UNSERVED: [&str; 15] = [
    "ActivateEventSource", "CreateEndpoint", "CreatePartnerEventSource", "DeactivateEventSource", "DeleteEndpoint",
    "DeletePartnerEventSource", "DescribeEndpoint", "DescribeEventSource", "DescribePartnerEventSource",
    "ListEndpoints", "ListEventSources", "ListPartnerEventSourceAccounts", "ListPartnerEventSources",
    "PutPartnerEvents", "UpdateEndpoint",
];

/// Operations and their members that are not served at any value. Nothing refuses by this list: a member that no
/// operation reads is refused in any case. It says which those are, and a test holds it against the model.
#[rustfmt::skip]
pub const REFUSED_MEMBERS: &[(&str, &str)] = &[
    ("CreateEventBus", "EventSourceName"),
    ("CreateEventBus", "KmsKeyIdentifier"),
    ("CreateEventBus", "DeadLetterConfig"),
    ("CreateEventBus", "LogConfig"),
    ("UpdateEventBus", "KmsKeyIdentifier"),
    ("UpdateEventBus", "DeadLetterConfig"),
    ("UpdateEventBus", "LogConfig"),
    ("PutEvents", "EndpointId"),
    ("CreateConnection", "AuthParameters.ConnectivityParameters"),
    ("CreateConnection", "InvocationConnectivityParameters"),
    ("CreateConnection", "KmsKeyIdentifier"),
    ("UpdateConnection", "AuthParameters.ConnectivityParameters"),
    ("UpdateConnection", "InvocationConnectivityParameters"),
    ("UpdateConnection", "KmsKeyIdentifier"),
    ("CreateArchive", "KmsKeyIdentifier"),
    ("UpdateArchive", "KmsKeyIdentifier"),
    ("PutTargets", "Targets[].KinesisParameters"),
    ("PutTargets", "Targets[].RunCommandParameters"),
    ("PutTargets", "Targets[].EcsParameters"),
    ("PutTargets", "Targets[].BatchParameters"),
    ("PutTargets", "Targets[].RedshiftDataParameters"),
    ("PutTargets", "Targets[].SageMakerPipelineParameters"),
    ("PutTargets", "Targets[].AppSyncParameters"),
];
