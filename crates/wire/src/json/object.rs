//! Typed readers of an object's members.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex, PoisonError};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use lambent_core::Timestamp;
use serde_json::{Map, Value};

use super::Error;

/// An object of a [`super::Body`]. Every reader notes the member that it was asked for, present or not, and
/// gives `None` for an absent one or `null`.
#[derive(Debug, Clone)]
pub struct Object<'a> {
    members: &'a Map<String, Value>,
    path: String,
    read: &'a Mutex<BTreeSet<String>>,
}

impl<'a> Object<'a> {
    pub(super) fn new(
        members: &'a Map<String, Value>,
        path: String,
        read: &'a Mutex<BTreeSet<String>>,
    ) -> Self {
        Self { members, path, read }
    }

    /// Where the object stands in the body: `VpcConfig`, `Configs[0]`; empty for the body itself.
    pub fn path(&self) -> &str {
        &self.path
    }

    /// Whether the member was sent with a value. Doesn't count as reading it.
    pub fn has(&self, name: &str) -> bool {
        self.members.get(name).is_some_and(|value| !value.is_null())
    }

    /// A text.
    pub fn string(&self, name: &str) -> Result<Option<&'a str>, Error> {
        self.read(name, "a String", Value::as_str)
    }

    /// A whole number. One written as `3.0` counts, `3.5` doesn't.
    pub fn integer(&self, name: &str) -> Result<Option<i64>, Error> {
        self.read(name, "an Integer", whole)
    }

    /// Any number.
    pub fn double(&self, name: &str) -> Result<Option<f64>, Error> {
        self.read(name, "a Double", Value::as_f64)
    }

    /// `true` or `false`.
    pub fn boolean(&self, name: &str) -> Result<Option<bool>, Error> {
        self.read(name, "a Boolean", Value::as_bool)
    }

    /// A moment as seconds since 1970, with or without a fraction.
    pub fn timestamp(&self, name: &str) -> Result<Option<Timestamp>, Error> {
        self.read(name, "a Timestamp", |value| {
            let secs = value.as_f64().filter(|secs| (0.0..=MOMENT_SECS_MAX).contains(secs))?;
            Some(Timestamp::from_millis((secs * 1000.0).round() as u64))
        })
    }

    /// Bytes in base64.
    pub fn blob(&self, name: &str) -> Result<Option<Bytes>, Error> {
        let Some(text) = self.string(name)? else { return Ok(None) };
        let bytes = STANDARD.decode(text).map_err(|_| Error::Base64 { path: self.path_of(name) })?;
        Ok(Some(bytes.into()))
    }

    /// A list of texts.
    pub fn strings(&self, name: &str) -> Result<Option<Vec<&'a str>>, Error> {
        let Some(items) = self.list(name)? else { return Ok(None) };
        let text = |(i, item): (usize, &'a Value)| {
            item.as_str().ok_or_else(|| mismatch(format!("{}[{i}]", self.path_of(name)), item, "a String"))
        };
        items.iter().enumerate().map(text).collect::<Result<_, _>>().map(Some)
    }

    /// A map from texts to texts, such as tags and environment variables. Counts as read with all that is in it.
    pub fn string_map(&self, name: &str) -> Result<Option<BTreeMap<&'a str, &'a str>>, Error> {
        let path = self.path_of(name);
        let Some(value) = self.value(name) else { return Ok(None) };
        let members = value.as_object().ok_or_else(|| mismatch(path.clone(), value, "a Map"))?;
        let text = |(key, item): (&'a String, &'a Value)| match item.as_str() {
            Some(text) => Ok((key.as_str(), text)),
            None => Err(mismatch(format!("{path}.{key}"), item, "a String")),
        };
        members.iter().map(text).collect::<Result<_, _>>().map(Some)
    }

    /// A nested object; its own members are still to be read.
    pub fn object(&self, name: &str) -> Result<Option<Object<'a>>, Error> {
        let path = self.enter(name);
        let Some(value) = self.present(name) else { return Ok(None) };
        let members = value.as_object().ok_or_else(|| mismatch(path.clone(), value, "a Structure"))?;
        Ok(Some(Object::new(members, path, self.read)))
    }

    /// A list of objects; their members are still to be read.
    pub fn objects(&self, name: &str) -> Result<Option<Vec<Object<'a>>>, Error> {
        let path = self.enter(name);
        let Some(value) = self.present(name) else { return Ok(None) };
        let items = value.as_array().ok_or_else(|| mismatch(path.clone(), value, "a List"))?;
        let object = |(i, item): (usize, &'a Value)| {
            let path = format!("{path}[{i}]");
            self.read.lock().unwrap_or_else(PoisonError::into_inner).insert(format!("{path}."));
            match item.as_object() {
                Some(members) => Ok(Object::new(members, path, self.read)),
                None => Err(mismatch(path, item, "a Structure")),
            }
        };
        items.iter().enumerate().map(object).collect::<Result<_, _>>().map(Some)
    }

    /// Any value, as it is. Counts as read with all that is in it.
    pub fn value(&self, name: &str) -> Option<&'a Value> {
        self.read.lock().unwrap_or_else(PoisonError::into_inner).insert(self.path_of(name));
        self.present(name)
    }

    /// All members by name, as free-form maps need. Counts all of them as read, with what is in them.
    pub fn entries(&self) -> impl Iterator<Item = (&'a str, &'a Value)> {
        let mut read = self.read.lock().unwrap_or_else(PoisonError::into_inner);
        for name in self.members.keys() {
            read.insert(self.path_of(name));
        }
        self.members.iter().map(|(name, value)| (name.as_str(), value))
    }

    fn list(&self, name: &str) -> Result<Option<&'a Vec<Value>>, Error> {
        let Some(value) = self.value(name) else { return Ok(None) };
        value.as_array().map(Some).ok_or_else(|| mismatch(self.path_of(name), value, "a List"))
    }

    fn read<T>(
        &self,
        name: &str,
        wanted: &'static str,
        as_wanted: impl FnOnce(&'a Value) -> Option<T>,
    ) -> Result<Option<T>, Error> {
        let Some(value) = self.value(name) else { return Ok(None) };
        as_wanted(value).map(Some).ok_or_else(|| mismatch(self.path_of(name), value, wanted))
    }

    fn present(&self, name: &str) -> Option<&'a Value> {
        self.members.get(name).filter(|value| !value.is_null())
    }

    /// Notes that the member's own members are read one by one: a path with a dot behind it says so.
    fn enter(&self, name: &str) -> String {
        let path = self.path_of(name);
        self.read.lock().unwrap_or_else(PoisonError::into_inner).insert(format!("{path}."));
        path
    }

    fn path_of(&self, name: &str) -> String {
        if self.path.is_empty() { name.to_owned() } else { format!("{}.{name}", self.path) }
    }
}

