//! From a copy of init to the program: everything that it must not have is given up, in an order in which each step
//! is still allowed, and then its own code begins.

use std::convert::Infallible;
use std::ffi::CString;
use std::io::{self, Read as _};
use std::mem::ManuallyDrop;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::path::Path;

use lambent_core::limits;
use lambent_core::ports::sandbox::HANDOVER_FD;
use rustix::fs::{Mode, OFlags};
use rustix::process::{DumpableBehavior, Pid, Resource, Rlimit};
use rustix::thread::{CapabilitySet, CapabilitySets, Gid, Uid, UnshareFlags};

use super::landlock;
use crate::kernel::{self, Cloned, Forked};
use crate::protocol::{Doing, Failure, Job};
use crate::socket;
use crate::users::{PROGRAM_GID, PROGRAM_UID};

/// The pipes between the node and the program.
pub struct Outlets {
    pub output: OwnedFd,
    /// Absent for a program that serves no function.
    pub frames: Option<OwnedFd>,
    /// On which a program that knows no function yet is told of one.
    pub handover: Option<OwnedFd>,
}

/// Where the runtime clients find their log's pipe.
const FRAMES_FD: i32 = 3;

/// Descriptors that the program gets have lower numbers; ours are moved above.
const OUT_OF_THE_WAY: i32 = 16;

/// A step of the way to the program.
#[derive(Clone, Copy)]
enum Step {
    ExpectTheKiller,
    GiveUpPrivileges,
    FilterCalls,
    ArrangeDescriptors,
    EnterFolder,
    ConfineWrites,
    Execute,
}

impl Step {
    /// By their numbers, as they are told when one fails.
    const ALL: [(Self, &str); 7] = [
        (Self::ExpectTheKiller, "mark it for the out-of-memory killer"),
        (Self::GiveUpPrivileges, "give up privileges"),
        (Self::FilterCalls, "install the system call filter"),
        (Self::ArrangeDescriptors, "arrange its descriptors"),
        (Self::EnterFolder, "enter the working folder"),
        (Self::ConfineWrites, "confine what it may write to"),
        (Self::Execute, "execute"),
    ];
}

type Failed = (Step, io::Error);

/// What a step that failed tells, and [`failure`] reads.
fn told((step, error): &Failed) -> Vec<u8> {
    let mut told = vec![*step as u8];
    told.extend(error.raw_os_error().unwrap_or(libc::EIO).to_ne_bytes());
    told
}

pub fn failure(told: &[u8], job: &Job) -> Failure {
    let (number, errno) = told.split_first().unwrap_or((&u8::MAX, &[]));
    let error = io::Error::from_raw_os_error(errno.try_into().map_or(libc::EIO, i32::from_ne_bytes));
    let (step, what) =
        Step::ALL.get(usize::from(*number)).map_or((None, "start"), |(step, what)| (Some(*step), *what));
    let of_program = matches!(step, Some(Step::Execute | Step::EnterFolder));
    let program = of_program.then(|| job.argv.first().cloned().unwrap_or_default());
    Failure { program, ..Failure::new(what, &error) }
}

/// Starts the program. When this succeeds, the program's own code has begun.
pub fn start(
    job: &Job,
    outlets: Outlets,
    confined: bool,
    filter: &[libc::sock_filter],
) -> Result<Pid, Failure> {
    let words = Words::of(job)
        .map_err(|error| Failure::of_program(job.argv.first().map_or("", String::as_str), &error))?;
    let (read, report) = rustix::pipe::pipe_with(rustix::pipe::PipeFlags::CLOEXEC).doing("make a pipe")?;
    match family_member(outlets.handover.is_some()).doing("start a process")? {
        Forked::Parent(pid) => {
            drop(report);
            let mut told = Vec::new();
            std::fs::File::from(read).read_to_end(&mut told).doing("wait for the program")?;
            if told.is_empty() { Ok(pid) } else { Err(failure(&told, job)) }
        }
        Forked::Child => {
            // Moved, so that the descriptors that the program gets don't overwrite it; it closes when the program's
            // own code begins.
            let Ok(report) = rustix::io::fcntl_dupfd_cloexec(&report, OUT_OF_THE_WAY) else {
                std::process::exit(127)
            };
            let Err(failed) = become_anyone(confined, filter)
                .and_then(|()| become_program(job, &words, &outlets, &report, confined));
            let _ = rustix::io::write(&report, &told(&failed));
            std::process::exit(127)
        }
    }
}

