//! How a function of a runtime is started: what is mounted, which program runs, and its part of the
//! environment.

use std::path::{Path, PathBuf};

use lambent_core::ports::sandbox::Mount;
use lambent_core::runtime::{Family, Runtime};

use super::clients::TARGET;
use super::places::is_system;
use super::{Interpreter, java};

/// Where a function of the `provided` family may have its program; the first that exists is started.
pub const BOOTSTRAPS: [&str; 2] = ["/var/task/bootstrap", "/opt/bootstrap"];

/// Where the reference has its interpreters; bundles stand there.
const BUNDLE_TARGET: &str = "/var/lang";
const PYTHON_SDK_TARGET: &str = "/var/sdk/python";
/// A parent of all code, so that ECMAScript imports, which heed no NODE_PATH, find it.
const NODE_SDK_TARGET: &str = "/node_modules";

/// Everything about a start that the runtime decides, the same for all functions of one memory size.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Launch {
    /// The interpreter, where a sandbox hasn't got it anyway, the client, and the SDK if it was prepared.
    pub mounts: Vec<Mount>,
    /// The program and its arguments. For the `provided` family the first of [`BOOTSTRAPS`]: which of them
    /// there is depends on the function's package.
    pub argv: Vec<String>,
    /// Variables that depend on the runtime. A function's own variable of the same name comes before them.
    pub env: Vec<(String, String)>,
    /// The interpreter's own version; empty for the `provided` family.
    pub version: String,
    /// Set when another runtime's interpreter serves this one; a line for the function's log.
    pub served_by: Option<String>,
}

/// A variable that names a program to start in the place of the runtime, which it gets as arguments.
const WRAPPER: &str = "AWS_LAMBDA_EXEC_WRAPPER";

impl Launch {
    /// The program and its arguments under a function's own variables: they may ask for a wrapper.
    pub fn argv_under(&self, environment: &[(String, String)]) -> Vec<String> {
        let wrapper = environment.iter().find(|(name, value)| name == WRAPPER && !value.is_empty());
        wrapper.map(|(_, program)| program.clone()).into_iter().chain(self.argv.iter().cloned()).collect()
    }
}

/// What the catalogue knows about how a runtime is served.
pub(super) struct Served {
    /// As the function names it.
    pub runtime: &'static Runtime,
    pub interpreter: Interpreter,
    pub is_bundle: bool,
    pub client: PathBuf,
    pub sdk: Option<PathBuf>,
    pub served_by: Option<String>,
}

pub(super) fn of_provided() -> Launch {
    Launch {
        mounts: Vec::new(),
        argv: vec![BOOTSTRAPS[0].to_string()],
        env: vec![
            ("PATH".into(), "/usr/local/bin:/usr/bin/:/bin:/opt/bin".into()),
            ("LD_LIBRARY_PATH".into(), library_path(None)),
        ],
        version: String::new(),
        served_by: None,
    }
}

/// What an interpreter finds when it starts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Meets {
    Function,
    /// Nothing yet: it is told later.
    Waiting,
}

pub(super) fn of_interpreter(served: Served, memory_mb: u32, meets: Meets) -> Launch {
    let mut mounts = Vec::new();
    let interpreter = &served.interpreter;
    let (program, prefix) = if served.is_bundle {
        mounts.push(mount(&interpreter.prefix, BUNDLE_TARGET));
        let below = interpreter.program.strip_prefix(&interpreter.prefix).unwrap_or(Path::new("bin"));
        (Path::new(BUNDLE_TARGET).join(below), PathBuf::from(BUNDLE_TARGET))
    } else {
        if !is_system(&interpreter.prefix) {
            mounts.push(mount(&interpreter.prefix, &interpreter.prefix));
        }
        mounts.extend(interpreter.beside.iter().map(|folder| mount(folder, folder)));
        (interpreter.program.clone(), interpreter.prefix.clone())
    };
    mounts.push(mount(&served.client, TARGET));
    let mut env = vec![
        ("PATH".into(), format!("{}/bin:/usr/local/bin:/usr/bin/:/bin:/opt/bin", prefix.display())),
        ("LD_LIBRARY_PATH".into(), library_path((!is_system(&prefix)).then_some(&prefix))),
        ("AWS_EXECUTION_ENV".into(), format!("AWS_Lambda_{}", served.runtime.id)),
    ];
    let arguments = match served.runtime.family {
        Family::Python => {
            mounts.extend(served.sdk.map(|sdk| mount(&sdk, PYTHON_SDK_TARGET)));
            env.push(("PYTHONPATH".into(), TARGET.into()));
            python_arguments()
        }
        Family::NodeJs => {
            mounts.extend(served.sdk.map(|sdk| mount(&sdk, NODE_SDK_TARGET)));
            env.push(("NODE_PATH".into(), node_path(served.runtime.language_version)));
            node_arguments(memory_mb)
        }
        _ => java::arguments(&served.interpreter, memory_mb, meets),
    };
    let argv = std::iter::once(program.to_string_lossy().into_owned()).chain(arguments).collect();
    Launch { mounts, argv, env, version: interpreter.full_version.clone(), served_by: served.served_by }
}

/// No `site`: it would scan the host's packages, which are none of a function's business, and take as long as
/// the rest of the start. Unbuffered, as what is printed must reach the log when the function is cut off.
fn python_arguments() -> Vec<String> {
    ["-S", "-u", "-X", "utf8", "/var/runtime/bootstrap.py"].map(String::from).to_vec()
}

/// The reference's own flags: nine tenths of the memory for the old space and a twentieth for the new one.
fn node_arguments(memory_mb: u32) -> Vec<String> {
    vec![
        "--expose-gc".into(),
        "--max-http-header-size=81920".into(),
        format!("--max-semi-space-size={}", (memory_mb / 20).max(1)),
        format!("--max-old-space-size={}", u64::from(memory_mb) * 9 / 10),
        "/var/runtime/index.js".into(),
    ]
}

fn node_path(major: &str) -> String {
    format!(
        "/opt/nodejs/node{major}/node_modules:/opt/nodejs/node_modules:/var/runtime/node_modules:/var/runtime:/var/task"
    )
}

fn library_path(prefix: Option<&PathBuf>) -> String {
    let own = prefix.map(|prefix| format!("{}/lib:", prefix.display())).unwrap_or_default();
    format!("{own}/lib64:/usr/lib64:/var/runtime:/var/runtime/lib:/var/task:/var/task/lib:/opt/lib")
}

fn mount(source: &Path, target: impl Into<PathBuf>) -> Mount {
    Mount { sources: vec![source.to_path_buf()], target: target.into() }
}
