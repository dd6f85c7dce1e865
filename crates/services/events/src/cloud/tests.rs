use http::HeaderMap;
use serde_json::json;

use super::*;

fn headers(pairs: &[(&'static str, &str)]) -> HeaderMap {
    pairs.iter().map(|(name, value)| (name.parse().unwrap(), value.parse().unwrap())).collect()
}

const GOOD: &[(&str, &str)] =
    &[("ce-specversion", "1.0"), ("ce-id", "1"), ("ce-source", "/s"), ("ce-type", "t")];

fn one(headers: &HeaderMap, body: &[u8]) -> CloudEvent {
    let [event] = read(headers, body).unwrap().try_into().unwrap();
    event
}

#[test]
fn all_modes_say_the_same() {
    let more = [
        ("ce-time", "2026-11-21T09:00:00.5+01:00"),
        ("ce-subject", "a%20%E2%82%AC"),
        ("ce-own", "7"),
        ("content-type", "application/json; charset=utf-8"),
        ("host", "h"),
    ];
    let binary = one(&headers(&[GOOD, &more].concat()), br#"{"n":1}"#);
    let whole = json!({
        "specversion": "1.0", "id": "1", "source": "/s", "type": "t", "time": "2026-11-21T09:00:00.5+01:00",
        "subject": "a €", "own": "7", "datacontenttype": "application/json; charset=utf-8", "data": { "n": 1 },
    });
    assert_eq!(
        binary,
        CloudEvent {
            source: "/s".into(),
            kind: "t".into(),
            subject: Some("a €".into()),
            time: Some(
                Timestamp::from_civil(2026, 11, 21, 8, 0, 0)
                    .unwrap()
                    .plus(std::time::Duration::from_millis(500))
            ),
            whole: whole.clone(),
        }
    );
    let structured = headers(&[("content-type", "Application/CloudEvents+JSON; charset=UTF-8")]);
    assert_eq!(one(&structured, whole.to_string().as_bytes()), binary);
    let batch = headers(&[("content-type", "application/cloudevents-batch+json")]);
    assert_eq!(read(&batch, json!([whole, whole]).to_string().as_bytes()), Ok(vec![binary.clone(), binary]));
    assert_eq!(read(&batch, b"[]"), Ok(Vec::new()));
}

#[test]
fn data_is_what_its_type_says() {
    let data = |kind: Option<&str>, body: &[u8]| {
        let kind: Vec<_> = kind.iter().map(|kind| ("content-type", *kind)).collect();
        let mut whole = one(&headers(&[GOOD, &kind].concat()), body).whole;
        for name in ["specversion", "id", "source", "type", "datacontenttype"] {
            whole.as_object_mut().unwrap().remove(name);
        }
        whole
    };
    assert_eq!(data(Some("application/json"), b"[1]"), json!({ "data": [1] }));
    assert_eq!(data(Some("application/x+json"), b"null"), json!({ "data": null }));
    assert_eq!(data(Some("text/plain"), b"hi"), json!({ "data": "hi" }));
    assert_eq!(data(Some("text/plain"), b"\xff"), json!({ "data_base64": "/w==" }));
    assert_eq!(data(Some("image/png"), b"\x01"), json!({ "data_base64": "AQ==" }));
    assert_eq!(data(None, b"x"), json!({ "data_base64": "eA==" }));
    assert_eq!(data(None, b""), json!({}));
}

#[test]
fn what_is_no_cloud_event_is_refused() {
    let structured = |event: serde_json::Value| {
        read(&headers(&[("content-type", STRUCTURED)]), event.to_string().as_bytes()).unwrap_err()
    };
    let with = |name: &str, value: serde_json::Value| {
        let mut event = json!({ "specversion": "1.0", "id": "1", "source": "s", "type": "t" });
        event[name] = value;
        structured(event)
    };
    let attribute = |name: &str| Invalid::Attribute(name.to_owned());
    assert_eq!(with("specversion", json!("0.3")), Invalid::Version("0.3".into()));
    assert_eq!(with("id", json!(null)), Invalid::Missing("id"));
    assert_eq!(with("id", json!("")), attribute("id"));
    assert_eq!(with("source", json!(1)), attribute("source"));
    assert_eq!(with("time", json!("yesterday")), attribute("time"));
    assert_eq!(with("my-own", json!("x")), attribute("my-own"));
    assert_eq!(with("own", json!({})), attribute("own"));
    assert_eq!(with("own", json!(1.5)), attribute("own"));
    assert_eq!(with("data_base64", json!(1)), attribute("data_base64"));
    let both =
        json!({ "specversion": "1.0", "id": "1", "source": "s", "type": "t", "data": 1, "data_base64": "" });
    assert_eq!(structured(both), Invalid::TwoKindsOfData);
    assert_eq!(structured(json!([])), Invalid::NotAnObject);
    let of = |kind: &str, body: &[u8]| read(&headers(&[("content-type", kind)]), body).unwrap_err();
    assert_eq!(of(STRUCTURED, b"{"), Invalid::NotJson);
    assert_eq!(of(BATCH, b"{}"), Invalid::NotABatch);
    assert_eq!(of("application/cloudevents+xml", b""), Invalid::Format("application/cloudevents+xml".into()));
    assert_eq!(of("application/json", b"{}"), Invalid::Missing("specversion"));
    let broken = headers(&[GOOD, &[("ce-subject", "%e")]].concat());
    assert_eq!(read(&broken, b""), Err(attribute("subject")));
}
