//! An HTTP request as the event that a function behind a URL gets: payload format 2.0.
//!
//! The shape is the developer guide's ("Invoking Lambda function URLs", request payload format); members that
//! have nothing to say are left out, as the service leaves them out.

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use http::header::{AUTHORIZATION, CONNECTION, CONTENT_TYPE, COOKIE, TE, TRANSFER_ENCODING, UPGRADE};
use http::{HeaderMap, HeaderName, Method};
use lambent_core::ids::{AccountId, RequestId};
use lambent_core::time::Timestamp;
use serde::Serialize;

/// What came to the URL.
#[derive(Debug)]
pub struct Arrived<'a> {
    pub url_id: &'a str,
    pub method: &'a Method,
    /// As it was sent, percent-encoded.
    pub path: &'a str,
    /// As it was sent, without `?`.
    pub query: &'a str,
    /// The query's pairs, decoded.
    pub query_pairs: &'a [(String, String)],
    pub headers: &'a HeaderMap,
    pub body: &'a Bytes,
    /// Host and port by which the URL was reached.
    pub domain_name: &'a str,
    pub scheme: &'a str,
    pub source_ip: &'a str,
    pub trace_header: &'a str,
    pub request_id: &'a RequestId,
    pub now: Timestamp,
    pub signer: Option<Signer<'a>>,
}

/// Whose signature the request bears.
#[derive(Debug, Clone, Copy)]
pub struct Signer<'a> {
    pub account: &'a AccountId,
    pub access_key_id: &'a str,
    pub arn: &'a str,
}

/// The event's bytes.
pub fn event(arrived: &Arrived<'_>) -> Bytes {
    let (body, is_base64_encoded) = body(arrived);
    let event = Event {
        version: "2.0",
        route_key: "$default",
        raw_path: if arrived.path.is_empty() { "/" } else { arrived.path },
        raw_query_string: arrived.query,
        cookies: cookies(arrived.headers),
        headers: headers(arrived),
        query_string_parameters: joined(arrived.query_pairs),
        request_context: context(arrived),
        body,
        is_base64_encoded,
    };
    serde_json::to_vec(&event).expect("an event is plain data with text keys").into()
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Event<'a> {
    version: &'static str,
    route_key: &'static str,
    raw_path: &'a str,
    raw_query_string: &'a str,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    cookies: Vec<String>,
    headers: BTreeMap<String, String>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    query_string_parameters: BTreeMap<&'a str, String>,
    request_context: Context<'a>,
    #[serde(skip_serializing_if = "Option::is_none")]
    body: Option<String>,
    is_base64_encoded: bool,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Context<'a> {
    account_id: &'a str,
    api_id: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    authorizer: Option<Authorizer<'a>>,
    domain_name: &'a str,
    domain_prefix: &'a str,
    http: Http<'a>,
    request_id: &'a str,
    route_key: &'static str,
    stage: &'static str,
    time: String,
    time_epoch: u64,
}

#[derive(Serialize)]
struct Authorizer<'a> {
    iam: Iam<'a>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Iam<'a> {
    access_key: &'a str,
    account_id: &'a str,
    caller_id: &'a str,
    cognito_identity: Option<()>,
    principal_org_id: Option<()>,
    user_arn: &'a str,
    user_id: &'a str,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Http<'a> {
    method: &'a str,
    path: &'a str,
    protocol: &'static str,
    source_ip: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    user_agent: Option<String>,
}

fn context<'a>(arrived: &Arrived<'a>) -> Context<'a> {
    // A caller's id is that of the user or the role's session; a node's keys have no other than the account.
    let authorizer = arrived.signer.map(|signer| Authorizer {
        iam: Iam {
            access_key: signer.access_key_id,
            account_id: signer.account.as_str(),
            caller_id: signer.account.as_str(),
            cognito_identity: None,
            principal_org_id: None,
            user_arn: signer.arn,
            user_id: signer.account.as_str(),
        },
    });
    Context {
        account_id: arrived.signer.map_or("anonymous", |signer| signer.account.as_str()),
        api_id: arrived.url_id,
        authorizer,
        domain_name: arrived.domain_name,
        domain_prefix: arrived.url_id,
        http: Http {
            method: arrived.method.as_str(),
            path: if arrived.path.is_empty() { "/" } else { arrived.path },
            protocol: "HTTP/1.1",
            source_ip: arrived.source_ip,
            user_agent: arrived.headers.get(http::header::USER_AGENT).map(|v| text(v.as_bytes())),
        },
        request_id: arrived.request_id.as_str(),
        route_key: "$default",
        stage: "$default",
        time: common_log_time(arrived.now),
        time_epoch: arrived.now.as_millis(),
    }
}

