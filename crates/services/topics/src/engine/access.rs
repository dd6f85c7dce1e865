//! Who may do what with a topic: its owner everything that the topic's policy does not forbid, others what it allows;
//! and the statements that AddPermission makes.

use lambent_core::ids::AccountId;
use lambent_core::policy::{Asked, Asker, Policy, Verdict};
use lambent_store::topics::TopicRecord;
use serde_json::{Value, json};

/// SNS developer guide, *Default policy*: what a topic's policy speaks of; AddPermission can allow these.
const ACTIONS: [&str; 9] = [
    "GetTopicAttributes",
    "SetTopicAttributes",
    "AddPermission",
    "RemovePermission",
    "DeleteTopic",
    "Subscribe",
    "ListSubscriptionsByTopic",
    "Publish",
    "Receive",
];

/// By these the root of an account gets at a topic whose policy has locked everybody out.
const UNLOCKING: [&str; 3] = ["SNS:GetTopicAttributes", "SNS:RemovePermission", "SNS:SetTopicAttributes"];

/// Ours, as with queues: statements of one policy.
const STATEMENTS_MAX: usize = 100;

/// Whether the topic's policy and owner let this pass.
pub fn may(record: &TopicRecord, asker: Asker<'_>, action: &str, context: &[(&str, &str)]) -> bool {
    let is_owner = matches!(asker, Asker::Identity { account, .. } if *account == record.key.account);
    let is_root = matches!(asker, Asker::Identity { arn, .. } if arn.ends_with(":root"));
    // The default policy allows the owner's account, which needs no permission.
    let Some(text) = &record.settings.policy else { return is_owner };
    if is_owner && is_root && UNLOCKING.contains(&action) {
        return true;
    }
    // It was understood when it was set.
    let Ok(policy) = serde_json::from_str::<Policy>(text) else { return is_owner };
    match policy.judge(&Asked { asker, action, resource: &record.key.arn(), context }) {
        Verdict::Denied => false,
        Verdict::Allowed => true,
        Verdict::Silent => is_owner,
    }
}

/// Whether the text is a policy that can be asked.
pub fn is_policy(text: &str) -> bool {
    lambent_wire::json::parse_value(text.as_bytes()).is_ok() && serde_json::from_str::<Policy>(text).is_ok()
}

/// The policy that a topic shows, its own or the default one.
pub fn shown(record: &TopicRecord) -> String {
    record.settings.policy.clone().unwrap_or_else(|| document(record).to_string())
}

/// The policy with one more statement, or the reference's reason against it.
pub fn add(record: &TopicRecord, label: &str, accounts: &[&str], actions: &[&str]) -> Result<String, String> {
    if let Some(bad) = accounts.iter().find(|account| AccountId::new(account).is_err()) {
        return Err(format!("AWSAccountId Reason: {bad} is not an account"));
    }
    if !actions.iter().all(|action| ACTIONS.contains(action)) {
        return Err("Policy statement action out of service scope!".to_owned());
    }
    let mut document = document(record);
    let statements = statements(&mut document);
    if statements.iter().any(|statement| statement["Sid"] == label) {
        return Err("Statement already exists".to_owned());
    }
    if statements.len() >= STATEMENTS_MAX {
        return Err(format!("Policy Reason: it has more than {STATEMENTS_MAX} statements"));
    }
    let one_or_many = |mut texts: Vec<String>| match texts.len() {
        1 => Value::from(texts.remove(0)),
        _ => Value::from(texts),
    };
    let principals = accounts.iter().map(|account| format!("arn:aws:iam::{account}:root")).collect();
    let actions = actions.iter().map(|action| format!("SNS:{action}")).collect();
    statements.push(json!({
        "Sid": label,
        "Effect": "Allow",
        "Principal": { "AWS": one_or_many(principals) },
        "Action": one_or_many(actions),
        "Resource": record.key.arn(),
    }));
    Ok(document.to_string())
}

/// The policy without the statement. One that is not there needs no removal.
pub fn remove(record: &TopicRecord, label: &str) -> String {
    let mut document = document(record);
    statements(&mut document).retain(|statement| statement["Sid"] != label);
    document.to_string()
}

fn document(record: &TopicRecord) -> Value {
    let kept = record.settings.policy.as_deref().and_then(|text| serde_json::from_str(text).ok());
    kept.unwrap_or_else(|| {
        let actions: Vec<String> = ACTIONS[..8].iter().map(|action| format!("SNS:{action}")).collect();
        json!({
            "Version": "2008-10-17",
            "Id": "__default_policy_ID",
            "Statement": [{
                "Sid": "__default_statement_ID",
                "Effect": "Allow",
                "Principal": { "AWS": "*" },
                "Action": actions,
                "Resource": record.key.arn(),
                "Condition": { "StringEquals": { "AWS:SourceOwner": record.key.account.as_str() } },
            }],
        })
    })
}

/// The statements as a list, also where one stands without.
fn statements(document: &mut Value) -> &mut Vec<Value> {
    let statements = &mut document["Statement"];
    if !statements.is_array() {
        let one = statements.take();
        *statements = if one.is_null() { json!([]) } else { json!([one]) };
    }
    statements.as_array_mut().expect("it was just made one")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn topic(policy: Option<String>) -> TopicRecord {
        let mut record = (*lambent_testkit::contracts::topics::topic("t", 1)).clone();
        record.settings.policy = policy;
        record
    }

    fn asks(record: &TopicRecord, account: &str, action: &str) -> bool {
        let account = AccountId::new(account).unwrap();
        let arn = format!("arn:aws:sts::{account}:assumed-role/r/s");
        let context = [("aws:SourceOwner", account.as_str())];
        may(record, Asker::Identity { account: &account, arn: &arn }, action, &context)
    }

    #[test]
    fn permissions_are_added_and_removed_by_label() {
        let plain = topic(None);
        assert!(!asks(&plain, "111122223333", "SNS:Publish") && asks(&plain, "000000000000", "SNS:Publish"));
        let open = topic(Some(add(&plain, "one", &["111122223333"], &["Publish"]).unwrap()));
        assert!(asks(&open, "111122223333", "SNS:Publish") && asks(&open, "000000000000", "SNS:Publish"));
        assert!(!asks(&open, "111122223333", "SNS:Subscribe"));
        assert!(add(&open, "one", &["111122223333"], &["Publish"]).is_err());
        assert!(add(&open, "two", &["111122223333"], &["CreateTopic"]).is_err());
        let closed = topic(Some(remove(&open, "one")));
        assert!(!asks(&closed, "111122223333", "SNS:Publish"));
    }

    #[test]
    fn the_default_policy_means_the_owner() {
        let shown = topic(Some(shown(&topic(None))));
        assert!(asks(&shown, "000000000000", "SNS:Publish"));
        assert!(!asks(&shown, "111122223333", "SNS:Publish"));
    }

    #[test]
    fn a_deny_is_for_the_owner_too_but_the_root_gets_in_again() {
        let deny = json!({ "Statement":
            { "Effect": "Deny", "Principal": "*", "Action": "sns:*", "Resource": "*" } });
        let record = topic(Some(deny.to_string()));
        assert!(!asks(&record, "000000000000", "SNS:SetTopicAttributes"));
        let account = AccountId::new("000000000000").unwrap();
        let root = Asker::Identity { account: &account, arn: "arn:aws:iam::000000000000:root" };
        assert!(may(&record, root, "SNS:SetTopicAttributes", &[]));
        assert!(!may(&record, root, "SNS:Publish", &[]));
    }
}
