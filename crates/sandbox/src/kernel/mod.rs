//! The kernel calls that no crate at hand wraps safely: the only `unsafe` of the platform.
//!
//! Each function is a thin, checked wrapper: it takes owned or borrowed descriptors and plain values, and its
//! safety never depends on the caller. Two kinds of functions ask more, and say so: those that duplicate the
//! process ([`fork`], [`clone3`]) must be called where only one thread exists, which holds in the spawner and in
//! everything it starts, and never in the node.

#![allow(unsafe_code)]

mod birth;
mod devices;
mod process;

use std::ffi::CString;
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};

use rustix::mount::MountAttrFlags;

pub use birth::birth;
pub use devices::{abandon_ext4, attach_loop, bring_up, free_loop_number};
pub use process::{
    Cloned, Forked, ask_for_turns, clone3, exec, fork, kill_all, probe_fork, share_heaps,
    signal_first_thread, spawn_with, unshare,
};

/// The result of a call that answers -1 and sets `errno`.
fn check(result: libc::c_long) -> io::Result<libc::c_long> {
    if result < 0 { Err(io::Error::last_os_error()) } else { Ok(result) }
}

/// Sets attributes on a mount, and on everything mounted below it when `recursive`; cuts it off from what is mounted
/// and unmounted elsewhere.
pub fn mount_setattr(mount: impl AsFd, set: MountAttrFlags, recursive: bool) -> io::Result<()> {
    #[repr(C)]
    struct MountAttr {
        attr_set: u64,
        attr_clr: u64,
        propagation: u64,
        userns_fd: u64,
    }
    let attributes = MountAttr {
        attr_set: u64::from(set.bits()),
        attr_clr: 0,
        propagation: libc::MS_PRIVATE,
        userns_fd: 0,
    };
    let flags = libc::AT_EMPTY_PATH | if recursive { libc::AT_RECURSIVE } else { 0 };
    // SAFETY: the path is a static C string, the structure lives through the call and its size is the one passed.
    check(unsafe {
        libc::syscall(
            libc::SYS_mount_setattr,
            mount.as_fd().as_raw_fd(),
            c"".as_ptr(),
            flags,
            &raw const attributes,
            size_of::<MountAttr>(),
        )
    })?;
    Ok(())
}

/// Closes every descriptor from `first` to `last`, both included.
///
/// The caller must own all of them: this is for a fresh child that keeps a few and drops what it inherited.
pub fn close_range(first: u32, last: u32) -> io::Result<()> {
    // SAFETY: plain numbers. Descriptors that Rust values of the parent's image stand for are never used again
    // in the child, because its entry point never returns to the parent's code.
    check(unsafe { libc::syscall(libc::SYS_close_range, first, last, 0) })?;
    Ok(())
}

/// Makes descriptor `wanted` refer to what `fd` refers to, without close-on-exec.
pub fn duplicate_onto(fd: BorrowedFd<'_>, wanted: RawFd) -> io::Result<()> {
    if fd.as_raw_fd() == wanted {
        // SAFETY: clears a flag of a descriptor that is open, as `fd` shows.
        check(unsafe { libc::fcntl(wanted, libc::F_SETFD, 0) }.into())?;
        return Ok(());
    }
    // SAFETY: plain numbers; whatever `wanted` was before is given up by the caller.
    check(unsafe { libc::dup2(fd.as_raw_fd(), wanted) }.into())?;
    Ok(())
}

/// Takes over a descriptor that the process was started with.
///
/// Answers an error when it isn't open. Must be called once for a number, at the start of the process.
pub fn inherited(number: RawFd) -> io::Result<OwnedFd> {
    // SAFETY: asks for flags; harmless on a number that is not open.
    check(unsafe { libc::fcntl(number, libc::F_SETFD, libc::FD_CLOEXEC) }.into())?;
    // SAFETY: it is open, as the call above showed, and nothing else in this process owns it yet.
    Ok(unsafe { OwnedFd::from_raw_fd(number) })
}

