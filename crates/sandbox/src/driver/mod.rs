//! The port's real side: prepares cells, starts programs in them, and leaves nothing behind.
//!
//! Lives in the node. Whatever needs to duplicate a process or to mount is asked of the spawner ([`link`]); what is
//! one write to an open file (limits, freezing) is done here. `cell` is a prepared sandbox, `environment` a running
//! one.

mod beside;
mod booted;
mod cell;
mod environment;
mod holdings;
mod link;
mod zygotes;

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use lambent_core::ports::BoxFuture;
use lambent_core::ports::sandbox::{Assignment, Cell as CellPort, SandboxError, Sandboxes, Shape};
use tokio::sync::{Mutex, Notify};

use crate::cgroup::{self, Layout};
use crate::config::{Config, Isolation, StartError};
use crate::egress;
use crate::protocol::{SandboxId, Setup};
use crate::report::{self, HostReport};
use crate::restoring;
use crate::spawner;
use crate::volumes::{Volume, Volumes};
use cell::Cell;
use link::Link;

/// The driver of sandboxes on this host. See [`Sandboxes`].
pub struct Driver {
    shared: Arc<Shared>,
}

/// What prepared and running sandboxes need of their driver.
struct Shared {
    config: Config,
    layout: Layout,
    report: HostReport,
    /// The spawner in use; replaced when it died.
    link: Mutex<Option<Arc<Link>>>,
    next_id: AtomicU64,
    /// What functions with internet egress may reach.
    policy: Arc<egress::Policy>,
    /// Told when a spawner has ended.
    lost: Arc<Notify>,
    /// Absent where `/tmp` must be memory.
    volumes: Option<Arc<Volumes>>,
}

impl Driver {
    /// Removes what a killed predecessor left, and starts the spawner.
    ///
    /// Refuses a level of isolation that the host can't give, naming what is missing and how to get it.
    pub async fn start(config: Config) -> Result<Self, StartError> {
        config.check()?;
        let run_dir = config.run_dir.canonicalize();
        let run_dir = run_dir.map_err(|error| StartError::RunDir {
            path: config.run_dir.clone(),
            detail: error.to_string(),
        })?;
        let config = Config { run_dir, ..config };
        let report = report::examine_host();
        report.demand(config.isolation)?;
        let instance = config.instance.clone();
        let isolation = config.isolation;
        let scratch = config.run_dir.clone();
        let layout = tokio::task::spawn_blocking(move || {
            // Given back at once: from here on it is our own spawner's.
            drop(spawner::alone::take(&scratch)?);
            let layout = cgroup::detect(&instance);
            cgroup::kill_and_remove(&layout);
            spawner::remove_scratch(&scratch);
            Ok(layout)
        })
        .await
        .unwrap_or_else(|error| Err(io::Error::other(error)))
        .map_err(|error| StartError::Spawner { detail: error.to_string() })?;
        let roles = layout.roles();
        if isolation == Isolation::Full && !(roles.memory && roles.cpu && roles.pids && roles.freeze) {
            cgroup::remove_tree(&layout);
            return Err(report::no_limits(roles));
        }
        let mut shared = Shared {
            config,
            layout,
            report,
            link: Mutex::new(None),
            next_id: AtomicU64::new(1),
            policy: Arc::new(egress::Policy::from_host()),
            lost: Arc::default(),
            volumes: None,
        };
        let (link, configured) = Link::start(&shared.config, shared.setup()).await.inspect_err(|_| {
            cgroup::remove_tree(&shared.layout);
        })?;
        if isolation != Isolation::Process {
            let run_dir = shared.config.run_dir.clone();
            let opened = tokio::task::spawn_blocking(move || Volumes::open(&run_dir)).await;
            match opened.unwrap_or_else(|error| Err(error.to_string())) {
                Ok(volumes) => shared.volumes = Some(Arc::new(volumes)),
                Err(reason) => shared.report.volumes_missing(&reason),
            }
        }
        shared.report.add_trial(configured.no_device, configured.notes);
        shared.tell_of_end(&link);
        *shared.link.get_mut() = Some(link);
        if isolation == Isolation::Process {
            tracing::warn!(
                "isolation is \"process\": functions can read and change what this user can, see its \
                 processes, and use its network; only run code that you trust"
            );
        }
        shared.restock();
        Ok(Self { shared: Arc::new(shared) })
    }

