//! What an extension asks for when it subscribes. Pure.
//!
//! Limits and messages: *Lambda Telemetry API reference* in the developer guide.

use std::time::Duration;

use serde_json::{Map, Value};

pub const MAX_ITEMS: Range = Range { name: "maxItems", default: 1_000, min: 1_000, max: 10_000 };
pub const MAX_BYTES: Range = Range { name: "maxBytes", default: 262_144, min: 262_144, max: 1_048_576 };
pub const TIMEOUT_MS: Range = Range { name: "timeoutMs", default: 1_000, min: 25, max: 30_000 };

const SCHEMAS: [&str; 3] = ["2022-07-01", "2022-12-13", "2025-01-29"];
/// The hosts under which an extension is reached; all lead to its own sandbox.
const HOSTS: [&str; 2] = ["sandbox.localdomain", "sandbox"];
/// The Runtime API's own.
const RESERVED_PORT: u16 = 9001;

pub struct Range {
    pub name: &'static str,
    pub default: u64,
    pub min: u64,
    pub max: u64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Category {
    Platform,
    Function,
    Extension,
}

impl Category {
    fn parse(text: &str) -> Option<Self> {
        Some(match text {
            "platform" => Self::Platform,
            "function" => Self::Function,
            "extension" => Self::Extension,
            _ => return None,
        })
    }

    pub fn as_str(self) -> &'static str {
        match self {
            Self::Platform => "platform",
            Self::Function => "function",
            Self::Extension => "extension",
        }
    }

