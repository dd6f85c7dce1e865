//! What the writer's thread does. It keeps no state beside the database, so there is nothing to undo.

use std::collections::BTreeMap;

use lambent_core::time::Timestamp;
use lambent_store::logs::chunk::Chunk;
use lambent_store::logs::{Command, GroupKey, Refusal, StreamKey, Swept, expiry};
use lambent_store::traces::Bounds;
use rusqlite::{Connection, OptionalExtension, params, params_from_iter};

use super::traces::{self, PackedTraces};
use crate::writer;

/// Chunks that one transaction frees at the most: some 16 MiB before compression.
const SLICE_CHUNKS_MAX: i64 = 256;

/// What a chunk takes beside its body: its row, its place in four indexes, the rest of its last page.
const CHUNK_ROW_BYTES: i64 = 256;

#[derive(Debug)]
pub enum Batch {
    Change(Command),
    Append(Vec<PackedRun>),
    /// One slice of a sweep; the sweep is over when a slice frees nothing.
    Sweep(Timestamp),
    Trace(Vec<PackedTraces>),
    /// One slice, as with logs.
    SweepTraces(Timestamp),
}

#[derive(Debug)]
pub enum Answer {
    Changed(Result<(), Refusal>),
    Appended(Vec<Result<(), Refusal>>),
    Swept(Swept),
    /// How many trace records were freed.
    Traced(u64),
}

#[derive(Debug)]
pub struct PackedRun {
    pub stream: StreamKey,
    pub ingested: Timestamp,
    pub create: bool,
    pub chunks: Vec<Chunk>,
}

pub struct LogJournal {
    pub bytes_max: u64,
    pub traces: Bounds,
}

/// A refusal of ours inside a failure of the database's.
type Outcome = rusqlite::Result<Result<(), Refusal>>;

impl writer::Journal for LogJournal {
    type Batch = Batch;
    type Answer = Answer;

    fn write(&mut self, db: &Connection, batch: &Batch) -> Result<Answer, writer::Refusal> {
        Ok(match batch {
            Batch::Change(command) => Answer::Changed(change(db, command)?),
            Batch::Append(runs) => {
                let mut outcomes = Vec::with_capacity(runs.len());
                for run in runs {
                    outcomes.push(append(db, run)?);
                }
                // More than came in, so that the bound is reached even after it was lowered, but not all at once.
                let came: usize = runs.iter().map(|run| run.chunks.len()).sum();
                self.evict(db, SLICE_CHUNKS_MAX.saturating_add(2 * came as i64))?;
                Answer::Appended(outcomes)
            }
            Batch::Trace(packed) => {
                traces::append(db, packed, self.traces)?;
                Answer::Traced(0)
            }
            Batch::SweepTraces(older_than) => Answer::Traced(traces::sweep(db, *older_than)?),
            Batch::Sweep(now) => {
                let expired_bytes = free_expired(db, *now)?;
                let evicted_bytes = if expired_bytes == 0 { self.evict(db, SLICE_CHUNKS_MAX)? } else { 0 };
                Answer::Swept(Swept { expired_bytes, evicted_bytes })
            }
        })
    }

    fn committed(&mut self, _batches: Vec<Batch>) {}

    fn undone(&mut self) {}
}

impl LogJournal {
    /// Frees the oldest chunks while there is more than the bound allows, `chunks_max` at the most.
    fn evict(&self, db: &Connection, chunks_max: i64) -> rusqlite::Result<u64> {
        let total: i64 =
            db.prepare_cached("SELECT disk_bytes FROM log_totals")?.query_row([], |r| r.get(0))?;
        let mut over = total.saturating_sub_unsigned(self.bytes_max);
        if over <= 0 {
            return Ok(0);
        }
        let mut oldest = Vec::new();
        let mut statement = db.prepare_cached(
            "SELECT id, stream_id, group_id, counted_bytes, length(body) FROM log_chunks ORDER BY id LIMIT ?1",
        )?;
        let mut rows = statement.query([chunks_max])?;
        while over > 0
            && let Some(row) = rows.next()?
        {
            let chunk = Gone::from_row(row)?;
            over -= chunk.disk_bytes;
            oldest.push(chunk);
        }
        drop(rows);
        free(db, &oldest)
    }
}

