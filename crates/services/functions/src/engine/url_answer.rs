//! What a function returned as the HTTP response of its URL.
//!
//! A result without `statusCode` is the body itself; one with it is read as payload format 2.0 says. What can't
//! be a response is [`Malformed`], which the caller sees as a failed function.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use http::header::{
    CONNECTION, CONTENT_LENGTH, CONTENT_TYPE, SET_COOKIE, TE, TRAILER, TRANSFER_ENCODING, UPGRADE,
};
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use lambent_wire::Response;
use serde_json::{Map, Value};

/// The result has members that no response can have.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the function's result is not a response: {0}")]
pub struct Malformed(pub &'static str);

/// The headers that the server writes itself: a function's own would contradict the body that follows.
const OF_THE_SERVER: [HeaderName; 6] = [CONNECTION, CONTENT_LENGTH, TE, TRAILER, TRANSFER_ENCODING, UPGRADE];

const JSON: HeaderValue = HeaderValue::from_static("application/json");

/// Status and headers of a response.
#[derive(Debug, Default)]
pub struct Head {
    pub status: StatusCode,
    pub headers: HeaderMap,
}

impl Head {
    /// With what the runtime says of the body, for an answer that says nothing of itself.
    pub fn of_type(mut self, content_type: Option<String>) -> Self {
        let value = content_type.map_or(Ok(JSON), |kind| HeaderValue::from_str(&kind));
        if let Ok(value) = value {
            self.headers.insert(CONTENT_TYPE, value);
        }
        self
    }

    pub fn with(self, content_type: Option<String>, body: Bytes) -> Response {
        self.of_type(content_type).whole(body)
    }

    fn whole(self, body: Bytes) -> Response {
        let mut response = Response::new(body);
        *response.status_mut() = self.status;
        *response.headers_mut() = self.headers;
        response
    }
}

/// The content type of a streamed answer that begins with its own metadata: JSON, eight zero bytes, the body.
pub const METADATA_TYPE: &str = "application/vnd.awslambda.http-integration-response";
const METADATA_END: [u8; 8] = [0; 8];

/// The metadata of a streamed answer.
#[derive(Debug)]
pub struct Prelude {
    pub head: Head,
    /// Where the body begins.
    pub body_at: usize,
}

/// Reads the metadata; `None` while its end has not come.
pub fn prelude(data: &[u8]) -> Result<Option<Prelude>, Malformed> {
    let Some(end) = data.windows(METADATA_END.len()).position(|window| window == METADATA_END) else {
        return Ok(None);
    };
    let members: Map<String, Value> =
        serde_json::from_slice(&data[..end]).map_err(|_| Malformed("its metadata is not a JSON object"))?;
    Ok(Some(Prelude { head: head(&members)?, body_at: end + METADATA_END.len() }))
}

pub fn response(payload: Bytes) -> Result<Response, Malformed> {
    let mut result = match serde_json::from_slice(&payload) {
        Ok(Value::Object(members)) if members.contains_key("statusCode") => members,
        // A text is sent as it is; every other result, and what is not JSON, as the function wrote it.
        Ok(Value::String(text)) => return Ok(inferred(Bytes::from(text))),
        // A streaming function behind a URL that does not stream.
        Err(_) if payload.first() == Some(&b'{') => match prelude(&payload) {
            Ok(Some(Prelude { mut head, body_at })) => {
                head.headers.entry(CONTENT_TYPE).or_insert(JSON);
                return Ok(head.whole(payload.slice(body_at..)));
            }
            _ => return Ok(inferred(payload)),
        },
        _ => return Ok(inferred(payload)),
    };
    let body = body(&mut result)?;
    let mut head = head(&result)?;
    head.headers.entry(CONTENT_TYPE).or_insert(JSON);
    Ok(head.whole(body))
}

/// Reads `statusCode`, `headers` and `cookies`; without a status it is 200.
pub fn head(members: &Map<String, Value>) -> Result<Head, Malformed> {
    let status = match members.get("statusCode") {
        None | Some(Value::Null) => StatusCode::OK,
        Some(code) => status(code).ok_or(Malformed("its statusCode is none"))?,
    };
    let mut headers = HeaderMap::new();
    match members.get("headers") {
        None | Some(Value::Null) => {}
        Some(Value::Object(members)) => {
            for (name, value) in members {
                put_header(&mut headers, name, value)?;
            }
        }
        Some(_) => return Err(Malformed("its headers are no map")),
    }
    match members.get("cookies") {
        None | Some(Value::Null) => {}
        Some(Value::Array(cookies)) => {
            for cookie in cookies {
                let text = cookie.as_str().ok_or(Malformed("a cookie is no text"))?;
                headers.append(SET_COOKIE, header_value(text)?);
            }
        }
        Some(_) => return Err(Malformed("its cookies are no list")),
    }
    Ok(Head { status, headers })
}

fn inferred(body: Bytes) -> Response {
    let mut response = Response::new(body);
    response.headers_mut().insert(CONTENT_TYPE, JSON);
    response
}

/// A number or its text, of a final response.
fn status(code: &Value) -> Option<StatusCode> {
    let number = match code {
        Value::Number(number) => number.as_u64()?,
        Value::String(text) => text.parse().ok()?,
        _ => return None,
    };
    let number = u16::try_from(number).ok().filter(|number| (200..600).contains(number))?;
    StatusCode::from_u16(number).ok()
}

fn put_header(headers: &mut HeaderMap, name: &str, value: &Value) -> Result<(), Malformed> {
    let name: HeaderName = name.parse().map_err(|_| Malformed("a header's name is none"))?;
    let text = match value {
        Value::Null => return Ok(()),
        Value::String(text) => text.clone(),
        Value::Number(number) => number.to_string(),
        Value::Bool(flag) => flag.to_string(),
        Value::Array(_) | Value::Object(_) => return Err(Malformed("a header's value is no text")),
    };
    if !OF_THE_SERVER.contains(&name) {
        headers.append(name, header_value(&text)?);
    }
    Ok(())
}

fn header_value(text: &str) -> Result<HeaderValue, Malformed> {
    HeaderValue::from_bytes(text.as_bytes())
        .map_err(|_| Malformed("a header's value holds control characters"))
}

fn body(result: &mut Map<String, Value>) -> Result<Bytes, Malformed> {
    let is_base64 = result.get("isBase64Encoded") == Some(&Value::Bool(true));
    match result.remove("body") {
        None | Some(Value::Null) => Ok(Bytes::new()),
        Some(Value::String(text)) if is_base64 => {
            STANDARD.decode(text).map(Bytes::from).map_err(|_| Malformed("its body is not base64"))
        }
        Some(Value::String(text)) => Ok(Bytes::from(text)),
        Some(other) => Ok(Bytes::from(other.to_string())),
    }
}

#[cfg(test)]
mod tests;
