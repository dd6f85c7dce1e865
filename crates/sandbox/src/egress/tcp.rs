//! TCP outside the table: connecting to a remote, and copying between it and the gate.

use std::io;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;
use tokio::net::tcp::{ReadHalf, WriteHalf};
use tokio::time::Instant;

use super::{CONNECT_TIMEOUT, RELAY_BUFFER_BYTES, TCP_HALF_CLOSED_TIMEOUT, TCP_IDLE_TIMEOUT, host};

/// Connects from the host's own stack. Refuses what turns out to be the host itself.
pub(super) async fn connect(destination: SocketAddr) -> io::Result<TcpStream> {
    if host::routes_to_itself(destination) {
        return Err(io::ErrorKind::ConnectionRefused.into());
    }
    open(destination).await
}

/// Connects to the first resolver that answers, wherever it stands.
pub(super) async fn connect_resolver(servers: Vec<SocketAddr>) -> io::Result<TcpStream> {
    let mut last = io::Error::from(io::ErrorKind::ConnectionRefused);
    for server in servers {
        match open(server).await {
            Ok(stream) => return Ok(stream),
            Err(error) => last = error,
        }
    }
    Err(last)
}

async fn open(destination: SocketAddr) -> io::Result<TcpStream> {
    let stream = tokio::time::timeout(CONNECT_TIMEOUT, TcpStream::connect(destination))
        .await
        .map_err(|_| io::Error::from(io::ErrorKind::TimedOut))??;
    // The function's own socket has chosen already when to send; waiting a second time only adds delay.
    stream.set_nodelay(true)?;
    Ok(stream)
}

/// Copies both ways until both have ended, one has broken, or nothing has moved for too long.
///
/// An end of one direction is passed on while the other goes on; so does a side that takes no more, because
/// its last answer may still be on its way (a server that refuses an upload half-way). A break is passed on
/// as a reset to both, so that neither takes a broken stream for a complete one.
pub(super) async fn relay(mut application: TcpStream, mut upstream: TcpStream) {
    let activity = Activity::new();
    let is_whole = {
        let (from_application, to_application) = application.split();
        let (from_upstream, to_upstream) = upstream.split();
        let outward = copy(from_application, to_upstream, &activity);
        let inward = copy(from_upstream, to_application, &activity);
        tokio::select! {
            is_whole = both(outward, inward) => is_whole,
            () = activity.ceased() => false,
        }
    };
    if !is_whole {
        // Closing then sends a reset. A socket that refuses the option is closed all the same.
        let _ = application.set_zero_linger();
        let _ = upstream.set_zero_linger();
    }
}

/// How a direction ended.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Ended {
    /// The sender has closed, and the receiver was told.
    Whole,
    /// The receiver takes no more.
    Unwritable,
    /// The sender's connection is broken, so nothing can be sent to it either.
    Broken,
}

/// Waits for both directions, or for the first that makes the other pointless; says whether both are whole.
async fn both(outward: impl Future<Output = Ended>, inward: impl Future<Output = Ended>) -> bool {
    tokio::pin!(outward, inward);
    let (first, second) = tokio::select! {
        ended = &mut outward => (ended, if ended == Ended::Broken { ended } else { inward.await }),
        ended = &mut inward => (ended, if ended == Ended::Broken { ended } else { outward.await }),
    };
    first == Ended::Whole && second == Ended::Whole
}

/// One direction. The buffer lives only while bytes keep coming, so an idle flow holds none; reading waits
/// for writing, so a receiver that stops makes the sender's kernel stop.
async fn copy(from: ReadHalf<'_>, mut to: WriteHalf<'_>, activity: &Activity) -> Ended {
    loop {
        if from.readable().await.is_err() {
            return Ended::Broken;
        }
        let mut buffer = Vec::with_capacity(RELAY_BUFFER_BYTES);
        loop {
            buffer.clear();
            match from.try_read_buf(&mut buffer) {
                Ok(0) => {
                    activity.half_closed();
                    // An error here means that the other side has gone already, which its own direction sees.
                    let _ = to.shutdown().await;
                    return Ended::Whole;
                }
                Ok(_) => {
                    activity.moved();
                    if to.write_all(&buffer).await.is_err() {
                        activity.half_closed();
                        return Ended::Unwritable;
                    }
                    activity.moved();
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                Err(_) => return Ended::Broken,
            }
        }
    }
}

/// When bytes last moved, in either direction.
struct Activity {
    began: Instant,
    moved_after_ms: AtomicU64,
    half_closed: AtomicBool,
}

impl Activity {
    fn new() -> Activity {
        Activity {
            began: Instant::now(),
            moved_after_ms: AtomicU64::new(0),
            half_closed: AtomicBool::new(false),
        }
    }

    fn moved(&self) {
        let after_ms = u64::try_from(self.began.elapsed().as_millis()).unwrap_or(u64::MAX);
        self.moved_after_ms.store(after_ms, Ordering::Relaxed);
    }

    fn half_closed(&self) {
        self.moved();
        self.half_closed.store(true, Ordering::Relaxed);
    }

    /// Ends when nothing has moved for as long as the flow's state allows.
    async fn ceased(&self) {
        loop {
            let moved_at = self.began + Duration::from_millis(self.moved_after_ms.load(Ordering::Relaxed));
            let half_closed = self.half_closed.load(Ordering::Relaxed);
            let allowed = if half_closed { TCP_HALF_CLOSED_TIMEOUT } else { TCP_IDLE_TIMEOUT };
            if moved_at.elapsed() >= allowed {
                return;
            }
            // Half-closing may shorten the time, so look again at least that often.
            let due = (moved_at + allowed).min(Instant::now() + TCP_HALF_CLOSED_TIMEOUT);
            tokio::time::sleep_until(due).await;
        }
    }
}
