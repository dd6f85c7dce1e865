//! Terms: words, quoted phrases and regular expressions that an event must hold, must not hold (`-`), or of
//! which it must hold one (`?`).

use super::PatternError;
use super::cursor::Cursor;
use super::regex::Regex;

#[derive(Debug, Default)]
pub struct Terms {
    all: Vec<Term>,
    none: Vec<Term>,
    any: Vec<Term>,
}

#[derive(Debug)]
enum Term {
    Text(String),
    Regex(Regex),
}

impl Term {
    fn is_in(&self, event: &str) -> bool {
        match self {
            Self::Text(text) => event.contains(text.as_str()),
            Self::Regex(regex) => regex.matches(event),
        }
    }
}

impl Terms {
    pub fn matches(&self, event: &str) -> bool {
        let plain =
            self.all.iter().all(|term| term.is_in(event)) && !self.none.iter().any(|term| term.is_in(event));
        // The reference ignores `?` terms beside terms of other kinds; the user guide warns of it.
        let alone = self.all.is_empty() && self.none.is_empty();
        plain && (!alone || self.any.is_empty() || self.any.iter().any(|term| term.is_in(event)))
    }
}

pub fn parse(cursor: &mut Cursor<'_>) -> Result<Terms, PatternError> {
    let mut terms = Terms::default();
    cursor.skip_space();
    while !cursor.at_end() {
        let list = if cursor.take("-") {
            &mut terms.none
        } else if cursor.take("?") {
            &mut terms.any
        } else {
            &mut terms.all
        };
        cursor.skip_space();
        list.push(term(cursor)?);
        cursor.skip_space();
    }
    Ok(terms)
}

fn term(cursor: &mut Cursor<'_>) -> Result<Term, PatternError> {
    if cursor.take("\"") {
        return Ok(Term::Text(cursor.quoted('"')?));
    }
    if cursor.take("%") {
        return Ok(Term::Regex(cursor.regex()?));
    }
    let word = cursor.take_while(|c| !c.is_whitespace());
    if word.is_empty() {
        return Err(PatternError::Invalid);
    }
    if word.chars().all(|c| c.is_alphanumeric() || c == '_') {
        Ok(Term::Text(word.to_owned()))
    } else {
        Err(PatternError::Term(word.to_owned()))
    }
}
