//! Rust projects: cargo builds the binary, which becomes the package's `bootstrap`.

use std::path::PathBuf;
use std::process::Command;

use serde_json::Value;

use super::manifest::Settings;
use super::package::Package;
use super::project::Project;
use super::tool;
use crate::cli::failure::Failure;
use crate::cli::progress::Progress;

const MISSING: &str = "install Rust from https://rustup.rs";

pub fn build(project: &Project, settings: &Settings, progress: &Progress) -> Result<Package, Failure> {
    let messages = progress.step("building", |step| {
        let mut cargo = Command::new("cargo");
        cargo.current_dir(&project.path).args(["build", "--release", "--bins"]);
        // Readable by people on stderr, by us on stdout.
        cargo.arg("--message-format=json-render-diagnostics");
        if let Some(target) = static_target() {
            cargo.args(["--target", &target]);
        }
        tool::run(&mut cargo, step, MISSING)
    })?;
    let binary = choose(executables(&messages), settings.handler())?;
    let mut package = Package::default();
    package.add_file("bootstrap", &binary, true)?;
    Ok(package)
}

/// A static binary runs on every node; without the target, one for this machine has to do.
fn static_target() -> Option<String> {
    let target = format!("{}-unknown-linux-musl", std::env::consts::ARCH);
    let installed = tool::ask(Command::new("rustup").args(["target", "list", "--installed"]))?;
    installed.lines().any(|line| line.trim() == target).then_some(target)
}

/// The binaries that cargo made, by their target's name.
pub(super) fn executables(messages: &[u8]) -> Vec<(String, PathBuf)> {
    let lines = messages.split(|byte| *byte == b'\n').filter(|line| line.starts_with(b"{"));
    lines
        .filter_map(|line| serde_json::from_slice::<Value>(line).ok())
        .filter_map(|message| {
            let path = message.get("executable")?.as_str()?;
            let target = message.get("target")?;
            let is_binary = target.get("kind")?.as_array()?.iter().any(|kind| kind == "bin");
            is_binary.then(|| Some((target.get("name")?.as_str()?.to_owned(), PathBuf::from(path))))?
        })
        .collect()
}

/// The only one, or the one that the handler names.
pub(super) fn choose(mut found: Vec<(String, PathBuf)>, handler: &str) -> Result<PathBuf, Failure> {
    if let Some(named) = found.iter().position(|(name, _)| name == handler) {
        return Ok(found.swap_remove(named).1);
    }
    match found.len() {
        0 => Err(Failure::usage("the project makes no binary").hint("a function needs a src/main.rs")),
        1 => Ok(found.swap_remove(0).1),
        _ => {
            let names: Vec<&str> = found.iter().map(|(name, _)| name.as_str()).collect();
            Err(Failure::usage(format!("the project makes several binaries: {}", names.join(", ")))
                .hint("choose one with --handler NAME"))
        }
    }
}
