//! The sandbox driver: makes cells, starts programs in them, and removes every trace of them.
//!
//! A cell is made in two steps, because the first costs milliseconds and knows nothing of the function: a
//! [`Cell`] can be made ahead of need. The second step hands over code, limits and program.

use std::net::SocketAddr;
use std::os::fd::OwnedFd;
use std::path::PathBuf;
use std::sync::Arc;

use super::BoxFuture;
use crate::function::Egress;

/// Makes cells.
pub trait Sandboxes: Send + Sync {
    /// A sandbox at the configured isolation level, with nothing running in it but its own init.
    fn prepare(&self, shape: Shape) -> BoxFuture<'_, Result<Box<dyn Cell>, SandboxError>>;

    /// Resolves when all cells and environments that were made so far are lost, whatever ended them. For one waiter: it
    /// is told of a loss that came while nobody waited.
    fn lost(&self) -> BoxFuture<'_, ()> {
        Box::pin(std::future::pending())
    }

    /// Whether [`Cell::boot`] works at the configured isolation level.
    fn boots(&self) -> bool {
        true
    }

    /// Why a program can't become what the memory of another one was, which it does by itself; `None` where it can.
    fn cannot_restore(&self) -> Option<String> {
        None
    }

    /// Whether [`Cell::boot`] of such a program would now copy a process that has booted it before, its zygote,
    /// instead of starting it anew. A driver that can keep zygotes has one made when it is asked for the first time,
    /// and again when one has ended.
    ///
    /// The program copies itself: see [`ZYGOTE_VARIABLE`].
    fn has_zygote(&self, job: &Assignment) -> bool {
        let _ = job;
        false
    }
}

/// What must be known before a cell is made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Shape {
    pub egress: Egress,
}

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SandboxError {
    /// The host can't make one now (processes, memory, namespaces, descriptors). Trying later may help.
    #[error("the host has no room for another sandbox: {detail}")]
    Exhausted { detail: String },
    /// The program could not be started: not executable, wrong architecture, missing interpreter. Trying again
    /// won't help. `errno` is the kernel's word for it.
    #[error("can't start {program}: {detail}")]
    Program { program: String, detail: String, errno: i32 },
    #[error("sandbox failure: {detail}")]
    Internal { detail: String },
}

/// A sandbox that waits for its program. Dropping it removes it.
pub trait Cell: Send {
    /// Where the program will reach the Runtime API: an address inside the sandbox.
    fn runtime_api_addr(&self) -> SocketAddr;

    /// Where the program will reach the node's AWS endpoint; absent with [`Egress::None`].
    fn services_addr(&self) -> Option<SocketAddr>;

    /// Whether it can still be used. One whose processes were ended from outside can't.
    fn is_alive(&self) -> bool {
        true
    }

    /// The memory that ending it gives back to the host; `None` where that can't be told.
    fn memory_bytes(&self) -> Option<u64> {
        None
    }

    /// It will wait for a while: whatever of [`Cell::start`] can be done ahead, is. Of no use ahead of [`Cell::boot`].
    fn prefork(&self) {}

    /// Writes the limits, places the mounts, starts the program.
    fn start(self: Box<Self>, job: Assignment) -> BoxFuture<'static, Result<Running, SandboxError>>;

    /// Starts a program that knows no function yet: a language runtime that boots and then waits, reading
    /// [`HANDOVER_FD`], to be told what it is for. `job` holds what the program needs to boot; its limits are
    /// those of the wait.
    ///
    /// A driver that can't do so says so, and its cells are started with [`Cell::start`] only.
    fn boot(self: Box<Self>, job: Assignment) -> BoxFuture<'static, Result<Box<dyn Booted>, SandboxError>> {
        let _ = job;
        let detail = "this driver starts no program ahead of its function".to_owned();
        Box::pin(async { Err(SandboxError::Internal { detail }) })
    }
}

/// The descriptor on which a booted program reads, to its end, what it is to become.
pub const HANDOVER_FD: i32 = 4;

/// Tells a program that it is a zygote, and on which descriptor it hears of the sandboxes that it is to copy itself
/// into. Each copy confines itself as the driver would have confined the program, and then waits for its handover.
pub const ZYGOTE_VARIABLE: &str = "_LAMBENT_ZYGOTE_FD";

/// A cell whose program has been started and waits for its function. Dropping it removes it. Used once.
pub trait Booted: Send {
    fn runtime_api_addr(&self) -> SocketAddr;

    fn services_addr(&self) -> Option<SocketAddr>;

    /// Whether the program still waits. One that ended meanwhile is of no use.
    fn is_alive(&self) -> bool;

    /// As [`Cell::memory_bytes`].
    fn memory_bytes(&self) -> Option<u64> {
        None
    }

