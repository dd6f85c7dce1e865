//! Percent-encoding as AWS signs it (RFC 3986, unreserved characters kept) and strict decoding.
//!
//! What this is not: it splits nothing. Callers take a path's segments or a query's pairs apart first, so that
//! an encoded `/` or `&` never becomes a separator.

use std::borrow::Cow;

const UPPER_HEX: &[u8; 16] = b"0123456789ABCDEF";

/// A text that isn't the percent-encoding of UTF-8.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// A `%` without two hexadecimal digits behind it.
    #[error("a percent sign without two hexadecimal digits")]
    Truncated,
    /// The decoded bytes aren't UTF-8.
    #[error("the decoded bytes are not UTF-8")]
    NotUtf8,
}

/// Appends `bytes` with everything but `A-Z a-z 0-9 - . _ ~` encoded; `/` stays when `keep_slash`.
pub fn encode_into(out: &mut String, bytes: &[u8], keep_slash: bool) {
    for &byte in bytes {
        let unreserved = byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~');
        if unreserved || (keep_slash && byte == b'/') {
            out.push(char::from(byte));
        } else {
            out.push('%');
            out.push(char::from(UPPER_HEX[usize::from(byte >> 4)]));
            out.push(char::from(UPPER_HEX[usize::from(byte & 15)]));
        }
    }
}

/// The encoded form of a text, `/` included.
pub fn encode(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 8);
    encode_into(&mut out, text.as_bytes(), false);
    out
}

/// Decodes a path segment; `+` is itself. Refuses a broken escape and bytes that aren't UTF-8.
pub fn decode_segment(text: &str) -> Result<String, Error> {
    decode(text, false)
}

/// Decodes a query's name or value; `+` is a space, as forms write it. Refuses what a segment refuses.
pub fn decode_query_part(text: &str) -> Result<String, Error> {
    decode(text, true)
}

fn decode(text: &str, plus_is_space: bool) -> Result<String, Error> {
    let bytes = decode_bytes(text.as_bytes(), plus_is_space, Broken::Refuse).ok_or(Error::Truncated)?;
    String::from_utf8(bytes.into_owned()).map_err(|_| Error::NotUtf8)
}

/// What becomes of a `%` that no two digits follow.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Broken {
    Keep,
    Refuse,
}

/// Decodes bytes; `None` only for a broken escape under [`Broken::Refuse`].
pub(crate) fn decode_bytes(bytes: &[u8], plus_is_space: bool, broken: Broken) -> Option<Cow<'_, [u8]>> {
    if !bytes.iter().any(|&b| b == b'%' || (plus_is_space && b == b'+')) {
        return Some(Cow::Borrowed(bytes));
    }
    let mut out = Vec::with_capacity(bytes.len());
    let mut rest = bytes;
    while let Some((&first, tail)) = rest.split_first() {
        rest = tail;
        match first {
            b'%' => match tail {
                [high, low, after @ ..] if high.is_ascii_hexdigit() && low.is_ascii_hexdigit() => {
                    out.push(nibble(*high) << 4 | nibble(*low));
                    rest = after;
                }
                _ if broken == Broken::Refuse => return None,
                _ => out.push(b'%'),
            },
            b'+' if plus_is_space => out.push(b' '),
            other => out.push(other),
        }
    }
    Some(Cow::Owned(out))
}

fn nibble(digit: u8) -> u8 {
    match digit {
        b'0'..=b'9' => digit - b'0',
        b'a'..=b'f' => digit - b'a' + 10,
        _ => digit.wrapping_sub(b'A').wrapping_add(10),
    }
}

/// Lower-case hexadecimal.
pub(crate) fn hex(bytes: &[u8]) -> String {
    const LOWER_HEX: &[u8; 16] = b"0123456789abcdef";
    let mut out = String::with_capacity(bytes.len() * 2);
    for byte in bytes {
        out.push(char::from(LOWER_HEX[usize::from(byte >> 4)]));
        out.push(char::from(LOWER_HEX[usize::from(byte & 15)]));
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_plus_is_a_space_only_in_a_query() {
        assert_eq!(decode_segment("a+b%20c").unwrap(), "a+b c");
        assert_eq!(decode_query_part("a+b%2Bc").unwrap(), "a b+c");
    }

    #[test]
    fn broken_escapes_and_bad_utf8_are_refused() {
        for bad in ["%", "%4", "%zz", "a%4", "%%41"] {
            assert_eq!(decode_segment(bad), Err(Error::Truncated), "{bad}");
        }
        assert_eq!(decode_segment("%ff"), Err(Error::NotUtf8));
    }

    proptest! {
        #[test]
        fn whatever_was_encoded_reads_back(text in ".*") {
            prop_assert_eq!(decode_segment(&encode(&text)).unwrap(), text.clone());
            prop_assert_eq!(decode_query_part(&encode(&text)).unwrap(), text);
        }
    }
}
