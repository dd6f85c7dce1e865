//! The directory itself. Blocking throughout; the store above sees to it that one digest is worked on by one
//! thread at a time.

use std::collections::HashMap;
use std::fs::{self, DirBuilder, File};
use std::io::{self, Write};
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use lambent_core::ids::CodeDigest;
use lambent_core::ports::{CodePackage, CodeRefusal};
use sha2::{Digest, Sha256};

use super::tree::Tree;
use super::unpack::{self, storage};
use super::{Limits, archive};

/// How long a package that nothing refers to stays: the request that brought it writes its record well within.
const UNREFERENCED_STAY: Duration = Duration::from_secs(15 * 60);

/// What a sweep removed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Swept {
    pub packages: usize,
    pub zipped_bytes: u64,
}

/// What there is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Trees {
    pub count: usize,
    pub unzipped_bytes: u64,
}

pub(super) struct Keep {
    packages: PathBuf,
    zips: PathBuf,
    temp: PathBuf,
    limits: Limits,
    /// When this process took each package in or was offered it again.
    admitted: Mutex<HashMap<CodeDigest, Instant>>,
}

/// SHA-256 in lower-case hex.
pub(super) fn digest(zip: &[u8]) -> CodeDigest {
    let hex: String = Sha256::digest(zip).iter().map(|byte| format!("{byte:02x}")).collect();
    CodeDigest::new(hex).expect("32 bytes are 64 hex digits")
}

impl Keep {
    pub fn open(directory: &Path, limits: Limits) -> io::Result<Self> {
        let keep = Self {
            packages: directory.join("packages"),
            zips: directory.join("zips"),
            temp: directory.join("temp"),
            limits,
            admitted: Mutex::default(),
        };
        match fs::remove_dir_all(&keep.temp) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        fs::create_dir_all(&keep.packages)?;
        // Sandboxes see trees only; zips and what is unfinished are the node's alone.
        for private in [&keep.zips, &keep.temp] {
            DirBuilder::new().recursive(true).mode(0o700).create(private)?;
        }
        for path in [&keep.packages, &keep.zips, directory] {
            sync_directory(path)?;
        }
        keep.repair()?;
        Ok(keep)
    }

    pub fn package_dir(&self, digest: &CodeDigest) -> PathBuf {
        self.packages.join(digest.as_str())
    }

    pub fn zip_path(&self, digest: &CodeDigest) -> PathBuf {
        self.zips.join(format!("{digest}.zip"))
    }

    /// Checks, unpacks and keeps the package, unless it is there already.
    pub fn admit(&self, zip: &[u8], digest: CodeDigest) -> Result<CodePackage, CodeRefusal> {
        let entries = archive::entries(zip, self.limits.entries_max)?;
        let tree = Tree::plan(zip, &entries, &self.limits)?;
        let package = CodePackage {
            digest: digest.clone(),
            zipped_bytes: zip.len() as u64,
            unzipped_bytes: tree.unpacked_bytes,
        };
        if !self.has_tree(&digest) || !self.zip_path(&digest).is_file() {
            self.make(zip, &tree, &digest)?;
        }
        self.admitted().insert(digest, Instant::now());
        Ok(package)
    }

    fn make(&self, zip: &[u8], tree: &Tree, digest: &CodeDigest) -> Result<(), CodeRefusal> {
        let failed = |error: io::Error| storage("keep a package", error);
        // Removed with all that is in it when this function ends, however it ends.
        let workplace = tempfile::tempdir_in(&self.temp).map_err(failed)?;
        let (new_zip, new_tree) = (workplace.path().join("zip"), workplace.path().join("tree"));
        File::create_new(&new_zip).and_then(|mut file| file.write_all(zip)).map_err(failed)?;
        unpack::write(zip, tree, &new_tree)?;
        // One flush of the file system: thousands of small files would each take a flush of their own.
        let handle = File::open(&self.temp).map_err(failed)?;
        rustix::fs::syncfs(&handle).map_err(|error| failed(error.into()))?;
        fs::rename(&new_zip, self.zip_path(digest)).map_err(failed)?;
        sync_directory(&self.zips).map_err(failed)?;
        if !self.has_tree(digest) {
            fs::rename(&new_tree, self.package_dir(digest)).map_err(failed)?;
            sync_directory(&self.packages).map_err(failed)?;
        }
        Ok(())
    }

