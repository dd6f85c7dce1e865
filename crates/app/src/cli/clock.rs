//! `lambent clock`: the time of a node that was started with a virtual clock, for tests.

use std::time::Duration;

use http::Method;
use serde::Deserialize;

use super::args::{Clock, ClockCommand};
use super::client::{Call, Client};
use super::failure::Failure;
use super::output::Output;

const PATH: &str = "/_lambent/clock";

const ADVANCE_MAX: Duration = Duration::from_secs(366 * 86_400);

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Shown {
    time: String,
    ahead_seconds: u64,
    left_ms: u64,
}

pub async fn run(client: &Client, clock: Clock, output: &Output) -> Result<(), Failure> {
    let document = match clock.command {
        None | Some(ClockCommand::Show) => {
            client.send(Call::new("lambda", Method::GET, PATH)).await?.json()?
        }
        Some(ClockCommand::Advance { by }) => advance(client, by, output).await?,
    };
    if output.json {
        return output.document(&document);
    }
    let Shown { time, ahead_seconds, .. } = read(&document)?;
    output.line(format!("{time}, {ahead_seconds} s ahead of this machine's clock"))
}

/// The node answers after a while with what it had not time for: that is asked for again.
async fn advance(client: &Client, by: Duration, output: &Output) -> Result<serde_json::Value, Failure> {
    let mut left = u64::try_from(by.as_millis()).unwrap_or(u64::MAX);
    loop {
        let call = Call::new("lambda", Method::POST, format!("{PATH}/advance")).query("ms", left.to_string());
        let document = client.send(call).await?.json()?;
        let shown = read(&document)?;
        if shown.left_ms == 0 {
            return Ok(document);
        }
        left = shown.left_ms;
        output.note(format!("{}: what is due at this time is still under way", shown.time));
    }
}

fn read(document: &serde_json::Value) -> Result<Shown, Failure> {
    serde_json::from_value(document.clone())
        .map_err(|error| Failure::service("BadAnswer", format!("the answer is not as expected: {error}")))
}

pub fn time(text: &str) -> Result<Duration, String> {
    let time = super::logs::duration(text)?;
    if time > ADVANCE_MAX {
        return Err("at most 366d at once".to_owned());
    }
    Ok(time)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::client::fake::{FakeNode, block_on};
    use super::*;

    #[test]
    fn what_the_node_had_no_time_for_is_asked_for_again() {
        let mut left = vec![0, 700, 5_000];
        let node = FakeNode::start(move |_| (200, "", json!({ "time": "t", "leftMs": left.pop() })));
        block_on(advance(&node.client, Duration::from_secs(3_600), &Output::detect(true, true))).unwrap();
        let asked = |ms: u64| format!("POST /_lambent/clock/advance?ms={ms}");
        assert_eq!(node.changes(), [asked(3_600_000), asked(5_000), asked(700)]);
        assert!(node.seen().iter().all(|seen| seen.signed));
    }

    #[test]
    fn a_year_is_the_most_that_passes_at_once() {
        assert_eq!(time("6h"), Ok(Duration::from_secs(21_600)));
        assert!(time("367d").is_err());
        assert!(time("6").is_err());
    }
}
