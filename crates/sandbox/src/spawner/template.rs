//! The root that all sandboxes share: read-only, made once, cloned as a mount tree for each.
//!
//! A memory file system holds the folders and the few files of `/etc`; the host's programs and libraries are mounted
//! into it read-only, without set-uid bits and devices. `/dev` has the five harmless devices. Nothing of the host's
//! accounts, name, keys or configuration is in it.

use std::fs;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::{Component, Path, PathBuf};

use rustix::fs::{CWD, Mode, OFlags, ResolveFlags};
use rustix::mount::{FsMountFlags, FsOpenFlags, MountAttrFlags, MoveMountFlags, OpenTreeFlags};

use crate::egress::GATEWAY_V4;
use crate::kernel;
use crate::protocol::{Doing, Failure};

/// Where it is mounted, in the spawner's own namespace only.
pub const FOLDER: &str = "root";

/// Folders that every sandbox has.
const FOLDERS: [&str; 10] =
    ["dev", "dev/shm", "etc", "opt", "proc", "tmp", "usr", "var", "var/runtime", "var/task"];

/// Parts of the host's tree that are shown when they exist. Where the host has a link, so has the sandbox.
const SYSTEM: [&str; 8] = ["usr", "bin", "sbin", "lib", "lib32", "lib64", "libx32", "nix/store"];

const DEVICES: [&str; 5] = ["null", "zero", "full", "random", "urandom"];

/// Folders of `/etc` that hold certificates and runtimes' settings, and no secrets. `/etc/ssl` and `/etc/pki` as
/// wholes would show private keys.
const SETTINGS: [&str; 8] = [
    "ssl/certs",
    "pki/tls/certs",
    "pki/ca-trust",
    "pki/java",
    "ca-certificates",
    "alternatives",
    "crypto-policies",
    "fonts",
];

const COPIED: [&str; 8] = [
    "localtime",
    "ld.so.cache",
    "ld.so.conf",
    "ssl/openssl.cnf",
    "pki/tls/openssl.cnf",
    "mime.types",
    "protocols",
    "services",
];

/// Parts of `/proc` that tell of the host or of others, where the kernel shows them.
const MASKED: [&str; 12] = [
    "kcore",
    "keys",
    "key-users",
    "kmsg",
    "kallsyms",
    "latency_stats",
    "modules",
    "sched_debug",
    "sysrq-trigger",
    "timer_list",
    "timer_stats",
    "kpagecgroup",
];

const PASSWD: &str = "root:x:0:0:root:/root:/sbin/nologin\n\
                      sbx_user1051:x:993:990::/home/sbx_user1051:/sbin/nologin\n";
const GROUP: &str = "root:x:0:\nsbx_user1051:x:990:\n";
/// The last line: where the reference has extensions listen for telemetry.
const HOSTS: &str = "127.0.0.1 localhost\n::1 localhost\n127.0.0.1 sandbox.localdomain sandbox\n";
const NAME_SERVICES: &str =
    "passwd: files\ngroup: files\nhosts: files dns\nprotocols: files\nservices: files\n";

const PROTECTED: MountAttrFlags = MountAttrFlags::MOUNT_ATTR_RDONLY
    .union(MountAttrFlags::MOUNT_ATTR_NOSUID)
    .union(MountAttrFlags::MOUNT_ATTR_NODEV);

pub struct Template {
    path: PathBuf,
    /// The memory file system itself, writable, for adding mount points.
    folder: OwnedFd,
    masked: Vec<String>,
}

impl Template {
    pub fn build(run_dir: &Path) -> Result<Self, Failure> {
        let path = run_dir.join(FOLDER);
        make(&path).doing(format!("make {}", path.display()))?;
        mount_memory(&path).doing("mount the root of sandboxes")?;
        let folder =
            rustix::fs::open(&path, OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty())
                .doing("open the root of sandboxes")?;
        let template = Self { path, folder, masked: masked() };
        template.fill().doing("fill the root of sandboxes")?;
        template.show_host()?;
        Ok(template)
    }

    /// A private copy of the mount tree, not mounted anywhere yet.
    pub fn tree(&self) -> io::Result<OwnedFd> {
        let tree = rustix::mount::open_tree(CWD, &self.path, CLONE)?;
        kernel::mount_setattr(&tree, PROTECTED, false)?;
        Ok(tree)
    }

    /// Names under `/proc` that init hides.
    pub fn masked(&self) -> &[String] {
        &self.masked
    }

    /// Makes sure that a mount can be placed at `target`. The folder appears, empty, in every sandbox.
    pub fn make_mount_point(&self, target: &Path) -> io::Result<()> {
        let mut here = self.folder.try_clone()?;
        for component in target.components() {
            let Component::Normal(name) = component else { continue };
            here = match self.step(here.as_fd(), name) {
                Ok(next) => next,
                // A part of the host's tree, or below another mount: what is there must do.
                Err(rustix::io::Errno::XDEV) => return Ok(()),
                Err(rustix::io::Errno::NOENT) => {
                    rustix::fs::mkdirat(&here, name, Mode::from_raw_mode(0o755))?;
                    self.step(here.as_fd(), name)?
                }
                Err(error) => return Err(error.into()),
            };
        }
        Ok(())
    }

