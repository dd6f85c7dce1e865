//! The table of a sandbox's TCP flows: which port at the gate stands for which flow, and how far it is.
//!
//! Pure: time is an argument, and `U` is whatever stands for the remote connection. A flow passes through
//! *connecting* (the host connects; the sandbox's SYN is kept), *accepting* (the remote is there; the
//! sandbox's kernel makes its handshake with the gate), *open* and *lingering* (the relay has ended; late
//! packets still find their way). All but the last count against [`TCP_FLOWS_MAX`].

use std::collections::{HashMap, VecDeque};
use std::net::SocketAddr;
use std::time::Instant;

use super::{HANDSHAKE_TIMEOUT, TCP_FLOWS_MAX, TCP_LINGER, TCP_LINGERING_MAX};

/// Ports at the gate begin here and go round, so that one is not used again while its last connection may
/// still be remembered by the sandbox's kernel.
const FIRST_PORT: u16 = 1_024;

/// The two ends as the function sees them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct Ends {
    pub application: SocketAddr,
    pub destination: SocketAddr,
}

/// The port at the gateway that stands for a flow.
pub(super) type GatePort = u16;

#[derive(Debug)]
enum Stage<U> {
    Connecting { opening: Vec<u8> },
    Accepting { upstream: U },
    Open,
    Lingering,
}

#[derive(Debug)]
struct Flow<U> {
    ends: Ends,
    stage: Stage<U>,
    touched: Instant,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Route {
    /// Known: the packet goes to the gate as from this port.
    Forward(GatePort),
    /// The host is still connecting: the packet is a repeated SYN.
    Wait,
    /// Not known.
    Unknown,
}

#[derive(Debug)]
pub(super) struct Flows<U> {
    flows: HashMap<GatePort, Flow<U>>,
    ports: HashMap<Ends, GatePort>,
    lingering: VecDeque<GatePort>,
    live_count: usize,
    next_port: GatePort,
}

impl<U> Default for Flows<U> {
    fn default() -> Self {
        Flows {
            flows: HashMap::new(),
            ports: HashMap::new(),
            lingering: VecDeque::new(),
            live_count: 0,
            next_port: FIRST_PORT,
        }
    }
}

impl<U> Flows<U> {
    /// Where a packet of the function goes. A SYN for a flow that has ended means a new flow.
    pub(super) fn outward(&mut self, ends: Ends, opens: bool, now: Instant) -> Route {
        let Some(port) = self.ports.get(&ends).copied() else { return Route::Unknown };
        let Some(flow) = self.flows.get_mut(&port) else { return Route::Unknown };
        match flow.stage {
            Stage::Connecting { .. } => Route::Wait,
            Stage::Lingering if opens => {
                self.remove(port);
                Route::Unknown
            }
            _ => {
                flow.touched = now;
                Route::Forward(port)
            }
        }
    }

    /// Whose packet the gate has sent to `port`.
    pub(super) fn inward(&mut self, port: GatePort, now: Instant) -> Option<Ends> {
        let flow = self.flows.get_mut(&port)?;
        flow.touched = now;
        Some(flow.ends)
    }

    /// Adds a flow whose remote is being connected; `None` when the sandbox has all that it may have.
    /// `opening` is its SYN.
    pub(super) fn open(&mut self, ends: Ends, opening: Vec<u8>, now: Instant) -> Option<GatePort> {
        if self.live_count >= TCP_FLOWS_MAX {
            return None;
        }
        let port = self.free_port();
        self.flows.insert(port, Flow { ends, stage: Stage::Connecting { opening }, touched: now });
        self.ports.insert(ends, port);
        self.live_count += 1;
        Some(port)
    }

    /// The remote has answered: gives back the SYN, to be delivered to the gate.
    pub(super) fn connected(&mut self, port: GatePort, upstream: U, now: Instant) -> Option<(Ends, Vec<u8>)> {
        let flow = self.flows.get_mut(&port)?;
        let before = std::mem::replace(&mut flow.stage, Stage::Accepting { upstream });
        let Stage::Connecting { opening } = before else {
            // Only one connect is ever started for a port, and it is reported once.
            flow.stage = before;
            return None;
        };
        flow.touched = now;
        Some((flow.ends, opening))
    }

    /// The remote cannot be had: forgets the flow and gives back its SYN, to be answered.
    pub(super) fn failed(&mut self, port: GatePort) -> Option<Vec<u8>> {
        match self.remove(port)?.stage {
            Stage::Connecting { opening } => Some(opening),
            _ => None,
        }
    }

    /// The gate has accepted the flow's connection: gives back the remote's. `None` for a connection that no
    /// flow waits for.
    pub(super) fn accepted(&mut self, port: GatePort) -> Option<U> {
        let flow = self.flows.get_mut(&port)?;
        if !matches!(flow.stage, Stage::Accepting { .. }) {
            return None;
        }
        match std::mem::replace(&mut flow.stage, Stage::Open) {
            Stage::Accepting { upstream } => Some(upstream),
            _ => None,
        }
    }

    /// The relay has ended; the translation stays a while.
    pub(super) fn ended(&mut self, port: GatePort, now: Instant) {
        let Some(flow) = self.flows.get_mut(&port) else { return };
        flow.stage = Stage::Lingering;
        flow.touched = now;
        self.live_count -= 1;
        self.lingering.push_back(port);
        while self.lingering.len() > TCP_LINGERING_MAX {
            let Some(oldest) = self.lingering.pop_front() else { break };
            self.forget(oldest);
        }
    }

    /// Forgets what has waited too long for its handshake or its last packets.
    pub(super) fn sweep(&mut self, now: Instant) {
        let overdue: Vec<GatePort> = self
            .flows
            .iter()
            .filter(|(_, flow)| {
                let idle = now.saturating_duration_since(flow.touched);
                match flow.stage {
                    Stage::Connecting { .. } | Stage::Open => false,
                    Stage::Accepting { .. } => idle >= HANDSHAKE_TIMEOUT,
                    Stage::Lingering => idle >= TCP_LINGER,
                }
            })
            .map(|(port, _)| *port)
            .collect();
        for port in overdue {
            self.remove(port);
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.flows.is_empty()
    }

    #[cfg(test)]
    pub(super) fn live_count(&self) -> usize {
        self.live_count
    }

    #[cfg(test)]
    pub(super) fn known_count(&self) -> usize {
        self.flows.len()
    }

    fn remove(&mut self, port: GatePort) -> Option<Flow<U>> {
        if let Some(at) = self.lingering.iter().position(|known| *known == port) {
            self.lingering.remove(at);
        }
        self.forget(port)
    }

    fn forget(&mut self, port: GatePort) -> Option<Flow<U>> {
        let flow = self.flows.remove(&port)?;
        self.ports.remove(&flow.ends);
        if !matches!(flow.stage, Stage::Lingering) {
            self.live_count -= 1;
        }
        Some(flow)
    }

    fn free_port(&mut self) -> GatePort {
        // Ends: the table holds far fewer flows than there are ports.
        loop {
            let port = self.next_port;
            self.next_port = port.checked_add(1).unwrap_or(FIRST_PORT);
            if !self.flows.contains_key(&port) {
                return port;
            }
        }
    }
}

const _: () = assert!(TCP_FLOWS_MAX + TCP_LINGERING_MAX < (u16::MAX - FIRST_PORT) as usize);
