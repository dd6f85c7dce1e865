//! Named, replaceable folders in the data folder. A small file names the folder that counts, and is replaced
//! in one step; folders themselves never change once they are named.

use std::collections::BTreeMap;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::clients::open_up;

const SUFFIX: &str = ".json";
/// No folder is filled for longer than this.
const FILLING_TIME_MAX: Duration = Duration::from_secs(3600);

/// What a slot holds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Manifest {
    /// The name of the folder beside this file.
    folder: String,
    /// Where the content came from, for people.
    pub source: String,
    /// Versions of what is in it, by name.
    pub versions: BTreeMap<String, String>,
}

#[derive(Debug, Clone)]
pub(super) struct Shelf {
    root: PathBuf,
}

/// A folder that is being filled. Dropped unfinished, it goes.
pub(super) struct Filling {
    folder: tempfile::TempDir,
}

impl Filling {
    pub fn path(&self) -> &Path {
        self.folder.path()
    }
}

impl Shelf {
    pub fn new(root: PathBuf) -> Self {
        Self { root }
    }

    /// The slot's content, if it has any.
    pub fn get(&self, name: &str) -> Option<(Manifest, PathBuf)> {
        let bytes = std::fs::read(self.root.join(format!("{name}{SUFFIX}"))).ok()?;
        let manifest: Manifest = serde_json::from_slice(&bytes).ok()?;
        let folder = self.root.join(&manifest.folder);
        folder.is_dir().then_some((manifest, folder))
    }

    pub fn names(&self) -> Vec<String> {
        let mut names: Vec<String> = self
            .entries()
            .into_iter()
            .filter_map(|name| name.strip_suffix(SUFFIX).map(str::to_string))
            .filter(|name| self.get(name).is_some())
            .collect();
        names.sort();
        names
    }

    pub fn fill(&self, name: &str) -> io::Result<Filling> {
        std::fs::create_dir_all(&self.root)?;
        let folder = tempfile::Builder::new().prefix(&format!("{name}-")).tempdir_in(&self.root)?;
        Ok(Filling { folder })
    }

    /// Makes a filled folder the slot's content.
    pub fn put(
        &self,
        name: &str,
        filling: Filling,
        source: String,
        versions: BTreeMap<String, String>,
    ) -> io::Result<()> {
        let folder = filling.folder.path().file_name().unwrap_or_default().to_string_lossy().into_owned();
        let manifest = Manifest { folder, source, versions };
        let mut file = tempfile::NamedTempFile::new_in(&self.root)?;
        file.write_all(&serde_json::to_vec_pretty(&manifest)?)?;
        open_up(filling.folder.path())?;
        // The content first: a name must never outlive a crash that its folder didn't.
        sync_tree(filling.folder.path())?;
        file.as_file().sync_all()?;
        let _ = filling.folder.keep();
        file.persist(self.root.join(format!("{name}{SUFFIX}")))?;
        std::fs::File::open(&self.root)?.sync_all()
    }

    /// Empties a slot; false when it was empty. The folder itself goes with the next [`Shelf::sweep`]: a
    /// running sandbox may have it mounted.
    pub fn clear(&self, name: &str) -> io::Result<bool> {
        match std::fs::remove_file(self.root.join(format!("{name}{SUFFIX}"))) {
            Ok(()) => Ok(true),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// Removes the folders that no slot names. Only for the one process that starts sandboxes, before it does.
    pub fn sweep(&self) {
        let named: Vec<String> =
            self.names().iter().filter_map(|name| self.get(name)).map(|(m, _)| m.folder).collect();
        sweep(&self.root, |entry| entry.ends_with(SUFFIX) || named.iter().any(|name| name == entry));
    }

    fn entries(&self) -> Vec<String> {
        entries(&self.root)
    }
}

/// Removes what is not to be kept in a folder, unless another process may be making it just now.
pub(super) fn sweep(folder: &Path, keep: impl Fn(&str) -> bool) {
    for entry in entries(folder) {
        let path = folder.join(&entry);
        if keep(&entry) || is_fresh(&path) {
            continue;
        }
        let removed =
            if path.is_dir() { std::fs::remove_dir_all(&path) } else { std::fs::remove_file(&path) };
        if let Err(error) = removed {
            tracing::warn!(path = %path.display(), %error, "could not remove what nothing uses");
        }
    }
}

fn entries(folder: &Path) -> Vec<String> {
    let Ok(entries) = std::fs::read_dir(folder) else { return Vec::new() };
    entries.flatten().filter_map(|entry| entry.file_name().into_string().ok()).collect()
}

/// Another process may be filling it.
fn is_fresh(folder: &Path) -> bool {
    let modified = std::fs::metadata(folder).and_then(|meta| meta.modified());
    modified.is_ok_and(|time| time.elapsed().is_ok_and(|age| age < FILLING_TIME_MAX))
}

/// One flush of the whole file system is quicker than one for each of ten thousand small files.
fn sync_tree(folder: &Path) -> io::Result<()> {
    let status = std::process::Command::new("sync").arg("-f").arg(folder).status();
    match status {
        Ok(status) if status.success() => Ok(()),
        // A host without that tool: the folder's own entry at least.
        _ => std::fs::File::open(folder)?.sync_all(),
    }
}
