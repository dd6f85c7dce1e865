//! What CreateSchedule and UpdateSchedule say of a schedule.

use std::time::Duration;

use lambent_core::time::Timestamp;
use lambent_store::events::{RetryRecord, ScheduleRecord, ScheduleTargetRecord};
use lambent_wire::Fault;

use super::{CLIENT_TOKEN, Call, NAME};
use crate::api::shapes::{
    DESCRIPTION, EVENT_AGE_SECS_MAX, EVENT_AGE_SECS_MIN, MESSAGE_GROUP, RETRY_ATTEMPTS_MAX,
};
use crate::fires;
use crate::names::DEFAULT;
use crate::own::is_reserved;
use crate::reader::{ARN, Member, Shape, invalid, shape};
use crate::schedule::{Dialect, Expression, Zone};
use crate::target::{NoPlace, Place, takes_dead_letters};

/// The model: a flexible window.
const WINDOW_MINUTES_MAX: u32 = 1_440;

/// API reference: how far in the past a beginning or an end may lie when it is given.
const PAST_MAX: Duration = Duration::from_secs(300);

const EXPRESSION: Shape = shape(1, 256);
const TIMEZONE: Shape = shape(1, 50);
const INPUT: Shape = shape(1, usize::MAX);
const SOURCE: Shape = shape(1, 256);
const DETAIL_TYPE: Shape = shape(1, 128);

const ROLE: Shape = Shape {
    pattern: Some((r"arn:aws[a-z-]*:iam::\d{12}:role\/[\w+=,.@\/-]+", |text| {
        lambent_core::Arn::parse(text).is_some_and(|arn| {
            let is_account = arn.account.len() == 12 && arn.account.bytes().all(|b| b.is_ascii_digit());
            let is_name = |name: &str| {
                !name.is_empty() && name.chars().all(|c| c.is_alphanumeric() || "_+=,.@/-".contains(c))
            };
            arn.service == "iam"
                && arn.region.is_empty()
                && is_account
                && arn.resource.strip_prefix("role/").is_some_and(is_name)
        })
    })),
    ..shape(1, 1_600)
};

/// The group, and the schedule as it would be if it were new. `id` and `now` are for that case.
pub fn schedule(call: &Call<'_>, id: String, now: Timestamp) -> Result<(String, ScheduleRecord), Fault> {
    let root = call.input.root();
    let group = root.text("GroupName", NAME)?.unwrap_or_else(|| DEFAULT.to_owned());
    let expression = root.required_text("ScheduleExpression", EXPRESSION)?;
    let zone = root.text("ScheduleExpressionTimezone", TIMEZONE)?.unwrap_or_else(|| "UTC".to_owned());
    let (start, end) = (root.time("StartDate")?, root.time("EndDate")?);
    let description = root.text("Description", DESCRIPTION)?;
    let state = root.choice("State", &["ENABLED", "DISABLED"])?;
    let completion = root.choice("ActionAfterCompletion", &["NONE", "DELETE"])?;
    let client_token = root.text("ClientToken", CLIENT_TOKEN)?;
    let window = root.member("FlexibleTimeWindow")?.map(|window| read_window(&window)).transpose()?;
    let window_minutes = root.required("FlexibleTimeWindow", window);
    let target = root.member("Target")?.map(|target| read_target(&target)).transpose()?;
    if target.is_none() {
        root.required("Target", None::<String>);
    }
    call.input.finish()?;
    let Some(target) = target else { return Err(invalid("Target must be specified.")) };
    check_times(&expression, &zone, start, end, now)?;
    let caller = &call.request.caller;
    let role = lambent_core::Arn::parse(&target.role);
    if role.is_none_or(|role| role.account != caller.account.as_str()) {
        return Err(invalid("The execution role must be one of this account."));
    }
    check_target(call, &target, caller.region.as_str())?;
    let record = ScheduleRecord {
        id,
        expression,
        zone,
        start,
        end,
        is_enabled: state.as_deref() != Some("DISABLED"),
        description,
        window_minutes,
        deletes_itself: completion.as_deref() == Some("DELETE"),
        target,
        client_token,
        created: now,
        modified: now,
        since: now,
    };
    Ok((group, record))
}

fn read_window(window: &Member<'_>) -> Result<Option<u32>, Fault> {
    let mode = window.choice("Mode", &["OFF", "FLEXIBLE"])?;
    let mode = window.required("Mode", mode);
    let minutes = window.number("MaximumWindowInMinutes", 1, WINDOW_MINUTES_MAX)?;
    match (mode.as_str(), minutes) {
        ("OFF", Some(_)) => {
            Err(invalid("MaximumWindowInMinutes must not be specified when the flexible time window is OFF."))
        }
        ("FLEXIBLE", None) => Err(invalid(
            "MaximumWindowInMinutes must be specified when the flexible time window is FLEXIBLE.",
        )),
        _ => Ok(minutes),
    }
}

