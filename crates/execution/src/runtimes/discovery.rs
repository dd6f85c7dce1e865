//! Asks the candidates of a host what they are, once, and remembers the answers by file, size and time.

use std::collections::BTreeMap;
use std::io::Write;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};

use lambent_core::runtime::Family;
use serde::{Deserialize, Serialize};

use super::clients::UNFINISHED;
use super::places::{Places, is_system};
use super::{command, java};

/// An interpreter that told its version.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Interpreter {
    /// As runtime identifiers write it: `3.12`, `20`, `17`.
    pub version: String,
    /// As the interpreter says it: `3.12.1`.
    pub full_version: String,
    /// The real program, no link.
    pub program: PathBuf,
    /// The folder that holds all of the installation, `bin` among it.
    pub prefix: PathBuf,
    /// Folders outside of the prefix that it needs at their own path.
    pub beside: Vec<PathBuf>,
}

/// What was learnt earlier: by program, with what would show that the file has changed.
#[derive(Debug, Default, Serialize, Deserialize)]
struct Remembered {
    /// Raised when probing learns something new, so that older answers are asked for again.
    edition: u32,
    answers: BTreeMap<PathBuf, (Stamp, Option<Interpreter>)>,
}

const EDITION: u32 = 1;

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Stamp {
    size: u64,
    modified_ns: i128,
}

/// Whose interpreters are looked for.
pub(super) const FAMILIES: [Family; 3] = [Family::Java, Family::NodeJs, Family::Python];

/// Looks for the interpreters of the host and tells those of each family, best first, as soon as they are known.
/// Programs that are known already aren't run again.
pub(super) fn discover(places: &Places, memory: &Path, tell: impl Fn(Family, Vec<Interpreter>) + Sync) {
    let old = recall(memory);
    let answers = at_once(&FAMILIES, FAMILIES.len(), |family| {
        let answers = answers(places, *family, &old);
        tell(*family, answers.iter().filter_map(|(_, (_, interpreter))| interpreter.clone()).collect());
        answers
    });
    let new = Remembered { edition: EDITION, answers: answers.into_iter().flatten().collect() };
    if new.answers != old.answers {
        remember(memory, &new);
    }
}

type Answer = (PathBuf, (Stamp, Option<Interpreter>));

fn answers(places: &Places, family: Family, old: &Remembered) -> Vec<Answer> {
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let answers = at_once(&places.candidates(family), cores, |program| {
        let stamp = stamp(program)?;
        let answer = match old.answers.get(program) {
            Some((then, answer)) if *then == stamp => answer.clone(),
            _ => probe(family, program),
        };
        Some((program.clone(), (stamp, answer)))
    });
    answers.into_iter().flatten().collect()
}

/// Does the work of all items, several at once, and answers in their order.
fn at_once<T: Sync, R: Send>(items: &[T], threads: usize, work: impl Fn(&T) -> R + Sync) -> Vec<R> {
    let next = AtomicUsize::new(0);
    let done = Mutex::new(Vec::with_capacity(items.len()));
    let worker = || {
        while let Some((index, item)) = {
            let index = next.fetch_add(1, Ordering::Relaxed);
            items.get(index).map(|item| (index, item))
        } {
            let result = work(item);
            done.lock().unwrap_or_else(PoisonError::into_inner).push((index, result));
        }
    };
    std::thread::scope(|scope| {
        for _ in 1..threads.min(items.len()) {
            // Without another thread this one does all of it.
            let _ = std::thread::Builder::new().name("runtimes".into()).spawn_scoped(scope, worker);
        }
        worker();
    });
    let mut done = done.into_inner().unwrap_or_else(PoisonError::into_inner);
    done.sort_unstable_by_key(|(index, _)| *index);
    done.into_iter().map(|(_, result)| result).collect()
}

/// Runs a program to learn what it is.
pub(super) fn probe(family: Family, program: &Path) -> Option<Interpreter> {
    match family {
        Family::Python => probe_python(program),
        Family::NodeJs => probe_node(program),
        Family::Java => java::probe(program),
        _ => None,
    }
}

/// Distributions that split the standard library leave parts of it out; an incomplete one is not offered.
const PYTHON_QUESTION: &str = "\
import sys, json, logging, asyncio, ctypes
print('%d.%d' % sys.version_info[:2])
print('%d.%d.%d' % sys.version_info[:3])
print(sys.base_prefix)
";

fn probe_python(program: &Path) -> Option<Interpreter> {
    let mut question = Command::new(program);
    question.args(["-S", "-E", "-c", PYTHON_QUESTION]).current_dir("/");
    // A bundle's own shared library stands beside it.
    if let Some(prefix) = program.parent().and_then(Path::parent).filter(|_| !is_system(program)) {
        question.env("LD_LIBRARY_PATH", prefix.join("lib"));
    }
    let answer = command::ask(&mut question)?;
    let mut lines = answer.lines();
    let (version, full_version) = (lines.next()?.to_string(), lines.next()?.to_string());
    let prefix = PathBuf::from(lines.next()?).canonicalize().ok()?;
    Some(Interpreter { version, full_version, program: program.to_path_buf(), prefix, beside: Vec::new() })
}

fn probe_node(program: &Path) -> Option<Interpreter> {
    let answer = command::ask(Command::new(program).args(["-p", "process.versions.node"]).current_dir("/"))?;
    let full_version = answer.trim().to_string();
    let version = full_version.split('.').next().filter(|major| major.parse::<u32>().is_ok())?.to_string();
    let folder = program.parent()?;
    let prefix = if folder.ends_with("bin") { folder.parent()? } else { folder };
    Some(Interpreter {
        version,
        full_version,
        program: program.to_path_buf(),
        prefix: prefix.to_path_buf(),
        beside: Vec::new(),
    })
}

fn stamp(program: &Path) -> Option<Stamp> {
    let meta = std::fs::metadata(program).ok().filter(|meta| meta.is_file() && meta.mode() & 0o111 != 0)?;
    let modified_ns = i128::from(meta.mtime()) * 1_000_000_000 + i128::from(meta.mtime_nsec());
    Some(Stamp { size: meta.size(), modified_ns })
}

fn recall(memory: &Path) -> Remembered {
    std::fs::read(memory)
        .ok()
        .and_then(|bytes| serde_json::from_slice::<Remembered>(&bytes).ok())
        .filter(|remembered| remembered.edition == EDITION)
        .unwrap_or_default()
}

/// Losing this costs a moment at the next start and nothing else: failures are only noted.
fn remember(memory: &Path, remembered: &Remembered) {
    let write = || -> std::io::Result<()> {
        let folder = memory.parent().unwrap_or(Path::new("."));
        let mut file = tempfile::Builder::new().prefix(UNFINISHED).tempfile_in(folder)?;
        file.write_all(&serde_json::to_vec_pretty(remembered)?)?;
        file.persist(memory)?;
        Ok(())
    };
    if let Err(error) = write() {
        tracing::debug!(%error, "could not remember the host's interpreters");
    }
}

#[cfg(test)]
mod tests {
    use super::at_once;

    #[test]
    fn what_is_done_at_once_is_answered_in_order() {
        let items: Vec<u32> = (0..100).collect();
        for threads in [0, 1, 3, 200] {
            assert_eq!(at_once(&items, threads, |item| item * 2), (0..200).step_by(2).collect::<Vec<_>>());
        }
        assert!(at_once(&[], 4, |item: &u32| *item).is_empty());
    }
}
