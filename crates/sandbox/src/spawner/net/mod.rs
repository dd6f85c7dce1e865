//! Network namespaces, made before they are needed and by a process of their own ([`maker`]): making one takes half a
//! millisecond at best, and tens of them while the kernel is busy with removing others. Entering one costs next to
//! nothing.
//!
//! A namespace belongs to the spawner's user namespace and not to the sandbox's, so that nothing inside may configure
//! it, not even the sandbox's first process. None is used twice.

mod maker;

use std::io;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::os::fd::{AsFd, OwnedFd};

use lambent_core::function::Egress;
use rustix::fs::{Mode, OFlags};
use rustix::thread::{LinkNameSpaceType, UnshareFlags};

use crate::config::Isolation;
use crate::kernel;
use crate::protocol::{Doing, Failure, Room as Described};
use maker::{Kind, Made, Maker};

/// How many namespaces of each kind are kept ready.
const STOCK: usize = 3;

/// A namespace with what the node holds of it.
struct Room {
    namespace: OwnedFd,
    runtime_api: OwnedFd,
    services: OwnedFd,
    /// The network device's descriptor and the gate; see the egress module.
    device: Option<(OwnedFd, OwnedFd)>,
}

/// What the node gets of a sandbox's network.
pub struct Doors {
    runtime_api: OwnedFd,
    services: Option<OwnedFd>,
    device: Option<(OwnedFd, OwnedFd)>,
}

impl Doors {
    pub fn described(&self) -> Described {
        Described { services: self.services.is_some(), device: self.device.is_some() }
    }

    pub fn descriptors(&self) -> impl Iterator<Item = &OwnedFd> {
        let device = self.device.iter().flat_map(|(tun, gate)| [tun, gate]);
        std::iter::once(&self.runtime_api).chain(&self.services).chain(device)
    }
}

/// One kind's stock.
#[derive(Default)]
struct Shelf {
    rooms: Vec<Room>,
    ordered: usize,
}

pub struct Rooms {
    /// Absent where sandboxes share the host's network.
    namespaces: Option<Namespaces>,
    no_device: Option<String>,
}

struct Namespaces {
    home: OwnedFd,
    maker: Maker,
    plain: Shelf,
    with_device: Shelf,
}

impl Rooms {
    pub fn new(isolation: Isolation) -> Result<Self, Failure> {
        if isolation == Isolation::Process {
            let no_device = Some("processes use the host's network".to_owned());
            return Ok(Self { namespaces: None, no_device });
        }
        // A namespace can only be entered by its owner. An ordinary user doesn't own the host's, and so could never
        // come back to it; and the spawner needs no network.
        kernel::unshare(UnshareFlags::NEWNET).doing("make a network namespace")?;
        let home = own_namespace().doing("open the network namespace")?;
        let maker = Maker::start()?;
        let (plain, with_device) = (Shelf::default(), Shelf::default());
        let namespaces = Namespaces { home, maker, plain, with_device };
        let mut rooms = Self { namespaces: Some(namespaces), no_device: None };
        rooms.try_out()?;
        Ok(rooms)
    }

    /// Makes one of each kind: the first must succeed, the second tells whether there is internet egress.
    fn try_out(&mut self) -> Result<(), Failure> {
        let Some(namespaces) = &mut self.namespaces else { return Ok(()) };
        for kind in [Kind::Plain, Kind::WithDevice] {
            namespaces.order(kind).doing("ask for a network namespace")?;
            match (namespaces.maker.take().doing("get a network namespace")?, kind) {
                (Made::Room { room, .. }, _) => namespaces.put(kind, room),
                (Made::Failed { failure, .. }, Kind::Plain) => return Err(failure),
                (Made::Failed { failure, .. }, Kind::WithDevice) => {
                    self.no_device = Some(format!("{}: {}", failure.what, failure.detail));
                }
            }
        }
        Ok(())
    }

    /// Why there is no internet egress, if there is none.
    pub fn no_device(&self) -> Option<String> {
        self.no_device.clone()
    }

    /// Tells when [`Rooms::collect`] has something to do.
    pub fn events(&self) -> Option<&OwnedFd> {
        self.namespaces.as_ref().map(|namespaces| namespaces.maker.events())
    }

