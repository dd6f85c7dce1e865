use bytes::Bytes;

use super::BoxFuture;
use crate::ids::CodeDigest;

/// What a package is for: the limits and the checks differ.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PackageKind {
    Function,
    Layer,
}

/// A package that was taken in: checked, unpacked and on disk.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CodePackage {
    pub digest: CodeDigest,
    pub zipped_bytes: u64,
    pub unzipped_bytes: u64,
}

/// Why a package was not taken in. Nothing of it is left behind.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CodeRefusal {
    /// Not a zip archive, truncated, or a checksum inside it is wrong.
    #[error("the archive can't be read: {detail}")]
    Corrupt { detail: String },
    /// An entry leads out of the package, or is of a kind that a package may not hold.
    #[error("entry {entry:?}: {detail}")]
    ForbiddenEntry { entry: String, detail: String },
    #[error("unpacked size is over {max_bytes} bytes")]
    TooLarge { max_bytes: u64 },
    #[error("more than {max} entries")]
    TooManyEntries { max: usize },
    #[error("the package holds no files")]
    Empty,
    /// The node's fault: a full or failing disk.
    #[error("the package can't be kept: {detail}")]
    Storage { detail: String },
}

/// Keeps code packages by the digest of their zipped bytes.
pub trait CodeStore: Send + Sync {
    /// Checks and unpacks a zip archive. When it answers with a package, that package is on disk and survives
    /// a crash. Taking in the same bytes again costs a look-up.
    fn admit(&self, zip: Bytes, kind: PackageKind) -> BoxFuture<'_, Result<CodePackage, CodeRefusal>>;

    /// The zipped bytes as they were taken in; `None` when the digest is not known.
    fn zipped(&self, digest: &CodeDigest) -> BoxFuture<'_, std::io::Result<Option<Bytes>>>;
}
