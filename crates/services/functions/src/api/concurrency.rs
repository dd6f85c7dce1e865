//! PutFunctionConcurrency, GetFunctionConcurrency and DeleteFunctionConcurrency.

use std::sync::Arc;

use lambent_core::limits::UNRESERVED_CONCURRENCY_MIN;
use lambent_store::StoreError;
use lambent_store::functions::Command;
use lambent_wire::{Response, json_response};
use serde_json::json;

use super::body::Body;
use super::check::Check;
use super::{Call, empty, target};
use crate::Functions;
use crate::engine::concurrency;
use crate::error::Error;

pub async fn put(functions: &Functions, call: Call<'_>) -> Result<Response, Error> {
    let target = target::read_unqualified(&call)?;
    let mut body = Body::parse(&call.request.body)?;
    let mut check = Check::default();
    let reserved = body.number(&mut check, "ReservedConcurrentExecutions", 0, i64::from(i32::MAX))?;
    if reserved.is_none() {
        check.missing("reservedConcurrentExecutions");
    }
    check.finish()?;
    let reserved = reserved.and_then(|n| u32::try_from(n).ok()).unwrap_or_default();

    functions.settle_function(&target.key).await;
    let record = functions.record(&target)?;
    let changed = concurrency::reserve(&record, reserved)?;
    let commands = vec![
        Command::PutFunction { record: Arc::new(changed), expected: record.generation },
        Command::RequireClaimedAtMost {
            account: target.key.account.clone(),
            region: target.key.region.clone(),
            max: concurrency::reservable(functions.deps.settings.account_concurrency),
        },
    ];
    match functions.deps.store.apply(commands).await {
        Ok(()) => {
            functions.announce_update(&target.key, "PutFunctionConcurrency", None).await;
            Ok(json_response(200, &json!({ "ReservedConcurrentExecutions": reserved })))
        }
        Err(StoreError::Unavailable { detail }) => Err(Error::StoreUnavailable { detail }),
        // Either precondition failed: the function's tells itself by its generation.
        Err(StoreError::Conflict) if functions.record(&target)?.generation == record.generation => {
            Err(Error::UnreservedTooLow { min: UNRESERVED_CONCURRENCY_MIN })
        }
        Err(StoreError::Conflict) => Err(Error::UpdateInProgress { arn: target.arn() }),
    }
}

pub async fn get(functions: &Functions, call: Call<'_>) -> Result<Response, Error> {
    let target = target::read_unqualified(&call)?;
    let record = functions.record(&target)?;
    Ok(match record.reserved_concurrency {
        Some(reserved) => json_response(200, &json!({ "ReservedConcurrentExecutions": reserved })),
        None => json_response(200, &json!({})),
    })
}

pub async fn delete(functions: &Functions, call: Call<'_>) -> Result<Response, Error> {
    let target = target::read_unqualified(&call)?;
    functions.change(&target, |record| Ok((Some(concurrency::release(record)), ()))).await?;
    functions.announce_update(&target.key, "DeleteFunctionConcurrency", None).await;
    Ok(empty(204))
}