    /// Takes a namespace in that was made. An error is why it was not.
    pub fn collect(&mut self) -> io::Result<Result<(), Failure>> {
        let Some(namespaces) = &mut self.namespaces else { return Ok(Ok(())) };
        Ok(match namespaces.maker.take()? {
            Made::Room { kind, room } => {
                namespaces.put(kind, room);
                Ok(())
            }
            Made::Failed { kind, failure } => {
                let shelf = namespaces.shelf(kind);
                shelf.ordered = shelf.ordered.saturating_sub(1);
                Err(failure)
            }
        })
    }

    /// Orders what the stock lacks, and what `waiting` sandboxes wait for.
    pub fn restock(&mut self, waiting: impl Iterator<Item = Egress>) -> io::Result<()> {
        let no_device = self.no_device.is_some();
        let mut wanted = [STOCK, if no_device { 0 } else { STOCK }];
        for egress in waiting {
            wanted[kind_for(egress, no_device) as usize] += 1;
        }
        let Some(namespaces) = &mut self.namespaces else { return Ok(()) };
        for kind in [Kind::Plain, Kind::WithDevice] {
            let shelf = namespaces.shelf(kind);
            let missing = wanted[kind as usize].saturating_sub(shelf.rooms.len() + shelf.ordered);
            for _ in 0..missing {
                namespaces.order(kind)?;
            }
        }
        Ok(())
    }

    pub fn is_ready(&self, egress: Egress) -> bool {
        let Some(namespaces) = &self.namespaces else { return true };
        let shelf = match kind_for(egress, self.no_device.is_some()) {
            Kind::Plain => &namespaces.plain,
            Kind::WithDevice => &namespaces.with_device,
        };
        !shelf.rooms.is_empty()
    }

    /// Runs `work` in a fresh network namespace; a process that it makes stays there.
    pub fn with_room<T>(
        &mut self,
        egress: Egress,
        work: impl FnOnce() -> Result<T, Failure>,
    ) -> Result<(T, Doors), Failure> {
        let kind = kind_for(egress, self.no_device.is_some());
        let Some(namespaces) = &mut self.namespaces else {
            let (runtime_api, services) = (listen(loopback(0))?, listen(loopback(0))?);
            let services = (egress != Egress::None).then_some(services);
            return Ok((work()?, Doors { runtime_api, services, device: None }));
        };
        let nothing =
            || Failure::new("find a network namespace", &io::Error::from_raw_os_error(libc::EAGAIN));
        let room = namespaces.shelf(kind).rooms.pop().ok_or_else(nothing)?;
        enter(&room.namespace).doing("enter a network namespace")?;
        let done = work();
        if let Err(error) = enter(&namespaces.home) {
            // Going on would give the next sandbox this one's network.
            eprintln!("lambent sandbox spawner: can't leave a network namespace: {error}");
            std::process::exit(1)
        }
        let services = (egress != Egress::None).then_some(room.services);
        Ok((done?, Doors { runtime_api: room.runtime_api, services, device: room.device }))
    }
}

impl Namespaces {
    fn shelf(&mut self, kind: Kind) -> &mut Shelf {
        match kind {
            Kind::Plain => &mut self.plain,
            Kind::WithDevice => &mut self.with_device,
        }
    }

    fn order(&mut self, kind: Kind) -> io::Result<()> {
        self.maker.order(kind)?;
        self.shelf(kind).ordered += 1;
        Ok(())
    }

    fn put(&mut self, kind: Kind, room: Room) {
        let shelf = self.shelf(kind);
        shelf.ordered = shelf.ordered.saturating_sub(1);
        shelf.rooms.push(room);
    }
}

fn kind_for(egress: Egress, no_device: bool) -> Kind {
    if egress == Egress::Internet && !no_device { Kind::WithDevice } else { Kind::Plain }
}

fn enter(namespace: &OwnedFd) -> io::Result<()> {
    let kind = Some(LinkNameSpaceType::Network);
    Ok(rustix::thread::move_into_link_name_space(namespace.as_fd(), kind)?)
}

fn own_namespace() -> io::Result<OwnedFd> {
    Ok(rustix::fs::open("/proc/self/ns/net", OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty())?)
}

fn loopback(port: u16) -> SocketAddr {
    SocketAddr::from((Ipv4Addr::LOCALHOST, port))
}

fn listen(address: SocketAddr) -> Result<OwnedFd, Failure> {
    let listener = TcpListener::bind(address).doing(format!("listen on {address}"))?;
    listener.set_nonblocking(true).doing("prepare a listener")?;
    Ok(listener.into())
}
