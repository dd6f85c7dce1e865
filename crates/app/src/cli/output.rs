//! What is printed and how: data to stdout, everything else to stderr, colours only where they are seen.

use std::io::{self, IsTerminal, Write};

use owo_colors::Style;
use serde_json::Value;

use super::failure::{Failure, Kind};

/// Where output goes, decided once at the start.
#[derive(Debug, Clone, Copy)]
pub struct Output {
    pub json: bool,
    /// Whether a person reads stdout.
    pub terminal: bool,
    /// Whether a person reads stderr.
    pub error_terminal: bool,
    colour: bool,
}

/// What a piece of text is, not how it looks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    Plain,
    Faint,
    Strong,
    Good,
    Warning,
    Bad,
}

impl Output {
    /// Looks at the terminal; `plain` is the user's wish for no colours.
    pub fn detect(json: bool, plain: bool) -> Self {
        let dumb = std::env::var_os("TERM").is_some_and(|term| term == "dumb");
        let refused = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
        Self {
            json,
            terminal: io::stdout().is_terminal(),
            error_terminal: io::stderr().is_terminal(),
            colour: !(plain || dumb || refused || json),
        }
    }

    #[cfg(test)]
    pub fn plain() -> Self {
        Self { json: false, terminal: false, error_terminal: false, colour: false }
    }

    /// What a person without colours gets.
    #[cfg(test)]
    pub fn for_person() -> Self {
        Self { terminal: true, ..Self::plain() }
    }

    /// A line of data.
    pub fn line(&self, text: impl AsRef<str>) -> Result<(), Failure> {
        self.data(text.as_ref().as_bytes())?;
        self.data(b"\n")
    }

    /// Data as it is.
    pub fn data(&self, bytes: &[u8]) -> Result<(), Failure> {
        let mut out = io::stdout().lock();
        out.write_all(bytes).and_then(|()| out.flush()).map_err(|error| match error.kind() {
            io::ErrorKind::BrokenPipe => Failure::new(Kind::OutputClosed, ""),
            _ => Failure::local(format!("can't write to standard output: {error}")),
        })
    }

    /// One JSON document on one line; indented for a person.
    pub fn document(&self, value: &Value) -> Result<(), Failure> {
        self.line(if self.terminal { format!("{value:#}") } else { value.to_string() })
    }

    /// A line that is not data.
    pub fn note(&self, text: impl AsRef<str>) {
        // Nobody is left to tell when stderr is closed.
        let _ = writeln!(io::stderr().lock(), "{}", text.as_ref());
    }

    /// The text as its role looks on stdout.
    pub fn paint(&self, role: Role, text: &str) -> String {
        paint(self.colour && self.terminal, role, text)
    }

    /// The text as its role looks on stderr.
    pub fn paint_note(&self, role: Role, text: &str) -> String {
        paint(self.colour && self.error_terminal, role, text)
    }

    /// Reports a failure, its hints set apart.
    pub fn failure(&self, failure: &Failure) {
        if failure.message.is_empty() {
            return;
        }
        if self.json {
            return self.note(failure.to_json().to_string());
        }
        let code = failure.code.as_ref().map(|code| format!(" ({code})")).unwrap_or_default();
        self.note(format!("{} {}{code}", self.paint_note(Role::Bad, "error:"), failure.message));
        for hint in &failure.hints {
            self.note(format!("{} {hint}", self.paint_note(Role::Strong, "hint:")));
        }
    }
}

fn paint(on: bool, role: Role, text: &str) -> String {
    let style = match role {
        Role::Plain => return text.to_owned(),
        Role::Faint => Style::new().dimmed(),
        Role::Strong => Style::new().bold(),
        Role::Good => Style::new().green(),
        Role::Warning => Style::new().yellow(),
        Role::Bad => Style::new().red().bold(),
    };
    if on { style.style(text).to_string() } else { text.to_owned() }
}
