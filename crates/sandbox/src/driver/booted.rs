//! A sandbox whose program has begun: either it knows its function, or it waits to be told.

use std::io;
use std::net::{SocketAddr, TcpListener};
use std::os::fd::OwnedFd;
use std::sync::Arc;

use lambent_core::ports::BoxFuture;
use lambent_core::ports::sandbox::{Booted as BootedPort, Limits, Mount, Running, SandboxError};
use tokio::io::unix::AsyncFd;

use super::cell::limits;
use super::environment::Sandbox;
use crate::kernel;
use crate::protocol::{Doing, Failure};

/// A program that has begun, with everything that the node holds of it.
pub struct Begun {
    pub sandbox: Arc<Sandbox>,
    pub runtime_api: TcpListener,
    pub runtime_api_addr: SocketAddr,
    pub services: Option<(TcpListener, SocketAddr)>,
    pub output: OwnedFd,
    pub frames: OwnedFd,
    pub handover: Option<OwnedFd>,
}

impl Begun {
    pub fn into_running(self) -> Running {
        Running {
            runtime_api: self.runtime_api,
            services: self.services.map(|(listener, _)| listener),
            output: self.output,
            frames: self.frames,
            environment: self.sandbox,
        }
    }
}

pub struct Booted {
    begun: Begun,
}

impl Booted {
    pub fn new(begun: Begun) -> Self {
        Self { begun }
    }

    async fn become_function(
        mut self,
        new: Limits,
        mounts: Vec<Mount>,
        handover: Vec<u8>,
    ) -> Result<Running, SandboxError> {
        let sandbox = &self.begun.sandbox;
        if !sandbox.is_alive() {
            return Err(Failure::plain("use a waiting program", "it has ended").into());
        }
        let placed = if mounts.is_empty() { None } else { Some(sandbox.place(mounts)?) };
        // Meanwhile others place.
        sandbox.group().set_limits(limits(&new)).doing("write a sandbox's limits")?;
        if let Some(placed) = placed {
            placed.await?;
        }
        sandbox.forget_memory_peak();
        if let Some(pipe) = self.begun.handover.take() {
            hand_over(pipe, handover).doing("tell a waiting program its function")?;
        }
        Ok(self.begun.into_running())
    }
}

impl BootedPort for Booted {
    fn runtime_api_addr(&self) -> SocketAddr {
        self.begun.runtime_api_addr
    }

    fn services_addr(&self) -> Option<SocketAddr> {
        self.begun.services.as_ref().map(|(_, addr)| *addr)
    }

    fn is_alive(&self) -> bool {
        self.begun.sandbox.is_there()
    }

    fn memory_bytes(&self) -> Option<u64> {
        self.begun.sandbox.group().memory_held_bytes()
    }

    fn assign(
        self: Box<Self>,
        limits: Limits,
        mounts: Vec<Mount>,
        handover: Vec<u8>,
    ) -> BoxFuture<'static, Result<Running, SandboxError>> {
        Box::pin(self.become_function(limits, mounts, handover))
    }
}

/// Writes what fits at once; the rest goes on beside the caller, since a program may read it as slowly as it likes.
/// One that ends during the rest is told of as any program's end. The pipe closes behind the last byte.
fn hand_over(pipe: OwnedFd, words: Vec<u8>) -> io::Result<()> {
    let written = match rustix::io::write(&pipe, &words) {
        Ok(written) => written,
        Err(rustix::io::Errno::AGAIN | rustix::io::Errno::INTR) => 0,
        Err(error) => return Err(error.into()),
    };
    if written < words.len() {
        let pipe = kernel::watched(pipe)?;
        tokio::spawn(async move {
            let _ = write_rest(&pipe, &words[written..]).await;
        });
    }
    Ok(())
}

async fn write_rest(pipe: &AsyncFd<OwnedFd>, mut words: &[u8]) -> io::Result<()> {
    while !words.is_empty() {
        let mut ready = pipe.writable().await?;
        match ready.try_io(|pipe| Ok(rustix::io::write(pipe, words)?)) {
            Ok(Ok(written)) => words = &words[written..],
            Ok(Err(error)) if error.kind() == io::ErrorKind::Interrupted => {}
            Ok(Err(error)) => return Err(error),
            Err(_would_block) => {}
        }
    }
    Ok(())
}
