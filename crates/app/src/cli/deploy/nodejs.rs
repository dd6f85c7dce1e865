//! Node.js projects: packages by npm, from the lock file where there is one.

use std::path::PathBuf;
use std::process::Command;

use serde_json::Value;

use super::cache::{self, Key};
use super::manifest::Settings;
use super::package::Package;
use super::project::Project;
use super::tool;
use crate::cli::failure::Failure;
use crate::cli::progress::Progress;

const MISSING: &str = "install Node.js with npm (Debian, Ubuntu: apt install npm)";

/// The files that an installation depends on.
const INPUTS: [&str; 4] = ["package.json", "package-lock.json", "npm-shrinkwrap.json", ".npmrc"];

pub fn build(project: &Project, settings: &Settings, progress: &Progress) -> Result<Package, Failure> {
    let mut package = Package::default();
    let installs = names_packages(project)?;
    if installs {
        let folder = install(project, settings, progress)?;
        package.add_tree(&folder, |name| is_tool(name) || !name.starts_with("node_modules"))?;
    }
    package.add_tree(&project.path, |name| is_tool(name) || (installs && name == "node_modules"))?;
    Ok(package)
}

/// Links to commands, and npm's own notes: no function reads them.
fn is_tool(name: &str) -> bool {
    name == "node_modules/.bin"
        || name.ends_with("/node_modules/.bin")
        || name == "node_modules/.package-lock.json"
}

fn names_packages(project: &Project) -> Result<bool, Failure> {
    let path = project.path.join("package.json");
    if !path.is_file() {
        return Ok(false);
    }
    let text = std::fs::read(&path).map_err(|error| Failure::file("read", &path, &error))?;
    let document: Value = serde_json::from_slice(&text)
        .map_err(|error| Failure::usage(format!("{} is not JSON: {error}", path.display())))?;
    let mut any = false;
    for field in ["dependencies", "optionalDependencies"] {
        let Some(table) = document.get(field).and_then(Value::as_object) else { continue };
        any |= !table.is_empty();
        // npm links to them, and a link out of the project leads nowhere on the node.
        let local =
            |source: &str| ["file:", "link:", "workspace:", "."].iter().any(|form| source.starts_with(form));
        if let Some((name, _)) = table.iter().find(|(_, source)| source.as_str().is_some_and(local)) {
            return Err(Failure::usage(format!("the package {name} is a folder of this machine"))
                .hint("publish it, or name the archive that `npm pack` makes by its URL"));
        }
    }
    Ok(any)
}

fn install(project: &Project, settings: &Settings, progress: &Progress) -> Result<PathBuf, Failure> {
    let locked = project.has("package-lock.json") || project.has("npm-shrinkwrap.json");
    if !locked && ["yarn.lock", "pnpm-lock.yaml", "bun.lock"].iter().any(|name| project.has(name)) {
        progress.note("only npm's lock file is read; versions are taken from package.json");
    }
    let mut key = Key::default().part(settings.runtime()).part(std::env::consts::ARCH);
    for name in INPUTS {
        key = key.part(name).part(std::fs::read(project.path.join(name)).unwrap_or_default());
    }
    cache::installed(project, &settings.name, key, |folder| {
        for name in INPUTS.iter().filter(|name| project.has(name)) {
            let from = project.path.join(name);
            std::fs::copy(&from, folder.join(name)).map_err(|error| Failure::file("copy", &from, &error))?;
        }
        progress.step("installing packages", |step| {
            let mut npm = Command::new("npm");
            npm.current_dir(folder);
            npm.args(if locked { &["ci"][..] } else { &["install", "--no-package-lock"][..] });
            npm.args(["--omit=dev", "--no-audit", "--no-fund", "--no-update-notifier", "--loglevel=error"]);
            tool::run(&mut npm, step, MISSING).map(|_| ())
        })
    })
}
