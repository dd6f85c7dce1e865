//! The process that makes network namespaces, one after the other as they are ordered.

use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};

use rustix::thread::UnshareFlags;
use serde::{Deserialize, Serialize};

use super::{Room, listen, own_namespace};
use crate::addresses::{RUNTIME_API, SERVICES};
use crate::egress;
use crate::kernel::{self, Forked};
use crate::protocol::{Doing, Failure};
use crate::socket;

/// What a namespace has besides its loopback interface.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Kind {
    Plain,
    /// A network device that the node serves.
    WithDevice,
}

pub enum Made {
    Room { kind: Kind, room: Room },
    Failed { kind: Kind, failure: Failure },
}

#[derive(Serialize, Deserialize)]
struct Answer {
    kind: Kind,
    failure: Option<Failure>,
}

/// The spawner's end.
pub struct Maker {
    socket: OwnedFd,
}

impl Maker {
    pub fn start() -> Result<Self, Failure> {
        let (socket, theirs) = socket::pair().doing("make a socket")?;
        match kernel::fork().doing("start the maker of network namespaces")? {
            Forked::Parent(_) => Ok(Self { socket }),
            Forked::Child => {
                drop(socket);
                let code = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| work(theirs)));
                std::process::exit(code.unwrap_or(101))
            }
        }
    }

    pub fn events(&self) -> &OwnedFd {
        &self.socket
    }

    pub fn order(&self, kind: Kind) -> io::Result<()> {
        socket::send(&self.socket, &kind, &[])
    }

    /// Waits for the next answer.
    pub fn take(&self) -> io::Result<Made> {
        let gone = || io::Error::new(io::ErrorKind::BrokenPipe, "the maker of network namespaces has ended");
        let packet = socket::receive(&self.socket)?.ok_or_else(gone)?;
        let Answer { kind, failure } = packet.message()?;
        if let Some(failure) = failure {
            return Ok(Made::Failed { kind, failure });
        }
        let mut descriptors = packet.descriptors.into_iter();
        let mut next = || descriptors.next().ok_or_else(gone);
        let (namespace, runtime_api, services) = (next()?, next()?, next()?);
        let device = if kind == Kind::WithDevice { Some((next()?, next()?)) } else { None };
        Ok(Made::Room { kind, room: Room { namespace, runtime_api, services, device } })
    }
}

/// Serves orders until the spawner is gone.
fn work(socket: OwnedFd) -> i32 {
    let _ = rustix::thread::set_name(c"lambent-net");
    // Nothing of the spawner's is needed, and its control socket must close with it.
    let kept = socket.as_raw_fd() as u32;
    if kept > 3 {
        let _ = kernel::close_range(3, kept - 1);
    }
    let _ = kernel::close_range(kept + 1, u32::MAX);
    while let Ok(Some(packet)) = socket::receive(&socket) {
        let Ok(kind) = packet.message::<Kind>() else { return 1 };
        let sent = match make(kind) {
            Ok(room) => {
                let answer = Answer { kind, failure: None };
                let mut descriptors: Vec<BorrowedFd<'_>> =
                    [&room.namespace, &room.runtime_api, &room.services].map(AsFd::as_fd).to_vec();
                if let Some((tun, gate)) = &room.device {
                    descriptors.extend([tun.as_fd(), gate.as_fd()]);
                }
                socket::send(&socket, &answer, &descriptors)
            }
            Err(failure) => socket::send(&socket, &Answer { kind, failure: Some(failure) }, &[]),
        };
        if sent.is_err() {
            return 0;
        }
    }
    0
}

/// Moves into a new namespace and furnishes it. Where this process stands in between doesn't matter.
fn make(kind: Kind) -> Result<Room, Failure> {
    kernel::unshare(UnshareFlags::NEWNET).doing("make a network namespace")?;
    kernel::bring_up("lo").doing("bring the loopback interface up")?;
    let device = match kind {
        Kind::Plain => None,
        Kind::WithDevice => {
            let device = egress::Device::create().doing("make a network device (/dev/net/tun)")?;
            Some((device.tun, device.gate))
        }
    };
    let (runtime_api, services) = (listen(RUNTIME_API)?, listen(SERVICES)?);
    let namespace = own_namespace().doing("open a network namespace")?;
    Ok(Room { namespace, runtime_api, services, device })
}
