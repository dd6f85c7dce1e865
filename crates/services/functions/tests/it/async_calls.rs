//! Asynchronous calls: accepted, tried again, given up, and told of.

use std::time::Duration;

use bytes::Bytes;
use lambent_core::limits::ASYNC_PAYLOAD_BYTES_MAX;
use lambent_core::ports::{
    Answer, Clock as _, Hop, HopKind, HopOutcome, InvokeRefusal, Outcome, Source, ThrottleReason,
};
use lambent_store::deliveries::{DeliveryStore, Lane};
use serde_json::{Value, json};

use crate::world::*;

const EVENT: (&str, &str) = ("x-amz-invocation-type", "Event");
const INVALID: &str = "InvalidParameterValueException";

fn address(name: &str) -> String {
    format!("/2019-09-25/functions/{name}/event-invoke-config")
}

async fn accept(world: &World, name: &str, payload: &str) {
    let reply = world.call(name, &[EVENT], payload).await;
    assert_eq!((reply.status, reply.bytes.len()), (202, 0));
}

async fn waiting(world: &World) -> u64 {
    world.deliveries.count(Lane::AsyncInvocation).await.unwrap()
}

fn next(world: &World, answer: Result<Answer, InvokeRefusal>) {
    *world.invoke.next.lock().unwrap() = Some(answer);
}

fn fails() -> Result<Answer, InvokeRefusal> {
    let outcome = Outcome::Failed(Bytes::from_static(b"{\"errorMessage\":\"no\"}"));
    Ok(Answer { outcome, log_tail: None, cold: None, handler: Duration::ZERO })
}

fn throttles() -> Result<Answer, InvokeRefusal> {
    Err(InvokeRefusal::Throttled(ThrottleReason::ConcurrentInvocationLimitExceeded))
}

/// Tries what is due, and says how often a function was called for it.
async fn run(world: &World) -> usize {
    let before = world.invoke.calls.lock().unwrap().len();
    world.functions.run_due_events().await.unwrap();
    world.invoke.calls.lock().unwrap().len() - before
}

#[tokio::test]
async fn an_event_is_accepted_first_and_run_later() {
    let world = World::with(&["f"]).await;
    accept(&world, "f", "{\"a\":1}").await;
    assert_eq!(waiting(&world).await, 1);
    assert!(world.invoke.calls.lock().unwrap().is_empty());
    assert_eq!(run(&world).await, 1);
    let call = world.last_call();
    assert_eq!((&call.payload[..], call.invoked_arn), (&b"{\"a\":1}"[..], arn("f")));
    assert_eq!(waiting(&world).await, 0);
    assert_eq!(run(&world).await, 0);
}

#[tokio::test]
async fn what_can_not_be_called_is_refused_and_not_accepted() {
    let world = World::with(&["f"]).await;
    world.call("none", &[EVENT], "{}").await.is_fault(404, "ResourceNotFoundException", "");
    world.call("f:none", &[EVENT], "{}").await.is_fault(404, "ResourceNotFoundException", "");
    world.call("f", &[EVENT], "{").await.is_fault(400, "InvalidRequestContentException", "");
    let large = format!("\"{}\"", "x".repeat(ASYNC_PAYLOAD_BYTES_MAX - 1));
    let message = "1048577 byte payload is too large for the Event invocation type (limit 1048576 bytes)";
    world.call("f", &[EVENT], &large).await.is_fault(413, "RequestTooLargeException", message);
    let largest = format!("\"{}\"", "x".repeat(ASYNC_PAYLOAD_BYTES_MAX - 2));
    accept(&world, "f", &largest).await;
    assert_eq!(waiting(&world).await, 1);
}

#[tokio::test]
async fn a_clock_that_jumps_loses_no_event_and_takes_none_of_its_attempts() {
    let world = World::with(&["f"]).await;
    let began = world.clock.now().as_millis();
    accept(&world, "f", "1").await;
    next(&world, fails());
    assert_eq!(run(&world).await, 1);
    // Back by an hour: the retry is not due, and what is accepted now is.
    world.clock.set(lambent_core::Timestamp::from_millis(began - 3_600_000));
    accept(&world, "f", "2").await;
    assert_eq!(run(&world).await, 1);
    assert_eq!(waiting(&world).await, 1);
    // Forward beyond the retry: it is made, once.
    world.clock.set(lambent_core::Timestamp::from_millis(began + 3_600_000));
    assert_eq!(run(&world).await, 1);
    let call = world.last_call();
    assert_eq!((&call.payload[..], call.origin.attempt), (&b"1"[..], 2));
    assert_eq!((run(&world).await, waiting(&world).await), (0, 0));
}

