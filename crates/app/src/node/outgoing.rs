//! Requests that the node sends to addresses of others, on behalf of whoever may have it send some.
//!
//! Functions may: with their credentials they subscribe endpoints and make API destinations. So the node is no way round
//! a sandbox's walls: [`Reach`] says which addresses it sends nothing to. Names are judged by what they resolve to, on
//! each request.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::OnceLock;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use http_body_util::{BodyExt as _, Full, Limited};
use hyper::body::Incoming;
use hyper_util::rt::TokioIo;
use lambent_core::ports::{Answered, BoxFuture, HttpSink, Posting, Unanswered};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;

use crate::cli::client::trust::{self, Trust};

/// Which addresses requests may go to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reach {
    /// What whoever started the node named.
    Anywhere,
    /// Not to links of the host's own, where clouds keep the credentials of machines. To the host itself while a node
    /// is for development: whose credentials `test` are good for everybody on the host.
    AlsoThisHost,
    /// Neither to links nor to the host itself.
    OtherHosts,
}

impl Reach {
    fn allows(self, address: IpAddr) -> bool {
        let address = address.to_canonical();
        let is_link = match address {
            IpAddr::V4(v4) => v4.is_link_local() || v4.is_broadcast(),
            IpAddr::V6(v6) => v6.is_unicast_link_local() || v6 == AWS_METADATA_V6,
        };
        match self {
            Self::Anywhere => true,
            Self::AlsoThisHost => !is_link,
            Self::OtherHosts => !is_link && !is_own(address),
        }
    }
}

/// EC2 user guide: the instance metadata service's address of version 6.
const AWS_METADATA_V6: std::net::Ipv6Addr = std::net::Ipv6Addr::new(0xfd00, 0xec2, 0, 0, 0, 0, 0, 0x254);

/// Whether an address is one of this host's: the kernel would send to it from itself. Nothing is sent.
fn is_own(address: IpAddr) -> bool {
    let any = if address.is_ipv4() { IpAddr::from([0; 4]) } else { IpAddr::from([0; 16]) };
    let sent_from = || {
        let socket = std::net::UdpSocket::bind(SocketAddr::new(any, 0))?;
        socket.connect(SocketAddr::new(address, 9))?;
        Ok::<_, io::Error>(socket.local_addr()?.ip())
    };
    address.is_loopback() || address.is_unspecified() || sent_from().is_ok_and(|own| own == address)
}

/// Each request has a connection of its own.
pub struct Outgoing {
    reach: Reach,
    /// Read when the first `https` address is to be reached.
    trust: OnceLock<Trust>,
}

impl HttpSink for Outgoing {
    fn post<'a>(&'a self, posting: Posting<'a>) -> BoxFuture<'a, Result<Answered, Unanswered>> {
        Box::pin(async move {
            match tokio::time::timeout(posting.within, self.send(&posting)).await {
                Ok(Ok(answered)) => Ok(answered),
                Ok(Err(error)) => Err(Unanswered::Unreachable(error.to_string())),
                Err(_) => Err(Unanswered::TooSlow(posting.within)),
            }
        })
    }
}

impl Outgoing {
    pub fn new(reach: Reach) -> Self {
        Self { reach, trust: OnceLock::new() }
    }

    async fn connect(&self, host: &str, port: u16) -> io::Result<TcpStream> {
        let found: Vec<SocketAddr> = tokio::net::lookup_host((host, port)).await?.collect();
        let allowed: Vec<SocketAddr> =
            found.iter().copied().filter(|address| self.reach.allows(address.ip())).collect();
        if allowed.is_empty() && !found.is_empty() {
            return Err(io::Error::new(
                io::ErrorKind::PermissionDenied,
                "the address is this host's own or a link's, which the node sends nothing to",
            ));
        }
        // What was judged is what is connected to.
        TcpStream::connect(&allowed[..]).await
    }

