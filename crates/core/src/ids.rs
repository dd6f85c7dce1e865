//! Identifiers: each is a type of its own, so that one can't be passed for another.

use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::limits;
use crate::ports::Entropy;

/// Why a text is not the identifier that it was offered as.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{text:?} is not a valid {what}")]
pub struct InvalidId {
    pub what: &'static str,
    pub text: String,
}

macro_rules! text_id {
    ($(#[$doc:meta])* $name:ident, $what:literal, $valid:expr) => {
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(try_from = "String", into = "String")]
        pub struct $name(Arc<str>);

        impl $name {
            /// Takes the text, or says that it is not of the right form.
            pub fn new(text: impl AsRef<str>) -> Result<Self, InvalidId> {
                let text = text.as_ref();
                let valid: fn(&str) -> bool = $valid;
                if valid(text) {
                    Ok(Self(Arc::from(text)))
                } else {
                    Err(InvalidId { what: $what, text: text.chars().take(200).collect() })
                }
            }

            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl TryFrom<String> for $name {
            type Error = InvalidId;
            fn try_from(text: String) -> Result<Self, InvalidId> {
                Self::new(text)
            }
        }

        impl From<$name> for String {
            fn from(id: $name) -> String {
                id.0.to_string()
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{:?}", &*self.0)
            }
        }
    };
}

text_id!(
    /// An account: twelve decimal digits.
    AccountId, "account id", |t| t.len() == 12 && t.bytes().all(|b| b.is_ascii_digit())
);
text_id!(
    /// A region name such as `eu-west-1`. Any well-formed name is a region: the node serves them all.
    Region, "region", |t| (1..=32).contains(&t.len())
        && t.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
);
text_id!(
    /// A function's bare name: 1 to 64 letters, digits, `-` and `_`.
    FunctionName, "function name", |t| (1..=limits::FUNCTION_NAME_CHARS_MAX).contains(&t.len())
        && t.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_')
);
text_id!(
    /// SHA-256 of a package's bytes in lower-case hex: the name of its folder and its blob.
    CodeDigest, "code digest", |t| t.len() == 64 && t.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'))
);
text_id!(
    /// A UUID in its usual form. Names one state of a function's configuration.
    RevisionId, "revision id", is_uuid
);
text_id!(
    /// A UUID in its usual form. Names one request to the platform.
    RequestId, "request id", is_uuid
);
text_id!(
    /// A queue's name: 1 to 80 letters, digits, `-` and `_`; a FIFO queue's ends in `.fifo`, which counts.
    QueueName, "queue name", |t| {
        let plain = t.strip_suffix(FIFO_SUFFIX).unwrap_or(t);
        !plain.is_empty() && t.len() <= limits::QUEUE_NAME_CHARS_MAX
            && plain.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_')
    }
);
text_id!(
    /// A UUID in its usual form. Names one message of a queue, in all queues that it comes to.
    MessageId, "message id", is_uuid
);

const FIFO_SUFFIX: &str = ".fifo";

impl QueueName {
    /// Whether the name is one of a FIFO queue: no other queue may have such a name.
    pub fn is_fifo(&self) -> bool {
        self.0.ends_with(FIFO_SUFFIX)
    }
}

impl MessageId {
    pub fn random(entropy: &dyn Entropy) -> Self {
        Self::new(uuid(entropy)).expect("uuid() makes UUIDs")
    }
}

fn is_uuid(text: &str) -> bool {
    text.len() == 36
        && text.bytes().enumerate().all(|(i, b)| match i {
            8 | 13 | 18 | 23 => b == b'-',
            _ => b.is_ascii_hexdigit(),
        })
}

/// A random (version 4) UUID drawn from `entropy`.
pub fn uuid(entropy: &dyn Entropy) -> String {
    let mut bytes = [0u8; 16];
    entropy.fill(&mut bytes);
    bytes[6] = (bytes[6] & 0x0f) | 0x40;
    bytes[8] = (bytes[8] & 0x3f) | 0x80;
    let mut text = String::with_capacity(36);
    for (i, byte) in bytes.iter().enumerate() {
        if matches!(i, 4 | 6 | 8 | 10) {
            text.push('-');
        }
        text.push(char::from_digit(u32::from(byte >> 4), 16).expect("a nibble is a hex digit"));
        text.push(char::from_digit(u32::from(byte & 15), 16).expect("a nibble is a hex digit"));
    }
    text
}

impl RequestId {
    pub fn random(entropy: &dyn Entropy) -> Self {
        Self::new(uuid(entropy)).expect("uuid() makes UUIDs")
    }
}

impl RevisionId {
    pub fn random(entropy: &dyn Entropy) -> Self {
        Self::new(uuid(entropy)).expect("uuid() makes UUIDs")
    }
}

/// A function's version: the changeable `$LATEST`, or a published number that never changes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum Version {
    Latest,
    Published(u64),
}

impl Version {
    pub fn parse(text: &str) -> Option<Self> {
        if text == "$LATEST" {
            return Some(Self::Latest);
        }
        let digits = !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
        digits.then(|| text.parse().ok().map(Self::Published)).flatten()
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Latest => f.write_str("$LATEST"),
            Self::Published(number) => write!(f, "{number}"),
        }
    }
}

impl TryFrom<String> for Version {
    type Error = InvalidId;
    fn try_from(text: String) -> Result<Self, InvalidId> {
        Self::parse(&text).ok_or(InvalidId { what: "version", text })
    }
}

impl From<Version> for String {
    fn from(version: Version) -> String {
        version.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Counting;
    impl Entropy for Counting {
        fn fill(&self, buffer: &mut [u8]) {
            for (i, b) in buffer.iter_mut().enumerate() {
                *b = i as u8;
            }
        }
    }

    #[test]
    fn a_uuid_has_its_version_and_variant() {
        assert_eq!(uuid(&Counting), "00010203-0405-4607-8809-0a0b0c0d0e0f");
        assert!(RequestId::new(uuid(&Counting)).is_ok());
    }

    #[test]
    fn names_outside_their_alphabet_are_refused() {
        for bad in ["", "a b", "a/b", "ü", "a:b", &"a".repeat(65)] {
            assert!(FunctionName::new(bad).is_err(), "{bad}");
        }
        for bad in ["", "12345678901", "12345678901a", "1234567890123"] {
            assert!(AccountId::new(bad).is_err(), "{bad}");
        }
        assert!(CodeDigest::new("A".repeat(64)).is_err());
    }

    #[test]
    fn a_version_is_latest_or_a_number() {
        assert_eq!(Version::parse("$LATEST"), Some(Version::Latest));
        assert_eq!(Version::parse("12"), Some(Version::Published(12)));
        for bad in ["", "latest", "-1", "1x", "99999999999999999999999"] {
            assert_eq!(Version::parse(bad), None, "{bad}");
        }
    }
}
