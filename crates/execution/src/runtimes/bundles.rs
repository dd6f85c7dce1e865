//! Interpreters that were added to this node: unpacked in the data folder, checked by running them once.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;

use lambent_core::runtime::{Family, Runtime};

use super::shelf::Shelf;
use super::source::{Fetch, Source, SourceError};
use super::{Interpreter, Progress, command, discovery};

#[derive(Debug, thiserror::Error)]
pub enum BundleError {
    #[error("{runtime} needs no bundle: the function's package brings its own program")]
    Provided { runtime: &'static str },
    #[error("this node has no client for {runtime}; package the program as a function of provided.al2023")]
    NoClient { runtime: &'static str },
    #[error(transparent)]
    Source(#[from] SourceError),
    #[error("{source_name} holds no {program}, neither at its top nor one folder below")]
    NoProgram { source_name: String, program: String },
    #[error("{source_name} is a virtual environment: give the installation that it was made from")]
    VirtualEnvironment { source_name: String },
    #[error("{program} does not run on this host as {wanted}{}", found_text(.found))]
    OtherVersion { program: String, wanted: String, found: Option<String> },
    #[error("keep the bundle")]
    Keep(#[from] std::io::Error),
}

fn found_text(found: &Option<String>) -> String {
    found.as_ref().map(|version| format!("; it says that it is {version}")).unwrap_or_default()
}

/// Takes in a bundle for a runtime, in the place of an earlier one.
pub(super) fn add(
    shelf: &Shelf,
    runtime: &'static Runtime,
    source: &Source,
    fetch: Fetch<'_>,
    progress: &dyn Progress,
) -> Result<Interpreter, BundleError> {
    let program = match runtime.family {
        Family::Python => format!("bin/python{}", runtime.language_version),
        Family::NodeJs => "bin/node".to_string(),
        Family::Java => "bin/java".to_string(),
        Family::Provided => return Err(BundleError::Provided { runtime: runtime.id }),
        _ => return Err(BundleError::NoClient { runtime: runtime.id }),
    };
    let source_name = source.describe();
    let filling = shelf.fill(runtime.id)?;
    source.unpack(filling.path(), fetch, progress)?;
    let prefix = find_prefix(filling.path(), &program).ok_or_else(|| BundleError::NoProgram {
        source_name: source_name.clone(),
        program: program.clone(),
    })?;
    if prefix.join("pyvenv.cfg").exists() {
        return Err(BundleError::VirtualEnvironment { source_name });
    }
    let below = prefix.strip_prefix(filling.path()).unwrap_or(Path::new("")).to_path_buf();

    progress.step(&format!("trying {program}"));
    let found = discovery::probe(runtime.family, &real(&prefix.join(&program)));
    let Some(found) = found.filter(|found| found.version == runtime.language_version) else {
        let found = discovery::probe(runtime.family, &real(&prefix.join(&program)));
        return Err(BundleError::OtherVersion {
            program,
            wanted: runtime.id.to_string(),
            found: found.map(|found| found.full_version),
        });
    };
    if runtime.family == Family::Python {
        compile_library(&found, &prefix, progress);
    }
    let versions = BTreeMap::from([
        ("interpreter".to_string(), found.full_version.clone()),
        ("program".to_string(), program),
        ("below".to_string(), below.to_string_lossy().into_owned()),
    ]);
    shelf.put(runtime.id, filling, source_name, versions)?;
    get(shelf, runtime).ok_or_else(|| std::io::Error::other("the bundle vanished").into())
}

/// The bundle of a runtime, if one was added.
pub(super) fn get(shelf: &Shelf, runtime: &Runtime) -> Option<Interpreter> {
    let (manifest, folder) = shelf.get(runtime.id)?;
    let prefix = folder.join(manifest.versions.get("below")?);
    Some(Interpreter {
        version: runtime.language_version.to_string(),
        full_version: manifest.versions.get("interpreter")?.clone(),
        program: real(&prefix.join(manifest.versions.get("program")?)),
        prefix,
        beside: Vec::new(),
    })
}

/// Archives have the installation at their top or in one folder there.
fn find_prefix(root: &Path, program: &str) -> Option<PathBuf> {
    let below = std::fs::read_dir(root).ok()?.flatten().map(|entry| entry.path());
    std::iter::once(root.to_path_buf()).chain(below).find(|prefix| prefix.join(program).is_file())
}

fn real(program: &Path) -> PathBuf {
    program.canonicalize().unwrap_or_else(|_| program.to_path_buf())
}

/// Without compiled files every start would compile the standard library anew, in a folder that it can't
/// write to.
fn compile_library(interpreter: &Interpreter, prefix: &Path, progress: &dyn Progress) {
    let library = prefix.join(format!("lib/python{}", interpreter.version));
    let tag = interpreter.version.replace('.', "");
    if library.join(format!("__pycache__/os.cpython-{tag}.pyc")).exists() {
        return;
    }
    progress.step("compiling the standard library");
    let mut compile = Command::new(&interpreter.program);
    compile
        .args(["-S", "-E", "-m", "compileall", "-q", "--invalidation-mode", "unchecked-hash"])
        .args(["-x", "(test|lib2to3|idlelib)/"])
        .arg(&library)
        .env("LD_LIBRARY_PATH", prefix.join("lib"));
    if let Err(error) = command::run(&mut compile, progress) {
        // Some files of a library are made not to compile; the others are done.
        tracing::debug!(%error, "compiling the standard library");
    }
}
