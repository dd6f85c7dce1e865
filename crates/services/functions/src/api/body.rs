//! A request's JSON body, member by member.
//!
//! A body knows its path, so that a nested member is named as the reference names it. What is left in it after
//! an operation has taken its own members is either refused by name or unknown to the model, and the reference
//! ignores unknown members.

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use serde_json::{Map, Value};

use super::check::{Check, TextRule};
use crate::error::Error;

pub struct Body {
    /// Empty, or the path of the member that this object is, with a dot behind it.
    prefix: String,
    members: Map<String, Value>,
}

/// A member of the model that this node does not serve: refused unless it holds what the reference has by
/// default.
pub struct Refusal {
    pub member: &'static str,
    pub is_default: fn(&Value) -> bool,
}

/// Whether a value says nothing: null, empty, or made of nothing but such values.
pub fn says_nothing(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::String(text) => text.is_empty(),
        Value::Array(items) => items.is_empty(),
        Value::Object(members) => members.values().all(says_nothing),
        Value::Bool(flag) => !flag,
        Value::Number(_) => false,
    }
}

/// Whether the object has this member with this text and nothing else.
pub fn is_only(value: &Value, member: &str, text: &str) -> bool {
    value.as_object().is_some_and(|o| o.iter().all(|(name, v)| name == member && (v.is_null() || v == text)))
}

impl Body {
    pub fn parse(bytes: &[u8]) -> Result<Self, Error> {
        let members = if bytes.trim_ascii().is_empty() {
            Map::new()
        } else {
            match lambent_wire::json::parse_value(bytes) {
                Ok(Value::Object(members)) => members,
                Ok(other) => return Err(wrong_kind(kind_of(&other), "a structure")),
                Err(error) => return Err(Error::Serialization { detail: error.to_string() }),
            }
        };
        Ok(Self { prefix: String::new(), members })
    }

    /// The member's path as the reference spells it in its errors.
    pub fn path(&self, member: &str) -> String {
        let mut chars = member.chars();
        let first = chars.next().map(|c| c.to_ascii_lowercase());
        self.prefix.chars().chain(first).chain(chars).collect()
    }

    /// The member's name as the caller wrote it, with that of the structure around it.
    fn name(&self, member: &str) -> String {
        let mut prefix = self.prefix.chars();
        let first = prefix.next().map(|c| c.to_ascii_uppercase());
        first.into_iter().chain(prefix).chain(member.chars()).collect()
    }

    fn take(&mut self, member: &str) -> Option<Value> {
        self.members.remove(member).filter(|v| !v.is_null())
    }

    pub fn raw_text(&mut self, member: &str) -> Result<Option<String>, Error> {
        match self.take(member) {
            None => Ok(None),
            Some(Value::String(text)) => Ok(Some(text)),
            Some(other) => Err(wrong_kind(kind_of(&other), "a String")),
        }
    }

    pub fn text(
        &mut self,
        check: &mut Check,
        member: &str,
        rule: &TextRule,
    ) -> Result<Option<String>, Error> {
        let text = self.raw_text(member)?;
        if let Some(text) = &text {
            check.text(&self.path(member), text, rule);
        }
        Ok(text)
    }

    /// As [`Self::text`], for a member that the model requires. The answer is empty when it was missing, and
    /// the check knows.
    pub fn required_text(
        &mut self,
        check: &mut Check,
        member: &str,
        rule: &TextRule,
    ) -> Result<String, Error> {
        let text = self.text(check, member, rule)?;
        if text.is_none() {
            check.missing(&self.path(member));
        }
        Ok(text.unwrap_or_default())
    }

    pub fn choice(
        &mut self,
        check: &mut Check,
        member: &str,
        choices: &[&str],
    ) -> Result<Option<String>, Error> {
        let text = self.raw_text(member)?;
        if let Some(text) = &text {
            check.choice(&self.path(member), text, choices);
        }
        Ok(text)
    }

    pub fn number(
        &mut self,
        check: &mut Check,
        member: &str,
        min: i64,
        max: i64,
    ) -> Result<Option<i64>, Error> {
        let value = match self.take(member) {
            None => return Ok(None),
            Some(Value::Number(number)) => number,
            Some(other) => return Err(wrong_kind(kind_of(&other), "an Integer")),
        };
        // A fraction is cut off, and a number out of range is brought to the range's end, where the
        // constraint then refuses it.
        let number = value.as_i64().or_else(|| value.as_f64().map(|f| f as i64)).unwrap_or(i64::MAX);
        check.number(&self.path(member), number, min, max);
        Ok(Some(number))
    }

