//! Puts the parts together: what is found, what was added, what stands in for what.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use lambent_core::ports::{Availability, Runtimes};
use lambent_core::runtime::{self, Family, RUNTIMES, Runtime, Standing};

use super::bundles::{self, BundleError};
use super::launch::{self, Launch, Meets, Served};
use super::places::Places;
use super::sdk::{self, PrepareError};
use super::shelf::{self, Shelf};
use super::source::{Fetch, Source};
use super::{Interpreter, Progress, clients, discovery, java};

/// How soon the host is looked at again for a runtime that was not there: one may be installed while the node
/// runs, and a burst of requests must not become a burst of searches.
const SEARCH_AGAIN: Duration = Duration::from_secs(2);

/// What this node can run, and how.
#[derive(Clone)]
pub struct Catalogue {
    inner: Arc<Inner>,
}

struct Inner {
    places: Places,
    /// Served by: from a runtime's identifier to that of the one whose interpreter runs it.
    aliases: BTreeMap<String, &'static Runtime>,
    memory: PathBuf,
    clients: PathBuf,
    bundles: Shelf,
    sdks: Shelf,
    found: Mutex<Found>,
    arrived: Condvar,
}

#[derive(Default)]
struct Found {
    /// A family that is not there yet is being looked for.
    by_family: BTreeMap<Family, Vec<Interpreter>>,
    /// When the last search ended.
    at: Option<Instant>,
}

/// This node can't run a runtime; the reason is for people and becomes a function's StateReason.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{reason}")]
pub struct Missing {
    pub reason: String,
}

/// One line of the list of runtimes.
#[derive(Debug, Clone)]
pub struct Entry {
    pub runtime: &'static Runtime,
    /// Absent for the `provided` family, which needs none, and for what is missing.
    pub interpreter: Option<Interpreter>,
    pub is_bundle: bool,
    pub alias: Option<&'static Runtime>,
    pub availability: Availability,
    /// Packages of the prepared SDK with their versions; empty when it isn't prepared.
    pub sdk: BTreeMap<String, String>,
}

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AliasError {
    #[error("{text:?} is no alias: an alias is written python3.12=python3.11")]
    Form { text: String },
    #[error("{id:?} is no runtime identifier")]
    Unknown { id: String },
    #[error("{from} can't be served by {to}: they are different languages")]
    Family { from: String, to: String },
}

/// Reads `python3.12=python3.11`.
pub fn parse_alias(text: &str) -> Result<(String, String), AliasError> {
    let form = || AliasError::Form { text: text.to_string() };
    let (from, to) = text.split_once('=').ok_or_else(form)?;
    checked_alias(from, to)?;
    Ok((from.to_string(), to.to_string()))
}

fn checked_alias(from: &str, to: &str) -> Result<&'static Runtime, AliasError> {
    let known = |id: &str| runtime::find(id).ok_or_else(|| AliasError::Unknown { id: id.to_string() });
    let (source, target) = (known(from)?, known(to)?);
    if source.family != target.family || source.family == Family::Provided {
        return Err(AliasError::Family { from: from.to_string(), to: to.to_string() });
    }
    Ok(target)
}

impl Catalogue {
    /// Opens the catalogue in its part of the data folder and begins to search the host in the background.
    pub fn open(dir: PathBuf, aliases: Vec<(String, String)>) -> Result<Self, AliasError> {
        Self::open_in(dir, aliases, Places::of_host())
    }

    /// Like [`Catalogue::open`], for a host of which only these places are looked at.
    pub fn open_in(dir: PathBuf, aliases: Vec<(String, String)>, places: Places) -> Result<Self, AliasError> {
        let dir = std::path::absolute(&dir).unwrap_or(dir);
        let mut checked = BTreeMap::new();
        for (from, to) in aliases {
            let target = checked_alias(&from, &to)?;
            checked.insert(from, target);
        }
        let inner = Arc::new(Inner {
            places,
            aliases: checked,
            memory: dir.join("discovered.json"),
            clients: dir.join("client"),
            bundles: Shelf::new(dir.join("bundles")),
            sdks: Shelf::new(dir.join("sdk")),
            found: Mutex::default(),
            arrived: Condvar::new(),
        });
        if let Err(error) = std::fs::create_dir_all(&dir) {
            tracing::warn!(dir = %dir.display(), %error, "could not make the folder of the runtimes");
        }
        let background = Arc::clone(&inner);
        let search = move || {
            background.search();
            background.compile_clients();
        };
        if let Err(error) = std::thread::Builder::new().name("runtimes".into()).spawn(search) {
            tracing::warn!(%error, "could not search for interpreters in the background");
            inner.search();
        }
        Ok(Self { inner })
    }

    /// Removes what was replaced and what was never finished. Only for the process that starts sandboxes,
    /// before it starts one.
    pub fn sweep(&self) {
        self.inner.bundles.sweep();
        self.inner.sdks.sweep();
        clients::sweep(&self.inner.clients);
        if let Some(dir) = self.inner.memory.parent() {
            shelf::sweep(dir, |entry| !entry.starts_with(clients::UNFINISHED));
        }
    }

