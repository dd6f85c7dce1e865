//! The service, its neighbours, and somebody who calls it.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use http::{HeaderMap, Method};
use lambent_core::ids::{AccountId, Region, RequestId};
use lambent_core::ports::{
    Answered, BoxFuture, Clock, HttpSink, Posting, Push, PushRefusal, Pusher, QueueSink, Unanswered,
};
use lambent_core::time::Timestamp;
use lambent_store::deliveries::*;
use lambent_store::topics::MemoryTopics;
use lambent_testkit::{FalseClock, SeededEntropy};
use lambent_topics::{Deps, Signer, Topics};
use lambent_wire::{Caller, Request};
use serde_json::{Value, json};

pub const ACCOUNT: &str = "000000000000";
pub const REGION: &str = "eu-west-1";

pub fn topic(name: &str) -> String {
    format!("arn:aws:sns:{REGION}:{ACCOUNT}:{name}")
}

pub fn queue(name: &str) -> String {
    format!("arn:aws:sqs:{REGION}:{ACCOUNT}:{name}")
}

pub fn function(name: &str) -> String {
    format!("arn:aws:lambda:{REGION}:{ACCOUNT}:function:{name}")
}

/// Takes what is for any queue but those called `gone` and `denied`, and `full` as often as it is told to refuse.
#[derive(Default)]
pub struct FalseQueues {
    pub pushed: Mutex<BTreeMap<String, Vec<Push>>>,
    pub refusals: Mutex<u32>,
    pub pushers: Mutex<Vec<String>>,
}

impl QueueSink for FalseQueues {
    fn push<'a>(
        &'a self,
        queue_arn: &'a str,
        pusher: Pusher<'a>,
        message: Push,
    ) -> BoxFuture<'a, Result<String, PushRefusal>> {
        Box::pin(async move {
            if let Pusher::Service { name, source_arn, source_account } = pusher {
                self.pushers.lock().unwrap().push(format!("{name} {source_arn} {source_account}"));
            }
            let name = queue_arn.rsplit(':').next().unwrap();
            match name {
                "gone" => return Err(PushRefusal::NoQueue { arn: queue_arn.to_owned() }),
                "denied" => return Err(PushRefusal::Denied),
                "full" => {
                    let mut left = self.refusals.lock().unwrap();
                    if *left > 0 {
                        *left -= 1;
                        return Err(PushRefusal::Unavailable { detail: "full".into() });
                    }
                }
                _ => {}
            }
            self.pushed.lock().unwrap().entry(name.to_owned()).or_default().push(message);
            Ok("id".into())
        })
    }
}

/// Answers as it is told, with 200 when it is told nothing.
#[derive(Default)]
pub struct FalseEndpoints {
    pub got: Mutex<Vec<Got>>,
    pub answers: Mutex<VecDeque<Result<u16, Unanswered>>>,
}

/// A request, as an endpoint gets it.
#[derive(Debug, Clone)]
pub struct Got {
    pub url: String,
    pub headers: BTreeMap<String, String>,
    pub body: String,
}

impl Got {
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap()
    }
}

impl HttpSink for FalseEndpoints {
    fn post<'a>(&'a self, posting: Posting<'a>) -> BoxFuture<'a, Result<Answered, Unanswered>> {
        let headers = posting.headers.iter().cloned().collect();
        let got = Got { url: posting.url.to_owned(), headers, body: posting.body.to_owned() };
        self.got.lock().unwrap().push(got);
        let answer = self.answers.lock().unwrap().pop_front().unwrap_or(Ok(200));
        Box::pin(async move { answer.map(|status| Answered { status, ..Answered::default() }) })
    }
}

/// Shows what it was asked to sign.
pub struct FalseSigner;

impl Signer for FalseSigner {
    fn sign(&self, version: u8, text: String) -> BoxFuture<'_, Option<String>> {
        Box::pin(async move { Some(format!("signed {version}: {text}")) })
    }
}

/// Takes what is for any function, but those called `refused`.
pub struct FalseFunctions {
    clock: Arc<FalseClock>,
    entropy: SeededEntropy,
}

