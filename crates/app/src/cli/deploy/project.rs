//! What kind of project a directory holds.

use std::path::{Path, PathBuf};

use lambent_core::runtime::Family;

use super::package::Package;
use crate::cli::failure::Failure;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    Python,
    NodeJs,
    Rust,
    /// A directory with an executable `bootstrap`.
    Prebuilt,
    /// A package that somebody else made.
    Zip,
}

#[derive(Debug, Clone)]
pub struct Project {
    pub kind: Kind,
    /// The directory, or the .zip file. Absolute.
    pub path: PathBuf,
}

impl Project {
    pub fn recognise(path: &Path) -> Result<Self, Failure> {
        let path = path.canonicalize().map_err(|error| Failure::file("find", path, &error))?;
        if path.is_file() {
            if path.extension().is_some_and(|extension| extension == "zip") {
                return Ok(Self { kind: Kind::Zip, path });
            }
            return Err(Failure::usage(format!("{} is neither a directory nor a .zip file", path.display())));
        }
        let kind = kind(&path)?.ok_or_else(|| {
            Failure::usage(format!("{} holds no project that is recognised", path.display())).hint(
                "a project is a Python one (requirements.txt, pyproject.toml or .py files), a Node.js one \
                 (package.json or index.mjs), a Rust one (Cargo.toml), or holds an executable named bootstrap",
            )
        })?;
        Ok(Self { kind, path })
    }

    /// The directory that settings are read from and builds are kept in.
    pub fn dir(&self) -> &Path {
        match self.kind {
            Kind::Zip => self.path.parent().unwrap_or(Path::new(".")),
            _ => &self.path,
        }
    }

    /// The language family, where the kind alone tells it.
    pub fn family(&self) -> Option<Family> {
        match self.kind {
            Kind::Python => Some(Family::Python),
            Kind::NodeJs => Some(Family::NodeJs),
            Kind::Rust | Kind::Prebuilt => Some(Family::Provided),
            Kind::Zip => super::handler::family_of_zip(&self.path),
        }
    }

    pub fn has(&self, name: &str) -> bool {
        self.path.join(name).is_file()
    }
}

/// The most telling file first: a Rust project may well hold a `package.json` for its tools.
fn kind(dir: &Path) -> Result<Option<Kind>, Failure> {
    let signs = [
        ("Cargo.toml", Kind::Rust),
        ("requirements.txt", Kind::Python),
        ("pyproject.toml", Kind::Python),
        ("package.json", Kind::NodeJs),
        ("bootstrap", Kind::Prebuilt),
    ];
    if let Some((_, kind)) = signs.iter().find(|(name, _)| dir.join(name).is_file()) {
        return Ok(Some(*kind));
    }
    let mut found = None;
    for entry in std::fs::read_dir(dir).map_err(|error| Failure::file("read", dir, &error))? {
        let name = entry.map_err(|error| Failure::file("read", dir, &error))?.file_name();
        match Path::new(&name).extension().and_then(|extension| extension.to_str()) {
            Some("py") => return Ok(Some(Kind::Python)),
            Some("mjs" | "cjs" | "js") => found = Some(Kind::NodeJs),
            _ => {}
        }
    }
    Ok(found)
}

/// The package of a directory that needs no build.
pub fn prebuilt(project: &Project) -> Result<Package, Failure> {
    let mut package = Package::default();
    package.add_tree(&project.path, |_| false)?;
    package.add_file("bootstrap", &project.path.join("bootstrap"), true)?;
    Ok(package)
}
