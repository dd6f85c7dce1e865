//! What a request says of its signature, before anything of it is believed.
//!
//! Parsing decides only whether the parts are there and of their form. It never looks at a secret and never
//! reads a clock; [`Claim::verify_head`] and what follows it do the believing.

use std::time::Duration;

use http::HeaderMap;
use http::request::Parts;
use lambent_core::{Region, Timestamp};

use super::error::hashed;
use super::{ALGORITHM, AuthError, TERMINATOR, date, presigned};

/// Signed headers that a claim may name. Ours: a request holds no more headers than the server lets in.
pub const SIGNED_HEADERS_MAX: usize = 200;

/// A signature as a request carries it.
#[derive(Debug, Clone)]
pub struct Claim {
    pub access_key_id: String,
    /// When the request says that it was signed.
    pub date: Timestamp,
    pub region: Region,
    /// The signing name of the credential scope, such as `lambda`.
    pub service: String,
    /// `x-amz-security-token`; whether it is the key's own is for the caller to check.
    pub session_token: Option<String>,
    pub form: Form,
    pub(super) payload: Payload,
    /// Lower-case, sorted, each once.
    pub(super) signed_headers: Vec<String>,
    pub(super) signature: String,
}

/// Where the signature stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    /// In the Authorization header.
    Header,
    /// In the query, valid for the time it names.
    Presigned { expires: Duration },
}

/// What the request says of its body.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Payload {
    /// Nothing: the body's hash is part of the signature.
    Undeclared,
    /// `x-amz-content-sha256`: the hash in lower-case hex.
    Digest(String),
    /// `UNSIGNED-PAYLOAD`.
    Unsigned,
    /// `STREAMING-AWS4-HMAC-SHA256-PAYLOAD`, with `-TRAILER` or without.
    StreamingSigned { trailer: bool },
    /// `STREAMING-UNSIGNED-PAYLOAD-TRAILER`.
    StreamingUnsignedTrailer,
}

impl Payload {
    pub(super) const UNSIGNED: &str = "UNSIGNED-PAYLOAD";
    const STREAMING: &str = "STREAMING-AWS4-HMAC-SHA256-PAYLOAD";
    const STREAMING_TRAILER: &str = "STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER";
    const STREAMING_UNSIGNED_TRAILER: &str = "STREAMING-UNSIGNED-PAYLOAD-TRAILER";

    pub fn parse(text: &str) -> Result<Self, AuthError> {
        let is_digest = text.len() == 64 && text.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'));
        Ok(match text {
            Self::UNSIGNED => Self::Unsigned,
            Self::STREAMING => Self::StreamingSigned { trailer: false },
            Self::STREAMING_TRAILER => Self::StreamingSigned { trailer: true },
            Self::STREAMING_UNSIGNED_TRAILER => Self::StreamingUnsignedTrailer,
            digest if is_digest => Self::Digest(digest.to_owned()),
            _ => {
                return Err(AuthError::Invalid(
                    "x-amz-content-sha256 must be UNSIGNED-PAYLOAD, \
                     STREAMING-UNSIGNED-PAYLOAD-TRAILER, STREAMING-AWS4-HMAC-SHA256-PAYLOAD, \
                     STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER or a valid sha256 value."
                        .to_owned(),
                ));
            }
        })
    }

    /// The canonical request's last line, when the head alone decides it.
    pub(super) fn declared(&self) -> Option<&str> {
        match self {
            Self::Undeclared => None,
            Self::Digest(digest) => Some(digest),
            Self::Unsigned => Some(Self::UNSIGNED),
            Self::StreamingSigned { trailer: false } => Some(Self::STREAMING),
            Self::StreamingSigned { trailer: true } => Some(Self::STREAMING_TRAILER),
            Self::StreamingUnsignedTrailer => Some(Self::STREAMING_UNSIGNED_TRAILER),
        }
    }
}

/// Reads a request's signature; `None` when it bears none, in either form.
///
/// Costs a few small allocations. Refuses what is incomplete or malformed, in the reference's sentences.
pub fn parse(parts: &Parts) -> Result<Option<Claim>, AuthError> {
    let authorization = parts.headers.get(http::header::AUTHORIZATION);
    let query = presigned::Parameters::of(parts.uri.query().unwrap_or_default())?;
    match (authorization, query) {
        (None, None) => Ok(None),
        (Some(_), Some(_)) => Err(AuthError::Incomplete(
            "Only one auth mechanism allowed; only the X-Amz-Algorithm query parameter, Signature query string \
             parameter or the Authorization header should be specified"
                .to_owned(),
        )),
        (Some(value), None) => {
            if parts.headers.get_all(http::header::AUTHORIZATION).iter().nth(1).is_some() {
                return Err(AuthError::Incomplete("Only one Authorization header is allowed.".to_owned()));
            }
            header_claim(value.as_bytes(), &parts.headers).map(Some)
        }
        (None, Some(parameters)) => presigned::claim(&parameters, &parts.headers).map(Some),
    }
}

