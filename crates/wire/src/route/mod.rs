//! From a verified HTTP request to the operation it asks for.
//!
//! [`decode`] assembles a [`Request`]; [`Table`] finds a REST operation by method and path; [`Target`] names
//! the operation of the JSON protocols.
//!
//! What this is not: it holds no service's operations; each service brings its own table.

mod table;
mod target;

#[cfg(test)]
mod tests;

pub use table::{Captures, Found, Miss, Route, Table};
pub use target::Target;

use bytes::Bytes;
use http::request::Parts;
use lambent_core::RequestId;

use crate::percent::decode_query_part;
use crate::sigv4::PRESIGNED_NAMES;
use crate::{Caller, Fault, Request};

/// The longest address that is decoded, path and query together. Ours: AWS names none; API Gateway and
/// CloudFront stop at about 8 KiB and ARNs encoded in Lambda's paths stay far below that.
pub const ADDRESS_BYTES_MAX: usize = 16 * 1024;

/// Query pairs of one request. Ours: the widest operation has a handful; tag keys repeat up to 50 times.
pub const QUERY_PAIRS_MAX: usize = 256;

/// Makes the request that services see.
///
/// Decodes the query strictly (UTF-8, whole escapes) and leaves the parameters of a presigned signature out of
/// it, as they are spent. Refuses an address beyond the limits.
pub fn decode(
    parts: Parts,
    plain_body: Bytes,
    request_id: RequestId,
    caller: Caller,
) -> Result<Request, Fault> {
    let address_bytes = parts.uri.path().len() + parts.uri.query().map_or(0, str::len);
    if address_bytes > ADDRESS_BYTES_MAX {
        return Err(Fault::new(414, "RequestUriTooLong", "The request URI is too long."));
    }
    let query = decode_query(parts.uri.query().unwrap_or_default())?;
    Ok(Request {
        method: parts.method,
        path: parts.uri.path().to_owned(),
        query,
        headers: parts.headers,
        body: plain_body,
        request_id,
        caller,
    })
}

/// Decodes a query's pairs in their order; a name without `=` has an empty value.
pub fn decode_query(query: &str) -> Result<Vec<(String, String)>, Fault> {
    let malformed = |what: &str| Fault::new(400, "MalformedQueryString", format!("The query string {what}."));
    let mut pairs = Vec::new();
    for pair in query.split('&').filter(|pair| !pair.is_empty()) {
        if pairs.len() == QUERY_PAIRS_MAX {
            return Err(malformed("has too many parameters"));
        }
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        let name = decode_query_part(name).map_err(|_| malformed("contains a syntax error"))?;
        let value = decode_query_part(value).map_err(|_| malformed("contains a syntax error"))?;
        if !PRESIGNED_NAMES.contains(&name.as_str()) {
            pairs.push((name, value));
        }
    }
    Ok(pairs)
}
