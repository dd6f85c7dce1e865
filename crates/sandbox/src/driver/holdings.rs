//! What the node holds for a sandbox, beside its processes: a volume and a network device. Giving either back blocks
//! in the kernel for milliseconds, so that is done on a thread where nobody waits behind it.

use std::io;
use std::os::fd::OwnedFd;
use std::sync::Arc;

use tokio::task::JoinHandle;

use crate::egress::{self, Device, Policy};
use crate::volumes::{Volume, Volumes};

/// A served network device.
pub struct Network {
    task: JoinHandle<()>,
    /// Keeps the device while the task lets go of it, so that the task doesn't wait for its end.
    device: OwnedFd,
}

impl Network {
    pub fn serve(device: Device, policy: &Arc<Policy>) -> io::Result<Self> {
        let kept = device.tun.try_clone()?;
        Ok(Self { task: egress::serve(device, Arc::clone(policy)), device: kept })
    }
}

#[derive(Default)]
pub struct Holdings {
    /// With the stock that it is from.
    pub volume: Option<(Volume, Arc<Volumes>)>,
    pub network: Option<Network>,
}

impl Holdings {
    /// Gives everything back; resolves when that is done. `removed`: nothing is left of the sandbox.
    pub async fn release(self, removed: bool) {
        let device = match self.network {
            Some(network) => {
                network.task.abort();
                let _ = network.task.await;
                Some(network.device)
            }
            None => None,
        };
        let volume = self.volume;
        if volume.is_none() && device.is_none() {
            return;
        }
        let released = tokio::task::spawn_blocking(move || {
            drop(device);
            match volume {
                Some((volume, volumes)) if removed => volumes.give_back(volume),
                Some((volume, _)) => Volumes::discard(volume),
                None => {}
            }
        });
        let _ = released.await;
    }
}
