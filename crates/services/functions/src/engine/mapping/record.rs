//! A message as a function sees it: a record of the event, member by member as the reference writes it.

use lambent_core::ports::Pulled;
use serde_json::{Map, Value, json};

/// The record's members.
pub fn record(message: &Pulled, queue_arn: &str, region: &str) -> Value {
    let mut record = Map::new();
    let mut put = |name: &str, value: Value| record.insert(name.to_owned(), value);
    put("messageId", message.id.as_str().into());
    put("receiptHandle", message.receipt_handle.as_str().into());
    put("body", message.body.as_str().into());
    put("attributes", json!(message.system));
    let attributes: Map<String, Value> = message
        .attributes
        .iter()
        .map(|(name, (data_type, value))| (name.clone(), attribute(data_type, value)))
        .collect();
    put("messageAttributes", attributes.into());
    if let Some(md5) = &message.attributes_md5 {
        put("md5OfMessageAttributes", md5.as_str().into());
    }
    put("md5OfBody", message.body_md5.as_str().into());
    put("eventSource", "aws:sqs".into());
    put("eventSourceARN", queue_arn.into());
    put("awsRegion", region.into());
    record.into()
}

/// The lists are there and always empty: SQS does not have them yet.
fn attribute(data_type: &str, value: &str) -> Value {
    let member = if data_type.starts_with("Binary") { "binaryValue" } else { "stringValue" };
    json!({ member: value, "stringListValues": [], "binaryListValues": [], "dataType": data_type })
}

/// The event of these records, each of which is JSON.
pub fn event<'a>(records: impl IntoIterator<Item = &'a str>) -> Vec<u8> {
    let mut event = Vec::from(b"{\"Records\":[".as_slice());
    for (at, record) in records.into_iter().enumerate() {
        if at > 0 {
            event.push(b',');
        }
        event.extend_from_slice(record.as_bytes());
    }
    event.extend_from_slice(b"]}");
    event
}
