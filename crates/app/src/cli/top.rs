//! `lambent top`: who uses the capacity of the account in the region, and who was throttled because of whom.

use std::time::Duration;

use http::Method;
use lambent_core::Timestamp;
use serde::Deserialize;
use serde_json::Value;

use super::args::Top;
use super::client::{Call, Client};
use super::failure::Failure;
use super::output::{Output, Role};
use super::table::{self, Align};

const PATH: &str = "/_lambent/top";
const EVERY: Duration = Duration::from_secs(2);

/// Wide enough for most names; a longer one is cut, so that the table keeps to a line a function.
const NAME_CHARS_MAX: usize = 22;

/// Columns of a terminal that notes keep to.
const COLUMNS: usize = 80;

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Report {
    account: String,
    region: String,
    time: String,
    limit: u64,
    claimed: u64,
    unreserved: Unreserved,
    functions: Vec<Function>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Unreserved {
    limit: u64,
    in_use: u64,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Function {
    function: String,
    in_use: u64,
    reserved: Option<u64>,
    provisioned: Option<Provisioned>,
    last_hour: LastHour,
    is_often_cold: bool,
    throttled: Option<Throttled>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Provisioned {
    requested: u64,
    ready: u64,
    in_use: u64,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct LastHour {
    calls: u64,
    cold_share: f64,
    throttles: u64,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Throttled {
    at: String,
    reason: String,
    held_by: Vec<Held>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Held {
    function: String,
    in_use: u64,
}

pub async fn run(client: &Client, top: Top, output: &Output) -> Result<(), Failure> {
    if output.json {
        return output.document(&fetch(client).await?);
    }
    if top.once || !output.terminal {
        return output.line(page(output, &read(fetch(client).await?)?));
    }
    loop {
        let text = page(output, &read(fetch(client).await?)?);
        // From the top left corner, and what was below it goes.
        output.data(format!("\x1b[H\x1b[J{text}\n").as_bytes())?;
        tokio::time::sleep(EVERY).await;
    }
}

async fn fetch(client: &Client) -> Result<Value, Failure> {
    client.send(Call::new("lambda", Method::GET, PATH)).await?.json()
}

fn read(document: Value) -> Result<Report, Failure> {
    serde_json::from_value(document)
        .map_err(|error| Failure::service("BadAnswer", format!("the answer is not as expected: {error}")))
}

fn page(output: &Output, report: &Report) -> String {
    let Report { account, region, limit, claimed, unreserved, .. } = report;
    let mut lines = vec![format!(
        "{account} in {region}: {} of {} unreserved in use, {claimed} of {limit} claimed",
        unreserved.in_use, unreserved.limit
    )];
    if report.functions.is_empty() {
        lines.push("no function was called within the last hour".to_owned());
        return lines.join("\n");
    }
    lines.push(String::new());
    lines.push(functions(output, &report.functions));
    if report.functions.iter().any(|function| function.is_often_cold) {
        let note = "! more than 5 % of the calls waited for a cold start";
        lines.push(String::new());
        lines.push(output.paint(Role::Warning, note));
    }
    for function in &report.functions {
        if let Some(throttled) = &function.throttled {
            lines.push(String::new());
            lines.push(throttle(output, &function.function, throttled, &report.time));
        }
    }
    lines.join("\n")
}

fn functions(output: &Output, functions: &[Function]) -> String {
    let heading = [
        ("FUNCTION", Align::Left),
        ("IN USE", Align::Right),
        ("RESERVED", Align::Right),
        ("PROVISIONED", Align::Right),
        ("CALLS/H", Align::Right),
        ("COLD", Align::Right),
        ("THROTTLED", Align::Right),
    ];
    let dash = || "-".to_owned();
    let rows = functions.iter().map(|function| {
        let cold = format!("{:.1}%", function.last_hour.cold_share * 100.0);
        vec![
            if output.terminal {
                table::cut(&function.function, NAME_CHARS_MAX)
            } else {
                function.function.clone()
            },
            function.in_use.to_string(),
            function.reserved.map_or_else(dash, |reserved| reserved.to_string()),
            function.provisioned.as_ref().map_or_else(dash, provisioned),
            table::count(function.last_hour.calls),
            if function.is_often_cold { format!("{cold}!") } else { cold },
            table::count(function.last_hour.throttles),
        ]
    });
    table::render(output, &heading, rows.collect())
}

/// In use of those that stand, and of how many that were asked for while some are missing.
fn provisioned(provisioned: &Provisioned) -> String {
    let Provisioned { requested, ready, in_use } = provisioned;
    if ready == requested { format!("{in_use}/{ready}") } else { format!("{in_use}/{ready} of {requested}") }
}

fn throttle(output: &Output, function: &str, throttled: &Throttled, now: &str) -> String {
    let when = match (parse(&throttled.at), parse(now)) {
        (Some(then), Some(now)) => format!("{} ago", table::span(now.since(then))),
        _ => throttled.at.clone(),
    };
    let name = if output.terminal { table::cut(function, NAME_CHARS_MAX) } else { function.to_owned() };
    let first = format!("{name} was throttled {when}");
    let held: Vec<String> = throttled
        .held_by
        .iter()
        .map(|held| {
            let name = if output.terminal {
                table::cut(&held.function, NAME_CHARS_MAX)
            } else {
                held.function.clone()
            };
            format!("{name} {}", held.in_use)
        })
        .collect();
    let mut lines = vec![output.paint(Role::Strong, &first), format!("  {}", throttled.reason)];
    match held.is_empty() {
        true => {}
        false if output.terminal => lines.extend(folded("  held by ", &held)),
        false => lines.push(format!("  held by {}", held.join(", "))),
    }
    lines.join("\n")
}

/// The items behind the words, in lines that fit.
fn folded(words: &str, items: &[String]) -> Vec<String> {
    let mut lines = vec![words.to_owned()];
    for (at, item) in items.iter().enumerate() {
        let item = if at + 1 < items.len() { format!("{item}, ") } else { item.clone() };
        let is_full = lines.last().is_some_and(|line| line.chars().count() + item.chars().count() > COLUMNS);
        if is_full {
            lines.push(" ".repeat(words.len()));
        }
        if let Some(line) = lines.last_mut() {
            line.push_str(&item);
        }
    }
    lines.into_iter().map(|line| line.trim_end().to_owned()).collect()
}

/// `2026-11-20T23:45:01.123Z`.
fn parse(text: &str) -> Option<Timestamp> {
    let digits: String = text.get(..19)?.chars().filter(char::is_ascii_digit).collect();
    let (date, time) = digits.split_at_checked(8)?;
    Timestamp::parse_amz_date(&format!("{date}T{time}Z"))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::client::fake::{FakeNode, block_on};
    use super::*;

    fn document() -> Value {
        let long = "a-function-with-a-name-of-sixty-four-characters-which-is-the-most";
        let hour = |calls: u64, share: f64, throttles: u64| json!({ "calls": calls, "cold": 1, "coldShare": share, "throttles": throttles });
        json!({
            "account": "000000000000", "region": "us-east-1", "time": "2026-11-20T12:00:12.000Z",
            "limit": 1000, "claimed": 110, "unreserved": { "limit": 890, "inUse": 890 },
            "functions": [
                { "function": long, "inUse": 885, "reserved": null, "provisioned": null,
                  "lastHour": hour(1_234_567, 0.012, 0), "isOftenCold": false, "throttled": null },
                { "function": "orders", "inUse": 8, "reserved": 100,
                  "provisioned": { "requested": 10, "ready": 9, "inUse": 8 },
                  "lastHour": hour(9_000, 0.071, 0), "isOftenCold": true, "throttled": null },
                { "function": "late", "inUse": 0, "reserved": null, "provisioned": null,
                  "lastHour": hour(3, 0.0, 12), "isOftenCold": false,
                  "throttled": { "at": "2026-11-20T12:00:00.000Z", "reason": "ConcurrentInvocationLimitExceeded",
                    "heldBy": [{ "function": long, "inUse": 885 }, { "function": "b", "inUse": 3 },
                      { "function": long, "inUse": 1 }, { "function": "orders", "inUse": 1 }] } },
            ],
        })
    }

    #[test]
    fn the_table_fits_a_terminal_and_says_who_held_the_capacity() {
        let report = read(document()).unwrap();
        let person = page(&Output::for_person(), &report);
        super::super::golden::compare("top-terminal.txt", &person);
        assert!(person.lines().all(|line| line.chars().count() <= COLUMNS), "{person}");
        super::super::golden::compare("top-piped.txt", &page(&Output::plain(), &report));
    }

    #[test]
    fn it_is_asked_for_with_a_signature_and_an_idle_node_says_so() {
        let node = FakeNode::start(|_| (200, "", json!({ "account": "1", "functions": [] })));
        block_on(run(&node.client, Top { once: true }, &Output::plain())).unwrap();
        let seen = node.seen();
        assert_eq!((seen[0].what.as_str(), seen[0].signed), ("GET /_lambent/top", true));
        let text = page(&Output::plain(), &Report::default());
        assert!(text.ends_with("no function was called within the last hour"), "{text}");
    }
}
