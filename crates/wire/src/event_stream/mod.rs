//! `application/vnd.amazon.eventstream`: messages with typed headers in a binary frame.
//!
//! ```text
//! total length u32 | headers length u32 | CRC-32 of those | headers | payload | CRC-32 of all before
//! ```
//!
//! All numbers are big-endian. [`Message::encode`] writes one; a [`Decoder`] takes bytes as they come and gives
//! back whole messages. What this is not: it knows no event of any operation; `:message-type` and the like are
//! headers like others here, with [`Message::event`] for the usual set.
//!
//! Invariants: a decoder holds at most one message beyond what it was just fed, and never more than
//! [`MESSAGE_BYTES_MAX`] of it; after an error it stays broken.

mod header;

#[cfg(test)]
mod tests;

use bytes::{Buf, BufMut, Bytes, BytesMut};

pub use header::HeaderValue;

/// A whole message, frame included: 24 MiB (event stream encoding, as AWS's own C library bounds it).
pub const MESSAGE_BYTES_MAX: usize = 24 * 1024 * 1024;

/// All headers of a message: 128 KiB (same source).
pub const HEADERS_BYTES_MAX: usize = 128 * 1024;

const PRELUDE_BYTES: usize = 12;
const CRC_BYTES: usize = 4;
/// Prelude and final checksum, without headers and payload.
const FRAME_BYTES: usize = PRELUDE_BYTES + CRC_BYTES;

/// Why bytes aren't a message, or a message can't be bytes.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    #[error("a length in the prelude is out of bounds")]
    Length,
    #[error("the prelude's checksum does not match")]
    PreludeChecksum,
    #[error("the message's checksum does not match")]
    MessageChecksum,
    #[error("a header is malformed")]
    Header,
    #[error("the bytes end within a message")]
    Truncated,
}

/// One message.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Message {
    /// Names and values in their order.
    pub headers: Vec<(String, HeaderValue)>,
    pub payload: Bytes,
}

impl Message {
    /// An event: `:message-type` is `event`, and the type of the event and of its payload are as given.
    pub fn event(event_type: &str, content_type: &str, payload: Bytes) -> Self {
        let text = |name: &str, value: &str| (name.to_owned(), HeaderValue::String(value.to_owned()));
        Self {
            headers: vec![
                text(":message-type", "event"),
                text(":event-type", event_type),
                text(":content-type", content_type),
            ],
            payload,
        }
    }

    /// An exception that the operation's model names.
    pub fn exception(exception_type: &str, content_type: &str, payload: Bytes) -> Self {
        let mut message = Self::event(exception_type, content_type, payload);
        message.headers[0].1 = HeaderValue::String("exception".to_owned());
        ":exception-type".clone_into(&mut message.headers[1].0);
        message
    }

    /// A header's value.
    pub fn header(&self, name: &str) -> Option<&HeaderValue> {
        self.headers.iter().find(|(n, _)| n == name).map(|(_, value)| value)
    }

    /// A header's value when it is text.
    pub fn text_header(&self, name: &str) -> Option<&str> {
        match self.header(name)? {
            HeaderValue::String(text) => Some(text),
            _ => None,
        }
    }

    /// The message's bytes. Refuses what is beyond a limit and names or values too long for their length field.
    pub fn encode(&self) -> Result<Bytes, Error> {
        let mut headers = BytesMut::new();
        for (name, value) in &self.headers {
            header::put(&mut headers, name, value)?;
        }
        let total = FRAME_BYTES.saturating_add(headers.len()).saturating_add(self.payload.len());
        if headers.len() > HEADERS_BYTES_MAX || total > MESSAGE_BYTES_MAX {
            return Err(Error::Length);
        }
        let mut out = BytesMut::with_capacity(total);
        out.put_u32(u32::try_from(total).map_err(|_| Error::Length)?);
        out.put_u32(u32::try_from(headers.len()).map_err(|_| Error::Length)?);
        out.put_u32(crc32fast::hash(&out));
        out.put_slice(&headers);
        out.put_slice(&self.payload);
        out.put_u32(crc32fast::hash(&out));
        Ok(out.freeze())
    }
}

/// Takes bytes in any pieces and gives back messages.
#[derive(Debug, Default)]
pub struct Decoder {
    buffer: BytesMut,
    broken: Option<Error>,
}

impl Decoder {
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds bytes as they came. Take the messages out before feeding more, since all that is fed is held.
    pub fn feed(&mut self, bytes: &[u8]) {
        if self.broken.is_none() {
            self.buffer.extend_from_slice(bytes);
        }
    }

    /// The next whole message; `None` until more bytes come.
    pub fn next_message(&mut self) -> Result<Option<Message>, Error> {
        if let Some(error) = &self.broken {
            return Err(error.clone());
        }
        let result = self.take();
        if let Err(error) = &result {
            self.broken = Some(error.clone());
            self.buffer = BytesMut::new();
        }
        result
    }

    /// To be called at the end of the stream: refuses half a message.
    pub fn finish(self) -> Result<(), Error> {
        match self.broken {
            Some(error) => Err(error),
            None if self.buffer.is_empty() => Ok(()),
            None => Err(Error::Truncated),
        }
    }

    fn take(&mut self) -> Result<Option<Message>, Error> {
        let Some((prelude, _)) = self.buffer.split_first_chunk::<PRELUDE_BYTES>() else { return Ok(None) };
        let mut fields = &prelude[..];
        let (total, headers_length) = (fields.get_u32() as usize, fields.get_u32() as usize);
        if fields.get_u32() != crc32fast::hash(&prelude[..8]) {
            return Err(Error::PreludeChecksum);
        }
        let fits = (FRAME_BYTES..=MESSAGE_BYTES_MAX).contains(&total)
            && headers_length <= HEADERS_BYTES_MAX.min(total - FRAME_BYTES);
        if !fits {
            return Err(Error::Length);
        }
        if self.buffer.len() < total {
            // Nothing is reserved: a prelude alone must not cost its sender's listener 24 MiB.
            return Ok(None);
        }
        let mut message = self.buffer.split_to(total).freeze();
        let mut checksum = message.split_off(total - CRC_BYTES);
        if checksum.get_u32() != crc32fast::hash(&message) {
            return Err(Error::MessageChecksum);
        }
        message.advance(PRELUDE_BYTES);
        let headers = header::all(message.split_to(headers_length))?;
        Ok(Some(Message { headers, payload: message }))
    }
}
