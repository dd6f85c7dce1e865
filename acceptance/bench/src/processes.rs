//! What `/proc` says of the node and of all that it started.

use std::collections::HashMap;
use std::path::PathBuf;
use std::time::Duration;

use crate::Result;

/// The process and everything below it: spawner, parked cells, environments.
pub fn family(root: u32) -> Vec<u32> {
    let mut found = vec![root];
    let mut next = 0;
    while let Some(pid) = found.get(next).copied() {
        next += 1;
        found.extend(children(pid));
    }
    found
}

pub fn children(pid: u32) -> Vec<u32> {
    let lines = tasks(pid).into_iter().filter_map(|task| std::fs::read_to_string(task.join("children")).ok());
    let mut found = Vec::new();
    for line in lines {
        found.extend(line.split_whitespace().filter_map(|word| word.parse::<u32>().ok()));
    }
    found
}

/// Processes and threads come and go while this looks.
fn tasks(pid: u32) -> Vec<PathBuf> {
    let Ok(entries) = std::fs::read_dir(format!("/proc/{pid}/task")) else { return Vec::new() };
    entries.filter_map(|entry| Some(entry.ok()?.path())).collect()
}

/// What each thread of some processes ran, and waited for a core, so far; in nanoseconds.
pub struct Cpu(HashMap<PathBuf, (u64, u64)>);

impl Cpu {
    pub fn of(pids: &[u32]) -> Self {
        let known = pids.iter().flat_map(|pid| tasks(*pid)).filter_map(|task| {
            let text = std::fs::read_to_string(task.join("schedstat")).ok()?;
            let mut words = text.split_whitespace().map_while(|word| word.parse().ok());
            Some((task, (words.next()?, words.next()?)))
        });
        Self(known.collect())
    }

    /// What ran since. Threads that began meanwhile count whole, those that ended are lost.
    pub fn ran_since(&self, before: &Self) -> Duration {
        self.since(before, |(ran, _)| ran)
    }

    /// With the time in which they would have run, had there been a core.
    pub fn moved_since(&self, before: &Self) -> Duration {
        self.since(before, |(ran, waited)| ran + waited)
    }

    fn since(&self, before: &Self, of: impl Fn((u64, u64)) -> u64) -> Duration {
        let each = self
            .0
            .iter()
            .map(|(task, now)| of(*now).saturating_sub(before.0.get(task).copied().map_or(0, &of)));
        Duration::from_nanos(each.sum())
    }
}

/// Memory of one process in KiB.
#[derive(Debug, Clone, Copy, Default)]
pub struct Memory {
    /// Pages that nobody else has.
    pub own: u64,
    /// Those and its share of the others.
    pub proportional: u64,
}

pub fn memory(pid: u32) -> Result<Memory> {
    let text = std::fs::read_to_string(format!("/proc/{pid}/smaps_rollup"))?;
    let of = |name: &str| -> u64 {
        let line = text.lines().find_map(|line| line.strip_prefix(name));
        line.and_then(|rest| rest.trim().trim_end_matches(" kB").parse().ok()).unwrap_or(0)
    };
    Ok(Memory { own: of("Private_Clean:") + of("Private_Dirty:"), proportional: of("Pss:") })
}

/// Of all of them; what ended meanwhile holds nothing.
pub fn memory_of_all(pids: &[u32]) -> Memory {
    pids.iter().filter_map(|pid| memory(*pid).ok()).fold(Memory::default(), |sum, one| Memory {
        own: sum.own + one.own,
        proportional: sum.proportional + one.proportional,
    })
}

/// Whether a function's package is mounted where this process sees it: cells that wait have none.
pub fn has_package(pid: u32) -> bool {
    std::fs::read_to_string(format!("/proc/{pid}/mountinfo")).is_ok_and(|text| text.contains(" /var/task "))
}
