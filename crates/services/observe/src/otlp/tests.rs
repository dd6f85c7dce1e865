use std::sync::Mutex as StdMutex;
use std::time::Duration;

use lambent_core::function::{Egress, FunctionSpec, LogFormat, LogLevel, Logging};
use lambent_core::ids::{AccountId, CodeDigest, FunctionName, Region, RequestId, RevisionId, Version};
use lambent_core::ports::{
    Answered, BoxFuture, CallEnd, CallRun, ColdReason, HopKind, HopOutcome, NoTraces, Origin, ServedBy,
    Source, Stages, Start, Unanswered,
};
use lambent_core::time::Timestamp;
use serde_json::{Value, json};

use super::*;

const ID: &str = "00000001-0000-4000-8000-000000000000";
const HEADER: &str = "Root=1-67891233-ABCDEF012345678912345678;Parent=53995c3f42cd8ad8;Sampled=1";
const TRACE: &str = "67891233abcdef012345678912345678";

fn ms(count: u64) -> Duration {
    Duration::from_millis(count)
}

fn spec() -> Arc<FunctionSpec> {
    Arc::new(FunctionSpec {
        account: AccountId::new("000000000000").unwrap(),
        region: Region::new("us-east-1").unwrap(),
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
        snap_start: false,
        environment: vec![],
        egress: Egress::None,
        logging: Logging {
            group: Arc::from("/aws/lambda/f"),
            format: LogFormat::Text,
            application_level: LogLevel::Info,
            system_level: LogLevel::Info,
        },
    })
}

fn call(start: Start) -> CallHop {
    CallHop {
        spec: spec(),
        request_id: RequestId::new(ID).unwrap(),
        trace_header: Some(HEADER.into()),
        origin: Origin::of(Source::Invoke, "arn:aws:iam::000000000000:root"),
        at: Timestamp::from_millis(1_000),
        waited: ms(20),
        ran: Some(CallRun {
            log_stream: "s".into(),
            start,
            served_by: ServedBy::OnDemand,
            handler: ms(5),
            duration: ms(5),
            billed_ms: 5,
            memory_used_mb: 30,
            response_bytes: 4,
        }),
        end: CallEnd::Returned,
        request_bytes: 2,
        preview: Some(bytes::Bytes::from_static(b"secret")),
    }
}

fn hop(kind: HopKind, id: &str, parent: Option<&str>) -> Hop {
    let (account, region) = (AccountId::new("000000000000").unwrap(), Region::new("us-east-1").unwrap());
    let subject = "arn:aws:sqs:us-east-1:000000000000:orders";
    let hop = Hop::new((&account, &region), kind, subject, id, Timestamp::from_millis(2_000));
    Hop { parent: parent.map(str::to_owned), preview: Some(bytes::Bytes::from_static(b"secret")), ..hop }
}

fn spans(told: Vec<Told>) -> Vec<Value> {
    let request = span::request("here", &told);
    assert!(!request.to_string().contains("secret"), "no payload is sent");
    request["resourceSpans"][0]["scopeSpans"][0]["spans"].as_array().unwrap().clone()
}

fn times(span: &Value) -> (u64, u64) {
    let time = |name: &str| span[name].as_str().unwrap().parse::<u64>().unwrap() / 1_000_000;
    (time("startTimeUnixNano"), time("endTimeUnixNano"))
}

#[test]
fn a_cold_calls_five_stages_are_the_children_of_its_span() {
    let stages = Stages { sandbox: ms(1), code: ms(2), runtime: ms(3), init: ms(4) };
    let found = spans(vec![Told::Call(Box::new(call(Start::Cold { stages, why: Some(ColdReason::First) })))]);
    let names: Vec<&str> = found.iter().map(|span| span["name"].as_str().unwrap()).collect();
    assert_eq!(names, ["f", "sandbox", "code", "runtime", "init", "handler"]);
    let all: Vec<(u64, u64)> = found.iter().map(times).collect();
    assert_eq!(
        all,
        [(1_000, 1_025), (1_010, 1_011), (1_011, 1_013), (1_013, 1_016), (1_016, 1_020), (1_020, 1_025)]
    );
    assert_eq!(
        (&found[0]["traceId"], &found[0]["parentSpanId"]),
        (&json!(TRACE), &json!("53995c3f42cd8ad8"))
    );
    assert!(found[1..].iter().all(|span| span["parentSpanId"] == found[0]["spanId"]));
    assert!(
        found.iter().all(|span| span["traceId"] == TRACE && span["spanId"].as_str().unwrap().len() == 16)
    );
    let attributes = found[0]["attributes"].as_array().unwrap();
    assert!(attributes.contains(&json!({ "key": "faas.coldstart", "value": { "boolValue": true } })));
    assert!(attributes.contains(&json!({ "key": "lambent.billed_ms", "value": { "intValue": "5" } })));
    let warm = spans(vec![Told::Call(Box::new(call(Start::Warm)))]);
    assert_eq!((warm.len(), &warm[1]["name"]), (2, &json!("handler")));
}

