//! CloudEvents 1.0 over HTTP: what one says, in each of the three modes. Pure.
//!
//! A CloudEvent becomes the detail of an event, in its JSON form and with all its attributes: `source` and `type` are
//! the event's source and detail type, `time` its time, `subject` its resource. Who wants the CloudEvent itself asks
//! for `$.detail`.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use http::HeaderMap;
use jiff::Timestamp as Moment;
use lambent_core::time::Timestamp;
use serde_json::{Map, Value};

/// A CloudEvent, checked.
#[derive(Debug, Clone, PartialEq)]
pub struct CloudEvent {
    pub source: String,
    pub kind: String,
    pub subject: Option<String>,
    pub time: Option<Timestamp>,
    /// In its JSON form.
    pub whole: Value,
}

/// Why a request holds no CloudEvents.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Invalid {
    #[error("the format {0} is not supported: CloudEvents are read as JSON")]
    Format(String),
    #[error("the body is not JSON")]
    NotJson,
    #[error("a batch is an array of CloudEvents")]
    NotABatch,
    #[error("a CloudEvent is an object")]
    NotAnObject,
    #[error("the attribute {0} is missing")]
    Missing(&'static str),
    #[error("the attribute {0} is not valid")]
    Attribute(String),
    #[error("specversion {0} is not supported: it is 1.0")]
    Version(String),
    #[error("data and data_base64 exclude each other")]
    TwoKindsOfData,
}

const STRUCTURED: &str = "application/cloudevents+json";
const BATCH: &str = "application/cloudevents-batch+json";

/// The events of a request, in their order.
pub fn read(headers: &HeaderMap, body: &[u8]) -> Result<Vec<CloudEvent>, Invalid> {
    let content_type = headers.get(http::header::CONTENT_TYPE).and_then(|value| value.to_str().ok());
    let full = content_type.unwrap_or_default();
    let media = full.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    match media.as_str() {
        STRUCTURED => Ok(vec![structured(parse(body)?)?]),
        BATCH => match parse(body)? {
            Value::Array(events) => events.into_iter().map(structured).collect(),
            _ => Err(Invalid::NotABatch),
        },
        other if other.starts_with("application/cloudevents") => Err(Invalid::Format(media)),
        _ => Ok(vec![binary(headers, content_type, &media, body)?]),
    }
}

fn parse(body: &[u8]) -> Result<Value, Invalid> {
    serde_json::from_slice(body).map_err(|_| Invalid::NotJson)
}

/// One whose attributes are headers and whose data is the body.
fn binary(
    headers: &HeaderMap,
    content_type: Option<&str>,
    media: &str,
    body: &[u8],
) -> Result<CloudEvent, Invalid> {
    let mut event = Map::new();
    for (name, value) in headers {
        let Some(name) = name.as_str().strip_prefix("ce-") else { continue };
        let value =
            value.to_str().ok().and_then(decoded).ok_or_else(|| Invalid::Attribute(name.to_owned()))?;
        event.insert(name.to_owned(), value.into());
    }
    if let Some(content_type) = content_type {
        event.insert("datacontenttype".to_owned(), content_type.into());
    }
    if !body.is_empty() {
        let (name, data) = match std::str::from_utf8(body) {
            _ if is_json(media) => ("data", parse(body)?),
            Ok(text)
                if media.starts_with("text/") || media.ends_with("+xml") || media == "application/xml" =>
            {
                ("data", text.into())
            }
            _ => ("data_base64", BASE64.encode(body).into()),
        };
        event.insert(name.to_owned(), data);
    }
    structured(Value::Object(event))
}

fn is_json(media: &str) -> bool {
    media == "application/json" || media == "text/json" || media.ends_with("+json")
}

/// HTTP binding, 3.1.3.2: what a header can't have is percent-encoded.
fn decoded(value: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(value.len());
    let mut rest = value.as_bytes();
    while let [first, after @ ..] = rest {
        (bytes, rest) = match (first, after) {
            (b'%', [high, low, after @ ..]) => {
                let digit = |byte: &u8| char::from(*byte).to_digit(16);
                let byte = u8::try_from(digit(high)? * 16 + digit(low)?).ok()?;
                bytes.push(byte);
                (bytes, after)
            }
            (b'%', _) => return None,
            (byte, after) => {
                bytes.push(*byte);
                (bytes, after)
            }
        };
    }
    String::from_utf8(bytes).ok()
}

/// Checks one in its JSON form.
fn structured(event: Value) -> Result<CloudEvent, Invalid> {
    let Value::Object(mut event) = event else { return Err(Invalid::NotAnObject) };
    // JSON format, 2.2: an attribute that is null is none.
    event.retain(|name, value| name == "data" || !value.is_null());
    for (name, value) in &event {
        let is_data = name == "data" || name == "data_base64";
        let is_name = !name.is_empty() && name.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit());
        let is_value = value.is_string() || value.is_boolean() || value.is_i64();
        let is_fine = is_data || (is_name && is_value);
        if !is_fine {
            return Err(Invalid::Attribute(name.clone()));
        }
    }
    let required = |name: &'static str| match event.get(name) {
        None => Err(Invalid::Missing(name)),
        Some(Value::String(text)) if !text.is_empty() => Ok(text.clone()),
        Some(_) => Err(Invalid::Attribute(name.to_owned())),
    };
    let optional = |name: &'static str| match event.contains_key(name) {
        true => required(name).map(Some),
        false => Ok(None),
    };
    let version = required("specversion")?;
    if version != "1.0" {
        return Err(Invalid::Version(version));
    }
    required("id")?;
    optional("datacontenttype")?;
    optional("dataschema")?;
    if event.contains_key("data") && event.contains_key("data_base64") {
        return Err(Invalid::TwoKindsOfData);
    }
    if event.get("data_base64").is_some_and(|data| !data.is_string()) {
        return Err(Invalid::Attribute("data_base64".to_owned()));
    }
    let time =
        optional("time")?.map(|text| moment(&text).ok_or_else(|| Invalid::Attribute("time".to_owned())));
    Ok(CloudEvent {
        source: required("source")?,
        kind: required("type")?,
        subject: optional("subject")?,
        time: time.transpose()?,
        whole: Value::Object(event),
    })
}

/// RFC 3339.
fn moment(text: &str) -> Option<Timestamp> {
    let moment: Moment = text.parse().ok()?;
    Some(Timestamp::from_millis(u64::try_from(moment.as_millisecond()).ok()?))
}

#[cfg(test)]
mod tests;
