//! The request that an event becomes for an API destination. Pure.
//!
//! User guide, *API destinations*: which headers each request has, which nobody can set, and how `*` in an address's path
//! is filled. API reference, *HttpParameters*: a value of the connection goes before the target's of the same name.

use std::collections::BTreeMap;

use lambent_store::events::{DestinationRecord, HttpParametersRecord, ParameterRecord, TargetHttpRecord};
use lambent_wire::percent;
use serde_json::Value;

use crate::input::Path;

/// What every request says, whatever its parameters are.
const FIXED: [(&str, &str); 4] = [
    ("user-agent", "Amazon/EventBridge/ApiDestinations"),
    ("range", "bytes=0-1048575"),
    ("accept-encoding", "gzip,deflate"),
    ("connection", "close"),
];

/// What a request says unless a parameter does.
const CONTENT_TYPE: (&str, &str) = ("content-type", "application/json; charset=utf-8");

/// User guide: parameters of these names are left out.
const LEFT_OUT: [&str; 33] = [
    "a-im",
    "accept-charset",
    "accept-datetime",
    "accept-encoding",
    "cache-control",
    "connection",
    "content-encoding",
    "content-length",
    "content-md5",
    "date",
    "expect",
    "forwarded",
    "from",
    "host",
    "http2-settings",
    "if-match",
    "if-modified-since",
    "if-none-match",
    "if-range",
    "if-unmodified-since",
    "max-forwards",
    "origin",
    "pragma",
    "proxy-authorization",
    "range",
    "referer",
    "te",
    "trailer",
    "transfer-encoding",
    "user-agent",
    "upgrade",
    "via",
    "warning",
];

/// A request, ready to be sent.
#[derive(Debug, PartialEq, Eq)]
pub struct Request {
    pub method: String,
    pub url: String,
    pub headers: Vec<(String, String)>,
    pub body: String,
}

/// `authorization` is the header that says who asks.
pub fn request(
    destination: &DestinationRecord,
    connection: &HttpParametersRecord,
    target: &TargetHttpRecord,
    authorization: (String, String),
    body: &str,
) -> Request {
    let mut query = target.query.clone();
    query.extend(connection.query.iter().map(pair));
    let headers = target.headers.clone().into_iter().chain(connection.headers.iter().map(pair));
    Request {
        method: destination.method.clone(),
        url: url(&destination.endpoint, &target.path, &query),
        headers: headers_of(headers.chain([authorization])),
        body: with_parameters(body, &connection.body),
    }
}

fn pair(parameter: &ParameterRecord) -> (String, String) {
    (parameter.key.clone(), parameter.value.0.clone())
}

/// The later one of two of a name counts.
pub fn headers_of(given: impl IntoIterator<Item = (String, String)>) -> Vec<(String, String)> {
    let own = |(name, value): (&str, &str)| (name.to_owned(), value.to_owned());
    let mut headers = BTreeMap::from([own(CONTENT_TYPE)]);
    for (name, value) in given {
        let name = name.to_ascii_lowercase();
        if !LEFT_OUT.contains(&name.as_str()) {
            headers.insert(name, value.trim().to_owned());
        }
    }
    headers.extend(FIXED.map(own));
    headers.into_iter().collect()
}

/// The endpoint with each `*` of its path filled, and with more in its query.
pub fn url(endpoint: &str, path: &[String], query: &BTreeMap<String, String>) -> String {
    let (address, given) = endpoint.split_once('?').unwrap_or((endpoint, ""));
    let start = address.find("://").map_or(0, |at| at + 3);
    let start = address[start..].find('/').map_or(address.len(), |at| start + at);
    let (origin, pattern) = address.split_at(start);
    let mut url = origin.to_owned();
    let mut values = path.iter();
    for (at, part) in pattern.split('*').enumerate() {
        if at > 0 {
            match values.next() {
                Some(value) => url.push_str(&percent::encode(value)),
                None => url.push('*'),
            }
        }
        url.push_str(part);
    }
    let pairs =
        query.iter().map(|(name, value)| format!("{}={}", percent::encode(name), percent::encode(value)));
    let all: Vec<String> =
        Some(given.to_owned()).filter(|text| !text.is_empty()).into_iter().chain(pairs).collect();
    if !all.is_empty() {
        url.push('?');
        url.push_str(&all.join("&"));
    }
    url
}

/// Members that a connection adds to a body which is an object; another body stays as it is.
fn with_parameters(body: &str, parameters: &[ParameterRecord]) -> String {
    if parameters.is_empty() {
        return body.to_owned();
    }
    let Ok(Value::Object(mut object)) = serde_json::from_str::<Value>(body) else { return body.to_owned() };
    let is_new = parameters.iter().all(|parameter| !object.contains_key(&parameter.key));
    object.extend(parameters.iter().map(|p| (p.key.clone(), Value::from(p.value.0.clone()))));
    let added: serde_json::Map<String, Value> =
        parameters.iter().map(|p| (p.key.clone(), Value::from(p.value.0.clone()))).collect();
    let Some(begin) = body.trim_end().strip_suffix('}').filter(|_| is_new) else {
        return Value::Object(object).to_string();
    };
    // The event keeps its own letters, numbers above all.
    let comma = if object.len() == added.len() { "" } else { "," };
    let added = Value::Object(added).to_string();
    format!("{begin}{comma}{}", &added[1..])
}

