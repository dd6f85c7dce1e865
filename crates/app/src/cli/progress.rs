//! Steps that take a while: a moving line on a terminal, a plain line elsewhere, nothing in JSON mode.

use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressStyle};

use crate::cli::failure::Failure;
use crate::cli::output::{Output, Role};
use crate::cli::table;

pub struct Progress<'a> {
    output: &'a Output,
}

/// A step that is under way.
pub struct Step<'a> {
    output: &'a Output,
    bar: Option<ProgressBar>,
    label: &'static str,
    begun: Instant,
}

impl<'a> Progress<'a> {
    pub fn new(output: &'a Output) -> Self {
        Self { output }
    }

    /// Does the work, and says how long it took.
    pub fn step<T>(
        &self,
        label: &'static str,
        work: impl FnOnce(&Step<'a>) -> Result<T, Failure>,
    ) -> Result<T, Failure> {
        let step = self.begin(label);
        let result = work(&step);
        step.end(result.is_ok());
        result
    }

    pub async fn wait<T>(
        &self,
        label: &'static str,
        work: impl Future<Output = Result<T, Failure>>,
    ) -> Result<T, Failure> {
        let step = self.begin(label);
        let result = work.await;
        step.end(result.is_ok());
        result
    }

    /// A line about something that the user should know.
    pub fn note(&self, text: &str) {
        if !self.output.json {
            self.output.note(format!("  {text}"));
        }
    }

    fn begin(&self, label: &'static str) -> Step<'a> {
        let bar = (self.output.error_terminal && !self.output.json).then(|| {
            let bar = ProgressBar::new_spinner();
            if let Ok(style) = ProgressStyle::with_template("{spinner} {prefix} {elapsed}  {wide_msg}") {
                bar.set_style(style);
            }
            bar.set_prefix(label);
            bar.enable_steady_tick(Duration::from_millis(100));
            bar
        });
        Step { output: self.output, bar, label, begun: Instant::now() }
    }
}

impl Step<'_> {
    /// What the step is at.
    pub fn say(&self, text: &str) {
        if let Some(bar) = &self.bar {
            bar.set_message(text.trim().to_owned());
        }
    }

    fn end(self, done: bool) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
        if done && !self.output.json {
            let line = format!("  {:<22}{:>8}", self.label, table::span(self.begun.elapsed()));
            self.output.note(self.output.paint_note(Role::Faint, &line));
        }
    }
}
