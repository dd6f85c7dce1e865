//! Runs other people's tools: pip, npm, cargo.

use std::io::{self, BufRead, BufReader, Read};
use std::process::{Command, Stdio};

use crate::cli::failure::Failure;
use crate::cli::progress::Step;

/// Of a failed tool's output, the lines that are shown.
const LINES_SHOWN: usize = 40;

/// Runs the tool to its end and answers with its stdout. Its stderr moves the step's line; when it fails, the
/// end of its output is the failure's message.
pub fn run(command: &mut Command, step: &Step, missing: &str) -> Result<Vec<u8>, Failure> {
    let name = command.get_program().to_string_lossy().into_owned();
    let mut child =
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().map_err(
            |error| {
                let failure = Failure::local(format!("can't run {name}: {error}"));
                if error.kind() == io::ErrorKind::NotFound { failure.hint(missing) } else { failure }
            },
        )?;
    let stdout = child.stdout.take();
    // Both pipes are read at once, or a tool that fills one would wait for ever.
    let reader = std::thread::spawn(move || {
        let mut bytes = Vec::new();
        if let Some(mut stdout) = stdout {
            let _ = stdout.read_to_end(&mut bytes);
        }
        bytes
    });
    let mut said = Vec::new();
    if let Some(stderr) = child.stderr.take() {
        let mut stderr = BufReader::new(stderr);
        let mut line = Vec::new();
        while stderr.read_until(b'\n', &mut line).is_ok_and(|read| read > 0) {
            let text = String::from_utf8_lossy(&line).trim_end().to_owned();
            step.say(&text);
            said.push(text);
            line.clear();
        }
    }
    let status = child.wait().map_err(|error| Failure::local(format!("can't wait for {name}: {error}")))?;
    let stdout = reader.join().unwrap_or_default();
    if status.success() {
        return Ok(stdout);
    }
    if said.iter().all(|line| line.is_empty()) {
        said = String::from_utf8_lossy(&stdout).lines().map(str::to_owned).collect();
    }
    let shown = &said[said.len().saturating_sub(LINES_SHOWN)..];
    let shown: String = shown.iter().map(|line| format!("\n  {line}")).collect();
    Err(Failure::local(format!("{name} failed ({status}){shown}")))
}

/// The stdout of a quick question to a tool; `None` when it is not here or says no.
pub fn ask(command: &mut Command) -> Option<String> {
    let output = command.stdin(Stdio::null()).stderr(Stdio::null()).output().ok()?;
    output.status.success().then(|| String::from_utf8_lossy(&output.stdout).trim().to_owned())
}
