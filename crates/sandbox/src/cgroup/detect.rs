//! Which control groups this process may use, and taking them into use.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};

use super::interface::write;
use super::{Layout, Roles, Tree, Version};

/// A mounted hierarchy.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Mounted {
    version: Version,
    root: PathBuf,
    /// Controllers of a v1 hierarchy.
    controllers: Vec<String>,
}

/// What [`look`] saw.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Finding {
    /// What [`detect`] would get, as far as can be told without changing anything.
    pub roles: Roles,
    pub has_v1: bool,
    pub has_v2: bool,
}

/// Looks without touching.
pub fn look() -> Finding {
    let mut finding = Finding::default();
    for mounted in mounted() {
        let writable = bases(&mounted).into_iter().any(|base| is_writable(&base));
        match mounted.version {
            Version::V1 => {
                finding.has_v1 = true;
                if writable {
                    let roles = v1_roles(&mounted.controllers);
                    finding.roles.memory |= roles.memory;
                    finding.roles.cpu |= roles.cpu;
                    finding.roles.pids |= roles.pids;
                    finding.roles.freeze |= roles.freeze;
                }
            }
            Version::V2 => {
                finding.has_v2 = true;
                if let Some(base) = bases(&mounted).into_iter().find(|base| is_writable(base)) {
                    let available = words(&base.join("cgroup.controllers"));
                    let has = |name: &str| available.iter().any(|word| word == name);
                    finding.roles.memory |= has("memory");
                    finding.roles.cpu |= has("cpu");
                    finding.roles.pids |= has("pids");
                    finding.roles.freeze = true;
                }
            }
        }
    }
    finding
}

/// Makes the instance's folder in every tree that serves something, and switches controllers on.
pub fn detect(instance: &str) -> Layout {
    let name = format!("lambent-{instance}");
    let mut trees = Vec::new();
    let mounted = mounted();
    for hierarchy in mounted.iter().filter(|mounted| mounted.version == Version::V2) {
        trees.extend(take_v2(hierarchy, &name));
    }
    for hierarchy in mounted.iter().filter(|mounted| mounted.version == Version::V1) {
        let taken = trees.iter().fold(Roles::default(), |all: Roles, tree: &Tree| Roles {
            memory: all.memory || tree.roles.memory,
            cpu: all.cpu || tree.roles.cpu,
            pids: all.pids || tree.roles.pids,
            freeze: all.freeze || tree.roles.freeze,
        });
        let offered = v1_roles(&hierarchy.controllers);
        let roles = Roles {
            memory: offered.memory && !taken.memory,
            cpu: offered.cpu && !taken.cpu,
            pids: offered.pids && !taken.pids,
            freeze: offered.freeze && !taken.freeze,
        };
        if !roles.any() {
            continue;
        }
        let folder =
            bases(hierarchy).into_iter().map(|base| base.join(&name)).find(|folder| make(folder).is_ok());
        trees.extend(folder.map(|folder| Tree { version: Version::V1, roles, folder }));
    }
    Layout { trees }
}

/// Moving a process into a control group waits for a grace period of the whole machine (10 ms and more) unless some
/// hierarchy was mounted with this option since the machine started. An own hierarchy without controllers will do,
/// and it may be unmounted at once.
pub fn enable_cheap_attach(scratch: &Path) -> io::Result<()> {
    let point = scratch.join("cgroup-option");
    std::fs::create_dir_all(&point)?;
    let mounted = rustix::mount::mount(
        "none",
        &point,
        "cgroup",
        rustix::mount::MountFlags::empty(),
        Some(c"none,name=lambentoption,favordynmods"),
    );
    if mounted.is_ok() {
        let _ = rustix::mount::unmount(&point, rustix::mount::UnmountFlags::DETACH);
    }
    let _ = std::fs::remove_dir(&point);
    Ok(mounted?)
}

fn v1_roles(controllers: &[String]) -> Roles {
    let has = |name: &str| controllers.iter().any(|controller| controller == name);
    Roles { memory: has("memory"), cpu: has("cpu"), pids: has("pids"), freeze: has("freezer") }
}

fn take_v2(hierarchy: &Mounted, name: &str) -> Option<Tree> {
    for base in bases(hierarchy) {
        if !is_writable(&base) || !base.join("cgroup.procs").exists() {
            continue;
        }
        let folder = base.join(name);
        if make(&folder).is_err() {
            continue;
        }
        let mut roles = Roles { freeze: folder.join("cgroup.freeze").exists(), ..Roles::default() };
        let available = words(&base.join("cgroup.controllers"));
        for controller in ["memory", "cpu", "pids"] {
            if !available.iter().any(|word| word == controller) {
                continue;
            }
            let on = pass_down(&base, controller, name) && pass_down(&folder, controller, name);
            match controller {
                "memory" => roles.memory = on,
                "cpu" => roles.cpu = on,
                _ => roles.pids = on,
            }
        }
        return Some(Tree { version: Version::V2, roles, folder });
    }
    None
}

