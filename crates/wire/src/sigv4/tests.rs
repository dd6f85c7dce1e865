//! What a claim accepts and how it refuses; agreement with other signers stands in tests/it.

use std::time::Duration;

use bytes::Bytes;
use http::Uri;
use http::request::Parts;
use lambent_core::Timestamp;
use proptest::prelude::*;

use super::*;

const SECRET: &str = "secret";
const CREDENTIALS: Credentials<'static> =
    Credentials { access_key_id: "AKID", secret_access_key: SECRET, session_token: None };
const LAMBDA: Scope<'static> = Scope { region: "eu-west-1", service: "lambda" };

fn now() -> Timestamp {
    Timestamp::parse_amz_date("20260830T123600Z").unwrap()
}

fn later(secs: i64) -> Timestamp {
    Timestamp::from_millis(now().as_millis().saturating_add_signed(secs * 1000))
}

fn request(method: &str, address: &str, headers: &[(&str, &str)]) -> Parts {
    let mut request = http::Request::builder().method(method).uri(address);
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    request.body(()).unwrap().into_parts().0
}

fn signed(address: &str, headers: &[(&str, &str)], body: &[u8]) -> Parts {
    let mut parts = request("POST", address, headers);
    parts.headers.insert("host", "localhost:4566".parse().unwrap());
    sign(&mut parts, Payload::Signed(body), CREDENTIALS, LAMBDA, now()).unwrap();
    parts
}

fn presigned(expires: u64) -> Parts {
    let parts = request("GET", "http://localhost:4566/f?a=1", &[]);
    let payload = Payload::Signed(b"");
    let uri = presign(&parts, payload, CREDENTIALS, LAMBDA, Duration::from_secs(expires), now()).unwrap();
    let mut parts = request("GET", uri.path_and_query().unwrap().as_str(), &[]);
    parts.headers.insert("host", "localhost:4566".parse().unwrap());
    parts
}

fn verify(parts: &Parts, body: &[u8], now: Timestamp) -> Result<VerifiedBody, AuthError> {
    let claim = parse(parts)?.ok_or(AuthError::Missing)?;
    claim.verify(parts, Bytes::copy_from_slice(body), SECRET, now)
}

fn fault(parts: &Parts, now: Timestamp) -> (u16, String, String) {
    let fault = verify(parts, b"", now).unwrap_err().into_fault(Style::RestJson);
    (fault.status, fault.code.into_owned(), fault.message)
}

fn with(name: &'static str, value: &str, parts: Parts) -> Parts {
    let mut parts = parts;
    parts.headers.insert(name, value.parse().unwrap());
    parts
}

fn header(text: &str) -> Parts {
    request("GET", "/", &[("authorization", text), ("x-amz-date", "20260830T123600Z"), ("host", "h")])
}

#[test]
fn a_request_without_a_signature_is_anonymous() {
    assert!(parse(&request("GET", "/?a=1&X-Amz-Foo=2", &[("host", "h")])).unwrap().is_none());
    let fault = AuthError::Missing.into_fault(Style::RestJson);
    assert_eq!((fault.status, &*fault.code), (403, "MissingAuthenticationTokenException"));
    assert_eq!(fault.message, "Missing Authentication Token");
}

#[test]
fn missing_parts_of_the_header_are_listed() {
    let (status, code, message) = fault(&request("GET", "/", &[("authorization", ALGORITHM)]), now());
    assert_eq!((status, code.as_str()), (400, "IncompleteSignatureException"));
    let wanted = "Authorization header requires 'Credential' parameter. Authorization header requires \
                  'Signature' parameter. Authorization header requires 'SignedHeaders' parameter. Authorization \
                  header requires existence of either a 'X-Amz-Date' or a 'Date' header. (Hashed with SHA-256 \
                  and encoded with Base64) Authorization=";
    assert_eq!(message, format!("{wanted}{}", super::error::hashed(ALGORITHM.as_bytes())));
    let (_, _, message) = fault(&header("Bearer abc"), now());
    assert!(message.starts_with("Invalid key=value pair (missing equal-sign) in Authorization header"));
    assert!(!message.contains("abc"), "a secret is not repeated");
}

