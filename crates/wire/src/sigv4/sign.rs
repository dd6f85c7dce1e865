//! Making signatures: for the command line, for calls between the node's own parts, and for tests.

use std::time::Duration;

use http::request::Parts;
use http::{HeaderMap, HeaderName, HeaderValue, Uri, header};
use lambent_core::Timestamp;

use super::canonical::Source;
use super::{ALGORITHM, Key, TERMINATOR, sha256_hex};
use crate::percent::encode;

/// Who signs.
#[derive(Clone, Copy)]
pub struct Credentials<'a> {
    pub access_key_id: &'a str,
    pub secret_access_key: &'a str,
    pub session_token: Option<&'a str>,
}

/// For which region and service (its signing name).
#[derive(Debug, Clone, Copy)]
pub struct Scope<'a> {
    pub region: &'a str,
    pub service: &'a str,
}

/// What the signature says of the body.
#[derive(Debug, Clone, Copy)]
pub enum Payload<'a> {
    /// These are its bytes.
    Signed(&'a [u8]),
    /// Nothing: `UNSIGNED-PAYLOAD`.
    Unsigned,
    /// Any other value of `x-amz-content-sha256`, such as one of the streaming forms.
    Declared(&'a str),
}

/// Why a request can't be signed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SignError {
    #[error("the request names no host")]
    NoHost,
    #[error("a header's value is not text")]
    HeaderValue,
    #[error("the signed address is not a URI")]
    Uri,
}

/// Headers that hops on the way change, or that say nothing worth signing.
const NEVER_SIGNED: [&str; 15] = [
    "authorization",
    "cache-control",
    "connection",
    "content-length",
    "expect",
    "keep-alive",
    "proxy-authorization",
    "proxy-connection",
    "referer",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
    "user-agent",
    "x-amzn-trace-id",
];

/// Signs a request in its headers: adds Host, X-Amz-Date, X-Amz-Security-Token and Authorization, and
/// X-Amz-Content-Sha256 where the service or the payload asks for it.
///
/// Every header that is present and that no hop changes is signed, so set headers first.
pub fn sign(
    parts: &mut Parts,
    payload: Payload<'_>,
    credentials: Credentials<'_>,
    scope: Scope<'_>,
    now: Timestamp,
) -> Result<(), SignError> {
    ensure_host(parts)?;
    let amz_date = now.amz_date();
    let hash = payload_hash(payload);
    parts.headers.insert("x-amz-date", value(&amz_date)?);
    if let Some(token) = credentials.session_token {
        parts.headers.insert("x-amz-security-token", value(token)?);
    }
    if scope.service == "s3" || !matches!(payload, Payload::Signed(_)) {
        parts.headers.insert("x-amz-content-sha256", value(&hash)?);
    }
    parts.headers.remove(header::AUTHORIZATION);
    let signed_headers = signed_names(&parts.headers);
    let signature = signature(
        &source(parts, parts.uri.path(), parts.uri.query(), &signed_headers, scope),
        &hash,
        &amz_date,
        credentials,
        scope,
    )?;
    let authorization = format!(
        "{ALGORITHM} Credential={}/{}, SignedHeaders={}, Signature={signature}",
        credentials.access_key_id,
        scope_text(&amz_date, scope),
        signed_headers.join(";"),
    );
    parts.headers.insert(header::AUTHORIZATION, value(&authorization)?);
    Ok(())
}

