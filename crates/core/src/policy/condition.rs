//! The conditions of a statement: all operators must hold, for each key one of its values.

use std::collections::BTreeMap;
use std::net::IpAddr;

use serde::Deserialize;

use super::{Asked, Asker, Effect, OneOrMany, matches};

/// Operator, key, values.
#[derive(Debug, Clone, PartialEq, Eq, Default, Deserialize)]
#[serde(transparent)]
pub struct Conditions(BTreeMap<String, BTreeMap<String, OneOrMany<Scalar>>>);

/// Numbers and truths may stand without quotes.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(untagged)]
enum Scalar {
    Text(String),
    Truth(bool),
    Number(i64),
}

impl Scalar {
    fn text(&self) -> String {
        match self {
            Self::Text(text) => text.clone(),
            Self::Truth(truth) => truth.to_string(),
            Self::Number(number) => number.to_string(),
        }
    }
}

impl Conditions {
    pub(super) fn hold(&self, asked: &Asked<'_>, effect: Effect) -> bool {
        self.0.iter().all(|(operator, keys)| {
            keys.iter().all(|(key, values)| {
                let values: Vec<String> = values.as_slice().iter().map(Scalar::text).collect();
                holds(operator, value_of(key, asked).as_deref(), &values)
                    // What is not understood may only take away.
                    .unwrap_or(effect == Effect::Deny)
            })
        })
    }
}

/// A key's value. Names of keys don't tell upper from lower case.
fn value_of(key: &str, asked: &Asked<'_>) -> Option<String> {
    let given = asked.context.iter().find(|(name, _)| name.eq_ignore_ascii_case(key));
    if let Some((_, value)) = given {
        return Some((*value).to_owned());
    }
    let (account, arn, service) = match asked.asker {
        Asker::Identity { account, arn } => (Some(account.as_str()), Some(arn), None),
        Asker::Service(name) => (None, None, Some(name)),
    };
    let text = match key.to_ascii_lowercase().as_str() {
        "aws:principalaccount" => account,
        "aws:principalarn" => arn,
        "aws:principalservicename" => service,
        "aws:principalisawsservice" => Some(if service.is_some() { "true" } else { "false" }),
        _ => None,
    };
    text.map(str::to_owned)
}

/// `None`: the operator is not known.
fn holds(operator: &str, value: Option<&str>, wanted: &[String]) -> Option<bool> {
    // Every key here has one value, so that both set operators ask the same; without a value "for all" holds.
    let (operator, without) = match operator.split_once(':') {
        Some(("ForAllValues", rest)) => (rest, true),
        Some(("ForAnyValue", rest)) => (rest, false),
        Some(_) => return None,
        None => (operator, false),
    };
    let (operator, without) = match operator.strip_suffix("IfExists") {
        Some(rest) => (rest, true),
        None => (operator, without),
    };
    if operator == "Null" {
        return Some(wanted.iter().any(|text| (text == "true") == value.is_none()));
    }
    let (operator, negated) = match operator {
        "StringNotEquals" => ("StringEquals", true),
        "StringNotEqualsIgnoreCase" => ("StringEqualsIgnoreCase", true),
        "StringNotLike" => ("StringLike", true),
        "ArnNotEquals" | "ArnNotLike" => ("ArnLike", true),
        "NumericNotEquals" => ("NumericEquals", true),
        "NotIpAddress" => ("IpAddress", true),
        other => (other, false),
    };
    let test = test(operator)?;
    let Some(value) = value else { return Some(without || negated) };
    Some(wanted.iter().any(|wanted| test(value, wanted)) != negated)
}

type Test = fn(&str, &str) -> bool;

fn test(operator: &str) -> Option<Test> {
    Some(match operator {
        "StringEquals" => |value, wanted| value == wanted,
        "StringEqualsIgnoreCase" => |value, wanted| value.eq_ignore_ascii_case(wanted),
        "StringLike" => |value, wanted| matches(wanted, value, false),
        "ArnEquals" | "ArnLike" => arn_like,
        "Bool" => |value, wanted| value.eq_ignore_ascii_case(wanted),
        "NumericEquals" => |value, wanted| numbers(value, wanted).is_some_and(|(a, b)| a == b),
        "NumericLessThan" => |value, wanted| numbers(value, wanted).is_some_and(|(a, b)| a < b),
        "NumericLessThanEquals" => |value, wanted| numbers(value, wanted).is_some_and(|(a, b)| a <= b),
        "NumericGreaterThan" => |value, wanted| numbers(value, wanted).is_some_and(|(a, b)| a > b),
        "NumericGreaterThanEquals" => |value, wanted| numbers(value, wanted).is_some_and(|(a, b)| a >= b),
        "IpAddress" => in_network,
        _ => return None,
    })
}

/// Part by part: a star reaches over no colon, but in the last part.
fn arn_like(value: &str, wanted: &str) -> bool {
    let (value, wanted): (Vec<&str>, Vec<&str>) =
        (value.splitn(6, ':').collect(), wanted.splitn(6, ':').collect());
    value.len() == wanted.len()
        && value.iter().zip(&wanted).all(|(value, wanted)| matches(wanted, value, false))
}

fn numbers(value: &str, wanted: &str) -> Option<(f64, f64)> {
    Some((value.parse().ok()?, wanted.parse().ok()?))
}

/// `203.0.113.0/24`, or one address.
fn in_network(value: &str, wanted: &str) -> bool {
    let (network, bits) = wanted.split_once('/').unwrap_or((wanted, ""));
    let (Ok(value), Ok(network)) = (value.parse::<IpAddr>(), network.parse::<IpAddr>()) else { return false };
    let (value, network, width) = match (value, network) {
        (IpAddr::V4(value), IpAddr::V4(network)) => (u32::from(value).into(), u32::from(network).into(), 32),
        (IpAddr::V6(value), IpAddr::V6(network)) => (u128::from(value), u128::from(network), 128),
        _ => return false,
    };
    let bits: u32 = if bits.is_empty() { width } else { bits.parse().unwrap_or(u32::MAX) };
    if bits > width {
        return false;
    }
    let shift = width - bits;
    value.checked_shr(shift).unwrap_or(0) == network.checked_shr(shift).unwrap_or(0)
}
