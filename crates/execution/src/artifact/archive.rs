//! Reading a zip archive's directory: what the entries claim, and where their bytes are.
//!
//! Our own reader, because what matters here is what libraries forgive: entries that share bytes, names that
//! differ between the two headers, names that come twice. It finds the directory as Python's `zipfile` does, so
//! bytes before the archive, a comment and a tail behind it are permitted. It writes nothing and inflates
//! nothing; memory is in proportion to the archive.

use std::ops::Range;

use lambent_core::ports::CodeRefusal;

/// One entry, as the central directory describes it, with its bytes located and disjoint from all others.
#[derive(Debug)]
pub(super) struct Entry {
    pub name: String,
    pub method: Method,
    /// Where the compressed bytes are.
    pub data: Range<usize>,
    pub crc: u32,
    /// Claimed; unpacking refuses to give more or less.
    pub size: u64,
    /// The unix mode with its type bits; 0 when the archive has none.
    pub mode: u32,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Method {
    Stored,
    Deflated,
}

const END: u32 = 0x0605_4b50;
const END_BYTES: usize = 22;
const COMMENT_BYTES_MAX: usize = u16::MAX as usize;
const END64: u32 = 0x0606_4b50;
const END64_BYTES: usize = 56;
const LOCATOR64: u32 = 0x0706_4b50;
const LOCATOR64_BYTES: usize = 20;
const CENTRAL: u32 = 0x0201_4b50;
const CENTRAL_BYTES: usize = 46;
const LOCAL: u32 = 0x0403_4b50;
const LOCAL_BYTES: usize = 30;
const EXTRA_ZIP64: u16 = 1;

/// General purpose flags: encrypted, strongly encrypted, directory masked by encryption.
const FLAGS_ENCRYPTED: u16 = 1 | 1 << 6 | 1 << 13;
const FLAG_UTF8: u16 = 1 << 11;

pub(super) fn corrupt(detail: impl Into<String>) -> CodeRefusal {
    CodeRefusal::Corrupt { detail: detail.into() }
}

/// All entries in the order of the directory.
pub(super) fn entries(zip: &[u8], entries_max: usize) -> Result<Vec<Entry>, CodeRefusal> {
    let directory = Directory::locate(zip)?;
    let mut entries = Vec::new();
    let mut at = directory.range.start;
    let mut spans = Vec::new();
    while at < directory.range.end {
        if entries.len() == entries_max {
            return Err(CodeRefusal::TooManyEntries { max: entries_max });
        }
        let (entry, span, next) = read_entry(zip, at, &directory)?;
        entries.push(entry);
        spans.push(span);
        at = next;
    }
    refuse_overlaps(spans)?;
    Ok(entries)
}

/// Shared bytes let a small archive keep an unpacker busy for ever, whatever the sizes add up to.
fn refuse_overlaps(mut spans: Vec<Range<usize>>) -> Result<(), CodeRefusal> {
    spans.sort_unstable_by_key(|span| span.start);
    if spans.windows(2).any(|pair| pair[1].start < pair[0].end) {
        return Err(corrupt("entries overlap"));
    }
    Ok(())
}

/// Where the central directory is, and how far the archive lies behind the beginning of the bytes.
struct Directory {
    range: Range<usize>,
    shift: u64,
}

impl Directory {
    fn locate(zip: &[u8]) -> Result<Self, CodeRefusal> {
        let end_at = find_end(zip).ok_or_else(|| corrupt("it is not a zip archive"))?;
        let end = Fields(&zip[end_at..end_at + END_BYTES]);
        let (mut size, mut offset) = (u64::from(end.u32(12)), u64::from(end.u32(16)));
        let mut disks = u32::from(end.u16(4)) | u32::from(end.u16(6));
        let mut directory_end = end_at;
        let end64_at = end_at.checked_sub(LOCATOR64_BYTES + END64_BYTES);
        if let Some(end64_at) = end64_at
            && signature(zip, end_at - LOCATOR64_BYTES) == Some(LOCATOR64)
            && signature(zip, end64_at) == Some(END64)
        {
            let end64 = Fields(&zip[end64_at..end64_at + END64_BYTES]);
            (size, offset) = (end64.u64(40), end64.u64(48));
            disks = end64.u32(16) | end64.u32(20);
            directory_end = end64_at;
        }
        if disks != 0 {
            return Err(corrupt("it is one of several volumes"));
        }
        let misplaced = || corrupt("its directory is not where it says");
        let start = (directory_end as u64).checked_sub(size).ok_or_else(misplaced)?;
        let shift = start.checked_sub(offset).ok_or_else(misplaced)?;
        Ok(Self { range: start as usize..directory_end, shift })
    }
}

fn find_end(zip: &[u8]) -> Option<usize> {
    let plain = zip.len().checked_sub(END_BYTES)?;
    if signature(zip, plain) == Some(END) && zip[plain + 20..] == [0, 0] {
        return Some(plain);
    }
    let earliest = plain.saturating_sub(COMMENT_BYTES_MAX);
    (earliest..=plain).rev().find(|at| signature(zip, *at) == Some(END))
}

/// The entry whose central header is at `at`, the bytes that it occupies, and where the next header is.
fn read_entry(
    zip: &[u8],
    at: usize,
    directory: &Directory,
) -> Result<(Entry, Range<usize>, usize), CodeRefusal> {
    let cut = || corrupt("its directory is cut off");
    let fixed = zip[..directory.range.end].get(at..at + CENTRAL_BYTES).ok_or_else(cut)?;
    let header = Fields(fixed);
    if header.u32(0) != CENTRAL {
        return Err(corrupt("its directory has a damaged entry"));
    }
    let name_at = at + CENTRAL_BYTES;
    let extra_at = name_at + usize::from(header.u16(28));
    let comment_at = extra_at + usize::from(header.u16(30));
    let next = comment_at + usize::from(header.u16(32));
    if next > directory.range.end {
        return Err(cut());
    }
    let raw_name = &zip[name_at..extra_at];
    let flags = header.u16(8);
    let name = super::names::decode(raw_name, flags & FLAG_UTF8 != 0)?;
    let forbid =
        |detail: String| CodeRefusal::ForbiddenEntry { entry: super::names::shortened(&name), detail };
    if flags & FLAGS_ENCRYPTED != 0 {
        return Err(forbid("encrypted entries can't be read".into()));
    }
    let method = match header.u16(10) {
        0 => Method::Stored,
        8 => Method::Deflated,
        other => return Err(forbid(format!("compression method {other} is not supported"))),
    };
    let sizes = Sizes::read(&header, &zip[extra_at..comment_at])?;
    if method == Method::Stored && sizes.packed != sizes.unpacked {
        return Err(corrupt(format!("entry {name:?} is stored, but its two sizes differ")));
    }
    let start = sizes.offset.checked_add(directory.shift).and_then(|start| usize::try_from(start).ok());
    let start = start.ok_or_else(|| corrupt(format!("entry {name:?} is outside the archive")))?;
    let data = locate_data(zip, start, raw_name, sizes.packed, directory.range.start)
        .ok_or_else(|| corrupt(format!("entry {name:?} is damaged or outside the archive")))?;
    let span = start..data.end;
    let mode = header.u32(38) >> 16;
    Ok((Entry { name, method, data, crc: header.u32(16), size: sizes.unpacked, mode }, span, next))
}

/// The bytes behind the local header, which must be there and must bear the same name.
fn locate_data(zip: &[u8], start: usize, raw_name: &[u8], packed: u64, limit: usize) -> Option<Range<usize>> {
    let header = Fields(zip.get(start..start.checked_add(LOCAL_BYTES)?)?);
    let name_at = start + LOCAL_BYTES;
    let extra_at = name_at + usize::from(header.u16(26));
    let data_at = extra_at + usize::from(header.u16(28));
    let data_end = data_at.checked_add(usize::try_from(packed).ok()?)?;
    let sound = header.u32(0) == LOCAL && data_end <= limit && zip.get(name_at..extra_at)? == raw_name;
    sound.then_some(data_at..data_end)
}

struct Sizes {
    packed: u64,
    unpacked: u64,
    offset: u64,
}

impl Sizes {
    /// The header's numbers; those that are all ones stand in the zip64 extra field instead, in this order.
    fn read(header: &Fields, extra: &[u8]) -> Result<Self, CodeRefusal> {
        let mut sizes = Self {
            unpacked: header.u32(24).into(),
            packed: header.u32(20).into(),
            offset: header.u32(42).into(),
        };
        let mut wide = zip64_extra(extra);
        for number in [&mut sizes.unpacked, &mut sizes.packed, &mut sizes.offset] {
            if *number == u64::from(u32::MAX)
                && let Some(rest) = wide
            {
                let taken = rest.get(..8).ok_or_else(|| corrupt("a zip64 field is cut off"))?;
                *number = Fields(taken).u64(0);
                wide = Some(&rest[8..]);
            }
        }
        Ok(sizes)
    }
}

fn zip64_extra(mut extra: &[u8]) -> Option<&[u8]> {
    while let Some(header) = extra.get(..4) {
        let header = Fields(header);
        let body = extra.get(4..4 + usize::from(header.u16(2)))?;
        if header.u16(0) == EXTRA_ZIP64 {
            return Some(body);
        }
        extra = &extra[4 + body.len()..];
    }
    None
}

fn signature(zip: &[u8], at: usize) -> Option<u32> {
    zip.get(at..at + 4).map(|bytes| Fields(bytes).u32(0))
}

/// Little-endian numbers at fixed places of a header whose length was checked.
struct Fields<'a>(&'a [u8]);

impl Fields<'_> {
    fn bytes<const N: usize>(&self, at: usize) -> [u8; N] {
        self.0[at..at + N].try_into().expect("the slice has N bytes")
    }

    fn u16(&self, at: usize) -> u16 {
        u16::from_le_bytes(self.bytes(at))
    }

    fn u32(&self, at: usize) -> u32 {
        u32::from_le_bytes(self.bytes(at))
    }

    fn u64(&self, at: usize) -> u64 {
        u64::from_le_bytes(self.bytes(at))
    }
}
