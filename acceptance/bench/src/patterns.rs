//! Events a second that the thousand rules of one bus are asked about, on one core, read from their text first; beside
//! reading alone.

#[path = "../../../crates/pattern/benches/bus/mod.rs"]
mod bus;

use std::hint::black_box;
use std::time::{Duration, Instant};

use lambent_pattern::{Index, Pattern};
use serde_json::Value;

use crate::Result;
use crate::table::{Goal, Row, Table, median};

const SPAN: Duration = Duration::from_secs(1);
/// Reading and matching take turns.
const TURNS: usize = 3;
const EVENTS: usize = 4_000;

pub fn measure(table: &mut Table) -> Result<()> {
    let mut rules = Vec::new();
    for n in 0..bus::RULES {
        rules.push((Pattern::parse(&bus::rule(n)).map_err(|_| "a rule of the bus is no pattern")?, n));
    }
    let index = Index::new(rules);
    let texts: Vec<String> = (0..EVENTS).map(bus::event).collect();
    let (mut read, mut matched, mut found) = (Vec::new(), Vec::new(), 0);
    for _ in 0..TURNS {
        read.push(rate(&texts, |event| {
            black_box(event);
        })?);
        matched.push(rate(&texts, |event| found += index.matching(event).len())?);
    }
    if found == 0 {
        return Err("no rule matched any event".into());
    }
    let row = Row::new("1,000 rules", "events/s", median(&mut matched), Goal::AtLeast(50_000.0));
    table.add(row.over(median(&mut read)));
    Ok(())
}

fn rate(texts: &[String], mut judge: impl FnMut(&Value)) -> Result<f64> {
    let (began, mut count) = (Instant::now(), 0);
    while began.elapsed() < SPAN {
        for text in texts {
            judge(&serde_json::from_str(text)?);
        }
        count += texts.len();
    }
    Ok(count as f64 / began.elapsed().as_secs_f64())
}
