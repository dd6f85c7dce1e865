//! Resource policies: the statements of AddPermission, the document that they make, and what it grants.

use lambent_core::arn;
use lambent_core::ids::{AccountId, RevisionId};
use lambent_store::functions::{FunctionKey, FunctionRecord, PolicyRecord, StatementRecord, UrlAuth};
use serde::Serialize;
use serde_json::{Map, Value, json};

use super::{next, require_revision, versions};
use crate::error::Error;

/// Quotas: function resource-based policy, 20 KB.
const POLICY_BYTES_MAX: usize = 20 * 1024;

const URL_ACTION: &str = "lambda:InvokeFunctionUrl";
const INVOKE_ACTION: &str = "lambda:InvokeFunction";

/// AddPermission. `revision` is the policy's new one.
pub fn add(
    record: &FunctionRecord,
    qualifier: Option<&str>,
    statement: StatementRecord,
    expected: Option<&str>,
    revision: RevisionId,
) -> Result<FunctionRecord, Error> {
    if qualifier == Some("$LATEST") {
        return Err(Error::PolicyOnLatest);
    }
    if statement.function_url_auth_type.is_some() && statement.action != URL_ACTION {
        return Err(Error::AuthTypeWithoutUrlAction);
    }
    if !is_principal(&statement.principal) {
        return Err(Error::InvalidPrincipal);
    }
    versions::resolve(record, qualifier, || 1.0)?;
    let key = qualifier.unwrap_or_default().to_owned();
    let mut statements = match record.policies.get(&key) {
        Some(policy) => {
            require_revision(expected, &policy.revision, "GetPolicy")?;
            policy.statements.clone()
        }
        None if expected.is_some() => return Err(Error::RevisionMismatch { api: "GetPolicy" }),
        None => Vec::new(),
    };
    if statements.iter().any(|s| s.id == statement.id) {
        return Err(Error::StatementExists { id: statement.id });
    }
    statements.push(statement);
    let policy = PolicyRecord { revision, statements };
    let bytes = document(record, qualifier, &policy).len();
    if bytes > POLICY_BYTES_MAX {
        return Err(Error::PolicyTooLong { bytes, max_bytes: POLICY_BYTES_MAX });
    }
    let mut record = next(record);
    record.policies.insert(key, policy);
    Ok(record)
}

/// RemovePermission.
pub fn remove(
    record: &FunctionRecord,
    qualifier: Option<&str>,
    id: &str,
    expected: Option<&str>,
    revision: RevisionId,
) -> Result<FunctionRecord, Error> {
    versions::resolve(record, qualifier, || 1.0)?;
    let key = qualifier.unwrap_or_default();
    let policy = record.policies.get(key).ok_or(Error::NoPolicy)?;
    if policy.statements.iter().all(|s| s.id != id) {
        return Err(Error::StatementNotFound { id: id.to_owned() });
    }
    require_revision(expected, &policy.revision, "GetPolicy")?;
    let statements: Vec<_> = policy.statements.iter().filter(|s| s.id != id).cloned().collect();
    let mut record = next(record);
    match statements.is_empty() {
        true => record.policies.remove(key),
        false => record.policies.insert(key.to_owned(), PolicyRecord { revision, statements }),
    };
    Ok(record)
}

/// GetPolicy.
pub fn find<'a>(record: &'a FunctionRecord, qualifier: Option<&str>) -> Result<&'a PolicyRecord, Error> {
    versions::resolve(record, qualifier, || 1.0)?;
    record.policies.get(qualifier.unwrap_or_default()).ok_or(Error::ResourceNotFound)
}

/// The policy as the reference prints it.
pub fn document(record: &FunctionRecord, qualifier: Option<&str>, policy: &PolicyRecord) -> String {
    let statements = policy.statements.iter().map(|s| printed(record, qualifier, s)).collect();
    print(&Document { version: "2012-10-17", id: "default", statement: statements })
}

