use proptest::prelude::*;

use super::*;

fn at(text: &str) -> Timestamp {
    let moment: jiff::Timestamp = text.parse().unwrap();
    Timestamp::from_millis(u64::try_from(moment.as_millisecond()).unwrap())
}

fn timing(text: &str, zone: &str) -> Timing {
    Timing {
        expression: Expression::parse(text, Dialect::Scheduler).unwrap_or_else(|_| panic!("{text}")),
        dialect: Dialect::Scheduler,
        zone: Zone::named(zone).unwrap(),
        since: Timestamp::from_millis(0),
        start: None,
        end: None,
    }
}

/// The moments after `after`, as many as are wanted.
fn follows(text: &str, zone: &str, after: &str, wanted: &[&str]) {
    let timing = timing(text, zone);
    let mut last = at(after);
    for moment in wanted {
        last = timing.next(last).unwrap_or_else(|| panic!("{text} ends before {moment}"));
        assert_eq!(last.to_string(), at(moment).to_string(), "{text} in {zone}");
    }
}

#[test]
fn the_guides_examples_fire_when_it_says() {
    let utc = |text, after, wanted: &[&str]| follows(text, "UTC", after, wanted);
    utc("cron(0 10 * * ? *)", "2026-11-20T10:00:00Z", &["2026-11-21T10:00:00Z"]);
    utc("cron(15 12 * * ? *)", "2026-11-20T10:00:00Z", &["2026-11-20T12:15:00Z", "2026-11-21T12:15:00Z"]);
    utc(
        "cron(0 18 ? * MON-FRI *)",
        "2026-11-20T10:00:00Z",
        &["2026-11-20T18:00:00Z", "2026-11-23T18:00:00Z"],
    );
    utc("cron(0 8 1 * ? *)", "2026-11-20T10:00:00Z", &["2026-12-01T08:00:00Z", "2027-01-01T08:00:00Z"]);
    utc("cron(0/15 * * * ? *)", "2026-11-20T10:07:30Z", &["2026-11-20T10:15:00Z", "2026-11-20T10:30:00Z"]);
    utc(
        "cron(0/5 8-17 ? * MON-FRI *)",
        "2026-11-20T17:54:00Z",
        &["2026-11-20T17:55:00Z", "2026-11-23T08:00:00Z"],
    );
    utc(
        "cron(0/30 20-2 ? * MON-FRI *)",
        "2026-11-20T23:10:00Z",
        &["2026-11-20T23:30:00Z", "2026-11-23T00:00:00Z"],
    );
    utc("cron(0 9 ? * 2#1 *)", "2026-11-20T10:00:00Z", &["2026-12-07T09:00:00Z", "2027-01-04T09:00:00Z"]);
}

#[test]
fn each_wildcard_of_the_day_fields_acts() {
    let utc = |text, wanted: &[&str]| follows(text, "UTC", "2026-01-31T12:00:00Z", wanted);
    utc("cron(0 0 L * ? *)", &["2026-02-28T00:00:00Z", "2026-03-31T00:00:00Z"]);
    utc("cron(0 0 L 2 ? 2028)", &["2028-02-29T00:00:00Z"]);
    // 15 February 2026 is a Sunday, 15 August a Saturday, 1 August a Saturday, 31 May a Sunday.
    utc("cron(0 0 15W FEB,AUG ? *)", &["2026-02-16T00:00:00Z", "2026-08-14T00:00:00Z"]);
    utc("cron(0 0 1W AUG ? *)", &["2026-08-03T00:00:00Z"]);
    utc("cron(0 0 31W MAY ? *)", &["2026-05-29T00:00:00Z"]);
    utc("cron(0 0 31W * ? *)", &["2026-03-31T00:00:00Z", "2026-05-29T00:00:00Z"]);
    utc("cron(0 0 ? * 6L *)", &["2026-02-27T00:00:00Z", "2026-03-27T00:00:00Z"]);
    utc("cron(0 0 ? * L *)", &["2026-02-07T00:00:00Z", "2026-02-14T00:00:00Z"]);
    utc("cron(0 0 ? * tue#5 *)", &["2026-03-31T00:00:00Z", "2026-06-30T00:00:00Z"]);
    utc("cron(0 0 ? * FRI-MON *)", &["2026-02-01T00:00:00Z", "2026-02-02T00:00:00Z", "2026-02-06T00:00:00Z"]);
    utc("cron(0 0 29 2 ? *)", &["2028-02-29T00:00:00Z", "2032-02-29T00:00:00Z"]);
    utc(
        "cron(0 0 1,L 1 ? 2027/2)",
        &["2027-01-01T00:00:00Z", "2027-01-31T00:00:00Z", "2029-01-01T00:00:00Z"],
    );
    utc("cron(59 23 31 12 ? 2199)", &["2199-12-31T23:59:00Z"]);
    assert_eq!(timing("cron(59 23 31 12 ? 2199)", "UTC").next(at("2199-12-31T23:59:00Z")), None);
    assert_eq!(timing("cron(0 0 30 2 ? *)", "UTC").next(at("2026-01-01T00:00:00Z")), None);
    assert_eq!(timing("cron(0 0 * * ? 2020)", "UTC").next(at("2026-01-01T00:00:00Z")), None);
}

