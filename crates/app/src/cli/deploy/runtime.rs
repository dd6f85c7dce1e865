//! The runtime of a project that names none.

use lambent_core::ports::{Availability, Runtimes};
use lambent_core::runtime::{self, Family, RUNTIMES, Runtime, Standing};
use lambent_execution::runtimes::Catalogue;

use crate::cli::failure::Failure;

/// The function's own when it has one of the family, else the newest of the family that is here.
pub fn choose(
    family: Option<Family>,
    current: Option<&str>,
    catalogue: &Catalogue,
) -> Result<String, Failure> {
    let Some(family) = family else {
        return current.map(str::to_owned).ok_or_else(|| {
            Failure::usage("the package does not show its language")
                .hint("name it with --runtime, e.g. python3.12")
        });
    };
    if let Some(current) = current.and_then(runtime::find).filter(|current| current.family == family) {
        return Ok(current.id.to_owned());
    }
    if family == Family::Provided {
        return Ok("provided.al2023".to_owned());
    }
    // Asked one by one: to ask for all would ready the clients of other languages too.
    if let Some(newest) = newest(family, |runtime| catalogue.availability(runtime) == Availability::Present) {
        return Ok(newest.id.to_owned());
    }
    // The node then answers with what it has, and how to add the rest.
    newest(family, |_| true)
        .map(|runtime| runtime.id.to_owned())
        .ok_or_else(|| Failure::usage("no runtime serves this language").hint("name one with --runtime"))
}

/// The last of the family in the reference's table, which has them in the order of their versions.
fn newest(family: Family, here: impl Fn(&'static Runtime) -> bool) -> Option<&'static Runtime> {
    RUNTIMES
        .iter()
        .rev()
        .find(|runtime| runtime.family == family && runtime.standing == Standing::Live && here(runtime))
}
