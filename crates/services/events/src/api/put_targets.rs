//! PutTargets: adds targets to a rule, or replaces those of the same names.

use lambent_core::arn::Arn;
use lambent_store::events::{InputRecord, Record, RetryRecord, TargetHttpRecord, TargetRecord};
use lambent_wire::{Caller, Fault};
use serde_json::json;

use super::shapes::{
    BUS, EVENT_AGE_SECS_MAX, EVENT_AGE_SECS_MIN, HEADER_NAME, HEADER_VALUE, INPUT, INPUT_PATH,
    INPUT_TEMPLATE, MESSAGE_GROUP, PATH_VALUE, QUERY_KEY, QUERY_VALUE, RETRY_ATTEMPTS_MAX, RULE_NAME,
    TARGET_ID, TARGETS_OF_A_REQUEST_MAX, TARGETS_OF_A_RULE_MAX, TRANSFORMER_PATHS_MAX,
};
use super::{Answer, Call, limit_exceeded, rule_of};
use crate::reader::{ARN, Member, Shape, invalid};
use crate::target::{NoPlace, Place, maker, takes_dead_letters};

pub async fn answer(call: Call<'_>) -> Answer {
    let root = call.input.root();
    let rule = root.required_text("Rule", RULE_NAME)?;
    let bus = root.text("EventBusName", BUS)?;
    let targets = root.members("Targets", (1, TARGETS_OF_A_REQUEST_MAX))?;
    let targets = root.required("Targets", targets);
    let targets: Vec<(String, TargetRecord)> = targets.iter().map(read).collect::<Result<_, _>>()?;
    call.input.finish()?;
    for (id, target) in &targets {
        check(id, target, call.caller)?;
    }
    let bus = call.own_bus(bus.as_deref())?;
    call.events
        .change(&bus.rule(&rule), |found| {
            let mut record = rule_of(found, &bus, &rule)?.clone();
            record.targets.extend(targets.iter().cloned());
            if record.targets.len() > TARGETS_OF_A_RULE_MAX {
                return Err(limit_exceeded());
            }
            Ok((Some(Record::Rule(record)), ()))
        })
        .await?;
    Ok(Some(json!({ "FailedEntryCount": 0, "FailedEntries": [] })))
}

fn read(target: &Member<'_>) -> Result<(String, TargetRecord), Fault> {
    let id = target.required_text("Id", TARGET_ID)?;
    let constant = target.text("Input", INPUT)?;
    let path = target.text("InputPath", INPUT_PATH)?;
    let transformer = match target.member("InputTransformer")? {
        Some(transformer) => Some((
            transformer.text_map("InputPathsMap")?.unwrap_or_default(),
            transformer.required_text("InputTemplate", INPUT_TEMPLATE)?,
        )),
        None => None,
    };
    let input = match (constant, path, transformer) {
        (None, None, None) => InputRecord::Event,
        (Some(constant), None, None) => InputRecord::Constant(constant),
        (None, Some(path), None) => InputRecord::Path(path),
        (None, None, Some((paths, template))) => InputRecord::Transformed { paths, template },
        _ => {
            return Err(invalid(format!(
                "Only one of Input, InputPath, or InputTransformer must be provided for target {id}."
            )));
        }
    };
    let retry = match target.member("RetryPolicy")? {
        Some(retry) => RetryRecord {
            attempts_max: retry.number("MaximumRetryAttempts", 0, RETRY_ATTEMPTS_MAX)?,
            age_secs_max: retry.number("MaximumEventAgeInSeconds", EVENT_AGE_SECS_MIN, EVENT_AGE_SECS_MAX)?,
        },
        None => RetryRecord::default(),
    };
    let dead_letter = match target.member("DeadLetterConfig")? {
        Some(config) => config.text("Arn", ARN)?,
        None => None,
    };
    let message_group = match target.member("SqsParameters")? {
        Some(queue) => queue.text("MessageGroupId", MESSAGE_GROUP)?,
        None => None,
    };
    let http = target.member("HttpParameters")?.map(|http| read_http(&http)).transpose()?;
    let record = TargetRecord {
        arn: target.required_text("Arn", ARN)?,
        role: target.text("RoleArn", ARN)?,
        input,
        retry,
        dead_letter,
        message_group,
        http,
    };
    Ok((id, record))
}

