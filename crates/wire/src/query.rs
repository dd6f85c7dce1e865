//! The query protocol: operations and their members as form fields, answers and faults as XML.
//!
//! [`Form`] is the fields as they came; [`decode`] makes the same JSON of them that the service's JSON protocol would
//! carry, by the service's own tables of members; [`answer`] and [`fault`] write XML. So a service has each operation
//! once, whatever protocol it is asked in.
//!
//! What this is not: it knows no operation and no service's names.
//!
//! Invariant: what is decoded nests as deep as the tables do and no deeper, whatever the fields' names are.

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::ops::Bound;

use bytes::Bytes;
use http::HeaderMap;
use http::request::Parts;
use lambent_core::RequestId;
use serde_json::{Map, Value};

use crate::percent::decode_query_part;
use crate::{Fault, Response};

/// Fields of one request. Ours: the widest operation here, a batch of ten messages with ten attributes each, has
/// about 350.
pub const FIELDS_MAX: usize = 4_096;

/// A member of a structure: its name in JSON, its name in forms and XML, and what it is.
#[derive(Debug, Clone, Copy)]
pub struct Member {
    pub name: &'static str,
    pub wire: &'static str,
    pub shape: Shape,
}

/// What a member is.
#[derive(Debug, Clone, Copy)]
pub enum Shape {
    Text,
    Integer,
    Boolean,
    Structure(&'static [Member]),
    /// `Name.1`, or `Name.ELEMENT.1` where elements have a name.
    List {
        item: &'static Shape,
        element: Option<&'static str>,
    },
    /// `Name.1.KEY` and `Name.1.VALUE`, or `Name.ENTRY.1.KEY` where entries have a name.
    Map {
        key: &'static str,
        value: &'static str,
        item: &'static Shape,
        entry: Option<&'static str>,
    },
}

/// The fields of a request, by name.
#[derive(Debug, Clone, Default)]
pub struct Form {
    fields: BTreeMap<String, String>,
}

/// Whether a request speaks this protocol.
pub fn is_query(parts: &Parts) -> bool {
    if parts.headers.contains_key("x-amz-target") {
        return false;
    }
    let in_address = parts
        .uri
        .query()
        .is_some_and(|query| query.split('&').any(|pair| pair.strip_prefix("Action=").is_some()));
    in_address || has_form(&parts.headers)
}

fn has_form(headers: &HeaderMap) -> bool {
    let kind = headers.get(http::header::CONTENT_TYPE).and_then(|value| value.to_str().ok());
    kind.is_some_and(|kind| kind.starts_with("application/x-www-form-urlencoded"))
}

impl Form {
    /// The fields of the address and of the body; those of the body win.
    pub fn read(query: &[(String, String)], headers: &HeaderMap, body: &[u8]) -> Result<Self, Fault> {
        let malformed = |what: &str| Fault::new(400, "MalformedQueryString", format!("The form {what}."));
        let mut fields: BTreeMap<String, String> = query.iter().cloned().collect();
        if has_form(headers) || !body.is_empty() {
            let text = str::from_utf8(body).map_err(|_| malformed("is not UTF-8"))?;
            for pair in text.split('&').filter(|pair| !pair.trim().is_empty()) {
                if fields.len() >= FIELDS_MAX {
                    return Err(malformed("has too many fields"));
                }
                let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
                let decoded =
                    |text| decode_query_part(text).map_err(|_| malformed("contains a syntax error"));
                fields.insert(decoded(name)?, decoded(value)?);
            }
        }
        Ok(Self { fields })
    }

    pub fn get(&self, name: &str) -> Option<&str> {
        self.fields.get(name).map(String::as_str)
    }

    pub fn set(&mut self, name: &str, value: String) {
        self.fields.insert(name.to_owned(), value);
    }

    /// Whether there is a field of this name or below it.
    fn has_any(&self, name: &str) -> bool {
        self.fields.contains_key(name) || self.below(name).next().is_some()
    }

    /// The fields whose names begin with `name.`, without that.
    fn below<'a>(&'a self, name: &str) -> impl Iterator<Item = &'a str> {
        let prefix = format!("{name}.");
        let bounds = (Bound::Included(prefix.as_str()), Bound::Unbounded);
        let from = self.fields.range::<str, _>(bounds).map(|(field, _)| field.as_str());
        from.map_while(move |field| field.strip_prefix(prefix.as_str()))
    }

    /// The numbers that follow `name.`, in their order.
    fn places(&self, name: &str) -> Vec<u32> {
        let numbers = self.below(name).filter_map(|rest| rest.split('.').next()?.parse().ok());
        let mut places: Vec<u32> = numbers.collect();
        places.sort_unstable();
        places.dedup();
        places
    }
}

