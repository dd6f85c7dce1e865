//! Puts a Signature Version 4 on a request.

use std::time::SystemTime;

use bytes::Bytes;
use lambent_core::Timestamp;
use lambent_wire::sigv4;

use super::{Call, Credentials};
use crate::cli::failure::Failure;

/// The request with its Authorization header.
pub fn sign(
    request: http::Request<Bytes>,
    call: &Call,
    credentials: &Credentials,
    region: &str,
) -> Result<http::Request<Bytes>, Failure> {
    let (mut parts, body) = request.into_parts();
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    sigv4::sign(
        &mut parts,
        sigv4::Payload::Signed(&body),
        sigv4::Credentials {
            access_key_id: &credentials.access_key_id,
            secret_access_key: &credentials.secret_access_key,
            session_token: credentials.session_token.as_deref(),
        },
        sigv4::Scope { region, service: call.service },
        Timestamp::from_millis(now.as_millis() as u64),
    )
    .map_err(|error| Failure::usage(format!("this can't be signed: {error}")))?;
    Ok(http::Request::from_parts(parts, body))
}
