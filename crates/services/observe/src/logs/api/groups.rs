//! CreateLogGroup, DeleteLogGroup, DescribeLogGroups, and how a request names a group.

use lambent_core::arn::{self, Arn};
use lambent_store::logs::{Command, GroupQuery, GroupRecord};
use lambent_wire::Fault;
use serde::Serialize;

use super::limits::{
    DESCRIBE_MAX, GROUP_IDENTIFIER, GROUP_NAME, GROUP_NAME_PATTERN, TAG_KEY, TAG_VALUE, TAGS_MAX, TOKEN,
};
use super::{Answer, Call, Scope, fault, json};

const CLASSES: [&str; 3] = ["STANDARD", "INFREQUENT_ACCESS", "DELIVERY"];

/// API reference, CreateLogGroup: names can't begin with this.
const RESERVED_PREFIX: &str = "aws/";

pub async fn create(mut call: Call<'_>) -> Answer {
    let name = call.input.required_text("logGroupName", GROUP_NAME)?;
    let tags = call.input.text_map("tags", (TAG_KEY, TAG_VALUE), TAGS_MAX)?.unwrap_or_default();
    let class = call.input.one_of("logGroupClass", &CLASSES)?;
    let protected = call.input.flag("deletionProtectionEnabled")?;
    call.input.finish()?;
    super::tags::refuse_reserved(tags.keys())?;
    if name.get(..RESERVED_PREFIX.len()).is_some_and(|start| start.eq_ignore_ascii_case(RESERVED_PREFIX)) {
        return Err(fault::invalid("Log groups starting with AWS/ are reserved for AWS."));
    }
    if let Some(class) = class.filter(|class| class != "STANDARD") {
        return Err(fault::unsupported_value("logGroupClass", &class));
    }
    if protected == Some(true) {
        return Err(fault::unsupported_value("deletionProtectionEnabled", "true"));
    }
    // Lines of functions may be about to create it; then it exists, as the reference would have it.
    let key = call.group_key(&name);
    call.logs.sink.flush(Scope::Group(key.clone())).await;
    let created = call.logs.clock.now();
    call.apply(Command::CreateGroup { key, created, tags }).await
}

