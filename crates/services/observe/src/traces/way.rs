//! Which hops are the way of one event: what it came of, and what came of it. Pure.
//!
//! Hops are tied by the ids that they name, theirs and that of what they came of, and by their trace. Up from an id all
//! is taken, as everything below one event belongs to it; down from an id only what came of ids that are on the way: a
//! call with a batch of messages came of each of them, and the others are no part of one's way.

use std::collections::{HashMap, HashSet, VecDeque};

use serde_json::Value;

use super::ANSWERED_MAX;

/// Ours: ids and traces that an answer follows.
const KEYS_MAX: usize = 200;

/// How an id was come to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Found {
    /// It was asked for, or led to what was.
    Above,
    /// It came of what is on the way.
    Below,
    /// Hops say that they are of this trace.
    Trace,
}

pub struct Way {
    hops: Vec<Value>,
    /// Each hop is found by several of its ids.
    seen: HashSet<String>,
    ids: HashMap<String, Found>,
    next: VecDeque<String>,
}

impl Way {
    pub fn from(id: &str) -> Self {
        let mut way =
            Self { hops: Vec::new(), seen: HashSet::new(), ids: HashMap::new(), next: VecDeque::new() };
        way.follow(id, Found::Above);
        way
    }

    /// The next id of which hops are to be found.
    pub fn next(&mut self) -> Option<String> {
        if self.hops.len() >= ANSWERED_MAX { None } else { self.next.pop_front() }
    }

    /// Takes what was found by an id.
    pub fn add(&mut self, key: &str, found: Vec<Value>) {
        let how = self.ids.get(key).copied().unwrap_or(Found::Below);
        for hop in found {
            let parent = text(&hop, "parent");
            // Of another event that is in the same batch.
            if how == Found::Below && !parent.is_empty() && !self.ids.contains_key(parent) {
                continue;
            }
            let led_here = how == Found::Trace || how == Found::Above && text(&hop, "id") == key;
            self.follow(parent, if led_here { Found::Above } else { Found::Below });
            self.follow(text(&hop, "id"), Found::Below);
            self.follow(text(&hop, "trace"), Found::Trace);
            if self.hops.len() < ANSWERED_MAX && self.seen.insert(hop.to_string()) {
                self.hops.push(hop);
            }
        }
    }

    pub fn into_hops(self) -> Vec<Value> {
        self.hops
    }

    fn follow(&mut self, id: &str, how: Found) {
        if !id.is_empty() && self.ids.len() < KEYS_MAX && !self.ids.contains_key(id) {
            self.ids.insert(id.to_owned(), how);
            self.next.push_back(id.to_owned());
        }
    }
}

fn text<'a>(hop: &'a Value, name: &str) -> &'a str {
    hop.get(name).and_then(Value::as_str).unwrap_or_default()
}
