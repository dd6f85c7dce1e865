//! The regular expressions of filter patterns.
//!
//! The user guide's list: letters, digits, the symbols `: _ # = @ / ; , -`, the operators
//! `^ $ ? [ ] { } | \ * + .`, the classes `\d \D \s \S \w \W`, and `\xhh`. There are no groups, so an
//! expression is a list of branches, and a branch is a list of steps that never turns back. All steps that may
//! come next are followed at once, so the time is bounded by event × steps, whatever the expression.

use super::PatternError;

/// Ours: steps of all branches, with counted repetitions written out. Bounds the time for each character.
const STEPS_MAX: usize = 256;

#[derive(Debug)]
pub struct Regex {
    branches: Vec<Vec<Step>>,
}

#[derive(Debug, Clone)]
enum Step {
    /// Only at the event's beginning.
    Begin,
    /// Only at the event's end, or before the line break that ends it.
    End,
    One(Set),
    Optional(Set),
    Many(Set),
}

/// Characters: ranges, or everything outside them.
#[derive(Debug, Clone)]
struct Set {
    ranges: Vec<(char, char)>,
    negated: bool,
}

impl Set {
    fn one(c: char) -> Self {
        Self { ranges: vec![(c, c)], negated: false }
    }

    fn any_but_line_break() -> Self {
        Self { ranges: vec![('\n', '\n')], negated: true }
    }

    fn has(&self, c: char) -> bool {
        self.ranges.iter().any(|(low, high)| (*low..=*high).contains(&c)) != self.negated
    }
}

impl Regex {
    pub fn parse(pattern: &str) -> Result<Self, PatternError> {
        let mut parser = Parser { rest: pattern.chars().collect::<Vec<_>>().into_iter().peekable() };
        let mut branches = vec![Vec::new()];
        while let Some(c) = parser.rest.next() {
            if c == '|' {
                branches.push(Vec::new());
                continue;
            }
            let branch = branches.last_mut().expect("there is one from the start");
            parser.step(c, branch)?;
            if branches.iter().map(Vec::len).sum::<usize>() > STEPS_MAX {
                return Err(PatternError::Invalid);
            }
        }
        // An empty branch would match everything, which nobody means.
        if branches.iter().any(Vec::is_empty) { Err(PatternError::Invalid) } else { Ok(Self { branches }) }
    }

    /// Whether the expression matches anywhere in the text.
    pub fn matches(&self, text: &str) -> bool {
        self.branches.iter().any(|branch| branch_matches(branch, text))
    }
}

fn branch_matches(steps: &[Step], text: &str) -> bool {
    // `active[i]`: the text so far can be followed by what stands from step i on.
    let mut active = vec![false; steps.len() + 1];
    let mut following = active.clone();
    let mut rest = text.chars();
    let mut at_begin = true;
    loop {
        let at_end = matches!(rest.as_str(), "" | "\n");
        // A match may begin anywhere.
        active[0] = true;
        for (at, step) in steps.iter().enumerate() {
            let passable = match step {
                Step::Begin => at_begin,
                Step::End => at_end,
                Step::One(_) => false,
                Step::Optional(_) | Step::Many(_) => true,
            };
            active[at + 1] |= active[at] && passable;
        }
        if active[steps.len()] {
            return true;
        }
        let Some(c) = rest.next() else { return false };
        following.fill(false);
        for (at, step) in steps.iter().enumerate().filter(|(at, _)| active[*at]) {
            match step {
                Step::One(set) | Step::Optional(set) if set.has(c) => following[at + 1] = true,
                Step::Many(set) if set.has(c) => following[at] = true,
                _ => {}
            }
        }
        std::mem::swap(&mut active, &mut following);
        at_begin = false;
    }
}

struct Parser {
    rest: std::iter::Peekable<std::vec::IntoIter<char>>,
}

impl Parser {
    /// Reads what begins with `c` and its repetition.
    fn step(&mut self, c: char, branch: &mut Vec<Step>) -> Result<(), PatternError> {
        let set = match c {
            '^' => {
                branch.push(Step::Begin);
                return Ok(());
            }
            '$' => {
                branch.push(Step::End);
                return Ok(());
            }
            '.' => Set::any_but_line_break(),
            '[' => self.class()?,
            '\\' => self.escape()?,
            c if is_plain(c) => Set::one(c),
            _ => return Err(PatternError::Invalid),
        };
        let (least, most) = self.repetition()?;
        let optional = most.map_or(0, |most| most - least);
        if least + optional > STEPS_MAX {
            return Err(PatternError::Invalid);
        }
        branch.extend(std::iter::repeat_n(Step::One(set.clone()), least));
        branch.extend(std::iter::repeat_n(Step::Optional(set.clone()), optional));
        if most.is_none() {
            branch.push(Step::Many(set));
        }
        Ok(())
    }

