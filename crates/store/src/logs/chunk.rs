//! Chunks: how a durable store keeps a run of events.
//!
//! A chunk is a zstd frame of events sorted by time; each is the milliseconds since the event before it (the
//! first: since the chunk's first time), the length of its text, both as LEB128, and the text.
//!
//! Invariants:
//! - a chunk of more than one event counts [`CHUNK_BYTES_MAX`] at the most;
//! - its events lie within [`CHUNK_SPAN_MAX`] of each other, so a reader finds all chunks that touch a moment
//!   in a bounded range of an index on either end;
//! - an event's index in its chunk fits [`SEQ_INDEX_BITS`].

use std::io;
use std::time::Duration;

use lambent_core::time::Timestamp;

use super::{LogEvent, Position};

/// Ours: what a chunk holds before compression, in counted bytes. Large enough to compress well, small enough
/// to read for a page of a few events.
pub const CHUNK_BYTES_MAX: usize = 64 * 1024;

/// Ours: what lies between a chunk's first and last event.
pub const CHUNK_SPAN_MAX: Duration = Duration::from_secs(3600);

/// The low bits of a sequence number, which hold the event's index in its chunk. An event counts 26 bytes at
/// least, so a chunk holds far fewer events than 2^20.
pub const SEQ_INDEX_BITS: u32 = 20;

/// Fast rather than small: logs are written far more than read, and text shrinks five-fold even so.
const ZSTD_LEVEL: i32 = 1;

/// A chunk before it has a number.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Chunk {
    pub first: Timestamp,
    pub last: Timestamp,
    /// The events' counted bytes, which is also a bound of what the body unpacks to.
    pub counted_bytes: usize,
    pub body: Vec<u8>,
}

