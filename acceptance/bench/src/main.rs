//! Measures a node from outside, and a floor beside each value in the same run: a ratio says more of a program
//! on a shared machine than a time does.
//!
//! `lambent-bench run PATH_OF_LAMBENT` prints a table; `lambent-bench echo` is the floor's server.
//!
//! Invariant: requests are signed before the clock starts, and both sides are asked by one and the same client.

mod arrivals;
mod burst;
mod client;
mod cold;
mod deploy;
mod echo;
mod functions;
mod idle;
mod languages;
mod memory;
mod node;
mod patterns;
mod processes;
mod queues;
mod rivals;
mod schedules;
mod size;
mod snapstart;
mod stages;
mod store;
mod storm;
mod table;
mod throughput;
mod topics;
mod waiting;

use std::path::PathBuf;
use std::process::ExitCode;

use table::Table;

/// Any error ends the run; its text is for the person who reads it.
pub type Result<T> = std::result::Result<T, Box<dyn std::error::Error + Send + Sync>>;

/// In the order in which they run. `rivals` runs only when it is asked for.
const PARTS: [&str; 18] = [
    "warm",
    "cold",
    "empty",
    "snapstart",
    "storm",
    "burst",
    "memory",
    "many-idle",
    "idle",
    "deploy",
    "many",
    "queues",
    "async",
    "topics",
    "patterns",
    "schedules",
    "waiting",
    "rivals",
];

const USAGE: &str = "\
lambent-bench run PATH_OF_LAMBENT [--json] [--rounds COUNT] [--native PROGRAM] [--boto3 FOLDER]
                  [--rivals FOLDER] [PART ...]
lambent-bench echo

parts: warm cold empty snapstart storm burst memory many-idle idle deploy many
       queues async topics patterns schedules waiting rivals";

/// What to measure, and with what.
pub struct Bench {
    pub binary: PathBuf,
    /// First calls of each kind; the first of all is not counted.
    pub rounds: usize,
    /// A function's `bootstrap`.
    pub native: Option<PathBuf>,
    /// Where the AWS SDK for Python is installed.
    pub boto3: Option<PathBuf>,
    /// Where other platforms are installed.
    pub rivals: Option<PathBuf>,
    pub json: bool,
    pub parts: Vec<String>,
}

fn main() -> ExitCode {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let outcome = match words.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["echo"] => echo::serve().map(|()| true),
        ["run", ref rest @ ..] => read(rest).and_then(|bench| run(&bench)),
        _ => Err(USAGE.into()),
    };
    match outcome {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::from(2)
        }
    }
}

fn read(words: &[&str]) -> Result<Bench> {
    let mut bench = Bench {
        binary: PathBuf::new(),
        rounds: 100,
        native: None,
        boto3: None,
        rivals: None,
        json: false,
        parts: Vec::new(),
    };
    let mut words = words.iter();
    bench.binary = words.next().ok_or(USAGE)?.into();
    while let Some(word) = words.next() {
        let mut value = || words.next().ok_or(format!("{word} needs a value\n{USAGE}"));
        match *word {
            "--json" => bench.json = true,
            "--rounds" => bench.rounds = value()?.parse()?,
            "--native" => bench.native = Some(value()?.into()),
            "--boto3" => bench.boto3 = Some(value()?.into()),
            "--rivals" => bench.rivals = Some(value()?.into()),
            part if PARTS.contains(&part) => bench.parts.push(part.to_owned()),
            other => return Err(format!("what is {other}?\n{USAGE}").into()),
        }
    }
    Ok(bench)
}

/// Whether every goal was met.
fn run(bench: &Bench) -> Result<bool> {
    // One thread, so that the client costs both sides the same.
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let mut table = Table::default();
    for part in PARTS {
        let wanted = match bench.parts.is_empty() {
            true => part != "rivals",
            false => bench.parts.iter().any(|wanted| wanted == part),
        };
        if wanted && let Err(error) = runtime.block_on(measure(part, bench, &mut table)) {
            // The other parts still say what they have to say; the run fails all the same.
            table.fail(part, &error.to_string());
        }
    }
    match bench.json {
        true => println!("{:#}", table.to_json()),
        false => println!("{}", table.render()),
    }
    Ok(table.all_met())
}

async fn measure(part: &str, bench: &Bench, table: &mut Table) -> Result<()> {
    match part {
        "warm" => throughput::measure(bench, table).await,
        "cold" => cold::first_calls(bench, table).await,
        "empty" => cold::empty_pool(bench, table).await,
        "snapstart" => snapstart::measure(bench, table).await,
        "storm" => storm::measure(bench, table).await,
        "burst" => burst::measure(bench, table).await,
        "memory" => memory::of_python(bench, table).await,
        "many-idle" => memory::of_many(bench, table).await,
        "idle" => idle::measure(bench, table).await,
        "deploy" => deploy::measure(bench, table).await,
        "many" => size::measure(bench, table).await,
        "queues" => queues::measure(bench, table).await,
        "async" => arrivals::measure(bench, table).await,
        "topics" => topics::measure(bench, table).await,
        "patterns" => patterns::measure(table),
        "schedules" => schedules::measure(bench, table).await,
        "waiting" => waiting::measure(bench, table).await,
        "rivals" => rivals::measure(bench, table).await,
        other => Err(format!("no part {other}").into()),
    }
}
