//! Notifications as subscribers get them.

use std::fmt::Write as _;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, Mac as _};
use lambent_core::time::Timestamp;
use serde_json::{Value, json};
use sha2::Sha256;

use super::message::{self, Attributes};
use crate::posts::Kind;

/// What the signature of a notification covers. It is the same for all subscribers that get this text.
pub fn notification_covered(
    topic_arn: &str,
    message_id: &str,
    subject: Option<&str>,
    text: &str,
    time: Timestamp,
) -> String {
    let time = iso(time);
    let mut fields = vec![("Message", text), ("MessageId", message_id)];
    fields.extend(subject.map(|subject| ("Subject", subject)));
    fields.extend([("Timestamp", time.as_str()), ("TopicArn", topic_arn), ("Type", "Notification")]);
    covered(&fields)
}

/// Names and values, a line each.
fn covered(fields: &[(&str, &str)]) -> String {
    fields.iter().fold(String::new(), |mut text, (name, value)| {
        let _ = write!(text, "{name}\n{value}\n");
        text
    })
}

/// Authenticates what a signature covers, to the node itself alone.
pub fn authenticator(secret: &[u8; 32], covered: &str) -> String {
    let mut mac = Hmac::<Sha256>::new_from_slice(secret).expect("a key of any length is taken");
    mac.update(covered.as_bytes());
    STANDARD.encode(mac.finalize().into_bytes())
}

/// What an endpoint is asked: whether it wants a topic's messages, or wants them again.
pub struct Question<'a> {
    pub kind: Kind,
    pub message_id: &'a str,
    pub topic_arn: &'a str,
    pub subscription_arn: &'a str,
    pub token: &'a str,
    pub time: Timestamp,
    pub signature_version: u8,
    pub certificate_url: &'a str,
    pub origin: &'a str,
}

impl Question<'_> {
    fn message(&self) -> String {
        match self.kind {
            Kind::UnsubscribeConfirmation => format!(
                "You have chosen to deactivate subscription {}.\nTo cancel this operation and restore the subscription, \
                 visit the SubscribeURL included in this message.",
                self.subscription_arn
            ),
            _ => format!(
                "You have chosen to subscribe to the topic {}.\nTo confirm the subscription, visit the SubscribeURL \
                 included in this message.",
                self.topic_arn
            ),
        }
    }

    fn subscribe_url(&self) -> String {
        let Self { origin, topic_arn, token, .. } = self;
        format!("{origin}/?Action=ConfirmSubscription&TopicArn={topic_arn}&Token={token}")
    }

    pub fn covered(&self) -> String {
        covered(&[
            ("Message", &self.message()),
            ("MessageId", self.message_id),
            ("SubscribeURL", &self.subscribe_url()),
            ("Timestamp", &iso(self.time)),
            ("Token", self.token),
            ("TopicArn", self.topic_arn),
            ("Type", self.kind.as_str()),
        ])
    }

    pub fn text(&self, signature: &str) -> String {
        let members = [
            ("Type", self.kind.as_str()),
            ("MessageId", self.message_id),
            ("Token", self.token),
            ("TopicArn", self.topic_arn),
            ("Message", &self.message()),
            ("SubscribeURL", &self.subscribe_url()),
            ("Timestamp", &iso(self.time)),
            ("SignatureVersion", &self.signature_version.to_string()),
            ("Signature", signature),
            ("SigningCertURL", self.certificate_url),
        ];
        let lines = members.map(|(name, value)| format!("  \"{name}\" : {}", Value::from(value)));
        format!("{{\n{}\n}}", lines.join(",\n"))
    }
}

/// A message on its way to one subscriber.
pub struct Notification<'a> {
    pub message_id: &'a str,
    /// A FIFO topic's.
    pub number: Option<u64>,
    pub topic_arn: &'a str,
    pub subscription_arn: &'a str,
    pub subject: Option<&'a str>,
    pub text: &'a str,
    pub time: Timestamp,
    pub signature_version: u8,
    pub attributes: &'a Attributes,
    pub signature: &'a str,
    pub certificate_url: &'a str,
    /// How the node is reached.
    pub origin: &'a str,
}

impl Notification<'_> {
    /// What a queue gets, in the very form that the reference writes.
    pub fn for_queue(&self) -> String {
        let mut text = String::with_capacity(self.text.len() + 1_024);
        let quoted = |value: &str| Value::from(value).to_string();
        text.push('{');
        let mut separator = "\n";
        let mut member = |text: &mut String, name: &str, value: &str| {
            let _ = write!(text, "{separator}  \"{name}\" : {value}");
            separator = ",\n";
        };
        member(&mut text, "Type", "\"Notification\"");
        member(&mut text, "MessageId", &quoted(self.message_id));
        if let Some(number) = self.number {
            member(&mut text, "SequenceNumber", &quoted(&message::sequence(number)));
        }
        member(&mut text, "TopicArn", &quoted(self.topic_arn));
        if let Some(subject) = self.subject {
            member(&mut text, "Subject", &quoted(subject));
        }
        member(&mut text, "Message", &quoted(self.text));
        member(&mut text, "Timestamp", &quoted(&iso(self.time)));
        member(&mut text, "SignatureVersion", &quoted(&self.signature_version.to_string()));
        member(&mut text, "Signature", &quoted(self.signature));
        member(&mut text, "SigningCertURL", &quoted(self.certificate_url));
        member(&mut text, "UnsubscribeURL", &quoted(&self.unsubscribe_url()));
        if !self.attributes.is_empty() {
            let mut inner = String::from("{");
            let mut separator = "\n";
            for (name, attribute) in self.attributes {
                let (kind, value) = (quoted(&attribute.data_type), quoted(&attribute.value));
                let name = quoted(name);
                let _ = write!(inner, "{separator}    {name} : {{\"Type\":{kind},\"Value\":{value}}}");
                separator = ",\n";
            }
            inner.push_str("\n  }");
            member(&mut text, "MessageAttributes", &inner);
        }
        text.push_str("\n}");
        text
    }

    /// The event that a function gets.
    pub fn for_function(&self) -> String {
        let attributes: serde_json::Map<String, Value> = self
            .attributes
            .iter()
            .map(|(name, a)| (name.clone(), json!({ "Type": a.data_type, "Value": a.value })))
            .collect();
        json!({ "Records": [{
            "EventSource": "aws:sns",
            "EventVersion": "1.0",
            "EventSubscriptionArn": self.subscription_arn,
            "Sns": {
                "Type": "Notification",
                "MessageId": self.message_id,
                "TopicArn": self.topic_arn,
                "Subject": self.subject,
                "Message": self.text,
                "Timestamp": iso(self.time),
                "SignatureVersion": self.signature_version.to_string(),
                "Signature": self.signature,
                "SigningCertUrl": self.certificate_url,
                "UnsubscribeUrl": self.unsubscribe_url(),
                "MessageAttributes": attributes,
            },
        }] })
        .to_string()
    }

    fn unsubscribe_url(&self) -> String {
        format!("{}/?Action=Unsubscribe&SubscriptionArn={}", self.origin, self.subscription_arn)
    }
}

