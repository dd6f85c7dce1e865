//! What a function is to the part that runs it: everything an execution environment depends on, and no more.

use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::arn;
use crate::ids::{AccountId, CodeDigest, FunctionName, Region, RevisionId, Version};
use crate::runtime::Runtime;

/// One version of a function, as an environment is made from it. Two specs with the same [`RevisionId`] are
/// the same in every field: the revision is what environments are pooled by.
#[derive(Debug, Clone)]
pub struct FunctionSpec {
    pub account: AccountId,
    pub region: Region,
    pub name: FunctionName,
    pub version: Version,
    pub revision: RevisionId,
    pub runtime: &'static Runtime,
    pub handler: String,
    pub role_arn: String,
    pub code: CodeDigest,
    /// In the order in which they are laid over each other in `/opt`: a later one hides an earlier one.
    pub layers: Vec<CodeDigest>,
    pub memory_mb: u32,
    pub timeout: Duration,
    pub ephemeral_mb: u32,
    /// The user's own variables. Names that the reference reserves were refused when they were stored.
    pub environment: Vec<(String, String)>,
    pub egress: Egress,
    pub logging: Logging,
    /// Whether its environments begin as what its init came to when it was published.
    pub snap_start: bool,
}

impl FunctionSpec {
    /// The ARN without a qualifier.
    pub fn arn(&self) -> String {
        arn::function(&self.region, &self.account, &self.name)
    }
}

/// Where a function's code may open connections to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Egress {
    /// Nowhere. The Runtime API is all that it reaches.
    None,
    /// Only the node's own AWS endpoint.
    Services,
    /// The node's own AWS endpoint, and whatever the host reaches, except the host itself, its link-local
    /// range and other sandboxes. The reference's default for a function outside a VPC.
    Internet,
}

impl Egress {
    pub fn parse(text: &str) -> Option<Self> {
        match text {
            "none" => Some(Self::None),
            "services" => Some(Self::Services),
            "internet" => Some(Self::Internet),
            _ => None,
        }
    }

    pub fn as_str(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Services => "services",
            Self::Internet => "internet",
        }
    }
}

/// How a function logs (LoggingConfig).
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Logging {
    pub group: Arc<str>,
    pub format: LogFormat,
    /// The least severe application line that is kept; only with [`LogFormat::Json`].
    pub application_level: LogLevel,
    /// The least severe platform line that is kept; only with [`LogFormat::Json`].
    pub system_level: LogLevel,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum LogFormat {
    Text,
    #[serde(rename = "JSON")]
    Json,
}

impl LogFormat {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Text => "Text",
            Self::Json => "JSON",
        }
    }
}

/// Levels in rising severity, so that `line >= least` keeps a line.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum LogLevel {
    Trace,
    Debug,
    Info,
    Warn,
    Error,
    Fatal,
}

impl LogLevel {
    pub fn parse(text: &str) -> Option<Self> {
        Some(match text {
            "TRACE" => Self::Trace,
            "DEBUG" => Self::Debug,
            "INFO" => Self::Info,
            "WARN" => Self::Warn,
            "ERROR" => Self::Error,
            "FATAL" => Self::Fatal,
            _ => return None,
        })
    }

    pub fn as_str(self) -> &'static str {
        match self {
            Self::Trace => "TRACE",
            Self::Debug => "DEBUG",
            Self::Info => "INFO",
            Self::Warn => "WARN",
            Self::Error => "ERROR",
            Self::Fatal => "FATAL",
        }
    }
}
