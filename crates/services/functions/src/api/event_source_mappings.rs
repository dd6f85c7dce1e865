//! CreateEventSourceMapping, GetEventSourceMapping, UpdateEventSourceMapping, DeleteEventSourceMapping and
//! ListEventSourceMappings, for queues of SQS.

use std::collections::BTreeMap;
use std::sync::Arc;

use lambent_core::arn::Arn;
use lambent_core::ids::RequestId;
use lambent_core::ports::QueueFacts;
use lambent_store::StoreError;
use lambent_store::functions::{Command, MappingRecord, PollersRecord};
use lambent_wire::{Response, json_response};
use serde_json::{Value, json};

use super::body::{Body, Refusal, says_nothing};
use super::check::{Check, TextRule};
use super::list_functions::answer_page;
use super::page::Page;
use super::{Call, empty, rules, target};
use crate::engine::mapping::filter::Filters;
use crate::engine::mapping::{self, Asked, Called};
use crate::engine::{tags, versions};
use crate::error::Error;
use crate::{Functions, mappings};

/// API, MaxItems.
const MAX_ITEMS_MAX: i64 = 10_000;

/// API, UUIDString.
const UUID: TextRule = TextRule::length(36, 36);

const PATTERN: TextRule = TextRule::length(0, mapping::PATTERN_CHARS_MAX);

/// API, MaximumPollers: of any source.
const POLLERS_OF_ANY_SOURCE_MAX: i64 = 10_000;

const REPORT_ITEM_FAILURES: &str = "ReportBatchItemFailures";
const EVENT_COUNT: &str = "EventCount";
/// API, EventSourceMappingMetric.
const METRICS: [&str; 3] = [EVENT_COUNT, "ErrorCount", "KafkaMetrics"];

/// Members of other sources than queues, and keys of one's own.
pub const REFUSED: &[Refusal] = &[
    refusal("KMSKeyArn"),
    refusal("LoggingConfig"),
    refusal("ParallelizationFactor"),
    refusal("DestinationConfig"),
    refusal("MaximumRecordAgeInSeconds"),
    refusal("BisectBatchOnFunctionError"),
    refusal("MaximumRetryAttempts"),
    refusal("TumblingWindowInSeconds"),
    refusal("SourceAccessConfigurations"),
    refusal("AmazonManagedKafkaEventSourceConfig"),
    refusal("SelfManagedKafkaEventSourceConfig"),
    refusal("DocumentDBEventSourceConfig"),
];
pub const REFUSED_AT_CREATION: &[Refusal] = &[
    refusal("StartingPosition"),
    refusal("StartingPositionTimestamp"),
    refusal("Topics"),
    refusal("Queues"),
    refusal("SelfManagedEventSource"),
];
pub const REFUSED_OF_POLLERS: &[Refusal] = &[refusal("PollerGroupName")];

const fn refusal(member: &'static str) -> Refusal {
    Refusal { member, is_default: says_nothing }
}

pub async fn create(functions: &Functions, call: Call<'_>) -> Result<Response, Error> {
    let mut body = Body::parse(&call.request.body)?;
    let mut check = Check::default();
    let name = body.raw_text("FunctionName")?;
    match &name {
        Some(name) => target::check_read_name(&mut check, name),
        None => check.missing("functionName"),
    }
    let source = body.text(&mut check, "EventSourceArn", &rules::SOURCE_ARN)?;
    let new_tags = body.text_map("Tags")?.unwrap_or_default();
    let asked = read(&mut body, &mut check)?;
    check.finish()?;
    refuse(&mut body, &[REFUSED_AT_CREATION, REFUSED])?;
    tags::check(&new_tags)?;
    let source = source.ok_or(Error::UnrecognizedSource)?;
    let name = name.unwrap_or_default();
    let queue = queue_of(functions, &call, &source, &name)?;
    let called = called(functions, &call, &name)?;
    let id = RequestId::random(&*functions.deps.entropy).to_string();
    let now = functions.deps.clock.now();
    let record = mapping::create(id, &called, source, new_tags, &asked, now);
    mapping::check(&record, queue, called.timeout_secs)?;
    put(functions, &record).await?;
    Ok(json_response(202, &shown(functions, &record)))
}

pub async fn get(functions: &Functions, call: Call<'_>) -> Result<Response, Error> {
    let record = find(functions, &call)?;
    Ok(json_response(200, &shown(functions, &record)))
}

