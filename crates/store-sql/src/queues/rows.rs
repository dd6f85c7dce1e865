//! The statements of messages and groups that several commands share.

use lambent_core::ids::MessageId;
use lambent_core::time::Timestamp;
use lambent_store::queues::{Message, RECEIVE_MAX, Receipt, Shelf};
use rusqlite::{Connection, OptionalExtension as _, params};

/// What changes of a message while it waits.
#[derive(Debug, Clone)]
pub(super) struct State {
    pub number: u64,
    pub shelf: Shelf,
    pub visible: u64,
    pub sent: u64,
    pub turn: u64,
    pub receives: u64,
    pub taken: u64,
    pub first: u64,
    pub group: Option<String>,
}

impl State {
    pub fn is_in_flight(&self, now: Timestamp) -> bool {
        self.turn > 0 && self.visible > now.as_millis()
    }
}

pub(super) fn state(db: &Connection, number: u64, shelf: Shelf) -> rusqlite::Result<Option<State>> {
    let mut statement = db.prepare_cached(
        "SELECT visible, sent, turn, receives, taken, first, grp FROM messages WHERE number = ?1 AND shelf = ?2",
    )?;
    let read = |row: &rusqlite::Row<'_>| {
        Ok(State {
            number,
            shelf,
            visible: row.get(0)?,
            sent: row.get(1)?,
            turn: row.get(2)?,
            receives: row.get(3)?,
            taken: row.get(4)?,
            first: row.get(5)?,
            group: row.get(6)?,
        })
    };
    statement.query_row(params![number, shelf.0], read).optional()
}

pub(super) fn put_state(db: &Connection, state: &State) -> rusqlite::Result<()> {
    let State { number, shelf, visible, sent, turn, receives, taken, first, group } = state;
    let mut statement =
        db.prepare_cached("INSERT INTO messages VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)")?;
    statement.execute(params![number, shelf.0, visible, sent, turn, receives, taken, first, group])?;
    Ok(())
}

pub(super) fn put_content(
    db: &Connection,
    number: u64,
    id: &MessageId,
    body: &[u8],
    details: &[u8],
) -> rusqlite::Result<()> {
    let mut statement = db.prepare_cached("INSERT INTO contents VALUES (?1, ?2, ?3, ?4, NULL)")?;
    statement.execute(params![number, id.as_str(), body, details])?;
    Ok(())
}

/// The message as it is handed out.
pub(super) fn message(db: &Connection, state: &State) -> rusqlite::Result<Message> {
    let mut statement =
        db.prepare_cached("SELECT id, body, details, source FROM contents WHERE number = ?1")?;
    statement.query_row([state.number], |row| {
        Ok(Message {
            receipt: Receipt { number: state.number, turn: state.turn },
            id: super::id(MessageId::new(row.get_ref(0)?.as_str().map_err(super::unreadable)?))?,
            sent: Timestamp::from_millis(state.sent),
            first_received: Timestamp::from_millis(state.first),
            receives: state.receives,
            body: row.get::<_, Vec<u8>>(1)?.into(),
            details: row.get::<_, Vec<u8>>(2)?.into(),
            source: row.get(3)?,
        })
    })
}

pub(super) fn id(db: &Connection, number: u64) -> rusqlite::Result<MessageId> {
    let mut statement = db.prepare_cached("SELECT id FROM contents WHERE number = ?1")?;
    let text: String = statement.query_row([number], |row| row.get(0))?;
    super::id(MessageId::new(&text))
}

pub(super) fn delete(db: &Connection, number: u64) -> rusqlite::Result<()> {
    db.prepare_cached("DELETE FROM messages WHERE number = ?1")?.execute([number])?;
    db.prepare_cached("DELETE FROM contents WHERE number = ?1")?.execute([number])?;
    Ok(())
}

pub(super) fn set_visible(db: &Connection, number: u64, visible: Timestamp) -> rusqlite::Result<()> {
    let mut statement = db.prepare_cached("UPDATE messages SET visible = ?2 WHERE number = ?1")?;
    statement.execute(params![number, visible.as_millis()])?;
    Ok(())
}

/// Notes from when on a group may be received from: when all its messages in flight are over, or else when its first
/// message is visible. Messages in flight are always among the first of their group, as no more than these are
/// handed out together.
pub(super) fn judge_group(
    db: &Connection,
    shelf: Shelf,
    group: &str,
    now: Timestamp,
) -> rusqlite::Result<()> {
    let mut statement = db.prepare_cached(
        "SELECT visible, turn FROM messages INDEXED BY messages_by_group
         WHERE shelf = ?1 AND grp = ?2 ORDER BY number LIMIT ?3",
    )?;
    let mut rows = statement.query(params![shelf.0, group, RECEIVE_MAX as i64])?;
    let (mut first, mut in_flight) = (None, None);
    while let Some(row) = rows.next()? {
        let (visible, turn): (u64, u64) = (row.get(0)?, row.get(1)?);
        first = first.or(Some(visible));
        if turn > 0 && visible > now.as_millis() {
            in_flight = in_flight.max(Some(visible));
        }
    }
    drop(rows);
    match in_flight.or(first) {
        Some(ready) => {
            let mut statement = db.prepare_cached(
                "INSERT INTO groups VALUES (?1, ?2, ?3) ON CONFLICT DO UPDATE SET ready = ?3",
            )?;
            statement.execute(params![shelf.0, group, ready])?;
        }
        None => {
            let mut statement = db.prepare_cached("DELETE FROM groups WHERE shelf = ?1 AND grp = ?2")?;
            statement.execute(params![shelf.0, group])?;
        }
    }
    Ok(())
}

/// A message came to a group's end. Behind others it changes nothing of when the group may be received from.
pub(super) fn join_group(
    db: &Connection,
    shelf: Shelf,
    group: &str,
    visible: Timestamp,
) -> rusqlite::Result<()> {
    let mut statement = db.prepare_cached("INSERT INTO groups VALUES (?1, ?2, ?3) ON CONFLICT DO NOTHING")?;
    statement.execute(params![shelf.0, group, visible.as_millis()])?;
    Ok(())
}
