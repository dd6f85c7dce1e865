//! Freeing what nobody can reach any more, a bounded number of rows at a time: other writers wait for it.

use lambent_core::time::Timestamp;
use lambent_store::queues::{ATTEMPT_FOR, DEDUP_FOR, DELETION_KEPT_FOR, Shelf};
use rusqlite::{Connection, OptionalExtension as _, params};

use super::rows;

/// Frees up to about `limit` rows. Says whether there is more.
pub(super) fn sweep(
    db: &Connection,
    now: Timestamp,
    limit: usize,
    too_old: &[(Shelf, Vec<u64>)],
) -> rusqlite::Result<bool> {
    for (shelf, numbers) in too_old {
        for number in numbers {
            let Some(state) = rows::state(db, *number, *shelf)? else { continue };
            rows::delete(db, *number)?;
            if let Some(group) = &state.group {
                rows::judge_group(db, *shelf, group, now)?;
            }
        }
    }
    let before = |span: std::time::Duration| {
        now.as_millis().saturating_sub(u64::try_from(span.as_millis()).unwrap_or(u64::MAX))
    };
    db.prepare_cached("DELETE FROM deletions WHERE at <= ?1")?.execute([before(DELETION_KEPT_FOR)])?;
    let dedups = db
        .prepare_cached(
            "DELETE FROM dedups WHERE (shelf, scope, dedup) IN
             (SELECT shelf, scope, dedup FROM dedups INDEXED BY dedups_by_at WHERE at <= ?1 LIMIT ?2)",
        )?
        .execute(params![before(DEDUP_FOR), limit as i64])?;
    let attempts = db
        .prepare_cached(
            "DELETE FROM attempts WHERE (shelf, attempt) IN
             (SELECT shelf, attempt FROM attempts INDEXED BY attempts_by_at WHERE at <= ?1 LIMIT ?2)",
        )?
        .execute(params![before(ATTEMPT_FOR), limit as i64])?;
    let more = clear_shelf(db, limit)?;
    Ok(more || dedups == limit || attempts == limit)
}

/// Frees rows of one shelf that was given up. Says whether there is more of it, or another one.
fn clear_shelf(db: &Connection, limit: usize) -> rusqlite::Result<bool> {
    let shelf: Option<u64> = db
        .prepare_cached("SELECT shelf FROM given_up LIMIT 1")?
        .query_row([], |row| row.get(0))
        .optional()?;
    let Some(shelf) = shelf else { return Ok(false) };
    let numbers: Vec<u64> = db
        .prepare_cached(
            "SELECT number FROM messages INDEXED BY messages_by_visible WHERE shelf = ?1 LIMIT ?2",
        )?
        .query_map(params![shelf, limit as i64], |row| row.get(0))?
        .collect::<rusqlite::Result<_>>()?;
    for number in &numbers {
        rows::delete(db, *number)?;
    }
    let mut freed = numbers.len();
    for sql in [
        "DELETE FROM groups WHERE (shelf, grp) IN (SELECT shelf, grp FROM groups WHERE shelf = ?1 LIMIT ?2)",
        "DELETE FROM dedups WHERE (shelf, scope, dedup) IN
         (SELECT shelf, scope, dedup FROM dedups WHERE shelf = ?1 LIMIT ?2)",
        "DELETE FROM attempts WHERE (shelf, attempt) IN
         (SELECT shelf, attempt FROM attempts WHERE shelf = ?1 LIMIT ?2)",
    ] {
        let room = limit.saturating_sub(freed) as i64;
        freed += db.prepare_cached(sql)?.execute(params![shelf, room])?;
    }
    if freed < limit {
        db.prepare_cached("DELETE FROM given_up WHERE shelf = ?1")?.execute([shelf])?;
    }
    Ok(true)
}
