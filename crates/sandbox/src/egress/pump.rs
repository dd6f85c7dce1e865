//! What happens to a packet: one task for each sandbox reads its device and moves flows along.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::net::{TcpListener, TcpStream};
use tokio::task::{JoinError, JoinSet};

use super::answer::{self, Unreachable};
use super::device::{self, Device, Tun};
use super::flows::{Ends, Flows, GatePort, Route};
use super::packet::{self, ACK, Header, SYN, Transport};
use super::policy::{Policy, Verdict};
use super::udp::{Datagrams, Opened};
use super::warnings::Warnings;
use super::{
    DNS_QUERIES_MAX, GATEWAY_V4, GATEWAY_V6, SANDBOX_V4, SANDBOX_V6, TCP_FLOWS_MAX, TUN_MTU, UDP_FLOWS_MAX,
    dns, tcp,
};

/// Packets handled before other work gets its turn.
const BURST_COUNT: usize = 32;
/// How often the table is swept, while it holds anything.
const SWEEP_INTERVAL: Duration = Duration::from_secs(5);
/// Wait after the gate could not accept (the process is out of descriptors).
const ACCEPT_RETRY: Duration = Duration::from_millis(100);

type Connected = (GatePort, io::Result<TcpStream>);

struct Nat {
    tun: Arc<Tun>,
    gate_port: u16,
    policy: Arc<Policy>,
    flows: Flows<TcpStream>,
    connects: JoinSet<Connected>,
    relays: JoinSet<GatePort>,
    datagrams: Datagrams,
    queries: JoinSet<()>,
    tcp_full: Warnings,
    udp_full: Warnings,
}

/// Runs until the device is gone. Dropping the future closes everything.
pub(super) async fn run(device: Device, policy: Arc<Policy>) -> io::Result<()> {
    let gate = device::listener(device.gate)?;
    let mut nat = Nat {
        tun: Arc::new(Tun::new(device.tun)?),
        gate_port: gate.local_addr()?.port(),
        policy,
        flows: Flows::default(),
        connects: JoinSet::new(),
        relays: JoinSet::new(),
        datagrams: Datagrams::default(),
        queries: JoinSet::new(),
        tcp_full: Warnings::default(),
        udp_full: Warnings::default(),
    };
    let tun = Arc::clone(&nat.tun);
    let mut buffer = Vec::with_capacity(TUN_MTU as usize);
    let mut sweep = tokio::time::interval(SWEEP_INTERVAL);
    sweep.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            ready = tun.readable() => {
                ready?;
                if !nat.burst(&mut buffer)? {
                    tokio::task::yield_now().await;
                }
            }
            accepted = accept(&gate) => nat.accepted(accepted),
            Some(connected) = nat.connects.join_next() => nat.connected(connected),
            Some(ended) = nat.relays.join_next() => {
                if let Ok(port) = ended {
                    nat.flows.ended(port, Instant::now());
                }
            }
            () = nat.datagrams.forget_ended() => {}
            Some(_) = nat.queries.join_next() => {}
            _ = sweep.tick(), if !nat.flows.is_empty() => nat.flows.sweep(Instant::now()),
        }
    }
}

async fn accept(gate: &TcpListener) -> (TcpStream, SocketAddr) {
    loop {
        match gate.accept().await {
            Ok(accepted) => return accepted,
            Err(error) => {
                tracing::debug!(%error, "the gate cannot accept");
                tokio::time::sleep(ACCEPT_RETRY).await;
            }
        }
    }
}

impl Nat {
    /// Handles what has come, up to [`BURST_COUNT`] packets; says whether that was all.
    fn burst(&mut self, buffer: &mut Vec<u8>) -> io::Result<bool> {
        let now = Instant::now();
        for _ in 0..BURST_COUNT {
            match self.tun.receive(buffer) {
                Ok(()) => self.packet(buffer, now),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(true),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                // The device was removed (EBADFD), which is how a sandbox's network ends.
                Err(error) => return Err(error),
            }
        }
        Ok(false)
    }

    fn packet(&mut self, bytes: &mut [u8], now: Instant) {
        let Some(header) = packet::parse(bytes) else { return };
        if header.source.ip() != SANDBOX_V4 && header.source.ip() != SANDBOX_V6 {
            return;
        }
        match header.transport {
            Transport::Udp => self.datagram(bytes, &header, now),
            Transport::Tcp { flags, .. } => {
                let to_gateway = is_gateway(header.destination.ip());
                if to_gateway && header.source.port() == self.gate_port {
                    self.gate_sent(bytes, &header, now);
                } else {
                    self.application_sent(bytes, &header, flags & (SYN | ACK) == SYN, now);
                }
            }
        }
    }

    /// The gate's kernel speaks to the function: as the remote.
    fn gate_sent(&mut self, bytes: &mut [u8], header: &Header, now: Instant) {
        match self.flows.inward(header.destination.port(), now) {
            Some(ends) => {
                if packet::readdress(bytes, header, ends.destination, ends.application) {
                    self.tun.send(bytes);
                }
            }
            // The flow has been forgotten: let the gate's kernel forget it too.
            None => self.reset(header),
        }
    }

    /// The function speaks to a remote: to the gate, or a new flow.
    fn application_sent(&mut self, bytes: &mut [u8], header: &Header, opens: bool, now: Instant) {
        let ends = Ends { application: header.source, destination: header.destination };
        match self.flows.outward(ends, opens, now) {
            Route::Forward(port) => self.to_gate(bytes, header, port),
            Route::Wait => {}
            Route::Unknown if opens => self.open(bytes, header, ends, now),
            Route::Unknown => self.reset(header),
        }
    }

