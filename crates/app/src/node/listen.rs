//! Accepts connections: the node's own listener, with or without TLS, and those inside sandboxes.

use std::convert::Infallible;
use std::fs::File;
use std::io::{self, BufReader};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use hyper_util::rt::{TokioIo, TokioTimer};
use lambent_execution::runtime_api::next_client;
use lambent_execution::shell::Endpoint;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpListener;
use tokio::sync::{Semaphore, watch};
use tokio_rustls::TlsAcceptor;

use super::front::{Front, Visitor};
use super::keys::Door;

/// Connections of the node's own listener. Each costs a descriptor and some tens of KiB.
const CONNECTIONS_MAX: usize = 4_096;

/// Connections of one sandbox to the AWS endpoint: SDKs pool 10 to 50.
const SANDBOX_CONNECTIONS_MAX: usize = 64;

/// How long a client may take for a request's head; also how long a kept-alive connection may rest.
const HEAD_TIMEOUT: Duration = Duration::from_secs(75);

/// Request line and headers together. AWS's own front doors stop at 8 to 64 KiB.
const HEAD_BYTES_MAX: usize = 64 * 1024;

const TLS_HANDSHAKE_MAX: Duration = Duration::from_secs(10);

/// Accepts until `stop` turns true; then lets open requests end.
pub async fn serve(
    listener: TcpListener,
    tls: Option<TlsAcceptor>,
    front: Arc<Front>,
    mut stop: watch::Receiver<bool>,
) {
    let permits = Arc::new(Semaphore::new(CONNECTIONS_MAX));
    let graceful = hyper_util::server::graceful::GracefulShutdown::new();
    loop {
        let crowded = |error| {
            tracing::warn!(%error, "a connection was not accepted");
            (front.make_room)();
        };
        let (stream, peer) = tokio::select! {
            accepted = next_client(&listener, crowded) => accepted,
            () = stopped(&mut stop) => break,
        };
        let Ok(permit) = permits.clone().acquire_owned().await else { break };
        let _ = stream.set_nodelay(true);
        let front = front.clone();
        let watcher = graceful.watcher();
        let tls = tls.clone();
        tokio::spawn(async move {
            match tls {
                None => {
                    let visitor = Visitor { door: Door::Front, ip: peer.ip(), scheme: "http" };
                    connection(stream, front, visitor, Some(watcher)).await;
                }
                Some(tls) => {
                    if let Ok(Ok(stream)) = tokio::time::timeout(TLS_HANDSHAKE_MAX, tls.accept(stream)).await
                    {
                        let visitor = Visitor { door: Door::Front, ip: peer.ip(), scheme: "https" };
                        connection(stream, front, visitor, Some(watcher)).await;
                    }
                }
            }
            drop(permit);
        });
    }
    drop(listener);
    graceful.shutdown().await;
}

async fn stopped(stop: &mut watch::Receiver<bool>) {
    // A sender that is gone means the same.
    let _ = stop.wait_for(|stop| *stop).await;
}

async fn connection(
    stream: impl AsyncRead + AsyncWrite + Unpin + 'static,
    front: Arc<Front>,
    visitor: Visitor,
    watcher: Option<hyper_util::server::graceful::Watcher>,
) {
    let service = hyper::service::service_fn(move |request| {
        let front = front.clone();
        async move { Ok::<_, Infallible>(front.handle(request, visitor).await) }
    });
    let mut builder = hyper::server::conn::http1::Builder::new();
    builder.timer(TokioTimer::new()).max_buf_size(HEAD_BYTES_MAX);
    // A function that is frozen between calls may leave its connection resting for hours.
    builder.header_read_timeout((visitor.door == Door::Front).then_some(HEAD_TIMEOUT));
    let connection = builder.serve_connection(TokioIo::new(stream), service);
    let ended = match watcher {
        Some(watcher) => watcher.watch(connection).await,
        None => connection.await,
    };
    if let Err(error) = ended {
        tracing::debug!(%error, "a connection ended early");
    }
}

/// Serves the AWS endpoint inside sandboxes.
pub struct Inside {
    pub front: std::sync::OnceLock<std::sync::Weak<Front>>,
}

struct Guard(tokio::task::JoinHandle<()>);

impl Drop for Guard {
    fn drop(&mut self) {
        self.0.abort();
    }
}

impl Endpoint for Inside {
    fn serve(&self, listener: std::net::TcpListener) -> Box<dyn Send + Sync> {
        let front = self.front.get().cloned();
        Box::new(Guard(tokio::spawn(async move {
            if let Some(front) = front {
                serve_inside(listener, front).await;
            }
        })))
    }
}

async fn serve_inside(listener: std::net::TcpListener, front: std::sync::Weak<Front>) {
    let listener = match listener.set_nonblocking(true).and_then(|()| TcpListener::from_std(listener)) {
        Ok(listener) => listener,
        Err(error) => {
            tracing::error!(%error, "a function has no AWS endpoint");
            return;
        }
    };
    let permits = Arc::new(Semaphore::new(SANDBOX_CONNECTIONS_MAX));
    let mut connections = tokio::task::JoinSet::new();
    loop {
        let Ok(permit) = permits.clone().acquire_owned().await else { return };
        let (stream, peer) = next_client(&listener, |error| {
            tracing::debug!(%error, "accept on a sandbox's AWS endpoint");
            if let Some(front) = front.upgrade() {
                (front.make_room)();
            }
        })
        .await;
        while connections.try_join_next().is_some() {}
        let _ = stream.set_nodelay(true);
        let Some(front) = front.upgrade() else { return };
        connections.spawn(async move {
            let visitor = Visitor { door: Door::Sandbox, ip: peer.ip(), scheme: "http" };
            connection(stream, front, visitor, None).await;
            drop(permit);
        });
    }
}

/// An acceptor from PEM files.
pub fn tls(certificate: &Path, key: &Path) -> io::Result<TlsAcceptor> {
    let named =
        |path: &Path, error: io::Error| io::Error::new(error.kind(), format!("{}: {error}", path.display()));
    let open = |path: &Path| File::open(path).map(BufReader::new).map_err(|e| named(path, e));
    let chain = rustls_pemfile::certs(&mut open(certificate)?)
        .collect::<Result<Vec<_>, _>>()
        .map_err(|e| named(certificate, e))?;
    let key_der = rustls_pemfile::private_key(&mut open(key)?)
        .map_err(|e| named(key, e))?
        .ok_or_else(|| named(key, io::Error::other("holds no private key")))?;
    let config =
        rustls::ServerConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
            .with_safe_default_protocol_versions()
            .map_err(io::Error::other)?
            .with_no_client_auth()
            .with_single_cert(chain, key_der)
            .map_err(|e| named(certificate, io::Error::other(e)))?;
    Ok(TlsAcceptor::from(Arc::new(config)))
}
