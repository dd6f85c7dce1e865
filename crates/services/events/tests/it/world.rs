//! The service with neighbours that remember what they were asked.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use http::{HeaderMap, Method};
use lambent_core::ids::{AccountId, Region, RequestId};
use lambent_core::ports::{
    Answered, BoxFuture, Clock, HttpSink, NoOperation, OperationCall, OperationRefusal, Operations, Posting,
    Push, PushRefusal, Pusher, QueueSink, Unanswered,
};
use lambent_core::time::Timestamp;
use lambent_events::{Deps, Events};
use lambent_store::archive::MemoryArchive;
use lambent_store::deliveries::*;
use lambent_store::events::{Entry, Kind, MemoryEvents};
use lambent_testkit::{FalseClock, SeededEntropy};
use lambent_wire::{Caller, Request};
use serde_json::{Value, json};

pub const ACCOUNT: &str = "000000000000";
pub const REGION: &str = "eu-west-1";

pub fn function(name: &str) -> String {
    format!("arn:aws:lambda:{REGION}:{ACCOUNT}:function:{name}")
}

pub fn queue(name: &str) -> String {
    format!("arn:aws:sqs:{REGION}:{ACCOUNT}:{name}")
}

pub fn topic(name: &str) -> String {
    format!("arn:aws:sns:{REGION}:{ACCOUNT}:{name}")
}

/// Takes what is for any function, but those called `refused`.
pub struct FalseFunctions {
    clock: Arc<FalseClock>,
    entropy: SeededEntropy,
    /// How often it was told that deliveries were accepted.
    pub told: Mutex<usize>,
}

impl FunctionEvents for FalseFunctions {
    fn delivery(&self, event: FunctionEvent) -> Result<Delivery, Refusal> {
        if event.function_arn.ends_with(":refused") {
            return Err(Refusal::NotAllowed);
        }
        let authority = match event.authority {
            Authority::Service { principal, source_arn, source_account } => {
                json!([principal, source_arn, source_account])
            }
            Authority::Role { account } => json!(account),
        };
        let payload: Value = serde_json::from_str(&event.payload).map_err(|_| Refusal::Malformed)?;
        let name = event.function_arn.rsplit(':').next().unwrap();
        let body = json!({ "to": name, "payload": payload, "by": authority, "trace": event.trace_header });
        let now = self.clock.now();
        Ok(Delivery {
            id: RequestId::random(&self.entropy),
            lane: Lane::AsyncInvocation,
            accepted: now,
            due: now,
            tries: Tries::default(),
            body: body.to_string().into(),
        })
    }

    fn accepted(&self) {
        *self.told.lock().unwrap() += 1;
    }
}

/// Takes messages into any queue or topic, but those called `gone`, `closed` and `busy`.
#[derive(Default)]
pub struct FalseQueues(Mutex<Vec<Value>>);

impl FalseQueues {
    pub fn has_any(&self) -> bool {
        !self.0.lock().unwrap().is_empty()
    }
}

impl QueueSink for FalseQueues {
    fn push<'a>(
        &'a self,
        queue_arn: &'a str,
        pusher: Pusher<'a>,
        message: Push,
    ) -> BoxFuture<'a, Result<String, PushRefusal>> {
        Box::pin(async move {
            let name = queue_arn.rsplit(':').next().unwrap();
            match name {
                "gone" => return Err(PushRefusal::NoQueue { arn: queue_arn.into() }),
                "closed" => return Err(PushRefusal::Denied),
                "busy" => return Err(PushRefusal::Unavailable { detail: "busy".into() }),
                _ => {}
            }
            let by = match pusher {
                Pusher::Service { name, source_arn, source_account } => {
                    json!([name, source_arn, source_account.as_str()])
                }
                Pusher::Role { account, arn } => json!([account.as_str(), arn]),
            };
            let Push { body, group, dedup, attributes, trace_header, event: _ } = message;
            assert_eq!(dedup, None);
            let attributes: Value =
                attributes.into_iter().map(|(name, (_, value))| (name, Value::from(value))).collect();
            let body = serde_json::from_str(&body).unwrap_or(Value::from(body));
            self.0.lock().unwrap().push(json!({
                "to": name, "body": body, "by": by, "group": group, "attributes": attributes, "trace": trace_header,
            }));
            Ok("id".into())
        })
    }
}

/// Answers as it is told, with 200 when it is told nothing.
#[derive(Default)]
pub struct FalseEndpoints {
    pub got: Mutex<Vec<Got>>,
    pub answers: Mutex<VecDeque<Result<Answered, Unanswered>>>,
}

/// A request, as an endpoint gets it.
#[derive(Debug, Clone)]
pub struct Got {
    pub method: String,
    pub url: String,
    pub headers: BTreeMap<String, String>,
    pub body: String,
}

