//! The programs of one sandbox, as its first process keeps them: the first one, and those beside it.

use std::io;
use std::os::fd::OwnedFd;

use rustix::net::{AddressFamily, SocketFlags, SocketType};
use rustix::process::{Pid, Signal};

use super::program::Outlets;
use crate::kernel;

/// The number of the program that the sandbox is for.
pub const FIRST: u64 = 0;

#[derive(Default)]
pub struct Programs {
    running: Vec<(u64, Pid)>,
    /// The pipes of a first program that is started later.
    pub held: Option<Outlets>,
    had_others: bool,
}

impl Programs {
    pub fn started(&mut self, number: u64, pid: Pid) {
        self.had_others |= number != FIRST;
        self.running.push((number, pid));
    }

    /// Forgets a process that was collected; its number if it was one of the programs.
    pub fn ended(&mut self, pid: Pid) -> Option<u64> {
        let position = self.running.iter().position(|(_, running)| *running == pid)?;
        Some(self.running.swap_remove(position).0)
    }

    /// Whether the first program never had company: then its end is the sandbox's.
    pub fn was_alone(&self) -> bool {
        !self.had_others
    }

    /// One that has ended is not found: its process number may be another's.
    pub fn signal(&self, number: u64, signal: Signal) {
        if let Some((_, pid)) = self.running.iter().find(|(running, _)| *running == number) {
            let _ = kernel::signal_first_thread(*pid, signal.as_raw());
        }
    }
}

/// Made here, it belongs to the sandbox's network wherever it is used.
pub fn tcp_socket() -> io::Result<OwnedFd> {
    let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
    Ok(rustix::net::socket_with(AddressFamily::INET, SocketType::STREAM, flags, None)?)
}
