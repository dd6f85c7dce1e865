//! Deliveries of FIFO topics: those of one group to one subscriber one after the other, in the order of their numbers.
//!
//! A delivery's id begins with its message's number, and all of them are due since ever: so the store gives them out in
//! their order, also after a restart. One that can't be delivered now holds up those behind it, and keeps its place.
//!
//! Invariant: a message comes to its subscriber before any of its group that was published after it.

use std::collections::{BTreeMap, HashMap};
use std::future::Future;
use std::pin::pin;
use std::sync::{MutexGuard, PoisonError};
use std::time::Duration;

use futures_util::future::join_all;
use lambent_core::ids::{self, RequestId};
use lambent_core::ports::Entropy;
use lambent_core::time::Timestamp;
use lambent_store::StoreError;
use lambent_store::deliveries::{Command, Delivery, Lane};

use crate::Topics;
use crate::outbox::{Parcel, RETRY_AFTER, SLEEP_MAX};

pub(crate) const LANE: Lane = Lane::OrderedSubscription;

/// When all of them are due: order is their ids' alone.
pub(crate) const DUE: Timestamp = Timestamp::from_millis(0);

/// Ours: deliveries of one round.
const READ_MAX: usize = 1_000;

/// Lines whose first delivery waits for its next attempt, and until when. Lost with the process, which only makes the
/// attempt come sooner.
pub(crate) type Resting = HashMap<String, Timestamp>;

/// An id that sorts by the number.
pub(crate) fn id(number: u64, entropy: &dyn Entropy) -> RequestId {
    let random = ids::uuid(entropy);
    let number = format!("{number:016x}");
    let text = format!("{}-{}-{}{}", &number[..8], &number[8..12], &number[12..], &random[18..]);
    RequestId::new(text).expect("hex digits and dashes in the places of a UUID")
}

impl Topics {
    /// Delivers in order until `stop`.
    pub(crate) async fn run_ordered(&self, stop: impl Future<Output = ()>) {
        let mut stop = pin!(stop);
        let mut awake = self.deps.clock.awake();
        loop {
            // Before the look, so that what is accepted meanwhile is seen in the next round.
            let accepted = self.ordered.heard();
            let sleep = match self.ordered_round().await {
                Ok(0) => self.shortest_rest(),
                Ok(_) => Duration::ZERO,
                Err(error) => {
                    tracing::warn!(%error, "deliveries of FIFO topics can't be read; tried again");
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

    /// Tries each line until it is empty or can't go on. Says how many deliveries came to an end.
    pub(crate) async fn ordered_round(&self) -> Result<usize, StoreError> {
        let now = self.deps.clock.now();
        let due = self.deps.deliveries.due(LANE, now, READ_MAX).await?;
        let mut lines: BTreeMap<String, Vec<(Delivery, Parcel)>> = BTreeMap::new();
        for delivery in due {
            match serde_json::from_slice::<Parcel>(&delivery.body) {
                Ok(parcel) => lines.entry(parcel.line()).or_default().push((delivery, parcel)),
                Err(error) => {
                    let id = delivery.id;
                    tracing::error!(%id, %error, "an accepted delivery can't be read; it is given up");
                    self.deps.deliveries.apply(vec![Command::Settle { id }]).await?;
                }
            }
        }
        self.rests().retain(|_, until| *until > now);
        let awake: Vec<_> = lines.into_iter().filter(|(line, _)| !self.rests().contains_key(line)).collect();
        let ends = join_all(awake.into_iter().map(|(line, waiting)| self.run_line(line, waiting))).await;
        Ok(ends.into_iter().sum())
    }

    async fn run_line(&self, line: String, waiting: Vec<(Delivery, Parcel)>) -> usize {
        let mut ended = 0;
        for (delivery, parcel) in waiting {
            let mut commands = self.try_parcel(&delivery.id, &parcel, delivery.tries).await;
            let mut until = None;
            if let Some(Command::Postpone { due, .. }) = commands.first_mut() {
                until = Some(std::mem::replace(due, DUE));
            }
            self.store_until_taken(&delivery.id, commands).await;
            if let Some(until) = until {
                self.rests().insert(line, until);
                break;
            }
            ended += 1;
        }
        ended
    }

    fn rests(&self) -> MutexGuard<'_, Resting> {
        // Each change under this lock is a single call.
        self.resting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn shortest_rest(&self) -> Duration {
        let now = self.deps.clock.now();
        self.rests().values().map(|until| until.since(now)).min().unwrap_or(SLEEP_MAX).min(SLEEP_MAX)
    }
}

#[cfg(test)]
mod tests {
    use lambent_testkit::SeededEntropy;

    use super::*;

    #[test]
    fn ids_sort_by_their_numbers() {
        let entropy = SeededEntropy::new(1);
        let ids: Vec<RequestId> =
            [0, 1, 15, 16, 255, 1 << 20, 1 << 33, u64::MAX].map(|number| id(number, &entropy)).into();
        assert!(ids.is_sorted(), "{ids:?}");
        assert_ne!(id(1, &entropy), id(1, &entropy));
    }
}