    /// How to start functions of a runtime in that much memory.
    ///
    /// May wait for the first search of the host, and for the compiler of the Java client the first time.
    pub fn launch(&self, runtime: &'static Runtime, memory_mb: u32) -> Result<Launch, Missing> {
        if runtime.family == Family::Provided {
            return Ok(launch::of_provided());
        }
        let served = self.inner.served(runtime)?;
        Ok(launch::of_interpreter(served, memory_mb, Meets::Function))
    }

    /// How to start an interpreter that is to wait for a function of a runtime; `None` for those that can't.
    ///
    /// May wait like [`Catalogue::launch`].
    pub fn boot(&self, runtime: &'static Runtime, memory_mb: u32) -> Option<Launch> {
        let target = self.inner.target(runtime);
        let waits = match target.family {
            Family::Python | Family::NodeJs => true,
            Family::Java => java::can_wait(target.language_version),
            _ => false,
        };
        if !waits {
            return None;
        }
        self.inner
            .served(runtime)
            .ok()
            .map(|served| launch::of_interpreter(served, memory_mb, Meets::Waiting))
    }

    /// Everything that this node can run, and the runtimes that it can't run yet.
    pub fn list(&self) -> Vec<Entry> {
        let live = RUNTIMES.iter().filter(|runtime| runtime.standing == Standing::Live);
        live.map(|runtime| {
            let alias = self.inner.aliases.get(runtime.id).copied();
            let target = alias.unwrap_or(runtime);
            let (interpreter, is_bundle) = match self.inner.find(target) {
                Some((interpreter, is_bundle)) => (Some(interpreter), is_bundle),
                None => (None, false),
            };
            let sdk = sdk::get(&self.inner.sdks, target).map(|(_, versions)| versions).unwrap_or_default();
            let availability = self.availability(runtime);
            Entry { runtime, interpreter, is_bundle, alias, availability, sdk }
        })
        .collect()
    }

    /// Takes in an interpreter as a bundle, in the place of an earlier one.
    pub fn add(
        &self,
        runtime: &'static Runtime,
        source: &Source,
        fetch: Fetch<'_>,
        progress: &dyn Progress,
    ) -> Result<Interpreter, BundleError> {
        let interpreter = bundles::add(&self.inner.bundles, runtime, source, fetch, progress)?;
        if runtime.family == Family::Python
            && let Ok(Some(client)) = clients::place(&self.inner.clients, Family::Python)
        {
            clients::compile_python(&client, &interpreter);
        }
        Ok(interpreter)
    }

    /// Forgets a bundle; false when there was none. Functions that run on it go on.
    pub fn remove(&self, runtime: &'static Runtime) -> std::io::Result<bool> {
        self.inner.bundles.clear(runtime.id)
    }

    /// Does ahead of time what makes a runtime complete: compiles the client and installs the SDK. Answers
    /// with the SDK's packages and versions.
    pub fn prepare(
        &self,
        runtime: &'static Runtime,
        progress: &dyn Progress,
    ) -> Result<BTreeMap<String, String>, PrepareError> {
        if runtime.family == Family::Provided {
            return Ok(BTreeMap::new());
        }
        let missing = |missing: Missing| PrepareError::Missing { reason: missing.reason };
        let target = self.inner.target(runtime);
        let (interpreter, _) = self.inner.require(runtime, target).map_err(missing)?;
        let client = self.inner.client(target, progress).map_err(missing)?;
        if target.family == Family::Python {
            progress.step("compiling the client");
            clients::compile_python(&client, &interpreter);
        }
        let others = self.inner.interpreters(target.family);
        sdk::prepare(&self.inner.sdks, target, &interpreter, &others, progress)
    }
}

impl Runtimes for Catalogue {
    fn availability(&self, runtime: &'static Runtime) -> Availability {
        if runtime.family == Family::Provided {
            return Availability::Present;
        }
        let target = self.inner.target(runtime);
        let ready = self.inner.require(runtime, target).and_then(|_| self.inner.client(target, &()));
        match ready {
            Ok(_) => Availability::Present,
            Err(Missing { reason }) => Availability::Missing { reason },
        }
    }
}

