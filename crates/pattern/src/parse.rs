//! Reading a pattern. What is wrong with one is told in the words of the reference's engine.

use lambent_wire::json;
use serde_json::{Map, Number, Value};

use super::anything_but::AnythingBut;
use super::cidr::Cidr;
use super::test::{Bound, Range, Test, lower};
use super::wildcard::Wildcard;
use super::{Node, Pattern, Want};

/// The published engine: the numbers that it can order.
const NUMBER_MAX: f64 = 5.0e9;

/// Developer guide: "$or" together makes at most this many combinations of a pattern.
const COMBINATIONS_MAX: usize = 1_000;

/// Why a text is no pattern: the reference's own sentence.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("Event pattern is not valid. Reason: {0}")]
pub struct Invalid(pub String);

type Result<T> = std::result::Result<T, Invalid>;

fn invalid<T>(reason: impl Into<String>) -> Result<T> {
    Err(Invalid(reason.into()))
}

impl Pattern {
    pub fn parse(text: &str) -> Result<Self> {
        match json::parse_value(text.as_bytes()) {
            Ok(Value::Object(members)) => {
                let root = node(&members, false)?;
                if root.combinations() > COMBINATIONS_MAX {
                    return invalid(format!("More than {COMBINATIONS_MAX} combinations of $or"));
                }
                Ok(Self { root })
            }
            Ok(_) => invalid("Filter is not an object"),
            Err(error) => invalid(error.to_string()),
        }
    }
}

impl Node {
    fn combinations(&self) -> usize {
        let within = self.fields.iter().map(|(_, want)| match want {
            Want::Value(_) => 1,
            Want::Object(node) => node.combinations(),
        });
        let between = self
            .alternatives
            .iter()
            .map(|nodes| nodes.iter().map(Node::combinations).fold(0, usize::saturating_add));
        within.chain(between).fold(1, usize::saturating_mul)
    }
}

/// The names of tests: inside `$or` none of them may be a field, or a slip of the pen would be a pattern.
const RESERVED: [&str; 8] =
    ["exactly", "prefix", "suffix", "equals-ignore-case", "anything-but", "numeric", "cidr", "wildcard"];

fn node(members: &Map<String, Value>, is_in_or: bool) -> Result<Node> {
    let (mut fields, mut alternatives) = (Vec::new(), Vec::new());
    for (name, value) in members {
        match value {
            _ if name == "$or" => alternatives.push(or(value)?),
            _ if is_in_or && RESERVED.contains(&name.as_str()) => {
                return invalid(format!(
                    "{name} is Ruler reserved fieldName which cannot be used inside $or."
                ));
            }
            Value::Object(members) => {
                fields.push((name.as_str().into(), Want::Object(node(members, is_in_or)?)));
            }
            Value::Array(values) => fields.push((name.as_str().into(), Want::Value(tests(values)?))),
            _ => return invalid(format!("\"{name}\" must be an object or an array")),
        }
    }
    if fields.is_empty() && alternatives.is_empty() {
        return invalid("Empty objects are not allowed");
    }
    let only_absence = fields.iter().all(|(_, want)| match want {
        Want::Value(tests) => tests.iter().all(|test| *test == Test::Absent),
        Want::Object(node) => node.only_absence,
    }) && alternatives.iter().flatten().all(|node: &Node| node.only_absence);
    Ok(Node { fields, alternatives, only_absence })
}

fn or(value: &Value) -> Result<Vec<Node>> {
    let Value::Array(values) = value else { return invalid("It must be an Array followed with $or.") };
    let nodes = values.iter().map(|value| match value {
        Value::Object(members) => node(members, true),
        _ => invalid("Only JSON object is allowed in array of $or relationship."),
    });
    let nodes: Vec<Node> = nodes.collect::<Result<_>>()?;
    match nodes.len() {
        0 | 1 => invalid("There must have at least 2 Objects in $or relationship."),
        _ => Ok(nodes),
    }
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
        Value::Number(number) => Test::Number(number.clone()),
        Value::String(text) => Test::Text(text.as_str().into()),
        Value::Object(members) => expression(members)?,
        Value::Array(_) => return invalid("Match value must be String, number, true, false, or null"),
    })
}