#[tokio::test]
async fn an_error_of_the_function_is_tried_again_twice_and_then_told_of() {
    let world = World::with(&["f", "g"]).await;
    let config = json!({ "DestinationConfig": { "OnFailure": { "Destination": arn("g") } } });
    world.put(&address("f"), &config).await.ok();
    accept(&world, "f", "{\"a\":1}").await;
    for wait in [0, 60, 120] {
        if wait > 0 {
            world.clock.advance(Duration::from_secs(wait - 1));
            assert_eq!(run(&world).await, 0);
            world.clock.advance(Duration::from_secs(1));
        }
        next(&world, fails());
        assert_eq!(run(&world).await, 1, "after {wait} s");
    }
    let failed = world.last_call();
    assert_eq!(run(&world).await, 1, "the destination");
    let told = world.last_call();
    assert_eq!((told.invoked_arn, waiting(&world).await), (arn("g"), 0));
    let record: Value = serde_json::from_slice(&told.payload).unwrap();
    assert_eq!(record["requestContext"]["condition"], "RetriesExhausted");
    assert_eq!(record["requestContext"]["approximateInvokeCount"], 3);
    assert_eq!(record["requestContext"]["requestId"], failed.request_id.as_str());
    assert_eq!(record["requestPayload"], json!({ "a": 1 }));
    assert_eq!(record["responsePayload"], json!({ "errorMessage": "no" }));
}

#[tokio::test]
async fn the_configured_retries_and_age_act() {
    let world = World::with(&["f", "g"]).await;
    let config = json!({
        "MaximumRetryAttempts": 0, "MaximumEventAgeInSeconds": 60,
        "DestinationConfig": { "OnFailure": { "Destination": arn("g") } },
    });
    world.put(&address("f"), &config).await.ok();
    accept(&world, "f", "1").await;
    next(&world, fails());
    assert_eq!(run(&world).await, 1);
    assert_eq!(run(&world).await, 1, "told at once");
    accept(&world, "f", "2").await;
    world.clock.advance(Duration::from_secs(60));
    assert_eq!(run(&world).await, 0, "too old to be tried");
    assert_eq!(run(&world).await, 1);
    let record: Value = serde_json::from_slice(&world.last_call().payload).unwrap();
    assert_eq!(record["requestContext"]["condition"], "EventAgeExceeded");
}

#[tokio::test]
async fn the_worker_tries_again_as_soon_as_something_is_due_again() {
    let world = World::with(&["f"]).await;
    accept(&world, "f", "1").await;
    next(&world, throttles());
    let story = async {
        for calls in 1..5 {
            let due = loop {
                let now = world.clock.now();
                match world.deliveries.next_due(Lane::AsyncInvocation, now).await.unwrap() {
                    Some(due) if world.invoke.calls.lock().unwrap().len() == calls => break due,
                    _ => tokio::task::yield_now().await,
                }
            };
            next(&world, throttles());
            world.clock.set(due);
        }
    };
    tokio::select! {
        () = world.functions.run_async_calls(std::future::pending()) => {}
        told = tokio::time::timeout(Duration::from_secs(20), story) => told.expect("it is woken by the clock"),
    }
}

#[tokio::test]
async fn a_throttled_event_waits_and_loses_no_attempt() {
    let world = World::with(&["f"]).await;
    accept(&world, "f", "1").await;
    for wait in [0, 1, 2, 4, 8] {
        world.clock.advance(Duration::from_secs(wait));
        next(&world, throttles());
        assert_eq!(run(&world).await, 1, "after {wait} s");
        assert_eq!(run(&world).await, 0);
    }
    world.clock.advance(Duration::from_secs(16));
    assert_eq!((run(&world).await, waiting(&world).await), (1, 0));
}

#[tokio::test]
async fn the_end_of_a_call_brings_a_throttled_one_forward() {
    let world = World::with(&["f"]).await;
    accept(&world, "f", "1").await;
    next(&world, throttles());
    assert_eq!(run(&world).await, 1);
    accept(&world, "f", "2").await;
    assert_eq!(run(&world).await, 1, "the second one runs");
    assert_eq!((run(&world).await, waiting(&world).await), (1, 0), "and the first one behind it, at once");
}

