//! Replays: events of an archive are put on their bus again, in the order of their times.
//!
//! How far a replay has come is in its record, set after the deliveries of a slice of its events are on the disk: a
//! slice may come twice when the node is killed between the two, and none is left out.

use std::future::Future;
use std::pin::pin;
use std::time::Duration;

use lambent_core::time::Timestamp;
use lambent_store::StoreError;
use lambent_store::archive::{Archived, Range};
use lambent_store::events::{Entry, Key, Kind, Record, ReplayRecord, ReplayState};
use lambent_wire::Fault;

use crate::Events;
use crate::dispatch::Event;
use crate::names::BusName;
use crate::way::Outgoing;

/// Ours: events of a replay in one commit.
const SLICE_MAX: usize = 100;

/// Ours: how long to leave a store alone that has failed.
const RETRY_AFTER: Duration = Duration::from_secs(1);

/// User guide: how long one that has ended is remembered.
const REMEMBERED: Duration = Duration::from_secs(90 * 86_400);

/// Ours: how often it is looked after what archives keep no longer.
const SWEEP_AFTER: Duration = Duration::from_secs(60);

impl Events {
    /// Fills archives, makes replays and forgets what is too old, until `stop`.
    pub async fn run_archives(&self, stop: impl Future<Output = ()>) {
        let mut stop = pin!(stop);
        let mut awake = self.deps.clock.awake();
        let mut swept = None;
        loop {
            // Before the look, so that what is accepted meanwhile is seen in the next round.
            let accepted = self.archiving.heard();
            let pause = match self.archive_step(&mut swept).await {
                Ok(pause) => pause,
                Err(error) => {
                    tracing::warn!(%error, "archives can't be read or written; tried again");
                    RETRY_AFTER
                }
            };
            let nap = self.deps.clock.sleep_until(self.deps.clock.now().plus(pause));
            drop(awake);
            tokio::select! {
                biased;
                () = &mut stop => return,
                woken = accepted => awake = woken,
                woken = nap => awake = woken,
            }
        }
    }

    /// One round. Says how long there is nothing to do.
    async fn archive_step(&self, swept: &mut Option<Timestamp>) -> Result<Duration, StoreError> {
        // What was put before a replay began is in the archive before it is read.
        while self.keep_due().await? > 0 {}
        if self.replay_once().await? {
            return Ok(Duration::ZERO);
        }
        let now = self.deps.clock.now();
        let is_time = swept.is_none_or(|last| now < last || now.since(last) >= SWEEP_AFTER);
        if is_time {
            if self.sweep_archives().await? {
                return Ok(Duration::ZERO);
            }
            self.forget_replays(now).await?;
            *swept = Some(now);
        }
        Ok(SWEEP_AFTER)
    }

    /// Everything that archives and replays have to do now.
    pub async fn archive_due(&self) -> Result<(), StoreError> {
        while self.archive_step(&mut None).await? == Duration::ZERO {}
        Ok(())
    }

    /// A slice of each replay that goes on. Says whether there was one.
    async fn replay_once(&self) -> Result<bool, StoreError> {
        let mut any = false;
        for entry in self.deps.store.all(Kind::Replay) {
            let Record::Replay(replay) = &entry.record else { continue };
            match replay.state {
                ReplayState::Starting | ReplayState::Running => self.replay_slice(&entry, replay).await?,
                ReplayState::Cancelling => self.end_replay(&entry.key, ReplayState::Cancelled, None).await?,
                ReplayState::Completed | ReplayState::Cancelled | ReplayState::Failed => continue,
            }
            any = true;
        }
        Ok(any)
    }

    async fn replay_slice(&self, entry: &Entry, replay: &ReplayRecord) -> Result<(), StoreError> {
        let key = &entry.key;
        let archive = self.deps.store.get(&Key {
            scope: lambent_store::events::Scope { kind: Kind::Archive, ..key.scope.clone() },
            name: replay.archive.clone(),
        });
        let is_there = archive.is_some_and(
            |found| matches!(&found.record, Record::Archive(archive) if archive.id == replay.archive_id),
        );
        let bus = BusName::of_arn(&replay.destination);
        let (true, Some(bus)) = (is_there, bus) else {
            let reason = format!("Archive {} does not exist.", replay.archive);
            return self.end_replay(key, ReplayState::Failed, Some(reason)).await;
        };
        let range = Range {
            archive: replay.archive_id.clone(),
            from: replay.from,
            // Its own last moment is a part of it.
            until: Timestamp::from_millis(replay.until.as_millis().saturating_add(1)),
            after: replay.after.clone(),
        };
        let events = self.deps.archive.read(range, SLICE_MAX).await?;
        let Some(last) = events.last() else {
            return self.end_replay(key, ReplayState::Completed, None).await;
        };
        let after = (last.time, last.id.clone());
        let mut deliveries = Outgoing::default();
        for event in &events {
            match Event::again(event, &key.name, &replay.rules, self.deps.clock.now()) {
                Some(event) => self.deliver(&bus, &event, &mut deliveries),
                None => {
                    tracing::error!(id = event.id, "an archived event can't be read; it is left out")
                }
            }
        }
        if !deliveries.commands.is_empty() {
            self.deps.deliveries.apply(deliveries.commands).await?;
            self.tell(deliveries.hops);
            self.accepted();
        }
        self.change_replay(key, |replay| {
            replay.after = Some(after.clone());
            if replay.state == ReplayState::Starting {
                replay.state = ReplayState::Running;
            }
        })
        .await
    }

    async fn forget_replays(&self, now: Timestamp) -> Result<(), StoreError> {
        for entry in self.deps.store.all(Kind::Replay) {
            let Record::Replay(replay) = &entry.record else { continue };
            if replay.ended.is_some_and(|ended| now.since(ended) > REMEMBERED) {
                let (key, generation) = (entry.key.clone(), entry.generation);
                let delete = lambent_store::events::Command::Delete { key, generation };
                match self.deps.store.apply(vec![delete]).await {
                    // Somebody was faster.
                    Ok(()) | Err(StoreError::Conflict) => {}
                    Err(error) => return Err(error),
                }
            }
        }
        Ok(())
    }

    async fn end_replay(
        &self,
        key: &Key,
        state: ReplayState,
        reason: Option<String>,
    ) -> Result<(), StoreError> {
        let now = self.deps.clock.now();
        self.change_replay(key, |replay| {
            (replay.state, replay.reason, replay.ended) = (state, reason.clone(), Some(now));
        })
        .await
    }

    async fn change_replay(&self, key: &Key, change: impl Fn(&mut ReplayRecord)) -> Result<(), StoreError> {
        let changed = self.change(key, |found| match found {
            Some(Record::Replay(replay)) => {
                let mut replay = replay.clone();
                change(&mut replay);
                Ok((Some(Record::Replay(replay)), ()))
            }
            other => Ok((other.cloned(), ())),
        });
        changed.await.map_err(|fault: Fault| StoreError::Unavailable { detail: fault.message })
    }
}

impl Event {
    /// An archived event on its way again; `None` for one that can't be read.
    fn again(archived: &Archived, replay: &str, rules: &[String], now: Timestamp) -> Option<Self> {
        // Behind its other members, so that what it says stays as it was written.
        let (open, name) = (archived.text.strip_suffix('}')?, serde_json::Value::from(replay));
        let text = format!("{open},\"replay-name\":{name}}}");
        let value = serde_json::from_str(&text).ok()?;
        Some(Self::replayed(archived, text, value, rules.to_vec(), now))
    }
}
