//! Whether a claim is true.

use bytes::Bytes;
use http::request::Parts;
use lambent_core::Timestamp;
use subtle::ConstantTimeEq;

use super::canonical::Source;
use super::claim::{Claim, Form, Payload};
use super::{ALGORITHM, AuthError, Key, SKEW_SECS, TERMINATOR, sha256_hex};
use crate::chunked;

/// `x-amz-*` headers that a request may bear outside its signature: proxies add the first on the way, and the
/// second only describes the client.
const UNSIGNED_ALLOWED: [&str; 2] = ["x-amz-cf-id", "x-amz-user-agent"];

/// A body that is what was signed, without chunk framing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VerifiedBody {
    pub payload: Bytes,
    /// Trailing headers of a chunked body, names in lower case. Their checksums hold.
    pub trailers: Vec<(String, String)>,
}

/// A request whose head was accepted and whose body is yet to come.
///
/// When the body's hash was not declared in the head, the signature itself is still open:
/// [`Pending::is_signature_verified`] tells.
#[derive(Clone)]
pub struct Pending {
    key: Key,
    signature: String,
    payload: Payload,
    /// The canonical request without its last line, while the signature waits for the body's hash.
    open_head: Option<String>,
    amz_date: String,
    scope: String,
    framing: Option<chunked::Framing>,
}

impl Claim {
    /// Checks the moment: 15 minutes of skew for the header form, its own life for the presigned one.
    ///
    /// Services other than S3 end a presigned address after 15 minutes whatever it says, as the reference does; a
    /// shorter life that it names is kept, where the reference would still give it 15 minutes.
    pub fn check_time(&self, now: Timestamp) -> Result<(), AuthError> {
        let skew_ms = SKEW_SECS * 1000;
        let (signed, at) = (self.date.as_millis(), now.as_millis());
        if signed > at.saturating_add(skew_ms) {
            let limit = Timestamp::from_millis(at.saturating_add(skew_ms));
            return Err(AuthError::NotYetCurrent { signed: self.date, limit, now, allowed_secs: SKEW_SECS });
        }
        let (allowed_secs, presigned) = match self.form {
            Form::Header => (SKEW_SECS, false),
            // Only S3 lets an address live longer than a header would.
            Form::Presigned { expires } if self.service == "s3" => (expires.as_secs(), true),
            Form::Presigned { expires } => (expires.as_secs().min(SKEW_SECS), true),
        };
        // Whole seconds, since the signature's date has no milliseconds.
        if at / 1000 > signed / 1000 + allowed_secs {
            let limit = Timestamp::from_millis(at.saturating_sub(allowed_secs * 1000));
            let signed = self.date;
            return Err(AuthError::Expired { signed, limit, now, allowed_secs, presigned });
        }
        Ok(())
    }

    /// Decides all that the head alone decides, so that a bad request is refused before its body is read.
    ///
    /// `parts` are those that the claim was parsed from. Costs one hash of the canonical request and one HMAC,
    /// and four more the first time that a key signs in a day.
    pub fn verify_head(&self, parts: &Parts, secret: &str, now: Timestamp) -> Result<Pending, AuthError> {
        self.check_time(now)?;
        self.check_vital_headers(parts)?;
        let head = Source {
            method: parts.method.as_str(),
            path: parts.uri.path(),
            query: parts.uri.query(),
            headers: &parts.headers,
            authority: parts.uri.authority().map(|authority| authority.as_str()),
            signed_headers: &self.signed_headers,
            service: &self.service,
        }
        .head()
        .map_err(|_| AuthError::Mismatch)?;
        let amz_date = self.date.amz_date();
        let day = &amz_date[..8];
        let mut pending = Pending {
            key: Key::of(secret, day, self.region.as_str(), &self.service),
            signature: self.signature.clone(),
            payload: self.payload.clone(),
            open_head: None,
            scope: format!("{day}/{}/{}/{TERMINATOR}", self.region, self.service),
            amz_date,
            framing: None,
        };
        match self.payload.declared() {
            Some(hash) => pending.check_signature(head, hash)?,
            None => pending.open_head = Some(head),
        }
        if matches!(self.payload, Payload::StreamingSigned { .. } | Payload::StreamingUnsignedTrailer) {
            pending.framing = Some(chunked::Framing::from_headers(&parts.headers)?);
        }
        Ok(pending)
    }