/// A process that is made ahead: it goes as far as it can, and the rest of the way with the job that comes over `line`.
pub fn wait_for_job(line: OwnedFd, filter: &[libc::sock_filter]) -> ! {
    let Ok(line) = rustix::io::fcntl_dupfd_cloexec(&line, OUT_OF_THE_WAY) else { std::process::exit(127) };
    let own = line.as_raw_fd() as u32;
    let closed = kernel::close_range(3, own - 1).and_then(|()| kernel::close_range(own + 1, u32::MAX));
    let ready = closed.map_err(|error| (Step::ArrangeDescriptors, error));
    let went = ready.and_then(|()| become_anyone(true, filter)).and_then(|()| take_job(&line));
    if let Err(failed) = went {
        let _ = socket::send_text(&line, &told(&failed), &[]);
    }
    std::process::exit(127)
}

/// Only comes back with a failure, or when nothing is to be done any more.
fn take_job(line: &OwnedFd) -> Result<(), Failed> {
    let of_start = |error| (Step::ArrangeDescriptors, error);
    let Some(packet) = socket::receive(line).map_err(of_start)? else { return Ok(()) };
    let job: Job = packet.message().map_err(of_start)?;
    let mut descriptors = packet.descriptors.into_iter();
    let missing = || of_start(io::Error::from_raw_os_error(libc::EBADF));
    let output = descriptors.next().ok_or_else(missing)?;
    // Closed by number on the way.
    let outlets = ManuallyDrop::new(Outlets { output, frames: descriptors.next(), handover: None });
    let words = Words::of(&job).map_err(|error| (Step::Execute, error))?;
    match become_program(&job, &words, &outlets, line, true)? {}
}

/// A copy of init. One that waits for its function shares the working folder with init, which enters the function's
/// code for it: not every program can do that itself. [`part_from_program`] ends it before the program knows anything
/// of a function.
fn family_member(shares_folder: bool) -> io::Result<Forked> {
    if !shares_folder {
        return kernel::fork();
    }
    Ok(match kernel::clone3(libc::CLONE_FS as u64, None)? {
        Cloned::Child => Forked::Child,
        Cloned::Parent { pid, .. } => Forked::Parent(pid),
    })
}

/// Enters the working folder again, now that something else is mounted there, together with the program that waits;
/// and has its own working folder from then on.
pub fn part_from_program(cwd: &Path) -> Result<(), Failure> {
    rustix::process::chdir(cwd).doing("enter the function's folder")?;
    kernel::unshare(UnshareFlags::FS).doing("have a working folder of its own")?;
    rustix::process::chdir("/").doing("enter the root")
}

/// Becomes a user, with nobody's groups.
pub fn take_ids(uid: u32, gid: u32) -> io::Result<()> {
    // Where the kernel forbids it (one mapped id, set up without privilege), there is nothing to be done: the groups
    // are the node's own user's.
    let _ = rustix::thread::set_thread_groups(&[]);
    let (uid, gid) = (Uid::from_raw(uid), Gid::from_raw(gid));
    rustix::thread::set_thread_res_gid(gid, gid, gid)?;
    rustix::thread::set_thread_res_uid(uid, uid, uid)?;
    Ok(())
}

/// What the program is called with.
struct Words {
    argv: Vec<CString>,
    env: Vec<CString>,
}

impl Words {
    fn of(job: &Job) -> io::Result<Self> {
        let argv = kernel::c_strings(job.argv.iter().cloned())?;
        let env = kernel::c_strings(job.env.iter().map(|(key, value)| format!("{key}={value}")))?;
        Ok(Self { argv, env })
    }
}

/// The part of the way that is the same for every program.
fn become_anyone(confined: bool, filter: &[libc::sock_filter]) -> Result<(), Failed> {
    be_the_first_to_go().map_err(|error| (Step::ExpectTheKiller, error))?;
    stand_alone().map_err(|error| (Step::GiveUpPrivileges, error))?;
    if confined {
        give_up_privileges().map_err(|error| (Step::GiveUpPrivileges, error))?;
        // It allows what is left of the way: a program may go it too.
        kernel::install_seccomp(filter).map_err(|error| (Step::FilterCalls, error))?;
    }
    Ok(())
}

