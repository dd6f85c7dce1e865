//! Deliveries to queues: accepted with their message, then tried until their queue has them or they are given up.
//!
//! Invariants:
//! - a delivery is in the store until its end is, and the end and what the dead-letter queue gets are one commit;
//! - a node that dies between a queue's yes and the end delivers again: at least once, as the reference;
//! - a queue that can't take messages holds up no other.

use std::collections::{BTreeMap, HashSet};
use std::future::Future;
use std::pin::pin;
use std::time::Duration;

use futures_util::StreamExt as _;
use futures_util::stream::FuturesUnordered;
use lambent_core::ids::RequestId;
use lambent_core::ports::{Bell, Entropy, Push, PushRefusal, Pusher};
use lambent_core::time::Timestamp;
use lambent_store::StoreError;
use lambent_store::deliveries::{Command, Delivery, Lane, Tries};
use lambent_store::topics::{SubscriptionKey, SubscriptionRecord};
use serde::{Deserialize, Serialize};

use crate::engine::message::FIFO_SUFFIX;
use crate::engine::retry;
use crate::ordered;
use crate::posts::Post;
use crate::publish::Published;
use crate::{PRINCIPAL, Topics};

/// For queues.
const LANE: Lane = Lane::TopicSubscription;

/// For HTTP endpoints, which may be slow: they hold up no queue.
const POSTS: Lane = Lane::HttpSubscription;

/// Ours: attempts at one time.
const IN_FLIGHT_MAX: usize = 1_000;

/// Ours: deliveries read from the store at one time.
const READ_MAX: usize = 256;

/// Ours: how long to leave a store alone that has failed.
pub(crate) const RETRY_AFTER: Duration = Duration::from_secs(1);

/// Ours: the longest sleep. The wall clock may be set while the worker waits for a moment of it.
pub(crate) const SLEEP_MAX: Duration = Duration::from_secs(30);

/// SQS developer guide, *Message quotas*: attributes of one message.
const QUEUE_ATTRIBUTES_MAX: usize = 10;

/// What is on its way to a queue.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Parcel {
    pub subscription: SubscriptionKey,
    pub message_id: String,
    /// The subscriber, or its dead-letter queue.
    pub target: String,
    is_dead: bool,
    pub body: String,
    attributes: BTreeMap<String, (String, String)>,
    group: Option<String>,
    dedup: Option<String>,
    trace: Option<String>,
    /// A FIFO topic's.
    number: Option<u64>,
    /// For an HTTP endpoint.
    pub post: Option<Post>,
}

/// Why a message did not reach its subscriber, as its dead-letter queue is told.
pub struct Trouble {
    pub code: String,
    pub message: String,
}

impl Parcel {
    pub fn new(subscription: &SubscriptionRecord, message: &Published, body: String, push: Push) -> Self {
        Self {
            subscription: subscription.key.clone(),
            message_id: message.id.clone(),
            number: message.number,
            post: None,
            target: subscription.endpoint.clone(),
            is_dead: false,
            body,
            attributes: push.attributes,
            group: push.group,
            dedup: push.dedup,
            trace: push.trace_header,
        }
    }

    pub fn into_delivery(self, entropy: &dyn Entropy, now: Timestamp) -> Delivery {
        let body = serde_json::to_vec(&self).expect("a parcel is plain data with text keys").into();
        let (id, lane, due) = match self.number {
            Some(number) => (ordered::id(number, entropy), ordered::LANE, ordered::DUE),
            None if self.post.is_some() => (RequestId::random(entropy), POSTS, now),
            None => (RequestId::random(entropy), LANE, now),
        };
        Delivery { id, lane, accepted: now, due, tries: Tries::default(), body }
    }

    /// The same, for an HTTP endpoint.
    pub fn posted(self, post: Post) -> Self {
        Self { post: Some(post), ..self }
    }

    /// X-Ray's trace header.
    pub fn trace(&self) -> Option<&str> {
        self.trace.as_deref()
    }

    /// What is to come in order: a group's messages to one subscriber, and those of them that it could not get.
    pub fn line(&self) -> String {
        let group = self.group.as_deref().unwrap_or_default();
        format!("{}\n{}\n{group}", self.subscription.arn(), self.is_dead)
    }
}

impl Topics {
    /// Delivers what was accepted until `stop`; then ends the attempts that are on their way.
    pub async fn run(&self, stop: impl Future<Output = ()>) {
        let (stopping, stopped) = tokio::sync::oneshot::channel();
        let (also_stopping, also_stopped) = tokio::sync::oneshot::channel();
        let stop = async {
            stop.await;
            let _ = stopping.send(());
            let _ = also_stopping.send(());
        };
        let also_stop = async {
            let _ = stopped.await;
        };
        let third_stop = async {
            let _ = also_stopped.await;
        };
        tokio::join!(
            self.run_lane(LANE, &self.accepted, stop),
            self.run_lane(POSTS, &self.posts, third_stop),
            self.run_ordered(also_stop)
        );
    }

