//! The command line: one file a command.
//!
//! What this is not: it knows nothing of how functions run. Commands speak to a node through its public API
//! (see [`client`]); only `up`, `doctor` and `runtimes` are about this machine. Start with [`args`].
//!
//! Invariants:
//! - data goes to stdout, everything else to stderr ([`output::Output`]);
//! - a failure has a kind, and the kind is the exit code ([`failure::Kind`]).

mod args;
mod catalogue;
pub mod client;
mod clock;
mod collector;
mod deploy;
mod doctor;
mod env;
mod failure;
mod fault;
#[cfg(test)]
mod golden;
mod hour;
mod invoke;
mod keep_alive;
mod logs;
mod ls;
mod memory;
mod nearest;
mod output;
mod progress;
mod replay;
mod rm;
mod runtimes;
mod table;
mod timing;
mod top;
mod trace;
mod up;

use std::ffi::OsString;
use std::process::ExitCode;

use clap::{CommandFactory, Parser};

use args::{Args, Command, Global};
use client::Client;
use failure::Failure;
use output::Output;

/// Parses the words, does what they say, and answers with the exit code.
pub fn run(words: impl IntoIterator<Item = OsString>) -> ExitCode {
    let args = match Args::try_parse_from(words) {
        Ok(args) => args,
        Err(error) => {
            // Help and version come this way too. Nobody is left to tell when the stream is closed.
            let _ = error.print();
            return if error.use_stderr() { ExitCode::from(2) } else { ExitCode::SUCCESS };
        }
    };
    let output = Output::detect(args.global.json, args.global.no_color);
    match dispatch(args, &output) {
        Ok(code) => code,
        Err(failure) => {
            output.failure(&failure);
            failure.exit_code()
        }
    }
}

fn dispatch(args: Args, output: &Output) -> Result<ExitCode, Failure> {
    let global = args.global;
    match args.command {
        Command::Up(up) => return up::run(&global, up),
        Command::Completions(completions) => {
            let mut script = Vec::new();
            clap_complete::generate(completions.shell, &mut Args::command(), "lambent", &mut script);
            output.data(&script)?;
        }
        Command::Doctor => doctor::run(&global, output)?,
        Command::Runtimes(runtimes) => runtimes::run(&global, runtimes, output)?,
        Command::Env(env) => env::run(&global, &env, output)?,
        Command::Deploy(deploy) => deploy::run(&global, deploy, output)?,
        Command::Invoke(invoke) => {
            with_client(&global, async |client| invoke::run(client, invoke, output).await)?
        }
        Command::Logs(logs) => with_client(&global, async |client| logs::run(client, logs, output).await)?,
        Command::Ls => with_client(&global, async |client| ls::run(client, output).await)?,
        Command::Top(top) => with_client(&global, async |client| top::run(client, top, output).await)?,
        Command::Replay(replay) => {
            with_client(&global, async |client| replay::run(client, replay, output).await)?
        }
        Command::Trace(trace) => {
            with_client(&global, async |client| trace::run(client, trace, output).await)?
        }
        Command::Clock(clock) => {
            with_client(&global, async |client| clock::run(client, clock, output).await)?
        }
        Command::Fault(fault) => {
            with_client(&global, async |client| fault::run(client, fault, output).await)?
        }
        Command::Rm(rm) => with_client(&global, async |client| rm::run(client, rm, output).await)?,
    }
    Ok(ExitCode::SUCCESS)
}

/// Runs a command that talks to the node. One thread is enough for it.
fn with_client<T>(
    global: &Global,
    command: impl AsyncFnOnce(&Client) -> Result<T, Failure>,
) -> Result<T, Failure> {
    let client = Client::new(global)?;
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| Failure::local(format!("can't start: {error}")))?
        .block_on(command(&client))
}
