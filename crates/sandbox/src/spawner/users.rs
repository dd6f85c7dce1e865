//! User ids: every live sandbox has its own, and none of them is anybody's on the host.
//!
//! Inside, the program is [`PROGRAM_UID`] and [`PROGRAM_GID`], as on the reference platform, and the first process is
//! 0. What these are outside depends on what the node may hand out:
//!
//! - as root: two ids a sandbox from a block of [`BLOCK_IDS`] from [`RANGE_START`] on. The instance's
//!   name picks the block; a lock that lives as long as the spawner keeps two nodes apart;
//! - as a user with a range in `/etc/subuid` and `/etc/subgid`: two ids from that range;
//! - otherwise there is one id for everything: the user's own.

use std::collections::BTreeSet;
use std::io::{self, Read as _, Write as _};
use std::os::fd::OwnedFd;
use std::process::{Command, Stdio};

use rustix::net::{AddressFamily, SocketAddrUnix, SocketFlags, SocketType};
use rustix::thread::UnshareFlags;

use crate::config::Isolation;
use crate::kernel::{self, Forked};
use crate::protocol::{Doing, Failure, Setup};
use crate::users::{PROGRAM_GID, PROGRAM_UID};

/// Host ids from 1,879,048,192 (0x7000_0000) up to 1,946,157,055 (0x73ff_ffff): above what `useradd`, `/etc/subuid` and systemd hand out.
pub const RANGE_START: u32 = 0x7000_0000;
const BLOCKS: u32 = 2_048;
const BLOCK_IDS: u32 = 32_768;

/// The ids that a sandbox holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Slot(u32);

enum Source {
    /// Pairs from this id on, as seen by the spawner.
    Pairs { first: u32, pairs: u32, _lock: Option<OwnedFd> },
    /// The spawner's only id.
    Own,
    /// No user namespaces at all.
    Unmapped,
}

pub struct Users {
    source: Source,
    next: u32,
    free: BTreeSet<u32>,
}

/// Decides where ids come from. As an ordinary user, enters a user namespace first.
pub fn enter(setup: &Setup, notes: &mut Vec<String>) -> Result<Users, Failure> {
    let source = if setup.isolation == Isolation::Process {
        Source::Unmapped
    } else if rustix::process::geteuid().is_root() {
        let (first, lock) = take_block(&setup.instance)?;
        Source::Pairs { first, pairs: BLOCK_IDS / 2, _lock: Some(lock) }
    } else {
        enter_namespace(notes)?
    };
    Ok(Users { source, next: 0, free: BTreeSet::new() })
}

impl Users {
    pub fn take(&mut self) -> Result<Slot, Failure> {
        if let Some(slot) = self.free.pop_first() {
            return Ok(Slot(slot));
        }
        let most = match self.source {
            Source::Pairs { pairs, .. } => pairs,
            Source::Own | Source::Unmapped => u32::MAX,
        };
        if self.next >= most {
            return Err(Failure::new("find a free user id", &io::Error::from_raw_os_error(libc::EUSERS)));
        }
        self.next += 1;
        Ok(Slot(self.next - 1))
    }

    pub fn give_back(&mut self, slot: Slot) {
        self.free.insert(slot.0);
    }

    /// The id that a sandbox's first process takes inside.
    pub fn init_id(&self) -> Option<(u32, u32)> {
        match self.source {
            Source::Pairs { .. } => Some((0, 0)),
            Source::Own => Some((PROGRAM_UID, PROGRAM_GID)),
            Source::Unmapped => None,
        }
    }

    /// Maps the ids of a new user namespace.
    pub fn map(&self, pid: i32, slot: Slot) -> io::Result<()> {
        let lines = |inside: u32| match self.source {
            Source::Pairs { first, .. } => {
                let outside = first + 2 * slot.0;
                format!("0 {outside} 1\n{inside} {} 1\n", outside + 1)
            }
            _ => format!("{inside} 0 1\n"),
        };
        if matches!(self.source, Source::Unmapped) {
            return Ok(());
        }
        write_map(pid, "uid_map", &lines(PROGRAM_UID))?;
        write_map(pid, "gid_map", &lines(PROGRAM_GID))
    }
}

fn write_map(pid: i32, file: &str, text: &str) -> io::Result<()> {
    // One write: the kernel takes a map whole.
    std::fs::OpenOptions::new().write(true).open(format!("/proc/{pid}/{file}"))?.write_all(text.as_bytes())
}

/// Finds a block of ids that no other live spawner of this host uses. The lock is a socket name, because the kernel
/// forgets it with the process.
fn take_block(instance: &str) -> Result<(u32, OwnedFd), Failure> {
    let preferred = preferred_block(instance);
    for step in 0..BLOCKS {
        let block = (preferred + step) % BLOCKS;
        let name = format!("lambent-user-ids-{block}");
        let socket =
            rustix::net::socket_with(AddressFamily::UNIX, SocketType::DGRAM, SocketFlags::CLOEXEC, None)
                .doing("make the lock for user ids")?;
        let address =
            SocketAddrUnix::new_abstract_name(name.as_bytes()).doing("name the lock for user ids")?;
        match rustix::net::bind(&socket, &address) {
            Ok(()) => return Ok((RANGE_START + block * BLOCK_IDS, socket)),
            Err(rustix::io::Errno::ADDRINUSE) => {}
            Err(error) => return Err(error).doing("lock user ids"),
        }
    }
    Err(Failure::new("find free user ids", &io::Error::from_raw_os_error(libc::EUSERS)))
}

