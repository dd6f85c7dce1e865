//! The TUN device and the gate: making them inside a sandbox's network namespace, and using them from outside.

#![allow(unsafe_code)]

use std::io;
use std::mem;
use std::net::{Ipv4Addr, Ipv6Addr};
use std::os::fd::{AsFd, AsRawFd, OwnedFd};

use rustix::net::{AddressFamily, SocketFlags, SocketType, sockopt};
use tokio::io::unix::AsyncFd;

use super::{GATE_BUFFER_BYTES, GATEWAY_V4, SANDBOX_V4, SANDBOX_V6, TCP_FLOWS_MAX, TUN_MTU};

const NAME: &[u8] = b"tun0";
/// Where the gate listens: a port that code without privilege cannot bind, so it is never in a function's way.
const GATE_PORT: u16 = 1;

/// A sandbox's end of its network, held by the node.
#[derive(Debug)]
pub struct Device {
    /// The descriptor of `tun0` (IFF_TUN, IFF_NO_PI).
    pub tun: OwnedFd,
    /// A TCP socket that listens in the sandbox's network namespace, on IPv4 and IPv6 where there is IPv6.
    pub gate: OwnedFd,
}

impl Device {
    /// Makes `tun0` with its addresses and default routes, brings it and the loopback up, and opens the gate,
    /// all in the calling thread's network namespace.
    ///
    /// Needs CAP_NET_ADMIN and CAP_NET_BIND_SERVICE over that namespace, which the creator of its user
    /// namespace has; and /dev/net/tun. Allocates nothing, so it may run between fork and exec. Without IPv6
    /// in the kernel the device is IPv4 only.
    pub fn create() -> io::Result<Device> {
        let tun = open_tun()?;
        let socket = control_socket(AddressFamily::INET)?;
        configure_v4(&socket)?;
        let has_v6 = control_socket(AddressFamily::INET6).and_then(|socket| configure_v6(&socket)).is_ok();
        Ok(Device { tun, gate: open_gate(has_v6)? })
    }

    /// Puts a device together from a `tun0` that was made elsewhere; opens the gate in the calling thread's
    /// network namespace, which must be that device's. With an MTU below [`TUN_MTU`] larger datagrams are lost.
    pub fn with_tun(tun: OwnedFd) -> io::Result<Device> {
        let gate = open_gate(true).or_else(|_| open_gate(false))?;
        Ok(Device { tun, gate })
    }
}

fn open_tun() -> io::Result<OwnedFd> {
    use rustix::fs::{Mode, OFlags};
    let flags = OFlags::RDWR | OFlags::CLOEXEC | OFlags::NONBLOCK;
    let tun = rustix::fs::open(c"/dev/net/tun", flags, Mode::empty())?;
    let mut request = request(NAME);
    request.ifr_ifru.ifru_flags = (libc::IFF_TUN | libc::IFF_NO_PI) as libc::c_short;
    control(&tun, libc::TUNSETIFF, &mut request)?;
    // Else the device would be torn down where its descriptor is closed, one after the other, each under a lock that
    // whoever makes a namespace waits for. So it goes with its namespace, and the kernel takes many of those at a time.
    control(&tun, libc::TUNSETPERSIST, &mut request)?;
    Ok(tun)
}

