//! ReceiveMessage.

use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use lambent_core::ports::BoxFuture;
use lambent_core::time::Timestamp;
use lambent_store::queues::{
    Command, Message, Outcome, QueueRecord, RECEIVE_MAX, Receive, Received, RedriveTo, Shelf,
};
use serde_json::{Map, Value, json};
use tokio::time::sleep;

use super::fault::{self, Failure};
use super::limits::{IN_FLIGHT_MAX_FIFO, IN_FLIGHT_MAX_STANDARD};
use super::send_message::sequence_number;
use super::{Answer, Call, address, too_old};
use crate::Queues;
use crate::engine::message::{self, Details};
use crate::engine::settings::{VISIBILITY_SECS, WAIT_SECS};
use crate::engine::{digest, settings};

/// Attributes of a message that can be asked for, beside `All`.
const SYSTEM_NAMES: [&str; 9] = [
    "SenderId",
    "SentTimestamp",
    "ApproximateReceiveCount",
    "ApproximateFirstReceiveTimestamp",
    "SequenceNumber",
    "MessageDeduplicationId",
    "MessageGroupId",
    "AWSTraceHeader",
    "DeadLetterQueueSourceArn",
];

/// A receive, judged.
pub(crate) struct Taking {
    pub limit: usize,
    pub visibility: Duration,
    pub attempt: Option<String>,
}

