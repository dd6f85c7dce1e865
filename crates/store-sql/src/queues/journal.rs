//! Commands as rows. Runs on the writer's thread.

use std::collections::HashMap;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use lambent_core::time::Timestamp;
use lambent_store::queues::*;
use rusqlite::{Connection, OptionalExtension as _, params};

use super::rows::{self, State};
use super::{receive, sweep};
use crate::writer::{Journal, Refusal};

/// Numbers that are taken from the disk at one time. Those of a block that are not used are lost with the process.
const NUMBERS_TAKEN: u64 = 1 << 20;

pub(super) struct QueueJournal {
    /// What is on disk, as readers see it.
    mirror: Arc<RwLock<Definitions>>,
    /// The mirror, and the open transaction on top of it.
    pub(super) ahead: Definitions,
    numbers: Option<std::ops::Range<u64>>,
    /// Messages in flight by shelf: never fewer than there are. Counted again before it would stop a receive.
    pub(super) in_flight: HashMap<Shelf, u64>,
}

impl QueueJournal {
    pub(super) fn new(mirror: Arc<RwLock<Definitions>>) -> Self {
        let ahead = mirror.read().unwrap_or_else(PoisonError::into_inner).clone();
        Self { mirror, ahead, numbers: None, in_flight: HashMap::new() }
    }

    /// A number that no message has had.
    pub(super) fn next_number(&mut self, db: &Connection) -> rusqlite::Result<u64> {
        if let Some(number) = self.numbers.as_mut().and_then(Iterator::next) {
            return Ok(number);
        }
        let ceiling: u64 = db.query_row("SELECT ceiling FROM numbers", [], |row| row.get(0))?;
        let next = ceiling + NUMBERS_TAKEN;
        db.execute("UPDATE numbers SET ceiling = ?1", [next])?;
        self.numbers = Some(ceiling + 1..next);
        Ok(ceiling)
    }
}

impl Journal for QueueJournal {
    type Batch = Command;
    type Answer = Outcome;

    fn write(&mut self, db: &Connection, command: &Command) -> Result<Outcome, Refusal> {
        Ok(match command {
            Command::Put { .. } | Command::Delete { .. } => return self.define(db, command),
            Command::PutMove(record) => {
                put_move(db, record)?;
                Outcome::Done
            }
            Command::Sweep { now, limit, too_old } => {
                self.ahead.commit(command);
                Outcome::Swept(sweep::sweep(db, *now, *limit, too_old)?)
            }
            Command::Send { shelf, messages } if self.ahead.has(*shelf) => {
                let send = |message| self.send(db, *shelf, message);
                Outcome::Sent(messages.iter().map(send).collect::<rusqlite::Result<_>>()?)
            }
            Command::Receive(asked) if self.ahead.has(asked.shelf) => {
                Outcome::Received(receive::receive(self, db, asked)?)
            }
            Command::Remove { shelf, now, receipts } if self.ahead.has(*shelf) => {
                let remove = |receipt: &Receipt| self.remove(db, *shelf, *receipt, *now);
                Outcome::Removed(receipts.iter().map(remove).collect::<rusqlite::Result<_>>()?)
            }
            Command::ChangeVisibility { shelf, now, changes } if self.ahead.has(*shelf) => {
                let change =
                    |(receipt, until): &(Receipt, Timestamp)| change(db, *shelf, *receipt, *until, *now);
                Outcome::Changed(changes.iter().map(change).collect::<rusqlite::Result<_>>()?)
            }
            Command::Unread { shelf, now, until, receipts } if self.ahead.has(*shelf) => {
                let unread = |receipt: &Receipt| self.unread(db, *shelf, *receipt, *until, *now);
                Outcome::Changed(receipts.iter().map(unread).collect::<rusqlite::Result<_>>()?)
            }
            Command::Move(step) if self.ahead.has(step.from) => Outcome::Moved(self.step(db, step)?),
            _ => Outcome::Gone,
        })
    }

