//! Invoke.

use std::sync::atomic::Ordering;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use lambent_core::ports::{Answer, InvokeRefusal, Outcome, Stages, ThrottleReason};
use serde_json::json;

use crate::world::*;

#[tokio::test]
async fn a_call_gives_what_the_function_returned() {
    let world = World::with(&["f"]).await;
    let writes = world.writes();
    let reply = world.call("f", &[("x-amzn-trace-id", "Root=1-2-3")], r#"{"a":[1,2]}"#).await;
    assert_eq!((reply.status, &reply.bytes[..]), (200, &br#"{"a":[1,2]}"#[..]));
    assert_eq!(reply.header("x-amz-executed-version"), Some("$LATEST"));
    assert_eq!(reply.header("x-amz-function-error"), None);
    assert_eq!(reply.header("x-amz-log-result"), None);
    assert_eq!(reply.header("x-lambent-timing"), Some("cold=0;handler=1.50"));
    let call = world.last_call();
    assert_eq!(call.invoked_arn, arn("f"));
    let header = call.trace_header.as_deref().unwrap();
    assert!(header.starts_with("Root=1-2-3;Lineage=1:"), "{header}");
    assert_eq!((call.client_context, call.tail_log), (None, false));
    assert_eq!(world.writes(), writes, "a call writes nothing");
}

#[tokio::test]
async fn calls_of_one_revision_share_one_spec() {
    let world = World::with(&["f"]).await;
    world.call("f", &[], "").await.ok();
    let first = world.last_call().spec;
    world.call("f", &[], "").await.ok();
    assert!(std::sync::Arc::ptr_eq(&first, &world.last_call().spec));
    world.configure("f", json!({ "Timeout": 30 })).await.ok();
    world.call("f", &[], "").await.ok();
    assert_eq!(world.last_call().spec.timeout, Duration::from_secs(30));
    let spec = world.functions.spec(&world.key("f"), lambent_core::Version::Latest).unwrap();
    assert!(std::sync::Arc::ptr_eq(&spec, &world.last_call().spec));
    assert!(world.functions.spec(&world.key("none"), lambent_core::Version::Latest).is_none());
}

#[tokio::test]
async fn versions_are_called_by_their_qualifier() {
    let world = World::with(&["f"]).await;
    world.publish("f").await;
    for name in ["f:1", "f"] {
        let address = format!("/2015-03-31/functions/{name}/invocations?Qualifier=1");
        let reply = world.send(http::Method::POST, &address, &[], Bytes::new()).await;
        assert_eq!(reply.header("x-amz-executed-version"), Some("1"));
        assert_eq!(world.last_call().invoked_arn, format!("{}:1", arn("f")));
    }
    let missing = world.call("f:9", &[], "").await;
    missing.is_fault(404, "ResourceNotFoundException", &format!("Function not found: {}:9", arn("f")));
    world.call("none", &[], "").await.is_fault(404, "ResourceNotFoundException", "Function not found");
}

#[tokio::test]
async fn a_failed_function_is_an_answer_and_not_a_fault() {
    let world = World::with(&["f"]).await;
    let document = Bytes::from_static(br#"{"errorMessage":"no","errorType":"E"}"#);
    *world.invoke.next.lock().unwrap() = Some(Ok(Answer {
        outcome: Outcome::Failed(document.clone()),
        log_tail: None,
        cold: Some(Stages {
            sandbox: Duration::from_micros(1230),
            code: Duration::from_millis(2),
            runtime: Duration::from_millis(30),
            init: Duration::from_millis(40),
        }),
        handler: Duration::from_millis(5),
    }));
    let reply = world.call("f", &[], "{}").await;
    assert_eq!((reply.status, &reply.bytes), (200, &document));
    assert_eq!(reply.header("x-amz-function-error"), Some("Unhandled"));
    let timing = "cold=1;sandbox=1.23;code=2.00;runtime=30.00;init=40.00;handler=5.00";
    assert_eq!(reply.header("x-lambent-timing"), Some(timing));
}

#[tokio::test]
async fn the_tail_of_the_log_comes_on_request() {
    let world = World::with(&["f"]).await;
    let reply = world.call("f", &[("x-amz-log-type", "Tail")], "{}").await;
    assert_eq!(STANDARD.decode(reply.header("x-amz-log-result").unwrap()).unwrap(), b"the end of the log");
    world.call("f", &[("x-amz-log-type", "All")], "{}").await.is_fault(
        400,
        "ValidationException",
        "[None, Tail]",
    );
}

#[tokio::test]
async fn a_dry_run_runs_nothing() {
    let world = World::with(&["f"]).await;
    let dry = [("x-amz-invocation-type", "DryRun")];
    let reply = world.call("f", &dry, "{}").await;
    assert_eq!((reply.status, reply.bytes.len()), (204, 0));
    assert!(world.invoke.calls.lock().unwrap().is_empty());
    world.call("none", &dry, "{}").await.is_fault(404, "ResourceNotFoundException", "");
    let mut other = world;
    other.account = lambent_core::ids::AccountId::new("111111111111").unwrap();
    other.call(&arn("f"), &dry, "{}").await.is_fault(403, "AccessDeniedException", "");
}

#[tokio::test]
async fn what_is_not_served_is_refused_by_name() {
    let world = World::with(&["f"]).await;
    let invalid = "InvalidParameterValueException";
    for (header, value, name) in
        [("x-amz-tenant-id", "t", "TenantId"), ("x-amz-durable-execution-name", "d", "DurableExecutionName")]
    {
        world.call("f", &[(header, value)], "{}").await.is_fault(400, invalid, name);
    }
    let reply = world.call("f", &[("x-amz-invocation-type", "Later")], "{}").await;
    reply.is_fault(400, "ValidationException", "Value 'Later' at 'invocationType'");
    assert!(world.invoke.calls.lock().unwrap().is_empty());
}

#[tokio::test]
async fn payloads_are_json_of_six_megabytes_at_the_most() {
    let world = World::with(&["f"]).await;
    for bad in ["{", "a", "{} {}", "'x'", "[1,]"] {
        let reply = world.call("f", &[], bad).await;
        reply.is_fault(400, "InvalidRequestContentException", "Could not parse request body into json: ");
    }
    let address = "/2015-03-31/functions/f/invocations";
    let not_utf8 = world.send(http::Method::POST, address, &[], Bytes::from_static(b"\"\xff\"")).await;
    not_utf8.is_fault(400, "InvalidRequestContentException", "Could not parse request body into json: ");
    let deep = format!("{}{}", "[".repeat(100_000), "]".repeat(100_000));
    world.call("f", &[], &deep).await;
    for good in ["null", "1", "\"x\"", " {} ", "[]"] {
        world.call("f", &[], good).await.ok();
        assert_eq!(world.last_call().payload, good);
    }
    world.call("f", &[], "").await.ok();
    assert_eq!(world.last_call().payload, "{}", "no payload is an empty event");
    let largest = format!("\"{}\"", "x".repeat(6_291_556 - 2));
    world.call("f", &[], &largest).await.ok();
    let message =
        "6291557 byte payload is too large for the RequestResponse invocation type (limit 6291556 bytes)";
    let reply = world.call("f", &[], &format!("{largest} ")).await;
    reply.is_fault(413, "RequestTooLargeException", message);
}

#[tokio::test]
async fn the_client_context_reaches_the_function() {
    let world = World::with(&["f"]).await;
    let context = r#"{"custom":{"k":"v"}}"#;
    world.call("f", &[("x-amz-client-context", &STANDARD.encode(context))], "{}").await.ok();
    assert_eq!(world.last_call().client_context.as_deref(), Some(context));
    for bad in ["***", &STANDARD.encode("no json"), &STANDARD.encode("[]")] {
        let reply = world.call("f", &[("x-amz-client-context", bad)], "{}").await;
        let message = "Client context must be a valid Base64-encoded JSON object.";
        reply.is_fault(400, "InvalidRequestContentException", message);
    }
    let long = "A".repeat(3_584);
    let reply = world.call("f", &[("x-amz-client-context", &long)], "{}").await;
    reply.is_fault(400, "ValidationException", "Member must have length less than or equal to 3583");
}

#[tokio::test]
async fn refusals_of_the_execution_have_the_reference_s_form() {
    let world = World::with(&["f"]).await;
    let refuse = |refusal| *world.invoke.next.lock().unwrap() = Some(Err(refusal));
    refuse(InvokeRefusal::Throttled(ThrottleReason::ReservedFunctionConcurrentInvocationLimitExceeded));
    let reply = world.call("f", &[], "{}").await;
    reply.is_fault(429, "TooManyRequestsException", "Rate Exceeded.");
    assert_eq!(reply.json()["Reason"], "ReservedFunctionConcurrentInvocationLimitExceeded");
    assert_eq!((reply.json()["Type"].as_str(), reply.header("retry-after")), (Some("User"), Some("1")));
    refuse(InvokeRefusal::Throttled(ThrottleReason::ConcurrentInvocationLimitExceeded));
    assert_eq!(world.call("f", &[], "{}").await.json()["Reason"], "ConcurrentInvocationLimitExceeded");
    refuse(InvokeRefusal::NoEnvironment { detail: "no memory".into() });
    world.call("f", &[], "{}").await.is_fault(500, "ServiceException", "no memory");
    refuse(InvokeRefusal::Stopping);
    assert_eq!(world.call("f", &[], "{}").await.status, 503);
}

#[tokio::test]
async fn a_pending_function_is_brought_to_rest_by_the_call_itself() {
    let world = World::new();
    world.create(&minimal("f")).await.ok();
    world.call("f", &[], "{}").await.ok();
    assert_eq!(world.configuration("f").await["State"], "Active");
}

#[tokio::test(start_paused = true)]
async fn a_call_waits_ten_seconds_for_a_pending_function() {
    let world = World::new();
    world.create(&minimal("f")).await.ok();
    world.store.unavailable.store(true, Ordering::SeqCst);
    let before = tokio::time::Instant::now();
    let reply = world.call("f", &[], "{}").await;
    assert_eq!(before.elapsed().as_secs(), 10);
    let message = "The operation cannot be performed at this time. The function is currently in the following state: \
                   Pending";
    reply.is_fault(409, "ResourceConflictException", message);

    let call = world.call("f", &[], "{}");
    let recover = async {
        tokio::time::sleep(Duration::from_secs(3)).await;
        world.store.unavailable.store(false, Ordering::SeqCst);
        world.functions.settle().await;
    };
    let (reply, ()) = tokio::join!(call, recover);
    reply.ok();
}

#[tokio::test]
async fn a_function_without_its_runtime_is_failed_until_the_runtime_comes() {
    let world = World::new();
    world.runtimes.missing.lock().unwrap().insert("python3.12".into());
    world.create(&minimal("f")).await.ok();
    let reply = world.call("f", &[], "{}").await;
    reply.is_fault(409, "ResourceConflictException", "state: Failed. python3.12 is not here");
    let failed = world.configuration("f").await;
    assert_eq!((&failed["State"], &failed["StateReasonCode"]), (&json!("Failed"), &json!("InvalidRuntime")));
    assert_eq!(failed["StateReason"], "python3.12 is not here");
    assert_eq!(failed["LastUpdateStatus"], "Failed");
    world.runtimes.missing.lock().unwrap().clear();
    world.call("f", &[], "{}").await.ok();
    assert_eq!(world.configuration("f").await["State"], "Active");
}
