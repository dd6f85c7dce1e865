use serde_json::json;

use super::*;

/// Status, body, headers.
type Shown = (u16, String, Vec<(String, String)>);

fn of(payload: &str) -> Result<Shown, Malformed> {
    let response = response(Bytes::from(payload.to_owned()))?;
    let headers = response.headers().iter();
    let headers = headers.map(|(n, v)| (n.to_string(), v.to_str().unwrap().to_owned())).collect();
    let body = String::from_utf8_lossy(response.body()).into_owned();
    Ok((response.status().as_u16(), body, headers))
}

fn pairs(list: &[(&str, &str)]) -> Vec<(String, String)> {
    list.iter().map(|(n, v)| ((*n).to_owned(), (*v).to_owned())).collect()
}

#[test]
fn a_result_without_a_status_is_the_body() {
    for (payload, body) in [
        (r#"{"hello": "world"}"#, r#"{"hello": "world"}"#),
        (r#"["a", 3, true]"#, r#"["a", 3, true]"#),
        (r#""hello""#, "hello"),
        ("3.1", "3.1"),
        ("null", "null"),
        ("not JSON", "not JSON"),
        (r#"{"body": "x", "headers": {"x-a": "1"}}"#, r#"{"body": "x", "headers": {"x-a": "1"}}"#),
    ] {
        let wanted = (200, body.to_owned(), pairs(&[("content-type", "application/json")]));
        assert_eq!(of(payload), Ok(wanted), "{payload}");
    }
}

#[test]
fn a_whole_result_is_told_apart() {
    let payload = json!({
        "statusCode": 201,
        "headers": { "Content-Type": "text/html", "X-Number": 7, "Content-Length": "999", "x-none": null },
        "cookies": ["a=1; Secure", "b=2"],
        "body": "<p>",
    });
    let headers = pairs(&[
        ("content-type", "text/html"),
        ("x-number", "7"),
        ("set-cookie", "a=1; Secure"),
        ("set-cookie", "b=2"),
    ]);
    assert_eq!(of(&payload.to_string()), Ok((201, "<p>".to_owned(), headers)));
}

#[test]
fn bodies_of_every_kind_are_sent() {
    for (members, body) in [
        (json!({}), ""),
        (json!({ "body": null }), ""),
        (json!({ "body": "aGk=", "isBase64Encoded": true }), "hi"),
        (json!({ "body": "aGk=", "isBase64Encoded": false }), "aGk="),
        (json!({ "body": { "a": 1 } }), r#"{"a":1}"#),
    ] {
        let mut payload = members.clone();
        payload["statusCode"] = json!("200");
        assert_eq!(of(&payload.to_string()).unwrap().1, body, "{members}");
    }
}

#[test]
fn what_no_response_can_be_is_malformed() {
    for payload in [
        json!({ "statusCode": "x" }),
        json!({ "statusCode": 99 }),
        json!({ "statusCode": 101 }),
        json!({ "statusCode": 70_000 }),
        json!({ "statusCode": -1 }),
        json!({ "statusCode": 200, "headers": [] }),
        json!({ "statusCode": 200, "headers": { "a b": "1" } }),
        json!({ "statusCode": 200, "headers": { "a": "1\r\nb: 2" } }),
        json!({ "statusCode": 200, "headers": { "a": [] } }),
        json!({ "statusCode": 200, "cookies": "a=1" }),
        json!({ "statusCode": 200, "cookies": ["a\n"] }),
        json!({ "statusCode": 200, "body": "?", "isBase64Encoded": true }),
    ] {
        assert!(of(&payload.to_string()).is_err(), "{payload}");
    }
}
