//! Reading and re-addressing IP packets: IPv4 and IPv6 with TCP or UDP inside.
//!
//! Nothing here trusts its input: a packet that is cut short, fragmented or carries extension headers is not
//! understood, and what is not understood is dropped by the caller.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::ops::Range;

pub(super) const FIN: u8 = 0x01;
pub(super) const SYN: u8 = 0x02;
pub(super) const RST: u8 = 0x04;
pub(super) const ACK: u8 = 0x10;

pub(super) const V4_HEADER_BYTES: usize = 20;
pub(super) const V6_HEADER_BYTES: usize = 40;
pub(super) const TCP_HEADER_BYTES: usize = 20;
pub(super) const UDP_HEADER_BYTES: usize = 8;

pub(super) const PROTOCOL_ICMP: u8 = 1;
pub(super) const PROTOCOL_TCP: u8 = 6;
pub(super) const PROTOCOL_UDP: u8 = 17;
pub(super) const PROTOCOL_ICMP_V6: u8 = 58;

/// What a packet says in its headers; offsets count from the start of the packet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Header {
    pub source: SocketAddr,
    pub destination: SocketAddr,
    pub transport: Transport,
    /// Where the TCP or UDP header begins.
    pub transport_start: usize,
    /// The bytes after the TCP or UDP header.
    pub payload: Range<usize>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Transport {
    Tcp { flags: u8, sequence: u32, acknowledgment: u32 },
    Udp,
}

/// Reads a packet's headers; `None` when it is not whole TCP or UDP over IP.
pub(super) fn parse(packet: &[u8]) -> Option<Header> {
    let (source, destination, protocol, start, end) = match packet.first()? >> 4 {
        4 => parse_v4(packet)?,
        6 => parse_v6(packet)?,
        _ => return None,
    };
    let segment = packet.get(start..end)?;
    let ports = (be16(segment, 0)?, be16(segment, 2)?);
    let (transport, payload) = match protocol {
        PROTOCOL_TCP => {
            let header_bytes = usize::from(*segment.get(12)? >> 4) * 4;
            if header_bytes < TCP_HEADER_BYTES || header_bytes > segment.len() {
                return None;
            }
            let transport = Transport::Tcp {
                flags: *segment.get(13)?,
                sequence: be32(segment, 4)?,
                acknowledgment: be32(segment, 8)?,
            };
            (transport, start + header_bytes..end)
        }
        PROTOCOL_UDP => {
            let length = usize::from(be16(segment, 4)?);
            if length < UDP_HEADER_BYTES || length > segment.len() {
                return None;
            }
            (Transport::Udp, start + UDP_HEADER_BYTES..start + length)
        }
        _ => return None,
    };
    Some(Header {
        source: SocketAddr::new(source, ports.0),
        destination: SocketAddr::new(destination, ports.1),
        transport,
        transport_start: start,
        payload,
    })
}

type Outer = (IpAddr, IpAddr, u8, usize, usize);

fn parse_v4(packet: &[u8]) -> Option<Outer> {
    let header_bytes = usize::from(packet.first()? & 0x0f) * 4;
    let total = usize::from(be16(packet, 2)?);
    let fragment = be16(packet, 6)?;
    // More-fragments flag or an offset: only whole datagrams are understood.
    if header_bytes < V4_HEADER_BYTES || total < header_bytes || fragment & 0x3fff != 0 {
        return None;
    }
    let source = Ipv4Addr::from(be32(packet, 12)?);
    let destination = Ipv4Addr::from(be32(packet, 16)?);
    Some((source.into(), destination.into(), *packet.get(9)?, header_bytes, total))
}

fn parse_v6(packet: &[u8]) -> Option<Outer> {
    let source: [u8; 16] = packet.get(8..24)?.try_into().ok()?;
    let destination: [u8; 16] = packet.get(24..40)?.try_into().ok()?;
    let end = V6_HEADER_BYTES + usize::from(be16(packet, 4)?);
    let (source, destination) = (Ipv6Addr::from(source), Ipv6Addr::from(destination));
    Some((source.into(), destination.into(), *packet.get(6)?, V6_HEADER_BYTES, end))
}