/// The members of a request as JSON would carry them. Fields that no member has are left out.
pub fn decode(form: &Form, members: &'static [Member]) -> Result<Map<String, Value>, Fault> {
    structure(form, "", members)
}

fn structure(form: &Form, path: &str, members: &'static [Member]) -> Result<Map<String, Value>, Fault> {
    let mut object = Map::new();
    for member in members {
        let path = if path.is_empty() { member.wire.to_owned() } else { format!("{path}.{}", member.wire) };
        if let Some(value) = value(form, &path, &member.shape)? {
            object.insert(member.name.to_owned(), value);
        }
    }
    Ok(object)
}

fn value(form: &Form, path: &str, shape: &'static Shape) -> Result<Option<Value>, Fault> {
    let invalid = |what: &str| {
        Fault::new(400, "MalformedInput", format!("The value of the field {path} is not {what}."))
    };
    if !form.has_any(path) {
        return Ok(None);
    }
    Ok(match shape {
        Shape::Text => form.get(path).map(Value::from),
        Shape::Integer => match form.get(path) {
            Some("") | None => None,
            Some(text) => Some(text.trim().parse::<i64>().map_err(|_| invalid("a whole number"))?.into()),
        },
        Shape::Boolean => match form.get(path) {
            Some("true" | "True") => Some(true.into()),
            Some("false" | "False") => Some(false.into()),
            Some(_) => return Err(invalid("true or false")),
            None => None,
        },
        Shape::Structure(members) => Some(structure(form, path, members)?.into()),
        Shape::List { item, element } => {
            let path = element.map_or_else(|| path.to_owned(), |element| format!("{path}.{element}"));
            let mut items = Vec::new();
            for place in form.places(&path) {
                items.extend(value(form, &format!("{path}.{place}"), item)?);
            }
            Some(items.into())
        }
        Shape::Map { key, value: value_name, item, entry } => {
            let path = entry.map_or_else(|| path.to_owned(), |entry| format!("{path}.{entry}"));
            let mut object = Map::new();
            for place in form.places(&path) {
                let Some(key) = form.get(&format!("{path}.{place}.{key}")) else { continue };
                if let Some(value) = value(form, &format!("{path}.{place}.{value_name}"), item)? {
                    object.insert(key.to_owned(), value);
                }
            }
            Some(object.into())
        }
    })
}

/// The fields that [`decode`] makes the same members of. What is no member, or of another kind, is left out, and told.
pub fn encode(
    members: &Map<String, Value>,
    shapes: &'static [Member],
) -> Result<Vec<(String, String)>, String> {
    let mut fields = Vec::new();
    encode_structure(&mut fields, "", members, shapes)?;
    Ok(fields)
}

fn encode_structure(
    fields: &mut Vec<(String, String)>,
    path: &str,
    members: &Map<String, Value>,
    shapes: &'static [Member],
) -> Result<(), String> {
    for (name, value) in members.iter().filter(|(_, value)| !value.is_null()) {
        let shape = shapes.iter().find(|shape| shape.name == name);
        let shape = shape.ok_or_else(|| format!("there is no member {name}"))?;
        let path = if path.is_empty() { shape.wire.to_owned() } else { format!("{path}.{}", shape.wire) };
        encode_value(fields, path, value, &shape.shape)?;
    }
    Ok(())
}

fn encode_value(
    fields: &mut Vec<(String, String)>,
    path: String,
    value: &Value,
    shape: &'static Shape,
) -> Result<(), String> {
    match (shape, value) {
        (Shape::Text, Value::String(text)) => fields.push((path, text.clone())),
        (Shape::Integer, Value::Number(_)) | (Shape::Boolean, Value::Bool(_)) => {
            fields.push((path, value.to_string()));
        }
        (Shape::Structure(shapes), Value::Object(members)) => {
            encode_structure(fields, &path, members, shapes)?
        }
        (Shape::List { item, element }, Value::Array(items)) => {
            let path = element.map_or_else(|| path.clone(), |element| format!("{path}.{element}"));
            for (at, value) in items.iter().enumerate() {
                encode_value(fields, format!("{path}.{}", at + 1), value, item)?;
            }
        }
        (Shape::Map { key, value: value_name, item, entry }, Value::Object(entries)) => {
            let path = entry.map_or_else(|| path.clone(), |entry| format!("{path}.{entry}"));
            for (at, (name, value)) in entries.iter().enumerate() {
                let place = format!("{path}.{}", at + 1);
                fields.push((format!("{place}.{key}"), name.clone()));
                encode_value(fields, format!("{place}.{value_name}"), value, item)?;
            }
        }
        _ => return Err(format!("{path} is of another kind")),
    }
    Ok(())
}

