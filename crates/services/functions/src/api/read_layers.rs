//! GetLayerVersion, GetLayerVersionByArn, ListLayers, ListLayerVersions and DeleteLayerVersion.

use std::sync::Arc;

use lambent_core::arn;
use lambent_core::runtime::RUNTIMES;
use lambent_store::StoreError;
use lambent_store::functions::{Command, LayerKey, LayerVersionRecord};
use lambent_wire::{Response, json_response};
use serde_json::json;

use super::check::Check;
use super::list_functions::answer_page;
use super::page::Page;
use super::{Call, empty, layer_answer, rules};
use crate::Functions;
use crate::engine::layer::{self, Filter};
use crate::error::Error;

/// API: MaxItems of both lists.
const MAX_ITEMS_MAX: i64 = 50;

pub async fn get(functions: &Functions, call: Call<'_>) -> Result<Response, Error> {
    let mut check = Check::default();
    let key = layer_answer::read_key(&call, &mut check)?;
    check.finish()?;
    let number = layer_answer::read_number(&call)?;
    answer_version(functions, &key, number)
}

pub async fn get_by_arn(functions: &Functions, call: Call<'_>) -> Result<Response, Error> {
    let mut check = Check::default();
    let text = call.request.query_value("Arn").unwrap_or_default();
    match text {
        "" => check.missing("arn"),
        text => check.text("arn", text, &rules::LAYER_VERSION_ARN),
    }
    check.finish()?;
    let key = layer_answer::key(&call, text)?;
    let number = text.rsplit_once(':').and_then(|(_, number)| number.parse().ok());
    answer_version(functions, &key, number.ok_or(Error::ResourceNotFound)?)
}

fn answer_version(functions: &Functions, key: &LayerKey, number: u64) -> Result<Response, Error> {
    let layer = functions.deps.store.layer(key).ok_or(Error::ResourceNotFound)?;
    let version = layer.versions.get(&number).ok_or(Error::ResourceNotFound)?;
    Ok(json_response(200, &layer_answer::whole(functions, key, version)))
}

pub async fn list(functions: &Functions, call: Call<'_>) -> Result<Response, Error> {
    let mut check = Check::default();
    let page = Page::read(&call, &mut check, MAX_ITEMS_MAX)?;
    let filter = filter(&call, &mut check);
    check.finish()?;
    let caller = &call.request.caller;
    let store = &functions.deps.store;
    // Layers without a version that fits are not shown, so more than a page of them may have to be read.
    let mut after = page.after.clone();
    let mut found: Vec<(LayerKey, Arc<LayerVersionRecord>)> = Vec::new();
    while found.len() <= page.limit {
        let layers = store.list_layers(&caller.account, &caller.region, after.as_deref(), page.limit + 1);
        let Some(last) = layers.last() else { break };
        after = Some(last.key.name.clone());
        found.extend(layers.iter().filter_map(|layer| {
            let version = layer.versions.values().rev().find(|version| filter.takes(version))?;
            Some((layer.key.clone(), version.clone()))
        }));
    }
    let (shown, next) = page.cut(found, |(key, _)| key.name.clone());
    let listed: Vec<_> = shown
        .iter()
        .map(|(key, version)| {
            json!({
                "LayerName": key.name,
                "LayerArn": arn::layer(&key.region, &key.account, &key.name),
                "LatestMatchingVersion": layer_answer::listed(key, version),
            })
        })
        .collect();
    Ok(answer_page("Layers", &listed, next))
}

/// ListLayerVersions: the newest first.
pub async fn list_versions(functions: &Functions, call: Call<'_>) -> Result<Response, Error> {
    let mut check = Check::default();
    let key = layer_answer::read_key(&call, &mut check)?;
    let page = Page::read(&call, &mut check, MAX_ITEMS_MAX)?;
    let filter = filter(&call, &mut check);
    check.finish()?;
    let before: Option<u64> = match &page.after {
        Some(marker) => Some(marker.parse().map_err(|_| Error::BadMarker)?),
        None => None,
    };
    let layer = functions.deps.store.layer(&key);
    let versions = layer.iter().flat_map(|layer| layer.versions.values().rev());
    let rest = versions
        .filter(|version| before.is_none_or(|before| version.version < before) && filter.takes(version));
    let (shown, next) = page.cut(rest, |version| version.version.to_string());
    let listed: Vec<_> = shown.into_iter().map(|version| layer_answer::listed(&key, version)).collect();
    Ok(answer_page("LayerVersions", &listed, next))
}

/// DeleteLayerVersion. One that is not there is no error.
pub async fn delete(functions: &Functions, call: Call<'_>) -> Result<Response, Error> {
    let mut check = Check::default();
    let key = layer_answer::read_key(&call, &mut check)?;
    check.finish()?;
    let number = layer_answer::read_number(&call)?;
    while let Some(current) = functions.deps.store.layer(&key) {
        let Some(changed) = layer::delete(&current, number) else { break };
        let command = Command::PutLayer { record: Arc::new(changed), expected: current.generation };
        match functions.deps.store.apply(vec![command]).await {
            Ok(()) => break,
            // Another version came or went meanwhile.
            Err(StoreError::Conflict) => {}
            Err(StoreError::Unavailable { detail }) => return Err(Error::StoreUnavailable { detail }),
        }
    }
    Ok(empty(204))
}

fn filter(call: &Call<'_>, check: &mut Check) -> Filter {
    let runtime = call.request.query_value("CompatibleRuntime");
    if let Some(runtime) = runtime {
        let known: Vec<&str> = RUNTIMES.iter().map(|runtime| runtime.id).collect();
        check.choice("compatibleRuntime", runtime, &known);
    }
    let architecture = call.request.query_value("CompatibleArchitecture");
    if let Some(architecture) = architecture {
        check.choice("compatibleArchitecture", architecture, &["x86_64", "arm64"]);
    }
    Filter { runtime: runtime.map(str::to_owned), architecture: architecture.map(str::to_owned) }
}
