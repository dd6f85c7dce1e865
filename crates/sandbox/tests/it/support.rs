//! A driver of its own for each test, and programs that run in it to their end.

use std::io::Read as _;
use std::os::fd::{AsFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use lambent_core::function::Egress;
use lambent_core::ports::sandbox::{
    Assignment, Cell, Exit, ExitHow, Limits, Mount, Program, Running, SandboxError, Sandboxes as _, Shape,
};
use lambent_sandbox::{Config, Driver, Isolation, StartError};

pub const LIMITS: Limits = Limits { memory_mb: 256, cpu_millis: 2_000, tmp_mb: 512 };

/// Longer than anything here takes on a loaded machine.
pub const PATIENCE: Duration = Duration::from_secs(60);

pub struct Lab {
    pub driver: Driver,
    pub run_dir: tempfile::TempDir,
    pub instance: String,
}

/// What a program did.
#[derive(Debug)]
pub struct Ended {
    pub output: String,
    pub exit: Exit,
}

impl Ended {
    /// The output of a program that has to have succeeded.
    #[track_caller]
    pub fn text(&self) -> &str {
        assert_eq!(self.exit.how, ExitHow::Code(0), "the program failed: {}", self.output);
        self.output.trim_end()
    }
}

pub fn new_instance() -> String {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    format!("test{}x{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed))
}

pub fn config(instance: &str, isolation: Isolation, run_dir: &Path) -> Config {
    Config {
        instance: instance.to_owned(),
        isolation,
        run_dir: run_dir.to_owned(),
        spawner: vec![spawner().into()],
    }
}

/// The helper program beside this one when the test binary was copied away, or where cargo built it.
pub fn spawner() -> PathBuf {
    std::env::var_os("LAMBENT_TEST_SPAWNER")
        .map_or_else(|| env!("CARGO_BIN_EXE_sandbox-spawner").into(), PathBuf::from)
}

impl Lab {
    /// At full isolation; `None`, loudly, where this host can't.
    pub async fn full() -> Option<Self> {
        Self::at(Isolation::Full).await
    }

    pub async fn at(isolation: Isolation) -> Option<Self> {
        let run_dir = tempfile::tempdir().unwrap();
        let instance = new_instance();
        match Driver::start(config(&instance, isolation, run_dir.path())).await {
            Ok(driver) => Some(Self { driver, run_dir, instance }),
            Err(error @ StartError::Unavailable { .. }) => {
                eprintln!("NOT EXERCISED on this host: {error}");
                None
            }
            Err(error) => panic!("{error}"),
        }
    }

    /// As most functions find one: it has waited.
    pub async fn cell(&self, egress: Egress) -> Box<dyn Cell> {
        let cell = self.new_cell(egress).await;
        cell.prefork();
        cell
    }

    pub async fn new_cell(&self, egress: Egress) -> Box<dyn Cell> {
        self.driver.prepare(Shape { egress }).await.unwrap()
    }

    pub async fn start(&self, argv: &[&str], limits: Limits, mounts: Vec<Mount>) -> Running {
        self.try_start(argv, limits, mounts).await.map_err(|error| error.to_string()).unwrap()
    }

    pub async fn try_start(
        &self,
        argv: &[&str],
        limits: Limits,
        mounts: Vec<Mount>,
    ) -> Result<Running, SandboxError> {
        self.cell(Egress::Services).await.start(job(argv, limits, mounts)).await
    }

    /// Runs a program to its end.
    pub async fn run(&self, argv: &[&str]) -> Ended {
        self.run_with(argv, LIMITS, Vec::new()).await
    }

    pub async fn run_with(&self, argv: &[&str], limits: Limits, mounts: Vec<Mount>) -> Ended {
        ended(self.start(argv, limits, mounts).await).await
    }

    pub async fn python(&self, code: &str) -> Ended {
        self.run(&["/usr/bin/python3", "-S", "-c", code]).await
    }

    pub async fn shell(&self, code: &str) -> Ended {
        self.run(&["/bin/sh", "-c", code]).await
    }
}

pub fn job(argv: &[&str], limits: Limits, mounts: Vec<Mount>) -> Assignment {
    let program = Program {
        argv: argv.iter().map(|word| (*word).to_owned()).collect(),
        env: vec![("PATH".to_owned(), "/usr/bin:/bin".to_owned())],
        cwd: PathBuf::from("/"),
    };
    Assignment { limits, mounts, program }
}

/// Waits for a program's end and takes all of its output.
pub async fn ended(running: Running) -> Ended {
    let mut output = running.output;
    let reader = tokio::task::spawn_blocking(move || read_all(&mut output));
    let exit = tokio::time::timeout(PATIENCE, running.environment.exited()).await.expect("the program ends");
    running.environment.kill().await;
    Ended { output: reader.await.unwrap(), exit }
}

fn read_all(fd: &mut OwnedFd) -> String {
    rustix::io::ioctl_fionbio(fd.as_fd(), false).unwrap();
    let mut text = Vec::new();
    std::fs::File::from(fd.try_clone().unwrap()).read_to_end(&mut text).unwrap();
    String::from_utf8_lossy(&text).into_owned()
}

/// Reads output until `wanted` is in it.
pub async fn read_until(output: &OwnedFd, wanted: &str) -> String {
    let output = output.try_clone().unwrap();
    let wanted = wanted.to_owned();
    tokio::task::spawn_blocking(move || {
        let mut text = String::new();
        let deadline = Instant::now() + PATIENCE;
        while !text.contains(&wanted) {
            assert!(Instant::now() < deadline, "{wanted:?} did not come, but {text:?}");
            let wait = rustix::event::Timespec { tv_sec: 1, tv_nsec: 0 };
            let mut polls = [rustix::event::PollFd::new(&output, rustix::event::PollFlags::IN)];
            rustix::event::poll(&mut polls, Some(&wait)).unwrap();
            let mut part = [0; 4096];
            match rustix::io::read(&output, &mut part) {
                Ok(0) => panic!("the output ended without {wanted:?}: {text:?}"),
                Ok(count) => text.push_str(&String::from_utf8_lossy(&part[..count])),
                Err(rustix::io::Errno::AGAIN) => {}
                Err(error) => panic!("{error}"),
            }
        }
        text
    })
    .await
    .unwrap()
}

/// Whether something is so in one of a few attempts: a machine that shares its cores is slow now and then, and what waits
/// where it should not is slow each time.
pub async fn once<F: Future<Output = bool>>(what: &str, mut attempt: impl FnMut() -> F) {
    for _ in 0..6 {
        if attempt().await {
            return;
        }
    }
    panic!("not once: {what}");
}

/// Waits until something holds.
pub async fn eventually(what: &str, mut holds: impl FnMut() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !holds() {
        assert!(Instant::now() < deadline, "never came about: {what}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

/// Folders of control groups that carry an instance's name, with those of its sandboxes.
pub fn cgroup_folders(instance: &str) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let name = format!("lambent-{instance}");
    let Ok(trees) = std::fs::read_dir("/sys/fs/cgroup") else { return found };
    let bases = trees.filter_map(Result::ok).map(|tree| tree.path()).chain(["/sys/fs/cgroup".into()]);
    for base in bases {
        let folder = base.join(&name);
        if let Ok(children) = std::fs::read_dir(&folder) {
            found.extend(
                children.filter_map(Result::ok).map(|child| child.path()).filter(|path| path.is_dir()),
            );
            found.push(folder);
        }
    }
    found
}

/// Host processes whose command line holds a text.
pub fn host_processes(marker: &str) -> Vec<i32> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir("/proc").unwrap().filter_map(Result::ok) {
        let Some(pid) = entry.file_name().to_str().and_then(|name| name.parse::<i32>().ok()) else {
            continue;
        };
        if pid == std::process::id() as i32 {
            continue;
        }
        let line = std::fs::read(entry.path().join("cmdline")).unwrap_or_default();
        if String::from_utf8_lossy(&line).contains(marker) {
            found.push(pid);
        }
    }
    found
}

impl Lab {
    /// Whether `/tmp` is on a volume here.
    pub fn has_volumes(&self) -> bool {
        self.driver
            .report()
            .checks
            .iter()
            .any(|check| check.name == "tmp volumes" && check.state == lambent_sandbox::State::Ok)
    }
}
