//! The old interface: one tree a controller.

use std::io;
use std::path::Path;

use super::interface::{CPU_PERIOD_MICROS, Interface, cpu_quota_micros, read_entry, read_number, write};

pub struct V1;

impl Interface for V1 {
    fn set_memory(&self, group: &Path, bytes: u64) -> io::Result<()> {
        let text = bytes.to_string();
        // Memory and swap together: no swap beyond the limit. Absent when swap accounting is off.
        let with_swap = || match write(group, "memory.memsw.limit_in_bytes", &text) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            other => other,
        };
        match write(group, "memory.limit_in_bytes", &text) {
            // The one may never exceed the other, so that a limit is raised from above and lowered from below.
            Err(error) if error.kind() == io::ErrorKind::InvalidInput => {
                with_swap()?;
                write(group, "memory.limit_in_bytes", &text)
            }
            other => other.and_then(|()| with_swap()),
        }
    }

    fn set_pids(&self, group: &Path, max: u64) -> io::Result<()> {
        write(group, "pids.max", &max.to_string())
    }

    fn set_cpu_period(&self, group: &Path) -> io::Result<()> {
        write(group, "cpu.cfs_period_us", &CPU_PERIOD_MICROS.to_string())
    }

    fn cpu_file(&self) -> &'static str {
        "cpu.cfs_quota_us"
    }

    fn cpu_words(&self, cpu_millis: u32) -> String {
        cpu_quota_micros(cpu_millis).to_string()
    }

    fn memory_held(&self, group: &Path) -> io::Result<u64> {
        let all = read_number(group, "memory.usage_in_bytes")?;
        Ok(all.saturating_sub(read_entry(group, "memory.stat", "cache")?))
    }

    fn oom_kills(&self, group: &Path) -> io::Result<u64> {
        read_entry(group, "memory.oom_control", "oom_kill")
    }

    fn peak_file(&self) -> &'static str {
        "memory.max_usage_in_bytes"
    }

    fn freeze_file(&self) -> &'static str {
        "freezer.state"
    }

    fn freeze_words(&self, frozen: bool) -> &'static str {
        if frozen { "FROZEN" } else { "THAWED" }
    }

    fn kill(&self, group: &Path) -> io::Result<()> {
        // A process that is frozen the old way doesn't die before it is thawed. Only the freezer's tree has the file.
        let _ = write(group, self.freeze_file(), self.freeze_words(false));
        let listed = std::fs::read_to_string(group.join("cgroup.procs"))?;
        for pid in listed.lines().filter_map(|line| rustix::process::Pid::from_raw(line.parse().ok()?)) {
            // Gone already is as good.
            let _ = rustix::process::kill_process(pid, rustix::process::Signal::KILL);
        }
        Ok(())
    }
}
