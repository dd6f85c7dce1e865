//! The process that makes sandboxes: one thread, few privileges to lose, nothing of any customer's in its memory.
//!
//! The node has many threads and so can't duplicate itself safely; it starts this process once and asks it over a
//! socket. When that socket closes, however that comes about, the spawner ends every sandbox, removes what they left
//! on the host and goes. It isn't asked to die with its parent: a dead spawner can't clean up, and the kernel would
//! send that signal when the *thread* that started it ends.
//!
//! `sandbox` makes and removes one; `template` builds the root that all share; `net` the network namespaces; `users`
//! hands out user ids; `sources` turns folders into mounts; `zygotes` keeps processes that copy themselves into
//! sandboxes; `alone` keeps two spawners from one folder.

pub mod alone;
mod net;
mod sandbox;
mod sources;
mod template;
pub mod users;
mod zygotes;

use std::collections::{HashMap, VecDeque};
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use lambent_core::function::Egress;
use rustix::event::epoll;
use rustix::thread::UnshareFlags;

use crate::cgroup::{self, Layout};
use crate::config::Isolation;
use crate::protocol::{Doing, Failure, Job, Reply, Request, SandboxId, Setup, ZygoteId};
use crate::{kernel, seccomp, socket, volumes};
use net::Rooms;
use sandbox::Sandbox;
pub use sandbox::scratch_folder;
use template::Template;
use users::Users;
use zygotes::{Heard, Zygotes};

/// The descriptor that the node gives its spawner.
pub const CONTROL_DESCRIPTOR: i32 = 3;

/// The shortest that the kernel gives.
const TURN_NANOS: u64 = 100_000;

/// Marks among the events; sandboxes are numbered from 1, and zygotes from here.
const ZYGOTE_EVENTS: u64 = 1 << 62;
const CONTROL_EVENT: u64 = 0;
const ROOMS_EVENT: u64 = u64::MAX;

/// How soon a folder that could not be removed is tried again.
const RETRY: Duration = Duration::from_millis(2);

/// How long a sandbox is waited for that was given up before it stood.
const LAST_PATIENCE: Duration = Duration::from_secs(2);

/// Serves requests until the node is gone. Call it first thing in `main`, before any thread exists.
pub fn spawner_main() -> ! {
    let code = match serve() {
        Ok(()) => 0,
        Err(failure) => {
            eprintln!("lambent sandbox spawner: {}: {}", failure.what, failure.detail);
            1
        }
    };
    std::process::exit(code)
}

fn serve() -> Result<(), Failure> {
    let control = kernel::inherited(CONTROL_DESCRIPTOR).doing("take the control socket")?;
    // An own session: what the operator's terminal sends to the node's group must not reach sandboxes.
    let _ = rustix::process::setsid();
    let _ = rustix::thread::set_name(c"lambent-spawner");
    // Somebody waits for each little thing that this process and each sandbox's first one do.
    let _ = kernel::ask_for_turns(TURN_NANOS);
    let packet = socket::receive(&control).doing("read the first message")?;
    let Some(packet) = packet else { return Ok(()) };
    let Ok(Request::Configure(setup)) = packet.message() else {
        return Err(Failure::plain("read the first message", "not a configuration"));
    };
    let spawner = match Spawner::new(control.try_clone().doing("copy the control socket")?, setup) {
        Ok(spawner) => spawner,
        Err(failure) => {
            let reply = Reply::ConfigureFailed { what: failure.what.clone(), detail: failure.detail.clone() };
            let _ = socket::send(&control, &reply, &[]);
            return Err(failure);
        }
    };
    drop(control);
    spawner.run();
    Ok(())
}

/// What every sandbox is made from.
struct Workshop {
    isolation: Isolation,
    run_dir: PathBuf,
    cgroups: Layout,
    users: Users,
    /// Absent at [`Isolation::Process`].
    template: Option<Template>,
    filter: Vec<libc::sock_filter>,
    /// Sandboxes watch the other end: it closes when the spawner dies.
    lifeline: OwnedFd,
    _lifeline_held: OwnedFd,
}

struct Spawner {
    _alone: OwnedFd,
    control: OwnedFd,
    events: OwnedFd,
    workshop: Workshop,
    rooms: Rooms,
    zygotes: Zygotes,
    sandboxes: HashMap<SandboxId, Sandbox>,
    /// Removals that wait for the kernel to let go of a folder.
    retries: Vec<SandboxId>,
    /// Sandboxes that wait for a network namespace.
    waiting: VecDeque<(SandboxId, Egress)>,
}

