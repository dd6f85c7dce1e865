//! How an event of one service becomes another service's delivery: in the batch that settles or accepts the first,
//! so that it can neither be lost nor doubled between the two.

use super::Delivery;

/// A call of a function, asked for by another service.
#[derive(Debug, Clone)]
pub struct FunctionEvent {
    /// With or without a version or an alias behind it.
    pub function_arn: String,
    /// JSON.
    pub payload: String,
    pub trace_header: Option<String>,
    pub authority: Authority,
}

/// By what right the call is asked for.
#[derive(Debug, Clone)]
pub enum Authority {
    /// The function's resource policy must let this service call it, for this source.
    Service { principal: &'static str, source_arn: String, source_account: String },
    /// A role of this account, which may call the account's own functions.
    Role { account: String },
}

/// Why the function can't be called. Asking again changes nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    #[error("the function does not exist")]
    NotFound,
    #[error("the function's policy does not allow it")]
    NotAllowed,
    #[error("the payload is larger than an asynchronous call may have")]
    TooLarge,
    #[error("the payload is not JSON")]
    Malformed,
}

/// Takes events for functions.
pub trait FunctionEvents: Send + Sync {
    /// The delivery of the call. It is accepted by whoever asked, in a batch of its own making.
    fn delivery(&self, event: FunctionEvent) -> Result<Delivery, Refusal>;

    /// Deliveries were accepted: they may be tried now.
    fn accepted(&self);
}