    fn committed(&mut self, batches: Vec<Command>) {
        let defines =
            |c: &&Command| matches!(c, Command::Put { .. } | Command::Delete { .. } | Command::Sweep { .. });
        let mut changes = batches.iter().filter(defines).peekable();
        if changes.peek().is_some() {
            let mut mirror = self.mirror.write().unwrap_or_else(PoisonError::into_inner);
            for change in changes {
                if mirror.allows(change) {
                    mirror.commit(change);
                }
            }
        }
    }

    fn undone(&mut self) {
        self.ahead = self.mirror.read().unwrap_or_else(PoisonError::into_inner).clone();
        self.numbers = None;
        self.in_flight.clear();
    }
}

impl QueueJournal {
    fn define(&mut self, db: &Connection, command: &Command) -> Result<Outcome, Refusal> {
        if !self.ahead.allows(command) {
            return Err(Refusal::Conflict);
        }
        match command {
            Command::Put { record, .. } => {
                put_queue(db, record)?;
                let old = self.ahead.queue(&record.key).filter(|old| old.shelf == record.shelf);
                if record.settings.fifo.is_some()
                    && old.is_some_and(|old| old.settings.delay_secs != record.settings.delay_secs)
                {
                    delay_again(db, record.shelf, record.modified, record.settings.delay_secs)?;
                }
            }
            Command::Delete { key, at, .. } => delete_queue(db, key, *at)?,
            _ => {}
        }
        if let Some(shelf) = self.ahead.commit(command) {
            db.prepare_cached("INSERT OR IGNORE INTO given_up VALUES (?1)")?.execute([shelf.0])?;
            self.in_flight.remove(&shelf);
        }
        Ok(Outcome::Done)
    }

    fn send(&mut self, db: &Connection, shelf: Shelf, message: &NewMessage) -> rusqlite::Result<Sent> {
        let NewMessage { id, sent, visible, order, body, details } = message;
        if let Some(order) = order
            && let Some(first) = first_said(db, shelf, order, *sent)?
        {
            return Ok(first);
        }
        let number = self.next_number(db)?;
        if let Some(Order { group, dedup, scope }) = order {
            let mut statement = db.prepare_cached(
                "INSERT INTO dedups VALUES (?1, ?2, ?3, ?4, ?5, ?6)
                 ON CONFLICT DO UPDATE SET at = ?4, id = ?5, number = ?6",
            )?;
            let scope = dedup_scope(*scope, group);
            statement.execute(params![shelf.0, scope, dedup, sent.as_millis(), id.as_str(), number])?;
            rows::join_group(db, shelf, group, *visible)?;
        }
        let state = State {
            number,
            shelf,
            visible: visible.as_millis(),
            sent: sent.as_millis(),
            turn: 0,
            receives: 0,
            taken: 0,
            first: 0,
            group: order.as_ref().map(|order| order.group.clone()),
        };
        rows::put_state(db, &state)?;
        rows::put_content(db, number, id, body, details)?;
        Ok(Sent { id: id.clone(), number, is_repeated: false })
    }

    fn remove(
        &mut self,
        db: &Connection,
        shelf: Shelf,
        receipt: Receipt,
        now: Timestamp,
    ) -> rusqlite::Result<Removal> {
        let Some(state) = rows::state(db, receipt.number, shelf)? else { return Ok(Removal::Absent) };
        if state.turn != receipt.turn {
            return Ok(Removal::Stale);
        }
        let is_in_flight = state.is_in_flight(now);
        if state.group.is_some() && !is_in_flight {
            return Ok(Removal::Expired);
        }
        rows::delete(db, receipt.number)?;
        if let Some(group) = &state.group {
            rows::judge_group(db, shelf, group, now)?;
        }
        if is_in_flight && let Some(count) = self.in_flight.get_mut(&shelf) {
            *count = count.saturating_sub(1);
        }
        Ok(Removal::Done)
    }

