//! Reads a pattern from left to right: the small parts that all three forms share.

use super::PatternError;
use super::regex::Regex;

pub struct Cursor<'a> {
    rest: &'a str,
    regex_count: usize,
}

impl<'a> Cursor<'a> {
    pub fn new(text: &'a str) -> Self {
        Self { rest: text, regex_count: 0 }
    }

    pub fn regex_count(&self) -> usize {
        self.regex_count
    }

    pub fn at_end(&self) -> bool {
        self.rest.is_empty()
    }

    pub fn peek(&self) -> Option<char> {
        self.rest.chars().next()
    }

    pub fn skip_space(&mut self) {
        self.rest = self.rest.trim_start();
    }

    /// Takes the token when it comes next.
    pub fn take(&mut self, token: &str) -> bool {
        match self.rest.strip_prefix(token) {
            Some(rest) => {
                self.rest = rest;
                true
            }
            None => false,
        }
    }

    /// Takes the token or refuses the pattern.
    pub fn expect(&mut self, token: &str) -> Result<(), PatternError> {
        if self.take(token) { Ok(()) } else { Err(PatternError::Invalid) }
    }

    /// Takes characters for as long as `wanted` holds.
    pub fn take_while(&mut self, wanted: impl Fn(char) -> bool) -> &'a str {
        let end = self.rest.find(|c| !wanted(c)).unwrap_or(self.rest.len());
        let (taken, rest) = self.rest.split_at(end);
        self.rest = rest;
        taken
    }

    /// Takes a keyword that ends where the word ends.
    pub fn take_word(&mut self, word: &str) -> bool {
        let Some(rest) = self.rest.strip_prefix(word) else { return false };
        if rest.chars().next().is_some_and(|c| c.is_alphanumeric() || c == '_') {
            return false;
        }
        self.rest = rest;
        true
    }

    /// The text up to the closing quote; the opening one was taken. `\` lets the next character stand for
    /// itself.
    pub fn quoted(&mut self, quote: char) -> Result<String, PatternError> {
        let mut text = String::new();
        let mut characters = self.rest.char_indices();
        while let Some((at, c)) = characters.next() {
            if c == quote {
                self.rest = &self.rest[at + c.len_utf8()..];
                return Ok(text);
            }
            let c = if c == '\\' { characters.next().ok_or(PatternError::Invalid)?.1 } else { c };
            text.push(c);
        }
        Err(PatternError::Invalid)
    }

    /// The regular expression up to the closing `%`; the opening one was taken.
    pub fn regex(&mut self) -> Result<Regex, PatternError> {
        let mut escaped = false;
        for (at, c) in self.rest.char_indices() {
            if c == '%' && !escaped {
                let regex = Regex::parse(&self.rest[..at])?;
                self.rest = &self.rest[at + 1..];
                self.regex_count += 1;
                return Ok(regex);
            }
            escaped = c == '\\' && !escaped;
        }
        Err(PatternError::Invalid)
    }
}
