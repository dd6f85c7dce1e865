//! What is special about Java: installations tell their version in a file, lean on folders elsewhere, and the
//! client must be compiled by a JDK before the first function runs.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Mutex, PoisonError};

use super::clients::{self, open_up};
use super::command::{self, CommandError};
use super::launch::Meets;
use super::places::is_system;
use super::{Interpreter, Progress};

/// The oldest Java that runs the client. Its sources keep to that version's language.
pub(super) const VERSION_MIN: u32 = 11;
/// The oldest Java whose insides the client knows well enough to change its variables.
const WAITING_VERSION_MIN: u32 = 17;
/// The compiled client, in its folder.
const CLASSES: &str = "classes";
/// Where a function has its classes; `*` stands for the jars of a folder.
const FUNCTION_CLASS_PATH: &str = "/var/task:/var/task/lib/*:/opt/java/lib/*";
const MAIN_CLASS: &str = "lambent.runtime.Main";

static COMPILING: Mutex<()> = Mutex::new(());

/// Whether a machine of that version may boot before its function is known.
pub(super) fn can_wait(language_version: &str) -> bool {
    language_version.parse::<u32>().is_ok_and(|version| version >= WAITING_VERSION_MIN)
}

/// Reads what an installation says about itself in its `release` file.
pub(super) fn probe(program: &Path) -> Option<Interpreter> {
    let home = program.parent()?.parent()?;
    let release = std::fs::read_to_string(home.join("release")).ok()?;
    let full_version = release
        .lines()
        .find_map(|line| line.strip_prefix("JAVA_VERSION="))
        .map(|value| value.trim().trim_matches('"').to_string())?;
    // `1.8.0_412` is how version 8 is written.
    let rest = full_version.strip_prefix("1.").unwrap_or(&full_version);
    let version = rest.split(['.', '_', '-', '+']).next().filter(|v| v.parse::<u32>().is_ok())?.to_string();
    Some(Interpreter {
        version,
        full_version,
        program: program.to_path_buf(),
        prefix: home.to_path_buf(),
        beside: folders_beside(home),
    })
}

/// Distributions put the configuration of their packages into `/etc` and leave links: without the folders
/// behind them the virtual machine starts and then fails in the middle of a function.
fn folders_beside(home: &Path) -> Vec<PathBuf> {
    let mut folders = BTreeSet::new();
    let mut open = vec![(home.to_path_buf(), 0)];
    while let Some((folder, depth)) = open.pop() {
        let Ok(entries) = std::fs::read_dir(&folder) else { continue };
        for entry in entries.flatten() {
            let Ok(kind) = entry.file_type() else { continue };
            if kind.is_symlink() {
                let Ok(target) = entry.path().canonicalize() else { continue };
                if target.starts_with(home) || is_system(&target) {
                    continue;
                }
                let folder = if target.is_dir() { Some(target.as_path()) } else { target.parent() };
                folders.extend(folder.map(Path::to_path_buf));
            } else if kind.is_dir() && depth < 3 {
                open.push((entry.path(), depth + 1));
            }
        }
    }
    // A folder inside another one comes with it.
    let all = folders.clone();
    folders.retain(|folder| !all.iter().any(|other| other != folder && folder.starts_with(other)));
    folders.into_iter().collect()
}

