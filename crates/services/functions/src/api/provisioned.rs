//! PutProvisionedConcurrencyConfig, GetProvisionedConcurrencyConfig, ListProvisionedConcurrencyConfigs and
//! DeleteProvisionedConcurrencyConfig.
//!
//! What is asked for is the store's; what stands is asked of the part that runs functions, each time.

use std::sync::Arc;

use lambent_core::ids::Version;
use lambent_core::limits::UNRESERVED_CONCURRENCY_MIN;
use lambent_core::time::Timestamp;
use lambent_store::StoreError;
use lambent_store::functions::{Command, FunctionRecord, ProvisionedRecord};
use lambent_wire::{Response, json_response};
use serde_json::{Value, json};

use super::body::Body;
use super::check::Check;
use super::list_functions::answer_page;
use super::page::Page;
use super::{Call, empty, target};
use crate::Functions;
use crate::engine::{concurrency, provisioned};
use crate::error::Error;

/// API, MaxItems of ListProvisionedConcurrencyConfigs.
const MAX_ITEMS_MAX: i64 = 50;

pub async fn put(functions: &Functions, call: Call<'_>) -> Result<Response, Error> {
    let mut body = Body::parse(&call.request.body)?;
    let mut check = Check::default();
    let asked = body.number(&mut check, "ProvisionedConcurrentExecutions", 1, i64::from(i32::MAX))?;
    if asked.is_none() {
        check.missing("provisionedConcurrentExecutions");
    }
    check.finish()?;
    let asked = asked.and_then(|n| u32::try_from(n).ok()).unwrap_or(1);
    let target = target::read(&call)?;

    functions.settle_function(&target.key).await;
    let record = functions.record(&target)?;
    let now = functions.deps.clock.now();
    let changed = Arc::new(provisioned::put(&record, target.qualifier.as_deref(), asked, now)?);
    let account_concurrency = functions.deps.settings.account_concurrency;
    let commands = vec![
        Command::PutFunction { record: changed.clone(), expected: record.generation },
        Command::RequireClaimedAtMost {
            account: target.key.account.clone(),
            region: target.key.region.clone(),
            max: concurrency::reservable(account_concurrency),
        },
    ];
    match functions.deps.store.apply(commands).await {
        Ok(()) => {}
        Err(StoreError::Unavailable { detail }) => return Err(Error::StoreUnavailable { detail }),
        // Either precondition failed: the function's tells itself by its generation.
        Err(StoreError::Conflict) if functions.record(&target)?.generation == record.generation => {
            let unreserved = functions.unreserved_concurrency(&target.key.account, &target.key.region);
            return Err(match asked > unreserved {
                true => Error::ProvisionedOverAccount { unreserved },
                false => Error::ProvisionedTooLow { min: UNRESERVED_CONCURRENCY_MIN },
            });
        }
        Err(StoreError::Conflict) => return Err(Error::UpdateInProgress { arn: target.arn() }),
    }
    functions.provision(&target.key);
    let qualifier = target.qualifier.as_deref().unwrap_or_default();
    Ok(json_response(202, &config(functions, &changed, qualifier, &provisioned::get(&changed, qualifier)?)))
}

pub async fn get(functions: &Functions, call: Call<'_>) -> Result<Response, Error> {
    let target = target::read(&call)?;
    if matches!(target.qualifier.as_deref(), None | Some("$LATEST")) {
        return Err(Error::ProvisionedOnLatest);
    }
    let record = find(functions, &target)?;
    let qualifier = provisioned::find_qualifier(&record, target.qualifier.as_deref())?;
    let found = provisioned::get(&record, qualifier)?;
    Ok(json_response(200, &config(functions, &record, qualifier, &found)))
}

pub async fn delete(functions: &Functions, call: Call<'_>) -> Result<Response, Error> {
    let target = target::read(&call)?;
    if matches!(target.qualifier.as_deref(), None | Some("$LATEST")) {
        return Err(Error::ProvisionedOnLatest);
    }
    find(functions, &target)?;
    functions
        .change(&target, |record| {
            let qualifier = provisioned::find_qualifier(record, target.qualifier.as_deref())?;
            Ok((provisioned::delete(record, qualifier), ()))
        })
        .await?;
    functions.provision(&target.key);
    Ok(empty(204))
}

pub async fn list(functions: &Functions, call: Call<'_>) -> Result<Response, Error> {
    let mut check = Check::default();
    let page = Page::read(&call, &mut check, MAX_ITEMS_MAX)?;
    check.finish()?;
    let target = target::read_unqualified(&call)?;
    let record = functions.record(&target)?;
    let rest = record
        .provisioned
        .iter()
        .filter(|(qualifier, _)| page.after.as_ref().is_none_or(|after| *qualifier > after));
    let (shown, next) = page.cut(rest, |(qualifier, _)| (*qualifier).clone());
    let listed: Vec<Value> = shown
        .into_iter()
        .map(|(qualifier, asked)| {
            let mut item = config(functions, &record, qualifier, asked);
            item["FunctionArn"] = provisioned::arn(&record, qualifier).into();
            item
        })
        .collect();
    Ok(answer_page("ProvisionedConcurrencyConfigs", &listed, next))
}

/// The function. The reference names a missing alias before a missing function.
fn find(functions: &Functions, target: &target::Target) -> Result<Arc<FunctionRecord>, Error> {
    let is_alias = target.qualifier.as_deref().is_some_and(|q| !q.bytes().all(|b| b.is_ascii_digit()));
    functions.record(target).map_err(|error| match is_alias {
        true => Error::AliasNotFound { arn: target.qualified_arn() },
        false => error,
    })
}

/// A configuration as the reference shows it.
fn config(
    functions: &Functions,
    record: &FunctionRecord,
    qualifier: &str,
    asked: &ProvisionedRecord,
) -> Value {
    let of = |number: u64| {
        let spec = functions.spec(&record.key, Version::Published(number));
        spec.map(|spec| functions.deps.capacity.provisioned(&spec)).unwrap_or_default()
    };
    let ready = provisioned::allotted(record, qualifier, |number| of(number).ready);
    let failure =
        provisioned::shares(record, qualifier).into_iter().find_map(|(number, _)| of(number).failure);
    let mut shown = json!({
        "RequestedProvisionedConcurrentExecutions": asked.requested,
        "AvailableProvisionedConcurrentExecutions": ready,
        "AllocatedProvisionedConcurrentExecutions": ready,
        "LastModified": last_modified(asked.last_modified),
    });
    match failure {
        _ if ready >= asked.requested => shown["Status"] = "READY".into(),
        Some(reason) => {
            shown["Status"] = "FAILED".into();
            shown["StatusReason"] = reason.into();
        }
        None => shown["Status"] = "IN_PROGRESS".into(),
    }
    shown
}

/// `2026-11-20T23:45:01+0000`: this configuration's dates have no milliseconds.
fn last_modified(time: Timestamp) -> String {
    let (year, month, day, hour, minute, second) = time.civil();
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}+0000")
}
