//! SendMessage and SendMessageBatch.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use lambent_core::ids::MessageId;
use lambent_core::time::Timestamp;
use lambent_store::queues::{Command, NewMessage, Order, Outcome, QueueRecord, Sent};
use serde_json::{Map, Value};
use sha2::{Digest as _, Sha256};

use super::batch::{self, Results};
use super::fault::{self, Failure};
use super::input::Input;
use super::limits::BATCH_BYTES_MAX;
use super::{Answer, Call};
use crate::Queues;
use crate::engine::digest;
use crate::engine::message::{self, ATTRIBUTES_MAX, Attribute, Attributes, Details};
use crate::engine::settings::DELAY_SECS;
use crate::waiters::Waiters;

const NOT_FOR_THIS_KIND: &str = "The request include parameter that is not valid for this queue type";
const TRACE_HEADER: &str = "AWSTraceHeader";

/// A message as a caller asks for it, not yet judged by its queue.
#[derive(Default)]
pub(crate) struct Sending {
    pub body: String,
    pub delay_secs: Option<i64>,
    pub attributes: Attributes,
    pub trace: Option<String>,
    /// The trace of the request itself, for a message that names none.
    pub carried: Option<String>,
    pub dedup: Option<String>,
    pub group: Option<String>,
    pub sender: String,
}

pub async fn one(call: Call<'_>) -> Answer {
    let record = call.queue("sqs:SendMessage")?;
    let sending = read(&call, call.input)?;
    let hop = call.queues.sending(call.caller, &record, &sending);
    let (new, digests) = judge(call.queues, &record, sending, call.now())?;
    let sent = send(call.queues, &record, vec![new]).await?;
    call.queues.tell_sent([hop].into_iter().zip(&sent));
    let sent = sent.first().ok_or_else(fault::no_queue)?;
    Ok(digests.answer(&record, sent).into())
}

pub async fn batch(call: Call<'_>) -> Answer {
    let record = call.queue("sqs:SendMessageBatch")?;
    let entries = batch::entries(call.input, "SendMessageBatchRequestEntry")?;
    let now = call.now();
    let mut results = Results::default();
    let (mut messages, mut places, mut hops, mut bytes) = (Vec::new(), Vec::new(), Vec::new(), 0);
    for entry in &entries {
        // What is missing altogether fails the whole batch, as with the reference.
        if !entry.input.has("MessageBody") {
            return Err(fault::missing("MessageBody"));
        }
        match read(&call, entry.input) {
            Ok(sending) => {
                bytes += message::size(&sending.body, &sending.attributes);
                let hop = call.queues.sending(call.caller, &record, &sending);
                match judge(call.queues, &record, sending, now) {
                    Ok((new, digests)) => {
                        hops.push(hop);
                        messages.push(new);
                        places.push((entry.id, digests));
                    }
                    Err(failure) => results.add(entry.id, Err(failure)),
                }
            }
            Err(failure) => results.add(entry.id, Err(failure)),
        }
    }
    if bytes > BATCH_BYTES_MAX {
        return Err(Failure::new(
            fault::BATCH_TOO_LONG,
            format!(
                "Batch requests cannot be longer than {BATCH_BYTES_MAX} bytes. You have sent {bytes} bytes."
            ),
        ));
    }
    if !messages.is_empty() {
        let sent = send(call.queues, &record, messages).await?;
        call.queues.tell_sent(hops.into_iter().zip(&sent));
        for ((id, digests), sent) in places.iter().zip(&sent) {
            results.add(id, Ok(digests.answer(&record, sent)));
        }
    }
    Ok(results.into_value())
}

/// Puts messages on the disk and wakes who waits for them.
pub(crate) async fn send(
    queues: &Queues,
    record: &Arc<QueueRecord>,
    messages: Vec<NewMessage>,
) -> Result<Vec<Sent>, Failure> {
    let count = messages.len();
    let mut shelf = record.shelf;
    loop {
        match queues.apply(Command::Send { shelf, messages: messages.clone() }).await {
            Ok(Outcome::Sent(sent)) => {
                // Those that are not visible yet as well: who is woken then knows until when to sleep.
                wake(&queues.waiters, shelf, count);
                return Ok(sent);
            }
            Ok(_) => return Err(fault::no_queue()),
            Err(failure) => {
                // A queue that was purged in between has another shelf now.
                let now = queues.store.queue(&record.key).ok_or(failure.clone())?;
                if now.shelf == shelf {
                    return Err(failure);
                }
                shelf = now.shelf;
            }
        }
    }
}