impl FunctionEvents for FalseFunctions {
    fn delivery(&self, event: FunctionEvent) -> Result<Delivery, Refusal> {
        if event.function_arn.ends_with(":refused") {
            return Err(Refusal::NotAllowed);
        }
        let Authority::Service { principal, source_arn, source_account } = event.authority else {
            return Err(Refusal::NotAllowed);
        };
        let payload: Value = serde_json::from_str(&event.payload).map_err(|_| Refusal::Malformed)?;
        let body = json!({ "to": event.function_arn, "payload": payload, "trace": event.trace_header,
            "by": [principal, source_arn, source_account] });
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

    fn accepted(&self) {}
}

pub struct World {
    pub clock: Arc<FalseClock>,
    pub deliveries: Arc<MemoryDeliveries>,
    pub queues: Arc<FalseQueues>,
    pub endpoints: Arc<FalseEndpoints>,
    pub topics: Topics,
}

impl World {
    pub fn new() -> Self {
        let clock = Arc::new(FalseClock::at(Timestamp::from_civil(2026, 11, 20, 10, 7, 30).unwrap()));
        let deliveries = Arc::new(MemoryDeliveries::default());
        let queues = Arc::new(FalseQueues::default());
        let endpoints = Arc::new(FalseEndpoints::default());
        let topics = Topics::new(Deps {
            store: Arc::new(MemoryTopics::default()),
            deliveries: deliveries.clone(),
            functions: Arc::new(FalseFunctions { clock: clock.clone(), entropy: SeededEntropy::new(7) }),
            queues: queues.clone(),
            traces: Arc::new(lambent_core::ports::NoTraces),
            http: endpoints.clone(),
            signer: Arc::new(FalseSigner),
            certificate_path: "/c.pem".into(),
            clock: clock.clone(),
            entropy: Arc::new(SeededEntropy::new(1)),
            origin: "http://node:1".into(),
            signing_secret: [1; 32],
        });
        Self { clock, deliveries, queues, endpoints, topics }
    }

    pub async fn ask_as(&self, account: &str, operation: &str, fields: &[(&str, &str)]) -> (u16, String) {
        self.ask_by(&format!("arn:aws:iam::{account}:root"), account, operation, fields).await
    }

