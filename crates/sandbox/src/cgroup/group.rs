//! One sandbox's control groups, as the node and the spawner handle them.

use std::io;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use lambent_core::limits;
use rustix::fs::{Mode, OFlags};

use super::interface::write;
use super::{Layout, Tree, Version};

/// What is written before a program starts.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    pub memory_bytes: u64,
    pub cpu_millis: u32,
}

/// The folders of one sandbox. Files that are written often are kept open.
pub struct Group {
    parts: Vec<(Tree, PathBuf)>,
    freezer: Option<(OwnedFd, Version)>,
    cpu: Option<(OwnedFd, Version)>,
    memory_peak: Option<OwnedFd>,
}

impl Group {
    /// Makes the folders. On failure none is left.
    pub fn create(layout: &Layout, name: &str) -> io::Result<Self> {
        let group = Self::at(layout, name);
        for (index, (_, folder)) in group.parts.iter().enumerate() {
            if let Err(error) = std::fs::create_dir(folder) {
                for (_, made) in &group.parts[..index] {
                    let _ = std::fs::remove_dir(made);
                }
                return Err(error);
            }
        }
        Ok(group)
    }

    /// Folders that somebody else made, with the files open that freezing and CPU shares need.
    pub fn open(layout: &Layout, name: &str) -> io::Result<Self> {
        let mut group = Self::at(layout, name);
        for (tree, folder) in &group.parts {
            let interface = tree.version.interface();
            let open = |file: &str| {
                rustix::fs::open(folder.join(file), OFlags::WRONLY | OFlags::CLOEXEC, Mode::empty())
            };
            if tree.roles.freeze {
                group.freezer = Some((open(interface.freeze_file())?, tree.version));
            }
            if tree.roles.cpu {
                group.cpu = Some((open(interface.cpu_file())?, tree.version));
            }
            if tree.roles.memory {
                group.memory_peak = open_peak(&folder.join(interface.peak_file()));
            }
        }
        Ok(group)
    }

    fn at(layout: &Layout, name: &str) -> Self {
        let parts = layout.trees.iter().map(|tree| (tree.clone(), tree.folder.join(name))).collect();
        Self { parts, freezer: None, cpu: None, memory_peak: None }
    }

    /// The v2 folder, for starting a process inside it.
    pub fn unified(&self) -> io::Result<Option<OwnedFd>> {
        let Some((_, folder)) = self.parts.iter().find(|(tree, _)| tree.version == Version::V2) else {
            return Ok(None);
        };
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
        Ok(Some(rustix::fs::open(folder, flags, Mode::empty())?))
    }

    /// Puts a process that was started inside the v2 folder into the others.
    pub fn attach(&self, pid: i32) -> io::Result<()> {
        let pid = pid.to_string();
        self.parts
            .iter()
            .filter(|(tree, _)| tree.version == Version::V1)
            .try_for_each(|(_, folder)| write(folder, "cgroup.procs", &pid))
    }

    /// The files by which a process enters every folder, for one that was not started inside of any.
    pub fn entrances(&self) -> io::Result<Vec<OwnedFd>> {
        let open = |(_, folder): &(Tree, PathBuf)| {
            let flags = OFlags::WRONLY | OFlags::CLOEXEC;
            Ok(rustix::fs::open(folder.join("cgroup.procs"), flags, Mode::empty())?)
        };
        self.parts.iter().map(open).collect()
    }

    /// Writes what is the same for every program. Once, and before the rest.
    pub fn set_fixed_limits(&self) -> io::Result<()> {
        for (tree, folder) in &self.parts {
            let interface = tree.version.interface();
            if tree.roles.pids {
                interface.set_pids(folder, limits::PROCESSES_MAX)?;
            }
            if tree.roles.cpu {
                interface.set_cpu_period(folder)?;
            }
        }
        Ok(())
    }

    pub fn set_limits(&self, limits: Limits) -> io::Result<()> {
        if let Some((tree, folder)) = self.memory() {
            tree.version.interface().set_memory(folder, limits.memory_bytes)?;
        }
        self.set_cpu(limits.cpu_millis)
    }

