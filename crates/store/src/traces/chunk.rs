//! Chunks: how a durable store keeps the records of one owner that came together.
//!
//! A chunk is a zstd frame of records; each is its time in milliseconds, the number of its keys, each key and the
//! body behind its length, all numbers as LEB128. Beside it stand the hashes of all keys, eight bytes each, so that
//! a record is found without unpacking every chunk. A hash that agrees by chance costs the unpacking of one.

use std::io;

use bytes::Bytes;
use lambent_core::time::Timestamp;

use super::TraceRecord;
use crate::logs::chunk::{put_number, take_number};

/// Fast rather than small.
const ZSTD_LEVEL: i32 = 1;

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Chunk {
    pub first: Timestamp,
    pub last: Timestamp,
    pub records: usize,
    /// What the body unpacks to.
    pub unpacked_bytes: usize,
    /// The hashes of all keys, one behind the other.
    pub hashes: Vec<u8>,
    pub body: Vec<u8>,
}

/// A chunk's body that does not unpack.
#[derive(Debug, thiserror::Error)]
#[error("a chunk of trace records is damaged")]
pub struct Damaged;

/// The hash of a key as chunks have it: FNV-1a, 64 bits. Never changed.
pub fn hash(key: &str) -> [u8; 8] {
    let mut hash: u64 = 0xcbf2_9ce4_8422_2325;
    for byte in key.bytes() {
        hash = (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3);
    }
    hash.to_le_bytes()
}

pub fn pack(records: &[TraceRecord]) -> io::Result<Chunk> {
    let mut bytes = Vec::new();
    let mut hashes = Vec::new();
    for record in records {
        put_number(&mut bytes, record.at.as_millis());
        put_number(&mut bytes, record.keys.len() as u64);
        for key in &record.keys {
            hashes.extend_from_slice(&hash(key));
            put_text(&mut bytes, key.as_bytes());
        }
        put_text(&mut bytes, &record.body);
    }
    let times = || records.iter().map(|record| record.at);
    Ok(Chunk {
        first: times().min().unwrap_or_default(),
        last: times().max().unwrap_or_default(),
        records: records.len(),
        unpacked_bytes: bytes.len(),
        hashes,
        body: zstd::bulk::compress(&bytes, ZSTD_LEVEL)?,
    })
}

/// The records in their order.
pub fn unpack(unpacked_bytes: usize, body: &[u8]) -> Result<Vec<TraceRecord>, Damaged> {
    let bytes = Bytes::from(zstd::bulk::decompress(body, unpacked_bytes).map_err(|_| Damaged)?);
    let mut rest = &bytes[..];
    let mut records = Vec::new();
    while !rest.is_empty() {
        let at = Timestamp::from_millis(take_number(&mut rest).ok_or(Damaged)?);
        let count = take_number(&mut rest).ok_or(Damaged)?;
        let mut keys = Vec::new();
        for _ in 0..count {
            let key = take_text(&mut rest)?;
            keys.push(std::str::from_utf8(key).map_err(|_| Damaged)?.to_owned());
        }
        let body = bytes.slice_ref(take_text(&mut rest)?);
        records.push(TraceRecord { at, keys, body });
    }
    Ok(records)
}

fn put_text(bytes: &mut Vec<u8>, text: &[u8]) {
    put_number(bytes, text.len() as u64);
    bytes.extend_from_slice(text);
}

fn take_text<'a>(rest: &mut &'a [u8]) -> Result<&'a [u8], Damaged> {
    let length = take_number(rest).and_then(|n| usize::try_from(n).ok()).ok_or(Damaged)?;
    let (text, behind) = rest.split_at_checked(length).ok_or(Damaged)?;
    *rest = behind;
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(at: u64, keys: &[&str], body: &str) -> TraceRecord {
        let keys = keys.iter().map(|key| (*key).to_owned()).collect();
        TraceRecord { at: Timestamp::from_millis(at), keys, body: Bytes::from(body.to_owned()) }
    }

    #[test]
    fn records_come_out_as_they_went_in() {
        let records = [record(5, &["a", "b"], "{}"), record(3, &[], ""), record(9, &["a"], "{\"x\":1}")];
        let chunk = pack(&records).unwrap();
        assert_eq!((chunk.first, chunk.last), (Timestamp::from_millis(3), Timestamp::from_millis(9)));
        assert_eq!(chunk.hashes.len(), 3 * 8);
        assert_eq!(unpack(chunk.unpacked_bytes, &chunk.body).unwrap(), records);
    }

    #[test]
    fn a_damaged_chunk_is_an_error() {
        let chunk = pack(&[record(5, &["a"], "{}")]).unwrap();
        for cut in 1..chunk.body.len() {
            assert!(unpack(chunk.unpacked_bytes, &chunk.body[..cut]).is_err());
        }
        let mut bytes = Vec::new();
        put_number(&mut bytes, 5);
        put_number(&mut bytes, u64::MAX);
        assert!(unpack(bytes.len(), &zstd::bulk::compress(&bytes, 1).unwrap()).is_err());
    }

    #[test]
    fn hashes_never_change() {
        assert_eq!(u64::from_le_bytes(hash("")), 0xcbf2_9ce4_8422_2325);
        assert_eq!(u64::from_le_bytes(hash("a")), 0xaf63_dc4c_8601_ec8c);
    }
}
