//! The operations through [`Queues::handle`], on the store in memory and with a clock that is told the time.

mod model;
mod times;

use std::sync::Arc;
use std::time::Duration;

use http::{HeaderMap, HeaderValue, Method};
use lambent_core::ids::{AccountId, Region, RequestId, uuid};
use lambent_core::ports::{BoxFuture, QueueSource};
use lambent_store::queues::MemoryQueues;
use lambent_testkit::{FalseClock, SeededEntropy};
use lambent_wire::{Caller, Request};
use serde_json::{Value, json};

use crate::{Deps, Queues};

const ORIGIN: &str = "http://localhost:4566";

/// A service, its clock, and someone who calls it.
pub struct Bench {
    pub queues: Arc<Queues>,
    pub clock: Arc<FalseClock>,
    pub caller: Caller,
}

impl Bench {
    pub fn new() -> Self {
        let clock = Arc::new(FalseClock::default());
        let queues = Arc::new(Queues::new(Deps {
            store: Arc::new(MemoryQueues::default()),
            clock: clock.clone(),
            entropy: Arc::new(SeededEntropy::default()),
            traces: Arc::new(lambent_core::ports::NoTraces),
            receipt_secret: [1; 32],
        }));
        let account = AccountId::new("000000000000").unwrap();
        let caller = Caller {
            principal_arn: format!("arn:aws:iam::{account}:root"),
            account,
            region: Region::new("eu-west-1").unwrap(),
            access_key_id: "test".into(),
        };
        Self { queues, clock, caller }
    }

    pub async fn call(&self, operation: &str, input: Value) -> (u16, Value) {
        self.call_with(operation, input, HeaderMap::new()).await
    }

    pub async fn call_with(&self, operation: &str, input: Value, mut headers: HeaderMap) -> (u16, Value) {
        let target = format!("AmazonSQS.{operation}");
        headers.insert("x-amz-target", HeaderValue::from_str(&target).unwrap());
        let request = Request {
            method: Method::POST,
            path: "/".into(),
            query: Vec::new(),
            headers,
            body: input.to_string().into(),
            request_id: RequestId::new(uuid(&SeededEntropy::default())).unwrap(),
            caller: self.caller.clone(),
        };
        let response = self.queues.handle(request, ORIGIN).await;
        let body = match response.body().as_ref() {
            b"" => Value::Null,
            bytes => serde_json::from_slice(bytes).unwrap(),
        };
        (response.status().as_u16(), body)
    }

    /// A call that must succeed.
    pub async fn ok(&self, operation: &str, input: Value) -> Value {
        let (status, body) = self.call(operation, input).await;
        assert_eq!(status, 200, "{operation}: {body}");
        body
    }

    /// The shape of the fault of a call that must fail.
    pub async fn fault(&self, operation: &str, input: Value) -> String {
        let (status, body) = self.call(operation, input).await;
        assert_eq!(status, 400, "{operation}: {body}");
        body["__type"].as_str().unwrap().rsplit('#').next().unwrap().to_owned()
    }

    pub async fn make(&self, name: &str, attributes: Value) -> String {
        let made = self.ok("CreateQueue", json!({ "QueueName": name, "Attributes": attributes })).await;
        made["QueueUrl"].as_str().unwrap().to_owned()
    }

    pub async fn send(&self, url: &str, body: &str) {
        self.ok("SendMessage", json!({ "QueueUrl": url, "MessageBody": body })).await;
    }

    pub async fn receive(&self, url: &str) -> Vec<Value> {
        let answer = self.ok("ReceiveMessage", json!({ "QueueUrl": url, "MaxNumberOfMessages": 10 })).await;
        answer["Messages"].as_array().cloned().unwrap_or_default()
    }
}

#[tokio::test]
async fn what_is_no_request_is_refused() {
    let bench = Bench::new();
    assert_eq!(bench.fault("Nothing", json!({})).await, "UnknownOperationException");
    assert_eq!(bench.fault("CreateQueue", json!([])).await, "SerializationException");
    assert_eq!(bench.fault("CreateQueue", json!({ "QueueName": 5 })).await, "SerializationException");
    assert_eq!(bench.fault("CreateQueue", json!({})).await, "MissingRequiredParameterException");
    assert_eq!(bench.fault("SendMessage", json!({ "QueueUrl": "x" })).await, "InvalidAddress");
}

#[tokio::test]
async fn the_trace_of_a_request_goes_on_with_its_messages() {
    let bench = Bench::new();
    let url = bench.make("q", json!({})).await;
    let traced = |value: &str| {
        HeaderMap::from_iter([(
            http::HeaderName::from_static("x-amzn-trace-id"),
            HeaderValue::from_bytes(value.as_bytes()).unwrap(),
        )])
    };
    let send = json!({ "QueueUrl": url, "MessageBody": "m" });
    let (status, sent) = bench.call_with("SendMessage", send.clone(), traced("Root=1;Lineage=1:2:3")).await;
    assert_eq!((status, sent.get("MD5OfMessageSystemAttributes")), (200, None));
    let attribute = json!({ "AWSTraceHeader": { "DataType": "String", "StringValue": "Root=2" } });
    let named = json!({ "QueueUrl": url, "MessageBody": "m", "MessageSystemAttributes": attribute });
    bench.call_with("SendMessage", named, traced("Root=3")).await;
    bench.call_with("SendMessage", send, traced(&"x".repeat(513))).await;
    let asked = json!({ "QueueUrl": url, "MaxNumberOfMessages": 10, "AttributeNames": ["AWSTraceHeader"] });
    let received = bench.ok("ReceiveMessage", asked).await;
    let traces: Vec<Option<&str>> = received["Messages"]
        .as_array()
        .unwrap()
        .iter()
        .map(|message| message["Attributes"]["AWSTraceHeader"].as_str())
        .collect();
    assert_eq!(traces, [Some("Root=1;Lineage=1:2:3"), Some("Root=2"), None]);
}

#[tokio::test]
async fn a_reader_waits_until_it_is_told_to_end_and_puts_back_what_nobody_saw() {
    let bench = Bench::new();
    let policy =
        json!({ "deadLetterTargetArn": "arn:aws:sqs:eu-west-1:000000000000:dead", "maxReceiveCount": 1 });
    bench.make("dead", json!({})).await;
    let url = bench.make("q", json!({ "RedrivePolicy": policy.to_string() })).await;
    let arn = "arn:aws:sqs:eu-west-1:000000000000:q";
    let visibility = Duration::from_secs(30);
    let (end, ended) = tokio::sync::oneshot::channel::<()>();
    let over: BoxFuture<'_, ()> = Box::pin(async {
        let _ = ended.await;
    });
    let (found, ()) = tokio::join!(bench.queues.pull(arn, 10, visibility, Some(over)), async {
        let _ = end.send(());
    });
    assert_eq!(found, Ok(Vec::new()));
    bench.send(&url, "m").await;
    for _ in 0..3 {
        let found = bench.queues.pull(arn, 10, visibility, None).await.unwrap();
        assert_eq!((found.len(), found[0].receives), (1, 1), "it is no dead letter: nobody received it");
        let receipts = [found[0].receipt_handle.clone()];
        bench.queues.put_back(arn, &receipts, Duration::from_secs(1)).await.unwrap();
        assert_eq!(bench.queues.pull(arn, 10, visibility, None).await, Ok(Vec::new()));
        bench.clock.advance(Duration::from_secs(1));
    }
    assert_eq!(bench.receive(&url).await.len(), 1);
}