fn only_member<'a>(members: &'a Map<String, Value>, missing: &str) -> Result<(&'a str, &'a Value)> {
    let mut all = members.iter();
    match (all.next(), all.next()) {
        (Some((name, value)), None) => Ok((name, value)),
        (None, _) => invalid(missing),
        _ => invalid("Only one key allowed in match expression"),
    }
}

fn expression(members: &Map<String, Value>) -> Result<Test> {
    let (name, value) = only_member(members, "Match expression name not found")?;
    let text = || match value {
        Value::String(text) => Ok(text.as_str()),
        _ => invalid(format!("{name} match pattern must be a string")),
    };
    Ok(match name {
        "exactly" => Test::Text(text()?.into()),
        "prefix" => match ignoring_case(value, "prefix")? {
            Some(text) => Test::PrefixIgnoreCase(text),
            None => Test::Prefix(text()?.into()),
        },
        "suffix" => match ignoring_case(value, "suffix")? {
            Some(text) => Test::SuffixIgnoreCase(text),
            None => Test::Suffix(text()?.into()),
        },
        "equals-ignore-case" => Test::EqualsIgnoreCase(lower(text()?)),
        "wildcard" => Test::Wildcard(Wildcard::parse(text()?).map_err(Invalid)?),
        "cidr" => Test::Cidr(Cidr::parse(text()?).map_err(Invalid)?),
        "numeric" => match value {
            Value::Array(terms) => Test::Numeric(range(terms)?),
            _ => return invalid("Value of numeric must be an array."),
        },
        "exists" => match value {
            Value::Bool(true) => Test::Exists,
            Value::Bool(false) => Test::Absent,
            _ => return invalid("exists match pattern must be either true or false."),
        },
        "anything-but" => Test::AnythingBut(anything_but(value)?),
        other => return invalid(format!("Unrecognized match type {other}")),
    })
}

/// The text of `{"equals-ignore-case": "text"}`, in lower case.
fn ignoring_case(value: &Value, of: &str) -> Result<Option<Box<str>>> {
    let Value::Object(members) = value else { return Ok(None) };
    match only_member(members, "Match expression name not found")? {
        ("equals-ignore-case", Value::String(text)) => Ok(Some(lower(text))),
        ("equals-ignore-case", _) => invalid("equals-ignore-case match pattern must be a string"),
        (other, _) => invalid(format!("Unsupported {of} expression: {other}")),
    }
}

fn range(terms: &[Value]) -> Result<Range> {
    let operator = |term: &Value| match term {
        Value::String(text) => Ok(text.clone()),
        other => invalid(format!("Invalid member in numeric match: {other}")),
    };
    let [first, rest @ ..] = terms else { return invalid("Invalid member in numeric match: ]") };
    let first = operator(first)?;
    let name = if first == "=" { "equals" } else { &first };
    if !["=", "<", "<=", ">", ">="].contains(&first.as_str()) {
        return invalid(format!("Unrecognized numeric range operator: {first}"));
    }
    let value = bound(rest.first(), name)?;
    let opens_low = first.starts_with('>');
    let low = Bound { value, is_in: first != ">" };
    match &rest[1..] {
        [] if first == "=" => Ok(Range { low: Some(low), high: Some(low) }),
        [] if opens_low => Ok(Range { low: Some(low), high: None }),
        [] => Ok(Range { low: None, high: Some(Bound { value, is_in: first == "<=" }) }),
        [second, rest @ ..] if opens_low => {
            let second = operator(second)?;
            if !["<", "<="].contains(&second.as_str()) {
                return invalid(format!("Bad numeric range operator: {second}"));
            }
            let high = Bound { value: bound(rest.first(), &second)?, is_in: second == "<=" };
            if rest.len() > 1 {
                return invalid("Too many terms in numeric range expression");
            }
            if low.value >= high.value {
                return invalid("Bottom must be less than top");
            }
            Ok(Range { low: Some(low), high: Some(high) })
        }
        _ => invalid("Too many elements in numeric expression"),
    }
}