    /// Writes the limits (memory and CPU; `/tmp` stays as it was booted), places the function's mounts where
    /// the program sees them, forgets the memory peak of the wait, and hands `handover` to the program.
    fn assign(
        self: Box<Self>,
        limits: Limits,
        mounts: Vec<Mount>,
        handover: Vec<u8>,
    ) -> BoxFuture<'static, Result<Running, SandboxError>>;
}

/// What a cell becomes.
#[derive(Debug, Clone)]
pub struct Assignment {
    pub limits: Limits,
    pub mounts: Vec<Mount>,
    pub program: Program,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    pub memory_mb: u32,
    /// Thousandths of a CPU.
    pub cpu_millis: u32,
    pub tmp_mb: u32,
}

/// Host folders that appear read-only inside. With several sources they are laid over each other, the last
/// one on top.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mount {
    pub sources: Vec<PathBuf>,
    /// Absolute, normalised. Missing parents are made.
    pub target: PathBuf,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Program {
    /// The first word is an absolute path inside the sandbox.
    pub argv: Vec<String>,
    /// The whole environment: nothing of the node's own is inherited.
    pub env: Vec<(String, String)>,
    pub cwd: PathBuf,
}

impl Program {
    /// No program yet: the mounts are placed, [`Environment::begin`] starts it.
    pub fn none() -> Self {
        Self { argv: Vec::new(), env: Vec::new(), cwd: PathBuf::from("/") }
    }
}

/// A program that was started beside the first.
pub struct Beside {
    pub number: u64,
    /// The read end of its stdout and stderr, non-blocking.
    pub output: OwnedFd,
    /// Resolves when it has ended, by itself or with its sandbox.
    pub exited: BoxFuture<'static, ExitHow>,
}

/// One of a sandbox's programs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Which {
    First,
    Beside(u64),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ProgramSignal {
    Terminate,
    Kill,
}

fn one_program_only() -> SandboxError {
    SandboxError::Internal { detail: "this driver starts one program only".to_owned() }
}

/// A program in its sandbox. When the handle is dropped, the sandbox is killed and removed.
pub struct Running {
    /// Accepts the connections that the program makes to the Runtime API.
    pub runtime_api: std::net::TcpListener,
    /// Accepts the connections that the program makes to the AWS endpoint.
    pub services: Option<std::net::TcpListener>,
    /// The read end of the program's stdout and stderr, non-blocking.
    pub output: OwnedFd,
    /// The read end of the pipe that the program has as descriptor 3, non-blocking: framed log records of the
    /// runtime clients.
    pub frames: OwnedFd,
    pub environment: Arc<dyn Environment>,
}

/// Control of a running sandbox.
pub trait Environment: Send + Sync {
    /// A number that is unique on the host while the sandbox lives; shows up in operators' messages.
    fn label(&self) -> String;

    /// Stops every process in it until [`Environment::thaw`]. A frozen sandbox uses no CPU.
    fn freeze(&self) -> std::io::Result<()>;

    fn thaw(&self) -> std::io::Result<()>;

    /// Changes the CPU share, in thousandths of a CPU.
    fn set_cpu_millis(&self, cpu_millis: u32) -> std::io::Result<()>;

    /// The most memory that it held at any time, in bytes; 0 where the host can't tell.
    fn memory_peak_bytes(&self) -> u64;

    /// Starts the program of a sandbox that was begun without one, see [`Program::none`].
    fn begin(&self, program: Program) -> BoxFuture<'static, Result<(), SandboxError>> {
        let _ = program;
        Box::pin(async { Err(one_program_only()) })
    }

    /// Starts a further program, with the rights and limits of the first. Where one was started, the end of the
    /// first is no longer the sandbox's.
    fn run_beside(&self, program: Program) -> BoxFuture<'static, Result<Beside, SandboxError>> {
        let _ = program;
        Box::pin(async { Err(one_program_only()) })
    }

    /// Asks a program to end (SIGTERM), or ends it (SIGKILL). One that has ended already is no error.
    fn signal(&self, which: Which, signal: ProgramSignal) -> std::io::Result<()> {
        let _ = (which, signal);
        Err(std::io::ErrorKind::Unsupported.into())
    }

    /// A TCP socket inside the sandbox's network, not connected yet.
    fn socket(&self) -> BoxFuture<'static, std::io::Result<OwnedFd>> {
        Box::pin(async { Err(std::io::ErrorKind::Unsupported.into()) })
    }

    /// Resolves when the program has ended.
    fn exited(&self) -> BoxFuture<'static, Exit>;

    /// Ends every process in it and removes it from the host; resolves when nothing is left.
    fn kill(&self) -> BoxFuture<'static, ()>;
}

/// How a program ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Exit {
    pub how: ExitHow,
    /// Whether the memory limit was what ended it (or any process beside it).
    pub out_of_memory: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ExitHow {
    Code(i32),
    Signal(i32),
}
