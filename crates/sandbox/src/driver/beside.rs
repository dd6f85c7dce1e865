//! What the node asks of the first process of a sandbox that runs: further programs, and sockets inside its network.
//!
//! Orders go straight to that process; its answers come with everything else that it says and are sorted here. When
//! the sandbox ends, so does every wait.

use std::collections::{HashMap, VecDeque};
use std::os::fd::{AsFd, OwnedFd};
use std::path::PathBuf;
use std::sync::{Mutex, MutexGuard, PoisonError};

use lambent_core::ports::sandbox::{Beside, ExitHow, Mount, Program};
use tokio::io::unix::AsyncFd;
use tokio::sync::oneshot;

use super::cell::pipe;
use crate::process;
use crate::protocol::{Doing, Failure, Job, Order};
use crate::socket;

/// The program that the sandbox is for.
pub const FIRST: u64 = 0;

/// How programs are told their places on a host without mounts.
#[derive(Debug, Clone)]
pub struct Localise {
    pub mounts: Vec<Mount>,
    pub scratch: PathBuf,
}

impl Localise {
    pub async fn apply(&self, mut program: Program) -> Result<Program, Failure> {
        let Self { mounts, scratch } = self.clone();
        let localised = tokio::task::spawn_blocking(move || {
            process::localise(&mut program, &mounts, &scratch)?;
            Ok::<_, std::io::Error>(program)
        });
        let localised = localised.await.unwrap_or_else(|error| Err(std::io::Error::other(error)));
        localised.doing("prepare a program's folders")
    }
}

#[derive(Default)]
pub struct Besides {
    inner: Mutex<Inner>,
}

#[derive(Default)]
struct Inner {
    last: u64,
    starting: HashMap<u64, oneshot::Sender<Result<(), Failure>>>,
    running: HashMap<u64, oneshot::Sender<ExitHow>>,
    sockets: VecDeque<oneshot::Sender<Result<OwnedFd, Failure>>>,
    ended: bool,
}

impl Besides {
    /// Starts the first program, where the sandbox began without.
    pub async fn begin(
        &self,
        control: &AsyncFd<OwnedFd>,
        program: Program,
        localise: Option<Localise>,
    ) -> Result<(), Failure> {
        self.order(control, FIRST, program, localise, None).await
    }

    pub async fn run(
        &self,
        control: &AsyncFd<OwnedFd>,
        program: Program,
        localise: Option<Localise>,
    ) -> Result<Beside, Failure> {
        let (output, output_end) = pipe().doing("make a pipe")?;
        let (tell, told) = oneshot::channel();
        let number = {
            let mut inner = self.lock();
            inner.last += 1;
            let number = inner.last;
            // Before it is started: it may have ended before we hear that it was.
            inner.running.insert(number, tell);
            number
        };
        match self.order(control, number, program, localise, Some(output_end)).await {
            Ok(()) => {
                let exited = Box::pin(async move { told.await.unwrap_or(ExitHow::Signal(libc::SIGKILL)) });
                Ok(Beside { number, output, exited })
            }
            Err(failure) => {
                self.lock().running.remove(&number);
                Err(failure)
            }
        }
    }

    async fn order(
        &self,
        control: &AsyncFd<OwnedFd>,
        number: u64,
        mut program: Program,
        localise: Option<Localise>,
        output: Option<OwnedFd>,
    ) -> Result<(), Failure> {
        if let Some(localise) = localise {
            program = localise.apply(program).await?;
        }
        let (tell, told) = oneshot::channel();
        {
            let mut inner = self.lock();
            if inner.ended {
                return Err(ended());
            }
            inner.starting.insert(number, tell);
        }
        let order = Order::Run { number, job: Job::beside(program) };
        let descriptors: Vec<_> = output.iter().map(AsFd::as_fd).collect();
        if let Err(failure) = socket::send(control, &order, &descriptors).doing("start a program") {
            self.lock().starting.remove(&number);
            return Err(failure);
        }
        told.await.unwrap_or_else(|_| Err(ended()))
    }

    pub async fn ask_socket(&self, control: &AsyncFd<OwnedFd>) -> Result<OwnedFd, Failure> {
        let (tell, told) = oneshot::channel();
        {
            // Answers come in the order of the questions.
            let mut inner = self.lock();
            if inner.ended {
                return Err(ended());
            }
            socket::send(control, &Order::Socket, &[]).doing("ask for a socket")?;
            inner.sockets.push_back(tell);
        }
        told.await.unwrap_or_else(|_| Err(ended()))
    }

    /// Whether a program beside the first was ever started.
    pub fn were_any(&self) -> bool {
        self.lock().last > 0
    }

    pub fn ran(&self, number: u64, failure: Option<Failure>) {
        if let Some(tell) = self.lock().starting.remove(&number) {
            let _ = tell.send(failure.map_or(Ok(()), Err));
        }
    }

    pub fn exited(&self, number: u64, how: ExitHow) {
        if let Some(tell) = self.lock().running.remove(&number) {
            let _ = tell.send(how);
        }
    }

    pub fn socket(&self, failure: Option<Failure>, descriptors: Vec<OwnedFd>) {
        let made = match (failure, descriptors.into_iter().next()) {
            (Some(failure), _) => Err(failure),
            (None, Some(made)) => Ok(made),
            (None, None) => Err(Failure::plain("ask for a socket", "a descriptor is missing")),
        };
        if let Some(tell) = self.lock().sockets.pop_front() {
            let _ = tell.send(made);
        }
    }

    /// The sandbox has ended: nobody is answered any more.
    pub fn end(&self) {
        let mut inner = self.lock();
        let last = inner.last;
        *inner = Inner { last, ended: true, ..Inner::default() };
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        // Only maps are changed under it, whole entries at a time: a panic leaves them usable.
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn ended() -> Failure {
    Failure::plain("ask a sandbox", "it has ended")
}
