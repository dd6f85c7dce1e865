//! What a message may be.

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use lambent_store::topics::FifoSettings;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use sha2::{Digest as _, Sha256};

/// SNS developer guide, *Message attributes*: the name.
const ATTRIBUTE_NAME_CHARS_MAX: usize = 256;
/// SNS API, Publish: the subject is shorter than 100 characters; the service takes 100.
const SUBJECT_CHARS_MAX: usize = 100;
/// SNS API, Publish: message group id.
const GROUP_CHARS_MAX: usize = 128;

/// Of the names of FIFO topics and queues.
pub const FIFO_SUFFIX: &str = ".fifo";

/// A message attribute. Binary values are kept in base64, as they came.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Attribute {
    pub data_type: String,
    pub value: String,
}

pub type Attributes = BTreeMap<String, Attribute>;

/// A message as it was published.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Message {
    pub subject: Option<String>,
    /// By protocol where the sender made a difference, with `default`.
    pub texts: Texts,
    pub attributes: Attributes,
    pub group: Option<String>,
    /// By which a FIFO topic tells messages apart.
    pub dedup: Option<String>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Texts {
    One(String),
    ByProtocol(BTreeMap<String, String>),
}

impl Default for Texts {
    fn default() -> Self {
        Self::One(String::new())
    }
}

impl Texts {
    /// MessageStructure `json`: texts by protocol, `default` among them.
    pub fn by_protocol(message: &str) -> Result<Self, &'static str> {
        let parsed = lambent_wire::json::parse_value(message.as_bytes());
        let Ok(Value::Object(members)) = parsed else {
            return Err("Message Structure - JSON message body failed to parse");
        };
        let texts: BTreeMap<String, String> = members
            .into_iter()
            .filter_map(|(protocol, value)| match value {
                Value::String(text) => Some((protocol, text)),
                _ => None,
            })
            .collect();
        if !texts.contains_key("default") {
            return Err("Message Structure - No default entry in JSON message body");
        }
        Ok(Self::ByProtocol(texts))
    }

    pub fn of(&self, protocol: &str) -> &str {
        match self {
            Self::One(text) => text,
            Self::ByProtocol(texts) => {
                texts.get(protocol).or_else(|| texts.get("default")).map_or("", String::as_str)
            }
        }
    }
}

/// UTF-8 text without line breaks and control characters.
pub fn is_subject(text: &str) -> bool {
    (1..=SUBJECT_CHARS_MAX).contains(&text.chars().count()) && !text.chars().any(char::is_control)
}

/// SequenceNumber: twenty digits.
pub fn sequence(number: u64) -> String {
    const FIRST: u64 = 10_000_000_000_000_000_000;
    FIRST.saturating_add(number).to_string()
}

/// MessageGroupId and MessageDeduplicationId, the latter made of the text where the topic does so. Refusals are in the
/// reference's words.
pub fn order(
    fifo: Option<FifoSettings>,
    text: &str,
    group: Option<String>,
    dedup: Option<String>,
) -> Result<(Option<String>, Option<String>), String> {
    for (name, value) in [("MessageGroupId", &group), ("MessageDeduplicationId", &dedup)] {
        if value.as_ref().is_some_and(|value| !is_group(value)) {
            return Err(format!(
                "{name} Reason: {name} can only include alphanumeric and punctuation characters. 1 to 128 in length"
            ));
        }
    }
    let Some(fifo) = fifo else {
        return match dedup {
            None => Ok((group, None)),
            Some(_) => Err(
                "MessageDeduplicationId Reason: The request includes MessageDeduplicationId parameter that \
                            is not valid for this topic type"
                    .to_owned(),
            ),
        };
    };
    if group.is_none() {
        return Err("The MessageGroupId parameter is required for FIFO topics".to_owned());
    }
    let of_content = || fifo.by_content.then(|| hex(&Sha256::digest(text)));
    match dedup.or_else(of_content) {
        Some(dedup) => Ok((group, Some(dedup))),
        None => {
            Err("The topic should either have ContentBasedDeduplication enabled or MessageDeduplicationId \
                     provided explicitly"
                .to_owned())
        }
    }
}

/// In lower case.
pub fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Letters, digits and punctuation: a group, or what messages are told apart by.
fn is_group(text: &str) -> bool {
    (1..=GROUP_CHARS_MAX).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_graphic())
}

/// The bytes that count against the largest message: the text and all of the attributes.
pub fn size(text: &str, attributes: &Attributes) -> usize {
    let of = |(name, attribute): (&String, &Attribute)| {
        let value = match kind(&attribute.data_type) {
            "Binary" => STANDARD.decode(&attribute.value).map_or(attribute.value.len(), |bytes| bytes.len()),
            _ => attribute.value.len(),
        };
        name.len() + attribute.data_type.len() + value
    };
    text.len() + attributes.iter().map(of).sum::<usize>()
}

/// `String`, `Number`, `Binary`; what stands behind a period is the sender's own.
fn kind(data_type: &str) -> &str {
    data_type.split_once('.').map_or(data_type, |(kind, _)| kind)
}

