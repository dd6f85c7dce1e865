//! The policy that nodes use, beside the fixed ten minutes, on a small trace.

use std::time::Duration;

use lambent_execution::plan::keep_alive::rule::Window;
use lambent_execution::plan::keep_alive::{Eviction, Policy};
use lambent_simulator::drive;
use lambent_simulator::outcome::Outcome;
use lambent_simulator::policies::{ADAPTIVE, Contender, FIXED};
use lambent_simulator::trace::Shape;

const SMALL: Shape = Shape { seed: 11, functions: 40, days: 1.0, rate_max: 0.01 };

fn is_no_worse(one: &Outcome, other: &Outcome) -> bool {
    one.cold <= other.cold && one.idle_gb_secs <= other.idle_gb_secs
}

#[test]
fn the_adaptive_policy_has_no_more_cold_starts_and_holds_no_more_memory_than_ten_minutes_do() {
    let fixed = drive::run(&SMALL, &FIXED, None);
    let adaptive = drive::run(&SMALL, &ADAPTIVE, None);
    assert!(fixed.calls > 5_000 && fixed.calls == adaptive.calls, "one trace for both: {}", fixed.calls);
    assert!(is_no_worse(&adaptive, &fixed), "{adaptive:?}\n{fixed:?}");
    assert!(adaptive.wait_secs < 0.8 * fixed.wait_secs, "{} of {}", adaptive.wait_secs, fixed.wait_secs);
    assert!(adaptive.ahead > 0, "some are made ahead");
}

#[test]
fn a_policy_that_keeps_too_little_or_too_much_is_found_out() {
    let fixed = drive::run(&SMALL, &FIXED, None);
    for keep in [Duration::from_secs(60), Duration::from_secs(3_600)] {
        let policy = Policy::Fixed(keep);
        let other = drive::run(&SMALL, &Contender { name: "other", policy, ..FIXED }, None);
        assert!(!is_no_worse(&other, &fixed), "{keep:?}");
    }
    // One that makes environments ahead at the wrong time.
    let late = |_: &lambent_execution::plan::keep_alive::rule::Sample<'_>| {
        let ahead = Some(Duration::from_secs(7_200));
        Some(Window { ahead, keep: Duration::from_secs(7_800) })
    };
    let other = Contender { name: "late", policy: Policy::Learned(late), ..ADAPTIVE };
    assert!(!is_no_worse(&drive::run(&SMALL, &other, None), &fixed));
}

#[test]
fn where_memory_is_short_the_least_worth_goes_first_and_calls_wait_less() {
    let memory = Some(1_200_000_000);
    let longest_idle = drive::run(&SMALL, &FIXED, memory);
    let eviction = Eviction::LeastWorth;
    let least_worth = drive::run(&SMALL, &Contender { name: "greedy-dual", eviction, ..FIXED }, memory);
    assert!(longest_idle.evicted > 100, "{longest_idle:?}");
    assert!(least_worth.wait_secs < longest_idle.wait_secs, "{least_worth:?}\n{longest_idle:?}");
}

#[test]
fn a_seed_is_a_trace() {
    let run = |seed| drive::run(&Shape { seed, functions: 10, ..SMALL }, &ADAPTIVE, None);
    let (one, again, other) = (run(1), run(1), run(2));
    assert_eq!((one.calls, one.cold, one.starts), (again.calls, again.cold, again.starts));
    assert_eq!(one.idle_gb_secs, again.idle_gb_secs);
    assert_ne!(one.calls, other.calls);
}
