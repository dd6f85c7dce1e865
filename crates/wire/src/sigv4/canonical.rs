//! The canonical request, of which a signature is made.
//!
//! One definition serves the signer and the verifier. What it keeps apart: `s3` and its relatives sign the path
//! as it is, encoded once; every other service signs the normalised path with its escapes encoded again.

use http::HeaderMap;

use crate::percent::{Broken, decode_bytes, encode_into};

/// Signing names whose paths are neither normalised nor encoded twice.
const PLAIN_PATH_SERVICES: [&str; 4] = ["s3", "s3express", "s3-object-lambda", "s3-outposts"];

/// The query parameter that can't be part of what it signs.
pub(super) const SIGNATURE_PARAMETER: &str = "X-Amz-Signature";

/// A header that the signature names and the request lacks, or holds as bytes that aren't UTF-8: to replace
/// those by something readable would let two different values bear one signature.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct HeaderUnusable;

/// What the canonical request is made of.
pub(super) struct Source<'a> {
    pub method: &'a str,
    pub path: &'a str,
    pub query: Option<&'a str>,
    pub headers: &'a HeaderMap,
    /// Stands in for an absent Host header: HTTP/2 sends the authority in the URI.
    pub authority: Option<&'a str>,
    /// Lower-case, sorted, each once.
    pub signed_headers: &'a [String],
    pub service: &'a str,
}

impl Source<'_> {
    /// Everything up to the payload's hash, which the caller appends.
    pub(super) fn head(&self) -> Result<String, HeaderUnusable> {
        let mut out = String::with_capacity(512);
        out.push_str(self.method);
        out.push('\n');
        path_into(&mut out, self.path, self.service);
        out.push('\n');
        query_into(&mut out, self.query.unwrap_or_default());
        out.push('\n');
        for name in self.signed_headers {
            out.push_str(name);
            out.push(':');
            self.header_into(&mut out, name)?;
            out.push('\n');
        }
        out.push('\n');
        for (i, name) in self.signed_headers.iter().enumerate() {
            if i > 0 {
                out.push(';');
            }
            out.push_str(name);
        }
        out.push('\n');
        Ok(out)
    }

    fn header_into(&self, out: &mut String, name: &str) -> Result<(), HeaderUnusable> {
        let mut values = self.headers.get_all(name).iter().peekable();
        if values.peek().is_none() {
            out.push_str(self.stand_in(name).ok_or(HeaderUnusable)?);
            return Ok(());
        }
        for (i, value) in values.enumerate() {
            if i > 0 {
                out.push(',');
            }
            folded_into(out, str::from_utf8(value.as_bytes()).map_err(|_| HeaderUnusable)?);
        }
        Ok(())
    }

    /// HTTP/1.1 and HTTP/2 name the host in different places; a signature may use either name for it.
    fn stand_in(&self, name: &str) -> Option<&str> {
        match name {
            "host" => self.authority,
            ":authority" => {
                self.authority.or_else(|| self.headers.get("host").and_then(|value| value.to_str().ok()))
            }
            _ => None,
        }
    }
}

/// Trims a value and makes one space of each run of white space.
fn folded_into(out: &mut String, text: &str) {
    let mut words = text.split([' ', '\t']).filter(|word| !word.is_empty());
    if let Some(first) = words.next() {
        out.push_str(first);
    }
    for word in words {
        out.push(' ');
        out.push_str(word);
    }
}

fn path_into(out: &mut String, path: &str, service: &str) {
    if PLAIN_PATH_SERVICES.contains(&service) {
        let decoded = decode_bytes(path.as_bytes(), false, Broken::Keep).unwrap_or_default();
        encode_into(out, if decoded.is_empty() { b"/" } else { &decoded }, true);
        return;
    }
    let mut segments: Vec<&str> = Vec::new();
    for segment in path.split('/') {
        match segment {
            "" | "." => {}
            ".." => {
                segments.pop();
            }
            other => segments.push(other),
        }
    }
    if segments.is_empty() {
        out.push('/');
        return;
    }
    for segment in &segments {
        out.push('/');
        encode_into(out, segment.as_bytes(), false);
    }
    if path.ends_with('/') {
        out.push('/');
    }
}

/// Decodes every pair and encodes it the one way, sorted by name and then value; drops the signature itself.
fn query_into(out: &mut String, query: &str) {
    let mut pairs: Vec<(String, String)> = query
        .split('&')
        .filter(|pair| !pair.is_empty())
        .map(|pair| {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            (recoded(name), recoded(value))
        })
        .filter(|(name, _)| name != SIGNATURE_PARAMETER)
        .collect();
    pairs.sort_unstable();
    for (i, (name, value)) in pairs.iter().enumerate() {
        if i > 0 {
            out.push('&');
        }
        out.push_str(name);
        out.push('=');
        out.push_str(value);
    }
}

fn recoded(text: &str) -> String {
    let decoded = decode_bytes(text.as_bytes(), true, Broken::Keep).unwrap_or_default();
    let mut out = String::with_capacity(text.len());
    encode_into(&mut out, &decoded, false);
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn path(text: &str, service: &str) -> String {
        let mut out = String::new();
        path_into(&mut out, text, service);
        out
    }

    fn query(text: &str) -> String {
        let mut out = String::new();
        query_into(&mut out, text);
        out
    }

    #[test]
    fn paths_are_normalised_and_encoded_twice_except_for_s3() {
        for (given, wanted) in [
            ("", "/"),
            ("/", "/"),
            ("//", "/"),
            ("/./", "/"),
            ("/foo/..", "/"),
            ("/foo/bar/../..", "/"),
            ("/../..", "/"),
            ("//example//", "/example/"),
            ("/./example", "/example"),
            ("/example%20space/", "/example%2520space/"),
            ("/ሴ", "/%E1%88%B4"),
        ] {
            assert_eq!(path(given, "service"), wanted, "{given}");
        }
        assert_eq!(path("/a//../b%20c", "s3"), "/a//../b%20c");
        assert_eq!(path("/a:b%3a", "s3"), "/a%3Ab%3A");
    }

    #[test]
    fn queries_are_sorted_and_encoded_the_one_way() {
        assert_eq!(query("b=2&a=1&a=0&c"), "a=0&a=1&b=2&c=");
        assert_eq!(query("a=b=c&&d=%2f+%7e"), "a=b%3Dc&d=%2F%20~");
        assert_eq!(query("X-Amz-Signature=x&a=%zz"), "a=%25zz");
    }

    #[test]
    fn header_values_are_trimmed_and_folded() {
        let mut out = String::new();
        folded_into(&mut out, "  a   b\t c \"x   y\" ");
        assert_eq!(out, "a b c \"x y\"");
    }
}