#[test]
fn a_skipped_moment_does_not_come_and_a_doubled_one_comes_once() {
    let new_york = |text, after, wanted: &[&str]| follows(text, "America/New_York", after, wanted);
    // 8 March 2026: the clock goes from 02:00 to 03:00. 1 November: from 02:00 back to 01:00.
    new_york("cron(30 2 * * ? *)", "2026-03-07T12:00:00Z", &["2026-03-09T06:30:00Z"]);
    new_york("cron(30 3 * * ? *)", "2026-03-07T12:00:00Z", &["2026-03-08T07:30:00Z"]);
    new_york("cron(30 1 * * ? *)", "2026-10-31T12:00:00Z", &["2026-11-01T05:30:00Z", "2026-11-02T06:30:00Z"]);
    new_york("cron(0 9 * * ? *)", "2026-10-31T12:00:00Z", &["2026-10-31T13:00:00Z", "2026-11-01T14:00:00Z"]);
    new_york("rate(1 day)", "2026-03-07T12:00:00Z", &["2026-03-08T00:00:00Z", "2026-03-09T00:00:00Z"]);
    new_york("at(2026-11-01T01:30:00)", "2026-10-31T12:00:00Z", &["2026-11-01T05:30:00Z"]);
    new_york("at(2026-03-08T02:30:00)", "2026-03-01T12:00:00Z", &["2026-03-08T07:30:00Z"]);
    follows("cron(0 12 * * ? *)", "Asia/Kathmandu", "2026-01-01T00:00:00Z", &["2026-01-01T06:15:00Z"]);
    follows(
        "cron(30 2 ? * SUN *)",
        "Europe/Berlin",
        "2150-03-20T00:00:00Z",
        &["2150-03-22T01:30:00Z", "2150-04-05T00:30:00Z"],
    );
}

#[test]
fn a_rate_counts_from_its_beginning_and_ends_with_its_end() {
    let mut timing = timing("rate(5 minutes)", "UTC");
    timing.since = at("2026-01-01T00:00:30Z");
    assert_eq!(timing.next(at("2025-01-01T00:00:00Z")), Some(timing.since));
    assert_eq!(timing.next(timing.since), Some(at("2026-01-01T00:05:30Z")));
    timing.dialect = Dialect::Rule;
    assert_eq!(timing.next(at("2025-01-01T00:00:00Z")), Some(at("2026-01-01T00:05:30Z")));
    timing.dialect = Dialect::Scheduler;
    timing.start = Some(at("2026-01-01T00:01:00Z"));
    timing.end = Some(at("2026-01-01T00:06:00Z"));
    assert_eq!(timing.next(at("2026-01-01T00:00:40Z")), Some(at("2026-01-01T00:01:00Z")));
    assert_eq!(timing.next(at("2026-01-01T00:01:00Z")), Some(at("2026-01-01T00:06:00Z")));
    assert_eq!(timing.next(at("2026-01-01T00:06:00Z")), None);
    // A beginning in the past: the moments are its own, and none is before the expression took effect.
    timing.start = Some(at("2025-12-31T23:57:00Z"));
    assert_eq!(timing.next(at("2025-01-01T00:00:00Z")), Some(at("2026-01-01T00:02:00Z")));
}

