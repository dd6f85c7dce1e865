//! Markers: where the next page of a list begins, in a form that callers don't read.
//!
//! A marker is base64 of a version, a checksum and the place, which is any text that the service can go on from
//! (usually the last name of the page before). It is bound to the list that gave it out, by a scope such as
//! `lambda.ListFunctions` with whatever filters the list was asked with.
//!
//! What this is not: a secret or a permission. The checksum tells a damaged or foreign marker from a good one; a
//! caller who computes one reaches no more than the list itself would have shown.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use sha2::{Digest, Sha256};

use crate::Fault;

/// The longest marker that is read. Ours: a place is a name or two.
pub const MARKER_BYTES_MAX: usize = 4_096;

const VERSION: u8 = 1;
const CHECKSUM_BYTES: usize = 8;

/// A marker that this node didn't give out for this list.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the marker is not one of this list's")]
pub struct InvalidMarker;

impl InvalidMarker {
    /// A 400 in the words of the service: its code, and its name for the member.
    pub fn into_fault(self, code: &'static str, member: &str) -> Fault {
        Fault::new(400, code, format!("The specified {member} is invalid."))
    }
}

/// The marker of a place in a list.
pub fn encode(scope: &str, place: &str) -> String {
    let mut bytes = vec![VERSION];
    bytes.extend_from_slice(&checksum(scope, place));
    bytes.extend_from_slice(place.as_bytes());
    URL_SAFE_NO_PAD.encode(bytes)
}

/// The place that a marker names. Refuses any other text, and a marker of another list.
pub fn decode(scope: &str, marker: &str) -> Result<String, InvalidMarker> {
    if marker.len() > MARKER_BYTES_MAX {
        return Err(InvalidMarker);
    }
    let bytes = URL_SAFE_NO_PAD.decode(marker).map_err(|_| InvalidMarker)?;
    let Some((&[VERSION], rest)) = bytes.split_first_chunk::<1>() else { return Err(InvalidMarker) };
    let (sum, place) = rest.split_first_chunk::<CHECKSUM_BYTES>().ok_or(InvalidMarker)?;
    let place = str::from_utf8(place).map_err(|_| InvalidMarker)?;
    if *sum == checksum(scope, place) { Ok(place.to_owned()) } else { Err(InvalidMarker) }
}

/// The first bytes of a hash; the length keeps scope and place from running into each other.
fn checksum(scope: &str, place: &str) -> [u8; CHECKSUM_BYTES] {
    let mut hash = Sha256::new();
    hash.update(b"lambent marker");
    hash.update((scope.len() as u64).to_be_bytes());
    hash.update(scope);
    hash.update(place);
    let digest: [u8; 32] = hash.finalize().into();
    std::array::from_fn(|i| digest[i])
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_marker_of_another_list_is_refused() {
        let marker = encode("lambda.ListFunctions", "name");
        assert_eq!(decode("lambda.ListFunctions", &marker).as_deref(), Ok("name"));
        assert_eq!(decode("lambda.ListAliases", &marker), Err(InvalidMarker));
        let fault = InvalidMarker.into_fault("InvalidParameterException", "nextToken");
        assert_eq!(fault.message, "The specified nextToken is invalid.");
    }

    #[test]
    fn other_texts_are_refused() {
        for bad in ["", "name", "AA", "====", &"A".repeat(MARKER_BYTES_MAX + 1)] {
            assert_eq!(decode("s", bad), Err(InvalidMarker), "{bad}");
        }
    }

    proptest! {
        #[test]
        fn a_marker_reads_back_and_a_changed_one_does_not(
            place in ".{0,30}", at in any::<prop::sample::Index>(), to in "[A-Za-z0-9_-]",
        ) {
            let marker = encode("s", &place);
            prop_assert_eq!(decode("s", &marker), Ok(place));
            let at = at.index(marker.len());
            let changed = format!("{}{to}{}", &marker[..at], &marker[at + 1..]);
            if changed != marker {
                prop_assert_eq!(decode("s", &changed), Err(InvalidMarker));
            }
        }

        #[test]
        fn no_text_makes_decoding_panic(text in ".{0,40}") {
            let _ = decode("s", &text);
        }
    }
}