fn read_target(target: &Member<'_>) -> Result<ScheduleTargetRecord, Fault> {
    let retry = match target.member("RetryPolicy")? {
        Some(retry) => RetryRecord {
            attempts_max: retry.number("MaximumRetryAttempts", 0, RETRY_ATTEMPTS_MAX)?,
            age_secs_max: retry.number("MaximumEventAgeInSeconds", EVENT_AGE_SECS_MIN, EVENT_AGE_SECS_MAX)?,
        },
        None => RetryRecord::default(),
    };
    let event = match target.member("EventBridgeParameters")? {
        Some(event) => {
            Some((event.required_text("Source", SOURCE)?, event.required_text("DetailType", DETAIL_TYPE)?))
        }
        None => None,
    };
    let dead_letter = match target.member("DeadLetterConfig")? {
        Some(config) => config.text("Arn", ARN)?,
        None => None,
    };
    let message_group = match target.member("SqsParameters")? {
        Some(queue) => queue.text("MessageGroupId", MESSAGE_GROUP)?,
        None => None,
    };
    Ok(ScheduleTargetRecord {
        arn: target.required_text("Arn", ARN)?,
        role: target.required_text("RoleArn", ROLE)?,
        input: target.text("Input", INPUT)?,
        retry,
        dead_letter,
        message_group,
        event,
    })
}

fn check_times(
    expression: &str,
    zone: &str,
    start: Option<Timestamp>,
    end: Option<Timestamp>,
    now: Timestamp,
) -> Result<(), Fault> {
    Expression::parse(expression, Dialect::Scheduler)
        .map_err(|_| invalid(format!("Invalid Schedule Expression {expression}.")))?;
    if Zone::named(zone).is_none() {
        return Err(invalid(format!("Invalid ScheduleExpressionTimezone {zone}.")));
    }
    let is_past = |time: Option<Timestamp>| time.is_some_and(|time| now.since(time) > PAST_MAX);
    if is_past(start) {
        return Err(invalid("The StartDate you specify cannot be earlier than 5 minutes ago."));
    }
    if is_past(end) {
        return Err(invalid("The EndDate you specify cannot be earlier than 5 minutes ago."));
    }
    match (start, end) {
        (Some(start), Some(end)) if end <= start => {
            Err(invalid("The StartDate you specify must come before the EndDate."))
        }
        _ => Ok(()),
    }
}

fn check_target(call: &Call<'_>, target: &ScheduleTargetRecord, region: &str) -> Result<(), Fault> {
    let arn = &target.arn;
    let place = Place::of(arn, region).map_err(|why| match why {
        NoPlace::NotAnArn => invalid("Provided Arn is not in correct format."),
        NoPlace::NotReachable => invalid(format!("Provided Arn {arn} names no target of this region.")),
        NoPlace::OrderedTopic => invalid(format!("FIFO topics are not supported as targets: {arn}.")),
        NoPlace::Service(service) => invalid(format!("Targets of {service} are not supported: {arn}.")),
    })?;
    if place == Place::Destination {
        return Err(invalid(format!("API destinations are not supported as targets: {arn}.")));
    }
    if let Place::Operation { service, action } = &place {
        call.events.check_operation(service, action)?;
    }
    match (&place, &target.event) {
        (
            Place::Function
            | Place::Queue { .. }
            | Place::Topic
            | Place::Destination
            | Place::Operation { .. },
            Some(_),
        ) => {
            return Err(invalid("EventBridgeParameters are for targets that are event buses."));
        }
        (Place::Bus(_), None) => {
            return Err(invalid("EventBridgeParameters must be specified for an event bus."));
        }
        (Place::Bus(_), Some((source, _))) if source.starts_with("aws.") => {
            return Err(invalid("Source must not begin with aws."));
        }
        (Place::Bus(_), Some((source, _))) if is_reserved(source) => {
            return Err(invalid("Source must not be lambent, whose events are the node's own."));
        }
        (Place::Bus(_), Some((source, kind))) if source.starts_with('$') || kind.starts_with('$') => {
            return Err(invalid("JSON paths in EventBridgeParameters are not supported."));
        }
        _ => {}
    }
    match (&place, &target.message_group) {
        (Place::Queue { is_fifo: true }, None) => {
            return Err(invalid("SqsParameters must be specified for a FIFO queue."));
        }
        (
            Place::Function | Place::Bus(_) | Place::Topic | Place::Destination | Place::Operation { .. },
            Some(_),
        ) => {
            return Err(invalid("SqsParameters are for targets that are queues."));
        }
        _ => {}
    }
    if let Some(letters) = &target.dead_letter
        && !takes_dead_letters(letters, region)
    {
        return Err(invalid(format!(
            "DeadLetterConfig must name a standard queue of this region, and {letters} is none."
        )));
    }
    let Some(input) = &target.input else { return Ok(()) };
    // Queues and topics take any text.
    if matches!(place, Place::Queue { .. } | Place::Topic) {
        return Ok(());
    }
    // With the attributes that a fire fills in.
    let mut filled = fires::filled(input, &fires::Attributes::sample());
    fires::number_attempt(&mut filled, 0);
    match serde_json::from_str::<serde_json::Value>(&filled) {
        Ok(serde_json::Value::Object(_)) => Ok(()),
        Ok(_) if place == Place::Function => Ok(()),
        Ok(_) => Err(invalid("Input must be a JSON object for this target.")),
        Err(_) => Err(invalid("Input must be valid JSON for this target.")),
    }
}
