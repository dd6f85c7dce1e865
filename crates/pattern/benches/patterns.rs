//! Events a second that 1,000 rules of one bus are asked about, on one core. `cargo bench -p lambent-pattern`.

mod bus;

use std::hint::black_box;
use std::time::{Duration, Instant};

use bus::{RULES, event, rule};
use lambent_pattern::{Index, Pattern};

const FOR: Duration = Duration::from_secs(2);

fn main() {
    let rules =
        (0..RULES).map(|n| (Pattern::parse(&rule(n)).expect("the rules above are patterns"), n)).collect();
    let index = Index::new(rules);
    let events: Vec<String> = (0..4_000).map(event).collect();
    for (what, reads) in [("read and judged", true), ("judged", false)] {
        let parsed: Vec<serde_json::Value> = events
            .iter()
            .map(|text| serde_json::from_str(text).expect("the events above are JSON"))
            .collect();
        let (began, mut count, mut found) = (Instant::now(), 0usize, 0usize);
        while began.elapsed() < FOR {
            for (text, parsed) in events.iter().zip(&parsed) {
                found += match reads {
                    true => index.matching(&serde_json::from_str(text).expect("as above")).len(),
                    false => index.matching(black_box(parsed)).len(),
                };
            }
            count += events.len();
        }
        let rate = count as f64 / began.elapsed().as_secs_f64();
        println!(
            "{RULES} rules, {what}: {rate:.0} events/s ({:.2} rules match one)",
            found as f64 / count as f64
        );
    }
}