impl FalseEndpoints {
    /// Has the next request answered so.
    pub fn answer(&self, status: u16, body: &str) {
        let answered = Answered { status, retry_after: None, body: body.to_owned().into() };
        self.answers.lock().unwrap().push_back(Ok(answered));
    }

    pub fn taken(&self) -> Vec<Got> {
        std::mem::take(&mut self.got.lock().unwrap())
    }
}

impl HttpSink for FalseEndpoints {
    fn post<'a>(&'a self, posting: Posting<'a>) -> BoxFuture<'a, Result<Answered, Unanswered>> {
        let Posting { method, url, headers, body, .. } = posting;
        let headers = headers.iter().cloned().collect();
        let got = Got { method: method.into(), url: url.into(), headers, body: body.into() };
        self.got.lock().unwrap().push(got);
        let next = self.answers.lock().unwrap().pop_front();
        let answer = next.unwrap_or_else(|| Ok(Answered { status: 200, ..Answered::default() }));
        Box::pin(async move { answer })
    }
}

/// Has `sqs:sendMessage` and `sqs:purgeQueue`, and answers as it is told.
#[derive(Default)]
pub struct FalseOperations {
    pub called: Mutex<Vec<Value>>,
    pub answers: Mutex<VecDeque<OperationRefusal>>,
}

impl Operations for FalseOperations {
    fn find(&self, service: &str, action: &str) -> Result<(), NoOperation> {
        match (service, action) {
            ("sqs", "sendMessage" | "purgeQueue") => Ok(()),
            ("sqs", _) => Err(NoOperation::Action),
            _ => Err(NoOperation::Service),
        }
    }

    fn call<'a>(&'a self, call: OperationCall<'a>) -> BoxFuture<'a, Result<(), OperationRefusal>> {
        let OperationCall { account, region, role_arn, service, action, input } = call;
        let by = json!([account.as_str(), region.as_str(), role_arn]);
        let input: Value = serde_json::from_str(input).unwrap();
        self.called.lock().unwrap().push(json!({ "to": [service, action], "by": by, "input": input }));
        let answer = self.answers.lock().unwrap().pop_front();
        Box::pin(async move { answer.map_or(Ok(()), Err) })
    }
}

pub struct World {
    pub clock: Arc<FalseClock>,
    pub deliveries: Arc<MemoryDeliveries>,
    pub functions: Arc<FalseFunctions>,
    pub queues: Arc<FalseQueues>,
    pub endpoints: Arc<FalseEndpoints>,
    pub operations: Arc<FalseOperations>,
    pub events: Events,
    deps: Deps,
}

impl World {
    pub fn new() -> Self {
        let clock = Arc::new(FalseClock::at(Timestamp::from_civil(2026, 11, 20, 10, 7, 30).unwrap()));
        let deliveries = Arc::new(MemoryDeliveries::default());
        let functions = Arc::new(FalseFunctions {
            clock: clock.clone(),
            entropy: SeededEntropy::new(7),
            told: Mutex::new(0),
        });
        let queues = Arc::new(FalseQueues::default());
        let endpoints = Arc::new(FalseEndpoints::default());
        let operations = Arc::new(FalseOperations::default());
        let deps = Deps {
            store: Arc::new(MemoryEvents::default()),
            archive: Arc::new(MemoryArchive::default()),
            deliveries: deliveries.clone(),
            functions: functions.clone(),
            queues: queues.clone(),
            http: endpoints.clone(),
            traces: Arc::new(lambent_core::ports::NoTraces),
            operations: operations.clone(),
            clock: clock.clone(),
            entropy: Arc::new(SeededEntropy::new(1)),
        };
        Self {
            clock,
            deliveries,
            functions,
            queues,
            endpoints,
            operations,
            events: Events::new(deps.clone()),
            deps,
        }
    }

    /// The node after its end and a new start.
    pub fn restarted(self) -> Self {
        let events = Events::new(self.deps.clone());
        Self { events, ..self }
    }

    /// Every record, as the store has it.
    pub fn events_stored(&self) -> Vec<Arc<Entry>> {
        Kind::ALL.into_iter().flat_map(|kind| self.deps.store.all(kind)).collect()
    }

    pub fn now(&self) -> Timestamp {
        self.clock.now()
    }

    pub fn pass(&self, seconds: u64) {
        self.clock.advance(Duration::from_secs(seconds));
    }

    pub async fn ask(&self, operation: &str, input: Value) -> (u16, Value) {
        self.ask_as(ACCOUNT, operation, input).await
    }

    pub async fn ask_as(&self, account: &str, operation: &str, input: Value) -> (u16, Value) {
        let mut headers = HeaderMap::new();
        headers.insert("x-amz-target", format!("AWSEvents.{operation}").parse().unwrap());
        let response = self.events.handle(self.request(account, Method::POST, "/", headers, input)).await;
        let body = response.body();
        let body = if body.is_empty() { Value::Null } else { serde_json::from_slice(body).unwrap() };
        (response.status().as_u16(), body)
    }