pub async fn delete(mut call: Call<'_>) -> Answer {
    let name = call.input.required_text("logGroupName", GROUP_NAME)?;
    call.input.finish()?;
    let key = call.group_key(&name);
    // Lines that were appended before belong to the group that goes, not to a new one.
    call.logs.sink.flush(Scope::Group(key.clone())).await;
    call.apply(Command::DeleteGroup { key }).await
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Groups {
    log_groups: Vec<Group>,
    #[serde(skip_serializing_if = "Option::is_none")]
    next_token: Option<String>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Group {
    log_group_name: String,
    creation_time: u64,
    arn: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    retention_in_days: Option<u32>,
    #[serde(flatten)]
    rest: Option<Rest>,
}

/// What the reference leaves out of an answer to a name pattern.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Rest {
    metric_filter_count: u32,
    stored_bytes: u64,
    log_group_class: &'static str,
    log_group_arn: String,
}

pub async fn describe(mut call: Call<'_>) -> Answer {
    let prefix = call.input.text("logGroupNamePrefix", GROUP_NAME)?;
    let pattern = call.input.text("logGroupNamePattern", GROUP_NAME_PATTERN)?.filter(|p| !p.is_empty());
    let identifiers = call.input.texts("logGroupIdentifiers", GROUP_IDENTIFIER, (1, 50))?;
    let class = call.input.one_of("logGroupClass", &CLASSES)?;
    let linked = call.input.flag("includeLinkedAccounts")?;
    let token = call.input.text("nextToken", TOKEN)?;
    let limit = call.input.number("limit", 1, DESCRIBE_MAX)?.unwrap_or(DESCRIBE_MAX);
    call.input.finish()?;
    if linked == Some(true) {
        return Err(fault::unsupported_value("includeLinkedAccounts", "true"));
    }
    if prefix.is_some() && pattern.is_some() {
        return Err(fault::invalid(
            "LogGroup name prefix and LogGroup name pattern are mutually exclusive parameters.",
        ));
    }
    if identifiers.is_some() && (prefix.is_some() || pattern.is_some() || class.is_some()) {
        return Err(fault::invalid("logGroupIdentifiers can't be combined with another filter."));
    }
    call.logs.sink.flush(Scope::All).await;
    let brief = pattern.is_some();
    let limit = usize::try_from(limit).unwrap_or(1);
    let groups = match (identifiers, class.as_deref()) {
        (Some(identifiers), _) => named(&call, &identifiers).await?,
        // Groups of other classes can't be made here, so there are none.
        (None, Some("INFREQUENT_ACCESS" | "DELIVERY")) => Vec::new(),
        (None, _) => {
            let query = GroupQuery {
                account: call.caller.account.clone(),
                region: call.caller.region.clone(),
                prefix: prefix.unwrap_or_default(),
                contains: pattern,
                after: token.map(|token| read_token(&token)).transpose()?,
                limit: limit + 1,
            };
            call.logs.store.list_groups(query).await.map_err(fault::store)?
        }
    };
    let next = groups.get(limit).and(groups.get(limit - 1)).map(|last| write_token(&last.key.name));
    let log_groups = groups.iter().take(limit).map(|record| group(record, brief)).collect();
    json(&Groups { log_groups, next_token: next })
}

/// The groups of this account and region among those that are named.
async fn named(call: &Call<'_>, identifiers: &[String]) -> Result<Vec<GroupRecord>, Fault> {
    let mut groups = Vec::new();
    for identifier in identifiers {
        let Ok(name) = name_of(call, identifier) else { continue };
        groups.extend(call.logs.store.group(&call.group_key(&name)).await.map_err(fault::store)?);
    }
    groups.sort_by(|a, b| a.key.cmp(&b.key));
    groups.dedup_by(|a, b| a.key == b.key);
    Ok(groups)
}

fn group(record: &GroupRecord, brief: bool) -> Group {
    let arn = arn::log_group(&record.key.region, &record.key.account, &record.key.name);
    let rest = Rest {
        metric_filter_count: 0,
        stored_bytes: record.stored_bytes,
        log_group_class: "STANDARD",
        log_group_arn: arn.clone(),
    };
    Group {
        log_group_name: record.key.name.to_string(),
        creation_time: record.created.as_millis(),
        arn: format!("{arn}:*"),
        retention_in_days: record.retention_days.filter(|_| !brief),
        rest: (!brief).then_some(rest),
    }
}

/// A list's token is the last name of its page, not to be mistaken for a name.
pub fn write_token(name: &str) -> String {
    use base64::Engine;
    base64::engine::general_purpose::STANDARD.encode(name)
}

pub fn read_token(token: &str) -> Result<String, Fault> {
    use base64::Engine;
    let bytes = base64::engine::general_purpose::STANDARD.decode(token).map_err(|_| fault::bad_token())?;
    String::from_utf8(bytes).map_err(|_| fault::bad_token())
}

/// Takes `logGroupName` or `logGroupIdentifier`, of which a request has just one. The name is judged by
/// [`named_by`], after the input is known to be sound.
pub struct Reference {
    name: Option<String>,
    identifier: Option<String>,
}

pub fn take_reference(call: &mut Call<'_>) -> Result<Reference, Fault> {
    let name = call.input.text("logGroupName", GROUP_NAME)?;
    let identifier = call.input.text("logGroupIdentifier", GROUP_IDENTIFIER)?;
    Ok(Reference { name, identifier })
}

/// The name of the group that the request means.
pub fn named_by(call: &Call<'_>, reference: Reference) -> Result<String, Fault> {
    match (reference.name, reference.identifier) {
        (Some(name), None) => Ok(name),
        (None, Some(identifier)) => name_of(call, &identifier),
        (Some(_), Some(_)) => {
            Err(fault::invalid("LogGroup name and LogGroup identifier are mutually exclusive parameters."))
        }
        (None, None) => Err(fault::invalid("Either LogGroup name or LogGroup identifier must be specified.")),
    }
}

/// The group's name out of a name or an ARN. Another account's or region's group is not there.
pub fn name_of(call: &Call<'_>, identifier: &str) -> Result<String, Fault> {
    if !identifier.starts_with("arn:") {
        return Ok(identifier.to_owned());
    }
    let malformed = || fault::invalid("The specified ARN is not a log group's.");
    let arn = Arn::parse(identifier).filter(|arn| arn.service == "logs").ok_or_else(malformed)?;
    let name = arn.resource.strip_prefix("log-group:").ok_or_else(malformed)?;
    let name = name.strip_suffix(":*").unwrap_or(name);
    if name.is_empty() || name.contains(':') {
        return Err(malformed());
    }
    let own = arn.account == call.caller.account.as_str() && arn.region == call.caller.region.as_str();
    if own { Ok(name.to_owned()) } else { Err(fault::no_group()) }
}
