//! A request's members: each is read by name and judged, and what nobody read is refused by name.
//!
//! Wrong types are a SerializationException at once; broken constraints are collected and answered together,
//! in the reference's words.

use std::collections::BTreeMap;

use lambent_wire::Fault;
use lambent_wire::json::{self, Body};
use lambent_wire::validation::Violations;
use serde_json::Value;

use super::fault;
use super::limits::Shape;

pub struct Input {
    body: Body,
    pub violations: Violations,
}

impl Input {
    pub fn parse(bytes: &[u8]) -> Result<Self, Fault> {
        Ok(Self { body: Body::parse(bytes)?, violations: Violations::new() })
    }

    /// The member as it is, whatever it is; counts as read with all that is in it.
    pub fn value(&self, name: &str) -> Option<&Value> {
        self.body.object().value(name)
    }

    pub fn text(&mut self, name: &str, shape: Shape) -> Result<Option<String>, Fault> {
        let text = self.body.object().string(name)?.map(str::to_owned);
        if let Some(text) = &text {
            self.check(name, text, shape);
        }
        Ok(text)
    }

    /// A text that must be there. Without it the answer is empty, and [`Input::finish`] fails.
    pub fn required_text(&mut self, name: &str, shape: Shape) -> Result<String, Fault> {
        let text = self.text(name, shape)?;
        Ok(self.required(name, text))
    }

    /// Notes that a required member is absent, when it is.
    pub fn required<T: Default>(&mut self, name: &str, value: Option<T>) -> T {
        if value.is_none() {
            self.violations.missing(name);
        }
        value.unwrap_or_default()
    }

    pub fn one_of(&mut self, name: &str, choices: &[&str]) -> Result<Option<String>, Fault> {
        let text = self.body.object().string(name)?.map(str::to_owned);
        if let Some(text) = &text {
            self.violations.check_enum(name, text, choices);
        }
        Ok(text)
    }

    pub fn flag(&mut self, name: &str) -> Result<Option<bool>, Fault> {
        Ok(self.body.object().boolean(name)?)
    }

    pub fn number(&mut self, name: &str, min: i64, max: i64) -> Result<Option<i64>, Fault> {
        let number = self.body.object().integer(name)?;
        if let Some(number) = number {
            self.violations.check_range(name, number, min, max);
        }
        Ok(number)
    }

    /// A moment in milliseconds.
    pub fn time(&mut self, name: &str) -> Result<Option<u64>, Fault> {
        Ok(self.number(name, 0, i64::MAX)?.map(i64::unsigned_abs))
    }

    pub fn texts(
        &mut self,
        name: &str,
        shape: Shape,
        (count_min, count_max): (usize, usize),
    ) -> Result<Option<Vec<String>>, Fault> {
        let Some(texts) = self.body.object().strings(name)? else { return Ok(None) };
        let texts: Vec<String> = texts.into_iter().map(str::to_owned).collect();
        self.violations.check_count(name, &texts, count_min, count_max);
        for (at, text) in texts.iter().enumerate() {
            self.check(&format!("{name}.{}.member", at + 1), text, shape);
        }
        Ok(Some(texts))
    }

    /// A map of one entry at least.
    pub fn text_map(
        &mut self,
        name: &str,
        (keys, values): (Shape, Shape),
        count_max: usize,
    ) -> Result<Option<BTreeMap<String, String>>, Fault> {
        let Some(members) = self.body.object().string_map(name)? else { return Ok(None) };
        let map: BTreeMap<String, String> =
            members.into_iter().map(|(key, value)| (key.to_owned(), value.to_owned())).collect();
        let names: Vec<&String> = map.keys().collect();
        self.violations.check_count(name, &names, 1, count_max);
        for (key, value) in &map {
            self.check(name, key, keys);
            self.check(&format!("{name}.{key}.member"), value, values);
        }
        Ok(Some(map))
    }

    fn check(&mut self, path: &str, text: &str, shape: Shape) {
        self.violations.check_length(path, text, shape.chars_min, shape.chars_max);
        if let Some(alphabet) = shape.alphabet {
            let fits = text.chars().all(alphabet.has);
            self.violations.check_pattern(path, text, fits, alphabet.pattern);
        }
    }

    /// Answers for everything that was wrong, and for members that nobody read.
    pub fn finish(&mut self) -> Result<(), Fault> {
        std::mem::take(&mut self.violations).into_result("InvalidParameterException")?;
        self.body.unread().first().map_or(Ok(()), |name| Err(fault::unsupported_member(name)))
    }
}

/// The fault for a value of the wrong type.
pub fn wrong_type(path: &str, value: &Value, wanted: &'static str) -> Fault {
    let found = match value {
        Value::Null => "NULL_VALUE",
        Value::Bool(true) => "TRUE_VALUE",
        Value::Bool(false) => "FALSE_VALUE",
        Value::Number(_) => "NUMBER_VALUE",
        Value::String(_) => "STRING_VALUE",
        Value::Array(_) => return shape(path, "Start of list"),
        Value::Object(_) => return shape(path, "Start of structure or map"),
    };
    json::Error::Type { path: path.to_owned(), found, wanted }.into()
}

fn shape(path: &str, found: &'static str) -> Fault {
    json::Error::Shape { path: path.to_owned(), found }.into()
}