/// One statement of it.
pub fn statement(record: &FunctionRecord, qualifier: Option<&str>, s: &StatementRecord) -> String {
    print(&printed(record, qualifier, s))
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Document<'a> {
    version: &'static str,
    id: &'static str,
    statement: Vec<Statement<'a>>,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Statement<'a> {
    sid: &'a str,
    effect: &'static str,
    principal: Value,
    action: &'a str,
    resource: String,
    #[serde(skip_serializing_if = "Map::is_empty")]
    condition: Map<String, Value>,
}

fn print(document: &impl Serialize) -> String {
    serde_json::to_string(document).expect("a policy is plain data with text keys")
}

fn printed<'a>(record: &FunctionRecord, qualifier: Option<&str>, s: &'a StatementRecord) -> Statement<'a> {
    let FunctionKey { account, region, name } = &record.key;
    Statement {
        sid: &s.id,
        effect: "Allow",
        principal: principal(&s.principal),
        action: &s.action,
        resource: match qualifier {
            Some(qualifier) => arn::function_qualified(region, account, name, qualifier),
            None => arn::function(region, account, name),
        },
        condition: conditions(s),
    }
}

fn conditions(s: &StatementRecord) -> Map<String, Value> {
    let mut equals = Map::new();
    let mut put = |key: &str, value: &Option<String>| {
        if let Some(value) = value {
            equals.insert(key.to_owned(), value.clone().into());
        }
    };
    put("AWS:SourceAccount", &s.source_account);
    put("lambda:EventSourceToken", &s.event_source_token);
    put("aws:PrincipalOrgID", &s.principal_org_id);
    put("lambda:FunctionUrlAuthType", &s.function_url_auth_type);
    let mut conditions = Map::new();
    if !equals.is_empty() {
        conditions.insert("StringEquals".into(), equals.into());
    }
    if let Some(source) = &s.source_arn {
        conditions.insert("ArnLike".into(), json!({ "AWS:SourceArn": source }));
    }
    if let Some(via_url) = s.invoked_via_function_url {
        conditions.insert("Bool".into(), json!({ "lambda:InvokedViaFunctionUrl": via_url.to_string() }));
    }
    conditions
}

fn principal(text: &str) -> Value {
    match text {
        "*" => json!("*"),
        account if is_account(account) => json!({ "AWS": format!("arn:aws:iam::{account}:root") }),
        arn if arn.starts_with("arn:") => json!({ "AWS": arn }),
        service => json!({ "Service": service }),
    }
}

/// A principal is everybody, an account, an identity's ARN or a service.
fn is_principal(text: &str) -> bool {
    let is_identity = |t: &str| {
        t.starts_with("arn:aws") && (t.contains(":iam::") || t.contains(":sts::")) && !t.contains('*')
    };
    let is_service = |t: &str| {
        let label = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '.');
        t.contains('.')
            && t.chars().all(label)
            && (t.ends_with(".amazonaws.com") || t.ends_with(".amazon.com"))
    };
    text == "*" || is_account(text) || is_identity(text) || is_service(text)
}

fn is_account(text: &str) -> bool {
    AccountId::new(text).is_ok()
}

/// How a call comes, for the conditions of a statement.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Way {
    Direct,
    /// Through a function URL of this kind.
    Url(UrlAuth),
}

/// Who calls: an identity whose signature was verified, or anybody.
#[derive(Debug, Clone, Copy)]
pub struct Asker<'a> {
    pub account: &'a AccountId,
    pub arn: &'a str,
}

/// Whether the policy lets an identity of another account invoke the function by this qualifier.
pub fn grants_invoke(record: &FunctionRecord, qualifier: Option<&str>, asker: Asker<'_>) -> bool {
    grants(record, qualifier, INVOKE_ACTION, Some(asker), Way::Direct)
}

/// A service that calls on somebody's behalf.
#[derive(Debug, Clone, Copy)]
pub struct Agent<'a> {
    /// `events.amazonaws.com`.
    pub service: &'a str,
    /// What it calls for.
    pub source_arn: &'a str,
    pub source_account: &'a str,
}

/// Whether the policy lets a service invoke the function by this qualifier, for this source.
pub fn grants_service(record: &FunctionRecord, qualifier: Option<&str>, agent: Agent<'_>) -> bool {
    let Some(policy) = record.policies.get(qualifier.unwrap_or_default()) else { return false };
    policy.statements.iter().any(|s| {
        let speaks_of_it = matches!(s.action.as_str(), INVOKE_ACTION | "*" | "lambda:*");
        let fits_source = s.source_arn.as_deref().is_none_or(|like| arn_like(like, agent.source_arn))
            && s.source_account.as_deref().is_none_or(|account| account == agent.source_account);
        let asks_for_more = s.event_source_token.is_some() || s.principal_org_id.is_some();
        let names_agent = s.principal == "*" || s.principal == agent.service;
        speaks_of_it && names_agent && fits_source && !asks_for_more && fits_way(s, Way::Direct)
    })
}

