//! The node's connection to its spawner: requests out, replies to who waits for them, and what happens when the
//! spawner dies.

use std::collections::HashMap;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use lambent_core::ports::sandbox::Assignment;
use tokio::io::unix::AsyncFd;
use tokio::sync::{mpsc, oneshot, watch};

use super::zygotes::{Errand, Zygotes};
use crate::cgroup::{self, Layout};
use crate::config::{Config, StartError};
use crate::protocol::{Doing, Failure, Reply, Request, Room, SandboxId, Setup, ZygoteId};
use crate::{kernel, socket, spawner};

/// A sandbox that the spawner made.
pub struct Prepared {
    pub pid: i32,
    pub room: Room,
    pub descriptors: Vec<OwnedFd>,
}

/// What the spawner said at its start.
pub struct Configured {
    pub no_device: Option<String>,
    pub notes: Vec<String>,
}

#[derive(Default)]
struct Waiting {
    dead: bool,
    preparing: HashMap<SandboxId, oneshot::Sender<Result<Prepared, Failure>>>,
    removing: HashMap<SandboxId, Vec<oneshot::Sender<()>>>,
}

pub struct Link {
    socket: AsyncFd<OwnedFd>,
    waiting: Mutex<Waiting>,
    zygotes: Zygotes,
    /// Packets that the socket had no room for.
    overflow: mpsc::UnboundedSender<(Vec<u8>, Vec<OwnedFd>)>,
    /// Becomes true when the spawner is gone and nothing of its sandboxes is left.
    buried: watch::Sender<bool>,
}

impl Link {
    /// Starts a spawner and waits until it is ready.
    pub async fn start(config: &Config, setup: Setup) -> Result<(Arc<Self>, Configured), StartError> {
        let failed = |error: io::Error| StartError::Spawner { detail: error.to_string() };
        let (ours, theirs) = socket::pair().map_err(failed)?;
        let child = launch(config, &theirs).map_err(failed)?;
        drop(theirs);
        rustix::io::ioctl_fionbio(&ours, true).map_err(|error| failed(error.into()))?;
        let socket = kernel::watched(ours).map_err(failed)?;
        let layout = setup.cgroups.clone();
        let first = serde_json::to_vec(&Request::Configure(setup)).map_err(|error| failed(error.into()))?;
        send_when_possible(&socket, &first, &[]).await.map_err(failed)?;
        let configured = first_reply(&socket).await?;
        let (overflow, packets) = mpsc::unbounded_channel();
        let (waiting, zygotes, buried) = (Mutex::default(), Zygotes::default(), watch::Sender::new(false));
        let link = Arc::new(Self { socket, waiting, zygotes, overflow, buried });
        tokio::spawn(Arc::clone(&link).listen(child, layout));
        tokio::spawn(Arc::clone(&link).send_overflow(packets));
        Ok((link, configured))
    }

    pub fn is_dead(&self) -> bool {
        self.waiting().dead
    }

    /// Whether the spawner has ended, without waiting to be told: its burial may just begin.
    pub fn is_gone(&self) -> bool {
        self.is_dead() || socket::is_hung_up(&self.socket)
    }

    /// Waits until nothing of a dead spawner is left.
    pub async fn buried(&self) {
        let mut buried = self.buried.subscribe();
        let _ = buried.wait_for(|buried| *buried).await;
    }

    /// Tells the spawner to end, which removes all its sandboxes, and waits for that.
    pub async fn close(&self) {
        let _ = rustix::net::shutdown(&self.socket, rustix::net::Shutdown::Write);
        self.buried().await;
    }

    pub async fn prepare(&self, id: SandboxId, request: &Request) -> Result<Prepared, Failure> {
        let (tell, told) = oneshot::channel();
        {
            let mut waiting = self.waiting();
            if !waiting.dead {
                waiting.preparing.insert(id, tell);
            }
        }
        self.post(request, Vec::new()).doing("ask for a sandbox")?;
        told.await.unwrap_or_else(|_| Err(Failure::plain("make a sandbox", "the spawner has ended")))
    }