    fn request(
        &self,
        account: &str,
        method: Method,
        path: &str,
        headers: HeaderMap,
        input: Value,
    ) -> Request {
        let (path, query) = path.split_once('?').unwrap_or((path, ""));
        let query = query.split('&').filter_map(|pair| pair.split_once('='));
        Request {
            method,
            path: path.to_owned(),
            query: query.map(|(name, value)| (name.to_owned(), value.to_owned())).collect(),
            headers,
            body: if input.is_null() { Default::default() } else { input.to_string().into() },
            request_id: RequestId::random(&SeededEntropy::new(3)),
            caller: Caller {
                account: AccountId::new(account).unwrap(),
                region: Region::new(REGION).unwrap(),
                access_key_id: "K".into(),
                principal_arn: format!("arn:aws:iam::{account}:root"),
            },
        }
    }

    /// What the scheduler answers to what it takes, or else the test fails.
    pub async fn rest(&self, method: &str, path: &str, input: Value) -> Value {
        let (status, body) = self.ask_rest(method, path, input.clone()).await;
        assert_eq!(status, 200, "{method} {path} {input}: {body}");
        body
    }

    /// Status, code and message of what the scheduler refuses.
    pub async fn rest_refused(&self, method: &str, path: &str, input: Value) -> (u16, String, String) {
        let (status, body) = self.ask_rest(method, path, input.clone()).await;
        assert_ne!(status, 200, "{method} {path} {input}: {body}");
        let text = |name: &str| body[name].as_str().unwrap_or_default().to_owned();
        (status, text("code"), text("message"))
    }

    /// The error's code stands beside its body.
    pub async fn ask_rest(&self, method: &str, path: &str, input: Value) -> (u16, Value) {
        let method = method.parse().unwrap();
        let request = self.request(ACCOUNT, method, path, HeaderMap::new(), input);
        let response = self.events.handle_scheduler(request).await;
        let mut body: Value = serde_json::from_slice(response.body()).unwrap();
        if let Some(code) = response.headers().get("x-amzn-errortype") {
            body["code"] = code.to_str().unwrap().into();
        }
        (response.status().as_u16(), body)
    }

    /// What comes out well, or else the test fails.
    pub async fn done(&self, operation: &str, input: Value) -> Value {
        let (status, body) = self.ask(operation, input.clone()).await;
        assert_eq!(status, 200, "{operation} {input}: {body}");
        body
    }

    /// Code and message of what fails.
    pub async fn refused(&self, operation: &str, input: Value) -> (String, String) {
        let (status, body) = self.ask(operation, input.clone()).await;
        assert_ne!(status, 200, "{operation} {input}: {body}");
        let text = |name: &str| body[name].as_str().unwrap_or_default().to_owned();
        (text("__type"), text("message"))
    }

    /// A rule with this pattern and a function as its target.
    pub async fn rule(&self, name: &str, pattern: Value) {
        self.done("PutRule", json!({ "Name": name, "EventPattern": pattern.to_string() })).await;
        self.target(name, json!({ "Id": "t", "Arn": function(name) })).await;
    }

    pub async fn target(&self, rule: &str, target: Value) {
        self.done("PutTargets", json!({ "Rule": rule, "Targets": [target] })).await;
    }

    /// Puts one event with this detail, of source `app` and type `t`.
    pub async fn put(&self, detail: Value) -> Value {
        let entry = json!({ "Source": "app", "DetailType": "t", "Detail": detail.to_string() });
        self.done("PutEvents", json!({ "Entries": [entry] })).await
    }

    /// What was accepted since the last time.
    pub async fn taken(&self) -> Vec<Value> {
        let now = Timestamp::from_millis(u64::MAX / 2);
        let due = self.deliveries.due(Lane::AsyncInvocation, now, 10_000).await.unwrap();
        let settle = due.iter().map(|delivery| Command::Settle { id: delivery.id.clone() }).collect();
        self.deliveries.apply(settle).await.unwrap();
        let mut bodies: Vec<Value> = due.iter().map(|d| serde_json::from_slice(&d.body).unwrap()).collect();
        bodies.sort_by_key(ToString::to_string);
        bodies
    }

    /// Has what waits for queues brought there, and says what queues got since the last time.
    pub async fn queued(&self) -> Vec<Value> {
        while self.events.deliver_due().await.unwrap() > 0 {}
        std::mem::take(&mut self.queues.0.lock().unwrap())
    }

    /// The names of the functions that got something since the last time.
    pub async fn called(&self) -> Vec<String> {
        let taken = self.taken().await;
        let mut names: Vec<String> =
            taken.iter().map(|body| body["to"].as_str().unwrap().to_owned()).collect();
        names.sort();
        names
    }
}
