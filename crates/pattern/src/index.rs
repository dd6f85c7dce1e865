//! Many patterns at one time: for each pattern a few values are chosen of which an event that it wants must have
//! one. An event is walked once; only the patterns whose values it has are judged.
//!
//! Which values: those that the fewest other patterns share. A pattern that asks for nothing but ranges, absence
//! or differences has none to choose from, and is judged with every event.

use std::collections::HashMap;

use serde_json::Value;

use super::test::{Test, lower};
use super::{Node, Pattern, Want};

/// Patterns, each with what it stands for.
#[derive(Debug)]
pub struct Index<T> {
    entries: Vec<(Pattern, T)>,
    root: Fields,
    /// Entries that no value leads to.
    always: Vec<u32>,
}

/// A value at a path.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Key {
    path: Vec<Box<str>>,
    feature: Feature,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
enum Feature {
    Text(Box<str>),
    /// A number's bits, a flag or null.
    Plain(Plain),
    Prefix(Box<str>),
    Suffix(Box<str>),
    /// In lower case.
    IgnoringCase(Box<str>),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Plain {
    Null,
    Flag(bool),
    Number(u64),
}

/// What is looked for at one path and below it.
#[derive(Debug, Default)]
struct Fields {
    children: HashMap<Box<str>, Fields>,
    texts: HashMap<Box<str>, Vec<u32>>,
    plain: HashMap<Plain, Vec<u32>>,
    prefixes: Ends,
    suffixes: Ends,
    ignoring_case: HashMap<Box<str>, Vec<u32>>,
}

/// Beginnings or ends of texts, with the lengths that occur.
#[derive(Debug, Default)]
struct Ends {
    lengths: Vec<usize>,
    texts: HashMap<Box<str>, Vec<u32>>,
}

impl<T> Index<T> {
    pub fn new(entries: Vec<(Pattern, T)>) -> Self {
        // How many patterns offer each value to be found by.
        let mut shared: HashMap<Key, usize> = HashMap::new();
        for (pattern, _) in &entries {
            for keys in offers(&pattern.root, &mut Vec::new()) {
                for key in keys {
                    *shared.entry(key).or_default() += 1;
                }
            }
        }
        let cost = |keys: &Vec<Key>| keys.iter().map(|key| shared[key]).sum::<usize>();
        let (mut root, mut always) = (Fields::default(), Vec::new());
        for (at, (pattern, _)) in entries.iter().enumerate() {
            let at = u32::try_from(at).expect("an account has fewer rules than a number has values");
            match offers(&pattern.root, &mut Vec::new()).into_iter().min_by_key(cost) {
                Some(keys) => keys.into_iter().for_each(|key| root.add(key, at)),
                None => always.push(at),
            }
        }
        Self { entries, root, always }
    }

    /// What stands for the patterns that want the event, in the order in which they were given.
    pub fn matching<'a>(&'a self, event: &Value) -> Vec<&'a T> {
        let mut found = self.always.clone();
        self.root.find(event, &mut found);
        found.sort_unstable();
        found.dedup();
        let entries = found.into_iter().map(|at| &self.entries[at as usize]);
        entries.filter(|(pattern, _)| pattern.matches(event)).map(|(_, stands_for)| stands_for).collect()
    }
}

/// Each is a list of values of which an event must have one to match.
fn offers(node: &Node, path: &mut Vec<Box<str>>) -> Vec<Vec<Key>> {
    let mut found = Vec::new();
    for (name, want) in &node.fields {
        path.push(name.clone());
        match want {
            Want::Value(tests) => found.extend(keys(tests, path)),
            Want::Object(node) => found.extend(offers(node, path)),
        }
        path.pop();
    }
    for nodes in &node.alternatives {
        // One offer of each alternative; the shortest will do.
        let each = nodes.iter().map(|node| offers(node, path).into_iter().min_by_key(Vec::len));
        if let Some(each) = each.collect::<Option<Vec<_>>>() {
            found.push(each.into_iter().flatten().collect());
        }
    }
    found
}

