//! The operations through [`Logs::handle`], on the store in memory.

mod events;
mod filtering;
mod model;
mod resources;

use std::sync::Arc;

use http::{HeaderMap, HeaderValue, Method};
use lambent_core::ids::{AccountId, Region, RequestId, uuid};
use lambent_core::ports::{LogLine, LogSink, LogTarget};
use lambent_core::time::Timestamp;
use lambent_store::logs::MemoryLogs;
use lambent_testkit::{FalseClock, SeededEntropy};
use lambent_wire::{Caller, Request};
use serde_json::{Value, json};

use crate::logs::{Logs, Settings};

/// A service, its clock, and someone who calls it.
pub struct Bench {
    pub logs: Logs,
    pub clock: Arc<FalseClock>,
    pub caller: Caller,
}

impl Bench {
    pub fn new() -> Self {
        let clock = Arc::new(FalseClock::default());
        let logs = Logs::new(Arc::new(MemoryLogs::default()), clock.clone(), Settings::default());
        let account = AccountId::new("000000000000").unwrap();
        let caller = Caller {
            principal_arn: format!("arn:aws:iam::{account}:root"),
            account,
            region: Region::new("eu-west-1").unwrap(),
            access_key_id: "test".into(),
        };
        Self { logs, clock, caller }
    }

    pub fn now(&self) -> u64 {
        use lambent_core::ports::Clock;
        self.clock.now().as_millis()
    }

    pub async fn send(&self, target: Option<&str>, body: &[u8]) -> (u16, Value) {
        let mut headers = HeaderMap::new();
        if let Some(target) = target {
            headers.insert("x-amz-target", HeaderValue::from_str(target).unwrap());
        }
        let request = Request {
            method: Method::POST,
            path: "/".into(),
            query: Vec::new(),
            headers,
            body: body.to_vec().into(),
            request_id: RequestId::new(uuid(&SeededEntropy::default())).unwrap(),
            caller: self.caller.clone(),
        };
        let id = request.request_id.to_string();
        let response = self.logs.handle(request).await;
        assert_eq!(response.headers()["x-amzn-requestid"], id.as_str());
        assert_eq!(response.headers()["content-type"], "application/x-amz-json-1.1");
        let body = match response.body().as_ref() {
            b"" => Value::Null,
            bytes => serde_json::from_slice(bytes).unwrap(),
        };
        (response.status().as_u16(), body)
    }

    pub async fn call(&self, operation: &str, input: Value) -> (u16, Value) {
        self.send(Some(&format!("Logs_20140328.{operation}")), input.to_string().as_bytes()).await
    }

    /// A call that must succeed.
    pub async fn ok(&self, operation: &str, input: Value) -> Value {
        let (status, body) = self.call(operation, input).await;
        assert_eq!(status, 200, "{operation}: {body}");
        body
    }

    /// A call that must fail: its code and message.
    pub async fn fault(&self, operation: &str, input: Value) -> (String, String) {
        let (status, body) = self.call(operation, input).await;
        assert_eq!(status, 400, "{operation}: {body}");
        let text = |name: &str| body[name].as_str().unwrap_or_default().to_owned();
        (text("__type"), text("message"))
    }

    pub async fn make(&self, group: &str, stream: &str) {
        self.ok("CreateLogGroup", json!({"logGroupName": group})).await;
        self.ok("CreateLogStream", json!({"logGroupName": group, "logStreamName": stream})).await;
    }

    /// Puts events at these milliseconds from now.
    pub async fn put(&self, group: &str, stream: &str, events: &[(i64, &str)]) -> Value {
        let event = |(offset, text): &(i64, &str)| json!({"timestamp": self.at(*offset), "message": text});
        let events: Vec<_> = events.iter().map(event).collect();
        let input = json!({"logGroupName": group, "logStreamName": stream, "logEvents": events});
        self.ok("PutLogEvents", input).await
    }

    pub fn at(&self, offset: i64) -> u64 {
        self.now().saturating_add_signed(offset)
    }

    /// Appends as a function does.
    pub async fn say(&self, group: &str, stream: &str, text: &str) {
        let target = LogTarget {
            account: self.caller.account.clone(),
            region: self.caller.region.clone(),
            group: group.into(),
            stream: stream.into(),
        };
        let line = LogLine { time: Timestamp::from_millis(self.now()), text: text.into() };
        self.logs.append(&target, vec![line]).await;
    }
}