    /// What this host gives.
    pub fn report(&self) -> &HostReport {
        &self.shared.report
    }

    /// Kills every sandbox and removes all that the driver made on the host.
    pub async fn stop(&self) {
        // First of all: the spawner takes the volumes' folder away when it goes, and one may be in the making.
        if let Some(volumes) = self.shared.volumes.clone() {
            let _ = tokio::task::spawn_blocking(move || volumes.close()).await;
        }
        let link = self.shared.link.lock().await.take();
        if let Some(link) = link {
            link.close().await;
        }
        let layout = self.shared.layout.clone();
        let run_dir = self.shared.config.run_dir.clone();
        let _ = tokio::task::spawn_blocking(move || {
            cgroup::kill_and_remove(&layout);
            cgroup::remove_tree(&layout);
            spawner::remove_scratch(&run_dir);
            spawner::alone::forget(&run_dir);
        })
        .await;
    }
}

impl Sandboxes for Driver {
    fn prepare(&self, shape: Shape) -> BoxFuture<'_, Result<Box<dyn CellPort>, SandboxError>> {
        Box::pin(async move {
            let shared = &self.shared;
            let link = shared.link().await?;
            let cell = match Cell::prepare(Arc::clone(shared), Arc::clone(&link), shape.egress).await {
                // Nothing is wrong with what was asked: its maker ended. Another one stands at once.
                Err(_) if link.is_gone() => {
                    Cell::prepare(Arc::clone(shared), shared.link().await?, shape.egress).await?
                }
                other => other?,
            };
            Ok(Box::new(cell) as Box<dyn CellPort>)
        })
    }

    fn lost(&self) -> BoxFuture<'_, ()> {
        Box::pin(self.shared.lost.notified())
    }

    fn boots(&self) -> bool {
        // Without namespaces nothing can be mounted for a program that runs.
        self.shared.config.isolation != Isolation::Process
    }

    fn cannot_restore(&self) -> Option<String> {
        match self.boots() {
            true => restoring::missing(),
            false => Some("at isolation level process a version's files have no fixed place".to_owned()),
        }
    }

    fn has_zygote(&self, job: &Assignment) -> bool {
        // While a dead spawner is replaced there is none.
        let link = self.shared.link.try_lock().ok().and_then(|link| link.clone());
        self.boots() && link.is_some_and(|link| link.keeps_zygote(job))
    }
}

impl Shared {
    fn setup(&self) -> Setup {
        Setup {
            isolation: self.config.isolation,
            run_dir: self.config.run_dir.clone(),
            cgroups: self.layout.clone(),
            instance: self.config.instance.clone(),
        }
    }

    fn new_id(&self) -> SandboxId {
        self.next_id.fetch_add(1, Ordering::Relaxed)
    }

    /// A volume for `/tmp`; none where it must be memory.
    async fn volume(&self, mb: u32) -> io::Result<Option<(Volume, Arc<Volumes>)>> {
        match &self.volumes {
            Some(volumes) => Ok(Some((volumes.take(mb).await?, Arc::clone(volumes)))),
            None => Ok(None),
        }
    }

    fn restock(&self) {
        if let Some(volumes) = &self.volumes {
            volumes.restock();
        }
    }

    /// The spawner's connection. A dead spawner is replaced, after everything of it is removed.
    async fn link(&self) -> Result<Arc<Link>, SandboxError> {
        let mut current = self.link.lock().await;
        let Some(link) = current.as_ref() else {
            return Err(SandboxError::Internal { detail: "the sandbox driver was stopped".to_owned() });
        };
        if !link.is_gone() {
            return Ok(Arc::clone(link));
        }
        link.buried().await;
        // A spawner that had the time for its last clean-up took the instance's own folders with it.
        let instance = self.config.instance.clone();
        let _ = tokio::task::spawn_blocking(move || cgroup::detect(&instance)).await;
        let started = Link::start(&self.config, self.setup()).await;
        let (link, _) = started.map_err(|error| SandboxError::Internal { detail: error.to_string() })?;
        *current = Some(Arc::clone(&link));
        self.tell_of_end(&link);
        Ok(link)
    }

    fn tell_of_end(&self, link: &Arc<Link>) {
        let (link, lost) = (Arc::clone(link), Arc::clone(&self.lost));
        tokio::spawn(async move {
            link.buried().await;
            lost.notify_one();
        });
    }
}
