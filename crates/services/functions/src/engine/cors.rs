//! What a function URL tells browsers: preflight requests are answered from the configuration alone, and the
//! configuration's headers take the place of those that the function sent.
//!
//! Invariant: an origin that is not allowed gets none of these headers.

use http::header::{
    ACCESS_CONTROL_ALLOW_CREDENTIALS, ACCESS_CONTROL_ALLOW_HEADERS, ACCESS_CONTROL_ALLOW_METHODS,
    ACCESS_CONTROL_ALLOW_ORIGIN, ACCESS_CONTROL_EXPOSE_HEADERS, ACCESS_CONTROL_MAX_AGE,
    ACCESS_CONTROL_REQUEST_HEADERS, ACCESS_CONTROL_REQUEST_METHOD, ORIGIN, VARY,
};
use http::{HeaderMap, HeaderName, HeaderValue, Method};
use lambent_store::functions::CorsRecord;

/// Whether a browser asks what it may send before it sends it.
pub fn is_preflight(method: &Method, headers: &HeaderMap) -> bool {
    method == Method::OPTIONS
        && headers.contains_key(ORIGIN)
        && headers.contains_key(ACCESS_CONTROL_REQUEST_METHOD)
}

/// The headers of a preflight's answer.
pub fn preflight(cors: &CorsRecord, headers: &HeaderMap) -> HeaderMap {
    let mut out = HeaderMap::new();
    let Some(origin) = allowed_origin(cors, headers) else { return out };
    put_origin(cors, origin, &mut out);
    let methods = listed(&cors.allow_methods, cors, headers.get(ACCESS_CONTROL_REQUEST_METHOD));
    put(&mut out, ACCESS_CONTROL_ALLOW_METHODS, methods);
    let wanted = headers.get(ACCESS_CONTROL_REQUEST_HEADERS);
    put(&mut out, ACCESS_CONTROL_ALLOW_HEADERS, listed(&cors.allow_headers, cors, wanted));
    put(&mut out, ACCESS_CONTROL_EXPOSE_HEADERS, listed(&cors.expose_headers, cors, None));
    if let Some(secs) = cors.max_age_secs {
        out.insert(ACCESS_CONTROL_MAX_AGE, HeaderValue::from(secs));
    }
    out
}

/// Puts the configuration's headers over those of the function's answer to a request with these headers.
pub fn apply(cors: &CorsRecord, request: &HeaderMap, answer: &mut HeaderMap) {
    for name in [ACCESS_CONTROL_ALLOW_ORIGIN, ACCESS_CONTROL_ALLOW_CREDENTIALS, ACCESS_CONTROL_EXPOSE_HEADERS]
    {
        answer.remove(name);
    }
    let Some(origin) = allowed_origin(cors, request) else { return };
    put_origin(cors, origin, answer);
    put(answer, ACCESS_CONTROL_EXPOSE_HEADERS, listed(&cors.expose_headers, cors, None));
}

fn allowed_origin<'a>(cors: &CorsRecord, headers: &'a HeaderMap) -> Option<&'a HeaderValue> {
    let origin = headers.get(ORIGIN)?;
    let allowed = cors.allow_origins.as_deref().unwrap_or_default();
    let fits = |one: &String| one == "*" || one.eq_ignore_ascii_case(origin.to_str().unwrap_or_default());
    allowed.iter().any(fits).then_some(origin)
}

fn put_origin(cors: &CorsRecord, origin: &HeaderValue, out: &mut HeaderMap) {
    let anybody = has_wildcard(&cors.allow_origins);
    if anybody && !with_credentials(cors) {
        out.insert(ACCESS_CONTROL_ALLOW_ORIGIN, HeaderValue::from_static("*"));
        return;
    }
    out.insert(ACCESS_CONTROL_ALLOW_ORIGIN, origin.clone());
    out.append(VARY, HeaderValue::from_static("Origin"));
    if with_credentials(cors) {
        out.insert(ACCESS_CONTROL_ALLOW_CREDENTIALS, HeaderValue::from_static("true"));
    }
}

/// A list as its header has it. With credentials a browser takes `*` for a name: what was asked for stands in
/// its place.
fn listed(
    list: &Option<Vec<String>>,
    cors: &CorsRecord,
    wanted: Option<&HeaderValue>,
) -> Option<HeaderValue> {
    if has_wildcard(list) && with_credentials(cors) {
        return wanted.cloned();
    }
    let list = list.as_deref().filter(|list| !list.is_empty())?;
    HeaderValue::from_str(&list.join(",")).ok()
}