    /// Puts a message that stood elsewhere at a shelf's end; its content gets the new number.
    pub(super) fn arrive(&mut self, db: &Connection, old: &State, new: State) -> rusqlite::Result<u64> {
        let number = self.next_number(db)?;
        db.prepare_cached("DELETE FROM messages WHERE number = ?1")?.execute([old.number])?;
        db.prepare_cached("UPDATE contents SET number = ?2 WHERE number = ?1")?
            .execute([old.number, number])?;
        if let Some(group) = &new.group {
            rows::join_group(db, new.shelf, group, Timestamp::from_millis(new.visible))?;
        }
        rows::put_state(db, &State { number, ..new })?;
        Ok(number)
    }

    fn step(&mut self, db: &Connection, step: &MoveStep) -> rusqlite::Result<Moved> {
        let mut moved = Moved::default();
        let numbers: Vec<u64> = {
            let mut statement = db.prepare_cached(
                "SELECT number FROM messages INDEXED BY messages_by_visible
                 WHERE shelf = ?1 AND visible <= ?2 AND sent > ?3 ORDER BY visible, sent, turn, number LIMIT ?4",
            )?;
            let bounds =
                params![step.from.0, step.now.as_millis(), step.too_old.as_millis(), step.ids.len() as i64];
            statement.query_map(bounds, |row| row.get(0))?.collect::<rusqlite::Result<_>>()?
        };
        for (number, id) in numbers.into_iter().zip(&step.ids) {
            let Some(state) = rows::state(db, number, step.from)? else { continue };
            let source: Option<String> = db
                .prepare_cached("SELECT source FROM contents WHERE number = ?1")?
                .query_row([number], |row| row.get(0))?;
            let to = step.to.iter().find(|(of, _)| step.all_to_one || (of.is_some() && *of == source));
            let Some((_, shelf)) = to.filter(|(_, shelf)| self.ahead.has(*shelf)) else {
                moved.is_stuck = true;
                break;
            };
            let now = step.now.as_millis();
            let new = State {
                shelf: *shelf,
                visible: now,
                sent: now,
                turn: 0,
                receives: 0,
                first: 0,
                ..state.clone()
            };
            let number = self.arrive(db, &state, new)?;
            db.prepare_cached("UPDATE contents SET id = ?2, source = NULL WHERE number = ?1")?
                .execute(params![number, id.as_str()])?;
            if let Some(group) = &state.group {
                rows::judge_group(db, step.from, group, step.now)?;
            }
            moved.count += 1;
        }
        if moved.count > 0 {
            let mut statement = db.prepare_cached("SELECT record FROM moves WHERE handle = ?1")?;
            let task =
                statement.query_row([&step.handle], |row| super::json::<MoveRecord>(row, 0)).optional()?;
            if let Some(mut task) = task {
                task.moved += moved.count;
                put_move(db, &task)?;
            }
        }
        Ok(moved)
    }
}

impl QueueJournal {
    fn unread(
        &mut self,
        db: &Connection,
        shelf: Shelf,
        receipt: Receipt,
        until: Timestamp,
        now: Timestamp,
    ) -> rusqlite::Result<Change> {
        let changed = change(db, shelf, receipt, until, now)?;
        if changed == Change::Done {
            let mut statement = db.prepare_cached(
                "UPDATE messages SET turn = turn - 1, receives = max(receives - 1, 0) WHERE number = ?1",
            )?;
            statement.execute([receipt.number])?;
            if let Some(State { group: Some(group), .. }) = rows::state(db, receipt.number, shelf)? {
                rows::judge_group(db, shelf, &group, now)?;
            }
            if let Some(count) = self.in_flight.get_mut(&shelf) {
                *count = count.saturating_sub(1);
            }
        }
        Ok(changed)
    }
}

fn change(
    db: &Connection,
    shelf: Shelf,
    receipt: Receipt,
    until: Timestamp,
    now: Timestamp,
) -> rusqlite::Result<Change> {
    let Some(state) = rows::state(db, receipt.number, shelf)? else { return Ok(Change::Absent) };
    if state.turn != receipt.turn || !state.is_in_flight(now) {
        return Ok(Change::NotInFlight);
    }
    if until > Timestamp::from_millis(state.taken).plus(IN_FLIGHT_FOR_MAX) {
        return Ok(Change::TooLong);
    }
    rows::set_visible(db, receipt.number, until)?;
    if let Some(group) = &state.group {
        rows::judge_group(db, shelf, group, now)?;
    }
    Ok(Change::Done)
}

