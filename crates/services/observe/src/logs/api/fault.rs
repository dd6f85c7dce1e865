//! The faults, with the reference's codes and words. The only place that knows statuses.

use lambent_store::StoreError;
use lambent_store::logs::Refusal;
use lambent_wire::Fault;

pub fn invalid(message: impl Into<String>) -> Fault {
    Fault::new(400, "InvalidParameterException", message)
}

/// A member that the reference knows and this service does not serve.
pub fn unsupported_member(name: &str) -> Fault {
    invalid(format!("The parameter '{name}' is not supported."))
}

/// A value of a served member that is not served.
pub fn unsupported_value(name: &str, value: &str) -> Fault {
    invalid(format!("The value '{value}' of the parameter '{name}' is not supported."))
}

pub fn unknown_operation() -> Fault {
    Fault::new(400, "UnknownOperationException", "")
}

pub fn unsupported_operation(operation: &str) -> Fault {
    Fault::new(400, "UnsupportedOperationException", format!("The operation {operation} is not supported."))
}

pub fn no_group() -> Fault {
    refusal(Refusal::GroupMissing)
}

pub fn no_stream() -> Fault {
    refusal(Refusal::StreamMissing)
}

pub fn bad_token() -> Fault {
    invalid("The specified nextToken is invalid.")
}

pub fn refusal(refusal: Refusal) -> Fault {
    let (code, message) = match refusal {
        Refusal::GroupMissing => ("ResourceNotFoundException", "The specified log group does not exist."),
        Refusal::StreamMissing => ("ResourceNotFoundException", "The specified log stream does not exist."),
        Refusal::GroupExists => ("ResourceAlreadyExistsException", "The specified log group already exists"),
        Refusal::StreamExists => {
            ("ResourceAlreadyExistsException", "The specified log stream already exists")
        }
        Refusal::TooManyTags => ("TooManyTagsException", "A resource can have no more than 50 tags."),
    };
    Fault::new(400, code, message)
}

pub fn store(error: StoreError) -> Fault {
    // The store has told the operator what happened, once; the caller can only try again.
    tracing::debug!(%error, "the log store failed a request");
    match error {
        StoreError::Conflict => Fault::new(
            400,
            "OperationAbortedException",
            "A conflicting operation is currently in progress against this resource. Please try again.",
        ),
        StoreError::Unavailable { .. } => {
            Fault::new(503, "ServiceUnavailableException", "The service is unavailable. Please retry.")
        }
    }
}
