//! Conditions on events that are JSON objects: `{ ($.a.b[0] = "x*" || $.n >= 5) && $.c NOT EXISTS }`.

use serde_json::Value;

use super::PatternError;
use super::comparison::Comparison;
use super::cursor::Cursor;

/// Parentheses within parentheses: far beyond any pattern of 1,024 characters that someone wrote by hand.
const DEPTH_MAX: usize = 64;

#[derive(Debug)]
pub enum Condition {
    Any(Vec<Condition>),
    All(Vec<Condition>),
    Test(Vec<Step>, Test),
}

/// One step of a selector.
#[derive(Debug)]
pub enum Step {
    Property(String),
    Element(usize),
    /// `.*` and `[*]`: every property or element.
    Every,
}

#[derive(Debug)]
pub enum Test {
    Compares(Comparison),
    IsNull,
    IsTrue,
    IsFalse,
    Exists,
    NotExists,
}

pub fn matches(condition: &Condition, event: &str) -> bool {
    if !event.trim_start().starts_with(['{', '[']) {
        return false;
    }
    serde_json::from_str(event).is_ok_and(|value| holds(condition, &value))
}

fn holds(condition: &Condition, event: &Value) -> bool {
    match condition {
        Condition::Any(parts) => parts.iter().any(|part| holds(part, event)),
        Condition::All(parts) => parts.iter().all(|part| holds(part, event)),
        Condition::Test(steps, Test::NotExists) => !reaches(event, steps, &|_| true),
        Condition::Test(steps, test) => reaches(event, steps, &|value| passes(test, value)),
    }
}

/// Whether the selector leads to a value that is `wanted`.
fn reaches(value: &Value, steps: &[Step], wanted: &dyn Fn(&Value) -> bool) -> bool {
    let Some((step, rest)) = steps.split_first() else { return wanted(value) };
    match (step, value) {
        (Step::Property(name), Value::Object(members)) => {
            members.get(name).is_some_and(|value| reaches(value, rest, wanted))
        }
        (Step::Element(at), Value::Array(values)) => {
            values.get(*at).is_some_and(|value| reaches(value, rest, wanted))
        }
        (Step::Every, Value::Object(members)) => members.values().any(|value| reaches(value, rest, wanted)),
        (Step::Every, Value::Array(values)) => values.iter().any(|value| reaches(value, rest, wanted)),
        _ => false,
    }
}

fn passes(test: &Test, value: &Value) -> bool {
    match test {
        Test::Exists => true,
        Test::NotExists => false,
        Test::IsNull => value.is_null(),
        Test::IsTrue => *value == Value::Bool(true),
        Test::IsFalse => *value == Value::Bool(false),
        // An array, an object or nothing fits no comparison, not even `!=`: the format is another one.
        Test::Compares(comparison) => match value {
            Value::String(text) => comparison.holds_for_text(text),
            Value::Number(number) => comparison.holds_for_text(&number.to_string()),
            Value::Bool(flag) => comparison.holds_for_text(if *flag { "true" } else { "false" }),
            Value::Null | Value::Array(_) | Value::Object(_) => false,
        },
    }
}

pub fn parse(cursor: &mut Cursor<'_>) -> Result<Condition, PatternError> {
    cursor.expect("{")?;
    let condition = any(cursor, 0)?;
    cursor.expect("}")?;
    cursor.skip_space();
    if cursor.at_end() { Ok(condition) } else { Err(PatternError::Invalid) }
}

fn any(cursor: &mut Cursor<'_>, depth: usize) -> Result<Condition, PatternError> {
    let mut parts = vec![all(cursor, depth)?];
    while cursor.take("||") {
        parts.push(all(cursor, depth)?);
    }
    Ok(Condition::Any(parts))
}

fn all(cursor: &mut Cursor<'_>, depth: usize) -> Result<Condition, PatternError> {
    let mut parts = vec![single(cursor, depth)?];
    while cursor.take("&&") {
        parts.push(single(cursor, depth)?);
    }
    Ok(Condition::All(parts))
}

/// One test or a parenthesis, and the spaces around it.
fn single(cursor: &mut Cursor<'_>, depth: usize) -> Result<Condition, PatternError> {
    cursor.skip_space();
    let condition = if cursor.take("(") {
        if depth == DEPTH_MAX {
            return Err(PatternError::Invalid);
        }
        let inner = any(cursor, depth + 1)?;
        cursor.expect(")")?;
        inner
    } else {
        let steps = selector(cursor)?;
        cursor.skip_space();
        Condition::Test(steps, test(cursor)?)
    };
    cursor.skip_space();
    Ok(condition)
}

fn test(cursor: &mut Cursor<'_>) -> Result<Test, PatternError> {
    if cursor.take_word("EXISTS") {
        return Ok(Test::Exists);
    }
    if cursor.take_word("NOT") {
        cursor.skip_space();
        return if cursor.take_word("EXISTS") { Ok(Test::NotExists) } else { Err(PatternError::Invalid) };
    }
    if cursor.take_word("IS") {
        cursor.skip_space();
        let words = [("NULL", Test::IsNull), ("TRUE", Test::IsTrue), ("FALSE", Test::IsFalse)];
        let found = words.into_iter().find(|(word, _)| cursor.take_word(word));
        return found.map(|(_, test)| test).ok_or(PatternError::Invalid);
    }
    Comparison::parse(cursor, is_bare).map(Test::Compares)
}

/// Other characters need quotes.
fn is_bare(c: char) -> bool {
    c.is_alphanumeric() || matches!(c, '_' | '*' | '.' | '+' | '-')
}

/// `$`, then at least one of `.name`, `.*`, `[3]`, `[*]`, `['any name']`.
fn selector(cursor: &mut Cursor<'_>) -> Result<Vec<Step>, PatternError> {
    cursor.expect("$")?;
    let mut steps = Vec::new();
    loop {
        let dot = cursor.take(".");
        if cursor.take("[") {
            steps.push(bracket(cursor)?);
        } else if dot {
            steps.push(property(cursor)?);
        } else {
            break;
        }
    }
    if steps.is_empty() { Err(PatternError::Invalid) } else { Ok(steps) }
}

fn property(cursor: &mut Cursor<'_>) -> Result<Step, PatternError> {
    if cursor.take("*") {
        return Ok(Step::Every);
    }
    let name = cursor.take_while(|c| c.is_alphanumeric() || matches!(c, '_' | '-'));
    if name.is_empty() { Err(PatternError::Invalid) } else { Ok(Step::Property(name.to_owned())) }
}

fn bracket(cursor: &mut Cursor<'_>) -> Result<Step, PatternError> {
    let step = if cursor.take("*") {
        Step::Every
    } else if cursor.take("'") {
        Step::Property(cursor.quoted('\'')?)
    } else if cursor.take("\"") {
        Step::Property(cursor.quoted('"')?)
    } else {
        let digits = cursor.take_while(|c| c.is_ascii_digit());
        Step::Element(digits.parse().map_err(|_| PatternError::Invalid)?)
    };
    cursor.expect("]")?;
    Ok(step)
}
