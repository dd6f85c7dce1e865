//! A request's members: each is read by name and judged, and what nobody read is refused by name.
//!
//! Wrong types are a SerializationException at once; broken constraints are collected and answered together, in
//! the reference's words.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use lambent_core::time::Timestamp;
use lambent_wire::Fault;
use lambent_wire::json::{Body, Object};
use lambent_wire::validation::Violations;

/// A constraint on a text.
#[derive(Debug, Clone, Copy)]
pub struct Shape {
    pub chars_min: usize,
    pub chars_max: usize,
    pub pattern: Option<Pattern>,
}

/// The model's regular expression as an error quotes it, and whether a text fits.
type Pattern = (&'static str, fn(&str) -> bool);

pub const fn shape(chars_min: usize, chars_max: usize) -> Shape {
    Shape { chars_min, chars_max, pattern: None }
}

pub const ARN: Shape = shape(1, 1_600);
pub const TOKEN: Shape = shape(1, 2_048);

pub struct Input {
    body: Body,
    check: Mutex<Violations>,
}

impl Input {
    pub fn parse(bytes: &[u8]) -> Result<Self, Fault> {
        Ok(Self { body: Body::parse(bytes)?, check: Mutex::default() })
    }

    pub fn root(&self) -> Member<'_> {
        Member { object: self.body.object(), path: String::new(), input: self }
    }

    pub fn check(&self) -> MutexGuard<'_, Violations> {
        // Each change under this lock is a single call.
        self.check.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub fn check_text(&self, path: &str, text: &str, shape: Shape) {
        let mut check = self.check();
        check.check_length(path, text, shape.chars_min, shape.chars_max);
        if let Some((pattern, fits)) = shape.pattern {
            check.check_pattern(path, text, fits(text), pattern);
        }
    }

    /// Answers for everything that was wrong, and for members that nobody read.
    pub fn finish(&self) -> Result<(), Fault> {
        std::mem::take(&mut *self.check()).into_result("ValidationException")?;
        match self.body.unread().first() {
            None => Ok(()),
            Some(name) => Err(unsupported_member(name)),
        }
    }
}

/// A member that the reference knows and this service does not serve.
pub fn unsupported_member(name: &str) -> Fault {
    invalid(format!("The parameter '{name}' is not supported."))
}

pub fn invalid(message: impl Into<String>) -> Fault {
    Fault::new(400, "ValidationException", message)
}

/// The body, or an object in it.
#[derive(Clone)]
pub struct Member<'a> {
    object: Object<'a>,
    /// As messages name it.
    path: String,
    input: &'a Input,
}

impl<'a> Member<'a> {
    pub fn has(&self, name: &str) -> bool {
        self.object.has(name)
    }

    pub fn text(&self, name: &str, shape: Shape) -> Result<Option<String>, Fault> {
        let text = self.object.string(name)?.map(str::to_owned);
        if let Some(text) = &text {
            self.input.check_text(&self.path_of(name), text, shape);
        }
        Ok(text)
    }

    /// A text that must be there. Without it the answer is empty, and [`Input::finish`] fails.
    pub fn required_text(&self, name: &str, shape: Shape) -> Result<String, Fault> {
        let text = self.text(name, shape)?;
        Ok(self.required(name, text))
    }

    /// Notes that a required member is absent, when it is.
    pub fn required<T: Default>(&self, name: &str, value: Option<T>) -> T {
        if value.is_none() {
            self.input.check().missing(&self.path_of(name));
        }
        value.unwrap_or_default()
    }

    pub fn choice(&self, name: &str, choices: &[&str]) -> Result<Option<String>, Fault> {
        let text = self.object.string(name)?.map(str::to_owned);
        if let Some(text) = &text {
            self.input.check().check_enum(&self.path_of(name), text, choices);
        }
        Ok(text)
    }

    pub fn flag(&self, name: &str) -> Result<Option<bool>, Fault> {
        Ok(self.object.boolean(name)?)
    }

    pub fn number(&self, name: &str, min: u32, max: u32) -> Result<Option<u32>, Fault> {
        let Some(number) = self.object.integer(name)? else { return Ok(None) };
        self.input.check().check_range(&self.path_of(name), number, i64::from(min), i64::from(max));
        Ok(Some(u32::try_from(number).unwrap_or_default()))
    }

    pub fn time(&self, name: &str) -> Result<Option<Timestamp>, Fault> {
        Ok(self.object.timestamp(name)?)
    }

    pub fn texts(
        &self,
        name: &str,
        shape: Shape,
        (min, max): (usize, usize),
    ) -> Result<Option<Vec<String>>, Fault> {
        let Some(texts) = self.object.strings(name)? else { return Ok(None) };
        let path = self.path_of(name);
        self.input.check().check_count(&path, &texts, min, max);
        for (at, text) in texts.iter().enumerate() {
            self.input.check_text(&format!("{path}.{}.member", at + 1), text, shape);
        }
        Ok(Some(texts.into_iter().map(str::to_owned).collect()))
    }

    /// Notes what is wrong with a text that stands in a member.
    pub fn check_text(&self, name: &str, text: &str, shape: Shape) {
        self.input.check_text(&self.path_of(name), text, shape);
    }

    pub fn member(&self, name: &str) -> Result<Option<Member<'a>>, Fault> {
        let object = self.object.object(name)?;
        Ok(object.map(|object| Member { object, path: self.path_of(name), input: self.input }))
    }

    pub fn members(&self, name: &str, (min, max): (usize, usize)) -> Result<Option<Vec<Member<'a>>>, Fault> {
        let Some(objects) = self.object.objects(name)? else { return Ok(None) };
        let path = self.path_of(name);
        let shown = vec!["..."; objects.len()];
        self.input.check().check_count(&path, &shown, min, max);
        let member =
            |(at, object)| Member { object, path: format!("{path}.{}.member", at + 1), input: self.input };
        Ok(Some(objects.into_iter().enumerate().map(member).collect()))
    }

    pub fn text_map(&self, name: &str) -> Result<Option<BTreeMap<String, String>>, Fault> {
        let Some(map) = self.object.string_map(name)? else { return Ok(None) };
        Ok(Some(map.into_iter().map(|(name, text)| (name.to_owned(), text.to_owned())).collect()))
    }

    /// `Name` of `Targets` is `targets.1.member.name`.
    fn path_of(&self, name: &str) -> String {
        let mut chars = name.chars();
        let first = chars.next().map(|c| c.to_ascii_lowercase());
        let name: String = first.into_iter().chain(chars).collect();
        if self.path.is_empty() { name } else { format!("{}.{name}", self.path) }
    }
}
