//! Every request that botocore signed is accepted, and signing it again gives botocore's signature.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use http::request::Parts;
use lambent_core::Timestamp;
use lambent_wire::sigv4::{self, Credentials, Form, Payload, Scope};
use serde::Deserialize;

const KEY: &str = "AKIDEXAMPLE";
const SECRET: &str = "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY";

#[derive(Deserialize)]
struct Case {
    name: String,
    method: String,
    address: String,
    headers: Vec<(String, String)>,
    body: String,
    service: String,
    token: Option<String>,
}

impl Case {
    fn parts(&self) -> Parts {
        let mut request = http::Request::builder().method(self.method.as_str()).uri(&self.address);
        for (name, value) in &self.headers {
            request = request.header(name, value.trim());
        }
        request.body(()).unwrap().into_parts().0
    }

    fn body(&self) -> Bytes {
        STANDARD.decode(&self.body).unwrap().into()
    }
}

fn cases() -> Vec<Case> {
    let cases: Vec<Case> = serde_json::from_str(include_str!("../golden/sigv4_botocore.json")).unwrap();
    assert!(cases.len() > 70);
    cases
}

fn now() -> Timestamp {
    Timestamp::parse_amz_date("20150830T123600Z").unwrap()
}

#[test]
fn what_botocore_signed_is_accepted() {
    for case in cases() {
        let parts = case.parts();
        let claim = sigv4::parse(&parts).unwrap().unwrap();
        assert_eq!(claim.access_key_id, KEY);
        assert_eq!((claim.region.as_str(), &claim.service), ("us-east-1", &case.service));
        assert_eq!(claim.session_token, case.token, "{}", case.name);
        let body = claim.verify(&parts, case.body(), SECRET, now());
        assert_eq!(body.map(|body| body.payload), Ok(case.body()), "{} {}", case.name, case.address);
        assert_eq!(
            claim.verify(&parts, case.body(), "other", now()),
            Err(sigv4::AuthError::Mismatch),
            "{}",
            case.name
        );
    }
}

#[test]
fn signing_again_gives_the_same_signature() {
    for case in cases() {
        let mut parts = case.parts();
        let claim = sigv4::parse(&parts).unwrap().unwrap();
        if claim.form != Form::Header {
            continue;
        }
        let wanted = parts.headers.remove(http::header::AUTHORIZATION).unwrap();
        let unsigned = parts.headers.get("x-amz-content-sha256").is_some_and(|v| v == "UNSIGNED-PAYLOAD");
        let body = case.body();
        let payload = if unsigned { Payload::Unsigned } else { Payload::Signed(&body) };
        let credentials = Credentials {
            access_key_id: KEY,
            secret_access_key: SECRET,
            session_token: case.token.as_deref(),
        };
        let scope = Scope { region: "us-east-1", service: &case.service };
        sigv4::sign(&mut parts, payload, credentials, scope, now()).unwrap();
        assert_eq!(parts.headers[http::header::AUTHORIZATION], wanted, "{}", case.name);
    }
}
