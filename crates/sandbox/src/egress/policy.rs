//! Which destinations a sandbox may reach: a pure rule over one snapshot of the host's own addresses.
//!
//! Refused are the host itself in every form, what only the host's link can mean (link-local, multicast,
//! broadcast), the clouds' metadata services, and the sandboxes' internal network; an IPv6 address that
//! carries an IPv4 address is judged by what it carries. All else is allowed, private networks included.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::{PoisonError, RwLock};
use std::time::Instant;

use super::{GATEWAY_V4, GATEWAY_V6, HOST_REFRESH, host};

/// Metadata and control services of clouds that do not stand on a link-local address: Azure's wire server,
/// Alibaba's and Oracle's metadata. (Those of AWS, Google and most others are link-local.)
const METADATA_V4: [Ipv4Addr; 3] =
    [Ipv4Addr::new(168, 63, 129, 16), Ipv4Addr::new(100, 100, 100, 200), Ipv4Addr::new(192, 0, 0, 192)];

/// Port of DNS; the only one that the gateway address answers.
const DNS_PORT: u16 = 53;

/// What is done with a flow.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// Opened from the host's own stack.
    Allow,
    /// Answered by the host's resolvers.
    Resolver,
    /// Refused to the sandbox.
    Refuse(Refusal),
}

/// Why a destination is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refusal {
    Loopback,
    Unspecified,
    HostItself,
    LinkLocal,
    Metadata,
    Multicast,
    Broadcast,
    SandboxInternal,
    NoPort,
}

/// The rule together with what it must know about the host.
#[derive(Debug)]
pub struct Policy {
    facts: RwLock<Facts>,
    follows_host: bool,
}

#[derive(Debug)]
struct Facts {
    addresses: Vec<IpAddr>,
    resolvers: Vec<SocketAddr>,
    read_at: Instant,
}

impl Policy {
    /// A policy of this host: its interfaces' addresses and the resolvers of /etc/resolv.conf, read now and
    /// again every [`HOST_REFRESH`] while flows are opened. Sees the caller's network namespace.
    pub fn from_host() -> Policy {
        Policy { facts: RwLock::new(read_host()), follows_host: true }
    }

    /// A policy with fixed facts, for hosts whose resolvers are configured otherwise.
    pub fn fixed(addresses: Vec<IpAddr>, resolvers: Vec<SocketAddr>) -> Policy {
        let facts = Facts { addresses, resolvers, read_at: Instant::now() };
        Policy { facts: RwLock::new(facts), follows_host: false }
    }

    /// Whether a sandbox may reach `destination`. Performs no I/O.
    pub fn decide(&self, destination: SocketAddr) -> Verdict {
        let facts = self.facts.read().unwrap_or_else(PoisonError::into_inner);
        decide(destination, &facts.addresses)
    }

    /// Where DNS questions go, best first.
    pub(super) fn resolvers(&self) -> Vec<SocketAddr> {
        self.facts.read().unwrap_or_else(PoisonError::into_inner).resolvers.clone()
    }

    /// Reads the host's facts again when they are older than [`HOST_REFRESH`].
    pub(super) fn refresh(&self, now: Instant) {
        if !self.follows_host {
            return;
        }
        let read_at = self.facts.read().unwrap_or_else(PoisonError::into_inner).read_at;
        if now.saturating_duration_since(read_at) >= HOST_REFRESH {
            let facts = read_host();
            *self.facts.write().unwrap_or_else(PoisonError::into_inner) = facts;
        }
    }
}

fn read_host() -> Facts {
    Facts { addresses: host::addresses(), resolvers: host::resolvers(), read_at: Instant::now() }
}

/// The rule: `own` are the host's addresses.
pub(super) fn decide(destination: SocketAddr, own: &[IpAddr]) -> Verdict {
    let address = destination.ip();
    if destination.port() == 0 {
        return Verdict::Refuse(Refusal::NoPort);
    }
    if destination.port() == DNS_PORT && (address == GATEWAY_V4 || address == GATEWAY_V6) {
        return Verdict::Resolver;
    }
    let refusal = match address {
        IpAddr::V4(address) => refuse_v4(address, own),
        IpAddr::V6(address) => refuse_v6(address, own),
    };
    refusal.map_or(Verdict::Allow, Verdict::Refuse)
}

fn refuse_v4(address: Ipv4Addr, own: &[IpAddr]) -> Option<Refusal> {
    let octets = address.octets();
    if own.iter().any(|known| known.to_canonical() == address) {
        return Some(Refusal::HostItself);
    }
    match octets {
        // All of 0/8 and not 0.0.0.0 alone: "this network" means the host on some systems.
        [0, ..] => Some(Refusal::Unspecified),
        [127, ..] => Some(Refusal::Loopback),
        [169, 254, ..] => Some(Refusal::LinkLocal),
        [10, 255, 255, _] => Some(Refusal::SandboxInternal),
        [224..=239, ..] => Some(Refusal::Multicast),
        [255, 255, 255, 255] => Some(Refusal::Broadcast),
        _ if METADATA_V4.contains(&address) => Some(Refusal::Metadata),
        _ => None,
    }
}

fn refuse_v6(address: Ipv6Addr, own: &[IpAddr]) -> Option<Refusal> {
    if own.contains(&IpAddr::V6(address)) {
        return Some(Refusal::HostItself);
    }
    let segments = address.segments();
    match segments {
        [0, 0, 0, 0, 0, 0, 0, 0] => Some(Refusal::Unspecified),
        [0, 0, 0, 0, 0, 0, 0, 1] => Some(Refusal::Loopback),
        // The internal network's own /48, and not only the /126: the rest of it is nobody else's.
        [0xfd00, 0x6c61, 0x6d62, ..] => Some(Refusal::SandboxInternal),
        [first, ..] if first & 0xffc0 == 0xfe80 => Some(Refusal::LinkLocal),
        [first, ..] if first & 0xff00 == 0xff00 => Some(Refusal::Multicast),
        // AWS's own IPv6 metadata, DNS and time services.
        [0xfd00, 0x0ec2, ..] => Some(Refusal::Metadata),
        _ => carried_v4(&segments).and_then(|carried| refuse_v4(carried, own)),
    }
}

/// The IPv4 address that an IPv6 address stands for, when it is of a form that a router or the host's own
/// stack would turn back into it.
fn carried_v4(segments: &[u16; 8]) -> Option<Ipv4Addr> {
    let join = |high: u16, low: u16| Ipv4Addr::from((u32::from(high) << 16) | u32::from(low));
    match *segments {
        // ::ffff:a.b.c.d (mapped), ::a.b.c.d (compatible) and ::ffff:0:a.b.c.d (translated).
        [0, 0, 0, 0, 0, 0 | 0xffff, high, low] | [0, 0, 0, 0, 0xffff, 0, high, low] => Some(join(high, low)),
        // 64:ff9b::/96, and the last 32 bits of any /96 in 64:ff9b:1::/48 (NAT64).
        [0x64, 0xff9b, 0, 0, 0, 0, high, low] | [0x64, 0xff9b, 1, _, _, _, high, low] => {
            Some(join(high, low))
        }
        // 6to4.
        [0x2002, high, low, ..] => Some(join(high, low)),
        // Teredo hides the client's address by inverting it.
        [0x2001, 0, _, _, _, _, high, low] => Some(join(!high, !low)),
        _ => None,
    }
}
