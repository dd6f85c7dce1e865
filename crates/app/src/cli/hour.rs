//! What the last hour was to a function: its calls, how many of them were cold, and why.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;

/// Columns of a terminal that notes keep to.
const COLUMNS: usize = 80;

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Hour {
    pub is_often_cold: bool,
    pub last_hour: LastHour,
}

#[derive(Debug, Clone, Default, Deserialize, Serialize)]
#[serde(rename_all = "camelCase", default)]
pub struct LastHour {
    pub calls: u64,
    pub cold: u64,
    pub cold_share: f64,
    pub cold_reasons: BTreeMap<String, u64>,
}

impl Hour {
    /// Reads it from what the node says of a function.
    pub fn read(function: &Value) -> Option<Self> {
        serde_json::from_value(function.clone()).ok()
    }

    /// `4.8%`, with a mark where somebody should look into it.
    pub fn share(&self) -> String {
        let mark = if self.is_often_cold { "!" } else { "" };
        format!("{:.1}%{mark}", self.last_hour.cold_share * 100.0)
    }

    /// What is wrong, and what could be done.
    pub fn warning(&self) -> String {
        let LastHour { calls, cold, cold_share, cold_reasons, .. } = &self.last_hour;
        let mut reasons: Vec<(&String, &u64)> = cold_reasons.iter().collect();
        reasons.sort_by_key(|(_, count)| std::cmp::Reverse(**count));
        let why = match reasons.first() {
            Some((why, count)) if *count == cold => format!(": {}", meaning(why)),
            Some((why, count)) => format!(", {count} of them because {}", meaning(why)),
            None => String::new(),
        };
        format!("{:.1} % of {calls} calls in the last hour were cold starts{why}", cold_share * 100.0)
    }

    pub fn to_json(&self) -> Value {
        serde_json::to_value(&self.last_hour).unwrap_or_default()
    }
}

/// What a reason means to the function's owner.
pub fn meaning(why: &str) -> &'static str {
    match why {
        "first" => "it was not called before since the node started",
        "update" => "it was changed (an alias moves to a version whose environments were started before)",
        "idle" => "its environments had been retired after idling (provisioned concurrency keeps some)",
        "failure" => "its last environment had failed",
        "burst" => {
            "more calls came at one time than it had environments (provisioned concurrency keeps more)"
        }
        _ => "of a reason that this program does not know",
    }
}

/// The words in lines that fit a terminal.
pub fn folded(words: &str) -> String {
    let mut lines = vec![String::new()];
    for word in words.split(' ') {
        let is_full =
            lines.last().is_some_and(|line| line.chars().count() + 1 + word.chars().count() > COLUMNS);
        if is_full {
            lines.push("  ".to_owned());
        }
        if let Some(line) = lines.last_mut() {
            if !line.trim().is_empty() {
                line.push(' ');
            }
            line.push_str(word);
        }
    }
    lines.join("\n")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_warning_names_the_most_frequent_reason() {
        let hour = |reasons: Value| {
            let document = json!({ "isOftenCold": true, "lastHour":
                { "calls": 100, "cold": 8, "coldShare": 0.08, "coldReasons": reasons } });
            Hour::read(&document).unwrap()
        };
        let some = hour(json!({ "burst": 6, "idle": 2 }));
        assert_eq!(some.share(), "8.0%!");
        let text = some.warning();
        assert!(
            text.contains("8.0 % of 100 calls") && text.contains("6 of them because more calls"),
            "{text}"
        );
        assert!(folded(&text).lines().all(|line| line.chars().count() <= COLUMNS), "{text}");
        assert!(hour(json!({ "idle": 8 })).warning().contains("cold starts: its environments had been"));
        assert!(hour(json!({})).warning().ends_with("were cold starts"));
    }
}