#[test]
fn a_call_is_below_what_handed_its_event_on() {
    let mut mapped = call(Start::Warm);
    mapped.origin = Origin::of(Source::EventSourceMapping, "q");
    mapped.trace_header = None;
    mapped.end = CallEnd::TimedOut;
    let accepted = Told::Hop(Box::new(hop(HopKind::Accept, "m", None)));
    let handed_on = Told::Hop(Box::new(hop(HopKind::Deliver, ID, Some("m"))));
    let mut waits = hop(HopKind::Wait, "m", None);
    (waits.took, waits.outcome) = (Duration::from_secs(3), HopOutcome::Throttled);
    let found = spans(vec![accepted, handed_on, Told::Call(Box::new(mapped)), Told::Hop(Box::new(waits))]);
    let [accepted, handed_on, call, _, waits] = &found[..] else { panic!("{found:?}") };
    assert_eq!(accepted["name"], "accept orders");
    assert_eq!(accepted.get("parentSpanId"), None);
    assert_eq!(handed_on["parentSpanId"], accepted["spanId"]);
    assert_eq!(call["parentSpanId"], handed_on["spanId"]);
    assert_eq!(waits["parentSpanId"], accepted["spanId"]);
    // Without a header, a trace is made of the id that it began with.
    assert_eq!(handed_on["traceId"], accepted["traceId"]);
    assert_eq!(times(waits), (2_000, 5_000));
    assert_eq!(
        (&waits["status"]["code"], &call["status"]["message"]),
        (&json!(2), &json!("Sandbox.Timedout"))
    );
}

/// An address, headers, and how many spans came.
type Seen = (String, Vec<(String, String)>, usize);

/// Answers as it is told, the last answer again and again.
#[derive(Default)]
struct FalseCollector {
    answers: StdMutex<Vec<u16>>,
    seen: StdMutex<Vec<Seen>>,
}

impl HttpSink for FalseCollector {
    fn post<'a>(&'a self, posting: Posting<'a>) -> BoxFuture<'a, Result<Answered, Unanswered>> {
        let body: Value = serde_json::from_str(posting.body).unwrap();
        let spans = body["resourceSpans"][0]["scopeSpans"][0]["spans"].as_array().unwrap().len();
        let headers =
            posting.headers.iter().map(|(name, value)| ((*name).to_owned(), value.clone())).collect();
        self.seen.lock().unwrap().push((posting.url.to_owned(), headers, spans));
        let mut answers = self.answers.lock().unwrap();
        let answer =
            if answers.len() > 1 { answers.remove(0) } else { answers.first().copied().unwrap_or(200) };
        Box::pin(async move { Ok(Answered { status: answer, ..Answered::default() }) })
    }
}

fn exporter(endpoint: &str) -> Exporter {
    let headers = vec![("x-key".to_owned(), "k".to_owned())];
    let settings = Settings { endpoint: endpoint.into(), headers, instance: "here".into() };
    Exporter::new(Arc::new(NoTraces), settings)
}

#[tokio::test(start_paused = true)]
async fn what_is_told_arrives_in_batches_with_the_headers_of_the_settings() {
    let (exporter, collector) = (exporter("http://c:4318/"), FalseCollector::default());
    for n in 0..BATCH_MAX + 3 {
        exporter.hop(hop(HopKind::Accept, &n.to_string(), None));
    }
    let run = tokio::time::timeout(Duration::from_secs(30), exporter.run(&collector));
    assert!(run.await.is_err());
    let seen = collector.seen.lock().unwrap();
    assert_eq!(seen.iter().map(|(_, _, spans)| *spans).collect::<Vec<_>>(), [BATCH_MAX, 3]);
    let (url, headers, _) = &seen[0];
    assert_eq!(url, "http://c:4318/v1/traces");
    assert!(headers.contains(&("x-key".into(), "k".into())) && headers.len() == 2);
    assert_eq!((exporter.counts().sent(), exporter.counts().left_out()), (BATCH_MAX as u64 + 3, 0));
}

#[tokio::test(start_paused = true)]
async fn what_a_collector_can_not_take_now_is_sent_again_and_then_left_out() {
    for (answers, requests, left_out) in [(vec![503, 429, 200], 3, 0), (vec![503], 4, 1), (vec![400], 1, 1)] {
        let (exporter, collector) = (exporter("http://c/own"), FalseCollector::default());
        *collector.answers.lock().unwrap() = answers;
        exporter.call(call(Start::Warm));
        let _ = tokio::time::timeout(Duration::from_secs(60), exporter.run(&collector)).await;
        assert_eq!(collector.seen.lock().unwrap().len(), requests);
        assert_eq!(collector.seen.lock().unwrap()[0].0, "http://c/own");
        assert_eq!(exporter.counts().left_out(), left_out);
    }
}

#[tokio::test]
async fn what_the_queue_has_no_room_for_is_counted_and_holds_nobody_up() {
    let (exporter, collector) = (exporter("http://c"), FalseCollector::default());
    for n in 0..QUEUE_MAX + 5 {
        exporter.hop(hop(HopKind::Accept, &n.to_string(), None));
    }
    assert_eq!(exporter.counts().left_out(), 5);
    exporter.flush(&collector).await;
    assert_eq!(exporter.counts().sent(), QUEUE_MAX as u64);
}

#[tokio::test(start_paused = true)]
async fn what_waited_for_company_when_the_node_stopped_is_sent() {
    let (exporter, collector) = (exporter("http://c"), FalseCollector::default());
    exporter.call(call(Start::Warm));
    let run = tokio::time::timeout(LINGER / 2, exporter.run(&collector));
    assert!(run.await.is_err() && collector.seen.lock().unwrap().is_empty());
    exporter.flush(&collector).await;
    assert_eq!(exporter.counts().sent(), 1);
}