#[test]
fn of_what_was_missed_the_last_is_made_up_for_unless_it_is_too_old() {
    let day = 86_400_000;
    let now = at("2026-11-20T10:07:00Z");
    for (text, wanted) in [
        ("cron(0/5 * * * ? *)", Some("2026-11-20T10:05:00Z")),
        ("rate(3 minutes)", Some("2026-11-20T10:06:00Z")),
        ("cron(8 10 * * ? *)", Some("2026-11-19T10:08:00Z")),
        ("cron(0 0 1 * ? *)", None),
        ("at(2026-11-20T09:00:00)", Some("2026-11-20T09:00:00Z")),
        ("at(2026-11-20T11:00:00)", None),
    ] {
        assert_eq!(
            timing(text, "UTC").last_due(at("2026-10-01T00:00:00Z"), now, day),
            wanted.map(at),
            "{text}"
        );
    }
    assert_eq!(timing("rate(3 minutes)", "UTC").last_due(at("2026-11-20T10:06:00Z"), now, day), None);
    let mut ended = timing("rate(3 minutes)", "UTC");
    ended.end = Some(at("2026-11-20T10:01:00Z"));
    assert_eq!(ended.last_due(at("2026-11-20T09:00:00Z"), now, day), Some(at("2026-11-20T10:00:00Z")));
}

#[test]
fn other_texts_are_no_expressions() {
    for text in [
        "",
        "rate()",
        "rate(5)",
        "rate(0 minutes)",
        "rate(-5 minutes)",
        "rate(5 weeks)",
        "rate(1.5 hours)",
        "rate(5 minutes",
        "rate(99999999999999999999 days)",
        "rate(99999999 days)",
        "rate( 5 minutes) ",
        "Rate(5 minutes)",
        "cron()",
        "cron(* * * * *)",
        "cron(* * * * * *)",
        "cron(* * ? * ? *)",
        "cron(* * 1 * MON *)",
        "cron(60 * * * ? *)",
        "cron(* 24 * * ? *)",
        "cron(* * 0 * ? *)",
        "cron(* * 32 * ? *)",
        "cron(* * * 13 ? *)",
        "cron(* * ? * 8 *)",
        "cron(* * ? * 0 *)",
        "cron(* * ? * FOO *)",
        "cron(* * * * ? 1969)",
        "cron(* * * * ? 2200)",
        "cron(* * * * ? 2030-2020)",
        "cron(*/0 * * * ? *)",
        "cron(*/ * * * ? *)",
        "cron(1- * * * ? *)",
        "cron(,1 * * * ? *)",
        "cron(? * * * ? *)",
        "cron(* * ? * 3#6 *)",
        "cron(* * ? * 3#0 *)",
        "cron(* * ? * # *)",
        "cron(* * W * ? *)",
        "cron(* * 32W * ? *)",
        "cron(* * * * ? * *)",
        "at()",
        "at(2026-11-20)",
        "at(2026-11-20T12:00)",
        "at(2026-11-31T12:00:00)",
        "at(2026-11-20T24:00:00)",
        "at(2026-11-20T12:00:60)",
        "at(2026-11-20t12:00:00)",
        "at(2026-11-20T12:00:00Z)",
        "at(1969-11-20T12:00:00)",
    ] {
        assert_eq!(Expression::parse(text, Dialect::Scheduler), Err(Invalid), "{text}");
    }
    for text in ["rate(1 minutes)", "rate(2 minute)", "at(2026-11-20T12:00:00)"] {
        assert_eq!(Expression::parse(text, Dialect::Rule), Err(Invalid), "{text}");
        assert!(Expression::parse(text, Dialect::Scheduler).is_ok(), "{text}");
    }
    assert!(Zone::named("Europe/Nowhere").is_none() && Zone::named("europe/berlin").is_none());
}

