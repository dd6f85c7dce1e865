//! What a message may be, and what is kept of it beside its body.

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize};

/// SQS developer guide, *Message quotas*.
pub const ATTRIBUTES_MAX: usize = 10;
/// SQS developer guide, *Message attribute components*: the name.
const ATTRIBUTE_NAME_CHARS_MAX: usize = 256;
/// The same page: type and custom label together.
const DATA_TYPE_BYTES_MAX: usize = 256;
/// SQS API, SendMessage: message group id and deduplication id.
pub const ORDER_ID_CHARS_MAX: usize = 128;

/// A message attribute. Binary values are kept in base64, as they came.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Attribute {
    #[serde(rename = "t")]
    pub data_type: String,
    #[serde(rename = "v")]
    pub value: String,
}

impl Attribute {
    pub fn is_binary(&self) -> bool {
        kind_of(&self.data_type) == "Binary"
    }

    /// What the attribute counts for in a message's size.
    fn bytes(&self) -> usize {
        let value = if self.is_binary() {
            STANDARD.decode(&self.value).map_or(self.value.len(), |bytes| bytes.len())
        } else {
            self.value.len()
        };
        self.data_type.len() + value
    }
}

pub type Attributes = BTreeMap<String, Attribute>;

/// What is handed out with a message's body.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Details {
    #[serde(rename = "s")]
    pub sender: String,
    #[serde(rename = "x", default, skip_serializing_if = "Option::is_none")]
    pub trace: Option<String>,
    #[serde(rename = "g", default, skip_serializing_if = "Option::is_none")]
    pub group: Option<String>,
    #[serde(rename = "d", default, skip_serializing_if = "Option::is_none")]
    pub dedup: Option<String>,
    #[serde(rename = "a", default, skip_serializing_if = "BTreeMap::is_empty")]
    pub attributes: Attributes,
}

/// The bytes that count against a queue's MaximumMessageSize: body and attributes.
pub fn size(body: &str, attributes: &Attributes) -> usize {
    body.len() + attributes.iter().map(|(name, attribute)| name.len() + attribute.bytes()).sum::<usize>()
}

/// The first character that a body may not have (SQS API, SendMessage: those that XML 1.0 has).
pub fn forbidden_character(body: &str) -> Option<char> {
    // Most bodies are plain text: bytes below a space and U+FFFE, U+FFFF are what is looked for.
    body.chars().find(
        |c| !matches!(c, '\t' | '\n' | '\r' | ' '..='\u{d7ff}' | '\u{e000}'..='\u{fffd}' | '\u{10000}'..),
    )
}

/// Letters, digits and punctuation (SQS API, SendMessage).
pub fn is_order_id(text: &str) -> bool {
    (1..=ORDER_ID_CHARS_MAX).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_graphic())
}

/// Why an attribute is refused, in the reference's words.
pub fn check_attribute(name: &str, attribute: &Attribute) -> Result<(), String> {
    let is_name = (1..=ATTRIBUTE_NAME_CHARS_MAX).contains(&name.len())
        && name.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-' | b'.'))
        && !name.starts_with('.')
        && !name.ends_with('.')
        && !name.contains("..");
    if !is_name {
        return Err(format!(
            "The message attribute name '{}' is invalid. Attribute name can contain A-Z, a-z, 0-9, underscore (_), \
             hyphen (-), and period (.) characters.",
            shown(name)
        ));
    }
    let lower = name.to_ascii_lowercase();
    if lower.starts_with("aws.") || lower.starts_with("amazon.") {
        return Err(
            "You can't use message attribute names beginning with 'AWS.' or 'Amazon.'. These strings are \
                    reserved for internal use."
                .to_owned(),
        );
    }
    let data_type = attribute.data_type.as_str();
    if data_type.is_empty() {
        return Err(format!(
            "The message attribute '{name}' must contain a non-empty message attribute type."
        ));
    }
    let kind = kind_of(data_type);
    if !matches!(kind, "String" | "Number" | "Binary") || data_type.len() > DATA_TYPE_BYTES_MAX {
        return Err(format!(
            "The message attribute '{name}' has an invalid message attribute type, the set of supported type \
             prefixes is Binary, Number, and String."
        ));
    }
    if attribute.value.is_empty() {
        return Err(format!(
            "The message attribute '{name}' must contain a non-empty message attribute value for message attribute \
             type '{data_type}'."
        ));
    }
    match kind {
        "Number" if !is_number(&attribute.value) => {
            Err(format!("Can't cast the value of message (user) attribute '{name}' to a number."))
        }
        "String" if forbidden_character(&attribute.value).is_some() => {
            Err(format!("The message attribute '{name}' contains characters outside the allowed set."))
        }
        _ => Ok(()),
    }
}

