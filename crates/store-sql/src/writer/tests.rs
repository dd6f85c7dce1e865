use super::*;
use std::sync::{Arc, Mutex};

/// Adds numbers to a table; refuses negative ones, and lets the database refuse 13.
struct Numbers {
    committed: Arc<Mutex<Vec<i64>>>,
    undone: Arc<Mutex<usize>>,
}

impl Journal for Numbers {
    type Batch = i64;
    type Answer = i64;

    fn write(&mut self, db: &Connection, number: &i64) -> Result<i64, Refusal> {
        if *number < 0 {
            return Err(Refusal::Conflict);
        }
        db.execute("INSERT INTO numbers VALUES (?1)", [number])?;
        Ok(db.query_row("SELECT count(*) FROM numbers", [], |row| row.get(0))?)
    }

    fn committed(&mut self, batches: Vec<i64>) {
        self.committed.lock().unwrap().extend(batches);
    }

    fn undone(&mut self) {
        *self.undone.lock().unwrap() += 1;
    }
}

struct Fixture {
    _directory: tempfile::TempDir,
    path: std::path::PathBuf,
    writer: Writer<Numbers>,
    committed: Arc<Mutex<Vec<i64>>>,
    undone: Arc<Mutex<usize>>,
}

fn fixture() -> Fixture {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("numbers.db");
    let db = Connection::open(&path).unwrap();
    db.execute_batch("CREATE TABLE numbers (n INTEGER UNIQUE CHECK (n != 13)) STRICT").unwrap();
    let (committed, undone) = (Arc::default(), Arc::default());
    let journal = Numbers { committed: Arc::clone(&committed), undone: Arc::clone(&undone) };
    let writer = Writer::start("numbers", db, journal).unwrap();
    Fixture { _directory: directory, path, writer, committed, undone }
}

#[tokio::test]
async fn a_batch_sees_what_was_written_before_it() {
    let f = fixture();
    assert_eq!(f.writer.submit(1).await, Ok(1));
    assert_eq!(f.writer.submit(2).await, Ok(2));
    assert_eq!(*f.committed.lock().unwrap(), [1, 2]);
}

#[tokio::test]
async fn neighbours_of_a_refused_batch_are_kept() {
    let f = fixture();
    let (a, b, c, d, e) = tokio::join!(
        f.writer.submit(1),
        f.writer.submit(-1),
        f.writer.submit(13),
        f.writer.submit(1),
        f.writer.submit(2)
    );
    assert!(a.is_ok() && e.is_ok());
    assert_eq!(b, Err(StoreError::Conflict));
    assert!(matches!(c, Err(StoreError::Unavailable { .. })));
    assert!(matches!(d, Err(StoreError::Unavailable { .. })), "{d:?}");
    assert_eq!(*f.committed.lock().unwrap(), [1, 2]);
    assert!(*f.undone.lock().unwrap() >= 2);
}

#[tokio::test]
async fn dropping_the_writer_commits_what_waits() {
    let f = fixture();
    for number in 100..400 {
        let (answer, _) = oneshot::channel();
        f.writer.inbox.as_ref().unwrap().send(Order { batch: number, answer }).await.ok().unwrap();
    }
    drop(f.writer);
    let count: i64 = Connection::open(&f.path)
        .unwrap()
        .query_row("SELECT count(*) FROM numbers", [], |row| row.get(0))
        .unwrap();
    assert_eq!(count, 300);
}
