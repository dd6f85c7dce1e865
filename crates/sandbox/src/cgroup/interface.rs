//! What differs between the two generations of control groups.

use std::io;
use std::path::Path;

/// The share of a CPU is granted in slices of this period: short, so that a throttled program waits at most 20 ms.
pub const CPU_PERIOD_MICROS: u64 = 20_000;

/// The kernel refuses smaller quotas.
const CPU_QUOTA_MICROS_MIN: u64 = 1_000;

/// CPU time in each period for a share in thousandths of a CPU.
pub fn cpu_quota_micros(cpu_millis: u32) -> u64 {
    (u64::from(cpu_millis) * CPU_PERIOD_MICROS / 1_000).max(CPU_QUOTA_MICROS_MIN)
}

/// One generation's file names and number formats. `group` is a sandbox's folder.
pub trait Interface: Sync {
    fn set_memory(&self, group: &Path, bytes: u64) -> io::Result<()>;

    fn set_pids(&self, group: &Path, max: u64) -> io::Result<()>;

    /// Prepares the folder for [`Interface::cpu_words`].
    fn set_cpu_period(&self, group: &Path) -> io::Result<()>;

    /// The file that holds the CPU share.
    fn cpu_file(&self) -> &'static str;

    /// What is written there.
    fn cpu_words(&self, cpu_millis: u32) -> String;

    /// What its processes hold in memory, the kernel's own copies of files not counted.
    fn memory_held(&self, group: &Path) -> io::Result<u64>;

    /// How many processes were killed for want of memory.
    fn oom_kills(&self, group: &Path) -> io::Result<u64>;

    /// The file that holds the most memory that was in use. Written to, it starts again; on new kernels of the second
    /// generation only for the descriptor that it was written through, and on older ones not at all.
    fn peak_file(&self) -> &'static str;

    fn freeze_file(&self) -> &'static str;

    fn freeze_words(&self, frozen: bool) -> &'static str;

    /// Ends every process of the group and of those below. May leave some where the generation knows no such call.
    fn kill(&self, group: &Path) -> io::Result<()>;
}

/// Writes a control file.
pub fn write(group: &Path, file: &str, text: &str) -> io::Result<()> {
    let path = group.join(file);
    let flags = rustix::fs::OFlags::WRONLY | rustix::fs::OFlags::CLOEXEC;
    let opened = rustix::fs::open(path, flags, rustix::fs::Mode::empty())?;
    rustix::io::retry_on_intr(|| rustix::io::write(&opened, text.as_bytes()))?;
    Ok(())
}

/// Reads one entry of a control file of `name number` lines.
pub fn read_entry(group: &Path, file: &str, name: &str) -> io::Result<u64> {
    let text = std::fs::read_to_string(group.join(file))?;
    entry(&text, name).ok_or_else(|| io::Error::from(io::ErrorKind::NotFound))
}

/// Reads a control file that holds one number.
pub fn read_number(group: &Path, file: &str) -> io::Result<u64> {
    let text = std::fs::read_to_string(group.join(file))?;
    text.trim().parse().map_err(|_| io::Error::from(io::ErrorKind::InvalidData))
}

pub fn entry(text: &str, name: &str) -> Option<u64> {
    text.lines().find_map(|line| {
        let (key, value) = line.split_once(' ')?;
        (key == name).then(|| value.trim().parse().ok())?
    })
}