/// A chunk's body that does not unpack.
#[derive(Debug, thiserror::Error)]
pub enum Damaged {
    #[error("the compressed frame does not unpack")]
    Frame(#[source] io::Error),
    #[error("the events in it are cut off or are not text")]
    Events,
}

/// The position of an event by its chunk's number and its index there.
pub fn position(chunk: u64, index: usize, time: Timestamp) -> Position {
    Position { time, seq: (chunk << SEQ_INDEX_BITS) | index as u64 }
}

/// Packs events into as few chunks as the invariants allow. Events of one time keep their order.
pub fn pack(events: &[LogEvent]) -> io::Result<Vec<Chunk>> {
    let mut events: Vec<&LogEvent> = events.iter().collect();
    events.sort_by_key(|event| event.time);
    let mut compressor = zstd::bulk::Compressor::new(ZSTD_LEVEL)?;
    let mut chunks = Vec::new();
    let mut rest = events.as_slice();
    while let Some(&first) = rest.first() {
        let mut counted_bytes = 0;
        let mut taken = 0;
        for event in rest {
            let bytes = counted_bytes + event.counted_bytes();
            let fits = bytes <= CHUNK_BYTES_MAX && event.time.since(first.time) <= CHUNK_SPAN_MAX;
            if taken > 0 && !fits {
                break;
            }
            (counted_bytes, taken) = (bytes, taken + 1);
        }
        let (now, later) = rest.split_at(taken);
        chunks.push(Chunk {
            first: first.time,
            last: now.last().unwrap_or(&first).time,
            counted_bytes,
            body: compressor.compress(&encode(now))?,
        });
        rest = later;
    }
    Ok(chunks)
}

/// The chunk's events in their order.
pub fn unpack(first: Timestamp, counted_bytes: usize, body: &[u8]) -> Result<Vec<LogEvent>, Damaged> {
    let bytes = zstd::bulk::decompress(body, counted_bytes).map_err(Damaged::Frame)?;
    let mut rest = bytes.as_slice();
    let mut time = first.as_millis();
    let mut events = Vec::new();
    while !rest.is_empty() {
        let delta = take_number(&mut rest).ok_or(Damaged::Events)?;
        let length = take_number(&mut rest).and_then(|n| usize::try_from(n).ok()).ok_or(Damaged::Events)?;
        let text = rest.split_at_checked(length).ok_or(Damaged::Events)?;
        rest = text.1;
        time = time.saturating_add(delta);
        let text = std::str::from_utf8(text.0).map_err(|_| Damaged::Events)?.to_owned();
        events.push(LogEvent { time: Timestamp::from_millis(time), text });
    }
    Ok(events)
}

fn encode(events: &[&LogEvent]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(CHUNK_BYTES_MAX);
    let mut before = events.first().map_or(0, |event| event.time.as_millis());
    for event in events {
        put_number(&mut bytes, event.time.as_millis() - before);
        put_number(&mut bytes, event.text.len() as u64);
        bytes.extend_from_slice(event.text.as_bytes());
        before = event.time.as_millis();
    }
    bytes
}

pub(crate) fn put_number(bytes: &mut Vec<u8>, mut number: u64) {
    while number >= 0x80 {
        bytes.push(number as u8 | 0x80);
        number >>= 7;
    }
    bytes.push(number as u8);
}

pub(crate) fn take_number(rest: &mut &[u8]) -> Option<u64> {
    let mut number = 0u64;
    for shift in (0..64).step_by(7) {
        let (&byte, later) = rest.split_first()?;
        *rest = later;
        number |= u64::from(byte & 0x7f) << shift;
        if byte < 0x80 {
            return Some(number);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn event(time: u64, text: &str) -> LogEvent {
        LogEvent { time: Timestamp::from_millis(time), text: text.to_owned() }
    }

    #[test]
    fn an_event_larger_than_a_chunk_is_a_chunk_of_its_own() {
        let large = "x".repeat(3 * CHUNK_BYTES_MAX);
        let chunks = pack(&[event(1, "a"), event(2, &large), event(3, "b")]).unwrap();
        assert_eq!(chunks.len(), 3);
        assert_eq!(unpack(chunks[1].first, chunks[1].counted_bytes, &chunks[1].body).unwrap()[0].text, large);
    }

    #[test]
    fn events_far_apart_are_in_chunks_apart() {
        let hour = 3_600_000;
        let chunks = pack(&[event(2 * hour + 1, "b"), event(0, "a"), event(hour, "a")]).unwrap();
        let ends: Vec<_> = chunks.iter().map(|c| (c.first.as_millis(), c.last.as_millis())).collect();
        assert_eq!(ends, [(0, hour), (2 * hour + 1, 2 * hour + 1)]);
    }

    #[test]
    fn a_damaged_body_is_an_error() {
        let chunk = pack(&[event(1, "some text that is long enough")]).unwrap().remove(0);
        assert!(matches!(unpack(chunk.first, chunk.counted_bytes, b"garbage"), Err(Damaged::Frame(_))));
        let cut = zstd::bulk::compress(&[0, 200, 1, b'x'], 1).unwrap();
        assert!(matches!(unpack(chunk.first, 100, &cut), Err(Damaged::Events)));
    }

    proptest! {
        #[test]
        fn what_was_packed_unpacks(
            events in prop::collection::vec((0u64..20_000_000, ".{0,40}", 1usize..2000), 0..60)
        ) {
            let mut events: Vec<_> =
                events.into_iter().map(|(time, text, times)| event(time, &text.repeat(times))).collect();
            let chunks = pack(&events).unwrap();
            events.sort_by_key(|e| e.time);
            let mut read = Vec::new();
            for chunk in &chunks {
                let part = unpack(chunk.first, chunk.counted_bytes, &chunk.body).unwrap();
                prop_assert!(part.len() == 1 || chunk.counted_bytes <= CHUNK_BYTES_MAX);
                prop_assert!(chunk.last.since(chunk.first) <= CHUNK_SPAN_MAX);
                read.extend(part);
            }
            prop_assert_eq!(read, events);
        }

        #[test]
        fn no_bytes_make_unpacking_panic(body in prop::collection::vec(any::<u8>(), 0..200)) {
            let _ = unpack(Timestamp::from_millis(5), 1000, &body);
            let framed = zstd::bulk::compress(&body, 1).unwrap();
            let _ = unpack(Timestamp::from_millis(5), 1000, &framed);
        }
    }
}
