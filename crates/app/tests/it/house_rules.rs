//! The rules of the house that nobody sees by reading: who may name whom, and what the pure parts may not call.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

/// Each crate, and the crates of ours that it may depend on. What is not listed is forbidden; the last column
/// says what to use instead.
const ARROWS: &[(&str, &[&str], &str)] = &[
    ("lambent-core", &[], "core is the centre: it names nobody"),
    ("lambent-wire", &["lambent-core"], "wire names no operation and no store: give it plain data"),
    ("lambent-pattern", &["lambent-wire"], "patterns judge JSON values: they know no event and no store"),
    (
        "lambent-store",
        &["lambent-core"],
        "stores are told what to do as commands: see store::functions::Command",
    ),
    (
        "lambent-store-sql",
        &["lambent-core", "lambent-store"],
        "an adapter implements the traits of store, no more",
    ),
    (
        "lambent-sandbox",
        &["lambent-core", "lambent-store"],
        "an adapter implements core::ports::sandbox, no more",
    ),
    (
        "lambent-execution",
        &["lambent-core", "lambent-store"],
        "meet services through core::ports (Invoke, CodeStore, Runtimes)",
    ),
    (
        "lambent-functions",
        &["lambent-core", "lambent-pattern", "lambent-store", "lambent-wire"],
        "meet other rooms through core::ports (Invoke, CodeStore, LogSink)",
    ),
    (
        "lambent-observe",
        &["lambent-core", "lambent-store", "lambent-wire"],
        "meet other rooms through core::ports (LogSink)",
    ),
    (
        "lambent-queues",
        &["lambent-core", "lambent-store", "lambent-wire"],
        "meet other rooms through core::ports (QueueSink, QueueSource)",
    ),
    (
        "lambent-simulator",
        &["lambent-core", "lambent-execution"],
        "the simulator drives the pure plan, and nothing that acts",
    ),
    (
        "lambent-events",
        &["lambent-core", "lambent-pattern", "lambent-store", "lambent-wire"],
        "meet functions and queues through store::deliveries and core::ports",
    ),
    (
        "lambent-topics",
        &["lambent-core", "lambent-store", "lambent-wire"],
        "meet functions and queues through store::deliveries and core::ports (QueueSink)",
    ),
    (
        "lambent-testkit",
        &["lambent-core", "lambent-store", "lambent-wire"],
        "the testkit knows ports and contracts only",
    ),
    (
        "lambent",
        &[
            "lambent-core",
            "lambent-wire",
            "lambent-store",
            "lambent-store-sql",
            "lambent-sandbox",
            "lambent-execution",
            "lambent-functions",
            "lambent-observe",
            "lambent-queues",
            "lambent-events",
            "lambent-topics",
        ],
        "the composition root names production crates only",
    ),
];

/// Folders whose code decides and does not act, and what it may therefore not call. `tests` are apart.
const PURE: &[&str] = &[
    "crates/core/src",
    "crates/pattern/src",
    "crates/store/src",
    "crates/execution/src/plan",
    "crates/services/functions/src",
    "crates/services/observe/src",
    "crates/services/queues/src",
    "crates/simulator/src",
    "crates/services/events/src",
    "crates/services/topics/src",
];
const BANNED: &[(&str, &str)] = &[
    ("SystemTime::now", "take the time as an argument, or use ports::Clock"),
    ("Instant::now", "take the time as an argument"),
    ("std::fs", "files are behind a port (CodeStore, a store)"),
    ("std::env", "settings are handed over by app"),
    ("getrandom", "use ports::Entropy"),
    ("std::process", "programs are started by the sandbox only"),
    ("std::net::TcpStream", "sockets are opened by app only"),
];

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").canonicalize().unwrap()
}

fn dependencies() -> BTreeMap<String, Vec<String>> {
    let output = Command::new(env!("CARGO"))
        .args(["metadata", "--no-deps", "--format-version", "1", "--offline"])
        .current_dir(root())
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let metadata: Value = serde_json::from_slice(&output.stdout).unwrap();
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    metadata["packages"]
        .as_array()
        .unwrap()
        .iter()
        .map(|package| {
            let used = package["dependencies"]
                .as_array()
                .unwrap()
                .iter()
                .filter(|d| d["kind"].is_null())
                .map(|d| text(&d["name"]))
                .filter(|name| name.starts_with("lambent"))
                .collect();
            (text(&package["name"]), used)
        })
        .collect()
}

#[test]
fn every_arrow_between_crates_is_drawn_in_the_plan() {
    let dependencies = dependencies();
    for (name, used) in &dependencies {
        let (_, allowed, instead) = ARROWS
            .iter()
            .find(|(crate_name, ..)| crate_name == name)
            .unwrap_or_else(|| panic!("{name} is not in the table of arrows: draw its arrows here"));
        for other in used {
            assert!(allowed.contains(&other.as_str()), "{name} must not depend on {other}: {instead}");
        }
    }
    assert_eq!(dependencies.len(), ARROWS.len(), "a crate of the table is gone");
}

#[test]
fn pure_code_reads_no_clock_file_environment_or_randomness() {
    let mut found = Vec::new();
    for folder in PURE {
        for file in rust_files(&root().join(folder)) {
            let text = std::fs::read_to_string(&file).unwrap();
            // Unit tests stand at the end of a file, behind this line.
            let code = text.split("#[cfg(test)]\nmod tests {").next().unwrap();
            for (number, line) in code.lines().enumerate() {
                let line = line.trim_start();
                if line.starts_with("//") {
                    continue;
                }
                for (banned, instead) in BANNED {
                    if line.contains(banned) {
                        found.push(format!("{}:{}: {banned}: {instead}", file.display(), number + 1));
                    }
                }
            }
        }
    }
    assert!(found.is_empty(), "{}", found.join("\n"));
}

#[test]
fn unsafe_code_stands_in_the_sandbox_only_and_gives_its_reason() {
    let mut found = Vec::new();
    for file in rust_files(&root().join("crates")) {
        let relative = file.strip_prefix(root()).unwrap().display().to_string();
        if relative.contains("house_rules") {
            continue;
        }
        let lines: Vec<String> =
            std::fs::read_to_string(&file).unwrap().lines().map(|l| l.trim_start().to_owned()).collect();
        for (number, line) in lines.iter().enumerate() {
            let opens =
                line.contains("unsafe {") || line.contains("unsafe impl") || line.contains("unsafe fn");
            if !opens || line.starts_with("//") {
                continue;
            }
            let above = &lines[number.saturating_sub(8)..=number];
            if !relative.starts_with("crates/sandbox/") {
                found.push(format!("{relative}:{}: unsafe outside the sandbox", number + 1));
            } else if !above.iter().any(|l| l.contains("SAFETY:") || l.contains("# Safety")) {
                found.push(format!("{relative}:{}: unsafe without a SAFETY reason", number + 1));
            }
        }
    }
    assert!(found.is_empty(), "{}", found.join("\n"));
}

fn rust_files(folder: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        if path.is_dir() {
            if name != "tests" && name != "target" {
                files.extend(rust_files(&path));
            }
        } else if name.ends_with(".rs") && name != "tests.rs" {
            files.push(path);
        }
    }
    files
}
