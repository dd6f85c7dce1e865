//! The first process of a sandbox: builds its room, starts the program, reports its end.
//!
//! It is a copy of the spawner without the spawner's descriptors, in the sandbox's namespaces. Inside it is pid 1:
//! when it ends, the kernel ends everything else. It has privileges over its own namespaces and nowhere else, runs
//! no code of the customer's, and passes none of its privileges on.
//!
//! `root` makes the file tree, `program` turns a copy of this process into the program, `preforked`
//! does so ahead of need, and `landlock` confines what it may write to; `copy` takes in a program that came about another way, and `zygote` makes what it is a copy of. At [`crate::Isolation::Process`] there are no namespaces: then this process only keeps watch, and
//! `family` finds the program's descendants.

mod copy;
mod family;
mod landlock;
mod preforked;
mod program;
mod programs;
mod root;
pub mod zygote;

use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd, RawFd};
use std::path::PathBuf;

use rustix::event::{PollFd, PollFlags};
use rustix::process::{Signal, WaitOptions};

use crate::kernel;
use crate::protocol::{Doing, Event, Failure, How, Job, Order};
use crate::socket;
use preforked::Preforked;
use programs::{FIRST, Programs};

/// What the process is born with.
pub struct Inheritance<'a> {
    pub socket: RawFd,
    /// Hangs up when the spawner dies.
    pub lifeline: RawFd,
    /// The root's mount tree; absent without namespaces.
    pub tree: Option<RawFd>,
    /// The ids to take inside; absent without namespaces.
    pub ids: Option<(u32, u32)>,
    pub masked: &'a [String],
    pub filter: &'a [libc::sock_filter],
}

/// Never comes back into the spawner's code.
pub fn main(inheritance: Inheritance<'_>) -> ! {
    // A panic must not run on into what this process inherited.
    let code = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| live(&inheritance)));
    std::process::exit(code.unwrap_or(101))
}

fn live(inheritance: &Inheritance<'_>) -> i32 {
    let Ok((socket, lifeline, tree)) = keep_only(inheritance) else { return 1 };
    // The spawner says so when ids and limits are in place; silence means that it is gone.
    let Ok(Some(packet)) = socket::receive(&socket) else { return 0 };
    let Ok(Order::Go) = packet.message() else { return 1 };
    if let Err(failure) = settle(inheritance, tree) {
        let _ = socket::send(&socket, &Event::SetupFailed { failure }, &[]);
        return 1;
    }
    match Init::new(socket, lifeline, inheritance) {
        Ok(init) => init.run(),
        Err(_) => 1,
    }
}

/// Closes everything inherited but what is needed.
fn keep_only(inheritance: &Inheritance<'_>) -> io::Result<(OwnedFd, OwnedFd, Option<OwnedFd>)> {
    let socket = kernel::inherited(inheritance.socket)?;
    let lifeline = kernel::inherited(inheritance.lifeline)?;
    let tree = inheritance.tree.map(kernel::inherited).transpose()?;
    let mut kept: Vec<RawFd> = vec![socket.as_raw_fd(), lifeline.as_raw_fd()];
    kept.extend(tree.as_ref().map(AsRawFd::as_raw_fd));
    kept.sort_unstable();
    let mut from: u32 = 3;
    for fd in kept {
        let fd = fd as u32;
        if fd > from {
            kernel::close_range(from, fd - 1)?;
        }
        from = fd + 1;
    }
    kernel::close_range(from, u32::MAX)?;
    // The node's own output is not for sandboxes.
    let null = rustix::fs::open(
        "/dev/null",
        rustix::fs::OFlags::RDWR | rustix::fs::OFlags::CLOEXEC,
        rustix::fs::Mode::empty(),
    )?;
    for standard in 0..3 {
        kernel::duplicate_onto(null.as_fd(), standard)?;
    }
    Ok((socket, lifeline, tree))
}

fn settle(inheritance: &Inheritance<'_>, tree: Option<OwnedFd>) -> Result<(), Failure> {
    let _ = rustix::thread::set_name(c"lambent-init");
    if let Some((uid, gid)) = inheritance.ids {
        program::take_ids(uid, gid).doing("take the sandbox's user id")?;
    }
    // After the change of user, which would undo it. Without a pid namespace the watcher must get to end its family.
    let signal = if tree.is_some() { Signal::KILL } else { Signal::TERM };
    rustix::process::set_parent_process_death_signal(Some(signal)).doing("tie a sandbox to its maker")?;
    program::prepare(tree.is_some()).doing("prepare for a program")?;
    match tree {
        Some(tree) => {
            kernel::unshare(rustix::thread::UnshareFlags::NEWCGROUP).doing("make a cgroup namespace")?;
            rustix::system::sethostname(b"sandbox").doing("name a sandbox")?;
            root::enter(&tree, Some(inheritance.masked))
        }
        None => {
            let own = rustix::process::getpid();
            rustix::process::set_child_subreaper(Some(own)).doing("adopt descendants")
        }
    }
}

