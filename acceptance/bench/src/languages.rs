//! The languages of the host, each with its hello function and the fastest program that runs the language here: what
//! the node found, and never a version manager's shim, which only looks for the program.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::functions::{NODEJS, PYTHON};
use crate::{Bench, Result};

/// How often each candidate is started to find the fastest.
const TRIALS: usize = 5;

const JAVA: &str = "package demo;\npublic class Main {\n    public Object run(java.util.Map<String, Object> event) \
                    { return event; }\n    public static void main(String[] words) { }\n}\n";

pub struct Language {
    pub name: String,
    pub runtime: String,
    pub handler: &'static str,
    pub files: Vec<(&'static str, Vec<u8>)>,
    /// The least that the language can be asked to do, and the program's name.
    pub bare: Vec<String>,
    pub p50_goal_ms: f64,
    pub ratio_goal: Option<f64>,
}

impl Language {
    /// The package, and one more file, so that each round's is another.
    pub fn package(&self, marker: &str) -> Result<Vec<u8>> {
        let mut files: Vec<(&str, &[u8])> =
            self.files.iter().map(|(name, text)| (*name, text.as_slice())).collect();
        files.push(("marker.txt", marker.as_bytes()));
        crate::functions::zip(&files)
    }

    /// From the start of the bare program to its end.
    pub fn bare_start(&self) -> Result<Duration> {
        bare_start(&self.bare)
    }
}

fn bare_start(words: &[String]) -> Result<Duration> {
    let (program, rest) = words.split_first().ok_or("no program")?;
    let began = Instant::now();
    let status = Command::new(program)
        .args(rest)
        .env_clear()
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()?;
    let took = began.elapsed();
    if status.success() { Ok(took) } else { Err(format!("{program} fails").into()) }
}

/// Of these commands, the one that ends soonest.
fn fastest(candidates: Vec<Vec<String>>) -> Option<Vec<String>> {
    let timed = candidates.into_iter().filter_map(|words| {
        let best = (0..TRIALS).filter_map(|_| bare_start(&words).ok()).min()?;
        Some((best, words))
    });
    timed.min_by_key(|(best, _)| *best).map(|(_, words)| words)
}

/// The runtimes that the node can serve, with the programs that do.
pub fn served(binary: &Path) -> Result<Vec<(String, PathBuf)>> {
    let folder = tempfile::tempdir()?;
    let said =
        Command::new(binary).args(["runtimes", "list", "--json", "--data"]).arg(folder.path()).output()?;
    let list: Vec<Value> = serde_json::from_slice(&said.stdout)?;
    let available = list.iter().filter(|entry| entry["available"] == true);
    let pairs = available.map(|entry| {
        let program = entry["program"].as_str().unwrap_or_default();
        (entry["runtime"].as_str().unwrap_or_default().to_owned(), PathBuf::from(program))
    });
    Ok(pairs.collect())
}

/// What can be measured here; `missing` hears of what can't.
pub fn all(bench: &Bench, scratch: &Path, mut missing: impl FnMut(&str, &str)) -> Result<Vec<Language>> {
    let served = served(&bench.binary)?;
    let programs = |prefix: &str, nothing: &[&str]| -> Vec<Vec<String>> {
        let of = served.iter().filter(|(runtime, _)| runtime.starts_with(prefix));
        let words = |program: &Path| {
            let nothing = nothing.iter().map(|word| (*word).to_owned());
            std::iter::once(program.display().to_string()).chain(nothing).collect()
        };
        of.map(|(_, program)| words(program)).collect()
    };
    let runtime_of = |prefix: &str, bare: &[String]| {
        let by = |(runtime, program): &&(String, PathBuf)| {
            runtime.starts_with(prefix) && bare.first().is_some_and(|word| Path::new(word) == program)
        };
        served.iter().find(by).map(|(runtime, _)| runtime.clone())
    };
    let mut found = Vec::new();
    for (name, prefix, file, source, nothing, p50_goal_ms, ratio_goal) in [
        ("Python", "python", "index.py", PYTHON, ["-c", "pass"], 2.0, 0.2),
        ("Node.js", "nodejs", "index.mjs", NODEJS, ["-e", "0"], 3.0, 0.1),
    ] {
        let bare = fastest(programs(prefix, &nothing)).unwrap_or_default();
        let Some(runtime) = runtime_of(prefix, &bare) else {
            missing(&format!("first call, {name}"), "the node serves no runtime of it here");
            continue;
        };
        found.push(Language {
            name: name.to_owned(),
            runtime,
            handler: "index.handler",
            files: vec![(file, source.as_bytes().to_vec())],
            bare,
            p50_goal_ms,
            ratio_goal: Some(ratio_goal),
        });
    }
    match native(bench) {
        Ok(native) => found.push(native),
        Err(error) => missing("first call, native", &error.to_string()),
    }
    found.extend(java(&served, scratch, missing));
    Ok(found)
}

/// The example in Rust, as it would be deployed. Started without a node it ends at once.
pub fn native(bench: &Bench) -> Result<Language> {
    let program = bench.native.as_ref().ok_or("no --native PROGRAM was given")?;
    Ok(Language {
        name: "native".to_owned(),
        runtime: "provided.al2023".to_owned(),
        handler: "bootstrap",
        files: vec![("bootstrap", std::fs::read(program)?)],
        // The least that a native program can do, not what this one would do without a node: it would fail.
        bare: vec!["/bin/true".to_owned()],
        p50_goal_ms: 2.5,
        ratio_goal: None,
    })
}

fn java(served: &[(String, PathBuf)], scratch: &Path, mut missing: impl FnMut(&str, &str)) -> Vec<Language> {
    let runtimes = ["java25", "java21", "java17"];
    let javas: Vec<&(String, PathBuf)> =
        served.iter().filter(|(runtime, _)| runtimes.contains(&runtime.as_str())).collect();
    let class = match compile(&javas, scratch) {
        Ok(class) => class,
        Err(error) => {
            missing("first call, Java", &error.to_string());
            return Vec::new();
        }
    };
    let bare_of = |program: &Path| {
        let classes = scratch.join("classes").display().to_string();
        vec![program.display().to_string(), "-cp".to_owned(), classes, "demo.Main".to_owned()]
    };
    let bare = fastest(javas.iter().map(|(_, program)| bare_of(program)).collect()).unwrap_or_default();
    let language = |(runtime, _): &&(String, PathBuf)| Language {
        name: format!("Java {}", &runtime[4..]),
        runtime: runtime.clone(),
        handler: "demo.Main::run",
        files: vec![("demo/Main.class", class.clone())],
        bare: bare.clone(),
        p50_goal_ms: if runtime == "java17" { 15.0 } else { 4.0 },
        ratio_goal: None,
    };
    javas.iter().rev().map(language).collect()
}

/// For the oldest of them, so that all can run it.
fn compile(javas: &[&(String, PathBuf)], scratch: &Path) -> Result<Vec<u8>> {
    if javas.is_empty() {
        return Err("the node serves no runtime of it here".into());
    }
    let beside = |program: &Path| program.parent().map(|bin| bin.join("javac")).filter(|path| path.exists());
    let compiler = javas.iter().find_map(|(_, program)| beside(program)).unwrap_or_else(|| "javac".into());
    let source = scratch.join("Main.java");
    std::fs::write(&source, JAVA)?;
    let classes = scratch.join("classes");
    let done = Command::new(&compiler).args(["--release", "17", "-d"]).arg(&classes).arg(&source).output();
    let done = done.map_err(|error| format!("{}: {error}", compiler.display()))?;
    if !done.status.success() {
        return Err(String::from_utf8_lossy(&done.stderr).into_owned().into());
    }
    Ok(std::fs::read(classes.join("demo/Main.class"))?)
}
