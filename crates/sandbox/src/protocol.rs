//! What the node, the spawner and the sandboxes' first processes say to each other.
//!
//! The node asks the spawner over the control socket. A sandbox's first process ("init") has a socket of its own,
//! whose other end the node holds; the spawner keeps a copy of that end, so that it can hand over mounts, and
//! never reads from it.

use std::io;
use std::path::PathBuf;

use lambent_core::function::Egress;
use lambent_core::ports::sandbox::{ExitHow, Mount, Program, SandboxError};
use serde::{Deserialize, Serialize};

use crate::cgroup::Layout;
use crate::config::Isolation;

/// The number of a sandbox, unique within a driver's life.
pub type SandboxId = u64;

/// The number of a zygote, unique within a spawner's life.
pub type ZygoteId = u64;

/// Node to spawner.
#[derive(Debug, Serialize, Deserialize)]
pub enum Request {
    /// The first message.
    Configure(Setup),
    Prepare {
        id: SandboxId,
        egress: Egress,
    },
    /// With descriptors: output pipe, frames pipe, and what `job.brings` says. Passed on to init with the mounts'
    /// descriptors behind them.
    Start {
        id: SandboxId,
        job: Job,
        /// Whose copy the program may be.
        zygote: Option<ZygoteId>,
    },
    /// Keep a process of this program that copies itself into sandboxes.
    Keep {
        zygote: ZygoteId,
        job: Job,
    },
    /// End it. Its copies go on.
    Part {
        zygote: ZygoteId,
    },
    /// More mounts for a program that runs.
    Place {
        id: SandboxId,
        mounts: Vec<MountWords>,
    },
    Remove {
        id: SandboxId,
    },
}

/// What a spawner must know.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Setup {
    pub isolation: Isolation,
    pub run_dir: PathBuf,
    pub cgroups: Layout,
    /// Picks the range of user ids.
    pub instance: String,
}

/// Spawner to node.
#[derive(Debug, Serialize, Deserialize)]
pub enum Reply {
    /// Answers `Configure`.
    Configured {
        /// Why there is no internet egress, when there is none.
        no_device: Option<String>,
        /// What the spawner had to do without.
        notes: Vec<String>,
    },
    ConfigureFailed {
        what: String,
        detail: String,
    },
    /// With descriptors: init's socket, and those of [`Room`].
    Prepared {
        id: SandboxId,
        pid: i32,
        room: Room,
    },
    PrepareFailed {
        id: SandboxId,
        failure: Failure,
    },
    Removed {
        id: SandboxId,
    },
    /// A zygote can be copied from now on, or not any more.
    Zygote {
        zygote: ZygoteId,
        ready: bool,
    },
}

/// Which descriptors of a sandbox's network come with a message: the Runtime API's listener always, then these.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub struct Room {
    pub services: bool,
    /// Two descriptors: the network device and its gate.
    pub device: bool,
}

/// What init is to start.
#[derive(Debug, Serialize, Deserialize)]
pub struct Job {
    pub mounts: Vec<MountWords>,
    pub argv: Vec<String>,
    pub env: Vec<(String, String)>,
    pub cwd: PathBuf,
    pub tmp_mb: u32,
    pub brings: Brings,
}

impl Job {
    /// A program in a sandbox that stands.
    pub fn beside(program: Program) -> Self {
        Self::new(Vec::new(), program, 0, Brings::default())
    }
}

/// Which descriptors come along that not every start has, in this order.
#[derive(Debug, Clone, Copy, Default, Serialize, Deserialize)]
pub struct Brings {
    /// For `/tmp`; without it init makes a memory file system of the wanted size.
    pub volume: bool,
    /// The read end of the pipe on which the program is told what it is to become.
    pub handover: bool,
    /// Init's end of the line to a copy of a zygote, which then is the program.
    pub copy: bool,
}

#[derive(Debug, Serialize, Deserialize)]
pub struct MountWords {
    pub sources: Vec<PathBuf>,
    pub target: PathBuf,
}

impl From<Mount> for MountWords {
    fn from(mount: Mount) -> Self {
        Self { sources: mount.sources, target: mount.target }
    }
}

impl Job {
    pub fn new(mounts: Vec<Mount>, program: Program, tmp_mb: u32, brings: Brings) -> Self {
        let mounts = mounts.into_iter().map(Into::into).collect();
        Self { mounts, argv: program.argv, env: program.env, cwd: program.cwd, tmp_mb, brings }
    }
}

