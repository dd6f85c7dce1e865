//! Results of Python functions that are sent piece by piece.

use lambent_execution::runtimes::Launch;

use super::launch;
use super::run::Function;

fn each(check: impl Fn(&str, &Launch)) {
    for id in ["python3.9", "python3.10", "python3.11", "python3.12", "python3.13", "python3.14"] {
        if let Some(launch) = launch(id) {
            check(id, &launch);
        }
    }
}

const STREAMS: &str = "\
import io
def parts(event, context):
    yield 'a'
    yield b'b'
    yield bytearray(b'')
    yield '\\u00e9%d' % event
def http(event, context):
    yield {'statusCode': 201, 'cookies': ['a=1']}
    yield 'body'
def file(event, context): return io.BytesIO(b'x' * 300000 + b'\\n' + b'end')
def empty(event, context):
    return iter(())
def early(event, context):
    raise KeyError('before')
    yield
def half(event, context):
    yield 'part'
    raise ValueError('half-way')
def pipe(event, context):
    yield 'part'
    raise BrokenPipeError('its own')
def odd(event, context):
    yield 'part'
    yield 7
def plain(event, context): return [event]
";

#[test]
fn an_iterator_is_streamed_and_the_loop_goes_on() {
    let function = Function::new(&[("app.py", STREAMS)]);
    each(|id, launch| {
        let outcome = function.on(launch, "app.parts").call(&["1", "2"]);
        let texts: Vec<&str> = outcome.posts.iter().map(|post| post.text()).collect();
        assert_eq!(texts, ["abé1", "abé2"], "{id}");
        let post = &outcome.posts[0];
        assert_eq!(post.headers["lambda-runtime-function-response-mode"], "streaming", "{id}");
        assert_eq!(post.headers["content-type"], "application/octet-stream", "{id}");
        assert!(post.trailers.is_empty(), "{id}");

        let outcome = function.on(launch, "app.http").call(&["1"]);
        let metadata = r#"{"statusCode": 201, "cookies": ["a=1"]}"#;
        assert_eq!(outcome.post().text(), format!("{metadata}\0\0\0\0\0\0\0\0body"), "{id}");
        let kind = &outcome.post().headers["content-type"];
        assert_eq!(kind, "application/vnd.awslambda.http-integration-response", "{id}");

        assert_eq!(function.on(launch, "app.file").call(&["1"]).post().body.len(), 300_004, "{id}");
        assert_eq!(function.on(launch, "app.empty").call(&["1"]).post().text(), "", "{id}");
        let plain = function.on(launch, "app.plain").call(&["1"]);
        assert!(!plain.post().headers.contains_key("lambda-runtime-function-response-mode"), "{id}");
    });
}

#[test]
fn an_error_is_told_where_it_still_can_be() {
    let function = Function::new(&[("app.py", STREAMS)]);
    each(|id, launch| {
        let outcome = function.on(launch, "app.early").call(&["1"]);
        assert_eq!(outcome.error(), ("KeyError".into(), "'before'".into()), "{id}");
        for (handler, kind, message) in [
            ("app.half", "ValueError", "half-way"),
            ("app.pipe", "BrokenPipeError", "its own"),
            ("app.odd", "TypeError", "a streamed response is made of bytes and str, not int"),
        ] {
            let outcome = function.on(launch, handler).call(&["1", "2"]);
            assert_eq!(outcome.posts.len(), 2, "{id} {handler}: it goes on");
            let post = &outcome.posts[0];
            assert_eq!(post.text(), "part", "{id} {handler}");
            assert_eq!(post.trailers["lambda-runtime-function-error-type"], kind, "{id} {handler}");
            let document = super::nodejs::base64(&post.trailers["lambda-runtime-function-error-body"]);
            let document: serde_json::Value = serde_json::from_slice(&document).unwrap();
            assert_eq!(document["errorMessage"], message, "{id} {handler}");
        }
    });
}
