//! A running sandbox: freeze, thaw, watch, kill.

use std::io;
use std::os::fd::OwnedFd;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use lambent_core::ports::BoxFuture;
use lambent_core::ports::sandbox::{
    Beside, Environment, Exit, ExitHow, Mount, Program, ProgramSignal, SandboxError, Which,
};
use tokio::io::unix::AsyncFd;
use tokio::sync::{oneshot, watch};

use super::beside::{Besides, FIRST, Localise};
use super::cell::Lease;
use super::holdings::Holdings;
use super::link::{Link, next_packet};
use crate::cgroup::Group;
use crate::protocol::{Doing, Event, Failure, Order, Request, SandboxId};
use crate::socket;

pub struct Sandbox {
    lease: Lease,
    pid: i32,
    watched: Arc<Watched>,
    /// For a host without mounts.
    localise: Option<Localise>,
}

/// What the task that waits for the end shares with the handle. It doesn't keep the sandbox.
struct Watched {
    group: Group,
    socket: AsyncFd<OwnedFd>,
    exit: watch::Sender<Option<Exit>>,
    holdings: Mutex<Option<Holdings>>,
    /// Who waits for mounts to be placed.
    placing: Mutex<Option<oneshot::Sender<Result<(), Failure>>>>,
    besides: Besides,
    /// Kept beyond the control group.
    memory_peak_bytes: AtomicU64,
}

impl Sandbox {
    /// Takes over a sandbox whose program has begun.
    pub fn watch(
        lease: Lease,
        pid: i32,
        group: Group,
        socket: AsyncFd<OwnedFd>,
        holdings: Holdings,
        localise: Option<Localise>,
    ) -> Arc<Self> {
        let watched = Arc::new(Watched {
            group,
            socket,
            exit: watch::Sender::new(None),
            holdings: Mutex::new(Some(holdings)),
            placing: Mutex::new(None),
            besides: Besides::default(),
            memory_peak_bytes: AtomicU64::new(0),
        });
        let (link, removed) = (Arc::clone(&lease.link), Arc::clone(&lease.removed));
        tokio::spawn(Arc::clone(&watched).wait(link, lease.id, removed));
        Arc::new(Self { lease, pid, watched, localise })
    }

    pub fn group(&self) -> &Group {
        &self.watched.group
    }

    pub fn is_alive(&self) -> bool {
        self.watched.exit.borrow().is_none()
    }

    /// As [`Sandbox::is_alive`], without waiting to be told of its end.
    pub fn is_there(&self) -> bool {
        self.is_alive() && !self.lease.link.is_gone() && !socket::is_hung_up(&self.watched.socket)
    }

    /// Asks for more mounts where the program sees them. What comes back resolves when they are there.
    pub fn place(
        &self,
        mounts: Vec<Mount>,
    ) -> Result<impl Future<Output = Result<(), Failure>> + use<>, Failure> {
        let (tell, told) = oneshot::channel();
        *self.watched.placing() = Some(tell);
        let ended = || Failure::plain("place mounts", "the sandbox has ended");
        if !self.is_alive() {
            return Err(ended());
        }
        let mounts = mounts.into_iter().map(Into::into).collect();
        let request = Request::Place { id: self.lease.id, mounts };
        self.lease.link.post(&request, Vec::new()).doing("place mounts")?;
        Ok(async move { told.await.unwrap_or_else(|_| Err(ended())) })
    }

    /// Counts the peak from here on.
    pub fn forget_memory_peak(&self) {
        self.watched.group.forget_memory_peak();
        self.watched.memory_peak_bytes.store(0, Ordering::Relaxed);
    }
}

impl Watched {
    /// Until the end, and then until nothing is left of it: whoever holds the handle may take its time.
    async fn wait(self: Arc<Self>, link: Arc<Link>, id: SandboxId, removed: Arc<AtomicBool>) {
        // Without a word from init: it was killed, by us or for want of memory.
        let killed = ExitHow::Signal(libc::SIGKILL);
        while let Ok(Some(packet)) = next_packet(&self.socket).await {
            match packet.message() {
                Ok(Event::Exited { how }) => {
                    self.tell_exit(how.into());
                    if !self.besides.were_any() {
                        break;
                    }
                }
                Ok(Event::Ran { number, failure }) => self.besides.ran(number, failure),
                Ok(Event::BesideExited { number, how }) => self.besides.exited(number, how.into()),
                Ok(Event::Socket { failure }) => self.besides.socket(failure, packet.descriptors),
                Ok(Event::Placed { failure }) => {
                    if let Some(tell) = self.placing().take() {
                        let _ = tell.send(failure.map_or(Ok(()), Err));
                    }
                }
                _ => {}
            }
        }
        if self.exit.borrow().is_none() {
            self.tell_exit(killed);
        }
        self.placing().take();
        self.besides.end();
        link.remove(id).await;
        removed.store(true, Ordering::Relaxed);
        self.release(!link.is_dead()).await;
    }

