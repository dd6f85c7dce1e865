//! The hops of a message on its way from its topic to its subscribers.

use std::time::Duration;

use lambent_core::ports::{Hop, HopKind, HopOutcome};
use lambent_store::topics::{TopicKey, TopicRecord};

use crate::Topics;
use crate::engine::message::Message;
use crate::fan_out::Circumstances;
use crate::outbox::{Parcel, Trouble};
use crate::publish::Published;

impl Topics {
    /// Messages that somebody has published are on the disk.
    pub(crate) fn tell_published(
        &self,
        topic: &TopicRecord,
        messages: &[Message],
        published: &[Published],
        by: &str,
        with: &Circumstances<'_>,
    ) {
        let arn = topic.key.arn();
        for (message, one) in messages.iter().zip(published).filter(|_| self.deps.traces.wants(&arn)) {
            let text = message.texts.of("sqs");
            self.deps.traces.hop(Hop {
                by: Some(by.to_owned()),
                preview: self.deps.traces.preview(text.as_bytes()),
                ..self.hop(&topic.key, HopKind::Accept, &arn, &one.id).traced(with.trace)
            });
        }
    }

    /// A function that has subscribed is called, by this name.
    pub(crate) fn called(
        &self,
        topic: &TopicRecord,
        (subscription_arn, endpoint): (&str, &str),
        (id, message_id): (&str, &str),
        with: &Circumstances<'_>,
    ) -> Option<Hop> {
        let is_wanted = self.deps.traces.wants(subscription_arn);
        is_wanted.then(|| Hop {
            parent: Some(message_id.to_owned()),
            target: Some(endpoint.to_owned()),
            ..self.hop(&topic.key, HopKind::Deliver, subscription_arn, id).traced(with.trace)
        })
    }

    /// A subscriber has the message, which it knows by this name.
    pub(crate) fn tell_arrived(&self, parcel: &Parcel, id: &str) {
        let arn = parcel.subscription.arn();
        if self.deps.traces.wants(&arn) {
            let parent = Some(parcel.message_id.clone()).filter(|parent| parent != id);
            self.tell(parcel, HopKind::Deliver, &arn, id, |hop| Hop { parent, ..hop });
        }
    }

    /// A subscriber can't take the message now.
    pub(crate) fn tell_waits(&self, parcel: &Parcel, why: &str, pause: Duration) {
        self.tell(parcel, HopKind::Wait, &parcel.subscription.arn(), &parcel.message_id, |hop| Hop {
            took: pause,
            outcome: HopOutcome::Error,
            note: Some(why.to_owned()),
            ..hop
        });
    }

    /// A subscriber never gets the message.
    pub(crate) fn tell_given_up(&self, parcel: &Parcel, trouble: &Trouble) {
        self.tell(parcel, HopKind::GiveUp, &parcel.subscription.arn(), &parcel.message_id, |hop| Hop {
            outcome: HopOutcome::Error,
            note: Some(format!("{}: {}", trouble.code, trouble.message)),
            ..hop
        });
    }

    fn tell(
        &self,
        parcel: &Parcel,
        kind: HopKind,
        subject: &str,
        id: &str,
        complete: impl FnOnce(Hop) -> Hop,
    ) {
        let hop = self.hop(&parcel.subscription.topic, kind, subject, id).traced(parcel.trace());
        self.deps.traces.hop(complete(Hop { target: Some(parcel.target.clone()), ..hop }));
    }

    fn hop(&self, topic: &TopicKey, kind: HopKind, subject: &str, id: &str) -> Hop {
        Hop::new((&topic.account, &topic.region), kind, subject, id, self.deps.clock.now())
    }
}
