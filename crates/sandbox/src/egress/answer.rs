//! Packets that the NAT itself writes to a sandbox: TCP resets, ICMP errors and UDP datagrams.

use std::net::{IpAddr, SocketAddr};

use super::packet::{
    ACK, FIN, Header, PROTOCOL_ICMP, PROTOCOL_ICMP_V6, PROTOCOL_TCP, PROTOCOL_UDP, RST, SYN, Sum,
    TCP_HEADER_BYTES, Transport, UDP_HEADER_BYTES, V4_HEADER_BYTES, V6_HEADER_BYTES,
};
use super::{GATEWAY_V4, GATEWAY_V6};

/// Bytes of the refused packet that an ICMP error quotes: its headers and a little more.
const QUOTE_BYTES_MAX: usize = 80;
const ICMP_HEADER_BYTES: usize = 8;
const HOPS: u8 = 64;

/// Why a packet could not go on, as ICMP says it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Unreachable {
    Host,
    Port,
    Prohibited,
}

impl Unreachable {
    /// Type and code, for IPv4 (RFC 792, RFC 1812) and IPv6 (RFC 4443).
    fn code(self, v4: bool) -> [u8; 2] {
        match (self, v4) {
            (Unreachable::Host, true) => [3, 1],
            (Unreachable::Port, true) => [3, 3],
            (Unreachable::Prohibited, true) => [3, 13],
            (Unreachable::Host, false) => [1, 3],
            (Unreachable::Port, false) => [1, 4],
            (Unreachable::Prohibited, false) => [1, 1],
        }
    }
}

/// The reset that answers a TCP packet (RFC 9293, 3.10.7.1); `None` for a reset, which is never answered.
pub(super) fn reset(header: &Header) -> Option<Vec<u8>> {
    let Transport::Tcp { flags, sequence, acknowledgment } = header.transport else { return None };
    if flags & RST != 0 {
        return None;
    }
    let (sequence, acknowledgment, flags) = if flags & ACK != 0 {
        (acknowledgment, 0, RST)
    } else {
        let occupied =
            header.payload.len() as u32 + u32::from(flags & SYN != 0) + u32::from(flags & FIN != 0);
        (0, sequence.wrapping_add(occupied), RST | ACK)
    };
    let mut packet = vec![0; ip_header_bytes(header.source) + TCP_HEADER_BYTES];
    let start = packet.len() - TCP_HEADER_BYTES;
    packet[start..start + 2].copy_from_slice(&header.destination.port().to_be_bytes());
    packet[start + 2..start + 4].copy_from_slice(&header.source.port().to_be_bytes());
    packet[start + 4..start + 8].copy_from_slice(&sequence.to_be_bytes());
    packet[start + 8..start + 12].copy_from_slice(&acknowledgment.to_be_bytes());
    packet[start + 12] = (TCP_HEADER_BYTES as u8 / 4) << 4;
    packet[start + 13] = flags;
    seal(&mut packet, header.destination.ip(), header.source.ip(), PROTOCOL_TCP, 16).then_some(packet)
}

/// The ICMP error that answers `original`, quoting it.
pub(super) fn unreachable(original: &[u8], header: &Header, why: Unreachable) -> Option<Vec<u8>> {
    let v4 = header.source.is_ipv4();
    let (gateway, protocol): (IpAddr, u8) =
        if v4 { (GATEWAY_V4.into(), PROTOCOL_ICMP) } else { (GATEWAY_V6.into(), PROTOCOL_ICMP_V6) };
    let start = ip_header_bytes(header.source);
    let mut packet = vec![0; start + ICMP_HEADER_BYTES];
    packet[start..start + 2].copy_from_slice(&why.code(v4));
    packet.extend_from_slice(&original[..original.len().min(QUOTE_BYTES_MAX)]);
    seal(&mut packet, gateway, header.source.ip(), protocol, 2).then_some(packet)
}

/// Room that a datagram's headers need before its payload.
pub(super) fn datagram_header_bytes(end: SocketAddr) -> usize {
    ip_header_bytes(end) + UDP_HEADER_BYTES
}

/// Writes the headers of a datagram into the room that `packet` has before its payload; `false` when the
/// datagram cannot be expressed (too long, or ends of two families).
pub(super) fn seal_datagram(packet: &mut [u8], source: SocketAddr, destination: SocketAddr) -> bool {
    let start = ip_header_bytes(source);
    let Some(Ok(length)) = packet.len().checked_sub(start).map(u16::try_from) else { return false };
    if usize::from(length) < UDP_HEADER_BYTES {
        return false;
    }
    packet[start..start + 2].copy_from_slice(&source.port().to_be_bytes());
    packet[start + 2..start + 4].copy_from_slice(&destination.port().to_be_bytes());
    packet[start + 4..start + 6].copy_from_slice(&length.to_be_bytes());
    packet[start + 6..start + 8].fill(0);
    seal(packet, source.ip(), destination.ip(), PROTOCOL_UDP, 6)
}

fn ip_header_bytes(end: SocketAddr) -> usize {
    if end.is_ipv4() { V4_HEADER_BYTES } else { V6_HEADER_BYTES }
}

/// Writes the IP header, and the checksum of what follows at `checksum_at` in it.
fn seal(packet: &mut [u8], from: IpAddr, to: IpAddr, protocol: u8, checksum_at: usize) -> bool {
    let start = match (from, to) {
        (IpAddr::V4(from), IpAddr::V4(to)) => {
            let Ok(total) = u16::try_from(packet.len()) else { return false };
            packet[..V4_HEADER_BYTES].fill(0);
            packet[0] = 0x45;
            packet[2..4].copy_from_slice(&total.to_be_bytes());
            packet[6] = 0x40; // don't fragment: nothing on this link would
            packet[8] = HOPS;
            packet[9] = protocol;
            packet[12..16].copy_from_slice(&from.octets());
            packet[16..20].copy_from_slice(&to.octets());
            let mut sum = Sum::default();
            sum.add_bytes(&packet[..V4_HEADER_BYTES]);
            packet[10..12].copy_from_slice(&sum.finish().to_be_bytes());
            V4_HEADER_BYTES
        }
        (IpAddr::V6(from), IpAddr::V6(to)) => {
            let Ok(length) = u16::try_from(packet.len() - V6_HEADER_BYTES) else { return false };
            packet[..V6_HEADER_BYTES].fill(0);
            packet[0] = 0x60;
            packet[4..6].copy_from_slice(&length.to_be_bytes());
            packet[6] = protocol;
            packet[7] = HOPS;
            packet[8..24].copy_from_slice(&from.octets());
            packet[24..40].copy_from_slice(&to.octets());
            V6_HEADER_BYTES
        }
        _ => return false,
    };
    let mut sum = Sum::default();
    // ICMP for IPv4 alone has no pseudo-header.
    if protocol != PROTOCOL_ICMP {
        sum.add_address(from);
        sum.add_address(to);
        sum.add_word(u16::from(protocol));
        sum.add_word((packet.len() - start) as u16);
    }
    sum.add_bytes(&packet[start..]);
    // A UDP checksum of zero would mean "none"; its other form is all ones (RFC 768).
    let checksum = match sum.finish() {
        0 if protocol == PROTOCOL_UDP => 0xffff,
        checksum => checksum,
    };
    packet[start + checksum_at..start + checksum_at + 2].copy_from_slice(&checksum.to_be_bytes());
    true
}
