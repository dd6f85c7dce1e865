//! UDP flows: one connected socket of the host for each source port and destination of the sandbox.
//!
//! Datagrams are never queued here: what the host's socket or the sandbox's cannot take is dropped, as on any
//! network. A reply is taken only from the destination that was spoken to.

use std::collections::HashMap;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use rustix::buffer::spare_capacity;
use rustix::io::Errno;
use rustix::net::{RecvFlags, SendFlags};
use tokio::io::Interest;
use tokio::net::UdpSocket;
use tokio::task::JoinSet;
use tokio::time::Instant;

use super::answer::{self, Unreachable};
use super::device::Tun;
use super::flows::Ends;
use super::packet::{self, Header};
use super::{UDP_FLOWS_MAX, UDP_IDLE_TIMEOUT, host};

const DATAGRAM_BYTES_MAX: usize = 65_507;

/// A reply, or an ICMP error, which wakes nobody who waits for replies alone.
const ANSWER: Interest = Interest::READABLE.add(Interest::ERROR);

#[derive(Default)]
pub(super) struct Datagrams {
    flows: HashMap<Ends, Arc<Flow>>,
    tasks: JoinSet<Ends>,
}

struct Flow {
    socket: UdpSocket,
    began: Instant,
    moved_after_ms: AtomicU64,
}

pub(super) enum Opened {
    Yes,
    /// The sandbox has all that it may have.
    Full,
    /// The destination is the host itself, or no route leads to it.
    Unreachable(Unreachable),
}

impl Datagrams {
    /// Sends on a flow that is known; `false` when it is not.
    pub(super) fn send(&self, ends: Ends, payload: &[u8], tun: &Tun) -> bool {
        let Some(flow) = self.flows.get(&ends) else { return false };
        if flow.send(payload) == Err(Errno::CONNREFUSED) {
            // An earlier datagram's error, met before the flow's own task saw it; this one was not sent.
            port_unreachable(ends, tun);
            let _ = flow.send(payload);
        }
        true
    }

    /// Opens a flow and sends its first datagram. The destination has been allowed already.
    pub(super) fn open(&mut self, ends: Ends, payload: &[u8], tun: &Arc<Tun>) -> Opened {
        if self.flows.len() >= UDP_FLOWS_MAX {
            return Opened::Full;
        }
        let socket = match connect(ends) {
            Ok(Some(socket)) => socket,
            Ok(None) => return Opened::Unreachable(Unreachable::Prohibited),
            Err(_) => return Opened::Unreachable(Unreachable::Host),
        };
        let flow = Arc::new(Flow { socket, began: Instant::now(), moved_after_ms: AtomicU64::new(0) });
        // A failure is a lost datagram.
        let _ = flow.send(payload);
        self.flows.insert(ends, Arc::clone(&flow));
        let tun = Arc::clone(tun);
        self.tasks.spawn(async move {
            replies(&flow, ends, &tun).await;
            ends
        });
        Opened::Yes
    }

    /// Waits for a flow to end and forgets it. Never ends while there is none.
    pub(super) async fn forget_ended(&mut self) {
        match self.tasks.join_next().await {
            Some(Ok(ends)) => drop(self.flows.remove(&ends)),
            Some(Err(_)) => {}
            None => std::future::pending().await,
        }
    }
}

/// A connected socket; `None` when the destination is the host itself.
fn connect(ends: Ends) -> io::Result<Option<UdpSocket>> {
    let any: IpAddr =
        if ends.destination.is_ipv4() { Ipv4Addr::UNSPECIFIED.into() } else { Ipv6Addr::UNSPECIFIED.into() };
    let socket = std::net::UdpSocket::bind((any, 0))?;
    socket.connect(ends.destination)?;
    if host::is_itself(&socket, ends.destination) {
        return Ok(None);
    }
    socket.set_nonblocking(true)?;
    UdpSocket::from_std(socket).map(Some)
}

impl Flow {
    fn send(&self, payload: &[u8]) -> Result<usize, Errno> {
        self.moved();
        // Not Tokio's `try_send`, which refuses until the reactor has seen the socket for the first time.
        rustix::net::send(&self.socket, payload, SendFlags::DONTWAIT | SendFlags::NOSIGNAL)
    }

    /// Takes one datagram, after what `packet` holds already.
    fn receive(&self, packet: &mut Vec<u8>) -> io::Result<usize> {
        let mut receive =
            || Ok(rustix::net::recv(&self.socket, spare_capacity(packet), RecvFlags::DONTWAIT)?.0);
        // One interest at a time: Tokio's `try_io` does nothing for two at once.
        match self.socket.try_io(Interest::READABLE, &mut receive) {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                self.socket.try_io(Interest::ERROR, receive)
            }
            received => received,
        }
    }

    fn moved(&self) {
        let after_ms = u64::try_from(self.began.elapsed().as_millis()).unwrap_or(u64::MAX);
        self.moved_after_ms.store(after_ms, Ordering::Relaxed);
    }

    fn idle_at(&self) -> Instant {
        let moved_after = std::time::Duration::from_millis(self.moved_after_ms.load(Ordering::Relaxed));
        self.began + moved_after + UDP_IDLE_TIMEOUT
    }
}

/// Passes replies to the sandbox until the flow has been idle for long enough.
async fn replies(flow: &Flow, ends: Ends, tun: &Tun) {
    let room = answer::datagram_header_bytes(ends.destination);
    loop {
        match tokio::time::timeout_at(flow.idle_at(), flow.socket.ready(ANSWER)).await {
            Err(_) if Instant::now() >= flow.idle_at() => return,
            Err(_) => continue,
            Ok(Err(_)) => return,
            Ok(Ok(_)) => {}
        }
        // Lives only while datagrams keep coming.
        let mut packet = Vec::with_capacity(room + DATAGRAM_BYTES_MAX);
        loop {
            packet.clear();
            packet.resize(room, 0);
            match flow.receive(&mut packet) {
                Ok(_) => {
                    flow.moved();
                    if answer::seal_datagram(&mut packet, ends.destination, ends.application) {
                        tun.send(&packet);
                    }
                }
                Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => port_unreachable(ends, tun),
                Err(_) => break,
            }
        }
    }
}

/// Tells the sandbox that nobody listens at the destination, quoting a datagram like the one it had sent.
fn port_unreachable(ends: Ends, tun: &Tun) {
    let mut original = vec![0; answer::datagram_header_bytes(ends.application)];
    if !answer::seal_datagram(&mut original, ends.application, ends.destination) {
        return;
    }
    let header: Option<Header> = packet::parse(&original);
    if let Some(error) = header.and_then(|header| answer::unreachable(&original, &header, Unreachable::Port))
    {
        tun.send(&error);
    }
}