#[tokio::test]
async fn a_function_that_is_switched_off_fails_its_events_at_once() {
    let world = World::with(&["f", "g"]).await;
    let config = json!({ "DestinationConfig": { "OnFailure": { "Destination": arn("g") } } });
    world.put(&address("f"), &config).await.ok();
    let off = json!({ "ReservedConcurrentExecutions": 0 });
    world.put("/2017-10-31/functions/f/concurrency", &off).await.ok();
    accept(&world, "f", "1").await;
    assert_eq!(run(&world).await, 0);
    assert_eq!(run(&world).await, 1);
    let record: Value = serde_json::from_slice(&world.last_call().payload).unwrap();
    assert_eq!(record["requestContext"]["condition"], "ZeroReservedConcurrency");
}

#[tokio::test]
async fn a_success_is_told_of_too() {
    let world = World::with(&["f", "g"]).await;
    world.publish("g").await;
    let destination = format!("{}:1", arn("g"));
    let config = json!({ "DestinationConfig": { "OnSuccess": { "Destination": destination } } });
    world.put(&address("f"), &config).await.ok();
    accept(&world, "f", "{\"n\":5}").await;
    assert_eq!((run(&world).await, run(&world).await), (1, 1));
    let told = world.last_call();
    assert_eq!(told.invoked_arn, destination);
    let record: Value = serde_json::from_slice(&told.payload).unwrap();
    assert_eq!(record["requestContext"]["condition"], "Success");
    assert_eq!(record["responseContext"], json!({ "statusCode": 200, "executedVersion": "$LATEST" }));
    assert_eq!(record["responsePayload"], json!({ "n": 5 }));
}

#[tokio::test]
async fn a_node_that_stops_keeps_its_events_and_those_of_a_deleted_function_go() {
    let world = World::with(&["f"]).await;
    accept(&world, "f", "1").await;
    next(&world, Err(InvokeRefusal::Stopping));
    assert_eq!((run(&world).await, waiting(&world).await), (1, 1));
    world.delete("/2015-03-31/functions/f").await;
    assert_eq!((run(&world).await, waiting(&world).await), (0, 0));
}

#[tokio::test]
async fn a_configuration_is_put_changed_listed_and_deleted() {
    let world = World::with(&["f", "g"]).await;
    let missing = format!("The function {}:$LATEST doesn't have an EventInvokeConfig", arn("f"));
    world.get(&address("f")).await.is_fault(404, "ResourceNotFoundException", &missing);
    let put = json!({
        "MaximumRetryAttempts": 1, "DestinationConfig": { "OnSuccess": { "Destination": arn("g") } },
    });
    world.put(&address("f"), &put).await.ok();
    world.post(&address("f"), &json!({ "MaximumEventAgeInSeconds": 90 })).await.ok();
    let found = world.get(&address("f")).await.ok();
    assert_eq!(found["FunctionArn"], format!("{}:$LATEST", arn("f")));
    assert_eq!((&found["MaximumRetryAttempts"], &found["MaximumEventAgeInSeconds"]), (&json!(1), &json!(90)));
    let destinations = json!({ "OnSuccess": { "Destination": arn("g") }, "OnFailure": {} });
    assert_eq!(found["DestinationConfig"], destinations);
    // Put forgets what it does not name; Update takes a destination away by an empty one.
    world.post(&address("f"), &json!({ "DestinationConfig": { "OnSuccess": {} } })).await.ok();
    assert_eq!(world.get(&address("f")).await.ok()["DestinationConfig"]["OnSuccess"], json!({}));
    world.put(&address("f"), &json!({ "MaximumRetryAttempts": 2 })).await.ok();
    assert_eq!(world.get(&address("f")).await.ok().get("MaximumEventAgeInSeconds"), None);
    let listed = world.get(&format!("{}/list", address("f"))).await.ok();
    assert_eq!(listed["FunctionEventInvokeConfigs"].as_array().unwrap().len(), 1);
    assert_eq!(world.delete(&address("f")).await.status, 204);
    world.delete(&address("f")).await.is_fault(404, "ResourceNotFoundException", &missing);
    world.post(&address("f"), &json!({ "MaximumRetryAttempts": 2 })).await.is_fault(
        404,
        "ResourceNotFoundException",
        &missing,
    );
}

