//! Who may do what with a queue: its owner everything that the queue's policy does not forbid, others what it allows;
//! and the statements that AddPermission makes.

use lambent_core::ids::AccountId;
use lambent_core::policy::{Asked, Asker, Policy, Verdict};
use lambent_store::queues::QueueRecord;
use serde_json::{Value, json};

/// SQS API, AddPermission: actions, accounts and labels of a policy.
const ACTIONS_MAX: usize = 7;
const ACCOUNTS_MAX: usize = 50;
const STATEMENTS_MAX: usize = 20;
const LABEL_CHARS_MAX: usize = 80;

/// What AddPermission can allow. Others are for the owner only.
const ALLOWABLE: [&str; 9] = [
    "*",
    "ChangeMessageVisibility",
    "DeleteMessage",
    "GetQueueAttributes",
    "GetQueueUrl",
    "ListDeadLetterSourceQueues",
    "PurgeQueue",
    "ReceiveMessage",
    "SendMessage",
];

/// What a policy may allow to other accounts at all (SQS developer guide, *Limitations of Amazon SQS custom policies*).
const OWNERS_ONLY: [&str; 11] = [
    "sqs:AddPermission",
    "sqs:CancelMessageMoveTask",
    "sqs:CreateQueue",
    "sqs:DeleteQueue",
    "sqs:ListMessageMoveTasks",
    "sqs:ListQueues",
    "sqs:ListQueueTags",
    "sqs:RemovePermission",
    "sqs:SetQueueAttributes",
    "sqs:StartMessageMoveTask",
    "sqs:TagQueue",
];

/// By these the root of an account gets at a queue whose policy has locked everybody out.
const UNLOCKING: [&str; 3] = ["sqs:GetQueueAttributes", "sqs:RemovePermission", "sqs:SetQueueAttributes"];