/// Lets the folders below `base` have a controller. A folder with processes of its own can't: they are moved into a
/// leaf first, which is what a delegated group expects of its owner.
fn pass_down(base: &Path, controller: &str, name: &str) -> bool {
    if words(&base.join("cgroup.subtree_control")).iter().any(|word| word == controller) {
        return true;
    }
    let switch = format!("+{controller}");
    match write(base, "cgroup.subtree_control", &switch) {
        Ok(()) => true,
        Err(error) if error.raw_os_error() == Some(libc::EBUSY) => {
            let leaf = base.join(format!("{name}-node"));
            if make(&leaf).is_err() {
                return false;
            }
            for pid in words(&base.join("cgroup.procs")) {
                let _ = write(&leaf, "cgroup.procs", &pid);
            }
            write(base, "cgroup.subtree_control", &switch).is_ok()
        }
        Err(_) => false,
    }
}

/// Where in a hierarchy our folder may go: at the root, where a restarted node finds it again, or else below the
/// group that this process is in, which is what an unprivileged user is given.
fn bases(hierarchy: &Mounted) -> Vec<PathBuf> {
    let mut bases = Vec::new();
    if rustix::process::geteuid().is_root() {
        bases.push(hierarchy.root.clone());
    }
    if let Some(own) = own_path(hierarchy) {
        bases.push(hierarchy.root.join(own.trim_start_matches('/')));
    }
    bases
}

fn own_path(hierarchy: &Mounted) -> Option<String> {
    let text = std::fs::read_to_string("/proc/self/cgroup").ok()?;
    text.lines().find_map(|line| {
        let mut fields = line.splitn(3, ':');
        let (_, controllers, path) = (fields.next()?, fields.next()?, fields.next()?);
        let ours = match hierarchy.version {
            Version::V2 => controllers.is_empty(),
            Version::V1 => {
                controllers.split(',').any(|name| hierarchy.controllers.iter().any(|have| have == name))
            }
        };
        ours.then(|| path.to_owned())
    })
}

fn mounted() -> Vec<Mounted> {
    std::fs::read_to_string("/proc/self/mountinfo").map(|text| parse_mounts(&text)).unwrap_or_default()
}

fn parse_mounts(text: &str) -> Vec<Mounted> {
    const CONTROLLERS: [&str; 4] = ["memory", "cpu", "pids", "freezer"];
    let mut found: BTreeMap<Vec<String>, Mounted> = BTreeMap::new();
    for line in text.lines() {
        let Some((front, back)) = line.split_once(" - ") else { continue };
        let Some(root) = front.split(' ').nth(4) else { continue };
        let mut back = back.split(' ');
        let (kind, options) = (back.next(), back.nth(1).unwrap_or(""));
        let (version, controllers) = match kind {
            Some("cgroup2") => (Version::V2, Vec::new()),
            Some("cgroup") => {
                let controllers: Vec<String> = options
                    .split(',')
                    .filter(|option| CONTROLLERS.contains(option))
                    .map(str::to_owned)
                    .collect();
                if controllers.is_empty() {
                    continue;
                }
                (Version::V1, controllers)
            }
            _ => continue,
        };
        // Spaces in mount points are written as octal; a control group's mount point with one isn't worth decoding.
        let mounted = Mounted { version, root: PathBuf::from(root), controllers: controllers.clone() };
        found.entry(controllers).or_insert(mounted);
    }
    found.into_values().collect()
}

fn words(path: &Path) -> Vec<String> {
    std::fs::read_to_string(path)
        .map(|text| text.split_whitespace().map(str::to_owned).collect())
        .unwrap_or_default()
}

fn is_writable(folder: &Path) -> bool {
    rustix::fs::access(folder, rustix::fs::Access::WRITE_OK).is_ok()
        && rustix::fs::access(folder.join("cgroup.procs"), rustix::fs::Access::WRITE_OK).is_ok()
}

fn make(folder: &Path) -> io::Result<()> {
    match std::fs::create_dir(folder) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => Err(error),
        _ => Ok(()),
    }
}

#[cfg(test)]
pub(super) fn parsed_for_test(text: &str) -> Vec<(Version, PathBuf, Vec<String>)> {
    parse_mounts(text).into_iter().map(|one| (one.version, one.root, one.controllers)).collect()
}