    pub async fn ask_by(
        &self,
        principal: &str,
        account: &str,
        operation: &str,
        fields: &[(&str, &str)],
    ) -> (u16, String) {
        let mut query = vec![("Action".to_owned(), operation.to_owned())];
        query.extend(fields.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())));
        let mut headers = HeaderMap::new();
        headers.insert("x-amzn-trace-id", "Root=1-a".parse().unwrap());
        let request = Request {
            method: Method::POST,
            path: "/".into(),
            query,
            headers,
            body: Default::default(),
            request_id: RequestId::random(&SeededEntropy::new(3)),
            caller: Caller {
                account: AccountId::new(account).unwrap(),
                region: Region::new(REGION).unwrap(),
                access_key_id: "K".into(),
                principal_arn: principal.to_owned(),
            },
        };
        let response = self.topics.handle(request, "http://node:1").await;
        (response.status().as_u16(), String::from_utf8(response.body().to_vec()).unwrap())
    }

    /// What comes out well, or else the test fails.
    pub async fn done(&self, operation: &str, fields: &[(&str, &str)]) -> String {
        let (status, body) = self.ask_as(ACCOUNT, operation, fields).await;
        assert_eq!(status, 200, "{operation} {fields:?}: {body}");
        body
    }

    /// Status, code and message of what fails.
    pub async fn refused(&self, operation: &str, fields: &[(&str, &str)]) -> (u16, String, String) {
        let (status, body) = self.ask_as(ACCOUNT, operation, fields).await;
        assert_ne!(status, 200, "{operation} {fields:?}: {body}");
        (status, text_of(&body, "Code"), text_of(&body, "Message"))
    }

    /// Makes a topic of which this queue is a subscriber; the subscription's ARN.
    pub async fn subscribed(&self, name: &str, endpoint: &str, attributes: &[(&str, &str)]) -> String {
        self.done("CreateTopic", &[("Name", name)]).await;
        self.subscribe(name, endpoint, attributes).await
    }

    /// Subscribes to a topic that is there.
    pub async fn subscribe(&self, name: &str, endpoint: &str, attributes: &[(&str, &str)]) -> String {
        let protocol = match endpoint {
            _ if endpoint.starts_with("http") => endpoint.split(':').next().unwrap(),
            _ if endpoint.contains(":sqs:") => "sqs",
            _ => "lambda",
        };
        let arn = topic(name);
        let mut fields = vec![
            ("TopicArn".to_owned(), arn.as_str()),
            ("Protocol".to_owned(), protocol),
            ("Endpoint".to_owned(), endpoint),
        ];
        for (at, (key, value)) in attributes.iter().enumerate() {
            fields.push((format!("Attributes.entry.{}.key", at + 1), key));
            fields.push((format!("Attributes.entry.{}.value", at + 1), value));
        }
        let fields: Vec<(&str, &str)> = fields.iter().map(|(name, value)| (name.as_str(), *value)).collect();
        text_of(&self.done("Subscribe", &fields).await, "SubscriptionArn")
    }

    /// Publishes, and brings to queues what there is to bring now.
    pub async fn publish(&self, name: &str, fields: &[(&str, &str)]) -> String {
        let arn = topic(name);
        let fields = [&[("TopicArn", arn.as_str())], fields].concat();
        let id = text_of(&self.done("Publish", &fields).await, "MessageId");
        self.settle().await;
        id
    }

    pub async fn settle(&self) {
        while self.topics.run_due().await.unwrap() > 0 {}
    }

    /// What endpoints got since the last time.
    pub fn posted(&self) -> Vec<Got> {
        std::mem::take(&mut *self.endpoints.got.lock().unwrap())
    }

    /// Follows a link without a signature.
    pub async fn follow(&self, link: &str) -> (u16, String) {
        let query = link.split_once('?').map_or("", |(_, query)| query).split('&');
        let pair = |pair: &str| pair.split_once('=').map(|(name, value)| (name.to_owned(), value.to_owned()));
        let query: Vec<(String, String)> = query.filter_map(pair).collect();
        let id = RequestId::random(&SeededEntropy::new(3));
        let response = self.topics.handle_link(&query, &id).await;
        (response.status().as_u16(), String::from_utf8(response.body().to_vec()).unwrap())
    }

    pub fn pass(&self, seconds: u64) {
        self.clock.advance(Duration::from_secs(seconds));
    }

    /// What a queue got since the last time.
    pub fn got(&self, queue: &str) -> Vec<Push> {
        self.queues.pushed.lock().unwrap().remove(queue).unwrap_or_default()
    }

    /// The messages in the envelopes that a queue got since the last time.
    pub fn messages(&self, queue: &str) -> Vec<String> {
        let text = |push: Push| {
            let envelope: Value = serde_json::from_str(&push.body).unwrap();
            envelope["Message"].as_str().unwrap().to_owned()
        };
        self.got(queue).into_iter().map(text).collect()
    }

    /// The calls that functions have to take.
    pub async fn calls(&self) -> Vec<Value> {
        let due = self.deliveries.due(Lane::AsyncInvocation, self.clock.now(), 1_000).await.unwrap();
        due.iter().map(|delivery| serde_json::from_slice(&delivery.body).unwrap()).collect()
    }

    pub async fn attribute(&self, operation: &str, parameter: &str, arn: &str, name: &str) -> Option<String> {
        let body = self.done(operation, &[(parameter, arn)]).await;
        let key = format!("<key>{name}</key>");
        Some(text_of(body.split_once(&key)?.1, "value"))
    }
}

/// The text of the first element of this name, as it stands.
pub fn text_of(body: &str, name: &str) -> String {
    let rest = body.split_once(&format!("<{name}>")).map_or("", |(_, rest)| rest);
    rest.split_once(&format!("</{name}>")).map_or("", |(text, _)| text).replace("&quot;", "\"")
}
