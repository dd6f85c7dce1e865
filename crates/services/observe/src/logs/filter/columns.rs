//! Patterns for space-delimited events: `[ip, user, ..., status = 4* && status != 403, bytes > 1000]`.

use super::PatternError;
use super::comparison::Comparison;
use super::cursor::Cursor;

#[derive(Debug)]
pub struct Columns {
    /// Those before the ellipsis, from the event's beginning.
    first: Vec<Column>,
    /// Those behind the ellipsis, from the event's end backwards; `None` without an ellipsis.
    last: Option<Vec<Column>>,
}

/// What a column's value must satisfy: all of one of these lists. `None` takes anything.
type Column = Option<Vec<Vec<Comparison>>>;

impl Columns {
    pub fn matches(&self, event: &str) -> bool {
        let values = split(event);
        let last = self.last.as_deref().unwrap_or_default();
        let wanted = self.first.len() + last.len();
        let count_fits = if self.last.is_some() { values.len() >= wanted } else { values.len() == wanted };
        count_fits
            && self.first.iter().zip(values.iter()).all(|(column, value)| holds(column, value))
            && last.iter().zip(values.iter().rev()).all(|(column, value)| holds(column, value))
    }
}

fn holds(column: &Column, value: &str) -> bool {
    let Some(alternatives) = column else { return true };
    alternatives.iter().any(|all| all.iter().all(|comparison| comparison.holds_for_text(value)))
}

pub fn parse(cursor: &mut Cursor<'_>) -> Result<Columns, PatternError> {
    cursor.expect("[")?;
    let mut first = Vec::new();
    let mut last: Option<Vec<Column>> = None;
    loop {
        cursor.skip_space();
        if cursor.take("...") || cursor.take("…") {
            if last.is_some() {
                return Err(PatternError::Invalid);
            }
            last = Some(Vec::new());
        } else {
            let column = column(cursor)?;
            last.as_mut().unwrap_or(&mut first).push(column);
        }
        cursor.skip_space();
        if !cursor.take(",") {
            break;
        }
    }
    cursor.expect("]")?;
    cursor.skip_space();
    if !cursor.at_end() {
        return Err(PatternError::Invalid);
    }
    if let Some(last) = &mut last {
        last.reverse();
    }
    Ok(Columns { first, last })
}

/// A name, which may be empty, and what its value must be. `&&` binds closer than `||`.
fn column(cursor: &mut Cursor<'_>) -> Result<Column, PatternError> {
    let name = take_name(cursor);
    cursor.skip_space();
    if matches!(cursor.peek(), Some(',' | ']') | None) {
        return Ok(None);
    }
    let mut alternatives = vec![vec![Comparison::parse(cursor, is_bare)?]];
    loop {
        cursor.skip_space();
        if cursor.take("||") {
            alternatives.push(Vec::new());
        } else if !cursor.take("&&") {
            return Ok(Some(alternatives));
        }
        cursor.skip_space();
        // Each condition names the column again; another column's name has no business here.
        if take_name(cursor) != name {
            return Err(PatternError::Invalid);
        }
        let comparison = Comparison::parse(cursor, is_bare)?;
        alternatives.last_mut().expect("one was put in above").push(comparison);
    }
}

fn take_name<'a>(cursor: &mut Cursor<'a>) -> &'a str {
    cursor.take_while(|c| c.is_alphanumeric() || matches!(c, '_' | '-' | '$'))
}

fn is_bare(c: char) -> bool {
    !c.is_whitespace() && !matches!(c, ',' | '[' | ']' | '&' | '|' | '"' | '(' | ')' | '%')
}

/// The event's values: what stands between spaces, in square brackets or in double quotes. A bracket or quote
/// that nothing closes is an ordinary character.
fn split(event: &str) -> Vec<&str> {
    let mut values = Vec::new();
    let mut rest = event.trim_start();
    while let Some(c) = rest.chars().next() {
        let close = match c {
            '[' => rest[1..].find(']'),
            '"' => rest[1..].find('"'),
            _ => None,
        };
        let end = match close {
            Some(at) => {
                values.push(&rest[1..at + 1]);
                at + 2
            }
            None => {
                let end = rest.find(char::is_whitespace).unwrap_or(rest.len());
                values.push(&rest[..end]);
                end
            }
        };
        rest = rest[end..].trim_start();
    }
    values
}