#[test]
fn malformed_parts_of_the_header_are_named() {
    let scope = "K/20260830/r-1/lambda/aws4_request";
    let tail = "SignedHeaders=host, Signature=0";
    let all = |credential: &str| format!("{ALGORITHM} Credential={credential}, {tail}");
    for (text, code, wanted) in [
        (
            all("a/b"),
            "IncompleteSignatureException",
            "Credential must have exactly 5 slash-delimited elements",
        ),
        (
            all(&scope.replace("aws4", "aws5")),
            "InvalidSignatureException",
            "valid terminator: 'aws4_request'",
        ),
        (all(&scope.replace("0830", "0829")), "InvalidSignatureException", "'20260829' != '20260830', from"),
        (all(&scope.replace("r-1", "R!")), "InvalidSignatureException", "valid region, not 'R!'"),
        (all(&scope.replace('K', "")), "UnrecognizedClientException", "The security token included"),
        (
            format!("AWS4-HMAC-SHA512 Credential={scope}, {tail}"),
            "IncompleteSignatureException",
            "Unsupported AWS 'algorithm': 'AWS4-HMAC-SHA512'.",
        ),
        (
            format!("{ALGORITHM} Credential={scope}, SignedHeaders=x-amz-date, Signature=0"),
            "InvalidSignatureException",
            "'Host' or ':authority' must be a 'SignedHeader' in the AWS Authorization.",
        ),
        (
            format!("{ALGORITHM} Credential={scope}, {tail}, Signature=1"),
            "IncompleteSignatureException",
            "duplicate 'Signature'",
        ),
        (
            format!("{ALGORITHM} Credential={scope}, {tail}"),
            "InvalidSignatureException",
            "not signed: x-amz-date",
        ),
    ] {
        let (_, found, message) = fault(&header(&text), now());
        assert_eq!(found, code, "{text}");
        assert!(message.contains(wanted), "{text}: {message}");
    }
    let dated = with("x-amz-date", "yesterday", header(&all(scope)));
    assert!(fault(&dated, now()).2.starts_with("Date must be in ISO-8601 'basic format'. Got 'yesterday'."));
}

#[test]
fn missing_parts_of_the_query_are_listed() {
    let (status, code, message) = fault(&request("GET", "/?X-Amz-Algorithm=AWS4-HMAC-SHA256", &[]), now());
    assert_eq!((status, code.as_str()), (400, "IncompleteSignatureException"));
    assert_eq!(
        message,
        "AWS query-string parameters must include 'X-Amz-Credential'. AWS query-string parameters must include \
         'X-Amz-Signature'. AWS query-string parameters must include 'X-Amz-SignedHeaders'. AWS query-string \
         parameters must include 'X-Amz-Date'. Re-examine the query-string parameters."
    );
}

#[test]
fn both_forms_at_once_are_refused() {
    let mut parts = presigned(60);
    parts.headers.insert("authorization", "x".parse().unwrap());
    assert!(fault(&parts, now()).2.starts_with("Only one auth mechanism allowed"));
}

#[test]
fn a_wrong_secret_or_body_gets_the_references_words() {
    let parts = signed("/", &[], b"body");
    let error = verify(&parts, b"other", now()).unwrap_err().into_fault(Style::RestJson);
    assert_eq!((error.status, &*error.code), (403, "InvalidSignatureException"));
    assert_eq!(
        error.message,
        "The request signature we calculated does not match the signature you provided. Check your AWS Secret \
         Access Key and signing method. Consult the service documentation for details."
    );
}

#[test]
fn the_header_form_lives_fifteen_minutes_either_way() {
    let parts = signed("/", &[], b"");
    for secs in [-900, 0, 900] {
        assert!(verify(&parts, b"", later(secs)).is_ok(), "{secs}");
    }
    assert_eq!(
        fault(&parts, later(901)),
        (
            403,
            "InvalidSignatureException".to_owned(),
            "Signature expired: 20260830T123600Z is now earlier than 20260830T123601Z (20260830T125101Z - 15 \
             min.)"
                .to_owned()
        )
    );
    assert_eq!(
        fault(&parts, later(-901)).2,
        "Signature not yet current: 20260830T123600Z is still later than 20260830T123559Z (20260830T122059Z + \
         15 min.)"
    );
}

