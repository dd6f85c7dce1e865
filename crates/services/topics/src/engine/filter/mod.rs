//! Filter policies: which messages a subscription wants. Pure.
//!
//! The language is that of SNS's developer guide, *Message filtering*. It looks like that of EventBridge's patterns and
//! is another one: numbers have five digits behind the point, keys and combinations are counted, and `$or` may be the
//! name of an attribute.
//!
//! Invariant: judging a message takes time in proportion to the sizes of both; wildcards are matched from left to right.

mod parse;
mod test;
#[cfg(test)]
mod tests;

use lambent_store::topics::FilterScope;
use serde_json::{Map, Value};

use super::message::{self, Attributes};
use test::Test;

/// A filter policy.
#[derive(Debug, Clone, PartialEq)]
pub struct Filter {
    root: Node,
    scope: FilterScope,
}

/// What is wanted of one object.
#[derive(Debug, Clone, Default, PartialEq)]
struct Node {
    fields: Vec<(Box<str>, Want)>,
    /// Each `$or`: one of its nodes at least is to match.
    alternatives: Vec<Vec<Node>>,
}

/// What is wanted of one field.
#[derive(Debug, Clone, PartialEq)]
enum Want {
    /// One of these of its value, or of one of the values in its array.
    Value(Vec<Test>),
    /// This of the object there, or of one of the objects in its array.
    Object(Node),
}

impl Filter {
    /// Whether a message is wanted, of which the subscriber would get this text.
    pub fn wants(&self, text: &str, attributes: &Attributes) -> bool {
        match self.scope {
            FilterScope::Attributes => self.root.matches(Some(&message::for_filters(attributes))),
            FilterScope::Body => match lambent_wire::json::parse_value(text.as_bytes()) {
                Ok(Value::Object(members)) => self.root.matches(Some(&members)),
                // A body without members can't have what is wanted; an empty filter wants nothing of it.
                _ => self.root == Node::default(),
            },
        }
    }
}

impl Node {
    /// `None` stands for an object without members: what is wanted to be absent is.
    fn matches(&self, members: Option<&Map<String, Value>>) -> bool {
        self.fields.iter().all(|(name, want)| {
            let value = members.and_then(|members| members.get(&**name));
            match want {
                Want::Value(tests) => one_fits(tests, value),
                Want::Object(node) => node.matches_value(value),
            }
        }) && self.alternatives.iter().all(|nodes| nodes.iter().any(|node| node.matches(members)))
    }

    fn matches_value(&self, value: Option<&Value>) -> bool {
        match value {
            Some(Value::Object(members)) => self.matches(Some(members)),
            Some(Value::Array(items)) => items.iter().any(|item| self.matches_value(Some(item))),
            _ => self.matches(None),
        }
    }
}

/// Whether the value at a place, or one of those in its array, passes one of the tests.
fn one_fits(tests: &[Test], value: Option<&Value>) -> bool {
    match value.filter(|value| is_there(value)) {
        None => tests.contains(&Test::Absent),
        Some(Value::Array(items)) => items.iter().any(|item| is_there(item) && one_fits(tests, Some(item))),
        Some(value) => tests.iter().any(|test| test.passes(value)),
    }
}

/// Whether a plain value stands here, by itself or in an array.
fn is_there(value: &Value) -> bool {
    match value {
        Value::Object(_) => false,
        Value::Array(items) => items.iter().any(is_there),
        _ => true,
    }
}
