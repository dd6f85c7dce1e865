//! Why a request's signature was not accepted, and how each family of services says so.
//!
//! Message forms are the reference's own, as its services answer them. A client's Authorization header is never
//! repeated, only its hash, since logs keep error messages.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use lambent_core::Timestamp;
use sha2::{Digest, Sha256};

use crate::{Fault, chunked};

/// How a family of services names and weighs the faults of signatures.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Style {
    /// Lambda and other REST services with JSON: `...Exception`, 403.
    RestJson,
    /// Services of the JSON 1.0 and 1.1 protocols: the same names, always 400.
    JsonRpc,
    /// IAM, STS and other query services: names without `Exception`.
    Query,
    /// S3: names of its own.
    S3,
}

/// Why a signature was not accepted.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AuthError {
    /// The request bears no signature at all.
    #[error("the request is not signed")]
    Missing,
    /// The signature's parts are absent or not of their form; the sentence is the reference's.
    #[error("the signature is incomplete: {0}")]
    Incomplete(String),
    /// Parts are of their form but the request can't be what was signed, for a reason worth telling.
    #[error("the signature does not cover the request: {0}")]
    Invalid(String),
    /// The signature differs from the one calculated.
    #[error("the signature does not match")]
    Mismatch,
    /// The header form is older than the skew, or the presigned form older than it may be: than `limit`, which is
    /// `allowed_secs` before `now`.
    #[error("the signature of {signed} expired, {limit} is the oldest that is good")]
    Expired { signed: Timestamp, limit: Timestamp, now: Timestamp, allowed_secs: u64, presigned: bool },
    /// Signed further in the future than the skew.
    #[error("the signature of {signed} is not valid before {limit}")]
    NotYetCurrent { signed: Timestamp, limit: Timestamp, now: Timestamp, allowed_secs: u64 },
    /// No such access key, or a session token that isn't the key's.
    #[error("the access key or session token is not known")]
    UnknownKey,
    /// The session is over.
    #[error("the session token expired")]
    ExpiredToken,
    /// Headers that carry meaning stand outside the signature.
    #[error("headers are not signed: {}", names.join(", "))]
    HeadersNotSigned { names: Vec<String> },
    /// The body's hash isn't the one that was signed.
    #[error("the payload hash {declared} is not that of the body, {computed}")]
    PayloadHash { declared: String, computed: String },
    /// The body's chunks.
    #[error("the chunked body was refused")]
    Chunked(#[source] chunked::Error),
}

const MISMATCH: &str = "The request signature we calculated does not match the signature you provided. Check \
                        your AWS Secret Access Key and signing method. Consult the service documentation for \
                        details.";
const MISMATCH_S3: &str = "The request signature we calculated does not match the signature you provided. \
                           Check your key and signing method.";
const NOT_SIGNED: &str = "There were headers present in the request which were not signed";

impl AuthError {
    /// The fault as services of the style word it.
    pub fn into_fault(self, style: Style) -> Fault {
        let mut fault = match style {
            Style::S3 => self.s3_fault(),
            Style::Query => self.plain_fault(QUERY),
            Style::RestJson | Style::JsonRpc => self.plain_fault(JSON),
        };
        if style == Style::JsonRpc {
            fault.status = 400;
        }
        fault
    }

    fn plain_fault(self, names: Names) -> Fault {
        match self {
            Self::Missing => Fault::new(403, names.missing, "Missing Authentication Token"),
            Self::Incomplete(message) => Fault::new(400, names.incomplete, message),
            Self::Invalid(message) => Fault::new(403, names.mismatch, message),
            Self::Mismatch | Self::PayloadHash { .. } | Self::Chunked(chunked::Error::Signature) => {
                Fault::new(403, names.mismatch, MISMATCH)
            }
            Self::HeadersNotSigned { names: headers } => {
                Fault::new(403, names.mismatch, format!("{NOT_SIGNED}: {}", headers.join(", ")))
            }
            Self::Expired { signed, limit, now, allowed_secs, .. } => {
                Fault::new(403, names.mismatch, expired(signed, limit, now, allowed_secs))
            }
            Self::NotYetCurrent { signed, limit, now, allowed_secs } => {
                Fault::new(403, names.mismatch, not_yet_current(signed, limit, now, allowed_secs))
            }
            Self::UnknownKey => {
                Fault::new(403, names.unknown_key, "The security token included in the request is invalid.")
            }
            Self::ExpiredToken => {
                Fault::new(403, names.expired_token, "The security token included in the request is expired")
            }
            Self::Chunked(error) => error.into_fault(),
        }
    }

