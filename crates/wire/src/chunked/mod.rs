//! The `aws-chunked` content encoding: chunks that may each bear a signature, and trailing headers.
//!
//! What this is not: HTTP's own chunked transfer coding, which the server has already removed. Whole bodies
//! only; it works on what the server has collected within its own limit.
//!
//! Invariants:
//! - nothing of the payload is given out before every signature, the length and every checksum held;
//! - the trailers are exactly those that `x-amz-trailer` announced.

mod error;

#[cfg(test)]
mod tests;

use bytes::{Bytes, BytesMut};
use http::HeaderMap;
use subtle::ConstantTimeEq;

use crate::checksum::{Algorithm, HEADER_PREFIX};
use crate::sigv4::{EMPTY_SHA256, Key, sha256_hex};

pub use error::Error;

/// The longest line before a chunk's data: 16 digits, `;chunk-signature=`, 64 digits, with room. Ours.
pub const CHUNK_LINE_BYTES_MAX: usize = 256;

/// The longest line of a trailer. Ours: a checksum in base64 has under 100 bytes.
pub const TRAILER_LINE_BYTES_MAX: usize = 1_024;

/// Trailers of one body. Ours: clients send one.
pub const TRAILERS_MAX: usize = 8;

const TRAILER_SIGNATURE: &str = "x-amz-trailer-signature";

/// What a request's head says of its chunked body.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Framing {
    /// `x-amz-decoded-content-length`.
    pub decoded_length: u64,
    /// `x-amz-trailer`: names in lower case, in their order.
    pub trailer_names: Vec<String>,
}

impl Framing {
    /// Reads the two headers. Refuses a missing length and an announced trailer that this node can't check.
    pub fn from_headers(headers: &HeaderMap) -> Result<Self, Error> {
        let text = |name| headers.get(name).and_then(|value: &http::HeaderValue| value.to_str().ok());
        let decoded_length = text("x-amz-decoded-content-length").ok_or(Error::NoDecodedLength)?;
        if !decoded_length.bytes().all(|b| b.is_ascii_digit()) {
            return Err(Error::NoDecodedLength);
        }
        let decoded_length = decoded_length.parse().map_err(|_| Error::NoDecodedLength)?;
        let mut trailer_names: Vec<String> = Vec::new();
        for value in headers.get_all("x-amz-trailer") {
            let names = value.to_str().map_err(|_| Error::Trailer)?;
            for name in names.split(',').map(str::trim).filter(|name| !name.is_empty()) {
                let name = name.to_ascii_lowercase();
                if Algorithm::of_header(&name).is_none() {
                    return Err(Error::UnsupportedTrailer { name });
                }
                if trailer_names.len() == TRAILERS_MAX || trailer_names.contains(&name) {
                    return Err(Error::Trailer);
                }
                trailer_names.push(name);
            }
        }
        Ok(Self { decoded_length, trailer_names })
    }
}

/// What ties each chunk's signature to the one before.
pub(crate) struct Chain<'a> {
    pub key: &'a Key,
    pub amz_date: &'a str,
    pub scope: &'a str,
    /// The signature of the request's head.
    pub seed: &'a str,
}

impl Chain<'_> {
    fn chunk_signature(&self, previous: &str, data: &[u8]) -> String {
        let (date, scope) = (self.amz_date, self.scope);
        let hash = sha256_hex(data);
        self.key
            .sign(&format!("AWS4-HMAC-SHA256-PAYLOAD\n{date}\n{scope}\n{previous}\n{EMPTY_SHA256}\n{hash}"))
    }

    fn trailer_signature(&self, previous: &str, trailers: &[(String, String)]) -> String {
        let lines: String = trailers.iter().map(|(name, value)| format!("{name}:{value}\n")).collect();
        let (date, scope) = (self.amz_date, self.scope);
        let hash = sha256_hex(lines.as_bytes());
        self.key.sign(&format!("AWS4-HMAC-SHA256-TRAILER\n{date}\n{scope}\n{previous}\n{hash}"))
    }
}

/// A payload without its framing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Decoded {
    pub payload: Bytes,
    pub trailers: Vec<(String, String)>,
}

/// Removes the framing of a whole body and checks all that it says.
///
/// With a `chain` every chunk must bear its signature, without one none may. `trailer` says whether trailing
/// headers may follow the last chunk.
pub(crate) fn decode(
    body: Bytes,
    framing: &Framing,
    chain: Option<Chain<'_>>,
    trailer: bool,
) -> Result<Decoded, Error> {
    let mut reader = Reader { body: &body, at: 0 };
    let mut previous = chain.as_ref().map(|chain| chain.seed.to_owned()).unwrap_or_default();
    let mut chunks: Vec<Bytes> = Vec::new();
    let mut length = 0u64;
    loop {
        let (size, signature) = chunk_line(reader.line(CHUNK_LINE_BYTES_MAX)?)?;
        let start = reader.at;
        let data = reader.take(size)?;
        match (&chain, signature) {
            (None, None) => {}
            (Some(chain), Some(signature)) => {
                let right = chain.chunk_signature(&previous, data);
                check(&right, signature)?;
                previous = right;
            }
            _ => return Err(Error::ChunkLine),
        }
        if size == 0 {
            break;
        }
        length += data.len() as u64;
        if length > framing.decoded_length {
            return Err(Error::Length { declared: framing.decoded_length });
        }
        chunks.push(body.slice(start..reader.at));
        if reader.take(2)? != b"\r\n" {
            return Err(Error::Incomplete);
        }
    }
    if length != framing.decoded_length {
        return Err(Error::Length { declared: framing.decoded_length });
    }
    let trailers = read_trailers(&mut reader, chain.as_ref(), &previous, trailer)?;
    if reader.at != body.len() {
        return Err(Error::Incomplete);
    }
    let payload = joined(chunks);
    check_trailers(&trailers, framing, &payload)?;
    Ok(Decoded { payload, trailers })
}