fn keys(tests: &[Test], path: &[Box<str>]) -> Option<Vec<Key>> {
    let feature = |test: &Test| {
        Some(match test {
            Test::Null => Feature::Plain(Plain::Null),
            Test::Flag(flag) => Feature::Plain(Plain::Flag(*flag)),
            Test::Number(number) => Feature::Plain(plain_number(number.as_f64()?)),
            Test::Text(text) => Feature::Text(text.clone()),
            Test::Prefix(text) if !text.is_empty() => Feature::Prefix(text.clone()),
            Test::Suffix(text) if !text.is_empty() => Feature::Suffix(text.clone()),
            Test::EqualsIgnoreCase(text) => Feature::IgnoringCase(text.clone()),
            Test::Wildcard(wildcard) if wildcard.is_exact() => Feature::Text(wildcard.prefix().into()),
            Test::Wildcard(wildcard) if !wildcard.prefix().is_empty() => {
                Feature::Prefix(wildcard.prefix().into())
            }
            _ => return None,
        })
    };
    tests.iter().map(|test| Some(Key { path: path.to_vec(), feature: feature(test)? })).collect()
}

/// Equal numbers have equal bits here: there is one zero.
fn plain_number(number: f64) -> Plain {
    Plain::Number(if number == 0.0 { 0 } else { number.to_bits() })
}

impl Fields {
    fn add(&mut self, key: Key, entry: u32) {
        let fields = key.path.into_iter().fold(self, |fields, name| fields.children.entry(name).or_default());
        let entries = match key.feature {
            Feature::Text(text) => fields.texts.entry(text).or_default(),
            Feature::Plain(plain) => fields.plain.entry(plain).or_default(),
            Feature::IgnoringCase(text) => fields.ignoring_case.entry(text).or_default(),
            Feature::Prefix(text) => fields.prefixes.of(text),
            Feature::Suffix(text) => fields.suffixes.of(text),
        };
        entries.push(entry);
    }

    fn find(&self, value: &Value, found: &mut Vec<u32>) {
        let mut take = |entries: Option<&Vec<u32>>| found.extend(entries.into_iter().flatten());
        match value {
            Value::Object(members) => {
                // The smaller side is walked.
                if self.children.len() <= members.len() {
                    for (name, fields) in &self.children {
                        if let Some(value) = members.get(&**name) {
                            fields.find(value, found);
                        }
                    }
                } else {
                    for (name, value) in members {
                        if let Some(fields) = self.children.get(name.as_str()) {
                            fields.find(value, found);
                        }
                    }
                }
            }
            Value::Array(items) => items.iter().for_each(|item| self.find(item, found)),
            Value::Null => take(self.plain.get(&Plain::Null)),
            Value::Bool(flag) => take(self.plain.get(&Plain::Flag(*flag))),
            Value::Number(number) => {
                take(number.as_f64().and_then(|number| self.plain.get(&plain_number(number))));
            }
            Value::String(text) => {
                if !self.texts.is_empty() {
                    take(self.texts.get(text.as_str()));
                }
                for length in &self.prefixes.lengths {
                    take(text.get(..*length).and_then(|start| self.prefixes.texts.get(start)));
                }
                for length in &self.suffixes.lengths {
                    let from = text.len().checked_sub(*length);
                    take(from.and_then(|from| text.get(from..)).and_then(|end| self.suffixes.texts.get(end)));
                }
                if !self.ignoring_case.is_empty() {
                    take(self.ignoring_case.get(&lower(text)));
                }
            }
        }
    }
}

impl Ends {
    fn of(&mut self, text: Box<str>) -> &mut Vec<u32> {
        if !self.lengths.contains(&text.len()) {
            self.lengths.push(text.len());
        }
        self.texts.entry(text).or_default()
    }
}
