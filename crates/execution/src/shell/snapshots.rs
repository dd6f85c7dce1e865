//! What the inits of versions came to (SnapStart), each in a folder of its own that is mounted, read-only, where its
//! version is restored.
//!
//! An image comes from inside a sandbox and is trusted as far as the function itself: nothing here looks into it, and
//! only a process of the same version, confined as any other, ever becomes what it says. What is checked is that it is
//! the one that was kept: whole, of this revision of the version, and of this interpreter, client, kernel and processor.
//!
//! Invariants: a folder that has its name is complete and on the disk; it never changes, it goes as a whole. Losing any
//! costs a start the time of its init, and nothing else.

#[cfg(test)]
mod tests;

use std::collections::{HashMap, HashSet};
use std::fs::File;
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::SystemTime;

use lambent_core::function::FunctionSpec;
use lambent_core::ids::Version;
use lambent_core::limits::GIB;
use lambent_core::ports::sandbox::Mount;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use tokio::sync::mpsc;

use crate::runtime_api::snapshots::Part;

/// The image, below where a sandbox has it.
pub const IMAGE: &str = "image";
/// The part of a folder that a sandbox has: what is written beside it tells of the host.
const SHOWN: &str = "shown";
const TARGET: &str = "/var/lambent/snapshot";
const ABOUT: &str = "about.json";
const UNFINISHED: &str = ".unfinished-";

/// Ours: what all snapshots together may have; the one that was used longest ago goes first, and is made anew when it is
/// needed.
const ALL_BYTES_MAX: u64 = 8 * GIB;

const READ_BYTES: usize = 1 << 20;

/// What is known of an image without looking into it.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
struct About {
    revision: String,
    started_as: Vec<String>,
    bytes: u64,
    sha256: String,
}

/// The snapshots of all versions.
#[derive(Debug, Clone)]
pub struct SnapshotStore {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    root: PathBuf,
    bytes_max: u64,
    known: Mutex<Known>,
}

#[derive(Debug, Default)]
struct Known {
    /// Folders that were looked at since this process began, and when they were used last; of no use without.
    checked: HashMap<PathBuf, Option<SystemTime>>,
    /// Those that are being made anew.
    again: HashSet<PathBuf>,
    /// Those that can't be.
    given_up: HashSet<PathBuf>,
}

impl SnapshotStore {
    pub fn new(root: PathBuf) -> Self {
        Self::with_room(root, ALL_BYTES_MAX)
    }

    fn with_room(root: PathBuf, bytes_max: u64) -> Self {
        // Left behind by a process that ended while it wrote.
        for entry in entries(&root) {
            if name_of(&entry).starts_with(UNFINISHED) {
                remove(&entry);
            }
        }
        Self { inner: Arc::new(Inner { root, bytes_max, known: Mutex::default() }) }
    }

    fn known(&self) -> MutexGuard<'_, Known> {
        // Each change under this lock is a single call, so a panic can't leave it half done.
        self.inner.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn folder(&self, function_arn: &str, version: Version) -> PathBuf {
        self.of_function(function_arn).join(version.to_string().trim_start_matches('$'))
    }

    fn of_function(&self, function_arn: &str) -> PathBuf {
        let digest = Sha256::digest(function_arn);
        self.inner.root.join(hex(&digest[..16]))
    }

    /// What a sandbox of the version has mounted of it; `None` where there is none that is of use. The first time, the
    /// whole image is read.
    pub async fn find(&self, spec: &Arc<FunctionSpec>, started_as: Vec<String>) -> Option<Mount> {
        let folder = self.folder(&spec.arn(), spec.version);
        let mount = || Mount { sources: vec![folder.join(SHOWN)], target: TARGET.into() };
        if let Some(used) = self.known().checked.get_mut(&folder) {
            return used.as_mut().map(|used| {
                *used = SystemTime::now();
                mount()
            });
        }
        let (store, spec) = (self.clone(), Arc::clone(spec));
        let checked = tokio::task::spawn_blocking(move || store.check(&spec, &started_as)).await;
        checked.unwrap_or(false).then(mount)
    }