    /// Sends a request. An error is about the request, or means that the spawner is dead, and its sandboxes as well.
    pub fn post(&self, request: &Request, descriptors: Vec<OwnedFd>) -> io::Result<()> {
        let text = serde_json::to_vec(request)?;
        let borrowed: Vec<BorrowedFd<'_>> = descriptors.iter().map(AsFd::as_fd).collect();
        match socket::send_text(&self.socket, &text, &borrowed) {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                self.overflow.send((text, descriptors)).map_err(|_| io::ErrorKind::BrokenPipe.into())
            }
            other => other,
        }
    }

    /// The zygote of which this program can be a copy.
    pub fn zygote(&self, job: &Assignment) -> Option<ZygoteId> {
        self.zygotes.ready(job)
    }

    /// Whether there is one. Asks for one where there is none.
    pub fn keeps_zygote(&self, job: &Assignment) -> bool {
        if self.is_dead() {
            return false;
        }
        let (found, errands) = self.zygotes.find(job, Instant::now());
        for errand in errands {
            let request = match errand {
                Errand::Keep(zygote, job) => Request::Keep { zygote, job },
                Errand::Part(zygote) => Request::Part { zygote },
            };
            // Should it fail, the spawner is dying, and knows no zygote any more.
            let _ = self.post(&request, Vec::new());
        }
        found.is_some()
    }

    /// What became of a program that was to be a zygote's copy.
    pub fn copied(&self, zygote: ZygoteId, instead: Option<Failure>) {
        match instead {
            None => self.zygotes.worked(zygote),
            Some(failure) => {
                if self.zygotes.failed(zygote, Instant::now()) {
                    let Failure { what, detail, .. } = failure;
                    tracing::warn!(what, detail, "a runtime could not be copied and was started anew");
                    let _ = self.post(&Request::Part { zygote }, Vec::new());
                }
            }
        }
    }

    /// Asks for a sandbox's removal and waits until nothing of it is left.
    pub async fn remove(&self, id: SandboxId) {
        let (tell, told) = oneshot::channel();
        let (dead, first) = {
            let mut waiting = self.waiting();
            let first = !waiting.removing.contains_key(&id);
            if !waiting.dead {
                waiting.removing.entry(id).or_default().push(tell);
            }
            (waiting.dead, first)
        };
        if dead {
            return self.buried().await;
        }
        if first {
            // Should it fail, the spawner is dying, and its burial tells us.
            let _ = self.post(&Request::Remove { id }, Vec::new());
        }
        let _ = told.await;
    }

    fn waiting(&self) -> MutexGuard<'_, Waiting> {
        // Each change under this lock is a single call, so a panic can't leave it half done.
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn listen(self: Arc<Self>, child: Child, layout: Layout) {
        while let Ok(Some(packet)) = next_even_short(&self.socket).await {
            match packet.message() {
                Ok(reply) => self.on_reply(reply, packet),
                Err(error) => tracing::error!(%error, "the sandbox spawner said something unknown"),
            }
        }
        self.bury(child, layout).await;
    }

    fn on_reply(&self, reply: Reply, packet: socket::Packet) {
        match reply {
            Reply::Configured { .. } | Reply::ConfigureFailed { .. } => {}
            Reply::Prepared { id, pid, room } => {
                if let Some(tell) = self.waiting().preparing.remove(&id) {
                    let whole = if packet.is_short {
                        let cause = io::Error::from_raw_os_error(libc::EMFILE);
                        Err(Failure::new("take over a sandbox", &cause))
                    } else {
                        Ok(Prepared { pid, room, descriptors: packet.descriptors })
                    };
                    let _ = tell.send(whole);
                }
            }
            Reply::PrepareFailed { id, failure } => {
                if let Some(tell) = self.waiting().preparing.remove(&id) {
                    let _ = tell.send(Err(failure));
                }
            }
            Reply::Zygote { zygote, ready } => {
                if !ready {
                    tracing::debug!(zygote, "a zygote has ended");
                }
                self.zygotes.heard(zygote, ready, Instant::now());
            }
            Reply::Removed { id } => {
                let told = self.waiting().removing.remove(&id);
                for tell in told.into_iter().flatten() {
                    let _ = tell.send(());
                }
            }
        }
    }

    /// The spawner is gone, and its sandboxes with it. Removes what a killed one could not.
    async fn bury(&self, mut child: Child, layout: Layout) {
        let left = {
            let mut waiting = self.waiting();
            waiting.dead = true;
            waiting.preparing.clear();
            std::mem::take(&mut waiting.removing)
        };
        // One that lives, but whose words can't be read, is to end as well.
        let _ = rustix::net::shutdown(&self.socket, rustix::net::Shutdown::Both);
        let ended = tokio::task::spawn_blocking(move || {
            let ended = child.wait();
            cgroup::kill_and_remove(&layout);
            ended
        });
        match ended.await {
            Ok(Ok(status)) if status.success() => {}
            Ok(Ok(status)) => {
                tracing::error!(%status, "the sandbox spawner ended, and all sandboxes with it")
            }
            Ok(Err(error)) => tracing::error!(%error, "the sandbox spawner ended, and all sandboxes with it"),
            Err(error) => tracing::error!(%error, "cleaning up after the sandbox spawner"),
        }
        let _ = self.buried.send_replace(true);
        for tell in left.into_values().flatten() {
            let _ = tell.send(());
        }
    }

    async fn send_overflow(self: Arc<Self>, mut packets: mpsc::UnboundedReceiver<(Vec<u8>, Vec<OwnedFd>)>) {
        let mut buried = self.buried.subscribe();
        loop {
            let packet = tokio::select! {
                packet = packets.recv() => packet,
                _ = buried.wait_for(|buried| *buried) => return,
            };
            let Some((text, descriptors)) = packet else { return };
            let borrowed: Vec<BorrowedFd<'_>> = descriptors.iter().map(AsFd::as_fd).collect();
            if let Err(error) = send_when_possible(&self.socket, &text, &borrowed).await {
                tracing::debug!(%error, "request to the sandbox spawner was not sent");
            }
        }
    }
}

