//! `lambent runtimes`: the language runtimes of a data directory.

use std::collections::BTreeMap;
use std::io::Write;

use lambent_core::ports::Availability;
use lambent_core::runtime::{Family, Runtime};
use lambent_execution::runtimes::{Catalogue, Entry, Interpreter, Source};
use serde_json::{Value, json};

use super::args::{Global, Runtimes, RuntimesCommand};
use super::catalogue;
use super::client::download;
use super::failure::Failure;
use super::output::{Output, Role};
use super::progress::{Progress, Step};
use super::table::{self, Align};

pub fn run(global: &Global, runtimes: Runtimes, output: &Output) -> Result<(), Failure> {
    match runtimes.command.unwrap_or(RuntimesCommand::List) {
        RuntimesCommand::List => list(&catalogue::look(global)?, output),
        RuntimesCommand::Add { id, from } => add(global, catalogue::known(&id)?, &from, output),
        RuntimesCommand::Remove { id } => remove(global, catalogue::known(&id)?, output),
        RuntimesCommand::Prepare { id } => {
            let runtime = id.as_deref().map(catalogue::known).transpose()?;
            prepare(global, runtime, output)
        }
    }
}

fn list(catalogue: &Catalogue, output: &Output) -> Result<(), Failure> {
    let entries = catalogue.list();
    if output.json {
        return output.document(&entries.iter().map(document).collect::<Value>());
    }
    let (here, missing): (Vec<&Entry>, Vec<&Entry>) =
        entries.iter().partition(|entry| entry.availability == Availability::Present);
    output.line(render(output, &here))?;
    let missing: Vec<&str> = missing.iter().map(|entry| entry.runtime.id).collect();
    if !missing.is_empty() {
        output.note(format!("\nnot here: {}", missing.join(", ")));
        output.note("add one with: lambent runtimes add ID --from DIR|ARCHIVE|URL#SHA256");
    }
    Ok(())
}

pub(super) fn render(output: &Output, entries: &[&Entry]) -> String {
    let heading =
        [("RUNTIME", Align::Left), ("VERSION", Align::Left), ("SDK", Align::Left), ("FROM", Align::Left)];
    let rows = entries.iter().map(|entry| {
        let from = match (&entry.interpreter, entry.is_bundle) {
            (None, _) => "the function's package".to_owned(),
            (Some(_), true) => "bundle".to_owned(),
            (Some(interpreter), false) => interpreter.program.display().to_string(),
        };
        let version = entry.interpreter.as_ref().map_or("-", |interpreter| &interpreter.full_version);
        vec![entry.runtime.id.to_owned(), version.to_owned(), sdk(entry), from]
    });
    table::render(output, &heading, rows.collect())
}

/// The SDK's own package stands for the rest of it.
fn sdk(entry: &Entry) -> String {
    let name = match entry.runtime.family {
        Family::Python => "boto3",
        Family::NodeJs => "@aws-sdk/client-lambda",
        _ => return "-".to_owned(),
    };
    entry.sdk.get(name).map_or_else(
        || "not prepared".to_owned(),
        |version| {
            let name = if entry.runtime.family == Family::Python { name } else { "aws-sdk" };
            format!("{name} {version}")
        },
    )
}

fn document(entry: &Entry) -> Value {
    let reason = match &entry.availability {
        Availability::Present => None,
        Availability::Missing { reason } => Some(reason),
    };
    json!({
        "runtime": entry.runtime.id,
        "available": reason.is_none(),
        "reason": reason,
        "version": entry.interpreter.as_ref().map(|interpreter| &interpreter.full_version),
        "program": entry.interpreter.as_ref().map(|interpreter| interpreter.program.display().to_string()),
        "bundle": entry.is_bundle,
        "sdk": entry.sdk,
    })
}

fn add(global: &Global, runtime: &'static Runtime, from: &str, output: &Output) -> Result<(), Failure> {
    let source = Source::parse(from).map_err(|error| Failure::usage(error.to_string()))?;
    let catalogue = catalogue::change(global)?;
    let ca = global.ca.clone();
    let fetch = |url: &str, target: &mut dyn Write| download::fetch(url, ca.clone(), target);
    let interpreter: Interpreter = Progress::new(output).step("adding", |step| {
        catalogue.add(runtime, &source, &fetch, &Spoken { step }).map_err(|error| failure(&error))
    })?;
    if output.json {
        return output.document(&json!({ "runtime": runtime.id, "version": interpreter.full_version }));
    }
    output.note(format!(
        "{} is {} now; new environments of its functions use it",
        runtime.id, interpreter.full_version
    ));
    Ok(())
}

fn remove(global: &Global, runtime: &'static Runtime, output: &Output) -> Result<(), Failure> {
    let removed = catalogue::change(global)?
        .remove(runtime)
        .map_err(|error| Failure::local(format!("can't remove {}: {error}", runtime.id)))?;
    if !removed {
        return Err(Failure::usage(format!("{} was not added here", runtime.id))
            .hint("list what is here with: lambent runtimes list"));
    }
    if output.json {
        return output.document(&json!({ "removed": runtime.id }));
    }
    output.note(format!("removed {}", runtime.id));
    Ok(())
}

/// One runtime, or every one that is here and has an SDK.
fn prepare(global: &Global, wanted: Option<&'static Runtime>, output: &Output) -> Result<(), Failure> {
    let catalogue = catalogue::change(global)?;
    let wanted: Vec<&'static Runtime> = match wanted {
        Some(runtime) => vec![runtime],
        None => [Family::Python, Family::NodeJs]
            .into_iter()
            .flat_map(|family| catalogue::here(&catalogue, family))
            .map(|(runtime, _)| runtime)
            .collect(),
    };
    if wanted.is_empty() {
        return Err(Failure::local("no runtime here has an SDK to prepare")
            .hint("install Python or Node.js, or add one with: lambent runtimes add"));
    }
    let progress = Progress::new(output);
    let mut prepared = BTreeMap::new();
    for runtime in wanted {
        let packages = progress.step("preparing", |step| {
            step.say(runtime.id);
            catalogue.prepare(runtime, &Spoken { step }).map_err(|error| failure(&error))
        })?;
        if !output.json {
            let versions: Vec<String> =
                packages.iter().take(3).map(|(name, version)| format!("{name} {version}")).collect();
            let more = packages.len().saturating_sub(versions.len());
            let more = if more > 0 { format!(" and {more} more") } else { String::new() };
            let id = output.paint_note(Role::Strong, runtime.id);
            output.note(format!("{id}: {}{more}", versions.join(", ")));
        }
        prepared.insert(runtime.id, packages);
    }
    if output.json { output.document(&json!(prepared)) } else { Ok(()) }
}

/// Tells the step's line what the catalogue is at.
struct Spoken<'a, 'b> {
    step: &'a Step<'b>,
}

impl lambent_execution::runtimes::Progress for Spoken<'_, '_> {
    fn step(&self, what: &str) {
        self.step.say(what);
    }
}

fn failure(error: &dyn std::error::Error) -> Failure {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text.push_str(&format!(": {error}"));
        cause = error.source();
    }
    Failure::local(text)
}
