//! ListTargetsByRule and RemoveTargets.

use std::collections::BTreeMap;

use lambent_store::events::{InputRecord, Record, TargetRecord};
use serde_json::{Value, json};

use super::shapes::{BUS, PAGE_MAX, RULE_NAME, TARGET_ID, TARGETS_OF_A_REQUEST_MAX};
use super::{Answer, Call, no_rule, page, rule_of, without_nulls};
use crate::reader::TOKEN;

pub async fn list(call: Call<'_>) -> Answer {
    let root = call.input.root();
    let name = root.required_text("Rule", RULE_NAME)?;
    let bus = root.text("EventBusName", BUS)?;
    let token = root.text("NextToken", TOKEN)?;
    let limit = root.number("Limit", 1, PAGE_MAX)?;
    call.input.finish()?;
    let bus = call.own_bus(bus.as_deref())?;
    let found = call.events.deps.store.get(&bus.rule(&name)).ok_or_else(|| no_rule(&name, &bus.name))?;
    let rule = rule_of(Some(&found.record), &bus, &name)?;
    let read = |after: Option<&str>, limit: usize| {
        let rest = rule.targets.iter().filter(|(id, _)| after.is_none_or(|after| id.as_str() > after));
        rest.take(limit).collect::<Vec<_>>()
    };
    let scope = format!("events.targets {} {name}", bus.name);
    let (found, next) = page(&scope, token.as_deref(), limit, read, |(id, _)| id.as_str())?;
    let targets: Vec<Value> = found.into_iter().map(|(id, target)| shown(id, target)).collect();
    Ok(Some(without_nulls(json!({ "Targets": targets, "NextToken": next }))))
}

fn shown(id: &str, target: &TargetRecord) -> Value {
    let mut shown = json!({ "Id": id, "Arn": target.arn, "RoleArn": target.role });
    match &target.input {
        InputRecord::Event => {}
        InputRecord::Constant(constant) => shown["Input"] = constant.as_str().into(),
        InputRecord::Path(path) => shown["InputPath"] = path.as_str().into(),
        InputRecord::Transformed { paths, template } => {
            shown["InputTransformer"] = json!({ "InputPathsMap": paths, "InputTemplate": template });
        }
    }
    if target.retry != Default::default() {
        shown["RetryPolicy"] = without_nulls(json!({
            "MaximumRetryAttempts": target.retry.attempts_max,
            "MaximumEventAgeInSeconds": target.retry.age_secs_max,
        }));
    }
    if let Some(queue) = &target.dead_letter {
        shown["DeadLetterConfig"] = json!({ "Arn": queue });
    }
    if let Some(http) = &target.http {
        let map = |map: &BTreeMap<String, String>| Some(json!(map)).filter(|_| !map.is_empty());
        shown["HttpParameters"] = without_nulls(json!({
            "PathParameterValues": Some(&http.path).filter(|path| !path.is_empty()),
            "HeaderParameters": map(&http.headers),
            "QueryStringParameters": map(&http.query),
        }));
    }
    if let Some(group) = &target.message_group {
        shown["SqsParameters"] = json!({ "MessageGroupId": group });
    }
    without_nulls(shown)
}

pub async fn remove(call: Call<'_>) -> Answer {
    let root = call.input.root();
    let name = root.required_text("Rule", RULE_NAME)?;
    let bus = root.text("EventBusName", BUS)?;
    let ids = root.texts("Ids", TARGET_ID, (1, TARGETS_OF_A_REQUEST_MAX))?;
    let ids = root.required("Ids", ids);
    // For rules that services manage, of which there are none here.
    root.flag("Force")?;
    call.input.finish()?;
    let bus = call.own_bus(bus.as_deref())?;
    call.events
        .change(&bus.rule(&name), |found| {
            let mut rule = rule_of(found, &bus, &name)?.clone();
            rule.targets.retain(|id, _| !ids.contains(id));
            Ok((Some(Record::Rule(rule)), ()))
        })
        .await?;
    Ok(Some(json!({ "FailedEntryCount": 0, "FailedEntries": [] })))
}
