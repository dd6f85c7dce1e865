//! Reads.

use lambent_core::ids::{AccountId, Region};
use lambent_core::time::Timestamp;
use lambent_store::logs::chunk::CHUNK_SPAN_MAX;
use lambent_store::logs::merge::{self, StoredChunk};
use lambent_store::logs::{
    Direction, GroupKey, GroupQuery, GroupRecord, Page, ReadQuery, StreamKey, StreamOrder, StreamQuery,
    StreamRecord, Streams,
};
use rusqlite::types::Value;
use rusqlite::{Connection, OptionalExtension, Row, params, params_from_iter};

use super::journal::{group_id, millis, tags_from};
use crate::readers::{ReadError, unavailable};

const GROUP_COLUMNS: &str = "account, region, name, created, retention_days, tags, stored_bytes";

fn group_from(row: &Row<'_>) -> rusqlite::Result<GroupRecord> {
    let wrong = |error: lambent_core::ids::InvalidId| rusqlite::Error::ToSqlConversionFailure(error.into());
    Ok(GroupRecord {
        key: GroupKey {
            account: AccountId::new(row.get_ref(0)?.as_str()?).map_err(wrong)?,
            region: Region::new(row.get_ref(1)?.as_str()?).map_err(wrong)?,
            name: row.get_ref(2)?.as_str()?.into(),
        },
        created: time(row, 3)?.unwrap_or_default(),
        retention_days: row.get(4)?,
        tags: tags_from(row.get_ref(5)?.as_str()?)?,
        stored_bytes: row.get::<_, i64>(6)?.max(0) as u64,
    })
}

pub fn group(db: &Connection, key: &GroupKey) -> Result<Option<GroupRecord>, ReadError> {
    let sql =
        format!("SELECT {GROUP_COLUMNS} FROM log_groups WHERE account = ?1 AND region = ?2 AND name = ?3");
    let with = params![key.account.as_str(), key.region.as_str(), key.name];
    Ok(db.prepare_cached(&sql)?.query_row(with, group_from).optional()?)
}

pub fn list_groups(db: &Connection, query: &GroupQuery) -> Result<Vec<GroupRecord>, ReadError> {
    // A name behind `after` is never empty, so an empty `after` begins at the first.
    let sql = format!(
        "SELECT {GROUP_COLUMNS} FROM log_groups
         WHERE account = ?1 AND region = ?2 AND name > ?3 AND name >= ?4 AND name < ?4 || char(1114111)
           AND (?5 IS NULL OR instr(name, ?5) > 0)
         ORDER BY name LIMIT ?6"
    );
    let with = params![
        query.account.as_str(),
        query.region.as_str(),
        query.after.as_deref().unwrap_or_default(),
        query.prefix,
        query.contains,
        limit(query.limit)
    ];
    Ok(db.prepare_cached(&sql)?.query_map(with, group_from)?.collect::<Result<_, _>>()?)
}

const STREAM_COLUMNS: &str = "name, created, first_event, last_event, last_ingestion, stored_bytes";

fn stream_from(row: &Row<'_>) -> rusqlite::Result<StreamRecord> {
    Ok(StreamRecord {
        name: row.get_ref(0)?.as_str()?.into(),
        created: time(row, 1)?.unwrap_or_default(),
        first_event: time(row, 2)?,
        last_event: time(row, 3)?,
        last_ingestion: time(row, 4)?,
        stored_bytes: row.get::<_, i64>(5)?.max(0) as u64,
    })
}

pub fn stream(db: &Connection, key: &StreamKey) -> Result<Option<StreamRecord>, ReadError> {
    let Some(group) = group_id(db, &key.group)? else { return Ok(None) };
    let sql = format!("SELECT {STREAM_COLUMNS} FROM log_streams WHERE group_id = ?1 AND name = ?2");
    Ok(db.prepare_cached(&sql)?.query_row(params![group, key.name], stream_from).optional()?)
}

pub fn list_streams(db: &Connection, query: &StreamQuery) -> Result<Vec<StreamRecord>, ReadError> {
    let Some(group) = group_id(db, &query.group)? else { return Ok(Vec::new()) };
    let (sql, with) = streams_sql(group, query);
    let mut statement = db.prepare_cached(&sql)?;
    Ok(statement.query_map(params_from_iter(with), stream_from)?.collect::<Result<_, _>>()?)
}