#[test]
fn a_presigned_address_lives_as_long_as_it_says() {
    let parts = presigned(90);
    for secs in [-900, 0, 90] {
        assert!(verify(&parts, b"", later(secs)).is_ok(), "{secs}");
    }
    assert!(fault(&parts, later(91)).2.ends_with("(20260830T123731Z - 90 sec.)"));
    assert!(fault(&parts, later(-901)).2.starts_with("Signature not yet current"));
    assert!(fault(&presigned(604_801), now()).2.starts_with("X-Amz-Expires must be less than a week"));
    let address = parts.uri.to_string();
    for (value, wanted) in [("-1", "non-negative"), ("x", "a number"), ("1e3", "a number")] {
        let changed = address.replace("X-Amz-Expires=90", &format!("X-Amz-Expires={value}"));
        assert!(fault(&request("GET", &changed, &[]), now()).2.contains(wanted), "{value}");
    }
    assert_eq!(fault(&with("host", "elsewhere", parts), now()).1, "InvalidSignatureException");
}

#[test]
fn only_s3_lets_an_address_live_longer_than_fifteen_minutes() {
    let parts = presigned(3_600);
    assert!(verify(&parts, b"", later(900)).is_ok());
    assert!(fault(&parts, later(901)).2.ends_with("- 15 min.)"));

    let bare = request("GET", "http://h/b/k", &[]);
    let scope = Scope { region: "r-1", service: "s3" };
    let expires = Duration::from_secs(3_600);
    let uri = presign(&bare, Payload::Unsigned, CREDENTIALS, scope, expires, now()).unwrap();
    let parts = request("GET", &uri.to_string(), &[]);
    assert!(verify(&parts, b"", later(3_600)).is_ok());
    let fault = verify(&parts, b"", later(3_601)).unwrap_err().into_fault(Style::S3);
    assert_eq!((&*fault.code, fault.message.as_str()), ("AccessDenied", "Request has expired"));
}

#[test]
fn an_amz_header_outside_the_signature_is_refused() {
    let parts = with("x-amz-target", "Logs_20140328.DeleteLogGroup", signed("/", &[], b""));
    let error = verify(&parts, b"", now()).unwrap_err();
    assert_eq!(error, AuthError::HeadersNotSigned { names: vec!["x-amz-target".to_owned()] });
    assert!(verify(&with("x-amzn-trace-id", "Root=1", signed("/", &[], b"")), b"", now()).is_ok());
}

#[test]
fn a_signed_header_that_was_taken_away_is_refused() {
    let mut parts = signed("/", &[("x-amz-invocation-type", "DryRun")], b"");
    parts.headers.remove("x-amz-invocation-type");
    assert_eq!(verify(&parts, b"", now()), Err(AuthError::Mismatch));
}

#[test]
fn a_declared_digest_lets_the_head_decide_and_still_binds_the_body() {
    let body = b"body";
    let digest = sha256_hex(body);
    let parts = signed("/", &[("x-amz-content-sha256", &digest)], body);
    let claim = parse(&parts).unwrap().unwrap();
    let pending = claim.verify_head(&parts, SECRET, now()).unwrap();
    assert!(pending.is_signature_verified());
    assert_eq!(claim.verify_head(&parts, "wrong", now()).err(), Some(AuthError::Mismatch));
    let refused = pending.clone().finish(Bytes::from_static(b"other")).unwrap_err();
    assert_eq!(&*refused.clone().into_fault(Style::RestJson).code, "InvalidSignatureException");
    assert_eq!(&*refused.into_fault(Style::S3).code, "XAmzContentSHA256Mismatch");
    assert_eq!(pending.finish(Bytes::from_static(body)).unwrap().payload, &body[..]);
}

#[test]
fn an_undeclared_body_leaves_the_signature_open() {
    let parts = signed("/", &[], b"x");
    let claim = parse(&parts).unwrap().unwrap();
    let pending = claim.verify_head(&parts, "wrong", now()).unwrap();
    assert!(!pending.is_signature_verified());
    assert_eq!(pending.finish(Bytes::from_static(b"x")), Err(AuthError::Mismatch));
}

