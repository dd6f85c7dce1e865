use proptest::prelude::*;
use serde_json::json;

use super::*;
use crate::engine::message::{Attribute, attribute};

fn body(filter: &Value) -> Filter {
    Filter::parse(&filter.to_string(), FilterScope::Body).unwrap()
}

fn refused(filter: &Value, scope: FilterScope) -> String {
    Filter::parse(&filter.to_string(), scope).unwrap_err().0
}

fn wants(filter: Value, message: Value) -> bool {
    body(&filter).wants(&message.to_string(), &Attributes::new())
}

fn of(data_type: &str, value: &str) -> Attributes {
    [("a".to_owned(), Attribute { data_type: data_type.into(), value: value.into() })].into()
}

/// Whether attribute `a` passes one test.
fn passes(test: Value, data_type: &str, value: &str) -> bool {
    let filter = Filter::parse(&json!({ "a": [test] }).to_string(), FilterScope::Attributes).unwrap();
    filter.wants("", &of(data_type, value))
}

#[test]
fn each_test_of_a_text_does_what_it_says() {
    for (test, value, fits) in [
        (json!("rugby"), "rugby", true),
        (json!("rugby"), "Rugby", false),
        (json!({ "prefix": "bas" }), "baseball", true),
        (json!({ "prefix": "bas" }), "rebase", false),
        (json!({ "suffix": "ball" }), "baseball", true),
        (json!({ "suffix": "ball" }), "ballet", false),
        (json!({ "equals-ignore-case": "TENNIS" }), "tennis", true),
        (json!({ "equals-ignore-case": "TENNIS" }), "tenni", false),
        (json!({ "wildcard": "*ball" }), "baseball", true),
        (json!({ "wildcard": "b*b*l" }), "baseball", true),
        (json!({ "wildcard": "b*b*l" }), "bal", false),
        (json!({ "wildcard": "a\\*b" }), "a*b", true),
        (json!({ "wildcard": "a\\*b" }), "aab", false),
        (json!({ "cidr": "10.0.0.0/24" }), "10.0.0.255", true),
        (json!({ "cidr": "10.0.0.0/24" }), "10.0.1.0", false),
        (json!({ "cidr": "10.0.0.1" }), "10.0.0.1", true),
        (json!({ "cidr": "10.0.0.0/0" }), "::1", false),
        (json!({ "cidr": "2001:db8::/32" }), "2001:db8::5", true),
        (json!({ "anything-but": "rugby" }), "tennis", true),
        (json!({ "anything-but": ["rugby", "tennis"] }), "tennis", false),
        (json!({ "anything-but": { "prefix": "bas" } }), "baseball", false),
        (json!({ "anything-but": { "suffix": ["ball", "bat"] } }), "acrobat", false),
        (json!({ "anything-but": { "wildcard": "b*l" } }), "rugby", true),
        (json!({ "exists": true }), "x", true),
        (json!({ "exists": false }), "x", false),
        (json!(100), "100", false),
    ] {
        assert_eq!(passes(test.clone(), "String", value), fits, "{test} {value}");
    }
}

#[test]
fn each_test_of_a_number_does_what_it_says() {
    for (test, value, fits) in [
        (json!(301.5), "301.5", true),
        (json!(301.5), "3.015e2", true),
        (json!("301.5"), "301.5", false),
        (json!({ "numeric": ["=", 1.000_001] }), "1", true),
        (json!({ "numeric": ["=", 1.000_01] }), "1", false),
        (json!({ "numeric": ["<", 10] }), "9.99999", true),
        (json!({ "numeric": ["<", 10] }), "10", false),
        (json!({ "numeric": [">=", 10] }), "10", true),
        (json!({ "numeric": [">", 0, "<=", 150] }), "150", true),
        (json!({ "numeric": [">", 0, "<=", 150] }), "0", false),
        (json!({ "anything-but": [100, 500] }), "100", false),
        (json!({ "anything-but": [100, 500] }), "101", true),
    ] {
        assert_eq!(passes(test.clone(), "Number", value), fits, "{test} {value}");
    }
}

