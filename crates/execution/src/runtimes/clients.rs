//! The clients that speak the Runtime API inside a sandbox: embedded in this program, placed in the data folder
//! under the digest of their content, so that an older node's folder is never changed.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::LazyLock;

use lambent_core::runtime::Family;
use sha2::{Digest, Sha256};

use super::Interpreter;
use super::{command, shelf};

/// How the names of folders begin that are still being filled.
pub(super) const UNFINISHED: &str = ".unfinished-";
/// Where a sandbox has its client, as the reference does (LAMBDA_RUNTIME_DIR).
pub(super) const TARGET: &str = "/var/runtime";

macro_rules! embedded {
    ($($path:literal),* $(,)?) => {
        &[$(($path, include_str!(concat!("../../../../runtimes/", $path)))),*]
    };
}

const PYTHON: &[(&str, &str)] = embedded![
    "python/bootstrap.py",
    "python/_lambent/__init__.py",
    "python/_lambent/context.py",
    "python/_lambent/faults.py",
    "python/_lambent/hooks.py",
    "python/_lambent/image.py",
    "python/_lambent/logs.py",
    "python/_lambent/loop.py",
    "python/_lambent/parked.py",
    "python/_lambent/paths.py",
    "python/_lambent/records.py",
    "python/_lambent/streaming.py",
    "python/_lambent/rehearsal.py",
    "python/_lambent/snapshot.py",
    "python/_lambent/trace.py",
    "python/_lambent/values.py",
    "python/_lambent/wire.py",
    "python/_lambent/zygote.py",
    "python/rehearsal/rehearsed.py",
];

const NODEJS: &[(&str, &str)] = embedded![
    "nodejs/index.js",
    "nodejs/compiled.js",
    "nodejs/errors.js",
    "nodejs/hooks.mjs",
    "nodejs/layers.js",
    "nodejs/loader.js",
    "nodejs/log.js",
    "nodejs/parked.js",
    "nodejs/rehearsal.js",
    "nodejs/rehearsal/common.js",
    "nodejs/rehearsal/index.mjs",
    "nodejs/streaming.js",
    "nodejs/warm.mjs",
    "nodejs/wire.js",
];

pub(super) const JAVA: &[(&str, &str)] = embedded![
    "java/com/amazonaws/services/lambda/runtime/Client.java",
    "java/com/amazonaws/services/lambda/runtime/ClientContext.java",
    "java/com/amazonaws/services/lambda/runtime/CognitoIdentity.java",
    "java/com/amazonaws/services/lambda/runtime/Context.java",
    "java/com/amazonaws/services/lambda/runtime/LambdaLogger.java",
    "java/com/amazonaws/services/lambda/runtime/LambdaRuntime.java",
    "java/com/amazonaws/services/lambda/runtime/LambdaRuntimeInternal.java",
    "java/com/amazonaws/services/lambda/runtime/RequestHandler.java",
    "java/com/amazonaws/services/lambda/runtime/RequestStreamHandler.java",
    "java/com/amazonaws/services/lambda/runtime/logging/LogFormat.java",
    "java/com/amazonaws/services/lambda/runtime/logging/LogLevel.java",
    "java/lambent/runtime/Api.java",
    "java/lambent/runtime/Binder.java",
    "java/lambent/runtime/CallContext.java",
    "java/lambent/runtime/Environment.java",
    "java/lambent/runtime/Fault.java",
    "java/lambent/runtime/Handlers.java",
    "java/lambent/runtime/Json.java",
    "java/lambent/runtime/Logger.java",
    "java/lambent/runtime/Main.java",
    "java/lambent/runtime/Parked.java",
    "java/lambent/runtime/Rehearsal.java",
    "java/lambent/runtime/Streaming.java",
];

/// The names of the folders of all clients: hashing the files once is enough.
static FOLDERS: LazyLock<BTreeMap<Family, String>> = LazyLock::new(|| {
    let families = [Family::Python, Family::NodeJs, Family::Java];
    families.into_iter().filter_map(|family| Some((family, folder_name(family)?))).collect()
});

