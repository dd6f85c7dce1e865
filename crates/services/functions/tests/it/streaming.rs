//! Answers that are handed on while the function makes them: as events, and through URLs.

use std::time::Duration;

use bytes::Bytes;
use http::Method;
use lambent_core::ports::{Answer, InvokeRefusal, Outcome, Piece, ThrottleReason};
use lambent_wire::event_stream::{Decoder, Message};
use serde_json::{Value, json};

use crate::function_urls::{ask, id_of, request};
use crate::world::*;

const ADDRESS: &str = "/2021-11-15/functions/f/response-streaming-invocations";
const METADATA: &str = "application/vnd.awslambda.http-integration-response";

fn data(text: &'static str) -> Piece {
    Piece::Data(Bytes::from_static(text.as_bytes()))
}

fn end(outcome: Outcome) -> Piece {
    Piece::End(Answer { outcome, log_tail: None, cold: None, handler: Duration::ZERO })
}

fn done() -> Piece {
    end(Outcome::Returned(Bytes::new()))
}

fn failed() -> Piece {
    end(Outcome::Failed(Bytes::from_static(br#"{"errorType":"T"}"#)))
}

fn events(reply: &Reply) -> Vec<Message> {
    assert_eq!(
        (reply.status, reply.header("content-type")),
        (200, Some("application/vnd.amazon.eventstream"))
    );
    assert_eq!(reply.header("x-amz-executed-version"), Some("$LATEST"));
    let mut decoder = Decoder::new();
    decoder.feed(&reply.bytes);
    let mut found = Vec::new();
    while let Some(message) = decoder.next_message().unwrap() {
        found.push(message);
    }
    decoder.finish().unwrap();
    found
}

fn shown(message: &Message) -> (String, String) {
    let kind = message.text_header(":event-type").unwrap().to_owned();
    assert_eq!(message.text_header(":message-type"), Some("event"));
    (kind, String::from_utf8(message.payload.to_vec()).unwrap())
}

async fn stream(world: &World, headers: &[(&str, &str)], payload: &'static str) -> Reply {
    world.send(Method::POST, ADDRESS, headers, Bytes::from_static(payload.as_bytes())).await
}

fn event(kind: &str, payload: &str) -> (String, String) {
    (kind.to_owned(), payload.to_owned())
}

#[tokio::test]
async fn pieces_become_events_and_the_last_one_tells_the_outcome() {
    let world = World::with(&["f"]).await;
    *world.invoke.stream.lock().unwrap() = Some(("text/plain", vec![data("a"), data("b"), done()]));
    let reply = stream(&world, &[], "{}").await;
    let found: Vec<_> = events(&reply).iter().map(shown).collect();
    let chunk = |text: &str| event("PayloadChunk", text);
    assert_eq!(found, [chunk("a"), chunk("b"), event("InvokeComplete", "{}")]);
    *world.invoke.stream.lock().unwrap() = Some(("text/plain", vec![data("a"), failed()]));
    let reply = stream(&world, &[], "{}").await;
    let details = r#"{"ErrorCode":"Unhandled","ErrorDetails":"{\"errorType\":\"T\"}"}"#;
    let found: Vec<_> = events(&reply).iter().map(shown).collect();
    assert_eq!(found, [chunk("a"), event("InvokeComplete", details)]);
}

#[tokio::test]
async fn a_whole_answer_is_one_event_and_the_log_comes_when_asked_for() {
    let world = World::with(&["f"]).await;
    let reply = stream(&world, &[("x-amz-log-type", "Tail")], r#"{"a":1}"#).await;
    let found: Vec<_> = events(&reply).iter().map(shown).collect();
    assert_eq!(found[0], event("PayloadChunk", r#"{"a":1}"#));
    let complete: Value = serde_json::from_str(&found[1].1).unwrap();
    assert_eq!(complete, json!({ "LogResult": "dGhlIGVuZCBvZiB0aGUgbG9n" }));
    assert!(world.last_call().tail_log);
}

#[tokio::test]
async fn what_is_refused_is_refused_before_the_stream() {
    let mut world = World::with(&["f"]).await;
    let reply = stream(&world, &[("x-amz-invocation-type", "DryRun")], "{}").await;
    assert_eq!((reply.status, world.invoke.calls.lock().unwrap().len()), (204, 0));
    let reply = stream(&world, &[("x-amz-invocation-type", "Event")], "{}").await;
    reply.is_fault(
        400,
        "ValidationException",
        "Member must satisfy enum value set: [RequestResponse, DryRun]",
    );
    let reply = stream(&world, &[("x-amz-tenant-id", "t")], "{}").await;
    reply.is_fault(400, "InvalidParameterValueException", "TenantId");
    stream(&world, &[], "{").await.is_fault(400, "InvalidRequestContentException", "parse request body");
    let reason = ThrottleReason::ConcurrentInvocationLimitExceeded;
    *world.invoke.next.lock().unwrap() = Some(Err(InvokeRefusal::Throttled(reason)));
    stream(&world, &[], "{}").await.is_fault(429, "TooManyRequestsException", "Rate Exceeded.");
    world.account = lambent_core::ids::AccountId::new("111111111111").unwrap();
    let address = ADDRESS.replace("/f/", &format!("/{}/", arn("f")));
    let reply = world.send(Method::POST, &address, &[], Bytes::new()).await;
    reply.is_fault(403, "AccessDeniedException", "lambda:InvokeFunction on resource");
}

async fn url(world: &World) -> String {
    let body = json!({ "AuthType": "AWS_IAM", "InvokeMode": "RESPONSE_STREAM" });
    let made = world.post("/2021-10-31/functions/f/url", &body).await.ok();
    assert_eq!(made["InvokeMode"], "RESPONSE_STREAM");
    id_of(&made)
}

async fn through(world: &World, id: &str, kind: &'static str, pieces: Vec<Piece>) -> Reply {
    *world.invoke.stream.lock().unwrap() = Some((kind, pieces));
    ask(world, id, request(Some(ACCOUNT))).await
}

#[tokio::test]
async fn a_streaming_url_sends_what_the_function_writes() {
    let world = World::with(&["f"]).await;
    let id = url(&world).await;
    let reply = through(&world, &id, "text/plain", vec![data("a"), data("b"), done()]).await;
    assert_eq!((reply.status, reply.header("content-type")), (200, Some("text/plain")));
    assert_eq!((&reply.bytes[..], reply.header(CUT_OFF)), (&b"ab"[..], None));
    let reply = through(&world, &id, "text/plain", vec![done()]).await;
    assert_eq!((reply.status, reply.bytes.len()), (200, 0));
    let cut = through(&world, &id, "text/plain", vec![data("a"), failed()]).await;
    assert_eq!((cut.status, cut.header(CUT_OFF)), (200, Some("yes")));
    let early = through(&world, &id, "text/plain", vec![failed()]).await;
    assert_eq!((early.status, &early.bytes[..]), (502, &b"Internal Server Error"[..]));
    // A function that answers whole: its document as it is.
    let whole = ask(&world, &id, request(Some(ACCOUNT))).await;
    assert_eq!(whole.header("content-type"), Some("application/json"));
    assert_eq!(whole.json()["version"], "2.0");
}

#[tokio::test]
async fn metadata_before_the_body_makes_status_and_headers() {
    let world = World::with(&["f"]).await;
    let id = url(&world).await;
    let head = r#"{"statusCode":201,"headers":{"x-a":"b"},"cookies":["c=d"]}"#;
    let pieces = vec![data(head), data("\0\0\0"), data("\0\0\0\0\0bo"), data("dy"), done()];
    let reply = through(&world, &id, METADATA, pieces).await;
    assert_eq!((reply.status, reply.header("x-a"), &reply.bytes[..]), (201, Some("b"), &b"body"[..]));
    assert_eq!(reply.header("set-cookie"), Some("c=d"));
    assert_eq!(reply.header("content-type"), Some("application/octet-stream"));
    for broken in [
        vec![data("{}"), done()],
        vec![data("{}"), failed()],
        vec![data("no JSON\0\0\0\0\0\0\0\0"), done()],
        vec![data("{\"statusCode\":7}\0\0\0\0\0\0\0\0"), done()],
    ] {
        assert_eq!(through(&world, &id, METADATA, broken).await.status, 502);
    }
}

#[tokio::test]
async fn a_url_that_does_not_stream_reads_the_metadata_too() {
    let world = World::with(&["f"]).await;
    let made = world.post("/2021-10-31/functions/f/url", &json!({ "AuthType": "AWS_IAM" })).await.ok();
    let payload = Bytes::from_static(b"{\"statusCode\":202}\0\0\0\0\0\0\0\0body");
    let outcome = Outcome::Returned(payload);
    let answer = Answer { outcome, log_tail: None, cold: None, handler: Duration::ZERO };
    *world.invoke.next.lock().unwrap() = Some(Ok(answer));
    let reply = ask(&world, &id_of(&made), request(Some(ACCOUNT))).await;
    assert_eq!((reply.status, &reply.bytes[..]), (202, &b"body"[..]));
}
