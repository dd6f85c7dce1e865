//! PutRule: makes a rule, or replaces all of it but its targets and tags.

use lambent_store::events::{Record, RuleRecord};
use lambent_wire::Fault;
use serde_json::json;

use super::shapes::{BUS, DESCRIPTION, EVENT_PATTERN, RULE_NAME, SCHEDULE_EXPRESSION};
use super::{Answer, Call, tags};
use crate::names::{DEFAULT, rule_arn};
use crate::reader::{ARN, invalid};
use crate::schedule::{Dialect, Expression};
use lambent_pattern::Pattern;

pub fn invalid_pattern(error: &lambent_pattern::Invalid) -> Fault {
    Fault::new(400, "InvalidEventPatternException", error.to_string())
}

pub async fn answer(call: Call<'_>) -> Answer {
    let root = call.input.root();
    let name = root.required_text("Name", RULE_NAME)?;
    let bus = root.text("EventBusName", BUS)?;
    let pattern = root.text("EventPattern", EVENT_PATTERN)?.filter(|text| !text.is_empty());
    let schedule = root.text("ScheduleExpression", SCHEDULE_EXPRESSION)?.filter(|text| !text.is_empty());
    let states = ["ENABLED", "DISABLED", "ENABLED_WITH_ALL_CLOUDTRAIL_MANAGEMENT_EVENTS"];
    let state = root.choice("State", &states)?;
    let description = root.text("Description", DESCRIPTION)?;
    let role = root.text("RoleArn", ARN)?;
    let tags = tags::read(&root)?;
    call.input.finish()?;
    if state.as_deref() == Some(states[2]) {
        return Err(invalid(format!("The value '{}' of the parameter 'State' is not supported.", states[2])));
    }
    if pattern.is_none() && schedule.is_none() {
        return Err(invalid("Parameter(s) EventPattern or ScheduleExpression must be specified."));
    }
    if let Some(pattern) = &pattern {
        Pattern::parse(pattern).map_err(|error| invalid_pattern(&error))?;
    }
    let bus = call.own_bus(bus.as_deref())?;
    if let Some(schedule) = &schedule {
        if bus.name != DEFAULT {
            return Err(invalid("ScheduleExpression is supported only on the default event bus."));
        }
        Expression::parse(schedule, Dialect::Rule)
            .map_err(|_| invalid("Parameter ScheduleExpression is not valid."))?;
    }
    let key = bus.rule(&name);
    let (id, now) = (call.events.new_id(), call.events.deps.clock.now());
    let is_enabled = state.as_deref() != Some("DISABLED");
    let asked = RuleRecord {
        id,
        pattern,
        schedule,
        is_enabled,
        description,
        role,
        tags,
        targets: Default::default(),
        since: now,
    };
    call.events.change(&key, |found| Ok((Some(Record::Rule(put(found, &asked))), ()))).await?;
    Ok(Some(json!({ "RuleArn": rule_arn(&key) })))
}

fn put(found: Option<&Record>, asked: &RuleRecord) -> RuleRecord {
    let Some(Record::Rule(old)) = found else { return asked.clone() };
    let goes_on = old.is_enabled && asked.is_enabled && old.schedule == asked.schedule;
    RuleRecord {
        id: old.id.clone(),
        targets: old.targets.clone(),
        tags: old.tags.clone(),
        since: if goes_on { old.since } else { asked.since },
        ..asked.clone()
    }
}