fn bound(term: Option<&Value>, operator: &str) -> Result<f64> {
    match term.and_then(Value::as_f64) {
        None => invalid(format!("Value of {operator} must be numeric")),
        Some(number) if number.abs() > NUMBER_MAX => {
            invalid("Value must be between -5.0E9 and 5.0E9, inclusive")
        }
        Some(number) => Ok(number),
    }
}

const MIXED: &str =
    "Inside anything but list, either all values are number or string, mixed type is not supported";

fn anything_but(value: &Value) -> Result<AnythingBut> {
    match value {
        Value::String(text) => Ok(AnythingBut::Texts(vec![text.as_str().into()])),
        Value::Number(number) => Ok(AnythingBut::Numbers(vec![number.clone()])),
        Value::Array(values) if values.iter().all(Value::is_string) && !values.is_empty() => {
            Ok(AnythingBut::Texts(values.iter().filter_map(Value::as_str).map(Into::into).collect()))
        }
        Value::Array(values) => {
            if values.iter().any(|value| !value.is_number() && !value.is_string()) {
                return invalid("Inside anything but list, start|null|boolean is not supported.");
            }
            let numbers: Vec<Number> = values.iter().filter_map(|value| value.as_number().cloned()).collect();
            if numbers.is_empty() || numbers.len() < values.len() {
                return invalid(MIXED);
            }
            Ok(AnythingBut::Numbers(numbers))
        }
        Value::Object(members) => {
            let (name, value) = only_member(members, "Anything-But expression name not found")?;
            anything_but_of(name, value)
        }
        _ => invalid("Value of anything-but must be an array or single string/number value."),
    }
}

fn anything_but_of(name: &str, value: &Value) -> Result<AnythingBut> {
    if let ("prefix" | "suffix", Value::Object(members)) = (name, value) {
        let (inner, value) = only_member(members, "Anything-But expression name not found")?;
        if inner != "equals-ignore-case" {
            return invalid(format!("Unsupported anything-but pattern: {inner}"));
        }
        let texts = texts(inner, value)?.into_iter().map(lower).collect();
        return Ok(match name {
            "prefix" => AnythingBut::PrefixesIgnoreCase(texts),
            _ => AnythingBut::SuffixesIgnoreCase(texts),
        });
    }
    if !["prefix", "suffix", "equals-ignore-case", "wildcard"].contains(&name) {
        return invalid(format!("Unsupported anything-but pattern: {name}"));
    }
    let texts = texts(name, value)?;
    let as_they_are = || texts.iter().map(|text| (*text).into()).collect();
    Ok(match name {
        "prefix" => AnythingBut::Prefixes(as_they_are()),
        "suffix" => AnythingBut::Suffixes(as_they_are()),
        "equals-ignore-case" => AnythingBut::EqualsIgnoreCase(texts.iter().map(|text| lower(text)).collect()),
        _ => {
            let wildcards = texts.iter().map(|text| Wildcard::parse(text).map_err(Invalid));
            AnythingBut::Wildcards(wildcards.collect::<Result<_>>()?)
        }
    })
}

/// One text or a list of them.
fn texts<'a>(name: &str, value: &'a Value) -> Result<Vec<&'a str>> {
    let texts: Option<Vec<&str>> = match value {
        Value::String(text) => Some(vec![text]),
        Value::Array(values) => values.iter().map(Value::as_str).collect(),
        _ => None,
    };
    match texts {
        Some(texts) if texts.is_empty() => invalid("Empty arrays are not allowed"),
        Some(texts) if texts.contains(&"") && matches!(name, "prefix" | "suffix") => {
            invalid("Null prefix/suffix not allowed")
        }
        Some(texts) => Ok(texts),
        None => invalid(format!("{name} match pattern must be a string")),
    }
}