fn configure_v4(socket: &OwnedFd) -> io::Result<()> {
    let mut tun = request(NAME);
    tun.ifr_ifru.ifru_mtu = TUN_MTU as libc::c_int;
    control(socket, libc::SIOCSIFMTU, &mut tun)?;
    tun.ifr_ifru.ifru_addr = sockaddr_v4(SANDBOX_V4);
    control(socket, libc::SIOCSIFADDR, &mut tun)?;
    tun.ifr_ifru.ifru_netmask = sockaddr_v4(Ipv4Addr::new(255, 255, 255, 252));
    control(socket, libc::SIOCSIFNETMASK, &mut tun)?;
    for name in [b"lo".as_slice(), NAME] {
        let mut up = request(name);
        up.ifr_ifru.ifru_flags = (libc::IFF_UP | libc::IFF_RUNNING) as libc::c_short;
        control(socket, libc::SIOCSIFFLAGS, &mut up)?;
    }
    // SAFETY: all zeroes is a valid rtentry (integers, addresses and null pointers).
    let mut route: libc::rtentry = unsafe { mem::zeroed() };
    route.rt_dst = sockaddr_v4(Ipv4Addr::UNSPECIFIED);
    route.rt_genmask = sockaddr_v4(Ipv4Addr::UNSPECIFIED);
    route.rt_gateway = sockaddr_v4(GATEWAY_V4);
    route.rt_flags = libc::RTF_UP | libc::RTF_GATEWAY;
    control(socket, libc::SIOCADDRT, &mut route)
}

/// `struct in6_ifreq` of linux/ipv6.h, which the C library does not declare.
#[repr(C)]
struct AddressV6 {
    address: libc::in6_addr,
    prefix_bits: u32,
    interface: libc::c_int,
}

/// `struct in6_rtmsg` of linux/ipv6_route.h, whose fields the `libc` crate keeps to itself.
#[repr(C)]
struct RouteV6 {
    destination: libc::in6_addr,
    source: libc::in6_addr,
    gateway: libc::in6_addr,
    kind: u32,
    destination_bits: u16,
    source_bits: u16,
    metric: u32,
    info: libc::c_ulong,
    flags: u32,
    interface: libc::c_int,
}

fn configure_v6(socket: &OwnedFd) -> io::Result<()> {
    let mut index = request(NAME);
    control(socket, libc::SIOCGIFINDEX, &mut index)?;
    // SAFETY: SIOCGIFINDEX has written this member.
    let interface = unsafe { index.ifr_ifru.ifru_ifindex };
    let address = libc::in6_addr { s6_addr: SANDBOX_V6.octets() };
    let mut own = AddressV6 { address, prefix_bits: 126, interface };
    control(socket, libc::SIOCSIFADDR, &mut own)?;
    let none = libc::in6_addr { s6_addr: [0; 16] };
    let mut route = RouteV6 {
        destination: none,
        source: none,
        gateway: none,
        kind: 0,
        destination_bits: 0,
        source_bits: 0,
        metric: 1,
        info: 0,
        flags: u32::from(libc::RTF_UP),
        interface,
    };
    control(socket, libc::SIOCADDRT, &mut route)?;
    await_address_v6()
}

/// Waits until the kernel calls the IPv6 address usable, which it does from a work queue a moment after it was
/// added. A connection opened before would take another source address, and keep it.
fn await_address_v6() -> io::Result<()> {
    const TRIES: u32 = 500;
    let own = std::net::SocketAddrV6::new(SANDBOX_V6, 0, 0, 0);
    for _ in 0..TRIES {
        let probe = control_socket(AddressFamily::INET6)?;
        // An address that is not usable yet cannot be bound either.
        if rustix::net::bind(&probe, &own).is_ok() {
            return Ok(());
        }
        std::thread::sleep(std::time::Duration::from_millis(1));
    }
    Err(io::ErrorKind::AddrNotAvailable.into())
}

fn open_gate(has_v6: bool) -> io::Result<OwnedFd> {
    use std::net::{SocketAddrV4, SocketAddrV6};
    let family = if has_v6 { AddressFamily::INET6 } else { AddressFamily::INET };
    let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
    let gate = rustix::net::socket_with(family, SocketType::STREAM, flags, None)?;
    // Accepted sockets inherit both, which bounds what a flow holds in the kernel.
    sockopt::set_socket_send_buffer_size(&gate, GATE_BUFFER_BYTES as usize)?;
    sockopt::set_socket_recv_buffer_size(&gate, GATE_BUFFER_BYTES as usize)?;
    if has_v6 {
        sockopt::set_ipv6_v6only(&gate, false)?;
        rustix::net::bind(&gate, &SocketAddrV6::new(Ipv6Addr::UNSPECIFIED, GATE_PORT, 0, 0))?;
    } else {
        rustix::net::bind(&gate, &SocketAddrV4::new(Ipv4Addr::UNSPECIFIED, GATE_PORT))?;
    }
    rustix::net::listen(&gate, TCP_FLOWS_MAX as i32)?;
    Ok(gate)
}

