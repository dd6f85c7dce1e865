//! Readers of a request's members, as the query protocol decodes them: texts, lists and maps of those.

use std::collections::BTreeMap;

use lambent_wire::Fault;
use serde_json::{Map, Value};

use super::fault;

#[derive(Clone, Copy)]
pub struct Input<'a>(pub &'a Map<String, Value>);

impl<'a> Input<'a> {
    pub fn text(self, name: &str) -> Option<&'a str> {
        self.0.get(name).and_then(Value::as_str)
    }

    /// A text that must be there.
    pub fn required(self, name: &str) -> Result<&'a str, Fault> {
        self.text(name).ok_or_else(|| fault::missing(name))
    }

    pub fn texts(self, name: &str) -> Vec<&'a str> {
        self.items(name).filter_map(Value::as_str).collect()
    }

    pub fn objects(self, name: &str) -> Vec<Input<'a>> {
        self.items(name).filter_map(Value::as_object).map(Input).collect()
    }

    fn items(self, name: &str) -> impl Iterator<Item = &'a Value> {
        self.0.get(name).and_then(Value::as_array).into_iter().flatten()
    }

    pub fn text_map(self, name: &str) -> BTreeMap<&'a str, &'a str> {
        self.entries(name).filter_map(|(key, value)| Some((key, value.as_str()?))).collect()
    }

    pub fn object_map(self, name: &str) -> impl Iterator<Item = (&'a str, Input<'a>)> {
        self.entries(name).filter_map(|(key, value)| Some((key, Input(value.as_object()?))))
    }

    fn entries(self, name: &str) -> impl Iterator<Item = (&'a str, &'a Value)> {
        let object = self.0.get(name).and_then(Value::as_object);
        object.into_iter().flatten().map(|(key, value)| (key.as_str(), value))
    }

    pub fn has(self, name: &str) -> bool {
        self.0.contains_key(name)
    }
}
