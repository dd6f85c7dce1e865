//! `lambent rm`: deletes functions.

use std::io::{BufRead, IsTerminal};

use http::Method;
use serde_json::json;

use super::args::Rm;
use super::client::Client;
use super::client::functions::{lambda, path};
use super::failure::Failure;
use super::output::Output;

/// Deletes them one by one; the first failure ends it, with the ones before it gone.
pub async fn run(client: &Client, rm: Rm, output: &Output) -> Result<(), Failure> {
    if !rm.yes && !confirmed(&rm.names, output)? {
        output.note("nothing deleted");
        return Ok(());
    }
    let mut deleted = Vec::new();
    let mut outcome = Ok(());
    for name in &rm.names {
        match client.send(lambda(Method::DELETE, path(name, ""))).await {
            Ok(_) => {
                deleted.push(name);
                if !output.json {
                    output.note(format!("deleted {name}"));
                }
            }
            Err(failure) => {
                outcome = Err(client.suggest(name, failure).await);
                break;
            }
        }
    }
    if output.json {
        output.document(&json!({ "deleted": deleted }))?;
    }
    outcome
}

fn confirmed(names: &[String], output: &Output) -> Result<bool, Failure> {
    let input = std::io::stdin();
    if !input.is_terminal() {
        return Err(
            Failure::usage("deleting needs a yes, and there is no terminal to ask on").hint("add --yes")
        );
    }
    output.note(format!("Delete {}, with versions and aliases? [y/N]", names.join(", ")));
    let mut answer = String::new();
    input
        .lock()
        .read_line(&mut answer)
        .map_err(|error| Failure::local(format!("can't read the answer: {error}")))?;
    Ok(matches!(answer.trim().to_lowercase().as_str(), "y" | "yes"))
}
