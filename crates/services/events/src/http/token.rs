//! OAuth's client credentials: the request for a token, and what its answer says. Pure.
//!
//! RFC 6749, 4.4 and 5.1: the request is a form, the answer a JSON object. The credentials are members of the form, and
//! for a GET of the query.

use std::collections::BTreeMap;
use std::time::Duration;

use lambent_core::time::Timestamp;
use lambent_store::events::{OAuthRecord, ParameterRecord};
use lambent_wire::percent;
use serde_json::Value;

use super::request::{Request, url};

/// User guide: a token that ends so soon is asked for anew before it is used.
const ENDS_SOON: Duration = Duration::from_secs(60);

/// What says who asks, for as long as it does.
#[derive(Clone, PartialEq, Eq)]
pub struct Token {
    /// The value of the header `Authorization`.
    pub header: String,
    expires: Option<Timestamp>,
}

impl Token {
    pub fn is_good(&self, now: Timestamp) -> bool {
        self.expires.is_none_or(|expires| expires > now.plus(ENDS_SOON))
    }
}

pub fn request(oauth: &OAuthRecord) -> Request {
    let pairs = |parameters: &[ParameterRecord]| -> BTreeMap<String, String> {
        parameters.iter().map(|p| (p.key.clone(), p.value.0.clone())).collect()
    };
    let mut form = BTreeMap::from([
        ("grant_type".to_owned(), "client_credentials".to_owned()),
        ("client_id".to_owned(), oauth.client_id.clone()),
        ("client_secret".to_owned(), oauth.client_secret.0.clone()),
    ]);
    form.extend(pairs(&oauth.parameters.body));
    let mut query = pairs(&oauth.parameters.query);
    let mut headers = BTreeMap::from([("accept".to_owned(), "application/json".to_owned())]);
    let mut body = String::new();
    if oauth.method == "GET" {
        query.extend(form);
    } else {
        headers.insert("content-type".to_owned(), "application/x-www-form-urlencoded".to_owned());
        let pairs =
            form.iter().map(|(name, value)| format!("{}={}", percent::encode(name), percent::encode(value)));
        body = pairs.collect::<Vec<_>>().join("&");
    }
    let given = oauth.parameters.headers.iter();
    headers.extend(given.map(|p| (p.key.to_ascii_lowercase(), p.value.0.trim().to_owned())));
    for ours in ["host", "content-length", "transfer-encoding", "connection"] {
        headers.remove(ours);
    }
    Request {
        method: oauth.method.clone(),
        url: url(&oauth.endpoint, &[], &query),
        headers: headers.into_iter().collect(),
        body,
    }
}

/// The token of an answer, or what is wrong with it.
pub fn read(body: &[u8], now: Timestamp) -> Result<Token, &'static str> {
    let answer: Value = serde_json::from_slice(body).map_err(|_| "its answer is no JSON")?;
    let token = answer["access_token"].as_str().filter(|token| !token.is_empty());
    let token = token.ok_or("its answer has no access_token")?;
    let kind = answer["token_type"].as_str().filter(|kind| !kind.is_empty()).unwrap_or("Bearer");
    let kind = if kind.eq_ignore_ascii_case("bearer") { "Bearer" } else { kind };
    let header = format!("{kind} {token}");
    if !header.bytes().all(|b| (b' '..=b'~').contains(&b)) {
        return Err("its token can't stand in a header");
    }
    let secs = match &answer["expires_in"] {
        Value::String(text) => text.parse().ok(),
        number => number.as_f64(),
    };
    let lasts = secs.and_then(|secs: f64| Duration::try_from_secs_f64(secs).ok());
    Ok(Token { header, expires: lasts.map(|lasts| now.plus(lasts.min(LASTS_MAX))) })
}

/// Ours: no token is believed for longer.
const LASTS_MAX: Duration = Duration::from_secs(365 * 86_400);

#[cfg(test)]
mod tests {
    use lambent_store::events::{HttpParametersRecord, Secret};

    use super::*;

    fn oauth(method: &str) -> OAuthRecord {
        let parameter = |key: &str, value: &str| ParameterRecord {
            key: key.into(),
            value: Secret(value.into()),
            is_secret: false,
        };
        OAuthRecord {
            client_id: "id".into(),
            client_secret: Secret("s&".into()),
            endpoint: "https://h/token".into(),
            method: method.into(),
            parameters: HttpParametersRecord {
                headers: vec![parameter("X-H", "h"), parameter("Host", "evil")],
                query: vec![parameter("q", "1")],
                body: vec![parameter("scope", "a b")],
            },
        }
    }

    #[test]
    fn credentials_are_a_form_or_for_get_a_query() {
        let form = "client_id=id&client_secret=s%26&grant_type=client_credentials";
        let posted = request(&oauth("POST"));
        assert_eq!(
            (posted.url.as_str(), posted.body),
            ("https://h/token?q=1", format!("{form}&scope=a%20b"))
        );
        let header = |name: &str, value: &str| (name.to_owned(), value.to_owned());
        let kind = header("content-type", "application/x-www-form-urlencoded");
        assert_eq!(posted.headers, [header("accept", "application/json"), kind, header("x-h", "h")]);
        let got = request(&oauth("GET"));
        assert_eq!(got.body, "");
        assert_eq!(
            got.url,
            "https://h/token?client_id=id&client_secret=s%26&grant_type=client_credentials&q=1&scope=a%20b"
        );
    }

    #[test]
    fn a_token_is_good_until_it_ends_soon() {
        let at = |secs: u64| Timestamp::from_millis(secs * 1_000);
        let read = |text: &str| read(text.as_bytes(), at(100));
        let token = read(r#"{"access_token":"t","token_type":"bearer","expires_in":100}"#).ok().unwrap();
        assert_eq!(
            (token.header.as_str(), token.is_good(at(139)), token.is_good(at(140))),
            ("Bearer t", true, false)
        );
        let for_ever = read(r#"{"access_token":"t","token_type":"Mac"}"#).ok().unwrap();
        assert_eq!((for_ever.header.as_str(), for_ever.is_good(at(9_999_999))), ("Mac t", true));
        let texts = read(r#"{"access_token":"t","expires_in":"100"}"#).ok().unwrap();
        assert!(!texts.is_good(at(140)));
        assert!(read(r#"{"access_token":"t","expires_in":1e300}"#).is_ok());
        for bad in
            ["", "[]", "{}", r#"{"access_token":""}"#, r#"{"access_token":7}"#, r#"{"access_token":"a\nb"}"#]
        {
            assert!(read(bad).is_err(), "{bad}");
        }
    }
}
