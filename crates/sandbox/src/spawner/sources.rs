//! From folders to mounts that init can place: read-only, without set-uid bits and devices.
//!
//! The spawner opens them, not the sandbox: the sandbox's user may not even search the folders above.

use std::io;
use std::os::fd::{AsRawFd, OwnedFd};
use std::path::PathBuf;

use rustix::fs::{CWD, Mode, OFlags};
use rustix::mount::{FsMountFlags, FsOpenFlags, MountAttrFlags, OpenTreeFlags};

use crate::kernel;
use crate::protocol::{Doing, Failure};

const PROTECTED: MountAttrFlags = MountAttrFlags::MOUNT_ATTR_RDONLY
    .union(MountAttrFlags::MOUNT_ATTR_NOSUID)
    .union(MountAttrFlags::MOUNT_ATTR_NODEV);

/// One mount of all sources, the last one on top.
pub fn open(sources: &[PathBuf]) -> Result<OwnedFd, Failure> {
    let mut distinct: Vec<&PathBuf> = Vec::new();
    for source in sources {
        // A folder that is laid over itself changes nothing, and the kernel would refuse it.
        distinct.retain(|earlier| *earlier != source);
        distinct.push(source);
    }
    match distinct.as_slice() {
        [] => Err(Failure::plain("mount code", "no source")),
        [only] => clone_tree(only).doing(format!("mount {}", only.display())),
        several => lay_over(several).doing(format!("lay {} folders over each other", several.len())),
    }
}

fn clone_tree(source: &PathBuf) -> io::Result<OwnedFd> {
    let flags = OpenTreeFlags::OPEN_TREE_CLONE
        | OpenTreeFlags::OPEN_TREE_CLOEXEC
        | OpenTreeFlags::AT_RECURSIVE
        | OpenTreeFlags::AT_SYMLINK_NOFOLLOW;
    let tree = rustix::mount::open_tree(CWD, source, flags)?;
    kernel::mount_setattr(&tree, PROTECTED, true)?;
    Ok(tree)
}

/// A read-only overlay. It names its layers by descriptor, so that no character of a path needs escaping.
fn lay_over(sources: &[&PathBuf]) -> io::Result<OwnedFd> {
    let mut opened = Vec::new();
    for source in sources.iter().rev() {
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC | OFlags::NOFOLLOW;
        opened.push(rustix::fs::open(source.as_path(), flags, Mode::empty())?);
    }
    let layers: Vec<String> = opened.iter().map(|fd| format!("/proc/self/fd/{}", fd.as_raw_fd())).collect();
    let context = rustix::mount::fsopen("overlay", FsOpenFlags::FSOPEN_CLOEXEC)?;
    rustix::mount::fsconfig_set_string(&context, "source", "lambent-layers")?;
    rustix::mount::fsconfig_set_string(&context, "lowerdir", layers.join(":"))?;
    // Attributes of these names in a package must not be obeyed: they could point outside of the layer.
    rustix::mount::fsconfig_set_string(&context, "redirect_dir", "nofollow")?;
    rustix::mount::fsconfig_set_string(&context, "metacopy", "off")?;
    rustix::mount::fsconfig_create(&context)?;
    let mount = rustix::mount::fsmount(&context, FsMountFlags::FSMOUNT_CLOEXEC, PROTECTED)?;
    kernel::mount_setattr(&mount, PROTECTED, false)?;
    Ok(mount)
}