fn header_claim(value: &[u8], headers: &HeaderMap) -> Result<Claim, AuthError> {
    let text = str::from_utf8(value).unwrap_or_default().trim();
    let (algorithm, fields) = text.split_once(' ').unwrap_or((text, ""));
    let (mut credential, mut signed_headers, mut signature) = (None, None, None);
    for field in fields.split(',').map(str::trim).filter(|field| !field.is_empty()) {
        let Some((name, content)) = field.split_once('=') else {
            return Err(AuthError::Incomplete(format!(
                "Invalid key=value pair (missing equal-sign) in Authorization header (hashed with SHA-256 and \
                 encoded with Base64): '{}'.",
                hashed(value)
            )));
        };
        let slot = match name.trim() {
            "Credential" => &mut credential,
            "SignedHeaders" => &mut signed_headers,
            "Signature" => &mut signature,
            _ => continue,
        };
        if slot.replace(content.trim()).is_some() {
            return Err(AuthError::Incomplete(format!(
                "Authorization header contains duplicate '{}' parameters. (Hashed with SHA-256 and encoded \
                 with Base64) Authorization={}",
                name.trim(),
                hashed(value)
            )));
        }
    }
    let date_text = header_text(headers, "x-amz-date").or_else(|| header_text(headers, "date"));
    let (Some(credential), Some(signed_headers), Some(signature), Some(date_text)) =
        (non_empty(credential), non_empty(signed_headers), non_empty(signature), date_text)
    else {
        let mut message = String::new();
        for (part, name) in
            [(credential, "Credential"), (signature, "Signature"), (signed_headers, "SignedHeaders")]
        {
            if non_empty(part).is_none() {
                message.push_str(&format!("Authorization header requires '{name}' parameter. "));
            }
        }
        if date_text.is_none() {
            message.push_str(
                "Authorization header requires existence of either a 'X-Amz-Date' or a 'Date' header. ",
            );
        }
        message.push_str("(Hashed with SHA-256 and encoded with Base64) Authorization=");
        message.push_str(&hashed(value));
        return Err(AuthError::Incomplete(message));
    };
    check_algorithm(algorithm)?;
    let date = date::parse(date_text).ok_or_else(|| bad_date(date_text))?;
    let scope = Scope::parse(credential, date)?;
    let session_token = header_text(headers, "x-amz-security-token").map(str::to_owned);
    let payload = declared_payload(headers)?.unwrap_or(Payload::Undeclared);
    claim(scope, date, session_token, Form::Header, payload, signed_headers, signature)
}

pub(super) fn claim(
    scope: Scope<'_>,
    date: Timestamp,
    session_token: Option<String>,
    form: Form,
    payload: Payload,
    signed_headers: &str,
    signature: &str,
) -> Result<Claim, AuthError> {
    let mut signed_headers: Vec<String> =
        signed_headers.split(';').take(SIGNED_HEADERS_MAX + 1).map(str::to_ascii_lowercase).collect();
    signed_headers.sort_unstable();
    signed_headers.dedup();
    if signed_headers.len() > SIGNED_HEADERS_MAX {
        return Err(AuthError::Incomplete(format!(
            "'SignedHeaders' names more than {SIGNED_HEADERS_MAX} headers."
        )));
    }
    if !signed_headers.iter().any(|name| name == "host" || name == ":authority") {
        return Err(AuthError::Invalid(
            "'Host' or ':authority' must be a 'SignedHeader' in the AWS Authorization.".to_owned(),
        ));
    }
    let region = Region::new(scope.region).map_err(|_| {
        AuthError::Invalid(format!("Credential should be scoped to a valid region, not '{}'. ", scope.region))
    })?;
    Ok(Claim {
        access_key_id: scope.access_key_id.to_owned(),
        date,
        region,
        service: scope.service.to_owned(),
        session_token,
        form,
        payload,
        signed_headers,
        signature: signature.to_owned(),
    })
}

/// `KEY/DATE/REGION/SERVICE/aws4_request`.
pub(super) struct Scope<'a> {
    access_key_id: &'a str,
    region: &'a str,
    pub service: &'a str,
}

impl<'a> Scope<'a> {
    pub fn parse(credential: &'a str, date: Timestamp) -> Result<Self, AuthError> {
        let elements: Vec<&str> = credential.splitn(6, '/').collect();
        let [access_key_id, day, region, service, terminator] = elements[..] else {
            return Err(AuthError::Incomplete(format!(
                "Credential must have exactly 5 slash-delimited elements, e.g. \
                 keyid/date/region/service/term, got '{}'",
                shown(credential)
            )));
        };
        if terminator != TERMINATOR {
            return Err(AuthError::Invalid(format!(
                "Credential should be scoped with a valid terminator: '{TERMINATOR}', not '{}'.",
                shown(terminator)
            )));
        }
        let full = date.amz_date();
        if day != &full[..8] {
            return Err(AuthError::Invalid(format!(
                "Date in Credential scope does not match YYYYMMDD from ISO-8601 version of date from HTTP: \
                 '{}' != '{}', from '{full}'.",
                shown(day),
                &full[..8]
            )));
        }
        if access_key_id.is_empty() {
            return Err(AuthError::UnknownKey);
        }
        Ok(Self { access_key_id, region, service })
    }
}

pub(super) fn declared_payload(headers: &HeaderMap) -> Result<Option<Payload>, AuthError> {
    let Some(value) = headers.get("x-amz-content-sha256") else { return Ok(None) };
    Payload::parse(value.to_str().unwrap_or_default()).map(Some)
}

pub(super) fn check_algorithm(algorithm: &str) -> Result<(), AuthError> {
    if algorithm == ALGORITHM {
        return Ok(());
    }
    Err(AuthError::Incomplete(format!("Unsupported AWS 'algorithm': '{}'.", shown(algorithm))))
}

pub(super) fn bad_date(text: &str) -> AuthError {
    AuthError::Incomplete(format!(
        "Date must be in ISO-8601 'basic format'. Got '{}'. See http://en.wikipedia.org/wiki/ISO_8601",
        shown(text)
    ))
}

/// As much of a client's text as a message repeats.
fn shown(text: &str) -> String {
    text.chars().take(200).collect()
}

fn non_empty(text: Option<&str>) -> Option<&str> {
    text.filter(|text| !text.is_empty())
}

pub(super) fn header_text<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    headers.get(name).and_then(|value| value.to_str().ok()).map(str::trim)
}
