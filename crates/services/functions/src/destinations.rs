//! Queues, topics and buses as destinations of asynchronous calls: what they are to be told waits in the outbox, accepted in the
//! same step that settled the call, until they have it.
//!
//! Invariants:
//! - a call's end is told at least once, across any end of the process;
//! - one that is gone, or does not let the function's role in, is given up with a warning, as the reference does.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::future::Future;
use std::pin::pin;
use std::time::Duration;

use futures_util::future::join_all;
use lambent_core::arn::{self, Arn};
use lambent_core::ids::{AccountId, Region, RequestId};
use lambent_core::ports::{EventHead, EventSample, Hop, HopKind, Push, PushRefusal, Pusher};
use lambent_core::time::Timestamp;
use lambent_store::StoreError;
use lambent_store::deliveries::{Command, Delivery, Lane, Tries};
use lambent_store::functions::FunctionRecord;
use serde::{Deserialize, Serialize};

use crate::Functions;
use crate::engine::async_event::{AsyncEvent, Attempt, Condition};

const LANE: Lane = Lane::QueuePush;

/// Developer guide, *Dead-letter queues*: ErrorMessage.
const ERROR_MESSAGE_BYTES_MAX: usize = 1_024;

/// Ours: messages on their way at one time.
const READ_MAX: usize = 64;

/// Ours: how long to leave a queue or a store alone that could not take something.
const RETRY_AFTER: Duration = Duration::from_secs(1);

/// Ours: the longest sleep. The wall clock may be set while the worker waits for a moment of it.
const SLEEP_MAX: Duration = Duration::from_secs(30);

/// A message for a queue, a topic or a bus, as it waits in its delivery.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct QueuePush {
    /// Or a topic's, or a bus's.
    pub queue_arn: String,
    account: AccountId,
    role_arn: String,
    body: String,
    trace_header: String,
    #[serde(default)]
    attributes: BTreeMap<String, (String, String)>,
    /// The function whose call it tells of.
    #[serde(default)]
    function_arn: String,
    #[serde(default)]
    is_dead_letter: bool,
    /// For a bus.
    #[serde(default)]
    event: Option<EventHead>,
}

impl QueuePush {
    /// Sent as the function's role.
    pub fn new(queue_arn: &str, function: &FunctionRecord, body: String, trace_header: &str) -> Self {
        Self {
            queue_arn: queue_arn.to_owned(),
            account: function.key.account.clone(),
            role_arn: function.latest.role.clone(),
            body,
            trace_header: trace_header.to_owned(),
            attributes: BTreeMap::new(),
            function_arn: arn::function(&function.key.region, &function.key.account, &function.key.name),
            is_dead_letter: false,
            event: None,
        }
    }

    /// The end of a call, as a bus gets it: the invocation record is the detail of an event (developer guide, *Retaining
    /// records of asynchronous invocations*).
    pub fn event(mut self, condition: Condition, invoked_arn: &str) -> Self {
        let end = if condition == Condition::Success { "Success" } else { "Failure" };
        self.event = Some(EventHead {
            source: "lambda".to_owned(),
            detail_type: format!("Lambda Function Invocation Result - {end}"),
            resources: vec![self.queue_arn.clone(), invoked_arn.to_owned()],
        });
        self
    }

    /// An event that is given up, for its function's dead-letter queue: the event as it came, with what became of it in
    /// attributes (developer guide, *Dead-letter queues*).
    pub fn dead_letter(
        queue_arn: &str,
        function: &FunctionRecord,
        event: &AsyncEvent,
        id: &RequestId,
        attempt: &Attempt,
    ) -> Self {
        let mut push = Self::new(queue_arn, function, event.payload.get().to_owned(), &event.trace_header);
        push.is_dead_letter = true;
        let mut put = |name: &str, kind: &str, value: String| {
            push.attributes.insert(name.to_owned(), (kind.to_owned(), value));
        };
        put("RequestID", "String", id.to_string());
        if let Attempt::Failed { payload, .. } = attempt {
            put("ErrorCode", "Number", "200".to_owned());
            let message = error_message(payload);
            if !message.is_empty() {
                put("ErrorMessage", "String", message);
            }
        }
        push
    }

    pub fn delivery(&self, id: RequestId, now: Timestamp) -> Delivery {
        let body = serde_json::to_vec(self).expect("a message is plain data with text keys").into();
        Delivery { id, lane: LANE, accepted: now, due: now, tries: Tries::default(), body }
    }
}

/// The first KB of the error's message.
fn error_message(payload: &[u8]) -> String {
    let document = serde_json::from_slice::<serde_json::Value>(payload).unwrap_or_default();
    let text =
        document["errorMessage"].as_str().map_or_else(|| String::from_utf8_lossy(payload), Cow::Borrowed);
    // What a message attribute can't have is left out.
    let plain = text.chars().filter(|c| !c.is_control() || matches!(c, '\n' | '\t' | '\r'));
    let mut message = String::new();
    for c in plain {
        if message.len() + c.len_utf8() > ERROR_MESSAGE_BYTES_MAX {
            break;
        }
        message.push(c);
    }
    message
}

