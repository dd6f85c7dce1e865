//! Compiled code of functions: what V8 made of a package, sent by the first environment of a function and mounted,
//! read-only, into its later ones. Scripts are one file, which only the client reads; modules are a folder of files as
//! Node.js itself names and reads them.
//!
//! A sandbox's word is all that there is for it, so it is trusted as far as the function itself: it is filed under the
//! function's account, region and name, and everything that it was compiled from and for. A function can only deceive
//! itself with it, whoever else has the same package.
//!
//! Losing any of it costs a start some milliseconds and nothing else: failures are only noted.

use std::collections::BTreeSet;
use std::io;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use lambent_core::function::FunctionSpec;
use lambent_core::limits::MIB;
use lambent_core::ports::sandbox::Mount;
use sha2::{Digest, Sha256};

/// What all functions together may have; what was made longest ago goes first.
const ALL_BYTES_MAX: u64 = 512 * MIB;

const FILE: &str = "code";
const MODULES: &str = "modules";
/// Node.js has one file for each module.
const MODULE_FILES_MAX: usize = 16_384;
/// Of a folder's or a file's name; both are a few checksums.
const NAME_BYTES_MAX: usize = 128;
const UNFINISHED: &str = ".unfinished-";
/// Where a sandbox has it.
const TARGET: &str = "/var/lambent/compiled";
/// Tells the client what to do; it hides the variable from the function.
const VARIABLE: &str = "_LAMBENT_CODE_CACHE";
const COLLECT: &str = "collect";

/// The compiled code of all functions, in a folder of its own.
#[derive(Debug, Clone)]
pub struct CompiledCode {
    root: PathBuf,
}

impl CompiledCode {
    pub fn new(root: PathBuf) -> Self {
        Self { root }
    }

    /// Where a function's is: in a folder that is named after its package, so that it goes with that.
    fn folder(&self, spec: &FunctionSpec, started_as: &[String]) -> PathBuf {
        let mut digest = Sha256::new();
        let mut add = |word: &str| {
            digest.update((word.len() as u64).to_be_bytes());
            digest.update(word);
        };
        for word in [spec.account.as_str(), spec.region.as_str(), spec.name.as_str(), spec.runtime.id] {
            add(word);
        }
        for layer in &spec.layers {
            add(layer.as_str());
        }
        // Also the interpreter's version and its options, which V8 checks, and refuses the code when they differ.
        for word in started_as {
            add(word);
        }
        let name: String = digest.finalize().iter().take(16).map(|byte| format!("{byte:02x}")).collect();
        self.root.join(spec.code.as_str()).join(name)
    }

    /// Whether there is code of the package for any function.
    pub fn knows_package(&self, spec: &FunctionSpec) -> bool {
        self.root.join(spec.code.as_str()).is_dir()
    }

    /// What a sandbox of the function has mounted of it.
    pub fn mount(&self, spec: &FunctionSpec, started_as: &[String]) -> Option<Mount> {
        let folder = self.folder(spec, started_as);
        folder.join(FILE).is_file().then(|| Mount { sources: vec![folder], target: TARGET.into() })
    }

    /// What the client is told: where it finds compiled code, or to send it.
    pub fn variable(&self, spec: &FunctionSpec, started_as: &[String]) -> (String, String) {
        let is_here = self.folder(spec, started_as).join(FILE).is_file();
        let value = if is_here { format!("{TARGET}/{FILE}") } else { COLLECT.to_owned() };
        (VARIABLE.to_owned(), value)
    }

    /// Keeps what a client sent, unless it is known already. Blocks.
    pub fn keep(&self, spec: &FunctionSpec, started_as: &[String], sent: &[u8]) {
        let folder = self.folder(spec, started_as);
        if folder.join(FILE).is_file() {
            return;
        }
        let Some(sent) = Sent::read(sent) else {
            tracing::debug!("compiled code has no form that is known");
            return;
        };
        if let Err(error) = self.write(&folder, &sent) {
            tracing::debug!(%error, "compiled code was not kept");
        }
    }

