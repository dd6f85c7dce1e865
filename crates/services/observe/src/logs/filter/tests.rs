use proptest::prelude::*;

use super::*;

fn matches(pattern: &str, event: &str) -> bool {
    Filter::parse(pattern).unwrap_or_else(|error| panic!("{pattern}: {error}")).matches(event)
}

/// The events of `events` that the pattern takes, by their numbers from 1.
fn taken(pattern: &str, events: &[&str]) -> Vec<usize> {
    (1..=events.len()).filter(|number| matches(pattern, events[number - 1])).collect()
}

#[test]
fn terms_are_the_user_guides() {
    let events = ["ERROR WARN message", "ERROR message", "WARN message", "[ERROR 401] UNAUTHORIZED REQUEST"];
    for (pattern, expected) in [
        ("", vec![1, 2, 3, 4]),
        ("ERROR", vec![1, 2, 4]),
        ("error", vec![]),
        ("?ERROR ?WARN", vec![1, 2, 3, 4]),
        ("ERROR WARN", vec![1]),
        ("ERROR -WARN", vec![2, 4]),
        ("-WARN", vec![2, 4]),
        ("\"ERROR message\"", vec![2]),
        ("\"[ERROR 401]\"", vec![4]),
        ("\"ERROR\" - \"WARN\"", vec![2, 4]),
        ("%AUTHORIZED%", vec![4]),
        ("ERROR %4[0-9]{2}%", vec![4]),
        // Beside other terms the reference ignores those with a question mark.
        ("?WARN message", vec![1, 2, 3]),
    ] {
        assert_eq!(taken(pattern, &events), expected, "{pattern}");
    }
    assert!(matches(r#""say \"hi\"""#, r#"they say "hi" again"#));
}

#[test]
fn a_term_with_other_characters_needs_quotes() {
    assert_eq!(Filter::parse("a foo.bar").unwrap_err(), PatternError::Term("foo.bar".into()));
    for bad in ["\"open", "%open", "-", "?", "a -", "%%"] {
        assert_eq!(Filter::parse(bad).unwrap_err(), PatternError::Invalid, "{bad}");
    }
}

#[test]
fn columns_are_the_user_guides() {
    let events = [
        r#"127.0.0.1 - frank [10/Oct/2000:13:25:15 -0700] "GET /apache_pb.gif HTTP/1.0" 200 1534"#,
        r#"127.0.0.1 - frank [10/Oct/2000:13:35:22 -0700] "GET /apache_pb.gif HTTP/1.0" 500 5324"#,
        r#"127.0.0.1 - frank [10/Oct/2000:13:50:35 -0700] "GET /index.html HTTP/1.0" 404 4355"#,
    ];
    for (pattern, expected) in [
        ("[ip, user, username, timestamp, request, status_code, bytes]", vec![1, 2, 3]),
        ("[ip, user, username, timestamp, request, status_code]", vec![]),
        ("[ip, user, username, timestamp, request, status_code, bytes > 2000]", vec![2, 3]),
        ("[ip, user, username, timestamp, request, status_code = 200, bytes]", vec![1]),
        ("[ip, user, username, timestamp, request, status_code=4*, bytes]", vec![3]),
        ("[ip, user, username, timestamp, request = *html*, status_code = 4*, bytes]", vec![3]),
        ("[ip, user, username, timestamp, request, status_code = 4* && status_code != 404, bytes]", vec![]),
        ("[ip, user, username, timestamp, request, status_code=200 || status_code=500, bytes]", vec![1, 2]),
        ("[..., request=*.html*, status_code=4*,]", vec![3]),
        ("[ip, ..., status_code = 5*, bytes]", vec![2]),
        ("[ip=%127\\.0\\.0\\.[0-9]%, ...]", vec![1, 2, 3]),
        ("[..., status_code, bytes >= 4355]", vec![2, 3]),
        ("[ip, user, ...]", vec![1, 2, 3]),
        ("[ip != 127.0.0.1, ...]", vec![]),
        ("[a, b, c, d, e, f, g, ..., h]", vec![]),
        ("[,,,,,,]", vec![1, 2, 3]),
        ("[, , name = \"fr*\", ...]", vec![1, 2, 3]),
    ] {
        assert_eq!(taken(pattern, &events), expected, "{pattern}");
    }
    for bad in
        ["[a", "[a] b", "[..., ...]", "[a = 1 && b = 2]", "[a >]", "[a > x]", "[a = %x% || a=%y% || a=%z%]"]
    {
        assert!(Filter::parse(bad).is_err(), "{bad}");
    }
}

#[test]
fn a_report_line_is_split_at_tabs_too() {
    let report = "REPORT RequestId: 1-2\tDuration: 12.50 ms\tBilled Duration: 13 ms";
    let pattern = "[label=REPORT, l=\"RequestId:\", id, l2=\"Duration:\", duration > 10, ...]";
    assert!(matches(pattern, report));
    assert!(!matches(&pattern.replace("> 10", "> 20"), report));
}

const TRAIL: &str = r#"{"eventType": "UpdateTrail", "sourceIPAddress": "111.111.111.111",
    "arrayKey": ["value", "another value"], "objectList": [{"name": "a", "id": 1}, {"name": "b", "id": 2}],
    "SomeObject": null, "ThisFlag": true, "cluster.name": "c", "latency": 512.5, "code": "404"}"#;

const USERS: &str = r#"{"user": {"id": 1, "email": "John.Stiles@example.com"},
    "users": [{"id": 2, "email": "John.Doe@example.com"}, {"id": 3, "email": "Jane.Doe@example.com"}],
    "actions": ["GET", "PUT", "DELETE"], "coordinates": [[0, 1, 2], [4, 5, 6], [7, 8, 9]]}"#;

