//! What nobody asks for at the moment that it happens: freeing what is too old, and the tasks that move messages.

use std::time::Duration;

use lambent_core::ids::MessageId;
use lambent_store::queues::{Command, MoveRecord, MoveStatus, MoveStep, Outcome, QueueRecord, Shelf};

use crate::Queues;
use crate::api::{is_active_move, too_old};
use crate::engine::address;

/// Ours: how often the store is looked through for messages that are too old. They are out of sight at once; this frees
/// their room.
const SWEEP_EVERY: Duration = Duration::from_secs(60);

/// Ours: rows that are freed in one transaction. Senders wait for it.
const SWEEP_ROWS: usize = 500;

/// Ours: messages that a task without a rate of its own moves in one step.
const MOVE_MESSAGES: usize = 100;

/// Ours: the longest sleep of a task, so that it hears of its end.
const MOVE_STEP_SECS: u64 = 1;

/// Ours: how long to leave a store alone that has failed.
const RETRY_AFTER: Duration = Duration::from_secs(1);

impl Queues {
    pub(crate) async fn sweep_for_ever(&self) {
        loop {
            self.sweep().await;
            self.clock.sleep_until(self.clock.now().plus(SWEEP_EVERY)).await;
        }
    }

    /// Frees everything that nobody can reach any more.
    async fn sweep(&self) {
        for record in self.store.all_queues() {
            loop {
                let found = self.old_of(&record).await;
                let is_all = found.len() < SWEEP_ROWS;
                if !found.is_empty() && !self.free(vec![(record.shelf, found)]).await {
                    return;
                }
                if is_all {
                    break;
                }
            }
        }
        while self.free(Vec::new()).await {}
    }

    async fn old_of(&self, record: &QueueRecord) -> Vec<u64> {
        let old = too_old(record, self.clock.now());
        self.store.too_old(record.shelf, old, SWEEP_ROWS).await.unwrap_or_default()
    }

    /// Whether there is more to free.
    async fn free(&self, old: Vec<(Shelf, Vec<u64>)>) -> bool {
        let had_some = !old.is_empty();
        let sweep = Command::Sweep { now: self.clock.now(), limit: SWEEP_ROWS, too_old: old };
        match self.store.apply(sweep).await {
            Ok(Outcome::Swept(more)) => more || had_some,
            Ok(_) => false,
            Err(error) => {
                tracing::warn!(%error, "messages that nobody can reach could not be freed");
                false
            }
        }
    }

    /// Moves messages for all tasks that are under way, one step of each in turn; sleeps while there are none.
    pub(crate) async fn run_moves(&self) {
        loop {
            let started = self.moves.notified();
            let tasks = match self.store.moves().await {
                Ok(tasks) => tasks,
                Err(error) => {
                    tracing::warn!(%error, "the tasks of moves can't be read; tried again");
                    tokio::time::sleep(RETRY_AFTER).await;
                    continue;
                }
            };
            let active: Vec<MoveRecord> = tasks.into_iter().filter(is_active_move).collect();
            if active.is_empty() {
                started.await;
                continue;
            }
            let mut has_a_rate = false;
            for task in active {
                has_a_rate |= task.per_second_max.is_some();
                self.move_some(task).await;
            }
            if has_a_rate {
                // A rate is kept second by second; the others go on after it as well.
                let step = self.clock.now().plus(Duration::from_secs(MOVE_STEP_SECS));
                tokio::select! {
                    _ = self.clock.sleep_until(step) => {}
                    () = started => {}
                }
            } else {
                tokio::task::yield_now().await;
            }
        }
    }

    /// One step of a task, or its end.
    async fn move_some(&self, task: MoveRecord) {
        if task.status == MoveStatus::Cancelling {
            return self.end(task, MoveStatus::Cancelled, None).await;
        }
        let Some(source) = self.store.queue(&task.source) else {
            return self.end(task, MoveStatus::Failed, Some("AWS.SimpleQueueService.NonExistentQueue")).await;
        };
        let Some(to) = self.destinations(&task, &source) else {
            return self.end(task, MoveStatus::Failed, Some("AWS.SimpleQueueService.NonExistentQueue")).await;
        };
        let now = self.clock.now();
        let limit = match task.per_second_max {
            // As many as its seconds so far allow: a step that came late makes up for it.
            Some(rate) => {
                let secs = now.since(task.started).as_secs() + 1;
                let allowed = u64::from(rate).saturating_mul(secs).saturating_sub(task.moved);
                usize::try_from(allowed.min(u64::from(rate))).unwrap_or(MOVE_MESSAGES)
            }
            None => MOVE_MESSAGES,
        };
        let step = MoveStep {
            handle: task.handle.clone(),
            from: source.shelf,
            now,
            too_old: too_old(&source, now),
            ids: (0..limit).map(|_| MessageId::random(&*self.entropy)).collect(),
            all_to_one: task.destination_arn.is_some(),
            to: to.clone(),
        };
        match self.store.apply(Command::Move(step)).await {
            Ok(Outcome::Moved(moved)) => {
                for (_, shelf) in to {
                    self.waiters.wake(shelf, usize::try_from(moved.count).unwrap_or(usize::MAX));
                }
                let task = MoveRecord { moved: task.moved + moved.count, ..task };
                if moved.is_stuck {
                    self.end(task, MoveStatus::Failed, Some("CouldNotDetermineMessageSource")).await;
                } else if moved.count == 0 && limit > 0 {
                    self.end(task, MoveStatus::Completed, None).await;
                }
            }
            Ok(_) => {}
            Err(error) => {
                tracing::warn!(%error, "messages could not be moved; tried again");
                tokio::time::sleep(RETRY_AFTER).await;
            }
        }
    }

    /// The shelves that a task's messages go to, by the queue that they came from. `None`: the destination is gone.
    fn destinations(&self, task: &MoveRecord, source: &QueueRecord) -> Option<Vec<(Option<String>, Shelf)>> {
        if let Some(arn) = &task.destination_arn {
            let target = self.store.queue(&address::of_arn(arn)?)?;
            return Some(vec![(None, target.shelf)]);
        }
        let all = self.store.queues(&source.key.account, &source.key.region);
        Some(all.iter().map(|record| (Some(record.key.arn()), record.shelf)).collect())
    }

    async fn end(&self, task: MoveRecord, status: MoveStatus, failure: Option<&str>) {
        let record = MoveRecord { status, failure: failure.map(str::to_owned), ..task };
        if let Err(error) = self.store.apply(Command::PutMove(Box::new(record))).await {
            tracing::warn!(%error, "the end of a task could not be stored; tried again");
            tokio::time::sleep(RETRY_AFTER).await;
        }
    }
}
