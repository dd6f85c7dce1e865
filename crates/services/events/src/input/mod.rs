//! What a target gets: the event, a part of it, a constant, or a text made from its parts. Pure.

mod path;
mod template;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;

use serde_json::Value;

pub use path::Path;
pub use template::{Reserved, Template, is_variable_name};

/// How a target's input is made.
#[derive(Debug, Clone)]
pub enum Maker {
    /// The event as it is.
    Whole,
    Constant(String),
    Part(Path),
    Transformed {
        variables: BTreeMap<String, Path>,
        template: Template,
    },
}

impl Maker {
    /// The input for an event, as JSON text. `event` is the parsed `text`.
    pub fn make(&self, text: &str, event: &Value, reserved: &Reserved<'_>) -> String {
        match self {
            Self::Whole => text.to_owned(),
            Self::Constant(constant) => constant.clone(),
            Self::Part(path) => path.find(event).unwrap_or(Value::Null).to_string(),
            Self::Transformed { variables, template } => {
                let values = variables.iter().filter_map(|(name, path)| Some((&**name, path.find(event)?)));
                template.render(&values.collect(), text, event, reserved)
            }
        }
    }
}