    fn s3_fault(self) -> Fault {
        match self {
            Self::Missing => Fault::new(403, "AccessDenied", "Access Denied"),
            Self::Incomplete(message) => Fault::new(400, "AuthorizationHeaderMalformed", message),
            Self::Invalid(message) => Fault::new(403, "SignatureDoesNotMatch", message),
            Self::Mismatch | Self::Chunked(chunked::Error::Signature) => {
                Fault::new(403, "SignatureDoesNotMatch", MISMATCH_S3)
            }
            Self::Expired { presigned: true, .. } => Fault::new(403, "AccessDenied", "Request has expired"),
            Self::Expired { presigned: false, .. } | Self::NotYetCurrent { .. } => Fault::new(
                403,
                "RequestTimeTooSkewed",
                "The difference between the request time and the current time is too large.",
            ),
            Self::UnknownKey => Fault::new(
                403,
                "InvalidAccessKeyId",
                "The AWS Access Key Id you provided does not exist in our records.",
            ),
            Self::ExpiredToken => Fault::new(400, "ExpiredToken", "The provided token has expired."),
            Self::HeadersNotSigned { names } => {
                Fault::new(403, "AccessDenied", NOT_SIGNED).member("HeadersNotSigned", names.join(", "))
            }
            Self::PayloadHash { declared, computed } => Fault::new(
                400,
                "XAmzContentSHA256Mismatch",
                "The provided 'x-amz-content-sha256' header does not match what was computed.",
            )
            .member("ClientComputedContentSHA256", declared)
            .member("S3ComputedContentSHA256", computed),
            Self::Chunked(error) => error.into_fault(),
        }
    }
}

/// The words of the services that speak JSON over REST; [`AuthError::into_fault`] knows the others.
impl From<AuthError> for Fault {
    fn from(error: AuthError) -> Self {
        error.into_fault(Style::RestJson)
    }
}

impl From<chunked::Error> for AuthError {
    fn from(error: chunked::Error) -> Self {
        Self::Chunked(error)
    }
}

#[derive(Clone, Copy)]
struct Names {
    missing: &'static str,
    incomplete: &'static str,
    mismatch: &'static str,
    unknown_key: &'static str,
    expired_token: &'static str,
}

const JSON: Names = Names {
    missing: "MissingAuthenticationTokenException",
    incomplete: "IncompleteSignatureException",
    mismatch: "InvalidSignatureException",
    unknown_key: "UnrecognizedClientException",
    expired_token: "ExpiredTokenException",
};

const QUERY: Names = Names {
    missing: "MissingAuthenticationToken",
    incomplete: "IncompleteSignature",
    mismatch: "SignatureDoesNotMatch",
    unknown_key: "InvalidClientTokenId",
    expired_token: "ExpiredToken",
};

fn expired(signed: Timestamp, limit: Timestamp, now: Timestamp, allowed_secs: u64) -> String {
    format!(
        "Signature expired: {} is now earlier than {} ({} - {}.)",
        signed.amz_date(),
        limit.amz_date(),
        now.amz_date(),
        span(allowed_secs)
    )
}

fn not_yet_current(signed: Timestamp, limit: Timestamp, now: Timestamp, allowed_secs: u64) -> String {
    format!(
        "Signature not yet current: {} is still later than {} ({} + {}.)",
        signed.amz_date(),
        limit.amz_date(),
        now.amz_date(),
        span(allowed_secs)
    )
}

/// `15 min` or, when it is not whole minutes, `90 sec`.
fn span(secs: u64) -> String {
    if secs >= 60 && secs.is_multiple_of(60) { format!("{} min", secs / 60) } else { format!("{secs} sec") }
}

/// What stands for a header's value in a message.
pub(super) fn hashed(value: &[u8]) -> String {
    STANDARD.encode(Sha256::digest(value))
}