    fn to_gate(&self, bytes: &mut [u8], header: &Header, port: GatePort) {
        let gateway: IpAddr = if header.source.is_ipv4() { GATEWAY_V4.into() } else { GATEWAY_V6.into() };
        let from = SocketAddr::new(gateway, port);
        let to = SocketAddr::new(header.source.ip(), self.gate_port);
        if packet::readdress(bytes, header, from, to) {
            self.tun.send(bytes);
        }
    }

    fn open(&mut self, bytes: &[u8], header: &Header, ends: Ends, now: Instant) {
        self.policy.refresh(now);
        let verdict = self.policy.decide(ends.destination);
        if let Verdict::Refuse(reason) = verdict {
            tracing::debug!(destination = %ends.destination, ?reason, "a sandbox's connection was refused");
            return self.reset(header);
        }
        let Some(port) = self.flows.open(ends, bytes[..header.payload.end].to_vec(), now) else {
            if let Some(refused_count) = self.tcp_full.raise(now) {
                tracing::warn!(refused_count, limit = TCP_FLOWS_MAX, "a sandbox has too many TCP flows");
            }
            return self.reset(header);
        };
        if verdict == Verdict::Resolver {
            let servers = self.policy.resolvers();
            self.connects.spawn(async move { (port, tcp::connect_resolver(servers).await) });
        } else {
            self.connects.spawn(async move { (port, tcp::connect(ends.destination).await) });
        }
    }

    /// The remote has answered, or not: the function's SYN goes on, or is answered.
    fn connected(&mut self, connected: Result<Connected, JoinError>) {
        // A task that was cancelled or has panicked left its flow as it was, and there is no port to name it
        // by; neither happens while the NAT runs.
        let Ok((port, connected)) = connected else { return };
        let error = match connected {
            Ok(upstream) => {
                if let Some((_, mut opening)) = self.flows.connected(port, upstream, Instant::now())
                    && let Some(header) = packet::parse(&opening)
                {
                    self.to_gate(&mut opening, &header, port);
                }
                return;
            }
            Err(error) => error,
        };
        let Some(opening) = self.flows.failed(port) else { return };
        let Some(header) = packet::parse(&opening) else { return };
        match error.kind() {
            io::ErrorKind::TimedOut | io::ErrorKind::HostUnreachable | io::ErrorKind::NetworkUnreachable => {
                self.unreachable(&opening, &header, Unreachable::Host);
            }
            _ => self.reset(&header),
        }
    }

    fn accepted(&mut self, (application, peer): (TcpStream, SocketAddr)) {
        // Code in the sandbox may knock at the gate itself; only what was sent there from here is a flow.
        if !is_gateway(peer.ip().to_canonical()) {
            return;
        }
        let Some(upstream) = self.flows.accepted(peer.port()) else { return };
        let port = peer.port();
        if application.set_nodelay(true).is_err() {
            // The function has reset it between handshake and accept.
            self.flows.ended(port, Instant::now());
            return;
        }
        self.relays.spawn(async move {
            tcp::relay(application, upstream).await;
            port
        });
    }

    fn datagram(&mut self, bytes: &[u8], header: &Header, now: Instant) {
        let ends = Ends { application: header.source, destination: header.destination };
        let payload = &bytes[header.payload.clone()];
        if self.datagrams.send(ends, payload, &self.tun) {
            return;
        }
        self.policy.refresh(now);
        match self.policy.decide(ends.destination) {
            Verdict::Resolver => self.question(ends, payload),
            Verdict::Refuse(reason) => {
                tracing::debug!(destination = %ends.destination, ?reason, "a sandbox's datagram was refused");
                self.unreachable(bytes, header, Unreachable::Prohibited);
            }
            Verdict::Allow => match self.datagrams.open(ends, payload, &self.tun) {
                Opened::Yes => {}
                Opened::Unreachable(why) => self.unreachable(bytes, header, why),
                Opened::Full => {
                    if let Some(dropped_count) = self.udp_full.raise(now) {
                        tracing::warn!(
                            dropped_count,
                            limit = UDP_FLOWS_MAX,
                            "a sandbox has too many UDP flows"
                        );
                    }
                }
            },
        }
    }

    fn question(&mut self, ends: Ends, question: &[u8]) {
        if self.queries.len() >= DNS_QUERIES_MAX {
            return;
        }
        let (tun, question, servers) = (Arc::clone(&self.tun), question.to_vec(), self.policy.resolvers());
        self.queries.spawn(async move {
            let Some(answer) = dns::answer(&question, &servers).await else { return };
            let mut packet = vec![0; answer::datagram_header_bytes(ends.destination)];
            packet.extend_from_slice(&answer);
            if answer::seal_datagram(&mut packet, ends.destination, ends.application) {
                tun.send(&packet);
            }
        });
    }

    fn reset(&self, header: &Header) {
        if let Some(reset) = answer::reset(header) {
            self.tun.send(&reset);
        }
    }

    fn unreachable(&self, original: &[u8], header: &Header, why: Unreachable) {
        // What was meant for many is not answered (RFC 1122, 3.2.2).
        if header.destination.ip().is_multicast() {
            return;
        }
        if let Some(error) = answer::unreachable(original, header, why) {
            self.tun.send(&error);
        }
    }
}

fn is_gateway(address: IpAddr) -> bool {
    address == GATEWAY_V4 || address == GATEWAY_V6
}
