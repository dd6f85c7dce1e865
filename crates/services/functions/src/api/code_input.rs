//! A package that comes with a request: its members, and its way into the code store.

use bytes::Bytes;
use lambent_core::limits::ZIP_BYTES_MAX;
use lambent_core::ports::{CodeRefusal, PackageKind};

use super::Call;
use super::body::{Body, Refusal, says_nothing};
use super::check::Check;
use crate::Functions;
use crate::engine::function::Package;
use crate::error::Error;

/// What the reference names as the greatest request: 50 MB in base64.
const REQUEST_BYTES_MAX: u64 = ZIP_BYTES_MAX.div_ceil(3) * 4;

/// Quotas: uploaded functions and layers, 75 GB an account and region.
pub const CODE_STORAGE_BYTES_MAX: u64 = 75 * lambent_core::limits::GIB;

/// Sources of code that are not served.
pub const REFUSED: &[Refusal] = &[
    Refusal { member: "S3Bucket", is_default: says_nothing },
    Refusal { member: "S3Key", is_default: says_nothing },
    Refusal { member: "S3ObjectVersion", is_default: says_nothing },
    Refusal { member: "ImageUri", is_default: says_nothing },
    Refusal { member: "SourceKMSKeyArn", is_default: says_nothing },
];

/// Takes the package out of the structure that holds it. An empty one is none.
pub fn read(body: &mut Body) -> Result<Option<Bytes>, Error> {
    Ok(body.blob("ZipFile")?.filter(|zip| !zip.is_empty()))
}

/// Reads `Architectures`: the model takes a list of one.
pub fn read_architecture(
    functions: &Functions,
    body: &mut Body,
    check: &mut Check,
) -> Result<Option<String>, Error> {
    let Some(architectures) = body.texts("Architectures")? else { return Ok(None) };
    check.choices("architectures", &architectures, &["x86_64", "arm64"], 1);
    check.list_length("architectures", &architectures, 1, 1);
    let host = functions.deps.settings.architecture;
    let is_known = |a: &String| matches!(a.as_str(), "x86_64" | "arm64");
    match architectures.into_iter().find(|a| is_known(a) && a != host) {
        None => Ok(Some(host.to_owned())),
        Some(other) => Err(Error::UnsupportedValue {
            parameter: "Architectures",
            value: other,
            remedy: format!("this node runs {host}."),
        }),
    }
}

/// Takes the package in: when this answers, it is checked, unpacked and on disk.
pub async fn admit(
    functions: &Functions,
    call: &Call<'_>,
    zip: Bytes,
    kind: PackageKind,
) -> Result<Package, Error> {
    let bytes = zip.len() as u64;
    if bytes > ZIP_BYTES_MAX {
        return Err(Error::RequestTooLarge { max_bytes: REQUEST_BYTES_MAX, operation: call.operation.name });
    }
    let caller = &call.request.caller;
    let used = functions.deps.store.usage(&caller.account, &caller.region).code_bytes;
    if used.saturating_add(bytes) > CODE_STORAGE_BYTES_MAX {
        return Err(Error::CodeStorageExceeded);
    }
    match functions.deps.code.admit(zip, kind).await {
        Ok(package) => Ok(Package {
            digest: package.digest,
            zipped_bytes: package.zipped_bytes,
            unzipped_bytes: package.unzipped_bytes,
        }),
        Err(refusal) => Err(match refusal {
            CodeRefusal::Corrupt { .. } => Error::CorruptZip,
            CodeRefusal::Empty => Error::EmptyZip,
            CodeRefusal::TooLarge { max_bytes } => Error::UnzippedTooLarge { max_bytes },
            CodeRefusal::ForbiddenEntry { .. } | CodeRefusal::TooManyEntries { .. } => {
                Error::ForbiddenZip { detail: refusal.to_string() }
            }
            CodeRefusal::Storage { detail } => Error::CodeStorage { detail },
        }),
    }
}