/// Installs a seccomp filter on the calling thread. Needs no_new_privs or privilege.
pub fn install_seccomp(filter: &[libc::sock_filter]) -> io::Result<()> {
    let program = libc::sock_fprog {
        len: u16::try_from(filter.len()).map_err(|_| io::Error::from_raw_os_error(libc::E2BIG))?,
        filter: filter.as_ptr().cast_mut(),
    };
    // SAFETY: the filter outlives the call, its length is passed, and the kernel only reads it.
    check(unsafe { libc::syscall(libc::SYS_seccomp, libc::SECCOMP_SET_MODE_FILTER, 0, &raw const program) })?;
    Ok(())
}

/// Blocks the given signals and answers a descriptor on which they can be read.
pub fn signal_descriptor(signals: &[i32]) -> io::Result<OwnedFd> {
    let mut set = empty_signal_set();
    for signal in signals {
        // SAFETY: the set was initialised.
        check(unsafe { libc::sigaddset(&raw mut set, *signal) }.into())?;
    }
    // SAFETY: the set is initialised and the old mask isn't asked for.
    check(unsafe { libc::sigprocmask(libc::SIG_BLOCK, &raw const set, std::ptr::null_mut()) }.into())?;
    // SAFETY: the set is initialised; a new descriptor is asked for.
    let fd =
        check(unsafe { libc::signalfd(-1, &raw const set, libc::SFD_CLOEXEC | libc::SFD_NONBLOCK) }.into())?;
    // SAFETY: the kernel has just made it for us.
    Ok(unsafe { OwnedFd::from_raw_fd(fd as RawFd) })
}

/// Default handling for every signal, as a program expects to be started.
pub fn reset_signals() {
    /// The kernel's own form of it, all zero: default handling.
    const ACTION_WORDS: usize = 4;
    const SIGNALS: i32 = 64;
    let default = [0_usize; ACTION_WORDS];
    for signal in 1..=SIGNALS {
        // SAFETY: the kernel reads an action, which is no longer than four words on any architecture, and writes
        // none. The C library's own function would leave out the two signals that it uses itself, and those may be
        // inherited as ignored. It is refused for signals that can't change, which is fine.
        unsafe {
            libc::syscall(
                libc::SYS_rt_sigaction,
                signal,
                default.as_ptr(),
                std::ptr::null_mut::<usize>(),
                size_of::<u64>(),
            )
        };
    }
}

/// Lets every signal through.
pub fn unblock_signals() {
    let set = empty_signal_set();
    // SAFETY: the set is initialised and the old mask isn't asked for.
    unsafe { libc::sigprocmask(libc::SIG_SETMASK, &raw const set, std::ptr::null_mut()) };
}

fn empty_signal_set() -> libc::sigset_t {
    // SAFETY: `sigset_t` is plain data, and `sigemptyset` initialises it as POSIX asks.
    unsafe {
        let mut set = std::mem::zeroed();
        libc::sigemptyset(&raw mut set);
        set
    }
}

/// The newest landlock version that the kernel speaks; `None` without landlock.
pub fn landlock_version() -> Option<u32> {
    const CREATE_RULESET_VERSION: u32 = 1;
    // SAFETY: with this flag the kernel reads no memory and makes nothing.
    let version = unsafe {
        libc::syscall(libc::SYS_landlock_create_ruleset, std::ptr::null::<u8>(), 0, CREATE_RULESET_VERSION)
    };
    u32::try_from(version).ok().filter(|version| *version > 0)
}

/// Strings as `execve` wants them. A string with a NUL inside is refused.
pub fn c_strings<I: IntoIterator<Item = String>>(strings: I) -> io::Result<Vec<CString>> {
    strings
        .into_iter()
        .map(|text| CString::new(text).map_err(|_| io::Error::from_raw_os_error(libc::EINVAL)))
        .collect()
}

/// A descriptor whose readiness the runtime watches.
pub fn watched(fd: OwnedFd) -> io::Result<tokio::io::unix::AsyncFd<OwnedFd>> {
    // SAFETY: an `OwnedFd` answers the same, open descriptor for as long as it lives, and it lives in the result.
    unsafe { tokio::io::unix::AsyncFd::register(fd) }.map_err(io::Error::from)
}
