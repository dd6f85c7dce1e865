//! The new interface: one tree for everything.

use std::io;
use std::path::Path;

use super::interface::{CPU_PERIOD_MICROS, Interface, cpu_quota_micros, read_entry, read_number, write};

pub struct V2;

impl Interface for V2 {
    fn set_memory(&self, group: &Path, bytes: u64) -> io::Result<()> {
        write(group, "memory.max", &bytes.to_string())?;
        // Absent when the kernel has no swap.
        match write(group, "memory.swap.max", "0") {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
            _ => Ok(()),
        }
    }

    fn set_pids(&self, group: &Path, max: u64) -> io::Result<()> {
        write(group, "pids.max", &max.to_string())
    }

    fn set_cpu_period(&self, _group: &Path) -> io::Result<()> {
        // The period is written together with the quota.
        Ok(())
    }

    fn cpu_file(&self) -> &'static str {
        "cpu.max"
    }

    fn cpu_words(&self, cpu_millis: u32) -> String {
        format!("{} {CPU_PERIOD_MICROS}", cpu_quota_micros(cpu_millis))
    }

    fn memory_held(&self, group: &Path) -> io::Result<u64> {
        let all = read_number(group, "memory.current")?;
        Ok(all.saturating_sub(read_entry(group, "memory.stat", "file")?))
    }

    fn oom_kills(&self, group: &Path) -> io::Result<u64> {
        read_entry(group, "memory.events", "oom_kill")
    }

    fn peak_file(&self) -> &'static str {
        "memory.peak"
    }

    fn freeze_file(&self) -> &'static str {
        "cgroup.freeze"
    }

    fn freeze_words(&self, frozen: bool) -> &'static str {
        if frozen { "1" } else { "0" }
    }

    fn kill(&self, group: &Path) -> io::Result<()> {
        write(group, "cgroup.kill", "1")
    }
}
