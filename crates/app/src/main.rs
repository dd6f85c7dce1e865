//! The binary `lambent`: the command line, and the helper process that makes sandboxes.

mod cli;
mod node;

use std::process::ExitCode;

/// The first word with which the node starts this program again as its spawner of sandboxes.
const SPAWNER: &str = "__sandbox-spawner";

fn main() -> ExitCode {
    // Before anything else: the spawner must have one thread and nothing of the command line's.
    if std::env::args_os().nth(1).is_some_and(|word| word == SPAWNER) {
        lambent_sandbox::spawner_main()
    }
    cli::run(std::env::args_os())
}
