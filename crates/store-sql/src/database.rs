//! Opening a database file: the pragmas, the checks that refuse a file that is not ours or not whole, and the
//! schema's migrations.
//!
//! Invariant: a file that is refused is left byte for byte as it was.

use std::fs;
use std::io::Read;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use rusqlite::{Connection, ErrorCode, OpenFlags};

use crate::{OpenError, io_error};

/// The oldest SQLite that does not lose commits when a checkpoint resets the log while another connection
/// writes (release notes of 3.51.3).
const SQLITE_VERSION_MIN: i32 = 3_051_003;

/// Readers never block the writer in WAL mode; only a checkpoint or another process may make it wait.
const BUSY_TIMEOUT: Duration = Duration::from_secs(5);

/// What a connection keeps of its file in memory, in KiB, beside what the system keeps. Every one of them fills up in
/// time, whatever it does: a node at rest holds all of it.
const WRITER_CACHE_KIB: u32 = 1_024;
const READER_CACHE_KIB: u32 = 512;

/// What one database file is made of.
#[derive(Debug)]
pub struct Schema {
    /// Written into the file's header, so that a file of another program or another domain is recognised.
    pub application_id: i32,
    /// By number from 1, in order. One that was released is never edited, only followed by another.
    pub migrations: &'static [&'static str],
    /// Whether each page is looked at when the file is opened: for files that are read whole anyway.
    pub check_pages: bool,
}

/// What a commit waits for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Durability {
    /// Until the disk has it: a power cut takes nothing that was acknowledged.
    Full,
    /// Until the operating system has it: a crash of the process takes nothing, a power cut may take the last
    /// seconds, and neither corrupts.
    Normal,
}

/// Opens the file for its only writer, makes it when it is not there, and brings its schema up to date.
pub fn open(path: &Path, schema: &Schema, durability: Durability) -> Result<Connection, OpenError> {
    let found = rusqlite::version_number();
    if found < SQLITE_VERSION_MIN {
        return Err(OpenError::SqliteTooOld { found, needed: SQLITE_VERSION_MIN });
    }
    refuse_what_is_no_database(path)?;
    let fail = |error| judge(path, error);
    make_private(path)?;
    let mut db = Connection::open(path).map_err(fail)?;
    db.busy_timeout(BUSY_TIMEOUT).map_err(fail)?;
    // Nothing is written before these: a file of someone else stays as it is.
    let version = recognise(&db, path, schema)?;
    if schema.check_pages {
        check_pages(&db, path)?;
    }
    set_up(&db, durability).map_err(fail)?;
    migrate(&mut db, schema, version).map_err(fail)?;
    Ok(db)
}

/// Opens a further connection that only reads. It never checkpoints: that is the writer's alone.
pub fn open_reader(path: &Path) -> Result<Connection, OpenError> {
    let fail = |error| judge(path, error);
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let db = Connection::open_with_flags(path, flags).map_err(fail)?;
    db.busy_timeout(BUSY_TIMEOUT).map_err(fail)?;
    db.execute_batch("PRAGMA wal_autocheckpoint = 0; PRAGMA query_only = ON;").map_err(fail)?;
    bound_cache(&db, READER_CACHE_KIB).map_err(fail)?;
    Ok(db)
}

/// SQLite takes an empty file for a new database, and throws away a log that lies beside an empty file. Both
/// would hide a loss, so they are refused here.
fn refuse_what_is_no_database(path: &Path) -> Result<(), OpenError> {
    const MAGIC: &[u8; 16] = b"SQLite format 3\0";
    let io = |error| io_error(path, error);
    let mut file = match fs::File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            return refuse_orphaned_log(path);
        }
        Err(error) => return Err(io(error)),
    };
    if file.metadata().map_err(io)?.len() == 0 {
        return refuse_orphaned_log(path);
    }
    let mut magic = [0; 16];
    match file.read_exact(&mut magic) {
        Ok(()) if magic == *MAGIC => Ok(()),
        Ok(()) => Err(corrupted(path, "it does not begin as a SQLite database does")),
        Err(error) if error.kind() == std::io::ErrorKind::UnexpectedEof => {
            Err(corrupted(path, "it is shorter than a database's header"))
        }
        Err(error) => Err(io(error)),
    }
}

/// A new file is the user's alone: environment variables hold secrets. SQLite gives its log the same mode.
fn make_private(path: &Path) -> Result<(), OpenError> {
    let mut options = fs::OpenOptions::new();
    options.write(true).create(true).truncate(false).mode(0o600);
    options.open(path).map(drop).map_err(|error| io_error(path, error))
}

