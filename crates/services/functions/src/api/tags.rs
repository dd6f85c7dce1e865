//! TagResource, UntagResource and ListTags, for functions and event source mappings.

use std::collections::BTreeMap;

use lambent_core::arn::Arn;
use lambent_wire::{Response, json_response};
use serde_json::json;

use super::body::Body;
use super::check::{Check, pattern_constraint};
use super::target::{self, Target};
use super::{Call, empty, event_source_mappings};
use crate::Functions;
use crate::engine::{egress, tags};
use crate::error::{Error, ShownValue};

const RESOURCE_PATTERN: &str = r"arn:(aws[a-zA-Z-]*):lambda:[a-z]{2}((-gov)|(-iso([a-z]?)))?-[a-z]+-\d{1}:\d{12}:(function:[a-zA-Z0-9-_]+(:(\$LATEST|[a-zA-Z0-9-_]+))?|code-signing-config:csc-[a-z0-9]{17}|event-source-mapping:[a-f0-9]{8}-[a-f0-9]{4}-[a-f0-9]{4}-[a-f0-9]{4}-[a-f0-9]{12}|capacity-provider:[a-zA-Z0-9-_]+)";

pub async fn add(functions: &Functions, call: Call<'_>) -> Result<Response, Error> {
    let resource = read(&call)?;
    let mut body = Body::parse(&call.request.body)?;
    let mut check = Check::default();
    let new = body.text_map("Tags")?;
    if new.is_none() {
        check.missing("tags");
    }
    check.finish()?;
    let new = new.unwrap_or_default();
    let target = match resource {
        Resource::Function(target) => target,
        Resource::Mapping(id) => {
            return event_source_mappings::retag(functions, &call, &id, |tags| tags.extend(new.clone()))
                .await;
        }
    };
    change(functions, &target, |record| tags::add(record, &new)).await
}

pub async fn remove(functions: &Functions, call: Call<'_>) -> Result<Response, Error> {
    let resource = read(&call)?;
    let query = &call.request.query;
    let keys: Vec<String> = query.iter().filter(|(n, _)| n == "tagKeys").map(|(_, v)| v.clone()).collect();
    if keys.is_empty() {
        let mut check = Check::default();
        check.missing("tagKeys");
        check.finish()?;
    }
    match resource {
        Resource::Function(target) => {
            change(functions, &target, |record| Ok(tags::remove(record, &keys))).await
        }
        Resource::Mapping(id) => {
            let remove = |tags: &mut BTreeMap<String, String>| tags.retain(|key, _| !keys.contains(key));
            event_source_mappings::retag(functions, &call, &id, remove).await
        }
    }
}

pub async fn list(functions: &Functions, call: Call<'_>) -> Result<Response, Error> {
    let tags = match read(&call)? {
        Resource::Function(target) => functions.record(&target)?.tags.clone(),
        Resource::Mapping(id) => event_source_mappings::tagged(functions, &call, &id)?.tags.clone(),
    };
    Ok(json_response(200, &json!({ "Tags": tags })))
}

/// Stores changed tags. A tag may be the egress policy, which environments are made from.
async fn change(
    functions: &Functions,
    target: &Target,
    decide: impl Fn(
        &lambent_store::functions::FunctionRecord,
    ) -> Result<lambent_store::functions::FunctionRecord, Error>,
) -> Result<Response, Error> {
    let egress_changed = functions
        .change(target, |record| {
            let changed = decide(record)?;
            let differs = egress::of(&record.tags) != egress::of(&changed.tags);
            Ok((Some(changed), differs))
        })
        .await?;
    if egress_changed {
        functions.deps.invoke.retire(&target.arn(), None);
        functions.provision(&target.key);
    }
    Ok(empty(204))
}

/// What has tags.
enum Resource {
    Function(Target),
    /// By its UUID.
    Mapping(String),
}

/// The resource must be the caller's, by its whole ARN.
fn read(call: &Call<'_>) -> Result<Resource, Error> {
    let text = call.label("Resource");
    let mut check = Check::default();
    let arn = Arn::parse(text).filter(|arn| arn.service == "lambda");
    let Some(arn) = arn else {
        check.violate("resource", ShownValue::Text(text.to_owned()), pattern_constraint(RESOURCE_PATTERN));
        check.finish()?;
        return Err(Error::ResourceNotFound);
    };
    if let Some(id) = arn.resource.strip_prefix("event-source-mapping:") {
        let caller = &call.request.caller;
        let is_theirs = arn.account == caller.account.as_str() && arn.region == caller.region.as_str();
        return if is_theirs { Ok(Resource::Mapping(id.to_owned())) } else { Err(Error::ResourceNotFound) };
    }
    if !arn.resource.starts_with("function:") {
        // Resources that this node does not have can't be there.
        return Err(Error::ResourceNotFound);
    }
    let target = target::read_named(call, text, None)?;
    target::own_account_only(call, &target)?;
    if target.qualifier.is_some() {
        return Err(Error::TagsOnVersion);
    }
    Ok(Resource::Function(target))
}
