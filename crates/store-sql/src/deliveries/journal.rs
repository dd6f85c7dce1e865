//! Commands as rows. Runs on the writer's thread, and keeps no state beside the database.

use std::collections::HashMap;

use lambent_core::ids::RequestId;
use lambent_store::deliveries::{Command, Delivery};
use rusqlite::{Connection, OptionalExtension as _, params};

use crate::writer::{Journal, Refusal};

pub(super) struct DeliveryJournal;

impl Journal for DeliveryJournal {
    type Batch = Vec<Command>;
    type Answer = ();

    fn write(&mut self, db: &Connection, batch: &Vec<Command>) -> Result<(), Refusal> {
        check(db, batch)?;
        for command in batch {
            match command {
                Command::Accept(delivery) => accept(db, delivery)?,
                Command::Postpone { id, due, tries } => {
                    let mut statement = db.prepare_cached(
                        "UPDATE deliveries SET due = ?2, attempts = ?3, deferrals = ?4 WHERE id = ?1",
                    )?;
                    statement.execute(params![
                        id.as_str(),
                        due.as_millis(),
                        tries.attempts,
                        tries.deferrals
                    ])?;
                }
                Command::Settle { id } => {
                    db.prepare_cached("DELETE FROM deliveries WHERE id = ?1")?.execute([id.as_str()])?;
                }
                Command::Mark { source, at } => {
                    db.prepare_cached("INSERT OR REPLACE INTO marks VALUES (?1, ?2)")?
                        .execute(params![source, at.as_millis()])?;
                }
                Command::Unmark { source } => {
                    db.prepare_cached("DELETE FROM marks WHERE source = ?1")?.execute([source])?;
                }
            }
        }
        Ok(())
    }

    fn committed(&mut self, _batches: Vec<Vec<Command>>) {}

    fn undone(&mut self) {}
}

/// Whether each command finds what it needs, with the effects of those before it.
fn check(db: &Connection, batch: &[Command]) -> Result<(), Refusal> {
    let mut changed: HashMap<&RequestId, bool> = HashMap::new();
    let mut marked: HashMap<&str, Option<u64>> = HashMap::new();
    for command in batch {
        let (id, wanted, after) = match command {
            Command::Mark { source, at } => {
                let mark = match marked.get(source.as_str()) {
                    Some(mark) => *mark,
                    None => mark(db, source)?,
                };
                if mark.is_some_and(|mark| mark >= at.as_millis()) {
                    return Err(Refusal::Conflict);
                }
                marked.insert(source, Some(at.as_millis()));
                continue;
            }
            Command::Unmark { source } => {
                marked.insert(source, None);
                continue;
            }
            Command::Accept(delivery) => (&delivery.id, false, true),
            Command::Postpone { id, .. } => (id, true, true),
            Command::Settle { id } => (id, true, false),
        };
        let is_there = match changed.get(id) {
            Some(is_there) => *is_there,
            None => db.prepare_cached("SELECT 1 FROM deliveries WHERE id = ?1")?.exists([id.as_str()])?,
        };
        if is_there != wanted {
            return Err(Refusal::Conflict);
        }
        changed.insert(id, after);
    }
    Ok(())
}

fn mark(db: &Connection, source: &str) -> rusqlite::Result<Option<u64>> {
    let mut statement = db.prepare_cached("SELECT at FROM marks WHERE source = ?1")?;
    statement.query_row([source], |row| row.get(0)).optional()
}

fn accept(db: &Connection, delivery: &Delivery) -> rusqlite::Result<()> {
    let Delivery { id, lane, accepted, due, tries, body } = delivery;
    let mut statement = db.prepare_cached("INSERT INTO deliveries VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)")?;
    let (accepted, due) = (accepted.as_millis(), due.as_millis());
    statement.execute(params![
        id.as_str(),
        lane.as_str(),
        accepted,
        due,
        tries.attempts,
        tries.deferrals,
        &body[..]
    ])?;
    Ok(())
}