struct Init<'a> {
    socket: OwnedFd,
    lifeline: OwnedFd,
    children: OwnedFd,
    inheritance: &'a Inheritance<'a>,
    programs: Programs,
    /// What becomes the first program, unless that comes about another way.
    preforked: Option<Preforked>,
    /// Where a program waits that has not been told its function and can't enter its folder by itself.
    waits_in: Option<PathBuf>,
}

impl<'a> Init<'a> {
    fn new(socket: OwnedFd, lifeline: OwnedFd, inheritance: &'a Inheritance<'a>) -> io::Result<Self> {
        let children = kernel::signal_descriptor(&[libc::SIGCHLD, libc::SIGTERM])?;
        socket::send(&socket, &Event::Ready, &[])?;
        Ok(Self {
            socket,
            lifeline,
            children,
            inheritance,
            programs: Programs::default(),
            preforked: None,
            waits_in: None,
        })
    }

    fn run(mut self) -> i32 {
        while let Ok(true) = self.turn() {}
        if !self.has_namespaces() {
            family::end();
        }
        0
    }

    fn has_namespaces(&self) -> bool {
        self.inheritance.tree.is_some()
    }

    /// `false` when this sandbox is over.
    fn turn(&mut self) -> io::Result<bool> {
        let mut polls = [
            PollFd::new(&self.socket, PollFlags::IN),
            PollFd::new(&self.lifeline, PollFlags::IN),
            PollFd::new(&self.children, PollFlags::IN),
        ];
        match rustix::event::poll(&mut polls, None) {
            Err(rustix::io::Errno::INTR) => return Ok(true),
            other => other?,
        };
        let [socket, lifeline, children] = polls.map(|poll| !poll.revents().is_empty());
        if lifeline {
            return Ok(false);
        }
        if children && !self.on_signal()? {
            return Ok(false);
        }
        if socket {
            return self.obey();
        }
        Ok(true)
    }

    fn obey(&mut self) -> io::Result<bool> {
        let Some(packet) = socket::receive(&self.socket)? else { return Ok(false) };
        match packet.message()? {
            Order::Go => {}
            Order::Start { job } => {
                let event = match self.start(&job, packet.descriptors) {
                    Ok(instead) => Event::Started { instead },
                    Err(failure) => Event::StartFailed { failure },
                };
                let failed = matches!(event, Event::StartFailed { .. });
                socket::send(&self.socket, &event, &[])?;
                return Ok(!failed);
            }
            Order::Refuse { failure } => {
                socket::send(&self.socket, &Event::StartFailed { failure }, &[])?;
                return Ok(false);
            }
            Order::Place { targets } => {
                let placed = targets
                    .iter()
                    .zip(packet.descriptors)
                    .try_for_each(|(target, tree)| root::place(&tree, target))
                    .and_then(|()| {
                        self.waits_in.take().map_or(Ok(()), |cwd| program::part_from_program(&cwd))
                    });
                socket::send(&self.socket, &Event::Placed { failure: placed.err() }, &[])?;
            }
            Order::RefusePlace { failure } => {
                socket::send(&self.socket, &Event::Placed { failure: Some(failure) }, &[])?;
            }
            Order::Run { number, job } => {
                let ran = self.run_program(number, &job, packet.descriptors);
                socket::send(&self.socket, &Event::Ran { number, failure: ran.err() }, &[])?;
            }
            Order::Signal { number, kill } => {
                self.programs.signal(number, if kill { Signal::KILL } else { Signal::TERM });
            }
            Order::Socket => match programs::tcp_socket().doing("make a socket in a sandbox") {
                Ok(made) => socket::send(&self.socket, &Event::Socket { failure: None }, &[made.as_fd()])?,
                Err(failure) => {
                    socket::send(&self.socket, &Event::Socket { failure: Some(failure) }, &[])?;
                }
            },
            Order::Prefork if self.has_namespaces() && self.preforked.is_none() => {
                // Without it a start takes longer, and says itself what is wrong.
                self.preforked = Preforked::make(self.inheritance.filter).ok();
            }
            Order::Prefork => {}
            Order::Freeze => self.signal_all(Signal::STOP),
            Order::Thaw => self.signal_all(Signal::CONT),
        }
        Ok(true)
    }

    fn signal_all(&self, signal: Signal) {
        if self.has_namespaces() {
            let _ = kernel::kill_all(signal.as_raw());
        } else {
            family::signal(signal);
        }
    }

