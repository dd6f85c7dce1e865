//! Why a node does not start, in one line that says what to do.

use std::path::PathBuf;

#[derive(Debug, thiserror::Error)]
pub enum Failure {
    #[error("{what} {path}: {source}", path = .path.display())]
    File { what: &'static str, path: PathBuf, source: std::io::Error },
    #[error("can't listen on {address}: {source}{hint}")]
    Listen { address: std::net::SocketAddr, source: std::io::Error, hint: &'static str },
    #[error("{0}")]
    Store(#[from] lambent_store_sql::OpenError),
    #[error("{0}")]
    Sandbox(#[from] lambent_sandbox::StartError),
    #[error("{0}")]
    Option(String),
}
