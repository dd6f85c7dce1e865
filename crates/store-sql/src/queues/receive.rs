//! Which messages come next. Each look goes down an index: none passes over messages that wait.

use std::collections::HashSet;

use lambent_core::time::Timestamp;
use lambent_store::queues::*;
use rusqlite::{Connection, OptionalExtension as _, params};

use super::journal::{QueueJournal, to_json};
use super::rows::{self, State};

pub(super) fn receive(
    journal: &mut QueueJournal,
    db: &Connection,
    asked: &Receive,
) -> rusqlite::Result<Received> {
    if let Some(messages) = again(db, asked)? {
        return Ok(Received { messages, ..Received::default() });
    }
    let limit = room(journal, db, asked)?;
    if limit == 0 {
        return Ok(Received { is_full: true, ..Received::default() });
    }
    let mut received = Received::default();
    if asked.is_fifo {
        in_order(journal, db, asked, limit, &mut received)?;
    } else {
        any(journal, db, asked, limit, &mut received)?;
    }
    if received.messages.is_empty() {
        received.next = next_visible(db, asked)?;
        return Ok(received);
    }
    *journal.in_flight.entry(asked.shelf).or_default() += received.messages.len() as u64;
    if let Some(attempt) = &asked.attempt {
        let receipts: Vec<(u64, u64)> =
            received.messages.iter().map(|m| (m.receipt.number, m.receipt.turn)).collect();
        let mut statement = db.prepare_cached(
            "INSERT INTO attempts VALUES (?1, ?2, ?3, ?4) ON CONFLICT DO UPDATE SET at = ?3, receipts = ?4",
        )?;
        statement.execute(params![asked.shelf.0, attempt, asked.now.as_millis(), to_json(&receipts)?])?;
    }
    Ok(received)
}

/// What the same attempt got before, when all of it is still in flight.
fn again(db: &Connection, asked: &Receive) -> rusqlite::Result<Option<Vec<Message>>> {
    let Some(attempt) = &asked.attempt else { return Ok(None) };
    let mut statement =
        db.prepare_cached("SELECT at, receipts FROM attempts WHERE shelf = ?1 AND attempt = ?2")?;
    let found = statement
        .query_row(params![asked.shelf.0, attempt], |row| {
            Ok((row.get(0)?, super::json::<Vec<(u64, u64)>>(row, 1)?))
        })
        .optional()?;
    let Some((at, receipts)) = found else { return Ok(None) };
    if asked.now.since(Timestamp::from_millis(at)) >= ATTEMPT_FOR {
        return Ok(None);
    }
    let mut held = Vec::new();
    for (number, turn) in receipts {
        match rows::state(db, number, asked.shelf)? {
            Some(state) if state.turn == turn && state.is_in_flight(asked.now) => held.push(state),
            _ => return Ok(None),
        }
    }
    for state in &held {
        rows::set_visible(db, state.number, asked.visible_again)?;
    }
    for group in held.iter().filter_map(|state| state.group.as_deref()).collect::<HashSet<_>>() {
        rows::judge_group(db, asked.shelf, group, asked.now)?;
    }
    held.iter().map(|state| rows::message(db, state)).collect::<rusqlite::Result<_>>().map(Some)
}

/// How many messages may be handed out.
fn room(journal: &mut QueueJournal, db: &Connection, asked: &Receive) -> rusqlite::Result<usize> {
    let wanted = asked.limit as u64;
    let known = journal.in_flight.get(&asked.shelf).copied();
    let in_flight = match known {
        Some(count) if count + wanted <= asked.in_flight_max => count,
        _ => {
            let mut statement = db.prepare_cached(
                "SELECT count(*) FROM messages INDEXED BY messages_by_visible
                 WHERE shelf = ?1 AND visible > ?2 AND turn > 0",
            )?;
            let count =
                statement.query_row(params![asked.shelf.0, asked.now.as_millis()], |row| row.get(0))?;
            journal.in_flight.insert(asked.shelf, count);
            count
        }
    };
    let room = asked.in_flight_max.saturating_sub(in_flight).min(wanted);
    Ok(usize::try_from(room).unwrap_or(asked.limit))
}

fn any(
    journal: &mut QueueJournal,
    db: &Connection,
    asked: &Receive,
    limit: usize,
    received: &mut Received,
) -> rusqlite::Result<()> {
    let (mut seen, mut reaped) = (HashSet::new(), 0);
    loop {
        // Those that were handed out with no time in flight are still among the first.
        let wanted = limit - received.messages.len();
        let states = first_visible(db, asked, wanted + received.messages.len())?;
        let before = reaped;
        for state in states {
            if received.messages.len() == limit || reaped == REAP_MAX {
                return Ok(());
            }
            if seen.insert(state.number) && !hand_out(journal, db, state, asked, received)? {
                reaped += 1;
            }
        }
        if reaped == before || received.messages.len() == limit {
            return Ok(());
        }
    }
}

