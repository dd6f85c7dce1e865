//! Resource policies of buses: what PutPermission makes of them, and what they grant. Pure.

use serde_json::{Map, Value, json};

const PUT_EVENTS: &str = "events:PutEvents";

/// Whether a policy lets an identity of another account put events. A statement with a condition speaks of
/// organisations and the like, which nobody here belongs to.
pub fn grants(policy: &str, account: &str) -> bool {
    let Ok(policy) = serde_json::from_str::<Value>(policy) else { return false };
    let fits = |statement: &Value| {
        speaks_of(statement, "Action", |action| matches!(action, PUT_EVENTS | "events:*" | "*"))
            && names(statement, account)
    };
    let fitting: Vec<&Value> = statements(&policy).into_iter().filter(|statement| fits(statement)).collect();
    let is_denied = fitting.iter().any(|statement| statement["Effect"] == "Deny");
    let allows = |statement: &Value| statement["Effect"] == "Allow" && statement.get("Condition").is_none();
    !is_denied && fitting.into_iter().any(allows)
}

fn statements(policy: &Value) -> Vec<&Value> {
    match &policy["Statement"] {
        Value::Array(statements) => statements.iter().collect(),
        statement @ Value::Object(_) => vec![statement],
        _ => Vec::new(),
    }
}

/// Whether a member, a text or a list of texts, has one that fits.
fn speaks_of(statement: &Value, member: &str, fits: impl Fn(&str) -> bool) -> bool {
    match &statement[member] {
        Value::String(text) => fits(text),
        Value::Array(texts) => texts.iter().filter_map(Value::as_str).any(fits),
        _ => false,
    }
}

fn names(statement: &Value, account: &str) -> bool {
    let is_account =
        |text: &str| text == "*" || text == account || text == format!("arn:aws:iam::{account}:root");
    match &statement["Principal"] {
        Value::String(text) => text == "*",
        principal => speaks_of(principal, "AWS", is_account),
    }
}

/// Whether a text is a policy: an object with statements that have an effect.
pub fn is_policy(text: &str) -> bool {
    let Ok(policy @ Value::Object(_)) = serde_json::from_str::<Value>(text) else { return false };
    let statements = statements(&policy);
    let is_statement = |statement: &&Value| {
        matches!(statement["Effect"].as_str(), Some("Allow" | "Deny"))
            && statement.get("Action").is_some()
            && statement.get("Principal").is_some()
    };
    !statements.is_empty() && statements.iter().all(is_statement)
}

/// A statement as PutPermission makes it. `condition` is its type, key and value.
pub fn statement(
    id: &str,
    action: &str,
    principal: &str,
    bus_arn: &str,
    condition: Option<&(String, String, String)>,
) -> Value {
    let principal = match principal {
        "*" => json!("*"),
        account => json!({ "AWS": format!("arn:aws:iam::{account}:root") }),
    };
    let mut made = json!({
        "Sid": id, "Effect": "Allow", "Principal": principal, "Action": action, "Resource": bus_arn,
    });
    if let Some((kind, key, value)) = condition {
        made["Condition"] = json!({ kind: { key: value } });
    }
    made
}

/// The policy with the statement, in the place of one of the same name.
pub fn with(policy: Option<&str>, statement: Value) -> String {
    let mut kept = others(policy, statement["Sid"].as_str().unwrap_or_default());
    kept.push(statement);
    json!({ "Version": "2012-10-17", "Statement": kept }).to_string()
}

/// The policy without the statement: `None` when it has no such, `Some(None)` when nothing is left.
pub fn without(policy: &str, id: &str) -> Option<Option<String>> {
    let parsed: Value = serde_json::from_str(policy).ok()?;
    let kept = others(Some(policy), id);
    if kept.len() == statements(&parsed).len() {
        return None;
    }
    let mut policy = parsed.as_object().cloned().unwrap_or_else(Map::new);
    let is_empty = kept.is_empty();
    policy.insert("Statement".to_owned(), kept.into());
    Some((!is_empty).then(|| Value::Object(policy).to_string()))
}

fn others(policy: Option<&str>, id: &str) -> Vec<Value> {
    let policy = policy.and_then(|policy| serde_json::from_str(policy).ok()).unwrap_or(Value::Null);
    statements(&policy).into_iter().filter(|statement| statement["Sid"] != id).cloned().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const OTHER: &str = "111111111111";

    #[test]
    fn a_policy_grants_what_its_statements_say() {
        let condition = ("StringEquals".to_owned(), "aws:PrincipalOrgID".to_owned(), "o-1".to_owned());
        let policy =
            |principal, condition| with(None, statement("s", PUT_EVENTS, principal, "arn", condition));
        assert!(grants(&policy(OTHER, None), OTHER) && grants(&policy("*", None), OTHER));
        assert!(
            !grants(&policy("222222222222", None), OTHER) && !grants(&policy("*", Some(&condition)), OTHER)
        );
        let denied =
            json!({ "Sid": "d", "Effect": "Deny", "Principal": { "AWS": [OTHER] }, "Action": ["events:*"] });
        assert!(!grants(&with(Some(&policy("*", None)), denied), OTHER));
        for bad in ["", "{}", "[]", r#"{"Statement":[{"Effect":"Allow"}]}"#] {
            assert!(!grants(bad, OTHER) && !is_policy(bad), "{bad}");
        }
        assert!(is_policy(&policy(OTHER, None)));
    }

    #[test]
    fn statements_are_replaced_and_taken_out_by_name() {
        let one = statement("a", PUT_EVENTS, "*", "arn", None);
        let two = statement("b", PUT_EVENTS, OTHER, "arn", None);
        let policy = with(Some(&with(Some(&with(None, one.clone())), two)), one);
        assert_eq!(policy.matches("Sid").count(), 2);
        assert_eq!(without(&policy, "c"), None);
        let left = without(&policy, "a").unwrap().unwrap();
        assert!(left.contains(OTHER) && !left.contains("\"a\""));
        assert_eq!(without(&left, "b"), Some(None));
    }
}
