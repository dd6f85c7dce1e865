//! Installed packages, kept beside the project by the hash of what they were installed from.

use std::io;
use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};

use super::project::Project;
use crate::cli::failure::Failure;

/// What an installation depends on.
#[derive(Default)]
pub struct Key(Sha256);

impl Key {
    /// Lengths go in too, so that two parts can't be taken for one.
    pub fn part(mut self, bytes: impl AsRef<[u8]>) -> Self {
        let bytes = bytes.as_ref();
        self.0.update((bytes.len() as u64).to_le_bytes());
        self.0.update(bytes);
        self
    }

    fn text(self) -> String {
        self.0.finalize().iter().take(8).map(|byte| format!("{byte:02x}")).collect()
    }
}

/// The directory of this key's packages, filled by `install` unless it is there. An installation that fails
/// half-way leaves nothing that a later one could take for whole.
pub fn installed(
    project: &Project,
    function: &str,
    key: Key,
    install: impl FnOnce(&Path) -> Result<(), Failure>,
) -> Result<PathBuf, Failure> {
    let root = build_dir(project, function)?;
    let folder = root.join(format!("packages-{}", key.text()));
    if folder.is_dir() {
        return Ok(folder);
    }
    clear(&root)?;
    let partial = tempfile::Builder::new()
        .prefix("partial-")
        .tempdir_in(&root)
        .map_err(|error| Failure::file("write", &root, &error))?;
    install(partial.path())?;
    let made = partial.keep();
    std::fs::rename(&made, &folder).map_err(|error| Failure::file("write", &folder, &error))?;
    Ok(folder)
}

/// `.lambent/build/FUNCTION` in the project, made if needed and hidden from git.
pub fn build_dir(project: &Project, function: &str) -> Result<PathBuf, Failure> {
    let builds = project.dir().join(".lambent/build");
    let root = builds.join(function);
    std::fs::create_dir_all(&root).map_err(|error| Failure::file("make", &root, &error))?;
    let ignore = builds.join(".gitignore");
    if !ignore.exists() {
        std::fs::write(&ignore, "*\n").map_err(|error| Failure::file("write", &ignore, &error))?;
    }
    Ok(root)
}

/// Removes older installations: only the last one is of use.
fn clear(root: &Path) -> Result<(), Failure> {
    let fail = |error: &io::Error| Failure::file("clear", root, error);
    for entry in std::fs::read_dir(root).map_err(|error| fail(&error))? {
        let path = entry.map_err(|error| fail(&error))?.path();
        if path.is_dir() {
            std::fs::remove_dir_all(&path).map_err(|error| Failure::file("remove", &path, &error))?;
        }
    }
    Ok(())
}
