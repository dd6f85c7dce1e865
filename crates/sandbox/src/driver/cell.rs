//! A prepared sandbox, and the step that turns it into a running one.

use std::io;
use std::net::{SocketAddr, TcpListener};
use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use lambent_core::function::Egress;
use lambent_core::ports::BoxFuture;
use lambent_core::ports::sandbox::{
    Assignment, Booted as BootedPort, Cell as CellPort, Limits, Running, SandboxError,
};
use rustix::pipe::PipeFlags;
use tokio::io::unix::AsyncFd;

use super::Shared;
use super::beside::Localise;
use super::booted::{Begun, Booted};
use super::environment::Sandbox;
use super::holdings::{Holdings, Network};
use super::link::{Link, Prepared, next_packet};
use crate::cgroup::{self, Group};
use crate::config::Isolation;
use crate::egress;
use crate::kernel;
use crate::protocol::{Brings, Doing, Event, Failure, Job, Order, Request, SandboxId};
use crate::{socket, spawner};

/// A claim on a sandbox: dropping it removes the sandbox.
pub struct Lease {
    pub id: SandboxId,
    pub link: Arc<Link>,
    /// Nothing is left to remove.
    pub removed: Arc<AtomicBool>,
}

impl Lease {
    fn new(id: SandboxId, link: Arc<Link>) -> Self {
        Self { id, link, removed: Arc::default() }
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        if !self.removed.load(Ordering::Relaxed) {
            // A spawner that can't be told is gone, and its sandboxes with it.
            let _ = self.link.post(&Request::Remove { id: self.id }, Vec::new());
        }
    }
}

pub struct Cell {
    shared: Arc<Shared>,
    lease: Lease,
    pid: i32,
    group: Group,
    socket: AsyncFd<OwnedFd>,
    runtime_api: TcpListener,
    runtime_api_addr: SocketAddr,
    services: Option<(TcpListener, SocketAddr)>,
    device: Option<egress::Device>,
}

impl Cell {
    pub async fn prepare(shared: Arc<Shared>, link: Arc<Link>, egress: Egress) -> Result<Self, SandboxError> {
        let lease = Lease::new(shared.new_id(), link);
        let request = Request::Prepare { id: lease.id, egress };
        let prepared = lease.link.prepare(lease.id, &request).await?;
        let cell = Self::assemble(shared, lease, prepared)?;
        match cell.next_event().await? {
            Event::Ready => Ok(cell),
            Event::SetupFailed { failure } => Err(failure.into()),
            other => Err(unexpected(&other)),
        }
    }

    fn assemble(shared: Arc<Shared>, lease: Lease, prepared: Prepared) -> Result<Self, Failure> {
        let missing = || Failure::plain("take over a sandbox", "a descriptor is missing");
        let mut descriptors = prepared.descriptors.into_iter();
        let mut next = || descriptors.next().ok_or_else(missing);
        let socket = next()?;
        let runtime_api = TcpListener::from(next()?);
        let services = if prepared.room.services { Some(TcpListener::from(next()?)) } else { None };
        let device =
            if prepared.room.device { Some(egress::Device { tun: next()?, gate: next()? }) } else { None };
        rustix::io::ioctl_fionbio(&socket, true).doing("prepare a sandbox's socket")?;
        let socket = kernel::watched(socket).doing("watch a sandbox's socket")?;
        let address = |listener: &TcpListener| listener.local_addr().doing("ask a listener's address");
        let runtime_api_addr = address(&runtime_api)?;
        let services = match services {
            Some(listener) => {
                let addr = address(&listener)?;
                Some((listener, addr))
            }
            None => None,
        };
        let group = Group::open(&shared.layout, &lease.id.to_string()).doing("open control groups")?;
        group.set_fixed_limits().doing("write a sandbox's limits")?;
        Ok(Self {
            shared,
            lease,
            pid: prepared.pid,
            group,
            socket,
            runtime_api,
            runtime_api_addr,
            services,
            device,
        })
    }

    async fn next_event(&self) -> Result<Event, Failure> {
        let packet = next_packet(&self.socket).await.doing("hear from a sandbox")?;
        let Some(packet) = packet else {
            return Err(Failure::plain("hear from a sandbox", "it has ended"));
        };
        packet.message().doing("understand a sandbox")
    }

