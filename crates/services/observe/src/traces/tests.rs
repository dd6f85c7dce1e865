use bytes::Bytes;
use lambent_core::function::{Egress, FunctionSpec, LogFormat, LogLevel, Logging};
use lambent_core::ids::{CodeDigest, FunctionName, RequestId, RevisionId, Version};
use lambent_core::ports::{
    CallEnd, CallRun, ColdReason, HopKind, HopOutcome, Origin, ServedBy, Source, Stages, Start,
    ThrottleReason,
};
use lambent_store::traces::{Bounds, MemoryTraces};
use lambent_testkit::FalseClock;

use super::*;

const ARN: &str = "arn:aws:lambda:us-east-1:000000000000:function:f";

fn spec() -> Arc<FunctionSpec> {
    Arc::new(FunctionSpec {
        account: account(),
        region: region(),
        name: FunctionName::new("f").unwrap(),
        version: Version::Latest,
        revision: RevisionId::new("00000000-0000-4000-8000-000000000001").unwrap(),
        runtime: lambent_core::runtime::find("provided.al2023").unwrap(),
        handler: "h".into(),
        role_arn: "arn:aws:iam::000000000000:role/r".into(),
        code: CodeDigest::new("0".repeat(64)).unwrap(),
        layers: vec![],
        memory_mb: 128,
        timeout: Duration::from_secs(3),
        ephemeral_mb: 512,
        environment: vec![],
        egress: Egress::None,
        logging: Logging {
            group: Arc::from("/aws/lambda/f"),
            format: LogFormat::Text,
            application_level: LogLevel::Info,
            system_level: LogLevel::Info,
        },
        snap_start: false,
    })
}

fn account() -> AccountId {
    AccountId::new("000000000000").unwrap()
}

fn region() -> Region {
    Region::new("us-east-1").unwrap()
}

fn id(n: u32) -> String {
    format!("{n:08x}-0000-4000-8000-000000000000")
}

fn call(spec: &Arc<FunctionSpec>, n: u32) -> CallHop {
    let run = CallRun {
        log_stream: "2026/11/21/[$LATEST]0".into(),
        start: Start::Warm,
        served_by: ServedBy::OnDemand,
        handler: Duration::from_millis(2),
        duration: Duration::from_millis(2),
        billed_ms: 2,
        memory_used_mb: 30,
        response_bytes: 4,
    };
    CallHop {
        spec: spec.clone(),
        request_id: RequestId::new(id(n)).unwrap(),
        trace_header: Some("Root=1-a-b;Parent=c;Sampled=0".into()),
        origin: Origin::of(Source::Invoke, "arn:aws:iam::000000000000:root"),
        at: Timestamp::from_millis(1_000 + u64::from(n)),
        waited: Duration::ZERO,
        ran: Some(run),
        end: CallEnd::Returned,
        request_bytes: 2,
        preview: None,
    }
}

fn accept(n: u32, trace: Option<&str>) -> Hop {
    Hop {
        account: account(),
        region: region(),
        subject: ARN.into(),
        trace: trace.map(str::to_owned),
        id: id(n),
        parent: None,
        kind: HopKind::Accept,
        at: Timestamp::from_millis(500),
        took: Duration::ZERO,
        outcome: HopOutcome::Ok,
        by: Some("arn:aws:iam::000000000000:root".into()),
        target: None,
        note: None,
        preview: Some(Bytes::from_static(b"{}")),
    }
}

fn traces() -> Traces {
    let store = Arc::new(MemoryTraces::new(Bounds::default()));
    Traces::new(store, Arc::new(FalseClock::default()), Settings::default())
}

async fn found(traces: &Traces, id: &str) -> Vec<Value> {
    traces.find(&account(), &region(), id).await.unwrap()
}