    pub fn flag(&mut self, member: &str) -> Result<Option<bool>, Error> {
        match self.take(member) {
            None => Ok(None),
            Some(Value::Bool(flag)) => Ok(Some(flag)),
            Some(other) => Err(wrong_kind(kind_of(&other), "a Boolean")),
        }
    }

    pub fn texts(&mut self, member: &str) -> Result<Option<Vec<String>>, Error> {
        match self.take(member) {
            None => Ok(None),
            Some(Value::Array(items)) => items.into_iter().map(into_text).collect::<Result<_, _>>().map(Some),
            Some(other) => Err(wrong_kind(kind_of(&other), "a list")),
        }
    }

    pub fn text_map(&mut self, member: &str) -> Result<Option<BTreeMap<String, String>>, Error> {
        match self.take(member) {
            None => Ok(None),
            Some(Value::Object(members)) => members
                .into_iter()
                .map(|(key, value)| Ok((key, into_text(value)?)))
                .collect::<Result<_, _>>()
                .map(Some),
            Some(other) => Err(wrong_kind(kind_of(&other), "a map")),
        }
    }

    /// A map of numbers such as AdditionalVersionWeights.
    pub fn number_map(&mut self, member: &str) -> Result<Option<Vec<(String, f64)>>, Error> {
        match self.take(member) {
            None => Ok(None),
            Some(Value::Object(members)) => members
                .into_iter()
                .map(|(key, value)| match value.as_f64() {
                    Some(number) => Ok((key, number)),
                    None => Err(wrong_kind(kind_of(&value), "a Double")),
                })
                .collect::<Result<_, _>>()
                .map(Some),
            Some(other) => Err(wrong_kind(kind_of(&other), "a map")),
        }
    }

    pub fn object(&mut self, member: &str) -> Result<Option<Body>, Error> {
        let prefix = format!("{}.", self.path(member));
        match self.take(member) {
            None => Ok(None),
            Some(Value::Object(members)) => Ok(Some(Body { prefix, members })),
            Some(other) => Err(wrong_kind(kind_of(&other), "a structure")),
        }
    }

    /// A list of structures.
    pub fn objects(&mut self, member: &str) -> Result<Option<Vec<Body>>, Error> {
        let path = self.path(member);
        let Some(value) = self.take(member) else { return Ok(None) };
        let Value::Array(items) = value else { return Err(wrong_kind(kind_of(&value), "a list")) };
        let bodies = items.into_iter().enumerate().map(|(at, item)| match item {
            Value::Object(members) => Ok(Body { prefix: format!("{path}.{}.member.", at + 1), members }),
            other => Err(wrong_kind(kind_of(&other), "a structure")),
        });
        bodies.collect::<Result<_, _>>().map(Some)
    }

    /// A blob, which JSON carries as base64.
    pub fn blob(&mut self, member: &str) -> Result<Option<Bytes>, Error> {
        let Some(text) = self.raw_text(member)? else { return Ok(None) };
        match STANDARD.decode(&text) {
            Ok(bytes) => Ok(Some(Bytes::from(bytes))),
            Err(error) => {
                let detail = format!("The member {} is not base64: {error}", self.path(member));
                Err(Error::Serialization { detail })
            }
        }
    }

    /// Refuses by name the members that are not served, unless they hold their defaults.
    pub fn refuse(&mut self, refusals: &[Refusal]) -> Result<(), Error> {
        self.refuse_with(refusals, |parameter| Error::UnsupportedParameter { parameter })
    }

    pub fn refuse_with(
        &mut self,
        refusals: &[Refusal],
        refused: impl Fn(String) -> Error,
    ) -> Result<(), Error> {
        for Refusal { member, is_default } in refusals {
            if let Some(value) = self.take(member)
                && !is_default(&value)
            {
                return Err(refused(self.name(member)));
            }
        }
        Ok(())
    }
}

fn into_text(value: Value) -> Result<String, Error> {
    match value {
        Value::String(text) => Ok(text),
        other => Err(wrong_kind(kind_of(&other), "a String")),
    }
}

fn kind_of(value: &Value) -> &'static str {
    match value {
        Value::Null => "NULL_VALUE",
        Value::Bool(true) => "TRUE_VALUE",
        Value::Bool(false) => "FALSE_VALUE",
        Value::Number(n) if n.is_f64() => "DECIMAL_VALUE",
        Value::Number(_) => "NUMBER_VALUE",
        Value::String(_) => "STRING_VALUE",
        Value::Array(_) => "START_ARRAY",
        Value::Object(_) => "START_OBJECT",
    }
}

fn wrong_kind(found: &str, wanted: &str) -> Error {
    Error::Serialization { detail: format!("{found} can not be converted to {wanted}") }
}