fn put(out: &mut HeaderMap, name: HeaderName, value: Option<HeaderValue>) {
    if let Some(value) = value {
        out.insert(name, value);
    }
}

fn has_wildcard(list: &Option<Vec<String>>) -> bool {
    list.as_deref().unwrap_or_default().iter().any(|one| one == "*")
}

fn with_credentials(cors: &CorsRecord) -> bool {
    cors.allow_credentials == Some(true)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(list: &[&str]) -> Option<Vec<String>> {
        Some(list.iter().map(|t| (*t).to_owned()).collect())
    }

    fn request(pairs: &[(HeaderName, &'static str)]) -> HeaderMap {
        pairs.iter().map(|(name, value)| (name.clone(), HeaderValue::from_static(value))).collect()
    }

    fn shown(headers: &HeaderMap) -> Vec<(String, String)> {
        let mut shown: Vec<_> = headers
            .iter()
            .map(|(n, v)| (n.as_str().replace("access-control-", ""), v.to_str().unwrap().to_owned()))
            .collect();
        shown.sort();
        shown
    }

    fn pairs(list: &[(&str, &str)]) -> Vec<(String, String)> {
        list.iter().map(|(n, v)| ((*n).to_owned(), (*v).to_owned())).collect()
    }

    #[test]
    fn a_preflight_is_answered_with_every_setting() {
        let cors = CorsRecord {
            allow_credentials: Some(false),
            allow_headers: texts(&["x-a", "x-b"]),
            allow_methods: texts(&["GET", "PUT"]),
            allow_origins: texts(&["https://a.example", "https://b.example"]),
            expose_headers: texts(&["x-c"]),
            max_age_secs: Some(60),
        };
        let asked = request(&[(ORIGIN, "https://b.example"), (ACCESS_CONTROL_REQUEST_METHOD, "PUT")]);
        assert!(is_preflight(&Method::OPTIONS, &asked));
        assert!(!is_preflight(&Method::GET, &asked));
        let wanted = pairs(&[
            ("allow-headers", "x-a,x-b"),
            ("allow-methods", "GET,PUT"),
            ("allow-origin", "https://b.example"),
            ("expose-headers", "x-c"),
            ("max-age", "60"),
            ("vary", "Origin"),
        ]);
        assert_eq!(shown(&preflight(&cors, &asked)), wanted);
        let stranger = request(&[(ORIGIN, "https://c.example"), (ACCESS_CONTROL_REQUEST_METHOD, "PUT")]);
        assert!(preflight(&cors, &stranger).is_empty());
        assert!(!is_preflight(&Method::OPTIONS, &request(&[(ORIGIN, "https://c.example")])));
    }

    #[test]
    fn a_wildcard_is_sent_as_such_only_without_credentials() {
        let mut cors = CorsRecord {
            allow_methods: texts(&["*"]),
            allow_headers: texts(&["*"]),
            allow_origins: texts(&["*"]),
            ..CorsRecord::default()
        };
        let asked = request(&[
            (ORIGIN, "https://a.example"),
            (ACCESS_CONTROL_REQUEST_METHOD, "PUT"),
            (ACCESS_CONTROL_REQUEST_HEADERS, "x-a"),
        ]);
        let open = pairs(&[("allow-headers", "*"), ("allow-methods", "*"), ("allow-origin", "*")]);
        assert_eq!(shown(&preflight(&cors, &asked)), open);
        cors.allow_credentials = Some(true);
        let wanted = pairs(&[
            ("allow-credentials", "true"),
            ("allow-headers", "x-a"),
            ("allow-methods", "PUT"),
            ("allow-origin", "https://a.example"),
            ("vary", "Origin"),
        ]);
        assert_eq!(shown(&preflight(&cors, &asked)), wanted);
    }

    #[test]
    fn the_configuration_takes_the_place_of_the_functions_own_headers() {
        let cors = CorsRecord {
            allow_origins: texts(&["https://a.example"]),
            expose_headers: texts(&["x-c"]),
            ..CorsRecord::default()
        };
        let own = || request(&[(ACCESS_CONTROL_ALLOW_ORIGIN, "*")]);
        let mut answer = own();
        apply(&cors, &request(&[(ORIGIN, "https://a.example")]), &mut answer);
        let wanted =
            pairs(&[("allow-origin", "https://a.example"), ("expose-headers", "x-c"), ("vary", "Origin")]);
        assert_eq!(shown(&answer), wanted);
        let mut answer = own();
        apply(&cors, &request(&[(ORIGIN, "https://b.example")]), &mut answer);
        assert!(answer.is_empty());
    }
}
