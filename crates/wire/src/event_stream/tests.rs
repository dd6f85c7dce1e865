use proptest::prelude::*;

use super::*;

fn decode(bytes: &[u8]) -> Result<Vec<Message>, Error> {
    let mut decoder = Decoder::new();
    decoder.feed(bytes);
    let mut messages = Vec::new();
    while let Some(message) = decoder.next_message()? {
        messages.push(message);
    }
    decoder.finish().map(|()| messages)
}

#[test]
fn the_published_empty_message_is_written_as_published() {
    let bytes = Message::default().encode().unwrap();
    assert_eq!(&bytes[..], [0, 0, 0, 16, 0, 0, 0, 0, 5, 0xc2, 0x48, 0xeb, 0x7d, 0x98, 0xc8, 0xff]);
    assert_eq!(decode(&bytes), Ok(vec![Message::default()]));
}

#[test]
fn the_published_message_with_an_int_header_is_written_as_published() {
    let message = Message {
        headers: vec![("event-type".to_owned(), HeaderValue::Int(0x0000_a00c))],
        payload: Bytes::from_static(b"{'foo':'bar'}"),
    };
    let bytes = message.encode().unwrap();
    assert_eq!(bytes.len(), 45);
    assert_eq!(&bytes[..12], [0, 0, 0, 0x2d, 0, 0, 0, 0x10, 0x41, 0xc4, 0x24, 0xb8]);
    assert_eq!(&bytes[12..28], b"\x0aevent-type\x04\x00\x00\xa0\x0c");
    assert_eq!(&bytes[41..], [0x36, 0xf4, 0x80, 0xa0]);
    assert_eq!(decode(&bytes), Ok(vec![message]));
}

#[test]
fn events_and_exceptions_bear_the_usual_headers() {
    let event = Message::event("PayloadChunk", "application/octet-stream", Bytes::new());
    assert_eq!(event.text_header(":event-type"), Some("PayloadChunk"));
    let exception = Message::exception("InternalServerException", "application/json", Bytes::new());
    assert_eq!(exception.text_header(":message-type"), Some("exception"));
    assert_eq!(exception.text_header(":exception-type"), Some("InternalServerException"));
    assert_eq!(exception.header(":event-type"), None);
}

#[test]
fn any_changed_byte_is_refused() {
    let good = Message::event("e", "text/plain", Bytes::from_static(b"payload")).encode().unwrap();
    for at in 0..good.len() {
        let mut changed = good.to_vec();
        changed[at] ^= 0x40;
        assert!(decode(&changed).is_err(), "byte {at}");
    }
}

#[test]
fn half_a_message_is_refused_at_the_end_and_errors_stay() {
    let good = Message::default().encode().unwrap();
    assert_eq!(decode(&good[..10]), Err(Error::Truncated));
    let mut decoder = Decoder::new();
    decoder.feed(&[1; 40]);
    assert_eq!(decoder.next_message(), Err(Error::PreludeChecksum));
    decoder.feed(&good);
    assert_eq!(decoder.next_message(), Err(Error::PreludeChecksum));
}

#[test]
fn lengths_beyond_the_limits_are_refused_before_any_memory_is_taken() {
    for (total, headers) in [(u32::MAX, 0), (15, 0), (16, 1), (1 << 20, 1 << 18)] {
        let mut prelude = BytesMut::new();
        prelude.put_u32(total);
        prelude.put_u32(headers);
        prelude.put_u32(crc32fast::hash(&prelude));
        assert_eq!(decode(&prelude), Err(Error::Length), "{total} {headers}");
    }
    let payload = Bytes::from(vec![0; MESSAGE_BYTES_MAX]);
    assert_eq!(Message { headers: vec![], payload }.encode(), Err(Error::Length));
    let long = HeaderValue::String("x".repeat(32_768));
    let headers = vec![("a".to_owned(), long)];
    assert_eq!(Message { headers, payload: Bytes::new() }.encode(), Err(Error::Header));
}

fn header_value() -> impl Strategy<Value = HeaderValue> {
    prop_oneof![
        any::<bool>().prop_map(HeaderValue::Bool),
        any::<i8>().prop_map(HeaderValue::Byte),
        any::<i16>().prop_map(HeaderValue::Short),
        any::<i32>().prop_map(HeaderValue::Int),
        any::<i64>().prop_map(HeaderValue::Long),
        prop::collection::vec(any::<u8>(), 0..20).prop_map(|bytes| HeaderValue::Bytes(bytes.into())),
        ".{0,10}".prop_map(HeaderValue::String),
        any::<i64>().prop_map(HeaderValue::Timestamp),
        any::<[u8; 16]>().prop_map(HeaderValue::Uuid),
    ]
}

proptest! {
    #[test]
    fn messages_read_back_however_they_are_cut(
        messages in prop::collection::vec(
            (prop::collection::btree_map("[a-z:-]{1,12}", header_value(), 0..4), prop::collection::vec(any::<u8>(), 0..60)),
            0..4,
        ),
        piece in 1usize..40,
    ) {
        let messages: Vec<Message> = messages
            .into_iter()
            .map(|(headers, payload)| Message { headers: headers.into_iter().collect(), payload: payload.into() })
            .collect();
        let bytes: Vec<u8> = messages.iter().flat_map(|message| message.encode().unwrap()).collect();
        let mut decoder = Decoder::new();
        let mut read = Vec::new();
        for piece in bytes.chunks(piece) {
            decoder.feed(piece);
            while let Some(message) = decoder.next_message().unwrap() {
                read.push(message);
            }
        }
        prop_assert_eq!(read, messages);
        prop_assert_eq!(decoder.finish(), Ok(()));
    }

    #[test]
    fn no_headers_make_decoding_panic(headers in prop::collection::vec(any::<u8>(), 0..40)) {
        let mut bytes = BytesMut::new();
        bytes.put_u32((FRAME_BYTES + headers.len()) as u32);
        bytes.put_u32(headers.len() as u32);
        bytes.put_u32(crc32fast::hash(&bytes));
        bytes.put_slice(&headers);
        bytes.put_u32(crc32fast::hash(&bytes));
        let _ = decode(&bytes);
    }
}