/// The rest of it.
fn become_program(
    job: &Job,
    words: &Words,
    outlets: &Outlets,
    report: &OwnedFd,
    confined: bool,
) -> Result<Infallible, Failed> {
    arrange_descriptors(outlets, report).map_err(|error| (Step::ArrangeDescriptors, error))?;
    rustix::process::chdir(&job.cwd).map_err(|error| (Step::EnterFolder, error.into()))?;
    if confined {
        landlock::confine().map_err(|error| (Step::ConfineWrites, error))?;
    }
    // The program's own turns are as long as anyone's.
    let _ = kernel::ask_for_turns(0);
    Err((Step::Execute, kernel::exec(&words.argv, &words.env)))
}

/// What a program inherits from init, and init can do without. Done ahead of the start, which it would slow down.
pub fn prepare(confined: bool) -> io::Result<()> {
    if confined {
        // Without a user id of its own it would count the user's other processes.
        rustix::process::setrlimit(Resource::Nproc, most(limits::PROCESSES_MAX))?;
        drop_bounding_set(CapabilitySet::empty())?;
    }
    prepare_anyone()
}

/// The part of it that goes for a program without a user id of its own.
pub fn prepare_anyone() -> io::Result<()> {
    rustix::process::setrlimit(Resource::Core, most(0))?;
    rustix::process::setrlimit(Resource::Nofile, most(limits::FILES_MAX))?;
    kernel::reset_signals();
    Ok(rustix::thread::set_no_new_privs(true)?)
}

fn most(value: u64) -> Rlimit {
    Rlimit { current: Some(value), maximum: Some(value) }
}

/// When memory runs out, so that init lives to tell of it.
fn be_the_first_to_go() -> io::Result<()> {
    // Else the file isn't ours, because our user is not the one that the spawner was started as.
    rustix::process::set_dumpable_behavior(DumpableBehavior::Dumpable)?;
    std::fs::write("/proc/self/oom_score_adj", "1000")
}

fn arrange_descriptors(outlets: &Outlets, report: &OwnedFd) -> io::Result<()> {
    let aside = |fd: &OwnedFd| rustix::io::fcntl_dupfd_cloexec(fd, OUT_OF_THE_WAY);
    let null = rustix::fs::open("/dev/null", OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty())?;
    let aside_null = aside(&null)?;
    // Before everything from 4 on is closed by number: a descriptor is closed once.
    drop(null);
    let (null, output) = (aside_null, aside(&outlets.output)?);
    let frames = outlets.frames.as_ref().map(aside).transpose()?;
    let handover = outlets.handover.as_ref().map(aside).transpose()?;
    for (fd, number) in [(&null, 0), (&output, 1), (&output, 2)] {
        kernel::duplicate_onto(fd.as_fd(), number)?;
    }
    let mut first_unused = 3;
    if let Some(frames) = &frames {
        kernel::duplicate_onto(frames.as_fd(), FRAMES_FD)?;
        first_unused = FRAMES_FD as u32 + 1;
    }
    if let Some(handover) = &handover {
        kernel::duplicate_onto(handover.as_fd(), HANDOVER_FD)?;
        first_unused = HANDOVER_FD as u32 + 1;
    }
    for fd in [null, output].into_iter().chain(frames).chain(handover) {
        // Closed by number below, together with all others.
        std::mem::forget(fd);
    }
    let kept = report.as_raw_fd() as u32;
    kernel::close_range(first_unused, kept - 1)?;
    kernel::close_range(kept + 1, u32::MAX)
}

/// Nothing of how init lives.
fn stand_alone() -> io::Result<()> {
    kernel::unblock_signals();
    rustix::process::umask(Mode::from_raw_mode(0o022));
    rustix::process::setsid()?;
    Ok(())
}

/// No capability but those can come back, not even through a file that would grant it.
pub fn drop_bounding_set(kept: CapabilitySet) -> io::Result<()> {
    for number in 0..64_u32 {
        let capability = CapabilitySet::from_bits_retain(1 << number);
        if kept.contains(capability) {
            continue;
        }
        match rustix::thread::remove_capability_from_bounding_set(capability) {
            // Past the last one that this kernel knows.
            Err(rustix::io::Errno::INVAL) => break,
            other => other?,
        }
    }
    Ok(())
}

fn give_up_privileges() -> io::Result<()> {
    take_ids(PROGRAM_UID, PROGRAM_GID)?;
    rustix::thread::clear_ambient_capability_set()?;
    let none = CapabilitySet::empty();
    rustix::thread::set_capabilities(
        None,
        CapabilitySets { effective: none, permitted: none, inheritable: none },
    )?;
    Ok(())
}
