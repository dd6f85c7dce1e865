//! One sandbox, as the spawner sees it: its first process, its control groups, its user ids.

use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::time::Instant;

use lambent_core::function::Egress;
use rustix::process::{Pid, Signal, WaitId, WaitIdOptions};

use super::net::{Doors, Rooms};
use super::users::Slot;
use super::zygotes::Zygotes;
use super::{Workshop, sources};
use crate::cgroup::Group;
use crate::config::Isolation;
use crate::init::{self, Inheritance};
use crate::kernel::{self, Cloned};
use crate::protocol::{Doing, Failure, Job, MountWords, Order, SandboxId, ZygoteId};
use crate::socket;

/// Where sandboxes at [`Isolation::Process`] have their scratch folders.
pub const SCRATCH_FOLDER: &str = "scratch";

/// The namespaces of a sandbox. The network's is entered before, the control groups' after.
const NAMESPACES: i32 =
    libc::CLONE_NEWUSER | libc::CLONE_NEWNS | libc::CLONE_NEWPID | libc::CLONE_NEWIPC | libc::CLONE_NEWUTS;

pub struct Sandbox {
    id: SandboxId,
    pid: Pid,
    pidfd: OwnedFd,
    group: Group,
    /// The node's end of init's socket: for handing over mounts, never read here.
    peer: OwnedFd,
    slot: Slot,
    has_namespaces: bool,
    /// Somebody asked for its removal.
    unwanted: bool,
    reaped: bool,
}

impl Sandbox {
    pub fn create(
        workshop: &mut Workshop,
        rooms: &mut Rooms,
        id: SandboxId,
        egress: Egress,
    ) -> Result<(Self, Doors), Failure> {
        let slot = workshop.users.take()?;
        let group = match Group::create(&workshop.cgroups, &id.to_string()) {
            Ok(group) => group,
            Err(error) => {
                workshop.users.give_back(slot);
                return Err(Failure::new("make control groups", &error));
            }
        };
        match clone_init(workshop, rooms, &group, egress) {
            Ok((pid, pidfd, peer, doors)) => {
                let has_namespaces = workshop.template.is_some();
                let (unwanted, reaped) = (false, false);
                let mut sandbox =
                    Self { id, pid, pidfd, group, peer, slot, has_namespaces, unwanted, reaped };
                match sandbox.settle(workshop) {
                    Ok(()) => Ok((sandbox, doors)),
                    Err(failure) => {
                        sandbox.abandon(workshop);
                        Err(failure)
                    }
                }
            }
            Err(failure) => {
                group.remove();
                workshop.users.give_back(slot);
                Err(failure)
            }
        }
    }

    /// Gives the new process its ids and limits, and lets it go on.
    fn settle(&self, workshop: &Workshop) -> Result<(), Failure> {
        let pid = self.pid.as_raw_nonzero().get();
        workshop.users.map(pid, self.slot).doing("map user ids")?;
        self.group.attach(pid).doing("enter control groups")?;
        socket::send(&self.peer, &Order::Go, &[]).doing("let a sandbox go on")
    }

    fn abandon(&mut self, workshop: &mut Workshop) {
        self.kill();
        self.wait_until(Instant::now() + super::LAST_PATIENCE);
        self.remove_traces(workshop);
        workshop.users.give_back(self.slot);
    }

    pub fn pid(&self) -> i32 {
        self.pid.as_raw_nonzero().get()
    }

    pub fn pidfd(&self) -> &OwnedFd {
        &self.pidfd
    }

    pub fn peer(&self) -> &OwnedFd {
        &self.peer
    }

    pub fn slot(&self) -> Slot {
        self.slot
    }

    pub fn is_unwanted(&self) -> bool {
        self.unwanted
    }

    pub fn is_reaped(&self) -> bool {
        self.reaped
    }

    /// Opens the mounts and hands everything to init, which answers the node. Has a zygote copied where one is named
    /// and there is one.
    pub fn start(
        &self,
        workshop: &Workshop,
        zygotes: &Zygotes,
        mut job: Job,
        zygote: Option<ZygoteId>,
        mut descriptors: Vec<OwnedFd>,
    ) {
        let line = zygote.and_then(|number| zygotes.copy_into(number, self.pidfd.as_fd(), &self.group));
        job.brings.copy = line.is_some();
        descriptors.extend(line);
        let order = match open_mounts(workshop, &job.mounts, &mut descriptors) {
            Ok(()) => Order::Start { job },
            Err(failure) => Order::Refuse { failure },
        };
        let borrowed: Vec<BorrowedFd<'_>> = descriptors.iter().map(AsFd::as_fd).collect();
        let sent = socket::send(&self.peer, &order, &borrowed).doing("hand a program over");
        if let Err(failure) = sent {
            // Too many mounts, or init is gone, which the node learns by itself.
            let _ = socket::send(&self.peer, &Order::Refuse { failure }, &[]);
        }
    }

