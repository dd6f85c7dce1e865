//! Reading a filter policy. What is wrong with one is told in the reference's words, as far as they are known.

use std::collections::BTreeSet;

use lambent_store::topics::FilterScope;
use lambent_wire::json;
use serde_json::{Map, Value};

use super::test::{Cidr, Number, Range, Test, TextTest};
use super::{Filter, Node, Want};

/// Developer guide, *Filter policy constraints*.
const BYTES_MAX: usize = 256 * 1_024;
const KEYS_MAX: usize = 5;
const COMBINATIONS_MAX: usize = 150;
const NUMBER_MAX: f64 = 1e9;

/// Why a text is no filter policy.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Invalid(pub String);

type Result<T> = std::result::Result<T, Invalid>;

fn invalid<T>(reason: impl Into<String>) -> Result<T> {
    Err(Invalid(reason.into()))
}

impl Filter {
    pub fn parse(text: &str, scope: FilterScope) -> Result<Self> {
        if text.len() > BYTES_MAX {
            return invalid(format!("Filter policy can not have more than {BYTES_MAX} bytes"));
        }
        let Ok(Value::Object(members)) = json::parse_value(text.as_bytes()) else {
            return invalid("failed to parse JSON.");
        };
        // A policy without keys wants every message.
        let root = if members.is_empty() { Node::default() } else { node(&members, scope)? };
        let mut keys = BTreeSet::new();
        root.keys(&mut keys);
        if keys.len() > KEYS_MAX {
            return invalid(format!("Filter policy can not have more than {KEYS_MAX} keys"));
        }
        if root.combinations(1) > COMBINATIONS_MAX {
            return invalid("Filter policy is too complex");
        }
        Ok(Self { root, scope })
    }
}

impl Node {
    /// The keys that count: those at the top.
    fn keys<'a>(&'a self, keys: &mut BTreeSet<&'a str>) {
        keys.extend(self.fields.iter().map(|(name, _)| &**name));
        for node in self.alternatives.iter().flatten() {
            node.keys(keys);
        }
    }

    /// The product of the numbers of values; one of a deeper level counts as often as it is deep.
    fn combinations(&self, depth: usize) -> usize {
        let within = self.fields.iter().map(|(_, want)| match want {
            Want::Value(tests) => tests.len().saturating_mul(depth),
            Want::Object(node) => node.combinations(depth + 1),
        });
        let between = self
            .alternatives
            .iter()
            .map(|nodes| nodes.iter().map(|node| node.combinations(depth)).fold(0, usize::saturating_add));
        within.chain(between).fold(1, usize::saturating_mul)
    }
}

/// What a test is called. An object in `$or` with such a name makes `$or` the name of a field.
const RESERVED: [&str; 8] =
    ["anything-but", "cidr", "equals-ignore-case", "exists", "numeric", "prefix", "suffix", "wildcard"];

fn node(members: &Map<String, Value>, scope: FilterScope) -> Result<Node> {
    let mut node_read = Node::default();
    for (name, value) in members {
        match value {
            Value::Array(values) if name == "$or" && is_or(values) => {
                let nodes = values.iter().filter_map(Value::as_object).map(|members| node(members, scope));
                node_read.alternatives.push(nodes.collect::<Result<_>>()?);
            }
            Value::Object(_) if scope == FilterScope::Attributes => {
                return invalid(
                    "Filter policy scope MessageAttributes does not support nested filter policy",
                );
            }
            Value::Object(members) => {
                if members.is_empty() {
                    return invalid("Empty objects are not allowed");
                }
                node_read.fields.push((name.as_str().into(), Want::Object(node(members, scope)?)));
            }
            Value::Array(values) => {
                node_read.fields.push((name.as_str().into(), Want::Value(tests(values)?)));
            }
            _ => return invalid(format!("\"{name}\" must be an object or an array")),
        }
    }
    Ok(node_read)
}

/// Two objects at least, none of them a test.
fn is_or(values: &[Value]) -> bool {
    values.len() >= 2
        && values.iter().all(|value| {
            let names = |members: &Map<String, Value>| {
                !members.is_empty() && !members.keys().any(|name| RESERVED.contains(&name.as_str()))
            };
            value.as_object().is_some_and(names)
        })
}

fn tests(values: &[Value]) -> Result<Vec<Test>> {
    if values.is_empty() {
        return invalid("Empty arrays are not allowed");
    }
    values.iter().map(test).collect()
}

fn test(value: &Value) -> Result<Test> {
    Ok(match value {
        Value::Null => Test::Null,
        Value::Bool(flag) => Test::Flag(*flag),
        Value::Number(_) => Test::Number(number(value)?),
        Value::String(text) => Test::Text(TextTest::Equals(text.as_str().into())),
        Value::Object(members) => expression(members)?,
        Value::Array(_) => return invalid("Match value must be String, number, true, false, or null"),
    })
}

fn number(value: &Value) -> Result<Number> {
    match value.as_f64() {
        Some(number) if number.abs() <= NUMBER_MAX => Ok(Number::new(number)),
        Some(_) => invalid("Value must be between -1.0E9 and 1.0E9, inclusive"),
        None => invalid("Value must be numeric"),
    }
}