    async fn send(&self, posting: &Posting<'_>) -> io::Result<Answered> {
        let address: http::Uri = posting.url.parse().map_err(io::Error::other)?;
        let host = address.host().ok_or_else(|| io::Error::other("the address has no host"))?;
        let host = host.trim_start_matches('[').trim_end_matches(']');
        let is_https = address.scheme_str() == Some("https");
        let port = address.port_u16().unwrap_or(if is_https { 443 } else { 80 });
        let request = request(&address, posting).map_err(io::Error::other)?;
        let tcp = self.connect(host, port).await?;
        let _ = tcp.set_nodelay(true);
        if !is_https {
            return answer(tcp, request, posting.answer_bytes_max).await;
        }
        let stream = self.trust()?.wrap(host, tcp).await.map_err(io::Error::other)?;
        answer(stream, request, posting.answer_bytes_max).await
    }

    fn trust(&self) -> io::Result<&Trust> {
        if let Some(trust) = self.trust.get() {
            return Ok(trust);
        }
        let trust = trust::load(None).map_err(|failure| io::Error::other(failure.message))?;
        Ok(self.trust.get_or_init(|| trust))
    }
}

fn request(address: &http::Uri, posting: &Posting<'_>) -> http::Result<http::Request<Full<Bytes>>> {
    let authority = address.authority().map(|authority| authority.as_str()).unwrap_or_default();
    let (user, host) = match authority.rsplit_once('@') {
        Some((user, host)) => (Some(user), host),
        None => (None, authority),
    };
    let path = address.path_and_query().map(|path| path.as_str()).unwrap_or("/");
    let mut builder =
        http::Request::builder().method(posting.method).uri(path).header(http::header::HOST, host);
    if let Some(user) = user {
        let user = lambent_wire::percent::decode_segment(user).unwrap_or_else(|_| user.to_owned());
        builder = builder.header(http::header::AUTHORIZATION, format!("Basic {}", STANDARD.encode(user)));
    }
    for (name, value) in posting.headers {
        builder = builder.header(name, value);
    }
    builder.body(Full::new(Bytes::copy_from_slice(posting.body.as_bytes())))
}

async fn answer<S>(stream: S, request: http::Request<Full<Bytes>>, bytes_max: usize) -> io::Result<Answered>
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let (mut sender, connection) =
        hyper::client::conn::http1::handshake(TokioIo::new(stream)).await.map_err(io::Error::other)?;
    let driver = Driver(tokio::spawn(async move {
        let _ = connection.await;
    }));
    let (head, body) = sender.send_request(request).await.map_err(io::Error::other)?.into_parts();
    let body = if bytes_max == 0 { Bytes::new() } else { read(body, bytes_max).await? };
    drop(driver);
    let retry_after = head.headers.get(http::header::RETRY_AFTER).and_then(|value| value.to_str().ok());
    Ok(Answered { status: head.status.as_u16(), retry_after: retry_after.map(str::to_owned), body })
}

async fn read(body: Incoming, bytes_max: usize) -> io::Result<Bytes> {
    let whole = Limited::new(body, bytes_max).collect().await;
    whole.map(|whole| whole.to_bytes()).map_err(|error| io::Error::other(error.to_string()))
}

/// The connection ends with the request, also with one that took too long.
struct Driver(tokio::task::JoinHandle<()>);

impl Drop for Driver {
    fn drop(&mut self) {
        self.0.abort();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_node_is_no_way_to_its_host() {
        for (address, also_this_host, other_hosts) in [
            ("127.0.0.1", true, false),
            ("127.8.8.8", true, false),
            ("::1", true, false),
            ("0.0.0.0", true, false),
            ("::ffff:127.0.0.1", true, false),
            ("169.254.169.254", false, false),
            ("::ffff:169.254.169.254", false, false),
            ("fe80::1", false, false),
            ("fd00:ec2::254", false, false),
            ("192.0.2.7", true, true),
            ("2001:db8::7", true, true),
        ] {
            let found = address.parse().unwrap();
            assert_eq!(Reach::AlsoThisHost.allows(found), also_this_host, "{address}");
            assert_eq!(Reach::OtherHosts.allows(found), other_hosts, "{address}");
            assert!(Reach::Anywhere.allows(found), "{address}");
        }
    }

    #[tokio::test]
    async fn a_name_is_judged_by_its_address() {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        assert!(Outgoing::new(Reach::AlsoThisHost).connect("localhost", port).await.is_ok());
        for host in ["localhost", "127.0.0.1"] {
            let refused = Outgoing::new(Reach::OtherHosts).connect(host, port).await.unwrap_err();
            assert_eq!(refused.kind(), io::ErrorKind::PermissionDenied, "{host}");
        }
    }
}