impl Functions {
    /// Tells queues what they are to be told, until `stop`.
    pub async fn run_queue_pushes(&self, stop: impl Future<Output = ()>) {
        let mut stop = pin!(stop);
        let mut awake = self.deps.clock.awake();
        loop {
            // Before the look, so that what is accepted meanwhile is seen in the next round.
            let accepted = self.pushes.heard();
            let sleep = match self.push_due().await {
                Ok(count) if count == READ_MAX => continue,
                Ok(_) => self.until_next_push().await,
                Err(error) => {
                    tracing::warn!(%error, "what queues are to be told can't be read; tried again");
                    RETRY_AFTER
                }
            };
            let nap = self.deps.clock.sleep_until(self.deps.clock.now().plus(sleep));
            drop(awake);
            tokio::select! {
                () = &mut stop => return,
                woken = accepted => awake = woken,
                woken = nap => awake = woken,
            }
        }
    }

    /// Tries everything that is due now, once. Says how many messages that were.
    pub async fn push_due(&self) -> Result<usize, StoreError> {
        let due = self.deps.deliveries.due(LANE, self.deps.clock.now(), READ_MAX).await?;
        let count = due.len();
        join_all(due.into_iter().map(|delivery| self.push(delivery))).await;
        Ok(count)
    }

    async fn until_next_push(&self) -> Duration {
        let now = self.deps.clock.now();
        match self.deps.deliveries.next_due(LANE, now).await {
            Ok(Some(due)) => due.since(now).min(SLEEP_MAX),
            Ok(None) => SLEEP_MAX,
            Err(_) => RETRY_AFTER,
        }
    }

    async fn push(&self, delivery: Delivery) {
        let Delivery { id, tries, body, .. } = delivery;
        let settle = Command::Settle { id: id.clone() };
        let command = match serde_json::from_slice::<QueuePush>(&body) {
            Ok(push) => match self.send_to_queue(&push).await {
                Ok(message) => {
                    self.tell_pushed(&id, &push, &message);
                    settle
                }
                Err(PushRefusal::Unavailable { detail }) => {
                    tracing::warn!(
                        queue = push.queue_arn,
                        detail,
                        "a queue can't take a call's end; tried again"
                    );
                    let due = self.deps.clock.now().plus(RETRY_AFTER);
                    Command::Postpone {
                        id: id.clone(),
                        due,
                        tries: Tries { attempts: tries.attempts + 1, ..tries },
                    }
                }
                Err(refusal) => {
                    tracing::warn!(
                        queue = push.queue_arn, %refusal,
                        "the end of an asynchronous call does not reach its destination"
                    );
                    let sample =
                        if push.is_dead_letter { EventSample::NoLetter } else { EventSample::Undelivered };
                    self.deps.metrics.event(&push.function_arn, sample);
                    settle
                }
            },
            Err(error) => {
                tracing::error!(%id, %error, "a message for a queue can't be read; it is given up");
                settle
            }
        };
        // What is not stored is due still, and told again.
        if let Err(error) = self.deps.deliveries.apply(vec![command]).await {
            tracing::warn!(%id, %error, "that a queue was told can't be stored; it is told again");
            tokio::time::sleep(RETRY_AFTER).await;
        }
    }

    /// What was handed on under the delivery's name is known by the message's from here.
    fn tell_pushed(&self, id: &RequestId, push: &QueuePush, message: &str) {
        let arn = Arn::parse(&push.function_arn);
        let owner =
            arn.and_then(|arn| Some((AccountId::new(arn.account).ok()?, Region::new(arn.region).ok()?)));
        let Some((account, region)) = owner.filter(|_| self.deps.traces.wants(&push.function_arn)) else {
            return;
        };
        let now = self.deps.clock.now();
        let hop = Hop::new((&account, &region), HopKind::Deliver, &push.function_arn, message, now);
        self.deps.traces.hop(Hop {
            parent: Some(id.to_string()),
            target: Some(push.queue_arn.clone()),
            ..hop.traced(Some(&push.trace_header))
        });
    }

    async fn send_to_queue(&self, push: &QueuePush) -> Result<String, PushRefusal> {
        let QueuePush { queue_arn, account, role_arn, body, trace_header, attributes, event, .. } = push;
        let message = Push {
            body: body.clone(),
            trace_header: (!trace_header.is_empty()).then(|| trace_header.clone()),
            attributes: attributes.clone(),
            event: event.clone(),
            ..Push::default()
        };
        self.deps.queues.push(queue_arn, Pusher::Role { account, arn: role_arn }, message).await
    }
}