/// To init.
#[derive(Debug, Serialize, Deserialize)]
pub enum Order {
    /// Its user ids and limits are in place.
    Go,
    /// From the spawner: descriptors as with [`Request::Start`], then one a mount.
    Start {
        job: Job,
    },
    /// From the spawner: the mounts can't be had.
    Refuse {
        failure: Failure,
    },
    /// From the spawner: a descriptor for each target.
    Place {
        targets: Vec<PathBuf>,
    },
    /// From the spawner: the mounts to place can't be had.
    RefusePlace {
        failure: Failure,
    },
    /// From the node: start a program. Number 0 is the first one, whose pipes init has kept; another brings a
    /// descriptor for its output.
    Run {
        number: u64,
        job: Job,
    },
    Signal {
        number: u64,
        kill: bool,
    },
    /// From the node: make a socket in the sandbox's network and hand it over.
    Socket,
    /// From the node: make the process ahead that is to become the first program. Not answered.
    Prefork,
    /// Stop every process, where no cgroup can.
    Freeze,
    Thaw,
}

/// Init to the copy of a zygote, with descriptors: output, frames and handover. Its places are furnished.
#[derive(Debug, Serialize, Deserialize)]
pub struct Welcome {
    pub cwd: PathBuf,
}

/// A copy to init: it stands confined, under this number, or gives up.
#[derive(Debug, Serialize, Deserialize)]
pub enum Arrival {
    Confined { pid: i32 },
    Failed { what: String, errno: Option<i32> },
}

/// The spawner to a zygote, once. Orders follow: each is a packet with descriptors, and its text means nothing. They are
/// the sandbox's first process, the copy's end of the line to it, and control groups to enter by writing to them.
#[derive(Debug, Serialize, Deserialize)]
pub struct Confinement {
    pub uid: u32,
    pub gid: u32,
    pub processes_max: u64,
    /// The system call filter's code, in hexadecimal.
    pub filter: String,
    /// The system call for the length of turns, which has a number for each architecture.
    pub sched_setattr: i64,
    /// The code of [`crate::kernel::birth`], in hexadecimal.
    pub birth: String,
}

/// Init to the node.
#[derive(Debug, Serialize, Deserialize)]
pub enum Event {
    Ready,
    SetupFailed {
        failure: Failure,
    },
    Started {
        /// Why the program was started anew, where it was to be a copy.
        instead: Option<Failure>,
    },
    StartFailed {
        failure: Failure,
    },
    Placed {
        failure: Option<Failure>,
    },
    Exited {
        how: How,
    },
    /// Answers `Run`.
    Ran {
        number: u64,
        failure: Option<Failure>,
    },
    /// A program beside the first has ended.
    BesideExited {
        number: u64,
        how: How,
    },
    /// With the socket, or why there is none.
    Socket {
        failure: Option<Failure>,
    },
}

#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub enum How {
    Code(i32),
    Signal(i32),
}

impl From<How> for ExitHow {
    fn from(how: How) -> Self {
        match how {
            How::Code(code) => Self::Code(code),
            How::Signal(signal) => Self::Signal(signal),
        }
    }
}

/// Something that did not work, on its way to the port's error.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Failure {
    pub what: String,
    pub errno: Option<i32>,
    pub detail: String,
    /// Whether the program is at fault.
    pub program: Option<String>,
}

impl Failure {
    pub fn new(what: impl Into<String>, cause: &io::Error) -> Self {
        Self { what: what.into(), errno: cause.raw_os_error(), detail: cause.to_string(), program: None }
    }

    pub fn plain(what: impl Into<String>, detail: impl Into<String>) -> Self {
        Self { what: what.into(), errno: None, detail: detail.into(), program: None }
    }

    pub fn of_program(program: &str, cause: &io::Error) -> Self {
        Self { program: Some(program.to_owned()), ..Self::new("start the program", cause) }
    }
}

/// Error numbers that mean "not now".
pub fn is_exhaustion(errno: i32) -> bool {
    matches!(
        errno,
        libc::EAGAIN
            | libc::ENOMEM
            | libc::ENOSPC
            | libc::EMFILE
            | libc::ENFILE
            | libc::EUSERS
            | libc::ENOBUFS
            | libc::EDQUOT
    )
}

impl From<Failure> for SandboxError {
    fn from(failure: Failure) -> Self {
        let Failure { what, errno, detail, program } = failure;
        match (program, errno) {
            (Some(program), Some(errno)) if !is_exhaustion(errno) => Self::Program { program, detail, errno },
            (_, Some(errno)) if is_exhaustion(errno) => {
                Self::Exhausted { detail: format!("{what}: {detail}") }
            }
            _ => Self::Internal { detail: format!("{what}: {detail}") },
        }
    }
}

/// Adds what was being done to an error.
pub trait Doing<T> {
    fn doing(self, what: impl Into<String>) -> Result<T, Failure>;
}

impl<T, E: Into<io::Error>> Doing<T> for Result<T, E> {
    fn doing(self, what: impl Into<String>) -> Result<T, Failure> {
        self.map_err(|cause| Failure::new(what, &cause.into()))
    }
}