fn change(db: &Connection, command: &Command) -> Outcome {
    match command {
        Command::CreateGroup { key, created, tags } => {
            if group_id(db, key)?.is_some() {
                return Ok(Err(Refusal::GroupExists));
            }
            create_group(db, key, *created, tags)?;
        }
        Command::DeleteGroup { key } => {
            let Some(group) = group_id(db, key)? else { return Ok(Err(Refusal::GroupMissing)) };
            run(
                db,
                "INSERT INTO log_dropped_streams (stream_id) SELECT id FROM log_streams WHERE group_id = ?1",
                [group],
            )?;
            run(db, "DELETE FROM log_streams WHERE group_id = ?1", [group])?;
            run(db, "DELETE FROM log_groups WHERE id = ?1", [group])?;
        }
        Command::SetRetention { key, days } => {
            let Some(group) = group_id(db, key)? else { return Ok(Err(Refusal::GroupMissing)) };
            run(db, "UPDATE log_groups SET retention_days = ?2 WHERE id = ?1", params![group, days])?;
        }
        Command::ChangeTags { key, remove, set, count_max } => {
            return change_tags(db, key, remove, set, *count_max);
        }
        Command::CreateStream { key, created } => {
            let Some(group) = group_id(db, &key.group)? else { return Ok(Err(Refusal::GroupMissing)) };
            if stream_id(db, group, &key.name)?.is_some() {
                return Ok(Err(Refusal::StreamExists));
            }
            create_stream(db, group, &key.name, *created)?;
        }
        Command::DeleteStream { key } => {
            let Some(group) = group_id(db, &key.group)? else { return Ok(Err(Refusal::GroupMissing)) };
            let Some(stream) = stream_id(db, group, &key.name)? else {
                return Ok(Err(Refusal::StreamMissing));
            };
            run(
                db,
                "UPDATE log_groups SET stored_bytes = stored_bytes -
                   (SELECT stored_bytes FROM log_streams WHERE id = ?2) WHERE id = ?1",
                [group, stream],
            )?;
            run(db, "INSERT INTO log_dropped_streams (stream_id) VALUES (?1)", [stream])?;
            run(db, "DELETE FROM log_streams WHERE id = ?1", [stream])?;
        }
    }
    Ok(Ok(()))
}

fn change_tags(
    db: &Connection,
    key: &GroupKey,
    remove: &[String],
    set: &BTreeMap<String, String>,
    count_max: usize,
) -> Outcome {
    let Some(group) = group_id(db, key)? else { return Ok(Err(Refusal::GroupMissing)) };
    let mut tags = db
        .prepare_cached("SELECT tags FROM log_groups WHERE id = ?1")?
        .query_row([group], |row| tags_from(row.get_ref(0)?.as_str()?))?;
    remove.iter().for_each(|name| drop(tags.remove(name)));
    tags.extend(set.iter().map(|(name, value)| (name.clone(), value.clone())));
    if tags.len() > count_max {
        return Ok(Err(Refusal::TooManyTags));
    }
    run(db, "UPDATE log_groups SET tags = ?2 WHERE id = ?1", params![group, tags_text(&tags)])?;
    Ok(Ok(()))
}

fn append(db: &Connection, packed: &PackedRun) -> Outcome {
    let PackedRun { stream: StreamKey { group: key, name }, ingested, create, chunks } = packed;
    let group = match group_id(db, key)? {
        Some(group) => group,
        None if *create => create_group(db, key, *ingested, &BTreeMap::new())?,
        None => return Ok(Err(Refusal::GroupMissing)),
    };
    let stream = match stream_id(db, group, name)? {
        Some(stream) => stream,
        None if *create => create_stream(db, group, name, *ingested)?,
        None => return Ok(Err(Refusal::StreamMissing)),
    };
    let (Some(first), Some(last)) =
        (chunks.iter().map(|c| c.first).min(), chunks.iter().map(|c| c.last).max())
    else {
        return Ok(Ok(()));
    };
    let (mut counted, mut disk) = (0i64, 0i64);
    for chunk in chunks {
        counted += chunk.counted_bytes as i64;
        disk += chunk.body.len() as i64 + CHUNK_ROW_BYTES;
        db.prepare_cached(
            "INSERT INTO log_chunks
               (group_id, stream_id, first_event, last_event, ingested, counted_bytes, body)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
        )?
        .execute(params![
            group,
            stream,
            millis(chunk.first),
            millis(chunk.last),
            millis(*ingested),
            chunk.counted_bytes as i64,
            chunk.body
        ])?;
    }
    run(
        db,
        "UPDATE log_streams SET last_ingestion = ?2, stored_bytes = stored_bytes + ?3,
           first_event = iif(first_event < 0, ?4, min(first_event, ?4)), last_event = max(last_event, ?5)
         WHERE id = ?1",
        [stream, millis(*ingested), counted, millis(first), millis(last)],
    )?;
    run(db, "UPDATE log_groups SET stored_bytes = stored_bytes + ?2 WHERE id = ?1", [group, counted])?;
    run(db, "UPDATE log_totals SET disk_bytes = disk_bytes + ?1", [disk])?;
    Ok(Ok(()))
}

/// Frees a slice of what belonged to deleted streams; when there is none, of what is past its retention.
fn free_expired(db: &Connection, now: Timestamp) -> rusqlite::Result<u64> {
    let dropped = "SELECT stream_id FROM log_dropped_streams LIMIT 1";
    while let Some(stream) = db.prepare_cached(dropped)?.query_row([], |r| r.get::<_, i64>(0)).optional()? {
        let chunks = chunks(
            db,
            "SELECT id, stream_id, group_id, counted_bytes, length(body) FROM log_chunks
             WHERE stream_id = ?1 LIMIT ?2",
            [stream, SLICE_CHUNKS_MAX],
        )?;
        if !chunks.is_empty() {
            return free(db, &chunks);
        }
        run(db, "DELETE FROM log_dropped_streams WHERE stream_id = ?1", [stream])?;
    }
    let mut statement =
        db.prepare_cached("SELECT id, retention_days FROM log_groups WHERE retention_days IS NOT NULL")?;
    let mut groups = statement.query([])?;
    while let Some(row) = groups.next()? {
        let (group, days): (i64, u32) = (row.get(0)?, row.get(1)?);
        let chunks = chunks(
            db,
            "SELECT id, stream_id, group_id, counted_bytes, length(body) FROM log_chunks
             WHERE group_id = ?1 AND last_event < ?2 LIMIT ?3",
            [group, millis(expiry(Some(days), now)), SLICE_CHUNKS_MAX],
        )?;
        if !chunks.is_empty() {
            return free(db, &chunks);
        }
    }
    Ok(0)
}

