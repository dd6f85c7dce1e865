//! What to start for a function on this host: its package and layers, and its runtime from the catalogue.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use lambent_core::function::FunctionSpec;
use lambent_core::ids::CodeDigest;
use lambent_core::ports::sandbox::{HANDOVER_FD, Mount};
use lambent_core::runtime::{Family, Runtime};

use super::compiled::CompiledCode;
use super::executor::{Launch, Launcher};
use super::variables::{TASK_ROOT, boot_variables};
use crate::artifact::FileCodeStore;
use crate::runtimes::Catalogue;

/// Below a layer.
const EXTENSIONS: &str = "extensions";
const LAYERS_ROOT: &str = "/opt";
/// The program of a function that brings its own.
const BOOTSTRAP: &str = "bootstrap";

pub struct HostLauncher {
    catalogue: Arc<Catalogue>,
    code: Arc<FileCodeStore>,
    compiled: CompiledCode,
    /// The kernel and the processor: they don't change while this process lives.
    host: Vec<String>,
}

impl HostLauncher {
    /// `compiled` is a folder for compiled code, which nothing else uses.
    pub fn new(catalogue: Arc<Catalogue>, code: Arc<FileCodeStore>, compiled: PathBuf) -> Self {
        let compiled = CompiledCode::new(compiled);
        compiled
            .sweep(|package| CodeDigest::new(package).is_ok_and(|digest| code.package_dir(&digest).is_dir()));
        Self { catalogue, code, compiled, host: super::snapshots::host() }
    }

    /// The function's own program: in its package, else in the layer that lies on top.
    fn bootstrap(&self, spec: &FunctionSpec) -> Result<String, String> {
        let holds = |digest| self.code.package_dir(digest).join(BOOTSTRAP).exists();
        if holds(&spec.code) {
            return Ok(format!("{TASK_ROOT}/{BOOTSTRAP}"));
        }
        if spec.layers.iter().any(holds) {
            return Ok(format!("{LAYERS_ROOT}/{BOOTSTRAP}"));
        }
        Err(format!("Couldn't find valid bootstrap(s): [{TASK_ROOT}/{BOOTSTRAP} {LAYERS_ROOT}/{BOOTSTRAP}]"))
    }
}

/// An option of the function's that changes what its interpreter makes of code.
const NODE_OPTIONS: &str = "NODE_OPTIONS";

/// What compiled code depends on besides the package: the interpreter and its options.
fn started_as(spec: &FunctionSpec, runtime: &crate::runtimes::Launch) -> Vec<String> {
    let options = spec.environment.iter().filter(|(name, _)| name == NODE_OPTIONS);
    let options = options.map(|(_, value)| value.clone());
    runtime.argv.iter().cloned().chain([runtime.version.clone()]).chain(options).collect()
}

impl Launcher for HostLauncher {
    fn launch(&self, spec: &FunctionSpec) -> Result<Launch, String> {
        let mut runtime = self.catalogue.launch(spec.runtime, spec.memory_mb).map_err(|m| m.to_string())?;
        if spec.runtime.family == Family::Provided {
            runtime.argv = vec![self.bootstrap(spec)?];
        }
        let argv = runtime.argv_under(&spec.environment);
        if spec.runtime.family == Family::NodeJs {
            runtime.env.push(self.compiled.variable(spec, &started_as(spec, &runtime)));
        }
        let mut mounts = runtime.mounts;
        mounts.extend(self.function_mounts(spec));
        Ok(Launch { mounts, argv, env: runtime.env, served_by: runtime.served_by })
    }

    fn function_mounts(&self, spec: &FunctionSpec) -> Vec<Mount> {
        let code =
            Mount { sources: vec![self.code.package_dir(&spec.code)], target: PathBuf::from(TASK_ROOT) };
        let mut mounts = vec![code];
        if !spec.layers.is_empty() {
            let sources = spec.layers.iter().map(|digest| self.code.package_dir(digest)).collect();
            mounts.push(Mount { sources, target: PathBuf::from(LAYERS_ROOT) });
        }
        if spec.runtime.family == Family::NodeJs
            && self.compiled.knows_package(spec)
            && let Ok(runtime) = self.catalogue.launch(spec.runtime, spec.memory_mb)
        {
            mounts.extend(self.compiled.mount(spec, &started_as(spec, &runtime)));
        }
        mounts
    }

    fn extensions(&self, spec: &FunctionSpec) -> Vec<String> {
        let mut files = BTreeMap::new();
        for digest in &spec.layers {
            let Ok(entries) = std::fs::read_dir(self.code.package_dir(digest).join(EXTENSIONS)) else {
                continue;
            };
            for entry in entries.filter_map(Result::ok) {
                let is_folder = entry.file_type().is_ok_and(|kind| kind.is_dir());
                if let Ok(name) = entry.file_name().into_string() {
                    // A later layer lies over an earlier one.
                    files.insert(name, !is_folder);
                }
            }
        }
        files.into_iter().filter(|(_, is_file)| *is_file).map(|(name, _)| name).collect()
    }

    fn keep_compiled(&self, spec: &FunctionSpec, code: &[u8]) {
        if spec.runtime.family == Family::NodeJs
            && let Ok(runtime) = self.catalogue.launch(spec.runtime, spec.memory_mb)
        {
            self.compiled.keep(spec, &started_as(spec, &runtime), code);
        }
    }

    fn started_as(&self, spec: &FunctionSpec) -> Vec<String> {
        let Ok(runtime) = self.catalogue.launch(spec.runtime, spec.memory_mb) else { return Vec::new() };
        let mounted = runtime.mounts.iter().flat_map(|mount| &mount.sources);
        let mounted: Vec<String> = mounted.map(|source| source.to_string_lossy().into_owned()).collect();
        started_as(spec, &runtime).into_iter().chain(mounted).chain(self.host.iter().cloned()).collect()
    }

    fn copies(&self, runtime: &'static Runtime) -> bool {
        // Its interpreter has one thread until a function makes more.
        runtime.family == Family::Python
    }

    fn boot(&self, runtime: &'static Runtime, memory_mb: u32) -> Option<Launch> {
        let launch = self.catalogue.boot(runtime, memory_mb)?;
        let env = boot_variables(launch.env, HANDOVER_FD);
        Some(Launch { mounts: launch.mounts, argv: launch.argv, env, served_by: launch.served_by })
    }
}
