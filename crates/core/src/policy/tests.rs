use super::*;

const QUEUE: &str = "arn:aws:sqs:eu-west-1:000000000000:jobs";

fn one(effect: Effect) -> Statement {
    Statement {
        sid: None,
        effect,
        principal: Some(Principals::Anybody("*".into())),
        not_principal: None,
        action: Some(OneOrMany::One("SQS:Send*".into())),
        not_action: None,
        resource: Some(OneOrMany::One(QUEUE.into())),
        not_resource: None,
        condition: Conditions::default(),
    }
}

fn policy(statements: Vec<Statement>) -> Policy {
    Policy { version: None, id: None, statement: OneOrMany::Many(statements) }
}

fn account() -> AccountId {
    AccountId::new("111122223333").unwrap()
}

fn judge(policy: &Policy, asker: Asker<'_>, action: &str) -> Verdict {
    policy.judge(&Asked { asker, action, resource: QUEUE, context: &[] })
}

#[test]
fn a_deny_wins_and_silence_is_neither() {
    let account = account();
    let asker = Asker::Identity { account: &account, arn: "arn:aws:iam::111122223333:root" };
    let allowing = policy(vec![one(Effect::Allow)]);
    assert_eq!(judge(&allowing, asker, "sqs:SendMessage"), Verdict::Allowed);
    assert_eq!(judge(&allowing, asker, "sqs:ReceiveMessage"), Verdict::Silent);
    let both = policy(vec![one(Effect::Allow), one(Effect::Deny)]);
    assert_eq!(judge(&both, asker, "sqs:SendMessage"), Verdict::Denied);
}

#[test]
fn principals_are_accounts_roles_and_services() {
    let account = account();
    let session = "arn:aws:sts::111122223333:assumed-role/worker/f";
    let identity = Asker::Identity { account: &account, arn: session };
    for (kind, text, is_identity, is_service) in [
        ("AWS", "111122223333", true, false),
        ("AWS", "arn:aws:iam::111122223333:root", true, false),
        ("AWS", "arn:aws:iam::111122223333:role/worker", true, false),
        ("AWS", session, true, false),
        ("AWS", "*", true, false),
        ("AWS", "arn:aws:iam::111122223333:role/other", false, false),
        ("AWS", "444455556666", false, false),
        ("Service", "sns.amazonaws.com", false, true),
        ("Service", "s3.amazonaws.com", false, false),
    ] {
        let named = Principals::Kinds([(kind.to_owned(), OneOrMany::One(text.to_owned()))].into());
        let policy = policy(vec![Statement { principal: Some(named), ..one(Effect::Allow) }]);
        let allows = |asker| judge(&policy, asker, "sqs:SendMessage") == Verdict::Allowed;
        assert_eq!(
            (allows(identity), allows(Asker::Service("sns.amazonaws.com"))),
            (is_identity, is_service)
        );
    }
}

#[test]
fn stars_match_any_text_and_question_marks_one_character() {
    for (pattern, text, fits) in [
        ("*", "", true),
        ("a*c", "abbc", true),
        ("a*c", "abbd", false),
        ("a?c", "abc", true),
        ("a?c", "ac", false),
        ("*b*b*", "abab", true),
        ("", "a", false),
        ("A", "a", false),
    ] {
        assert_eq!(matches(pattern, text, false), fits, "{pattern} {text}");
    }
    assert!(matches("SQS:*", "sqs:SendMessage", true));
    // A pattern of many stars ends soon.
    assert!(!matches(&"*a".repeat(200), &"a".repeat(150), false));
}