pub async fn update(functions: &Functions, call: Call<'_>) -> Result<Response, Error> {
    let mut body = Body::parse(&call.request.body)?;
    let mut check = Check::default();
    let name = body.raw_text("FunctionName")?;
    if let Some(name) = &name {
        target::check_read_name(&mut check, name);
    }
    let asked = read(&mut body, &mut check)?;
    check.finish()?;
    refuse(&mut body, &[REFUSED])?;
    loop {
        let old = find(functions, &call)?;
        let called_now = name.as_deref().map(|name| called(functions, &call, name)).transpose()?;
        let now = functions.deps.clock.now();
        let record = mapping::update(&old, called_now.as_ref(), &asked, now)?;
        // A mapping whose queue or function is gone can still be changed: it may be switched off.
        if let Some(queue) = functions.deps.queue_source.facts(&record.source) {
            let function = functions.deps.store.function(&record.function);
            let timeout = called_now.as_ref().map(|called| called.timeout_secs).or_else(|| {
                let found = versions::resolve(function.as_deref()?, record.qualifier.as_deref(), || 1.0);
                found.ok().map(|found| found.version.timeout_secs)
            });
            mapping::check(&record, queue, timeout.unwrap_or(0))?;
        }
        match put(functions, &record).await {
            Ok(()) => return Ok(json_response(202, &shown(functions, &record))),
            // The poller's own change of its state was faster.
            Err(Error::MappingInUse { .. }) => {}
            Err(error) => return Err(error),
        }
    }
}

pub async fn delete(functions: &Functions, call: Call<'_>) -> Result<Response, Error> {
    loop {
        let old = find(functions, &call)?;
        let record = mapping::delete(&old, functions.deps.clock.now())?;
        match put(functions, &record).await {
            Ok(()) => return Ok(json_response(202, &shown(functions, &record))),
            Err(Error::MappingInUse { .. }) => {}
            Err(error) => return Err(error),
        }
    }
}

/// A function or a queue that is not there may have mappings all the same.
pub async fn list(functions: &Functions, call: Call<'_>) -> Result<Response, Error> {
    let mut check = Check::default();
    let page = Page::read(&call, &mut check, MAX_ITEMS_MAX)?;
    let source = call.request.query_value("EventSourceArn");
    if let Some(source) = source {
        check.text("eventSourceArn", source, &rules::SOURCE_ARN);
    }
    let name = call.request.query_value("FunctionName");
    if let Some(name) = name {
        target::check_read_name(&mut check, name);
    }
    check.finish()?;
    let wanted = name.map(|name| target::read_named(&call, name, None)).transpose()?;
    let fits = |record: &Arc<MappingRecord>| {
        is_of_caller(record, &call)
            && source.is_none_or(|source| record.source == source)
            && wanted
                .as_ref()
                .is_none_or(|wanted| record.function == wanted.key && record.qualifier == wanted.qualifier)
            && page.after.as_ref().is_none_or(|after| record.id > *after)
    };
    let rest = functions.deps.store.mappings().into_iter().filter(fits);
    let (found, next) = page.cut(rest, |record| record.id.clone());
    let listed: Vec<Value> = found.iter().map(|record| shown(functions, record)).collect();
    Ok(answer_page("EventSourceMappings", &listed, next))
}

/// The mapping of this id, for its tags.
pub fn tagged(functions: &Functions, call: &Call<'_>, id: &str) -> Result<Arc<MappingRecord>, Error> {
    let found = functions.deps.store.mapping(id).filter(|record| is_of_caller(record, call));
    found.ok_or(Error::ResourceNotFound)
}

/// Changes the tags of the mapping of this id.
pub async fn retag(
    functions: &Functions,
    call: &Call<'_>,
    id: &str,
    change: impl Fn(&mut BTreeMap<String, String>),
) -> Result<Response, Error> {
    loop {
        let old = tagged(functions, call, id)?;
        let mut record = MappingRecord { generation: old.generation + 1, ..(*old).clone() };
        change(&mut record.tags);
        tags::check(&record.tags)?;
        match put(functions, &record).await {
            Ok(()) => return Ok(empty(204)),
            Err(Error::MappingInUse { .. }) => {}
            Err(error) => return Err(error),
        }
    }
}

fn is_of_caller(record: &MappingRecord, call: &Call<'_>) -> bool {
    let caller = &call.request.caller;
    *record.account() == caller.account && *record.region() == caller.region
}

fn find(functions: &Functions, call: &Call<'_>) -> Result<Arc<MappingRecord>, Error> {
    let id = call.label("UUID");
    let mut check = Check::default();
    check.text("uUID", id, &UUID);
    check.finish()?;
    let found = functions.deps.store.mapping(id).filter(|record| is_of_caller(record, call));
    found.ok_or(Error::ResourceNotFound)
}