    /// `?`, `*`, `+`, `{m}`, `{m,}`, `{m,n}`, or nothing, which is once.
    fn repetition(&mut self) -> Result<(usize, Option<usize>), PatternError> {
        let bounds = match self.rest.peek() {
            Some('?') => (0, Some(1)),
            Some('*') => (0, None),
            Some('+') => (1, None),
            Some('{') => {
                self.rest.next();
                return self.counted();
            }
            _ => return Ok((1, Some(1))),
        };
        self.rest.next();
        Ok(bounds)
    }

    fn counted(&mut self) -> Result<(usize, Option<usize>), PatternError> {
        let least = self.number()?.ok_or(PatternError::Invalid)?;
        let most = if self.rest.next_if_eq(&',').is_some() { self.number()? } else { Some(least) };
        let ordered = most.is_none_or(|most| most >= least && most > 0);
        if self.rest.next() == Some('}') && ordered { Ok((least, most)) } else { Err(PatternError::Invalid) }
    }

    fn number(&mut self) -> Result<Option<usize>, PatternError> {
        let mut number = None;
        while let Some(digit) = self.rest.peek().and_then(|c| c.to_digit(10)) {
            self.rest.next();
            let value = number.unwrap_or(0) * 10 + digit as usize;
            if value > STEPS_MAX {
                return Err(PatternError::Invalid);
            }
            number = Some(value);
        }
        Ok(number)
    }

    fn escape(&mut self) -> Result<Set, PatternError> {
        let c = self.rest.next().ok_or(PatternError::Invalid)?;
        let ranges = match c.to_ascii_lowercase() {
            'd' => vec![('0', '9')],
            's' => vec![(' ', ' '), ('\t', '\r')],
            'w' => vec![('a', 'z'), ('A', 'Z'), ('0', '9'), ('_', '_')],
            'x' if c == 'x' => {
                let mut digit = || self.rest.next().and_then(|c| c.to_digit(16)).ok_or(PatternError::Invalid);
                let code = digit()? * 16 + digit()?;
                return char::from_u32(code)
                    .filter(char::is_ascii)
                    .map(Set::one)
                    .ok_or(PatternError::Invalid);
            }
            _ if c.is_ascii_punctuation() => return Ok(Set::one(c)),
            _ => return Err(PatternError::Invalid),
        };
        Ok(Set { ranges, negated: c.is_ascii_uppercase() })
    }

    /// What stands in `[...]`; the opening bracket was taken.
    fn class(&mut self) -> Result<Set, PatternError> {
        let negated = self.rest.next_if_eq(&'^').is_some();
        let mut ranges: Vec<(char, char)> = Vec::new();
        loop {
            let low = match self.rest.next().ok_or(PatternError::Invalid)? {
                ']' if !ranges.is_empty() => return Ok(Set { ranges, negated }),
                '\\' => {
                    let escaped = self.escape()?;
                    // The outside of a class within a class has no ranges of its own to add.
                    match (escaped.negated, escaped.ranges.as_slice()) {
                        (false, [(c, same)]) if c == same => *c,
                        (false, _) => {
                            ranges.extend(escaped.ranges);
                            continue;
                        }
                        (true, _) => return Err(PatternError::Invalid),
                    }
                }
                c if c != ']' && (is_plain(c) || is_operator(c)) => c,
                _ => return Err(PatternError::Invalid),
            };
            ranges.push((low, self.range_end(low)?));
        }
    }

    /// The end of a range that begins with `low`; `low` itself when there is none.
    fn range_end(&mut self, low: char) -> Result<char, PatternError> {
        let mut ahead = self.rest.clone();
        if ahead.next() != Some('-') || matches!(ahead.peek(), Some(']') | None) {
            return Ok(low);
        }
        self.rest = ahead;
        let high = match self.rest.next() {
            Some('\\') => match self.escape()? {
                Set { ranges, negated: false } if ranges.len() == 1 && ranges[0].0 == ranges[0].1 => {
                    ranges[0].0
                }
                _ => return Err(PatternError::Invalid),
            },
            Some(c) if is_plain(c) => c,
            _ => return Err(PatternError::Invalid),
        };
        if low <= high { Ok(high) } else { Err(PatternError::Invalid) }
    }
}

/// Characters that stand for themselves. A space is not in the user guide's list but in its examples.
fn is_plain(c: char) -> bool {
    c.is_ascii_alphanumeric() || matches!(c, ':' | '_' | '#' | '=' | '@' | '/' | ';' | ',' | '-' | ' ')
}

fn is_operator(c: char) -> bool {
    matches!(c, '^' | '$' | '?' | '[' | '{' | '}' | '|' | '*' | '+' | '.')
}
