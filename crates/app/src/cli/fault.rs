//! `lambent fault`: rules by which targets fail, on a node that was started for tests.

use http::Method;
use serde::Deserialize;
use serde_json::{Value, json};

use super::args::{Fault, FaultAdd, FaultCommand};
use super::client::{Call, Client};
use super::failure::Failure;
use super::output::Output;
use super::table::{self, Align};

const PATH: &str = "/_lambent/faults";

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Listed {
    faults: Vec<Rule>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Rule {
    id: u64,
    target: String,
    kind: String,
    slow_ms: u64,
    times_left: Option<u64>,
    applied: u64,
}

pub async fn run(client: &Client, fault: Fault, output: &Output) -> Result<(), Failure> {
    match fault.command {
        FaultCommand::Add(add) => {
            let rule = client.send(call_of(&add)).await?.json()?;
            if output.json {
                return output.document(&rule);
            }
            output.line(rule["id"].to_string())
        }
        FaultCommand::Ls => {
            let document = client.send(Call::new("lambda", Method::GET, PATH)).await?.json()?;
            if output.json {
                return output.document(&document);
            }
            output.line(listed(output, document)?)
        }
        FaultCommand::Rm { ids } => {
            for id in &ids {
                client.send(Call::new("lambda", Method::DELETE, PATH).query("id", id.to_string())).await?;
                if !output.json {
                    output.note(format!("removed {id}"));
                }
            }
            if output.json { output.document(&json!({ "removed": ids })) } else { Ok(()) }
        }
    }
}

fn call_of(add: &FaultAdd) -> Call {
    let kind = match add {
        FaultAdd { error: true, .. } => "error",
        FaultAdd { throttle: true, .. } => "throttle",
        FaultAdd { drop_answer: true, .. } => "drop-answer",
        _ => "slow",
    };
    let mut call = Call::new("lambda", Method::POST, PATH).query("target", &add.target).query("kind", kind);
    if let Some(slow) = add.slow {
        call = call.query("ms", slow.as_millis().to_string());
    }
    if let Some(times) = add.times {
        call = call.query("times", times.to_string());
    }
    call
}

fn listed(output: &Output, document: Value) -> Result<String, Failure> {
    let listed: Listed = serde_json::from_value(document)
        .map_err(|error| Failure::service("BadAnswer", format!("the answer is not as expected: {error}")))?;
    let heading = [
        ("ID", Align::Right),
        ("FAULT", Align::Left),
        ("APPLIED", Align::Right),
        ("LEFT", Align::Right),
        ("TARGET", Align::Left),
    ];
    let rows = listed.faults.into_iter().map(|rule| {
        vec![
            rule.id.to_string(),
            if rule.slow_ms > 0 { format!("slow {} ms", rule.slow_ms) } else { rule.kind },
            rule.applied.to_string(),
            rule.times_left.map_or_else(|| "-".to_owned(), |left| left.to_string()),
            rule.target,
        ]
    });
    Ok(table::render(output, &heading, rows.collect()))
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::super::args::{Args, Command};
    use super::super::client::fake::{FakeNode, block_on};
    use super::*;

    const ARN: &str = "arn:aws:sqs:us-east-1:000000000000:q";

    fn parsed(words: &[&str]) -> Option<Fault> {
        let words = ["lambent", "fault"].iter().chain(words);
        match Args::try_parse_from(words).ok()?.command {
            Command::Fault(fault) => Some(fault),
            _ => None,
        }
    }

    #[test]
    fn what_was_typed_is_asked_for() {
        let node = FakeNode::start(|_| (200, "", json!({ "id": 1 })));
        let output = Output::detect(true, true);
        for words in [
            &["add", "--target", ARN, "--error", "--times", "3"][..],
            &["add", "--target", ARN, "--slow", "2s"],
            &["add", "--target", ARN, "--drop-answer"],
            &["rm", "4", "5"],
        ] {
            block_on(run(&node.client, parsed(words).unwrap(), &output)).unwrap();
        }
        let target = "target=arn%3Aaws%3Asqs%3Aus-east-1%3A000000000000%3Aq";
        assert_eq!(
            node.changes(),
            [
                format!("POST /_lambent/faults?{target}&kind=error&times=3"),
                format!("POST /_lambent/faults?{target}&kind=slow&ms=2000"),
                format!("POST /_lambent/faults?{target}&kind=drop-answer"),
                "DELETE /_lambent/faults?id=4".to_owned(),
                "DELETE /_lambent/faults?id=5".to_owned(),
            ]
        );
    }

    #[test]
    fn a_rule_has_one_target_and_one_fault() {
        for bad in [
            &["add", "--target", ARN][..],
            &["add", "--error"],
            &["add", "--target", ARN, "--error", "--throttle"],
            &["add", "--target", ARN, "--error", "--times", "0"],
            &["rm"],
            &[],
        ] {
            assert!(parsed(bad).is_none(), "{bad:?}");
        }
    }

    #[test]
    fn the_rules_are_a_table() {
        let rules = json!({ "faults": [
            { "id": 3, "target": ARN, "kind": "slow", "slowMs": 2000, "applied": 7, "timesLeft": 2 },
            { "id": 4, "target": ARN, "kind": "throttle", "applied": 0 },
        ]});
        let table = listed(&Output::detect(false, true), rules).unwrap();
        let lines: Vec<Vec<&str>> = table.lines().map(|line| line.split_whitespace().collect()).collect();
        assert_eq!(lines[1], ["3", "slow", "2000", "ms", "7", "2", ARN]);
        assert_eq!(lines[2], ["4", "throttle", "0", "-", ARN]);
    }
}