pub async fn answer(call: Call<'_>) -> Answer {
    let record = call.queue("sqs:ReceiveMessage")?;
    let (taking, wait) = read(&call, &record)?;
    let mut system = call.input.texts("AttributeNames")?.unwrap_or_default();
    system.extend(call.input.texts("MessageSystemAttributeNames")?.unwrap_or_default());
    if let Some(unknown) = system.iter().find(|name| **name != "All" && !SYSTEM_NAMES.contains(name)) {
        return Err(settings::Refusal::UnknownName((*unknown).to_owned()).into());
    }
    let asked = call.input.texts("MessageAttributeNames")?.unwrap_or_default();
    let over = (!wait.is_zero()).then(|| -> BoxFuture<'_, ()> { Box::pin(sleep(wait)) });
    let (shelf, messages) = take(call.queues, &record, &taking, over).await?;
    if messages.is_empty() {
        return Ok(json!({}));
    }
    call.queues.tell_received(call.caller, &record, &messages);
    let arn = record.key.arn();
    let shown: Vec<Value> = messages
        .iter()
        .map(|message| {
            let receipt = call.queues.receipts.write(&arn, shelf, message.receipt);
            show(&record, message, receipt, &system, &asked)
        })
        .collect();
    Ok(json!({ "Messages": shown }))
}

/// What is asked for, and how long to wait for it.
fn read(call: &Call<'_>, record: &QueueRecord) -> Result<(Taking, Duration), Failure> {
    let bounded = |name: &str, min: i64, max: i64, reason: &str| match call.input.integer(name)? {
        Some(number) if !(min..=max).contains(&number) => {
            Err(fault::invalid_parameter(&number.to_string(), name, reason))
        }
        other => Ok(other.map(i64::unsigned_abs)),
    };
    let limit = bounded("MaxNumberOfMessages", 1, 10, "Must be between 1 and 10, if provided.")?.unwrap_or(1);
    let visibility = bounded(
        "VisibilityTimeout",
        0,
        VISIBILITY_SECS.max.into(),
        "Must be >= 0 and <= 43200, if provided.",
    )?
    .unwrap_or(record.settings.visibility_secs.into());
    let wait = bounded("WaitTimeSeconds", 0, WAIT_SECS.max.into(), "Must be >= 0 and <= 20, if provided.")?
        .unwrap_or(record.settings.wait_secs.into());
    let attempt = call.input.text("ReceiveRequestAttemptId")?;
    if let Some(attempt) = attempt {
        if record.settings.fifo.is_none() {
            return Err(fault::invalid_parameter(
                attempt,
                "ReceiveRequestAttemptId",
                "The request include parameter that is not valid for this queue type",
            ));
        }
        if !message::is_order_id(attempt) {
            return Err(fault::invalid_parameter(
                attempt,
                "ReceiveRequestAttemptId",
                "ReceiveRequestAttemptId can only include alphanumeric and punctuation characters. 1 to 128 in \
                 length.",
            ));
        }
    }
    let taking = Taking {
        limit: usize::try_from(limit).unwrap_or(RECEIVE_MAX),
        visibility: Duration::from_secs(visibility),
        attempt: attempt.map(str::to_owned),
    };
    Ok((taking, Duration::from_secs(wait)))
}

/// Takes messages; waits for the first until `over`, where it may wait. Answers with the shelf that they stand on, too.
pub(crate) async fn take(
    queues: &Queues,
    record: &Arc<QueueRecord>,
    taking: &Taking,
    mut over: Option<BoxFuture<'_, ()>>,
) -> Result<(Shelf, Vec<Message>), Failure> {
    // A queue that is purged while somebody waits has another shelf afterwards.
    let mut record = record.clone();
    loop {
        match on_shelf(queues, &record, taking, &mut over).await {
            Ok(messages) => return Ok((record.shelf, messages)),
            Err(failure) => {
                let now = queues.store.queue(&record.key).ok_or(failure.clone())?;
                if now.shelf == record.shelf {
                    return Err(failure);
                }
                record = now;
            }
        }
    }
}

async fn on_shelf(
    queues: &Queues,
    record: &Arc<QueueRecord>,
    taking: &Taking,
    over: &mut Option<BoxFuture<'_, ()>>,
) -> Result<Vec<Message>, Failure> {
    if over.is_none() {
        return once(queues, record, taking, false).await.map(|received| received.messages);
    }
    let Some(waiting) = queues.waiters.enter(record.shelf) else {
        return once(queues, record, taking, false).await.map(|received| received.messages);
    };
    // Whether this one was woken and knows of a message that will be visible later: then it tells another on leaving.
    let (mut was_woken, mut keeps_watch) = (false, false);
    // What became visible is taken at the time at which it did.
    let mut awake = None;
    let result = loop {
        let mut bell = pin!(waiting.bell.notified());
        // Before the look, so that what comes meanwhile is heard.
        bell.as_mut().enable();
        let received = match once(queues, record, taking, true).await {
            Ok(received) => received,
            Err(failure) => break Err(failure),
        };
        let Some(end) = over.as_mut().filter(|_| received.messages.is_empty() && !queues.is_stopping())
        else {
            break Ok(received.messages);
        };
        keeps_watch = was_woken && received.next.is_some();
        // To the millisecond behind it, by when it is visible for sure.
        let nap = received.next.map(|next| queues.clock.sleep_until(next.plus(Duration::from_millis(1))));
        drop(awake.take());
        let due = async {
            match nap {
                Some(nap) => nap.await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            () = bell => was_woken = true,
            woken = due => awake = Some(woken),
            () = end => *over = None,
        }
    };
    drop(waiting);
    if keeps_watch {
        queues.waiters.wake(record.shelf, 1);
    }
    result
}

/// Looks once.
async fn once(
    queues: &Queues,
    record: &Arc<QueueRecord>,
    taking: &Taking,
    waits: bool,
) -> Result<Received, Failure> {
    loop {
        let now = queues.clock.now();
        let redrive = redrive(queues, record);
        let dead_letters = redrive.as_ref().map(|redrive| redrive.shelf);
        let received = receive(queues, record, taking, redrive, now).await?;
        if let Some(shelf) = dead_letters.filter(|_| !received.redriven.is_empty()) {
            queues.waiters.wake(shelf, received.redriven.len());
            queues.tell_redriven(record, &received.redriven);
        }
        if received.is_full && !waits && record.settings.fifo.is_none() {
            return Err(Failure::new(
                fault::OVER_LIMIT,
                format!("Too many messages in flight: the maximum is {IN_FLIGHT_MAX_STANDARD}."),
            ));
        }
        // A look that only got rid of messages was cut short: others may stand behind them.
        if received.messages.is_empty() && received.redriven.len() >= lambent_store::queues::REAP_MAX {
            continue;
        }
        // They come back while others may still wait: one of those has to know when.
        if !received.messages.is_empty() && taking.visibility.as_secs() <= WAIT_SECS.max.into() {
            queues.waiters.wake(record.shelf, 1);
        }
        return Ok(received);
    }
}

async fn receive(
    queues: &Queues,
    record: &QueueRecord,
    taking: &Taking,
    redrive: Option<RedriveTo>,
    now: Timestamp,
) -> Result<Received, Failure> {
    let is_fifo = record.settings.fifo.is_some();
    let asked = Receive {
        shelf: record.shelf,
        now,
        limit: taking.limit.min(RECEIVE_MAX),
        visible_again: now.plus(taking.visibility),
        too_old: too_old(record, now),
        in_flight_max: if is_fifo { IN_FLIGHT_MAX_FIFO } else { IN_FLIGHT_MAX_STANDARD },
        is_fifo,
        attempt: taking.attempt.clone(),
        redrive,
    };
    match queues.apply(Command::Receive(asked)).await? {
        Outcome::Received(received) => Ok(received),
        _ => Err(fault::no_queue()),
    }
}

/// Where messages go that were received too often: nowhere, while the other queue is not there or not willing.
fn redrive(queues: &Queues, record: &QueueRecord) -> Option<RedriveTo> {
    let redrive = record.settings.redrive.as_ref()?;
    let target = queues.store.queue(&address::of_arn(&redrive.target_arn)?)?;
    let source = record.key.arn();
    settings::may_redrive(&target, &source).then(|| RedriveTo {
        shelf: target.shelf,
        receives_max: redrive.receives_max.into(),
        source,
    })
}

fn show(record: &QueueRecord, message: &Message, receipt: String, system: &[&str], asked: &[&str]) -> Value {
    let details = details(message);
    let mut shown = Map::new();
    shown.insert("MessageId".into(), message.id.as_str().into());
    shown.insert("ReceiptHandle".into(), receipt.into());
    shown.insert("MD5OfBody".into(), digest::of_text(&message.body).into());
    shown.insert("Body".into(), String::from_utf8_lossy(&message.body).into());
    if !system.is_empty() {
        let wants = |name: &str| system.contains(&"All") || system.contains(&name);
        let all = system_attributes(record, message, &details);
        let attributes: Map<String, Value> = all
            .into_iter()
            .filter(|(name, _)| wants(name))
            .map(|(name, value)| (name.to_owned(), value.into()))
            .collect();
        if !attributes.is_empty() {
            shown.insert("Attributes".into(), attributes.into());
        }
    }
    let wanted = || details.attributes.iter().filter(|(name, _)| message::is_asked_for(asked, name));
    if let Some(digest) = digest::of_attributes(wanted().map(|(name, value)| (name.as_str(), value))) {
        shown.insert("MD5OfMessageAttributes".into(), digest.into());
        let attributes: Map<String, Value> = wanted()
            .map(|(name, attribute)| {
                let member = if attribute.is_binary() { "BinaryValue" } else { "StringValue" };
                (name.clone(), json!({ "DataType": attribute.data_type, member: attribute.value }))
            })
            .collect();
        shown.insert("MessageAttributes".into(), attributes.into());
    }
    shown.into()
}

pub(crate) fn details(message: &Message) -> Details {
    serde_json::from_slice(&message.details).unwrap_or_else(|error| {
        tracing::error!(id = %message.id, %error, "a message's attributes can't be read; it is handed out without");
        Details::default()
    })
}

/// Name and value of everything that is known of a message.
pub(crate) fn system_attributes(
    record: &QueueRecord,
    message: &Message,
    details: &Details,
) -> Vec<(&'static str, String)> {
    let is_fifo = record.settings.fifo.is_some();
    let mut all = vec![
        ("SenderId", details.sender.clone()),
        ("SentTimestamp", message.sent.as_millis().to_string()),
        ("ApproximateReceiveCount", message.receives.to_string()),
        ("ApproximateFirstReceiveTimestamp", message.first_received.as_millis().to_string()),
    ];
    let mut put = |name, value: Option<String>| all.extend(value.map(|value| (name, value)));
    put("SequenceNumber", is_fifo.then(|| sequence_number(message.receipt.number)));
    put("MessageDeduplicationId", details.dedup.clone().filter(|_| is_fifo));
    put("MessageGroupId", details.group.clone());
    put("AWSTraceHeader", details.trace.clone());
    put("DeadLetterQueueSourceArn", message.source.clone());
    all
}