impl Inner {
    fn target(&self, runtime: &'static Runtime) -> &'static Runtime {
        self.aliases.get(runtime.id).copied().unwrap_or(runtime)
    }

    fn served(&self, runtime: &'static Runtime) -> Result<Served, Missing> {
        let target = self.target(runtime);
        let (interpreter, is_bundle) = self.require(runtime, target)?;
        let client = self.client(target, &())?;
        let sdk = sdk::get(&self.sdks, target).map(|(folder, _)| folder);
        let served_by = (target.id != runtime.id).then(|| {
            format!("{} is served by {} {} on this node", runtime.id, target.id, interpreter.full_version)
        });
        Ok(Served { runtime, interpreter, is_bundle, client, sdk, served_by })
    }

    fn require(
        &self,
        runtime: &'static Runtime,
        target: &'static Runtime,
    ) -> Result<(Interpreter, bool), Missing> {
        self.find(target).or_else(|| self.find_again(target)).ok_or_else(|| self.missing(runtime, target))
    }

    /// The bundle first: someone asked for it.
    fn find(&self, runtime: &Runtime) -> Option<(Interpreter, bool)> {
        if !has_client(runtime) {
            return None;
        }
        if let Some(bundle) = bundles::get(&self.bundles, runtime) {
            return Some((bundle, true));
        }
        let found = self.interpreters(runtime.family);
        found.into_iter().find(|i| i.version == runtime.language_version).map(|i| (i, false))
    }

    fn find_again(&self, runtime: &Runtime) -> Option<(Interpreter, bool)> {
        let is_old = self.found().at.is_some_and(|at| at.elapsed() >= SEARCH_AGAIN);
        if !is_old || !has_client(runtime) {
            return None;
        }
        self.search();
        self.find(runtime)
    }

    /// Waits for the first search to know the family; not for the others.
    fn interpreters(&self, family: Family) -> Vec<Interpreter> {
        let mut found = self.found();
        loop {
            if let Some(interpreters) = found.by_family.get(&family) {
                return interpreters.clone();
            }
            if !discovery::FAMILIES.contains(&family) {
                return Vec::new();
            }
            found = self.arrived.wait(found).unwrap_or_else(PoisonError::into_inner);
        }
    }

    fn found(&self) -> MutexGuard<'_, Found> {
        self.found.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn search(&self) {
        discovery::discover(&self.places, &self.memory, |family, interpreters| {
            self.found().by_family.insert(family, interpreters);
            self.arrived.notify_all();
        });
        self.found().at = Some(Instant::now());
    }

    /// Quick starts want compiled clients; nobody waits for it.
    fn compile_clients(&self) {
        let placed = clients::place(&self.clients, Family::Python);
        let Ok(Some(folder)) = placed else {
            tracing::warn!(folder = %self.clients.display(), "could not place the clients of the runtimes");
            return;
        };
        let mut done = Vec::new();
        for python in &self.interpreters(Family::Python) {
            let is_wanted = RUNTIMES.iter().any(|r| {
                r.family == Family::Python
                    && r.standing == Standing::Live
                    && r.language_version == python.version
            });
            if is_wanted && !done.contains(&&python.version) {
                clients::compile_python(&folder, python);
                done.push(&python.version);
            }
        }
    }

    fn client(&self, runtime: &Runtime, progress: &dyn Progress) -> Result<PathBuf, Missing> {
        let unkept = |error: &dyn std::error::Error| Missing {
            reason: format!("The client for {} could not be made ready: {}.", runtime.id, chain(error)),
        };
        if runtime.family == Family::Java {
            let javas = self.interpreters(Family::Java);
            let bundles = RUNTIMES
                .iter()
                .filter(|r| r.family == Family::Java)
                .filter_map(|r| bundles::get(&self.bundles, r));
            let all: Vec<Interpreter> = javas.into_iter().chain(bundles).collect();
            return java::client(&self.clients, &all, progress).map_err(|error| unkept(&error));
        }
        match clients::place(&self.clients, runtime.family) {
            Ok(Some(folder)) => Ok(folder),
            Ok(None) => Err(Missing { reason: format!("This node has no client for {}.", runtime.id) }),
            Err(error) => Err(unkept(&error)),
        }
    }

    fn missing(&self, runtime: &'static Runtime, target: &'static Runtime) -> Missing {
        let here: Vec<&str> = RUNTIMES
            .iter()
            .filter(|r| r.standing == Standing::Live)
            .filter(|r| r.family == Family::Provided || self.find(r).is_some())
            .map(|r| r.id)
            .collect();
        let here = here.join(", ");
        let remedy = if has_client(target) {
            format!("Add it with: lambent runtimes add {} --from DIR|ARCHIVE|URL#sha256", target.id)
        } else {
            "This node has no client for it: package the program for provided.al2023".to_string()
        };
        let through = match target.id == runtime.id {
            true => String::new(),
            false => format!(" (it was to be served by {})", target.id),
        };
        Missing {
            reason: format!(
                "The runtime {}{through} is not on this node, which has {here}. {remedy}",
                runtime.id
            ),
        }
    }
}

/// Whether this program brings a client for a runtime.
fn has_client(runtime: &Runtime) -> bool {
    match runtime.family {
        Family::Python | Family::NodeJs => runtime.standing == Standing::Live,
        Family::Java => {
            runtime.language_version.parse::<u32>().is_ok_and(|version| version >= java::VERSION_MIN)
        }
        _ => false,
    }
}

fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text.push_str(": ");
        text.push_str(&error.to_string());
        cause = error.source();
    }
    text
}
