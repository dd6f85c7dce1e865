//! `lambent ls`: the functions of the account in the region, with what the last hour was to each.

use std::collections::HashMap;
use std::time::SystemTime;

use futures_util::{StreamExt, stream};
use http::Method;
use lambent_core::Timestamp;
use serde_json::{Value, json};

use super::client::functions::Configuration;
use super::client::{Call, Client};
use super::failure::Failure;
use super::hour::{self, Hour};
use super::output::{Output, Role};
use super::table::{self, Align};

/// Functions that are asked for their state side by side.
const LOOKS_AT_ONCE: usize = 16;

pub async fn run(client: &Client, output: &Output) -> Result<(), Failure> {
    let functions = with_states(client, client.functions().await?).await?;
    let hours = hours(client).await;
    if output.json {
        let one = |function: &Configuration| document(function, hours.get(&function.function_name));
        return output.document(&functions.iter().map(one).collect::<Value>());
    }
    if functions.is_empty() {
        output.note(format!("no functions in {}; deploy one with: lambent deploy DIR", client.region));
        return Ok(());
    }
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    output.line(list(output, &functions, &hours, Timestamp::from_millis(now.as_millis() as u64)))?;
    for function in functions.iter().filter(|function| function.state == "Failed") {
        let reason = function.state_reason.as_deref().unwrap_or("no reason given");
        output.note(format!("{}: {reason}", function.function_name));
    }
    for function in &functions {
        if let Some(hour) = hours.get(&function.function_name).filter(|hour| hour.is_often_cold) {
            let note = format!("! {}: {}", function.function_name, hour.warning());
            output.note(output.paint_note(Role::Warning, &hour::folded(&note)));
        }
    }
    Ok(())
}

/// The last hour of each function that was called in it. Nothing for who may not know, and from an older node.
async fn hours(client: &Client) -> HashMap<String, Hour> {
    let asked = client.send(Call::new("lambda", Method::GET, "/_lambent/top")).await;
    let Ok(Ok(document)) = asked.map(|reply| reply.json()) else { return HashMap::new() };
    let functions = document.get("functions").and_then(Value::as_array);
    let hour =
        |function: &Value| Some((function.get("function")?.as_str()?.to_owned(), Hour::read(function)?));
    functions.into_iter().flatten().filter_map(hour).collect()
}

/// The reference's list leaves states out; each function is asked for its own. One that was deleted meanwhile
/// is left out.
async fn with_states(client: &Client, listed: Vec<Configuration>) -> Result<Vec<Configuration>, Failure> {
    let looks = listed.into_iter().map(|function| async move {
        if !function.state.is_empty() {
            return Ok(Some(function));
        }
        match client.configuration(&function.function_name).await {
            Ok(function) => Ok(Some(function)),
            Err(failure) if failure.is_code("ResourceNotFoundException") => Ok(None),
            Err(failure) => Err(failure),
        }
    });
    let found: Vec<Result<Option<Configuration>, Failure>> =
        stream::iter(looks).buffered(LOOKS_AT_ONCE).collect().await;
    found.into_iter().filter_map(Result::transpose).collect()
}

pub(super) fn list(
    output: &Output,
    functions: &[Configuration],
    hours: &HashMap<String, Hour>,
    now: Timestamp,
) -> String {
    let heading = [
        ("NAME", Align::Left),
        ("RUNTIME", Align::Left),
        ("MEMORY", Align::Right),
        ("STATE", Align::Left),
        ("SIZE", Align::Right),
        ("MODIFIED", Align::Left),
        ("CALLS/H", Align::Right),
        ("COLD", Align::Right),
    ];
    let rows = functions.iter().map(|function| {
        let hour = hours.get(&function.function_name);
        vec![
            function.function_name.clone(),
            function.runtime.clone(),
            format!("{} MB", function.memory_size),
            state(function).to_owned(),
            table::size(function.code_size),
            modified(&function.last_modified, now),
            hour.map_or_else(|| "-".to_owned(), |hour| table::count(hour.last_hour.calls)),
            hour.map_or_else(|| "-".to_owned(), Hour::share),
        ]
    });
    table::render(output, &heading, rows.collect())
}