fn refuse_orphaned_log(path: &Path) -> Result<(), OpenError> {
    let mut log = path.as_os_str().to_owned();
    log.push("-wal");
    match fs::metadata(PathBuf::from(log)) {
        Ok(found) if found.len() > 0 => {
            Err(corrupted(path, "the database is missing or empty, but its write-ahead log is there"))
        }
        _ => Ok(()),
    }
}

/// The number of the last migration that the file has; 0 for a new one.
fn recognise(db: &Connection, path: &Path, schema: &Schema) -> Result<usize, OpenError> {
    let fail = |error| judge(path, error);
    let number = |sql: &str| db.query_row(sql, [], |row| row.get::<_, i64>(0)).map_err(fail);
    if number("SELECT count(*) FROM sqlite_schema")? == 0 {
        return Ok(0);
    }
    let application_id = number("PRAGMA application_id")?;
    if application_id != i64::from(schema.application_id) {
        return Err(OpenError::Foreign { path: path.to_owned() });
    }
    let found = number("SELECT coalesce(max(number), 0) FROM migrations")?;
    let known = schema.migrations.len();
    match usize::try_from(found) {
        Ok(found) if found <= known => Ok(found),
        _ => Err(OpenError::TooNew { path: path.to_owned(), found, known: known as i64 }),
    }
}

fn check_pages(db: &Connection, path: &Path) -> Result<(), OpenError> {
    let verdict: String =
        db.query_row("PRAGMA quick_check(1)", [], |row| row.get(0)).map_err(|error| judge(path, error))?;
    if verdict == "ok" { Ok(()) } else { Err(corrupted(path, &verdict)) }
}

fn set_up(db: &Connection, durability: Durability) -> rusqlite::Result<()> {
    let synchronous = match durability {
        Durability::Full => "FULL",
        Durability::Normal => "NORMAL",
    };
    let mode: String = db.query_row("PRAGMA journal_mode = WAL", [], |row| row.get(0))?;
    if mode != "wal" {
        // File systems without shared memory can't do it; the other modes are untested here.
        return Err(rusqlite::Error::SqliteFailure(
            rusqlite::ffi::Error::new(rusqlite::ffi::SQLITE_CANTOPEN),
            Some(format!("this file system allows journal mode {mode} only, not wal")),
        ));
    }
    db.execute_batch(&format!("PRAGMA synchronous = {synchronous}; PRAGMA foreign_keys = ON;"))?;
    db.set_prepared_statement_cache_capacity(64);
    bound_cache(db, WRITER_CACHE_KIB)
}

fn bound_cache(db: &Connection, kib: u32) -> rusqlite::Result<()> {
    // A negative number is KiB, a positive one pages.
    db.pragma_update(None, "cache_size", -i64::from(kib))
}

/// Applies the migrations after `version`, all in one transaction: a crash leaves the file as it was.
fn migrate(db: &mut Connection, schema: &Schema, version: usize) -> rusqlite::Result<()> {
    if version == schema.migrations.len() {
        return Ok(());
    }
    let transaction = db.transaction_with_behavior(rusqlite::TransactionBehavior::Immediate)?;
    if version == 0 {
        transaction.pragma_update(None, "application_id", schema.application_id)?;
        transaction.execute_batch("CREATE TABLE migrations (number INTEGER PRIMARY KEY) STRICT")?;
    }
    for (at, sql) in schema.migrations.iter().enumerate().skip(version) {
        transaction.execute_batch(sql)?;
        transaction.execute("INSERT INTO migrations (number) VALUES (?1)", [at as i64 + 1])?;
    }
    transaction.commit()
}

pub(crate) fn corrupted(path: &Path, detail: &str) -> OpenError {
    OpenError::Corrupted { path: path.to_owned(), detail: detail.to_owned() }
}

/// Tells a damaged file from one that can't be opened just now.
pub(crate) fn judge(path: &Path, error: rusqlite::Error) -> OpenError {
    use rusqlite::Error::{FromSqlConversionFailure, IntegralValueOutOfRange, InvalidColumnType};
    match (error.sqlite_error_code(), &error) {
        (Some(ErrorCode::NotADatabase | ErrorCode::DatabaseCorrupt), _)
        | (_, FromSqlConversionFailure(..) | IntegralValueOutOfRange(..) | InvalidColumnType(..)) => {
            corrupted(path, &error.to_string())
        }
        _ => OpenError::Database { path: path.to_owned(), source: error },
    }
}
