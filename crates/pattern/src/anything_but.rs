//! `anything-but`: a value that is there and is none of these.

use serde_json::{Number, Value};

use super::test::{ends_with_ignoring_case, equals_ignoring_case, same_number, starts_with_ignoring_case};
use super::wildcard::Wildcard;

#[derive(Debug, Clone, PartialEq)]
pub(super) enum AnythingBut {
    Texts(Vec<Box<str>>),
    Numbers(Vec<Number>),
    Prefixes(Vec<Box<str>>),
    Suffixes(Vec<Box<str>>),
    /// These three hold their texts in lower case.
    PrefixesIgnoreCase(Vec<Box<str>>),
    SuffixesIgnoreCase(Vec<Box<str>>),
    EqualsIgnoreCase(Vec<Box<str>>),
    Wildcards(Vec<Wildcard>),
}

impl AnythingBut {
    /// A value of another kind is something else too.
    pub(super) fn passes(&self, value: &Value) -> bool {
        let none = |texts: &[Box<str>], is: &dyn Fn(&str, &str) -> bool| {
            value.as_str().is_none_or(|found| !texts.iter().any(|text| is(found, text)))
        };
        match self {
            Self::Texts(texts) => none(texts, &|found, text| found == text),
            Self::Prefixes(texts) => none(texts, &|found, text| found.starts_with(text)),
            Self::Suffixes(texts) => none(texts, &|found, text| found.ends_with(text)),
            Self::PrefixesIgnoreCase(texts) => none(texts, &starts_with_ignoring_case),
            Self::SuffixesIgnoreCase(texts) => none(texts, &ends_with_ignoring_case),
            Self::EqualsIgnoreCase(texts) => none(texts, &equals_ignoring_case),
            Self::Numbers(numbers) => match value {
                Value::Number(found) => !numbers.iter().any(|number| same_number(number, found)),
                _ => true,
            },
            Self::Wildcards(wildcards) => {
                value.as_str().is_none_or(|found| !wildcards.iter().any(|wildcard| wildcard.matches(found)))
            }
        }
    }
}
