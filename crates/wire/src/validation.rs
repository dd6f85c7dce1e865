//! The message by which services list what is wrong with a request's members.
//!
//! "2 validation errors detected: Value '' at 'functionName' failed to satisfy constraint: Member must have
//! length greater than or equal to 1; Value null at 'role' failed to satisfy constraint: Member must not be
//! null". The reference writes the member's path in camel case with its first letter small, and lists all
//! violations at once.
//!
//! What this is not: it chooses no error code (Lambda answers ValidationException or
//! InvalidParameterValueException, CloudWatch Logs InvalidParameterException) and has no patterns.

use std::fmt::Display;

use crate::Fault;

/// Characters of a value that a message repeats. Ours: a body may have megabytes, an answer need not.
pub const SHOWN_CHARS_MAX: usize = 2_048;

/// What is wrong with a request, so far.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Violations {
    found: Vec<String>,
}

impl Violations {
    pub fn new() -> Self {
        Self::default()
    }

    pub fn is_empty(&self) -> bool {
        self.found.is_empty()
    }

    /// Adds a violation in the reference's form: `constraint` is a sentence such as "Member must not be null".
    pub fn add(&mut self, path: &str, value: impl Display, constraint: impl Display) {
        let mut shown = value.to_string();
        if let Some((at, _)) = shown.char_indices().nth(SHOWN_CHARS_MAX) {
            shown.truncate(at);
        }
        self.found.push(format!("Value '{shown}' at '{path}' failed to satisfy constraint: {constraint}"));
    }

    /// A required member is absent.
    pub fn missing(&mut self, path: &str) {
        self.found
            .push(format!("Value null at '{path}' failed to satisfy constraint: Member must not be null"));
    }

    /// Adds a violation of a text whose count of characters is out of bounds.
    pub fn check_length(&mut self, path: &str, value: &str, min: usize, max: usize) {
        let count = value.chars().count();
        if count < min {
            self.add(path, value, format_args!("Member must have length greater than or equal to {min}"));
        } else if count > max {
            self.add(path, value, format_args!("Member must have length less than or equal to {max}"));
        }
    }

    /// Adds a violation of a list whose count of items is out of bounds.
    pub fn check_count(&mut self, path: &str, values: &[impl Display], min: usize, max: usize) {
        let constraint = if values.len() < min {
            format!("Member must have length greater than or equal to {min}")
        } else if values.len() > max {
            format!("Member must have length less than or equal to {max}")
        } else {
            return;
        };
        let shown: Vec<String> = values.iter().take(SHOWN_CHARS_MAX).map(ToString::to_string).collect();
        self.add(path, format_args!("[{}]", shown.join(", ")), constraint);
    }

    /// Adds a violation of a number that is out of bounds.
    pub fn check_range(&mut self, path: &str, value: i64, min: i64, max: i64) {
        if value < min {
            self.add(path, value, format_args!("Member must have value greater than or equal to {min}"));
        } else if value > max {
            self.add(path, value, format_args!("Member must have value less than or equal to {max}"));
        }
    }

    /// Adds a violation of a text that is none of the allowed ones, which the message lists.
    pub fn check_enum(&mut self, path: &str, value: &str, allowed: &[&str]) {
        if !allowed.contains(&value) {
            let set = allowed.join(", ");
            self.add(path, value, format_args!("Member must satisfy enum value set: [{set}]"));
        }
    }

    /// Adds a violation of a text that doesn't fit its pattern; the caller judges, the message shows the pattern.
    pub fn check_pattern(&mut self, path: &str, value: &str, fits: bool, pattern: &str) {
        if !fits {
            self.add(path, value, format_args!("Member must satisfy regular expression pattern: {pattern}"));
        }
    }

    /// The whole message, or nothing when nothing is wrong.
    pub fn message(&self) -> Option<String> {
        let count = self.found.len();
        let noun = if count == 1 { "error" } else { "errors" };
        (count > 0).then(|| format!("{count} validation {noun} detected: {}", self.found.join("; ")))
    }

    /// A 400 of the code that the service uses, when anything is wrong.
    pub fn into_result(self, code: &'static str) -> Result<(), Fault> {
        match self.message() {
            None => Ok(()),
            Some(message) => Err(Fault::new(400, code, message)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_violation_is_worded_as_the_reference_words_it() {
        let mut violations = Violations::new();
        let pattern = "[a-zA-Z0-9-_]+";
        violations.check_pattern("functionName", "a b", false, pattern);
        let fault = violations.into_result("ValidationException").unwrap_err();
        assert_eq!((fault.status, &*fault.code), (400, "ValidationException"));
        assert_eq!(
            fault.message,
            "1 validation error detected: Value 'a b' at 'functionName' failed to satisfy constraint: Member must \
             satisfy regular expression pattern: [a-zA-Z0-9-_]+"
        );
    }

    #[test]
    fn several_violations_are_counted_and_joined() {
        let mut violations = Violations::new();
        violations.missing("role");
        violations.check_range("timeout", 901, 1, 900);
        violations.check_enum("packageType", "Tar", &["Image", "Zip"]);
        violations.check_length("description", "", 0, 256);
        assert_eq!(
            violations.message().unwrap(),
            "3 validation errors detected: Value null at 'role' failed to satisfy constraint: Member must not be \
             null; Value '901' at 'timeout' failed to satisfy constraint: Member must have value less than or \
             equal to 900; Value 'Tar' at 'packageType' failed to satisfy constraint: Member must satisfy enum \
             value set: [Image, Zip]"
        );
    }

    #[test]
    fn what_is_within_its_bounds_is_no_violation() {
        let mut violations = Violations::new();
        violations.check_length("a", "éé", 2, 2);
        violations.check_range("b", 1, 1, 1);
        violations.check_count("c", &["x"], 1, 1);
        violations.check_enum("d", "A", &["A"]);
        violations.check_pattern("e", "", true, "");
        assert_eq!(violations.into_result("X"), Ok(()));
    }

    #[test]
    fn a_long_value_is_shown_in_part() {
        let mut violations = Violations::new();
        violations.check_length("a", &"é".repeat(1_000_000), 0, 10);
        violations.check_count("b", &["x", "y"], 0, 1);
        let message = violations.message().unwrap();
        assert!(message.len() < 5_000);
        assert!(message.contains("Value '[x, y]' at 'b'"));
    }
}
