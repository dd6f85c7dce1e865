//! The addresses inside every sandbox.

use std::net::{Ipv4Addr, SocketAddr, SocketAddrV4};

/// Where the Runtime API answers: the reference's own address.
pub const RUNTIME_API: SocketAddr = SocketAddr::V4(SocketAddrV4::new(Ipv4Addr::LOCALHOST, 9001));

/// Where the node's AWS endpoint answers.
pub const SERVICES: SocketAddr = SocketAddr::V4(SocketAddrV4::new(Ipv4Addr::LOCALHOST, 4566));