    /// Reads all of it, and remembers what it is worth. Blocks.
    pub fn check(&self, spec: &FunctionSpec, started_as: &[String]) -> bool {
        let folder = self.folder(&spec.arn(), spec.version);
        let is_usable = match read(&folder) {
            Ok(about) => about.revision == spec.revision.as_str() && about.started_as == started_as,
            // One may be on its way.
            Err(_) if !folder.exists() => return false,
            Err(error) => {
                tracing::warn!(folder = %folder.display(), %error, "a snapshot can't be used");
                false
            }
        };
        if !is_usable {
            remove(&folder);
        }
        self.known().checked.insert(folder, is_usable.then(SystemTime::now));
        is_usable
    }

    /// Keeps an image as it comes. Whole or not at all. Blocks.
    pub fn keep(
        &self,
        spec: &FunctionSpec,
        started_as: Vec<String>,
        bytes_max: u64,
        parts: mpsc::Receiver<Part>,
    ) -> io::Result<()> {
        let folder = self.folder(&spec.arn(), spec.version);
        let function = folder.parent().unwrap_or(&self.inner.root);
        std::fs::create_dir_all(function)?;
        let unfinished = tempfile::Builder::new().prefix(UNFINISHED).tempdir_in(&self.inner.root)?;
        let shown = unfinished.path().join(SHOWN);
        std::fs::create_dir(&shown)?;
        let image = shown.join(IMAGE);
        let (bytes, sha256) = write(&image, bytes_max, parts)?;
        let about = About { revision: spec.revision.as_str().to_owned(), started_as, bytes, sha256 };
        let described = unfinished.path().join(ABOUT);
        let mut file = File::create(&described)?;
        file.write_all(&serde_json::to_vec(&about)?)?;
        file.sync_all()?;
        // In a sandbox another user reads it.
        for (path, mode) in [(image.as_path(), 0o644), (shown.as_path(), 0o755)] {
            std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode))?;
        }
        if folder.exists() {
            std::fs::remove_dir_all(&folder)?;
        }
        File::open(&shown)?.sync_all()?;
        File::open(unfinished.path())?.sync_all()?;
        std::fs::rename(unfinished.path(), &folder)?;
        let _ = unfinished.keep();
        File::open(function)?.sync_all()?;
        let mut known = self.known();
        known.given_up.remove(&folder);
        known.checked.insert(folder.clone(), Some(SystemTime::now()));
        drop(known);
        self.make_room(&folder);
        Ok(())
    }

    /// It turned out to be of no use.
    pub fn spoilt(&self, spec: &FunctionSpec) {
        let folder = self.folder(&spec.arn(), spec.version);
        self.known().checked.insert(folder.clone(), None);
        remove(&folder);
    }

    /// The version, or the function, is no more.
    pub fn forget(&self, function_arn: &str, version: Option<Version>) {
        let gone = match version {
            Some(version) => self.folder(function_arn, version),
            None => self.of_function(function_arn),
        };
        let mut known = self.known();
        known.checked.retain(|folder, _| !folder.starts_with(&gone));
        known.given_up.retain(|folder| !folder.starts_with(&gone));
        drop(known);
        if gone.exists() {
            remove(&gone);
        }
    }

    /// There are no other versions than these.
    pub fn keep_only(&self, specs: &[Arc<FunctionSpec>]) {
        let kept: HashSet<PathBuf> =
            specs.iter().map(|spec| self.folder(&spec.arn(), spec.version)).collect();
        for function in entries(&self.inner.root) {
            for folder in entries(&function) {
                if !kept.contains(&folder) && !name_of(&function).starts_with(UNFINISHED) {
                    remove(&folder);
                }
            }
        }
    }

    /// The right to make one anew; `None` while another has it, and where there is no hope.
    pub fn begin_again(&self, spec: &FunctionSpec) -> Option<Turn> {
        let folder = self.folder(&spec.arn(), spec.version);
        let mut known = self.known();
        let may = !known.given_up.contains(&folder) && known.again.insert(folder.clone());
        may.then(|| Turn { store: self.clone(), folder })
    }

    fn make_room(&self, newest: &Path) {
        let mut all = Vec::new();
        let mut bytes = 0;
        for folder in entries(&self.inner.root).iter().flat_map(|function| entries(function)) {
            let Ok(meta) = std::fs::metadata(folder.join(SHOWN).join(IMAGE)) else { continue };
            bytes += meta.len();
            let used = self.known().checked.get(&folder).copied().flatten();
            let used = used.or(meta.modified().ok()).unwrap_or(SystemTime::UNIX_EPOCH);
            all.push((used, meta.len(), folder));
        }
        all.sort();
        for (_, len, folder) in all {
            if bytes <= self.inner.bytes_max {
                break;
            }
            if folder != newest {
                self.known().checked.insert(folder.clone(), None);
                remove(&folder);
                bytes -= len;
            }
        }
    }
}