    /// Unpacks zips that have no tree again. One that can't be unpacked stays for a person to look at.
    fn repair(&self) -> io::Result<()> {
        for digest in self.digests()? {
            if self.has_tree(&digest) {
                continue;
            }
            let zip = fs::read(self.zip_path(&digest))?;
            let made = if self::digest(&zip) == digest {
                let entries = archive::entries(&zip, self.limits.entries_max);
                entries.and_then(|entries| {
                    let tree = Tree::plan(&zip, &entries, &self.limits)?;
                    self.make(&zip, &tree, &digest)
                })
            } else {
                Err(archive::corrupt("its bytes are not those of its digest"))
            };
            match made {
                Ok(()) => tracing::warn!(%digest, "a package's tree was missing and was unpacked again"),
                Err(CodeRefusal::Storage { detail }) => return Err(io::Error::other(detail)),
                Err(error) => tracing::error!(%digest, %error, "a kept package can't be unpacked"),
            }
        }
        Ok(())
    }

    /// All digests that have a zip, a tree or both.
    pub fn digests(&self) -> io::Result<Vec<CodeDigest>> {
        let mut found = Vec::new();
        for directory in [&self.packages, &self.zips] {
            for entry in fs::read_dir(directory)? {
                let name = entry?.file_name();
                let stem = name.to_str().map(|name| name.strip_suffix(".zip").unwrap_or(name));
                // Anything else was put there by someone else.
                found.extend(stem.and_then(|stem| CodeDigest::new(stem).ok()));
            }
        }
        found.sort_unstable();
        found.dedup();
        Ok(found)
    }

    /// Removes the package, unless it came in a short while ago. Gives its zipped size when it was removed.
    pub fn remove(&self, digest: &CodeDigest) -> io::Result<Option<u64>> {
        {
            let mut admitted = self.admitted();
            if admitted.get(digest).is_some_and(|at| at.elapsed() < UNREFERENCED_STAY) {
                return Ok(None);
            }
            admitted.remove(digest);
        }
        let zip = self.zip_path(digest);
        let bytes = fs::metadata(&zip).map_or(0, |found| found.len());
        let rubbish = tempfile::tempdir_in(&self.temp)?;
        // The zip first: a tree without one is removed by the next sweep, a zip without a tree would come back.
        for (from, name) in [(zip, "zip"), (self.package_dir(digest), "tree")] {
            match fs::rename(from, rubbish.path().join(name)) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
                _ => {}
            }
        }
        rubbish.close()?;
        Ok(Some(bytes))
    }

    pub fn trees(&self) -> io::Result<Trees> {
        let mut trees = Trees::default();
        let mut pending = Vec::new();
        for entry in fs::read_dir(&self.packages)? {
            trees.count += 1;
            pending.push(entry?.path());
        }
        while let Some(directory) = pending.pop() {
            for entry in fs::read_dir(directory)? {
                let entry = entry?;
                let kind = entry.file_type()?;
                if kind.is_dir() {
                    pending.push(entry.path());
                } else if kind.is_file() {
                    trees.unzipped_bytes += entry.metadata()?.len();
                }
            }
        }
        Ok(trees)
    }

    fn has_tree(&self, digest: &CodeDigest) -> bool {
        self.package_dir(digest).is_dir()
    }

    fn admitted(&self) -> MutexGuard<'_, HashMap<CodeDigest, Instant>> {
        self.admitted.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Forgets when packages came in, as if it were long ago.
    #[cfg(test)]
    pub fn age(&self) {
        self.admitted().clear();
    }
}

fn sync_directory(path: &Path) -> io::Result<()> {
    File::open(path)?.sync_all()
}
