//! `lambent logs`: a function's log, by CloudWatch Logs' FilterLogEvents.

use std::collections::HashMap;
use std::time::{Duration, SystemTime};

use http::Method;
use serde::Deserialize;
use serde_json::json;

use super::args::Logs;
use super::client::{Call, Client};
use super::failure::Failure;
use super::output::{Output, Role};
use super::table;

/// Between two looks for new lines.
const POLL_EVERY: Duration = Duration::from_millis(500);

/// How far behind the newest line a look begins: streams are written side by side, and a line may come into
/// sight after one that is younger.
const OVERLAP_MS: u64 = 10_000;

#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Event {
    #[serde(default)]
    event_id: String,
    #[serde(default)]
    log_stream_name: String,
    timestamp: u64,
    message: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Page {
    #[serde(default)]
    events: Vec<Event>,
    next_token: Option<String>,
}

pub async fn run(client: &Client, logs: Logs, output: &Output) -> Result<(), Failure> {
    let group = group(client, &logs.name).await?;
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    let mut seen = Seen { since_ms: now.saturating_sub(logs.since).as_millis() as u64, ..Seen::default() };
    loop {
        let printed = look(client, &group, &logs, &mut seen, output).await?;
        if !logs.follow {
            if !printed && !output.json {
                let since = table::span(logs.since);
                output.note(format!("no lines in {group} in the last {since}; --since looks further back"));
            }
            return Ok(());
        }
        tokio::time::sleep(POLL_EVERY).await;
    }
}

/// The group that the function logs to. The log of a deleted function can still be read.
async fn group(client: &Client, name: &str) -> Result<String, Failure> {
    let usual = format!("/aws/lambda/{name}");
    match client.configuration(name).await {
        Ok(function) if !function.logging_config.log_group.is_empty() => {
            Ok(function.logging_config.log_group)
        }
        Ok(_) => Ok(usual),
        Err(failure) if failure.is_code("ResourceNotFoundException") => {
            let request = json!({ "logGroupName": usual, "limit": 1 });
            match client.send(filter(&request)).await {
                Ok(_) => Ok(usual),
                Err(_) => Err(client.suggest(name, failure).await),
            }
        }
        Err(failure) => Err(failure),
    }
}

/// Prints what is new, and says whether there was anything.
async fn look(
    client: &Client,
    group: &str,
    logs: &Logs,
    seen: &mut Seen,
    output: &Output,
) -> Result<bool, Failure> {
    let mut printed = false;
    let mut token: Option<String> = None;
    let from = seen.since_ms;
    loop {
        let mut request = json!({ "logGroupName": group, "startTime": from });
        if let Some(pattern) = &logs.filter {
            request["filterPattern"] = pattern.as_str().into();
        }
        if let Some(token) = &token {
            request["nextToken"] = token.as_str().into();
        }
        let page: Page = match client.send(filter(&request)).await {
            Ok(reply) => serde_json::from_value(reply.json()?).map_err(|error| {
                Failure::service("BadAnswer", format!("the answer holds no events: {error}"))
            })?,
            // The group comes into being with the function's first call.
            Err(failure) if failure.is_code("ResourceNotFoundException") => return Ok(printed),
            Err(failure) => return Err(failure),
        };
        for event in page.events {
            if seen.is_new(&event) {
                print(&event, output)?;
                printed = true;
            }
        }
        match page.next_token {
            Some(next) if token.as_ref() != Some(&next) => token = Some(next),
            _ => break,
        }
    }
    seen.forget_old();
    Ok(printed)
}

fn filter(request: &serde_json::Value) -> Call {
    let mut call = Call::new("logs", Method::POST, "/")
        .header("content-type", "application/x-amz-json-1.1")
        .header("x-amz-target", "Logs_20140328.FilterLogEvents");
    call.body = request.to_string().into();
    call
}

/// What was printed already, as far back as a look goes.
#[derive(Debug, Default)]
struct Seen {
    since_ms: u64,
    newest_ms: u64,
    ids: HashMap<String, u64>,
}

impl Seen {
    fn is_new(&mut self, event: &Event) -> bool {
        self.newest_ms = self.newest_ms.max(event.timestamp);
        self.ids.insert(event.event_id.clone(), event.timestamp).is_none()
    }