fn only_member(members: &Map<String, Value>) -> Result<(&str, &Value)> {
    let mut all = members.iter();
    match (all.next(), all.next()) {
        (Some((name, value)), None) => Ok((name, value)),
        _ => invalid("Only one key allowed in match expression"),
    }
}

fn expression(members: &Map<String, Value>) -> Result<Test> {
    let (name, value) = only_member(members)?;
    Ok(match name {
        "numeric" => match value {
            Value::Array(terms) => Test::Numeric(range(terms)?),
            _ => return invalid("Value of numeric must be an array."),
        },
        "exists" => match value {
            Value::Bool(true) => Test::Exists,
            Value::Bool(false) => Test::Absent,
            _ => return invalid("exists match pattern must be either true or false."),
        },
        "cidr" => {
            let cidr = value.as_str().and_then(Cidr::parse);
            Test::Cidr(cidr.ok_or_else(|| Invalid("Malformed CIDR, one '/' required".to_owned()))?)
        }
        "anything-but" => Test::NoneOf(anything_but(value)?),
        _ => Test::Text(text_test(name, value)?),
    })
}

fn text_test(name: &str, value: &Value) -> Result<TextTest> {
    if !["prefix", "suffix", "equals-ignore-case", "wildcard"].contains(&name) {
        return invalid(format!("Unrecognized match type {name}"));
    }
    let Some(text) = value.as_str() else {
        return invalid(format!("{name} match pattern must be a string"));
    };
    Ok(match name {
        "prefix" | "suffix" if text.is_empty() => return invalid("Null prefix/suffix not allowed"),
        "prefix" => TextTest::Prefix(text.into()),
        "suffix" => TextTest::Suffix(text.into()),
        "wildcard" => TextTest::Wildcard(wildcard(text)?),
        _ => {
            let lower: String = text.chars().flat_map(char::to_lowercase).collect();
            TextTest::EqualsIgnoreCase(lower.into())
        }
    })
}

/// `*` stands for any text, `\*` for a star, `\\` for a backslash.
fn wildcard(text: &str) -> Result<Vec<Box<str>>> {
    let (mut parts, mut part, mut after_star) = (Vec::new(), String::new(), false);
    let mut chars = text.chars().enumerate();
    while let Some((at, c)) = chars.next() {
        match c {
            '*' if after_star => return invalid(format!("Consecutive wildcard characters at pos {at}")),
            '*' => parts.push(std::mem::take(&mut part).into()),
            '\\' => match chars.next() {
                Some((_, c @ ('*' | '\\'))) => part.push(c),
                _ => return invalid(format!("Invalid escape character at pos {at}")),
            },
            c => part.push(c),
        }
        after_star = c == '*';
    }
    parts.push(part.into());
    Ok(parts)
}

fn anything_but(value: &Value) -> Result<Vec<Test>> {
    let plain = |value: &Value| match value {
        Value::String(_) | Value::Number(_) => test(value),
        _ => invalid("Inside anything but list, start|null|boolean is not supported."),
    };
    match value {
        Value::Array(values) if values.is_empty() => invalid("Empty arrays are not allowed"),
        Value::Array(values) => values.iter().map(plain).collect(),
        Value::Object(members) => {
            let (name, value) = only_member(members)?;
            match value {
                Value::Array(values) if !values.is_empty() => {
                    values.iter().map(|value| text_test(name, value).map(Test::Text)).collect()
                }
                value => Ok(vec![Test::Text(text_test(name, value)?)]),
            }
        }
        value => Ok(vec![plain(value)?]),
    }
}

fn range(terms: &[Value]) -> Result<Range> {
    let pairs: Option<Vec<(&str, &Value)>> = terms
        .chunks(2)
        .map(|pair| match pair {
            [operator, value] => Some((operator.as_str()?, value)),
            _ => None,
        })
        .collect();
    let Some(pairs) = pairs else { return invalid("Invalid member in numeric match") };
    let mut range = Range::default();
    match pairs.as_slice() {
        [("=", value)] => {
            let number = number(value)?;
            range = Range { low: Some((number, true)), high: Some((number, true)) };
        }
        [(operator @ (">" | ">="), value), rest @ ..] if rest.len() <= 1 => {
            range.low = Some((number(value)?, *operator == ">="));
            match rest {
                [(operator @ ("<" | "<="), value)] => {
                    range.high = Some((number(value)?, *operator == "<="));
                }
                [(operator, _)] => return invalid(format!("Bad numeric range operator: {operator}")),
                _ => {}
            }
        }
        [(operator @ ("<" | "<="), value)] => range.high = Some((number(value)?, *operator == "<=")),
        [("=" | "<" | "<=", _), ..] => return invalid("Too many elements in numeric expression"),
        [(">" | ">=", _), ..] => return invalid("Too many terms in numeric range expression"),
        [(operator, _), ..] => {
            return invalid(format!("Unrecognized numeric range operator: {operator}"));
        }
        [] => return invalid("Invalid member in numeric match: ]"),
    }
    if let (Some((low, low_in)), Some((high, high_in))) = (range.low, range.high)
        && (low > high || (low == high && !(low_in && high_in)))
    {
        return invalid("Bottom must be less than top");
    }
    Ok(range)
}
