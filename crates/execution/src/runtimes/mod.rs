//! The catalogue of runtimes: which interpreters this node has, and how a function is started on one.
//!
//! Interpreters are found on the host ([`discovery`]) or were added as bundles ([`bundles`]). The clients that
//! speak the Runtime API inside a sandbox are embedded in this program and placed in the data folder
//! ([`clients`]). SDKs that functions may import without packaging them are installed once, on request
//! ([`sdk`]). Start reading at [`Catalogue`].
//!
//! Not here: what runs inside the sandbox (the top-level `runtimes/` folder), downloading (the caller brings a
//! function for it), and anything of one function: the same [`Launch`] serves every function of a runtime.
//!
//! Invariants:
//! - Opening the catalogue runs no other program and waits for none: the node's start doesn't depend on how
//!   many interpreters a host has.
//! - Everything in the data folder that a sandbox may have mounted is immutable; a newer version of it gets a
//!   folder of its own, and the old one goes when the next node starts ([`Catalogue::sweep`]).
//! - No interpreter is used before it was run once and told its version itself.

mod bundles;
mod catalogue;
mod clients;
mod command;
mod discovery;
mod java;
mod launch;
mod places;
mod sdk;
mod shelf;
mod source;

pub use bundles::BundleError;
pub use catalogue::{AliasError, Catalogue, Entry, Missing, parse_alias};
pub use command::end;
pub use discovery::Interpreter;
pub use launch::{BOOTSTRAPS, Launch};
pub use places::Places;
pub use sdk::PrepareError;
pub use source::{Fetch, Source, SourceError};

/// Hears how a long piece of work goes on.
pub trait Progress {
    /// What is being done now, as a phrase for people: `unpacking node-v22.tar.gz`.
    fn step(&self, what: &str);
}

/// For callers who don't care.
impl Progress for () {
    fn step(&self, _what: &str) {}
}
