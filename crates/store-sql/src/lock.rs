//! One process a data directory.
//!
//! A record lock of `fcntl` and not `flock`: children that are forked inherit the latter, so a sandbox that
//! outlives a killed node would keep the directory from the next one. A record lock is the process's alone. Its
//! price: it doesn't hold against its own process, and it is lost as soon as that process closes *any*
//! descriptor of the file. So the directories that this process holds stand in a list, and nothing but this
//! module opens the file.

use std::collections::BTreeSet;
use std::fs::{File, OpenOptions};
use std::io::{Read, Write};
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::sync::{Mutex, MutexGuard, PoisonError};

use rustix::fs::{FlockOperation, fcntl_lock};
use rustix::io::Errno;
use rustix::process::{Flock, FlockType, fcntl_getlk};

use crate::{OpenError, io_error};

/// Device and inode of a directory, whatever path leads to it.
type Identity = (u64, u64);

static HELD_HERE: Mutex<BTreeSet<Identity>> = Mutex::new(BTreeSet::new());

/// Held for as long as the data directory is open. The kernel lets go of it when the process ends, however it
/// ends, so there is no stale lock to clean up; the file itself stays.
#[derive(Debug)]
pub struct DirectoryLock {
    identity: Identity,
    /// Closed before the directory leaves the list, in `drop`.
    file: Option<File>,
}

impl DirectoryLock {
    /// Makes the directory when it is not there, and takes it for this process.
    pub fn take(directory: &Path) -> Result<Self, OpenError> {
        let path = directory.join("lock");
        let io = |error| io_error(&path, error);
        let in_use = |pid| OpenError::InUse { directory: directory.to_owned(), pid };
        std::fs::create_dir_all(directory).map_err(io)?;
        let metadata = std::fs::metadata(directory).map_err(io)?;
        let identity = (metadata.dev(), metadata.ino());
        let mut held = held_here();
        if held.contains(&identity) {
            return Err(in_use(std::process::id().to_string()));
        }
        let mut options = OpenOptions::new();
        let mut file = options.read(true).write(true).create(true).truncate(false).open(&path).map_err(io)?;
        match fcntl_lock(&file, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => {}
            Err(Errno::AGAIN | Errno::ACCESS) => return Err(in_use(holder(&mut file))),
            Err(error) => return Err(io(error.into())),
        }
        // Only for the message above: the lock holds without it, so a full disk is no reason to refuse.
        let _ = file.set_len(0).and_then(|()| write!(file, "{}", std::process::id()));
        held.insert(identity);
        Ok(Self { identity, file: Some(file) })
    }
}

impl Drop for DirectoryLock {
    fn drop(&mut self) {
        let mut held = held_here();
        self.file.take();
        held.remove(&self.identity);
    }
}

fn held_here() -> MutexGuard<'static, BTreeSet<Identity>> {
    HELD_HERE.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The process that the kernel names; where that is of another pid namespace, the one that it wrote down.
fn holder(file: &mut File) -> String {
    if let Ok(Some(Flock { pid: Some(pid), .. })) = fcntl_getlk(&*file, &Flock::from(FlockType::WriteLock)) {
        return pid.as_raw_nonzero().to_string();
    }
    let mut text = String::new();
    let _ = file.take(20).read_to_string(&mut text);
    if !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit()) { text } else { "unknown".into() }
}