#[test]
fn one_element_of_a_list_is_enough_and_binary_is_not_there() {
    assert!(passes(json!("b"), "String.Array", r#"["a","b"]"#));
    assert!(passes(json!(null), "String.Array", r#"["a",null]"#));
    assert!(passes(json!(true), "String.Array", "[true]"));
    assert!(passes(json!({ "numeric": [">", 1] }), "String.Array", "[1,2]"));
    assert!(passes(json!({ "anything-but": "a" }), "String.Array", r#"["a","b"]"#));
    assert!(!passes(json!({ "anything-but": "a" }), "String.Array", r#"["a"]"#));
    assert!(!passes(json!({ "exists": true }), "Binary", "AAEC"));
    assert!(passes(json!({ "exists": false }), "Binary", "AAEC"));
}

#[test]
fn all_keys_are_wanted_and_one_alternative() {
    let filter = json!({ "x": ["1"], "$or": [{ "y": ["2"] }, { "z": [{ "exists": false }] }] });
    assert!(wants(filter.clone(), json!({ "x": "1", "y": "2", "z": "" })));
    assert!(wants(filter.clone(), json!({ "x": "1" })));
    assert!(!wants(filter.clone(), json!({ "x": "1", "z": "" })));
    assert!(!wants(filter, json!({ "y": "2" })));
    // The name of a field.
    assert!(wants(json!({ "$or": ["1"] }), json!({ "$or": "1" })));
    assert!(wants(json!({ "$or": [{ "prefix": "a" }, { "prefix": "b" }] }), json!({ "$or": "bc" })));
}

#[test]
fn bodies_are_looked_into_and_what_is_no_object_is_not_wanted() {
    let filter = json!({ "order": { "items": { "sku": [{ "prefix": "A" }] } } });
    assert!(wants(filter.clone(), json!({ "order": { "items": [{ "sku": "B1" }, { "sku": "A1" }] } })));
    assert!(!wants(filter.clone(), json!({ "order": { "items": [{ "sku": "B1" }] } })));
    assert!(!wants(filter.clone(), json!({ "order": "A" })));
    for text in ["", "A", "[]", "{", "5"] {
        assert!(!body(&filter).wants(text, &Attributes::new()), "{text}");
    }
    assert!(body(&json!({})).wants("A", &Attributes::new()));
}

#[test]
fn what_is_no_filter_is_refused() {
    for bad in [
        json!([]),
        json!({ "a": "b" }),
        json!({ "a": [] }),
        json!({ "a": [[]] }),
        json!({ "a": {} }),
        json!({ "a": [{}] }),
        json!({ "a": [{ "like": "b" }] }),
        json!({ "a": [{ "prefix": 5 }] }),
        json!({ "a": [{ "prefix": "" }] }),
        json!({ "a": [{ "prefix": "a", "suffix": "b" }] }),
        json!({ "a": [{ "exists": "yes" }] }),
        json!({ "a": [{ "cidr": "10.0.0.0/33" }] }),
        json!({ "a": [{ "wildcard": "a**" }] }),
        json!({ "a": [{ "wildcard": "a\\" }] }),
        json!({ "a": [{ "anything-but": [true] }] }),
        json!({ "a": [{ "anything-but": [] }] }),
        json!({ "a": [{ "numeric": [] }] }),
        json!({ "a": [{ "numeric": ["<"] }] }),
        json!({ "a": [{ "numeric": ["<", "5"] }] }),
        json!({ "a": [{ "numeric": ["~", 5] }] }),
        json!({ "a": [{ "numeric": ["<", 5, ">", 1] }] }),
        json!({ "a": [{ "numeric": [">", 5, "<", 1] }] }),
        json!({ "a": [{ "numeric": [">", 1, ">", 2] }] }),
        json!({ "a": [{ "numeric": ["=", 1_000_000_001] }] }),
    ] {
        assert!(Filter::parse(&bad.to_string(), FilterScope::Body).is_err(), "{bad}");
    }
    let nested = refused(&json!({ "a": { "b": ["c"] } }), FilterScope::Attributes);
    assert!(nested.contains("does not support nested filter policy"), "{nested}");
}

#[test]
fn keys_and_combinations_are_limited() {
    let keys = |n: usize| (0..n).map(|n| (n.to_string(), json!(["x"]))).collect::<Map<_, _>>();
    assert!(Filter::parse(&json!(keys(5)).to_string(), FilterScope::Attributes).is_ok());
    assert!(refused(&json!(keys(6)), FilterScope::Attributes).contains("more than 5 keys"));
    // Keys below the top do not count, but their depth does.
    assert!(Filter::parse(&json!({ "a": keys(6) }).to_string(), FilterScope::Body).is_ok());
    let values = |n: usize| (0..n).map(|n| json!(n)).collect::<Vec<_>>();
    let filter = |b: usize| json!({ "a": values(10), "b": values(b) });
    assert!(Filter::parse(&filter(15).to_string(), FilterScope::Attributes).is_ok());
    assert!(refused(&filter(16), FilterScope::Attributes).contains("too complex"));
    let deep = |n: usize| json!({ "a": { "b": values(10) }, "c": values(n) });
    assert!(Filter::parse(&deep(7).to_string(), FilterScope::Body).is_ok());
    assert!(refused(&deep(8), FilterScope::Body).contains("too complex"));
}

/// A pattern with stars against a text, in the plainest way.
fn globs(pattern: &[char], text: &[char]) -> bool {
    match pattern.split_first() {
        None => text.is_empty(),
        Some(('*', rest)) => (0..=text.len()).any(|at| globs(rest, &text[at..])),
        Some((c, rest)) => text.first() == Some(c) && globs(rest, &text[1..]),
    }
}

proptest! {
    #[test]
    fn a_wildcard_agrees_with_the_plainest_way(pattern in "(\\*?[ab]){0,4}\\*?", text in "[ab]{0,8}") {
        let chars = |text: &str| text.chars().collect::<Vec<_>>();
        let wanted = globs(&chars(&pattern), &chars(&text));
        prop_assert_eq!(passes(json!({ "wildcard": pattern }), "String", &text), wanted);
    }

    #[test]
    fn anything_but_is_the_opposite_of_each_of_its_tests(value in "[ab]{1,3}", other in "[ab]{1,3}") {
        for test in [json!({ "prefix": &other }), json!({ "suffix": &other }), json!({ "wildcard": &other })] {
            let not = passes(json!({ "anything-but": &test }), "String", &value);
            prop_assert_eq!(not, !passes(test, "String", &value));
        }
        let not = passes(json!({ "anything-but": &other }), "String", &value);
        prop_assert_eq!(not, !passes(json!(other), "String", &value));
    }

    #[test]
    fn ranges_agree_with_arithmetic(low in -100..100_i32, width in 1..50_i32, number in -160..160_i32) {
        let range = json!({ "numeric": [">=", low, "<", low + width] });
        prop_assert_eq!(passes(range, "Number", &number.to_string()), (low..low + width).contains(&number));
    }

    #[test]
    fn no_text_brings_a_filter_down(filter in "\\PC{0,40}", text in "\\PC{0,40}") {
        for scope in [FilterScope::Attributes, FilterScope::Body] {
            if let Ok(filter) = Filter::parse(&filter, scope) {
                let value = attribute("a", "String.Array", Some(&text), None);
                filter.wants(&text, &value.map(|value| [("a".to_owned(), value)].into()).unwrap_or_default());
            }
        }
    }
}
