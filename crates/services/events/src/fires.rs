//! What a schedule's target gets when it fires.

use lambent_core::time::Timestamp;
use lambent_store::deliveries::{Authority, Command, FunctionEvent, Refusal};
use lambent_store::events::{Key, ScheduleRecord};
use serde_json::value::RawValue;
use serde_json::{Value, json};

use crate::Events;
use crate::dispatch::{Event, Happening, to_the_second};
use crate::names::BusName;
use crate::parcel::{Cause, DeadLetter, Failure, Goal, Origin, Parcel, Patience, Sender};
use crate::scheduler::schedule_arn;
use crate::target::Place;
use crate::way::Outgoing;

/// What an input may name, as the user guide lists it.
pub struct Attributes<'a> {
    schedule_arn: &'a str,
    scheduled_time: &'a str,
    execution_id: &'a str,
}

impl Attributes<'_> {
    /// Values of the right form, for judging an input before there is a fire.
    pub fn sample() -> Self {
        Self { schedule_arn: "arn", scheduled_time: "2026-01-01T00:00:00Z", execution_id: "id" }
    }
}

/// The input with the attributes filled in, each the text that it is.
pub fn filled(input: &str, attributes: &Attributes<'_>) -> String {
    if !input.contains("<aws.scheduler.") {
        return input.to_owned();
    }
    input
        .replace("<aws.scheduler.schedule-arn>", attributes.schedule_arn)
        .replace("<aws.scheduler.scheduled-time>", attributes.scheduled_time)
        .replace("<aws.scheduler.execution-id>", attributes.execution_id)
}

/// Says in a schedule's input which attempt this is. `retries` came before it.
pub fn number_attempt(input: &mut String, retries: u32) {
    const NUMBER: &str = "<aws.scheduler.attempt-number>";
    if input.contains(NUMBER) {
        *input = input.replace(NUMBER, &(u64::from(retries) + 1).to_string());
    }
}

impl Events {
    /// Adds the deliveries of a schedule's fire.
    pub(crate) fn deliver_schedule(
        &self,
        key: &Key,
        schedule: &ScheduleRecord,
        moment: Timestamp,
        deliveries: &mut Outgoing,
    ) {
        let arn = schedule_arn(key);
        let (execution_id, time) = (self.new_id(), to_the_second(moment));
        let attributes =
            Attributes { schedule_arn: &arn, scheduled_time: &time, execution_id: &execution_id };
        let (account, region) = (&key.scope.account, &key.scope.region);
        let target = &schedule.target;
        let sender = Sender::Schedule {
            arn: arn.clone(),
            role: target.role.clone(),
            execution_id: execution_id.clone(),
            time: time.clone(),
        };
        let given = target.input.as_ref().map(|input| filled(input, &attributes));
        let nothing = || default_input(&attributes, account.as_str(), region.as_str()).to_string();
        let mut input = given.clone().unwrap_or_else(nothing);
        let origin = Origin { account: account.clone(), target_arn: target.arn.clone(), sender };
        let letters = target.dead_letter.clone().map(|queue_arn| DeadLetter { queue_arn, event: None });
        let place = Place::of(&target.arn, region.as_str());
        self.tell_fired((account, region), &arn, (&execution_id, &input), moment, deliveries);
        let goal = match &place {
            Ok(Place::Queue { .. } | Place::Topic) => {
                Some(Goal::Queue { arn: target.arn.clone(), group: target.message_group.clone() })
            }
            Ok(Place::Operation { service, action }) => {
                // What the service itself makes of nothing said is no operation's input.
                input = given.clone().unwrap_or_else(|| "{}".to_owned());
                let (service, action) = (service.clone(), action.clone());
                Some(Goal::Operation { arn: target.arn.clone(), service, action })
            }
            _ => None,
        };
        if let Some(goal) = goal {
            let parcel = Parcel {
                goal,
                body: input,
                trace_header: None,
                event_id: execution_id,
                origin,
                patience: Patience::new(target.retry, moment),
                dead_letter: letters,
            };
            return deliveries.push(self.post(&parcel));
        }
        // To a function or a bus the hand-over is one commit: there is no second attempt.
        number_attempt(&mut input, 0);
        let handed_over = match place {
            Ok(Place::Function) => {
                let call = FunctionEvent {
                    function_arn: target.arn.clone(),
                    payload: input.clone(),
                    trace_header: None,
                    authority: Authority::Role { account: account.to_string() },
                };
                let delivery = self.deps.functions.delivery(call);
                delivery.map_err(Failure::from).map(|delivery| {
                    let (ends, id) = ((arn.as_str(), target.arn.as_str()), delivery.id.to_string());
                    self.tell_fire_handed_on((account, region), ends, (&id, &execution_id), deliveries);
                    deliveries.push(Command::Accept(delivery));
                })
            }
            Ok(Place::Bus(bus)) => {
                let detail = given.map_or_else(|| "{}".to_owned(), |_| input.clone());
                self.put_scheduled_event(&bus, schedule, detail, moment, deliveries).map(|id| {
                    let ends = (arn.as_str(), target.arn.as_str());
                    self.tell_fire_handed_on((account, region), ends, (&id, &execution_id), deliveries);
                })
            }
            Ok(Place::Queue { .. } | Place::Topic | Place::Destination | Place::Operation { .. })
            | Err(_) => Err(Refusal::NotFound.into()),
        };
        if let Err(failure) = handed_over {
            let ends = (arn.as_str(), target.arn.as_str());
            self.tell_fire_given_up((account, region), ends, &execution_id, &failure, deliveries);
            let letter = self.give_up(origin, letters, &input, &failure);
            let letter = letter.map(|letter| Parcel { event_id: execution_id, ..letter });
            deliveries.commands.extend(letter.map(|letter| self.post(&letter)));
        }
    }

    /// As PutEvents would put it.
    fn put_scheduled_event(
        &self,
        bus: &BusName,
        schedule: &ScheduleRecord,
        detail: String,
        moment: Timestamp,
        deliveries: &mut Outgoing,
    ) -> Result<String, Failure> {
        let invalid = |what: &str| Failure::at_once(Cause::Invalid, what);
        let event = schedule.target.event.as_ref();
        let (source, detail_type) = event.ok_or_else(|| invalid("it does not say the event's source"))?;
        let detail = RawValue::from_string(detail).map_err(|_| Refusal::Malformed)?;
        let role = lambent_core::Arn::parse(&schedule.target.role).map(|role| role.account);
        let account = role.and_then(|account| lambent_core::AccountId::new(account).ok());
        let account = account.ok_or_else(|| invalid("its role can't be read"))?;
        if !self.may_put_events(bus, &account) {
            return Err(Failure::at_once(Cause::NoPermission, "the bus's policy does not allow it"));
        }
        let happening = Happening {
            source,
            detail_type,
            resources: &[],
            detail: &detail,
            account: account.as_str(),
            region: bus.region.as_str(),
            time: moment,
        };
        let event = Event::new(self.new_id(), &happening, None, self.deps.clock.now());
        self.deliver(bus, &event, deliveries);
        Ok(event.id)
    }
}

/// User guide: what a function gets when the schedule has no input.
fn default_input(attributes: &Attributes<'_>, account: &str, region: &str) -> Value {
    json!({
        "version": "0",
        "id": attributes.execution_id,
        "detail-type": "Scheduled Event",
        "source": "aws.scheduler",
        "account": account,
        "time": attributes.scheduled_time,
        "region": region,
        "resources": [attributes.schedule_arn],
        "detail": "{}",
    })
}