/// FNV-1a: the same instance usually gets the same ids, which makes listings of a host readable.
fn preferred_block(instance: &str) -> u32 {
    let hash = instance
        .bytes()
        .fold(0x811c_9dc5_u32, |hash, byte| (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193));
    hash % BLOCKS
}

/// As an ordinary user: a user namespace in which we are root, with the user's sub-ids where there are any.
fn enter_namespace(notes: &mut Vec<String>) -> Result<Source, Failure> {
    let (uid, gid) = (rustix::process::geteuid().as_raw(), rustix::process::getegid().as_raw());
    let range = subordinate_ids("/etc/subuid", uid).zip(subordinate_ids("/etc/subgid", uid));
    // The helper that maps sub-ids is privileged only outside the new namespace, so it must wait there.
    let helper = match range {
        Some((uids, gids)) => Some(Helper::wait_outside(uid, gid, uids, gids)?),
        None => None,
    };
    kernel::unshare(UnshareFlags::NEWUSER).doing("make a user namespace")?;
    if let Some((helper, (uids, gids))) = helper.zip(range) {
        match helper.map() {
            Ok(()) => {
                return Ok(Source::Pairs { first: 1, pairs: uids.1.min(gids.1) / 2, _lock: None });
            }
            Err(error) => notes.push(format!("sub-ids can't be used: {error}")),
        }
    }
    notes.push("all sandboxes share the node's own user id".to_owned());
    let write = |file: &str, text: String| {
        std::fs::OpenOptions::new()
            .write(true)
            .open(format!("/proc/self/{file}"))
            .and_then(|mut file| file.write_all(text.as_bytes()))
            .doing(format!("write {file}"))
    };
    write("uid_map", format!("0 {uid} 1\n"))?;
    write("setgroups", "deny".to_owned())?;
    write("gid_map", format!("0 {gid} 1\n"))?;
    Ok(Source::Own)
}

/// First id and number of ids that a file of sub-ids grants a user.
pub fn subordinate_ids(file: &str, uid: u32) -> Option<(u32, u32)> {
    let text = std::fs::read_to_string(file).ok()?;
    let name = user_name(uid);
    text.lines().find_map(|line| {
        let mut fields = line.split(':');
        let (who, first, count) = (fields.next()?, fields.next()?, fields.next()?);
        let ours = Some(who) == name.as_deref() || who == uid.to_string();
        let range = (first.trim().parse().ok()?, count.trim().parse().ok()?);
        (ours && range.1 >= 2).then_some(range)
    })
}

fn user_name(uid: u32) -> Option<String> {
    let text = std::fs::read_to_string("/etc/passwd").ok()?;
    text.lines().find_map(|line| {
        let mut fields = line.split(':');
        let name = fields.next()?;
        (fields.nth(1)? == uid.to_string()).then(|| name.to_owned())
    })
}

/// A child that stays outside of our user namespace and maps ids into it.
struct Helper {
    go: OwnedFd,
    answer: OwnedFd,
    pid: rustix::process::Pid,
}

impl Helper {
    fn wait_outside(uid: u32, gid: u32, uids: (u32, u32), gids: (u32, u32)) -> Result<Self, Failure> {
        let (wait, go) = rustix::pipe::pipe().doing("make a pipe")?;
        let (answer, say) = rustix::pipe::pipe().doing("make a pipe")?;
        let spawner = rustix::process::getpid().as_raw_nonzero().to_string();
        match kernel::fork().doing("start the id helper")? {
            Forked::Parent(pid) => Ok(Self { go, answer, pid }),
            Forked::Child => {
                drop(go);
                let _ = rustix::io::read(&wait, &mut [0_u8; 1]);
                let run = |program: &str, own: u32, (first, count): (u32, u32)| {
                    Command::new(program)
                        .args([spawner.as_str(), "0", &own.to_string(), "1"])
                        .args(["1", &first.to_string(), &count.to_string()])
                        .stdin(Stdio::null())
                        .status()
                        .is_ok_and(|status| status.success())
                };
                let done = run("newuidmap", uid, uids) && run("newgidmap", gid, gids);
                let _ = rustix::io::write(&say, &[u8::from(done)]);
                std::process::exit(0)
            }
        }
    }

    fn map(self) -> io::Result<()> {
        rustix::io::write(&self.go, &[1])?;
        drop(self.go);
        let mut done = [0_u8; 1];
        std::fs::File::from(self.answer).read_exact(&mut done)?;
        let _ = rustix::process::waitpid(Some(self.pid), rustix::process::WaitOptions::empty());
        if done == [1] { Ok(()) } else { Err(io::Error::other("newuidmap or newgidmap refused")) }
    }
}