fn launch(config: &Config, socket: &OwnedFd) -> io::Result<Child> {
    let Some((program, arguments)) = config.spawner.split_first() else {
        return Err(io::Error::from(io::ErrorKind::InvalidInput));
    };
    let mut command = Command::new(program);
    // Nothing of the node's environment may reach a place that a sandbox is made from.
    command.args(arguments).env_clear().stdin(Stdio::null()).stdout(Stdio::null()).current_dir("/");
    kernel::spawn_with(&mut command, socket.as_fd(), spawner::CONTROL_DESCRIPTOR)
}

async fn first_reply(socket: &AsyncFd<OwnedFd>) -> Result<Configured, StartError> {
    let packet = next_packet(socket).await;
    let packet = packet.map_err(|error| StartError::Spawner { detail: error.to_string() })?;
    let Some(packet) = packet else {
        return Err(StartError::Spawner { detail: "it ended at once".to_owned() });
    };
    match packet.message() {
        Ok(Reply::Configured { no_device, notes }) => Ok(Configured { no_device, notes }),
        Ok(Reply::ConfigureFailed { what, detail }) => {
            Err(StartError::Spawner { detail: format!("{what}: {detail}") })
        }
        _ => Err(StartError::Spawner { detail: "it spoke out of turn".to_owned() }),
    }
}

/// Takes the next packet, waiting for it. One that came short of descriptors is an error.
pub async fn next_packet(socket: &AsyncFd<OwnedFd>) -> io::Result<Option<socket::Packet>> {
    next_even_short(socket).await?.map(socket::Packet::whole).transpose()
}

async fn next_even_short(socket: &AsyncFd<OwnedFd>) -> io::Result<Option<socket::Packet>> {
    loop {
        let mut ready = socket.readable().await?;
        match ready.try_io(socket::receive_even_short) {
            Ok(received) => return received,
            Err(_would_block) => {}
        }
    }
}

async fn send_when_possible(
    socket: &AsyncFd<OwnedFd>,
    text: &[u8],
    descriptors: &[BorrowedFd<'_>],
) -> io::Result<()> {
    loop {
        let mut ready = socket.writable().await?;
        match ready.try_io(|socket| socket::send_text(socket, text, descriptors)) {
            Ok(sent) => return sent,
            Err(_would_block) => {}
        }
    }
}
