//! How a call or an init ended without an answer, and the error documents that its caller gets then. Pure.
//!
//! Text forms follow the developer guide's *Working with function logs*.

use std::borrow::Cow;
use std::time::Duration;

use bytes::Bytes;
use lambent_core::ids::RequestId;
use lambent_core::ports::sandbox::ExitHow;
use lambent_core::time::Timestamp;
use serde_json::{Value, json};

use crate::runtime_api::extensions::registry::{Fault, Why};

/// Ours: the longest name of an error that lines take over from a runtime.
const ERROR_TYPE_CHARS_MAX: usize = 128;

/// How a call, or an init, ended without an answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Failure {
    TimedOut {
        after: Duration,
    },
    Exited {
        code: i32,
    },
    Signalled {
        signal: i32,
    },
    OutOfMemory,
    /// An extension failed, and its environment with it.
    Extension(Fault),
    /// The runtime told that its init failed, in words of its own.
    Init {
        kind: Cow<'static, str>,
    },
}

impl Failure {
    /// What a runtime told of its failed init.
    pub fn of_init(document: &[u8]) -> Self {
        let document: Value = serde_json::from_slice(document).unwrap_or_default();
        let told = document.get("errorType").and_then(Value::as_str).unwrap_or_default();
        Self::Init { kind: platform_type(told) }
    }

    pub fn error_type(&self) -> &str {
        match self {
            Self::TimedOut { .. } => "Sandbox.Timedout",
            Self::Exited { .. } | Self::Signalled { .. } => "Runtime.ExitError",
            Self::OutOfMemory => "Runtime.OutOfMemory",
            Self::Extension(fault) => fault.kind,
            Self::Init { kind } => kind,
        }
    }

    pub fn status(&self) -> &'static str {
        match self {
            Self::TimedOut { .. } => "timeout",
            _ => "error",
        }
    }

    /// The text behind `RequestId: ... `.
    pub fn message(&self) -> String {
        match self {
            Self::TimedOut { after } => {
                format!("Error: Task timed out after {:.2} seconds", after.as_secs_f64())
            }
            Self::Exited { code: 0 } => "Error: Runtime exited without providing a reason".to_owned(),
            Self::Exited { code } => format!("Error: Runtime exited with error: exit status {code}"),
            Self::Signalled { signal } => {
                format!("Error: Runtime exited with error: signal: {}", signal_name(*signal))
            }
            Self::OutOfMemory => "Error: Runtime exited with error: signal: killed".to_owned(),
            Self::Extension(Fault { why, .. }) => match why {
                Why::Ended(ExitHow::Code(0)) => "Error: exit code 0".to_owned(),
                Why::Ended(ExitHow::Code(code)) => format!("Error: exit status {code}"),
                Why::Ended(ExitHow::Signal(signal)) => format!("Error: signal: {}", signal_name(*signal)),
                Why::Said(words) => format!("Error: {words}"),
            },
            Self::Init { kind } => format!("Error: {kind}"),
        }
    }

    /// Whether the function's log has a line of it: a runtime that told of its failed init wrote its own.
    pub fn has_line(&self) -> bool {
        !matches!(self, Self::Init { .. })
    }

    /// The document that the caller gets.
    pub fn document(&self, request_id: &RequestId) -> Bytes {
        let document = json!({
            "errorType": self.error_type(),
            "errorMessage": format!("RequestId: {request_id} {}", self.message()),
        });
        Bytes::from(document.to_string())
    }

    /// The line that the function's log gets before END, in the text format.
    pub fn log_line(&self, request_id: &RequestId, now: Timestamp) -> String {
        match self {
            Self::TimedOut { after } => {
                format!("{now} {request_id} Task timed out after {:.2} seconds\n", after.as_secs_f64())
            }
            _ => format!("RequestId: {request_id} {}\n{}\n", self.message(), self.error_type()),
        }
    }
}

/// A runtime's own name for an error as the platform's lines have it: names that are the platform's as they are, any
/// other (a class of the function's) as unknown.
fn platform_type(told: &str) -> Cow<'static, str> {
    let is_name = |name: &str| {
        name.len() > 1
            && name.len() <= ERROR_TYPE_CHARS_MAX
            && name.starts_with(|c: char| c.is_ascii_uppercase())
            && name.bytes().all(|b| b.is_ascii_alphabetic())
    };
    let known =
        ["Runtime.", "Function."].iter().find_map(|family| Some((*family, told.strip_prefix(family)?)));
    match known {
        Some((_, name)) if is_name(name) => Cow::Owned(told.to_owned()),
        Some(("Function.", _)) => Cow::Borrowed("Function.Unknown"),
        _ => Cow::Borrowed("Runtime.Unknown"),
    }
}

/// Signals as the reference (whose supervisor is a Go program) spells them.
fn signal_name(signal: i32) -> String {
    let name = match signal {
        1 => "hangup",
        2 => "interrupt",
        3 => "quit",
        4 => "illegal instruction",
        5 => "trace/breakpoint trap",
        6 => "aborted",
        7 => "bus error",
        8 => "floating point exception",
        9 => "killed",
        11 => "segmentation fault",
        13 => "broken pipe",
        14 => "alarm clock",
        15 => "terminated",
        31 => "bad system call",
        other => return format!("signal {other}"),
    };
    name.to_owned()
}

/// The document for a response over the limit.
pub fn too_large_document(bytes: u64, max: u64) -> Bytes {
    let document = json!({
        "errorType": "Function.ResponseSizeTooLarge",
        "errorMessage":
            format!("Response payload size ({bytes} bytes) exceeded maximum allowed payload size ({max} bytes)."),
    });
    Bytes::from(document.to_string())
}

/// The document for a streamed response without an end, of a program that goes on.
pub fn broken_off_document(request_id: &RequestId) -> Bytes {
    let document = json!({
        "errorType": "Runtime.TruncatedResponse",
        "errorMessage": format!("RequestId: {request_id} Error: The response broke off before its end"),
    });
    Bytes::from(document.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_runtimes_own_error_names_are_the_platforms_or_unknown() {
        for (told, kind) in [
            ("Runtime.ImportModuleError", "Runtime.ImportModuleError"),
            ("Runtime.UserCodeSyntaxError", "Runtime.UserCodeSyntaxError"),
            ("ValueError", "Runtime.Unknown"),
            ("Runtime.", "Runtime.Unknown"),
            ("Runtime.A\tStatus: success", "Runtime.Unknown"),
            ("Function.MyError", "Function.MyError"),
            ("Function.my-error", "Function.Unknown"),
            ("", "Runtime.Unknown"),
        ] {
            let document = json!({ "errorType": told }).to_string();
            assert_eq!(Failure::of_init(document.as_bytes()).error_type(), kind, "{told}");
        }
        assert_eq!(Failure::of_init(b"no json").error_type(), "Runtime.Unknown");
    }
}
