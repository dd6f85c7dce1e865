//! Names and ARNs of topics and subscriptions.

use lambent_core::arn::Arn;
use lambent_core::ids::{AccountId, Region};
use lambent_store::topics::{SubscriptionKey, TopicKey};

use crate::engine::message::FIFO_SUFFIX;
use lambent_core::limits::TOPIC_NAME_CHARS_MAX as NAME_CHARS_MAX;

/// Letters, digits, `-` and `_`: a standard topic's.
pub fn is_name(text: &str) -> bool {
    (1..=NAME_CHARS_MAX).contains(&text.len())
        && text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_')
}

pub fn is_fifo_name(text: &str) -> bool {
    text.len() <= NAME_CHARS_MAX && text.strip_suffix(FIFO_SUFFIX).is_some_and(is_name)
}

/// The topic of an ARN, or what stands behind the parameter's name in the reference's refusal.
pub fn topic(text: &str) -> Result<TopicKey, String> {
    let elements = text.split(':').count();
    if elements < 6 {
        return Err(format!(" Reason: An ARN must have at least 6 elements, not {elements}"));
    }
    let arn = Arn::parse(text).filter(|arn| arn.service == "sns").ok_or_else(String::new)?;
    key(&arn, &arn.resource).ok_or_else(String::new)
}

fn key(arn: &Arn, name: &str) -> Option<TopicKey> {
    let name = Some(name).filter(|name| is_name(name) || is_fifo_name(name))?.to_owned();
    Some(TopicKey {
        account: AccountId::new(&arn.account).ok()?,
        region: Region::new(&arn.region).ok()?,
        name,
    })
}

/// The subscription of an ARN, likewise.
pub fn subscription(text: &str) -> Result<SubscriptionKey, String> {
    let elements = text.split(':').count();
    if elements < 6 {
        return Err(format!(" Reason: An ARN must have at least 6 elements, not {elements}"));
    }
    let of = |text: &str| {
        let arn = Arn::parse(text).filter(|arn| arn.service == "sns")?;
        let (name, id) = arn.resource.split_once(':')?;
        let is_id = !id.is_empty() && id.bytes().all(|b| b.is_ascii_hexdigit() || b == b'-');
        is_id.then_some(())?;
        Some(SubscriptionKey { topic: key(&arn, name)?, id: id.to_owned() })
    };
    of(text).ok_or_else(|| " Reason: An ARN must name a subscription".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arns_read_back() {
        let arn = "arn:aws:sns:eu-west-1:123456789012:news";
        assert_eq!(topic(arn).unwrap().arn(), arn);
        let arn = "arn:aws:sns:eu-west-1:123456789012:news:0a-1";
        assert_eq!(subscription(arn).unwrap().arn(), arn);
        for bad in ["", "news", "arn:aws:sqs:r:123456789012:news", "arn:aws:sns:r:123456789012:n:x:y"] {
            assert!(topic(bad).is_err() && subscription(bad).is_err(), "{bad}");
        }
    }
}
