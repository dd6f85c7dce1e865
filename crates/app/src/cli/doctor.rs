//! `lambent doctor`: what this machine can do, and what is missing.

use std::path::Path;
use std::process::Command;

use lambent_core::ports::Availability;
use lambent_sandbox::Isolation;
use serde_json::{Value, json};

use super::args::Global;
use super::catalogue;
use super::client::data_dir;
use super::failure::Failure;
use super::output::{Output, Role};
use super::table;

/// Below this a node may soon be unable to keep what it is given.
const DISK_LOW_BYTES: u64 = 1024 * 1024 * 1024;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum State {
    Good,
    /// Works, with less.
    Weak,
    Missing,
}

#[derive(Debug, Clone)]
pub(super) struct Check {
    pub group: &'static str,
    pub name: String,
    pub state: State,
    pub detail: String,
    pub remedy: Option<String>,
}

pub fn run(global: &Global, output: &Output) -> Result<(), Failure> {
    // First of all: it starts short-lived processes, which is simplest while this one has a single thread.
    let host = lambent_sandbox::examine_host();
    let mut checks = machine(&data_dir(global));
    checks.extend(host.checks.iter().map(isolation));
    checks.extend(runtimes(global)?);
    checks.extend(tools());
    if output.json {
        let checks: Vec<Value> = checks.iter().map(document).collect();
        output.document(&json!({
            "version": env!("CARGO_PKG_VERSION"),
            "isolation": host.highest.as_str(),
            "checks": checks,
        }))?;
    } else {
        output.line(render(output, &checks))?;
        output.line(format!("\nThe strongest isolation that works here: {}", host.highest))?;
    }
    if host.highest == Isolation::Full {
        return Ok(());
    }
    Err(Failure::local("full isolation does not work here").hint(format!(
        "do what the remedies say, or ask for less with: lambent up --isolation {}",
        host.highest
    )))
}

fn isolation(check: &lambent_sandbox::Check) -> Check {
    Check {
        group: "isolation",
        name: check.name.clone(),
        state: match check.state {
            lambent_sandbox::State::Ok => State::Good,
            lambent_sandbox::State::Degraded => State::Weak,
            lambent_sandbox::State::Missing => State::Missing,
        },
        detail: check.detail.clone(),
        remedy: check.remedy.clone(),
    }
}

pub(super) fn render(output: &Output, checks: &[Check]) -> String {
    let mut lines = Vec::new();
    let mut group = "";
    for check in checks {
        if check.group != group {
            if !group.is_empty() {
                lines.push(String::new());
            }
            group = check.group;
            lines.push(output.paint(Role::Strong, group));
        }
        let (word, role) = match check.state {
            State::Good => ("ok", Role::Good),
            State::Weak => ("weak", Role::Warning),
            State::Missing => ("missing", Role::Bad),
        };
        let word = output.paint(role, &format!("{word:<7}"));
        lines.extend(folded(&format!("  {word}  {:<18}  ", check.name), 31, &check.detail));
        if let Some(remedy) = &check.remedy {
            lines.extend(folded(&" ".repeat(31), 31, &format!("-> {remedy}")));
        }
    }
    lines.join("\n")
}

/// The text in lines of 80 columns, the first behind `head`, the others under its beginning.
fn folded(head: &str, indent: usize, text: &str) -> Vec<String> {
    let mut lines = vec![head.to_owned()];
    let mut column = indent;
    for word in text.split_whitespace() {
        let width = word.chars().count();
        if column > indent && column + width > 80 {
            lines.push(" ".repeat(indent));
            column = indent;
        }
        if let Some(line) = lines.last_mut() {
            line.push_str(word);
            line.push(' ');
        }
        column += width + 1;
    }
    lines.into_iter().map(|line| line.trim_end().to_owned()).collect()
}

fn document(check: &Check) -> Value {
    json!({
        "group": check.group,
        "name": check.name,
        "state": match check.state { State::Good => "ok", State::Weak => "weak", State::Missing => "missing" },
        "detail": check.detail,
        "remedy": check.remedy,
    })
}

fn machine(data: &Path) -> Vec<Check> {
    const GROUP: &str = "machine";
    let system = rustix::system::uname();
    let good = |name: &str, detail: String| Check {
        group: GROUP,
        name: name.to_owned(),
        state: State::Good,
        detail,
        remedy: None,
    };
    let cpus = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    let mut checks = vec![
        good("lambent", env!("CARGO_PKG_VERSION").to_owned()),
        good(
            "kernel",
            format!("{} {}", system.release().to_string_lossy(), system.machine().to_string_lossy()),
        ),
        good("processors", cpus.to_string()),
    ];
    if let Some(bytes) = crate::node::memory_bytes() {
        checks.push(good("memory", table::size(bytes)));
    }
    checks.push(disk(GROUP, data));
    checks
}

