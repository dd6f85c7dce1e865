//! The contract of [`ArchiveStore`].

use lambent_core::time::Timestamp;
use lambent_store::archive::{ArchiveStore, Archived, Range, Size};

use crate::block_on;

/// A store under test.
pub trait Subject: Sized {
    /// An empty one.
    fn fresh() -> Self;

    fn store(&self) -> &dyn ArchiveStore;

    /// The same store after its end and a new start.
    fn reopened(self) -> Self;
}

fn event(archive: &str, time: u64, id: &str, kept: u64) -> Archived {
    Archived {
        archive: archive.into(),
        time: at(time),
        id: id.into(),
        kept: at(kept),
        text: format!("{{\"id\":\"{id}\",\"é\":{time}}}"),
    }
}

fn at(millis: u64) -> Timestamp {
    Timestamp::from_millis(millis)
}

fn range(archive: &str, from: u64, until: u64) -> Range {
    Range { archive: archive.into(), from: at(from), until: at(until), after: None }
}

fn ids(store: &dyn ArchiveStore, range: Range, limit: usize) -> Vec<String> {
    block_on(store.read(range, limit)).expect("a range is read").into_iter().map(|event| event.id).collect()
}

/// Holds the facts, the last of them after a restart.
pub fn keeps_the_facts<S: Subject>() {
    let subject = S::fresh();
    let store = subject.store();
    let events =
        vec![event("a", 20, "z", 1), event("a", 10, "y", 2), event("a", 10, "x", 3), event("b", 15, "x", 4)];
    block_on(store.keep(events.clone())).expect("events are kept");
    // What is kept again is there once, as it was at first.
    block_on(store.keep(vec![event("a", 10, "x", 9), event("a", 30, "w", 5)])).expect("events are kept");
    let all = block_on(store.read(range("a", 0, u64::MAX), 10)).expect("a range is read");
    let [y, x] = [&events[1], &events[2]];
    assert_eq!(all, [x.clone(), y.clone(), events[0].clone(), event("a", 30, "w", 5)]);
    assert_eq!(ids(store, range("a", 10, 30), 10), ["x", "y", "z"]);
    assert_eq!(ids(store, range("a", 11, 30), 10), ["z"]);
    assert_eq!(ids(store, range("a", 0, 100), 2), ["x", "y"]);
    let after = Range { after: Some((at(10), "x".into())), ..range("a", 0, 100) };
    assert_eq!(ids(store, after, 10), ["y", "z", "w"]);
    assert_eq!(ids(store, range("c", 0, 100), 10), Vec::<String>::new());
    let length = x.text.len() as u64;
    assert_eq!(block_on(store.size("a".into())), Ok(Size { events: 4, bytes: 4 * length }));
    assert_eq!(block_on(store.size("c".into())), Ok(Size::default()));

    let subject = subject.reopened();
    let store = subject.store();
    assert_eq!(block_on(store.archives()), Ok(vec!["a".into(), "b".into()]));
    // The oldest go first, whatever their time.
    assert_eq!(block_on(store.forget("a".into(), at(5), 2)), Ok(2));
    assert_eq!(ids(store, range("a", 0, 100), 10), ["x", "w"]);
    assert_eq!(block_on(store.forget("a".into(), at(5), 2)), Ok(1));
    assert_eq!(block_on(store.forget("a".into(), at(5), 2)), Ok(0));
    assert_eq!(block_on(store.size("a".into())), Ok(Size { events: 1, bytes: length }));
    assert_eq!(block_on(store.forget("a".into(), at(u64::MAX), 9)), Ok(1));
    assert_eq!(block_on(store.archives()), Ok(vec!["b".into()]));
    assert_eq!(ids(store, range("b", 0, 100), 10), ["x"]);
}