/// Reads up to the empty line that ends the body.
fn read_trailers(
    reader: &mut Reader<'_>,
    chain: Option<&Chain<'_>>,
    previous: &str,
    allowed: bool,
) -> Result<Vec<(String, String)>, Error> {
    let mut trailers: Vec<(String, String)> = Vec::new();
    let mut signature = None;
    loop {
        let line = reader.line(TRAILER_LINE_BYTES_MAX)?;
        // The reference's own description ends a trailer with a line feed before the usual line end.
        let line = line.strip_suffix('\n').unwrap_or(line);
        if line.is_empty() {
            break;
        }
        let (name, value) = line.split_once(':').ok_or(Error::Trailer)?;
        let (name, value) = (name.to_ascii_lowercase(), value.trim_matches([' ', '\t']));
        // The signature is of the lines before it, so nothing may follow it.
        if !allowed || signature.is_some() || trailers.len() == TRAILERS_MAX {
            return Err(Error::Trailer);
        }
        if name == TRAILER_SIGNATURE && chain.is_some() {
            signature = Some(value.to_owned());
        } else {
            trailers.push((name, value.to_owned()));
        }
    }
    match (chain, signature) {
        (Some(chain), Some(signature)) => check(&chain.trailer_signature(previous, &trailers), &signature)?,
        (Some(_), None) if allowed => return Err(Error::Signature),
        _ => {}
    }
    Ok(trailers)
}

fn check_trailers(trailers: &[(String, String)], framing: &Framing, payload: &[u8]) -> Result<(), Error> {
    let as_announced = trailers.len() == framing.trailer_names.len()
        && framing.trailer_names.iter().all(|name| trailers.iter().any(|(n, _)| n == name));
    if !as_announced {
        return Err(Error::Trailer);
    }
    for (name, value) in trailers {
        let Some(algorithm) = Algorithm::of_header(name) else {
            return Err(Error::UnsupportedTrailer { name: name.clone() });
        };
        if algorithm.of(payload) != *value {
            return Err(Error::Checksum { algorithm });
        }
    }
    Ok(())
}

fn check(right: &str, given: &str) -> Result<(), Error> {
    if bool::from(right.as_bytes().ct_eq(given.as_bytes())) { Ok(()) } else { Err(Error::Signature) }
}

/// `HEX` or `HEX;chunk-signature=HEX`.
fn chunk_line(line: &str) -> Result<(usize, Option<&str>), Error> {
    let (size, signature) = match line.split_once(';') {
        None => (line, None),
        Some((size, extension)) => {
            (size, Some(extension.strip_prefix("chunk-signature=").ok_or(Error::ChunkLine)?))
        }
    };
    if size.is_empty() || !size.bytes().all(|b| b.is_ascii_hexdigit()) {
        return Err(Error::ChunkLine);
    }
    let size = usize::from_str_radix(size, 16).map_err(|_| Error::ChunkLine)?;
    Ok((size, signature))
}

fn joined(mut chunks: Vec<Bytes>) -> Bytes {
    if chunks.len() <= 1 {
        return chunks.pop().unwrap_or_default();
    }
    let mut payload = BytesMut::with_capacity(chunks.iter().map(Bytes::len).sum());
    for chunk in &chunks {
        payload.extend_from_slice(chunk);
    }
    payload.freeze()
}

struct Reader<'a> {
    body: &'a [u8],
    at: usize,
}

impl<'a> Reader<'a> {
    /// The text up to the next line end, which is passed over.
    fn line(&mut self, bytes_max: usize) -> Result<&'a str, Error> {
        let rest = &self.body[self.at..];
        let window = &rest[..rest.len().min(bytes_max + 2)];
        let end = window.windows(2).position(|pair| pair == b"\r\n").ok_or(Error::Incomplete)?;
        self.at += end + 2;
        str::from_utf8(&window[..end]).map_err(|_| Error::ChunkLine)
    }

    fn take(&mut self, count: usize) -> Result<&'a [u8], Error> {
        let end = self.at.checked_add(count).ok_or(Error::Incomplete)?;
        let taken = self.body.get(self.at..end).ok_or(Error::Incomplete)?;
        self.at = end;
        Ok(taken)
    }
}

/// The header that announces a checksum trailer, for clients: `x-amz-checksum-crc32` and its like.
pub fn trailer_name(algorithm: Algorithm) -> String {
    format!("{HEADER_PREFIX}{}", algorithm.as_str().to_ascii_lowercase())
}
