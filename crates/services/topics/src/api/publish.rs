//! Publish and PublishBatch.

use lambent_store::topics::TopicRecord;
use lambent_wire::Fault;
use serde_json::{Value, json};

use super::input::Input;
use super::limits::{BATCH_ENTRIES_MAX, BATCH_ID_CHARS_MAX, MESSAGE_BYTES_DEFAULT, bytes_max};
use super::{Answer, Call, fault};
use crate::engine::message::{self, Attributes, Message, Texts};
use crate::fan_out::Circumstances;
use crate::publish::Published;

const ACTION: &str = "SNS:Publish";

pub async fn one(call: Call<'_>) -> Answer {
    if call.input.has("PhoneNumber") {
        return Err(fault::unsupported("PhoneNumber", "a text message to a telephone"));
    }
    let (parameter, arn) = match (call.input.text("TopicArn"), call.input.text("TargetArn")) {
        (Some(arn), None) => ("TopicArn", arn),
        (None, Some(arn)) => ("TargetArn", arn),
        (Some(_), Some(_)) => {
            return Err(fault::invalid("TopicArn and TargetArn Reason: only one of them may be given"));
        }
        (None, None) => {
            return Err(fault::invalid("TopicArn or TargetArn Reason: no value for required parameter"));
        }
    };
    if parameter == "TargetArn" && arn.contains(":endpoint/") {
        return Err(fault::unsupported("TargetArn", "a message to a mobile device"));
    }
    let topic = call.topic_of(parameter, arn, ACTION, &[])?;
    let (message, _) = read(call.input, &topic)?;
    let (messages, with) = ([message], circumstances(&call));
    let published = call.topics.publish(&topic, &messages, &with).await.map_err(fault::store)?;
    call.topics.tell_published(&topic, &messages, &published, &call.caller.principal_arn, &with);
    Ok(published.first().map(shown).unwrap_or_default())
}

fn shown(published: &Published) -> Value {
    json!({ "MessageId": published.id, "SequenceNumber": published.number.map(message::sequence) })
}

fn circumstances<'a>(call: &Call<'a>) -> Circumstances<'a> {
    Circumstances { origin: call.origin, trace: call.trace, now: call.topics.deps.clock.now() }
}

/// A message as the request has it, and its size.
fn read(input: Input<'_>, topic: &TopicRecord) -> Result<(Message, usize), Fault> {
    let text = input.required("Message")?;
    if text.is_empty() {
        return Err(fault::invalid("Empty message"));
    }
    let subject = input.text("Subject").filter(|subject| !subject.is_empty());
    if subject.is_some_and(|subject| !message::is_subject(subject)) {
        return Err(fault::invalid("Subject"));
    }
    let owned = |name| input.text(name).map(str::to_owned);
    let (group, dedup) = (owned("MessageGroupId"), owned("MessageDeduplicationId"));
    let order = message::order(topic.settings.fifo, text, group, dedup);
    let (group, dedup) = order.map_err(fault::invalid)?;
    let texts = match input.text("MessageStructure").filter(|structure| !structure.is_empty()) {
        None => Texts::One(text.to_owned()),
        Some("json") => Texts::by_protocol(text).map_err(fault::invalid)?,
        Some(_) => return Err(fault::invalid("MessageStructure")),
    };
    let mut attributes = Attributes::new();
    for (name, value) in input.object_map("MessageAttributes") {
        let data_type = value.text("DataType").unwrap_or_default();
        let (string, binary) = (value.text("StringValue"), value.text("BinaryValue"));
        let attribute = message::attribute(name, data_type, string, binary).map_err(fault::invalid_value)?;
        attributes.insert(name.to_owned(), attribute);
    }
    let size = message::size(text, &attributes);
    if size > bytes_max(topic) {
        return Err(fault::invalid("Message too long"));
    }
    Ok((Message { subject: subject.map(str::to_owned), texts, attributes, group, dedup }, size))
}

pub async fn batch(call: Call<'_>) -> Answer {
    let topic = call.topic(ACTION)?;
    let entries = call.input.objects("PublishBatchRequestEntries");
    check_ids(&entries)?;
    let mut failed = Vec::new();
    let (mut messages, mut of_entries, mut bytes) = (Vec::new(), Vec::new(), 0_usize);
    for entry in entries {
        let entry_id = entry.required("Id")?;
        match read(entry, &topic) {
            Ok((message, size)) => {
                bytes += size;
                messages.push(message);
                of_entries.push(entry_id);
            }
            Err(fault) => failed.push(json!({
                "Id": entry_id,
                "Code": fault.code,
                "Message": fault.message,
                "SenderFault": fault.status < 500,
            })),
        }
    }
    if bytes > bytes_max(&topic).max(MESSAGE_BYTES_DEFAULT as usize) {
        return Err(Fault::new(
            400,
            "BatchRequestTooLong",
            "The length of all the messages put together is more than the limit.",
        ));
    }
    let with = circumstances(&call);
    let published = call.topics.publish(&topic, &messages, &with).await;
    let successful: Vec<Value> = of_entries
        .into_iter()
        .zip(published.map_err(fault::store)?)
        .map(|(id, published)| {
            let mut entry = shown(&published);
            entry["Id"] = id.into();
            entry
        })
        .collect();
    Ok(json!({ "Successful": successful, "Failed": failed }))
}

fn check_ids(entries: &[Input<'_>]) -> Result<(), Fault> {
    if entries.is_empty() {
        return Err(Fault::new(400, "EmptyBatchRequest", "The batch request doesn't contain any entries."));
    }
    if entries.len() > BATCH_ENTRIES_MAX {
        return Err(Fault::new(
            400,
            "TooManyEntriesInBatchRequest",
            "The batch request contains more entries than permissible.",
        ));
    }
    let mut seen: Vec<&str> = Vec::with_capacity(entries.len());
    for entry in entries {
        let id = entry.required("Id")?;
        let is_id = (1..=BATCH_ID_CHARS_MAX).contains(&id.len())
            && id.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_'));
        if !is_id {
            return Err(Fault::new(
                400,
                "InvalidBatchEntryId",
                "The Id of a batch entry in a batch request doesn't abide by the specification.",
            ));
        }
        if seen.contains(&id) {
            return Err(Fault::new(
                400,
                "BatchEntryIdsNotDistinct",
                "Two or more batch entries in the request have the same Id.",
            ));
        }
        seen.push(id);
    }
    Ok(())
}