    /// Why the program was started anew, where it was to be a copy.
    fn start(&mut self, job: &Job, descriptors: Vec<OwnedFd>) -> Result<Option<Failure>, Failure> {
        let missing = || Failure::plain("start a program", "a descriptor is missing");
        let mut descriptors = descriptors.into_iter();
        let output = descriptors.next().ok_or_else(missing)?;
        let frames = descriptors.next().ok_or_else(missing)?;
        let volume = if job.brings.volume { Some(descriptors.next().ok_or_else(missing)?) } else { None };
        let handover = if job.brings.handover { Some(descriptors.next().ok_or_else(missing)?) } else { None };
        let line = if job.brings.copy { Some(descriptors.next().ok_or_else(missing)?) } else { None };
        if self.has_namespaces() {
            root::place_tmp(volume, job.tmp_mb)?;
            for mount in &job.mounts {
                let tree = descriptors.next().ok_or_else(missing)?;
                root::place(&tree, &mount.target)?;
            }
        }
        let outlets = program::Outlets { output, frames: Some(frames), handover };
        // One that waits for its function shares a folder with init, and a copy is made elsewhere.
        if (job.brings.handover || job.brings.copy)
            && let Some(preforked) = self.preforked.take()
        {
            preforked.dismiss();
        }
        if job.argv.is_empty() {
            self.programs.held = Some(outlets);
            return Ok(None);
        }
        let instead = match line.map(|line| copy::receive(line, &job.cwd, &outlets)) {
            Some(Ok(pid)) => {
                self.programs.started(FIRST, pid);
                return Ok(None);
            }
            Some(Err(failure)) => {
                // Nothing but the copy can be here yet; two programs must not wait for one handover.
                let _ = kernel::kill_all(Signal::KILL.as_raw());
                Some(failure)
            }
            None => None,
        };
        self.waits_in = job.brings.handover.then(|| job.cwd.clone());
        self.launch(FIRST, job, outlets)?;
        Ok(instead)
    }

    /// A program in a sandbox that stands.
    fn run_program(&mut self, number: u64, job: &Job, descriptors: Vec<OwnedFd>) -> Result<(), Failure> {
        let outlets = if number == FIRST {
            self.programs.held.take()
        } else {
            let output = descriptors.into_iter().next();
            output.map(|output| program::Outlets { output, frames: None, handover: None })
        };
        let outlets = outlets.ok_or_else(|| Failure::plain("start a program", "a descriptor is missing"))?;
        self.launch(number, job, outlets)
    }

    fn launch(&mut self, number: u64, job: &Job, outlets: program::Outlets) -> Result<(), Failure> {
        let preforked = if number == FIRST { self.preforked.take() } else { None };
        let pid = match preforked.and_then(|preforked| preforked.start(job, &outlets)) {
            Some(started) => started?,
            None => program::start(job, outlets, self.has_namespaces(), self.inheritance.filter)?,
        };
        self.programs.started(number, pid);
        Ok(())
    }

    /// Collects ended processes; `false` when the first program was among them and had none beside it, or we are
    /// told to end.
    fn on_signal(&mut self) -> io::Result<bool> {
        let mut info = [0_u8; 128];
        let mut told = false;
        while let Ok(read) = rustix::io::read(&self.children, &mut info) {
            let signal = u32::from_ne_bytes([info[0], info[1], info[2], info[3]]);
            told |= read == info.len() && signal == libc::SIGTERM as u32;
        }
        while let Ok(Some((pid, status))) = rustix::process::wait(WaitOptions::NOHANG) {
            let Some(number) = self.programs.ended(pid) else { continue };
            let how = match (status.exit_status(), status.terminating_signal()) {
                (Some(code), _) => How::Code(code),
                (None, signal) => How::Signal(signal.unwrap_or(libc::SIGKILL)),
            };
            if number != FIRST {
                socket::send(&self.socket, &Event::BesideExited { number, how }, &[])?;
                continue;
            }
            socket::send(&self.socket, &Event::Exited { how }, &[])?;
            if self.programs.was_alone() {
                return Ok(false);
            }
        }
        Ok(!told)
    }
}

/// Opens what a path names, without following links: what lies inside may be the customer's.
fn open_inside(path: &std::path::Path) -> io::Result<OwnedFd> {
    Ok(rustix::fs::openat2(
        rustix::fs::CWD,
        path,
        rustix::fs::OFlags::PATH | rustix::fs::OFlags::CLOEXEC,
        rustix::fs::Mode::empty(),
        rustix::fs::ResolveFlags::NO_SYMLINKS | rustix::fs::ResolveFlags::NO_MAGICLINKS,
    )?)
}

/// Moves a mount that stands nowhere yet onto a place.
fn attach(tree: impl AsFd, place: BorrowedFd<'_>, path: &str) -> io::Result<()> {
    let flags = rustix::mount::MoveMountFlags::MOVE_MOUNT_F_EMPTY_PATH
        | rustix::mount::MoveMountFlags::MOVE_MOUNT_T_EMPTY_PATH;
    Ok(rustix::mount::move_mount(tree, "", place, path, flags)?)
}
