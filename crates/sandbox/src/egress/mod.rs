//! Network access for functions whose egress policy is `internet`: a user-space NAT on a TUN device.
//!
//! The sandbox's own network namespace holds `tun0`, a default route through it, and one listening socket
//! (the *gate*) that the node keeps. Every packet that leaves the sandbox is read here. A new TCP flow is
//! judged by [`Policy`], connected from the host's own stack, and only then answered: its packets are
//! re-addressed so that the sandbox's kernel ends the flow at the gate, and the node copies bytes between
//! the gate's socket and its own. So both halves are ordinary kernel sockets: retransmission, windows,
//! half-close and backpressure are the kernel's, and no payload ever waits in an unbounded queue. UDP is
//! re-sent datagram by datagram from one connected socket a flow.
//!
//! It is not a firewall of the host: it needs no rules, no forwarding and no privilege there, and leaves
//! nothing behind when its descriptors close. It is not a bridge: ICMP, raw IP, fragments and inbound
//! connections do not pass. What the host's own policy lets the node reach, private networks included,
//! a function with `internet` reaches too, because the owner's databases live there.
//!
//! Invariants:
//! - No packet is forwarded as it is: the host sends only what its own sockets send, to addresses that
//!   [`Policy::decide`] allowed; whatever a sandbox forges can only reach flows it could have opened.
//! - An address of the host itself is never reached, save its resolvers, and those by port 53 only.
//! - A flow that the remote refuses is refused to the function; a connection is not accepted first and
//!   broken later.
//! - Memory is bounded: flows are counted, a relay holds a buffer only while bytes are moving, and
//!   everything else waits in kernel socket buffers. A frozen sandbox costs what it cost when it froze.
//!
//! Start at [`serve`], then `pump.rs` (what happens to a packet) and `policy.rs` (what is allowed).

use std::net::{Ipv4Addr, Ipv6Addr};
use std::sync::Arc;
use std::time::Duration;

mod answer;
mod device;
mod dns;
mod flows;
mod host;
mod packet;
mod policy;
mod pump;
mod tcp;
mod udp;
mod warnings;

#[cfg(test)]
mod tests;

pub use device::Device;
pub use policy::{Policy, Refusal, Verdict};

/// The sandbox's own address on `tun0`, a /30.
pub const SANDBOX_V4: Ipv4Addr = Ipv4Addr::new(10, 255, 255, 2);
/// The address that answers DNS and that the sandbox sees as its router.
pub const GATEWAY_V4: Ipv4Addr = Ipv4Addr::new(10, 255, 255, 1);
/// The sandbox's own IPv6 address on `tun0`, a /126.
pub const SANDBOX_V6: Ipv6Addr = Ipv6Addr::new(0xfd00, 0x6c61, 0x6d62, 0, 0, 0, 0, 2);
/// The IPv6 address that answers DNS.
pub const GATEWAY_V6: Ipv6Addr = Ipv6Addr::new(0xfd00, 0x6c61, 0x6d62, 0, 0, 0, 0, 1);

/// TCP flows one sandbox may hold at once, being opened or open. Half of the reference's 1,024 file
/// descriptors for an environment: a function cannot reach it by mistake and still open files.
pub const TCP_FLOWS_MAX: usize = 512;
/// TCP flows that have ended but whose last packets may still travel.
pub const TCP_LINGERING_MAX: usize = 2_048;
/// UDP flows (one source port to one destination) one sandbox may hold at once.
pub const UDP_FLOWS_MAX: usize = 256;
/// DNS questions one sandbox may have in flight; more are dropped, and its resolver asks again.
pub const DNS_QUERIES_MAX: usize = 64;
/// How long the host may take to connect to a remote.
pub const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// How long the sandbox's kernel may take to finish the handshake after the remote has accepted.
pub const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(10);
/// A TCP flow without a byte in either direction for this long is reset.
pub const TCP_IDLE_TIMEOUT: Duration = Duration::from_secs(15 * 60);
/// The same once one side has closed. Longer than Linux keeps an orphan half open (60 s).
pub const TCP_HALF_CLOSED_TIMEOUT: Duration = Duration::from_secs(5 * 60);
/// How long an ended flow's translation stays after its last packet, for FINs that are sent again.
pub const TCP_LINGER: Duration = Duration::from_secs(60);
/// A UDP flow without a datagram in either direction for this long is forgotten.
pub const UDP_IDLE_TIMEOUT: Duration = Duration::from_secs(60);
/// How long one resolver may take before the next is asked: resolv.conf's own default.
pub const DNS_TIMEOUT: Duration = Duration::from_secs(5);
/// Resolvers asked for one question.
pub const DNS_SERVERS_MAX: usize = 2;
/// What a relay reads at once, and so the most that it holds for each direction.
pub const RELAY_BUFFER_BYTES: usize = 32 * 1024;
/// Kernel buffer asked for on the gate's sockets, each direction; what a frozen sandbox's flow can hold.
pub const GATE_BUFFER_BYTES: u32 = 256 * 1024;
/// MTU of `tun0`. No wire lies behind it, so it is as large as an IPv4 packet can be: fewer system calls
/// a byte, and no datagram is ever cut into fragments.
pub const TUN_MTU: u32 = 65_535;
/// How often the host's addresses and resolvers are read again.
pub const HOST_REFRESH: Duration = Duration::from_secs(10);
/// At most one warning of a kind in this time for each sandbox.
pub const WARNING_INTERVAL: Duration = Duration::from_secs(60);

/// Serves a sandbox's network until its TUN device goes away.
///
/// Must be called inside a Tokio runtime; remote connections are opened in the network namespace of that
/// runtime's threads. Aborting the returned task closes every flow, the device and the gate at once. The
/// descriptors keep the sandbox's network namespace alive, so the task must be aborted when the sandbox ends.
pub fn serve(device: Device, policy: Arc<Policy>) -> tokio::task::JoinHandle<()> {
    tokio::spawn(async move {
        if let Err(error) = pump::run(device, policy).await {
            tracing::warn!(%error, "a sandbox lost its network");
        }
    })
}