/// Whether the queue's policy and owner let this pass.
pub fn may(record: &QueueRecord, asker: Asker<'_>, action: &str, context: &[(&str, &str)]) -> bool {
    let is_owner = matches!(asker, Asker::Identity { account, .. } if *account == record.key.account);
    let is_root = matches!(asker, Asker::Identity { arn, .. } if arn.ends_with(":root"));
    let Some(text) = &record.settings.policy else { return is_owner };
    if is_owner && is_root && UNLOCKING.contains(&action) {
        return true;
    }
    // It was understood when it was set.
    let Ok(policy) = serde_json::from_str::<Policy>(text) else { return is_owner };
    match policy.judge(&Asked { asker, action, resource: &record.key.arn(), context }) {
        Verdict::Denied => false,
        Verdict::Allowed => is_owner || !(OWNERS_ONLY.contains(&action) || action == "sqs:UntagQueue"),
        Verdict::Silent => is_owner,
    }
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Refusal {
    /// A value of a parameter, and what is wrong with it.
    Invalid {
        value: String,
        name: &'static str,
        reason: &'static str,
    },
    Missing(&'static str),
    OverLimit(String),
}

/// The policy with one more statement.
pub fn add(
    record: &QueueRecord,
    label: &str,
    accounts: &[&str],
    actions: &[&str],
) -> Result<String, Refusal> {
    let is_label = (1..=LABEL_CHARS_MAX).contains(&label.len())
        && label.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_'));
    let invalid = |value: &str, name, reason| Err(Refusal::Invalid { value: value.to_owned(), name, reason });
    if !is_label {
        return invalid(
            label,
            "Label",
            "Can only include alphanumeric characters, hyphens, or underscores. 1 to 80 in length",
        );
    }
    if accounts.is_empty() {
        return Err(Refusal::Missing("AWSAccountIds"));
    }
    if actions.is_empty() {
        return Err(Refusal::Missing("Actions"));
    }
    if accounts.len() > ACCOUNTS_MAX || actions.len() > ACTIONS_MAX {
        return Err(Refusal::OverLimit(format!(
            "{} is above the limit of {ACTIONS_MAX} actions or {ACCOUNTS_MAX} accounts of one statement",
            accounts.len().max(actions.len())
        )));
    }
    if let Some(bad) = accounts.iter().find(|account| AccountId::new(account).is_err()) {
        return invalid(bad, "PrincipalId", "Unable to verify.");
    }
    if let Some(bad) = actions.iter().find(|action| !ALLOWABLE.contains(action)) {
        return invalid(bad, "ActionName", "Only the queue owner is allowed to invoke this action.");
    }
    let mut document = document(record);
    let statements = statements(&mut document);
    if statements.iter().any(|statement| statement["Sid"] == label) {
        return invalid(label, "Label", "Already exists.");
    }
    if statements.len() >= STATEMENTS_MAX {
        return Err(Refusal::OverLimit(format!(
            "{} statements were found, maximum allowed is {STATEMENTS_MAX}",
            statements.len() + 1
        )));
    }
    let one_or_many = |mut texts: Vec<String>| match texts.len() {
        1 => Value::from(texts.remove(0)),
        _ => Value::from(texts),
    };
    let principals = accounts.iter().map(|account| format!("arn:aws:iam::{account}:root")).collect();
    let actions = actions.iter().map(|action| format!("SQS:{action}")).collect();
    statements.push(json!({
        "Sid": label,
        "Effect": "Allow",
        "Principal": { "AWS": one_or_many(principals) },
        "Action": one_or_many(actions),
        "Resource": record.key.arn(),
    }));
    Ok(document.to_string())
}

/// The policy without the statement; `None` inside when nothing is left of it.
pub fn remove(record: &QueueRecord, label: &str) -> Result<Option<String>, Refusal> {
    let mut document = document(record);
    let statements = statements(&mut document);
    let before = statements.len();
    statements.retain(|statement| statement["Sid"] != label);
    if statements.len() == before {
        return Err(Refusal::Invalid {
            value: label.to_owned(),
            name: "Label",
            reason: "can't find label on existing policy",
        });
    }
    let is_empty = statements.is_empty();
    Ok((!is_empty).then(|| document.to_string()))
}

fn document(record: &QueueRecord) -> Value {
    let kept = record.settings.policy.as_deref().and_then(|text| serde_json::from_str(text).ok());
    kept.unwrap_or_else(|| {
        json!({
            "Version": "2008-10-17",
            "Id": format!("{}/SQSDefaultPolicy", record.key.arn()),
            "Statement": [],
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
    use lambent_store::queues::Shelf;

    fn queue() -> QueueRecord {
        lambent_testkit::contracts::queues::record("q", Shelf(1))
    }

    fn asks(record: &QueueRecord, account: &str, action: &str) -> bool {
        let account = AccountId::new(account).unwrap();
        let arn = format!("arn:aws:sts::{account}:assumed-role/r/s");
        may(record, Asker::Identity { account: &account, arn: &arn }, action, &[])
    }

    #[test]
    fn permissions_are_added_and_removed_by_label() {
        let mut record = queue();
        assert!(!asks(&record, "111122223333", "sqs:SendMessage"));
        let policy = add(&record, "one", &["111122223333"], &["SendMessage", "ReceiveMessage"]).unwrap();
        record.settings.policy = Some(policy);
        assert!(asks(&record, "111122223333", "sqs:SendMessage"));
        assert!(!asks(&record, "111122223333", "sqs:DeleteMessage"));
        assert!(!asks(&record, "444455556666", "sqs:SendMessage"));
        assert!(asks(&record, "000000000000", "sqs:DeleteMessage"));
        assert!(add(&record, "one", &["111122223333"], &["*"]).is_err());
        assert!(remove(&record, "two").is_err());
        assert_eq!(remove(&record, "one"), Ok(None));
    }

    #[test]
    fn a_star_gives_nobody_what_is_the_owners() {
        let mut record = queue();
        record.settings.policy = Some(add(&record, "all", &["111122223333"], &["*"]).unwrap());
        assert!(asks(&record, "111122223333", "sqs:PurgeQueue"));
        assert!(!asks(&record, "111122223333", "sqs:DeleteQueue"));
    }

    #[test]
    fn a_deny_is_for_the_owner_too_but_the_root_gets_in_again() {
        let mut record = queue();
        let deny = json!({ "Statement":
            { "Effect": "Deny", "Principal": "*", "Action": "sqs:*", "Resource": "*" } });
        record.settings.policy = Some(deny.to_string());
        assert!(!asks(&record, "000000000000", "sqs:SetQueueAttributes"));
        let account = AccountId::new("000000000000").unwrap();
        let root = Asker::Identity { account: &account, arn: "arn:aws:iam::000000000000:root" };
        assert!(may(&record, root, "sqs:SetQueueAttributes", &[]));
        assert!(!may(&record, root, "sqs:SendMessage", &[]));
    }

    #[test]
    fn a_service_needs_the_policy_and_its_conditions() {
        let mut record = queue();
        let topic = "arn:aws:sns:eu-west-1:000000000000:news";
        let allow = json!({ "Statement": [{
            "Effect": "Allow", "Principal": { "Service": "sns.amazonaws.com" }, "Action": "sqs:SendMessage",
            "Resource": record.key.arn(), "Condition": { "ArnEquals": { "aws:SourceArn": topic } },
        }]});
        let sns = Asker::Service("sns.amazonaws.com");
        assert!(!may(&record, sns, "sqs:SendMessage", &[("aws:SourceArn", topic)]));
        record.settings.policy = Some(allow.to_string());
        assert!(may(&record, sns, "sqs:SendMessage", &[("aws:SourceArn", topic)]));
        assert!(!may(&record, sns, "sqs:SendMessage", &[("aws:SourceArn", "arn:aws:sns:eu-west-1:0:other")]));
        assert!(!may(&record, sns, "sqs:SendMessage", &[]));
    }
}