fn read_http(http: &Member<'_>) -> Result<TargetHttpRecord, Fault> {
    let map = |name: &str, key: Shape, value: Shape| {
        let map = http.text_map(name)?.unwrap_or_default();
        for (text, of) in map.iter() {
            http.check_text(name, text, key);
            http.check_text(name, of, value);
        }
        Ok::<_, Fault>(map)
    };
    Ok(TargetHttpRecord {
        headers: map("HeaderParameters", HEADER_NAME, HEADER_VALUE)?,
        query: map("QueryStringParameters", QUERY_KEY, QUERY_VALUE)?,
        path: http.texts("PathParameterValues", PATH_VALUE, (0, usize::MAX))?.unwrap_or_default(),
    })
}

fn check(id: &str, target: &TargetRecord, caller: &Caller) -> Result<(), Fault> {
    let (arn, region) = (&target.arn, caller.region.as_str());
    let place = Place::of(arn, region).map_err(|why| match why {
        NoPlace::NotAnArn => {
            invalid(format!("Parameter {arn} is not valid. Reason: Provided Arn is not in correct format."))
        }
        NoPlace::NotReachable => {
            invalid(format!("Parameter {arn} is not valid. Reason: It names no target of this region."))
        }
        NoPlace::OrderedTopic => invalid(format!(
            "Parameter {arn} is not valid. Reason: FIFO topics are not supported as targets."
        )),
        NoPlace::Service(service) => {
            invalid(format!("Parameter {arn} is not valid. Reason: Targets of {service} are not supported."))
        }
    })?;
    match &place {
        Place::Operation { .. } => {
            return Err(invalid(format!(
                "Parameter {arn} is not valid. Reason: Universal targets are for schedules of EventBridge Scheduler."
            )));
        }
        Place::Function if target.role.is_some() => {
            return Err(invalid(format!("RoleArn is not supported for target {arn}.")));
        }
        Place::Bus(_) if target.input != InputRecord::Event => {
            return Err(invalid(format!(
                "Input, InputPath and InputTransformer are not supported for target {arn}."
            )));
        }
        Place::Destination => {
            let account = Arn::parse(arn).map(|arn| arn.account);
            if account.as_deref() != Some(caller.account.as_str()) {
                return Err(invalid(format!(
                    "Parameter {arn} is not valid. Reason: It is not of this account."
                )));
            }
            if target.role.is_none() {
                return Err(invalid(format!("RoleArn is required for target {arn}.")));
            }
        }
        _ => {}
    }
    if target.http.is_some() && place != Place::Destination {
        return Err(invalid(format!("Parameter(s) HttpParameters not valid for target: {id}.")));
    }
    check_queues(id, target, &place, region)?;
    if let Some(role) = &target.role {
        check_role(role, caller)?;
    }
    if let InputRecord::Transformed { paths, .. } = &target.input
        && paths.len() > TRANSFORMER_PATHS_MAX
    {
        return Err(invalid(format!(
            "InputPathsMap of target {id} has more than {TRANSFORMER_PATHS_MAX} members."
        )));
    }
    maker(id, &target.input).map(drop).map_err(invalid)
}

fn check_queues(id: &str, target: &TargetRecord, place: &Place, region: &str) -> Result<(), Fault> {
    match (place, &target.message_group) {
        (Place::Queue { is_fifo: true }, None) => {
            return Err(invalid(format!("Parameter(s) MessageGroupId must be specified for target: {id}.")));
        }
        (
            Place::Function | Place::Bus(_) | Place::Topic | Place::Destination | Place::Operation { .. },
            Some(_),
        ) => {
            return Err(invalid(format!("Parameter(s) SqsParameters not valid for target: {id}.")));
        }
        _ => {}
    }
    match &target.dead_letter {
        Some(letters) if !takes_dead_letters(letters, region) => Err(invalid(format!(
            "Parameter {letters} is not valid. Reason: A dead-letter queue is a standard SQS queue of this region."
        ))),
        _ => Ok(()),
    }
}

/// What a role may do is up to the policies of queues and buses; that it is nobody else's is up to this.
fn check_role(role: &str, caller: &Caller) -> Result<(), Fault> {
    let arn = Arn::parse(role).filter(|role| role.service == "iam" && role.resource.starts_with("role/"));
    let Some(arn) = arn else {
        return Err(invalid(format!("Parameter {role} is not valid. Reason: It is not the ARN of a role.")));
    };
    if arn.account != caller.account.as_str() {
        return Err(Fault::new(400, "AccessDeniedException", "Cross-account pass role is not allowed."));
    }
    Ok(())
}
