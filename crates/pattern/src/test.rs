//! The tests of a plain value.

use serde_json::{Number, Value};

use super::anything_but::AnythingBut;
use super::cidr::Cidr;
use super::wildcard::Wildcard;

#[derive(Debug, Clone, PartialEq)]
pub(super) enum Test {
    Null,
    Flag(bool),
    Number(Number),
    Text(Box<str>),
    Prefix(Box<str>),
    Suffix(Box<str>),
    /// These three hold their text in lower case.
    PrefixIgnoreCase(Box<str>),
    SuffixIgnoreCase(Box<str>),
    EqualsIgnoreCase(Box<str>),
    Wildcard(Wildcard),
    Numeric(Range),
    Cidr(Cidr),
    Exists,
    Absent,
    AnythingBut(AnythingBut),
}

/// A range of numbers. A side that is not there has no bound.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub(super) struct Range {
    pub low: Option<Bound>,
    pub high: Option<Bound>,
}

#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Bound {
    pub value: f64,
    pub is_in: bool,
}

impl Range {
    fn has(&self, number: f64) -> bool {
        self.low.is_none_or(|low| number > low.value || (low.is_in && number == low.value))
            && self.high.is_none_or(|high| number < high.value || (high.is_in && number == high.value))
    }
}

impl Test {
    /// Whether a value that is neither an array nor an object passes.
    pub(super) fn passes(&self, value: &Value) -> bool {
        let text = |fits: &dyn Fn(&str) -> bool| value.as_str().is_some_and(fits);
        match self {
            Self::Null => value.is_null(),
            Self::Flag(flag) => value.as_bool() == Some(*flag),
            Self::Number(wanted) => matches!(value, Value::Number(found) if same_number(wanted, found)),
            Self::Text(wanted) => text(&|found| *found == **wanted),
            Self::Prefix(prefix) => text(&|found| found.starts_with(&**prefix)),
            Self::Suffix(suffix) => text(&|found| found.ends_with(&**suffix)),
            Self::PrefixIgnoreCase(prefix) => text(&|found| starts_with_ignoring_case(found, prefix)),
            Self::SuffixIgnoreCase(suffix) => text(&|found| ends_with_ignoring_case(found, suffix)),
            Self::EqualsIgnoreCase(wanted) => text(&|found| equals_ignoring_case(found, wanted)),
            Self::Wildcard(wildcard) => text(&|found| wildcard.matches(found)),
            Self::Numeric(range) => value.as_f64().is_some_and(|number| range.has(number)),
            Self::Cidr(cidr) => text(&|found| cidr.has(found)),
            Self::Exists => true,
            Self::Absent => false,
            Self::AnythingBut(but) => but.passes(value),
        }
    }
}

/// Numbers beyond the precision of a double are told apart where both are whole.
pub(super) fn same_number(a: &Number, b: &Number) -> bool {
    match (a.as_i64(), b.as_i64()) {
        (Some(a), Some(b)) => a == b,
        _ => match (a.as_u64(), b.as_u64()) {
            (Some(a), Some(b)) => a == b,
            _ => a.as_f64() == b.as_f64(),
        },
    }
}

pub(super) fn lower(text: &str) -> Box<str> {
    text.chars().flat_map(char::to_lowercase).collect::<String>().into()
}

/// `lower` is in lower case, as in the two below.
pub(super) fn equals_ignoring_case(text: &str, lower: &str) -> bool {
    text.chars().flat_map(char::to_lowercase).eq(lower.chars())
}

pub(super) fn starts_with_ignoring_case(text: &str, lower: &str) -> bool {
    let mut found = text.chars().flat_map(char::to_lowercase);
    lower.chars().all(|wanted| found.next() == Some(wanted))
}

pub(super) fn ends_with_ignoring_case(text: &str, lower: &str) -> bool {
    let mut found = text.chars().rev().flat_map(|c| c.to_lowercase().rev());
    lower.chars().rev().all(|wanted| found.next() == Some(wanted))
}
