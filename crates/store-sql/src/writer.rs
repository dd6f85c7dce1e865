//! Group commit: one thread a database file, which turns the batches that wait into one transaction.
//!
//! A commit costs a flush of the disk, whatever is in it. While one flush runs, the next batches collect in the
//! inbox by themselves, so there is no timer here: a lone writer waits for one flush, many writers share one.
//!
//! What this is not: it knows no table. A domain brings its statements as a [`Journal`].
//!
//! Invariants:
//! - a batch is answered `Ok` only after the transaction that holds it is committed and [`Journal::committed`]
//!   has run;
//! - a batch that is refused for its preconditions undoes no neighbour;
//! - a batch that the database can't take undoes no neighbour either: the group is rolled back and each batch
//!   is tried alone.

use std::thread::JoinHandle;

use lambent_store::StoreError;
use rusqlite::Connection;
use tokio::sync::{mpsc, oneshot};

#[cfg(test)]
mod tests;

/// Batches of one transaction at the most: beyond this a longer transaction saves no more flushes worth having.
const GROUP_BATCHES_MAX: usize = 256;

/// Batches that may wait; whoever comes when they are this many waits to get in.
const INBOX_BATCHES_MAX: usize = 1_024;

/// Why a journal did not write a batch.
#[derive(Debug)]
pub enum Refusal {
    /// A precondition did not hold. The journal has written nothing of the batch.
    Conflict,
    /// The database failed. The whole transaction is rolled back.
    Database(rusqlite::Error),
}

impl From<rusqlite::Error> for Refusal {
    fn from(error: rusqlite::Error) -> Self {
        Self::Database(error)
    }
}

/// What a domain does with its batches; lives on the writer's thread.
pub trait Journal: Send + 'static {
    type Batch: Send + 'static;
    type Answer: Send + 'static;

    /// Checks the batch and writes it into the open transaction. Checks come first and writes second: after
    /// [`Refusal::Conflict`] the transaction goes on with the next batch. Sees the effects of the batches that
    /// were written before it in the same transaction.
    fn write(&mut self, db: &Connection, batch: &Self::Batch) -> Result<Self::Answer, Refusal>;

    /// These batches, in this order, are on disk. Runs before anyone is told.
    fn committed(&mut self, batches: Vec<Self::Batch>);

    /// Everything that was written since the last [`Journal::committed`] is undone.
    fn undone(&mut self);
}

struct Order<J: Journal> {
    batch: J::Batch,
    answer: oneshot::Sender<Result<J::Answer, StoreError>>,
}

/// The handle to a writer's thread. Dropping it commits what waits, closes the database and ends the thread.
pub struct Writer<J: Journal> {
    inbox: Option<mpsc::Sender<Order<J>>>,
    thread: Option<JoinHandle<()>>,
}

impl<J: Journal> Writer<J> {
    /// Takes over the connection on a thread of this name.
    pub fn start(name: &str, db: Connection, journal: J) -> std::io::Result<Self> {
        let (sender, receiver) = mpsc::channel(INBOX_BATCHES_MAX);
        let shift = Shift { name: name.to_owned(), db, journal, failing: false };
        let thread = std::thread::Builder::new().name(name.to_owned()).spawn(move || shift.work(receiver))?;
        Ok(Self { inbox: Some(sender), thread: Some(thread) })
    }

    /// Hands the batch over and waits until it is on disk. Waits while the inbox is full. A caller that stops
    /// waiting does not stop a batch that was handed over.
    pub async fn submit(&self, batch: J::Batch) -> Result<J::Answer, StoreError> {
        let (answer, answered) = oneshot::channel();
        let inbox = self.inbox.as_ref().ok_or_else(stopped)?;
        inbox.send(Order { batch, answer }).await.map_err(|_| stopped())?;
        answered.await.map_err(|_| stopped())?
    }
}

impl<J: Journal> Drop for Writer<J> {
    fn drop(&mut self) {
        drop(self.inbox.take());
        if let Some(thread) = self.thread.take() {
            // An error is a panic of the thread, which the panic hook has reported.
            let _ = thread.join();
        }
    }
}

fn stopped() -> StoreError {
    StoreError::Unavailable { detail: "its writer has stopped".into() }
}

/// The thread's own state.
struct Shift<J: Journal> {
    name: String,
    db: Connection,
    journal: J,
    /// Whether the last transaction failed: a full disk is logged once and not once a batch.
    failing: bool,
}

impl<J: Journal> Shift<J> {
    fn work(mut self, mut inbox: mpsc::Receiver<Order<J>>) {
        let mut orders = Vec::with_capacity(GROUP_BATCHES_MAX);
        while inbox.blocking_recv_many(&mut orders, GROUP_BATCHES_MAX) > 0 {
            if let Err((orders, error)) = self.commit(std::mem::take(&mut orders)) {
                self.commit_apart(orders, error);
            }
        }
    }

    /// Commits the orders together and answers them. Gives back those that the database failed, unanswered.
    fn commit(&mut self, orders: Vec<Order<J>>) -> Result<(), (Vec<Order<J>>, rusqlite::Error)> {
        let answers = match self.transact(&orders) {
            Ok(answers) => answers,
            Err(error) => {
                self.roll_back();
                return Err((orders, error));
            }
        };
        if std::mem::take(&mut self.failing) {
            tracing::info!(database = %self.name, "the database takes writes again");
        }
        let mut batches = Vec::with_capacity(orders.len());
        let mut replies = Vec::with_capacity(orders.len());
        for (order, answer) in orders.into_iter().zip(answers) {
            if answer.is_ok() {
                batches.push(order.batch);
            }
            replies.push((order.answer, answer));
        }
        self.journal.committed(batches);
        for (reply, answer) in replies {
            // A caller that is gone needs no answer.
            let _ = reply.send(answer);
        }
        Ok(())
    }

    fn transact(&mut self, orders: &[Order<J>]) -> rusqlite::Result<Vec<Result<J::Answer, StoreError>>> {
        self.db.execute_batch("BEGIN IMMEDIATE")?;
        let mut answers = Vec::with_capacity(orders.len());
        for order in orders {
            match self.journal.write(&self.db, &order.batch) {
                Ok(answer) => answers.push(Ok(answer)),
                Err(Refusal::Conflict) => answers.push(Err(StoreError::Conflict)),
                Err(Refusal::Database(error)) => return Err(error),
            }
        }
        self.db.execute_batch("COMMIT")?;
        Ok(answers)
    }

    fn roll_back(&mut self) {
        // SQLite rolls back by itself after some errors, a full disk among them.
        if !self.db.is_autocommit()
            && let Err(error) = self.db.execute_batch("ROLLBACK")
        {
            tracing::error!(database = %self.name, %error, "a transaction could not be rolled back");
        }
        self.journal.undone();
    }

    /// One order of the group may be what the database can't take: the others must not suffer for it.
    fn commit_apart(&mut self, mut orders: Vec<Order<J>>, group_error: rusqlite::Error) {
        if orders.len() == 1 {
            self.fail(orders.remove(0), group_error);
            return;
        }
        for order in orders {
            if let Err((mut orders, error)) = self.commit(vec![order]) {
                self.fail(orders.remove(0), error);
            }
        }
    }

    fn fail(&mut self, order: Order<J>, error: rusqlite::Error) {
        if !std::mem::replace(&mut self.failing, true) {
            tracing::error!(database = %self.name, %error, "the database can't write");
        }
        let _ = order.answer.send(Err(StoreError::Unavailable { detail: error.to_string() }));
    }
}
