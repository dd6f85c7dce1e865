//! The hops of an event on its way from a bus or a schedule to its targets.

use lambent_core::ids::{AccountId, Region};
use lambent_core::ports::{Hop, HopKind, HopOutcome};
use lambent_core::time::Timestamp;
use lambent_store::deliveries::Command;

use crate::Events;
use crate::dispatch::Event;
use crate::names::BusName;
use crate::parcel::{Failure, Parcel};

/// What is to be on the disk, and what is told once it is.
#[derive(Debug, Default)]
pub struct Outgoing {
    pub commands: Vec<Command>,
    pub hops: Vec<Hop>,
}

impl Outgoing {
    pub fn push(&mut self, command: Command) {
        self.commands.push(command);
    }
}

impl Events {
    /// The event is on its bus.
    pub(crate) fn tell_accepted(&self, bus: &BusName, event: &Event, by: &str, out: &mut Outgoing) {
        let arn = bus.arn();
        if self.deps.traces.wants(&arn) {
            let hop = self.hop(&bus.account, &bus.region, HopKind::Accept, &arn, &event.id);
            out.hops.push(Hop {
                by: Some(by.to_owned()).filter(|by| !by.is_empty()),
                preview: self.deps.traces.preview(event.text.as_bytes()),
                ..hop.traced(event.trace_header.as_deref())
            });
        }
    }

    /// A rule hands the event to a target, which knows it as `id`.
    pub(crate) fn tell_handed_on(
        &self,
        bus: &BusName,
        (rule_arn, target_arn): (&str, &str),
        event: &Event,
        id: &str,
        out: &mut Outgoing,
    ) {
        if self.deps.traces.wants(rule_arn) {
            let hop = self.hop(&bus.account, &bus.region, HopKind::Deliver, rule_arn, id);
            out.hops.push(Hop {
                parent: Some(event.id.clone()).filter(|parent| parent != id),
                target: Some(target_arn.to_owned()),
                ..hop.traced(event.trace_header.as_deref())
            });
        }
    }

    /// A rule's target never gets the event.
    pub(crate) fn tell_undelivered(
        &self,
        bus: &BusName,
        (rule_arn, target_arn): (&str, &str),
        event: &Event,
        failure: &Failure,
        out: &mut Outgoing,
    ) {
        let owner = (&bus.account, &bus.region);
        let hop = self.refused(owner, (rule_arn, target_arn), &event.id, failure);
        out.hops.push(hop.traced(event.trace_header.as_deref()));
    }

    /// A schedule fires for a moment.
    pub(crate) fn tell_fired(
        &self,
        (account, region): (&AccountId, &Region),
        source_arn: &str,
        (id, input): (&str, &str),
        moment: Timestamp,
        out: &mut Outgoing,
    ) {
        let hop = self.hop(account, region, HopKind::Accept, source_arn, id);
        out.hops.push(Hop {
            took: hop.at.since(moment),
            note: Some(format!("it was due at {moment}")),
            preview: self.deps.traces.preview(input.as_bytes()),
            ..hop
        });
    }

    /// A fire is a call, or an event, of this name.
    pub(crate) fn tell_fire_handed_on(
        &self,
        (account, region): (&AccountId, &Region),
        (source_arn, target_arn): (&str, &str),
        (id, parent): (&str, &str),
        out: &mut Outgoing,
    ) {
        let hop = self.hop(account, region, HopKind::Deliver, source_arn, id);
        out.hops.push(Hop { parent: Some(parent.to_owned()), target: Some(target_arn.to_owned()), ..hop });
    }

    /// A fire's target never gets it.
    pub(crate) fn tell_fire_given_up(
        &self,
        owner: (&AccountId, &Region),
        ends: (&str, &str),
        id: &str,
        failure: &Failure,
        out: &mut Outgoing,
    ) {
        out.hops.push(self.refused(owner, ends, id, failure));
    }

    fn refused(
        &self,
        (account, region): (&AccountId, &Region),
        (source_arn, target_arn): (&str, &str),
        id: &str,
        failure: &Failure,
    ) -> Hop {
        Hop {
            outcome: HopOutcome::Refused,
            target: Some(target_arn.to_owned()),
            note: Some(failure.message.clone()),
            ..self.hop(account, region, HopKind::GiveUp, source_arn, id)
        }
    }

    /// A target has a parcel, as a message of this name.
    pub(crate) fn tell_arrived(&self, parcel: &Parcel, message: &str) {
        let source = parcel.origin.source_arn();
        if self.deps.traces.wants(source) {
            let parent = Some(parcel.event_id.clone());
            self.tell_parcel(parcel, HopKind::Deliver, message, |hop| Hop { parent, ..hop });
        }
    }

    /// A target can't take a parcel now.
    pub(crate) fn tell_waits(&self, parcel: &Parcel, why: &str, until: Timestamp) {
        self.tell_parcel(parcel, HopKind::Wait, &parcel.event_id, |hop| Hop {
            took: until.since(hop.at),
            outcome: HopOutcome::Error,
            note: Some(why.to_owned()),
            ..hop
        });
    }

    /// A target never gets a parcel.
    pub(crate) fn tell_given_up(&self, parcel: &Parcel, failure: &Failure) {
        let note = match failure.exhausted {
            Some(limit) => format!("{} ({limit}, {} retries)", failure.message, failure.retries),
            None => failure.message.clone(),
        };
        self.tell_parcel(parcel, HopKind::GiveUp, &parcel.event_id, |hop| Hop {
            outcome: HopOutcome::Error,
            note: Some(note),
            ..hop
        });
    }

    fn tell_parcel(&self, parcel: &Parcel, kind: HopKind, id: &str, complete: impl FnOnce(Hop) -> Hop) {
        // What an earlier version put off does not say of which event it is.
        let source = parcel.origin.source_arn();
        let region = lambent_core::Arn::parse(source).and_then(|arn| Region::new(arn.region).ok());
        let Some(region) = region.filter(|_| !parcel.event_id.is_empty()) else { return };
        let hop = self.hop(&parcel.origin.account, &region, kind, source, id);
        let hop = Hop { target: Some(parcel.goal.arn().to_owned()), ..hop };
        self.deps.traces.hop(complete(hop.traced(parcel.trace_header.as_deref())));
    }

    fn hop(&self, account: &AccountId, region: &Region, kind: HopKind, subject: &str, id: &str) -> Hop {
        Hop::new((account, region), kind, subject, id, self.deps.clock.now())
    }

    /// What was to be on the disk is there.
    pub(crate) fn tell(&self, hops: Vec<Hop>) {
        for hop in hops {
            self.deps.traces.hop(hop);
        }
    }
}