#[tokio::test]
async fn what_can_not_be_configured_is_refused() {
    let world = World::with(&["f"]).await;
    let to = |arn: &str| json!({ "DestinationConfig": { "OnFailure": { "Destination": arn } } });
    let stream = "arn:aws:kinesis:eu-west-1:000000000000:stream/s";
    world.put(&address("f"), &to(stream)).await.is_fault(400, INVALID, "service kinesis is not supported");
    for bad in [
        "sqs:eu-west-1:000000000000:q.fifo",
        "sns:eu-west-1:000000000000:t.fifo",
        "sns:us-east-1:000000000000:t",
    ] {
        world.put(&address("f"), &to(&format!("arn:aws:{bad}"))).await.is_fault(400, INVALID, "is invalid");
    }
    world.put(&address("f"), &to(&arn("f"))).await.is_fault(400, INVALID, "is invalid");
    let elsewhere = "arn:aws:lambda:us-east-1:000000000000:function:g";
    world.put(&address("f"), &to(elsewhere)).await.is_fault(400, INVALID, "is invalid");
    world.put(&address("f"), &json!({})).await.is_fault(400, INVALID, "at least one");
    world.put(&address("f"), &json!({ "MaximumRetryAttempts": 3 })).await.is_fault(
        400,
        "ValidationException",
        "maximumRetryAttempts",
    );
    world.put(&address("f"), &json!({ "MaximumEventAgeInSeconds": 59 })).await.is_fault(
        400,
        "ValidationException",
        "maximumEventAgeInSeconds",
    );
    world.put(&address("none"), &json!({ "MaximumRetryAttempts": 1 })).await.is_fault(
        404,
        "ResourceNotFoundException",
        "",
    );
}

/// The hops of an event's way, as kind, outcome and note.
fn way(world: &World) -> Vec<(HopKind, HopOutcome, String)> {
    let hops = world.hops.0.lock().unwrap();
    hops.iter().map(|hop| (hop.kind, hop.outcome, hop.note.clone().unwrap_or_default())).collect()
}

#[tokio::test]
async fn an_events_way_is_told_hop_by_hop_with_its_waits_and_their_reasons() {
    let world = World::with(&["f", "g"]).await;
    let config = json!({ "MaximumRetryAttempts": 1,
        "DestinationConfig": { "OnFailure": { "Destination": arn("g") } } });
    world.put(&address("f"), &config).await.ok();
    let trace = ("x-amzn-trace-id", "Root=1-a-b;Parent=c;Sampled=1");
    assert_eq!(world.call("f", &[EVENT, trace], "{\"a\":1}").await.status, 202);
    next(&world, throttles());
    run(&world).await;
    for secs in [2, 61] {
        world.clock.advance(Duration::from_secs(secs));
        next(&world, fails());
        run(&world).await;
        if secs == 2 {
            let origin = world.last_call().origin;
            assert_eq!((origin.source, origin.attempt), (Source::Event, 1));
            assert!(origin.caller.starts_with("arn:aws:"), "{origin:?}");
        }
    }
    assert_eq!(world.last_call().origin.attempt, 2);
    use {HopKind::*, HopOutcome::*};
    let reason = "ConcurrentInvocationLimitExceeded";
    assert_eq!(
        way(&world),
        [
            (Accept, Ok, String::new()),
            (Wait, Throttled, reason.to_owned()),
            (Wait, Error, "the function failed: retry 1 of 1".to_owned()),
            (GiveUp, Error, "RetriesExhausted after 2 attempts".to_owned()),
            (Deliver, Ok, "RetriesExhausted".to_owned()),
        ]
    );
    let hops: Vec<Hop> = world.hops.0.lock().unwrap().clone();
    assert!(hops.iter().all(|hop| hop.subject == arn("f") && hop.trace.as_deref() == Some("1-a-b")));
    assert_eq!(hops[0].preview.as_deref(), Some(&b"{\"a"[..]));
    assert_eq!((hops[1].took, hops[2].took), (Duration::from_secs(1), Duration::from_secs(60)));
    let [.., given_up, delivered] = &hops[..] else { panic!("{hops:?}") };
    assert_eq!(
        (&delivered.parent, delivered.target.as_deref()),
        (&Some(given_up.id.clone()), Some(&*arn("g")))
    );
    // The destination's event goes on under its own id.
    run(&world).await;
    assert_eq!(world.last_call().request_id.as_str(), delivered.id);
}

