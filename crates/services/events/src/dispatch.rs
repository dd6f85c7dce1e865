//! From an event to the deliveries of its rules' targets.

use lambent_core::ids::AccountId;
use lambent_core::time::Timestamp;
use lambent_store::StoreError;
use lambent_store::archive::Archived;
use lambent_store::deliveries::{Authority, Command, FunctionEvent, Refusal};
use lambent_store::events::{Entry, Key, Record, RuleRecord, Scope};
use lambent_wire::Fault;
use serde::Serialize;
use serde_json::Value;
use serde_json::value::RawValue;

use crate::Events;
use crate::api::bus_policy;
use crate::http::filled;
use crate::indexes;
use crate::input::Reserved;
use crate::names::BusName;
use crate::parcel::{Cause, DeadLetter, Failure, Goal, Origin, Parcel, Patience, Sender};
use crate::target::{Place, ReadyRule, ReadyTarget};
use crate::way::Outgoing;

/// As functions' policies name this service.
pub const PRINCIPAL: &str = "events.amazonaws.com";

/// What somebody says happened.
pub struct Happening<'a> {
    pub source: &'a str,
    pub detail_type: &'a str,
    pub resources: &'a [String],
    /// A JSON object.
    pub detail: &'a RawValue,
    pub account: &'a str,
    pub region: &'a str,
    pub time: Timestamp,
}

/// An event in its envelope.
pub struct Event {
    pub id: String,
    pub time: Timestamp,
    pub text: String,
    pub value: Value,
    pub trace_header: Option<String>,
    pub ingested: String,
    /// The rules that a replay is for, none for all; `None` for what is no replay.
    replay: Option<Vec<String>>,
}

#[derive(Serialize)]
#[serde(rename_all = "kebab-case")]
struct Envelope<'a> {
    version: &'static str,
    id: &'a str,
    detail_type: &'a str,
    source: &'a str,
    account: &'a str,
    time: String,
    region: &'a str,
    resources: &'a [String],
    detail: &'a RawValue,
}

impl Event {
    /// `now` is when it came.
    pub fn new(id: String, happening: &Happening<'_>, trace_header: Option<String>, now: Timestamp) -> Self {
        let envelope = Envelope {
            version: "0",
            id: &id,
            detail_type: happening.detail_type,
            source: happening.source,
            account: happening.account,
            time: to_the_second(happening.time),
            region: happening.region,
            resources: happening.resources,
            detail: happening.detail,
        };
        let text = serde_json::to_string(&envelope).expect("an envelope is plain data with text keys");
        let value = serde_json::from_str(&text).expect("what was written as JSON is JSON");
        let (time, ingested) = (happening.time, to_the_second(now));
        Self { id, time, text, value, trace_header, ingested, replay: None }
    }

    /// One that is put on its bus again, for these rules.
    pub fn replayed(
        archived: &Archived,
        text: String,
        value: Value,
        rules: Vec<String>,
        now: Timestamp,
    ) -> Self {
        Self {
            id: archived.id.clone(),
            time: archived.time,
            text,
            value,
            trace_header: None,
            ingested: to_the_second(now),
            replay: Some(rules),
        }
    }

    fn is_for(&self, rule: &ReadyRule) -> bool {
        self.replay.as_ref().is_none_or(|rules| rules.is_empty() || rules.contains(&rule.arn))
    }
}

/// `2026-11-21T08:00:00Z`.
pub fn to_the_second(time: Timestamp) -> String {
    let (y, mo, d, h, mi, s) = time.civil();
    format!("{y:04}-{mo:02}-{d:02}T{h:02}:{mi:02}:{s:02}Z")
}

/// Developer guide: what a bus got from another bus it does not send on to a third one.
const HOPS_MAX: u32 = 1;

impl Events {
    /// Adds the deliveries of an event to the targets of the bus's rules.
    pub(crate) fn deliver(&self, bus: &BusName, event: &Event, deliveries: &mut Outgoing) {
        self.deliver_from(bus, event, 0, deliveries);
    }