#[test]
fn a_flexible_window_delays_within_itself_and_always_alike() {
    let delays: Vec<u64> =
        (0..200).map(|n| flexible_delay_ms("s", Timestamp::from_millis(n), 60_000)).collect();
    assert!(delays.iter().all(|delay| *delay < 60_000));
    assert!(delays.iter().any(|delay| *delay < 15_000) && delays.iter().any(|delay| *delay > 45_000));
    assert_eq!(delays[7], flexible_delay_ms("s", Timestamp::from_millis(7), 60_000));
    assert_eq!(flexible_delay_ms("s", Timestamp::from_millis(7), 0), 0);
}

/// Fields of a cron expression with their meaning spelt out.
fn field(min: u32, max: u32) -> impl Strategy<Value = (String, Vec<u32>)> {
    prop_oneof![
        Just(("*".to_owned(), (min..=max).collect())),
        (min..=max).prop_map(|n| (n.to_string(), vec![n])),
        (min..=max, min..=max).prop_map(|(a, b)| (format!("{a},{b}"), vec![a, b])),
        (min..=max, min..=max)
            .prop_map(|(a, b)| (format!("{}-{}", a.min(b), a.max(b)), (a.min(b)..=a.max(b)).collect())),
        (min..=max, 1u32..7)
            .prop_map(move |(a, n)| (format!("{a}/{n}"), (a..=max).step_by(n as usize).collect())),
        (1u32..7).prop_map(move |n| (format!("*/{n}"), (min..=max).step_by(n as usize).collect())),
    ]
}

proptest! {
    #[test]
    fn cron_agrees_with_a_walk_over_every_minute(
        (minute, minutes) in field(0, 59), (hour, hours) in field(0, 23), (day, days) in field(1, 31),
        (month, months) in field(1, 12), (weekday, weekdays) in field(1, 7), by_weekday in any::<bool>(),
        zone in prop::sample::select(vec!["UTC", "America/New_York", "Australia/Lord_Howe", "Africa/Casablanca"]),
        from in 0u64..1_000_000, minutes_walked in 1u64..2_000,
    ) {
        let (day_text, weekday_text) = if by_weekday { ("?", &*weekday) } else { (&*day, "?") };
        let text = format!("cron({minute} {hour} {day_text} {month} {weekday_text} *)");
        let timing = timing(&text, zone);
        let base = at("2026-01-01T00:00:00Z").as_millis() / 60_000 + from;
        let mut seen = std::collections::HashSet::new();
        let wanted = (base..base + minutes_walked).map(|m| Timestamp::from_millis(m * 60_000)).find(|moment| {
            let shown = timing.zone.civil(*moment).unwrap();
            let is_new = seen.insert(shown) && timing.zone.instant(shown) == Some(*moment);
            let has = |values: &[u32], value: i8| values.contains(&(value as u32));
            let day_fits = match by_weekday {
                true => has(&weekdays, shown.weekday().to_sunday_one_offset()),
                false => has(&days, shown.day()),
            };
            is_new && has(&minutes, shown.minute()) && has(&hours, shown.hour()) && has(&months, shown.month()) && day_fits
        });
        let found = timing.next(Timestamp::from_millis(base * 60_000 - 1));
        match wanted {
            Some(wanted) => prop_assert_eq!(found, Some(wanted), "{} in {}", text, zone),
            None => prop_assert!(found.is_none_or(|found| found.as_millis() >= (base + minutes_walked) * 60_000), "{}", text),
        }
    }

    #[test]
    fn no_text_makes_reading_panic(text in "(rate|cron|at)\\([0-9LW#?*/, A-Z-]{0,24}\\)") {
        if let Ok(expression) = Expression::parse(&text, Dialect::Scheduler) {
            let timing = Timing { expression, ..timing("rate(1 minute)", "Europe/Berlin") };
            let mut last = at("2026-01-01T00:00:00Z");
            while let Some(next) = timing.next(last).filter(|next| next.as_millis() < last.as_millis() + 40_000_000) {
                prop_assert!(next > last);
                last = next;
            }
        }
    }
}
