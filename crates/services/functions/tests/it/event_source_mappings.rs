//! Event source mappings: their operations, and what their pollers do with a queue's messages.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use lambent_core::ports::{
    Answer, HopKind, InvokeRefusal, MappingSample, Outcome, QueueFacts, Source, ThrottleReason,
};
use serde_json::{Value, json};
use tokio::sync::{Semaphore, oneshot};
use tokio::task::JoinHandle;

use crate::world::*;

const ADDRESS: &str = "/2015-03-31/event-source-mappings";
const INVALID: &str = "InvalidParameterValueException";

/// A world with the function `f` and the queue `q`, whose mappings are at work until `stop`.
struct Bench {
    world: World,
    queue: String,
    stop: oneshot::Sender<()>,
    work: JoinHandle<()>,
}

impl Bench {
    async fn new() -> Self {
        let world = World::with(&["f", "g"]).await;
        let queue = world.source.make("q");
        let (stop, stopped) = oneshot::channel();
        let work = tokio::spawn(world.functions.clone().run_mappings(async {
            let _ = stopped.await;
        }));
        Self { world, queue, stop, work }
    }

    /// Ends the work, whose every task ends with it.
    async fn end(self) -> World {
        let _ = self.stop.send(());
        self.work.await.unwrap();
        self.world
    }

    async fn map(&self, members: Value) -> String {
        let mut body = json!({ "FunctionName": "f", "EventSourceArn": self.queue });
        for (member, value) in members.as_object().unwrap() {
            body[member] = value.clone();
        }
        let reply = self.world.post(ADDRESS, &body).await;
        assert_eq!(reply.status, 202, "{:?}", reply.bytes);
        assert_eq!(reply.json()["StateTransitionReason"], "USER_INITIATED");
        let id = reply.json()["UUID"].as_str().unwrap().to_owned();
        self.rests(&id).await;
        id
    }

    async fn shown(&self, id: &str) -> Value {
        self.world.get(&format!("{ADDRESS}/{id}")).await.ok()
    }

    async fn change(&self, id: &str, body: Value) -> Reply {
        self.world.put(&format!("{ADDRESS}/{id}"), &body).await
    }

    async fn rests(&self, id: &str) -> String {
        until(async || {
            let state = self.shown(id).await["State"].as_str().unwrap().to_owned();
            ["Enabled", "Disabled"].contains(&state.as_str()).then_some(state)
        })
        .await
    }

    fn send(&self, ids: impl IntoIterator<Item = usize>) {
        for id in ids {
            self.world.source.send(&self.queue, &id.to_string(), &format!("body {id}"));
        }
    }

    fn done(&self) -> Vec<String> {
        let mut done = self.world.source.with(&self.queue, |queue| queue.done.clone());
        done.sort();
        done
    }

    /// The ids of the messages of each call so far.
    fn calls(&self) -> Vec<Vec<String>> {
        let calls = self.world.invoke.calls.lock().unwrap();
        calls.iter().map(|call| ids(&call.payload)).collect()
    }

    /// As [`until`], while time goes on at some pace.
    async fn in_time<T>(&self, question: impl AsyncFn() -> Option<T>) -> T {
        until(async || {
            self.world.clock.advance(Duration::from_millis(10));
            question().await
        })
        .await
    }

    async fn called(&self, count: usize) -> Vec<Vec<String>> {
        until(async || Some(self.calls()).filter(|calls| calls.len() >= count)).await
    }
}

fn ids(payload: &[u8]) -> Vec<String> {
    let event: Value = serde_json::from_slice(payload).unwrap();
    let records = event["Records"].as_array().unwrap().iter();
    records.map(|record| record["messageId"].as_str().unwrap().to_owned()).collect()
}

