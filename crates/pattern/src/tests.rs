use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;

fn matches(pattern: &Value, event: &Value) -> bool {
    let pattern = Pattern::parse(&pattern.to_string()).unwrap_or_else(|error| panic!("{pattern}: {error}"));
    let found = pattern.matches(event);
    let index = Index::new(vec![(pattern, ())]);
    assert_eq!(index.matching(event).len() == 1, found, "the index differs for {event}");
    found
}

/// A test of the field `a`, values that it passes, and values that it does not.
fn judges(test: Value, passing: &[Value], failing: &[Value]) {
    let pattern = json!({ "a": [test] });
    for value in passing {
        assert!(matches(&pattern, &json!({ "a": value })), "{pattern} wants {value}");
    }
    for value in failing {
        assert!(!matches(&pattern, &json!({ "a": value })), "{pattern} does not want {value}");
    }
}

#[test]
fn each_test_takes_what_the_guide_says() {
    let (t, f, n) = (json!(true), json!(false), json!(null));
    judges(
        json!("x"),
        &[json!("x"), json!(["y", "x"])],
        &[json!("X"), json!(1), n.clone(), json!([]), json!({})],
    );
    judges(n.clone(), std::slice::from_ref(&n), &[json!(""), f.clone(), json!(0), json!([]), json!({})]);
    judges(t.clone(), std::slice::from_ref(&t), &[f.clone(), json!("true")]);
    judges(json!(300), &[json!(300), json!(300.0), json!(3.0e2)], &[json!(301), json!("300")]);
    judges(json!(-0.0), &[json!(0)], &[json!(1)]);
    judges(
        json!(9_007_199_254_740_993u64),
        &[json!(9_007_199_254_740_993u64)],
        &[json!(9_007_199_254_740_992u64)],
    );
    judges(json!({ "prefix": "ab" }), &[json!("ab"), json!("abc")], &[json!("a"), json!("Abc"), json!(1)]);
    judges(json!({ "suffix": ".png" }), &[json!("a.png")], &[json!("a.PNG"), json!("png")]);
    judges(json!({ "prefix": { "equals-ignore-case": "Ab" } }), &[json!("aBc")], &[json!("ba"), json!("a")]);
    judges(json!({ "suffix": { "equals-ignore-case": ".PNG" } }), &[json!("a.png")], &[json!("a.pn")]);
    judges(json!({ "equals-ignore-case": "aLiCe" }), &[json!("ALICE")], &[json!("ALICES"), json!("")]);
    judges(
        json!({ "wildcard": "dir/*.png" }),
        &[json!("dir/a/b.png"), json!("dir/.png")],
        &[json!("dir/png")],
    );
    judges(json!({ "wildcard": "*a*b*" }), &[json!("ab"), json!("xaxbx")], &[json!("ba")]);
    judges(json!({ "wildcard": r"\*\\" }), &[json!(r"*\")], &[json!("x"), json!(r"a\")]);
    judges(json!({ "wildcard": "a*a" }), &[json!("aa"), json!("aba")], &[json!("a")]);
    judges(json!({ "numeric": ["=", 5] }), &[json!(5), json!(5.0)], &[json!(4), json!("5")]);
    judges(
        json!({ "numeric": [">", 0, "<=", 5] }),
        &[json!(0.1), json!(5)],
        &[json!(0), json!(5.1), n.clone()],
    );
    judges(json!({ "numeric": ["<", -1] }), &[json!(-2)], &[json!(-1)]);
    judges(json!({ "numeric": [">=", 2] }), &[json!(2)], &[json!(1.9)]);
    judges(
        json!({ "cidr": "10.0.0.0/24" }),
        &[json!("10.0.0.255")],
        &[json!("10.0.1.0"), json!("::1"), json!("x")],
    );
    judges(json!({ "cidr": "2001:db8::/32" }), &[json!("2001:db8::7")], &[json!("2001:db9::7")]);
    judges(json!({ "cidr": "0.0.0.0/0" }), &[json!("255.1.2.3")], &[json!("::1")]);
    judges(json!({ "exists": true }), &[n.clone(), json!(["x"]), json!(0)], &[json!([]), json!({ "b": 1 })]);
    judges(json!({ "exists": false }), &[json!([]), json!({ "b": 1 })], &[n.clone(), json!("")]);
}

#[test]
fn anything_but_takes_what_is_there_and_is_something_else() {
    let n = json!(null);
    judges(
        json!({ "anything-but": "x" }),
        &[json!("y"), json!(1), n.clone(), json!(["x", "y"])],
        &[json!("x"), json!([]), json!({})],
    );
    judges(json!({ "anything-but": ["x", "y"] }), &[json!("z")], &[json!("x"), json!(["x", "y"])]);
    judges(json!({ "anything-but": [1, 2] }), &[json!(3), json!("1")], &[json!(1), json!(2.0)]);
    judges(json!({ "anything-but": { "prefix": "ab" } }), &[json!("ba"), json!(7)], &[json!("abc")]);
    judges(json!({ "anything-but": { "prefix": ["a", "b"] } }), &[json!("c")], &[json!("a1"), json!("b1")]);
    judges(json!({ "anything-but": { "suffix": ".x" } }), &[json!("a")], &[json!("a.x")]);
    judges(
        json!({ "anything-but": { "equals-ignore-case": ["A", "b"] } }),
        &[json!("c")],
        &[json!("a"), json!("B")],
    );
    judges(json!({ "anything-but": { "wildcard": "*/lib/*" } }), &[json!("/lib")], &[json!("/x/lib/y")]);
    judges(
        json!({ "anything-but": { "prefix": { "equals-ignore-case": "AB" } } }),
        &[json!("b")],
        &[json!("abc")],
    );
    judges(
        json!({ "anything-but": { "suffix": { "equals-ignore-case": "AB" } } }),
        &[json!("b")],
        &[json!("cab")],
    );
    assert!(!matches(&json!({ "a": [{ "anything-but": "x" }] }), &json!({})));
}

#[test]
fn fields_are_all_wanted_and_or_wants_one() {
    let event = json!({ "source": "s", "detail": { "state": "on", "count": 3, "gone": [] } });
    assert!(matches(&json!({ "source": ["s"], "detail": { "state": ["off", "on"] } }), &event));
    assert!(!matches(&json!({ "source": ["s"], "detail": { "state": ["off"] } }), &event));
    let or = json!({ "source": ["s"], "detail": { "$or": [{ "state": ["off"] }, { "count": [{ "numeric": [">", 2] }] }] } });
    assert!(matches(&or, &event));
    let neither = json!({ "$or": [{ "source": ["x"] }, { "detail": { "state": ["off"] } }] });
    assert!(!matches(&neither, &event));
    assert!(matches(&json!({ "nothing": { "here": [{ "exists": false }] } }), &event));
    assert!(matches(&json!({ "detail": { "gone": [{ "exists": false }] } }), &event));
    assert!(!matches(&json!({ "nothing": { "here": ["x"] } }), &event));
}

#[test]
fn members_of_one_array_element_belong_together() {
    let event = json!({ "a": [{ "b": 1, "c": 2 }, { "b": 3, "c": [4, 5] }, [{ "b": 6, "c": 7 }], 8] });
    for (b, c, wanted) in [(1, 2, true), (3, 5, true), (6, 7, true), (1, 5, false), (3, 2, false)] {
        assert_eq!(matches(&json!({ "a": { "b": [b], "c": [c] } }), &event), wanted, "{b} {c}");
    }
    assert!(!matches(&json!({ "a": { "b": [{ "exists": false }] } }), &event));
    assert!(matches(&json!({ "a": { "x": [{ "exists": false }] } }), &event));
    assert!(matches(&json!({ "a": { "b": [1], "x": [{ "exists": false }] } }), &event));
}

#[test]
fn what_is_wrong_is_told_in_the_words_of_the_reference() {
    for (text, reason) in [
        ("[]", "Filter is not an object"),
        ("{}", "Empty objects are not allowed"),
        (r#"{"a":{}}"#, "Empty objects are not allowed"),
        (r#"{"a":[]}"#, "Empty arrays are not allowed"),
        (r#"{"a":"x"}"#, "\"a\" must be an object or an array"),
        (r#"{"a":[["x"]]}"#, "Match value must be String, number, true, false, or null"),
        (r#"{"a":[{}]}"#, "Match expression name not found"),
        (r#"{"a":[{"foo":1}]}"#, "Unrecognized match type foo"),
        (r#"{"a":[{"prefix":"a","suffix":"b"}]}"#, "Only one key allowed in match expression"),
        (r#"{"a":[{"prefix":1}]}"#, "prefix match pattern must be a string"),
        (r#"{"a":[{"exists":"x"}]}"#, "exists match pattern must be either true or false."),
        (r#"{"a":[{"cidr":"10.0.0.0"}]}"#, "Malformed CIDR, one '/' required"),
        (r#"{"a":[{"cidr":"10.0.0.0/33"}]}"#, "IPv4 mask bits must be 0 to 32"),
        (r#"{"a":[{"wildcard":"a**"}]}"#, "Consecutive wildcard characters at pos 2"),
        (r#"{"a":[{"wildcard":"\\x"}]}"#, "Invalid escape character at pos 0"),
        (r#"{"a":[{"numeric":5}]}"#, "Value of numeric must be an array."),
        (r#"{"a":[{"numeric":[]}]}"#, "Invalid member in numeric match: ]"),
        (r#"{"a":[{"numeric":["!",5]}]}"#, "Unrecognized numeric range operator: !"),
        (r#"{"a":[{"numeric":["=","5"]}]}"#, "Value of equals must be numeric"),
        (r#"{"a":[{"numeric":[">",5,"<",5]}]}"#, "Bottom must be less than top"),
        (r#"{"a":[{"numeric":[">",5,">",6]}]}"#, "Bad numeric range operator: >"),
        (r#"{"a":[{"numeric":["<",5,">",1]}]}"#, "Too many elements in numeric expression"),
        (r#"{"a":[{"numeric":["<",6e9]}]}"#, "Value must be between -5.0E9 and 5.0E9, inclusive"),
        (
            r#"{"a":[{"anything-but":["x",1]}]}"#,
            "Inside anything but list, either all values are number or string, mixed type is not supported",
        ),
        (
            r#"{"a":[{"anything-but":[null]}]}"#,
            "Inside anything but list, start|null|boolean is not supported.",
        ),
        (r#"{"a":[{"anything-but":{"exists":true}}]}"#, "Unsupported anything-but pattern: exists"),
        (r#"{"a":[{"anything-but":{"prefix":""}}]}"#, "Null prefix/suffix not allowed"),
        (r#"{"$or":{}}"#, "It must be an Array followed with $or."),
        (r#"{"$or":[{"a":[1]}]}"#, "There must have at least 2 Objects in $or relationship."),
        (r#"{"$or":[1,2]}"#, "Only JSON object is allowed in array of $or relationship."),
    ] {
        let error = Pattern::parse(text).unwrap_err();
        assert_eq!(error.to_string(), format!("Event pattern is not valid. Reason: {reason}"), "{text}");
    }
}

#[test]
fn combinations_are_bounded() {
    let or = |n: usize| json!((0..n).map(|i| json!({ "x": [i] })).collect::<Vec<_>>());
    let pattern = |n| json!({ "a": { "$or": or(n) }, "b": { "$or": or(n) } }).to_string();
    assert!(Pattern::parse(&pattern(31)).is_ok());
    assert!(Pattern::parse(&pattern(32)).unwrap_err().to_string().contains("combinations"));
}

fn plain() -> impl Strategy<Value = Value> {
    prop_oneof![
        Just(json!(null)),
        any::<bool>().prop_map(Value::from),
        (-2i64..3).prop_map(Value::from),
        (-4i64..5).prop_map(|n| json!(n as f64 / 2.0)),
        "[abAB*]{0,3}".prop_map(Value::from),
    ]
}

fn event() -> impl Strategy<Value = Value> {
    let value = plain().prop_recursive(3, 24, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::btree_map("[abc]", inner, 0..4)
                .prop_map(|map| Value::Object(map.into_iter().collect())),
        ]
    });
    prop::collection::btree_map("[abc]", value, 0..4).prop_map(|map| Value::Object(map.into_iter().collect()))
}

fn test_of_a_value() -> impl Strategy<Value = Value> {
    prop_oneof![
        4 => plain(),
        1 => ("(prefix|suffix|equals-ignore-case)", "[abAB]{1,2}").prop_map(|(name, text)| json!({ name: text })),
        1 => "([ab]?\\*[ab]){1,2}".prop_map(|text| json!({ "wildcard": text })),
        1 => any::<bool>().prop_map(|is| json!({ "exists": is })),
        1 => ("[<>]", -2i32..3).prop_map(|(sign, n)| json!({ "numeric": [sign, n] })),
        1 => "[ab]{0,2}".prop_map(|text| json!({ "anything-but": text })),
        1 => "[ab]{1,2}".prop_map(|text| json!({ "anything-but": { "prefix": text } })),
    ]
}

fn pattern() -> impl Strategy<Value = Value> {
    let leaf = prop::collection::vec(test_of_a_value(), 1..3).prop_map(Value::from).boxed();
    let object = |inner: BoxedStrategy<Value>| {
        prop::collection::btree_map("[abc]", inner, 1..3)
            .prop_map(|map| Value::Object(map.into_iter().collect()))
    };
    let flat = object(leaf.clone()).boxed();
    let or = prop::collection::vec(flat.clone(), 2..4).prop_map(Value::from);
    let nested = prop_oneof![3 => leaf, 1 => flat];
    (object(nested.boxed()), prop::option::weighted(0.3, or)).prop_map(|(mut pattern, or)| {
        if let Some(or) = or {
            pattern["$or"] = or;
        }
        pattern
    })
}

/// The language spelt out: each pattern is a list of branches without `$or`, each of them judged by itself.
fn naive(pattern: &Value, event: &Value) -> bool {
    let members = pattern.as_object().unwrap();
    members.iter().all(|(name, want)| match want {
        Value::Array(nodes) if name == "$or" => nodes.iter().any(|node| naive(node, event)),
        Value::Array(tests) => naive_value(tests, event.get(name)),
        _ => naive_object(want, event.get(name)),
    })
}

fn naive_object(pattern: &Value, value: Option<&Value>) -> bool {
    let wants_a_value =
        !pattern.to_string().contains("\"exists\":false")
            || pattern.as_object().unwrap().values().any(|tests| {
                tests.as_array().unwrap().iter().any(|test| *test != json!({ "exists": false }))
            });
    match value {
        Some(Value::Array(items)) if wants_a_value => {
            items.iter().any(|item| naive_object(pattern, Some(item)))
        }
        Some(Value::Array(items)) => items.iter().all(|item| naive_object(pattern, Some(item))),
        Some(object @ Value::Object(_)) => naive(pattern, object),
        _ => naive(pattern, &json!({})),
    }
}

fn leaves<'a>(value: &'a Value, found: &mut Vec<&'a Value>) {
    match value {
        Value::Array(items) => items.iter().for_each(|item| leaves(item, found)),
        Value::Object(_) => {}
        plain => found.push(plain),
    }
}

fn naive_value(tests: &[Value], value: Option<&Value>) -> bool {
    let mut found = Vec::new();
    value.into_iter().for_each(|value| leaves(value, &mut found));
    if found.is_empty() {
        return tests.contains(&json!({ "exists": false }));
    }
    found.iter().any(|value| tests.iter().any(|test| naive_test(test, value)))
}

fn naive_test(test: &Value, value: &Value) -> bool {
    let Some((name, wanted)) = test.as_object().and_then(|members| members.iter().next()) else {
        return test == value || (test.is_number() && test.as_f64() == value.as_f64());
    };
    let text = value.as_str();
    let argument = wanted.as_str().unwrap_or_default();
    match name.as_str() {
        "prefix" => text.is_some_and(|text| text.starts_with(argument)),
        "suffix" => text.is_some_and(|text| text.ends_with(argument)),
        "equals-ignore-case" => text.is_some_and(|text| text.to_lowercase() == argument.to_lowercase()),
        "wildcard" => text.is_some_and(|text| glob(argument.as_bytes(), text.as_bytes())),
        "exists" => wanted == true,
        "numeric" => value.as_f64().is_some_and(|number| {
            let bound = wanted[1].as_f64().unwrap();
            if wanted[0] == "<" { number < bound } else { number > bound }
        }),
        _ if wanted.is_string() => text != Some(argument),
        _ => text.is_none_or(|text| !text.starts_with(wanted["prefix"].as_str().unwrap())),
    }
}

fn glob(pattern: &[u8], text: &[u8]) -> bool {
    match pattern.split_first() {
        None => text.is_empty(),
        Some((b'*', rest)) => (0..=text.len()).any(|at| glob(rest, &text[at..])),
        Some((wanted, rest)) => {
            text.split_first().is_some_and(|(found, left)| found == wanted && glob(rest, left))
        }
    }
}

proptest! {
    #[test]
    fn patterns_agree_with_the_language_spelt_out(pattern in pattern(), event in event()) {
        prop_assert_eq!(matches(&pattern, &event), naive(&pattern, &event));
    }

    #[test]
    fn an_index_finds_what_each_pattern_finds(
        patterns in prop::collection::vec(pattern(), 1..12), events in prop::collection::vec(event(), 1..6),
    ) {
        let parse = |(at, pattern): (usize, &Value)| (Pattern::parse(&pattern.to_string()).unwrap(), at);
        let entries: Vec<_> = patterns.iter().enumerate().map(parse).collect();
        let index = Index::new(entries.clone());
        for event in events {
            let wanted: Vec<usize> = entries.iter().filter(|(p, _)| p.matches(&event)).map(|(_, at)| *at).collect();
            let found: Vec<usize> = index.matching(&event).into_iter().copied().collect();
            prop_assert_eq!(found, wanted);
        }
    }

    #[test]
    fn no_text_makes_reading_panic(text in ".{0,60}") {
        let _ = Pattern::parse(&text);
    }
}