impl Spawner {
    fn new(control: OwnedFd, setup: Setup) -> Result<Self, Failure> {
        let alone = alone::take(&setup.run_dir).doing("take the run folder over")?;
        let mut notes = Vec::new();
        let users = users::enter(&setup, &mut notes)?;
        let template = if setup.isolation == Isolation::Process {
            None
        } else {
            own_mounts()?;
            if let Err(error) = cgroup::enable_cheap_attach(&setup.run_dir) {
                notes.push(format!("control groups attach slowly: {error}"));
            }
            Some(Template::build(&setup.run_dir)?)
        };
        let rooms = Rooms::new(setup.isolation)?;
        let no_device = rooms.no_device();
        let (lifeline, held) =
            rustix::pipe::pipe_with(rustix::pipe::PipeFlags::CLOEXEC).doing("make a pipe")?;
        let workshop = Workshop {
            isolation: setup.isolation,
            run_dir: setup.run_dir,
            cgroups: setup.cgroups,
            users,
            template,
            filter: seccomp::filter(),
            lifeline,
            _lifeline_held: held,
        };
        let events = epoll::create(epoll::CreateFlags::CLOEXEC).doing("make an event queue")?;
        epoll::add(&events, &control, epoll::EventData::new_u64(CONTROL_EVENT), epoll::EventFlags::IN)
            .doing("watch the control socket")?;
        if let Some(made) = rooms.events() {
            epoll::add(&events, made, epoll::EventData::new_u64(ROOMS_EVENT), epoll::EventFlags::IN)
                .doing("watch the maker of network namespaces")?;
        }
        socket::send(&control, &Reply::Configured { no_device, notes }, &[]).doing("answer the node")?;
        Ok(Self {
            _alone: alone,
            control,
            events,
            workshop,
            rooms,
            zygotes: Zygotes::default(),
            sandboxes: HashMap::new(),
            retries: Vec::new(),
            waiting: VecDeque::new(),
        })
    }

    /// Comes back when the node is gone and everything is removed.
    fn run(mut self) {
        let _ = self.rooms.restock(std::iter::empty());
        while self.turn().is_ok_and(|goes_on| goes_on) {}
        self.clean_up();
    }

    /// Handles what has happened; `false` when the node is gone.
    fn turn(&mut self) -> io::Result<bool> {
        let mut buffer: Vec<epoll::Event> = Vec::with_capacity(64);
        let wait = self.patience();
        match epoll::wait(&self.events, rustix::buffer::spare_capacity(&mut buffer), wait.as_ref()) {
            Err(rustix::io::Errno::INTR) => return Ok(true),
            other => other?,
        };
        let (mut control, mut rooms) = (false, false);
        for event in &buffer {
            match event.data.u64() {
                CONTROL_EVENT => control = true,
                ROOMS_EVENT => rooms = true,
                zygote if zygote >= ZYGOTE_EVENTS => self.on_zygote(zygote - ZYGOTE_EVENTS)?,
                id => self.ended(id),
            }
        }
        if control {
            let Some(packet) = socket::receive(&self.control)? else { return Ok(false) };
            self.handle(packet)?;
        }
        if rooms {
            self.on_room()?;
        }
        for id in std::mem::take(&mut self.retries) {
            self.try_remove(id)?;
        }
        if control {
            // Only then: a maker that fails must not keep itself and us busy.
            self.rooms.restock(self.waiting.iter().map(|(_, egress)| *egress))?;
        }
        Ok(true)
    }

    /// How long to wait for events: briefly while a folder resists.
    fn patience(&self) -> Option<rustix::event::Timespec> {
        if self.retries.is_empty() { None } else { rustix::event::Timespec::try_from(RETRY).ok() }
    }

    /// A network namespace was made, or could not be.
    fn on_room(&mut self) -> io::Result<()> {
        match self.rooms.collect()? {
            Ok(()) => {
                let ready = self.waiting.iter().position(|(_, egress)| self.rooms.is_ready(*egress));
                match ready.and_then(|position| self.waiting.remove(position)) {
                    Some((id, egress)) => self.prepare(id, egress),
                    None => Ok(()),
                }
            }
            Err(failure) => match self.waiting.pop_front() {
                Some((id, _)) => self.say(&Reply::PrepareFailed { id, failure }, &[]),
                None => Ok(()),
            },
        }
    }

    fn prepare(&mut self, id: SandboxId, egress: Egress) -> io::Result<()> {
        if !self.rooms.is_ready(egress) {
            self.waiting.push_back((id, egress));
            return Ok(());
        }
        match Sandbox::create(&mut self.workshop, &mut self.rooms, id, egress) {
            Ok((sandbox, doors)) => self.announce(id, sandbox, &doors),
            Err(failure) => self.say(&Reply::PrepareFailed { id, failure }, &[]),
        }
    }

    fn handle(&mut self, packet: socket::Packet) -> io::Result<()> {
        match packet.message()? {
            Request::Configure(_) => {}
            Request::Prepare { id, egress } => self.prepare(id, egress)?,
            Request::Start { id, job, zygote } => {
                // An unknown one was removed meanwhile, and the node knows.
                if let Some(sandbox) = self.sandboxes.get(&id) {
                    sandbox.start(&self.workshop, &self.zygotes, job, zygote, packet.descriptors);
                }
            }
            Request::Keep { zygote, job } => self.keep(zygote, &job)?,
            Request::Part { zygote } => self.zygotes.part(zygote),
            Request::Place { id, mounts } => {
                if let Some(sandbox) = self.sandboxes.get(&id) {
                    sandbox.place(&self.workshop, mounts);
                }
            }
            Request::Remove { id } => match self.sandboxes.get_mut(&id) {
                Some(sandbox) => {
                    sandbox.kill();
                    self.try_remove(id)?;
                }
                None => {
                    self.waiting.retain(|(waiting, _)| *waiting != id);
                    self.say(&Reply::Removed { id }, &[])?;
                }
            },
        }
        Ok(())
    }

