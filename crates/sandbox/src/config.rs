//! What the driver is told, and why it may refuse to start.

use std::ffi::OsString;
use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// How much stands between a program and its host. From strongest to weakest; no level is taken unless it was
/// asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Isolation {
    /// Namespaces, an own root, no privileges, a system call filter, and kernel limits for memory, CPU and processes.
    Full,
    /// The same without memory and CPU limits: a program can take all that the node's user may take. Limits of
    /// address space are not used in their stead, because runtimes reserve far more than they use.
    Namespaces,
    /// A plain child process: the program sees and may do what the node's user sees and may do.
    Process,
}

impl Isolation {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Full => "full",
            Self::Namespaces => "namespaces",
            Self::Process => "process",
        }
    }
}

impl fmt::Display for Isolation {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.as_str())
    }
}

impl FromStr for Isolation {
    type Err = UnknownIsolation;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "full" => Ok(Self::Full),
            "namespaces" => Ok(Self::Namespaces),
            "process" => Ok(Self::Process),
            _ => Err(UnknownIsolation { text: text.to_owned() }),
        }
    }
}

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("isolation {text:?} is none of full, namespaces, process")]
pub struct UnknownIsolation {
    pub text: String,
}

/// What a driver is made from.
#[derive(Debug, Clone)]
pub struct Config {
    /// 1 to 32 lower-case letters and digits. Names the control groups, so that a node finds what a killed
    /// predecessor left. Two live nodes on one host need different ones.
    pub instance: String,
    pub isolation: Isolation,
    /// A folder of our own, for volumes and scratch files. It exists.
    pub run_dir: PathBuf,
    /// The command that runs [`crate::spawner_main`]: usually `/proc/self/exe __sandbox-spawner`.
    pub spawner: Vec<OsString>,
}

/// Longest instance name.
pub const INSTANCE_CHARS_MAX: usize = 32;

impl Config {
    pub(crate) fn check(&self) -> Result<(), StartError> {
        let named = !self.instance.is_empty()
            && self.instance.len() <= INSTANCE_CHARS_MAX
            && self.instance.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit());
        if !named {
            return Err(StartError::InstanceName { instance: self.instance.clone() });
        }
        if self.spawner.is_empty() {
            return Err(StartError::Spawner { detail: "no command was given".to_owned() });
        }
        Ok(())
    }
}

/// Why a driver did not start. Nothing of it is left behind.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum StartError {
    #[error("instance name {instance:?} is not 1 to 32 lower-case letters and digits")]
    InstanceName { instance: String },
    #[error("isolation level {level} can't be given: {missing}; remedy: {remedy}")]
    Unavailable { level: Isolation, missing: String, remedy: String },
    #[error("the folder {} can't be used: {detail}", .path.display())]
    RunDir { path: PathBuf, detail: String },
    #[error("the sandbox spawner did not start: {detail}")]
    Spawner { detail: String },
}