#[test]
fn an_unsigned_payload_may_be_anything() {
    let mut parts = request("POST", "http://h/", &[]);
    sign(&mut parts, Payload::Unsigned, CREDENTIALS, LAMBDA, now()).unwrap();
    assert_eq!(verify(&parts, b"anything", now()).unwrap().payload, "anything");
    let digest = sha256_hex(b"anything");
    assert_eq!(verify(&with("x-amz-content-sha256", &digest, parts.clone()), b"anything", now()).err(), {
        Some(AuthError::Mismatch)
    });
    let parts = with("x-amz-content-sha256", "nonsense", parts);
    assert!(fault(&parts, now()).2.starts_with("x-amz-content-sha256 must be"));
}

#[test]
fn an_unsigned_body_with_a_checksum_trailer_is_unframed() {
    let body = "4\r\nabcd\r\n2\r\nef\r\n0\r\nx-amz-checksum-crc32:S46P8Q==\r\n\r\n";
    let sum = crate::checksum::Algorithm::Crc32.of(b"abcdef");
    let body = body.replace("S46P8Q==", &sum);
    let mut parts = request(
        "PUT",
        "http://h/b/k",
        &[("x-amz-decoded-content-length", "6"), ("x-amz-trailer", "x-amz-checksum-crc32")],
    );
    let payload = Payload::Declared("STREAMING-UNSIGNED-PAYLOAD-TRAILER");
    let scope = Scope { region: "r-1", service: "s3" };
    sign(&mut parts, payload, CREDENTIALS, scope, now()).unwrap();
    let verified = verify(&parts, body.as_bytes(), now()).unwrap();
    assert_eq!((&verified.payload[..], verified.trailers.len()), (&b"abcdef"[..], 1));
    let error = verify(&parts, body.replace("abcd", "abcx").as_bytes(), now()).unwrap_err();
    assert_eq!(&*error.into_fault(Style::S3).code, "BadDigest");
}

#[test]
fn each_style_has_its_names() {
    for (style, status, mismatch, unknown, expired) in [
        (
            Style::RestJson,
            403,
            "InvalidSignatureException",
            "UnrecognizedClientException",
            "ExpiredTokenException",
        ),
        (
            Style::JsonRpc,
            400,
            "InvalidSignatureException",
            "UnrecognizedClientException",
            "ExpiredTokenException",
        ),
        (Style::Query, 403, "SignatureDoesNotMatch", "InvalidClientTokenId", "ExpiredToken"),
        (Style::S3, 403, "SignatureDoesNotMatch", "InvalidAccessKeyId", "ExpiredToken"),
    ] {
        let fault = AuthError::Mismatch.into_fault(style);
        assert_eq!((fault.status, &*fault.code), (status, mismatch));
        assert_eq!(&*AuthError::UnknownKey.into_fault(style).code, unknown);
        assert_eq!(&*AuthError::ExpiredToken.into_fault(style).code, expired);
    }
}

#[test]
fn the_authority_of_the_address_stands_in_for_a_host_header() {
    let mut parts = signed("/", &[], b"");
    parts.headers.remove("host");
    parts.uri = Uri::from_static("http://localhost:4566/");
    assert!(verify(&parts, b"", now()).is_ok());
}

fn encoded(pieces: &[String]) -> String {
    pieces.iter().map(|piece| crate::percent::encode(piece)).collect::<Vec<_>>().join("/")
}