fn first_visible(db: &Connection, asked: &Receive, limit: usize) -> rusqlite::Result<Vec<State>> {
    let mut statement = db.prepare_cached(
        "SELECT number, visible, sent, turn, receives, taken, first FROM messages INDEXED BY messages_by_visible
         WHERE shelf = ?1 AND visible <= ?2 ORDER BY visible, sent, turn, number LIMIT ?3",
    )?;
    let read = |row: &rusqlite::Row<'_>| {
        Ok(State {
            number: row.get(0)?,
            shelf: asked.shelf,
            visible: row.get(1)?,
            sent: row.get(2)?,
            turn: row.get(3)?,
            receives: row.get(4)?,
            taken: row.get(5)?,
            first: row.get(6)?,
            group: None,
        })
    };
    let bounds = params![asked.shelf.0, asked.now.as_millis(), limit as i64];
    statement.query_map(bounds, read)?.collect()
}

fn in_order(
    journal: &mut QueueJournal,
    db: &Connection,
    asked: &Receive,
    limit: usize,
    received: &mut Received,
) -> rusqlite::Result<()> {
    let (mut seen, mut reaped) = (HashSet::new(), 0);
    loop {
        let groups: Vec<String> = {
            let mut statement = db.prepare_cached(
                "SELECT grp FROM groups INDEXED BY groups_by_ready WHERE shelf = ?1 AND ready <= ?2
                 ORDER BY ready, grp LIMIT ?3",
            )?;
            let bounds =
                params![asked.shelf.0, asked.now.as_millis(), (limit + received.messages.len()) as i64];
            statement.query_map(bounds, |row| row.get(0))?.collect::<rusqlite::Result<_>>()?
        };
        let before = seen.len();
        for group in groups {
            if received.messages.len() == limit || reaped >= REAP_MAX {
                return Ok(());
            }
            if seen.insert(group.clone()) {
                reaped += of_group(journal, db, &group, asked, limit, received)?;
            }
        }
        if seen.len() == before || received.messages.len() == limit {
            return Ok(());
        }
    }
}

/// Hands out of one group. Says how many messages it got rid of.
fn of_group(
    journal: &mut QueueJournal,
    db: &Connection,
    group: &str,
    asked: &Receive,
    limit: usize,
    received: &mut Received,
) -> rusqlite::Result<usize> {
    let (mut reaped, mut after) = (0, 0u64);
    'group: while received.messages.len() < limit && reaped < REAP_MAX {
        let numbers: Vec<u64> = {
            let mut statement = db.prepare_cached(
                "SELECT number FROM messages INDEXED BY messages_by_group
                 WHERE shelf = ?1 AND grp = ?2 AND number > ?3 ORDER BY number LIMIT ?4",
            )?;
            let wanted = (limit - received.messages.len()) as i64;
            let bounds = params![asked.shelf.0, group, after, wanted];
            statement.query_map(bounds, |row| row.get(0))?.collect::<rusqlite::Result<_>>()?
        };
        if numbers.is_empty() {
            break;
        }
        for number in numbers {
            after = number;
            let Some(state) = rows::state(db, number, asked.shelf)? else { continue };
            if state.visible > asked.now.as_millis() {
                break 'group;
            }
            reaped += usize::from(!hand_out(journal, db, state, asked, received)?);
        }
    }
    rows::judge_group(db, asked.shelf, group, asked.now)?;
    Ok(reaped)
}

/// Hands a message out, unless it is too old or was received too often. Says whether it did.
fn hand_out(
    journal: &mut QueueJournal,
    db: &Connection,
    mut state: State,
    asked: &Receive,
    received: &mut Received,
) -> rusqlite::Result<bool> {
    let now = asked.now.as_millis();
    if state.sent <= asked.too_old.as_millis() {
        rows::delete(db, state.number)?;
        return Ok(false);
    }
    if let Some(redrive) = &asked.redrive
        && state.turn >= redrive.receives_max
        && journal.ahead.has(redrive.shelf)
    {
        let sent = if asked.is_fifo { now } else { state.sent };
        let new = State { shelf: redrive.shelf, visible: now, sent, turn: 0, ..state.clone() };
        let number = journal.arrive(db, &state, new)?;
        db.prepare_cached("UPDATE contents SET source = ?2 WHERE number = ?1")?
            .execute(params![number, redrive.source])?;
        received.redriven.push(Redriven { id: rows::id(db, number)?, receives: state.receives });
        return Ok(false);
    }
    if state.receives == 0 {
        state.first = now;
    }
    state.turn += 1;
    state.receives += 1;
    let mut statement = db.prepare_cached(
        "UPDATE messages SET visible = ?2, turn = ?3, receives = ?4, taken = ?5, first = ?6 WHERE number = ?1",
    )?;
    let again = asked.visible_again.as_millis();
    statement.execute(params![state.number, again, state.turn, state.receives, now, state.first])?;
    received.messages.push(rows::message(db, &state)?);
    Ok(true)
}

fn next_visible(db: &Connection, asked: &Receive) -> rusqlite::Result<Option<Timestamp>> {
    let sql = if asked.is_fifo {
        "SELECT min(ready) FROM groups INDEXED BY groups_by_ready WHERE shelf = ?1 AND ready > ?2"
    } else {
        "SELECT min(visible) FROM messages INDEXED BY messages_by_visible WHERE shelf = ?1 AND visible > ?2"
    };
    let mut statement = db.prepare_cached(sql)?;
    let found: Option<u64> =
        statement.query_row(params![asked.shelf.0, asked.now.as_millis()], |row| row.get(0))?;
    Ok(found.map(Timestamp::from_millis))
}
