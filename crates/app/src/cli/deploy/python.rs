//! Python projects: packages by pip, for the Python that the function runs on.

use std::path::{Path, PathBuf};
use std::process::Command;

use lambent_core::runtime::Family;
use lambent_execution::runtimes::Places;
use serde::Deserialize;

use super::cache::{self, Key};
use super::manifest::Settings;
use super::package::Package;
use super::project::Project;
use super::tool;
use crate::cli::failure::Failure;
use crate::cli::progress::Progress;

const MISSING: &str = "install Python with pip (Debian, Ubuntu: apt install python3-pip)";

/// How deep requirement files may name each other.
const INCLUDES_MAX: usize = 32;

pub fn build(project: &Project, settings: &Settings, progress: &Progress) -> Result<Package, Failure> {
    let mut package = Package::default();
    let requirements = Requirements::read(project)?;
    if !requirements.is_empty() {
        let folder = install(project, settings, &requirements, progress)?;
        // Console scripts name this machine's interpreter, and no function calls them.
        package.add_tree(&folder, |name| name == "bin")?;
    }
    package.add_tree(&project.path, |_| false)?;
    Ok(package)
}

/// What pip is asked for, with everything that the answer depends on.
pub(super) struct Requirements {
    /// The file that pip reads; `None` when `lines` came from pyproject.toml.
    file: Option<PathBuf>,
    lines: Vec<String>,
    /// Whether something of this machine's own is named, which a hash of these lines does not cover.
    local: bool,
}

#[derive(Deserialize)]
struct PyProject {
    project: Option<ProjectTable>,
}

#[derive(Deserialize)]
struct ProjectTable {
    #[serde(default)]
    dependencies: Vec<String>,
}

impl Requirements {
    pub(super) fn read(project: &Project) -> Result<Self, Failure> {
        let file = project.path.join("requirements.txt");
        if file.is_file() {
            let mut lines = Vec::new();
            collect(&file, &mut lines, 0)?;
            let local = lines.iter().any(|line| is_local(line));
            return Ok(Self { file: Some(file), lines, local });
        }
        let file = project.path.join("pyproject.toml");
        if !file.is_file() {
            return Ok(Self { file: None, lines: Vec::new(), local: false });
        }
        let text = std::fs::read_to_string(&file).map_err(|error| Failure::file("read", &file, &error))?;
        let parsed: PyProject = toml::from_str(&text)
            .map_err(|error| Failure::usage(format!("{} is not right:\n{error}", file.display())))?;
        let lines = parsed.project.map(|table| table.dependencies).unwrap_or_default();
        let local = lines.iter().any(|line| is_local(line));
        Ok(Self { file: None, lines, local })
    }

    pub(super) fn is_empty(&self) -> bool {
        self.lines.is_empty()
    }
}

/// A requirement file's lines with those of the files that it names.
fn collect(file: &Path, lines: &mut Vec<String>, depth: usize) -> Result<(), Failure> {
    if depth > INCLUDES_MAX {
        return Err(Failure::usage(format!("{} is named by itself", file.display())));
    }
    let text = std::fs::read_to_string(file).map_err(|error| Failure::file("read", file, &error))?;
    for line in text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#')) {
        lines.push(line.to_owned());
        let named = ["-r", "--requirement", "-c", "--constraint"]
            .iter()
            .find_map(|flag| line.strip_prefix(flag))
            .map(|rest| rest.trim_start_matches(['=', ' ']));
        if let Some(named) = named.filter(|named| !named.contains("://")) {
            collect(&file.parent().unwrap_or(Path::new(".")).join(named), lines, depth + 1)?;
        }
    }
    Ok(())
}

fn is_local(line: &str) -> bool {
    let line =
        line.strip_prefix("-e").or_else(|| line.strip_prefix("--editable")).unwrap_or(line).trim_start();
    line.starts_with('.') || line.starts_with('/') || line.contains("file:")
}

fn install(
    project: &Project,
    settings: &Settings,
    requirements: &Requirements,
    progress: &Progress,
) -> Result<PathBuf, Failure> {
    let version = settings.runtime().strip_prefix("python").unwrap_or("3");
    let pip = Pip::find(version)?;
    let mut key = Key::default()
        .part(settings.runtime())
        .part(std::env::consts::ARCH)
        .part(pip.program.as_os_str().as_encoded_bytes());
    for line in &requirements.lines {
        key = key.part(line);
    }
    if requirements.local {
        // A new key every time: the sources of a local package may have changed.
        let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
        key = key.part(now.as_nanos().to_le_bytes());
    }
    cache::installed(project, &settings.name, key, |folder| {
        progress.step("installing packages", |step| {
            tool::run(&mut pip.command(project, requirements, folder, version), step, MISSING).map(|_| ())
        })
    })
}

/// An interpreter that has pip.
struct Pip {
    program: PathBuf,
    /// Its own version is the function's, so that it can build packages too and not only fetch them built.
    exact: bool,
}

impl Pip {
    /// Interpreters of the function's own version are asked first.
    fn find(version: &str) -> Result<Self, Failure> {
        let name = format!("python{version}");
        let found = Places::of_host().candidates(Family::Python).into_iter();
        let own = found.filter(|program| program.file_name().is_some_and(|file| *file == *name));
        let mut other = None;
        for program in own.chain(["python3".into(), "python".into()]) {
            let question = "import sys, pip; print('%d.%d' % sys.version_info[:2])";
            match tool::ask(Command::new(&program).args(["-c", question])) {
                Some(found) if found == version => return Ok(Self { program, exact: true }),
                Some(_) => other = other.or(Some(program)),
                None => {}
            }
        }
        other.map(|program| Self { program, exact: false }).ok_or_else(|| {
            Failure::local("the project names packages, and no Python here has pip").hint(MISSING)
        })
    }

    fn command(
        &self,
        project: &Project,
        requirements: &Requirements,
        folder: &Path,
        version: &str,
    ) -> Command {
        let mut command = Command::new(&self.program);
        command.current_dir(&project.path).args([
            "-m",
            "pip",
            "install",
            "--quiet",
            "--no-input",
            "--no-compile",
        ]);
        command.args(["--disable-pip-version-check", "--no-warn-script-location"]);
        // Root in a container is the usual case, and the target folder is no system folder.
        command.args(["--root-user-action", "ignore", "--target"]).arg(folder);
        if !self.exact {
            let arch = std::env::consts::ARCH;
            command.args(["--only-binary", ":all:", "--implementation", "cp", "--python-version", version]);
            for platform in ["manylinux_2_28", "manylinux_2_17", "manylinux2014"] {
                command.args(["--platform", &format!("{platform}_{arch}")]);
            }
        }
        match &requirements.file {
            Some(file) => command.arg("--requirement").arg(file),
            None => command.arg("--").args(&requirements.lines),
        };
        command
    }
}
