//! A small client of the node's public API: the same signed requests that any AWS tool makes, and no others.
//!
//! Start with [`Client::send`]. One connection a request: commands make few of them.

mod credentials;
pub mod download;
mod endpoint;
#[cfg(test)]
pub mod fake;
mod fault;
pub mod functions;
mod http1;
mod sign;
#[cfg(test)]
mod tests;
pub mod trust;

use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, Method};

use super::args::Global;
use super::failure::Failure;
pub use credentials::{Credentials, Origin, data_dir};
pub use endpoint::Endpoint;

/// For every call but an invocation: an answer that is later than this is taken for a hang.
const ANSWER_WITHIN: Duration = Duration::from_secs(60);

#[derive(Clone)]
pub struct Client {
    pub endpoint: Endpoint,
    pub credentials: Credentials,
    pub region: String,
    trust: Option<trust::Trust>,
}

/// One request, before it is signed.
#[derive(Debug, Clone)]
pub struct Call {
    /// The name that the signature is scoped to.
    pub service: &'static str,
    pub method: Method,
    /// Percent-encoded.
    pub path: String,
    pub query: Vec<(&'static str, String)>,
    pub headers: Vec<(&'static str, String)>,
    pub body: Bytes,
    pub within: Duration,
}

impl Call {
    pub fn new(service: &'static str, method: Method, path: impl Into<String>) -> Self {
        Self {
            service,
            method,
            path: path.into(),
            query: Vec::new(),
            headers: Vec::new(),
            body: Bytes::new(),
            within: ANSWER_WITHIN,
        }
    }

    pub fn query(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.query.push((name, value.into()));
        self
    }

    pub fn header(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.headers.push((name, value.into()));
        self
    }

    pub fn json(mut self, body: &serde_json::Value) -> Self {
        self.body = Bytes::from(body.to_string());
        self.header("content-type", "application/json")
    }

    fn path_and_query(&self) -> String {
        let mut text = self.path.clone();
        for (index, (name, value)) in self.query.iter().enumerate() {
            text.push(if index == 0 { '?' } else { '&' });
            text.push_str(&encode(name));
            text.push('=');
            text.push_str(&encode(value));
        }
        text
    }
}

/// A successful answer.
#[derive(Debug)]
pub struct Reply {
    pub status: u16,
    pub headers: HeaderMap,
    pub body: Bytes,
}

impl Reply {
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).and_then(|value| value.to_str().ok())
    }

    pub fn json(&self) -> Result<serde_json::Value, Failure> {
        if self.body.is_empty() {
            return Ok(serde_json::Value::Null);
        }
        serde_json::from_slice(&self.body)
            .map_err(|error| Failure::service("BadAnswer", format!("the answer is not JSON: {error}")))
    }
}

impl Client {
    /// The client that the global options and the environment describe.
    pub fn new(global: &Global) -> Result<Self, Failure> {
        let endpoint = Endpoint::resolve(global)?;
        let credentials = Credentials::resolve(global, &endpoint)?;
        let region = region(global);
        let trust = if endpoint.tls { Some(trust::load(global.ca.as_deref())?) } else { None };
        Ok(Self { endpoint, credentials, region, trust })
    }

    /// Signs and sends; an answer other than 2xx is a failure with the service's code.
    pub async fn send(&self, call: Call) -> Result<Reply, Failure> {
        let request = self.request(&call)?;
        let answer = http1::exchange(&self.endpoint, self.trust.as_ref(), request, call.within).await?;
        let (parts, body) = answer.into_parts();
        if parts.status.is_success() {
            return Ok(Reply { status: parts.status.as_u16(), headers: parts.headers, body });
        }
        Err(fault::read(parts.status, &parts.headers, &body, &self.credentials))
    }

    fn request(&self, call: &Call) -> Result<http::Request<Bytes>, Failure> {
        let mut request = http::Request::builder()
            .method(call.method.clone())
            .uri(call.path_and_query())
            .header(http::header::HOST, self.endpoint.authority());
        for (name, value) in &call.headers {
            request = request.header(*name, value);
        }
        let request = request
            .body(call.body.clone())
            .map_err(|error| Failure::usage(format!("this can't be sent in a request: {error}")))?;
        sign::sign(request, call, &self.credentials, &self.region)
    }
}

/// The region of the options or the environment.
pub fn region(global: &Global) -> String {
    let environment = || std::env::var("AWS_REGION").or_else(|_| std::env::var("AWS_DEFAULT_REGION"));
    global
        .region
        .clone()
        .or_else(|| environment().ok())
        .filter(|region| !region.is_empty())
        .unwrap_or_else(|| "us-east-1".to_owned())
}

/// Percent-encodes everything but the unreserved characters.
pub fn encode(text: &str) -> String {
    let mut encoded = String::with_capacity(text.len());
    for byte in text.bytes() {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => {
                encoded.push(char::from(byte))
            }
            _ => encoded.push_str(&format!("%{byte:02X}")),
        }
    }
    encoded
}
