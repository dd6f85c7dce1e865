use std::collections::BTreeSet;

use proptest::prelude::*;
use serde_json::json;

use super::*;

const RESERVED: Reserved<'_> = Reserved {
    rule_arn: "arn:aws:events:r:0:rule/x",
    rule_name: "x",
    ingestion_time: "2026-11-21T00:00:00Z",
};

fn event() -> Value {
    json!({ "source": "s", "detail-type": "t", "detail": { "a": [{ "b": 1 }, { "b": "two\n\"2\"" }], "n": 1.5, "x": null } })
}

fn path(text: &str) -> Option<Value> {
    Path::parse(text).unwrap_or_else(|| panic!("{text}")).find(&event())
}

#[test]
fn paths_find_what_stands_there() {
    assert_eq!(path("$"), Some(event()));
    assert_eq!(path("$.detail-type"), Some(json!("t")));
    assert_eq!(path("$['detail-type']"), Some(json!("t")));
    assert_eq!(path("$.detail.a[0].b"), Some(json!(1)));
    assert_eq!(path("$.detail.a[*].b"), Some(json!([1, "two\n\"2\""])));
    assert_eq!(path("$.detail.a[7].b"), None);
    assert_eq!(path("$.detail.x"), Some(Value::Null));
    assert_eq!(path("$.nothing"), None);
    for bad in ["", "x", "$.", "$x", "$..a", "$.a[", "$.a[x]", "$.a[-1]", "$.a b", "$['']", "$.a.[0]", "$.a["]
    {
        assert_eq!(Path::parse(bad), None, "{bad}");
    }
}

fn made(template: &str) -> String {
    let variables =
        [("n", "$.detail.n"), ("text", "$.detail.a[1].b"), ("list", "$.detail.a"), ("gone", "$.gone")];
    let variables: BTreeMap<String, Path> =
        variables.iter().map(|(name, path)| ((*name).to_owned(), Path::parse(path).unwrap())).collect();
    let names: BTreeSet<&str> = variables.keys().map(String::as_str).collect();
    let template =
        Template::parse(template, &names).unwrap_or_else(|unknown| panic!("{template}: {unknown:?}"));
    Maker::Transformed { variables, template }.make(&event().to_string(), &event(), &RESERVED)
}

#[test]
fn templates_are_filled_in() {
    for (template, wanted) in [
        (
            r#"{"n": <n>, "t": <text>, "l": <list>}"#,
            r#"{"n": 1.5, "t": "two\n\"2\"", "l": [{"b":1},{"b":"two\n\"2\""}]}"#,
        ),
        (
            r#"{"t": "it is <text>, <n> of <list>"}"#,
            r#"{"t": "it is two\n\"2\", 1.5 of [{b:1},{b:two\\n\\2\\}]"}"#,
        ),
        (r#""<n> \"<n>\" \\<n>""#, r#""1.5 \"1.5\" \\1.5""#),
        (r#"{"a": <gone>, "b": "<gone>"}"#, r#"{"a": "", "b": ""}"#),
        (r#"["<aws.events.rule-name>", <aws.events.rule-arn>]"#, r#"["x", "arn:aws:events:r:0:rule/x"]"#),
        ("<aws.events.event.ingestion-time>", r#""2026-11-21T00:00:00Z""#),
        ("<aws.events.event>", r#"{"detail-type":"t","source":"s"}"#),
        (r#"{"less": "1 < 2 <>"}"#, r#"{"less": "1 < 2 <>"}"#),
    ] {
        let found = made(template);
        assert_eq!(found, wanted, "{template}");
        assert!(serde_json::from_str::<Value>(&found).is_ok(), "{found}");
    }
    assert_eq!(made("<aws.events.event.json>"), event().to_string());
}

#[test]
fn templates_that_make_no_json_or_name_nobody_are_refused() {
    let none = BTreeSet::new();
    assert_eq!(
        Template::parse(r#"{"a": <x>, "b": "<y>"}"#, &none),
        Err(vec!["x".to_owned(), "y".to_owned()])
    );
    for bad in ["plain words", "{", r#"{"a": }"#, "\"a\"\n\"b\"", ""] {
        assert_eq!(Template::parse(bad, &none), Err(Vec::new()), "{bad}");
    }
}

#[test]
fn the_other_makers_do_as_they_are_named() {
    let text = event().to_string();
    let make = |maker: Maker| maker.make(&text, &event(), &RESERVED);
    assert_eq!(make(Maker::Whole), text);
    assert_eq!(make(Maker::Constant("[1]".into())), "[1]");
    assert_eq!(make(Maker::Part(Path::parse("$.detail.n").unwrap())), "1.5");
    assert_eq!(make(Maker::Part(Path::parse("$.gone").unwrap())), "null");
}

proptest! {
    #[test]
    fn what_a_template_makes_is_json(name in "[a-z]{1,3}", text in any::<String>(), quoted in any::<bool>()) {
        let event = json!({ "v": text });
        let variables = BTreeMap::from([(name.clone(), Path::parse("$.v").unwrap())]);
        let template = if quoted { format!(r#"{{"a": "<{name}>!"}}"#) } else { format!(r#"{{"a": <{name}>}}"#) };
        let template = Template::parse(&template, &BTreeSet::from([name.as_str()])).unwrap();
        let made = Maker::Transformed { variables, template }.make("", &event, &RESERVED);
        let wanted = if quoted { format!("{text}!") } else { text };
        prop_assert_eq!(serde_json::from_str::<Value>(&made).unwrap(), json!({ "a": wanted }));
    }

    #[test]
    fn no_text_makes_reading_panic(text in ".{0,40}") {
        let _ = Path::parse(&text);
        let _ = Path::parse(&format!("${text}"));
        let _ = Template::parse(&text, &BTreeSet::new());
    }
}
