//! Which key the requests are signed with.

use std::path::{Path, PathBuf};

use serde::Deserialize;

use super::Endpoint;
use crate::cli::args::Global;
use crate::cli::failure::{Failure, Kind};

/// The root key file in a node's data directory.
const KEY_FILE: &str = "credentials";

#[derive(Clone, PartialEq, Eq)]
pub struct Credentials {
    pub access_key_id: String,
    pub secret_access_key: String,
    pub session_token: Option<String>,
    /// Known only from the key file.
    pub account: Option<String>,
    pub origin: Origin,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Origin {
    Environment,
    KeyFile(PathBuf),
    /// test/test, which a node takes only while it listens on loopback.
    Test,
}

#[derive(Deserialize)]
struct KeyFile {
    access_key_id: String,
    secret_access_key: String,
    account: Option<String>,
}

impl Credentials {
    /// The environment, then the node's key file, then test/test for a node on this machine.
    pub fn resolve(global: &Global, endpoint: &Endpoint) -> Result<Self, Failure> {
        if let Some(found) = from_environment(|name| std::env::var(name).ok())? {
            return Ok(found);
        }
        let path = data_dir(global).join(KEY_FILE);
        if let Some(found) = from_file(&path)? {
            return Ok(found);
        }
        if endpoint.is_loopback() {
            return Ok(Self::test());
        }
        Err(Failure::new(Kind::Connection, format!("there are no credentials for {endpoint}"))
            .hint("set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY; `lambent env` on the node's machine prints them"))
    }

    pub fn test() -> Self {
        Self {
            access_key_id: "test".to_owned(),
            secret_access_key: "test".to_owned(),
            session_token: None,
            account: None,
            origin: Origin::Test,
        }
    }
}

/// The data directory of the options.
pub fn data_dir(global: &Global) -> PathBuf {
    global.data.clone().unwrap_or_else(|| PathBuf::from(".lambent"))
}

pub(super) fn from_environment(get: impl Fn(&str) -> Option<String>) -> Result<Option<Credentials>, Failure> {
    let get = |name: &str| get(name).filter(|value| !value.is_empty());
    match (get("AWS_ACCESS_KEY_ID"), get("AWS_SECRET_ACCESS_KEY")) {
        (Some(access_key_id), Some(secret_access_key)) => Ok(Some(Credentials {
            access_key_id,
            secret_access_key,
            session_token: get("AWS_SESSION_TOKEN"),
            account: None,
            origin: Origin::Environment,
        })),
        (None, None) => Ok(None),
        (Some(_), None) => Err(Failure::usage("AWS_ACCESS_KEY_ID is set, and AWS_SECRET_ACCESS_KEY is not")),
        (None, Some(_)) => Err(Failure::usage("AWS_SECRET_ACCESS_KEY is set, and AWS_ACCESS_KEY_ID is not")),
    }
}

pub(super) fn from_file(path: &Path) -> Result<Option<Credentials>, Failure> {
    let text = match std::fs::read(path) {
        Ok(text) => text,
        Err(error)
            if matches!(error.kind(), std::io::ErrorKind::NotFound | std::io::ErrorKind::NotADirectory) =>
        {
            return Ok(None);
        }
        Err(error) => return Err(Failure::file("read the node's key", path, &error)),
    };
    // The parser's own message could quote the secret.
    let key: KeyFile = serde_json::from_slice(&text)
        .map_err(|_| Failure::local(format!("the node's key {} is damaged", path.display())))?;
    Ok(Some(Credentials {
        access_key_id: key.access_key_id,
        secret_access_key: key.secret_access_key,
        session_token: None,
        account: key.account,
        origin: Origin::KeyFile(path.to_owned()),
    }))
}