#[test]
fn json_conditions_are_the_user_guides() {
    for (pattern, event, expected) in [
        (r#"{ $.eventType = "UpdateTrail" }"#, TRAIL, true),
        (r#"{ $.eventType = UpdateTrail }"#, TRAIL, true),
        (r#"{ $.eventType = *Trail }"#, TRAIL, true),
        (r#"{ $.eventType = "Update*" }"#, TRAIL, true),
        (r#"{ $.eventType = Up*Trail }"#, TRAIL, false),
        (r#"{ $.eventType != "UpdateTrail" }"#, TRAIL, false),
        (r#"{ $.eventType = * }"#, TRAIL, true),
        (r#"{ $.sourceIPAddress != 123.123.* }"#, TRAIL, true),
        (r#"{ $.sourceIPAddress = %111\.111\.1\d+% }"#, TRAIL, true),
        (r#"{ $.arrayKey[0] = "value" }"#, TRAIL, true),
        (r#"{ $.arrayKey[2] = "value" }"#, TRAIL, false),
        (r#"{ $.arrayKey[*] = "another value" }"#, TRAIL, true),
        (r#"{ $.objectList[1].id = 2 }"#, TRAIL, true),
        (r#"{ $.objectList[*].id = 3 }"#, TRAIL, false),
        (r#"{ $.SomeObject IS NULL }"#, TRAIL, true),
        (r#"{ $.eventType IS NULL }"#, TRAIL, false),
        (r#"{ $.SomeOtherObject NOT EXISTS }"#, TRAIL, true),
        (r#"{ $.SomeObject NOT EXISTS }"#, TRAIL, false),
        (r#"{ $.ThisFlag IS TRUE }"#, TRAIL, true),
        (r#"{ $.ThisFlag IS FALSE }"#, TRAIL, false),
        (r#"{ $.['cluster.name'] = "c" }"#, TRAIL, true),
        (r#"{ $.cluster.name = "c" }"#, TRAIL, false),
        (r#"{ $.latency >= 500 }"#, TRAIL, true),
        (r#"{ $.latency > +1000 }"#, TRAIL, false),
        (r#"{ $.latency < 10e3 }"#, TRAIL, true),
        (r#"{ $.latency = 512.5 }"#, TRAIL, true),
        (r#"{ $.latency != 500 }"#, TRAIL, true),
        (r#"{ $.code = 404 }"#, TRAIL, true),
        (r#"{ $.missing != 500 }"#, TRAIL, false),
        // A selector that leads to an array fits no comparison.
        (r#"{ $.arrayKey = 1 }"#, TRAIL, false),
        (r#"{ $.arrayKey != 1 }"#, TRAIL, false),
        (r#"{ ($.user.id = 1) && ($.users[0].email = "John.Doe@example.com") }"#, USERS, true),
        (r#"{ ($.user.id = 2 && $.users[0].email = "nonmatch") || $.actions[2] = "GET" }"#, USERS, false),
        (
            r#"{ $.user.email = "John.Stiles@example.com" || $.coordinates[0][1] = nonmatch && $.actions[2] = nomatch }"#,
            USERS,
            true,
        ),
        (
            r#"{ ($.user.email = "John.Stiles@example.com" || $.coordinates[0][1] = nonmatch) && $.actions[2] = nomatch }"#,
            USERS,
            false,
        ),
        (r#"{$.coordinates[2][1]=8}"#, USERS, true),
        (r#"{ $.user.id = 1 }"#, "no JSON at all", false),
        (r#"{ $.user.id NOT EXISTS }"#, "{broken", false),
    ] {
        assert_eq!(matches(pattern, event), expected, "{pattern}");
    }
}

#[test]
fn what_is_no_json_condition_is_refused() {
    for bad in [
        "{",
        "{}",
        "{ $ = 1 }",
        "{ $.a }",
        "{ $.a = }",
        "{ a = 1 }",
        "{ $.a = 1 } x",
        "{ $.a = 1 && }",
        "{ ($.a = 1 }",
        "{ $.a = a@b }",
        "{ $.a > x }",
        "{ $.a IS NOTHING }",
        "{ $.a NOT NULL }",
        "{ $.a[x] = 1 }",
        "{ $..a = 1 }",
        "{ $.a = %x% || $.b = %x% || $.c = %x% }",
    ] {
        assert!(Filter::parse(bad).is_err(), "{bad}");
    }
    assert!(Filter::parse(&format!("{{ {}$.a = 1{} }}", "(".repeat(400), ")".repeat(400))).is_err());
}

#[test]
fn regular_expressions_are_the_user_guides() {
    for (pattern, event, expected) in [
        ("%colou?r%", "the color", true),
        ("%colou?r%", "colouur", false),
        ("%gray|grey%", "a grey day", true),
        ("%10\\.10\\.0\\.1%", "10.10.0.1", true),
        ("%10\\.10\\.0\\.1%", "10a10.0.1", false),
        ("%^ERROR%", "ERROR x", true),
        ("%^ERROR%", "x ERROR", false),
        ("%x$%", "an x", true),
        ("%x$%", "an x\n", true),
        ("%x$%", "x y", false),
        ("%[0-9]{3,5}x%", "1234x", true),
        ("%^[0-9]{3,5}x%", "123456x", false),
        ("%^\\d{3}$%", "123", true),
        ("%^\\d{3}$%", "1234", false),
        ("%^a{2,}$%", "aaaa", true),
        ("%[^abc]d%", "ad", false),
        ("%[^abc]d%", "éd", true),
        ("%\\w+@\\w+%", "mail a@b", true),
        ("%\\S\\s\\S%", "a b", true),
        ("%\\x28ok\\x29%", "is (ok)", true),
        ("%a.*z%", "abcz", true),
        ("%a.*z%", "ab\ncz", false),
        ("%[.]%", "a", false),
        ("%[a\\-z]%", "-", true),
        ("%[\\d_]+%", "x", false),
    ] {
        assert_eq!(matches(pattern, event), expected, "{pattern} on {event}");
    }
    for bad in [
        "%something!%",
        "%(a)%",
        "%a{2%",
        "%a{3,2}%",
        "%a{0,0}%",
        "%[a%",
        "%[]%",
        "%[z-a]%",
        "%a|%",
        "%é%",
        "%*a%",
        "%a**%",
        "%\\q%",
        "%\\xzz%",
        "%a{9999}%",
    ] {
        assert!(Filter::parse(bad).is_err(), "{bad}");
    }
}

#[test]
fn an_expression_that_would_explode_does_not() {
    let pattern = format!("%{}%", "a*".repeat(100) + "b");
    assert!(!matches(&pattern, &"a".repeat(20_000)));
}

proptest! {
    #[test]
    fn no_pattern_and_no_event_make_it_panic(pattern in ".{0,80}", event in ".{0,80}") {
        if let Ok(filter) = Filter::parse(&pattern) {
            filter.matches(&event);
        }
    }

    #[test]
    fn nothing_that_looks_like_a_pattern_makes_it_panic(
        pattern in r#"[\[{%]?([$a.\[\]*'"%=!<>&|(){}0-9, \\^?+-]|IS|NOT EXISTS|NULL|\.\.\.){0,30}[\]}%]?"#,
        event in r#"[{\["a:1,\]} ]{0,30}"#
    ) {
        if let Ok(filter) = Filter::parse(&pattern) {
            filter.matches(&event);
        }
    }

    #[test]
    fn a_quoted_phrase_is_found_wherever_it_stands(before in ".{0,9}", phrase in "[^\"\\\\]{1,9}", after in ".{0,9}") {
        let pattern = format!("\"{phrase}\"");
        let event = format!("{before}{phrase}{after}");
        prop_assert!(matches(&pattern, &event));
    }
}
