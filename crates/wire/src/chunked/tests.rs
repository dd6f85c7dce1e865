use bytes::Bytes;
use http::HeaderMap;
use proptest::prelude::*;

use super::*;

fn framing(decoded_length: u64, names: &[&str]) -> Framing {
    Framing { decoded_length, trailer_names: names.iter().map(|name| (*name).to_owned()).collect() }
}

fn plain(body: &str, decoded_length: u64) -> Result<Bytes, Error> {
    let body = Bytes::copy_from_slice(body.as_bytes());
    decode(body, &framing(decoded_length, &[]), None, true).map(|decoded| decoded.payload)
}

#[test]
fn one_chunk_is_not_copied() {
    let body = Bytes::from_static(b"3\r\nabc\r\n0\r\n\r\n");
    let payload = decode(body.clone(), &framing(3, &[]), None, true).unwrap().payload;
    assert_eq!(payload, "abc");
    assert_eq!(payload.as_ptr(), body[3..].as_ptr());
    assert_eq!(plain("0\r\n\r\n", 0), Ok(Bytes::new()));
}

#[test]
fn malformed_framing_is_refused() {
    for (body, wanted) in [
        ("", Error::Incomplete),
        ("3\r\nab", Error::Incomplete),
        ("3\r\nabcde0\r\n\r\n", Error::Incomplete),
        ("ffffffffffffffff\r\nabc\r\n", Error::Incomplete),
        ("fffffffffffffffff\r\nabc\r\n", Error::ChunkLine),
        ("+3\r\nabc\r\n0\r\n\r\n", Error::ChunkLine),
        ("\r\nabc", Error::ChunkLine),
        ("3;x=y\r\nabc\r\n0\r\n\r\n", Error::ChunkLine),
        ("3;chunk-signature=0\r\nabc\r\n0\r\n\r\n", Error::ChunkLine),
        ("3\r\nabc\r\n0\r\n", Error::Incomplete),
        ("3\r\nabc\r\n0\r\n\r\nmore", Error::Incomplete),
        ("3\r\nabc\r\n0\r\nx-amz-checksum-crc32:AAAAAA==\r\n\r\n", Error::Trailer),
        ("3\r\nabc\r\n0\r\nnonsense\r\n\r\n", Error::Trailer),
        ("4\r\nabcd\r\n0\r\n\r\n", Error::Length { declared: 3 }),
        ("2\r\nab\r\n0\r\n\r\n", Error::Length { declared: 3 }),
    ] {
        assert_eq!(plain(body, 3), Err(wanted), "{body:?}");
    }
    let endless = "0".repeat(CHUNK_LINE_BYTES_MAX + 1);
    assert_eq!(plain(&format!("{endless}\r\n\r\n"), 0), Err(Error::Incomplete));
}

#[test]
fn the_trailer_must_be_the_one_announced_and_must_hold() {
    let sum = Algorithm::Sha256.of(b"abc");
    let body = format!("3\r\nabc\r\n0\r\nx-amz-checksum-sha256:{sum}\r\n\r\n");
    let of = |names: &[&str], body: &str| {
        decode(Bytes::copy_from_slice(body.as_bytes()), &framing(3, names), None, true)
    };
    assert!(of(&["x-amz-checksum-sha256"], &body).is_ok());
    assert_eq!(of(&["x-amz-checksum-crc32"], &body), Err(Error::Trailer));
    assert_eq!(of(&["x-amz-checksum-sha256"], "3\r\nabc\r\n0\r\n\r\n"), Err(Error::Trailer));
    let wrong = body.replace("abc", "abd");
    assert_eq!(of(&["x-amz-checksum-sha256"], &wrong), Err(Error::Checksum { algorithm: Algorithm::Sha256 }));
}

#[test]
fn the_head_announces_length_and_trailers() {
    let headers = |pairs: &[(&'static str, &str)]| -> HeaderMap {
        pairs
            .iter()
            .map(|(name, value)| (http::HeaderName::from_static(name), value.parse().unwrap()))
            .collect()
    };
    let length = ("x-amz-decoded-content-length", "5");
    let found = Framing::from_headers(&headers(&[length, ("x-amz-trailer", "X-Amz-Checksum-Crc32")]));
    assert_eq!(found, Ok(framing(5, &["x-amz-checksum-crc32"])));
    for bad in ["", "-1", "+1", "x", "99999999999999999999999"] {
        let bad = headers(&[("x-amz-decoded-content-length", bad)]);
        assert_eq!(Framing::from_headers(&bad), Err(Error::NoDecodedLength));
    }
    let sha1 = "x-amz-checksum-sha1";
    assert_eq!(
        Framing::from_headers(&headers(&[length, ("x-amz-trailer", sha1)])),
        Err(Error::UnsupportedTrailer { name: sha1.to_owned() })
    );
}

proptest! {
    #[test]
    fn any_cut_into_chunks_reads_back(chunks in prop::collection::vec(prop::collection::vec(any::<u8>(), 1..50), 0..6)) {
        let mut body = Vec::new();
        for chunk in &chunks {
            body.extend_from_slice(format!("{:x}\r\n", chunk.len()).as_bytes());
            body.extend_from_slice(chunk);
            body.extend_from_slice(b"\r\n");
        }
        let payload = chunks.concat();
        let sum = Algorithm::Crc64Nvme.of(&payload);
        body.extend_from_slice(format!("0\r\nx-amz-checksum-crc64nvme:{sum}\r\n\r\n").as_bytes());
        let framing = framing(payload.len() as u64, &["x-amz-checksum-crc64nvme"]);
        prop_assert_eq!(decode(body.into(), &framing, None, true).unwrap().payload, payload);
    }

    #[test]
    fn no_body_makes_decoding_panic(body in "[0-9a-f;:=\r\nx-]{0,60}", length in 0u64..10, signed in any::<bool>()) {
        let key = Key::of("s", "d", "r", "s");
        let chain = signed.then_some(Chain { key: &key, amz_date: "d", scope: "s", seed: "" });
        let _ = decode(Bytes::from(body.into_bytes()), &framing(length, &[]), chain, true);
    }
}