/// The request's address with a signature in its query, good for `expires` from `now`.
///
/// Only Host is signed, and every `x-amz-*` header that is present; whoever uses the address must send those.
pub fn presign(
    parts: &Parts,
    payload: Payload<'_>,
    credentials: Credentials<'_>,
    scope: Scope<'_>,
    expires: Duration,
    now: Timestamp,
) -> Result<Uri, SignError> {
    let mut signed_headers = signed_names(&parts.headers);
    signed_headers.retain(|name| name.starts_with("x-amz-"));
    if host(parts).is_none() {
        return Err(SignError::NoHost);
    }
    signed_headers.insert(0, "host".to_owned());
    let amz_date = now.amz_date();
    let mut query = parts.uri.query().map(|query| format!("{query}&")).unwrap_or_default();
    let credential = format!("{}/{}", credentials.access_key_id, scope_text(&amz_date, scope));
    query.push_str(&format!(
        "X-Amz-Algorithm={ALGORITHM}&X-Amz-Credential={}&X-Amz-Date={amz_date}&X-Amz-Expires={}\
         &X-Amz-SignedHeaders={}",
        encode(&credential),
        expires.as_secs(),
        encode(&signed_headers.join(";")),
    ));
    if let Some(token) = credentials.session_token {
        query.push_str(&format!("&X-Amz-Security-Token={}", encode(token)));
    }
    let hash = payload_hash(payload);
    if scope.service != "s3" && matches!(payload, Payload::Unsigned) {
        query.push_str(&format!("&X-Amz-Content-Sha256={hash}"));
    }
    let source = source(parts, parts.uri.path(), Some(&query), &signed_headers, scope);
    let signature = signature(&source, &hash, &amz_date, credentials, scope)?;
    let path_and_query = format!("{}?{query}&X-Amz-Signature={signature}", parts.uri.path());
    let mut uri = parts.uri.clone().into_parts();
    uri.path_and_query = Some(path_and_query.parse().map_err(|_| SignError::Uri)?);
    Uri::from_parts(uri).map_err(|_| SignError::Uri)
}

fn source<'a>(
    parts: &'a Parts,
    path: &'a str,
    query: Option<&'a str>,
    signed_headers: &'a [String],
    scope: Scope<'a>,
) -> Source<'a> {
    Source {
        method: parts.method.as_str(),
        path,
        query,
        headers: &parts.headers,
        authority: parts.uri.authority().map(|authority| authority.as_str()),
        signed_headers,
        service: scope.service,
    }
}

fn signature(
    source: &Source<'_>,
    hash: &str,
    amz_date: &str,
    credentials: Credentials<'_>,
    scope: Scope<'_>,
) -> Result<String, SignError> {
    let mut request = source.head().map_err(|_| SignError::HeaderValue)?;
    request.push_str(hash);
    let scope_text = scope_text(amz_date, scope);
    let text = format!("{ALGORITHM}\n{amz_date}\n{scope_text}\n{}", sha256_hex(request.as_bytes()));
    let key = Key::of(credentials.secret_access_key, &amz_date[..8], scope.region, scope.service);
    Ok(key.sign(&text))
}

fn scope_text(amz_date: &str, scope: Scope<'_>) -> String {
    format!("{}/{}/{}/{TERMINATOR}", &amz_date[..8], scope.region, scope.service)
}

fn payload_hash(payload: Payload<'_>) -> String {
    match payload {
        Payload::Signed(bytes) => sha256_hex(bytes),
        Payload::Unsigned => super::claim::Payload::UNSIGNED.to_owned(),
        Payload::Declared(text) => text.to_owned(),
    }
}

fn signed_names(headers: &HeaderMap) -> Vec<String> {
    let mut names: Vec<String> = headers
        .keys()
        .map(HeaderName::as_str)
        .filter(|name| !NEVER_SIGNED.contains(name))
        .map(str::to_owned)
        .collect();
    names.sort_unstable();
    names
}

fn host(parts: &Parts) -> Option<String> {
    let header = parts.headers.get(header::HOST).and_then(|value| value.to_str().ok());
    header.or_else(|| parts.uri.authority().map(|authority| authority.as_str())).map(str::to_owned)
}

fn ensure_host(parts: &mut Parts) -> Result<(), SignError> {
    let host = host(parts).ok_or(SignError::NoHost)?;
    parts.headers.insert(header::HOST, value(&host)?);
    Ok(())
}

fn value(text: &str) -> Result<HeaderValue, SignError> {
    HeaderValue::from_str(text).map_err(|_| SignError::HeaderValue)
}
