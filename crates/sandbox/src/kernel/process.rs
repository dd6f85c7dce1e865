//! Making processes: clone, fork, exec.

use std::ffi::CString;
use std::io;
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};

use rustix::process::Pid;

use super::check;

/// On which side of [`clone3`] the caller is.
pub enum Cloned {
    Child,
    Parent { pid: Pid, pidfd: OwnedFd },
}

/// On which side of [`fork`] the caller is.
pub enum Forked {
    Child,
    Parent(Pid),
}

/// The C library's constant is too narrow for its value.
const CLONE_INTO_CGROUP: u64 = 0x2_0000_0000;

/// Duplicates the process into new namespaces, and into a v2 cgroup when one is given.
///
/// Only for a process with a single thread: the child goes on with a copy of this thread alone.
pub fn clone3(namespaces: u64, cgroup: Option<BorrowedFd<'_>>) -> io::Result<Cloned> {
    let mut pidfd: RawFd = -1;
    // SAFETY: plain data for which zero is the documented "not asked for".
    let mut arguments: libc::clone_args = unsafe { std::mem::zeroed() };
    arguments.flags = namespaces | libc::CLONE_PIDFD as u64;
    arguments.pidfd = (&raw mut pidfd) as u64;
    arguments.exit_signal = libc::SIGCHLD as u64;
    if let Some(cgroup) = cgroup {
        arguments.flags |= CLONE_INTO_CGROUP;
        arguments.cgroup = cgroup.as_raw_fd() as u64;
    }
    // SAFETY: no stack is passed and memory isn't shared, so the child runs on its own copy, as after a fork. The
    // process has one thread, so no lock of the C library can be held by a thread that the child lacks.
    let pid =
        check(unsafe { libc::syscall(libc::SYS_clone3, &raw mut arguments, size_of::<libc::clone_args>()) })?;
    match Pid::from_raw(pid as i32) {
        None => Ok(Cloned::Child),
        // SAFETY: the kernel stored a new descriptor, owned by nobody else.
        Some(pid) => Ok(Cloned::Parent { pid, pidfd: unsafe { OwnedFd::from_raw_fd(pidfd) } }),
    }
}

/// Duplicates the process. Only for a process with a single thread.
pub fn fork() -> io::Result<Forked> {
    // SAFETY: the process has one thread, so the child may do everything that the parent may.
    let pid = check(unsafe { libc::fork() }.into())?;
    Ok(Pid::from_raw(pid as i32).map_or(Forked::Child, Forked::Parent))
}

/// How long the process, and those that it makes, may stay on a CPU at a time. Who asks for short turns gets the next
/// one sooner when others want it too; its share stays as it was. 0 takes the system's own length.
///
/// Kernels before 6.12 don't know of it, and a process that isn't scheduled the usual way has no turns.
pub fn ask_for_turns(nanos: u64) -> io::Result<()> {
    let nice = rustix::process::getpriority_process(None)?;
    // SAFETY: plain data for which zero is a value.
    let mut attributes: libc::sched_attr = unsafe { std::mem::zeroed() };
    attributes.size = size_of::<libc::sched_attr>() as u32;
    attributes.sched_flags = libc::SCHED_FLAG_KEEP_POLICY as u64;
    attributes.sched_nice = nice;
    attributes.sched_runtime = nanos;
    // SAFETY: the kernel reads as many bytes as `size` says, all of them ours.
    check(unsafe { libc::syscall(libc::SYS_sched_setattr, 0, &raw const attributes, 0) })?;
    Ok(())
}

/// Moves the process into new namespaces. Only for a process with a single thread.
pub fn unshare(flags: rustix::thread::UnshareFlags) -> io::Result<()> {
    // SAFETY: the flags that matter for memory safety (a private descriptor table beneath other threads' feet)
    // can't matter with one thread.
    unsafe { rustix::thread::unshare_unsafe(flags) }?;
    Ok(())
}

