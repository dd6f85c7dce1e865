//! DeleteRule, DescribeRule, EnableRule, DisableRule, ListRules, ListRuleNamesByTarget.

use lambent_store::events::{Entry, Record, RuleRecord};
use serde_json::{Value, json};

use super::shapes::{BUS, PAGE_MAX, RULE_NAME};
use super::{Answer, Call, entry_name, no_rule, page, rule_of, without_nulls};
use crate::names::rule_arn;
use crate::reader::{ARN, TOKEN, invalid};

pub async fn delete(call: Call<'_>) -> Answer {
    let root = call.input.root();
    let name = root.required_text("Name", RULE_NAME)?;
    let bus = root.text("EventBusName", BUS)?;
    // For rules that services manage, of which there are none here.
    root.flag("Force")?;
    call.input.finish()?;
    let bus = call.own_bus(bus.as_deref())?;
    call.events
        .change(&bus.rule(&name), |found| match found {
            Some(Record::Rule(rule)) if !rule.targets.is_empty() => {
                Err(invalid("Rule can't be deleted since it has targets."))
            }
            _ => Ok((None, None)),
        })
        .await
}

pub async fn enable(call: Call<'_>) -> Answer {
    switch(call, true).await
}

pub async fn disable(call: Call<'_>) -> Answer {
    switch(call, false).await
}

async fn switch(call: Call<'_>, is_enabled: bool) -> Answer {
    let root = call.input.root();
    let name = root.required_text("Name", RULE_NAME)?;
    let bus = root.text("EventBusName", BUS)?;
    call.input.finish()?;
    let bus = call.own_bus(bus.as_deref())?;
    let now = call.events.deps.clock.now();
    call.events
        .change(&bus.rule(&name), |found| {
            let mut rule = rule_of(found, &bus, &name)?.clone();
            if rule.is_enabled != is_enabled {
                (rule.is_enabled, rule.since) = (is_enabled, now);
            }
            Ok((Some(Record::Rule(rule)), None))
        })
        .await
}

pub async fn describe(call: Call<'_>) -> Answer {
    let root = call.input.root();
    let name = root.required_text("Name", RULE_NAME)?;
    let bus = root.text("EventBusName", BUS)?;
    call.input.finish()?;
    let bus = call.own_bus(bus.as_deref())?;
    let found = call.events.deps.store.get(&bus.rule(&name)).ok_or_else(|| no_rule(&name, &bus.name))?;
    let mut shown = shown(&found, rule_of(Some(&found.record), &bus, &name)?);
    shown["CreatedBy"] = bus.account.as_str().into();
    Ok(Some(shown))
}

fn shown(entry: &Entry, rule: &RuleRecord) -> Value {
    without_nulls(json!({
        "Name": entry.key.name,
        "Arn": rule_arn(&entry.key),
        "EventPattern": rule.pattern,
        "ScheduleExpression": rule.schedule,
        "State": if rule.is_enabled { "ENABLED" } else { "DISABLED" },
        "Description": rule.description,
        "RoleArn": rule.role,
        "EventBusName": entry.key.scope.parent,
    }))
}

pub async fn list(call: Call<'_>) -> Answer {
    let root = call.input.root();
    let prefix = root.text("NamePrefix", RULE_NAME)?.unwrap_or_default();
    let bus = root.text("EventBusName", BUS)?;
    let token = root.text("NextToken", TOKEN)?;
    let limit = root.number("Limit", 1, PAGE_MAX)?;
    call.input.finish()?;
    let bus = call.own_bus(bus.as_deref())?;
    let read = |after: Option<&str>, limit| call.events.deps.store.list(&bus.rules(), &prefix, after, limit);
    let scope = format!("events.rules {} {prefix}", bus.name);
    let (found, next) = page(&scope, token.as_deref(), limit, read, entry_name)?;
    let rules: Vec<Value> = found
        .iter()
        .filter_map(|entry| Some(shown(entry, rule_of(Some(&entry.record), &bus, "").ok()?)))
        .collect();
    Ok(Some(without_nulls(json!({ "Rules": rules, "NextToken": next }))))
}

pub async fn names_by_target(call: Call<'_>) -> Answer {
    let root = call.input.root();
    let target = root.required_text("TargetArn", ARN)?;
    let bus = root.text("EventBusName", BUS)?;
    let token = root.text("NextToken", TOKEN)?;
    let limit = root.number("Limit", 1, PAGE_MAX)?;
    call.input.finish()?;
    let bus = call.own_bus(bus.as_deref())?;
    let has_target = |entry: &std::sync::Arc<Entry>| match &entry.record {
        Record::Rule(rule) => rule.targets.values().any(|found| found.arn == target),
        _ => false,
    };
    let read = |after: Option<&str>, limit: usize| {
        let all = call.events.deps.store.list(&bus.rules(), "", after, usize::MAX);
        all.into_iter().filter(has_target).take(limit).collect()
    };
    let scope = format!("events.rules-by-target {} {target}", bus.name);
    let (found, next) = page(&scope, token.as_deref(), limit, read, entry_name)?;
    let names: Vec<&str> = found.iter().map(|entry| entry.key.name.as_str()).collect();
    Ok(Some(without_nulls(json!({ "RuleNames": names, "NextToken": next }))))
}