/// The streams in the query's order. Conditions that ask for nothing are left out: SQLite would choose its
/// index by them and sort.
pub fn streams_sql(group: i64, query: &StreamQuery) -> (String, Vec<Value>) {
    let (direction, beyond) = if query.descending { ("DESC", "<") } else { ("ASC", ">") };
    let order = match query.order {
        StreamOrder::Name => format!("name {direction}"),
        StreamOrder::LastEvent => format!("last_event {direction}, name {direction}"),
    };
    let mut with = vec![Value::Integer(group)];
    let mut conditions = String::new();
    if !query.prefix.is_empty() {
        with.push(Value::Text(query.prefix.clone()));
        conditions.push_str(" AND name >= ?2 AND name < ?2 || char(1114111)");
    }
    if let Some(cursor) = &query.after {
        with.push(Value::Text(cursor.name.clone()));
        let name = with.len();
        match query.order {
            StreamOrder::Name => conditions.push_str(&format!(" AND name {beyond} ?{name}")),
            StreamOrder::LastEvent => {
                with.push(Value::Integer(cursor.last_event.map_or(-1, millis)));
                conditions.push_str(&format!(" AND (last_event, name) {beyond} (?{}, ?{name})", name + 1));
            }
        }
    }
    let sql = format!(
        "SELECT {STREAM_COLUMNS} FROM log_streams WHERE group_id = ?1{conditions} ORDER BY {order} LIMIT {}",
        limit(query.limit)
    );
    (sql, with)
}

pub fn page(db: &Connection, query: &ReadQuery) -> Result<Page, ReadError> {
    let Some(group) = group_id(db, &query.group)? else { return Ok(Page::default()) };
    if query.from >= query.until {
        return Ok(Page::default());
    }
    let (sql, with) = chunks_sql(group, query);
    let mut statement = db.prepare_cached(&sql)?;
    let mut rows = statement.query(params_from_iter(with))?;
    let next = || rows.next().and_then(|row| row.map(chunk_from).transpose()).map_err(unavailable);
    Ok(merge::page(query, next)?)
}

/// The chunks that touch the query's range, in the order that [`merge::page`] wants. One stream is walked by
/// its own index, several by their group's; `CROSS JOIN` keeps SQLite to the order of the tables, so that no
/// row is read before it is asked for and nothing is sorted.
pub fn chunks_sql(group: i64, query: &ReadQuery) -> (String, Vec<Value>) {
    // A chunk that touches the range has both ends near it: that bounds the walk along either index.
    let span = CHUNK_SPAN_MAX.as_millis() as i64;
    let (from, until) = (millis(query.from.time), millis(query.until.time));
    let window = "c.first_event >= ?2 AND c.first_event <= ?3 AND c.last_event >= ?4 AND c.last_event <= ?5";
    let mut with: Vec<Value> = [group, from.saturating_sub(span), until, from, until.saturating_add(span)]
        .map(Value::Integer)
        .into();
    let (end, order) = match query.direction {
        Direction::Forward => ("first", "c.first_event, c.id"),
        Direction::Backward => ("last", "c.last_event DESC, c.id DESC"),
    };
    let of_stream = format!(
        "log_streams s CROSS JOIN log_chunks c INDEXED BY log_chunks_by_stream_{end} ON c.stream_id = s.id
         WHERE s.group_id = ?1"
    );
    let of_group = format!(
        "log_chunks c INDEXED BY log_chunks_by_group_{end} CROSS JOIN log_streams s ON s.id = c.stream_id
         WHERE c.group_id = ?1"
    );
    let (tables, streams) = match &query.streams {
        Streams::All => (of_group, String::new()),
        Streams::Named(names) => {
            with.extend(names.iter().map(|name| Value::Text(name.to_string())));
            if names.len() == 1 {
                (of_stream, "AND s.name = ?6".to_owned())
            } else {
                let marks: Vec<String> = (0..names.len()).map(|at| format!("?{}", at + 6)).collect();
                (of_group, format!("AND s.name IN ({})", marks.join(", ")))
            }
        }
        Streams::Prefixed(prefix) => {
            with.push(Value::Text(prefix.clone()));
            (of_group, "AND s.name >= ?6 AND s.name < ?6 || char(1114111)".to_owned())
        }
    };
    let sql = format!(
        "SELECT c.id, s.name, c.first_event, c.last_event, c.ingested, c.counted_bytes, c.body
         FROM {tables} {streams} AND {window} ORDER BY {order}"
    );
    (sql, with)
}

fn chunk_from(row: &Row<'_>) -> rusqlite::Result<StoredChunk> {
    Ok(StoredChunk {
        id: row.get::<_, i64>(0)?.max(0) as u64,
        stream: row.get_ref(1)?.as_str()?.into(),
        first: time(row, 2)?.unwrap_or_default(),
        last: time(row, 3)?.unwrap_or_default(),
        ingested: time(row, 4)?.unwrap_or_default(),
        counted_bytes: row.get::<_, i64>(5)?.max(0) as usize,
        body: row.get(6)?,
    })
}

/// A time, or nothing where -1 stands for nothing.
fn time(row: &Row<'_>, column: usize) -> rusqlite::Result<Option<Timestamp>> {
    Ok(u64::try_from(row.get::<_, i64>(column)?).ok().map(Timestamp::from_millis))
}

fn limit(count: usize) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}
