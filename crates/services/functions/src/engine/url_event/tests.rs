use http::HeaderValue;
use serde_json::{Value, json};

use super::*;

struct Sample {
    headers: HeaderMap,
    body: Bytes,
    query: &'static str,
    account: Option<AccountId>,
}

impl Sample {
    fn new(headers: &[(&'static str, &'static str)]) -> Self {
        let headers = headers
            .iter()
            .map(|(name, value)| (HeaderName::from_static(name), HeaderValue::from_static(value)))
            .collect();
        Self { headers, body: Bytes::new(), query: "", account: None }
    }

    fn event(&self) -> Value {
        let pairs = lambent_wire::route::decode_query(self.query).unwrap();
        let request_id = RequestId::new("00010203-0405-4607-8809-0a0b0c0d0e0f").unwrap();
        let bytes = event(&Arrived {
            url_id: "abc",
            method: &Method::POST,
            path: "/a%20b/c",
            query: self.query,
            query_pairs: &pairs,
            headers: &self.headers,
            body: &self.body,
            domain_name: "abc.lambda-url.eu-west-1.localhost:4566",
            scheme: "http",
            source_ip: "192.0.2.7",
            trace_header: "Root=1-2-3",
            request_id: &request_id,
            now: Timestamp::from_millis(1_583_348_638_390),
            signer: self.account.as_ref().map(|account| Signer {
                account,
                access_key_id: "AKIA1",
                arn: "arn:aws:iam::000000000000:root",
            }),
        });
        serde_json::from_slice(&bytes).unwrap()
    }
}

#[test]
fn an_unsigned_request_becomes_the_whole_event() {
    let mut sample = Sample::new(&[
        ("host", "abc.lambda-url.eu-west-1.localhost:4566"),
        ("user-agent", "curl/8"),
        ("content-type", "application/json"),
        ("connection", "keep-alive"),
    ]);
    sample.body = Bytes::from_static(b"{\"a\":1}");
    sample.query = "p=1&q=a%2Cb&p=2+3";
    assert_eq!(
        sample.event(),
        json!({
            "version": "2.0",
            "routeKey": "$default",
            "rawPath": "/a%20b/c",
            "rawQueryString": "p=1&q=a%2Cb&p=2+3",
            "headers": {
                "host": "abc.lambda-url.eu-west-1.localhost:4566",
                "user-agent": "curl/8",
                "content-type": "application/json",
                "x-forwarded-for": "192.0.2.7",
                "x-forwarded-port": "4566",
                "x-forwarded-proto": "http",
                "x-amzn-trace-id": "Root=1-2-3",
            },
            "queryStringParameters": { "p": "1,2 3", "q": "a,b" },
            "requestContext": {
                "accountId": "anonymous",
                "apiId": "abc",
                "domainName": "abc.lambda-url.eu-west-1.localhost:4566",
                "domainPrefix": "abc",
                "http": {
                    "method": "POST",
                    "path": "/a%20b/c",
                    "protocol": "HTTP/1.1",
                    "sourceIp": "192.0.2.7",
                    "userAgent": "curl/8",
                },
                "requestId": "00010203-0405-4607-8809-0a0b0c0d0e0f",
                "routeKey": "$default",
                "stage": "$default",
                "time": "04/Mar/2020:19:03:58 +0000",
                "timeEpoch": 1_583_348_638_390u64,
            },
            "body": "{\"a\":1}",
            "isBase64Encoded": false,
        })
    );
}

#[test]
fn members_with_nothing_to_say_are_left_out() {
    let event = Sample::new(&[]).event();
    for member in ["cookies", "queryStringParameters", "body"] {
        assert_eq!(event.get(member), None, "{member}");
    }
    assert_eq!(event["isBase64Encoded"], false);
    assert_eq!(event["requestContext"].get("authorizer"), None);
}

#[test]
fn cookies_stand_apart_and_repeated_headers_are_joined() {
    let mut sample = Sample::new(&[("cookie", "a=1; b=2")]);
    sample.headers.append("cookie", HeaderValue::from_static("c=3"));
    for value in ["1", "2"] {
        sample.headers.append("x-many", HeaderValue::from_static(value));
    }
    let event = sample.event();
    assert_eq!(event["cookies"], json!(["a=1", "b=2", "c=3"]));
    assert_eq!(event["headers"]["x-many"], "1,2");
    assert_eq!(event["headers"].get("cookie"), None);
}

#[test]
fn a_signer_is_named_and_its_signature_is_not_passed_on() {
    let mut sample = Sample::new(&[("authorization", "AWS4-HMAC-SHA256 ...")]);
    assert_eq!(
        sample.event()["headers"]["authorization"],
        "AWS4-HMAC-SHA256 ...",
        "the function's own scheme"
    );
    sample.account = Some(AccountId::new("000000000000").unwrap());
    let event = sample.event();
    assert_eq!(event["headers"].get("authorization"), None);
    assert_eq!(event["requestContext"]["accountId"], "000000000000");
    assert_eq!(
        event["requestContext"]["authorizer"]["iam"],
        json!({
            "accessKey": "AKIA1",
            "accountId": "000000000000",
            "callerId": "000000000000",
            "cognitoIdentity": null,
            "principalOrgId": null,
            "userArn": "arn:aws:iam::000000000000:root",
            "userId": "000000000000",
        })
    );
}

#[test]
fn a_body_is_text_only_when_its_type_and_its_bytes_say_so() {
    for (content_type, body, wanted) in [
        (Some("application/json"), "{}", ("{}", false)),
        (Some("text/plain; charset=utf-8"), "ä", ("ä", false)),
        (Some("Application/Problem+JSON"), "{}", ("{}", false)),
        (Some("application/xml"), "<a/>", ("<a/>", false)),
        (Some("application/x-www-form-urlencoded"), "a=1", ("YT0x", true)),
        (Some("application/octet-stream"), "a", ("YQ==", true)),
        (None, "a", ("YQ==", true)),
    ] {
        let mut sample = Sample::new(&[]);
        if let Some(content_type) = content_type {
            sample.headers.insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
        }
        sample.body = Bytes::from(body);
        let event = sample.event();
        assert_eq!((event["body"].as_str().unwrap(), event["isBase64Encoded"].as_bool().unwrap()), wanted);
    }
    let mut sample = Sample::new(&[("content-type", "text/plain")]);
    sample.body = Bytes::from_static(&[0xff, 0x00]);
    assert_eq!(sample.event()["body"], "/wA=", "what is not UTF-8 can't be JSON's text");
}
