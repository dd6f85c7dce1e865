//! Fetches a file by its address: for runtime bundles, whose digest the caller checks.

use std::io::{self, Write};
use std::path::{Path, PathBuf};

use bytes::Bytes;
use http::StatusCode;
use http_body_util::{BodyExt, Empty};
use hyper::body::Incoming;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;

use super::{Endpoint, trust};

/// Hosts of large files send their clients on once or twice.
const REDIRECTS_MAX: usize = 5;

trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}
impl<T: AsyncRead + AsyncWrite + Send + Unpin> Stream for T {}

/// Writes what stands at the address. Follows redirects, but never from https to http.
pub fn fetch(url: &str, ca: Option<PathBuf>, target: &mut dyn Write) -> io::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let mut url = url.to_owned();
        for _ in 0..=REDIRECTS_MAX {
            match get(&url, ca.as_deref(), target).await? {
                None => return Ok(()),
                Some(next) if url.starts_with("https:") && !next.starts_with("https:") => {
                    return Err(io::Error::other(format!("it leads from https to {next}")));
                }
                Some(next) => url = next,
            }
        }
        Err(io::Error::other("it leads in circles"))
    })
}

/// Writes the body, or answers with the address that it leads to.
async fn get(url: &str, ca: Option<&Path>, target: &mut dyn Write) -> io::Result<Option<String>> {
    let (origin, path) = split(url).ok_or_else(|| io::Error::other(format!("{url:?} is not a URL")))?;
    let endpoint = Endpoint::parse(origin).map_err(|failure| io::Error::other(failure.message))?;
    let tcp = TcpStream::connect((endpoint.host.as_str(), endpoint.port)).await?;
    let stream: Box<dyn Stream> = if endpoint.tls {
        let trust = trust::load(ca).map_err(|failure| io::Error::other(failure.message))?;
        Box::new(trust.wrap(&endpoint.host, tcp).await.map_err(io::Error::other)?)
    } else {
        Box::new(tcp)
    };
    let (mut sender, connection) =
        hyper::client::conn::http1::handshake(TokioIo::new(stream)).await.map_err(io::Error::other)?;
    let driver = tokio::spawn(connection);
    let request = http::Request::get(path)
        .header(http::header::HOST, endpoint.authority())
        .header(http::header::USER_AGENT, concat!("lambent/", env!("CARGO_PKG_VERSION")))
        .body(Empty::<Bytes>::new())
        .map_err(io::Error::other)?;
    let response = sender.send_request(request).await.map_err(io::Error::other)?;
    let outcome = read(response, origin, target).await;
    driver.abort();
    outcome
}

async fn read(
    response: http::Response<Incoming>,
    origin: &str,
    target: &mut dyn Write,
) -> io::Result<Option<String>> {
    let status = response.status();
    if status.is_redirection() {
        let place = response.headers().get(http::header::LOCATION).and_then(|place| place.to_str().ok());
        return match place {
            Some(place) if place.starts_with('/') => Ok(Some(format!("{origin}{place}"))),
            Some(place) => Ok(Some(place.to_owned())),
            None => Err(io::Error::other(format!("the answer was {status}"))),
        };
    }
    if status != StatusCode::OK {
        return Err(io::Error::other(format!("the answer was {status}")));
    }
    let mut body = response.into_body();
    while let Some(frame) = body.frame().await {
        if let Ok(data) = frame.map_err(io::Error::other)?.into_data() {
            target.write_all(&data)?;
        }
    }
    Ok(None)
}

/// `https://host:port` and `/path?query`.
fn split(url: &str) -> Option<(&str, &str)> {
    let url = url.split('#').next()?;
    let host = url.find("://")? + 3;
    match url[host..].find(['/', '?']) {
        Some(slash) if url[host + slash..].starts_with('/') => Some(url.split_at(host + slash)),
        Some(_) => None,
        None => Some((url, "/")),
    }
}

#[cfg(test)]
mod tests {
    use std::io::Read;
    use std::net::TcpListener;

    use super::*;

    #[test]
    fn an_address_is_an_origin_and_a_path() {
        assert_eq!(split("https://a:1/b/c?d#e"), Some(("https://a:1", "/b/c?d")));
        assert_eq!(split("http://a"), Some(("http://a", "/")));
        for bad in ["", "a/b", "http://a?b"] {
            assert_eq!(split(bad), None, "{bad}");
        }
    }

    #[test]
    fn a_redirect_is_followed_and_the_body_written() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let server = std::thread::spawn(move || {
            for answer in [
                "302 Found\r\nlocation: /there\r\ncontent-length: 0",
                "200 OK\r\ncontent-length: 4\r\n\r\nbody",
            ] {
                let (mut stream, _) = listener.accept().unwrap();
                let mut request = [0; 1024];
                let _ = stream.read(&mut request).unwrap();
                let end = if answer.contains("\r\n\r\n") { "" } else { "\r\n\r\n" };
                write!(stream, "HTTP/1.1 {answer}{end}").unwrap();
            }
        });
        let mut body = Vec::new();
        fetch(&format!("http://{address}/here"), None, &mut body).unwrap();
        assert_eq!(body, b"body");
        server.join().unwrap();
    }
}
