//! A process made ahead of need, which becomes the program: what every program is given up to and confined by costs a
//! third of a native function's start, and knows nothing of the function.
//!
//! It stands without privileges and behind the filter, and holds nothing but its line to init. What depends on the
//! function is left for the start: descriptors, the working folder, where it may write (`/tmp` is placed then), and
//! the program itself.

use std::os::fd::{AsFd as _, OwnedFd};

use rustix::process::{Pid, Signal, WaitOptions};

use super::program::{self, Outlets};
use crate::kernel::{self, Forked};
use crate::protocol::{Doing, Failure, Job};
use crate::socket;

pub struct Preforked {
    pid: Pid,
    line: OwnedFd,
}

impl Preforked {
    pub fn make(filter: &[libc::sock_filter]) -> Result<Self, Failure> {
        let (line, own) = socket::pair().doing("make a socket")?;
        match kernel::fork().doing("start a process")? {
            Forked::Parent(pid) => Ok(Self { pid, line }),
            Forked::Child => program::wait_for_job(own, filter),
        }
    }

    /// As [`program::start`]; `None` where the process has ended meanwhile.
    pub fn start(self, job: &Job, outlets: &Outlets) -> Option<Result<Pid, Failure>> {
        let frames = outlets.frames.as_ref().map(OwnedFd::as_fd);
        let descriptors: Vec<_> = [outlets.output.as_fd()].into_iter().chain(frames).collect();
        socket::send(&self.line, job, &descriptors).ok()?;
        let told = match socket::receive(&self.line) {
            Ok(None) => Ok(self.pid),
            Ok(Some(packet)) => Err(program::failure(&packet.text, job)),
            Err(error) => Err(Failure::new("wait for the program", &error)),
        };
        Some(told)
    }

    /// It is of no use here. When this returns, no program can see it any more.
    pub fn dismiss(self) {
        if rustix::process::kill_process(self.pid, Signal::KILL).is_ok() {
            let _ = rustix::process::waitpid(Some(self.pid), WaitOptions::empty());
        }
    }
}