/// Reads an attribute's value out of the members that it came with. Refusals are in the reference's words.
pub fn attribute(
    name: &str,
    data_type: &str,
    text: Option<&str>,
    binary: Option<&str>,
) -> Result<Attribute, String> {
    let is_name = (1..=ATTRIBUTE_NAME_CHARS_MAX).contains(&name.len())
        && name.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-' | b'.'))
        && !name.starts_with('.')
        && !name.ends_with('.')
        && !name.contains("..");
    let lower = name.to_ascii_lowercase();
    if !is_name || lower.starts_with("aws.") || lower.starts_with("amazon.") {
        let shown: String = name.chars().take(ATTRIBUTE_NAME_CHARS_MAX).collect();
        return Err(format!("Invalid attribute name: {shown}"));
    }
    if data_type.is_empty() {
        return Err(format!("The message attribute '{name}' must contain non-empty message attribute type."));
    }
    let kind = kind(data_type);
    let (value, other) = match kind {
        "String" | "Number" => (text, binary),
        "Binary" => (binary, text),
        _ => {
            return Err(format!(
                "The message attribute '{name}' has an invalid message attribute type, the set of supported type \
                 prefixes is Binary, Number, and String."
            ));
        }
    };
    let Some(value) = value.filter(|value| !value.is_empty() && other.is_none()) else {
        return Err(format!(
            "The message attribute '{name}' with type '{kind}' must use field '{kind}'.",
            kind = if kind == "Number" { "String" } else { kind }
        ));
    };
    match kind {
        "Number" if !is_number(value) => {
            return Err(format!("Could not cast message attribute '{name}' value to number."));
        }
        "Binary" if STANDARD.decode(value).is_err() => {
            return Err(format!("The message attribute '{name}' is not valid base64."));
        }
        _ => {}
    }
    Ok(Attribute { data_type: data_type.to_owned(), value: value.to_owned() })
}

fn is_number(text: &str) -> bool {
    text.parse::<f64>().is_ok_and(f64::is_finite)
}

/// The attributes as filters see them: a text, a number, or a list of plain values. Binary ones they do not see.
pub fn for_filters(attributes: &Attributes) -> Map<String, Value> {
    let value = |attribute: &Attribute| match attribute.data_type.as_str() {
        "String.Array" => match lambent_wire::json::parse_value(attribute.value.as_bytes()) {
            Ok(Value::Array(items)) => {
                let plain = |item: &Value| !item.is_array() && !item.is_object();
                Some(items.into_iter().filter(plain).collect())
            }
            // As the reference says of a list: a plain value may stand for one of one.
            Ok(plain @ (Value::String(_) | Value::Number(_) | Value::Bool(_) | Value::Null)) => Some(plain),
            _ => Some(Value::from(attribute.value.as_str())),
        },
        data_type => match kind(data_type) {
            "Number" => attribute.value.parse::<f64>().ok().map(Value::from),
            "String" => Some(Value::from(attribute.value.as_str())),
            _ => None,
        },
    };
    attributes.iter().filter_map(|(name, found)| Some((name.clone(), value(found)?))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn attributes_outside_their_rules_are_refused() {
        for (name, data_type, text, binary, is_good) in [
            ("a", "String", Some("x"), None, true),
            ("a.b-c_1", "String.Array", Some("[]"), None, true),
            ("a", "Number", Some("-1.5e3"), None, true),
            ("a", "Binary", None, Some("AAEC"), true),
            ("", "String", Some("x"), None, false),
            ("a b", "String", Some("x"), None, false),
            ("a..b", "String", Some("x"), None, false),
            ("AWS.a", "String", Some("x"), None, false),
            ("a", "", Some("x"), None, false),
            ("a", "Text", Some("x"), None, false),
            ("a", "String", Some(""), None, false),
            ("a", "String", None, Some("AAEC"), false),
            ("a", "String", Some("x"), Some("AAEC"), false),
            ("a", "Number", Some("one"), None, false),
            ("a", "Number", Some("inf"), None, false),
            ("a", "Binary", None, Some("%"), false),
        ] {
            assert_eq!(
                attribute(name, data_type, text, binary).is_ok(),
                is_good,
                "{name} {data_type} {text:?}"
            );
        }
    }

    #[test]
    fn each_protocol_gets_its_text_and_the_others_the_default() {
        let texts = Texts::by_protocol(r#"{"default":"d","sqs":"q","email":5}"#).unwrap();
        assert_eq!((texts.of("sqs"), texts.of("lambda"), texts.of("email")), ("q", "d", "d"));
        assert!(Texts::by_protocol(r#"{"sqs":"q"}"#).is_err() && Texts::by_protocol("[]").is_err());
    }

    #[test]
    fn subjects_have_one_line_and_a_hundred_characters() {
        assert!(is_subject("ü") && is_subject(&"x".repeat(100)));
        assert!(!is_subject("") && !is_subject("a\nb") && !is_subject(&"x".repeat(101)));
    }

    #[test]
    fn size_counts_text_names_types_and_values() {
        let binary = attribute("name", "Binary", None, Some("AAEC")).unwrap();
        assert_eq!(size("text", &[("name".to_owned(), binary)].into()), 4 + 4 + 6 + 3);
    }
}