/// The end of the year 9999: a later moment has no form in any answer.
const MOMENT_SECS_MAX: f64 = 253_402_300_799.0;

/// The members with a value that were neither read nor entered, and those within the entered ones.
pub(super) fn unread(members: &Map<String, Value>, path: &str, read: &BTreeSet<String>) -> Vec<String> {
    let mut found = Vec::new();
    for (name, value) in members.iter().filter(|(_, value)| !value.is_null()) {
        let path = if path.is_empty() { name.clone() } else { format!("{path}.{name}") };
        if read.contains(&path) {
            continue;
        }
        if !read.contains(&format!("{path}.")) {
            found.push(path);
            continue;
        }
        match value {
            Value::Object(members) => found.extend(unread(members, &path, read)),
            Value::Array(items) => {
                for (i, item) in items.iter().enumerate() {
                    if let Value::Object(members) = item {
                        found.extend(unread(members, &format!("{path}[{i}]"), read));
                    }
                }
            }
            _ => {}
        }
    }
    found
}

fn whole(value: &Value) -> Option<i64> {
    // 2^53: beyond it a double is no longer exact.
    const EXACT_MAX: f64 = 9_007_199_254_740_992.0;
    value.as_i64().or_else(|| {
        let number = value.as_f64().filter(|number| number.fract() == 0.0 && number.abs() <= EXACT_MAX)?;
        Some(number as i64)
    })
}

fn mismatch(path: String, found: &Value, wanted: &'static str) -> Error {
    let found = match found {
        Value::Null => "NULL_VALUE",
        Value::Bool(true) => "TRUE_VALUE",
        Value::Bool(false) => "FALSE_VALUE",
        Value::Number(_) => "NUMBER_VALUE",
        Value::String(_) => "STRING_VALUE",
        Value::Array(_) => return Error::Shape { path, found: "Start of list" },
        Value::Object(_) => return Error::Shape { path, found: "Start of structure or map" },
    };
    Error::Type { path, found, wanted }
}
