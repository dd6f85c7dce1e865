//! Addresses of queues: `http://HOST/ACCOUNT/NAME`, whatever the host is, since all hosts lead here; and
//! `/queue/REGION/ACCOUNT/NAME`, as some emulators write it.

use lambent_core::ids::{AccountId, QueueName, Region};
use lambent_store::queues::QueueKey;

/// The queue that an address means; the region is the caller's where the address names none.
pub fn read(address: &str, region: &Region) -> Option<QueueKey> {
    let rest = address.split_once("://").map_or(address, |(_, rest)| rest);
    let path = rest.split(['?', '#']).next()?;
    let mut parts = path.trim_end_matches('/').rsplit('/');
    let (name, account) = (QueueName::new(parts.next()?).ok()?, AccountId::new(parts.next()?).ok()?);
    let region = match (parts.next(), parts.next()) {
        (Some(named), Some("queue")) => Region::new(named).ok()?,
        _ => region.clone(),
    };
    Some(QueueKey { account, region, name })
}

pub fn write(origin: &str, key: &QueueKey) -> String {
    format!("{origin}/{}/{}", key.account, key.name)
}

/// The queue of an ARN.
pub fn of_arn(text: &str) -> Option<QueueKey> {
    let arn = lambent_core::Arn::parse(text).filter(|arn| arn.service == "sqs")?;
    Some(QueueKey {
        account: AccountId::new(&arn.account).ok()?,
        region: Region::new(&arn.region).ok()?,
        name: QueueName::new(&arn.resource).ok()?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_forms_that_clients_send_are_understood() {
        let region = Region::new("eu-west-1").unwrap();
        for address in [
            "http://localhost:4566/000000000000/jobs",
            "https://sqs.eu-west-1.amazonaws.com/000000000000/jobs",
            "https://eu-west-1.queue.amazonaws.com/000000000000/jobs/",
            "http://localhost:4566/queue/eu-west-1/000000000000/jobs",
            "/000000000000/jobs",
        ] {
            let key = read(address, &region).unwrap();
            assert_eq!(key.arn(), "arn:aws:sqs:eu-west-1:000000000000:jobs", "{address}");
        }
        for bad in ["", "jobs", "http://localhost:4566/", "http://localhost/0/jobs", "/000000000000/a b"] {
            assert_eq!(read(bad, &region), None, "{bad}");
        }
        let elsewhere = read("http://localhost/queue/us-east-2/000000000000/jobs.fifo", &region).unwrap();
        assert_eq!((elsewhere.region.as_str(), elsewhere.name.is_fifo()), ("us-east-2", true));
    }
}