    fn step(
        &self,
        folder: std::os::fd::BorrowedFd<'_>,
        name: &std::ffi::OsStr,
    ) -> rustix::io::Result<OwnedFd> {
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let resolve = ResolveFlags::NO_XDEV | ResolveFlags::NO_SYMLINKS | ResolveFlags::BENEATH;
        rustix::fs::openat2(folder, name, flags, Mode::empty(), resolve)
    }

    fn fill(&self) -> io::Result<()> {
        for folder in FOLDERS {
            make(&self.path.join(folder))?;
        }
        let everyones = fs::Permissions::from_mode(0o1777);
        fs::set_permissions(self.path.join("tmp"), everyones.clone())?;
        fs::set_permissions(self.path.join("dev/shm"), everyones)?;
        let etc = self.path.join("etc");
        fs::write(etc.join("passwd"), PASSWD)?;
        fs::write(etc.join("group"), GROUP)?;
        fs::write(etc.join("hosts"), HOSTS)?;
        fs::write(etc.join("nsswitch.conf"), NAME_SERVICES)?;
        fs::write(etc.join("resolv.conf"), format!("nameserver {GATEWAY_V4}\n"))?;
        for name in COPIED {
            let from = Path::new("/etc").join(name);
            if from.is_file() {
                let to = etc.join(name);
                fs::create_dir_all(to.parent().unwrap_or(&etc))?;
                fs::write(to, fs::read(from)?)?;
            }
        }
        for (name, target) in [
            ("fd", "/proc/self/fd"),
            ("stdin", "/proc/self/fd/0"),
            ("stdout", "/proc/self/fd/1"),
            ("stderr", "/proc/self/fd/2"),
        ] {
            symlink(target, self.path.join("dev").join(name))?;
        }
        Ok(())
    }

    fn show_host(&self) -> Result<(), Failure> {
        for name in SYSTEM {
            self.show(&Path::new("/").join(name), &self.path.join(name), PROTECTED)?;
        }
        let settings = SETTINGS.iter().map(|name| (*name).to_owned());
        for name in settings.chain(java_settings()).chain(["ld.so.conf.d".to_owned()]) {
            self.show(&Path::new("/etc").join(&name), &self.path.join("etc").join(&name), PROTECTED)?;
        }
        // On a read-only mount devices can still be written to, but not renamed or given other owners.
        let device = MountAttrFlags::MOUNT_ATTR_RDONLY
            | MountAttrFlags::MOUNT_ATTR_NOSUID
            | MountAttrFlags::MOUNT_ATTR_NOEXEC;
        for name in DEVICES {
            let to = self.path.join("dev").join(name);
            fs::write(&to, "").doing("make a place for a device")?;
            self.show(&Path::new("/dev").join(name), &to, device)?;
        }
        Ok(())
    }

    /// Mounts a part of the host's tree, or repeats the link that stands there; nothing where nothing is.
    fn show(&self, from: &Path, to: &Path, attributes: MountAttrFlags) -> Result<(), Failure> {
        let doing = || format!("show {} in sandboxes", from.display());
        let Ok(kind) = fs::symlink_metadata(from) else { return Ok(()) };
        if kind.is_symlink() {
            let target = fs::read_link(from).doing(doing())?;
            return symlink(target, to).doing(doing());
        }
        if kind.is_dir() {
            fs::create_dir_all(to).doing(doing())?;
        }
        let tree = rustix::mount::open_tree(CWD, from, CLONE).doing(doing())?;
        kernel::mount_setattr(&tree, attributes, true).doing(doing())?;
        place(&tree, to).doing(doing())
    }
}

const CLONE: OpenTreeFlags =
    OpenTreeFlags::OPEN_TREE_CLONE.union(OpenTreeFlags::OPEN_TREE_CLOEXEC).union(OpenTreeFlags::AT_RECURSIVE);

fn place(tree: &OwnedFd, at: &Path) -> io::Result<()> {
    Ok(rustix::mount::move_mount(tree, "", CWD, at, MoveMountFlags::MOVE_MOUNT_F_EMPTY_PATH)?)
}

fn mount_memory(at: &Path) -> io::Result<()> {
    let context = rustix::mount::fsopen("tmpfs", FsOpenFlags::FSOPEN_CLOEXEC)?;
    rustix::mount::fsconfig_set_string(&context, "mode", "0755")?;
    rustix::mount::fsconfig_set_string(&context, "size", "16m")?;
    rustix::mount::fsconfig_create(&context)?;
    let mount =
        rustix::mount::fsmount(&context, FsMountFlags::FSMOUNT_CLOEXEC, MountAttrFlags::MOUNT_ATTR_NOSUID)?;
    place(&mount, at)
}

fn make(folder: &Path) -> io::Result<()> {
    match fs::create_dir(folder) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => Err(error),
        _ => Ok(()),
    }
}

/// Java's settings on Debian lie in a folder a version.
fn java_settings() -> Vec<String> {
    let Ok(entries) = fs::read_dir("/etc") else { return Vec::new() };
    entries
        .filter_map(Result::ok)
        .filter_map(|entry| entry.file_name().into_string().ok())
        .filter(|name| name.starts_with("java"))
        .collect()
}

fn masked() -> Vec<String> {
    MASKED
        .iter()
        .filter(|name| Path::new("/proc").join(name).exists())
        .map(|name| (*name).to_owned())
        .collect()
}