/// What was sent with the same deduplication id, lately enough.
fn first_said(
    db: &Connection,
    shelf: Shelf,
    order: &Order,
    now: Timestamp,
) -> rusqlite::Result<Option<Sent>> {
    let mut statement = db
        .prepare_cached("SELECT at, id, number FROM dedups WHERE shelf = ?1 AND scope = ?2 AND dedup = ?3")?;
    let scope = dedup_scope(order.scope, &order.group);
    let found = statement
        .query_row(params![shelf.0, scope, order.dedup], |row| {
            Ok((row.get(0)?, row.get::<_, String>(1)?, row.get(2)?))
        })
        .optional()?;
    let Some((at, id, number)) = found else { return Ok(None) };
    if now.since(Timestamp::from_millis(at)) >= DEDUP_FOR {
        return Ok(None);
    }
    Ok(Some(Sent { id: super::id(lambent_core::MessageId::new(id))?, number, is_repeated: true }))
}

/// The part of a deduplication's name that says among which messages it counts.
fn dedup_scope(scope: DedupScope, group: &str) -> &str {
    match scope {
        DedupScope::Queue => "",
        DedupScope::Group => group,
    }
}

fn put_queue(db: &Connection, record: &QueueRecord) -> rusqlite::Result<()> {
    let QueueKey { account, region, name } = &record.key;
    let mut statement = db
        .prepare_cached("INSERT INTO queues VALUES (?1, ?2, ?3, ?4) ON CONFLICT DO UPDATE SET record = ?4")?;
    statement.execute(params![account.as_str(), region.as_str(), name.as_str(), to_json(record)?])?;
    Ok(())
}

fn delete_queue(db: &Connection, key: &QueueKey, at: Timestamp) -> rusqlite::Result<()> {
    let QueueKey { account, region, name } = key;
    let key = [account.as_str(), region.as_str(), name.as_str()];
    db.prepare_cached("DELETE FROM queues WHERE account = ?1 AND region = ?2 AND name = ?3")?.execute(key)?;
    let mut statement =
        db.prepare_cached("INSERT INTO deletions VALUES (?1, ?2, ?3, ?4) ON CONFLICT DO UPDATE SET at = ?4")?;
    statement.execute(params![key[0], key[1], key[2], at.as_millis()])?;
    Ok(())
}

/// A FIFO queue's delay is for the messages that wait already, too.
fn delay_again(db: &Connection, shelf: Shelf, now: Timestamp, delay_secs: u32) -> rusqlite::Result<()> {
    let delay = u64::try_from(Duration::from_secs(delay_secs.into()).as_millis()).unwrap_or(u64::MAX);
    db.execute(
        "UPDATE messages SET visible = sent + ?2 WHERE shelf = ?1 AND turn = 0",
        params![shelf.0, delay],
    )?;
    let mut statement = db.prepare("SELECT grp FROM groups WHERE shelf = ?1")?;
    let groups: Vec<String> =
        statement.query_map([shelf.0], |row| row.get(0))?.collect::<rusqlite::Result<_>>()?;
    for group in groups {
        rows::judge_group(db, shelf, &group, now)?;
    }
    Ok(())
}

fn put_move(db: &Connection, record: &MoveRecord) -> rusqlite::Result<()> {
    let mut statement =
        db.prepare_cached("INSERT INTO moves VALUES (?1, ?2, ?3) ON CONFLICT DO UPDATE SET record = ?3")?;
    statement.execute(params![record.handle, record.started.as_millis(), to_json(record)?])?;
    Ok(())
}

pub(super) fn to_json(value: &impl serde::Serialize) -> rusqlite::Result<String> {
    serde_json::to_string(value).map_err(|error| rusqlite::Error::ToSqlConversionFailure(error.into()))
}
