//! The tests of a plain value.

use std::net::IpAddr;

use serde_json::Value;

/// Developer guide, *Filter policy constraints*: five digits of accuracy behind the point.
const DIGITS: f64 = 1e5;

/// A number as far as filters tell numbers apart.
#[derive(Debug, Clone, Copy, PartialEq, PartialOrd)]
pub(super) struct Number(f64);

impl Number {
    pub(super) fn new(number: f64) -> Self {
        Self((number * DIGITS).round())
    }
}

#[derive(Debug, Clone, PartialEq)]
pub(super) enum Test {
    Null,
    Flag(bool),
    Number(Number),
    Text(TextTest),
    Numeric(Range),
    Cidr(Cidr),
    Exists,
    Absent,
    /// A value that is there and passes none of these.
    NoneOf(Vec<Test>),
}

#[derive(Debug, Clone, PartialEq)]
pub(super) enum TextTest {
    Equals(Box<str>),
    Prefix(Box<str>),
    Suffix(Box<str>),
    /// In lower case.
    EqualsIgnoreCase(Box<str>),
    /// The texts between the stars: one more than there are stars.
    Wildcard(Vec<Box<str>>),
}

/// A side that is not there has no bound; the flag says whether the bound itself is in.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub(super) struct Range {
    pub low: Option<(Number, bool)>,
    pub high: Option<(Number, bool)>,
}

impl Range {
    fn has(&self, number: Number) -> bool {
        self.low.is_none_or(|(low, is_in)| number > low || (is_in && number == low))
            && self.high.is_none_or(|(high, is_in)| number < high || (is_in && number == high))
    }
}

#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Cidr {
    network: (bool, u128),
    /// Bits of an address behind the network's.
    host_bits: u32,
}

impl Cidr {
    /// An address and its bits, or an address alone.
    pub(super) fn parse(text: &str) -> Option<Self> {
        let (address, bits) = match text.split_once('/') {
            Some((address, bits)) => (address, Some(bits.parse::<u32>().ok()?)),
            None => (text, None),
        };
        let address: IpAddr = address.parse().ok()?;
        let width: u32 = if address.is_ipv6() { 128 } else { 32 };
        let host_bits = width.checked_sub(bits.unwrap_or(width))?;
        Some(Self { network: network(address, host_bits), host_bits })
    }

    fn has(&self, text: &str) -> bool {
        text.parse().is_ok_and(|address| network(address, self.host_bits) == self.network)
    }
}

/// Whether it is one of version 6, and the number of its network.
fn network(address: IpAddr, host_bits: u32) -> (bool, u128) {
    let number = match address {
        IpAddr::V4(address) => u128::from(address.to_bits()),
        IpAddr::V6(address) => address.to_bits(),
    };
    (address.is_ipv6(), number.checked_shr(host_bits).unwrap_or(0))
}

impl Test {
    /// Whether a value that is neither an array nor an object passes.
    pub(super) fn passes(&self, value: &Value) -> bool {
        let number = || value.as_f64().map(Number::new);
        match self {
            Self::Null => value.is_null(),
            Self::Flag(flag) => value.as_bool() == Some(*flag),
            Self::Number(wanted) => number() == Some(*wanted),
            Self::Text(test) => value.as_str().is_some_and(|text| test.passes(text)),
            Self::Numeric(range) => number().is_some_and(|number| range.has(number)),
            Self::Cidr(cidr) => value.as_str().is_some_and(|text| cidr.has(text)),
            Self::Exists => true,
            Self::Absent => false,
            Self::NoneOf(tests) => !tests.iter().any(|test| test.passes(value)),
        }
    }
}

impl TextTest {
    fn passes(&self, text: &str) -> bool {
        match self {
            Self::Equals(wanted) => text == &**wanted,
            Self::Prefix(prefix) => text.starts_with(&**prefix),
            Self::Suffix(suffix) => text.ends_with(&**suffix),
            Self::EqualsIgnoreCase(lower) => text.chars().flat_map(char::to_lowercase).eq(lower.chars()),
            Self::Wildcard(parts) => wildcard(parts, text),
        }
    }
}

fn wildcard(parts: &[Box<str>], text: &str) -> bool {
    let (first, rest) = parts.split_first().expect("a wildcard has one part at least");
    let Some((last, between)) = rest.split_last() else { return text == &**first };
    let Some(inner) = text.strip_prefix(&**first).and_then(|text| text.strip_suffix(&**last)) else {
        return false;
    };
    // The leftmost place of each part leaves the most for those behind it.
    let mut left = inner;
    between.iter().all(|part| match left.find(&**part) {
        Some(at) => {
            left = &left[at + part.len()..];
            true
        }
        None => false,
    })
}