#[tokio::test]
async fn a_way_is_found_from_each_of_its_ids_and_from_its_trace() {
    let traces = traces();
    traces.call(call(&spec(), 1));
    traces.hop(accept(2, Some("1-a-b")));
    traces.hop(accept(3, Some("1-other")));
    for known_by in [&id(1), &id(2), "1-a-b"] {
        let hops = found(&traces, known_by).await;
        let kinds: Vec<&str> = hops.iter().map(|hop| hop["kind"].as_str().unwrap()).collect();
        assert_eq!(kinds, ["accept", "call"], "{known_by}");
    }
    assert!(found(&traces, &id(9)).await.is_empty());
}

#[tokio::test]
async fn a_way_is_followed_up_and_down_without_a_trace_and_not_into_what_shares_a_batch_with_it() {
    let traces = traces();
    let (event, other, message, neighbour, request) = (id(1), id(2), id(3), id(4), id(9));
    let step = |id: &str, parent: Option<&str>, kind| Hop {
        id: id.into(),
        parent: parent.map(str::to_owned),
        kind,
        ..accept(0, None)
    };
    traces.hop(step(&event, None, HopKind::Accept));
    traces.hop(step(&message, Some(&event), HopKind::Deliver));
    traces.hop(step(&request, Some(&message), HopKind::Deliver));
    traces.hop(step(&other, None, HopKind::Accept));
    traces.hop(step(&neighbour, Some(&other), HopKind::Deliver));
    traces.hop(step(&request, Some(&neighbour), HopKind::Deliver));
    traces.call(CallHop { trace_header: Some("Root=1-call-own".into()), ..call(&spec(), 9) });
    for (asked, hops) in [(&event, 4), (&message, 4), (&other, 4), (&request, 7)] {
        let way = found(&traces, asked).await;
        assert_eq!(way.len(), hops, "{asked}: {way:#?}");
    }
    let ids: Vec<String> =
        found(&traces, &event).await.iter().map(|hop| hop["id"].as_str().unwrap().to_owned()).collect();
    assert!(!ids.contains(&other) && !ids.contains(&neighbour), "{ids:?}");
}

#[tokio::test]
async fn of_a_busy_queues_hops_only_the_first_are_wanted() {
    let traces = traces();
    let wanted = (0..1_000).filter(|_| traces.wants(ARN)).count();
    assert_eq!(wanted, intake::HOPS_MAX as usize);
    assert!(traces.wants("arn:aws:sqs:us-east-1:000000000000:another"));
    traces.flush().await;
    assert!(traces.wants(ARN), "the next flush has room again");
    assert_eq!(traces.left_out(), 1_000 - u64::from(intake::HOPS_MAX));
}

#[tokio::test]
async fn hops_of_one_millisecond_stand_in_the_order_of_their_causes() {
    let traces = traces();
    let at = Timestamp::from_millis(700);
    let event = |n: u32, kind| Hop { at, kind, ..accept(n, Some("1-a-b")) };
    traces.hop(Hop { id: id(8), parent: Some(id(1)), ..event(1, HopKind::Deliver) });
    traces.hop(event(1, HopKind::GiveUp));
    traces.call(CallHop { at, ..call(&spec(), 8) });
    traces.call(CallHop { at, ..call(&spec(), 1) });
    traces.hop(event(1, HopKind::Accept));
    // A circle, which nobody should make.
    traces.hop(Hop { id: id(20), parent: Some(id(21)), ..event(1, HopKind::Deliver) });
    traces.hop(Hop { id: id(21), parent: Some(id(20)), ..event(1, HopKind::Deliver) });
    let hops = found(&traces, &id(1)).await;
    let told: Vec<(&str, &str)> = hops
        .iter()
        .map(|hop| (hop["kind"].as_str().unwrap(), &hop["id"].as_str().unwrap()[..8]))
        .filter(|(_, id)| !id.starts_with("0000001"))
        .collect();
    let one = "00000001";
    let wanted =
        [("accept", one), ("call", one), ("give-up", one), ("deliver", "00000008"), ("call", "00000008")];
    assert_eq!(told, wanted);
}