proptest! {
    #[test]
    fn what_was_signed_verifies(
        path in prop::collection::vec(".{0,8}", 0..5),
        query in prop::collection::vec((".{0,6}", ".{0,6}"), 0..5),
        headers in prop::collection::vec(("x-amz-[a-z]{1,8}", "[ -~]{0,20}"), 0..4),
        body in prop::collection::vec(any::<u8>(), 0..64),
        s3 in any::<bool>(),
        token in prop::option::of("[A-Za-z0-9+/=]{1,40}"),
    ) {
        let query: Vec<String> = query
            .iter()
            .map(|(name, value)| {
                format!("{}={}", crate::percent::encode(name), crate::percent::encode(value))
            })
            .filter(|pair| !pair.starts_with("X-Amz-"))
            .collect();
        let address = format!("http://h:1/{}?{}", encoded(&path), query.join("&"));
        let known = ["x-amz-date", "x-amz-content-sha", "x-amz-trailer"];
        let headers: Vec<(&str, &str)> = headers
            .iter()
            .filter(|(name, _)| !known.contains(&name.as_str()))
            .map(|(name, value)| (name.as_str(), value.as_str()))
            .collect();
        let mut parts = request("PUT", &address, &headers);
        let credentials = Credentials { session_token: token.as_deref(), ..CREDENTIALS };
        let scope = Scope { region: "r-1", service: if s3 { "s3" } else { "lambda" } };
        sign(&mut parts, Payload::Signed(&body), credentials, scope, now()).unwrap();
        prop_assert_eq!(verify(&parts, &body, now()).unwrap().payload, body.clone());

        let bare = request("PUT", &address, &headers);
        let expires = Duration::from_secs(60);
        let payload = if s3 { Payload::Unsigned } else { Payload::Signed(&body) };
        let uri = presign(&bare, payload, credentials, scope, expires, now()).unwrap();
        let used = request("PUT", &uri.to_string(), &headers);
        prop_assert_eq!(verify(&used, &body, now()).unwrap().payload, body);
    }

    #[test]
    fn a_changed_byte_breaks_the_signature(at in any::<prop::sample::Index>(), flip in 1u8..=255, part in 0..4) {
        let address = "/2015-03-31/functions/name/invocations?Qualifier=PROD";
        let mut parts = signed(address, &[("x-amz-log-type", "Tail")], b"payload");
        let mut body = b"payload".to_vec();
        let change = |text: &str| -> Option<String> {
            let mut bytes = text.as_bytes().to_vec();
            let at = at.index(bytes.len());
            bytes[at] ^= flip;
            // White space at the ends is not part of a value.
            String::from_utf8(bytes).ok().filter(|changed| changed.trim() == changed)
        };
        match part {
            0 => {
                let at = at.index(body.len());
                body[at] ^= flip;
            }
            1 => match change(&parts.uri.to_string()).and_then(|text| text.parse::<Uri>().ok()) {
                // Escapes of the same character and slashes doubled are the same address.
                Some(uri) if uri.path().starts_with('/') => parts.uri = uri,
                _ => return Ok(()),
            },
            2 => match change("Tail").and_then(|text| text.parse().ok()) {
                Some(value) => { parts.headers.insert("x-amz-log-type", value); }
                None => return Ok(()),
            },
            _ => {
                let text = parts.headers["authorization"].to_str().unwrap();
                let (front, signature) = text.rsplit_once('=').unwrap();
                match change(signature).map(|changed| format!("{front}={changed}")) {
                    Some(text) if text.is_ascii() && !text.contains(|c: char| c.is_control()) => {
                        parts.headers.insert("authorization", text.parse().unwrap());
                    }
                    _ => return Ok(()),
                }
            }
        }
        prop_assert!(verify(&parts, &body, now()).is_err());
    }

    #[test]
    fn no_header_or_query_makes_parsing_panic(header in "[ -~]{0,80}", query in "[!-~]{0,80}", body in ".{0,40}") {
        let address = format!("/?X-Amz-Algorithm={}&{}", "AWS4-HMAC-SHA256", query.replace('#', ""));
        for (address, header) in [("/", Some(header.clone())), (address.as_str(), None)] {
            let Ok(uri) = address.parse::<Uri>() else { continue };
            let mut parts = request("GET", "/", &[("x-amz-date", "20260830T123600Z")]);
            parts.uri = uri;
            for prefix in ["", "AWS4-HMAC-SHA256 Credential=a/20260830/r/s/aws4_request,SignedHeaders=host;"] {
                if let Some(header) = &header {
                    let Ok(value) = format!("{prefix}{header}").parse() else { continue };
                    parts.headers.insert("authorization", value);
                }
                let _ = verify(&parts, body.as_bytes(), now());
            }
        }
    }
}