fn kind_of(data_type: &str) -> &str {
    data_type.split_once('.').map_or(data_type, |(kind, _)| kind)
}

/// Up to 38 digits between -10^128 and 10^126 (SQS developer guide, *Message attribute data types*).
fn is_number(text: &str) -> bool {
    let digits = text.bytes().filter(u8::is_ascii_digit).count();
    let is_plain = text.bytes().all(|b| b.is_ascii_digit() || matches!(b, b'+' | b'-' | b'.' | b'e' | b'E'));
    let in_range = text.parse::<f64>().is_ok_and(|number| (-1e128..=1e126).contains(&number));
    (1..=41).contains(&digits) && is_plain && in_range
}

/// Which attributes a receiver asked for: names, `All`, `.*`, or a prefix with `.*` behind it.
pub fn is_asked_for(asked: &[&str], name: &str) -> bool {
    asked.iter().any(|asked| match asked.strip_suffix(".*") {
        Some(prefix) => prefix.is_empty() || name.starts_with(prefix),
        None => *asked == "All" || *asked == name,
    })
}

pub fn shown(text: &str) -> String {
    text.chars().take(200).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn attribute(data_type: &str, value: &str) -> Attribute {
        Attribute { data_type: data_type.into(), value: value.into() }
    }

    #[test]
    fn attributes_outside_their_rules_are_refused() {
        for (name, data_type, value, is_good) in [
            ("a", "String", "x", true),
            ("a.b-c_1", "String.label", "x", true),
            ("a", "Number", "-1.5e3", true),
            ("a", "Binary", "AAEC", true),
            ("", "String", "x", false),
            ("a b", "String", "x", false),
            ("a..b", "String", "x", false),
            (".a", "String", "x", false),
            ("AWS.a", "String", "x", false),
            ("a", "", "x", false),
            ("a", "Text", "x", false),
            ("a", "String", "", false),
            ("a", "Number", "one", false),
            ("a", "Number", "inf", false),
            ("a", "String", "\u{1}", false),
        ] {
            assert_eq!(
                check_attribute(name, &attribute(data_type, value)).is_ok(),
                is_good,
                "{name} {data_type}"
            );
        }
    }

    #[test]
    fn size_is_body_names_types_and_values() {
        let attributes = [("name".to_owned(), attribute("Binary", "AAEC"))].into();
        assert_eq!(size("body", &attributes), 4 + 4 + 6 + 3);
    }

    #[test]
    fn names_are_asked_for_by_prefix_too() {
        assert!(is_asked_for(&["All"], "a") && is_asked_for(&[".*"], "a") && is_asked_for(&["fo.*"], "foo"));
        assert!(!is_asked_for(&["fo.*", "b"], "bar") && !is_asked_for(&[], "a"));
    }

    #[test]
    fn characters_that_xml_has_not_are_found() {
        assert_eq!(forbidden_character("a\t\r\n\u{10ffff}ü"), None);
        assert_eq!(forbidden_character("a\u{0}"), Some('\u{0}'));
        assert_eq!(forbidden_character("\u{fffe}"), Some('\u{fffe}'));
    }
}