    /// Whole or not at all, and never again: a folder that is mounted doesn't change.
    fn write(&self, folder: &Path, sent: &Sent<'_>) -> io::Result<()> {
        let package = folder.parent().unwrap_or(&self.root);
        std::fs::create_dir_all(package)?;
        let unfinished = tempfile::Builder::new().prefix(UNFINISHED).tempdir_in(&self.root)?;
        std::fs::write(unfinished.path().join(FILE), sent.scripts)?;
        for (tag, name, code) in &sent.modules {
            let files = unfinished.path().join(MODULES).join(tag);
            std::fs::create_dir_all(&files)?;
            std::fs::write(files.join(name), code)?;
            open_up(&files.join(name), 0o644)?;
            open_up(&files, 0o755)?;
            open_up(&unfinished.path().join(MODULES), 0o755)?;
        }
        open_up(&unfinished.path().join(FILE), 0o644)?;
        for open in [self.root.as_path(), package, unfinished.path()] {
            open_up(open, 0o755)?;
        }
        std::fs::rename(unfinished.path(), folder)?;
        let _ = unfinished.keep();
        self.make_room(ALL_BYTES_MAX);
        Ok(())
    }

    /// Removes what belongs to packages that are gone, and what was never finished.
    pub fn sweep(&self, is_package: impl Fn(&str) -> bool) {
        for package in entries(&self.root) {
            let name = package.file_name().unwrap_or_default().to_string_lossy().into_owned();
            if !is_package(&name) {
                remove(&package);
            }
        }
    }

    /// An environment that has it mounted keeps an empty folder, and compiles what it has not loaded yet.
    fn make_room(&self, bytes_max: u64) {
        let mut all = BTreeSet::new();
        for folder in entries(&self.root).iter().flat_map(|package| entries(package)) {
            if let Ok(meta) = std::fs::metadata(folder.join(FILE)) {
                let bytes = meta.len() + bytes_of_modules(&folder);
                all.insert((meta.modified().unwrap_or(SystemTime::UNIX_EPOCH), bytes, folder));
            }
        }
        let mut bytes: u64 = all.iter().map(|(_, len, _)| len).sum();
        for (_, len, folder) in all {
            if bytes <= bytes_max {
                break;
            }
            remove(&folder);
            bytes -= len;
        }
    }
}

/// What a client sent: the code of its scripts behind its length, then files of modules, each behind its name and both
/// their lengths.
struct Sent<'a> {
    scripts: &'a [u8],
    /// Folder, name and content of each.
    modules: Vec<(&'a str, &'a str, &'a [u8])>,
}

impl<'a> Sent<'a> {
    /// It comes from inside of a sandbox: `None` unless all of it has the form.
    fn read(mut rest: &'a [u8]) -> Option<Self> {
        let scripts = part(&mut rest)?;
        let mut modules = Vec::new();
        while !rest.is_empty() && modules.len() < MODULE_FILES_MAX {
            let name = std::str::from_utf8(part(&mut rest)?).ok()?;
            let (tag, file) = name.split_once('/')?;
            if !is_plain(tag) || !is_plain(file) {
                return None;
            }
            modules.push((tag, file, part(&mut rest)?));
        }
        rest.is_empty().then_some(Self { scripts, modules })
    }
}

/// Bytes behind their number.
fn part<'a>(rest: &mut &'a [u8]) -> Option<&'a [u8]> {
    let (length, behind) = rest.split_first_chunk::<4>()?;
    let (found, behind) = behind.split_at_checked(u32::from_be_bytes(*length) as usize)?;
    *rest = behind;
    Some(found)
}

/// A name of one file here, and no way to another place.
fn is_plain(name: &str) -> bool {
    let is_known = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.' | b'+');
    (1..=NAME_BYTES_MAX).contains(&name.len()) && !name.starts_with('.') && name.bytes().all(is_known)
}

/// In a sandbox another user reads it.
fn open_up(path: &Path, mode: u32) -> io::Result<()> {
    use std::os::unix::fs::PermissionsExt;
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode))
}

fn bytes_of_modules(folder: &Path) -> u64 {
    let files = entries(&folder.join(MODULES)).into_iter().flat_map(|tag| entries(&tag));
    files.filter_map(|file| std::fs::metadata(file).ok()).map(|meta| meta.len()).sum()
}

fn entries(folder: &Path) -> Vec<PathBuf> {
    let Ok(entries) = std::fs::read_dir(folder) else { return Vec::new() };
    entries.flatten().map(|entry| entry.path()).collect()
}

fn remove(folder: &Path) {
    if let Err(error) = std::fs::remove_dir_all(folder) {
        tracing::debug!(folder = %folder.display(), %error, "compiled code was not removed");
    }
}

#[cfg(test)]
mod tests;