/// The queue of an ARN: one of the caller's region, and of their account or one that lets the function's role in.
fn queue_of(functions: &Functions, call: &Call<'_>, source: &str, name: &str) -> Result<QueueFacts, Error> {
    let arn = Arn::parse(source).ok_or(Error::UnrecognizedSource)?;
    if arn.service != "sqs" {
        return Err(Error::UnsupportedSource { service: arn.service });
    }
    let caller = &call.request.caller;
    let queues = &functions.deps.queue_source;
    if arn.account != caller.account.as_str() {
        let role = role_of(functions, call, name)?;
        if !queues.lets_read(source, &caller.account, &role) {
            return Err(Error::SourceDenied);
        }
    }
    let here = arn.region == caller.region.as_str();
    queues.facts(source).filter(|_| here).ok_or(Error::SourceMissing)
}

fn role_of(functions: &Functions, call: &Call<'_>, name: &str) -> Result<String, Error> {
    let target = target::read_named(call, name, None)?;
    target::own_account_only(call, &target)?;
    let record = functions.deps.store.function(&target.key).ok_or(Error::MappedFunctionMissing)?;
    let found = versions::resolve(&record, target.qualifier.as_deref(), || 1.0)?;
    Ok(found.version.role.clone())
}

fn called(functions: &Functions, call: &Call<'_>, name: &str) -> Result<Called, Error> {
    let target = target::read_named(call, name, None)?;
    target::own_account_only(call, &target)?;
    let record = functions.deps.store.function(&target.key).ok_or(Error::MappedFunctionMissing)?;
    let found = versions::resolve(&record, target.qualifier.as_deref(), || 1.0)?;
    Ok(Called { key: target.key, qualifier: target.qualifier, timeout_secs: found.version.timeout_secs })
}

/// Stores a mapping and has its poller told.
async fn put(functions: &Functions, record: &MappingRecord) -> Result<(), Error> {
    let command = Command::PutMapping { record: Arc::new(record.clone()), expected: record.generation - 1 };
    match functions.deps.store.apply(vec![command]).await {
        Ok(()) => {
            functions.mappings.changed.notify_one();
            Ok(())
        }
        Err(StoreError::Conflict) => Err(conflict(functions, record)),
        Err(StoreError::Unavailable { detail }) => Err(Error::StoreUnavailable { detail }),
    }
}

fn conflict(functions: &Functions, record: &MappingRecord) -> Error {
    let other = functions.deps.store.mappings().into_iter().find(|other| {
        other.id != record.id
            && other.source == record.source
            && other.function == record.function
            && other.qualifier == record.qualifier
    });
    match other {
        Some(other) => {
            let name = &record.function.name;
            let function = match &record.qualifier {
                Some(qualifier) => format!("{name}:{qualifier}"),
                None => name.to_string(),
            };
            Error::MappingExists { source_arn: record.source.clone(), function, id: other.id.clone() }
        }
        None => Error::MappingInUse { verb: "update" },
    }
}

fn refuse(body: &mut Body, tables: &[&[Refusal]]) -> Result<(), Error> {
    for table in tables {
        body.refuse_with(table, |parameter| Error::UnsupportedForSource { parameter })?;
    }
    Ok(())
}

fn read(body: &mut Body, check: &mut Check) -> Result<Asked, Error> {
    let number = |asked: Option<i64>| asked.and_then(|n| u32::try_from(n).ok());
    let batch_size = body.number(check, "BatchSize", 1, i64::from(mapping::BATCH_SIZE_MAX))?;
    let window =
        body.number(check, "MaximumBatchingWindowInSeconds", 0, i64::from(mapping::WINDOW_SECS_MAX))?;
    let responses = body.texts("FunctionResponseTypes")?;
    if let Some(types) = &responses {
        check.choices(&body.path("FunctionResponseTypes"), types, &[REPORT_ITEM_FAILURES], 1);
    }
    let concurrency = match body.object("ScalingConfig")? {
        Some(mut scaling) => {
            let (least, most) = (i64::from(mapping::CONCURRENCY_MIN), i64::from(mapping::CONCURRENCY_MAX));
            Some(number(scaling.number(check, "MaximumConcurrency", least, most)?))
        }
        None => None,
    };
    Ok(Asked {
        enabled: body.flag("Enabled")?,
        batch_size: number(batch_size),
        window_secs: number(window),
        filters: read_filters(body, check)?,
        reports_item_failures: responses.map(|types| !types.is_empty()),
        maximum_concurrency: concurrency,
        provisioned: read_pollers(body, check)?,
        metrics: read_metrics(body, check)?,
    })
}