/// ArnLike: part by part, each with its wildcards.
fn arn_like(pattern: &str, arn: &str) -> bool {
    let (mut patterns, mut parts) = (pattern.splitn(6, ':'), arn.splitn(6, ':'));
    loop {
        match (patterns.next(), parts.next()) {
            (None, None) => return true,
            (Some(pattern), Some(part)) if like(pattern.as_bytes(), part.as_bytes()) => {}
            _ => return false,
        }
    }
}

/// `*` stands for any text and `?` for any byte.
fn like(pattern: &[u8], text: &[u8]) -> bool {
    let (mut p, mut t) = (0, 0);
    // Where to go on when the last star has to take one byte more.
    let mut retry = None;
    while t < text.len() {
        match pattern.get(p) {
            Some(b'*') => {
                retry = Some((p + 1, t));
                p += 1;
            }
            Some(b) if *b == b'?' || *b == text[t] => (p, t) = (p + 1, t + 1),
            _ => match retry {
                Some((after_star, from)) => {
                    (p, t) = (after_star, from + 1);
                    retry = Some((after_star, from + 1));
                }
                None => return false,
            },
        }
    }
    pattern[p..].iter().all(|b| *b == b'*')
}

/// Whether a request may pass the function's URL. The reference asks for two permissions: to use the URL, and to
/// invoke the function by it. An identity of the function's own account has both.
pub fn grants_url(
    record: &FunctionRecord,
    qualifier: Option<&str>,
    auth: UrlAuth,
    asker: Option<Asker<'_>>,
) -> bool {
    if auth == UrlAuth::AwsIam && asker.is_some_and(|asker| *asker.account == record.key.account) {
        return true;
    }
    let allows = |action: &str| grants(record, qualifier, action, asker, Way::Url(auth));
    allows(URL_ACTION) && allows(INVOKE_ACTION)
}

/// Whether a statement fits. One with conditions on the source or the organisation speaks of calls by services
/// and of organisations, and never fits a call by a single identity or by nobody.
fn grants(
    record: &FunctionRecord,
    qualifier: Option<&str>,
    action: &str,
    asker: Option<Asker<'_>>,
    way: Way,
) -> bool {
    let Some(policy) = record.policies.get(qualifier.unwrap_or_default()) else { return false };
    policy.statements.iter().any(|s| {
        let speaks_of_it = s.action == action || matches!(s.action.as_str(), "*" | "lambda:*");
        let names_asker = s.principal == "*" || asker.is_some_and(|asker| names(&s.principal, asker));
        let speaks_of_sources = s.source_arn.is_some()
            || s.source_account.is_some()
            || s.event_source_token.is_some()
            || s.principal_org_id.is_some();
        speaks_of_it && names_asker && !speaks_of_sources && fits_way(s, way)
    })
}

fn names(principal: &str, asker: Asker<'_>) -> bool {
    let Asker { account, arn } = asker;
    principal == account.as_str() || principal == arn || principal == format!("arn:aws:iam::{account}:root")
}

fn fits_way(s: &StatementRecord, way: Way) -> bool {
    let auth_type = match way {
        Way::Direct => None,
        Way::Url(UrlAuth::None) => Some("NONE"),
        Way::Url(UrlAuth::AwsIam) => Some("AWS_IAM"),
    };
    let by_url = way != Way::Direct;
    s.function_url_auth_type.as_deref().is_none_or(|wanted| Some(wanted) == auth_type)
        && s.invoked_via_function_url.is_none_or(|wanted| wanted == by_url)
}

#[cfg(test)]
mod tests {
    use super::arn_like;

    #[test]
    fn an_arn_is_like_a_pattern_part_by_part() {
        let arn = "arn:aws:events:eu-west-1:123456789012:rule/bus/name";
        for like in
            [arn, "arn:aws:events:*:*:rule/*", "arn:*:events:eu-west-?:123456789012:*/n*e", "*:*:*:*:*:*"]
        {
            assert!(arn_like(like, arn), "{like}");
        }
        for unlike in [
            "",
            "*",
            "arn:aws:events:*:rule/*",
            "arn:aws:events:*:*:rule/bus",
            "arn:aws:s3:*:*:*",
            "*:*:*:*:*:*?x",
        ] {
            assert!(!arn_like(unlike, arn), "{unlike}");
        }
    }
}
