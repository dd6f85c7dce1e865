//! Trace records, in the file of the logs and by its writer: a batch of them is one more transaction a second.

use lambent_core::ids::{AccountId, Region};
use lambent_core::ports::BoxFuture;
use lambent_core::time::Timestamp;
use lambent_store::StoreError;
use lambent_store::traces::chunk::{self, Chunk};
use lambent_store::traces::{Bounds, TraceOwner, TraceRecord, TraceRun, TraceStore, last_by_time};
use rusqlite::{Connection, OptionalExtension as _, params};

use super::SqliteLogs;
use super::journal::{Answer, Batch, millis};
use crate::readers::{ReadError, unavailable};

/// What a chunk takes beside its body and hashes: its row and its place in the index.
const CHUNK_ROW_BYTES: i64 = 96;

/// Chunks that one transaction frees at the most.
const SLICE_CHUNKS_MAX: i64 = 512;

/// Chunks that one search looks into at the most, the last ones: a trace that goes round for ever has no end of them.
const SEARCHED_CHUNKS_MAX: i64 = 512;

#[derive(Debug)]
pub struct PackedTraces {
    owner: TraceOwner,
    chunk: Chunk,
}

impl TraceStore for SqliteLogs {
    fn append_traces(&self, runs: Vec<TraceRun>) -> BoxFuture<'_, Result<(), StoreError>> {
        Box::pin(async move {
            // Packing is work for a processor and not for the thread that serves requests.
            let packed = tokio::task::spawn_blocking(move || pack(runs)).await.map_err(unavailable)?;
            match self.writer.submit(Batch::Trace(packed.map_err(unavailable)?)).await? {
                Answer::Traced(_) => Ok(()),
                other => unreachable!("traces are answered as traces, not with {other:?}"),
            }
        })
    }

    fn traces_by_key(
        &self,
        account: AccountId,
        region: Region,
        key: String,
        limit: usize,
    ) -> BoxFuture<'_, Result<Vec<TraceRecord>, StoreError>> {
        Box::pin(self.readers.run(move |db| by_key(db, &account, &region, &key, limit)))
    }

    fn last_traces(
        &self,
        owner: TraceOwner,
        limit: usize,
    ) -> BoxFuture<'_, Result<Vec<TraceRecord>, StoreError>> {
        Box::pin(self.readers.run(move |db| last(db, &owner, limit)))
    }

    fn sweep_traces(&self, older_than: Timestamp) -> BoxFuture<'_, Result<u64, StoreError>> {
        Box::pin(async move {
            let mut freed = 0;
            // Slice by slice, so that appends come in between.
            loop {
                match self.writer.submit(Batch::SweepTraces(older_than)).await? {
                    Answer::Traced(0) => return Ok(freed),
                    Answer::Traced(slice) => freed += slice,
                    other => unreachable!("traces are answered as traces, not with {other:?}"),
                }
            }
        })
    }
}

fn pack(runs: Vec<TraceRun>) -> std::io::Result<Vec<PackedTraces>> {
    let runs = runs.into_iter().filter(|run| !run.records.is_empty());
    runs.map(|run| Ok(PackedTraces { owner: run.owner, chunk: chunk::pack(&run.records)? })).collect()
}

/// Writes the chunks, and frees what is over the bounds.
pub fn append(db: &Connection, packed: &[PackedTraces], bounds: Bounds) -> rusqlite::Result<()> {
    for PackedTraces { owner, chunk } in packed {
        let owner = owner_id(db, owner)?;
        let disk = (chunk.body.len() + chunk.hashes.len()) as i64 + CHUNK_ROW_BYTES;
        db.prepare_cached(
            "INSERT INTO trace_chunks (owner_id, last, records, disk_bytes, unpacked_bytes, hashes, body)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
        )?
        .execute(params![
            owner,
            millis(chunk.last),
            chunk.records as i64,
            disk,
            chunk.unpacked_bytes as i64,
            chunk.hashes,
            chunk.body
        ])?;
        run(db, "UPDATE trace_totals SET disk_bytes = disk_bytes + ?1", [disk])?;
        let records: i64 = db
            .prepare_cached("UPDATE trace_owners SET records = records + ?2 WHERE id = ?1 RETURNING records")?
            .query_row([owner, chunk.records as i64], |row| row.get(0))?;
        let over = records.saturating_sub(i64::try_from(bounds.owner_records_max).unwrap_or(i64::MAX));
        free_oldest(
            db,
            "SELECT id, records FROM trace_chunks WHERE owner_id = ?1 ORDER BY id LIMIT ?2",
            owner,
            over,
        )?;
    }
    let total: i64 = db.prepare_cached("SELECT disk_bytes FROM trace_totals")?.query_row([], |r| r.get(0))?;
    let over = total.saturating_sub_unsigned(bounds.disk_bytes_max);
    free_oldest(db, "SELECT id, disk_bytes FROM trace_chunks WHERE id > ?1 ORDER BY id LIMIT ?2", 0, over)
}