    async fn run_lane(&self, lane: Lane, news: &Bell, stop: impl Future<Output = ()>) {
        let mut stop = pin!(stop);
        let mut attempts = FuturesUnordered::new();
        let mut taken = HashSet::new();
        // Whether the store may have more than is taken, and when it may have something that is due.
        let (mut look, mut next) = (true, self.deps.clock.now());
        let mut awake = self.deps.clock.awake();
        loop {
            // Before the look, so that what is accepted meanwhile is seen in the next round.
            let accepted = news.heard();
            let has_room = |attempts: &FuturesUnordered<_>| attempts.len() + READ_MAX <= IN_FLIGHT_MAX;
            if look && has_room(&attempts) {
                // One moment for both: what becomes due between two would be in neither.
                let now = self.deps.clock.now();
                match self.read_due(lane, now, &taken).await {
                    Ok((due, is_all)) => {
                        look = !is_all;
                        for delivery in due {
                            taken.insert(delivery.id.clone());
                            attempts.push(self.attempt(delivery));
                        }
                        next = self.next_due(lane, now).await;
                    }
                    Err(error) => {
                        tracing::warn!(%error, "deliveries of topics can't be read; tried again");
                        (look, next) = (false, self.deps.clock.now().plus(RETRY_AFTER));
                    }
                }
                if look && has_room(&attempts) {
                    continue;
                }
            }
            // Without room it is an attempt's end that is waited for.
            let until = if look { self.deps.clock.now().plus(SLEEP_MAX) } else { next };
            let nap = self.deps.clock.sleep_until(until);
            if attempts.is_empty() {
                drop(std::mem::take(&mut awake));
            }
            tokio::select! {
                () = &mut stop => break,
                Some((done, due)) = attempts.next() => {
                    taken.remove(&done);
                    next = due.map_or(next, |due| next.min(due));
                }
                woken = accepted => (look, awake) = (true, woken),
                woken = nap => (look, awake) = (true, woken),
            }
        }
        while attempts.next().await.is_some() {}
    }

    /// Tries everything that is due now, once. Says how many deliveries that were.
    pub async fn run_due(&self) -> Result<usize, StoreError> {
        let (mut due, _) = self.read_due(LANE, self.deps.clock.now(), &HashSet::new()).await?;
        due.extend(self.read_due(POSTS, self.deps.clock.now(), &HashSet::new()).await?.0);
        let attempts: FuturesUnordered<_> = due.into_iter().map(|delivery| self.attempt(delivery)).collect();
        Ok(attempts.count().await + self.ordered_round().await?)
    }

    /// What is due and not taken, and whether that is all.
    async fn read_due(
        &self,
        lane: Lane,
        now: Timestamp,
        taken: &HashSet<RequestId>,
    ) -> Result<(Vec<Delivery>, bool), StoreError> {
        let limit = taken.len() + READ_MAX;
        let mut due = self.deps.deliveries.due(lane, now, limit).await?;
        let is_all = due.len() < limit;
        due.retain(|delivery| !taken.contains(&delivery.id));
        Ok((due, is_all))
    }

    /// When something becomes due that is not yet, or a look is worth it all the same.
    async fn next_due(&self, lane: Lane, now: Timestamp) -> Timestamp {
        match self.deps.deliveries.next_due(lane, now).await {
            Ok(Some(due)) => due.min(now.plus(SLEEP_MAX)),
            Ok(None) => now.plus(SLEEP_MAX),
            Err(_) => now.plus(RETRY_AFTER),
        }
    }

    /// Tries a delivery once and stores what becomes of it. Says when it is due again, if it is.
    async fn attempt(&self, delivery: Delivery) -> (RequestId, Option<Timestamp>) {
        let Delivery { id, tries, body, .. } = delivery;
        let commands = match serde_json::from_slice::<Parcel>(&body) {
            Ok(parcel) => self.try_parcel(&id, &parcel, tries).await,
            Err(error) => {
                tracing::error!(%id, %error, "an accepted delivery can't be read; it is given up");
                vec![Command::Settle { id: id.clone() }]
            }
        };
        let again = commands.iter().find_map(|command| match command {
            Command::Postpone { due, .. } => Some(*due),
            _ => None,
        });
        self.store_until_taken(&id, commands).await;
        (id, again)
    }

