//! What the host says about itself: its addresses, its resolvers, and whether a route leads back to it.

#![allow(unsafe_code)]

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};

/// resolv.conf names at most three servers (MAXNS of the C library).
const RESOLVERS_MAX: usize = 3;

/// Addresses of all interfaces in the calling thread's network namespace.
pub(super) fn addresses() -> Vec<IpAddr> {
    let mut list: *mut libc::ifaddrs = std::ptr::null_mut();
    // SAFETY: `list` is a valid place for one pointer; it is only read after success.
    if unsafe { libc::getifaddrs(&mut list) } != 0 {
        let error = std::io::Error::last_os_error();
        tracing::warn!(%error, "the host's addresses cannot be read; only the route check protects them");
        return Vec::new();
    }
    let mut found = Vec::new();
    let mut next = list;
    // SAFETY: `next` walks the list that getifaddrs made, which stays until freeifaddrs below.
    while let Some(entry) = unsafe { next.as_ref() } {
        // SAFETY: `ifa_addr` is null or points at a socket address of the family that it names.
        found.extend(unsafe { address_of(entry.ifa_addr) });
        next = entry.ifa_next;
    }
    // SAFETY: `list` came from getifaddrs and is freed once.
    unsafe { libc::freeifaddrs(list) };
    found.sort_unstable();
    found.dedup();
    found
}

/// # Safety
/// `address` is null or points at a socket address as long as its family asks.
unsafe fn address_of(address: *const libc::sockaddr) -> Option<IpAddr> {
    // SAFETY: by the caller's promise.
    let family = unsafe { address.as_ref() }?.sa_family;
    match i32::from(family) {
        libc::AF_INET => {
            // SAFETY: the family says that this is a sockaddr_in; it may be unaligned for it.
            let v4 = unsafe { address.cast::<libc::sockaddr_in>().read_unaligned() };
            Some(IpAddr::V4(Ipv4Addr::from(u32::from_be(v4.sin_addr.s_addr))))
        }
        libc::AF_INET6 => {
            // SAFETY: the family says that this is a sockaddr_in6; it may be unaligned for it.
            let v6 = unsafe { address.cast::<libc::sockaddr_in6>().read_unaligned() };
            Some(IpAddr::V6(Ipv6Addr::from(v6.sin6_addr.s6_addr)))
        }
        _ => None,
    }
}

/// The resolvers of /etc/resolv.conf.
pub(super) fn resolvers() -> Vec<SocketAddr> {
    parse_resolvers(&std::fs::read_to_string("/etc/resolv.conf").unwrap_or_default())
}

/// Reads the `nameserver` lines. A file without one means the local machine, as in the C library. Servers
/// with a scope (`fe80::1%eth0`) are left out.
pub(super) fn parse_resolvers(text: &str) -> Vec<SocketAddr> {
    let mut servers: Vec<SocketAddr> = text
        .lines()
        .filter_map(|line| {
            let mut words = line.split_whitespace();
            (words.next() == Some("nameserver")).then(|| words.next()).flatten()
        })
        .filter_map(|word| word.parse::<IpAddr>().ok())
        .map(|address| SocketAddr::new(address, 53))
        .take(RESOLVERS_MAX)
        .collect();
    if servers.is_empty() {
        servers.push(SocketAddr::from((Ipv4Addr::LOCALHOST, 53)));
    }
    servers
}

/// Whether the kernel would deliver `destination` to this very host.
///
/// Sees what a list of interface addresses does not: an address added a moment ago, and whole networks that
/// a local route claims. Linux then takes the destination as the source too, or the loopback where that is
/// the route's preferred source. Sends no packet.
pub(super) fn routes_to_itself(destination: SocketAddr) -> bool {
    let any: IpAddr = match destination {
        SocketAddr::V4(_) => Ipv4Addr::UNSPECIFIED.into(),
        SocketAddr::V6(_) => Ipv6Addr::UNSPECIFIED.into(),
    };
    let Ok(socket) = UdpSocket::bind((any, 0)) else { return false };
    socket.connect(destination).is_ok() && is_itself(&socket, destination)
}

/// The same for a socket that is connected already.
pub(super) fn is_itself(connected: &UdpSocket, destination: SocketAddr) -> bool {
    connected.local_addr().is_ok_and(|local| {
        let source = local.ip().to_canonical();
        source.is_loopback() || source == destination.ip().to_canonical()
    })
}
