//! Where a call's time went: the node's `x-lambent-timing` header, and its picture.
//!
//! The header is `cold=1;sandbox=1.23;code=0.4;runtime=10.1;init=3.2;handler=1.1`, in milliseconds; a warm call
//! has `cold=0` and the handler only.

use serde_json::{Value, json};

use super::output::{Output, Role};

pub const HEADER: &str = "x-lambent-timing";

const STAGES: [&str; 5] = ["sandbox", "code", "runtime", "init", "handler"];

/// Characters of the longest bar.
const BAR: usize = 40;

#[derive(Debug, Clone, PartialEq, Default)]
pub struct Timing {
    pub cold: bool,
    /// Milliseconds, in the order in which the stages follow each other.
    pub stages: Vec<(&'static str, f64)>,
}

impl Timing {
    /// Reads the header. Unknown names are passed over: a newer node may say more.
    pub fn parse(header: &str) -> Option<Self> {
        let mut timing = Self::default();
        for part in header.split(';') {
            let (name, value) = part.trim().split_once('=')?;
            if name == "cold" {
                timing.cold = value == "1";
            } else if let Some(stage) = STAGES.iter().find(|stage| **stage == name) {
                let value: f64 = value.parse().ok().filter(|ms: &f64| ms.is_finite() && *ms >= 0.0)?;
                timing.stages.push((stage, value));
            }
        }
        timing.stages.sort_by_key(|(name, _)| STAGES.iter().position(|stage| stage == name));
        Some(timing)
    }

    pub fn total_ms(&self) -> f64 {
        self.stages.iter().map(|(_, ms)| ms).sum()
    }

    /// What a trace says of a call's stages.
    pub fn from_json(stages: &serde_json::Map<String, Value>) -> Self {
        let stages = STAGES.iter().filter_map(|stage| Some((*stage, stages.get(*stage)?.as_f64()?)));
        Self { cold: true, stages: stages.filter(|(_, ms)| ms.is_finite() && *ms >= 0.0).collect() }
    }

    /// A line a stage, with bars to one scale, as it looks on stderr.
    pub fn render(&self, output: &Output) -> String {
        self.drawn(|bar| output.paint_note(Role::Good, bar))
    }

    /// The same, painted by somebody else.
    pub fn drawn(&self, paint: impl Fn(&str) -> String) -> String {
        let longest = self.stages.iter().map(|(_, ms)| *ms).fold(0.0, f64::max);
        let lines = self.stages.iter().map(|(name, ms)| {
            let bar = paint(&bar(*ms, longest));
            format!("  {name:<8}{ms:>10.2} ms  {bar}").trim_end().to_owned()
        });
        lines.collect::<Vec<_>>().join("\n")
    }

    pub fn to_json(&self) -> Value {
        let stages: serde_json::Map<String, Value> =
            self.stages.iter().map(|(name, ms)| ((*name).to_owned(), json!(ms))).collect();
        json!({ "cold": self.cold, "stagesMs": stages })
    }
}

/// Eighths of a block make short stages visible beside long ones.
fn bar(ms: f64, longest: f64) -> String {
    if longest <= 0.0 {
        return String::new();
    }
    let eighths = (ms / longest * BAR as f64 * 8.0).round() as usize;
    let mut text = "█".repeat(eighths / 8);
    if let Some(part) = ["", "▏", "▎", "▍", "▌", "▋", "▊", "▉"].get(eighths % 8) {
        text.push_str(part);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_header_is_read_in_any_order_and_garbage_is_refused() {
        let timing = Timing::parse("cold=1;handler=1.5;sandbox=2;colour=red").unwrap();
        assert_eq!(timing, Timing { cold: true, stages: vec![("sandbox", 2.0), ("handler", 1.5)] });
        for bad in ["", "cold", "sandbox=x", "sandbox=-1", "sandbox=NaN", "handler=inf"] {
            assert_eq!(Timing::parse(bad), None, "{bad}");
        }
    }

    #[test]
    fn the_stages_are_drawn_to_one_scale() {
        let timing = Timing::parse("cold=1;sandbox=1.23;code=0.4;runtime=10.1;init=3.2;handler=0").unwrap();
        let text = timing.render(&Output::plain());
        super::super::golden::compare("timing.txt", &text);
        assert!(text.lines().all(|line| line.chars().count() <= 80));
    }
}