#[derive(Debug, thiserror::Error)]
pub(super) enum CompileError {
    #[error("no JDK (javac) is on this host to compile the Java client with")]
    NoCompiler,
    #[error("compile the Java client")]
    Command(#[from] CommandError),
    #[error("keep the Java client")]
    Keep(#[from] std::io::Error),
}

/// The folder to mount as the Java client: compiled, by any JDK among the interpreters, unless it is already.
pub(super) fn client(
    root: &Path,
    javas: &[Interpreter],
    progress: &dyn Progress,
) -> Result<PathBuf, CompileError> {
    let Some(folder) = clients::place(root, lambent_core::runtime::Family::Java)? else {
        return Err(CompileError::NoCompiler);
    };
    if folder.join(CLASSES).is_dir() {
        return Ok(folder);
    }
    // Who comes second has it from the first.
    let _turn = COMPILING.lock().unwrap_or_else(PoisonError::into_inner);
    if folder.join(CLASSES).is_dir() {
        return Ok(folder);
    }
    let javac = javas
        .iter()
        .filter(|java| java.version.parse::<u32>().is_ok_and(|version| version >= VERSION_MIN))
        .filter_map(|java| Some(java.program.parent()?.join("javac")))
        .find(|javac| javac.is_file())
        .ok_or(CompileError::NoCompiler)?;
    progress.step(&format!("compiling the Java client with {}", javac.display()));
    let unfinished = tempfile::Builder::new().prefix(clients::UNFINISHED).tempdir_in(&folder)?;
    let sources = clients::JAVA.iter().map(|(path, _)| folder.join(clients::inside(path)));
    let mut compile = Command::new(javac);
    compile
        // A compiler that runs this once isn't worth compiling well.
        .args(["-J-XX:TieredStopAtLevel=1", "-J-XX:+UseSerialGC"])
        .args(["--release", &VERSION_MIN.to_string(), "-Xlint:-options", "-nowarn", "-d"])
        .arg(unfinished.path())
        .args(sources);
    command::run(&mut compile, progress)?;
    open_up(unfinished.path())?;
    match std::fs::rename(unfinished.path(), folder.join(CLASSES)) {
        Ok(()) => {
            let _ = unfinished.keep();
        }
        Err(_) if folder.join(CLASSES).is_dir() => {}
        Err(error) => return Err(error.into()),
    }
    Ok(folder)
}

/// The reference's choices: a serial collector, the quick compiler only, and most of the memory as heap.
pub(super) fn arguments(java: &Interpreter, memory_mb: u32, meets: Meets) -> Vec<String> {
    let mut arguments = machine_arguments(memory_mb);
    arguments.extend(frugal_arguments(java, memory_mb));
    let client = format!("{}/{CLASSES}", clients::TARGET);
    match meets {
        Meets::Function => arguments.extend(["-cp".into(), format!("{client}:{FUNCTION_CLASS_PATH}")]),
        Meets::Waiting => {
            if version_of(java).is_some_and(trims_native_heap) {
                arguments.push(format!("-XX:TrimNativeHeapInterval={TRIM_EVERY_MS}"));
            }
            // What the client needs for what the platform has no way to: replacing variables, growing the class path.
            let opened = ["java.lang", "jdk.internal.loader", "jdk.internal.misc"];
            arguments.extend(opened.map(|package| format!("--add-opens=java.base/{package}=ALL-UNNAMED")));
            arguments.push(format!("-Dlambent.parked.classpath={FUNCTION_CLASS_PATH}"));
            arguments.extend(["-cp".into(), client]);
        }
    }
    arguments.push(MAIN_CLASS.into());
    arguments
}

fn machine_arguments(memory_mb: u32) -> Vec<String> {
    let heap_kb = u64::from(memory_mb) * 1024 * 85 / 100;
    vec![
        "-XX:+UseSerialGC".into(),
        "-XX:TieredStopAtLevel=1".into(),
        "-Xshare:auto".into(),
        "-XX:-UsePerfData".into(),
        format!("-XX:MaxHeapSize={heap_kb}k"),
        "-Djava.net.preferIPv4Stack=true".into(),
        // A sandbox has no locale to tell the encoding; which property counts depends on the version.
        "-Dfile.encoding=UTF-8".into(),
        "-Dstdout.encoding=UTF-8".into(),
        "-Dstderr.encoding=UTF-8".into(),
        "-Dsun.stdout.encoding=UTF-8".into(),
        "-Dsun.stderr.encoding=UTF-8".into(),
        // For the descriptor of log frames.
        "--add-opens=java.base/java.io=ALL-UNNAMED".into(),
    ]
}

/// The heap that a machine begins with, as a part of the function's memory: HotSpot's own part of the machine that it
/// sees, which on the reference has that much memory. Here it would see the host's.
const INITIAL_HEAP_PART: u32 = 64;
/// HotSpot's own least.
const INITIAL_HEAP_MB_MIN: u32 = 8;
/// The first Java that generates classes by `jdk.internal.classfile`.
const CLASSFILE_VERSION_MIN: u32 = 24;
/// How often a machine that waits gives freed native memory back. HotSpot keeps what its compiler used for five
/// seconds, and the C library for ever.
const TRIM_EVERY_MS: u32 = 5_000;

/// What keeps the memory small that an idle function has for itself. None of it is a limit.
fn frugal_arguments(java: &Interpreter, memory_mb: u32) -> Vec<String> {
    let version = version_of(java).unwrap_or_default();
    let initial_mb = (memory_mb / INITIAL_HEAP_PART).max(INITIAL_HEAP_MB_MIN);
    // What is garbage soon lies in few pages; both parts of the heap grow with what is kept.
    let mut arguments = vec![format!("-XX:InitialHeapSize={initial_mb}m"), "-XX:NewSize=1m".into()];
    if version.feature >= WAITING_VERSION_MIN {
        // The archive of the platform's classes where it was made for. Elsewhere each of its pages is rewritten, and
        // is then nobody else's. The rest of the address space stays random.
        arguments.extend(["-XX:+UnlockDiagnosticVMOptions".into(), "-XX:ArchiveRelocationMode=0".into()]);
    }
    if version.feature >= CLASSFILE_VERSION_MIN {
        // The quick compiler takes 6 MiB for this one method and keeps them; interpreted it is no slower in the lambda
        // expressions of a large program.
        let method = "jdk.internal.classfile.impl.StackMapGenerator::processBlock";
        arguments.extend(["-XX:CompileCommand=quiet".into(), format!("-XX:CompileCommand=exclude,{method}")]);
    }
    arguments
}

/// `25.0.1`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
struct Version {
    feature: u32,
    interim: u32,
    update: u32,
}

fn version_of(java: &Interpreter) -> Option<Version> {
    let mut numbers = java.full_version.split(['.', '_', '-', '+']).map_while(|word| word.parse().ok());
    let feature = numbers.next()?;
    Some(Version { feature, interim: numbers.next().unwrap_or(0), update: numbers.next().unwrap_or(0) })
}

/// Since when the option is there for everybody. To an older machine it is an error.
fn trims_native_heap(version: Version) -> bool {
    let since = |feature, update| Version { feature, interim: 0, update };
    match version.feature {
        17 => version >= since(17, 12),
        21 => version >= since(21, 4),
        feature => feature >= 23,
    }
}

#[cfg(test)]
mod tests;