    /// Starts the program; with a pipe for a handover when it is only booted.
    async fn run(self, mut job: Assignment, booted: bool) -> Result<Begun, SandboxError> {
        self.group.set_limits(limits(&job.limits)).doing("write a sandbox's limits")?;
        // Named by what it was booted from, which is all of the job but its limits.
        let zygote = if booted { self.lease.link.zygote(&job) } else { None };
        let localise = (self.shared.config.isolation == Isolation::Process).then(|| Localise {
            mounts: job.mounts.clone(),
            scratch: spawner::scratch_folder(&self.shared.config.run_dir, self.lease.id),
        });
        if let Some(localise) = &localise {
            job.program = localise.apply(job.program).await?;
        }
        let (output, output_end) = pipe().doing("make a pipe")?;
        let (frames, frames_end) = pipe().doing("make a pipe")?;
        let (handover_end, handover) = if booted { Some(handover_pipe()?) } else { None }.unzip();
        let volume = self.shared.volume(job.limits.tmp_mb).await.doing("make a volume for /tmp")?;
        let mount = volume.as_ref().map(|(volume, _)| volume.mount().try_clone()).transpose();
        let mount = mount.doing("hand a volume over")?;
        let name = job.program.argv.first().cloned().unwrap_or_default();
        let brings = Brings { volume: volume.is_some(), handover: booted, copy: false };
        let job = Job::new(job.mounts, job.program, job.limits.tmp_mb, brings);
        let descriptors =
            [Some(output_end), Some(frames_end), mount, handover_end].into_iter().flatten().collect();
        let request = Request::Start { id: self.lease.id, job, zygote };
        let posted = self.lease.link.post(&request, descriptors);
        posted.map_err(|error| Failure::of_program(&name, &error))?;
        let event = self.next_event().await?;
        self.shared.restock();
        match event {
            Event::Started { instead } => {
                if let Some(zygote) = zygote {
                    self.lease.link.copied(zygote, instead);
                }
            }
            Event::StartFailed { failure } => return Err(failure.into()),
            other => return Err(unexpected(&other)),
        }
        let network = self.device.map(|device| Network::serve(device, &self.shared.policy)).transpose();
        let holdings = Holdings { volume, network: network.doing("serve a sandbox's network")? };
        let sandbox = Sandbox::watch(self.lease, self.pid, self.group, self.socket, holdings, localise);
        let (runtime_api, services) = (self.runtime_api, self.services);
        let runtime_api_addr = self.runtime_api_addr;
        Ok(Begun { sandbox, runtime_api, runtime_api_addr, services, output, frames, handover })
    }
}

pub fn limits(limits: &Limits) -> cgroup::Limits {
    cgroup::Limits {
        memory_bytes: u64::from(limits.memory_mb) * lambent_core::limits::MIB,
        cpu_millis: limits.cpu_millis,
    }
}

impl CellPort for Cell {
    fn runtime_api_addr(&self) -> SocketAddr {
        self.runtime_api_addr
    }

    fn services_addr(&self) -> Option<SocketAddr> {
        self.services.as_ref().map(|(_, addr)| *addr)
    }

    fn memory_bytes(&self) -> Option<u64> {
        self.group.memory_held_bytes()
    }

    fn is_alive(&self) -> bool {
        !self.lease.link.is_gone() && !socket::is_hung_up(&self.socket)
    }

    fn prefork(&self) {
        // Who does not hear of it has ended, and is found out when it is wanted.
        let _ = socket::send(&self.socket, &Order::Prefork, &[]);
    }

    fn start(self: Box<Self>, job: Assignment) -> BoxFuture<'static, Result<Running, SandboxError>> {
        Box::pin(async move { Ok(self.run(job, false).await?.into_running()) })
    }

    fn boot(
        self: Box<Self>,
        job: Assignment,
    ) -> BoxFuture<'static, Result<Box<dyn BootedPort>, SandboxError>> {
        Box::pin(async move {
            if self.shared.config.isolation == Isolation::Process {
                let detail = "without namespaces nothing can be mounted for a program that runs".to_owned();
                return Err(SandboxError::Internal { detail });
            }
            Ok(Box::new(Booted::new(self.run(job, true).await?)) as Box<dyn BootedPort>)
        })
    }
}

fn unexpected(event: &Event) -> SandboxError {
    SandboxError::Internal { detail: format!("a sandbox spoke out of turn: {event:?}") }
}

/// A pipe whose write end doesn't block, for what a booted program is to become.
fn handover_pipe() -> Result<(OwnedFd, OwnedFd), Failure> {
    let (read, write) = rustix::pipe::pipe_with(PipeFlags::CLOEXEC).doing("make a pipe")?;
    rustix::io::ioctl_fionbio(&write, true).doing("prepare a pipe")?;
    Ok((read, write))
}

/// A pipe whose read end doesn't block.
pub fn pipe() -> io::Result<(OwnedFd, OwnedFd)> {
    let (read, write) = rustix::pipe::pipe_with(PipeFlags::CLOEXEC)?;
    rustix::io::ioctl_fionbio(&read, true)?;
    // The program's user is not ours, and it may open its output again by name (`/dev/stderr`).
    rustix::fs::fchmod(&write, rustix::fs::Mode::from_raw_mode(0o622))?;
    Ok((read, write))
}
