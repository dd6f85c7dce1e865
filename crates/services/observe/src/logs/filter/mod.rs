//! The filter pattern language of CloudWatch Logs.
//!
//! Three forms, told apart by their first character: terms (`ERROR -"not found" ?a ?b %re%`), columns of a
//! space-delimited event (`[ip, ..., status = 4*]`) and a condition on a JSON event (`{ $.a.b > 1 && ... }`).
//! The source is the page *Filter pattern syntax* of the CloudWatch Logs user guide.
//!
//! What this is not: it is not Insights, and it extracts no values; it only says whether an event matches.
//!
//! Invariants:
//! - a pattern is judged when it is parsed; matching never fails and takes time linear in the event for each
//!   part of the pattern;
//! - everything here is pure.

mod columns;
mod comparison;
mod cursor;
mod json;
mod regex;
mod terms;
#[cfg(test)]
mod tests;

use cursor::Cursor;

/// User guide, *Quotas*: regular expressions in one delimited or JSON pattern.
const REGEXES_MAX: usize = 2;

/// A parsed pattern.
#[derive(Debug)]
pub struct Filter(Form);

#[derive(Debug)]
enum Form {
    Everything,
    Terms(terms::Terms),
    Columns(columns::Columns),
    Json(json::Condition),
}

/// Why a text is not a pattern. The texts are the reference's.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PatternError {
    #[error("Invalid filter pattern")]
    Invalid,
    #[error("Invalid character(s) in term '{0}'")]
    Term(String),
}

impl Filter {
    pub fn parse(pattern: &str) -> Result<Self, PatternError> {
        let pattern = pattern.trim();
        let mut cursor = Cursor::new(pattern);
        let form = match pattern.chars().next() {
            None => Form::Everything,
            Some('{') => Form::Json(json::parse(&mut cursor)?),
            Some('[') => Form::Columns(columns::parse(&mut cursor)?),
            Some(_) => Form::Terms(terms::parse(&mut cursor)?),
        };
        let regexes_bounded = matches!(form, Form::Json(_) | Form::Columns(_));
        if regexes_bounded && cursor.regex_count() > REGEXES_MAX {
            return Err(PatternError::Invalid);
        }
        Ok(Self(form))
    }

    pub fn matches(&self, event: &str) -> bool {
        match &self.0 {
            Form::Everything => true,
            Form::Terms(terms) => terms.matches(event),
            Form::Columns(columns) => columns.matches(event),
            Form::Json(condition) => json::matches(condition, event),
        }
    }
}
