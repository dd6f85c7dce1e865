//! A deployment's settings: flags over `lambent.toml` over what the function has over guesses.

use std::collections::BTreeMap;
use std::path::Path;

use lambent_core::FunctionName;
use lambent_execution::runtimes::Catalogue;
use serde::Deserialize;

use super::apply::Existing;
use super::project::{Kind, Project};
use super::{handler, runtime};
use crate::cli::args::Deploy;
use crate::cli::client::Client;
use crate::cli::failure::Failure;

const FILE: &str = "lambent.toml";

/// The reference wants a role of every function; this one is taken where none is named.
const ROLE: &str = "lambda-role";

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct Manifest {
    name: Option<String>,
    runtime: Option<String>,
    handler: Option<String>,
    memory: Option<u32>,
    timeout: Option<u32>,
    role: Option<String>,
    egress: Option<String>,
    layers: Option<Vec<String>>,
    env: Option<BTreeMap<String, String>>,
}

/// `None` leaves a setting as the function has it, or as the reference's default has it.
#[derive(Debug, Clone, Default)]
pub struct Settings {
    pub name: String,
    runtime: Option<String>,
    handler: Option<String>,
    pub memory: Option<u32>,
    pub timeout: Option<u32>,
    pub role: Option<String>,
    pub egress: Option<String>,
    pub layers: Option<Vec<String>>,
    pub env: Option<BTreeMap<String, String>>,
}

impl Settings {
    pub fn read(project: &Project, flags: &Deploy) -> Result<Self, Failure> {
        let manifest = match project.kind {
            // The file beside a .zip belongs to the sources that it was made from.
            Kind::Zip => Manifest::default(),
            _ => manifest(&project.path.join(FILE))?,
        };
        let name = match flags.name.clone().or(manifest.name) {
            Some(name) => name,
            None => default_name(&project.path),
        };
        if FunctionName::new(&name).is_err() {
            return Err(Failure::usage(format!("{name:?} can't be a function's name"))
                .hint("a name has 1 to 64 letters, digits, - and _; choose one with --name"));
        }
        let mut env = manifest.env;
        if !flags.env.is_empty() {
            env.get_or_insert_default().extend(flags.env.iter().cloned());
        }
        let egress = flags.egress.clone().or(manifest.egress);
        if let Some(egress) =
            egress.as_deref().filter(|egress| lambent_core::function::Egress::parse(egress).is_none())
        {
            return Err(Failure::usage(format!("egress is none, services or internet, not {egress:?}")));
        }
        Ok(Self {
            name,
            runtime: flags.runtime.clone().or(manifest.runtime),
            handler: flags.handler.clone().or(manifest.handler),
            memory: flags.memory.or(manifest.memory),
            timeout: flags.timeout.or(manifest.timeout),
            role: flags.role.clone().or(manifest.role),
            egress,
            layers: if flags.layer.is_empty() { manifest.layers } else { Some(flags.layer.clone()) },
            env,
        })
    }

    /// Fills in what a build and a new function can't do without.
    pub fn complete(
        &mut self,
        project: &Project,
        existing: Option<&Existing>,
        client: &Client,
        catalogue: &Catalogue,
    ) -> Result<(), Failure> {
        if self.runtime.is_none() {
            let current = existing.map(|existing| existing.configuration.runtime.as_str());
            self.runtime = Some(runtime::choose(project.family(), current, catalogue)?);
        }
        if self.handler.is_none() {
            let current = existing.map(|existing| existing.configuration.handler.as_str());
            self.handler = Some(handler::guess(project, current)?);
        }
        if self.role.is_none() && existing.is_none() {
            let account = client.credentials.account.as_deref().unwrap_or("000000000000");
            self.role = Some(format!("arn:aws:iam::{account}:role/{ROLE}"));
        }
        Ok(())
    }

    /// Known after [`Settings::complete`].
    pub fn runtime(&self) -> &str {
        self.runtime.as_deref().unwrap_or("")
    }

    /// Known after [`Settings::complete`].
    pub fn handler(&self) -> &str {
        self.handler.as_deref().unwrap_or("")
    }
}

fn manifest(path: &Path) -> Result<Manifest, Failure> {
    let text = match std::fs::read_to_string(path) {
        Ok(text) => text,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Manifest::default()),
        Err(error) => return Err(Failure::file("read", path, &error)),
    };
    toml::from_str(&text).map_err(|error| {
        Failure::usage(format!("{} is not right:\n{}", path.display(), error.to_string().trim_end())).hint(
            "its keys are name, runtime, handler, memory, timeout, role, egress, layers and the table [env]",
        )
    })
}

/// The directory's or the file's own name, with what a name can't have made into dashes.
fn default_name(path: &Path) -> String {
    let stem = if path.is_dir() { path.file_name() } else { path.file_stem() };
    let stem = stem.map(|stem| stem.to_string_lossy().into_owned()).unwrap_or_default();
    let allowed = |c: char| if c.is_ascii_alphanumeric() || c == '-' || c == '_' { c } else { '-' };
    stem.chars().map(allowed).take(64).collect()
}