/// One snapshot that is being made anew.
pub struct Turn {
    store: SnapshotStore,
    folder: PathBuf,
}

impl Turn {
    pub fn end(self, is_hopeless: bool) {
        let mut known = self.store.known();
        known.again.remove(&self.folder);
        if is_hopeless {
            known.given_up.insert(self.folder);
        }
    }
}

fn write(path: &Path, bytes_max: u64, mut parts: mpsc::Receiver<Part>) -> io::Result<(u64, String)> {
    let mut file = File::create(path)?;
    let (mut digest, mut bytes) = (Sha256::new(), 0u64);
    loop {
        match parts.blocking_recv() {
            Some(Part::Data(data)) => {
                bytes += data.len() as u64;
                if bytes > bytes_max {
                    return Err(io::Error::other(format!("it is larger than {bytes_max} bytes")));
                }
                digest.update(&data);
                file.write_all(&data)?;
            }
            Some(Part::End) => break,
            None => return Err(io::Error::other("it broke off")),
        }
    }
    file.sync_all()?;
    Ok((bytes, hex(&digest.finalize())))
}

/// What an image is, after all of it was read.
fn read(folder: &Path) -> io::Result<About> {
    let about: About = serde_json::from_slice(&std::fs::read(folder.join(ABOUT))?)?;
    let mut file = File::open(folder.join(SHOWN).join(IMAGE))?;
    let (mut digest, mut buffer, mut bytes) = (Sha256::new(), vec![0; READ_BYTES], 0u64);
    loop {
        match file.read(&mut buffer)? {
            0 => break,
            read => {
                bytes += read as u64;
                digest.update(&buffer[..read]);
            }
        }
    }
    if (bytes, hex(&digest.finalize())) != (about.bytes, about.sha256.clone()) {
        return Err(io::Error::other("it is not what was written"));
    }
    Ok(about)
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn name_of(path: &Path) -> String {
    path.file_name().unwrap_or_default().to_string_lossy().into_owned()
}

fn entries(folder: &Path) -> Vec<PathBuf> {
    let Ok(entries) = std::fs::read_dir(folder) else { return Vec::new() };
    entries.flatten().map(|entry| entry.path()).collect()
}

fn remove(folder: &Path) {
    match std::fs::remove_dir_all(folder) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            tracing::warn!(folder = %folder.display(), %error, "a snapshot was not removed");
        }
        _ => {}
    }
}

/// What a process's memory depends on beside its files: kernel and processor, whose features libraries have looked at.
pub fn host() -> Vec<String> {
    let text = |path: &str| std::fs::read_to_string(path).unwrap_or_default().trim().to_owned();
    let processor = text("/proc/cpuinfo");
    let features = processor.lines().find(|line| line.starts_with("flags")).unwrap_or_default();
    vec![text("/proc/sys/kernel/osrelease"), text("/proc/sys/kernel/version"), features.to_owned()]
}
