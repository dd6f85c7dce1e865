//! The sandbox's file tree: the shared root, and what must be its own.

use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;

use rustix::fs::{CWD, Mode, OFlags};
use rustix::mount::{FsMountFlags, FsOpenFlags, MountAttrFlags, OpenTreeFlags, UnmountFlags};

use super::{attach, open_inside};
use crate::kernel;
use crate::protocol::{Doing, Failure};

/// Shared memory between the program's processes. It counts as the sandbox's memory.
const SHARED_MEMORY_BYTES: u64 = 64 * 1024 * 1024;

const QUIET: MountAttrFlags = MountAttrFlags::MOUNT_ATTR_NOSUID.union(MountAttrFlags::MOUNT_ATTR_NODEV);

/// Makes the tree the root, adds what is private, and lets the host's tree go.
/// Without names to hide there is no /proc.
pub fn enter(tree: &OwnedFd, masked: Option<&[String]>) -> Result<(), Failure> {
    attach(tree, CWD, "/").doing("place the root")?;
    rustix::process::fchdir(tree).doing("enter the root")?;
    // Before the host's tree goes: the kernel shows a new /proc only to who sees a whole one.
    if let Some(masked) = masked {
        mount_proc(masked).doing("mount /proc")?;
    }
    let shared =
        memory(SHARED_MEMORY_BYTES, QUIET | MountAttrFlags::MOUNT_ATTR_NOEXEC).doing("make shared memory")?;
    attach(&shared, CWD, "dev/shm").doing("place shared memory")?;
    rustix::process::pivot_root(".", ".").doing("change the root")?;
    rustix::mount::unmount(".", UnmountFlags::DETACH).doing("let the host's tree go")?;
    rustix::process::chdir("/").doing("enter the root")
}

/// Places a mount that the spawner opened.
pub fn place(tree: &OwnedFd, target: &Path) -> Result<(), Failure> {
    let doing = || format!("place the mount at {}", target.display());
    let at = open_inside(target).doing(doing())?;
    attach(tree, at.as_fd(), "").doing(doing())
}

/// Places `/tmp`: a volume, or memory where the host has no volumes to give.
pub fn place_tmp(volume: Option<OwnedFd>, tmp_mb: u32) -> Result<(), Failure> {
    let mount = match volume {
        Some(volume) => volume,
        None => memory(u64::from(tmp_mb) * 1024 * 1024, QUIET).doing("make /tmp")?,
    };
    attach(&mount, CWD, "/tmp").doing("place /tmp")
}

fn memory(bytes: u64, attributes: MountAttrFlags) -> io::Result<OwnedFd> {
    let context = rustix::mount::fsopen("tmpfs", FsOpenFlags::FSOPEN_CLOEXEC)?;
    rustix::mount::fsconfig_set_string(&context, "mode", "1777")?;
    rustix::mount::fsconfig_set_string(&context, "size", bytes.to_string())?;
    rustix::mount::fsconfig_create(&context)?;
    Ok(rustix::mount::fsmount(&context, FsMountFlags::FSMOUNT_CLOEXEC, attributes)?)
}

fn mount_proc(masked: &[String]) -> io::Result<()> {
    let context = rustix::mount::fsopen("proc", FsOpenFlags::FSOPEN_CLOEXEC)?;
    // Processes of other users, that is init, are not listed.
    rustix::mount::fsconfig_set_string(&context, "hidepid", "2")?;
    rustix::mount::fsconfig_create(&context)?;
    let proc = rustix::mount::fsmount(
        &context,
        FsMountFlags::FSMOUNT_CLOEXEC,
        QUIET | MountAttrFlags::MOUNT_ATTR_NOEXEC,
    )?;
    attach(&proc, CWD, "proc")?;
    let clone = OpenTreeFlags::OPEN_TREE_CLONE | OpenTreeFlags::OPEN_TREE_CLOEXEC;
    let settings = rustix::mount::open_tree(CWD, "proc/sys", clone)?;
    let read_only = MountAttrFlags::MOUNT_ATTR_RDONLY | QUIET | MountAttrFlags::MOUNT_ATTR_NOEXEC;
    kernel::mount_setattr(&settings, read_only, false)?;
    attach(&settings, CWD, "proc/sys")?;
    for name in masked {
        let flags = OFlags::PATH | OFlags::CLOEXEC;
        // Another pid namespace's /proc may lack a file that the host's has.
        let Ok(file) = rustix::fs::openat(&proc, name.as_str(), flags, Mode::empty()) else { continue };
        let nothing = rustix::mount::open_tree(CWD, "dev/null", clone)?;
        attach(&nothing, file.as_fd(), "")?;
    }
    Ok(())
}