/// A chunk that is about to go.
struct Gone {
    id: i64,
    stream: i64,
    group: i64,
    counted_bytes: i64,
    disk_bytes: i64,
}

impl Gone {
    fn from_row(row: &rusqlite::Row<'_>) -> rusqlite::Result<Self> {
        let disk_bytes = row.get::<_, i64>(4)? + CHUNK_ROW_BYTES;
        Ok(Self {
            id: row.get(0)?,
            stream: row.get(1)?,
            group: row.get(2)?,
            counted_bytes: row.get(3)?,
            disk_bytes,
        })
    }
}

fn chunks<const N: usize>(db: &Connection, sql: &str, with: [i64; N]) -> rusqlite::Result<Vec<Gone>> {
    db.prepare_cached(sql)?.query_map(params_from_iter(with), Gone::from_row)?.collect()
}

/// Deletes the chunks and takes them off every sum; answers their counted bytes.
fn free(db: &Connection, chunks: &[Gone]) -> rusqlite::Result<u64> {
    let mut streams: BTreeMap<(i64, i64), i64> = BTreeMap::new();
    let (mut counted, mut disk) = (0, 0);
    for chunk in chunks {
        run(db, "DELETE FROM log_chunks WHERE id = ?1", [chunk.id])?;
        *streams.entry((chunk.stream, chunk.group)).or_default() += chunk.counted_bytes;
        counted += chunk.counted_bytes;
        disk += chunk.disk_bytes;
    }
    for ((stream, group), bytes) in streams {
        let updated = run(
            db,
            "UPDATE log_streams SET stored_bytes = stored_bytes - ?2, first_event = coalesce(
               (SELECT min(first_event) FROM log_chunks WHERE stream_id = ?1), -1)
             WHERE id = ?1",
            [stream, bytes],
        )?;
        // A deleted stream was taken off its group's sum when it was deleted.
        if updated > 0 {
            run(db, "UPDATE log_groups SET stored_bytes = stored_bytes - ?2 WHERE id = ?1", [group, bytes])?;
        }
    }
    run(db, "UPDATE log_totals SET disk_bytes = disk_bytes - ?1", [disk])?;
    Ok(counted as u64)
}

fn create_group(
    db: &Connection,
    key: &GroupKey,
    created: Timestamp,
    tags: &BTreeMap<String, String>,
) -> rusqlite::Result<i64> {
    run(
        db,
        "INSERT INTO log_groups (account, region, name, created, tags) VALUES (?1, ?2, ?3, ?4, ?5)",
        params![key.account.as_str(), key.region.as_str(), key.name, millis(created), tags_text(tags)],
    )?;
    Ok(db.last_insert_rowid())
}

fn create_stream(db: &Connection, group: i64, name: &str, created: Timestamp) -> rusqlite::Result<i64> {
    run(
        db,
        "INSERT INTO log_streams (group_id, name, created) VALUES (?1, ?2, ?3)",
        params![group, name, millis(created)],
    )?;
    Ok(db.last_insert_rowid())
}

pub fn group_id(db: &Connection, key: &GroupKey) -> rusqlite::Result<Option<i64>> {
    db.prepare_cached("SELECT id FROM log_groups WHERE account = ?1 AND region = ?2 AND name = ?3")?
        .query_row(params![key.account.as_str(), key.region.as_str(), key.name], |row| row.get(0))
        .optional()
}

pub fn stream_id(db: &Connection, group: i64, name: &str) -> rusqlite::Result<Option<i64>> {
    db.prepare_cached("SELECT id FROM log_streams WHERE group_id = ?1 AND name = ?2")?
        .query_row(params![group, name], |row| row.get(0))
        .optional()
}

fn run(db: &Connection, sql: &str, with: impl rusqlite::Params) -> rusqlite::Result<usize> {
    db.prepare_cached(sql)?.execute(with)
}

/// SQLite's integers are signed; a time beyond them is some 290 million years ahead.
pub fn millis(time: Timestamp) -> i64 {
    i64::try_from(time.as_millis()).unwrap_or(i64::MAX)
}

pub fn tags_from(text: &str) -> rusqlite::Result<BTreeMap<String, String>> {
    serde_json::from_str(text).map_err(|error| rusqlite::Error::ToSqlConversionFailure(error.into()))
}

fn tags_text(tags: &BTreeMap<String, String>) -> String {
    serde_json::to_string(tags).expect("a map of texts is a JSON object")
}
