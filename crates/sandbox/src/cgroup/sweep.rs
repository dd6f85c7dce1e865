//! Removing what a killed node left: every process and folder of an instance.

use std::io;
use std::path::Path;
use std::time::{Duration, Instant};

use super::group::hurry;
use super::{Layout, Version};

/// How long the processes of a removed folder may take to end: a thousand of them, on a host that is busy.
pub const PATIENCE: Duration = Duration::from_secs(20);

/// Kills everything in the sandboxes of a layout and removes their folders. The instance's own folders stay.
pub fn kill_and_remove(layout: &Layout) {
    for tree in &layout.trees {
        for folder in children(&tree.folder) {
            hurry(tree, &folder);
            let _ = tree.version.interface().kill(&folder);
        }
    }
    let deadline = Instant::now() + PATIENCE;
    for tree in &layout.trees {
        for folder in children(&tree.folder) {
            remove_when_empty(&folder, tree.version, deadline);
        }
    }
}

/// Removes the instance's own folders, after [`kill_and_remove`].
pub fn remove_tree(layout: &Layout) {
    for tree in &layout.trees {
        let _ = std::fs::remove_dir(&tree.folder);
    }
}

fn children(folder: &Path) -> Vec<std::path::PathBuf> {
    let Ok(entries) = std::fs::read_dir(folder) else { return Vec::new() };
    entries
        .filter_map(Result::ok)
        .filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir()))
        .map(|entry| entry.path())
        .collect()
}

fn remove_when_empty(folder: &Path, version: Version, deadline: Instant) {
    loop {
        match std::fs::remove_dir(folder) {
            Ok(()) => return,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return,
            Err(error) if Instant::now() > deadline => {
                tracing::warn!(folder = %folder.display(), %error, "control group left behind");
                return;
            }
            Err(_) => {
                let _ = version.interface().kill(folder);
                std::thread::sleep(Duration::from_millis(2));
            }
        }
    }
}
