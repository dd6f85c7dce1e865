//! The AWS SDKs that a function may import without packaging them, as the reference's runtimes have them.
//! Installed once by the package managers of the host, on request.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;

use lambent_core::runtime::{Family, Runtime};

use super::command::{self, CommandError};
use super::shelf::Shelf;
use super::{Interpreter, Progress};

#[derive(Debug, thiserror::Error)]
pub enum PrepareError {
    #[error("{reason}")]
    Missing { reason: String },
    #[error("no Python on this host has pip; install it (python3-pip) and try again")]
    NoPip,
    #[error("npm is not installed; install it with Node.js and try again")]
    NoNpm,
    #[error(transparent)]
    Command(#[from] CommandError),
    #[error("keep the SDK")]
    Keep(#[from] std::io::Error),
}

/// The clients of the services that this platform has or will have, and what examples use beside them.
const NODE_PACKAGES: &[&str] = &[
    "@aws-sdk/client-apigatewaymanagementapi",
    "@aws-sdk/client-cloudwatch",
    "@aws-sdk/client-cloudwatch-logs",
    "@aws-sdk/client-dynamodb",
    "@aws-sdk/client-eventbridge",
    "@aws-sdk/client-iam",
    "@aws-sdk/client-kinesis",
    "@aws-sdk/client-lambda",
    "@aws-sdk/client-s3",
    "@aws-sdk/client-scheduler",
    "@aws-sdk/client-secrets-manager",
    "@aws-sdk/client-sfn",
    "@aws-sdk/client-sns",
    "@aws-sdk/client-sqs",
    "@aws-sdk/client-ssm",
    "@aws-sdk/client-sts",
    "@aws-sdk/lib-dynamodb",
    "@aws-sdk/lib-storage",
    "@aws-sdk/s3-request-presigner",
    "@aws-sdk/util-dynamodb",
    "@smithy/node-http-handler",
    "@smithy/protocol-http",
    "@smithy/signature-v4",
];

const PYTHON_PACKAGES: &[&str] = &["boto3"];

/// The folder to mount for a runtime, if its SDK was prepared.
pub(super) fn get(shelf: &Shelf, runtime: &Runtime) -> Option<(PathBuf, BTreeMap<String, String>)> {
    let (manifest, folder) = shelf.get(&slot(runtime)?)?;
    let folder = if runtime.family == Family::NodeJs { folder.join("node_modules") } else { folder };
    Some((folder, manifest.versions))
}

/// Installs the SDK for a runtime in the place of an earlier one; answers with the versions.
///
/// `others` are interpreters that may lend their package manager.
pub(super) fn prepare(
    shelf: &Shelf,
    runtime: &'static Runtime,
    interpreter: &Interpreter,
    others: &[Interpreter],
    progress: &dyn Progress,
) -> Result<BTreeMap<String, String>, PrepareError> {
    let Some(slot) = slot(runtime) else { return Ok(BTreeMap::new()) };
    let filling = shelf.fill(&slot)?;
    let (source, versions) = if runtime.family == Family::Python {
        install_python(runtime, interpreter, others, filling.path(), progress)?;
        ("pip", python_versions(filling.path()))
    } else {
        install_node(interpreter, filling.path(), progress)?;
        ("npm", node_versions(&filling.path().join("node_modules")))
    };
    shelf.put(&slot, filling, source.to_string(), versions.clone())?;
    Ok(versions)
}

/// Versions of the SDK for Python differ by what Python they still support; the one for JavaScript is shared.
fn slot(runtime: &Runtime) -> Option<String> {
    match runtime.family {
        Family::Python => Some(runtime.id.to_string()),
        Family::NodeJs => Some("nodejs".to_string()),
        _ => None,
    }
}

fn install_python(
    runtime: &Runtime,
    interpreter: &Interpreter,
    others: &[Interpreter],
    into: &Path,
    progress: &dyn Progress,
) -> Result<(), PrepareError> {
    let has_pip =
        |candidate: &&Interpreter| command::ask(python(candidate).args(["-m", "pip", "--version"])).is_some();
    let lender = std::iter::once(interpreter).chain(others).find(has_pip).ok_or(PrepareError::NoPip)?;
    progress.step(&format!("installing boto3 with the pip of Python {}", lender.full_version));
    let mut install = python(lender);
    install
        .args(["-m", "pip", "install", "--disable-pip-version-check", "--no-input", "--progress-bar", "off"])
        .args(["--root-user-action", "ignore", "--target"])
        .arg(into);
    if lender.version != interpreter.version {
        install.args(["--python-version", runtime.language_version, "--only-binary", ":all:"]);
    }
    command::run(install.args(PYTHON_PACKAGES), progress)?;
    // Programs of packages are of no use in a sandbox.
    let _ = std::fs::remove_dir_all(into.join("bin"));
    if lender.version != interpreter.version {
        let mut compile = python(interpreter);
        compile.args(["-S", "-m", "compileall", "-q"]).arg(into);
        command::run(&mut compile, progress)?;
    }
    Ok(())
}

fn python(interpreter: &Interpreter) -> Command {
    let mut command = Command::new(&interpreter.program);
    if !super::places::is_system(&interpreter.prefix) {
        command.env("LD_LIBRARY_PATH", interpreter.prefix.join("lib"));
    }
    command
}

fn install_node(interpreter: &Interpreter, into: &Path, progress: &dyn Progress) -> Result<(), PrepareError> {
    progress.step("installing the AWS SDK for JavaScript with npm");
    // The interpreter's own npm comes first; npm itself is a script that looks for `node`.
    let own = interpreter.program.parent().map(Path::to_path_buf).unwrap_or_default();
    let path = std::env::var_os("PATH").unwrap_or_default();
    let folders = std::iter::once(own).chain(std::env::split_paths(&path));
    let path = std::env::join_paths(folders).unwrap_or(path);
    let mut npm = Command::new("npm");
    npm.env("PATH", path)
        .args(["install", "--no-audit", "--no-fund", "--omit=dev", "--ignore-scripts", "--loglevel=error"])
        .arg("--prefix")
        .arg(into)
        .args(NODE_PACKAGES);
    match command::run(&mut npm, progress) {
        Err(CommandError::Start { cause, .. }) if cause.kind() == std::io::ErrorKind::NotFound => {
            Err(PrepareError::NoNpm)
        }
        other => Ok(other?),
    }
}

/// By the folders that pip leaves beside each package: `boto3-1.40.1.dist-info`.
fn python_versions(folder: &Path) -> BTreeMap<String, String> {
    names(folder)
        .iter()
        .filter_map(|name| name.strip_suffix(".dist-info")?.rsplit_once('-'))
        .map(|(name, version)| (name.to_string(), version.to_string()))
        .collect()
}

fn node_versions(modules: &Path) -> BTreeMap<String, String> {
    #[derive(serde::Deserialize)]
    struct Package {
        version: String,
    }
    NODE_PACKAGES
        .iter()
        .filter_map(|name| {
            let bytes = std::fs::read(modules.join(name).join("package.json")).ok()?;
            let package: Package = serde_json::from_slice(&bytes).ok()?;
            Some(((*name).to_string(), package.version))
        })
        .collect()
}

fn names(folder: &Path) -> Vec<String> {
    let Ok(entries) = std::fs::read_dir(folder) else { return Vec::new() };
    entries.flatten().filter_map(|entry| entry.file_name().into_string().ok()).collect()
}