/// The messages of an answer's events.
pub fn messages(answer: &Value) -> Vec<&str> {
    answer["events"].as_array().unwrap().iter().map(|event| event["message"].as_str().unwrap()).collect()
}

#[tokio::test]
async fn operations_that_are_not_served_are_refused_by_name() {
    let bench = Bench::new();
    let (status, body) = bench.call("StartQuery", json!({})).await;
    assert_eq!((status, body["__type"].as_str()), (400, Some("UnsupportedOperationException")));
    assert_eq!(body["message"], "The operation StartQuery is not supported.");
    for target in [Some("Logs_20140328.Nothing"), Some("Other_1.GetLogEvents"), None] {
        let (status, body) = bench.send(target, b"{}").await;
        assert_eq!((status, body["__type"].as_str()), (400, Some("UnknownOperationException")), "{target:?}");
    }
}

#[tokio::test]
async fn what_is_no_json_or_of_the_wrong_type_is_a_serialization_exception() {
    let bench = Bench::new();
    let deep = [b"[".repeat(100_000), b"]".repeat(100_000)].concat();
    for body in [
        &b"{"[..],
        b"[]",
        b"\xff",
        b"{} x",
        &deep,
        br#"{"logGroupName": 5}"#,
        br#"{"tags": []}"#,
        br#"{"tags": {}, "tags": {}}"#,
    ] {
        let (status, body) = bench.send(Some("Logs_20140328.CreateLogGroup"), body).await;
        assert_eq!((status, body["__type"].as_str()), (400, Some("SerializationException")));
    }
}

#[tokio::test]
async fn constraints_are_answered_together_in_the_references_words() {
    let bench = Bench::new();
    let (code, message) =
        bench.fault("DescribeLogStreams", json!({"logGroupName": "a b", "limit": 51})).await;
    assert_eq!(code, "InvalidParameterException");
    assert_eq!(
        message,
        "2 validation errors detected: Value 'a b' at 'logGroupName' failed to satisfy constraint: Member must \
         satisfy regular expression pattern: [\\.\\-_/#A-Za-z0-9]+; Value '51' at 'limit' failed to satisfy \
         constraint: Member must have value less than or equal to 50"
    );
    let (_, message) = bench.fault("CreateLogGroup", json!({})).await;
    assert_eq!(
        message,
        "1 validation error detected: Value null at 'logGroupName' failed to satisfy constraint: Member must not \
         be null"
    );
}

#[tokio::test]
async fn members_that_are_not_served_are_refused_by_name() {
    let bench = Bench::new();
    bench.make("g", "s").await;
    for (operation, input, name) in [
        ("CreateLogGroup", json!({"logGroupName": "x", "kmsKeyId": "k"}), "kmsKeyId"),
        ("CreateLogGroup", json!({"logGroupName": "x", "logGroupClass": "DELIVERY"}), "logGroupClass"),
        (
            "CreateLogGroup",
            json!({"logGroupName": "x", "deletionProtectionEnabled": true}),
            "deletionProtectionEnabled",
        ),
        ("DescribeLogGroups", json!({"accountIdentifiers": ["000000000000"]}), "accountIdentifiers"),
        ("DescribeLogGroups", json!({"includeLinkedAccounts": true}), "includeLinkedAccounts"),
        ("GetLogEvents", json!({"logGroupName": "g", "logStreamName": "s", "unmask": true}), "unmask"),
        ("FilterLogEvents", json!({"logGroupName": "g", "unmask": true}), "unmask"),
        ("DeleteLogGroup", json!({"logGroupName": "g", "surprise": 1}), "surprise"),
    ] {
        let (code, message) = bench.fault(operation, input).await;
        assert_eq!(code, "InvalidParameterException", "{operation}");
        assert!(message.contains(&format!("'{name}'")) && message.contains("not supported"), "{message}");
    }
    let groups = bench.ok("DescribeLogGroups", json!({})).await;
    assert_eq!(groups["logGroups"].as_array().unwrap().len(), 1, "nothing was stored");
}