/// Headers that speak of the connection and not of the request.
const OF_THE_CONNECTION: [HeaderName; 4] = [CONNECTION, TE, TRANSFER_ENCODING, UPGRADE];

/// Lower-case names, values of the same name joined by commas, and what the service adds.
fn headers(arrived: &Arrived<'_>) -> BTreeMap<String, String> {
    let mut out: BTreeMap<String, String> = BTreeMap::new();
    for name in arrived.headers.keys() {
        // A signature that was good for this node is no business of the function's.
        let is_spent = *name == AUTHORIZATION && arrived.signer.is_some();
        if *name == COOKIE || is_spent || OF_THE_CONNECTION.contains(name) {
            continue;
        }
        let values: Vec<String> =
            arrived.headers.get_all(name).iter().map(|value| text(value.as_bytes())).collect();
        out.insert(name.as_str().to_owned(), values.join(","));
    }
    let standard_port = if arrived.scheme == "https" { "443" } else { "80" };
    let port = arrived.domain_name.rsplit_once(':').map_or(standard_port, |(_, port)| port);
    let mut put = |name: &str, value: &str| out.insert(name.to_owned(), value.to_owned());
    put("x-forwarded-for", arrived.source_ip);
    put("x-forwarded-port", port);
    put("x-forwarded-proto", arrived.scheme);
    put("x-amzn-trace-id", arrived.trace_header);
    out
}

fn cookies(headers: &HeaderMap) -> Vec<String> {
    headers
        .get_all(COOKIE)
        .iter()
        .flat_map(|value| {
            let line = text(value.as_bytes());
            line.split(';').map(|one| one.trim().to_owned()).collect::<Vec<_>>()
        })
        .filter(|one| !one.is_empty())
        .collect()
}

fn joined(pairs: &[(String, String)]) -> BTreeMap<&str, String> {
    let mut out: BTreeMap<&str, String> = BTreeMap::new();
    for (name, value) in pairs {
        match out.get_mut(name.as_str()) {
            None => drop(out.insert(name, value.clone())),
            Some(found) => {
                found.push(',');
                found.push_str(value);
            }
        }
    }
    out
}

/// The body, and whether it is in base64: everything is that does not say that it is text, or is not.
fn body(arrived: &Arrived<'_>) -> (Option<String>, bool) {
    if arrived.body.is_empty() {
        return (None, false);
    }
    let content_type = arrived.headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok());
    match std::str::from_utf8(arrived.body) {
        Ok(body) if content_type.is_some_and(is_text) => (Some(body.to_owned()), false),
        _ => (Some(STANDARD.encode(arrived.body)), true),
    }
}

fn is_text(content_type: &str) -> bool {
    let kind = content_type.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    kind.starts_with("text/")
        || matches!(kind.as_str(), "application/json" | "application/javascript" | "application/xml")
        || kind.ends_with("+json")
        || kind.ends_with("+xml")
}

/// A header's bytes as text: those that are not UTF-8 are read as Latin-1, which loses nothing.
fn text(bytes: &[u8]) -> String {
    match std::str::from_utf8(bytes) {
        Ok(text) => text.to_owned(),
        Err(_) => bytes.iter().map(|byte| char::from(*byte)).collect(),
    }
}

/// `12/Mar/2020:19:03:58 +0000`.
fn common_log_time(at: Timestamp) -> String {
    const MONTHS: [&str; 12] =
        ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
    let (year, month, day, hour, minute, second) = at.civil();
    let name = MONTHS.get(month as usize - 1).copied().unwrap_or_default();
    format!("{day:02}/{name}/{year:04}:{hour:02}:{minute:02}:{second:02} +0000")
}

#[cfg(test)]
mod tests;
