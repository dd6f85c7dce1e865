//! A function's package: files by their names inside, and the archive that they make.

use std::collections::BTreeMap;
use std::io::{self, Cursor, Seek, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use lambent_core::limits::{PACKAGE_ENTRIES_MAX, UNZIPPED_BYTES_MAX, ZIP_BYTES_MAX};
use sha2::{Digest, Sha256};
use zip::write::SimpleFileOptions;
use zip::{CompressionMethod, ZipWriter};

use crate::cli::failure::Failure;
use crate::cli::table;

/// Names that are no part of a function wherever they are.
const NEVER: [&str; 15] = [
    ".git",
    ".hg",
    ".svn",
    ".lambent",
    ".npmrc",
    ".venv",
    ".tox",
    ".idea",
    ".vscode",
    ".DS_Store",
    ".mypy_cache",
    ".pytest_cache",
    ".ruff_cache",
    "__pycache__",
    "lambent.toml",
];

/// Deeper trees than this are loops or mistakes.
const DEPTH_MAX: usize = 64;

/// A package that can be sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Archive {
    pub bytes: Vec<u8>,
    /// In base64, as CodeSha256 has it.
    pub sha256: String,
}

impl Archive {
    pub fn new(bytes: Vec<u8>) -> Result<Self, Failure> {
        if bytes.len() as u64 > ZIP_BYTES_MAX {
            let size = table::size(bytes.len() as u64);
            return Err(Failure::local(format!(
                "the package is {size}; the limit is {}",
                table::size(ZIP_BYTES_MAX)
            ))
            .hint("leave files out, or put packages in a layer"));
        }
        let sha256 = STANDARD.encode(Sha256::digest(&bytes));
        Ok(Self { bytes, sha256 })
    }

    /// A package that somebody else made, as it is.
    pub fn read(path: &Path) -> Result<Self, Failure> {
        let size = std::fs::metadata(path).map_err(|error| Failure::file("read", path, &error))?.len();
        if size > ZIP_BYTES_MAX {
            let (size, limit) = (table::size(size), table::size(ZIP_BYTES_MAX));
            return Err(Failure::local(format!("{} is {size}; the limit is {limit}", path.display())));
        }
        Self::new(std::fs::read(path).map_err(|error| Failure::file("read", path, &error))?)
    }
}

#[derive(Debug, Default)]
pub struct Package {
    /// Sorted: the archive's order does not depend on the file system's.
    entries: BTreeMap<String, Entry>,
}

#[derive(Debug)]
enum Entry {
    File { path: PathBuf, executable: bool },
    Link { target: String },
}

impl Package {
    /// Adds a directory's files; one of a name that is there already takes its place. `skip` is asked with
    /// names inside the package, of directories too.
    pub fn add_tree(&mut self, root: &Path, skip: impl Fn(&str) -> bool) -> Result<(), Failure> {
        let mut folders = vec![(root.to_owned(), String::new(), 0)];
        while let Some((folder, prefix, depth)) = folders.pop() {
            let fail = |error: &io::Error| Failure::file("read", &folder, error);
            for entry in std::fs::read_dir(&folder).map_err(|error| fail(&error))? {
                let entry = entry.map_err(|error| fail(&error))?;
                let path = entry.path();
                let name = entry.file_name().into_string().map_err(|_| {
                    Failure::local(format!("{} can't be packed: its name is not UTF-8", path.display()))
                })?;
                let inside = format!("{prefix}{name}");
                if NEVER.contains(&name.as_str()) || name.ends_with(".pyc") || skip(&inside) {
                    continue;
                }
                let kind = entry.file_type().map_err(|error| Failure::file("read", &path, &error))?;
                if kind.is_dir() {
                    if depth == DEPTH_MAX {
                        return Err(Failure::local(format!("{} is too deep to be packed", path.display())));
                    }
                    // A virtual environment of any name.
                    if !path.join("pyvenv.cfg").exists() {
                        folders.push((path, format!("{inside}/"), depth + 1));
                    }
                } else if kind.is_symlink() {
                    self.add_link(root, inside, &path)?;
                } else if kind.is_file() {
                    let meta = entry.metadata().map_err(|error| Failure::file("read", &path, &error))?;
                    let executable = meta.permissions().mode() & 0o111 != 0;
                    self.add(inside, Entry::File { path, executable })?;
                }
            }
        }
        Ok(())
    }

    pub fn add_file(&mut self, name: &str, path: &Path, executable: bool) -> Result<(), Failure> {
        self.add(name.to_owned(), Entry::File { path: path.to_owned(), executable })
    }

    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    fn add(&mut self, name: String, entry: Entry) -> Result<(), Failure> {
        self.entries.insert(name, entry);
        if self.entries.len() > PACKAGE_ENTRIES_MAX {
            return Err(Failure::local(format!("the package has more than {PACKAGE_ENTRIES_MAX} files")));
        }
        Ok(())
    }

    /// A link stays one when it leads to a place inside; any other would lead nowhere on the node.
    fn add_link(&mut self, root: &Path, inside: String, path: &Path) -> Result<(), Failure> {
        let target = std::fs::read_link(path).map_err(|error| Failure::file("read", path, &error))?;
        let real_root = root.canonicalize().map_err(|error| Failure::file("read", root, &error))?;
        let leads_inside = path.canonicalize().is_ok_and(|real| real.starts_with(real_root));
        match target.to_str() {
            Some(target) if leads_inside && !target.starts_with('/') => {
                self.add(inside, Entry::Link { target: target.to_owned() })
            }
            _ => Err(Failure::local(format!("{} is a link to {}", path.display(), target.display()))
                .hint("links in a package must be relative and stay in the project; copy the file instead")),
        }
    }

    /// The archive: sorted names, one fixed time, and of the modes only whether a file is executable.
    pub fn zip(&self) -> Result<Archive, Failure> {
        if self.is_empty() {
            return Err(Failure::usage("there are no files to pack"));
        }
        let mut writer = ZipWriter::new(Cursor::new(Vec::new()));
        let mut unpacked: u64 = 0;
        for (name, entry) in &self.entries {
            unpacked += write(&mut writer, name, entry)?;
            if unpacked > UNZIPPED_BYTES_MAX {
                return Err(Failure::local(format!(
                    "the package is over {} unpacked, which is the limit",
                    table::size(UNZIPPED_BYTES_MAX)
                ))
                .hint("leave files out, or keep large data in a bucket"));
            }
        }
        let cursor = writer.finish().map_err(|error| Failure::local(format!("can't pack: {error}")))?;
        Archive::new(cursor.into_inner())
    }
}

fn write(writer: &mut ZipWriter<impl Write + Seek>, name: &str, entry: &Entry) -> Result<u64, Failure> {
    let fail = |error: &dyn std::fmt::Display| Failure::local(format!("can't pack {name}: {error}"));
    // The default time is the earliest that the format can say.
    let options = SimpleFileOptions::default()
        .compression_method(CompressionMethod::Deflated)
        .last_modified_time(zip::DateTime::default());
    match entry {
        Entry::Link { target } => {
            writer.add_symlink(name, target.as_str(), options).map_err(|error| fail(&error))?;
            Ok(target.len() as u64)
        }
        Entry::File { path, executable } => {
            let mode = if *executable { 0o755 } else { 0o644 };
            let mut file = std::fs::File::open(path).map_err(|error| Failure::file("read", path, &error))?;
            writer.start_file(name, options.unix_permissions(mode)).map_err(|error| fail(&error))?;
            io::copy(&mut file, writer).map_err(|error| fail(&error))
        }
    }
}
