//! Where a bundle comes from: a folder, an archive, or an address with the digest that the archive must have.

use std::fs::File;
use std::io::{self, Read, Seek, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use sha2::{Digest, Sha256};

use super::Progress;

/// An unpacked interpreter with its standard library is at most some hundred megabytes; what is larger is
/// something else.
const BUNDLE_BYTES_MAX: u64 = 4 * 1024 * 1024 * 1024;

/// Where a bundle comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Source {
    Folder(PathBuf),
    Archive(PathBuf),
    Address { url: String, sha256: String },
}

/// Writes what stands at an address. Only the caller knows how to reach the network.
pub type Fetch<'a> = &'a dyn Fn(&str, &mut dyn Write) -> io::Result<()>;

#[derive(Debug, thiserror::Error)]
pub enum SourceError {
    #[error("{path} does not exist")]
    Absent { path: String },
    #[error("{url} needs the digest of the archive behind a #: {url}#SHA256")]
    NoDigest { url: String },
    #[error("{digest:?} is no SHA-256 digest: 64 hexadecimal digits are")]
    BadDigest { digest: String },
    #[error("{url} has the digest {found}, not {wanted}")]
    OtherDigest { url: String, wanted: String, found: String },
    #[error("{path} is no archive of a known kind: .tar.gz, .tgz, .tar.xz, .tar.zst, .tar and .zip are")]
    UnknownKind { path: String },
    #[error("unpack {path}")]
    Unpack {
        path: String,
        #[source]
        cause: io::Error,
    },
    #[error("fetch {url}")]
    Fetch {
        url: String,
        #[source]
        cause: io::Error,
    },
    #[error("copy {path}")]
    Copy {
        path: String,
        #[source]
        cause: io::Error,
    },
}

impl Source {
    /// Reads `DIR`, `ARCHIVE` or `URL#sha256`.
    pub fn parse(text: &str) -> Result<Self, SourceError> {
        if text.starts_with("http://") || text.starts_with("https://") {
            let Some((url, digest)) = text.rsplit_once('#') else {
                return Err(SourceError::NoDigest { url: text.to_string() });
            };
            let digest = digest.strip_prefix("sha256=").or(digest.strip_prefix("sha256:")).unwrap_or(digest);
            if digest.len() != 64 || !digest.bytes().all(|b| b.is_ascii_hexdigit()) {
                return Err(SourceError::BadDigest { digest: digest.to_string() });
            }
            return Ok(Self::Address { url: url.to_string(), sha256: digest.to_ascii_lowercase() });
        }
        let path = PathBuf::from(text);
        match std::fs::metadata(&path) {
            Ok(meta) if meta.is_dir() => Ok(Self::Folder(path)),
            Ok(_) => Ok(Self::Archive(path)),
            Err(_) => Err(SourceError::Absent { path: text.to_string() }),
        }
    }

    /// For people and for the manifest.
    pub fn describe(&self) -> String {
        match self {
            Self::Folder(path) | Self::Archive(path) => path.display().to_string(),
            Self::Address { url, sha256 } => format!("{url}#{sha256}"),
        }
    }

    /// Puts the content into a folder that exists and is empty.
    pub(super) fn unpack(
        &self,
        into: &Path,
        fetch: Fetch<'_>,
        progress: &dyn Progress,
    ) -> Result<(), SourceError> {
        match self {
            Self::Folder(path) => {
                progress.step(&format!("copying {}", path.display()));
                copy_tree(path, into)
                    .map_err(|cause| SourceError::Copy { path: path.display().to_string(), cause })
            }
            Self::Archive(path) => {
                progress.step(&format!("unpacking {}", path.display()));
                let failed = |cause| SourceError::Unpack { path: path.display().to_string(), cause };
                let file = File::open(path).map_err(failed)?;
                unpack_archive(&path.to_string_lossy(), file, into)
            }
            Self::Address { url, sha256 } => {
                progress.step(&format!("fetching {url}"));
                let file = download(url, sha256, fetch)?;
                progress.step("unpacking");
                unpack_archive(url, file, into)
            }
        }
    }
}

