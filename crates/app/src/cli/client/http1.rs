//! One HTTP/1.1 exchange over TCP, with TLS where the endpoint asks for it.

use std::io;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt, Full, Limited};
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::time::timeout;

use super::trust::Trust;
use super::{Endpoint, endpoint};
use crate::cli::failure::{Failure, Kind};

const CONNECT_WITHIN: Duration = Duration::from_secs(10);

/// More than any answer of the API that these commands use, so that a wrong endpoint can't fill memory.
const ANSWER_BYTES_MAX: usize = 64 * 1024 * 1024;

/// Sends the request and reads the whole answer.
pub async fn exchange(
    endpoint: &Endpoint,
    trust: Option<&Trust>,
    request: http::Request<Bytes>,
    within: Duration,
) -> Result<http::Response<Bytes>, Failure> {
    let tcp = match timeout(CONNECT_WITHIN, TcpStream::connect((endpoint.host.as_str(), endpoint.port))).await
    {
        Ok(Ok(tcp)) => tcp,
        Ok(Err(error)) => return Err(unreachable(endpoint, &error)),
        Err(_) => return Err(unreachable(endpoint, &io::Error::from(io::ErrorKind::TimedOut))),
    };
    // A small request waits for nobody's acknowledgement.
    let _ = tcp.set_nodelay(true);
    let exchange = async {
        match trust {
            Some(trust) => {
                let stream = trust.wrap(&endpoint.host, tcp).await?;
                over(stream, request).await
            }
            None => over(tcp, request).await,
        }
    };
    match timeout(within, exchange).await {
        Ok(Ok(response)) => Ok(response),
        Ok(Err(cause)) => Err(broken(endpoint, &cause)),
        Err(_) => Err(Failure::new(
            Kind::Connection,
            format!("{endpoint} did not answer within {} seconds", within.as_secs()),
        )),
    }
}

async fn over<S>(stream: S, request: http::Request<Bytes>) -> Result<http::Response<Bytes>, String>
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream))
        .await
        .map_err(|error| error.to_string())?;
    let driver = tokio::spawn(connection);
    let answer = async {
        let response =
            sender.send_request(request.map(Full::new)).await.map_err(|error| error.to_string())?;
        let (parts, body) = response.into_parts();
        let body = Limited::new(body, ANSWER_BYTES_MAX).collect().await.map_err(|error| error.to_string())?;
        Ok(http::Response::from_parts(parts, body.to_bytes()))
    }
    .await;
    driver.abort();
    answer
}

fn broken(endpoint: &Endpoint, cause: &str) -> Failure {
    let failure = Failure::new(Kind::Connection, format!("the connection to {endpoint} failed: {cause}"));
    // As rustls begins every doubt of a certificate.
    if cause.starts_with("invalid peer certificate") {
        return failure.hint("name the certificate, or the authority that signed it, with --ca FILE");
    }
    failure
}

fn unreachable(endpoint: &Endpoint, error: &io::Error) -> Failure {
    let failure = Failure::new(Kind::Connection, format!("can't reach a node at {endpoint}: {error}"));
    if !endpoint.is_loopback() {
        return failure;
    }
    if Endpoint::parse(endpoint::DEFAULT).is_ok_and(|default| default == *endpoint) {
        failure.hint("start a node with: lambent up")
    } else {
        failure.hint(format!("start a node with: lambent up --port {}", endpoint.port))
    }
}