#[tokio::test]
async fn a_calls_document_says_what_happened() {
    let (traces, spec) = (traces(), spec());
    let ms = Duration::from_millis;
    let stages = Stages { sandbox: ms(1), code: ms(2), runtime: ms(3), init: ms(4) };
    let mut cold = call(&spec, 1);
    cold.waited = ms(10);
    cold.ran.as_mut().unwrap().start = Start::Cold { stages, why: Some(ColdReason::Burst) };
    let document = br#"{"errorType":"ValueError","errorMessage":"no"}"#;
    cold.end = CallEnd::Failed { kind: None, document: Some(Bytes::from_static(document)) };
    traces.call(cold);
    let throttled = CallEnd::Throttled(ThrottleReason::ConcurrentInvocationLimitExceeded);
    traces.call(CallHop { ran: None, end: throttled, ..call(&spec, 2) });
    let hops = found(&traces, &id(1)).await;
    let first = serde_json::json!({
        "kind": "call", "id": id(1), "trace": "1-a-b", "subject": ARN, "function": "f", "version": "$LATEST",
        "source": "invoke", "by": "arn:aws:iam::000000000000:root", "attempt": 1, "waitedMs": 10.0,
        "memoryMb": 128, "requestBytes": 2, "logGroup": "/aws/lambda/f", "logStream": "2026/11/21/[$LATEST]0",
        "start": "cold", "coldReason": "burst",
        "stagesMs": { "sandbox": 1.0, "code": 2.0, "runtime": 3.0, "init": 4.0, "handler": 2.0 },
        "durationMs": 2.0, "billedMs": 2, "memoryUsedMb": 30, "responseBytes": 4,
        "errorType": "ValueError", "errorMessage": "no", "outcome": "error",
        "atMs": 1_001, "at": "1970-01-01T00:00:01.001Z",
    });
    assert_eq!(hops[0], first);
    assert_eq!(hops[1]["outcome"], "throttled");
    assert_eq!(hops[1]["note"], "ConcurrentInvocationLimitExceeded");
}

#[tokio::test]
async fn the_last_calls_of_a_function_are_its_calls_only() {
    let (traces, spec) = (traces(), spec());
    for n in 1..=5 {
        traces.hop(accept(n, None));
        traces.call(call(&spec, n));
    }
    let calls = traces.calls_of(&account(), &region(), ARN, 3).await.unwrap();
    let ids: Vec<&str> = calls.iter().map(|call| call["id"].as_str().unwrap()).collect();
    assert_eq!(ids, [id(3), id(4), id(5)]);
}

#[tokio::test]
async fn of_a_busy_functions_ordinary_calls_only_the_first_are_kept() {
    let (traces, spec) = (traces(), spec());
    for n in 0..5_000 {
        traces.call(call(&spec, n));
    }
    let failed = CallHop { end: CallEnd::TimedOut, ..call(&spec, 9_999) };
    traces.call(failed);
    let calls = traces.calls_of(&account(), &region(), ARN, 10_000).await.unwrap();
    assert_eq!(calls.len(), intake::ORDINARY_MAX as usize + 1);
    assert_eq!(calls.last().unwrap()["outcome"], "timeout");
    assert_eq!(traces.left_out(), 5_000 - u64::from(intake::ORDINARY_MAX));
    // The next flush has room again.
    traces.call(call(&spec, 1));
    traces.flush().await;
    assert_eq!(traces.left_out(), 5_000 - u64::from(intake::ORDINARY_MAX));
}

#[tokio::test]
async fn what_waits_has_a_bound() {
    let traces = traces();
    for n in 0..intake::WAITING_MAX as u32 + 10 {
        traces.hop(accept(n, None));
    }
    traces.flush().await;
    assert_eq!(traces.left_out(), 10);
}

#[tokio::test(start_paused = true)]
async fn hops_are_stored_by_themselves() {
    let traces = Arc::new(traces());
    let running = traces.clone();
    let task = tokio::spawn(async move { running.run().await });
    traces.hop(accept(1, None));
    let stored = || traces.store.traces_by_key(account(), region(), id(1), 9);
    while stored().await.unwrap().is_empty() {
        tokio::time::sleep(Duration::from_millis(300)).await;
    }
    task.abort();
}
