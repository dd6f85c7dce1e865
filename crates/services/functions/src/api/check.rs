//! The model's constraints, checked and worded as the reference words them.
//!
//! Violations are collected, not thrown: the reference names every broken constraint of a request at once.

use crate::error::{Error, ShownValue, Violation};

/// What the model says of a text member.
#[derive(Clone, Copy)]
pub struct TextRule {
    pub min: usize,
    pub max: usize,
    pub pattern: Option<Pattern>,
    pub sensitive: bool,
}

/// A pattern of the model: its text, as errors show it, and the same thing as code.
#[derive(Clone, Copy)]
pub struct Pattern {
    pub text: &'static str,
    pub matches: fn(&str) -> bool,
}

impl TextRule {
    pub const fn length(min: usize, max: usize) -> Self {
        Self { min, max, pattern: None, sensitive: false }
    }

    pub const fn pattern(min: usize, max: usize, text: &'static str, matches: fn(&str) -> bool) -> Self {
        Self { min, max, pattern: Some(Pattern { text, matches }), sensitive: false }
    }
}

/// Any text at all.
pub const ANY: TextRule = TextRule::length(0, usize::MAX);

/// The violations found so far in a request.
#[derive(Default)]
pub struct Check {
    violations: Vec<Violation>,
}

impl Check {
    pub fn violate(&mut self, path: &str, value: ShownValue, constraint: impl Into<String>) {
        self.violations.push(Violation { path: path.to_owned(), value, constraint: constraint.into() });
    }

    pub fn missing(&mut self, path: &str) {
        self.violate(path, ShownValue::Null, "Member must not be null");
    }

    pub fn text(&mut self, path: &str, value: &str, rule: &TextRule) {
        let shown = || match rule.sensitive {
            true => ShownValue::Hidden,
            false => ShownValue::Text(value.to_owned()),
        };
        let length = value.chars().count();
        if length > rule.max {
            self.violate(
                path,
                shown(),
                format!("Member must have length less than or equal to {}", rule.max),
            );
        }
        if length < rule.min {
            self.violate(
                path,
                shown(),
                format!("Member must have length greater than or equal to {}", rule.min),
            );
        }
        if let Some(pattern) = rule.pattern
            && !(pattern.matches)(value)
        {
            self.violate(path, shown(), pattern_constraint(pattern.text));
        }
    }

    pub fn number(&mut self, path: &str, value: i64, min: i64, max: i64) {
        let shown = || ShownValue::Text(value.to_string());
        if value > max {
            self.violate(path, shown(), format!("Member must have value less than or equal to {max}"));
        }
        if value < min {
            self.violate(path, shown(), format!("Member must have value greater than or equal to {min}"));
        }
    }

    pub fn choice(&mut self, path: &str, value: &str, choices: &[&str]) {
        if !choices.contains(&value) {
            self.violate(path, ShownValue::Text(value.to_owned()), enum_constraint(choices));
        }
    }

    /// A list of enumerated texts, which the reference shows whole.
    pub fn choices(&mut self, path: &str, values: &[String], choices: &[&str], count_max: usize) {
        let shown = || ShownValue::Text(format!("[{}]", values.join(", ")));
        if values.iter().any(|v| !choices.contains(&v.as_str())) {
            let constraint = format!("Member must satisfy constraint: [{}]", enum_constraint(choices));
            self.violate(path, shown(), constraint);
        }
        self.list_length(path, values, 0, count_max);
    }

    pub fn list_length(&mut self, path: &str, values: &[String], min: usize, max: usize) {
        let shown = || ShownValue::Text(format!("[{}]", values.join(", ")));
        if values.len() > max {
            self.violate(path, shown(), format!("Member must have length less than or equal to {max}"));
        }
        if values.len() < min {
            self.violate(path, shown(), format!("Member must have length greater than or equal to {min}"));
        }
    }

    pub fn finish(self) -> Result<(), Error> {
        if self.violations.is_empty() { Ok(()) } else { Err(Error::Validation(self.violations)) }
    }
}

pub fn pattern_constraint(pattern: &str) -> String {
    format!("Member must satisfy regular expression pattern: {pattern}")
}

pub fn enum_constraint(choices: &[&str]) -> String {
    format!("Member must satisfy enum value set: [{}]", choices.join(", "))
}