/// Asks until there is an answer.
async fn until<T>(question: impl AsyncFn() -> Option<T>) -> T {
    let asked = async {
        loop {
            if let Some(answer) = question().await {
                return answer;
            }
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(60), asked).await.expect("an answer within a minute")
}

fn answers(payload: &str) -> Result<Answer, InvokeRefusal> {
    let outcome = Outcome::Returned(Bytes::copy_from_slice(payload.as_bytes()));
    Ok(Answer { outcome, log_tail: None, cold: None, handler: Duration::ZERO })
}

fn fails() -> Result<Answer, InvokeRefusal> {
    let outcome = Outcome::Failed(Bytes::from_static(b"{\"errorMessage\":\"no\"}"));
    Ok(Answer { outcome, log_tail: None, cold: None, handler: Duration::ZERO })
}

#[tokio::test]
async fn a_mapping_is_shown_as_it_was_made() {
    let bench = Bench::new().await;
    let id = bench.map(json!({})).await;
    let shown = bench.shown(&id).await;
    let mapping_arn = format!("arn:aws:lambda:{REGION}:{ACCOUNT}:event-source-mapping:{id}");
    let expected = json!({
        "UUID": id, "BatchSize": 10, "MaximumBatchingWindowInSeconds": 0, "EventSourceArn": bench.queue,
        "FunctionArn": arn("f"), "LastModified": shown["LastModified"], "State": "Enabled",
        "StateTransitionReason": "USER_INITIATED", "FunctionResponseTypes": [],
        "EventSourceMappingArn": mapping_arn,
    });
    assert_eq!(shown, expected);
    let full = json!({
        "BatchSize": 100, "MaximumBatchingWindowInSeconds": 5, "FunctionResponseTypes": ["ReportBatchItemFailures"],
        "FilterCriteria": { "Filters": [{ "Pattern": "{\"body\":[\"a\"]}" }] },
        "ScalingConfig": { "MaximumConcurrency": 7 }, "MetricsConfig": { "Metrics": ["EventCount"] },
    });
    assert_eq!(bench.change(&id, full.clone()).await.status, 202);
    bench.rests(&id).await;
    let shown = bench.shown(&id).await;
    for (member, value) in full.as_object().unwrap() {
        assert_eq!(shown[member], *value, "{member}");
    }
    let cleared = json!({
        "FunctionResponseTypes": [], "FilterCriteria": {}, "ScalingConfig": {}, "MetricsConfig": {},
        "ProvisionedPollerConfig": { "MinimumPollers": 2, "MaximumPollers": 3 }, "FunctionName": "g",
    });
    assert_eq!(bench.change(&id, cleared).await.status, 202);
    let shown = bench.shown(&id).await;
    assert_eq!(shown["FunctionArn"], arn("g"));
    assert_eq!(shown["ProvisionedPollerConfig"], json!({ "MinimumPollers": 2, "MaximumPollers": 3 }));
    assert_eq!((&shown["BatchSize"], &shown["FunctionResponseTypes"]), (&json!(100), &json!([])));
    for member in ["FilterCriteria", "ScalingConfig", "MetricsConfig"] {
        assert!(shown.get(member).is_none(), "{member}");
    }
    bench.end().await;
}

#[tokio::test]
async fn what_can_not_be_mapped_is_refused() {
    let bench = Bench::new().await;
    let world = &bench.world;
    let fifo = world.source.make("q.fifo");
    let with = |members: Value| {
        let mut body = json!({ "FunctionName": "f", "EventSourceArn": bench.queue });
        for (member, value) in members.as_object().unwrap() {
            body[member] = value.clone();
        }
        body
    };
    let too_long = format!("{{\"body\":[\"{}\"]}}", "x".repeat(4_096));
    let filters = |pattern: &str, count| json!({ "Filters": vec![json!({ "Pattern": pattern }); count] });
    let good = "{\"body\":[\"a\"]}";
    let cases = [
        (json!({ "FunctionName": "none" }), 400, INVALID, "Function does not exist"),
        (json!({ "FunctionName": "f:none" }), 404, "ResourceNotFoundException", ""),
        (json!({ "FunctionName": null }), 400, "ValidationException", "functionName"),
        (json!({ "EventSourceArn": null }), 400, INVALID, "Unrecognized event source."),
        (json!({ "EventSourceArn": "q" }), 400, "ValidationException", "eventSourceArn"),
        (
            json!({ "EventSourceArn": queue_arn("none") }),
            400,
            INVALID,
            "AWS.SimpleQueueService.NonExistentQueue",
        ),
        (
            json!({ "EventSourceArn": format!("arn:aws:sqs:{REGION}:123456789012:q") }),
            400,
            INVALID,
            "does not have permissions to call ReceiveMessage on SQS",
        ),
        (
            json!({ "EventSourceArn": format!("arn:aws:kinesis:{REGION}:{ACCOUNT}:stream/s") }),
            400,
            INVALID,
            "The event source of the service kinesis is not supported by Lambent yet",
        ),
        (json!({ "BatchSize": 0 }), 400, "ValidationException", "batchSize"),
        (json!({ "BatchSize": 10_001 }), 400, "ValidationException", "batchSize"),
        (json!({ "BatchSize": 11 }), 400, INVALID, "Maximum batch window in seconds must be greater than 0"),
        (json!({ "EventSourceArn": fifo, "BatchSize": 11 }), 400, INVALID, "10 for FIFO"),
        (
            json!({ "EventSourceArn": fifo, "MaximumBatchingWindowInSeconds": 1 }),
            400,
            INVALID,
            "Batching window is not supported for FIFO queues",
        ),
        (
            json!({ "MaximumBatchingWindowInSeconds": 301 }),
            400,
            "ValidationException",
            "maximumBatchingWindow",
        ),
        (
            json!({ "ScalingConfig": { "MaximumConcurrency": 1 } }),
            400,
            "ValidationException",
            "maximumConcurrency",
        ),
        (
            json!({ "ScalingConfig": { "MaximumConcurrency": 1_001 } }),
            400,
            "ValidationException",
            "scalingConfig",
        ),
        (json!({ "FunctionResponseTypes": ["All"] }), 400, "ValidationException", "functionResponseTypes"),
        (json!({ "FilterCriteria": filters("{", 1) }), 400, INVALID, "Invalid filter pattern definition."),
        (json!({ "FilterCriteria": filters(good, 6) }), 400, INVALID, "5 filters at the most"),
        (json!({ "FilterCriteria": filters(&too_long, 1) }), 400, "ValidationException", "pattern"),
        (json!({ "MetricsConfig": { "Metrics": ["ErrorCount"] } }), 400, INVALID, "MetricsConfig"),
        (json!({ "MetricsConfig": { "Metrics": ["x"] } }), 400, "ValidationException", "metrics"),
        (
            json!({ "ProvisionedPollerConfig": { "MinimumPollers": 1 } }),
            400,
            "ValidationException",
            "minimumPollers",
        ),
        (
            json!({ "ProvisionedPollerConfig": { "MaximumPollers": 2_001 } }),
            400,
            "ValidationException",
            "maximumPollers",
        ),
        (json!({ "ProvisionedPollerConfig": { "PollerGroupName": "x" } }), 400, INVALID, "PollerGroupName"),
        (json!({ "StartingPosition": "LATEST" }), 400, INVALID, "Unsupported StartingPosition parameter"),
        (json!({ "KMSKeyArn": "arn:aws:kms:eu-west-1:1:key/k" }), 400, INVALID, "KMSKeyArn"),
        (
            json!({ "DestinationConfig": { "OnFailure": { "Destination": queue_arn("d") } } }),
            400,
            INVALID,
            "Unsupported DestinationConfig parameter for given event source mapping type.",
        ),
        (json!({ "Tags": { "aws:x": "y" } }), 400, INVALID, "reserved"),
    ];
    for (members, status, code, message) in cases {
        println!("{members}");
        world.post(ADDRESS, &with(members)).await.is_fault(status, code, message);
    }
    world.create_with("slow", json!({ "Timeout": 31 })).await.ok();
    let visibility = "Queue visibility timeout: 30 seconds is less than Function timeout: 31 seconds";
    world.post(ADDRESS, &with(json!({ "FunctionName": "slow" }))).await.is_fault(400, INVALID, visibility);
    let listed = world.get(ADDRESS).await.ok();
    assert_eq!(listed["EventSourceMappings"], json!([]), "nothing of it was kept");
    bench.end().await;
}

#[tokio::test]
async fn a_queue_is_mapped_to_a_function_once() {
    let bench = Bench::new().await;
    let id = bench.map(json!({})).await;
    let again = json!({ "FunctionName": arn("f"), "EventSourceArn": bench.queue });
    let message = format!(
        "An event source mapping with SQS arn (\" {} \") and function (\" f \") already exists. Please update or \
         delete the existing mapping with UUID {id}",
        bench.queue
    );
    bench.world.post(ADDRESS, &again).await.is_fault(409, "ResourceConflictException", &message);
    let other = bench.map(json!({ "FunctionName": "g" })).await;
    let refused = bench.change(&other, json!({ "FunctionName": "f" })).await;
    refused.is_fault(409, "ResourceConflictException", &message);
    bench.map(json!({ "FunctionName": "f:$LATEST" })).await;
    bench.end().await;
}

#[tokio::test]
async fn mappings_are_listed_by_queue_and_function() {
    let bench = Bench::new().await;
    let other = bench.world.source.make("other");
    let mut all = [
        bench.map(json!({})).await,
        bench.map(json!({ "FunctionName": "g" })).await,
        bench.map(json!({ "EventSourceArn": other })).await,
    ];
    let listed = async |query: &str| -> Vec<String> {
        let found = bench.world.get(&format!("{ADDRESS}?{query}")).await.ok();
        let found = found["EventSourceMappings"].as_array().unwrap().iter();
        found.map(|mapping| mapping["UUID"].as_str().unwrap().to_owned()).collect()
    };
    assert_eq!(listed("FunctionName=g").await, [all[1].clone()]);
    assert_eq!(listed(&format!("EventSourceArn={other}")).await, [all[2].clone()]);
    assert_eq!(listed(&format!("EventSourceArn={other}&FunctionName=g")).await, Vec::<String>::new());
    assert_eq!(listed("FunctionName=f").await.len(), 2);
    all.sort();
    let first = bench.world.get(&format!("{ADDRESS}?MaxItems=2")).await.ok();
    let marker = first["NextMarker"].as_str().unwrap();
    let mut found = listed("MaxItems=2").await;
    found.extend(listed(&format!("MaxItems=2&Marker={marker}")).await);
    assert_eq!(found, all);
    let tags = format!("/2017-03-31/tags/arn:aws:lambda:{REGION}:{ACCOUNT}:event-source-mapping:{}", all[0]);
    bench.world.post(&tags, &json!({ "Tags": { "a": "1", "b": "2" } })).await.ok();
    bench.world.delete(&format!("{tags}?tagKeys=a")).await.ok();
    assert_eq!(bench.world.get(&tags).await.ok()["Tags"], json!({ "b": "2" }));
    let missing = format!("{ADDRESS}/00000000-0000-4000-8000-000000000000");
    bench.world.get(&missing).await.is_fault(404, "ResourceNotFoundException", "does not exist");
    bench.world.delete(&missing).await.is_fault(404, "ResourceNotFoundException", "");
    bench.world.get(&format!("{ADDRESS}/x")).await.is_fault(400, "ValidationException", "length");
    bench.end().await;
}

#[tokio::test]
async fn messages_become_calls_and_leave_the_queue() {
    let bench = Bench::new().await;
    let id = bench.map(json!({ "MetricsConfig": { "Metrics": ["EventCount"] } })).await;
    bench.send(0..1);
    assert_eq!(bench.called(1).await, [["0"]]);
    let call = bench.world.last_call();
    assert_eq!(
        (call.origin.source, &*call.origin.caller),
        (Source::EventSourceMapping, bench.queue.as_str())
    );
    until(async || (bench.done() == ["0"]).then_some(())).await;
    assert_eq!(bench.shown(&id).await["LastProcessingResult"], "OK");
    let hops = bench.world.hops.0.lock().unwrap().clone();
    let hop = hops.iter().find(|hop| hop.kind == HopKind::Deliver).unwrap();
    assert_eq!((hop.parent.as_deref(), hop.id.as_str()), (Some("0"), call.request_id.as_str()));
    assert_eq!((hop.subject.as_str(), hop.target.clone()), (bench.queue.as_str(), Some(arn("f"))));
    let counted = until(async || {
        let all = bench.world.counted.0.lock().unwrap().values().copied().collect::<Vec<_>>();
        all.into_iter().find(|sums| sums.deleted > 0)
    });
    let expected = MappingSample { polled: 1, invoked: 1, deleted: 1, ..MappingSample::default() };
    assert_eq!(counted.await, expected);
    bench.end().await;
}

#[tokio::test]
async fn a_call_that_fails_leaves_its_messages_to_the_queue() {
    let bench = Bench::new().await;
    *bench.world.invoke.next.lock().unwrap() = Some(fails());
    let id = bench.map(json!({})).await;
    bench.send(0..1);
    bench.called(1).await;
    let result = until(async || bench.shown(&id).await["LastProcessingResult"].as_str().map(str::to_owned));
    assert_eq!(result.await, "PROBLEM: Function call failed");
    let world = bench.end().await;
    let left = world.source.with(&queue_arn("q"), |queue| (queue.in_flight.len(), queue.done.len()));
    assert_eq!(left, (1, 0), "it is in flight until its visibility timeout is over");
}

#[tokio::test]
async fn only_what_failed_stays_when_the_function_says_so() {
    let bench = Bench::new().await;
    let gate = Arc::new(Semaphore::new(0));
    *bench.world.invoke.gate.lock().unwrap() = Some(gate.clone());
    let answer = answers("{\"batchItemFailures\":[{\"itemIdentifier\":\"1\"}]}");
    *bench.world.invoke.always.lock().unwrap() = Some(answer);
    bench.send(0..3);
    let id = bench.map(json!({ "FunctionResponseTypes": ["ReportBatchItemFailures"] })).await;
    bench.called(1).await;
    gate.add_permits(1);
    until(async || (bench.done() == ["0", "2"]).then_some(())).await;
    // The same answer means nothing to a mapping that does not ask for it.
    bench.change(&id, json!({ "FunctionResponseTypes": [] })).await.ok();
    bench.rests(&id).await;
    bench.send(4..6);
    gate.add_permits(10);
    until(async || (bench.done() == ["0", "2", "4", "5"]).then_some(())).await;
    bench.end().await;
}

#[tokio::test]
async fn a_window_gathers_a_batch_of_its_size() {
    let bench = Bench::new().await;
    bench.map(json!({ "BatchSize": 25, "MaximumBatchingWindowInSeconds": 300 })).await;
    bench.send(0..60);
    let sizes: Vec<usize> = bench.called(2).await.iter().map(Vec::len).collect();
    assert_eq!(sizes, [25, 25]);
    until(async || (bench.done().len() == 50).then_some(())).await;
    let world = bench.end().await;
    let back = world.source.with(&queue_arn("q"), |queue| {
        assert!(queue.in_flight.is_empty());
        queue.ready.iter().map(|message| message.receives).collect::<Vec<_>>()
    });
    assert_eq!(back, [0; 10], "what was gathered goes back as it was");
}

#[tokio::test]
async fn a_batch_waits_for_no_other() {
    let bench = Bench::new().await;
    let gate = Arc::new(Semaphore::new(0));
    *bench.world.invoke.gate.lock().unwrap() = Some(gate.clone());
    bench.map(json!({ "BatchSize": 1 })).await;
    bench.send(0..20);
    assert_eq!(bench.called(5).await.len(), 5, "as many as a queue is read with at first");
    bench.in_time(async || (bench.calls().len() >= 6).then_some(())).await;
    gate.add_permits(20);
    until(async || (bench.done().len() == 20).then_some(())).await;
    bench.end().await;
}

#[tokio::test]
async fn no_more_batches_run_than_may() {
    let bench = Bench::new().await;
    let gate = Arc::new(Semaphore::new(0));
    *bench.world.invoke.gate.lock().unwrap() = Some(gate.clone());
    bench.map(json!({ "BatchSize": 1, "ScalingConfig": { "MaximumConcurrency": 2 } })).await;
    bench.send(0..9);
    for ended in 0..9 {
        bench.called((ended + 2).min(9)).await;
        // As many as may be are under way, and the rest are still in the queue for others to take.
        let ready = bench.world.source.with(&bench.queue, |queue| queue.ready.len());
        assert!(bench.calls().len() <= ended + 2 && ready >= 7 - ended.min(7), "{ended} {ready}");
        gate.add_permits(1);
        until(async || (bench.done().len() == ended + 1).then_some(())).await;
    }
    bench.end().await;
}

#[tokio::test]
async fn a_fifo_batch_is_one_pull() {
    let bench = Bench::new().await;
    let fifo = bench.world.source.make("q.fifo");
    for (id, group) in [("1", "a"), ("2", "a"), ("3", "b"), ("4", "a"), ("5", "b")] {
        bench.world.source.send_message(&fifo, id, "x", Some(group), None);
    }
    let answer = answers("{\"batchItemFailures\":[{\"itemIdentifier\":\"1\"}]}");
    *bench.world.invoke.always.lock().unwrap() = Some(answer);
    let report = json!(["ReportBatchItemFailures"]);
    bench.map(json!({ "EventSourceArn": fifo, "FunctionResponseTypes": report })).await;
    assert_eq!(bench.called(1).await, [["1", "2", "3", "4", "5"]]);
    let done = until(async || {
        let done = bench.world.source.with(&fifo, |queue| queue.done.clone());
        Some(done).filter(|done| !done.is_empty())
    });
    assert_eq!(done.await, ["3", "5"], "nothing of the group behind its first failure");
    bench.end().await;
}

#[tokio::test]
async fn filters_drop_what_nobody_wants() {
    let bench = Bench::new().await;
    let filters =
        json!([{ "Pattern": "{\"body\":[\"body 1\"]}" }, { "Pattern": "{\"body\":[{\"suffix\":\"3\"}]}" }]);
    bench
        .map(json!({ "FilterCriteria": { "Filters": filters }, "MetricsConfig": { "Metrics": ["EventCount"] } }))
        .await;
    bench.send(0..5);
    until(async || (bench.done().len() == 5).then_some(())).await;
    let mut called: Vec<String> = bench.calls().concat();
    called.sort();
    assert_eq!(called, ["1", "3"]);
    let sums = bench.world.counted.0.lock().unwrap().values().next().copied().unwrap();
    assert_eq!((sums.polled, sums.filtered_out), (5, 3));
    bench.end().await;
}

#[tokio::test]
async fn a_throttled_batch_is_tried_again_and_burns_no_receive() {
    let bench = Bench::new().await;
    let throttled = InvokeRefusal::Throttled(ThrottleReason::ConcurrentInvocationLimitExceeded);
    *bench.world.invoke.always.lock().unwrap() = Some(Err(throttled));
    bench.map(json!({})).await;
    bench.send(0..1);
    bench.in_time(async || (bench.calls().len() >= 3).then_some(())).await;
    bench.send(1..2);
    bench.in_time(async || (bench.calls().len() >= 5).then_some(())).await;
    assert!(bench.calls().iter().all(|call| *call == ["0"]), "nothing more is taken meanwhile");
    let waited = bench.world.hops.0.lock().unwrap().iter().filter(|hop| hop.kind == HopKind::Wait).count();
    assert_eq!(waited, 1);
    // A batch that waited long enough goes back to where others may take it.
    bench.world.clock.advance(Duration::from_secs(20));
    let back = bench.in_time(async || {
        bench.world.source.with(&bench.queue, |queue| {
            queue.ready.iter().find(|message| message.id == "0").map(|message| message.receives)
        })
    });
    assert_eq!(back.await, 0);
    *bench.world.invoke.always.lock().unwrap() = None;
    bench.in_time(async || (bench.done() == ["0", "1"]).then_some(())).await;
    bench.end().await;
}

#[tokio::test]
async fn another_accounts_queue_is_read_when_it_lets_the_role_in() {
    let bench = Bench::new().await;
    let facts = QueueFacts { is_fifo: false, visibility: Duration::from_secs(30) };
    let arn = |name: &str| format!("arn:aws:sqs:{REGION}:123456789012:{name}");
    for name in ["q-open", "q"] {
        bench.world.source.with(&arn(name), |queue| queue.facts = Some(facts));
    }
    let input = |name: &str| json!({ "FunctionName": "f", "EventSourceArn": arn(name) });
    let refused = bench.world.post("/2015-03-31/event-source-mappings", &input("q")).await;
    assert_eq!(refused.status, 400);
    bench.world.post("/2015-03-31/event-source-mappings", &input("q-open")).await.ok();
    bench.world.source.send(&arn("q-open"), "m", "{}");
    let done =
        async || bench.world.source.with(&arn("q-open"), |queue| (!queue.done.is_empty()).then_some(()));
    bench.in_time(done).await;
    bench.end().await;
}

#[tokio::test]
async fn a_mapping_whose_function_or_queue_is_gone_says_so() {
    let bench = Bench::new().await;
    let id = bench.map(json!({})).await;
    let says = async |part: &str| {
        until(async || {
            let shown = bench.shown(&id).await;
            shown["LastProcessingResult"].as_str().filter(|result| result.contains(part)).map(drop)
        })
        .await;
    };
    bench.world.delete("/2015-03-31/functions/f").await.ok();
    bench.send(0..1);
    says("The function does not exist").await;
    assert_eq!(bench.world.source.with(&bench.queue, |queue| queue.done.len()), 0);
    bench.world.create_with("f", json!({})).await.ok();
    bench.world.clock.advance(Duration::from_secs(2));
    says("OK").await;
    let facts = bench.world.source.with(&bench.queue, |queue| queue.facts.take());
    bench.world.source.arrived.notify_waiters();
    says("The queue does not exist").await;
    bench.world.source.with(&bench.queue, |queue| queue.facts = facts);
    bench.send(1..2);
    bench.world.clock.advance(Duration::from_secs(2));
    says("OK").await;
    bench.end().await;
}

#[tokio::test]
async fn a_mapping_is_switched_off_once_its_batches_are_over() {
    let bench = Bench::new().await;
    let gate = Arc::new(Semaphore::new(0));
    *bench.world.invoke.gate.lock().unwrap() = Some(gate.clone());
    let id = bench.map(json!({ "BatchSize": 1 })).await;
    bench.send(0..1);
    bench.called(1).await;
    let off = bench.change(&id, json!({ "Enabled": false })).await.ok();
    assert_eq!(off["State"], "Disabling");
    let in_use = bench.change(&id, json!({ "BatchSize": 2 })).await;
    in_use.is_fault(
        400,
        "ResourceInUseException",
        "Cannot update the event source mapping because it is in use.",
    );
    let in_use = bench.world.delete(&format!("{ADDRESS}/{id}")).await;
    in_use.is_fault(
        400,
        "ResourceInUseException",
        "Cannot delete the event source mapping because it is in use.",
    );
    gate.add_permits(1);
    assert_eq!(bench.rests(&id).await, "Disabled");
    assert_eq!(bench.done(), ["0"], "the batch under way came to its end");
    bench.send(1..2);
    // Changed while it is off, it stays off.
    assert_eq!(bench.change(&id, json!({ "BatchSize": 3 })).await.ok()["State"], "Updating");
    assert_eq!(bench.rests(&id).await, "Disabled");
    assert_eq!(bench.calls().len(), 1);
    gate.add_permits(1);
    assert_eq!(bench.change(&id, json!({ "Enabled": true })).await.ok()["State"], "Enabling");
    until(async || (bench.done() == ["0", "1"]).then_some(())).await;
    assert_eq!(bench.rests(&id).await, "Enabled");
    bench.end().await;
}

#[tokio::test]
async fn a_deleted_mapping_ends_what_it_began() {
    let bench = Bench::new().await;
    let gate = Arc::new(Semaphore::new(0));
    *bench.world.invoke.gate.lock().unwrap() = Some(gate.clone());
    let id = bench.map(json!({})).await;
    bench.send(0..1);
    bench.called(1).await;
    let address = format!("{ADDRESS}/{id}");
    let reply = bench.world.delete(&address).await;
    assert_eq!((reply.status, &reply.json()["State"]), (202, &json!("Deleting")));
    assert_eq!(bench.shown(&id).await["State"], "Deleting");
    gate.add_permits(1);
    until(async || (bench.world.get(&address).await.status == 404).then_some(())).await;
    assert_eq!(bench.done(), ["0"]);
    bench.map(json!({})).await;
    bench.end().await;
}

#[tokio::test]
async fn a_mapping_that_is_made_disabled_reads_nothing() {
    let bench = Bench::new().await;
    bench.send(0..1);
    let id = bench.map(json!({ "Enabled": false })).await;
    assert_eq!(bench.shown(&id).await["State"], "Disabled");
    assert!(bench.calls().is_empty());
    bench.end().await;
}

#[tokio::test]
async fn a_message_that_goes_round_is_not_handed_on() {
    let bench = Bench::new().await;
    bench.map(json!({})).await;
    // The header that the function's own sixteenth call in a row would show.
    let mut header = "Root=1-5759e988-bd862e3fe1be46a994272793".to_owned();
    for round in 0..17 {
        bench.world.source.send_message(&bench.queue, &round.to_string(), "x", None, Some(&header));
        let calls = bench.called(round + 1);
        if round == 16 {
            break;
        }
        calls.await;
        header = bench.world.last_call().trace_header.unwrap();
    }
    let stopped = until(async || {
        let hops = bench.world.hops.0.lock().unwrap();
        hops.iter().find(|hop| hop.kind == HopKind::GiveUp).map(|hop| hop.id.clone())
    });
    assert_eq!(stopped.await, "16");
    let world = bench.end().await;
    assert_eq!(world.invoke.calls.lock().unwrap().len(), 16);
}

#[tokio::test]
async fn a_queue_that_shows_messages_too_early_does_not_while_they_are_processed() {
    let bench = Bench::new().await;
    bench.map(json!({})).await;
    let brief = QueueFacts { is_fifo: false, visibility: Duration::ZERO };
    bench.world.source.with(&bench.queue, |queue| queue.facts = Some(brief));
    bench.send(0..1);
    until(async || (bench.done() == ["0"]).then_some(())).await;
    bench.end().await;
}
