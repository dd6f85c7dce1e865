//! Event patterns: which events a rule or a filter wants. Pure.
//!
//! [`Pattern::parse`] reads one, [`Pattern::matches`] judges one event by it, and [`Index`] judges an event by a
//! thousand of them at one time.
//!
//! The language is that of the reference's developer guide, with the details of its published engine where the
//! guide is silent: a number is compared as a number, whatever way it is written; members of one array element
//! belong together; a field is absent when nothing plain stands at its path.
//!
//! Invariants:
//! - reading a pattern and judging an event take time in proportion to their sizes: no backtracking over a choice
//!   of array elements, and wildcards are matched from left to right;
//! - whatever the index finds, [`Pattern::matches`] has confirmed.

mod anything_but;
mod cidr;
mod index;
mod parse;
mod test;
#[cfg(test)]
mod tests;
mod wildcard;

use serde_json::{Map, Value};

pub use index::Index;
pub use parse::Invalid;
use test::Test;

/// An event pattern.
#[derive(Debug, Clone, PartialEq)]
pub struct Pattern {
    root: Node,
}

/// What is wanted of one object.
#[derive(Debug, Clone, PartialEq)]
struct Node {
    fields: Vec<(Box<str>, Want)>,
    /// Each `$or`: one of its nodes at least is to match.
    alternatives: Vec<Vec<Node>>,
    /// Whether nothing is wanted but that fields be absent.
    only_absence: bool,
}

/// What is wanted of one field.
#[derive(Debug, Clone, PartialEq)]
enum Want {
    /// One of these of its value, or of one of the values in its array.
    Value(Vec<Test>),
    /// This of the object there, or of one of the objects in its array.
    Object(Node),
}

impl Pattern {
    /// Whether the event is wanted.
    pub fn matches(&self, event: &Value) -> bool {
        match event {
            Value::Object(members) => self.root.matches(Some(members)),
            _ => false,
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
            // An absent field is absent in all of an array, a present one is in one of its elements.
            Some(Value::Array(items)) if self.only_absence => {
                items.iter().all(|item| self.matches_value(Some(item)))
            }
            Some(Value::Array(items)) => items.iter().any(|item| self.matches_value(Some(item))),
            _ => self.matches(None),
        }
    }
}

/// Whether the value at a path, or one of those in its array, passes one of the tests.
fn one_fits(tests: &[Test], value: Option<&Value>) -> bool {
    let plain = value.filter(|value| is_there(value));
    match plain {
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
