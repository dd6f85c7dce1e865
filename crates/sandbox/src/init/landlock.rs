//! A second lock on the file tree: whatever a mistake elsewhere may mount or map, the program writes to its own places
//! only. Skipped where the kernel has no landlock; the mounts themselves are read-only.

use std::io;

use landlock::{
    ABI, AccessFs, BitFlags, CompatLevel, Compatible as _, PathBeneath, PathFd, Ruleset, RulesetAttr as _,
    RulesetCreatedAttr as _,
};

/// What the rules know; an older kernel applies what it can.
const VERSION: ABI = ABI::V5;

/// Places where files may be made, changed and removed.
const WRITABLE: [&str; 2] = ["/tmp", "/dev/shm"];

/// Places with existing files that may be written to: devices, and a process's own settings.
const SETTABLE: [&str; 2] = ["/dev", "/proc"];

pub fn confine() -> io::Result<()> {
    let write = AccessFs::from_write(VERSION);
    let set: BitFlags<AccessFs> = AccessFs::WriteFile | AccessFs::Truncate | AccessFs::IoctlDev;
    let rules = || -> Result<(), Box<dyn std::error::Error>> {
        let mut rules =
            Ruleset::default().set_compatibility(CompatLevel::BestEffort).handle_access(write)?.create()?;
        for path in WRITABLE {
            rules = rules.add_rule(PathBeneath::new(PathFd::new(path)?, write))?;
        }
        for path in SETTABLE {
            rules = rules.add_rule(PathBeneath::new(PathFd::new(path)?, set))?;
        }
        rules.restrict_self()?;
        Ok(())
    };
    rules().map_err(|error| io::Error::other(error.to_string()))
}
