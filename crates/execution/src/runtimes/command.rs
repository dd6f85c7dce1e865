//! Running other programs: interpreters that are asked for their version, and package managers.

use std::io::{BufRead, BufReader, Read};
use std::process::{Command, ExitStatus, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use super::Progress;

/// Set when this process ends: what it started to learn about its host is not waited for.
static ENDING: AtomicBool = AtomicBool::new(false);

/// The long-running ones, while they are not waited for yet.
static RUNNING: Mutex<Vec<u32>> = Mutex::new(Vec::new());

/// Ends the programs that were started to learn about this host or to compile clients for it. For a process that is
/// about to end: what they were making is made again by the next one.
pub fn end() {
    ENDING.store(true, Ordering::SeqCst);
    for pid in running().iter() {
        if let Some(pid) = i32::try_from(*pid).ok().and_then(rustix::process::Pid::from_raw) {
            let _ = rustix::process::kill_process(pid, rustix::process::Signal::KILL);
        }
    }
}

fn running() -> MutexGuard<'static, Vec<u32>> {
    RUNNING.lock().unwrap_or_else(PoisonError::into_inner)
}

fn ending() -> bool {
    ENDING.load(Ordering::SeqCst)
}

/// An interpreter that hasn't told its version by then isn't one.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(10);
/// How often a silent program is looked at.
const POLL: Duration = Duration::from_millis(2);
/// What is kept of a program's complaints.
const COMPLAINT_LINES: usize = 12;

/// The first kilobytes of a quick program's output; `None` when it fails, hangs or can't be started.
pub(super) fn ask(command: &mut Command) -> Option<String> {
    let mut child = command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null()).spawn().ok()?;
    let deadline = Instant::now() + ANSWER_TIMEOUT;
    // The answers fit in the pipe: nothing has to be read before the program ends.
    let status = loop {
        match child.try_wait() {
            Ok(Some(status)) => break Some(status),
            Ok(None) if Instant::now() < deadline && !ending() => std::thread::sleep(POLL),
            _ => {
                let _ = child.kill();
                let _ = child.wait();
                break None;
            }
        }
    }?;
    if !status.success() {
        return None;
    }
    let mut text = String::new();
    child.stdout.take()?.take(16 * 1024).read_to_string(&mut text).ok()?;
    Some(text)
}

#[derive(Debug, thiserror::Error)]
pub enum CommandError {
    #[error("can't start {program}")]
    Start {
        program: String,
        #[source]
        cause: std::io::Error,
    },
    #[error("{program} ended with {status}:\n{complaint}")]
    Failed { program: String, status: ExitStatus, complaint: String },
}

/// Runs a program to its end and tells its output to `progress` line by line.
pub(super) fn run(command: &mut Command, progress: &dyn Progress) -> Result<(), CommandError> {
    let program = command.get_program().to_string_lossy().into_owned();
    let start = |cause| CommandError::Start { program: program.clone(), cause };
    let mut child =
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().map_err(start)?;
    running().push(child.id());
    if ending() {
        let _ = child.kill();
    }
    let complaints = child.stderr.take().map(|pipe| {
        std::thread::spawn(move || {
            let mut last = std::collections::VecDeque::new();
            for line in BufReader::new(pipe).lines().map_while(Result::ok) {
                if last.len() == COMPLAINT_LINES {
                    last.pop_front();
                }
                last.push_back(line);
            }
            last
        })
    });
    if let Some(pipe) = child.stdout.take() {
        for line in BufReader::new(pipe).lines().map_while(Result::ok) {
            if !line.trim().is_empty() {
                progress.step(line.trim());
            }
        }
    }
    // Forgotten before it is waited for, so that its number is never another program's.
    running().retain(|pid| *pid != child.id());
    let status = child.wait().map_err(|cause| CommandError::Start { program: program.clone(), cause })?;
    if status.success() {
        return Ok(());
    }
    let last = complaints.and_then(|thread| thread.join().ok()).unwrap_or_default();
    Err(CommandError::Failed { program, status, complaint: Vec::from(last).join("\n") })
}
