//! Where the node is.

use std::net::IpAddr;

use crate::cli::args::Global;
use crate::cli::failure::Failure;

pub const DEFAULT: &str = "http://127.0.0.1:4566";

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Endpoint {
    pub tls: bool,
    /// Without the brackets of an IPv6 address.
    pub host: String,
    pub port: u16,
}

impl Endpoint {
    /// The option, then the environment, then the default.
    pub fn resolve(global: &Global) -> Result<Self, Failure> {
        let variable = |name: &str| std::env::var(name).ok().filter(|value| !value.is_empty());
        let text = global
            .endpoint
            .clone()
            .or_else(|| variable("LAMBENT_ENDPOINT"))
            .or_else(|| variable("AWS_ENDPOINT_URL"))
            .unwrap_or_else(|| DEFAULT.to_owned());
        Self::parse(&text)
    }

    pub fn parse(text: &str) -> Result<Self, Failure> {
        let refuse = |why: &str| {
            Failure::usage(format!("the endpoint {text:?} {why}"))
                .hint(format!("an endpoint looks like {DEFAULT}"))
        };
        let uri: http::Uri = text.trim_end_matches('/').parse().map_err(|_| refuse("is not a URL"))?;
        let tls = match uri.scheme_str() {
            Some("http") => false,
            Some("https") => true,
            _ => return Err(refuse("needs http:// or https://")),
        };
        if !matches!(uri.path(), "" | "/") || uri.query().is_some() {
            return Err(refuse("has a path; only a host and a port are possible"));
        }
        let authority = uri.authority().ok_or_else(|| refuse("names no host"))?;
        if authority.as_str().contains('@') {
            return Err(refuse("carries a user name; requests are signed instead"));
        }
        let host = authority.host().trim_start_matches('[').trim_end_matches(']').to_owned();
        if host.is_empty() {
            return Err(refuse("names no host"));
        }
        let port = authority.port_u16().unwrap_or(if tls { 443 } else { 80 });
        Ok(Self { tls, host, port })
    }

    /// Whether the node can only be on this machine.
    pub fn is_loopback(&self) -> bool {
        self.host == "localhost" || self.host.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
    }

    /// `host:port`, as the Host header has it: the port only where it isn't the scheme's own.
    pub fn authority(&self) -> String {
        let host = if self.host.contains(':') { format!("[{}]", self.host) } else { self.host.clone() };
        match (self.tls, self.port) {
            (true, 443) | (false, 80) => host,
            (_, port) => format!("{host}:{port}"),
        }
    }
}

impl std::fmt::Display for Endpoint {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}://{}", if self.tls { "https" } else { "http" }, self.authority())
    }
}
