//! The MD5 digests by which clients see that a message arrived as they sent it.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use md5::{Digest as _, Md5};

use super::message::Attribute;

/// Lower-case hexadecimal MD5.
pub fn of_text(text: &[u8]) -> String {
    hex(&Md5::digest(text))
}

/// The digest over attributes (SQS developer guide, *Calculating the MD5 message digest for message attributes*):
/// sorted by name; name, type and value each with its length before it, the value behind a byte for its kind.
pub fn of_attributes<'a>(attributes: impl Iterator<Item = (&'a str, &'a Attribute)>) -> Option<String> {
    let mut hash = Md5::new();
    let mut sorted: Vec<_> = attributes.collect();
    if sorted.is_empty() {
        return None;
    }
    sorted.sort_unstable_by_key(|(name, _)| *name);
    for (name, attribute) in sorted {
        put(&mut hash, name.as_bytes());
        put(&mut hash, attribute.data_type.as_bytes());
        if attribute.is_binary() {
            hash.update([2]);
            put(&mut hash, &STANDARD.decode(&attribute.value).unwrap_or_default());
        } else {
            hash.update([1]);
            put(&mut hash, attribute.value.as_bytes());
        }
    }
    Some(hex(&hash.finalize()))
}

fn put(hash: &mut Md5, bytes: &[u8]) {
    hash.update(u32::try_from(bytes.len()).unwrap_or(u32::MAX).to_be_bytes());
    hash.update(bytes);
}

/// Lower-case hexadecimal.
pub fn hex(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let mut text = String::with_capacity(bytes.len() * 2);
    for byte in bytes {
        text.push(char::from(DIGITS[usize::from(byte >> 4)]));
        text.push(char::from(DIGITS[usize::from(byte & 15)]));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn digests_are_those_that_clients_compute() {
        assert_eq!(of_text(b"This is a test message"), "fafb00f5732ab283681e124bf8747ed1");
        let number = Attribute { data_type: "Number".into(), value: "230.000000000000000001".into() };
        // From the reference's own sample of SendMessage with one attribute of type String.
        let text = Attribute { data_type: "String".into(), value: "test_attribute_value_1".into() };
        let found = of_attributes([("test_attribute_name_1", &text)].into_iter()).unwrap();
        assert_eq!(found.len(), 32);
        assert_ne!(Some(found), of_attributes([("test_attribute_name_1", &number)].into_iter()));
        assert_eq!(of_attributes([].into_iter()), None);
    }
}
