//! What was measured, beside its floor and its goal; what was missed, by how much, and what its time went to.

use serde_json::{Value, json};

use crate::stages::Spent;

/// What has to hold for a row.
#[derive(Debug, Clone, Copy)]
pub enum Goal {
    /// Value divided by floor is at most this.
    RatioAtMost(f64),
    /// Value divided by floor is at least this.
    RatioAtLeast(f64),
    /// The value itself is at most this.
    AtMost(f64),
    /// The value itself is at least this.
    AtLeast(f64),
    /// The value itself is at least the first, or divided by its floor at least the second.
    AtLeastOrRatio(f64, f64),
    /// Told for its own sake.
    None,
}

/// One line of the table.
pub struct Row {
    name: String,
    unit: &'static str,
    value: f64,
    floor: Option<f64>,
    goal: Goal,
    spent: Option<Spent>,
}

impl Row {
    pub fn new(name: &str, unit: &'static str, value: f64, goal: Goal) -> Self {
        Self { name: name.to_owned(), unit, value, floor: None, goal, spent: None }
    }

    pub fn over(self, floor: f64) -> Self {
        Self { floor: Some(floor), ..self }
    }

    pub fn spent(self, spent: Spent) -> Self {
        Self { spent: Some(spent), ..self }
    }

    fn ratio(&self) -> Option<f64> {
        self.floor.map(|floor| self.value / floor)
    }

    /// What the goal is about, its bound, and whether more is worse.
    fn judged(&self) -> Option<(f64, f64, bool)> {
        let ratio = self.ratio().unwrap_or(f64::NAN);
        match self.goal {
            Goal::RatioAtMost(most) => Some((ratio, most, true)),
            Goal::RatioAtLeast(least) => Some((ratio, least, false)),
            Goal::AtMost(most) => Some((self.value, most, true)),
            Goal::AtLeast(least) => Some((self.value, least, false)),
            Goal::AtLeastOrRatio(least, _) if self.value >= least => Some((self.value, least, false)),
            Goal::AtLeastOrRatio(_, least) => Some((ratio, least, false)),
            Goal::None => None,
        }
    }

    /// A value that is no number meets no goal.
    fn is_met(&self) -> bool {
        self.judged().is_none_or(|(is, bound, more_is_worse)| match more_is_worse {
            true => is <= bound,
            false => is >= bound,
        })
    }

    fn goal_text(&self) -> String {
        match self.goal {
            Goal::RatioAtMost(most) => format!("ratio <= {most}"),
            Goal::RatioAtLeast(least) => format!("ratio >= {least}"),
            Goal::AtMost(most) => format!("<= {most} {}", self.unit),
            Goal::AtLeast(least) => format!(">= {least} {}", self.unit),
            Goal::AtLeastOrRatio(least, ratio) => format!(">= {least} {} or ratio >= {ratio}", self.unit),
            Goal::None => "-".to_owned(),
        }
    }

    /// By how much the goal is missed.
    fn miss_text(&self) -> String {
        let Some((is, bound, more_is_worse)) = self.judged() else { return String::new() };
        let side = if more_is_worse { "above" } else { "below" };
        let far = if bound == 0.0 {
            format!("{} {side}", short((is - bound).abs()))
        } else {
            format!("{:.0} % {side}", (is / bound - 1.0).abs() * 100.0)
        };
        format!("{}: {}, {far} the goal ({})", self.name, short(is), self.goal_text())
    }

    fn cells(&self) -> Vec<String> {
        let verdict = match (self.goal, self.is_met()) {
            (Goal::None, _) => "",
            (_, true) => "ok",
            (_, false) => "MISSED",
        };
        vec![
            self.name.clone(),
            format!("{} {}", short(self.value), self.unit),
            self.floor.map_or("-".to_owned(), |floor| format!("{} {}", short(floor), self.unit)),
            self.ratio().map_or("-".to_owned(), |ratio| format!("{ratio:.2}")),
            self.goal_text(),
            verdict.to_owned(),
        ]
    }

    fn to_json(&self) -> Value {
        let stages = self.spent.map(|spent| {
            let pairs = spent.means().into_iter().map(|(name, ms)| (name.to_owned(), json!(ms)));
            Value::Object(pairs.collect())
        });
        json!({
            "name": self.name, "unit": self.unit, "value": self.value, "floor": self.floor,
            "ratio": self.ratio(), "goal": self.goal_text(), "met": self.is_met(), "stagesMs": stages,
        })
    }
}

/// The rows of one run.
#[derive(Default)]
pub struct Table {
    rows: Vec<Row>,
    skipped: Vec<String>,
    failed: bool,
}

impl Table {
    /// Adds a row, and says it at once: a run takes minutes.
    pub fn add(&mut self, row: Row) {
        eprintln!("{}: {} {}", row.name, short(row.value), row.unit);
        self.rows.push(row);
    }

