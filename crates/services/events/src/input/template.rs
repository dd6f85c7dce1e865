//! Input templates: JSON text with `<variables>` in it.
//!
//! Outside of quotes a variable becomes its JSON value; inside of them it becomes its text, and objects and lists
//! lose their quotes, as with the reference. One without a value is an empty text.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

/// What the reference's own variables stand for.
#[derive(Debug, Clone, Copy)]
pub struct Reserved<'a> {
    pub rule_arn: &'a str,
    pub rule_name: &'a str,
    /// When the event came, as the reference writes it.
    pub ingestion_time: &'a str,
}

const RULE_ARN: &str = "aws.events.rule-arn";
const RULE_NAME: &str = "aws.events.rule-name";
const EVENT: &str = "aws.events.event";
const EVENT_JSON: &str = "aws.events.event.json";
const INGESTION_TIME: &str = "aws.events.event.ingestion-time";
const RESERVED: [&str; 5] = [RULE_ARN, RULE_NAME, EVENT, EVENT_JSON, INGESTION_TIME];

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Template {
    parts: Vec<Part>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Part {
    Text(String),
    Variable { name: String, in_quotes: bool },
}

impl Template {
    /// Reads the text. `Err` names the variables that nobody defines; with none of them, the text is no JSON.
    pub fn parse(text: &str, variables: &BTreeSet<&str>) -> Result<Self, Vec<String>> {
        let mut parts = Vec::new();
        let (mut plain, mut in_quotes, mut escaped) = (String::new(), false, false);
        let mut rest = text;
        while let Some(c) = rest.chars().next() {
            if c == '<'
                && let Some((name, after)) = rest[1..].split_once('>')
                && is_name(name)
            {
                parts.push(Part::Text(std::mem::take(&mut plain)));
                parts.push(Part::Variable { name: name.to_owned(), in_quotes });
                rest = after;
                continue;
            }
            match c {
                '"' if !escaped => in_quotes = !in_quotes,
                _ => {}
            }
            escaped = in_quotes && c == '\\' && !escaped;
            plain.push(c);
            rest = &rest[c.len_utf8()..];
        }
        parts.push(Part::Text(plain));
        let names = parts.iter().filter_map(|part| match part {
            Part::Variable { name, .. } => Some(name.as_str()),
            Part::Text(_) => None,
        });
        let unknown: Vec<String> = names
            .filter(|name| !RESERVED.contains(name) && !variables.contains(name))
            .map(str::to_owned)
            .collect();
        let template = Self { parts };
        let is_json = || {
            serde_json::from_str::<Value>(
                &template.written(|_, in_quotes| if in_quotes { String::new() } else { "0".to_owned() }),
            )
        };
        if !unknown.is_empty() || is_json().is_err() {
            return Err(unknown);
        }
        Ok(template)
    }

    pub fn render(
        &self,
        values: &BTreeMap<&str, Value>,
        text: &str,
        event: &Value,
        reserved: &Reserved<'_>,
    ) -> String {
        self.written(|name, in_quotes| {
            if name == EVENT_JSON && !in_quotes {
                return text.to_owned();
            }
            let own = match name {
                RULE_ARN => Some(Value::from(reserved.rule_arn)),
                RULE_NAME => Some(Value::from(reserved.rule_name)),
                INGESTION_TIME => Some(Value::from(reserved.ingestion_time)),
                EVENT_JSON => Some(event.clone()),
                EVENT => Some(without_detail(event)),
                _ => None,
            };
            let nothing = Value::from("");
            let value = own.as_ref().or_else(|| values.get(name)).unwrap_or(&nothing);
            if in_quotes { in_a_text(value) } else { value.to_string() }
        })
    }

    fn written(&self, mut variable: impl FnMut(&str, bool) -> String) -> String {
        let mut written = String::new();
        for part in &self.parts {
            match part {
                Part::Text(text) => written.push_str(text),
                Part::Variable { name, in_quotes } => written.push_str(&variable(name, *in_quotes)),
            }
        }
        written
    }
}

/// Whether a user may call a variable this: the reference keeps what begins with its own name.
pub fn is_variable_name(name: &str) -> bool {
    is_name(name) && !name.get(..3).is_some_and(|start| start.eq_ignore_ascii_case("aws"))
}

fn is_name(name: &str) -> bool {
    !name.is_empty() && name.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-'))
}

fn without_detail(event: &Value) -> Value {
    let mut event = event.clone();
    if let Some(members) = event.as_object_mut() {
        members.remove("detail");
    }
    event
}

/// A value inside of a JSON text: escaped where it must be.
fn in_a_text(value: &Value) -> String {
    match value {
        Value::String(text) => {
            let quoted = Value::from(text.as_str()).to_string();
            quoted[1..quoted.len() - 1].to_owned()
        }
        Value::Object(_) | Value::Array(_) => {
            let plain = value.to_string().replace('"', "");
            in_a_text(&Value::from(plain))
        }
        plain => plain.to_string(),
    }
}
