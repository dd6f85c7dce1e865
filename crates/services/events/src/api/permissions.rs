//! PutPermission and RemovePermission.

use lambent_store::events::Record;
use lambent_wire::Fault;

use super::shapes::{ACTION, ANY, BUS_NAME, POLICY_BYTES_MAX, PRINCIPAL, STATEMENT_ID};
use super::{Answer, Call, bus_of, bus_policy, no_bus, not_found};
use crate::reader::invalid;

pub async fn put(call: Call<'_>) -> Answer {
    let root = call.input.root();
    let name = root.text("EventBusName", BUS_NAME)?;
    let policy = root.text("Policy", ANY)?;
    let action = root.text("Action", ACTION)?;
    let principal = root.text("Principal", PRINCIPAL)?;
    let id = root.text("StatementId", STATEMENT_ID)?;
    let condition = match root.member("Condition")? {
        Some(condition) => Some((
            condition.required_text("Type", ANY)?,
            condition.required_text("Key", ANY)?,
            condition.required_text("Value", ANY)?,
        )),
        None => None,
    };
    call.input.finish()?;
    if condition.as_ref().is_some_and(|(kind, key, _)| kind != "StringEquals" || key != "aws:PrincipalOrgID")
    {
        return Err(invalid("Condition must be StringEquals of aws:PrincipalOrgID."));
    }
    let bus = call.own_bus(name.as_deref())?;
    let statement = match (&policy, action, principal, id) {
        (Some(_), None, None, None) => None,
        (None, Some(action), Some(principal), Some(id)) => {
            Some(bus_policy::statement(&id, &action, &principal, &bus.arn(), condition.as_ref()))
        }
        _ => {
            return Err(invalid(
                "Either Policy alone, or Action, Principal and StatementId together must be specified.",
            ));
        }
    };
    if policy.as_deref().is_some_and(|policy| !bus_policy::is_policy(policy)) {
        return Err(invalid("Parameter Policy is not valid. Reason: it is no policy document."));
    }
    let now = call.events.deps.clock.now();
    call.events
        .change(&bus.key(), |found| {
            let mut record = bus_of(found, &bus.name).ok_or_else(|| no_bus(&bus.name))?;
            let changed = match &statement {
                Some(statement) => bus_policy::with(record.policy.as_deref(), statement.clone()),
                None => policy.clone().unwrap_or_default(),
            };
            if changed.len() > POLICY_BYTES_MAX {
                return Err(Fault::new(
                    400,
                    "PolicyLengthExceededException",
                    format!("The policy is larger than {POLICY_BYTES_MAX} bytes."),
                ));
            }
            (record.policy, record.modified) = (Some(changed), now);
            Ok((Some(Record::Bus(record)), None))
        })
        .await
}

pub async fn remove(call: Call<'_>) -> Answer {
    let root = call.input.root();
    let name = root.text("EventBusName", BUS_NAME)?;
    let id = root.text("StatementId", STATEMENT_ID)?;
    let all = root.flag("RemoveAllPermissions")?.unwrap_or(false);
    call.input.finish()?;
    if id.is_none() && !all {
        return Err(invalid("Parameter StatementId is required."));
    }
    let bus = call.own_bus(name.as_deref())?;
    let now = call.events.deps.clock.now();
    call.events
        .change(&bus.key(), |found| {
            let mut record = bus_of(found, &bus.name).ok_or_else(|| no_bus(&bus.name))?;
            record.policy = match (&record.policy, &id) {
                (_, _) if all => None,
                (Some(policy), Some(id)) => bus_policy::without(policy, id)
                    .ok_or_else(|| not_found("Statement with the provided id does not exist.".to_owned()))?,
                _ => return Err(not_found("EventBus does not have a policy.".to_owned())),
            };
            record.modified = now;
            Ok((Some(Record::Bus(record)), None))
        })
        .await
}
