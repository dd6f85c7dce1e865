//! From a copy of init to the program: everything that it must not have is given up, in an order in which each step
//! is still allowed, and then its own code begins.

use std::ffi::CString;
use std::io::{self, Read as _};
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

/// Steps of the way to the program, as they are told when one fails.
const STEPS: [&str; 7] = [
    "mark it for the out-of-memory killer",
    "arrange its descriptors",
    "give up privileges",
    "enter the working folder",
    "confine what it may write to",
    "install the system call filter",
    "execute",
];
const EXECUTE: u8 = 6;
const WORKING_FOLDER: u8 = 3;

/// Starts the program. When this succeeds, the program's own code has begun.
pub fn start(
    job: &Job,
    outlets: Outlets,
    confined: bool,
    filter: &[libc::sock_filter],
) -> Result<Pid, Failure> {
    let name = job.argv.first().cloned().unwrap_or_default();
    let argv =
        kernel::c_strings(job.argv.iter().cloned()).map_err(|error| Failure::of_program(&name, &error))?;
    let env = kernel::c_strings(job.env.iter().map(|(key, value)| format!("{key}={value}")))
        .map_err(|error| Failure::of_program(&name, &error))?;
    let (read, report) = rustix::pipe::pipe_with(rustix::pipe::PipeFlags::CLOEXEC).doing("make a pipe")?;
    match family_member(outlets.handover.is_some()).doing("start a process")? {
        Forked::Parent(pid) => {
            drop(report);
            let mut told = Vec::new();
            std::fs::File::from(read).read_to_end(&mut told).doing("wait for the program")?;
            let [step, errno @ ..] = told.as_slice() else { return Ok(pid) };
            let error = io::Error::from_raw_os_error(errno.try_into().map_or(libc::EIO, i32::from_ne_bytes));
            let of_program = matches!(*step, EXECUTE | WORKING_FOLDER);
            let program = of_program.then_some(name);
            let what = STEPS.get(usize::from(*step)).copied().unwrap_or("start");
            Err(Failure { program, ..Failure::new(what, &error) })
        }
        Forked::Child => {
            // Moved, so that the descriptors that the program gets don't overwrite it; it closes when the program's
            // own code begins.
            let Ok(report) = rustix::io::fcntl_dupfd_cloexec(&report, OUT_OF_THE_WAY) else {
                std::process::exit(127)
            };
            let way = Way { job, argv: &argv, env: &env, confined, filter };
            let (step, error) = way.go(&outlets, &report);
            let mut told = vec![step];
            told.extend(error.raw_os_error().unwrap_or(libc::EIO).to_ne_bytes());
            let _ = rustix::io::write(&report, &told);
            std::process::exit(127)
        }
    }
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

struct Way<'a> {
    job: &'a Job,
    argv: &'a [CString],
    env: &'a [CString],
    confined: bool,
    filter: &'a [libc::sock_filter],
}

impl Way<'_> {
    /// Only comes back with the number of the step that failed.
    fn go(&self, outlets: &Outlets, report: &OwnedFd) -> (u8, io::Error) {
        let steps: [&dyn Fn() -> io::Result<()>; 6] = [
            &be_the_first_to_go,
            &|| arrange_descriptors(outlets, report),
            &|| if self.confined { become_program() } else { Ok(()) },
            &|| Ok(rustix::process::chdir(&self.job.cwd)?),
            &|| if self.confined { landlock::confine() } else { Ok(()) },
            &|| if self.confined { kernel::install_seccomp(self.filter) } else { Ok(()) },
        ];
        for (number, step) in steps.iter().enumerate() {
            if let Err(error) = step() {
                return (number as u8, error);
            }
        }
        // The program's own turns are as long as anyone's.
        let _ = kernel::ask_for_turns(0);
        (EXECUTE, kernel::exec(self.argv, self.env))
    }
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
    kernel::close_range(kept + 1, u32::MAX)?;
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

fn become_program() -> io::Result<()> {
    take_ids(PROGRAM_UID, PROGRAM_GID)?;
    rustix::thread::clear_ambient_capability_set()?;
    let none = CapabilitySet::empty();
    rustix::thread::set_capabilities(
        None,
        CapabilitySets { effective: none, permitted: none, inheritable: none },
    )?;
    Ok(())
}