/// A target's parameters for an event: a value that is a path gets what stands there, and nothing when nothing does.
pub fn filled(target: &TargetHttpRecord, event: &Value) -> TargetHttpRecord {
    let fill = |text: &String| match Path::parse(text).filter(|_| text.starts_with("$.")) {
        None => text.clone(),
        Some(path) => match path.find(event) {
            None | Some(Value::Null) => String::new(),
            Some(Value::String(text)) => text,
            Some(value) => value.to_string(),
        },
    };
    let fill_map = |map: &BTreeMap<String, String>| {
        map.iter().map(|(name, value)| (name.clone(), fill(value))).collect()
    };
    TargetHttpRecord {
        path: target.path.iter().map(fill).collect(),
        headers: fill_map(&target.headers),
        query: fill_map(&target.query),
    }
}

/// Whether a text is an address that a request can be sent to. The reference takes `https` only.
pub fn is_endpoint(text: &str) -> bool {
    text.parse::<http::Uri>().is_ok_and(|uri| {
        matches!(uri.scheme_str(), Some("http" | "https"))
            && uri.host().is_some_and(|host| !host.is_empty())
            && uri.authority().is_some_and(|authority| !authority.as_str().contains('@'))
    })
}

#[cfg(test)]
mod tests {
    use lambent_store::events::Secret;
    use serde_json::json;

    use super::*;

    fn parameter(key: &str, value: &str) -> ParameterRecord {
        ParameterRecord { key: key.into(), value: Secret(value.into()), is_secret: true }
    }

    fn map(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
        pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
    }

    #[test]
    fn stars_of_the_path_are_filled_in_their_order_and_the_query_grows() {
        let path = ["a/b".to_owned(), "ü".to_owned()];
        for (endpoint, expected) in [
            ("https://h/*/x/*", "https://h/a%2Fb/x/%C3%BC?q=1%262"),
            ("https://h:1/*/*/*?z=*", "https://h:1/a%2Fb/%C3%BC/*?z=*&q=1%262"),
            ("https://h", "https://h?q=1%262"),
        ] {
            assert_eq!(url(endpoint, &path, &map(&[("q", "1&2")])), expected, "{endpoint}");
        }
        assert_eq!(url("https://h/", &[], &BTreeMap::new()), "https://h/");
    }

    #[test]
    fn the_connection_goes_before_the_target_and_nobody_sets_what_is_fixed() {
        let destination = DestinationRecord {
            method: "PUT".into(),
            endpoint: "https://h/".into(),
            ..DestinationRecord::default()
        };
        let connection = HttpParametersRecord {
            headers: vec![
                parameter("X-A", "connection"),
                parameter("Host", "evil"),
                parameter("User-Agent", "me"),
            ],
            query: vec![parameter("q", "connection")],
            body: vec![parameter("b", "connection")],
        };
        let target = TargetHttpRecord {
            path: Vec::new(),
            headers: map(&[("x-a", "target"), ("x-b", "target"), ("Content-Type", "text/plain")]),
            query: map(&[("q", "target"), ("r", "target")]),
        };
        let made = request(&destination, &connection, &target, ("Key".into(), "k".into()), r#"{"a":1.50}"#);
        assert_eq!((made.method.as_str(), made.url.as_str()), ("PUT", "https://h/?q=connection&r=target"));
        assert_eq!(made.body, r#"{"a":1.50,"b":"connection"}"#);
        let headers: BTreeMap<_, _> = made.headers.into_iter().collect();
        let expected = map(&[
            ("accept-encoding", "gzip,deflate"),
            ("connection", "close"),
            ("content-type", "text/plain"),
            ("key", "k"),
            ("range", "bytes=0-1048575"),
            ("user-agent", "Amazon/EventBridge/ApiDestinations"),
            ("x-a", "connection"),
            ("x-b", "target"),
        ]);
        assert_eq!(headers, expected);
    }

    #[test]
    fn parameters_of_the_body_are_members_of_an_object() {
        let added = [parameter("b", "2")];
        for (body, expected) in [
            ("{}", r#"{"b":"2"}"#),
            (r#"{"a":1} "#, r#"{"a":1,"b":"2"}"#),
            (r#"{"b":1}"#, r#"{"b":"2"}"#),
            ("[1]", "[1]"),
            ("\"text\"", "\"text\""),
            ("no JSON", "no JSON"),
        ] {
            assert_eq!(with_parameters(body, &added), expected);
        }
    }

    #[test]
    fn a_path_stands_for_what_the_event_says() {
        let event = json!({ "detail": { "id": 7, "name": "n", "none": null } });
        let target = TargetHttpRecord {
            path: ["$.detail.id", "$.detail.name", "$.detail.gone", "$.detail.none", "plain", "$5", "$"]
                .map(Into::into)
                .into(),
            ..TargetHttpRecord::default()
        };
        assert_eq!(filled(&target, &event).path, ["7", "n", "", "", "plain", "$5", "$"]);
    }

    #[test]
    fn an_endpoint_is_an_address() {
        for good in ["https://h.example/", "http://127.0.0.1:80/*/a?b=c", "https://h"] {
            assert!(is_endpoint(good), "{good}");
        }
        for bad in [
            "",
            "h",
            "ftp://h/",
            "https://",
            "https:///x",
            "https://u:p@h/",
            "https://h/a b",
            "file:///etc/passwd",
        ] {
            assert!(!is_endpoint(bad), "{bad}");
        }
    }
}