/// Of the file system that the data directory is on, or will be.
fn disk(group: &'static str, data: &Path) -> Check {
    let absolute = std::path::absolute(data).unwrap_or_else(|_| data.to_owned());
    let place = absolute.ancestors().find(|place| place.exists()).unwrap_or(Path::new("/"));
    let name = "disk".to_owned();
    match rustix::fs::statvfs(place) {
        Ok(found) => {
            let free = found.f_bavail.saturating_mul(found.f_frsize);
            let low = free < DISK_LOW_BYTES;
            Check {
                group,
                name,
                state: if low { State::Weak } else { State::Good },
                detail: format!("{} free for {}", table::size(free), absolute.display()),
                remedy: low.then(|| "make room, or choose another place with --data".to_owned()),
            }
        }
        Err(error) => Check {
            group,
            name,
            state: State::Weak,
            detail: format!("can't look at {}: {error}", place.display()),
            remedy: None,
        },
    }
}

fn runtimes(global: &Global) -> Result<Vec<Check>, Failure> {
    const GROUP: &str = "runtimes";
    let mut checks: Vec<Check> = Vec::new();
    for entry in catalogue::look(global)?.list() {
        let Some(interpreter) = entry.interpreter else { continue };
        let from = if entry.is_bundle {
            "added bundle".to_owned()
        } else {
            interpreter.program.display().to_string()
        };
        // An interpreter alone is not enough: a Java function needs a compiled client too.
        let (state, detail) = match entry.availability {
            Availability::Present => (State::Good, format!("{}, {from}", interpreter.full_version)),
            Availability::Missing { reason } => (State::Weak, format!("{from}: {reason}")),
        };
        checks.push(Check { group: GROUP, name: entry.runtime.id.to_owned(), state, detail, remedy: None });
    }
    checks.push(Check {
        group: GROUP,
        name: "provided".to_owned(),
        state: State::Good,
        detail: "any Linux executable of this machine".to_owned(),
        remedy: None,
    });
    Ok(checks)
}

/// What `deploy` builds with. A machine that only runs functions needs none of it.
fn tools() -> Vec<Check> {
    const GROUP: &str = "to build with";
    let tools = [
        ("pip", "python3", &["-m", "pip", "--version"][..], "Python projects", "apt install python3-pip"),
        ("npm", "npm", &["--version"][..], "Node.js projects", "apt install npm"),
        ("cargo", "cargo", &["--version"][..], "Rust projects", "install Rust from https://rustup.rs"),
    ];
    let check = |(name, program, words, what, remedy): (&str, &str, &[&str], &str, &str)| {
        let found = super::deploy::ask(Command::new(program).args(words));
        Check {
            group: GROUP,
            name: name.to_owned(),
            state: if found.is_some() { State::Good } else { State::Weak },
            // The versions' first words: pip goes on to say where it is installed.
            detail: found.as_deref().map_or_else(
                || format!("not found: {what} can't be built here"),
                |found| found.split(" from ").next().unwrap_or(found).to_owned(),
            ),
            remedy: found.is_none().then(|| remedy.to_owned()),
        }
    };
    tools.into_iter().map(check).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_report_fits_80_columns_and_sets_remedies_apart() {
        let check = |group, name: &str, state, detail: &str, remedy: Option<&str>| Check {
            group,
            name: name.to_owned(),
            state,
            detail: detail.to_owned(),
            remedy: remedy.map(str::to_owned),
        };
        let checks = [
            check("isolation", "user namespaces", State::Good, "available", None),
            check(
                "isolation",
                "control groups",
                State::Missing,
                "no controller for memory is delegated to this user, so memory can't be limited",
                Some("run as root, or: systemctl edit user@.service and add Delegate=yes"),
            ),
            check("machine", "disk", State::Weak, "100.0 MB free for /srv", None),
        ];
        let text = render(&Output::plain(), &checks);
        super::super::golden::compare("doctor.txt", &text);
        assert!(text.lines().all(|line| line.chars().count() <= 80), "{text}");
    }

    #[test]
    fn a_data_directory_that_is_not_there_yet_has_a_disk() {
        assert!(disk("machine", Path::new("/tmp/does/not/exist/yet")).detail.contains("free"));
    }
}