fn control_socket(family: AddressFamily) -> io::Result<OwnedFd> {
    Ok(rustix::net::socket_with(family, SocketType::DGRAM, SocketFlags::CLOEXEC, None)?)
}

fn request(name: &[u8]) -> libc::ifreq {
    // SAFETY: all zeroes is a valid ifreq: a name of zeroes and a union of plain data.
    let mut request: libc::ifreq = unsafe { mem::zeroed() };
    // One byte less than the field, so that the name stays terminated.
    for (to, from) in request.ifr_name.iter_mut().take(libc::IFNAMSIZ - 1).zip(name) {
        *to = *from as libc::c_char;
    }
    request
}

fn sockaddr_v4(address: Ipv4Addr) -> libc::sockaddr {
    // SAFETY: all zeroes is a valid sockaddr_in.
    let mut v4: libc::sockaddr_in = unsafe { mem::zeroed() };
    v4.sin_family = libc::AF_INET as libc::sa_family_t;
    v4.sin_addr.s_addr = u32::from(address).to_be();
    // SAFETY: sockaddr and sockaddr_in are plain data of the same size.
    unsafe { mem::transmute::<libc::sockaddr_in, libc::sockaddr>(v4) }
}

/// An ioctl whose argument is a structure that the kernel reads and may write.
fn control<T>(descriptor: &OwnedFd, request: libc::Ioctl, argument: &mut T) -> io::Result<()> {
    // SAFETY: every call in this file passes the structure that its request is defined for, or one that is not looked
    // at where a request asks for yes (not null) or no, and `argument` is valid for reads and writes for the time of
    // the call.
    let result = unsafe { libc::ioctl(descriptor.as_raw_fd(), request, std::ptr::from_mut(argument)) };
    if result < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
}

/// The TUN descriptor, ready to be waited for.
pub(super) struct Tun {
    descriptor: AsyncFd<OwnedFd>,
}

impl Tun {
    pub(super) fn new(descriptor: OwnedFd) -> io::Result<Tun> {
        rustix::io::ioctl_fionbio(&descriptor, true)?;
        // SAFETY: the AsyncFd owns this descriptor until it is dropped, and an OwnedFd never changes its number.
        let descriptor =
            unsafe { AsyncFd::register_with_interest(descriptor, tokio::io::Interest::READABLE) }?;
        Ok(Tun { descriptor })
    }

    /// Waits until packets can be read.
    pub(super) async fn readable(&self) -> io::Result<()> {
        // Readiness is cleared by `receive`, when it finds nothing.
        self.descriptor.readable().await?.retain_ready();
        Ok(())
    }

    /// Reads one packet into `packet`; `WouldBlock` when there is none.
    pub(super) fn receive(&self, packet: &mut Vec<u8>) -> io::Result<()> {
        packet.clear();
        self.descriptor.try_io(tokio::io::Interest::READABLE, |descriptor| {
            rustix::io::read(descriptor.as_fd(), rustix::buffer::spare_capacity(packet))?;
            Ok(())
        })
    }

    /// Gives one packet to the sandbox's kernel. What it does not take (the device is down, or the packet is
    /// malformed) is lost, as on any link.
    pub(super) fn send(&self, packet: &[u8]) {
        if let Err(error) = rustix::io::write(self.descriptor.get_ref(), packet) {
            tracing::debug!(%error, "a packet for a sandbox was dropped");
        }
    }
}

/// Takes the gate over as Tokio's listener.
pub(super) fn listener(gate: OwnedFd) -> io::Result<tokio::net::TcpListener> {
    let gate = std::net::TcpListener::from(gate);
    gate.set_nonblocking(true)?;
    tokio::net::TcpListener::from_std(gate)
}