    fn keep(&mut self, zygote: ZygoteId, job: &Job) -> io::Result<()> {
        match self.zygotes.keep(&self.workshop, zygote, job) {
            Ok(socket) => {
                let data = epoll::EventData::new_u64(ZYGOTE_EVENTS + zygote);
                Ok(epoll::add(&self.events, socket, data, epoll::EventFlags::IN)?)
            }
            Err(failure) => {
                eprintln!("lambent sandbox spawner: {}: {}", failure.what, failure.detail);
                self.say(&Reply::Zygote { zygote, ready: false }, &[])
            }
        }
    }

    /// A zygote has booted, or has ended.
    fn on_zygote(&mut self, zygote: ZygoteId) -> io::Result<()> {
        match self.zygotes.hear(zygote) {
            Heard::Nothing => Ok(()),
            Heard::Ready => self.say(&Reply::Zygote { zygote, ready: true }, &[]),
            Heard::Ended => self.say(&Reply::Zygote { zygote, ready: false }, &[]),
        }
    }

    fn announce(&mut self, id: SandboxId, sandbox: Sandbox, doors: &net::Doors) -> io::Result<()> {
        let data = epoll::EventData::new_u64(id);
        epoll::add(&self.events, sandbox.pidfd(), data, epoll::EventFlags::IN)?;
        let reply = Reply::Prepared { id, pid: sandbox.pid(), room: doors.described() };
        let descriptors: Vec<_> =
            std::iter::once(sandbox.peer()).chain(doors.descriptors()).map(AsFd::as_fd).collect();
        socket::send(&self.control, &reply, &descriptors)?;
        self.sandboxes.insert(id, sandbox);
        Ok(())
    }

    /// A sandbox's first process has ended.
    fn ended(&mut self, id: SandboxId) {
        let Some(sandbox) = self.sandboxes.get_mut(&id) else { return };
        let _ = epoll::delete(&self.events, sandbox.pidfd());
        sandbox.reap();
        if sandbox.is_unwanted() {
            self.retries.push(id);
        }
    }

    fn try_remove(&mut self, id: SandboxId) -> io::Result<()> {
        let Some(sandbox) = self.sandboxes.get_mut(&id) else { return Ok(()) };
        if !sandbox.is_reaped() {
            return Ok(());
        }
        if !sandbox.remove_traces(&self.workshop) {
            self.retries.push(id);
            return Ok(());
        }
        if let Some(sandbox) = self.sandboxes.remove(&id) {
            self.workshop.users.give_back(sandbox.slot());
        }
        self.say(&Reply::Removed { id }, &[])
    }

    fn say(&self, reply: &Reply, descriptors: &[std::os::fd::BorrowedFd<'_>]) -> io::Result<()> {
        socket::send(&self.control, reply, descriptors)
    }

    /// The node is gone: nothing may stay.
    fn clean_up(mut self) {
        self.zygotes.end();
        for sandbox in self.sandboxes.values_mut() {
            sandbox.kill();
        }
        let deadline = Instant::now() + cgroup::PATIENCE;
        for sandbox in self.sandboxes.values_mut() {
            sandbox.wait_until(deadline);
            while !sandbox.remove_traces(&self.workshop) && Instant::now() < deadline {
                std::thread::sleep(RETRY);
            }
        }
        cgroup::kill_and_remove(&self.workshop.cgroups);
        cgroup::remove_tree(&self.workshop.cgroups);
        let root = self.workshop.run_dir.join(template::FOLDER);
        let _ = rustix::mount::unmount(root, rustix::mount::UnmountFlags::DETACH);
        remove_scratch(&self.workshop.run_dir);
        alone::forget(&self.workshop.run_dir);
    }
}

/// A mount namespace of our own. Mounts that the host makes later still arrive in it, so that code on them can be
/// used; nothing that is mounted here is seen by the host.
fn own_mounts() -> Result<(), Failure> {
    kernel::unshare(UnshareFlags::NEWNS).doing("make a mount namespace")?;
    let flags = rustix::mount::MountPropagationFlags::DOWNSTREAM | rustix::mount::MountPropagationFlags::REC;
    rustix::mount::mount_change("/", flags).doing("cut the mount namespace off")
}

/// Removes what spawners keep in the run folder.
pub fn remove_scratch(run_dir: &Path) {
    let _ = std::fs::remove_dir_all(run_dir.join(sandbox::SCRATCH_FOLDER));
    let _ = std::fs::remove_dir_all(run_dir.join(volumes::FOLDER));
    // Only a mount point in the spawner's own namespace: a folder that is empty elsewhere.
    let _ = std::fs::remove_dir(run_dir.join(template::FOLDER));
}
