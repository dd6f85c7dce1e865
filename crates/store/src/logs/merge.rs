//! Puts the chunks of a range together into a page of events.
//!
//! Chunks overlap in time: late events, several streams, several writers. The merge holds open only the
//! chunks that may hold the next event, and reads on when the next unread chunk may come before it.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::sync::Arc;
use std::vec;

use lambent_core::time::Timestamp;

use super::{Direction, LogEvent, Page, Position, ReadQuery, StoredEvent, chunk};
use crate::StoreError;

/// A chunk as a store hands it over.
#[derive(Debug, Clone)]
pub struct StoredChunk {
    pub id: u64,
    pub stream: Arc<str>,
    pub first: Timestamp,
    pub last: Timestamp,
    pub ingested: Timestamp,
    pub counted_bytes: usize,
    pub body: Vec<u8>,
}

impl StoredChunk {
    /// No event of this chunk, nor of those that the store hands over after it, ranks before this.
    fn bound(&self, direction: Direction) -> Position {
        match direction {
            Direction::Forward => chunk::position(self.id, 0, self.first),
            Direction::Backward => {
                rank(direction, chunk::position(self.id, (1 << chunk::SEQ_INDEX_BITS) - 1, self.last))
            }
        }
    }
}

/// An opened chunk: its events in the direction of reading, the next one apart.
struct Open {
    next: LogEvent,
    next_position: Position,
    rest: vec::IntoIter<(Position, LogEvent)>,
    stream: Arc<str>,
    ingested: Timestamp,
}

/// The page that answers `query`, from the chunks that touch its range.
///
/// `next_chunk` gives them in the order of first time, then number; backward, in the falling order of last
/// time, then number. It is asked for one chunk more than the page needs.
pub fn page(
    query: &ReadQuery,
    mut next_chunk: impl FnMut() -> Result<Option<StoredChunk>, StoreError>,
) -> Result<Page, StoreError> {
    let direction = query.direction;
    // Slots are never reused, so a chunk's slot also breaks ties, which positions never have.
    let mut slots: Vec<Option<Open>> = Vec::new();
    let mut heads: BinaryHeap<Reverse<(Position, usize)>> = BinaryHeap::new();
    let mut unread = next_chunk()?;
    let mut page = Page::default();
    let mut bytes = 0;
    loop {
        while let Some(found) =
            unread.take_if(|c| heads.peek().is_none_or(|Reverse((head, _))| c.bound(direction) < *head))
        {
            if let Some(open) = open(query, found)? {
                heads.push(Reverse((rank(direction, open.next_position), slots.len())));
                slots.push(Some(open));
            }
            unread = next_chunk()?;
        }
        let Some(Reverse((_, slot))) = heads.pop() else { break };
        let open = slots[slot].as_mut().expect("a head points to an open chunk");
        bytes += open.next.counted_bytes();
        if page.events.len() >= query.events_max || (bytes > query.bytes_max && !page.events.is_empty()) {
            page.more = true;
            break;
        }
        let (stream, ingested) = (open.stream.clone(), open.ingested);
        let position = open.next_position;
        let text = match open.rest.next() {
            Some((next_position, next)) => {
                open.next_position = next_position;
                heads.push(Reverse((rank(direction, next_position), slot)));
                std::mem::replace(&mut open.next, next).text
            }
            None => slots[slot].take().expect("it was open above").next.text,
        };
        page.events.push(StoredEvent { position, stream, ingested, text });
    }
    if direction == Direction::Backward {
        page.events.reverse();
    }
    Ok(page)
}

/// The events of a chunk that lie in the range; `None` when there are none.
fn open(query: &ReadQuery, found: StoredChunk) -> Result<Option<Open>, StoreError> {
    let events = chunk::unpack(found.first, found.counted_bytes, &found.body).map_err(|damage| {
        StoreError::Unavailable { detail: format!("log chunk {} is damaged: {damage}", found.id) }
    })?;
    let mut events: Vec<_> = events
        .into_iter()
        .enumerate()
        .map(|(index, event)| (chunk::position(found.id, index, event.time), event))
        .filter(|(position, _)| (query.from..query.until).contains(position))
        .collect();
    if query.direction == Direction::Backward {
        events.reverse();
    }
    let mut rest = events.into_iter();
    Ok(rest.next().map(|(next_position, next)| Open {
        next,
        next_position,
        rest,
        stream: found.stream,
        ingested: found.ingested,
    }))
}

/// Positions in the direction of reading: backward, the last is the least.
fn rank(direction: Direction, position: Position) -> Position {
    match direction {
        Direction::Forward => position,
        Direction::Backward => Position {
            time: Timestamp::from_millis(u64::MAX - position.time.as_millis()),
            seq: u64::MAX - position.seq,
        },
    }
}