/// Gives a TCP packet new ends and mends its checksums by the difference (RFC 1624), payload untouched.
/// Does nothing and says `false` when the new ends are not of the packet's own family.
pub(super) fn readdress(
    packet: &mut [u8],
    header: &Header,
    source: SocketAddr,
    destination: SocketAddr,
) -> bool {
    let mut old = Sum::default();
    old.add_ends(header.source, header.destination);
    let mut new = Sum::default();
    new.add_ends(source, destination);
    match (header.source.ip(), source.ip(), destination.ip()) {
        (IpAddr::V4(_), IpAddr::V4(from), IpAddr::V4(to)) => {
            let mut old_outer = Sum::default();
            old_outer.add_address(header.source.ip());
            old_outer.add_address(header.destination.ip());
            let mut new_outer = Sum::default();
            new_outer.add_address(source.ip());
            new_outer.add_address(destination.ip());
            mend(&mut packet[10..12], old_outer, new_outer);
            packet[12..16].copy_from_slice(&from.octets());
            packet[16..20].copy_from_slice(&to.octets());
        }
        (IpAddr::V6(_), IpAddr::V6(from), IpAddr::V6(to)) => {
            packet[8..24].copy_from_slice(&from.octets());
            packet[24..40].copy_from_slice(&to.octets());
        }
        _ => return false,
    }
    let start = header.transport_start;
    packet[start..start + 2].copy_from_slice(&source.port().to_be_bytes());
    packet[start + 2..start + 4].copy_from_slice(&destination.port().to_be_bytes());
    mend(&mut packet[start + 16..start + 18], old, new);
    true
}

fn mend(checksum: &mut [u8], old: Sum, new: Sum) {
    let stored = u16::from_be_bytes([checksum[0], checksum[1]]);
    let mut sum = new;
    sum.add_word(!stored);
    sum.add_word(!old.fold());
    checksum.copy_from_slice(&sum.finish().to_be_bytes());
}

/// The ones' complement sum of the Internet protocols.
#[derive(Debug, Default, Clone, Copy)]
pub(super) struct Sum(u64);

impl Sum {
    pub(super) fn add_word(&mut self, word: u16) {
        self.0 += u64::from(word);
    }

    /// Adds bytes; only the last piece of a sum may be of odd length.
    pub(super) fn add_bytes(&mut self, bytes: &[u8]) {
        let mut pairs = bytes.chunks_exact(2);
        for pair in &mut pairs {
            self.add_word(u16::from_be_bytes([pair[0], pair[1]]));
        }
        if let [last] = pairs.remainder() {
            self.add_word(u16::from_be_bytes([*last, 0]));
        }
    }

    pub(super) fn add_address(&mut self, address: IpAddr) {
        match address {
            IpAddr::V4(address) => self.add_bytes(&address.octets()),
            IpAddr::V6(address) => self.add_bytes(&address.octets()),
        }
    }

    fn add_ends(&mut self, source: SocketAddr, destination: SocketAddr) {
        self.add_address(source.ip());
        self.add_address(destination.ip());
        self.add_word(source.port());
        self.add_word(destination.port());
    }

    fn fold(self) -> u16 {
        let mut sum = self.0;
        while sum > 0xffff {
            sum = (sum >> 16) + (sum & 0xffff);
        }
        sum as u16
    }

    /// The checksum to store.
    pub(super) fn finish(self) -> u16 {
        !self.fold()
    }
}

fn be16(bytes: &[u8], at: usize) -> Option<u16> {
    Some(u16::from_be_bytes(bytes.get(at..at + 2)?.try_into().ok()?))
}

fn be32(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_be_bytes(bytes.get(at..at + 4)?.try_into().ok()?))
}