    fn tell_exit(&self, how: ExitHow) {
        let out_of_memory = self.group.out_of_memory();
        self.measure();
        self.exit.send_replace(Some(Exit { how, out_of_memory }));
    }

    fn placing(&self) -> MutexGuard<'_, Option<oneshot::Sender<Result<(), Failure>>>> {
        // Only ever replaced as a whole, so a panic can't leave it half changed.
        self.placing.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Gives back what the node held for it.
    async fn release(&self, removed: bool) {
        let holdings = self.holdings.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(holdings) = holdings {
            holdings.release(removed).await;
        }
    }

    fn measure(&self) -> u64 {
        let now = self.group.memory_peak_bytes();
        self.memory_peak_bytes.fetch_max(now, Ordering::Relaxed).max(now)
    }

    /// Where no control group can: init does it.
    fn order(&self, order: &Order) -> io::Result<()> {
        socket::send(&self.socket, order, &[])
    }
}

impl Environment for Sandbox {
    fn label(&self) -> String {
        self.pid.to_string()
    }

    fn freeze(&self) -> io::Result<()> {
        if self.watched.group.can_freeze() {
            return self.watched.group.freeze(true);
        }
        self.watched.order(&Order::Freeze)
    }

    fn thaw(&self) -> io::Result<()> {
        if self.watched.group.can_freeze() {
            return self.watched.group.freeze(false);
        }
        self.watched.order(&Order::Thaw)
    }

    fn set_cpu_millis(&self, cpu_millis: u32) -> io::Result<()> {
        self.watched.group.set_cpu(cpu_millis)
    }

    fn memory_peak_bytes(&self) -> u64 {
        self.watched.measure()
    }

    fn begin(&self, program: Program) -> BoxFuture<'static, Result<(), SandboxError>> {
        let (watched, localise) = (Arc::clone(&self.watched), self.localise.clone());
        Box::pin(async move { Ok(watched.besides.begin(&watched.socket, program, localise).await?) })
    }

    fn run_beside(&self, program: Program) -> BoxFuture<'static, Result<Beside, SandboxError>> {
        let (watched, localise) = (Arc::clone(&self.watched), self.localise.clone());
        Box::pin(async move { Ok(watched.besides.run(&watched.socket, program, localise).await?) })
    }

    fn signal(&self, which: Which, signal: ProgramSignal) -> io::Result<()> {
        let number = match which {
            Which::First => FIRST,
            Which::Beside(number) => number,
        };
        self.watched.order(&Order::Signal { number, kill: signal == ProgramSignal::Kill })
    }

    fn socket(&self) -> BoxFuture<'static, io::Result<OwnedFd>> {
        let watched = Arc::clone(&self.watched);
        Box::pin(async move {
            let made = watched.besides.ask_socket(&watched.socket).await;
            made.map_err(|failure| io::Error::other(format!("{}: {}", failure.what, failure.detail)))
        })
    }

    fn exited(&self) -> BoxFuture<'static, Exit> {
        let mut exit = self.watched.exit.subscribe();
        Box::pin(async move {
            let known = exit.wait_for(Option::is_some).await.ok().and_then(|exit| *exit);
            // The sender lives in the task that sends; it can only vanish with the runtime.
            known.unwrap_or(Exit { how: ExitHow::Signal(libc::SIGKILL), out_of_memory: false })
        })
    }

    fn kill(&self) -> BoxFuture<'static, ()> {
        let (id, link) = (self.lease.id, Arc::clone(&self.lease.link));
        let (watched, removed) = (Arc::clone(&self.watched), Arc::clone(&self.lease.removed));
        Box::pin(async move {
            if !removed.load(Ordering::Relaxed) {
                link.remove(id).await;
                removed.store(true, Ordering::Relaxed);
            }
            watched.release(!link.is_dead()).await;
        })
    }
}
