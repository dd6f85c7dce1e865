use std::io::Write;

use serde_json::json;

use super::credentials::{from_environment, from_file};
use super::fake::{FakeNode, block_on, not_found};
use super::*;
use crate::cli::failure::Kind;

#[test]
fn endpoints_are_a_scheme_a_host_and_a_port() {
    let endpoint = Endpoint::parse("http://127.0.0.1:4566/").unwrap();
    assert_eq!((endpoint.tls, endpoint.authority().as_str()), (false, "127.0.0.1:4566"));
    let endpoint = Endpoint::parse("https://node.example").unwrap();
    assert_eq!((endpoint.port, endpoint.to_string().as_str()), (443, "https://node.example"));
    let endpoint = Endpoint::parse("http://[::1]:80").unwrap();
    assert_eq!((endpoint.host.as_str(), endpoint.authority().as_str()), ("::1", "[::1]"));
    for bad in ["", "127.0.0.1:4566", "ftp://a", "http://", "http://a/b", "http://u@a", "http://a?b=c"] {
        assert_eq!(Endpoint::parse(bad).unwrap_err().kind, Kind::Usage, "{bad}");
    }
}

#[test]
fn only_this_machine_is_loopback() {
    for (text, loopback) in [
        ("http://localhost:1", true),
        ("http://127.9.9.9", true),
        ("http://[::1]", true),
        ("http://10.0.0.1", false),
    ] {
        assert_eq!(Endpoint::parse(text).unwrap().is_loopback(), loopback, "{text}");
    }
}

#[test]
fn half_a_key_in_the_environment_is_refused() {
    let only = |wanted: &'static str| move |name: &str| (name == wanted).then(|| "x".to_owned());
    assert!(from_environment(only("AWS_ACCESS_KEY_ID")).is_err());
    assert!(from_environment(only("AWS_SECRET_ACCESS_KEY")).is_err());
    assert!(from_environment(only("AWS_SESSION_TOKEN")).unwrap().is_none());
    assert_eq!(
        from_environment(|_| Some("x".to_owned())).unwrap().unwrap().session_token.as_deref(),
        Some("x")
    );
}

#[test]
fn the_key_file_is_read_and_a_damaged_one_is_never_quoted() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("credentials");
    assert!(from_file(&path).unwrap().is_none());
    let mut file = std::fs::File::create(&path).unwrap();
    file.write_all(br#"{"access_key_id":"A","secret_access_key":"S","account":"000000000000"}"#).unwrap();
    let found = from_file(&path).unwrap().unwrap();
    assert_eq!((found.secret_access_key.as_str(), found.account.as_deref()), ("S", Some("000000000000")));
    std::fs::write(&path, br#"{"secret_access_key":"sesame""#).unwrap();
    assert!(!from_file(&path).err().unwrap().message.contains("sesame"));
}

#[test]
fn a_query_is_encoded_once() {
    let call = Call::new("lambda", Method::GET, "/a").query("Marker", "x/y=").query("b", "ü");
    assert_eq!(call.path_and_query(), "/a?Marker=x%2Fy%3D&b=%C3%BC");
}

#[test]
fn a_fault_is_read_in_either_protocol() {
    let credentials = Credentials::test();
    let mut headers = HeaderMap::new();
    headers.insert("x-amzn-errortype", "ResourceNotFoundException:http://x".parse().unwrap());
    let fault = fault::read(http::StatusCode::NOT_FOUND, &headers, br#"{"Message":"gone"}"#, &credentials);
    assert_eq!((fault.code.as_deref(), fault.message.as_str()), (Some("ResourceNotFoundException"), "gone"));
    let body = br#"{"__type":"a.b#UnrecognizedClientException","message":"no"}"#;
    let fault = fault::read(http::StatusCode::FORBIDDEN, &HeaderMap::new(), body, &credentials);
    assert!(fault.is_code("UnrecognizedClientException") && fault.hints[0].contains("--data"));
    let fault = fault::read(http::StatusCode::BAD_GATEWAY, &HeaderMap::new(), b"<html>", &credentials);
    assert!(fault.message.contains("502") && fault.message.contains("<html>"));
}

#[test]
fn every_page_of_functions_is_read_and_a_marker_that_repeats_ends_it() {
    let node = FakeNode::start(|request| {
        let page =
            |name: &str, next: &str| json!({ "Functions": [{ "FunctionName": name }], "NextMarker": next });
        (200, "", if request.what.contains("Marker=m") { page("b", "m") } else { page("a", "m") })
    });
    let functions = block_on(node.client.functions()).unwrap();
    let names: Vec<&str> = functions.iter().map(|function| function.function_name.as_str()).collect();
    assert_eq!(names, ["a", "b"]);
}

#[test]
fn an_unknown_function_gets_the_nearest_name() {
    let node = FakeNode::start(|request| match request.what.as_str() {
        "GET /2015-03-31/functions" => (200, "", json!({ "Functions": [{ "FunctionName": "orders" }] })),
        _ => not_found(),
    });
    let failure = block_on(async {
        let failure = node.client.configuration("oders").await.unwrap_err();
        node.client.suggest("oders", failure).await
    });
    assert_eq!(failure.hints, ["there is a function orders"]);
}

#[test]
fn a_node_that_is_not_there_is_a_connection_failure_with_the_remedy() {
    let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let mut node = FakeNode::start(|_| not_found()).client;
    node.endpoint = Endpoint::parse(&format!("http://{free}")).unwrap();
    let failure = block_on(node.functions()).unwrap_err();
    assert_eq!((failure.kind, failure.code.as_deref()), (Kind::Connection, None));
    assert_eq!(failure.hints, [format!("start a node with: lambent up --port {}", free.port())]);
}
