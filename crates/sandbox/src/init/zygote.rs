//! From a copy of the spawner to a zygote: a program in a root like a sandbox's, which may enter sandboxes and little
//! else.
//!
//! It stays in the spawner's user and pid namespaces, since only from there can sandboxes be entered, and keeps the two
//! capabilities that this takes. Of the host's files it sees what every sandbox sees; it has no network, and no output.

use std::io;
use std::os::fd::{AsFd as _, OwnedFd, RawFd};

use lambent_core::ports::sandbox::ZYGOTE_VARIABLE;
use rustix::fs::{Mode, OFlags};
use rustix::process::Signal;
use rustix::thread::{CapabilitySet, CapabilitySets};

use super::{program, root};
use crate::kernel;
use crate::protocol::{Doing, Failure, Job};

/// The zygote's descriptor for its orders: above those of a program.
pub const ORDERS: RawFd = 16;

/// To enter namespaces, and to name those of a process.
const KEPT: CapabilitySet = CapabilitySet::SYS_ADMIN.union(CapabilitySet::SYS_PTRACE);

/// What the process is born with.
pub struct Inheritance<'a> {
    pub orders: OwnedFd,
    pub tree: OwnedFd,
    pub job: &'a Job,
    /// One for each of the job's mounts.
    pub mounts: Vec<OwnedFd>,
}

/// Never comes back into the spawner's code. Why it came to nothing is told by the end of the socket alone.
pub fn main(inheritance: Inheritance<'_>) -> ! {
    let code = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| match live(inheritance) {
        Ok(never) => match never {},
        Err(failure) => {
            eprintln!("lambent zygote: {}: {}", failure.what, failure.detail);
            127
        }
    }));
    std::process::exit(code.unwrap_or(101))
}

fn live(inheritance: Inheritance<'_>) -> Result<std::convert::Infallible, Failure> {
    let Inheritance { orders, tree, job, mounts } = inheritance;
    let _ = rustix::thread::set_name(c"lambent-zygote");
    rustix::process::set_parent_process_death_signal(Some(Signal::KILL)).doing("tie it to its maker")?;
    root::enter(&tree, None)?;
    for (mount, tree) in job.mounts.iter().zip(&mounts) {
        root::place(tree, &mount.target)?;
    }
    let argv = kernel::c_strings(job.argv.iter().cloned()).doing("read its arguments")?;
    let own = (ZYGOTE_VARIABLE.to_owned(), ORDERS.to_string());
    let env = kernel::c_strings(job.env.iter().chain([&own]).map(|(key, value)| format!("{key}={value}")));
    let env = env.doing("read its environment")?;
    rustix::process::chdir(&job.cwd).doing("enter its folder")?;
    let arranged = arrange_descriptors(&orders);
    // They went with all others, by number: a descriptor is closed once.
    std::mem::forget((orders, tree, mounts));
    arranged.doing("arrange its descriptors")?;
    give_up().doing("give up privileges")?;
    // It keeps the spawner's short turns, since somebody waits for each copy; copies' own turns are as long as anyone's.
    let cause = kernel::exec(&argv, &env);
    Err(Failure::new("execute", &cause))
}

fn arrange_descriptors(orders: &OwnedFd) -> io::Result<()> {
    let null = rustix::fs::open("/dev/null", OFlags::RDWR | OFlags::CLOEXEC, Mode::empty())?;
    for standard in 0..3 {
        kernel::duplicate_onto(null.as_fd(), standard)?;
    }
    drop(null);
    kernel::duplicate_onto(orders.as_fd(), ORDERS)?;
    kernel::close_range(3, ORDERS as u32 - 1)?;
    kernel::close_range(ORDERS as u32 + 1, u32::MAX)
}

fn give_up() -> io::Result<()> {
    program::drop_bounding_set(KEPT)?;
    program::prepare_anyone()?;
    rustix::thread::clear_ambient_capability_set()?;
    let sets = CapabilitySets { effective: KEPT, permitted: KEPT, inheritable: CapabilitySet::empty() };
    rustix::thread::set_capabilities(None, sets)?;
    kernel::unblock_signals();
    rustix::process::umask(Mode::from_raw_mode(0o022));
    rustix::process::setsid()?;
    Ok(())
}
