//! The two chunked uploads that the S3 API reference prints: 65 KiB of `a` in two chunks.

use bytes::{Bytes, BytesMut};
use http::request::Parts;
use lambent_core::Timestamp;
use lambent_wire::chunked;
use lambent_wire::sigv4::{self, AuthError, VerifiedBody};

const SECRET: &str = "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY";

const PLAIN: [&str; 4] = [
    "4f232c4386841ef735655705268965c44a0e4690baa4adea153f7db9fa80a0a9",
    "ad80c730a21e5b8d04586a2213dd63b9a0e99e0e2307b0ade35a65485a288648",
    "0055627c9e194cb4542bae2aa5492e3c1575bbb81b612b7d234b86a503ef5497",
    "b6c6ea8a5354eaf15b3cb7646744f4275b71ea724fed81ceb9323e279d449df9",
];
const WITH_TRAILER: [&str; 4] = [
    "106e2a8a18243abcf37539882f36619c00e2dfc72633413f02d3b74544bfeb8e",
    "b474d8862b1487a5145d686f57f013e54db672cee1c953b3010fb58501ef5aa2",
    "1c1344b170168f8e65b41376b44b20fe354e373826ccbbe2c1d40a8cae51e5c7",
    "2ca2aba2005185cf7159c6277faf83795951dd77a3a99e6e65d5c9f85863f992",
];
const TRAILER: &str = "x-amz-checksum-crc32c:sOO8/Q==\n\r\nx-amz-trailer-signature:\
                       d81f82fc3505edab99d459891051a732e8730629a2e4a59689829ca17fe2e435\r\n";

fn now() -> Timestamp {
    Timestamp::parse_amz_date("20130524T000000Z").unwrap()
}

fn parts(seed: &str, trailer: bool) -> Parts {
    let (payload, names) = if trailer {
        (
            "STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER",
            "content-encoding;host;x-amz-content-sha256;x-amz-date;x-amz-decoded-content-length;\
             x-amz-storage-class;x-amz-trailer",
        )
    } else {
        (
            "STREAMING-AWS4-HMAC-SHA256-PAYLOAD",
            "content-encoding;content-length;host;x-amz-content-sha256;x-amz-date;\
             x-amz-decoded-content-length;x-amz-storage-class",
        )
    };
    let mut request = http::Request::builder()
        .method("PUT")
        .uri("/examplebucket/chunkObject.txt")
        .header("host", "s3.amazonaws.com")
        .header("x-amz-date", "20130524T000000Z")
        .header("x-amz-storage-class", "REDUCED_REDUNDANCY")
        .header("x-amz-content-sha256", payload)
        .header("content-encoding", "aws-chunked")
        .header("x-amz-decoded-content-length", "66560")
        .header("content-length", "66824")
        .header(
            "authorization",
            format!(
                "AWS4-HMAC-SHA256 Credential=AKIAIOSFODNN7EXAMPLE/20130524/us-east-1/s3/aws4_request,\
                 SignedHeaders={names},Signature={seed}"
            ),
        );
    if trailer {
        request = request.header("x-amz-trailer", "x-amz-checksum-crc32c");
    }
    request.body(()).unwrap().into_parts().0
}

fn body(signatures: [&str; 4], trailer: &str) -> Bytes {
    let mut body = BytesMut::new();
    for (size, signature) in [65_536, 1_024, 0].into_iter().zip(&signatures[1..]) {
        body.extend_from_slice(format!("{size:x};chunk-signature={signature}\r\n").as_bytes());
        body.extend_from_slice(&vec![b'a'; size]);
        if size > 0 {
            body.extend_from_slice(b"\r\n");
        }
    }
    body.extend_from_slice(trailer.as_bytes());
    body.extend_from_slice(b"\r\n");
    body.freeze()
}

fn verify(parts: &Parts, body: Bytes) -> Result<VerifiedBody, AuthError> {
    sigv4::parse(parts).unwrap().unwrap().verify(parts, body, SECRET, now())
}

#[test]
fn the_published_upload_is_accepted() {
    let body = body(PLAIN, "");
    assert_eq!(body.len(), 66_824);
    let verified = verify(&parts(PLAIN[0], false), body).unwrap();
    assert_eq!(verified.payload, vec![b'a'; 66_560]);
    assert!(verified.trailers.is_empty());
}

#[test]
fn the_published_upload_with_a_trailer_is_accepted() {
    let verified = verify(&parts(WITH_TRAILER[0], true), body(WITH_TRAILER, TRAILER)).unwrap();
    assert_eq!(verified.payload, vec![b'a'; 66_560]);
    assert_eq!(verified.trailers, [("x-amz-checksum-crc32c".to_owned(), "sOO8/Q==".to_owned())]);
    // The usual line end alone is what clients send.
    let usual = TRAILER.replace("\n\r\n", "\r\n");
    assert!(verify(&parts(WITH_TRAILER[0], true), body(WITH_TRAILER, &usual)).is_ok());
}

#[test]
fn a_changed_byte_anywhere_in_the_framed_body_is_refused() {
    for (signatures, trailer) in [(PLAIN, ""), (WITH_TRAILER, TRAILER)] {
        let parts = parts(signatures[0], !trailer.is_empty());
        let good = body(signatures, trailer);
        let places = (0..100).chain(65_500..65_900).chain(good.len() - 400..good.len());
        for at in places {
            let mut changed = good.to_vec();
            changed[at] ^= 1;
            assert!(verify(&parts, changed.into()).is_err(), "byte {at}");
        }
    }
}

#[test]
fn a_truncated_body_and_one_that_goes_on_are_refused() {
    let (parts, good) = (parts(PLAIN[0], false), body(PLAIN, ""));
    for end in [0, 1, 50, 65_600, good.len() - 90, good.len() - 2, good.len() - 1] {
        assert!(verify(&parts, good.slice(..end)).is_err(), "{end}");
    }
    let longer = [&good[..], b"x"].concat();
    assert_eq!(verify(&parts, longer.into()), Err(AuthError::Chunked(chunked::Error::Incomplete)));
}

#[test]
fn a_missing_trailer_signature_is_refused() {
    let parts = parts(WITH_TRAILER[0], true);
    let body = body(WITH_TRAILER, "x-amz-checksum-crc32c:sOO8/Q==\r\n");
    assert_eq!(verify(&parts, body), Err(AuthError::Chunked(chunked::Error::Signature)));
}
