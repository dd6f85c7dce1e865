//! A command's failure: what happened, what to do about it, and the exit code that says so.

use std::process::ExitCode;

use serde_json::json;

/// Which of the documented exit codes a failure has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// The function answered with an error. Its report is printed before, so nothing more is said.
    Function,
    Usage,
    Connection,
    Service,
    /// A build, a file or a tool on this machine.
    Local,
    /// Whoever read our output has closed it (`lambent ls | head -1`): the end, and no failure.
    OutputClosed,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    pub kind: Kind,
    /// The service's error code, where a service answered.
    pub code: Option<String>,
    pub message: String,
    pub hints: Vec<String>,
}

impl Failure {
    pub fn new(kind: Kind, message: impl Into<String>) -> Self {
        Self { kind, code: None, message: message.into(), hints: Vec::new() }
    }

    pub fn usage(message: impl Into<String>) -> Self {
        Self::new(Kind::Usage, message)
    }

    pub fn local(message: impl Into<String>) -> Self {
        Self::new(Kind::Local, message)
    }

    pub fn service(code: impl Into<String>, message: impl Into<String>) -> Self {
        Self { code: Some(code.into()), ..Self::new(Kind::Service, message) }
    }

    /// A failed file operation, with the file's name: the system's own message never has it.
    pub fn file(verb: &str, path: &std::path::Path, error: &std::io::Error) -> Self {
        Self::local(format!("can't {verb} {}: {error}", path.display()))
    }

    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hints.push(hint.into());
        self
    }

    pub fn is_code(&self, code: &str) -> bool {
        self.code.as_deref() == Some(code)
    }

    pub fn exit_code(&self) -> ExitCode {
        ExitCode::from(match self.kind {
            Kind::OutputClosed => 0,
            Kind::Function => 1,
            Kind::Usage => 2,
            Kind::Connection => 3,
            Kind::Service => 4,
            Kind::Local => 5,
        })
    }

    /// One JSON object, for `--json`.
    pub fn to_json(&self) -> serde_json::Value {
        json!({ "error": { "code": self.code, "message": self.message, "hints": self.hints } })
    }
}