fn wake(waiters: &Waiters, shelf: lambent_store::queues::Shelf, count: usize) {
    waiters.wake(shelf, count);
}

/// The digests that a sender compares.
pub(crate) struct Digests {
    body: String,
    attributes: Option<String>,
    system: Option<String>,
}

impl Digests {
    fn answer(&self, record: &QueueRecord, sent: &Sent) -> Map<String, Value> {
        let mut answer = Map::new();
        let mut put = |name: &str, value: Option<String>| {
            if let Some(value) = value {
                answer.insert(name.to_owned(), value.into());
            }
        };
        put("MessageId", Some(sent.id.to_string()));
        put("MD5OfMessageBody", Some(self.body.clone()));
        put("MD5OfMessageAttributes", self.attributes.clone());
        put("MD5OfMessageSystemAttributes", self.system.clone());
        put("SequenceNumber", record.settings.fifo.is_some().then(|| sequence_number(sent.number)));
        answer
    }
}

/// Twenty digits, as the reference's have, that rise within a queue.
pub(crate) fn sequence_number(number: u64) -> String {
    const FIRST: u128 = 18_000_000_000_000_000_000;
    (FIRST + u128::from(number)).to_string()
}

fn read(call: &Call<'_>, input: Input<'_>) -> Result<Sending, Failure> {
    let body = input.text("MessageBody")?.ok_or_else(|| fault::missing("MessageBody"))?;
    let system = attributes(input, "MessageSystemAttributes")?;
    let mut trace = None;
    for (name, attribute) in system {
        if name != TRACE_HEADER {
            let reason = format!("Message system attribute name '{}' is invalid.", message::shown(&name));
            return Err(Failure::new(fault::INVALID_PARAMETER, reason));
        }
        if attribute.data_type != "String" {
            let reason = format!("The message system attribute '{TRACE_HEADER}' must be of type 'String'.");
            return Err(Failure::new(fault::INVALID_PARAMETER, reason));
        }
        trace = Some(attribute.value);
    }
    Ok(Sending {
        body: body.to_owned(),
        delay_secs: input.integer("DelaySeconds")?,
        attributes: attributes(input, "MessageAttributes")?,
        trace,
        carried: call.trace.map(str::to_owned),
        dedup: input.text("MessageDeduplicationId")?.map(str::to_owned),
        group: input.text("MessageGroupId")?.map(str::to_owned),
        sender: sender_id(&call.caller.principal_arn, call.caller.account.as_str()),
    })
}

/// Who sent it: an account's root by the account, a session by its role and name.
pub(crate) fn sender_id(principal_arn: &str, account: &str) -> String {
    match principal_arn.split_once(":assumed-role/") {
        Some((_, session)) => {
            let (role, session) = session.split_once('/').unwrap_or((session, ""));
            let digest = digest::hex(&Sha256::digest(format!("{account}/{role}")));
            format!("AROA{}:{session}", digest[..17].to_ascii_uppercase())
        }
        None => account.to_owned(),
    }
}

fn attributes(input: Input<'_>, name: &str) -> Result<Attributes, Failure> {
    let Some(members) = input.object(name)? else { return Ok(Attributes::new()) };
    let mut attributes = BTreeMap::new();
    for attribute_name in members.0.keys() {
        let Some(value) = members.object(attribute_name)? else { continue };
        let lists = ["StringListValues", "BinaryListValues"];
        if lists.iter().any(|list| value.texts(list).ok().flatten().is_some_and(|items| !items.is_empty())) {
            return Err(Failure::new(
                fault::UNSUPPORTED,
                "Message attribute list values in SendMessage operation are not supported.",
            ));
        }
        let data_type = value.text("DataType")?.unwrap_or_default().to_owned();
        let member = if data_type.starts_with("Binary") { "BinaryValue" } else { "StringValue" };
        let text = value.text(member)?.unwrap_or_default().to_owned();
        if member == "BinaryValue" && STANDARD.decode(&text).is_err() {
            let message = format!("Invalid base64 in {name}.{attribute_name}");
            return Err(Failure::new(fault::SERIALIZATION, message));
        }
        attributes.insert(attribute_name.clone(), Attribute { data_type, value: text });
    }
    Ok(attributes)
}

