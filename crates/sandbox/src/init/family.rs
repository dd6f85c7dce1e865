//! The descendants of this process, for sandboxes without a pid namespace. This process adopts orphans, so that all
//! of them stay below it however they detach.

use rustix::process::{Pid, Signal, WaitOptions};

/// Sends a signal to every descendant.
pub fn signal(signal: Signal) {
    for pid in descendants(rustix::process::getpid()) {
        let _ = rustix::process::kill_process(pid, signal);
    }
}

/// Ends every descendant and waits until they are gone.
pub fn end() {
    loop {
        signal(Signal::KILL);
        // Each turn collects at least one, or there is none left.
        match rustix::process::wait(WaitOptions::empty()) {
            Ok(_) | Err(rustix::io::Errno::INTR) => {}
            Err(_) => return,
        }
    }
}

fn descendants(root: Pid) -> Vec<Pid> {
    let mut found = Vec::new();
    let mut open = vec![root];
    while let Some(pid) = open.pop() {
        let raw = pid.as_raw_nonzero();
        let Ok(threads) = std::fs::read_dir(format!("/proc/{raw}/task")) else { continue };
        for thread in threads.filter_map(Result::ok) {
            let Ok(list) = std::fs::read_to_string(thread.path().join("children")) else { continue };
            let children = list.split_whitespace().filter_map(|pid| Pid::from_raw(pid.parse().ok()?));
            for child in children {
                found.push(child);
                open.push(child);
            }
        }
    }
    found
}
