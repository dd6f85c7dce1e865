//! Puts a planned tree onto the disk, below a directory that is new and private.
//!
//! Directories first, then files by a few threads, links last: while files are written there is no link that a
//! path could lead through. Blocking; never on an async thread.

use std::fs::{self, OpenOptions, Permissions};
use std::io::Write;
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use lambent_core::ports::CodeRefusal;

use super::archive::Entry;
use super::inflate::Inflater;
use super::tree::{Node, Tree};

/// Threads that write one package. Creating files is half of the work, and it scales badly beyond a few.
const WRITERS_MAX: usize = 4;

/// Packages with fewer files than this are written by one thread.
const FILES_PER_WRITER_MIN: usize = 64;

struct FileToWrite<'a> {
    path: PathBuf,
    entry: &'a Entry,
    mode: u32,
}

pub(super) fn storage(what: &str, error: impl std::fmt::Display) -> CodeRefusal {
    CodeRefusal::Storage { detail: format!("{what}: {error}") }
}

/// Writes the tree to `root`, which must not exist.
pub(super) fn write(zip: &[u8], tree: &Tree, root: &Path) -> Result<(), CodeRefusal> {
    let mut work = Work { files: Vec::new(), links: Vec::new() };
    let mut path = root.to_owned();
    lay_out(tree, tree.root(), &mut path, &mut work)?;
    write_files(zip, &work.files)?;
    for (path, target) in &work.links {
        std::os::unix::fs::symlink(target, path).map_err(|error| storage("make a link", error))?;
    }
    Ok(())
}

struct Work<'a> {
    files: Vec<FileToWrite<'a>>,
    links: Vec<(PathBuf, &'a str)>,
}

/// Makes the directories and collects the rest. As deep as names may be, which is not deep.
fn lay_out<'a>(
    tree: &'a Tree<'a>,
    node: &'a Node<'a>,
    path: &mut PathBuf,
    work: &mut Work<'a>,
) -> Result<(), CodeRefusal> {
    match node {
        Node::Directory { children, mode } => {
            let failed = |error| storage("make a directory", error);
            fs::create_dir(&*path).map_err(failed)?;
            fs::set_permissions(&*path, Permissions::from_mode(*mode)).map_err(failed)?;
            for (name, id) in children {
                path.push(name);
                lay_out(tree, tree.node(*id), path, work)?;
                path.pop();
            }
        }
        Node::File { entry, mode } => {
            work.files.push(FileToWrite { path: path.clone(), entry, mode: *mode });
        }
        Node::Link { target, .. } => work.links.push((path.clone(), target)),
    }
    Ok(())
}

fn write_files(zip: &[u8], files: &[FileToWrite]) -> Result<(), CodeRefusal> {
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let writers = (files.len() / FILES_PER_WRITER_MIN).clamp(1, WRITERS_MAX.min(cores));
    let next = AtomicUsize::new(0);
    let refusal = Mutex::new(None);
    let write_some = || {
        let mut inflater = Inflater::new();
        while let Some(file) = files.get(next.fetch_add(1, Ordering::Relaxed)) {
            if let Err(error) = write_file(zip, file, &mut inflater) {
                // The others stop at their next file. Of several refusals any one will do.
                next.store(files.len(), Ordering::Relaxed);
                *refusal.lock().unwrap_or_else(|held| held.into_inner()) = Some(error);
            }
        }
    };
    std::thread::scope(|scope| {
        for _ in 1..writers {
            scope.spawn(write_some);
        }
        write_some();
    });
    match refusal.into_inner().unwrap_or_else(|held| held.into_inner()) {
        Some(error) => Err(error),
        None => Ok(()),
    }
}

fn write_file(zip: &[u8], file: &FileToWrite, inflater: &mut Inflater) -> Result<(), CodeRefusal> {
    let failed = |error| storage("write a file", error);
    let mut options = OpenOptions::new();
    let mut out = options.write(true).create_new(true).mode(0o600).open(&file.path).map_err(failed)?;
    inflater.unpack(zip, file.entry, |piece| out.write_all(piece).map_err(failed))?;
    // After the contents, and not through the mode of `open`, which the umask would cut.
    out.set_permissions(Permissions::from_mode(file.mode)).map_err(failed)
}