    fn deliver_from(&self, bus: &BusName, event: &Event, hops: u32, deliveries: &mut Outgoing) {
        if event.replay.is_none() {
            self.archive(bus, event, deliveries);
        }
        let index = self.rules.of(&bus.rules(), &*self.deps.store, indexes::rules);
        // On the buses that it is sent on to, a replayed event is for all.
        for rule in index.matching(&event.value).into_iter().filter(|rule| hops > 0 || event.is_for(rule)) {
            for target in &rule.targets {
                self.deliver_to(bus, rule, target, event, hops, deliveries);
            }
        }
    }

    /// Adds the deliveries of a fire.
    pub(crate) fn deliver_fire(&self, entry: &Entry, moment: Timestamp, deliveries: &mut Outgoing) {
        match &entry.record {
            Record::Rule(rule) => self.deliver_scheduled_event(&entry.key, rule, moment, deliveries),
            Record::Schedule(schedule) => self.deliver_schedule(&entry.key, schedule, moment, deliveries),
            Record::Bus(_)
            | Record::Group(_)
            | Record::Archive(_)
            | Record::Replay(_)
            | Record::Connection(_)
            | Record::Destination(_) => {}
        }
    }

    /// The event that tells a rule's targets that its time has come.
    fn deliver_scheduled_event(
        &self,
        key: &Key,
        rule: &RuleRecord,
        moment: Timestamp,
        deliveries: &mut Outgoing,
    ) {
        let ready = ReadyRule::new(key, rule);
        let Scope { account, region, parent, .. } = &key.scope;
        let bus = BusName { account: account.clone(), region: region.clone(), name: parent.clone() };
        let nothing = RawValue::from_string("{}".to_owned()).expect("an empty object is JSON");
        let happening = Happening {
            source: "aws.events",
            detail_type: "Scheduled Event",
            resources: std::slice::from_ref(&ready.arn),
            detail: &nothing,
            account: account.as_str(),
            region: region.as_str(),
            time: moment,
        };
        let now = self.deps.clock.now();
        let event = Event::new(self.new_id(), &happening, None, now);
        let arn = ready.arn.as_str();
        self.tell_fired((account, region), arn, (&event.id, &event.text), moment, deliveries);
        for target in &ready.targets {
            if now > Patience::new(target.retry, moment).expires {
                self.undelivered(&bus, &ready, target, &event, &Failure::too_old(), deliveries);
            } else {
                self.deliver_to(&bus, &ready, target, &event, 0, deliveries);
            }
        }
    }

