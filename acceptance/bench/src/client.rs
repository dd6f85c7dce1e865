//! The measuring client: one connection, requests that were signed before.

use std::net::SocketAddr;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use bytes::Bytes;
use http::{Method, Request};
use http_body_util::{BodyExt as _, Full};
use hyper::client::conn::http1::SendRequest;
use hyper_util::rt::TokioIo;
use lambent_core::Timestamp;
use lambent_wire::sigv4::{Credentials, Payload, Scope, sign};
use serde_json::Value;
use tokio::net::TcpStream;

use crate::Result;
use crate::stages::{self, Stages};

/// A request that can be sent any number of times.
#[derive(Clone)]
pub struct Prepared {
    parts: http::request::Parts,
    body: Bytes,
}

impl Prepared {
    /// Signs for the node at `address`. Good for a quarter of an hour.
    pub fn new(address: SocketAddr, method: Method, path: &str, body: Vec<u8>) -> Result<Self> {
        Self::of(address, "lambda", method, path, &[], body, "test")
    }

    /// With these headers, for a service by its signing name.
    pub fn with(
        address: SocketAddr,
        service: &str,
        (method, path): (Method, &str),
        headers: &[(&'static str, &str)],
        body: Vec<u8>,
    ) -> Result<Self> {
        Self::of(address, service, method, path, headers, body, "test")
    }

    /// An operation of a service that is asked in JSON, such as `AmazonSQS.SendMessage`.
    pub fn json(address: SocketAddr, service: &str, operation: &str, body: &Value) -> Result<Self> {
        let headers = [("content-type", "application/x-amz-json-1.0"), ("x-amz-target", operation)];
        Self::with(address, service, (Method::POST, "/"), &headers, body.to_string().into_bytes())
    }

    /// The same with a signature that no verifier may accept.
    pub fn forged(address: SocketAddr, service: &str, operation: &str, body: &Value) -> Result<Self> {
        let headers = [("content-type", "application/x-amz-json-1.0"), ("x-amz-target", operation)];
        Self::of(address, service, Method::POST, "/", &headers, body.to_string().into_bytes(), "another")
    }

    /// An operation of a service that is asked by the query protocol. Values must need no escapes but for ARNs'.
    pub fn query(address: SocketAddr, service: &str, pairs: &[(&str, &str)]) -> Result<Self> {
        let pairs = pairs.iter().map(|(name, value)| format!("{name}={}", value.replace(':', "%3A")));
        let body = pairs.collect::<Vec<_>>().join("&").into_bytes();
        let headers = [("content-type", "application/x-www-form-urlencoded; charset=utf-8")];
        Self::with(address, service, (Method::POST, "/"), &headers, body)
    }

    fn of(
        address: SocketAddr,
        service: &str,
        method: Method,
        path: &str,
        headers: &[(&'static str, &str)],
        body: Vec<u8>,
        secret: &str,
    ) -> Result<Self> {
        let mut request = Request::builder().method(method).uri(path).header("host", address.to_string());
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let (mut parts, ()) = request.body(())?.into_parts();
        let since = SystemTime::now().duration_since(UNIX_EPOCH)?;
        let credentials =
            Credentials { access_key_id: "test", secret_access_key: secret, session_token: None };
        let scope = Scope { region: "us-east-1", service };
        let now = Timestamp::from_millis(u64::try_from(since.as_millis())?);
        sign(&mut parts, Payload::Signed(&body), credentials, scope, now)?;
        Ok(Self { parts, body: body.into() })
    }

    pub fn invoke(address: SocketAddr, name: &str, body: Vec<u8>) -> Result<Self> {
        Self::new(address, Method::POST, &format!("/2015-03-31/functions/{name}/invocations"), body)
    }

    /// An invocation that is accepted and not waited for.
    pub fn event(address: SocketAddr, name: &str, body: Vec<u8>) -> Result<Self> {
        let path = format!("/2015-03-31/functions/{name}/invocations");
        let headers = [("x-amz-invocation-type", "Event")];
        Self::with(address, "lambda", (Method::POST, &path), &headers, body)
    }
}

/// An answer that is a success, and how long it took to come in whole.
pub struct Reply {
    pub body: Bytes,
    pub took: Duration,
    pub stages: Stages,
}

impl Reply {
    pub fn value(&self) -> Result<Value> {
        Ok(serde_json::from_slice(&self.body)?)
    }

    pub fn millis(&self) -> f64 {
        self.took.as_secs_f64() * 1e3
    }

    /// A first call whose answer came from an environment that was there already measured nothing.
    pub fn cold(self) -> Result<Self> {
        if self.stages.cold { Ok(self) } else { Err("a first call was no cold start".into()) }
    }
}

/// A connection that is kept.
pub struct Client {
    send: SendRequest<Full<Bytes>>,
}

impl Client {
    pub async fn connect(address: SocketAddr) -> Result<Self> {
        let stream = TcpStream::connect(address).await?;
        stream.set_nodelay(true)?;
        let (send, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await?;
        tokio::spawn(connection);
        Ok(Self { send })
    }

    /// Sends and reads the whole answer. An answer that is no success is an error. The clock runs from the first
    /// byte out to the last byte in.
    pub async fn ask(&mut self, request: &Prepared) -> Result<Reply> {
        let Prepared { parts, body } = request.clone();
        self.send.ready().await?;
        let request = Request::from_parts(parts, Full::new(body));
        let began = Instant::now();
        let answer = self.send.send_request(request).await?;
        let (head, body) = answer.into_parts();
        let body = body.collect().await?.to_bytes();
        let took = began.elapsed();
        if !head.status.is_success() || head.headers.contains_key("x-amz-function-error") {
            return Err(format!("{}: {}", head.status, String::from_utf8_lossy(&body)).into());
        }
        let header = head.headers.get(stages::HEADER).and_then(|value| value.to_str().ok());
        Ok(Reply { body, took, stages: header.map(Stages::parse).unwrap_or_default() })
    }
}
