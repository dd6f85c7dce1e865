//! This machine's runtimes, as the commands see them.

use std::path::PathBuf;

use lambent_core::runtime::{self, Family, Runtime};
use lambent_execution::runtimes::{Catalogue, Entry, Interpreter};

use super::args::Global;
use super::client::data_dir;
use super::failure::Failure;
use super::nearest::nearest;

/// The folder of a data directory that the node keeps runtimes in.
const FOLDER: &str = "runtimes";

/// The catalogue of the data directory. Where there is none yet, one in the user's cache: to look for
/// interpreters must not leave a data directory behind.
pub fn look(global: &Global) -> Result<Catalogue, Failure> {
    let data = data_dir(global);
    if data.is_dir() {
        return change(global);
    }
    let variable = |name: &str| std::env::var_os(name).map(PathBuf::from).filter(|path| path.is_absolute());
    let cache = variable("XDG_CACHE_HOME").or_else(|| variable("HOME").map(|home| home.join(".cache")));
    open(cache.map_or(data, |cache| cache.join("lambent")))
}

/// The catalogue of the data directory, which is made if needed.
pub fn change(global: &Global) -> Result<Catalogue, Failure> {
    open(data_dir(global))
}

fn open(data: PathBuf) -> Result<Catalogue, Failure> {
    Catalogue::open(data.join(FOLDER), Vec::new()).map_err(|error| Failure::local(error.to_string()))
}

/// The runtime of this identifier, or a hint at the one that was meant.
pub fn known(id: &str) -> Result<&'static Runtime, Failure> {
    runtime::find(id).ok_or_else(|| {
        let failure = Failure::usage(format!("{id} is not a runtime that AWS Lambda knows"));
        match nearest(id, runtime::RUNTIMES.iter().map(|runtime| runtime.id)) {
            Some(near) => failure.hint(format!("there is {near}")),
            None => failure,
        }
    })
}

/// The family's runtimes that have an interpreter here, in the reference's order of versions.
pub fn here(catalogue: &Catalogue, family: Family) -> Vec<(&'static Runtime, Interpreter)> {
    let entry = |entry: Entry| entry.interpreter.map(|interpreter| (entry.runtime, interpreter));
    catalogue.list().into_iter().filter(|entry| entry.runtime.family == family).filter_map(entry).collect()
}
