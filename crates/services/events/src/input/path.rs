//! The part of JSONPath that EventBridge takes: `$`, `.name`, `['name']`, `[7]` and `[*]`.

use serde_json::Value;

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Path(Vec<Step>);

#[derive(Debug, Clone, PartialEq, Eq)]
enum Step {
    Member(String),
    Element(usize),
    Elements,
}

impl Path {
    pub fn parse(text: &str) -> Option<Self> {
        let mut rest = text.strip_prefix('$')?;
        let mut steps = Vec::new();
        while !rest.is_empty() {
            if let Some(after) = rest.strip_prefix('.') {
                let end = after.find(['.', '[']).unwrap_or(after.len());
                let name = &after[..end];
                let is_name_char = |c: char| c.is_alphanumeric() || matches!(c, '_' | '-');
                if name.is_empty() || !name.chars().all(is_name_char) {
                    return None;
                }
                steps.push(Step::Member(name.to_owned()));
                rest = &after[end..];
            } else {
                let (inside, after) = rest.strip_prefix('[')?.split_once(']')?;
                steps.push(match inside.strip_prefix('\'').and_then(|name| name.strip_suffix('\'')) {
                    Some("") => return None,
                    Some(name) => Step::Member(name.to_owned()),
                    None if inside == "*" => Step::Elements,
                    None if inside.bytes().all(|b| b.is_ascii_digit()) => Step::Element(inside.parse().ok()?),
                    None => return None,
                });
                rest = after;
            }
        }
        Some(Self(steps))
    }

    /// What stands there; behind a `[*]`, the list of all that stands there.
    pub fn find(&self, event: &Value) -> Option<Value> {
        let mut found = vec![event];
        for step in &self.0 {
            found = match step {
                Step::Member(name) => found.into_iter().filter_map(|value| value.get(name)).collect(),
                Step::Element(at) => {
                    found.into_iter().filter_map(|value| value.as_array()?.get(*at)).collect()
                }
                Step::Elements => found.into_iter().filter_map(Value::as_array).flatten().collect(),
            };
        }
        if self.0.contains(&Step::Elements) {
            return Some(found.into_iter().cloned().collect());
        }
        found.pop().cloned()
    }
}