fn folder_name(family: Family) -> Option<String> {
    let (name, files) = files_of(family)?;
    let mut digest = Sha256::new();
    for (path, text) in files {
        digest.update((path.len() as u64).to_be_bytes());
        digest.update(path);
        digest.update((text.len() as u64).to_be_bytes());
        digest.update(text);
    }
    let hex: String = digest.finalize().iter().take(8).map(|byte| format!("{byte:02x}")).collect();
    Some(format!("{name}-{hex}"))
}

/// Removes the clients of older versions of this program, and what was never finished.
pub(super) fn sweep(root: &Path) {
    shelf::sweep(root, |entry| FOLDERS.values().any(|name| name == entry));
    for name in FOLDERS.values() {
        shelf::sweep(&root.join(name), |entry| !entry.starts_with(UNFINISHED));
    }
}

/// Puts a family's client in its place, whole or not at all, and answers where it is.
pub(super) fn place(root: &Path, family: Family) -> io::Result<Option<PathBuf>> {
    let (Some(name), Some((_, files))) = (FOLDERS.get(&family), files_of(family)) else { return Ok(None) };
    let folder = root.join(name);
    if folder.is_dir() {
        return Ok(Some(folder));
    }
    std::fs::create_dir_all(root)?;
    let unfinished = tempfile::Builder::new().prefix(UNFINISHED).tempdir_in(root)?;
    for (path, text) in files {
        let file = unfinished.path().join(inside(path));
        if let Some(parent) = file.parent() {
            std::fs::create_dir_all(parent)?;
        }
        std::fs::write(&file, text)?;
    }
    open_up(unfinished.path())?;
    match std::fs::rename(unfinished.path(), &folder) {
        Ok(()) => {
            // Renamed away: nothing is left to remove.
            let _ = unfinished.keep();
        }
        // Another process placed the same content meanwhile.
        Err(_) if folder.is_dir() => {}
        Err(error) => return Err(error),
    }
    Ok(Some(folder))
}

/// A file's path in the client's folder: without the language's folder in the repository.
pub(super) fn inside(path: &str) -> &str {
    path.split_once('/').map_or(path, |(_, rest)| rest)
}

/// Compiles the Python client for one interpreter, unless it is. A client without it works, more slowly.
pub(super) fn compile_python(folder: &Path, interpreter: &Interpreter) {
    let tag = interpreter.version.replace('.', "");
    let compiled = folder.join(format!("_lambent/__pycache__/loop.cpython-{tag}.pyc"));
    if compiled.exists() {
        return;
    }
    // Unchecked: the folder is named by its content, so the files can't be older than their source.
    let mut compile = Command::new(&interpreter.program);
    compile
        .args(["-S", "-E", "-m", "compileall", "-q", "--invalidation-mode", "unchecked-hash"])
        // Tracebacks then show the path that the file has inside a sandbox.
        .args(["-s", &folder.to_string_lossy(), "-p", TARGET])
        .arg(folder.join("_lambent"))
        .current_dir("/");
    if !super::places::is_system(&interpreter.program) {
        compile.env("LD_LIBRARY_PATH", interpreter.prefix.join("lib"));
    }
    let done = command::ask(&mut compile).is_some() && open_up(&folder.join("_lambent/__pycache__")).is_ok();
    if !done {
        tracing::debug!(program = %interpreter.program.display(), "could not compile the Python client");
    }
}

fn files_of(family: Family) -> Option<(&'static str, &'static [(&'static str, &'static str)])> {
    match family {
        Family::Python => Some(("python", PYTHON)),
        Family::NodeJs => Some(("nodejs", NODEJS)),
        Family::Java => Some(("java", JAVA)),
        _ => None,
    }
}

/// Makes a tree readable for every user, whatever mask this process has: in a sandbox another one reads it.
pub(super) fn open_up(path: &Path) -> io::Result<()> {
    use std::os::unix::fs::PermissionsExt;
    let meta = std::fs::symlink_metadata(path)?;
    if meta.is_symlink() {
        return Ok(());
    }
    let mode = meta.permissions().mode() & 0o777;
    let wanted = if meta.is_dir() || mode & 0o100 != 0 { 0o755 } else { 0o644 };
    if mode != wanted {
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(wanted))?;
    }
    if meta.is_dir() {
        for entry in std::fs::read_dir(path)? {
            open_up(&entry?.path())?;
        }
    }
    Ok(())
}