    pub fn set_cpu(&self, cpu_millis: u32) -> io::Result<()> {
        let Some((file, version)) = &self.cpu else { return Ok(()) };
        write_open(file, &version.interface().cpu_words(cpu_millis))
    }

    /// Whether [`Group::freeze`] does anything.
    pub fn can_freeze(&self) -> bool {
        self.freezer.is_some()
    }

    pub fn freeze(&self, frozen: bool) -> io::Result<()> {
        let Some((file, version)) = &self.freezer else {
            return Err(io::Error::from(io::ErrorKind::Unsupported));
        };
        write_open(file, version.interface().freeze_words(frozen))
    }

    /// Whether a process was killed for want of memory; `false` where no limit is kept.
    pub fn out_of_memory(&self) -> bool {
        self.memory().is_some_and(|(tree, folder)| {
            tree.version.interface().oom_kills(folder).is_ok_and(|count| count > 0)
        })
    }

    /// What its processes hold, without the files that the kernel keeps in memory on its own account.
    pub fn memory_held_bytes(&self) -> Option<u64> {
        let (tree, folder) = self.memory()?;
        tree.version.interface().memory_held(folder).ok()
    }

    /// 0 where the kernel can't tell.
    pub fn memory_peak_bytes(&self) -> u64 {
        self.memory_peak.as_ref().and_then(read_number).unwrap_or(0)
    }

    /// Counts the peak from here on, where the kernel can.
    pub fn forget_memory_peak(&self) {
        if let Some(file) = &self.memory_peak {
            let _ = write_open(file, "0");
        }
    }

    fn memory(&self) -> Option<&(Tree, PathBuf)> {
        self.parts.iter().find(|(tree, _)| tree.roles.memory)
    }

    /// Ends all processes in it, as far as the host has a call for that.
    pub fn kill(&self) {
        for (tree, folder) in &self.parts {
            hurry(tree, folder);
        }
        for (tree, folder) in &self.parts {
            // One tree is enough where it works; the caller also kills the sandbox's first process.
            if tree.version.interface().kill(folder).is_ok() {
                break;
            }
        }
    }

    /// Removes the folders; `true` when none is left. `false` while processes are still ending.
    pub fn remove(&self) -> bool {
        let mut gone = true;
        for (_, folder) in &self.parts {
            match std::fs::remove_dir(folder) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => gone = false,
                _ => {}
            }
        }
        gone
    }
}

/// Lets what is being killed have the whole machine: a thousand processes that share a small function's part of a CPU
/// would take half a minute to end.
pub fn hurry(tree: &Tree, folder: &Path) {
    static MACHINE: OnceLock<u32> = OnceLock::new();
    if tree.roles.cpu {
        let cores = || std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
        let machine = MACHINE.get_or_init(|| u32::try_from(cores() * 1_000).unwrap_or(u32::MAX));
        let interface = tree.version.interface();
        let share = interface.cpu_words(*machine);
        // Where this is more than the host gives, they end at their own pace.
        let _ = write(folder, interface.cpu_file(), &share);
    }
}

/// Kernels before 6.12 don't let the file of the second generation be written, and some have none.
fn open_peak(path: &Path) -> Option<OwnedFd> {
    let open = |access| rustix::fs::open(path, access | OFlags::CLOEXEC, Mode::empty()).ok();
    open(OFlags::RDWR).or_else(|| open(OFlags::RDONLY))
}

fn read_number(file: &OwnedFd) -> Option<u64> {
    let mut text = [0; 32];
    let length = rustix::io::pread(file, &mut text, 0).ok()?;
    std::str::from_utf8(&text[..length]).ok()?.trim().parse().ok()
}

fn write_open(file: &OwnedFd, text: &str) -> io::Result<()> {
    rustix::io::retry_on_intr(|| rustix::io::pwrite(file, text.as_bytes(), 0))?;
    Ok(())
}
