//! GetFunction and GetFunctionConfiguration.

use std::sync::Arc;

use lambent_store::functions::FunctionRecord;
use lambent_wire::{Response, json_response};
use serde_json::json;

use super::{Call, answer, target};
use crate::Functions;
use crate::engine::settle;
use crate::engine::versions::{self, Resolved};
use crate::error::Error;

/// GetFunction: the configuration, a link to the code, tags and concurrency.
pub async fn function(functions: &Functions, call: Call<'_>) -> Result<Response, Error> {
    let (record, found) = find(functions, &call).await?;
    let link = functions.links.make(
        &functions.deps.settings.public_endpoint,
        &found.version.code,
        functions.deps.clock.now(),
    );
    let mut body = json!({
        "Configuration": answer::configuration(&record, &found.version, found.qualifier.as_deref()),
        "Code": { "RepositoryType": "S3", "Location": link },
    });
    if !record.tags.is_empty() {
        body["Tags"] = json!(record.tags);
    }
    if let Some(reserved) = record.reserved_concurrency {
        body["Concurrency"] = json!({ "ReservedConcurrentExecutions": reserved });
    }
    Ok(json_response(200, &body))
}

/// GetFunctionConfiguration.
pub async fn configuration(functions: &Functions, call: Call<'_>) -> Result<Response, Error> {
    let (record, found) = find(functions, &call).await?;
    Ok(json_response(200, &answer::configuration(&record, &found.version, found.qualifier.as_deref())))
}

async fn find(functions: &Functions, call: &Call<'_>) -> Result<(Arc<FunctionRecord>, Resolved), Error> {
    let target = target::read(call)?;
    let mut record = functions.record(&target)?;
    // The node may have been given the runtime that a function failed for: who asks now is told so.
    if settle::lacks_runtime(&record.latest) {
        functions.settle_function(&target.key).await;
        record = functions.record(&target)?;
    }
    // A look at an alias with weights shows its first version.
    let found = versions::resolve(&record, target.qualifier.as_deref(), || 1.0)?;
    Ok((record, found))
}