/// Frees the first chunks that `sql` names while `over` is over; never the last one, which came just now.
fn free_oldest(db: &Connection, sql: &str, of: i64, mut over: i64) -> rusqlite::Result<()> {
    if over <= 0 {
        return Ok(());
    }
    let rows: Vec<(i64, i64)> = db
        .prepare_cached(sql)?
        .query_map([of, SLICE_CHUNKS_MAX], |row| Ok((row.get(0)?, row.get(1)?)))?
        .collect::<rusqlite::Result<_>>()?;
    for (id, counts) in &rows[..rows.len().saturating_sub(1)] {
        if over <= 0 {
            break;
        }
        free(db, *id)?;
        over -= counts;
    }
    Ok(())
}

fn free(db: &Connection, chunk: i64) -> rusqlite::Result<u64> {
    let (owner, records, disk): (i64, i64, i64) = db
        .prepare_cached("DELETE FROM trace_chunks WHERE id = ?1 RETURNING owner_id, records, disk_bytes")?
        .query_row([chunk], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))?;
    run(db, "UPDATE trace_totals SET disk_bytes = disk_bytes - ?1", [disk])?;
    run(db, "UPDATE trace_owners SET records = records - ?2 WHERE id = ?1", [owner, records])?;
    run(db, "DELETE FROM trace_owners WHERE id = ?1 AND records <= 0", [owner])?;
    Ok(records as u64)
}

/// Frees one slice of what is too old; says how many records.
pub fn sweep(db: &Connection, older_than: Timestamp) -> rusqlite::Result<u64> {
    let ids: Vec<i64> = db
        .prepare_cached("SELECT id FROM trace_chunks WHERE last < ?1 ORDER BY id LIMIT ?2")?
        .query_map([millis(older_than), SLICE_CHUNKS_MAX], |row| row.get(0))?
        .collect::<rusqlite::Result<_>>()?;
    ids.into_iter().map(|id| free(db, id)).sum()
}

fn owner_id(db: &Connection, owner: &TraceOwner) -> rusqlite::Result<i64> {
    if let Some(id) = find_owner(db, owner)? {
        return Ok(id);
    }
    let TraceOwner { account, region, subject } = owner;
    run(
        db,
        "INSERT INTO trace_owners (account, region, subject) VALUES (?1, ?2, ?3)",
        params![account.as_str(), region.as_str(), subject],
    )?;
    Ok(db.last_insert_rowid())
}

fn find_owner(db: &Connection, owner: &TraceOwner) -> rusqlite::Result<Option<i64>> {
    let TraceOwner { account, region, subject } = owner;
    db.prepare_cached("SELECT id FROM trace_owners WHERE account = ?1 AND region = ?2 AND subject = ?3")?
        .query_row(params![account.as_str(), region.as_str(), subject], |row| row.get(0))
        .optional()
}

fn by_key(
    db: &Connection,
    account: &AccountId,
    region: &Region,
    key: &str,
    limit: usize,
) -> Result<Vec<TraceRecord>, ReadError> {
    let mut statement = db.prepare_cached(
        "SELECT unpacked_bytes, body FROM trace_chunks WHERE instr(hashes, ?3) > 0 AND owner_id IN
           (SELECT id FROM trace_owners WHERE account = ?1 AND region = ?2)
         ORDER BY id DESC LIMIT ?4",
    )?;
    let hash = chunk::hash(key);
    let with = params![account.as_str(), region.as_str(), &hash[..], SEARCHED_CHUNKS_MAX];
    let mut rows = statement.query(with)?;
    let mut found = Vec::new();
    while let Some(row) = rows.next()? {
        let mut records = unpacked(row)?;
        records.retain(|record| record.keys.iter().any(|own| own == key));
        // The chunks come in the wrong order; within one, records keep theirs.
        found.splice(0..0, records);
        if found.len() >= limit {
            break;
        }
    }
    Ok(last_by_time(found, limit))
}

fn last(db: &Connection, owner: &TraceOwner, limit: usize) -> Result<Vec<TraceRecord>, ReadError> {
    let Some(owner) = find_owner(db, owner)? else { return Ok(Vec::new()) };
    let mut statement = db.prepare_cached(
        "SELECT unpacked_bytes, body FROM trace_chunks WHERE owner_id = ?1 ORDER BY id DESC",
    )?;
    let mut rows = statement.query([owner])?;
    let mut found = Vec::new();
    while found.len() < limit
        && let Some(row) = rows.next()?
    {
        found.splice(0..0, unpacked(row)?);
    }
    Ok(last_by_time(found, limit))
}

fn unpacked(row: &rusqlite::Row<'_>) -> Result<Vec<TraceRecord>, ReadError> {
    let bytes = usize::try_from(row.get::<_, i64>(0)?).unwrap_or_default();
    let body = row.get_ref(1)?.as_blob().map_err(unavailable)?;
    Ok(chunk::unpack(bytes, body).map_err(unavailable)?)
}

fn run(db: &Connection, sql: &str, with: impl rusqlite::Params) -> rusqlite::Result<usize> {
    db.prepare_cached(sql)?.execute(with)
}
