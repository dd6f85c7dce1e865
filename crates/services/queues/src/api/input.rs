//! Readers of a request's members. Null is the same as absent; a member that the model does not have is ignored, as the
//! reference does.

use std::collections::BTreeMap;

use lambent_wire::json::Error;
use serde_json::{Map, Value};

use super::fault::{self, Failure};

#[derive(Clone, Copy)]
pub struct Input<'a>(pub &'a Map<String, Value>);

impl<'a> Input<'a> {
    pub fn text(self, name: &str) -> Result<Option<&'a str>, Failure> {
        self.read(name, "a String", Value::as_str)
    }

    /// A text that must be there and say something.
    pub fn required_text(self, name: &str) -> Result<&'a str, Failure> {
        self.text(name)?.filter(|text| !text.is_empty()).ok_or_else(|| fault::missing(name))
    }

    pub fn integer(self, name: &str) -> Result<Option<i64>, Failure> {
        // Some older clients write numbers as text.
        let number = |value: &Value| value.as_i64().or_else(|| value.as_str()?.parse().ok());
        self.read(name, "an Integer", number)
    }

    pub fn object(self, name: &str) -> Result<Option<Input<'a>>, Failure> {
        self.read(name, "a Structure", |value| value.as_object().map(Input))
    }

    pub fn texts(self, name: &str) -> Result<Option<Vec<&'a str>>, Failure> {
        self.read(name, "a List", |value| value.as_array()?.iter().map(Value::as_str).collect())
    }

    pub fn objects(self, name: &str) -> Result<Option<Vec<Input<'a>>>, Failure> {
        self.read(name, "a List", |value| {
            value.as_array()?.iter().map(|item| item.as_object().map(Input)).collect()
        })
    }

    pub fn text_map(self, name: &str) -> Result<Option<BTreeMap<&'a str, &'a str>>, Failure> {
        self.read(name, "a Map", |value| {
            value.as_object()?.iter().map(|(key, value)| Some((key.as_str(), value.as_str()?))).collect()
        })
    }

    pub fn has(self, name: &str) -> bool {
        self.0.get(name).is_some_and(|value| !value.is_null())
    }

    fn read<T>(
        self,
        name: &str,
        wanted: &'static str,
        as_wanted: impl FnOnce(&'a Value) -> Option<T>,
    ) -> Result<Option<T>, Failure> {
        let Some(value) = self.0.get(name).filter(|value| !value.is_null()) else { return Ok(None) };
        let found = match value {
            Value::Null => "NULL_VALUE",
            Value::Bool(true) => "TRUE_VALUE",
            Value::Bool(false) => "FALSE_VALUE",
            Value::Number(_) => "NUMBER_VALUE",
            Value::String(_) => "STRING_VALUE",
            Value::Array(_) => "Start of list",
            Value::Object(_) => "Start of structure or map",
        };
        match as_wanted(value) {
            Some(read) => Ok(Some(read)),
            None => Err(Error::Type { path: name.to_owned(), found, wanted }.into()),
        }
    }
}
