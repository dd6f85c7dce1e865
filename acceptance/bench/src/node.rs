//! The node under measurement, as a process.

use std::io::{BufRead as _, BufReader};
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::Result;
use crate::processes::{self, Cpu};

/// How long, in how many looks, nothing may move until the node counts as quiet.
const LOOK: Duration = Duration::from_millis(15);
const CALM_LOOKS: u32 = 3;
/// What looking itself and a timer or two may cost within one look.
const CALM: Duration = Duration::from_micros(400);
const QUIET_WITHIN: Duration = Duration::from_secs(20);

pub struct Node {
    child: Child,
    pub address: SocketAddr,
    /// From the start of the process until it said that it is ready.
    pub ready_after: Duration,
    data: tempfile::TempDir,
}

impl Node {
    /// With an empty data directory that goes with it.
    pub fn fresh(binary: &Path, options: &[&str]) -> Result<Self> {
        let folder = tempfile::tempdir()?;
        let data = folder.path().join("data");
        Self::start_in(binary, &data, options, folder)
    }

    /// With a data directory that stays.
    pub fn start(binary: &Path, data: &Path) -> Result<Self> {
        Self::start_in(binary, data, &[], tempfile::tempdir()?)
    }

    fn start_in(binary: &Path, data: &Path, options: &[&str], folder: tempfile::TempDir) -> Result<Self> {
        let began = Instant::now();
        let mut child = Command::new(binary)
            .args(["up", "--port", "0", "--json", "--data"])
            .arg(data)
            .args(options)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()?;
        let mut line = String::new();
        if let Some(out) = child.stdout.take() {
            BufReader::new(out).read_line(&mut line)?;
        }
        let ready_after = began.elapsed();
        let ready: Value = serde_json::from_str(&line).map_err(|_| "the node did not start")?;
        let endpoint = ready["endpoint"].as_str().and_then(|text| text.strip_prefix("http://"));
        let address = endpoint.ok_or("the node named no endpoint")?.parse()?;
        Ok(Self { child, address, ready_after, data: folder })
    }

    /// Whether the program under measurement knows an option of `up`.
    pub fn knows(binary: &Path, option: &str) -> bool {
        let help = Command::new(binary).args(["up", "--help"]).output();
        help.is_ok_and(|help| String::from_utf8_lossy(&help.stdout).contains(option))
    }

    /// A folder that goes when the node goes.
    pub fn scratch(&self) -> &Path {
        self.data.path()
    }

    /// The node, its spawner, and all cells and environments.
    pub fn family(&self) -> Vec<u32> {
        processes::family(self.child.id())
    }

    /// The processes of environments: of sandboxes that have a function's package.
    pub fn environments(&self) -> Vec<u32> {
        self.family().into_iter().filter(|pid| processes::has_package(*pid)).collect()
    }

    /// Memory of the node and of its spawner in MiB, shared pages divided among those that share them. Parked
    /// runtimes, which are the spawner's children, are not in it.
    pub fn memory_mib(&self) -> Result<f64> {
        let mut kib = processes::memory(self.child.id())?.proportional;
        for (pid, _) in self.children()?.into_iter().filter(|(_, is_own)| *is_own) {
            kib += processes::memory(pid)?.proportional;
        }
        Ok(kib as f64 / 1024.0)
    }

    /// Waits until nothing of the node runs or wants to: cells that were taken are replaced by then. A process that
    /// waits for a core counts as one that runs.
    pub async fn quiet(&self) -> Result<()> {
        let deadline = Instant::now() + QUIET_WITHIN;
        let mut calm = 0;
        let mut known = self.family();
        let mut before = Cpu::of(&known);
        while calm < CALM_LOOKS {
            if Instant::now() > deadline {
                return Err("the node does not come to rest".into());
            }
            tokio::time::sleep(LOOK).await;
            let now = self.family();
            let cpu = Cpu::of(&now);
            // A process that ended took its time with it; then it isn't calm either.
            let is_calm = now == known && cpu.moved_since(&before) < CALM;
            calm = if is_calm { calm + 1 } else { 0 };
            (known, before) = (now, cpu);
        }
        Ok(())
    }

    /// Waits until the helpers of its start have ended: interpreters that tell their version, a compiler.
    pub async fn settle(&self) -> Result<()> {
        let deadline = Instant::now() + Duration::from_secs(60);
        while self.children()?.iter().any(|(_, is_own)| !is_own) {
            if Instant::now() > deadline {
                return Err("the node's helpers do not end".into());
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        Ok(())
    }

    /// Its child processes, and whether each is the node's own program: the spawner is.
    fn children(&self) -> Result<Vec<(u32, bool)>> {
        let node = self.child.id();
        let own = std::fs::read_link(format!("/proc/{node}/exe"))?;
        let programs = processes::children(node).into_iter();
        let programs = programs.filter_map(|pid| {
            let program = std::fs::read_link(format!("/proc/{pid}/exe")).ok()?;
            Some((pid, program == own))
        });
        Ok(programs.collect())
    }

    /// Asks it to stop, and waits until it has.
    pub fn stop(mut self) -> Result<()> {
        let pid = self.child.id().to_string();
        Command::new("kill").args(["-TERM", &pid]).status()?;
        let status = self.child.wait()?;
        if status.success() { Ok(()) } else { Err(format!("the node stopped with {status}").into()) }
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        if matches!(self.child.try_wait(), Ok(None)) {
            let _ = self.child.kill();
            let _ = self.child.wait();
        }
    }
}