fn read_pollers(body: &mut Body, check: &mut Check) -> Result<Option<Option<PollersRecord>>, Error> {
    let Some(mut config) = body.object("ProvisionedPollerConfig")? else { return Ok(None) };
    let any = POLLERS_OF_ANY_SOURCE_MAX;
    let minimum = config.number(check, "MinimumPollers", 1, i64::from(mapping::POLLERS_MINIMUM_MAX))?;
    let maximum = config.number(check, "MaximumPollers", 1, any)?;
    refuse(&mut config, &[REFUSED_OF_POLLERS])?;
    let (least, most) = (i64::from(mapping::POLLERS_MIN), i64::from(mapping::POLLERS_MAX));
    for (member, given) in [("MinimumPollers", minimum), ("MaximumPollers", maximum)] {
        // The model's bounds are those of all sources; a queue's are narrower.
        if let Some(given) = given.filter(|given| (1..=any).contains(given)) {
            check.number(&config.path(member), given, least, most);
        }
    }
    let number = |asked: Option<i64>| asked.and_then(|n| u32::try_from(n).ok());
    let pollers = PollersRecord { minimum: number(minimum), maximum: number(maximum) };
    Ok(Some((minimum.is_some() || maximum.is_some()).then_some(pollers)))
}

/// `ErrorCount` and `KafkaMetrics` are counted of Kafka only.
fn read_metrics(body: &mut Body, check: &mut Check) -> Result<Option<Vec<String>>, Error> {
    let Some(mut config) = body.object("MetricsConfig")? else { return Ok(None) };
    let metrics = config.texts("Metrics")?.unwrap_or_default();
    check.choices(&config.path("Metrics"), &metrics, &METRICS, 3);
    let of_others = |metric: &String| metric != EVENT_COUNT && METRICS.contains(&metric.as_str());
    if metrics.iter().any(of_others) {
        return Err(Error::UnsupportedForSource { parameter: "MetricsConfig.Metrics".to_owned() });
    }
    Ok(Some(metrics))
}

fn read_filters(body: &mut Body, check: &mut Check) -> Result<Option<Vec<String>>, Error> {
    let Some(mut criteria) = body.object("FilterCriteria")? else { return Ok(None) };
    let filters = criteria.objects("Filters")?.unwrap_or_default();
    if filters.len() > mapping::FILTERS_MAX {
        return Err(Error::TooManyFilters { max: mapping::FILTERS_MAX });
    }
    let mut patterns = Vec::new();
    for mut filter in filters {
        patterns.push(filter.text(check, "Pattern", &PATTERN)?.ok_or(Error::InvalidFilter)?);
    }
    Filters::parse(&patterns)?;
    Ok(Some(patterns))
}

fn shown(functions: &Functions, record: &MappingRecord) -> Value {
    let function = target::Target { key: record.function.clone(), qualifier: record.qualifier.clone() };
    let responses: &[&str] = if record.reports_item_failures { &[REPORT_ITEM_FAILURES] } else { &[] };
    let mut shown = json!({
        "UUID": record.id,
        "BatchSize": record.batch_size,
        "MaximumBatchingWindowInSeconds": record.window_secs,
        "EventSourceArn": record.source,
        "FunctionArn": function.qualified_arn(),
        "LastModified": record.last_modified.as_millis() as f64 / 1000.0,
        "State": record.state.as_str(),
        "StateTransitionReason": "USER_INITIATED",
        "FunctionResponseTypes": responses,
        "EventSourceMappingArn": mappings::arn(record.account(), record.region(), &record.id),
    });
    let mut put = |member: &str, value: Value| shown[member] = value;
    if let Some(result) = functions.mappings.result(&record.id) {
        put("LastProcessingResult", (*result).into());
    }
    if !record.filters.is_empty() {
        let filters: Vec<Value> =
            record.filters.iter().map(|pattern| json!({ "Pattern": pattern })).collect();
        put("FilterCriteria", json!({ "Filters": filters }));
    }
    if let Some(most) = record.maximum_concurrency {
        put("ScalingConfig", json!({ "MaximumConcurrency": most }));
    }
    if let Some(PollersRecord { minimum, maximum }) = record.provisioned {
        let members = [("MinimumPollers", minimum), ("MaximumPollers", maximum)];
        let given = members.into_iter().filter_map(|(name, count)| Some((name.to_owned(), count?.into())));
        put("ProvisionedPollerConfig", Value::Object(given.collect()));
    }
    if !record.metrics.is_empty() {
        put("MetricsConfig", json!({ "Metrics": record.metrics }));
    }
    shown
}