fn document(function: &Configuration, hour: Option<&Hour>) -> Value {
    json!({
        "name": function.function_name,
        "arn": function.function_arn,
        "runtime": function.runtime,
        "handler": function.handler,
        "memoryMb": function.memory_size,
        "timeoutSecs": function.timeout,
        "state": state(function),
        "stateReason": function.state_reason,
        "codeSize": function.code_size,
        "codeSha256": function.code_sha256,
        "lastModified": function.last_modified,
        "lastHour": hour.map(Hour::to_json),
    })
}

/// The state, or what an update is doing while the function is active.
fn state(function: &Configuration) -> &str {
    match (function.state.as_str(), function.last_update_status.as_str()) {
        ("Active", "InProgress") => "Updating",
        ("Active", "Failed") => "UpdateFailed",
        ("", _) => "-",
        (state, _) => state,
    }
}

fn modified(text: &str, now: Timestamp) -> String {
    match parse(text) {
        Some(then) => format!("{} ago", table::span(now.since(then))),
        None => text.to_owned(),
    }
}

/// `2026-11-20T23:45:01.123+0000`, the form that the Lambda API has.
fn parse(text: &str) -> Option<Timestamp> {
    let digits: String = text.get(..19)?.chars().filter(char::is_ascii_digit).collect();
    let (date, time) = digits.split_at_checked(8)?;
    Timestamp::parse_amz_date(&format!("{date}T{time}Z"))
}

#[cfg(test)]
mod tests {
    use super::super::client::fake::{FakeNode, block_on, not_found};
    use super::*;

    #[test]
    fn a_change_is_told_by_its_age() {
        let now = Timestamp::parse_amz_date("20261120T120000Z").unwrap();
        assert_eq!(modified("2026-11-20T11:58:00.000+0000", now), "2 min ago");
        assert_eq!(modified("2026-11-20T12:58:00.000+0000", now), "0 ms ago");
        for odd in ["", "yesterday", "2026-11-20T11:58", "üüüüüüüüüüüüü"] {
            assert_eq!(modified(odd, now), odd);
        }
    }

    #[test]
    fn states_that_the_list_leaves_out_are_asked_for() {
        let node = FakeNode::start(|request| match request.what.rsplit('/').nth(1) {
            Some("gone") => not_found(),
            _ => (200, "", json!({ "FunctionName": "kept", "State": "Active" })),
        });
        let listed = ["kept", "gone"]
            .map(|name| Configuration { function_name: name.to_owned(), ..Configuration::default() });
        let found = block_on(with_states(&node.client, listed.to_vec())).unwrap();
        assert_eq!(found.len(), 1);
        assert_eq!((found[0].function_name.as_str(), state(&found[0])), ("kept", "Active"));
    }

    #[test]
    fn the_list_looks_as_it_should() {
        let function = |name: &str, state: &str, update: &str, size| Configuration {
            function_name: name.to_owned(),
            runtime: "python3.11".to_owned(),
            memory_size: 128,
            state: state.to_owned(),
            last_update_status: update.to_owned(),
            code_size: size,
            last_modified: "2026-11-20T11:58:00.000+0000".to_owned(),
            ..Configuration::default()
        };
        let functions = [
            function("hello-python", "Active", "Successful", 51_200),
            function(&"long-name-".repeat(6), "Active", "InProgress", 12_345_678),
            function("broken", "Failed", "", 12),
        ];
        let now = Timestamp::parse_amz_date("20261120T120000Z").unwrap();
        let person = Output::for_person();
        let hour = json!({ "isOftenCold": true, "lastHour":
            { "calls": 12_345, "cold": 877, "coldShare": 0.071, "coldReasons": { "burst": 870, "update": 7 } } });
        let hours = HashMap::from([("hello-python".to_owned(), Hour::read(&hour).unwrap())]);
        super::super::golden::compare("ls-terminal.txt", &list(&person, &functions, &hours, now));
        super::super::golden::compare("ls-piped.txt", &list(&Output::plain(), &functions, &hours, now));
    }
}
