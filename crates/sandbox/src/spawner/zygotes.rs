//! Zygotes: programs that have booted and copy themselves into sandboxes.
//!
//! One knows no function. It is given the sandbox's first process, groups to enter, and the copy's end of a line to
//! that process, which takes the copy in and is told of the function by the node. When anything goes wrong the line
//! closes, and the program is started anew inside; so nothing here waits for a zygote.
//!
//! A dead zygote's copies live on: the sandbox's first process is their parent.

use std::collections::HashMap;
use std::io;
use std::os::fd::{AsFd as _, BorrowedFd, OwnedFd};

use lambent_core::limits;
use rustix::process::{Signal, WaitId, WaitIdOptions};

use super::{Workshop, sources};
use crate::cgroup::Group;
use crate::init::zygote::{self, Inheritance};
use crate::kernel::{self, Cloned};
use crate::protocol::{Confinement, Doing, Failure, Job, ZygoteId};
use crate::socket;
use crate::users::{PROGRAM_GID, PROGRAM_UID};

/// The text of an order: what counts are its descriptors.
const ORDER: &[u8] = b"copy";

#[derive(Default)]
pub struct Zygotes {
    kept: HashMap<ZygoteId, Zygote>,
}

struct Zygote {
    pidfd: OwnedFd,
    orders: OwnedFd,
    ready: bool,
}

/// What the end of a zygote's socket told.
pub enum Heard {
    Nothing,
    Ready,
    Ended,
}

impl Zygotes {
    /// Starts one, and answers what it is heard on.
    pub fn keep(&mut self, workshop: &Workshop, number: ZygoteId, job: &Job) -> Result<&OwnedFd, Failure> {
        let zygote = Zygote::start(workshop, job)?;
        Ok(&self.kept.entry(number).insert_entry(zygote).into_mut().orders)
    }

    /// Ends one that isn't wanted any more; [`Zygotes::hear`] learns of it.
    pub fn part(&self, number: ZygoteId) {
        if let Some(zygote) = self.kept.get(&number) {
            zygote.kill();
        }
    }

    /// Ends all of them.
    pub fn end(&mut self) {
        for zygote in self.kept.values() {
            zygote.kill();
        }
        self.kept.clear();
    }

    pub fn hear(&mut self, number: ZygoteId) -> Heard {
        let Some(zygote) = self.kept.get_mut(&number) else { return Heard::Nothing };
        match socket::receive(&zygote.orders) {
            Ok(Some(_)) if !zygote.ready => {
                zygote.ready = true;
                Heard::Ready
            }
            Ok(Some(_)) => Heard::Nothing,
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => Heard::Nothing,
            // Dropping the socket also ends the watch over it.
            Ok(None) | Err(_) => {
                zygote.kill();
                self.kept.remove(&number);
                Heard::Ended
            }
        }
    }

    /// Has one copied into a sandbox; init's end of the line to the copy, or none where there will be no copy.
    pub fn copy_into(&self, number: ZygoteId, init: BorrowedFd<'_>, group: &Group) -> Option<OwnedFd> {
        let zygote = self.kept.get(&number).filter(|zygote| zygote.ready)?;
        let (line, theirs) = socket::pair().ok()?;
        let entrances = group.entrances().ok()?;
        let mut descriptors = vec![init, theirs.as_fd()];
        descriptors.extend(entrances.iter().map(|entrance| entrance.as_fd()));
        // It never blocks: one that doesn't read its orders is of no use.
        socket::send_text(&zygote.orders, ORDER, &descriptors).ok()?;
        Some(line)
    }
}

fn hexadecimal(bytes: impl Iterator<Item = u8>) -> String {
    bytes.map(|byte| format!("{byte:02x}")).collect()
}

impl Zygote {
    fn start(workshop: &Workshop, job: &Job) -> Result<Self, Failure> {
        let Some(template) = &workshop.template else {
            return Err(Failure::plain("make a zygote", "there are no namespaces to copy it into"));
        };
        let (orders, theirs) = socket::pair().doing("make a socket")?;
        let tree = template.tree().doing("copy the root")?;
        let mut mounts = Vec::new();
        for mount in &job.mounts {
            mounts.push(sources::open(&mount.sources)?);
            template.make_mount_point(&mount.target).doing("make a place for a zygote's mount")?;
        }
        match kernel::clone3(libc::CLONE_NEWNS as u64, None).doing("start a zygote")? {
            Cloned::Child => zygote::main(Inheritance { orders: theirs, tree, job, mounts }),
            Cloned::Parent { pidfd, .. } => {
                let zygote = Self { pidfd, orders, ready: false };
                zygote.configure(workshop).inspect_err(|_| zygote.kill())?;
                Ok(zygote)
            }
        }
    }

    fn configure(&self, workshop: &Workshop) -> Result<(), Failure> {
        let code = workshop.filter.iter().flat_map(|step| {
            let [code_0, code_1] = step.code.to_ne_bytes();
            let [k_0, k_1, k_2, k_3] = step.k.to_ne_bytes();
            [code_0, code_1, step.jt, step.jf, k_0, k_1, k_2, k_3]
        });
        let confinement = Confinement {
            uid: PROGRAM_UID,
            gid: PROGRAM_GID,
            processes_max: limits::PROCESSES_MAX,
            filter: hexadecimal(code),
            sched_setattr: libc::SYS_sched_setattr,
            birth: hexadecimal(kernel::birth().iter().copied()),
        };
        socket::send(&self.orders, &confinement, &[]).doing("tell a zygote how to confine its copies")?;
        rustix::io::ioctl_fionbio(&self.orders, true).doing("prepare a zygote's socket")
    }

    fn kill(&self) {
        let _ = rustix::process::pidfd_send_signal(&self.pidfd, Signal::KILL);
        // Ending takes it no longer than giving its memory back.
        let _ = rustix::process::waitid(WaitId::PidFd(self.pidfd.as_fd()), WaitIdOptions::EXITED);
    }
}