/// `2026-11-21T08:00:00.123Z`.
fn iso(time: Timestamp) -> String {
    let (y, mo, d, h, mi, s) = time.civil();
    format!("{y:04}-{mo:02}-{d:02}T{h:02}:{mi:02}:{s:02}.{:03}Z", time.as_millis() % 1_000)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::message::attribute;

    fn attributes() -> Attributes {
        [("a\"".to_owned(), attribute("a", "String", Some("v\n"), None).unwrap())].into()
    }

    fn notification(attributes: &Attributes) -> Notification<'_> {
        Notification {
            message_id: "m",
            number: None,
            topic_arn: "t",
            subscription_arn: "t:s",
            subject: Some("hi"),
            text: "{\"x\": 1}",
            time: Timestamp::from_millis(1_700_000_000_007),
            signature_version: 1,
            attributes,
            signature: "sig",
            certificate_url: "http://h:1/c.pem",
            origin: "http://h:1",
        }
    }

    #[test]
    fn a_queue_gets_the_form_of_the_reference() {
        let attributes = attributes();
        let text = notification(&attributes).for_queue();
        let start = "{\n  \"Type\" : \"Notification\",\n  \"MessageId\" : \"m\",\n  \"TopicArn\" : \"t\",\n  \
                     \"Subject\" : \"hi\",\n  \"Message\" : \"{\\\"x\\\": 1}\",\n  \
                     \"Timestamp\" : \"2023-11-14T22:13:20.007Z\",\n  \"SignatureVersion\" : \"1\",\n";
        assert!(text.starts_with(start), "{text}");
        let end =
            "\"MessageAttributes\" : {\n    \"a\\\"\" : {\"Type\":\"String\",\"Value\":\"v\\n\"}\n  }\n}";
        assert!(text.ends_with(end), "{text}");
        let parsed: Value = serde_json::from_str(&text).unwrap();
        assert_eq!(parsed["UnsubscribeURL"], "http://h:1/?Action=Unsubscribe&SubscriptionArn=t:s");
    }

    #[test]
    fn a_function_gets_a_record_and_a_null_for_no_subject() {
        let attributes = Attributes::new();
        let event = Notification { subject: None, ..notification(&attributes) }.for_function();
        let event: Value = serde_json::from_str(&event).unwrap();
        assert_eq!(event["Records"][0]["EventSource"], "aws:sns");
        assert_eq!(event["Records"][0]["Sns"]["Subject"], Value::Null);
        assert_eq!(event["Records"][0]["Sns"]["Message"], "{\"x\": 1}");
        assert_eq!(event["Records"][0]["Sns"]["MessageAttributes"], json!({}));
    }

    #[test]
    fn what_is_covered_stands_in_lines() {
        let time = Timestamp::from_millis(1_700_000_000_007);
        let covered = notification_covered("t", "m", Some("s"), "x", time);
        assert_eq!(
            covered,
            "Message\nx\nMessageId\nm\nSubject\ns\nTimestamp\n2023-11-14T22:13:20.007Z\nTopicArn\nt\nType\nNotification\n"
        );
        assert!(!notification_covered("t", "m", None, "x", time).contains("Subject"));
        assert_ne!(authenticator(&[1; 32], &covered), authenticator(&[2; 32], &covered));
    }

    #[test]
    fn a_question_says_where_to_answer() {
        let question = Question {
            kind: Kind::SubscriptionConfirmation,
            message_id: "m",
            topic_arn: "t",
            subscription_arn: "t:s",
            token: "abc",
            time: Timestamp::from_millis(0),
            signature_version: 2,
            certificate_url: "http://h:1/c.pem",
            origin: "http://h:1",
        };
        let text: Value = serde_json::from_str(&question.text("sig")).unwrap();
        assert_eq!(text["SubscribeURL"], "http://h:1/?Action=ConfirmSubscription&TopicArn=t&Token=abc");
        assert_eq!(
            (&text["Type"], &text["SignatureVersion"]),
            (&json!("SubscriptionConfirmation"), &json!("2"))
        );
        let covered = question.covered();
        let names: Vec<&str> = covered.lines().collect();
        assert!(
            names[0] == "Message"
                && names.contains(&"Token")
                && names.ends_with(&["Type", "SubscriptionConfirmation"])
        );
    }
}