    fn forget_old(&mut self) {
        self.since_ms = self.since_ms.max(self.newest_ms.saturating_sub(OVERLAP_MS));
        let since_ms = self.since_ms;
        self.ids.retain(|_, timestamp| *timestamp >= since_ms);
    }
}

fn print(event: &Event, output: &Output) -> Result<(), Failure> {
    let message = event.message.trim_end_matches('\n');
    if output.json {
        // A document a line, on a terminal too: a stream has no end to indent to.
        return output.line(
            json!({
                "timestamp": event.timestamp,
                "stream": event.log_stream_name,
                "eventId": event.event_id,
                "message": message,
            })
            .to_string(),
        );
    }
    output.line(output.paint(role(message), message))
}

fn role(message: &str) -> Role {
    let platform = ["INIT_START ", "START ", "END ", "REPORT ", "XRAY "];
    if platform.iter().any(|word| message.starts_with(word)) {
        return Role::Faint;
    }
    let marks = ["ERROR", "FATAL", "Traceback", "Task timed out"];
    if marks.iter().any(|mark| message.contains(mark)) { Role::Bad } else { Role::Plain }
}

/// `90s`, `10m`, `2h`, `1d`.
pub fn duration(text: &str) -> Result<Duration, String> {
    let expected = || "expected a number and s, m, h or d, such as 10m".to_owned();
    let unit = text.chars().next_back().ok_or_else(expected)?;
    let seconds = match unit {
        's' => 1,
        'm' => 60,
        'h' => 3_600,
        'd' => 86_400,
        _ => return Err(expected()),
    };
    let count: u64 = text.strip_suffix(unit).unwrap_or("").parse().map_err(|_| expected())?;
    count.checked_mul(seconds).map(Duration::from_secs).ok_or_else(expected)
}

#[cfg(test)]
mod tests {
    use super::super::client::fake::{FakeNode, block_on};
    use super::*;

    #[test]
    fn a_span_is_a_number_and_a_unit() {
        assert_eq!(duration("10m"), Ok(Duration::from_secs(600)));
        assert_eq!(duration("1d"), Ok(Duration::from_secs(86_400)));
        for bad in
            ["", "m", "10", "-1m", "1.5h", "10 m", "9ü", "999999999999999999999d", "18446744073709551615d"]
        {
            assert!(duration(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_line_is_printed_once_and_a_late_one_still_is() {
        let event = |id: &str, timestamp| Event {
            event_id: id.to_owned(),
            log_stream_name: String::new(),
            timestamp,
            message: String::new(),
        };
        let mut seen = Seen::default();
        assert!(seen.is_new(&event("a", 100_000)));
        seen.forget_old();
        assert!(!seen.is_new(&event("a", 100_000)));
        assert!(seen.since_ms < 99_000 && seen.is_new(&event("late", 99_000)));
        assert!(seen.is_new(&event("b", 200_000)));
        seen.forget_old();
        assert_eq!(seen.ids.len(), 1, "what no look can find again is forgotten");
    }

    #[test]
    fn every_page_is_looked_at_and_no_line_twice() {
        let node = FakeNode::start(|request| {
            let event = |id: &str| json!({ "eventId": id, "timestamp": 5, "message": "m" });
            match request.body["nextToken"].as_str() {
                None => (200, "", json!({ "events": [event("a")], "nextToken": "n" })),
                Some(_) => (200, "", json!({ "events": [event("a"), event("b")], "nextToken": "n" })),
            }
        });
        let logs =
            Logs { name: "f".into(), follow: true, since: Duration::ZERO, filter: Some("?ERROR".into()) };
        let (mut seen, output) = (Seen::default(), Output::plain());
        let mut look = || block_on(super::look(&node.client, "g", &logs, &mut seen, &output)).unwrap();
        assert!(look());
        assert!(!look(), "nothing is new");
        assert_eq!(seen.ids.len(), 2);
        assert_eq!(
            node.seen()[0].body,
            json!({ "logGroupName": "g", "startTime": 0, "filterPattern": "?ERROR" })
        );
    }

    #[test]
    fn platform_lines_are_faint_and_errors_stand_out() {
        assert_eq!(role("REPORT RequestId: x"), Role::Faint);
        assert_eq!(role("[ERROR] KeyError: 'x'"), Role::Bad);
        assert_eq!(role("STARTED"), Role::Plain);
    }
}
