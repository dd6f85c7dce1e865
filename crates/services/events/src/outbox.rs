//! Brings parcels to their targets: what was accepted for a queue waits in the outbox until the queue has it, or until
//! its retry policy ends that.
//!
//! Invariants:
//! - a parcel leaves the outbox with the target's yes, or in one step with its dead letter: at least once, across any
//!   end of the process;
//! - parcels of one group of a FIFO queue are tried in their order.

use std::collections::HashMap;
use std::future::Future;
use std::pin::pin;
use std::sync::atomic::Ordering;
use std::time::Duration;

use futures_util::future::join_all;
use lambent_core::ids::RequestId;
use lambent_core::ports::{Push, PushRefusal, Pusher};
use lambent_core::time::Timestamp;
use lambent_store::StoreError;
use lambent_store::deliveries::{Command, Delivery, Lane, Tries};
use serde::Serialize;

use crate::Events;
use crate::dispatch::PRINCIPAL;
use crate::fires;
use crate::http;
use crate::parcel::{DeadLetter, Failure, Goal, Origin, Parcel, Sender, Verdict, dead_letter, decide};

const LANE: Lane = Lane::EventTarget;

/// Ours: parcels on their way at one time.
const READ_MAX: usize = 256;

/// Ours: how long to leave a store alone that has failed.
const RETRY_AFTER: Duration = Duration::from_secs(1);

/// Ours: the longest sleep. The wall clock may be set while the worker waits for a moment of it.
const SLEEP_MAX: Duration = Duration::from_secs(30);

impl Events {
    /// The delivery of a parcel.
    pub(crate) fn post(&self, parcel: &Parcel) -> Command {
        let is_slow = matches!(parcel.goal, Goal::Http { .. } | Goal::Operation { .. });
        let lane = if is_slow { http::LANE } else { LANE };
        self.posted_on(lane, parcel)
    }

    /// The delivery of something that waits on a lane.
    pub(crate) fn posted_on(&self, lane: Lane, body: &impl Serialize) -> Command {
        let body = serde_json::to_vec(body).expect("what waits is plain data with text keys").into();
        let now = self.deps.clock.now();
        Command::Accept(Delivery {
            id: self.next_id(now),
            lane,
            accepted: now,
            due: now,
            tries: Tries::default(),
            body,
        })
    }

    /// A name that sorts behind those that were given before it: what is due at the same moment keeps its order. A
    /// UUID of version 7.
    fn next_id(&self, now: Timestamp) -> RequestId {
        let mut random = [0; 4];
        self.deps.entropy.fill(&mut random[1..]);
        let random = u64::from(u32::from_be_bytes(random));
        let count = self.posts.fetch_add(1, Ordering::Relaxed);
        let (millis, low) = (now.as_millis() & 0xffff_ffff_ffff, (count & 0xff_ffff) << 24 | random);
        let (high, middle) = (count >> 36 & 0xfff, count >> 24 & 0xfff);
        let text =
            format!("{:08x}-{:04x}-7{high:03x}-8{middle:03x}-{low:012x}", millis >> 16, millis & 0xffff);
        RequestId::new(text).expect("its parts have the widths of a UUID's")
    }

    /// What becomes of something that can't be handed over: a message for the dead-letter queue, if there is one.
    pub(crate) fn give_up(
        &self,
        origin: Origin,
        letters: Option<DeadLetter>,
        body: &str,
        failure: &Failure,
    ) -> Option<Parcel> {
        let Some(DeadLetter { queue_arn, event }) = letters else {
            dropped(&origin, failure);
            return None;
        };
        let body = event.unwrap_or_else(|| body.to_owned());
        Some(dead_letter(queue_arn, body, origin, failure, self.deps.clock.now()))
    }

    /// Brings parcels to their targets, until `stop`.
    pub async fn run_outbox(&self, stop: impl Future<Output = ()>) {
        let mut stop = pin!(stop);
        let mut awake = self.deps.clock.awake();
        loop {
            // Before the look, so that what is accepted meanwhile is seen in the next round.
            let accepted = self.posted.heard();
            let sleep = match self.deliver_due().await {
                Ok(count) if count == READ_MAX => Duration::ZERO,
                Ok(_) => self.until_next_parcel().await,
                Err(error) => {
                    tracing::warn!(%error, "what is on its way to targets can't be read; tried again");
                    RETRY_AFTER
                }
            };
            let nap = self.deps.clock.sleep_until(self.deps.clock.now().plus(sleep));
            drop(awake);
            tokio::select! {
                biased;
                () = &mut stop => return,
                woken = accepted => awake = woken,
                woken = nap => awake = woken,
            }
        }
    }

