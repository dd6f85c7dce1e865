//! A program that is a copy of a zygote: the spawner has it made, it comes into the sandbox by itself, and this process
//! lets it go on or not.
//!
//! The copy confines itself. Nothing is believed of that: before it is told of a function, the kernel is asked whether
//! it stands where every program of this sandbox stands, without privileges and behind the filter. The zygote sees
//! neither the program's pipes nor its folders; both are handed to the copy here.

use std::io;
use std::os::fd::{AsFd as _, OwnedFd};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec};
use rustix::process::Pid;

use super::program::Outlets;
use crate::protocol::{Arrival, Doing, Failure, Welcome};
use crate::socket;
use crate::users::{PROGRAM_GID, PROGRAM_UID};

/// Longer than a zygote takes that has many copies to make on a busy host; shorter than a function's init may take.
const PATIENCE: Duration = Duration::from_secs(4);

const NAMESPACES: [&str; 7] = ["cgroup", "ipc", "mnt", "net", "pid", "user", "uts"];

/// The program's number, once it stands confined. After a failure the copy may still be on its way: it finds the line
/// closed and ends.
pub fn receive(line: OwnedFd, cwd: &Path, outlets: &Outlets) -> Result<Pid, Failure> {
    let missing = || Failure::plain("copy a runtime", "a descriptor is missing");
    let frames = outlets.frames.as_ref().ok_or_else(missing)?;
    let handover = outlets.handover.as_ref().ok_or_else(missing)?;
    let welcome = Welcome { cwd: PathBuf::from(cwd) };
    let descriptors = [outlets.output.as_fd(), frames.as_fd(), handover.as_fd()];
    socket::send(&line, &welcome, &descriptors).doing("welcome a copy")?;
    await_word(&line).doing("wait for a copy")?;
    let gone = || Failure::plain("copy a runtime", "the zygote made no copy");
    let packet = socket::receive(&line).doing("hear from a copy")?.ok_or_else(gone)?;
    match packet.message().doing("understand a copy")? {
        Arrival::Confined { pid } => {
            let pid = Pid::from_raw(pid).ok_or_else(gone)?;
            check(pid).doing("check that a copy is confined")?;
            Ok(pid)
        }
        Arrival::Failed { what, errno } => {
            let cause = errno.map_or_else(|| io::Error::other("it gave up"), io::Error::from_raw_os_error);
            Err(Failure::new(what, &cause))
        }
    }
}

fn await_word(line: &OwnedFd) -> io::Result<()> {
    let deadline = Instant::now() + PATIENCE;
    loop {
        let left = deadline.saturating_duration_since(Instant::now());
        let wait = Timespec::try_from(left).map_err(io::Error::other)?;
        match rustix::event::poll(&mut [PollFd::new(line, PollFlags::IN)], Some(&wait)) {
            Err(rustix::io::Errno::INTR) => {}
            Ok(0) => return Err(io::ErrorKind::TimedOut.into()),
            other => return other.map(drop).map_err(io::Error::from),
        }
    }
}

/// Refuses a process that is not confined as [`super::program`] confines one.
fn check(pid: Pid) -> io::Result<()> {
    let folder = PathBuf::from(format!("/proc/{}", pid.as_raw_nonzero()));
    for name in NAMESPACES {
        let of = |folder: &Path| std::fs::read_link(folder.join("ns").join(name));
        if of(&folder)? != of(Path::new("/proc/self"))? {
            return Err(io::Error::other(format!("it stands in another {name} namespace")));
        }
    }
    is_confined(&std::fs::read_to_string(folder.join("status"))?).map_err(io::Error::other)
}

/// Whether a process's status is a program's; else the line that isn't.
fn is_confined(status: &str) -> Result<(), String> {
    let four = |id: u32| format!("{id}\t{id}\t{id}\t{id}");
    let (uid, gid, none) = (four(PROGRAM_UID), four(PROGRAM_GID), "0".repeat(16));
    let expected = [
        ("Uid", uid.as_str()),
        ("Gid", gid.as_str()),
        ("CapInh", &none),
        ("CapPrm", &none),
        ("CapEff", &none),
        ("CapBnd", &none),
        ("CapAmb", &none),
        ("NoNewPrivs", "1"),
        ("Seccomp", "2"),
    ];
    for (name, wanted) in expected {
        let found = status.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
        if found.map(str::trim) != Some(wanted) {
            return Err(format!("its {name} is {:?}", found.map(str::trim)));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    const CONFINED: &str = "Name:\tpython3\nUid:\t993\t993\t993\t993\nGid:\t990\t990\t990\t990\nGroups:\t \n\
        CapInh:\t0000000000000000\nCapPrm:\t0000000000000000\nCapEff:\t0000000000000000\n\
        CapBnd:\t0000000000000000\nCapAmb:\t0000000000000000\nNoNewPrivs:\t1\nSeccomp:\t2\nSeccomp_filters:\t1\n";

    #[test]
    fn a_program_that_gave_everything_up_is_confined() {
        assert_eq!(is_confined(CONFINED), Ok(()));
    }

    #[test]
    fn anything_that_was_kept_is_noticed() {
        for (given_up, kept) in [
            ("Uid:\t993\t993", "Uid:\t993\t0"),
            ("Gid:\t990", "Gid:\t0"),
            ("CapInh:\t0", "CapInh:\t1"),
            ("CapPrm:\t0", "CapPrm:\t1"),
            ("CapEff:\t0", "CapEff:\t1"),
            ("CapBnd:\t0", "CapBnd:\t1"),
            ("CapAmb:\t0", "CapAmb:\t1"),
            ("NoNewPrivs:\t1", "NoNewPrivs:\t0"),
            ("Seccomp:\t2", "Seccomp:\t0"),
            ("Seccomp:\t2\n", ""),
        ] {
            assert!(is_confined(&CONFINED.replacen(given_up, kept, 1)).is_err(), "{kept}");
        }
    }
}
