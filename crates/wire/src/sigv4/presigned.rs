//! The presigned form: a signature in the query.

use std::time::Duration;

use http::HeaderMap;
use lambent_core::Timestamp;

use super::claim::{self, Claim, Form, Payload, Scope};
use super::{AuthError, EXPIRES_SECS_MAX};
use crate::percent::decode_query_part;

pub(super) fn claim(parameters: &Parameters, headers: &HeaderMap) -> Result<Claim, AuthError> {
    let missing: String = [
        (&parameters.algorithm, "X-Amz-Algorithm"),
        (&parameters.credential, "X-Amz-Credential"),
        (&parameters.signature, "X-Amz-Signature"),
        (&parameters.signed_headers, "X-Amz-SignedHeaders"),
        (&parameters.date, "X-Amz-Date"),
    ]
    .into_iter()
    .filter(|(value, _)| value.is_empty())
    .map(|(_, name)| format!("AWS query-string parameters must include '{name}'. "))
    .collect();
    if !missing.is_empty() {
        return Err(AuthError::Incomplete(format!("{missing}Re-examine the query-string parameters.")));
    }
    claim::check_algorithm(&parameters.algorithm)?;
    let date =
        Timestamp::parse_amz_date(&parameters.date).ok_or_else(|| claim::bad_date(&parameters.date))?;
    let scope = Scope::parse(&parameters.credential, date)?;
    let form = Form::Presigned { expires: expires(&parameters.expires, scope.service)? };
    let payload = match claim::declared_payload(headers)? {
        Some(declared) => declared,
        None if !parameters.payload.is_empty() => Payload::parse(&parameters.payload)?,
        // A presigned URL of S3 is made before its body is known.
        None if scope.service == "s3" => Payload::Unsigned,
        None => Payload::Undeclared,
    };
    let session_token = (!parameters.token.is_empty())
        .then(|| parameters.token.clone())
        .or_else(|| claim::header_text(headers, "x-amz-security-token").map(str::to_owned));
    claim::claim(scope, date, session_token, form, payload, &parameters.signed_headers, &parameters.signature)
}

/// The parameters of the presigned form, decoded; empty where absent.
#[derive(Debug, Default)]
pub(super) struct Parameters {
    algorithm: String,
    credential: String,
    date: String,
    expires: String,
    signed_headers: String,
    signature: String,
    token: String,
    payload: String,
}

/// The names that [`crate::route`] keeps from services, since they belong to the signature.
pub(crate) const PRESIGNED_NAMES: [&str; 8] = [
    "X-Amz-Algorithm",
    "X-Amz-Credential",
    "X-Amz-Date",
    "X-Amz-Expires",
    "X-Amz-SignedHeaders",
    "X-Amz-Signature",
    "X-Amz-Security-Token",
    "X-Amz-Content-Sha256",
];

impl Parameters {
    /// The parameters when the query has any that only this form has.
    pub fn of(query: &str) -> Result<Option<Self>, AuthError> {
        let mut found = Self::default();
        let mut is_presigned = false;
        for pair in query.split('&').filter(|pair| pair.starts_with("X-Amz-")) {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            let slot = match name {
                "X-Amz-Algorithm" => &mut found.algorithm,
                "X-Amz-Credential" => &mut found.credential,
                "X-Amz-Date" => &mut found.date,
                "X-Amz-Expires" => &mut found.expires,
                "X-Amz-SignedHeaders" => &mut found.signed_headers,
                "X-Amz-Signature" => &mut found.signature,
                "X-Amz-Security-Token" => &mut found.token,
                "X-Amz-Content-Sha256" => &mut found.payload,
                _ => continue,
            };
            is_presigned |= matches!(name, "X-Amz-Algorithm" | "X-Amz-Credential" | "X-Amz-Signature");
            let value = decode_query_part(value).map_err(|_| {
                AuthError::Incomplete(format!(
                    "AWS query-string parameter '{name}' is not encoded correctly."
                ))
            })?;
            if !slot.is_empty() {
                return Err(AuthError::Incomplete(format!(
                    "AWS query-string parameters must include '{name}' only once. Re-examine the query-string \
                 parameters."
                )));
            }
            *slot = value;
        }
        Ok(is_presigned.then_some(found))
    }
}

fn expires(text: &str, service: &str) -> Result<Duration, AuthError> {
    if text.is_empty() {
        if service == "s3" {
            return Err(AuthError::Incomplete(
                "AWS query-string parameters must include 'X-Amz-Expires'. Re-examine the query-string \
                 parameters."
                    .to_owned(),
            ));
        }
        return Ok(Duration::from_secs(super::SKEW_SECS));
    }
    let number: i64 =
        text.parse().map_err(|_| AuthError::Incomplete("X-Amz-Expires should be a number".to_owned()))?;
    let secs = u64::try_from(number)
        .map_err(|_| AuthError::Incomplete("X-Amz-Expires must be non-negative".to_owned()))?;
    if secs > EXPIRES_SECS_MAX {
        return Err(AuthError::Incomplete(format!(
            "X-Amz-Expires must be less than a week (in seconds); that is, the given X-Amz-Expires must be \
             less than {EXPIRES_SECS_MAX} seconds"
        )));
    }
    Ok(Duration::from_secs(secs))
}