    /// Tries everything that is due now, once. Says how many parcels that were.
    pub async fn deliver_due(&self) -> Result<usize, StoreError> {
        let due = self.deps.deliveries.due(LANE, self.deps.clock.now(), READ_MAX).await?;
        let count = due.len();
        let mut lines: HashMap<(String, String), Vec<(Delivery, Parcel)>> = HashMap::new();
        let mut unreadable = Vec::new();
        for delivery in due {
            match serde_json::from_slice::<Parcel>(&delivery.body) {
                Ok(parcel) => lines.entry(line_of(&delivery, &parcel)).or_default().push((delivery, parcel)),
                Err(error) => {
                    tracing::error!(id = %delivery.id, %error, "a parcel can't be read; it is given up");
                    unreadable.push(Command::Settle { id: delivery.id });
                }
            }
        }
        if !unreadable.is_empty() {
            self.deps.deliveries.apply(unreadable).await?;
        }
        join_all(lines.into_values().map(|line| async {
            for (delivery, parcel) in line {
                self.carry(delivery, parcel).await;
            }
        }))
        .await;
        Ok(count)
    }

    async fn until_next_parcel(&self) -> Duration {
        let now = self.deps.clock.now();
        match self.deps.deliveries.next_due(LANE, now).await {
            Ok(Some(due)) => due.since(now).min(SLEEP_MAX),
            Ok(None) => SLEEP_MAX,
            Err(_) => RETRY_AFTER,
        }
    }

    async fn carry(&self, delivery: Delivery, parcel: Parcel) {
        let Delivery { id, tries, .. } = delivery;
        let answer = self.hand_over(&parcel, tries.attempts).await;
        let now = self.deps.clock.now();
        let commands = match answer {
            Ok(message) => {
                self.tell_arrived(&parcel, &message);
                vec![Command::Settle { id: id.clone() }]
            }
            Err(refusal) => match decide(parcel.patience, tries.attempts, (&refusal).into(), now) {
                Verdict::Retry(due) => {
                    tracing::warn!(
                        target = parcel.goal.arn(), source = parcel.origin.source_arn(), %refusal,
                        "a target can't take an event; tried again"
                    );
                    self.tell_waits(&parcel, &refusal.to_string(), due);
                    let tries = Tries { attempts: tries.attempts + 1, ..tries };
                    vec![Command::Postpone { id: id.clone(), due, tries }]
                }
                Verdict::GiveUp(failure) => {
                    let mut commands = vec![Command::Settle { id: id.clone() }];
                    let body = body_of(&parcel, tries.attempts);
                    self.tell_given_up(&parcel, &failure);
                    let Parcel { origin, dead_letter, event_id, trace_header, .. } = parcel;
                    let letter = self.give_up(origin, dead_letter, &body, &failure);
                    let letter = letter.map(|letter| Parcel { event_id, trace_header, ..letter });
                    commands.extend(letter.map(|letter| self.post(&letter)));
                    commands
                }
            },
        };
        let has_letter = commands.len() > 1;
        // What is not stored is due still, and brought again.
        if let Err(error) = self.deps.deliveries.apply(commands).await {
            tracing::warn!(%id, %error, "that a target has an event can't be stored; it is brought again");
            tokio::time::sleep(RETRY_AFTER).await;
        } else if has_letter {
            self.posted.ring();
        }
    }

    async fn hand_over(&self, parcel: &Parcel, retries: u32) -> Result<String, PushRefusal> {
        let body = body_of(parcel, retries);
        let (arn, group, attributes) = match &parcel.goal {
            Goal::Queue { arn, group } => (arn, group.clone(), Default::default()),
            Goal::DeadLetters { arn, attributes } => (arn, None, attributes.clone()),
            // It is on another lane.
            Goal::Http { arn, .. } | Goal::Operation { arn, .. } => {
                return Err(PushRefusal::NoQueue { arn: arn.clone() });
            }
        };
        let Origin { account, sender, .. } = &parcel.origin;
        let is_letter = matches!(parcel.goal, Goal::DeadLetters { .. });
        let pusher = match sender {
            Sender::Rule { role: Some(arn), .. } if !is_letter => Pusher::Role { account, arn },
            Sender::Rule { arn, .. } => {
                Pusher::Service { name: PRINCIPAL, source_arn: arn, source_account: account }
            }
            Sender::Schedule { role, .. } => Pusher::Role { account, arn: role },
        };
        let trace_header = parcel.trace_header.clone();
        let push = Push { body, group, attributes, trace_header, ..Push::default() };
        self.deps.queues.push(arn, pusher, push).await
    }
}

/// The body of an attempt before which there were `retries`.
pub fn body_of(parcel: &Parcel, retries: u32) -> String {
    let mut body = parcel.body.clone();
    if let (Sender::Schedule { .. }, Goal::Queue { .. } | Goal::Operation { .. }) =
        (&parcel.origin.sender, &parcel.goal)
    {
        fires::number_attempt(&mut body, retries);
    }
    body
}

/// What is brought one after another. Each of the others is a line of its own.
fn line_of(delivery: &Delivery, parcel: &Parcel) -> (String, String) {
    match &parcel.goal {
        Goal::Queue { arn, group: Some(group) } => (arn.clone(), group.clone()),
        _ => (String::new(), delivery.id.to_string()),
    }
}

fn dropped(origin: &Origin, failure: &Failure) {
    tracing::warn!(
        source = origin.source_arn(),
        target = origin.target_arn,
        why = failure.message,
        "an event can't reach a target, which has no dead-letter queue: it is dropped"
    );
}