/// The message as the queue takes it, or why it does not.
pub(crate) fn judge(
    queues: &Queues,
    record: &QueueRecord,
    sending: Sending,
    now: Timestamp,
) -> Result<(NewMessage, Digests), Failure> {
    let invalid = |message: String| Failure::new(fault::INVALID_PARAMETER, message);
    let Sending { body, delay_secs, attributes, trace, carried, dedup, group, sender } = sending;
    if body.is_empty() {
        return Err(fault::missing("MessageBody"));
    }
    if let Some(bad) = message::forbidden_character(&body) {
        return Err(Failure::new(
            fault::INVALID_CONTENTS,
            format!(
                "Invalid characters found. Valid unicode characters are #x9 | #xA | #xD | #x20 to #xD7FF | #xE000 to \
                 #xFFFD | #x10000 to #x10FFFF. Found: #x{:X}",
                u32::from(bad)
            ),
        ));
    }
    if attributes.len() > ATTRIBUTES_MAX {
        return Err(invalid(format!(
            "Number of message attributes [{}] exceeds the allowed maximum [{ATTRIBUTES_MAX}].",
            attributes.len()
        )));
    }
    for (name, attribute) in &attributes {
        message::check_attribute(name, attribute).map_err(invalid)?;
    }
    let bytes_max = record.settings.message_bytes_max;
    if message::size(&body, &attributes) > bytes_max as usize {
        return Err(invalid(format!(
            "One or more parameters are invalid. Reason: Message must be shorter than {bytes_max} bytes."
        )));
    }
    let order = order(record, &body, group.as_deref(), dedup.as_deref())?;
    let delay_secs = delay(record, delay_secs)?;
    let digests = Digests {
        body: digest::of_text(body.as_bytes()),
        attributes: digest::of_attributes(attributes.iter().map(|(name, value)| (name.as_str(), value))),
        system: trace.as_ref().and_then(|trace| {
            let attribute = Attribute { data_type: "String".into(), value: trace.clone() };
            digest::of_attributes([(TRACE_HEADER, &attribute)].into_iter())
        }),
    };
    let dedup = order.as_ref().map(|order| order.dedup.clone());
    let details = Details { sender, trace: trace.or(carried), group, dedup, attributes };
    let new = NewMessage {
        id: MessageId::random(&*queues.entropy),
        sent: now,
        visible: now.plus(Duration::from_secs(delay_secs.into())),
        order,
        body: body.into(),
        details: serde_json::to_vec(&details).expect("details are plain data with text keys").into(),
    };
    Ok((new, digests))
}

fn delay(record: &QueueRecord, asked: Option<i64>) -> Result<u32, Failure> {
    let Some(asked) = asked else { return Ok(record.settings.delay_secs) };
    if !DELAY_SECS.contain(asked) {
        let reason = format!("DelaySeconds must be >= 0 and <= {}.", DELAY_SECS.max);
        return Err(fault::invalid_parameter(&asked.to_string(), "DelaySeconds", &reason));
    }
    if record.settings.fifo.is_some() && asked != 0 {
        return Err(fault::invalid_parameter(&asked.to_string(), "DelaySeconds", NOT_FOR_THIS_KIND));
    }
    if record.settings.fifo.is_some() {
        return Ok(record.settings.delay_secs);
    }
    Ok(u32::try_from(asked).unwrap_or(DELAY_SECS.max))
}

fn order(
    record: &QueueRecord,
    body: &str,
    group: Option<&str>,
    dedup: Option<&str>,
) -> Result<Option<Order>, Failure> {
    let check = |name: &str, text: Option<&str>| match text {
        Some(text) if !message::is_order_id(text) => Err(fault::invalid_parameter(
            text,
            name,
            &format!("{name} can only include alphanumeric and punctuation characters. 1 to 128 in length."),
        )),
        _ => Ok(()),
    };
    check("MessageGroupId", group)?;
    check("MessageDeduplicationId", dedup)?;
    let Some(fifo) = &record.settings.fifo else {
        // On a standard queue the group is kept as an attribute (fair queues); there is nothing to deduplicate by.
        return match dedup {
            Some(dedup) => Err(fault::invalid_parameter(dedup, "MessageDeduplicationId", NOT_FOR_THIS_KIND)),
            None => Ok(None),
        };
    };
    let group = group.ok_or_else(|| fault::missing("MessageGroupId"))?;
    let dedup = match dedup {
        Some(dedup) => dedup.to_owned(),
        None if fifo.content_based_dedup => digest::hex(&Sha256::digest(body)),
        None => {
            return Err(Failure::new(
                fault::INVALID_PARAMETER,
                "The queue should either have ContentBasedDeduplication enabled or MessageDeduplicationId provided \
                 explicitly",
            ));
        }
    };
    Ok(Some(Order { group: group.to_owned(), dedup, scope: fifo.dedup_scope }))
}