struct Digesting<'a> {
    file: &'a mut File,
    digest: Sha256,
}

impl Write for Digesting<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let count = self.file.write(bytes)?;
        self.digest.update(&bytes[..count]);
        Ok(count)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

/// Nothing of it is looked at before its digest is right.
fn download(url: &str, wanted: &str, fetch: Fetch<'_>) -> Result<File, SourceError> {
    let failed = |cause| SourceError::Fetch { url: url.to_string(), cause };
    let mut file = tempfile::tempfile().map_err(failed)?;
    let mut target = Digesting { file: &mut file, digest: Sha256::new() };
    fetch(url, &mut target).map_err(failed)?;
    let found: String = target.digest.finalize().iter().map(|byte| format!("{byte:02x}")).collect();
    if found != wanted {
        return Err(SourceError::OtherDigest { url: url.to_string(), wanted: wanted.to_string(), found });
    }
    file.rewind().map_err(failed)?;
    Ok(file)
}

fn unpack_archive(name: &str, file: File, into: &Path) -> Result<(), SourceError> {
    let failed = |cause| SourceError::Unpack { path: name.to_string(), cause };
    let lower = name.to_ascii_lowercase();
    let ends = |suffixes: &[&str]| suffixes.iter().any(|suffix| lower.ends_with(suffix));
    if ends(&[".tar.gz", ".tgz"]) {
        untar(flate2::read::GzDecoder::new(file), into).map_err(failed)
    } else if ends(&[".tar.zst"]) {
        zstd::stream::read::Decoder::new(file).and_then(|reader| untar(reader, into)).map_err(failed)
    } else if ends(&[".tar"]) {
        untar(file, into).map_err(failed)
    } else if ends(&[".tar.xz", ".txz"]) {
        untar_xz(file, into).map_err(failed)
    } else if ends(&[".zip"]) {
        let mut archive = zip::ZipArchive::new(file).map_err(|error| failed(error.into()))?;
        if archive.decompressed_size().is_some_and(|bytes| bytes > u128::from(BUNDLE_BYTES_MAX)) {
            return Err(failed(io::Error::other("it is larger than any interpreter")));
        }
        archive.extract(into).map_err(|error| failed(error.into()))
    } else {
        Err(SourceError::UnknownKind { path: name.to_string() })
    }
}

/// Entries that lead out of the folder are skipped by the reader of the format; sizes are bounded here.
fn untar(reader: impl Read, into: &Path) -> io::Result<()> {
    let mut archive = tar::Archive::new(reader.take(BUNDLE_BYTES_MAX));
    archive.set_overwrite(false);
    archive.unpack(into)
}

/// Few archives need it, so the host's own tool serves.
fn untar_xz(file: File, into: &Path) -> io::Result<()> {
    let mut child =
        Command::new("xz").arg("-dc").stdin(file).stdout(Stdio::piped()).spawn().map_err(|error| {
            io::Error::new(error.kind(), "the program xz is needed for this archive and is not installed")
        })?;
    let result = match child.stdout.take() {
        Some(pipe) => untar(pipe, into),
        None => Err(io::Error::other("xz has no output")),
    };
    let status = child.wait()?;
    result?;
    if status.success() { Ok(()) } else { Err(io::Error::other(format!("xz ended with {status}"))) }
}

/// Links are copied as links: installations are full of relative ones.
fn copy_tree(from: &Path, to: &Path) -> io::Result<()> {
    for entry in std::fs::read_dir(from)? {
        let entry = entry?;
        let target = to.join(entry.file_name());
        let kind = entry.file_type()?;
        if kind.is_symlink() {
            std::os::unix::fs::symlink(std::fs::read_link(entry.path())?, &target)?;
        } else if kind.is_dir() {
            std::fs::create_dir(&target)?;
            copy_tree(&entry.path(), &target)?;
        } else if kind.is_file() {
            std::fs::copy(entry.path(), &target)?;
        }
    }
    Ok(())
}
