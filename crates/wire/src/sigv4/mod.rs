//! Signature version 4: who signed a request, and whether they did.
//!
//! Start with [`parse`], which reads the claim; [`Claim::verify_head`] decides all that the head decides before
//! a byte of the body is read; [`Pending::finish`] takes the body, strips its chunk framing, and checks what
//! was said of it. [`sign`] and [`presign`] are the other side.
//!
//! What this is not: it knows no access key (the caller looks up the secret), compares no session token, and
//! reads no clock. Version 4A (asymmetric, many regions) is refused by name.
//!
//! Invariants:
//! - signatures are compared in constant time;
//! - no message repeats a secret, a signature or an Authorization header;
//! - every `x-amz-*` header that is there is covered by the signature, or the request is refused.

mod canonical;
mod claim;
mod date;
mod error;
mod key;
mod presigned;
mod sign;
mod verify;

#[cfg(test)]
mod tests;

pub use claim::{Claim, Form, SIGNED_HEADERS_MAX, parse};
pub use error::{AuthError, Style};
pub use key::CACHED_KEYS_MAX;
pub use sign::{Credentials, Payload, Scope, SignError, presign, sign};
pub use verify::{Pending, VerifiedBody};

pub(crate) use key::{EMPTY_SHA256, Key, sha256_hex};
pub(crate) use presigned::PRESIGNED_NAMES;

/// The one algorithm that is accepted.
pub const ALGORITHM: &str = "AWS4-HMAC-SHA256";

/// How far a signature's date may lie from now, either way: 15 minutes (IAM user guide, *Signature expired*).
pub const SKEW_SECS: u64 = 15 * 60;

/// The longest life of a presigned URL: a week (S3 API reference, *Authenticating requests: query parameters*).
pub const EXPIRES_SECS_MAX: u64 = 604_800;

const TERMINATOR: &str = "aws4_request";