#[tokio::test]
async fn an_event_whose_function_is_gone_says_so() {
    let world = World::with(&["f"]).await;
    accept(&world, "f", "{}").await;
    world.send(http::Method::DELETE, "/2015-03-31/functions/f", &[], Bytes::new()).await;
    run(&world).await;
    let (kind, outcome, note) = way(&world).pop().unwrap();
    assert_eq!((kind, outcome), (HopKind::GiveUp, HopOutcome::Refused));
    assert_eq!(note, "its function is gone: it was deleted");
}

#[tokio::test]
async fn queues_and_topics_are_told_of_the_end() {
    let world = World::with(&["f"]).await;
    let (good, bad) = ("arn:aws:sqs:eu-west-1:000000000000:good", "arn:aws:sns:eu-west-1:000000000000:bad");
    let to = json!({ "MaximumRetryAttempts": 0, "DestinationConfig": {
        "OnSuccess": { "Destination": good }, "OnFailure": { "Destination": bad },
    } });
    world.put(&address("f"), &to).await.ok();
    accept(&world, "f", "{\"a\":1}").await;
    run(&world).await;
    // The call is settled, and what the queue is to be told is on the disk.
    assert_eq!((waiting(&world).await, world.deliveries.count(Lane::QueuePush).await.unwrap()), (0, 1));
    world.functions.push_due().await.unwrap();
    next(&world, fails());
    accept(&world, "f", "{}").await;
    run(&world).await;
    world.functions.push_due().await.unwrap();
    assert_eq!(world.deliveries.count(Lane::QueuePush).await.unwrap(), 0);
    let told = world.queues.0.lock().unwrap();
    let ends: Vec<(&str, Value)> =
        told.iter().map(|(arn, push)| (arn.as_str(), serde_json::from_str(&push.body).unwrap())).collect();
    assert_eq!((ends[0].0, ends[1].0), (good, bad));
    assert_eq!(ends[0].1["requestContext"]["condition"], "Success");
    assert_eq!(ends[0].1["requestPayload"], json!({ "a": 1 }));
    assert_eq!(ends[1].1["requestContext"]["condition"], "RetriesExhausted");
    assert!(told[0].1.trace_header.is_some());
}

#[tokio::test]
async fn a_bus_gets_the_end_as_an_event() {
    let world = World::with(&["f"]).await;
    let bus = "arn:aws:events:eu-west-1:000000000000:event-bus/ends";
    let to = json!({ "MaximumRetryAttempts": 0, "DestinationConfig": {
        "OnSuccess": { "Destination": bus }, "OnFailure": { "Destination": bus },
    } });
    world.put(&address("f"), &to).await.ok();
    accept(&world, "f", "{\"a\":1}").await;
    run(&world).await;
    world.functions.push_due().await.unwrap();
    next(&world, fails());
    accept(&world, "f", "{}").await;
    run(&world).await;
    world.functions.push_due().await.unwrap();
    let told = world.queues.0.lock().unwrap();
    let kinds: Vec<&str> =
        told.iter().map(|(_, push)| push.event.as_ref().unwrap().detail_type.as_str()).collect();
    let kind = "Lambda Function Invocation Result - ";
    assert_eq!(kinds, [format!("{kind}Success"), format!("{kind}Failure")]);
    let head = told[0].1.event.as_ref().unwrap();
    let resources = [bus.to_owned(), format!("{}:$LATEST", arn("f"))];
    assert_eq!((head.source.as_str(), &head.resources[..]), ("lambda", &resources[..]));
    let record: Value = serde_json::from_str(&told[0].1.body).unwrap();
    assert_eq!(record["requestPayload"], json!({ "a": 1 }));
}

#[tokio::test]
async fn what_is_no_bus_of_the_region_is_refused() {
    let world = World::with(&["f"]).await;
    for bad in [
        "eu-west-1:000000000000:rule/r",
        "eu-west-1:000000000000:event-bus/",
        "us-east-1:000000000000:event-bus/b",
    ] {
        let to = json!({ "DestinationConfig": { "OnSuccess": { "Destination": format!("arn:aws:events:{bad}") } } });
        let refused = world.put(&address("f"), &to).await;
        assert_eq!(refused.status, 400, "{bad}");
    }
}