/// Tries, in a child, whether the calls of `attempt` are allowed here; answers the error number of the first that
/// wasn't. Unlike [`fork`] it may be called with other threads about, because the child only makes kernel calls.
pub fn probe_fork(flags: libc::c_int) -> io::Result<Result<(), io::Error>> {
    // SAFETY: between here and `_exit` the child makes two raw kernel calls, which are async-signal-safe.
    let pid = check(unsafe { libc::fork() }.into())?;
    if pid == 0 {
        // SAFETY: as above; `_exit` runs no destructor.
        unsafe {
            let code = if libc::unshare(flags) == 0 { 0 } else { *libc::__errno_location() };
            libc::_exit(code)
        }
    }
    let mut status = 0;
    // SAFETY: waits for our own child; the status lives through the call.
    check(unsafe { libc::waitpid(pid as i32, &raw mut status, 0) }.into())?;
    let code = libc::WEXITSTATUS(status);
    Ok(if code == 0 { Ok(()) } else { Err(io::Error::from_raw_os_error(code)) })
}

/// Replaces the process's program. Only comes back with an error.
pub fn exec(argv: &[CString], env: &[CString]) -> io::Error {
    let pointers = |strings: &[CString]| -> Vec<*const libc::c_char> {
        strings.iter().map(|text| text.as_ptr()).chain([std::ptr::null()]).collect()
    };
    let Some(program) = argv.first() else { return io::Error::from_raw_os_error(libc::EINVAL) };
    let (argv, env) = (pointers(argv), pointers(env));
    // SAFETY: both arrays end with a null pointer, and the strings they point to live through the call.
    unsafe { libc::execve(program.as_ptr(), argv.as_ptr(), env.as_ptr()) };
    io::Error::last_os_error()
}

/// Sends a signal to every process that the caller may signal, save itself and, in a pid namespace, pid 1.
///
/// Only for the first process of a pid namespace: elsewhere it would reach the whole host, so it refuses.
pub fn kill_all(signal: i32) -> io::Result<()> {
    if rustix::process::getpid() != Pid::INIT {
        return Err(io::Error::from_raw_os_error(libc::EPERM));
    }
    // SAFETY: plain numbers.
    check(unsafe { libc::kill(-1, signal) }.into())?;
    Ok(())
}

/// Sends a signal to the first thread of a process. Languages that handle signals in that thread alone (Python) hear of
/// it there at once; the kernel would pick any thread of a process that was just thawed.
pub fn signal_first_thread(pid: Pid, signal: i32) -> io::Result<()> {
    let pid = libc::c_long::from(pid.as_raw_nonzero().get());
    // SAFETY: plain numbers.
    check(unsafe { libc::syscall(libc::SYS_tgkill, pid, pid, libc::c_long::from(signal)) })?;
    Ok(())
}

/// Starts a command with `fd` as its descriptor `number`.
pub fn spawn_with(
    command: &mut std::process::Command,
    fd: BorrowedFd<'_>,
    number: RawFd,
) -> io::Result<std::process::Child> {
    use std::os::unix::process::CommandExt as _;
    let fd = fd.as_raw_fd();
    // SAFETY: the closure runs in the child before its program; it makes two kernel calls, which are
    // async-signal-safe, and touches no memory but its own stack.
    unsafe {
        command.pre_exec(move || {
            let done = if fd == number { libc::fcntl(fd, libc::F_SETFD, 0) } else { libc::dup2(fd, number) };
            check(done.into()).map(drop)
        });
    }
    command.spawn()
}

/// Lets all threads together allocate from so many heaps at the most; to be called before there are threads.
///
/// The C library gives each new thread a heap of its own, up to eight for each processor, and memory that was freed in
/// one is of no use to another. Threads for blocking work come and go all day, so that each heap would keep what the
/// busiest moment of its own left behind.
#[cfg(target_env = "gnu")]
pub fn share_heaps(count: u16) {
    // SAFETY: plain numbers. A count that the library doesn't like changes nothing.
    unsafe { libc::mallopt(libc::M_ARENA_MAX, i32::from(count)) };
}

/// Other C libraries have one heap for all.
#[cfg(not(target_env = "gnu"))]
pub fn share_heaps(_count: u16) {}