    /// What is not measured, and why. Said now and again below the table.
    pub fn skip(&mut self, what: &str, why: &str) {
        let text = format!("{what}: NOT MEASURED: {why}");
        eprintln!("{text}");
        self.skipped.push(text);
    }

    /// A part that broke off meets no goal.
    pub fn fail(&mut self, part: &str, error: &str) {
        self.failed = true;
        self.skip(part, error);
    }

    pub fn all_met(&self) -> bool {
        !self.failed && self.rows.iter().all(Row::is_met)
    }

    pub fn render(&self) -> String {
        let heading = ["measured", "value", "floor", "ratio", "goal", ""].map(str::to_owned).to_vec();
        let lines: Vec<Vec<String>> =
            std::iter::once(heading).chain(self.rows.iter().map(Row::cells)).collect();
        let widths: Vec<usize> = (0..6)
            .map(|column| lines.iter().map(|line| line[column].chars().count()).max().unwrap_or(0))
            .collect();
        let text = |line: &Vec<String>| {
            let padded = line.iter().zip(&widths).enumerate().map(|(column, (cell, width))| match column {
                1..=3 => format!("{cell:>width$}"),
                _ => format!("{cell:<width$}"),
            });
            padded.collect::<Vec<_>>().join("  ").trim_end().to_owned()
        };
        let mut said: Vec<String> = lines.iter().map(text).collect();
        self.say_missed(&mut said);
        if !self.skipped.is_empty() {
            said.push(String::new());
            said.extend(self.skipped.iter().cloned());
        }
        said.join("\n")
    }

    fn say_missed(&self, said: &mut Vec<String>) {
        let missed: Vec<&Row> = self.rows.iter().filter(|row| !row.is_met()).collect();
        if missed.is_empty() {
            return;
        }
        said.extend([String::new(), "missed:".to_owned()]);
        let mut told = String::new();
        for row in missed {
            said.push(format!("  {}", row.miss_text()));
            // Rows of one measurement follow each other and have the same stages.
            let spent = row.spent.map(|spent| spent.text()).unwrap_or_default();
            if !spent.is_empty() && spent != told {
                said.push(format!("    {spent}"));
                told = spent;
            }
        }
    }

    pub fn to_json(&self) -> Value {
        let rows: Vec<Value> = self.rows.iter().map(Row::to_json).collect();
        json!({ "rows": rows, "notMeasured": self.skipped })
    }
}

fn short(value: f64) -> String {
    match value.abs() {
        whole if whole.fract() == 0.0 => format!("{value:.0}"),
        large if large >= 100.0 => format!("{value:.0}"),
        middling if middling >= 10.0 => format!("{value:.1}"),
        _ => format!("{value:.3}"),
    }
}

/// The value below which this share of them lies. Puts them in order.
pub fn quantile(values: &mut [f64], share: f64) -> f64 {
    values.sort_unstable_by(f64::total_cmp);
    let last = values.len().saturating_sub(1);
    let at = (values.len() as f64 * share) as usize;
    values.get(at.min(last)).copied().unwrap_or(f64::NAN)
}

/// The middle of the values, which are put in order.
pub fn median(values: &mut [f64]) -> f64 {
    quantile(values, 0.5)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_missed_goal_is_told_with_how_much_and_where_the_time_went() {
        let mut spent = Spent::default();
        spent.add(3.0, &crate::stages::Stages::parse("cold=1;sandbox=1;init=1.5"));
        let mut table = Table::default();
        table.add(Row::new("first call", "ms", 3.0, Goal::AtMost(2.0)).spent(spent));
        table.add(Row::new("throughput", "calls/s", 10.0, Goal::RatioAtLeast(0.2)).over(40.0));
        let text = table.render();
        assert!(!table.all_met());
        assert!(text.contains("first call: 3, 50 % above the goal (<= 2 ms)"), "{text}");
        assert!(text.contains("sandbox 1.000 + init 1.500 + rest 0.500 ms (mean of 1)"), "{text}");
        assert!(!text.contains("throughput: "), "{text}");
        assert_eq!(table.to_json()["rows"][1]["met"], true);
    }

    #[test]
    fn what_is_no_number_meets_no_goal() {
        assert!(!Row::new("x", "ms", f64::NAN, Goal::AtMost(2.0)).is_met());
        assert!(!Row::new("x", "ms", 1.0, Goal::RatioAtMost(2.0)).is_met());
        assert!(Row::new("x", "ms", f64::NAN, Goal::None).is_met());
    }

    #[test]
    fn one_of_two_goals_is_enough() {
        let row = |value, floor| Row::new("x", "1/s", value, Goal::AtLeastOrRatio(100.0, 0.5)).over(floor);
        assert!(row(100.0, 1_000.0).is_met() && row(50.0, 100.0).is_met());
        assert!(!row(49.0, 100.0).is_met());
    }
}