    fn deliver_to(
        &self,
        bus: &BusName,
        rule: &ReadyRule,
        target: &ReadyTarget,
        event: &Event,
        hops: u32,
        deliveries: &mut Outgoing,
    ) {
        let reserved =
            Reserved { rule_arn: &rule.arn, rule_name: &rule.name, ingestion_time: &event.ingested };
        match &target.place {
            Place::Bus(other) if hops < HOPS_MAX => {
                if self.may_put_events(other, &bus.account) {
                    let ends = (rule.arn.as_str(), target.arn.as_str());
                    self.tell_handed_on(bus, ends, event, &event.id, deliveries);
                    self.deliver_from(other, event, hops + 1, deliveries);
                } else {
                    let failure = Failure::at_once(Cause::NoPermission, "the bus's policy does not allow it");
                    self.undelivered(bus, rule, target, event, &failure, deliveries);
                }
            }
            Place::Bus(_) => {}
            Place::Operation { .. } => {
                self.undelivered(bus, rule, target, event, &Refusal::NotFound.into(), deliveries);
            }
            Place::Function => {
                let call = FunctionEvent {
                    function_arn: target.arn.clone(),
                    payload: target.maker.make(&event.text, &event.value, &reserved),
                    trace_header: event.trace_header.clone(),
                    authority: Authority::Service {
                        principal: PRINCIPAL,
                        source_arn: rule.arn.clone(),
                        source_account: bus.account.to_string(),
                    },
                };
                match self.deps.functions.delivery(call) {
                    Ok(delivery) => {
                        let ends = (rule.arn.as_str(), target.arn.as_str());
                        self.tell_handed_on(bus, ends, event, &delivery.id.to_string(), deliveries);
                        deliveries.push(Command::Accept(delivery));
                    }
                    Err(refusal) => {
                        self.undelivered(bus, rule, target, event, &refusal.into(), deliveries);
                    }
                }
            }
            Place::Queue { .. } | Place::Topic | Place::Destination => {
                let body = target.maker.make(&event.text, &event.value, &reserved);
                let letters = target.dead_letter.clone();
                let as_it_came = (body != event.text).then(|| event.text.clone());
                let parcel = Parcel {
                    goal: target.goal(event),
                    body,
                    trace_header: event.trace_header.clone(),
                    event_id: event.id.clone(),
                    origin: origin(bus, rule, target),
                    patience: Patience::new(target.retry, self.deps.clock.now()),
                    dead_letter: letters.map(|queue_arn| DeadLetter { queue_arn, event: as_it_came }),
                };
                deliveries.push(self.post(&parcel));
            }
        }
    }

    fn undelivered(
        &self,
        bus: &BusName,
        rule: &ReadyRule,
        target: &ReadyTarget,
        event: &Event,
        failure: &Failure,
        deliveries: &mut Outgoing,
    ) {
        self.tell_undelivered(bus, (&rule.arn, &target.arn), event, failure, deliveries);
        let letters = target.dead_letter.clone().map(|queue_arn| DeadLetter { queue_arn, event: None });
        let letter = self.give_up(origin(bus, rule, target), letters, &event.text, failure);
        deliveries.commands.extend(letter.map(|letter| {
            self.post(&Parcel {
                event_id: event.id.clone(),
                trace_header: event.trace_header.clone(),
                ..letter
            })
        }));
    }

    /// Whether this account may put events on the bus. The bus is there.
    pub(crate) fn may_put_events(&self, bus: &BusName, account: &AccountId) -> bool {
        let found = self.deps.store.get(&bus.key());
        let Some(Record::Bus(record)) = found.as_ref().map(|entry| &entry.record) else {
            return bus.account == *account;
        };
        bus.account == *account
            || record.policy.as_deref().is_some_and(|policy| bus_policy::grants(policy, account.as_str()))
    }

    /// Has the deliveries on the disk, and their services at work.
    pub(crate) async fn accept(&self, deliveries: Outgoing) -> Result<(), Fault> {
        let Outgoing { commands, hops } = deliveries;
        if commands.is_empty() {
            self.tell(hops);
            return Ok(());
        }
        match self.deps.deliveries.apply(commands).await {
            Ok(()) => {
                self.tell(hops);
                self.accepted();
                Ok(())
            }
            Err(StoreError::Unavailable { detail }) => Err(crate::unavailable(&detail)),
            // Every delivery has a new name.
            Err(StoreError::Conflict) => Err(crate::unavailable("a delivery's name was in use")),
        }
    }
}

impl ReadyTarget {
    /// Where what waits for its target is to go.
    fn goal(&self, event: &Event) -> Goal {
        let arn = self.arn.clone();
        match self.place {
            Place::Destination => Goal::Http { arn, with: filled(&self.http, &event.value) },
            _ => Goal::Queue { arn, group: self.message_group.clone() },
        }
    }
}

fn origin(bus: &BusName, rule: &ReadyRule, target: &ReadyTarget) -> Origin {
    Origin {
        account: bus.account.clone(),
        target_arn: target.arn.clone(),
        sender: Sender::Rule { arn: rule.arn.clone(), role: target.role.clone() },
    }
}