    /// As the function's log writes it.
    pub fn title(self) -> &'static str {
        match self {
            Self::Platform => "Platform",
            Self::Function => "Function",
            Self::Extension => "Extension",
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Buffering {
    pub max_items: usize,
    pub max_bytes: usize,
    pub timeout: Duration,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Destination {
    Http { host: String, port: u16, path: String },
    Tcp { port: u16 },
}

impl Destination {
    pub fn port(&self) -> u16 {
        match self {
            Self::Http { port, .. } | Self::Tcp { port } => *port,
        }
    }
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Subscription {
    pub types: Vec<Category>,
    pub buffering: Buffering,
    pub destination: Destination,
    /// Log records that are JSON objects are passed on as such: since 2022-12-13.
    pub objects: bool,
}

impl Subscription {
    /// Everything that is wrong with a request, in one message.
    pub fn parse(body: &[u8]) -> Result<Self, String> {
        let document: Map<String, Value> = serde_json::from_slice(body).map_err(|error| error.to_string())?;
        let mut wrong = Vec::new();
        let schema = document.get("schemaVersion").and_then(Value::as_str).unwrap_or_default();
        if !SCHEMAS.contains(&schema) {
            wrong.push("TelemetryAPI only supports the SchemaVersion released after 2021-03-18".to_owned());
        }
        let destination = destination(document.get("destination"), &mut wrong);
        let types = types(document.get("types"), &mut wrong);
        let buffering = buffering(document.get("buffering"), &mut wrong);
        match destination {
            Some(destination) if wrong.is_empty() => {
                Ok(Self { types, buffering, destination, objects: schema != SCHEMAS[0] })
            }
            _ => Err(wrong.join("; ")),
        }
    }
}

fn types(given: Option<&Value>, wrong: &mut Vec<String>) -> Vec<Category> {
    let mut types = Vec::new();
    for kind in given.and_then(Value::as_array).into_iter().flatten() {
        match kind.as_str().and_then(Category::parse) {
            Some(kind) if types.contains(&kind) => wrong.push("types should be unique".to_owned()),
            Some(kind) => types.push(kind),
            None => wrong.push(format!("types: unrecognized value {kind}")),
        }
    }
    if types.is_empty() {
        wrong.push("types should not be empty".to_owned());
    }
    types
}

fn buffering(given: Option<&Value>, wrong: &mut Vec<String>) -> Buffering {
    let mut setting = |range: &Range| {
        let value = given.and_then(|given| given.get(range.name)).filter(|value| !value.is_null());
        let number = value.map_or(Some(range.default), Value::as_u64);
        match number.filter(|number| (range.min..=range.max).contains(number)) {
            Some(number) => number,
            None => {
                wrong.push(format!("{} should be between {} and {}", range.name, range.min, range.max));
                range.default
            }
        }
    };
    Buffering {
        max_items: setting(&MAX_ITEMS) as usize,
        max_bytes: setting(&MAX_BYTES) as usize,
        timeout: Duration::from_millis(setting(&TIMEOUT_MS)),
    }
}

fn destination(given: Option<&Value>, wrong: &mut Vec<String>) -> Option<Destination> {
    let word = |name: &str| given.and_then(|given| given.get(name)).and_then(Value::as_str);
    let found = match word("protocol") {
        Some("HTTP") => http_destination(word("URI").unwrap_or_default()),
        Some("TCP") => {
            let port = given.and_then(|given| given.get("port")).and_then(Value::as_u64);
            let port = port.and_then(|port| u16::try_from(port).ok()).filter(|port| *port > 0);
            port.map(|port| Destination::Tcp { port }).ok_or("port should be between 1 and 65535")
        }
        _ => Err("destination protocol should be HTTP or TCP"),
    };
    match found {
        Ok(destination) if destination.port() == RESERVED_PORT => {
            wrong.push(format!("port {RESERVED_PORT} is reserved"));
            None
        }
        Ok(destination) => Some(destination),
        Err(why) => {
            wrong.push(why.to_owned());
            None
        }
    }
}

fn http_destination(uri: &str) -> Result<Destination, &'static str> {
    let rest = uri.strip_prefix("http://").ok_or("Only 'http' scheme is supported")?;
    let (authority, path) = match rest.find('/') {
        Some(slash) => rest.split_at(slash),
        None => (rest, "/"),
    };
    let (host, port) = authority.split_once(':').ok_or("URI port is not provided")?;
    if !HOSTS.contains(&host) {
        return Err("Only 'sandbox.localdomain' hostname is supported");
    }
    let port = port.parse().ok().filter(|port| *port > 0).ok_or("URI port is invalid")?;
    if !path.bytes().all(|byte| byte.is_ascii_graphic()) {
        return Err("URI is invalid");
    }
    let path = path.split('#').next().unwrap_or(path).to_owned();
    Ok(Destination::Http { host: host.to_owned(), port, path })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(document: &Value) -> Result<Subscription, String> {
        Subscription::parse(document.to_string().as_bytes())
    }

    fn good() -> Value {
        serde_json::json!({
            "schemaVersion": "2022-07-01", "types": ["platform", "function"],
            "destination": { "protocol": "HTTP", "URI": "http://sandbox.localdomain:8080/here" },
        })
    }

    #[test]
    fn defaults_are_the_references() {
        let subscription = parse(&good()).unwrap();
        assert_eq!(subscription.types, [Category::Platform, Category::Function]);
        let buffering = Buffering { max_items: 1_000, max_bytes: 262_144, timeout: Duration::from_secs(1) };
        assert_eq!(subscription.buffering, buffering);
        let destination =
            Destination::Http { host: "sandbox.localdomain".into(), port: 8080, path: "/here".into() };
        assert_eq!(subscription.destination, destination);
        assert!(!subscription.objects);
    }

    #[test]
    fn each_setting_is_taken() {
        let mut document = good();
        document["schemaVersion"] = "2022-12-13".into();
        document["buffering"] = serde_json::json!({ "maxItems": 2000, "maxBytes": 300_000, "timeoutMs": 25 });
        document["destination"] = serde_json::json!({ "protocol": "TCP", "port": 99 });
        let subscription = parse(&document).unwrap();
        let buffering =
            Buffering { max_items: 2_000, max_bytes: 300_000, timeout: Duration::from_millis(25) };
        assert_eq!((subscription.buffering, subscription.objects), (buffering, true));
        assert_eq!(subscription.destination, Destination::Tcp { port: 99 });
    }

    #[test]
    fn everything_wrong_is_said_at_once() {
        let mut document = good();
        document["destination"]["URI"] = "http://sandbox.localdomain".into();
        document["types"] = serde_json::json!([]);
        assert_eq!(parse(&document).unwrap_err(), "URI port is not provided; types should not be empty");
    }

    #[test]
    fn what_leads_out_of_the_sandbox_or_makes_no_sense_is_refused() {
        for uri in [
            "https://sandbox:1",
            "http://example.com:80",
            "http://sandbox:0",
            "http://sandbox:9001",
            "http://sandbox:x",
            "http://sandbox:1/a b",
            "http://u@sandbox:1",
            "",
        ] {
            let mut document = good();
            document["destination"]["URI"] = uri.into();
            assert!(parse(&document).is_err(), "{uri}");
        }
        for (name, value) in [("maxItems", 999), ("maxBytes", 1 << 30), ("timeoutMs", 24)] {
            let mut document = good();
            document["buffering"] = serde_json::json!({ name: value });
            assert!(parse(&document).unwrap_err().starts_with(name));
        }
        let mut document = good();
        document["types"] = serde_json::json!(["platform", "none"]);
        assert!(parse(&document).is_err());
        assert!(Subscription::parse(b"[]").is_err());
        assert!(Subscription::parse(b"").is_err());
    }
}