#[tokio::test]
async fn a_queue_that_is_busy_is_told_later_and_one_that_is_gone_never() {
    let world = World::with(&["f"]).await;
    for (name, left) in [("gone", 0), ("busy", 1)] {
        let arn = format!("arn:aws:sqs:eu-west-1:000000000000:{name}");
        let to = json!({ "DestinationConfig": { "OnSuccess": { "Destination": arn } } });
        world.put(&address("f"), &to).await.ok();
        accept(&world, "f", "{}").await;
        run(&world).await;
        world.functions.push_due().await.unwrap();
        let waiting = world.deliveries.count(Lane::QueuePush).await.unwrap();
        assert_eq!(waiting, left, "{name}");
        // The busy one is due a second later, and not before.
        assert_eq!(world.functions.push_due().await.unwrap(), 0);
        world.clock.advance(Duration::from_secs(1));
        assert_eq!(world.functions.push_due().await.unwrap(), usize::try_from(left).unwrap());
    }
}

#[tokio::test]
async fn what_happens_to_events_is_counted() {
    let world = World::with(&["f", "g"]).await;
    let queue = |name: &str| format!("arn:aws:sqs:eu-west-1:000000000000:{name}");
    let update = json!({ "DeadLetterConfig": { "TargetArn": queue("gone") } });
    world.put("/2015-03-31/functions/f/configuration", &update).await.ok();
    let config = json!({ "MaximumRetryAttempts": 1, "DestinationConfig": {
        "OnSuccess": { "Destination": queue("gone") }, "OnFailure": { "Destination": arn("g") } } });
    world.put(&address("f"), &config).await.ok();
    accept(&world, "f", "{}").await;
    next(&world, throttles());
    run(&world).await;
    for secs in [2, 61] {
        world.clock.advance(Duration::from_secs(secs));
        next(&world, fails());
        run(&world).await;
    }
    world.functions.push_due().await.unwrap();
    let counted = || std::mem::take(&mut *world.counted.1.lock().unwrap());
    use lambent_core::ports::EventSample::*;
    let of = |name: &str, sample| (name.to_owned(), sample);
    assert_eq!(
        counted(),
        [
            of("f", Received),
            // The throttled one was no call.
            of("f", Called { age: Duration::from_secs(2) }),
            of("f", Called { age: Duration::from_secs(63) }),
            of("g", Received),
            of("f", Dropped),
            of("f", NoLetter),
        ]
    );
    run(&world).await;
    accept(&world, "f", "{}").await;
    run(&world).await;
    world.functions.push_due().await.unwrap();
    assert_eq!(
        counted()[1..],
        [of("f", Received), of("f", Called { age: Duration::ZERO }), of("f", Undelivered)]
    );
}

#[tokio::test]
async fn an_event_that_is_given_up_goes_to_the_dead_letters() {
    let world = World::with(&["f"]).await;
    let queue = "arn:aws:sqs:eu-west-1:000000000000:dead";
    let update = json!({ "DeadLetterConfig": { "TargetArn": queue } });
    world.put("/2015-03-31/functions/f/configuration", &update).await.ok();
    world.put(&address("f"), &json!({ "MaximumRetryAttempts": 0 })).await.ok();
    accept(&world, "f", "{\"a\": 1}").await;
    run(&world).await;
    assert_eq!(world.deliveries.count(Lane::QueuePush).await.unwrap(), 0);
    next(&world, fails());
    accept(&world, "f", "{\"a\": 2}").await;
    run(&world).await;
    world.functions.push_due().await.unwrap();
    let told = std::mem::take(&mut *world.queues.0.lock().unwrap());
    let [(arn, push)] = &told[..] else { panic!("{told:?}") };
    assert_eq!((arn.as_str(), push.body.as_str()), (queue, "{\"a\": 2}"));
    let attribute = |name: &str| push.attributes[name].clone();
    assert_eq!(attribute("ErrorCode"), ("Number".to_owned(), "200".to_owned()));
    assert_eq!(attribute("ErrorMessage"), ("String".to_owned(), "no".to_owned()));
    assert_eq!(attribute("RequestID").1.len(), 36);
    for bad in
        ["arn:aws:sns:eu-west-1:000000000000:t.fifo", "arn:aws:sqs:eu-west-1:000000000000:q.fifo", "dead"]
    {
        let update = json!({ "DeadLetterConfig": { "TargetArn": bad } });
        let reply = world.put("/2015-03-31/functions/f/configuration", &update).await;
        assert_eq!(reply.status, 400, "{bad}");
    }
    let away = json!({ "DeadLetterConfig": { "TargetArn": "" } });
    let shown = world.put("/2015-03-31/functions/f/configuration", &away).await.ok();
    assert_eq!(shown.get("DeadLetterConfig"), None);
}