    /// Opens more mounts for a program that runs.
    pub fn place(&self, workshop: &Workshop, mounts: Vec<MountWords>) {
        let mut descriptors = Vec::new();
        let order = match open_mounts(workshop, &mounts, &mut descriptors) {
            Ok(()) => Order::Place { targets: mounts.into_iter().map(|mount| mount.target).collect() },
            Err(failure) => Order::RefusePlace { failure },
        };
        let borrowed: Vec<BorrowedFd<'_>> = descriptors.iter().map(AsFd::as_fd).collect();
        if let Err(failure) = socket::send(&self.peer, &order, &borrowed).doing("hand mounts over") {
            let _ = socket::send(&self.peer, &Order::RefusePlace { failure }, &[]);
        }
    }

    /// Ends every process in it.
    pub fn kill(&mut self) {
        self.unwanted = true;
        if !self.reaped {
            // Without a pid namespace the first process must live to end the others.
            let signal = if self.has_namespaces { Signal::KILL } else { Signal::TERM };
            let _ = rustix::process::pidfd_send_signal(&self.pidfd, signal);
        }
        self.group.kill();
    }

    /// Takes note that its first process ended, and with it, in a pid namespace, every other.
    pub fn reap(&mut self) {
        let options = WaitIdOptions::EXITED | WaitIdOptions::NOHANG;
        if !self.reaped {
            self.reaped = matches!(
                rustix::process::waitid(WaitId::PidFd(self.pidfd.as_fd()), options),
                Ok(Some(_)) | Err(rustix::io::Errno::CHILD)
            );
        }
    }

    /// Waits for its first process to end, after [`Sandbox::kill`].
    pub fn wait_until(&mut self, deadline: Instant) {
        while !self.reaped && Instant::now() < deadline {
            let wait = rustix::event::Timespec { tv_sec: 0, tv_nsec: 10_000_000 };
            let mut poll = [rustix::event::PollFd::new(&self.pidfd, rustix::event::PollFlags::IN)];
            let _ = rustix::event::poll(&mut poll, Some(&wait));
            self.reap();
        }
    }

    /// Removes what it has on the host; `false` while the kernel still holds some of it.
    pub fn remove_traces(&self, workshop: &Workshop) -> bool {
        if workshop.isolation == Isolation::Process {
            let _ = std::fs::remove_dir_all(scratch_folder(&workshop.run_dir, self.id));
        }
        self.group.remove()
    }
}

/// A sandbox's own folder at [`Isolation::Process`].
pub fn scratch_folder(run_dir: &Path, id: SandboxId) -> PathBuf {
    run_dir.join(SCRATCH_FOLDER).join(id.to_string())
}

fn open_mounts(
    workshop: &Workshop,
    mounts: &[MountWords],
    descriptors: &mut Vec<OwnedFd>,
) -> Result<(), Failure> {
    let Some(template) = &workshop.template else { return Ok(()) };
    for mount in mounts {
        descriptors.push(sources::open(&mount.sources)?);
        template
            .make_mount_point(&mount.target)
            .doing(format!("make a place for {}", mount.target.display()))?;
    }
    Ok(())
}

fn clone_init(
    workshop: &Workshop,
    rooms: &mut Rooms,
    group: &Group,
    egress: Egress,
) -> Result<(Pid, OwnedFd, OwnedFd, Doors), Failure> {
    let (peer, own) = socket::pair().doing("make a socket")?;
    let tree = match &workshop.template {
        Some(template) => Some(template.tree().doing("copy the root")?),
        None => None,
    };
    let home = group.unified().doing("open a control group")?;
    let namespaces = if workshop.isolation == Isolation::Process { 0 } else { NAMESPACES };
    let ((pid, pidfd), doors) = rooms.with_room(egress, || {
        let cloned = kernel::clone3(namespaces as u64, home.as_ref().map(AsFd::as_fd));
        match cloned.doing("start a sandbox")? {
            Cloned::Parent { pid, pidfd } => Ok((pid, pidfd)),
            Cloned::Child => init::main(Inheritance {
                socket: own.as_raw_fd(),
                lifeline: workshop.lifeline.as_raw_fd(),
                tree: tree.as_ref().map(AsRawFd::as_raw_fd),
                ids: workshop.users.init_id(),
                masked: workshop.template.as_ref().map(|template| template.masked()).unwrap_or_default(),
                filter: &workshop.filter,
            }),
        }
    })?;
    Ok((pid, pidfd, peer, doors))
}