/// An operation's answer. `result` is what JSON would carry; without members the operation answers nothing.
pub fn answer(
    operation: &str,
    namespace: &str,
    result: &Value,
    members: &'static [Member],
    request_id: &RequestId,
) -> Response {
    let mut xml = String::with_capacity(512);
    let _ = write!(xml, "<?xml version=\"1.0\"?><{operation}Response xmlns=\"{namespace}\">");
    if !members.is_empty() {
        let _ = write!(xml, "<{operation}Result>");
        write_structure(&mut xml, result, members);
        let _ = write!(xml, "</{operation}Result>");
    }
    let _ = write!(
        xml,
        "<ResponseMetadata><RequestId>{request_id}</RequestId></ResponseMetadata></{operation}Response>"
    );
    response(200, xml)
}

/// A fault. The blame is the sender's below 500.
pub fn fault(
    status: u16,
    code: &str,
    message: &str,
    namespace: &str,
    request_id: Option<&RequestId>,
) -> Response {
    let blame = if status < 500 { "Sender" } else { "Receiver" };
    let mut xml = String::from("<?xml version=\"1.0\"?><ErrorResponse");
    if !namespace.is_empty() {
        let _ = write!(xml, " xmlns=\"{namespace}\"");
    }
    let _ = write!(xml, "><Error><Type>{blame}</Type><Code>");
    escape(&mut xml, code);
    xml.push_str("</Code><Message>");
    escape(&mut xml, message);
    xml.push_str("</Message><Detail/></Error>");
    if let Some(id) = request_id {
        let _ = write!(xml, "<RequestId>{id}</RequestId>");
    }
    xml.push_str("</ErrorResponse>");
    response(status, xml)
}

fn response(status: u16, xml: String) -> Response {
    let mut response = Response::new(Bytes::from(xml));
    *response.status_mut() =
        http::StatusCode::from_u16(status).unwrap_or(http::StatusCode::INTERNAL_SERVER_ERROR);
    response.headers_mut().insert(http::header::CONTENT_TYPE, http::HeaderValue::from_static("text/xml"));
    response
}

fn write_structure(xml: &mut String, value: &Value, members: &'static [Member]) {
    for member in members {
        if let Some(value) = value.get(member.name).filter(|value| !value.is_null()) {
            write_member(xml, member.wire, value, &member.shape);
        }
    }
}

fn write_member(xml: &mut String, name: &str, value: &Value, shape: &'static Shape) {
    match shape {
        Shape::List { item, element } => {
            let items = value.as_array().map(Vec::as_slice).unwrap_or_default();
            wrapped(xml, name, element.is_some(), |xml| {
                for value in items {
                    write_member(xml, element.unwrap_or(name), value, item);
                }
            });
        }
        Shape::Map { key, value: value_name, item, entry } => {
            wrapped(xml, name, entry.is_some(), |xml| {
                for (found, value) in value.as_object().into_iter().flatten() {
                    wrapped(xml, entry.unwrap_or(name), true, |xml| {
                        write_member(xml, key, &Value::from(found.as_str()), &Shape::Text);
                        write_member(xml, value_name, value, item);
                    });
                }
            });
        }
        Shape::Structure(members) => wrapped(xml, name, true, |xml| write_structure(xml, value, members)),
        Shape::Text | Shape::Integer | Shape::Boolean => wrapped(xml, name, true, |xml| match value {
            Value::String(text) => escape(xml, text),
            other => {
                let _ = write!(xml, "{other}");
            }
        }),
    }
}

fn wrapped(xml: &mut String, name: &str, wraps: bool, inner: impl FnOnce(&mut String)) {
    if wraps {
        let _ = write!(xml, "<{name}>");
    }
    inner(xml);
    if wraps {
        let _ = write!(xml, "</{name}>");
    }
}

/// Text as it stands between tags. Carriage returns are written as references: a reader would make new lines of them.
fn escape(xml: &mut String, text: &str) {
    for c in text.chars() {
        match c {
            '&' => xml.push_str("&amp;"),
            '<' => xml.push_str("&lt;"),
            '>' => xml.push_str("&gt;"),
            '"' => xml.push_str("&quot;"),
            '\r' => xml.push_str("&#xD;"),
            // XML has no form for these at all.
            c if c < ' ' && c != '\n' && c != '\t' => xml.push('\u{fffd}'),
            c => xml.push(c),
        }
    }
}
