//! ListFunctions and ListVersionsByFunction.

use lambent_core::ids::{FunctionName, Version};
use lambent_store::functions::FunctionRecord;
use lambent_wire::{Response, json_response};
use serde_json::json;

use super::check::Check;
use super::page::Page;
use super::{Call, answer, rules, target};
use crate::Functions;
use crate::engine::versions;
use crate::error::Error;

/// API: MaxItems of both operations.
const MAX_ITEMS_MAX: i64 = 10_000;

pub async fn functions(functions: &Functions, call: Call<'_>) -> Result<Response, Error> {
    let mut check = Check::default();
    let page = Page::read(&call, &mut check, MAX_ITEMS_MAX)?;
    let all_versions = call.request.query_value("FunctionVersion");
    if let Some(which) = all_versions {
        check.choice("functionVersion", which, &["ALL"]);
    }
    let master_region = call.request.query_value("MasterRegion");
    if let Some(region) = master_region {
        check.text("masterRegion", region, &rules::MASTER_REGION);
    }
    check.finish()?;
    match master_region {
        Some(_) if all_versions.is_none() => return Err(Error::MasterRegionNeedsAll),
        // A region asks for copies of functions that were replicated out of it: this node replicates none.
        Some(region) if region != "ALL" => return Ok(json_response(200, &json!({ "Functions": [] }))),
        _ => {}
    }
    match all_versions {
        Some(_) => with_versions(functions, &call, &page),
        None => latest_only(functions, &call, &page),
    }
}

fn latest_only(functions: &Functions, call: &Call<'_>, page: &Page) -> Result<Response, Error> {
    let after = page.after.as_deref().map(FunctionName::new).transpose().map_err(|_| Error::BadMarker)?;
    let caller = &call.request.caller;
    let store = &functions.deps.store;
    let found = store.list_functions(&caller.account, &caller.region, after.as_ref(), page.limit + 1);
    let (shown, next) = page.cut(found, |record| record.key.name.to_string());
    let listed: Vec<_> = shown.iter().map(|record| answer::listed(record, &record.latest, None)).collect();
    Ok(answer_page("Functions", &listed, next))
}

/// Functions with all their versions, `$LATEST` first. A marker is a name and a version.
fn with_versions(functions: &Functions, call: &Call<'_>, page: &Page) -> Result<Response, Error> {
    let caller = &call.request.caller;
    let store = &functions.deps.store;
    let (mut after, mut shown): (Option<FunctionName>, Vec<_>) = (None, Vec::new());
    if let Some(marker) = &page.after {
        let (name, version) = marker.split_once(':').ok_or(Error::BadMarker)?;
        let name = FunctionName::new(name).map_err(|_| Error::BadMarker)?;
        let version = Version::parse(version).ok_or(Error::BadMarker)?;
        let key = lambent_store::functions::FunctionKey {
            account: caller.account.clone(),
            region: caller.region.clone(),
            name: name.clone(),
        };
        if let Some(record) = store.function(&key) {
            shown.extend(all_of(&record).into_iter().filter(|v| *v > version).map(|v| (record.clone(), v)));
        }
        after = Some(name);
    }
    while shown.len() <= page.limit {
        let records = store.list_functions(&caller.account, &caller.region, after.as_ref(), page.limit + 1);
        let Some(last) = records.last() else { break };
        after = Some(last.key.name.clone());
        for record in records {
            shown.extend(all_of(&record).into_iter().map(|version| (record.clone(), version)));
        }
    }
    let (shown, next) = page.cut(shown, |(record, version)| format!("{}:{version}", record.key.name));
    let listed: Vec<_> = shown
        .iter()
        .filter_map(|(record, version)| Some((record, versions::find(record, *version)?)))
        .map(|(record, version)| {
            let number = version.version.to_string();
            json!(answer::listed(record, &version, Some(&number)))
        })
        .collect();
    Ok(answer_page("Functions", &listed, next))
}

/// ListVersionsByFunction: `$LATEST`, then the published ones in their order.
pub async fn versions(functions: &Functions, call: Call<'_>) -> Result<Response, Error> {
    let mut check = Check::default();
    let page = Page::read(&call, &mut check, MAX_ITEMS_MAX)?;
    check.finish()?;
    let target = target::read(&call)?;
    let record = functions.record(&target)?;
    let after = match &page.after {
        Some(marker) => Some(Version::parse(marker).ok_or(Error::BadMarker)?),
        None => None,
    };
    let rest = all_of(&record).into_iter().filter(|version| after.is_none_or(|after| *version > after));
    let (shown, next) = page.cut(rest, Version::to_string);
    let listed: Vec<_> = shown
        .iter()
        .filter_map(|version| versions::find(&record, *version))
        .map(|version| {
            let number = version.version.to_string();
            json!(answer::listed(&record, &version, Some(&number)))
        })
        .collect();
    Ok(answer_page("Versions", &listed, next))
}

fn all_of(record: &FunctionRecord) -> Vec<Version> {
    std::iter::once(Version::Latest).chain(record.versions.keys().map(|n| Version::Published(*n))).collect()
}

/// A list and, when there is more, the marker of the next page.
pub fn answer_page(member: &str, items: &impl serde::Serialize, next: Option<String>) -> Response {
    let mut body = json!({ member: items });
    if let Some(next) = next {
        body["NextMarker"] = next.into();
    }
    json_response(200, &body)
}
