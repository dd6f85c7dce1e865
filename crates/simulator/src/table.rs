//! What was found, for people and for programs.

use serde_json::{Value, json};

use crate::outcome::Outcome;
use crate::policies::{FIXED, NOTHING};

/// What one policy came to, by seed.
pub struct Row {
    pub name: &'static str,
    pub outcomes: Vec<Outcome>,
}

/// What is compared, and how it is named.
type Figure = (&'static str, fn(&Outcome) -> f64);
const FIGURES: [Figure; 4] = [
    ("cold", Outcome::cold_percent),
    ("p75", Outcome::third_quartile_percent),
    ("wait", |outcome| outcome.wait_secs),
    ("idle", |outcome| outcome.idle_gb_secs),
];

impl Row {
    fn mean(&self, of: impl Fn(&Outcome) -> f64) -> f64 {
        self.outcomes.iter().map(of).sum::<f64>() / (self.outcomes.len() as f64).max(1.0)
    }

    /// By seed, and in order: what this policy came to by what the other did on the same trace.
    fn ratios(&self, other: &Row, of: fn(&Outcome) -> f64) -> Vec<f64> {
        let pairs = self.outcomes.iter().zip(&other.outcomes);
        let mut ratios: Vec<f64> = pairs.map(|(own, others)| of(own) / of(others)).collect();
        ratios.sort_by(f64::total_cmp);
        ratios
    }
}

fn reference(rows: &[Row]) -> Option<&Row> {
    rows.iter().find(|row| row.name == FIXED.name)
}

/// No line is longer than 80 columns.
pub fn text(rows: &[Row]) -> String {
    let mut lines = vec![format!(
        "{:<17}{:>8}{:>8}{:>10}{:>13}{:>8}{:>8}{:>8}",
        "policy", "cold %", "p75 %", "wait s", "idle GB s", "ahead", "evicted", "failed"
    )];
    for row in rows {
        lines.push(format!(
            "{:<17}{:>8.3}{:>8.2}{:>10.1}{:>13.0}{:>8.0}{:>8.0}{:>8.0}",
            row.name,
            row.mean(Outcome::cold_percent),
            row.mean(Outcome::third_quartile_percent),
            row.mean(|o| o.wait_secs),
            row.mean(|o| o.idle_gb_secs),
            row.mean(|o| o.ahead as f64),
            row.mean(|o| o.evicted as f64),
            row.mean(|o| o.failed as f64),
        ));
    }
    if let Some(reference) = reference(rows) {
        lines.push(String::new());
        lines.push(format!(
            "As a share of {:?} on the same trace: the median, and all seeds' range",
            FIXED.name
        ));
        let head: String = FIGURES.iter().map(|(name, _)| format!("{name:>15}")).collect();
        lines.push(format!("{:<17}{head}", ""));
        for row in rows.iter().filter(|row| row.name != FIXED.name && row.name != NOTHING.name) {
            let cells: String = FIGURES
                .iter()
                .map(|(_, of)| {
                    let ratios = row.ratios(reference, *of);
                    let at = |i: usize| ratios.get(i).copied().unwrap_or(f64::NAN);
                    let range = format!("{:.2}-{:.2}", at(0), at(ratios.len().saturating_sub(1)));
                    format!("{:>5.2}{range:>10}", at(ratios.len() / 2))
                })
                .collect();
            lines.push(format!("{:<17}{cells}", row.name));
        }
    }
    lines.join("\n") + "\n"
}

pub fn json(rows: &[Row]) -> Value {
    let of_policy = |row: &Row| {
        let outcomes: Vec<Value> = row.outcomes.iter().map(one).collect();
        json!({ "policy": row.name, "traces": outcomes })
    };
    json!({ "policies": rows.iter().map(of_policy).collect::<Vec<_>>() })
}

fn one(outcome: &Outcome) -> Value {
    json!({
        "calls": outcome.calls,
        "cold": outcome.cold,
        "coldPercent": outcome.cold_percent(),
        "coldPercentThirdQuartile": outcome.third_quartile_percent(),
        "waitSeconds": outcome.wait_secs,
        "idleGigabyteSeconds": outcome.idle_gb_secs,
        "starts": outcome.starts,
        "startsAhead": outcome.ahead,
        "evicted": outcome.evicted,
        "failed": outcome.failed,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_fits_a_terminal_even_when_numbers_are_great() {
        let outcome = Outcome {
            calls: 99_999_999,
            cold: 99_999_999,
            cold_shares: vec![1.0],
            wait_secs: 9_999_999.0,
            idle_gb_secs: 999_999_999_999.0,
            ahead: 9_999_999,
            evicted: 9_999_999,
            failed: 9_999_999,
            ..Outcome::default()
        };
        let row = |name| Row { name, outcomes: vec![outcome.clone(), outcome.clone()] };
        let text = text(&[row(FIXED.name), row("hybrid histogram")]);
        assert!(text.lines().all(|line| line.chars().count() <= 80), "{text}");
        assert!(text.contains("1.00 1.00-1.00"), "{text}");
    }
}
