//! The typed headers of a message.

use bytes::{Buf, BufMut, Bytes, BytesMut};

use super::Error;

/// A header's value; the number of each type is part of the format.
#[derive(Debug, Clone, PartialEq)]
pub enum HeaderValue {
    Bool(bool),
    Byte(i8),
    Short(i16),
    Int(i32),
    Long(i64),
    Bytes(Bytes),
    String(String),
    /// Milliseconds since 1970.
    Timestamp(i64),
    Uuid([u8; 16]),
}

/// A name's length is one byte, and no name is empty.
const NAME_BYTES_MAX: usize = u8::MAX as usize;

/// Texts and byte strings stay below 32 KiB, though their length field could say more (event stream encoding).
const VALUE_BYTES_MAX: usize = i16::MAX as usize;

pub(super) fn put(out: &mut BytesMut, name: &str, value: &HeaderValue) -> Result<(), Error> {
    if name.is_empty() || name.len() > NAME_BYTES_MAX {
        return Err(Error::Header);
    }
    out.put_u8(name.len() as u8);
    out.put_slice(name.as_bytes());
    match value {
        HeaderValue::Bool(true) => out.put_u8(0),
        HeaderValue::Bool(false) => out.put_u8(1),
        HeaderValue::Byte(number) => {
            out.put_u8(2);
            out.put_i8(*number);
        }
        HeaderValue::Short(number) => {
            out.put_u8(3);
            out.put_i16(*number);
        }
        HeaderValue::Int(number) => {
            out.put_u8(4);
            out.put_i32(*number);
        }
        HeaderValue::Long(number) => {
            out.put_u8(5);
            out.put_i64(*number);
        }
        HeaderValue::Bytes(bytes) => put_sized(out, 6, bytes)?,
        HeaderValue::String(text) => put_sized(out, 7, text.as_bytes())?,
        HeaderValue::Timestamp(millis) => {
            out.put_u8(8);
            out.put_i64(*millis);
        }
        HeaderValue::Uuid(bytes) => {
            out.put_u8(9);
            out.put_slice(bytes);
        }
    }
    Ok(())
}

fn put_sized(out: &mut BytesMut, kind: u8, bytes: &[u8]) -> Result<(), Error> {
    if bytes.len() > VALUE_BYTES_MAX {
        return Err(Error::Header);
    }
    out.put_u8(kind);
    out.put_u16(bytes.len() as u16);
    out.put_slice(bytes);
    Ok(())
}

/// Reads headers until the bytes end. Refuses a name that is empty or appears twice.
pub(super) fn all(mut bytes: Bytes) -> Result<Vec<(String, HeaderValue)>, Error> {
    let mut headers: Vec<(String, HeaderValue)> = Vec::new();
    let mut names = std::collections::HashSet::new();
    while bytes.has_remaining() {
        let length = usize::from(bytes.try_get_u8().map_err(|_| Error::Header)?);
        let name = text(take(&mut bytes, length)?)?;
        if name.is_empty() || !names.insert(name.clone()) {
            return Err(Error::Header);
        }
        let value = value(&mut bytes)?;
        headers.push((name, value));
    }
    Ok(headers)
}

fn value(bytes: &mut Bytes) -> Result<HeaderValue, Error> {
    let short = |_| Error::Header;
    Ok(match bytes.try_get_u8().map_err(short)? {
        0 => HeaderValue::Bool(true),
        1 => HeaderValue::Bool(false),
        2 => HeaderValue::Byte(bytes.try_get_i8().map_err(short)?),
        3 => HeaderValue::Short(bytes.try_get_i16().map_err(short)?),
        4 => HeaderValue::Int(bytes.try_get_i32().map_err(short)?),
        5 => HeaderValue::Long(bytes.try_get_i64().map_err(short)?),
        6 => HeaderValue::Bytes(sized(bytes)?),
        7 => HeaderValue::String(text(sized(bytes)?)?),
        8 => HeaderValue::Timestamp(bytes.try_get_i64().map_err(short)?),
        9 => HeaderValue::Uuid(take(bytes, 16)?[..].try_into().map_err(|_| Error::Header)?),
        _ => return Err(Error::Header),
    })
}

fn sized(bytes: &mut Bytes) -> Result<Bytes, Error> {
    let length = usize::from(bytes.try_get_u16().map_err(|_| Error::Header)?);
    if length > VALUE_BYTES_MAX {
        return Err(Error::Header);
    }
    take(bytes, length)
}

fn take(bytes: &mut Bytes, length: usize) -> Result<Bytes, Error> {
    if bytes.len() < length { Err(Error::Header) } else { Ok(bytes.split_to(length)) }
}

fn text(bytes: Bytes) -> Result<String, Error> {
    String::from_utf8(bytes.into()).map_err(|_| Error::Header)
}
