//! Faults, with the reference's codes and words. The only place that knows statuses.

use lambent_store::StoreError;
use lambent_wire::Fault;

/// `what` is a parameter, or a sentence of the reference's about one.
pub fn invalid(what: impl std::fmt::Display) -> Fault {
    Fault::new(400, "InvalidParameter", format!("Invalid parameter: {what}"))
}

/// About a message's attribute.
pub fn invalid_value(message: String) -> Fault {
    Fault::new(400, "ParameterValueInvalid", message)
}

/// A parameter that has to be there.
pub fn missing(name: &str) -> Fault {
    Fault::new(
        400,
        "ValidationError",
        format!(
            "1 validation error detected: Value null at '{}' failed to satisfy constraint: Member must not be null",
            lower_first(name)
        ),
    )
}

fn lower_first(name: &str) -> String {
    let mut chars = name.chars();
    chars.next().map(|first| first.to_lowercase().chain(chars).collect()).unwrap_or_default()
}

/// What the model has and this service does not.
pub fn unsupported(parameter: &str, what: impl std::fmt::Display) -> Fault {
    invalid(format_args!("{parameter} Reason: {what} is not supported by Lambent"))
}

pub fn no_topic() -> Fault {
    Fault::new(404, "NotFound", "Topic does not exist")
}

pub fn no_subscription() -> Fault {
    Fault::new(404, "NotFound", "Subscription does not exist")
}

pub fn denied(principal: &str, action: &str, resource: &str) -> Fault {
    Fault::new(
        403,
        "AuthorizationError",
        format!(
            "User: {principal} is not authorized to perform: {action} on resource: {resource} because no \
             resource-based policy allows the {action} action"
        ),
    )
}

pub fn store(error: StoreError) -> Fault {
    // The store has told the operator what happened, once; the caller can only try again.
    tracing::debug!(%error, "the topic store failed a request");
    Fault::new(500, "InternalError", "The service can't store this now. Please retry.")
}