    /// Head and body in one step.
    pub fn verify(
        &self,
        parts: &Parts,
        body: Bytes,
        secret: &str,
        now: Timestamp,
    ) -> Result<VerifiedBody, AuthError> {
        self.verify_head(parts, secret, now)?.finish(body)
    }

    fn check_vital_headers(&self, parts: &Parts) -> Result<(), AuthError> {
        let unsigned: Vec<String> = parts
            .headers
            .keys()
            .map(http::HeaderName::as_str)
            .filter(|name| name.starts_with("x-amz-") && !UNSIGNED_ALLOWED.contains(name))
            .filter(|name| self.signed_headers.binary_search_by(|signed| signed.as_str().cmp(name)).is_err())
            // The payload's hash is the canonical request's last line whether or not its header is signed.
            .filter(|name| *name != "x-amz-content-sha256")
            .map(str::to_owned)
            .collect();
        if unsigned.is_empty() { Ok(()) } else { Err(AuthError::HeadersNotSigned { names: unsigned }) }
    }
}

impl Pending {
    /// Whether the signature itself is already known to be good.
    pub fn is_signature_verified(&self) -> bool {
        self.open_head.is_none()
    }

    /// How long the plain payload will be, when the head says so: chunked bodies must.
    pub fn decoded_length(&self) -> Option<u64> {
        self.framing.as_ref().map(|framing| framing.decoded_length)
    }

    /// Takes the whole body and gives back the plain payload.
    ///
    /// Copies nothing unless the body came in several chunks.
    pub fn finish(mut self, body: Bytes) -> Result<VerifiedBody, AuthError> {
        let plain = |payload| VerifiedBody { payload, trailers: Vec::new() };
        match &self.payload {
            Payload::Undeclared => {
                let head = self.open_head.take().expect("an undeclared payload leaves the head open");
                self.check_signature(head, &sha256_hex(&body))?;
                Ok(plain(body))
            }
            Payload::Digest(declared) => {
                let computed = sha256_hex(&body);
                if computed == *declared {
                    return Ok(plain(body));
                }
                Err(AuthError::PayloadHash { declared: declared.clone(), computed })
            }
            Payload::Unsigned => Ok(plain(body)),
            Payload::StreamingSigned { trailer } => self.unframe(body, true, *trailer),
            Payload::StreamingUnsignedTrailer => self.unframe(body, false, true),
        }
    }

    fn unframe(&self, body: Bytes, signed: bool, trailer: bool) -> Result<VerifiedBody, AuthError> {
        let framing = self.framing.as_ref().expect("a streaming payload's framing was read with its head");
        let chain = signed.then(|| chunked::Chain {
            key: &self.key,
            amz_date: &self.amz_date,
            scope: &self.scope,
            seed: &self.signature,
        });
        let decoded = chunked::decode(body, framing, chain, trailer)?;
        Ok(VerifiedBody { payload: decoded.payload, trailers: decoded.trailers })
    }

    fn check_signature(&self, mut head: String, payload_hash: &str) -> Result<(), AuthError> {
        head.push_str(payload_hash);
        let text = format!("{ALGORITHM}\n{}\n{}\n{}", self.amz_date, self.scope, sha256_hex(head.as_bytes()));
        let right = self.key.sign(&text);
        if bool::from(right.as_bytes().ct_eq(self.signature.as_bytes())) {
            Ok(())
        } else {
            Err(AuthError::Mismatch)
        }
    }
}
