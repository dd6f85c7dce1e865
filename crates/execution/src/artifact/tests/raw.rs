//! Archives byte for byte, because libraries refuse to write what hostile ones hold.

use flate2::Compression;
use flate2::write::DeflateEncoder;
use std::io::Write;

pub const LINK: u32 = 0o120_777;

/// One entry, with every claim open to lies.
#[derive(Clone)]
pub struct Raw {
    pub name: Vec<u8>,
    pub local_name: Option<Vec<u8>>,
    pub data: Vec<u8>,
    pub flags: u16,
    pub method: u16,
    pub crc: u32,
    pub packed: u32,
    pub size: u32,
    pub mode: u32,
    pub extra: Vec<u8>,
    /// Where the entry claims to be, instead of where it is.
    pub offset: Option<u32>,
}

/// A stored file that tells no lie.
pub fn file(name: impl AsRef<[u8]>, contents: impl AsRef<[u8]>) -> Raw {
    let contents = contents.as_ref();
    let mut crc = flate2::Crc::new();
    crc.update(contents);
    Raw {
        name: name.as_ref().to_vec(),
        local_name: None,
        data: contents.to_vec(),
        flags: 0,
        method: 0,
        crc: crc.sum(),
        packed: contents.len() as u32,
        size: contents.len() as u32,
        mode: 0o100_644,
        extra: Vec::new(),
        offset: None,
    }
}

pub fn deflated(name: impl AsRef<[u8]>, contents: impl AsRef<[u8]>) -> Raw {
    let mut encoder = DeflateEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(contents.as_ref()).unwrap();
    let data = encoder.finish().unwrap();
    let raw = file(name, contents);
    Raw { packed: data.len() as u32, data, method: 8, ..raw }
}

pub fn link(name: impl AsRef<[u8]>, target: impl AsRef<[u8]>) -> Raw {
    Raw { mode: LINK, ..file(name, target) }
}

pub fn directory(name: impl AsRef<[u8]>) -> Raw {
    Raw { mode: 0o040_755, ..file(name, "") }
}

pub fn archive(entries: &[Raw]) -> Vec<u8> {
    archive_with(entries, b"")
}

pub fn archive_with(entries: &[Raw], comment: &[u8]) -> Vec<u8> {
    let (mut zip, mut directory) = (Vec::new(), Vec::new());
    for entry in entries {
        let offset = entry.offset.unwrap_or(zip.len() as u32);
        let local_name = entry.local_name.as_ref().unwrap_or(&entry.name);
        zip.extend(b"PK\x03\x04");
        numbers16(&mut zip, &[20, entry.flags, entry.method, 0, 0]);
        numbers32(&mut zip, &[entry.crc, entry.packed, entry.size]);
        numbers16(&mut zip, &[local_name.len() as u16, 0]);
        zip.extend(local_name);
        zip.extend(&entry.data);
        directory.extend(b"PK\x01\x02");
        numbers16(&mut directory, &[0x0314, 20, entry.flags, entry.method, 0, 0]);
        numbers32(&mut directory, &[entry.crc, entry.packed, entry.size]);
        numbers16(&mut directory, &[entry.name.len() as u16, entry.extra.len() as u16, 0, 0, 0]);
        numbers32(&mut directory, &[entry.mode << 16, offset]);
        directory.extend(&entry.name);
        directory.extend(&entry.extra);
    }
    let start = zip.len() as u32;
    zip.extend(&directory);
    zip.extend(b"PK\x05\x06");
    let count = entries.len() as u16;
    numbers16(&mut zip, &[0, 0, count, count]);
    numbers32(&mut zip, &[directory.len() as u32, start]);
    numbers16(&mut zip, &[comment.len() as u16]);
    zip.extend(comment);
    zip
}

fn numbers16(out: &mut Vec<u8>, numbers: &[u16]) {
    numbers.iter().for_each(|number| out.extend(number.to_le_bytes()));
}

fn numbers32(out: &mut Vec<u8>, numbers: &[u32]) {
    numbers.iter().for_each(|number| out.extend(number.to_le_bytes()));
}
