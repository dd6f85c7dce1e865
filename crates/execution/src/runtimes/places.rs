//! Where interpreters may be on a host.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use lambent_core::runtime::{Family, RUNTIMES};

/// The folders that discovery looks into.
#[derive(Debug, Clone, Default)]
pub struct Places {
    /// Folders with programs, in the order of `PATH`.
    pub programs: Vec<PathBuf>,
    /// The home of the user that runs the node: version managers keep their installations there.
    pub home: Option<PathBuf>,
    pub java_home: Option<PathBuf>,
}

/// Installations of one language by version managers, below the home folder; `*` stands for any one name.
const PYTHON_PREFIXES: &[&str] = &[
    ".pyenv/versions/*",
    ".local/share/uv/python/*",
    ".local/share/mise/installs/python/*",
    ".asdf/installs/python/*",
];
const NODE_PREFIXES: &[&str] = &[
    ".nvm/versions/node/*",
    ".local/share/fnm/node-versions/*/installation",
    ".local/share/mise/installs/node/*",
    ".asdf/installs/nodejs/*",
    ".volta/tools/image/node/*",
];
const JAVA_PREFIXES: &[&str] =
    &[".sdkman/candidates/java/*", ".local/share/mise/installs/java/*", ".asdf/installs/java/*", ".jdks/*"];
const JAVA_SYSTEM: &str = "/usr/lib/jvm/*";

impl Places {
    /// Those of the host, by the environment of this process.
    pub fn of_host() -> Self {
        let mut programs: Vec<PathBuf> =
            std::env::var_os("PATH").map(|path| std::env::split_paths(&path).collect()).unwrap_or_default();
        programs.extend(["/usr/bin", "/usr/local/bin", "/bin"].map(PathBuf::from));
        Self {
            programs,
            home: std::env::var_os("HOME").map(PathBuf::from),
            java_home: std::env::var_os("JAVA_HOME").map(PathBuf::from),
        }
    }

    /// Files that may be interpreters of a family, each by its real path, in order of preference: what stands
    /// in the system's own folders first, since it needs no mount in a sandbox and is the quickest to start.
    pub fn candidates(&self, family: Family) -> Vec<PathBuf> {
        let files = match family {
            Family::Python => self.pythons(),
            Family::NodeJs => self.nodes(),
            Family::Java => self.javas(),
            _ => Vec::new(),
        };
        let mut seen = BTreeSet::new();
        let mut real: Vec<PathBuf> = files
            .into_iter()
            .filter_map(|file| file.canonicalize().ok())
            .filter(|file| seen.insert(file.clone()) && !is_script(file))
            .collect();
        // Stable: the order above decides among equals.
        real.sort_by_key(|file| !is_system(file));
        real
    }

    fn pythons(&self) -> Vec<PathBuf> {
        let names: Vec<String> = RUNTIMES
            .iter()
            .filter(|r| r.family == Family::Python)
            .map(|r| format!("python{}", r.language_version))
            .collect();
        let mut files: Vec<PathBuf> =
            self.programs.iter().flat_map(|folder| names.iter().map(move |name| folder.join(name))).collect();
        files.extend(self.prefixes(PYTHON_PREFIXES).into_iter().map(|prefix| prefix.join("bin/python3")));
        files
    }

    fn nodes(&self) -> Vec<PathBuf> {
        let mut files: Vec<PathBuf> = self
            .programs
            .iter()
            .flat_map(|folder| ["node", "nodejs"].map(|name| folder.join(name)))
            .collect();
        files.extend(self.prefixes(NODE_PREFIXES).into_iter().map(|prefix| prefix.join("bin/node")));
        files
    }

    fn javas(&self) -> Vec<PathBuf> {
        let mut homes: Vec<PathBuf> = self.java_home.iter().cloned().collect();
        homes.extend(expand(Path::new("/"), JAVA_SYSTEM));
        homes.extend(self.prefixes(JAVA_PREFIXES));
        let mut files: Vec<PathBuf> = homes.into_iter().map(|home| home.join("bin/java")).collect();
        files.extend(self.programs.iter().map(|folder| folder.join("java")));
        files
    }

    fn prefixes(&self, patterns: &[&str]) -> Vec<PathBuf> {
        let Some(home) = &self.home else { return Vec::new() };
        patterns.iter().flat_map(|pattern| expand(home, pattern)).collect()
    }
}

/// Whether every sandbox has a file at its own path anyway.
pub(super) fn is_system(file: &Path) -> bool {
    ["/usr", "/bin", "/lib", "/lib64"].iter().any(|root| file.starts_with(root))
}

/// Version managers put scripts in the way that pick an interpreter at every start.
fn is_script(file: &Path) -> bool {
    use std::io::Read;
    let mut head = [0; 2];
    match std::fs::File::open(file).and_then(|mut f| f.read_exact(&mut head)) {
        Ok(()) => head == *b"#!",
        // Too short or unreadable: no interpreter either.
        Err(_) => true,
    }
}

/// The existing paths of a pattern, newest-looking names last.
fn expand(base: &Path, pattern: &str) -> Vec<PathBuf> {
    let mut found = vec![base.to_path_buf()];
    for part in pattern.split('/').filter(|part| !part.is_empty()) {
        if part != "*" {
            found.iter_mut().for_each(|path| path.push(part));
            continue;
        }
        found = found
            .iter()
            .filter_map(|folder| std::fs::read_dir(folder).ok())
            .flat_map(|entries| entries.flatten().map(|entry| entry.path()))
            .collect();
        found.sort();
    }
    found
}
