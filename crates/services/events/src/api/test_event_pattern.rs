//! TestEventPattern.

use serde_json::json;

use super::put_rule::invalid_pattern;
use super::shapes::{ANY, EVENT_PATTERN};
use super::{Answer, Call};
use crate::reader::invalid;
use crate::target;
use lambent_pattern::Pattern;

/// API reference: what the event must have.
const REQUIRED: [&str; 7] = ["id", "account", "source", "time", "region", "resources", "detail-type"];

pub async fn answer(call: Call<'_>) -> Answer {
    let root = call.input.root();
    let pattern = root.required_text("EventPattern", EVENT_PATTERN)?;
    let event = root.required_text("Event", ANY)?;
    call.input.finish()?;
    let pattern = Pattern::parse(&pattern).map_err(|error| invalid_pattern(&error))?;
    let Some(event) = target::object(&event) else {
        return Err(invalid("Parameter Event is not valid. Reason: It is not a JSON object."));
    };
    if let Some(missing) = REQUIRED.into_iter().find(|name| event.get(name).is_none()) {
        return Err(invalid(format!("Parameter Event is not valid. Reason: It has no {missing}.")));
    }
    Ok(Some(json!({ "Result": pattern.matches(&event) })))
}
