//! Nothing that was acknowledged is missing after `kill -9`.
//!
//! A child process, this test binary with another test chosen, writes to a store and tells each acknowledgement
//! through a pipe; the ledger is on this side of it.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, Command as Process, Stdio};

use lambent_store::functions::{Command, FunctionStore};
use lambent_store_sql::SqliteStore;
use lambent_testkit::contracts::functions::samples;
use lambent_testkit::{SeededEntropy, block_on};

const DIRECTORY: &str = "LAMBENT_TEST_CRASH_DIRECTORY";
const WRITERS: usize = 8;
const KILLS: usize = 20;

/// What is known of one writer's pair of functions: the last generation that was acknowledged, 0 for deleted.
type Ledger = BTreeMap<usize, u64>;

#[test]
fn nothing_acknowledged_is_missing_after_kill_9() {
    let directory = tempfile::tempdir().unwrap();
    let entropy = SeededEntropy::new(std::process::id().into());
    let mut ledger = Ledger::new();
    for round in 0..KILLS {
        run_and_kill(directory.path(), 1 + (entropy.next_u64() % 150) as usize, &mut ledger);
        let store = SqliteStore::open(directory.path()).unwrap();
        for (writer, acknowledged) in &mut ledger {
            let found = generation(&store, *writer);
            // One batch may have been committed without its acknowledgement having been heard.
            assert!(
                found == *acknowledged || follows(*acknowledged, found),
                "round {round}: writer {writer} has {found}, was told {acknowledged}"
            );
            *acknowledged = found;
        }
    }
    assert!(ledger.len() == WRITERS, "{ledger:?}");
}

/// Each fifth generation is followed by a deletion.
fn follows(before: u64, after: u64) -> bool {
    after == if before == 5 { 0 } else { before + 1 }
}

/// The generation of both functions of the pair, which were written in one batch.
fn generation(store: &SqliteStore, writer: usize) -> u64 {
    let of = |half: &str| {
        let record = store.function(&samples::function_key(&format!("{half}{writer}")));
        record.map_or(0, |record| {
            assert_eq!(record.versions.len() as u64, record.generation, "a version was published each time");
            record.generation
        })
    };
    let (left, right) = (of("left"), of("right"));
    assert_eq!(left, right, "a batch was applied by half");
    left
}

/// Starts a process that holds the directory and writes until it is killed.
pub fn spawn_writer(directory: &Path) -> Child {
    Process::new(std::env::current_exe().unwrap())
        .args(["--exact", "crash::the_process_that_is_killed", "--nocapture"])
        .env(DIRECTORY, directory)
        .stdout(Stdio::piped())
        .spawn()
        .unwrap()
}

fn run_and_kill(directory: &Path, acknowledgements: usize, ledger: &mut Ledger) {
    let mut child = spawn_writer(directory);
    let pipe = child.stdout.take().unwrap();
    let mut lines = BufReader::new(pipe).lines().map_while(Result::ok);
    let mut enter = |line: String| {
        let mut words = line.split(' ');
        if words.next() == Some("acknowledged")
            && let (Some(writer), Some(generation), Some(".")) = (words.next(), words.next(), words.next())
        {
            ledger.insert(writer.parse().unwrap(), generation.parse().unwrap());
            return true;
        }
        false
    };
    let mut heard = 0;
    while heard < acknowledgements {
        heard += usize::from(enter(lines.next().expect("the child writes until it is killed")));
    }
    child.kill().unwrap();
    for line in lines {
        enter(line);
    }
    child.wait().unwrap();
}

#[test]
fn the_process_that_is_killed() {
    let Some(directory) = std::env::var_os(DIRECTORY) else { return };
    let store = SqliteStore::open(Path::new(&directory)).unwrap();
    std::thread::scope(|scope| {
        for writer in 0..WRITERS {
            let store = &store;
            scope.spawn(move || write_for_ever(store, writer));
        }
    });
}

fn write_for_ever(store: &SqliteStore, writer: usize) {
    loop {
        let next = advance(store, writer);
        // One write a line; the full stop tells a whole line from one that was cut.
        let line = format!("acknowledged {writer} {next} .\n");
        std::io::stdout().write_all(line.as_bytes()).unwrap();
    }
}

fn advance(store: &SqliteStore, writer: usize) -> u64 {
    let mut next = 0;
    let batch = ["left", "right"].map(|half| {
        let key = samples::function_key(&format!("{half}{writer}"));
        let record = match store.function(&key) {
            None => samples::function(key, writer as u64),
            Some(found) if found.generation == 5 => return Command::DeleteFunction { key, expected: 5 },
            Some(found) => {
                let mut record = (*found).clone();
                record.generation += 1;
                record
            }
        };
        next = record.generation;
        samples::put(samples::published(record))
    });
    block_on(store.apply(batch.into())).unwrap();
    next
}