    /// Has the workers look after what was accepted.
    pub(crate) fn ring(&self, commands: &[Command]) {
        for command in commands {
            if let Command::Accept(delivery) = command {
                match delivery.lane {
                    LANE => self.accepted.ring(),
                    POSTS => self.posts.ring(),
                    ordered::LANE => self.ordered.ring(),
                    _ => self.deps.functions.accepted(),
                }
            }
        }
    }

    pub(crate) async fn store_until_taken(&self, id: &RequestId, commands: Vec<Command>) {
        loop {
            match self.deps.deliveries.apply(commands.clone()).await {
                Ok(()) => {
                    self.ring(&commands);
                    return;
                }
                Err(StoreError::Unavailable { detail }) => {
                    tracing::warn!(%id, detail, "the end of a delivery can't be stored; tried again");
                    tokio::time::sleep(RETRY_AFTER).await;
                }
                Err(StoreError::Conflict) => {
                    tracing::error!(%id, "a delivery was changed by somebody else");
                    return;
                }
            }
        }
    }

    pub(crate) async fn try_parcel(&self, id: &RequestId, parcel: &Parcel, tries: Tries) -> Vec<Command> {
        if let Some(post) = &parcel.post {
            return self.try_post(id, parcel, post, tries).await;
        }
        let settle = Command::Settle { id: id.clone() };
        let push = Push {
            body: parcel.body.clone(),
            group: parcel.group.clone(),
            // A standard queue has nothing to do with it.
            dedup: parcel.dedup.clone().filter(|_| parcel.target.ends_with(FIFO_SUFFIX)),
            attributes: parcel.attributes.clone(),
            trace_header: parcel.trace.clone(),
            ..Push::default()
        };
        let topic = &parcel.subscription.topic;
        let topic_arn = topic.arn();
        let pusher =
            Pusher::Service { name: PRINCIPAL, source_arn: &topic_arn, source_account: &topic.account };
        let refusal = match self.deps.queues.push(&parcel.target, pusher, push).await {
            Ok(message) => {
                self.tell_arrived(parcel, &message);
                return vec![settle];
            }
            Err(refusal) => refusal,
        };
        let now = self.deps.clock.now();
        let code = match &refusal {
            PushRefusal::NoQueue { .. } => "AWS.SimpleQueueService.NonExistentQueue",
            PushRefusal::Denied => "AccessDenied",
            PushRefusal::Invalid { .. } => "InvalidMessageContents",
            PushRefusal::Unavailable { .. } => {
                let attempts = tries.attempts.saturating_add(1);
                // Whoever has unsubscribed does not wait for what could not be delivered yet.
                let is_wanted = self.deps.store.subscription(&parcel.subscription).is_some();
                if let Some(pause) = retry::pause(attempts).filter(|_| is_wanted) {
                    self.tell_waits(parcel, &refusal.to_string(), pause);
                    let tries = Tries { attempts, ..tries };
                    return vec![Command::Postpone { id: id.clone(), due: now.plus(pause), tries }];
                }
                "ServiceUnavailable"
            }
        };
        let trouble = Trouble { code: code.to_owned(), message: refusal.to_string() };
        [settle].into_iter().chain(self.dead(parcel, &trouble, now)).collect()
    }

    /// What sends a parcel to the dead-letter queue of its subscription, where there is one.
    pub(crate) fn dead(&self, parcel: &Parcel, trouble: &Trouble, now: Timestamp) -> Option<Command> {
        self.tell_given_up(parcel, trouble);
        let subscription = self.deps.store.subscription(&parcel.subscription);
        let queue = subscription.and_then(|record| record.settings.dead_letter.clone());
        let Some(queue) = queue.filter(|_| !parcel.is_dead) else {
            tracing::warn!(
                subscription = parcel.subscription.arn(),
                message = parcel.message_id,
                target = parcel.target,
                code = trouble.code,
                why = trouble.message,
                "a message can't reach its subscriber and has no dead-letter queue to go to: it is dropped"
            );
            return None;
        };
        let text = |value: &str| ("String".to_owned(), value.to_owned());
        let mut dead = Parcel { target: queue, is_dead: true, post: None, ..parcel.clone() };
        let reasons = [
            ("RequestID".to_owned(), text(&parcel.message_id)),
            ("ErrorCode".to_owned(), text(&trouble.code)),
            ("ErrorMessage".to_owned(), text(&trouble.message)),
        ];
        // Too many for a queue may be the very trouble; the body matters more than any of them.
        if dead.attributes.len() > QUEUE_ATTRIBUTES_MAX {
            dead.attributes.clear();
        }
        if dead.attributes.len() + reasons.len() <= QUEUE_ATTRIBUTES_MAX {
            dead.attributes.extend(reasons);
        }
        Some(self.send(dead, now))
    }
}
