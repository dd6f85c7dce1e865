//! `lambent deploy`: from a project's directory to a function that answers.
//!
//! The steps, a file each: recognise the project ([`project`]), read its settings ([`manifest`]), choose the
//! runtime ([`runtime`]), build ([`python`], [`nodejs`], [`rust`]), pack ([`package`]), and bring the node's
//! function to that state ([`apply`]).
//!
//! Invariants:
//! - the same sources give the same package, byte for byte, so an unchanged project changes nothing;
//! - nothing is written in the project but under `.lambent/build`.

mod apply;
mod cache;
mod handler;
mod manifest;
mod nodejs;
mod package;
mod project;
mod python;
mod runtime;
mod rust;
#[cfg(test)]
mod tests;
mod tool;

use std::time::Instant;

use serde_json::json;

use super::args::{Deploy, Global};
use super::catalogue;
use super::client::Client;
use super::failure::Failure;
use super::output::{Output, Role};
use super::progress::Progress;
use super::table;
use manifest::Settings;
use package::Archive;
use project::{Kind, Project};
pub(super) use tool::ask;

pub fn run(global: &Global, deploy: Deploy, output: &Output) -> Result<(), Failure> {
    let begun = Instant::now();
    let client = Client::new(global)?;
    let tokio = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| Failure::local(format!("can't start: {error}")))?;
    let progress = Progress::new(output);

    let project = Project::recognise(&deploy.dir)?;
    let mut settings = Settings::read(&project, &deploy)?;
    // Before the build: a node that can't be reached should not cost a minute of compiling.
    let existing = tokio.block_on(apply::find(&client, &settings.name))?;
    let catalogue = catalogue::look(global)?;
    settings.complete(&project, existing.as_ref(), &client, &catalogue)?;
    let archive = build(&project, &settings, &progress)?;
    let outcome = tokio.block_on(apply::apply(&client, &settings, &archive, existing, &progress))?;
    report(&settings, &archive, &outcome, begun, output)
}

fn build(project: &Project, settings: &Settings, progress: &Progress) -> Result<Archive, Failure> {
    let package = match project.kind {
        Kind::Zip => return Archive::read(&project.path),
        Kind::Python => python::build(project, settings, progress)?,
        Kind::NodeJs => nodejs::build(project, settings, progress)?,
        Kind::Rust => rust::build(project, settings, progress)?,
        Kind::Prebuilt => project::prebuilt(project)?,
    };
    progress.step("packing", |_| package.zip())
}

fn report(
    settings: &Settings,
    archive: &Archive,
    outcome: &apply::Outcome,
    begun: Instant,
    output: &Output,
) -> Result<(), Failure> {
    if output.json {
        return output.document(&json!({
            "function": settings.name,
            "arn": outcome.arn,
            "action": outcome.action.word(),
            "changed": outcome.changed,
            "runtime": settings.runtime(),
            "handler": settings.handler(),
            "codeSize": archive.bytes.len(),
            "codeSha256": archive.sha256,
            "seconds": (begun.elapsed().as_secs_f64() * 1000.0).round() / 1000.0,
        }));
    }
    let name = output.paint_note(Role::Strong, &settings.name);
    let facts = format!(
        "{}, {}, {}",
        settings.runtime(),
        settings.handler(),
        table::size(archive.bytes.len() as u64)
    );
    let took = table::span(begun.elapsed());
    match outcome.action {
        apply::Action::Unchanged => output.note(format!("{name} is unchanged: nothing to do ({took})")),
        action => {
            let mut line = format!("{name} {} ({facts}) in {took}", action.word());
            if !outcome.changed.is_empty() && action == apply::Action::Updated {
                line.push_str(&format!("; changed: {}", outcome.changed.join(", ")));
            }
            output.note(line);
            if action == apply::Action::Created {
                output.note(format!("call it with: lambent invoke {}", settings.name));
            }
        }
    }
    output.line(&outcome.arn)
}
