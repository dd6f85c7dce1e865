//! Whether a program here can become what another process's memory was (SnapStart).
//!
//! The runtime's client does it by itself, confined as ever, and needs no privilege for it; what it needs of the kernel
//! is looked for here.

use std::path::Path;

/// Why it can't; `None` where it can.
pub fn missing() -> Option<String> {
    if !cfg!(target_arch = "x86_64") {
        return Some("snapshots of processes are made on x86_64 only".to_owned());
    }
    // Comes with the same option of the kernel as the calls that set where a process's memory is.
    if !Path::new("/proc/sys/kernel/ns_last_pid").exists() {
        return Some("the kernel can't restore processes (CONFIG_CHECKPOINT_RESTORE)".to_owned());
    }
    let own = std::fs::read_to_string("/proc/self/smaps").unwrap_or_default();
    is_sealed(&own).then(|| "the kernel seals its own pages (CONFIG_MSEAL_SYSTEM_MAPPINGS)".to_owned())
}

/// Whether the kernel's own pages in a process stay where they are: then no other memory fits around them.
fn is_sealed(smaps: &str) -> bool {
    let mut lines = smaps.lines().skip_while(|line| !line.ends_with("[vdso]"));
    let flags = lines.find(|line| line.starts_with("VmFlags:")).unwrap_or_default();
    flags.split_whitespace().any(|flag| flag == "sl")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sealed_pages_are_told_from_others() {
        let smaps = |flags: &str| {
            format!(
                "7f00-7f01 r--p 00000000 00:00 0 /lib/x\nVmFlags: rd sl \n\
                 7fff-8fff r-xp 00000000 00:00 0                          [vdso]\nSize: 8 kB\nVmFlags: {flags}\n"
            )
        };
        assert!(is_sealed(&smaps("rd ex mr mw me de sl")));
        assert!(!is_sealed(&smaps("rd ex mr mw me de")));
        assert!(!is_sealed(""));
    }
}
