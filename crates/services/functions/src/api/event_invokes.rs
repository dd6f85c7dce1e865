//! PutFunctionEventInvokeConfig, UpdateFunctionEventInvokeConfig, GetFunctionEventInvokeConfig,
//! ListFunctionEventInvokeConfigs and DeleteFunctionEventInvokeConfig.

use lambent_core::time::Timestamp;
use lambent_store::functions::{EventInvokeRecord, FunctionKey, FunctionRecord};
use lambent_wire::{Response, json_response};
use serde_json::{Value, json};

use super::body::Body;
use super::check::Check;
use super::list_functions::answer_page;
use super::page::Page;
use super::{Call, empty, rules, target};
use crate::Functions;
use crate::engine::async_event::{EVENT_AGE_SECS_MAX, EVENT_AGE_SECS_MIN, RETRIES_MAX};
use crate::engine::event_invoke::{self, Asked, LATEST};
use crate::error::Error;

/// API, MaxItems of ListFunctionEventInvokeConfigs.
const MAX_ITEMS_MAX: i64 = 50;

pub async fn put(functions: &Functions, call: Call<'_>) -> Result<Response, Error> {
    change(functions, &call, event_invoke::put).await
}

pub async fn update(functions: &Functions, call: Call<'_>) -> Result<Response, Error> {
    change(functions, &call, event_invoke::update).await
}

pub async fn get(functions: &Functions, call: Call<'_>) -> Result<Response, Error> {
    let target = target::read(&call)?;
    let qualifier = target.qualifier.as_deref();
    // The reference says the same of a function that is not there.
    let missing = || Error::NoEventInvokeConfig { arn: event_invoke::qualified(&target.key, qualifier) };
    let record = functions.record(&target).map_err(|_| missing())?;
    let config = event_invoke::get(&record, qualifier)?;
    Ok(json_response(200, &shown(&target.key, qualifier.unwrap_or(LATEST), config)))
}

pub async fn delete(functions: &Functions, call: Call<'_>) -> Result<Response, Error> {
    let target = target::read(&call)?;
    let qualifier = target.qualifier.as_deref();
    functions.change(&target, |record| Ok((Some(event_invoke::delete(record, qualifier)?), ()))).await?;
    Ok(empty(204))
}

pub async fn list(functions: &Functions, call: Call<'_>) -> Result<Response, Error> {
    let mut check = Check::default();
    let page = Page::read(&call, &mut check, MAX_ITEMS_MAX)?;
    check.finish()?;
    let target = target::read_unqualified(&call)?;
    let record = functions.record(&target).map_err(|_| Error::NoSuchFunction)?;
    let rest = record
        .event_invokes
        .iter()
        .filter(|(qualifier, _)| page.after.as_ref().is_none_or(|after| *qualifier > after));
    let (found, next) = page.cut(rest, |(qualifier, _)| (*qualifier).clone());
    let listed: Vec<Value> =
        found.into_iter().map(|(qualifier, config)| shown(&target.key, qualifier, config)).collect();
    Ok(answer_page("FunctionEventInvokeConfigs", &listed, next))
}

type Decide = fn(&FunctionRecord, Option<&str>, &Asked, Timestamp) -> Result<FunctionRecord, Error>;

async fn change(functions: &Functions, call: &Call<'_>, decide: Decide) -> Result<Response, Error> {
    let target = target::read(call)?;
    let asked = read(call)?;
    let qualifier = target.qualifier.as_deref();
    let now = functions.deps.clock.now();
    let config = functions
        .change(&target, |record| {
            let changed = decide(record, qualifier, &asked, now)?;
            let config = event_invoke::get(&changed, qualifier)?.clone();
            Ok((Some(changed), config))
        })
        .await?;
    Ok(json_response(200, &shown(&target.key, qualifier.unwrap_or(LATEST), &config)))
}

fn read(call: &Call<'_>) -> Result<Asked, Error> {
    let mut body = Body::parse(&call.request.body)?;
    let mut check = Check::default();
    let retries = body.number(&mut check, "MaximumRetryAttempts", 0, i64::from(RETRIES_MAX))?;
    let (youngest, oldest) = (i64::from(EVENT_AGE_SECS_MIN), i64::from(EVENT_AGE_SECS_MAX));
    let age = body.number(&mut check, "MaximumEventAgeInSeconds", youngest, oldest)?;
    let mut destinations = body.object("DestinationConfig")?;
    let mut destination = |member: &str| -> Result<Option<String>, Error> {
        let Some(config) = &mut destinations else { return Ok(None) };
        match config.object(member)? {
            // A structure without its member takes the destination away.
            Some(mut side) => {
                Ok(Some(side.text(&mut check, "Destination", &rules::DESTINATION_ARN)?.unwrap_or_default()))
            }
            None => Ok(None),
        }
    };
    let (on_success, on_failure) = (destination("OnSuccess")?, destination("OnFailure")?);
    check.finish()?;
    let number = |asked: Option<i64>| asked.and_then(|n| u32::try_from(n).ok());
    let asked = Asked { max_retries: number(retries), max_age_secs: number(age), on_success, on_failure };
    match asked.max_retries.is_some()
        || asked.max_age_secs.is_some()
        || asked.on_success.is_some()
        || asked.on_failure.is_some()
    {
        true => Ok(asked),
        false => Err(Error::NothingConfigured),
    }
}

fn shown(key: &FunctionKey, qualifier: &str, config: &EventInvokeRecord) -> Value {
    let destination = |arn: &Option<String>| match arn {
        Some(arn) => json!({ "Destination": arn }),
        None => json!({}),
    };
    let mut shown = json!({
        "LastModified": config.last_modified.as_millis() as f64 / 1000.0,
        "FunctionArn": event_invoke::qualified(key, Some(qualifier)),
        "DestinationConfig": {
            "OnSuccess": destination(&config.on_success),
            "OnFailure": destination(&config.on_failure),
        },
    });
    if let Some(retries) = config.max_retries {
        shown["MaximumRetryAttempts"] = retries.into();
    }
    if let Some(secs) = config.max_age_secs {
        shown["MaximumEventAgeInSeconds"] = secs.into();
    }
    shown
}
