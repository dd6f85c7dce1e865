//! Comparisons of one value of an event with a constant of the pattern.

use super::PatternError;
use super::cursor::Cursor;
use super::regex::Regex;

#[derive(Debug)]
pub struct Comparison {
    operator: Operator,
    operand: Operand,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Operator {
    Equal,
    NotEqual,
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
}

#[derive(Debug)]
enum Operand {
    Number { value: f64, text: String },
    Text(Wild),
    Regex(Regex),
}

/// A text with `*` at its ends. Within a text the reference takes `*` for itself.
#[derive(Debug)]
struct Wild {
    any_before: bool,
    text: String,
    any_after: bool,
}

impl Wild {
    fn new(pattern: &str) -> Self {
        let inner = pattern.strip_prefix('*');
        let text = inner.unwrap_or(pattern);
        let cut = text.strip_suffix('*');
        Self {
            any_before: inner.is_some(),
            text: cut.unwrap_or(text).to_owned(),
            // A lone star is both.
            any_after: cut.is_some() || pattern == "*",
        }
    }

    fn matches(&self, value: &str) -> bool {
        match (self.any_before, self.any_after) {
            (false, false) => value == self.text,
            (true, false) => value.ends_with(&self.text),
            (false, true) => value.starts_with(&self.text),
            (true, true) => value.contains(&self.text),
        }
    }
}

impl Comparison {
    /// Reads an operator and its constant. `bare` says which characters a constant without quotes may have.
    pub fn parse(cursor: &mut Cursor<'_>, bare: fn(char) -> bool) -> Result<Self, PatternError> {
        cursor.skip_space();
        let operator = operator(cursor)?;
        cursor.skip_space();
        let operand = operand(cursor, bare)?;
        let equality = matches!(operator, Operator::Equal | Operator::NotEqual);
        if !equality && !matches!(operand, Operand::Number { .. }) {
            return Err(PatternError::Invalid);
        }
        Ok(Self { operator, operand })
    }

    /// Compares a text of the event.
    pub fn holds_for_text(&self, value: &str) -> bool {
        match &self.operand {
            Operand::Number { value: wanted, text } => match (parse_number(value), self.operator) {
                (Some(found), _) => self.operator.compares(found, *wanted),
                (None, Operator::Equal) => value == text,
                (None, Operator::NotEqual) => value != text,
                (None, _) => false,
            },
            Operand::Text(wild) => wild.matches(value) == (self.operator == Operator::Equal),
            Operand::Regex(regex) => regex.matches(value) == (self.operator == Operator::Equal),
        }
    }
}

impl Operator {
    fn compares(self, found: f64, wanted: f64) -> bool {
        match self {
            Self::Equal => found == wanted,
            Self::NotEqual => found != wanted,
            Self::Less => found < wanted,
            Self::LessOrEqual => found <= wanted,
            Self::Greater => found > wanted,
            Self::GreaterOrEqual => found >= wanted,
        }
    }
}

fn operator(cursor: &mut Cursor<'_>) -> Result<Operator, PatternError> {
    // The longer ones first: `<` is the beginning of `<=`.
    const OPERATORS: [(&str, Operator); 6] = [
        ("!=", Operator::NotEqual),
        ("<=", Operator::LessOrEqual),
        (">=", Operator::GreaterOrEqual),
        ("=", Operator::Equal),
        ("<", Operator::Less),
        (">", Operator::Greater),
    ];
    let found = OPERATORS.into_iter().find(|(token, _)| cursor.take(token));
    found.map(|(_, operator)| operator).ok_or(PatternError::Invalid)
}

fn operand(cursor: &mut Cursor<'_>, bare: fn(char) -> bool) -> Result<Operand, PatternError> {
    if cursor.take("\"") {
        return Ok(Operand::Text(Wild::new(&cursor.quoted('"')?)));
    }
    if cursor.take("%") {
        return Ok(Operand::Regex(cursor.regex()?));
    }
    let text = cursor.take_while(bare);
    if text.is_empty() {
        return Err(PatternError::Invalid);
    }
    Ok(match parse_number(text) {
        Some(value) => Operand::Number { value, text: text.to_owned() },
        None => Operand::Text(Wild::new(text)),
    })
}

/// A decimal with optional sign and exponent. Rust also reads `inf` and `nan`, which are words here.
pub fn parse_number(text: &str) -> Option<f64> {
    let numeric = text.bytes().all(|b| b.is_ascii_digit() || matches!(b, b'+' | b'-' | b'.' | b'e' | b'E'));
    numeric.then(|| text.parse().ok()).flatten()
}
