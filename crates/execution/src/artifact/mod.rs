//! Code packages on disk: taken in once, unpacked once, mounted into any number of environments.
//!
//! ```text
//! <directory>/zips/<digest>.zip     the bytes as they came
//! <directory>/packages/<digest>/    the same, unpacked; environments mount it read-only and nobody writes to it
//! <directory>/temp/                 what is being made or thrown away; emptied when the store is opened
//! ```
//!
//! A package is made under `temp`, flushed to the disk, and renamed into place: first the zip, then the tree. So a
//! tree that is there is whole, and a zip without a tree is either one that was never acknowledged or one whose
//! tree was lost; it is unpacked again when the store is opened.
//!
//! Start with [`FileCodeStore`]. An archive goes through `archive` (what it claims), `tree` (what it would
//! become; everything that is refused by name or size is refused here, before anything is written), `unpack`.

mod archive;
mod inflate;
mod keep;
mod names;
#[cfg(test)]
mod tests;
mod tree;
mod unpack;

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use bytes::Bytes;
use lambent_core::ids::CodeDigest;
use lambent_core::limits;
use lambent_core::ports::{BoxFuture, CodePackage, CodeRefusal, CodeStore, PackageKind};
use tokio::sync::{Mutex, OwnedMutexGuard, Semaphore};

use keep::Keep;
pub use keep::{Swept, Trees};

/// Packages that are hashed or unpacked at the same time: each takes threads of its own and the disk's time.
const ADMISSIONS_AT_ONCE_MAX: usize = 2;

/// Packages of one lane wait for each other; there is no more to it, so a few lanes do.
const LANES: usize = 16;

/// What a package may unpack to. Its zipped size is judged by whoever received it.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    pub unzipped_bytes_max: u64,
    /// Files, links and directories, also those that are only implied by a file's name.
    pub entries_max: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self { unzipped_bytes_max: limits::UNZIPPED_BYTES_MAX, entries_max: limits::PACKAGE_ENTRIES_MAX }
    }
}

/// Keeps packages in a directory. Cheap to clone; needs a Tokio runtime, whose blocking threads do the work.
#[derive(Clone)]
pub struct FileCodeStore {
    keep: Arc<Keep>,
    /// By digest: makes admission single-flighted, and keeps [`FileCodeStore::sweep`] away from what is being
    /// taken in.
    lanes: Arc<[Arc<Mutex<()>>; LANES]>,
    slots: Arc<Semaphore>,
}

impl FileCodeStore {
    /// Opens the directory, makes it when it is missing, and clears up what a crash left behind. Blocks.
    pub fn open(directory: &Path, limits: Limits) -> io::Result<Self> {
        Ok(Self {
            keep: Arc::new(Keep::open(directory, limits)?),
            lanes: Arc::new(std::array::from_fn(|_| Arc::default())),
            slots: Arc::new(Semaphore::new(ADMISSIONS_AT_ONCE_MAX)),
        })
    }

    /// Where the package is unpacked, if it is. To be mounted, never written to.
    pub fn package_dir(&self, digest: &CodeDigest) -> PathBuf {
        self.keep.package_dir(digest)
    }

    /// Removes the packages for which `keep` answers `false`: neither the function store refers to them nor does
    /// an environment have them mounted. Packages that were taken in a short while ago stay in any case, because
    /// the record that refers to one is written after it.
    pub async fn sweep(&self, keep: impl Fn(&CodeDigest) -> bool) -> io::Result<Swept> {
        let mut swept = Swept::default();
        let store = Arc::clone(&self.keep);
        for digest in blocking(move || store.digests()).await?? {
            if keep(&digest) {
                continue;
            }
            let lane = self.lane(&digest).await;
            // Asked again: it may have been put to use while this waited.
            if keep(&digest) {
                continue;
            }
            let store = Arc::clone(&self.keep);
            let removed = blocking(move || {
                let _lane = lane;
                store.remove(&digest)
            });
            if let Some(bytes) = removed.await?? {
                swept.packages += 1;
                swept.zipped_bytes += bytes;
            }
        }
        Ok(swept)
    }

    /// How many unpacked packages there are and what they hold. Walks them all.
    pub async fn trees(&self) -> io::Result<Trees> {
        let keep = Arc::clone(&self.keep);
        blocking(move || keep.trees()).await?
    }

    async fn lane(&self, digest: &CodeDigest) -> OwnedMutexGuard<()> {
        let digit = digest.as_str().as_bytes().first().map_or(0, |digit| usize::from(*digit));
        Arc::clone(&self.lanes[digit % LANES]).lock_owned().await
    }

    async fn take_in(&self, zip: Bytes) -> Result<CodePackage, CodeRefusal> {
        let closed = |_| unpack::storage("take in a package", "the store is closed");
        let slot = Arc::clone(&self.slots).acquire_owned().await.map_err(closed)?;
        let hashed = zip.clone();
        let digest = blocking(move || keep::digest(&hashed)).await.map_err(failed)?;
        // Given back before the lane is waited for, or two of one digest could hold both slots idle.
        drop(slot);
        let lane = self.lane(&digest).await;
        let slot = Arc::clone(&self.slots).acquire_owned().await.map_err(closed)?;
        let keep = Arc::clone(&self.keep);
        // The lane goes along: a caller that stops waiting must not let another in beside the work.
        let work = move || {
            let _held = (lane, slot);
            keep.admit(&zip, digest)
        };
        blocking(work).await.map_err(failed)?
    }
}

impl CodeStore for FileCodeStore {
    /// Functions and layers are held to the same limits; together they are the caller's to add up.
    fn admit(&self, zip: Bytes, _kind: PackageKind) -> BoxFuture<'_, Result<CodePackage, CodeRefusal>> {
        Box::pin(self.take_in(zip))
    }

    fn zipped(&self, digest: &CodeDigest) -> BoxFuture<'_, io::Result<Option<Bytes>>> {
        let path = self.keep.zip_path(digest);
        Box::pin(async move {
            match blocking(move || std::fs::read(path)).await? {
                Ok(bytes) => Ok(Some(bytes.into())),
                Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
                Err(error) => Err(error),
            }
        })
    }
}

async fn blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> io::Result<T> {
    tokio::task::spawn_blocking(work).await.map_err(io::Error::other)
}

fn failed(error: io::Error) -> CodeRefusal {
    unpack::storage("take in a package", error)
}
